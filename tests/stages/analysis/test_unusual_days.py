"""Unusual days: what is planted is found with its group, and days that only scatter are left in peace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest

from callcost.stages.analysis.unusual_days import MOST_LISTED, find_unusual

WEEK = (10, 12, 11, 10, 9, 2, 1)
Costs = dict[date, Decimal]
Groups = dict[tuple[str, str], Costs]


def _day(number: int) -> date:
    return date(2026, 8, 31) + timedelta(days=number)  # a Monday


def _scattered(days: int, seed: int, size: float = 0.15) -> list[Decimal]:
    random = Random(seed)
    return [Decimal(str(round(WEEK[n % 7] * random.uniform(1 - size, 1 + size), 6))) for n in range(days)]


def _costs(values: Sequence[Decimal]) -> Costs:
    return {_day(number): value for number, value in enumerate(values)}


def _shop(planted: dict[int, tuple[str, Decimal]], days: int = 60) -> tuple[Costs, Groups]:
    """Return what two models and one user cost, one model on some days more or less than usual."""
    models = {name: _scattered(days, seed) for seed, name in enumerate(("big", "small"))}
    for number, (name, times) in planted.items():
        models[name][number] *= times
    total = [sum(parts) for parts in zip(*models.values(), strict=True)]
    groups = {("model", name): _costs(values) for name, values in models.items()}
    return _costs([Decimal(cost) for cost in total]), groups | {("user", "ana"): _costs([Decimal(c) for c in total])}


@pytest.mark.parametrize(("times", "number"), [("6", 45), ("6", 47), ("0.02", 44)], ids=["Thursday", "Saturday", "gap"])
def test_a_day_is_named_with_the_group_that_drove_it(times: str, number: int) -> None:
    total, groups = _shop({number: ("big", Decimal(times)), **({number: ("big", Decimal(0))} if times < "1" else {})})
    if times < "1":  # all of it stops
        total[_day(number)] = Decimal(0)
        groups["model", "small"][_day(number)] = groups["user", "ana"][_day(number)] = Decimal(0)
    (found,) = find_unusual(total, groups, _day(0), _day(60), None)
    assert (found.day, found.cost) == (_day(number), total[_day(number)])
    before = sorted(total[_day(number - 7 * week)] for week in range(1, 7))
    assert found.expected == (before[2] + before[3]) / 2
    assert found.driver is not None
    if times > "1":
        assert (found.driver.column, found.driver.value) == ("model", "big")
        assert found.driver.cost == groups["model", "big"][_day(number)]


def test_days_that_scatter_are_left_in_peace() -> None:
    """Of shops without mishaps, whose days scatter by 10 to 50 %, one day of a hundred at the most."""
    alarms = days = 0
    for number in range(40):
        random, size = Random(number), 0.1 + number / 100
        costs = [WEEK[day % 7] * random.gammavariate(1 / size**2, size**2) for day in range(90)]
        found = find_unusual(_costs([Decimal(str(round(cost, 6))) for cost in costs]), {}, _day(0), _day(90), None)
        alarms, days = alarms + len(found), days + 90 - 21
    assert alarms / days < 0.01


def test_a_group_is_named_where_the_day_is_as_usual() -> None:
    total, groups = _shop({45: ("small", Decimal("1.9"))})
    groups["model", "big"][_day(45)] -= total[_day(45)] - total[_day(38)]
    total[_day(45)] = total[_day(38)]
    (found,) = find_unusual(total, groups, _day(0), _day(60), None)
    assert found.driver is not None
    assert (found.day, found.driver.value, found.driver.column) == (_day(45), "small", "model")


def test_a_day_that_is_not_over_never_costs_too_little() -> None:
    total, groups = _shop({})
    total[_day(59)] = Decimal(0)
    assert find_unusual(total, groups, _day(0), _day(60), _day(59)) == []
    assert [each.day for each in find_unusual(total, groups, _day(0), _day(60), None)] == [_day(59)]
    total[_day(59)] = Decimal(100)
    assert [each.day for each in find_unusual(total, groups, _day(0), _day(60), _day(59))] == [_day(59)]


@pytest.mark.parametrize("days", [0, 1, 21])
def test_of_few_days_none_is_unusual(days: int) -> None:
    total = _costs([Decimal(1)] * max(days - 1, 0) + [Decimal(100)] * bool(days))
    assert find_unusual(total, {}, _day(0), _day(days), None) == []


def test_where_most_days_cost_nothing_none_is_unusual() -> None:
    assert find_unusual({_day(3): Decimal(1), _day(70): Decimal(9)}, {}, _day(0), _day(90), None) == []


def test_a_group_that_was_not_there_before_can_drive_a_day() -> None:
    total, groups = _shop({})
    groups["model", "new"] = {_day(50): Decimal(80)}
    total[_day(50)] += 80
    (found,) = find_unusual(total, groups, _day(0), _day(60), None)
    assert found.driver is not None
    assert found.driver == ("model", "new", Decimal(80), Decimal(0))


def test_of_very_many_those_are_listed_that_are_off_by_most() -> None:
    values = [Decimal(10)] * 400
    for number in range(60, 400, 10):
        values[number] = Decimal(100 + number)
    found = find_unusual(_costs(values), {}, _day(0), _day(400), None)
    assert [each.day for each in found] == [_day(number) for number in range(60, 400, 10)][-MOST_LISTED:]
