"""`callcost prices pull --logs LOGS` and `verify --logs LOGS`: what suspicious prices mean in money for these calls.

The logs are read and counted once; what they hold is priced by the new map's entries as they are, and then once per
field with what its suspicious prices should probably be.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal

import polars as pl

from callcost.jobs.engine.map_reduce import Progress, Settled, map_logs, reduce_facts, working_folder
from callcost.jobs.report import settle_options
from callcost.prices.book.book import Book
from callcost.prices.book.cost_map import Entry
from callcost.prices.book.registered import options_with
from callcost.prices.upstream.gate import Suspicion
from callcost.runners.protocol import ignore_progress
from callcost.settings import PriceOptions, ReportOptions
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.pricing.rate_cards import book_of, find_cards
from callcost.stages.report.spend import filter_calls
from callcost.stages.tables.schemas import MONEY

Cell = tuple[str, str]  # model, field


def price_suspicions(
    options: ReportOptions,
    found: Collection[Suspicion],
    entries: Mapping[str, Entry],
    *,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> dict[Cell, Decimal]:
    """Return by (model, field) what a suspicious price moves for these calls, in US dollars.

    That is what all calls of its model cost, whenever they were made, at the new map's rates, less what they would cost
    at the price that was expected; where nobody says which, at the last map's; where there was none, at 0.

    Args:
        options: which calls, and how they are read; its prices and groups are not looked at.
        found: the suspicious prices.
        entries: the new map's, by model.
        progress: called with (bytes, calls) read since the last call.
        planned: called once with the bytes to read.

    Raises:
        ConfigError: an option makes no sense.
        LogError: an argument matches no file.
    """
    options = settle_options(dataclasses.replace(options, out=None, by=("model",), calls=False))
    listed = {each.model: entries[each.model] for each in found}
    fields = sorted({each.field for each in found})
    sums: dict[Cell, Decimal] = defaultdict(Decimal)
    with working_folder(None) as folder:
        settled = reduce_facts(options, map_logs(options, folder, progress=progress, planned=planned), listed=False)
        for facts in _facts(settled, options):
            now, keys = _costs(facts, book := _book_of(listed)), find_cards(facts, None, book).words("key")
            for field in fields:
                of_field = [each for each in found if each.field == field]
                expected = {each.model: each.expected or each.old or Decimal(0) for each in of_field}
                mended = {name: {**listed[name], field: expected[name]} for name in expected}
                then = _costs(facts, _book_of(listed | mended))
                moved = pl.DataFrame({"key": keys, "moved": now - then})
                by_key = moved.filter(pl.col("key").is_in(list(expected))).group_by("key").agg(pl.col("moved").sum())
                for model, amount in by_key.iter_rows():
                    sums[model, field] += amount
    return {(each.model, each.field): sums[each.model, each.field] for each in found}


def _facts(settled: Settled, options: ReportOptions) -> Iterator[pl.DataFrame]:
    for path in settled.tables("facts"):
        yield filter_calls(settled.facts(path, options.timezone), options)


def _book_of(entries: Mapping[str, Entry]) -> Book:
    return book_of(options_with(PriceOptions(), entries))


def _costs(facts: pl.DataFrame, book: Book) -> pl.Series:
    """Return what each row costs; no price: 0."""
    return price_facts(facts, book)["total_cost"].cast(MONEY).fill_null(Decimal(0))
