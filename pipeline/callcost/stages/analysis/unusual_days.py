"""Days that cost far more or less than their weekday does, and the group that drove it.

Expected is the median of the same weekday in the weeks before. Far is what is many times the usual distance of a day
from its weekday's median (the median of these distances, as a share: a robust rule as of the MAD, Iglewicz and Hoaglin,
How to Detect and Handle Outliers, 1993).
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from statistics import median
from typing import NamedTuple

MOST_WEEKS, LEAST_WEEKS = 6, 3  # of the same weekday before a day
MOST_LISTED = 20
_TO_DEVIATION = Decimal("1.4826")  # from the median distance to the standard deviation of a normal distribution
_FAR, _FAR_FOR_GROUP = 4, 6  # deviations
_LEAST_DEVIATION = Decimal("0.1")  # as a share of what is expected
_LEAST_OF_TYPICAL = Decimal("0.05")  # and of a day in the middle
_LEAST_TIMES = Decimal("1.5")
_MATERIAL = Decimal("0.2")  # of the day's cost: what a group must differ by to be named where the day is as usual
_NEARLY_AS_MUCH = Decimal("0.8")  # of what the group explains that explains most
Costs = Mapping[date, Decimal]


class Group(NamedTuple):
    """What a group cost on a day."""

    column: str
    value: str
    cost: Decimal
    expected: Decimal


@dataclasses.dataclass(frozen=True, slots=True)
class UnusualDay:
    """A day that is not as its weekday is, or a group of it.

    Attributes:
        day: in the report's time zone.
        cost: of all of it.
        expected: the median of the same weekday before.
        driver: the group that differs most; None: none is known.
    """

    day: date
    cost: Decimal
    expected: Decimal
    driver: Group | None

    @property
    def size(self) -> Decimal:
        """Return by how much it, or at least its group, is off."""
        by_group = self.driver.cost - self.driver.expected if self.driver else Decimal(0)
        return max(abs(self.cost - self.expected), abs(by_group))


def find_unusual(
    total: Costs, groups: Mapping[tuple[str, str], Costs], first: date, end: date, partial: date | None
) -> list[UnusualDay]:
    """Find the unusual days.

    Args:
        total: day -> what it cost; a day that is not there cost nothing.
        groups: (column, value) -> the same, of its part.
        first: the first day of which the cost is known.
        end: the day after the last one that is judged.
        partial: a day that is not over, which can only cost too much; None: there is none.

    Returns:
        In order; of more than MOST_LISTED those that are off by most.
    """
    found: list[UnusualDay] = []
    weekdays = _Weekdays(total, first)
    by_group = {group: _Weekdays(costs, first) for group, costs in groups.items()}
    for day in _days(first + timedelta(weeks=LEAST_WEEKS), end):
        if weekdays.is_sparse(day):
            continue
        expected, cost = weekdays.expected(day), weekdays.cost(day)
        if expected is None:
            continue
        if _is_times(cost, expected) and (cost > expected or day != partial):
            off = weekdays.distance(day)
            if off is None:
                continue
            if abs(off) > _FAR:
                found.append(UnusualDay(day, cost, expected, _driver_of(day, cost - expected, by_group)))
                continue
        least = _MATERIAL * expected
        driver = max(_groups_off(day, least, by_group), key=lambda each: each.cost - each.expected, default=None)
        if driver is not None and weekdays.distance(day) is not None:
            found.append(UnusualDay(day, cost, expected, driver))
    found.sort(key=lambda each: (-each.size, each.day))
    return sorted(found[:MOST_LISTED], key=lambda each: each.day)


def _days(first: date, end: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((end - first).days))


def _is_times(cost: Decimal, expected: Decimal) -> bool:
    return max(cost, expected) >= _LEAST_TIMES * min(cost, expected)


class _Weekdays:
    """What the days of a series cost, beside their weekdays before."""

    def __init__(self, costs: Costs, first: date) -> None:
        self._costs, self._first, self._known = costs, first, sorted(costs)

    def cost(self, day: date) -> Decimal:
        return self._costs.get(day, Decimal(0))

    def _before(self, day: date) -> list[Decimal]:
        days = [day - timedelta(weeks=number + 1) for number in range(MOST_WEEKS)]
        return [self.cost(each) for each in days if each >= self._first]

    def _window(self, day: date) -> date:
        return max(self._first, day - timedelta(weeks=MOST_WEEKS))

    def is_sparse(self, day: date) -> bool:
        """Say whether most days in the weeks before cost nothing."""
        first = self._window(day)
        return 2 * (bisect_left(self._known, day) - bisect_left(self._known, first)) < (day - first).days

    def expected(self, day: date) -> Decimal | None:
        """Return the median of the same weekday before; None: there are too few."""
        before = self._before(day)
        return median(before) if len(before) >= LEAST_WEEKS else None

    def distance(self, day: date) -> Decimal | None:
        """Return by how many deviations a day is off; None: most days before cost nothing, or there are too few."""
        if self.is_sparse(day):
            return None  # the median below, sooner
        expected, window = self.expected(day), list(_days(self._window(day), day))
        typical = median(map(self.cost, window)) if window else Decimal(0)
        if expected is None or typical <= 0:
            return None
        shares: list[Decimal] = []
        for place in range(7):
            costs = [self.cost(each) for each in window[place::7]]
            if (middle := median(costs)) > 0:
                shares += sorted(abs(cost - middle) / middle for cost in costs)[1:]  # one is the median itself
        share = max(_LEAST_DEVIATION, _TO_DEVIATION * median(shares) if shares else Decimal(0))
        return (self.cost(day) - expected) / max(share * expected, _LEAST_OF_TYPICAL * typical)


def _driver_of(day: date, difference: Decimal, groups: Mapping[tuple[str, str], _Weekdays]) -> Group | None:
    """Return the group that explains a difference: the smallest of those that explain nearly as much as any."""
    sign = 1 if difference > 0 else -1
    found = []
    for (column, value), costs in groups.items():
        cost, expected = costs.cost(day), costs.expected(day) or Decimal(0)
        found.append((sign * (cost - expected), Group(column, value, cost, expected)))
    most = max((part for part, _ in found), default=Decimal(0))
    near = [group for part, group in found if part > 0 and part >= _NEARLY_AS_MUCH * most]
    return min(near, key=lambda group: max(group.cost, group.expected), default=None)


def _groups_off(day: date, least: Decimal, groups: Mapping[tuple[str, str], _Weekdays]) -> Iterator[Group]:
    """Yield the groups that cost far more than their weekday, and that by more than a sum of the day's cost."""
    for (column, value), costs in groups.items():
        cost = costs.cost(day)
        expected = costs.expected(day) if cost > least else None
        if expected and cost - expected > least and _is_times(cost, expected):
            off = costs.distance(day)
            if off is not None and off > _FAR_FOR_GROUP:
                yield Group(column, value, cost, expected)
