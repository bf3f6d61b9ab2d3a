"""`callcost prices diff A B --logs LOGS`: what the change between two versions means in money for these calls.

The logs are read and counted once; what they hold is priced twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import polars as pl

from callcost.jobs.engine.map_reduce import Progress, Settled, map_logs, merged_spend, reduce_facts, working_folder
from callcost.jobs.report import settle_options
from callcost.runners.protocol import ignore_progress
from callcost.settings import PriceOptions, ReportOptions
from callcost.stages.pricing.price_facts import price_facts, sum_stated
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.spend import filter_calls
from callcost.stages.tables.schemas import MONEY


def revalue_calls(
    options: ReportOptions,
    old: str,
    new: str,
    *,
    progress: Progress = ignore_progress,
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
        leaves unpriced or partly priced; difference of what both price (null: nothing), the largest first, and what
        the new version prices and the old one does not (newly_priced), and the other way round (no_longer_priced). The
        old cost, the difference and what is newly priced, less what no longer is, are the new cost.

    Raises:
        ConfigError: an option makes no sense, or there is no such version.
        LogError: an argument matches no file.
    """
    options = settle_options(dataclasses.replace(options, out=None, by=("model",), calls=False))
    with working_folder(None) as folder:
        found = map_logs(options, folder, progress=progress, planned=planned)
        both = [dataclasses.replace(options, prices=PriceOptions(prices=version)) for version in (old, new)]
        before, settled = _spend_of(both[0], found)
        changes = _changes_of(settled, *both)
        after, _ = _spend_of(both[1], found)
    table = _side(before, "old")
    for side in (_side(after, "new").drop("calls"), changes):
        table = table.join(side, on="model", how="left", nulls_equal=True, maintain_order="left")
    return table.sort(pl.col("difference").abs(), "model", descending=[True, False], nulls_last=True)


def _spend_of(options: ReportOptions, found: Settled) -> tuple[pl.DataFrame, Settled]:
    settled = reduce_facts(options, found, listed=False)
    return merged_spend(settled, options), settled


def _changes_of(settled: Settled, old: ReportOptions, new: ReportOptions) -> pl.DataFrame:
    """Sum by model what each charge line costs by the one version and by the other, a file of facts at a time."""
    parts = [pl.DataFrame(schema=_CHANGES)]
    for path in settled.tables("facts"):
        facts = filter_calls(settled.facts(path, old.timezone), old)
        before, after = (price_facts(facts, book_of(each.prices))["total_cost"].cast(MONEY) for each in (old, new))
        lines = facts.select(model=pl.col("line_model"), old=pl.lit(before), new=pl.lit(after))
        changes = lines.select(
            "model",
            difference=pl.col("new") - pl.col("old"),
            newly_priced=pl.when(pl.col("old").is_null()).then("new"),
            no_longer_priced=pl.when(pl.col("new").is_null()).then("old"),
        )
        parts = [_sum_by_model(pl.concat([*parts, changes]))]
    nothing = pl.lit(0).cast(MONEY)
    return _sum_by_model(pl.concat(parts)).with_columns(pl.col("newly_priced", "no_longer_priced").fill_null(nothing))


_CHANGES = {"model": pl.String(), "difference": MONEY, "newly_priced": MONEY, "no_longer_priced": MONEY}


def _sum_by_model(rows: pl.DataFrame) -> pl.DataFrame:
    """Add rows up by model; a sum over nothing stated stays null."""
    return rows.group_by("model").agg(sum_stated(name) for name in list(_CHANGES)[1:])


def _side(spend: pl.DataFrame, side: str) -> pl.DataFrame:
    unpriced = pl.col("unpriced_calls") + pl.col("partly_priced_calls")
    return spend.select(
        "model", "calls", pl.col("total_cost").alias(f"{side}_cost"), unpriced.alias(f"{side}_unpriced")
    )
