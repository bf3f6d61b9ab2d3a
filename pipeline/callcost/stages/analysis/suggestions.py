"""What could be saved on calls as they were made: batches, caches, repeated calls, thresholds, long-lived writes.

Each suggestion prices the same calls again with one thing changed, by the readers of every report, and says what that
saves; suggestions overlap. Only calls with a full price that these rates give again are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import polars as pl

from callcost.prices.book.book import Book
from callcost.prices.rates import BATCH_FORMATS
from callcost.stages.analysis.alternative_calls import BATCHES, LEAST_CACHED, PRICED, price_again
from callcost.stages.analysis.target_models import has_rate
from callcost.stages.dedup.rules import REPEATED
from callcost.stages.tables.published_calls import priced_lines
from callcost.stages.tables.schemas import FINGERPRINTS, MONEY
from callcost.tables import EXACT, LAST_PLACE

# kind -> what to do, and what that rests on
SUGGESTIONS = {
    "batch": "send by batch: these calls are of no session, and may wait for up to a day",
    "cache": "cache what these prompts begin with: the same system prompt and tools again, and nothing is read from a "
    "cache; at most, as the shortest prompt is taken for what they begin with",
    "repeated_call": "keep the answer: the same call was made again",
    "threshold": "shorten the prompt: it is at most a tenth over the size from which every token costs more",
    "hour_writes": "do not cache for an hour what is read once or never",
}
SAVINGS = {
    "kind": pl.String(), "model": pl.String(), "calls": pl.Int64(), "cost": MONEY, "saved_cost": MONEY,
    "month_cost": MONEY,
}  # fmt: skip
MONTH = 30  # days
_NEAR = 10  # a prompt is near an edge that it is over by no more than this part of it
# Microseconds that a cache stays: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
_WARM = 5 * 60_000_000
_CACHES = ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")


def suggest(calls: pl.DataFrame, book: Book, days: int) -> pl.DataFrame:
    """List what could be saved.

    Args:
        calls: columns of Calls.
        book: whose rates gave their costs.
        days: that they were made in.

    Returns:
        Columns of SAVINGS, a row per kind and model that would save anything; most a month first. ``cost`` is what the
        calls cost, ``saved_cost`` of that, ``month_cost`` the same in 30 days.
    """
    lines = priced_lines(calls, {}).filter(pl.col("lines") == 1, pl.col("price_status") == "priced")
    if lines.height:
        lines = lines.filter(price_again(lines, book)["total_cost"].eq_missing(lines["total_cost"]))
    rows = []
    for kind, before, after in _alternatives(lines, book) if lines.height else ():
        fresh = price_again(after, book).select(pl.when(PRICED).then("total_cost").alias("new"))
        saved = pl.col("total_cost") - pl.col("new")
        moved = before.hstack(fresh).filter(pl.col("new").is_not_null())
        if kind == "threshold":  # more than the tokens that go cost
            moved = moved.filter(saved * _NEAR > pl.col("total_cost"))
        sums = moved.group_by("line_model").agg(pl.len(), pl.col("total_cost").sum(), saved.sum().alias("saved"))
        rows += [(kind, *row, _a_month(row[-1], days)) for row in sums.iter_rows() if row[-1] > 0]
    rows += [("repeated_call", *row, row[-1], _a_month(row[-1], days)) for row in _repeated(lines) if row[-1] > 0]
    table = pl.DataFrame(rows, schema=SAVINGS, orient="row")
    return table.sort("month_cost", "kind", "model", descending=[True, False, False])


def _a_month(amount: Decimal, days: int) -> Decimal:
    return EXACT.quantize(EXACT.divide(EXACT.multiply(amount, MONTH), Decimal(days)), LAST_PLACE)


def _alternatives(lines: pl.DataFrame, book: Book) -> Iterator[tuple[str, pl.DataFrame, pl.DataFrame]]:
    """Yield what is suggested, lines that it is suggested for, and the same lines otherwise."""
    by_batch = [pl.col("source_format").str.ends_with(end) for end in BATCH_FORMATS]
    by_batch.append(pl.col("service_tier").str.to_lowercase().is_in(BATCHES))
    alone = pl.col("session").is_null() & (pl.col("status") == "success")
    waits = lines.filter(alone, ~pl.any_horizontal(by_batch).fill_null(value=False))
    yield "batch", waits, waits.with_columns(pl.lit(BATCHES[0]).alias("service_tier"))
    yield "threshold", *_near_edges(lines, book)
    long = _read_once(lines)
    yield "hour_writes", long, long.with_columns(pl.lit(0, pl.Int64).alias(f"line_{name}") for name in _CACHES)
    if FINGERPRINTS[0] in lines.columns:
        yield "cache", *_uncached(lines, book)


def _near_edges(lines: pl.DataFrame, book: Book) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return lines whose prompt is just over the size from which it costs more, and the same with one below it."""
    day = pl.col("started_at").dt.truncate("1d").to_physical().alias("day")
    lines = lines.with_columns(day)
    pairs = lines.select("line_model", "provider", "day").unique(maintain_order=True)
    found = [book.resolve(*pair).tariff for pair in pairs.iter_rows()]
    edges = pl.Series("edge", [list(tariff.edges) if tariff else [] for tariff in found], pl.List(pl.Int64))
    table = pairs.hstack([edges]).explode("edge").filter(pl.col("edge") > 1)
    near = lines.with_row_index("place").join(table, on=pairs.columns, nulls_equal=True)
    prompt = pl.col("line_prompt_tokens")
    near = near.filter(prompt >= pl.col("edge"), prompt - pl.col("edge") <= pl.col("edge") // _NEAR)
    near = near.sort("place", "edge").unique("place", keep="last", maintain_order=True)
    return near, near.with_columns(pl.col("edge").alias("line_prompt_tokens") - 1)


def _read_once(lines: pl.DataFrame) -> pl.DataFrame:
    """Return lines that write to a cache of an hour, or read from it, where what was written is read once at most."""
    whose = pl.coalesce("session", "user", "api_key").fill_null("")
    written, read = (pl.col(f"line_{name}").fill_null(0) for name in (_CACHES[3], _CACHES[0]))
    other = pl.col(f"line_{_CACHES[2]}").fill_null(0)
    key = [whose, "line_model", "provider"]
    owner = [written.sum().over(key), read.sum().over(key), other.sum().over(key)]
    wasted = (owner[0] > 0) & (owner[1] <= owner[0]) & (owner[2] == 0)
    return lines.filter(wasted & ((written > 0) | (read > 0)))


def _uncached(lines: pl.DataFrame, book: Book) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return lines whose system prompt repeats and is never read from a cache, and the same with one."""
    key = ["line_model", "provider", FINGERPRINTS[0]]
    prompt = pl.col("line_prompt_tokens").fill_null(0)
    cached = pl.sum_horizontal(pl.col(f"line_{name}").fill_null(0) for name in _CACHES)
    some = lines.filter(pl.col(FINGERPRINTS[0]).is_not_null(), pl.col("started_at").is_not_null())
    some = some.sort("started_at", maintain_order=True).with_columns(
        head=prompt.min().over(key), seen=pl.col("started_at").diff().over(key)
    )
    some = some.filter(
        (pl.len().over(key) > 1) & (cached.sum().over(key) == 0) & (pl.col("head") >= LEAST_CACHED)
    )
    pairs = some.select("line_model", "provider").unique(maintain_order=True)
    writes = [has_rate(book.resolve(model, provider), "cache_write_5m") for model, provider in pairs.iter_rows()]
    some = some.join(
        pairs.with_columns(pl.Series("writes", writes, pl.Boolean)), on=pairs.columns, nulls_equal=True,
        maintain_order="left",
    )  # fmt: skip
    warm = (pl.col("seen").dt.total_microseconds() <= _WARM).fill_null(value=False)
    read, written = pl.when(warm).then("head").otherwise(0), pl.when(~warm & pl.col("writes")).then("head").otherwise(0)
    own = {_CACHES[0]: read, _CACHES[1]: written, _CACHES[2]: written}
    return some, some.with_columns(value.alias(f"line_{name}") for name, value in own.items())


def _repeated(lines: pl.DataFrame) -> Iterator[tuple[str, int, Decimal]]:
    """Yield (model, calls, cost) of calls that were made before: equal rows, and by fingerprints equal first turns."""
    again = pl.col("flags").list.contains(REPEATED) & ~pl.col("call_id").str.ends_with("-1")
    if FINGERPRINTS[1] in lines.columns:
        key = ["line_model", "provider", *FINGERPRINTS, "line_prompt_tokens"]
        known = pl.col(FINGERPRINTS[1]).is_not_null() & pl.col("session").is_null()
        again |= known & (pl.int_range(pl.len()).over(key) > 0)
    sums = lines.filter(again.fill_null(value=False)).group_by("line_model").agg(pl.len(), pl.col("total_cost").sum())
    yield from sums.iter_rows()
