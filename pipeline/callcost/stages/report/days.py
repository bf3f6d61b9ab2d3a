"""Calls by day: the partitions of a report that remembers, and the facts of a closed day.

A day is a date in the report's time zone; calls without a time are the null day. What each day cost is summed by item:
ALL, one of DRIVERS with its value, or the position of a budget; these sums add, and calls without a time are in none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from functools import reduce
from itertools import pairwise
from operator import and_
from pathlib import Path
from typing import Any

import polars as pl

from callcost.settings import ReportOptions
from callcost.stages.count.hidden_reasoning import Ratios, fill_reasoning
from callcost.stages.dedup.resolve import facts_beside, settle_duplicates
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.spend import CALL_ORDER, charge_by_source, group_column, matches, moment_of
from callcost.stages.tables.facts import number_rows, scan_facts, scan_tables
from callcost.stages.tables.published_calls import copy_key
from callcost.stages.tables.schemas import MONEY

_BATCH_ROWS = 100_000  # of small days that are held together
_PART_ROWS = 25_000  # of the parts that a large day comes in: what sorts and writes them holds several at once
ALL = "all"
DRIVERS = ("model", "user", "team", "project", "api_key")
MOST_VALUES = 100  # of a column, that are looked at: those that cost most on some day
_KEY = ("day", "item", "value")
_SUMS = {"cost": MONEY, "unpriced": pl.Int64()}
_TYPES = {"day": pl.Date(), "item": pl.String(), "value": pl.String(), **_SUMS}
_SHARE_ROWS = 250_000  # merged at a time
_NOT_ALL = ("unpriced", "partly_priced")


def split_days(
    paths: Sequence[str], timezone: str, only: Collection[date | None] | None = None
) -> Iterator[tuple[date | None, Iterable[pl.DataFrame]]]:
    """Yield (day, parts of its calls in their published order), the days in order, the undated ones first.

    Parts are to be read before the next day is asked for; there is at least one, and none is large.

    Args:
        paths: tables of calls, the columns of price_facts.GATHERED.
        timezone: IANA name.
        only: days that are asked for; None: all.
    """
    if not paths:
        return
    day = group_column("day", timezone)
    scans = [scan_tables([path]).with_columns(day) for path in paths]
    sizes = pl.collect_all([scan.group_by("day").agg(pl.len()) for scan in scans])
    held = pl.concat(table.with_columns(file=pl.lit(number)) for number, table in enumerate(sizes))
    held = held if only is None else held.filter(pl.col("day").is_in(list(only), nulls_equal=True))
    days = held.group_by("day").agg(pl.col("len").sum(), pl.col("file")).sort("day", nulls_last=False)
    end = pl.col("len").cum_sum()
    bounds = days.with_columns(first=(end - pl.col("len")) // _BATCH_ROWS, last=end // _BATCH_ROWS)
    for batch in bounds.partition_by("first", "last", maintain_order=True):
        files = batch["file"].explode().unique()
        wanted = pl.col("day").is_in(batch["day"].implode(), nulls_equal=True)
        found = [scans[number].filter(wanted) for number in files]
        if batch.height == 1:
            yield batch["day"][0], (rows.drop("day") for rows in _in_parts(found, batch["len"][0], CALL_ORDER))
        else:
            for part in _in_order(found, ("day", *CALL_ORDER)).partition_by("day", maintain_order=True):
                yield part["day"][0], [part.drop("day")]


def _in_parts(tables: Sequence[pl.LazyFrame], rows: int, order: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield rows in order, a stretch of the first column of the order at a time.

    Where very many rows say the same there, these are parted by the column after it.
    """
    if rows <= 2 * _PART_ROWS or not order:
        yield _in_order(tables, CALL_ORDER)
        return
    column = pl.col(order[0])
    held = [(table, table.select(column).collect().to_series()) for table in tables]
    if nulls := sum(values.null_count() for _, values in held):
        without = [table.filter(column.is_null()) for table, values in held if values.null_count()]
        yield from _in_parts(without, nulls, order[1:])
    known = pl.concat(values for _, values in held).drop_nulls().sort()
    spans = [(table, values.min(), values.max()) for table, values in held if values.null_count() < len(values)]
    del held
    edges = known.gather_every(_PART_ROWS).unique(maintain_order=True).to_list()
    for first, end in pairwise([*edges, None]):
        found = [table for table, least, most in spans if most >= first and (end is None or least < end)]
        same = known.search_sorted(first, "right") - known.search_sorted(first, "left")
        low, high = (pl.lit(edge, known.dtype) for edge in (first, end))
        is_own = column >= low if end is None else column.is_between(low, high, closed="left")
        if same > _PART_ROWS:
            yield from _in_parts([table.filter(column == low) for table in found], same, order[1:])
            is_own &= column != low
        part = _in_order([table.filter(is_own) for table in found], CALL_ORDER)
        if part.height:
            yield part


def _in_order(tables: Sequence[pl.LazyFrame], order: Sequence[str]) -> pl.DataFrame:
    rows = pl.concat(tables).collect()
    places = rows.select(pl.arg_sort_by(*order)).to_series()
    return pl.DataFrame([rows.drop_in_place(name).gather(places) for name in rows.columns])  # never all twice


def facts_of_day(
    paths: Sequence[Path],
    rows_before: tuple[tuple[int, int], ...],
    day: date,
    options: ReportOptions,
    ratios: Ratios = (),
) -> pl.DataFrame:
    """Return the settled and priced facts of one day.

    Args:
        paths: tables of facts.
        rows_before: see tasks.ReduceTask.
        day: date in the report's time zone.
        options: what the report was asked for.
        ratios: what stands for hidden reasoning.
    """
    on_day = group_column("day", options.timezone) == day
    facts, _ = settle_duplicates(number_rows(facts_beside(scan_facts(paths), on_day), rows_before))
    facts = fill_reasoning(facts.filter(on_day).with_columns(copy_key()), ratios, options.timezone)
    return charge_by_source(price_facts(facts, book_of(options.prices)), options.cost_source)


def plain_day(day: Any) -> str:
    """Return a day as partitions spell it; Hive's word for null where it is unknown."""
    return "__HIVE_DEFAULT_PARTITION__" if day is None else str(day)


def day_of(label: str) -> date | None:
    """Return the day that partitions spell so; None where it is unknown."""
    return None if label == plain_day(None) else date.fromisoformat(label)


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
    asked = dict.fromkeys(column for budget in budgets for column, _ in budget.group)
    columns = dict.fromkeys([*DRIVERS, *asked])
    then = pl.col("started_at")
    unpriced = pl.col("price_status").is_in(_NOT_ALL).cast(pl.Int64)
    rows = facts.with_columns(model=pl.col("line_model")).select(
        *(group_column(name, zone).cast(pl.String).alias(name) for name in columns), group_column("day", zone),
        cost=pl.col("total_cost").fill_null(0), unpriced=unpriced.fill_null(0),
        counts=then.is_not_null() if options.as_of is None else then < moment_of(options.as_of),
    ).filter("counts")  # fmt: skip
    parts = [_item(rows, ALL)]
    parts += [_item(rows.filter(pl.col(name).is_not_null()), name, name) for name in DRIVERS]
    groups = rows.group_by("day", *asked).agg(pl.col(*_SUMS).sum()) if budgets else rows
    for number, budget in enumerate(budgets):
        own = [matches(pl.col(column), glob) for column, glob in budget.group]
        parts.append(_item(groups.filter(reduce(and_, own)) if own else groups, item_of_budget(number)))
    return pl.concat(parts)


def _item(rows: pl.DataFrame, item: str, column: str | None = None) -> pl.DataFrame:
    sums = rows.group_by("day", *([] if column is None else [column])).agg(pl.col(*_SUMS).sum())
    value = pl.lit(None, pl.String) if column is None else pl.col(column)
    return sums.select("day", pl.lit(item).alias("item"), value.alias("value"), *map(pl.col, _SUMS))


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
