"""Calls by day: the partitions of a report that remembers, and the facts of a closed day.

A day is a date in the report's time zone; calls without a time are the null day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from callcost.settings import ReportOptions
from callcost.stages.dedup.rules import facts_beside, settle_duplicates
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.spend import CALL_ORDER, charge_by_source, group_column
from callcost.stages.tables.facts import number_rows, scan_facts, scan_tables

_BATCH_ROWS = 100_000  # a day that has more is held by itself


def split_days(paths: Sequence[str], timezone: str) -> Iterator[tuple[date | None, pl.DataFrame]]:
    """Yield (day, its calls in their published order), the days in order, the undated ones first.

    Args:
        paths: tables of calls, the columns of priced_calls.GATHERED.
        timezone: IANA name.
    """
    if not paths:
        return
    day = group_column("day", timezone)
    scans = [scan_tables([path]).with_columns(day) for path in paths]
    sizes = pl.collect_all([scan.group_by("day").agg(pl.len()) for scan in scans])
    held = pl.concat(table.with_columns(file=pl.lit(number)) for number, table in enumerate(sizes))
    days = held.group_by("day").agg(pl.col("len").sum(), pl.col("file")).sort("day", nulls_last=False)
    for batch in days.with_columns(batch=pl.col("len").cum_sum() // _BATCH_ROWS).partition_by("batch"):
        files = batch["file"].explode().unique()
        wanted = pl.col("day").is_in(batch["day"].implode(), nulls_equal=True)
        rows = pl.concat([scans[number].filter(wanted) for number in files]).collect()
        rows = rows.sort("day", *CALL_ORDER)
        for part in rows.partition_by("day", maintain_order=True) if batch.height > 1 else [rows]:
            yield part["day"][0], part.drop("day")


def facts_of_day(
    paths: Sequence[Path], rows_before: tuple[tuple[int, int], ...], day: date, options: ReportOptions
) -> pl.DataFrame:
    """Return the settled and priced facts of one day.

    Args:
        paths: tables of facts.
        rows_before: see tasks.ReduceTask.
        day: date in the report's time zone.
        options: what the report was asked for.
    """
    on_day = group_column("day", options.timezone) == day
    facts, _ = settle_duplicates(number_rows(facts_beside(scan_facts(paths), on_day), rows_before))
    return charge_by_source(price_facts(facts.filter(on_day), book_of(options.prices)), options.cost_source)


def plain_day(day: Any) -> str:
    """Return a day as partitions spell it; Hive's word for null where it is unknown."""
    return "__HIVE_DEFAULT_PARTITION__" if day is None else str(day)
