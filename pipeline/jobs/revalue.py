"""`callcost prices diff A B --logs LOGS`: what the change between two versions means in money for these calls.

The logs are read and counted once; what they hold is priced twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import polars as pl

from pipeline.jobs.report import settle_options
from pipeline.jobs.run import Mapped, Progress, map_logs, merged_spend, reduce_facts, working_folder
from pipeline.settings import PriceOptions, ReportOptions


def revalue_calls(
    options: ReportOptions,
    old: str,
    new: str,
    *,
    progress: Progress = lambda _bytes, _calls: None,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> pl.DataFrame:
    """Price the same calls with two versions of the map, each exactly as that version says.

    Args:
        options: which calls, and how they are read; its prices and groups are not looked at.
        old: name of a version.
        new: name of the other one.
        progress: called with (bytes, calls) read since the last call.
        planned: called once with the bytes to read.

    Returns:
        model, calls, then per version ``old_`` and ``new_`` cost (US dollars; null: nothing priced) and calls that it
        leaves unpriced or partly priced, and difference (null where a version prices nothing), the largest first.

    Raises:
        ConfigError: an option makes no sense, or there is no such version.
        LogError: an argument matches no file.
    """
    options = settle_options(dataclasses.replace(options, out=None, by=("model",), calls=False))
    with working_folder(None) as folder:
        found = map_logs(options, folder, lanes=True, progress=progress, planned=planned)
        before, after = (_spend_of(options, found, version) for version in (old, new))
    sides = [_side(before, "old"), _side(after, "new").drop("calls")]
    difference = pl.col("new_cost") - pl.col("old_cost")
    table = sides[0].join(sides[1], on="model", how="left", nulls_equal=True, maintain_order="left")
    table = table.with_columns(difference.alias("difference"))
    return table.sort(pl.col("difference").abs(), "model", descending=[True, False], nulls_last=True)


def _spend_of(options: ReportOptions, found: Mapped, version: str) -> pl.DataFrame:
    options = dataclasses.replace(options, prices=PriceOptions(prices=version))
    return merged_spend(reduce_facts(options, found, listed=False), options)


def _side(spend: pl.DataFrame, side: str) -> pl.DataFrame:
    unpriced = pl.col("unpriced_calls") + pl.col("partly_priced_calls")
    return spend.select(
        "model", "calls", pl.col("total_cost").alias(f"{side}_cost"), unpriced.alias(f"{side}_unpriced")
    )
