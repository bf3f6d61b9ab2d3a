"""Days in another time zone and calls near midnight are taken where they explain what is over and what is missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from callcost.logs.bills.lines import DAY
from callcost.stages.reconcile.call_evidence import first_prefix, fits_in
from callcost.stages.reconcile.cells import Cell, CellKey, Vector
from callcost.stages.reconcile.day_shifts import settle_shifts
from tests.stages.reconcile.by_hand import FakeEvidence, causes, make_case, make_cell, vector

HOUR = DAY // 24


def _key(day: int, model: str = "gpt-4.1") -> CellKey:
    return CellKey(day * DAY, "openai", model, None)


def _days(*gaps: int, **more: Any) -> list[Cell]:
    """One cell a day: 1,000 tokens for $10 in the logs, and a gap on the bill."""
    return [
        make_cell(day=day * DAY, ours=1_000, cost=10, billed=1_000 + gap, amount=50, **more)
        for day, gap in enumerate(gaps)
    ]


def _zone(*moved: int) -> dict[CellKey, Vector]:
    """What each day has in another zone: so many tokens more, each for a cent."""
    return {_key(day): vector(input=(1_000 + more, 10 + Decimal(more) / 100)) for day, more in enumerate(moved)}


def _settle(cells: list[Cell], **zones: dict[CellKey, Vector]) -> Any:
    hours = {"east": 2 * HOUR, "far": 5 * HOUR // 2, "west": -2 * HOUR}
    settle_shifts(make_case(cells, FakeEvidence(zones={hours[name]: zone for name, zone in zones.items()})))
    return [causes(cell) for cell in cells]


def test_days_that_agree_in_another_zone_are_shifted() -> None:
    cells = _days(100, -50, -50)
    assert _settle(cells, east=_zone(100, -50, -50)) == [
        [("day_shift", 100, 1)], [("day_shift", -50, Decimal("-0.5"))], [("day_shift", -50, Decimal("-0.5"))],
    ]  # fmt: skip
    assert cells[0].findings[0].evidence == "the bill's days are those of UTC+2 h"
    half = _days(100, -100)
    _settle(half, far=_zone(100, -100))
    assert half[0].findings[0].evidence == "the bill's days are those of UTC+2.5 h"


def test_a_zone_that_explains_no_more_than_half_of_the_gaps_is_none() -> None:
    """Two of three cells exactly, and 20 of 220 tokens."""
    assert _settle(_days(10, -10, 200), east=_zone(10, -10, 0)) == [[], [], []]
    assert _settle(_days(10, -10, 20), east=_zone(10, -10, 0)) == [[], [], []]
    assert _settle(_days(10, -10, 19), east=_zone(10, -10, 0))[0] == [("day_shift", 10, Decimal("0.1"))]


def test_a_zone_that_explains_no_more_than_half_of_the_cells_exactly_is_none() -> None:
    assert _settle(_days(100, -100), east=_zone(100, -99)) == [[], []]
    assert _settle(_days(100, -100, 7), east=_zone(100, -100, 8))[2] == [("day_shift", 8, Decimal("0.08"))]
    assert _settle(_days(100, -100, 0), east=_zone(99, -99, 0)) == [[], [], []]


def test_the_zone_that_leaves_least_is_taken_and_of_equals_the_nearest() -> None:
    better, worse = _zone(100, -100, 10), _zone(100, -100, 9)
    for zones in ({"east": worse, "far": better}, {"east": better, "far": worse}):
        cells = _days(100, -100, 10)
        _settle(cells, **zones)
        assert causes(cells[2]) == [("day_shift", 10, Decimal("0.1"))]
    cells = _days(100, -100)
    _settle(cells, far=_zone(100, -100), east=_zone(100, -100), west=_zone(100, -100))
    assert cells[0].findings[0].evidence == "the bill's days are those of UTC-2 h"


def test_gaps_of_one_sign_are_no_shift() -> None:
    for gaps in ((100, 50), (-100, -50), (100, 0), (-100, 0), (0, 0)):
        assert _settle(_days(*gaps), east=_zone(*gaps)) == [[], []]


def test_cells_without_a_count_or_a_day_are_left_alone() -> None:
    undated = make_cell(day=None, ours=10, billed=20)
    uncounted = make_cell("output", ours=10, cost=1, amount=5)
    tools = make_cell("web_search_requests", ours=10, billed=5)
    cells = [*_days(100, -100), undated, uncounted, tools]
    found = _settle(cells, east=_zone(100, -100))
    assert [bool(one) for one in found] == [True, True, False, False, False]
    assert not any(_settle([undated, uncounted, tools], east=_zone(100, -100)))


def test_a_day_that_has_no_call_in_the_other_zone_moves_all_of_its_own() -> None:
    assert _settle(_days(-1_000, 1_000), east={_key(1): vector(input=(2_000, 20))}) == [
        [("day_shift", -1_000, -10)], [("day_shift", 1_000, 10)],
    ]  # fmt: skip


# --- Near midnight ----------------------------------------------------------------------------------------------------

LATE = [vector(input=(30, 1)), vector(input=(20, 2)), vector(input=(7, 3))]


def _near(here: int, there: int, calls: list[Vector], *, late: bool = True, day: int = 0) -> Any:
    cells = _days(here, there)
    settle_shifts(make_case(cells, FakeEvidence(calls={(_key(day), late): calls})))
    return [causes(cell) for cell in cells]


def test_the_last_calls_of_a_day_may_be_billed_on_the_next() -> None:
    assert _near(-50, 50, LATE) == [[("day_shift", -50, -3)], [("day_shift", 50, 3)]]
    assert _near(-50, 50, LATE, late=False) == [[], []]
    assert _near(-50, 70, LATE) == [[("day_shift", -50, -3)], [("day_shift", 50, 3)]]  # all that the one lacks
    assert _near(-70, 50, LATE) == [[("day_shift", -50, -3)], [("day_shift", 50, 3)]]  # all that the other has over
    assert _near(-51, 49, LATE) == [[], []]
    assert _near(-40, 50, LATE) == [[], []]


def test_the_first_calls_of_a_day_may_be_billed_on_the_one_before() -> None:
    assert _near(50, -50, LATE, late=False, day=1) == [[("day_shift", 50, 3)], [("day_shift", -50, -3)]]
    assert _near(50, -50, LATE, late=True, day=1) == [[], []]
    assert _near(50, -50, LATE, late=True, day=0) == [[], []]


@pytest.mark.parametrize(("here", "there"), [(-50, -50), (50, 50), (-50, 0), (0, 50)])
def test_a_day_alone_lends_no_calls(here: int, there: int) -> None:
    evidence = {(_key(day), late): LATE for day in (0, 1) for late in (True, False)}
    cells = _days(here, there)
    settle_shifts(make_case(cells, FakeEvidence(calls=evidence)))
    assert [causes(cell) for cell in cells] == [[], []]


def test_calls_move_with_all_their_classes() -> None:
    def day(number: int, sign: int, output: int) -> list[Cell]:
        return [
            make_cell(day=number * DAY, ours=100, billed=100 + 50 * sign),
            make_cell("output", day=number * DAY, ours=100, billed=100 + output),
            make_cell("cache_read", day=number * DAY, ours=100, billed=100),
        ]

    calls = [vector(input=(30, 1), output=(4, 1)), vector(input=(20, 2), output=(3, 1), cache_read=(0, 0))]
    evidence = FakeEvidence(calls={(_key(0), True): calls})
    cells = [*day(0, -1, -7), *day(1, 1, 7)]
    settle_shifts(make_case(cells, evidence))
    assert [bool(cell.findings) for cell in cells] == [True, True, False] * 2
    assert cells[0].findings[0].evidence == cells[3].findings[0].evidence == "calls near midnight"
    for output in (7, 1):
        mixed = [*day(0, -1, output), *day(1, 1, -output)]
        plain = FakeEvidence(calls={(_key(0), True): LATE})
        settle_shifts(make_case(mixed, evidence if output == 7 else plain))
        assert not any(cell.findings for cell in mixed)
    only = [*day(0, -1, 0), *day(1, 1, 7)]
    settle_shifts(make_case(only, evidence))
    assert not any(cell.findings for cell in only)


def test_calls_of_a_class_that_the_other_day_does_not_lack_stay() -> None:
    """The first day has input over, the second lacks output only."""
    first = make_cell(ours=100, billed=50), make_cell("output", ours=100, billed=100)
    second = make_cell(day=DAY, ours=100, billed=100), make_cell("output", day=DAY, ours=100, billed=105)
    settle_shifts(make_case([*first, *second], FakeEvidence(calls={(_key(0), True): LATE})))
    assert not any(cell.findings for cell in (*first, *second))


def test_calls_move_between_any_two_days_and_not_to_one_without_counts() -> None:
    cells = [make_cell(day=number * DAY, ours=100, billed=100 + gap) for number, gap in ((4, -50), (5, 50))]
    uncounted = make_cell(day=3 * DAY, ours=100, cost=1, amount=1), make_cell(day=6 * DAY, ours=100, cost=1, amount=1)
    settle_shifts(make_case([*cells, *uncounted], FakeEvidence(calls={(_key(4), True): LATE})))
    assert [causes(cell) for cell in cells] == [[("day_shift", -50, None)], [("day_shift", 50, None)]]


def test_days_that_are_no_neighbours_lend_no_calls() -> None:
    cells = [make_cell(day=number * DAY, ours=100, billed=100 + gap) for number, gap in ((0, -50), (2, 50))]
    other = make_cell(day=DAY, model="o3", ours=100, billed=150)
    settle_shifts(make_case([*cells, other], FakeEvidence(calls={(_key(0), True): LATE})))
    assert not any(cell.findings for cell in (*cells, other))


def test_the_first_prefix_that_fits_is_summed() -> None:
    total = first_prefix(LATE, lambda held: held["input"][0] >= 50)
    assert total == vector(input=(50, 3))
    assert first_prefix(LATE, lambda held: held["input"][0] > 57) is None
    assert fits_in(vector(input=(5, 1), output=(0, 1)), {"input": Decimal(5)})
    assert not fits_in(vector(input=(6, 1)), {"input": Decimal(5)})
    assert not fits_in(vector(output=(1, 1)), {"input": Decimal(5)})
