"""What each day cost: in all, by the columns that may have driven it, and of each budget. Sums of it add.

A row is a day and an item: ALL, one of DRIVERS with its value, or the position of a budget. Calls without a time are in
no day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from functools import reduce
from operator import and_

import polars as pl

from callcost.settings import ReportOptions
from callcost.stages.report.spend import group_column, matches, moment_of
from callcost.stages.tables.facts import scan_tables
from callcost.stages.tables.schemas import MONEY

ALL = "all"
DRIVERS = ("model", "user", "team", "project", "api_key")
MOST_VALUES = 100  # of a column, that are looked at: those that cost most on some day
_KEY = ("day", "item", "value")
_SUMS = {"cost": MONEY, "unpriced": pl.Int64()}
_TYPES = {"day": pl.Date(), "item": pl.String(), "value": pl.String(), **_SUMS}
_SHARE_ROWS = 1_000_000  # merged at a time
_NOT_ALL = ("unpriced", "partly_priced")


def item_of_budget(number: int) -> str:
    """Return the item of a budget by its position."""
    return f"budget {number}"


def sum_days(facts: pl.DataFrame, options: ReportOptions) -> pl.DataFrame:
    """Sum priced facts by day.

    Args:
        facts: priced and filtered; a charge counts under its own model.
        options: what the run was asked for; ``budget`` is read, and what is not before ``as_of`` is left out.

    Returns:
        Columns day, item, value, cost (of what has a price), unpriced (charges without a full price).
    """
    zone = options.timezone
    budgets = options.budget if isinstance(options.budget, tuple) else ()
    columns = dict.fromkeys([*DRIVERS, *(column for budget in budgets for column, _ in budget.group)])
    then = pl.col("started_at")
    dated = facts.filter(then.is_not_null() if options.as_of is None else then < moment_of(options.as_of))
    lines = dated.with_columns(model=pl.col("line_model"))
    unpriced = pl.col("price_status").is_in(_NOT_ALL).cast(pl.Int64)
    rows = lines.select(
        *(group_column(name, zone).cast(pl.String).alias(name) for name in columns), group_column("day", zone),
        cost=pl.col("total_cost").fill_null(0), unpriced=unpriced.fill_null(0),
    )  # fmt: skip
    groups = rows.group_by("day", *columns).agg(pl.col(*_SUMS).sum())
    parts = [_item(groups, ALL)]
    parts += [_item(groups.filter(pl.col(name).is_not_null()), name, pl.col(name)) for name in DRIVERS]
    for number, budget in enumerate(budgets):
        own = [matches(pl.col(column), glob) for column, glob in budget.group]
        parts.append(_item(groups.filter(reduce(and_, own)) if own else groups, item_of_budget(number)))
    return pl.concat(parts)


def _item(groups: pl.DataFrame, item: str, value: pl.Expr | None = None) -> pl.DataFrame:
    named = (pl.lit(None, pl.String) if value is None else value).alias("value")
    rows = groups.select("day", pl.lit(item).alias("item"), named, *_SUMS)
    return rows.group_by(_KEY).agg(pl.col(*_SUMS).sum()).cast(_TYPES)  # type: ignore[arg-type]


def merge_days(paths: Sequence[str], closed: Collection[date] = (), more: Sequence[pl.DataFrame] = ()) -> pl.DataFrame:
    """Add what sum_days gave of several tables into one; the order of the tables does not matter.

    Args:
        paths: files of such sums.
        closed: days that are left out of the files.
        more: further sums, among them those of these days.

    Returns:
        The same columns, sorted; of each column the MOST_VALUES values that cost most on some day.
    """
    tables = [scan_tables([path]).filter(~pl.col("day").is_in(list(closed))) for path in paths]
    tables += [table.lazy() for table in more]
    if not tables:
        return pl.DataFrame(schema=_TYPES)
    rows = pl.concat(tables)
    merged = [_add(rows.filter(~pl.col("item").is_in(DRIVERS)))]
    sizes = dict(rows.group_by("item").agg(pl.len()).collect().iter_rows())
    for name in DRIVERS:
        parts = [_dearest(part) for part in _shares(rows.filter(pl.col("item") == name), sizes.get(name, 0))]
        merged += [_dearest(pl.concat(parts))] if parts else []
    return pl.concat(merged).sort(_KEY, nulls_last=True)


def _shares(rows: pl.LazyFrame, size: int) -> Iterator[pl.DataFrame]:
    """Yield sums of a column, a share of its values at a time: very many take no more memory than their share."""
    shares = -(-size // _SHARE_ROWS)
    for number in range(shares):
        yield _add(rows.filter(pl.col("value").hash() % shares == number))


def _add(rows: pl.LazyFrame) -> pl.DataFrame:
    return rows.group_by(_KEY).agg(pl.col(*_SUMS).sum()).collect()


def _dearest(rows: pl.DataFrame) -> pl.DataFrame:
    order = rows.group_by("value").agg(pl.col("cost").max()).sort("cost", "value", descending=[True, False])
    return rows.join(order.head(MOST_VALUES).select("value"), on="value", how="semi")
