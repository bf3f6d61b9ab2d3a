"""Reasoning that nobody sees, filled in with what the log's own calls of the same kind state.

A first reduce over the settled calls, before any filter, counts how often calls of a line of models and an effort
state how many tokens of reasoning. These histograms add, so that the order of tasks and their number change nothing. A
kind's mean stands for a call whose reasoning is hidden, as it is the sum that must be right: reasoning is skewed, and
medians leave out more than half of it. The mean of a wider kind weighs as much as LEAST_CALLS calls of the narrower
one, so that a few calls of a model move what stands for it, and do not make it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from callcost.stages.tables.facts import read_tables
from callcost.tables import FROM_LOG, HIDDEN, SESSION_SUM
from callcost.tokens.frame import ESTIMATED
from callcost.tokens.reasoning import may_reason

LEAST_CALLS = 30  # of a family, to tell anything; what a wider kind weighs beside a narrower one
# What makes a kind, the narrowest first; a line is of one family, so each is a part of the next. The provider and the
# size of the answer are not among them: of fifteen repositories, each filled in from the others, they made sums worse
# (-12 % for -8 %; 2026-12-01).
KINDS = (("line", "endpoint", "effort"), ("line", "endpoint"), ("family", "endpoint"), ("family",))
_NAMES = ("family", *KINDS[0])
_DATED = r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|\d{3}|latest|preview.*)$"
_FAMILY = r"^(o-series|gpt-\d+|gemini-\d+|[a-z]+)"
_SILENT = ("gemini",)  # APIs that leave out a count of reasoning that is 0
WIDEST = 2.0  # relative error
_PARTS = 20  # of a kind's calls, one is below what the error covers, and one above
_WHOLE, _WORD = pl.Int64(), pl.String()
RATIOS: dict[str, pl.DataType] = {
    "day": pl.Date(), "kind": _WHOLE, "family": _WORD, "line": _WORD, "endpoint": _WORD, "effort": _WORD,
    "calls": _WHOLE, "mean": _WHOLE, "low": _WHOLE, "high": _WHOLE,
}  # fmt: skip
_FOUND = ("mean", "low", "high")
_LINE = KINDS[1]
Ratios = tuple[tuple[Any, ...], ...]


def histogram_of(facts: pl.DataFrame) -> pl.DataFrame:
    """Count the calls of each kind that state so many tokens of reasoning: columns of _NAMES, tokens, calls.

    Calls that cannot reason tell nothing of those that do.
    """
    silent = pl.col("endpoint").is_in(_SILENT).fill_null(value=False)
    stated = pl.coalesce("reasoning_tokens", pl.when(silent).then(0)).cast(pl.Int64)
    plain = ~pl.col("flags").list.contains(SESSION_SUM).fill_null(value=False)
    whole = (pl.col("usage_source") == "reported") & (pl.col("lines") == 1) & (pl.col("status") == "success")
    calls = facts.filter(plain, whole, pl.col("completion_tokens") > 0, stated.is_not_null())
    asked = calls.select("model", "effort").unique()
    able = [may_reason((model or "").lower(), effort) for model, effort in asked.rows()]
    calls = calls.join(asked.filter(pl.Series(able, dtype=pl.Boolean)), on=asked.columns, how="semi", nulls_equal=True)
    return merge_histograms([calls.select(*_kind(), tokens=stated, calls=pl.lit(1, pl.Int64))])


def _kind() -> list[pl.Expr]:
    line = pl.col("model").str.to_lowercase().str.extract(r"([^/]*)$").str.replace(_DATED, "")
    family = pl.coalesce(line.str.replace(r"^o\d.*", "o-series").str.extract(_FAMILY), line)
    return [family.alias("family"), line.alias("line"), pl.col("endpoint"), pl.col("effort")]


def merge_histograms(histograms: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Add histograms up, sorted; there is at least one."""
    return pl.concat(histograms).group_by(*_NAMES, "tokens").agg(pl.col("calls").sum()).sort(*_NAMES, "tokens")


def ratios_of(paths: Sequence[str]) -> Ratios:
    """Return what stands for hidden reasoning, by kind: a row of RATIOS for each of a family that has enough calls.

    Args:
        paths: files of histograms.
    """
    if not paths:
        return ()
    histogram = merge_histograms([read_tables([path]) for path in paths])
    tables: list[pl.DataFrame] = []
    for number, names in reversed(list(enumerate(KINDS))):
        tables.append(_means(histogram, number, names, tables[-1] if tables else None))
    family = pl.when(pl.col("kind").is_in([n for n, names in enumerate(KINDS) if "family" in names])).then("family")
    return tuple(pl.concat(reversed(tables)).with_columns(family.alias("family")).rows())


def _means(histogram: pl.DataFrame, number: int, names: Sequence[str], wider: pl.DataFrame | None) -> pl.DataFrame:
    """Return the rows of one kind; those of the next wider kind pull its means, and give the range of few calls."""
    names = list(dict.fromkeys(("family", *names)))
    kind = histogram.group_by(*names, "tokens").agg(pl.col("calls").sum()).sort(*names, "tokens")
    tokens, calls = pl.col("tokens"), pl.col("calls")
    groups = kind.group_by(names, maintain_order=True).agg(
        sum=(tokens * calls).sum(),
        low=tokens.filter(calls.cum_sum() * _PARTS > calls.sum()).first(),
        high=tokens.filter(calls.cum_sum() * _PARTS >= calls.sum() * (_PARTS - 1)).first(),
        calls=calls.sum(),
    )  # fmt: skip
    enough = pl.col("calls") >= LEAST_CALLS
    if wider is None:
        groups, weight, pull = groups.filter(enough), pl.col("calls"), pl.lit(0)
    else:
        weight, pull = pl.col("calls") + LEAST_CALLS, pl.col("mean_wider") * LEAST_CALLS
        known = list(dict.fromkeys(("family", *KINDS[number + 1])))
        beside = wider.select(*known, *(pl.col(name).alias(f"{name}_wider") for name in _FOUND))
        groups = groups.join(beside, on=known, nulls_equal=True, maintain_order="left")
        own = [pl.when(enough).then(name).otherwise(f"{name}_wider").alias(name) for name in ("low", "high")]
        groups = groups.with_columns(own)
    found = groups.with_columns(mean=(pl.col("sum") + pull + weight // 2) // weight, kind=pl.lit(number, pl.Int64))
    wide = [pl.lit(None, kind).alias(name) for name, kind in RATIOS.items() if name not in found.columns]
    return found.with_columns(wide).select(RATIOS.keys()).cast(RATIOS)  # type: ignore[arg-type]


def reasoning_by_line(ratios: Ratios) -> list[dict[str, Any]]:
    """Return what calls of each line of models and API take: model, endpoint, mean, low, high (of nine in ten)."""
    rows = [dict(zip(RATIOS, ratio, strict=True)) for ratio in ratios]
    found = [row for row in rows if KINDS[row["kind"]] == _LINE and row["calls"] >= LEAST_CALLS]
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
    visible = pl.col("completion_tokens").clip(1).alias("visible")
    calls = facts[places].select(fixed, *_kind(), visible, "count_error")
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
