"""What changed: a report's interval against the time before it, as a whole and group by group.

Of a report that has no interval, or no calls before it, the newest days are compared with as many before them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from callcost.stages.pages.charts import share_bar
from callcost.stages.pages.figures import USD, add_up, figure_cell, shown
from callcost.stages.pages.group_sums import day_name
from callcost.stages.pages.kit import Markup, cell, element, name_of, row_name, section, table

_LENGTHS = (30, 7, 1)  # days of a period, the longest that was there twice
_MOST = 10  # groups of a table


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Two periods that are compared.

    Attributes:
        first: (first, last) day of the earlier one.
        second: (first, last) day of the later one.
        before: cost of the earlier one; None: nothing is stated.
        after: cost of the later one.
        groups: (column, value, before, after, difference), what moved most first.
    """

    first: tuple[date, date]
    second: tuple[date, date]
    before: Decimal | None
    after: Decimal | None
    groups: Sequence[tuple[str, Any, Decimal | None, Decimal | None, Decimal]]

    @property
    def words(self) -> str:
        """Return the two periods in words."""
        return f"{_span(self.second)} against {_span(self.first)}"


def _span(days: tuple[date, date]) -> str:
    first, last = days
    since = "" if first == last else f"{day_name(first)}{f' {first.year}' * (first.year != last.year)} to "
    return f"{since}{day_name(last)} {last.year}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The time before a report's interval.

    Attributes:
        groups: column -> sums by (day, column).
        first: its (first, last) day.
        second: (first, last) day of the interval.
    """

    groups: Mapping[str, pl.DataFrame]
    first: tuple[date, date]
    second: tuple[date, date]


def find_change(groups: Mapping[str, pl.DataFrame], earlier: Earlier | None) -> Change | None:
    """Compare an interval with the time before it, else the newest days with those before them; None: there are none.

    Args:
        groups: column -> sums by (day, column).
        earlier: the time before the interval; None: nothing is known of it.
    """
    if earlier is not None:
        known = {column: table for column, table in earlier.groups.items() if column in groups}
        return _compare(known, groups, earlier.first, earlier.second)
    days = next(iter(groups.values()))["day"]
    oldest, newest = days.min(), days.max()
    if not isinstance(oldest, date) or not isinstance(newest, date):
        return None
    there = (newest - oldest).days + 1
    length = next((length for length in _LENGTHS if there >= 2 * length), None)
    if length is None:
        return None
    edge = newest - timedelta(days=length - 1)
    start = edge - timedelta(days=length)
    later, before = pl.col("day") >= edge, pl.col("day").is_between(start, edge, closed="left")
    old, new = ({column: table.filter(side) for column, table in groups.items()} for side in (before, later))
    return _compare(old, new, (start, edge - timedelta(days=1)), (edge, newest))


def _compare(
    before: Mapping[str, pl.DataFrame], after: Mapping[str, pl.DataFrame], first: tuple[date, date],
    second: tuple[date, date],
) -> Change:  # fmt: skip
    moved: list[tuple[str, Any, Any, Any, Any]] = []
    for column in after:
        sides = [add_up(side[column], (column,)).select(column, "total_cost") for side in (before, after)]
        both = sides[0].join(sides[1], on=column, how="full", coalesce=True, nulls_equal=True, suffix="_after")
        gap = pl.col("total_cost_after").fill_null(0) - pl.col("total_cost").fill_null(0)
        moved += [(column, *row) for row in both.with_columns(gap=gap).filter(pl.col("gap") != 0).iter_rows()]
    moved.sort(key=lambda row: (-abs(row[4]), row[0], str(row[1])))
    costs = [next(iter(side.values()))["total_cost"] for side in (before, after)]
    whole: list[Any] = [cost.sum() if cost.count() else None for cost in costs]
    return Change(first=first, second=second, before=whole[0], after=whole[1], groups=moved[:_MOST])


def signed(amount: Decimal) -> str:
    """Return a difference for reading, with its sign."""
    return f"{'+' if amount > 0 else ''}{shown(amount, USD)}"


def changes_section(change: Change) -> Markup:
    """Return the groups whose cost moved most."""
    largest = max((abs(gap) for *_, gap in change.groups), default=Decimal(0))
    rows = []
    for column, value, before, after, gap in change.groups:
        kind = column if column.startswith("tag:") else column.replace("_", " ")
        direction = "up" if gap > 0 else "down"
        rows.append([
            row_name(element("small", kind), " ", name_of(value)),
            figure_cell(before, USD),
            figure_cell(after, USD),
            figure_cell(gap, USD, text=signed(gap)),
            cell(share_bar(abs(gap), largest), class_=f"bar {direction}"),
        ])  # fmt: skip
    body = (
        table(f"Cost, {change.words}", ["group", "before", "after", "difference", ""], rows)
        if rows
        else element("p", "No group costs more or less than before.")
    )
    return section("What changed most", "changes", element("p", change.words, class_="note"), body)
