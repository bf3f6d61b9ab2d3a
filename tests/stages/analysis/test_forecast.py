"""The forecast: the pattern of the week goes on, 80 % of what comes lies in its interval, too little gives none."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from statistics import median

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callcost.stages.analysis.forecast import LEAST_DAYS, MOST_DAYS, forecast_days
from tests.bench.shops import COURSES, back_tests, level_alone
from tests.conftest import LONG

NEWEST = date(2026, 11, 20)
COSTS = st.lists(st.floats(0, 1e6), min_size=LEAST_DAYS, max_size=70)
Ahead = list[tuple[date, float]]


def _ahead(days: int) -> Ahead:
    return [(NEWEST + timedelta(days=number + 1), 1.0) for number in range(days)]


def test_80_percent_of_what_comes_lies_in_the_interval() -> None:
    """On shops that its constants were not chosen on: see tests/bench/shops.py."""
    held = defaultdict[str, list[bool]](list)
    for test in back_tests(6_000 if LONG else 200):
        held[test.course].append(test.holds)
    every = [each for course in COURSES for each in held[course]]
    assert 0.75 <= sum(every) / len(every) <= 0.85
    for course, own in held.items():
        assert 0.6 <= sum(own) / len(own) <= 0.95, course


def test_growth_that_is_drawn_on_makes_it_closer() -> None:
    count = 2_000 if LONG else 200
    with level_alone():
        without = median(test.error for test in back_tests(count))
    assert median(test.error for test in back_tests(count)) < without


@given(week=st.lists(st.floats(1, 1e4), min_size=7, max_size=7), weeks=st.integers(2, 10), days=st.integers(1, 31))
def test_a_week_that_repeats_itself_goes_on(week: list[float], weeks: int, days: int) -> None:
    found = forecast_days(week * weeks, NEWEST, _ahead(days))
    assert found is not None
    assert found.expected == pytest.approx(sum((week * 5)[:days]), rel=1e-6)
    assert found.low < found.expected < found.high
    assert found.days == min(7 * weeks, MOST_DAYS)


@given(costs=COSTS, days=st.integers(1, 31), times=st.sampled_from([1e-3, 0.5, 7.0, 1e4]))
@example(costs=[5e-324, *[1.0] * 6, 1e-230, *[1.0] * 6], days=1, times=0.5)
def test_it_is_in_any_currency_the_same(costs: list[float], days: int, times: float) -> None:
    """Whatever days cost, it is a forecast in order or none."""
    found, scaled = (forecast_days([cost * by for cost in costs], NEWEST, _ahead(days)) for by in (1.0, times))
    if found is None or scaled is None or found.expected < 1e-6:
        return
    assert 0 <= found.low <= found.expected <= found.high < float("inf")
    assert scaled.expected == pytest.approx(found.expected * times, rel=1e-6)


@pytest.mark.parametrize(
    ("costs", "days"),
    [
        ([1.0] * 13, 5), ([0.0] * 30, 5), ([0.0] * 40 + [1.0] * 13, 5), ([1.0] * 30 + [0.0] * 56, 5), ([1.0] * 30, 0),
        ([], 3),
    ],
    ids=["13 days", "nothing", "13 days that cost", "long ago", "nothing ahead", "no day"],
)  # fmt: skip
def test_of_too_little_there_is_none(costs: list[float], days: int) -> None:
    assert forecast_days(costs, NEWEST, _ahead(days)) is None


def test_a_part_of_a_day_is_a_part_of_its_cost() -> None:
    whole, half = (forecast_days([8.0] * 28, NEWEST, [(NEWEST + timedelta(days=1), share)]) for share in (1.0, 0.5))
    assert whole is not None
    assert half is not None
    assert half.expected == pytest.approx(whole.expected / 2)


def test_one_day_far_off_moves_it_little() -> None:
    usual = [10.0, 11.0, 9.0, 10.0, 12.0, 8.0, 10.0] * 5
    plain, spiked = (forecast_days([*usual[:-3], cost, *usual[-2:]], NEWEST, _ahead(10)) for cost in (12.0, 500.0))
    assert plain is not None
    assert spiked is not None
    assert spiked.expected < 1.6 * plain.expected
