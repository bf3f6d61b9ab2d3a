"""Sums of a grouping, laid out for a page: the dearest groups each by period, all others as one.

A period is a day; of a long time a week, which begins on Monday, or a month. All sums are made from sums by day, by
adding, so that each is the figure of a report by the same columns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from callcost.stages.pages.figures import Figure, add_up
from callcost.stages.pages.kit import Markup, joined, name_of

LISTED = 20  # groups of a table; the others are one row
_MOST_PERIODS = 92  # of a chart
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = {"day": "1d", "week": "1w", "month": "1mo"}
Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Periods:
    """The time that a page shows, cut into periods without a gap.

    Attributes:
        unit: "day", "week" or "month".
        starts: first day of each.
        has_undated: whether there are calls without a time.
        days: the first and the last day; None: no call has a time.
    """

    unit: str
    starts: tuple[date, ...]
    has_undated: bool
    days: tuple[date, date] | None

    @property
    def labels(self) -> list[str]:
        """Names of the periods below a chart."""
        return [month_name(each) if self.unit == "month" else day_name(each) for each in self.starts]

    @property
    def keys(self) -> list[date | None]:
        """Periods as rows of a table: undated calls last."""
        return [*self.starts, *([None] * self.has_undated)]

    def row_name(self, start: date | None) -> str:
        """Return the name of a period in a table."""
        if start is None:
            return "undated"
        return f"{start:%Y-%m}" if self.unit == "month" else start.isoformat()


def day_name(day: date) -> str:
    """Return a day as people say it, without its year.

    >>> day_name(date(2026, 11, 3))
    '3 Nov'
    """
    return f"{day.day} {_MONTHS[day.month - 1]}"


def month_name(day: date) -> str:
    """Return the month of a day as people say it."""
    return f"{_MONTHS[day.month - 1]} {day.year}"


def periods_of(days: pl.Series) -> Periods:
    """Return the periods that cover days; null is the day of undated calls."""
    first, last = days.min(), days.max()
    has_undated = days.null_count() > 0
    if not isinstance(first, date) or not isinstance(last, date):
        return Periods("day", (), has_undated, None)
    count = (last - first).days + 1
    unit = "day" if count <= _MOST_PERIODS else "week" if count <= 7 * _MOST_PERIODS else "month"
    begins = (
        first if unit == "day" else first - timedelta(days=first.weekday()) if unit == "week" else first.replace(day=1)
    )
    return Periods(unit, tuple(pl.date_range(begins, last, _UNITS[unit], eager=True)), has_undated, (first, last))


@dataclasses.dataclass(frozen=True, slots=True)
class GroupSums:
    """Sums of a grouping.

    Attributes:
        column: of ``--by`` that groups.
        periods: the time that is shown.
        groups: sums of the dearest groups, the dearest first.
        others: sums of all others; None: there are none.
        other_count: how many they are.
        totals: sums of all.
        by_period: (period, place of a group; LISTED: the others) -> sums.
        per_period: period -> sums of all groups.
    """

    column: str
    periods: Periods
    groups: Sequence[Row]
    others: Row | None
    other_count: int
    totals: Row
    by_period: dict[tuple[date | None, int], Row]
    per_period: dict[date | None, Row]

    @property
    def title(self) -> str:
        """What the groups are, as a heading has it."""
        return self.column if self.column.startswith("tag:") else self.column.replace("_", " ")

    def figures(self, place: int, measure: str) -> list[Figure]:
        """Return a sum of a group in each dated period."""
        rows = (self.by_period.get((start, place)) for start in self.periods.starts)
        return [None if row is None else row[measure] for row in rows]

    def name(self, place: int) -> Markup:
        """Return the name of a group, or of the others."""
        if place < len(self.groups):
            return name_of(self.groups[place][self.column])
        return joined(f"{self.other_count} other{'s' * (self.other_count != 1)}")


def sum_groups(sums: pl.DataFrame, column: str, periods: Periods, most: int) -> GroupSums:
    """Lay out sums by (day, column).

    Args:
        sums: one row per day and group.
        column: that groups.
        periods: the time that is shown.
        most: groups at the most; where there are more, the last of them is all others.
    """
    ranked = add_up(sums, (column,)).sort("total_cost", column, descending=[True, False], nulls_last=True)
    kept = most if ranked.height <= most else most - 1
    start = pl.col("day").dt.truncate(_UNITS[periods.unit]) if periods.unit != "day" else pl.col("day")
    placed = ranked.select(column, place=pl.int_range(pl.len()).clip(upper_bound=kept))
    rows = sums.join(placed, on=column, nulls_equal=True).with_columns(period=start)
    cells = add_up(rows, ("period", "place"))
    return GroupSums(
        column=column,
        periods=periods,
        groups=ranked.head(kept).to_dicts(),
        others=add_up(rows.filter(pl.col("place") == kept), ("place",)).to_dicts()[0] if ranked.height > kept else None,
        other_count=max(ranked.height - kept, 0),
        totals=add_up(rows.with_columns(place=pl.lit(0)), ("place",)).to_dicts()[0] if rows.height else {},
        by_period={(row["period"], row["place"]): row for row in cells.iter_rows(named=True)},
        per_period={row["period"]: row for row in add_up(rows, ("period",)).iter_rows(named=True)},
    )
