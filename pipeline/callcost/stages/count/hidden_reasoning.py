"""Reasoning that nobody sees, filled in with what the log's own calls of the same kind state.

A first reduce over the settled calls, before any filter, counts how often calls of a line of models state how many
tokens of reasoning, by API, provider, effort and size of the answer. These histograms add, so that the order of tasks
and their number change nothing. The mean of the narrowest kind with enough calls stands for a call whose reasoning is
hidden: of nine repositories of recorded calls, means were 6 to 37 % below the sum, medians 43 to 74 %, as reasoning is
skewed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from callcost.stages.tables.facts import read_tables
from callcost.tables import FROM_LOG, HIDDEN, SESSION_SUM
from callcost.tokens.frame import ESTIMATED
from callcost.tokens.reasoning import OFF

LEAST_CALLS = 30  # of a kind
# What makes a kind, the narrowest first; the last are the models of a family.
KINDS = (
    ("line", "endpoint", "provider", "effort", "size"), ("line", "endpoint", "provider", "effort"),
    ("line", "endpoint", "effort"), ("line", "endpoint", "asked"), ("family", "endpoint", "asked"),
    ("line", "endpoint"), ("family", "endpoint"),
)  # fmt: skip
_NAMES = ("family", "asked", *KINDS[0])
_SIZE = 2  # sizes of answers are powers of 2**_SIZE
_DATED = r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|\d{3}|latest|preview.*)$"
_FAMILY = r"^(o-series|gpt-\d+|gemini-\d+|[a-z]+)"
_SILENT = ("gemini",)  # APIs that leave out a count of reasoning that is 0
WIDEST = 2.0  # relative error
_PARTS = 20  # of a kind's calls, one is below what the error covers, and one above
_WHOLE, _WORD = pl.Int64(), pl.String()
RATIOS: dict[str, pl.DataType] = {
    "day": pl.Date(), "kind": _WHOLE, "family": _WORD, "line": _WORD, "endpoint": _WORD, "provider": _WORD,
    "effort": _WORD, "asked": pl.Boolean(), "size": _WHOLE, "mean": _WHOLE, "low": _WHOLE, "high": _WHOLE,
}  # fmt: skip
_FOUND = ("mean", "low", "high")
Ratios = tuple[tuple[Any, ...], ...]


def histogram_of(facts: pl.DataFrame) -> pl.DataFrame:
    """Count the calls of each kind that state so many tokens of reasoning: columns of _NAMES, tokens, calls."""
    silent = pl.col("endpoint").is_in(_SILENT).fill_null(value=False)
    stated = pl.coalesce("reasoning_tokens", pl.when(silent).then(0)).cast(pl.Int64)
    plain = ~pl.col("flags").list.contains(SESSION_SUM).fill_null(value=False)
    whole = (pl.col("usage_source") == "reported") & (pl.col("lines") == 1) & (pl.col("status") == "success")
    calls = facts.filter(plain, whole, pl.col("completion_tokens") > 0, stated.is_not_null())
    kind = _kind(pl.col("completion_tokens") - stated)
    return merge_histograms([calls.select(*kind, tokens=stated, calls=pl.lit(1, pl.Int64))])


def _kind(visible: pl.Expr) -> list[pl.Expr]:
    line = pl.col("model").str.to_lowercase().str.extract(r"([^/]*)$").str.replace(_DATED, "")
    size = visible.clip(1).log(2).floor().cast(pl.Int64) // _SIZE
    family = line.str.replace(r"^o\d.*", "o-series").str.extract(_FAMILY)
    asked = ~pl.col("effort").str.to_lowercase().is_in(list(OFF))  # null: the model's own default
    made = {"family": family, "asked": asked, "line": line, "size": size}
    return [pl.col("endpoint", "provider", "effort"), *(column.alias(name) for name, column in made.items())]


def merge_histograms(histograms: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Add histograms up, sorted; there is at least one."""
    return pl.concat(histograms).group_by(*_NAMES, "tokens").agg(pl.col("calls").sum()).sort(*_NAMES, "tokens")


def ratios_of(paths: Sequence[str]) -> Ratios:
    """Return what stands for hidden reasoning, by kind: a row of RATIOS for each that has enough calls.

    Args:
        paths: files of histograms.
    """
    if not paths:
        return ()
    histogram = merge_histograms([read_tables([path]) for path in paths])
    tables = [_means(histogram, number, names) for number, names in enumerate(KINDS)]
    return tuple(pl.concat(tables).rows())


def _means(histogram: pl.DataFrame, number: int, names: Sequence[str]) -> pl.DataFrame:
    kind = histogram.group_by(*names, "tokens").agg(pl.col("calls").sum()).sort(*names, "tokens")
    tokens, calls = pl.col("tokens"), pl.col("calls")
    groups = kind.group_by(names, maintain_order=True).agg(
        mean=((tokens * calls).sum() + calls.sum() // 2) // calls.sum(),
        low=tokens.filter(calls.cum_sum() * _PARTS > calls.sum()).first(),
        high=tokens.filter(calls.cum_sum() * _PARTS >= calls.sum() * (_PARTS - 1)).first(),
        calls=calls.sum(),
    )  # fmt: skip
    wide = [pl.lit(None, kind).alias(name) for name, kind in RATIOS.items() if name not in {"kind", *groups.columns}]
    found = groups.filter(pl.col("calls") >= LEAST_CALLS).with_columns(pl.lit(number, pl.Int64).alias("kind"), *wide)
    return found.select(RATIOS.keys()).cast(RATIOS)  # type: ignore[arg-type]


def reasoning_by_line(ratios: Ratios) -> list[dict[str, Any]]:
    """Return what calls of each line of models and API take: model, endpoint, mean, low, high (of nine in ten)."""
    rows = [dict(zip(RATIOS, ratio, strict=True)) for ratio in ratios]
    found = [row for row in rows if KINDS[row["kind"]] == ("line", "endpoint")]
    return [{"model": row["line"], **{name: row[name] for name in ("endpoint", *_FOUND)}} for row in found]


def fill_reasoning(facts: pl.DataFrame, ratios: Ratios, timezone: str) -> pl.DataFrame:
    """Fill in the reasoning that is hidden in settled facts, where the log tells what it is.

    A call of which it does not is estimated, and its error is the whole: nobody knows how much more is billed.

    Args:
        facts: of settled calls, before they are filtered and priced; those that come priced stay as they are.
        ratios: rows of RATIOS; those with a day are for the calls of that day, which others do not move.
        timezone: IANA name, of the days.
    """
    hidden = pl.col("flags").list.contains(HIDDEN) & pl.col("price_status").is_null()
    places = facts.select(hidden.fill_null(value=False)).to_series().arg_true()
    if places.is_empty():
        return facts
    table = pl.DataFrame(ratios, schema=RATIOS, orient="row")
    day = pl.col("started_at").dt.convert_time_zone(timezone).dt.date()
    fixed = pl.when(day.is_in(table["day"].drop_nulls().unique().to_list())).then(day).alias("day")
    visible = pl.col("completion_tokens")
    calls = facts[places].select(fixed, *_kind(visible), visible.clip(1).alias("visible"), "count_error")
    for number, names in enumerate(KINDS):
        found = [pl.col(name).alias(f"{name}_{number}") for name in _FOUND]
        of_kind = table.filter(pl.col("kind") == number).select("day", *names, *found)
        calls = calls.join(of_kind, on=["day", *names], how="left", nulls_equal=True, maintain_order="left")
    mean, low, high = (pl.coalesce(f"{name}_{number}" for number in range(len(KINDS))) for name in _FOUND)
    spread = [(mean - end).abs() / (pl.col("visible") + end) for end in (low, high)]
    error = pl.max_horizontal("count_error", *spread, pl.when(mean.is_null()).then(1.0)).clip(0, WIDEST)
    return _write(facts, calls.select(pl.lit(places).alias("place"), mean.alias("mean"), error.alias("error")))


def _write(facts: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Write what was found (place, mean, error) into the rows at places."""
    joined = facts.with_row_index("place").join(found, on="place", how="left", maintain_order="left")
    known = pl.col("mean").is_not_null()
    flags = pl.col("flags").list.set_difference([HIDDEN]).list.concat(pl.lit([FROM_LOG])).list.sort()
    names = [prefix + name for prefix in ("", "line_") for name in ("completion_tokens", "total_tokens")]
    return joined.with_columns(
        *(pl.when(known).then(pl.col(name) + pl.col("mean")).otherwise(name).alias(name) for name in names),
        *(pl.coalesce("mean", name).alias(name) for name in ("reasoning_tokens", "line_reasoning_tokens")),
        pl.when(pl.col("error").is_not_null()).then(pl.lit(ESTIMATED)).otherwise("count_method").alias("count_method"),
        pl.coalesce("error", "count_error").alias("count_error"),
        pl.when(known).then(flags).otherwise("flags").alias("flags"),
    ).select(facts.columns)
