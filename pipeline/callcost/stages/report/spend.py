"""Filter and sum: from settled facts to one row per call, and a partial spend.

Partial spends add: merging is associative and commutative, so neither the cut into files nor their order shows in a
result.
Null means that nobody stated the figure; a sum over nothing stated stays null.
"""

from __future__ import annotations

import re
from datetime import datetime

import polars as pl

from callcost.arguments import unknown
from callcost.logs.coding_agents import AGENT_DIALECTS
from callcost.settings import ReportOptions
from callcost.stages.dedup.rules import REPEATED
from callcost.stages.pricing.cost_parts import PARTS, RESTS
from callcost.stages.pricing.price_facts import COSTS, sum_stated
from callcost.stages.tables.facts import UID
from callcost.stages.tables.schemas import MONEY, SpendMeasures
from callcost.tables import MONEY_SCALE, USAGE_COUNTS

CALL_ORDER = ("started_at", "call_id", "source_file", "source_row", "record")  # of calls as they are published
_LINE_COUNTS = [name for name in USAGE_COUNTS if name in SpendMeasures.names]
UNPRICED = ("model", "price_status", "price_reason")  # what tells calls without a full price apart
_CALL_MEASURES = [column.name for column in SpendMeasures.columns if column.name.endswith("calls")]
RATES = {"cache_hit_rate": ("cache_read_input_tokens", "prompt_tokens")}  # shares of sums, made of them last
ADDED = tuple(name for name in SpendMeasures.names if name not in RATES)
_PLACE = "place in the table"
_SUMMED = [name for name in ADDED if name not in _CALL_MEASURES]
_PARTS = ("reasoning_cost", "cache_savings_cost")


def filter_calls(facts: pl.DataFrame, options: ReportOptions) -> pl.DataFrame:
    """Keep the calls inside the asked interval and filters; an undated call is outside every interval."""
    keep = [passes for _, passes in _filters_of(options)]
    return facts.filter(keep) if keep else facts


def tally_filtered(facts: pl.DataFrame, options: ReportOptions) -> dict[str, int]:
    """Count the calls that filter_calls leaves out, each by the first filter that does.

    Args:
        facts: before they are filtered; of the lines of a call the first one counts.
        options: what the run was asked for.

    Returns:
        "undated" (with an interval), "since", "until" or "where COLUMN=GLOB" -> calls.
    """
    left = facts.filter(pl.col("line") == 0) if options.since or options.until or options.where else facts.clear()
    tally = {}
    for name, passes in _filters_of(options):
        kept = left.filter(passes)
        tally[name] = left.height - kept.height
        left = kept
    return {name: count for name, count in tally.items() if count}


def span_of(facts: pl.DataFrame) -> list[tuple[int, int]]:
    """Return the times of the first and the last call, in microseconds since 1970 UTC; nothing where none has one."""
    times = facts["started_at"].to_physical()
    first, last = times.min(), times.max()
    return [(first, last)] if isinstance(first, int) and isinstance(last, int) else []


def _filters_of(options: ReportOptions) -> list[tuple[str, pl.Expr]]:
    """Return what each filter of a run is called, and the calls that pass it."""
    started = pl.col("started_at")
    filters = [("undated", started.is_not_null())] if options.since or options.until else []
    if options.since is not None:
        filters.append(("since", started.ge(moment_of(options.since))))
    if options.until is not None:
        filters.append(("until", started.lt(moment_of(options.until))))
    filters += [
        (f"where {column}={glob}", matches(group_column(column, options.timezone), glob))
        for column, glob in options.where
    ]
    return filters


def moment_of(moment: datetime) -> pl.Expr:
    """Return a moment as columns of times have them."""
    return pl.lit(moment).dt.cast_time_unit("us")


def matches(column: pl.Expr, glob: str) -> pl.Expr:
    """Say whether a column matches a glob; what is not known is as an empty text."""
    parts = (".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in glob)
    return column.cast(pl.String).fill_null("").str.contains(f"(?s)^{''.join(parts)}$")


def group_column(name: str, timezone: str) -> pl.Expr:
    """Return the expression of a column of ``--by`` over facts, named as in the report."""
    local = pl.col("started_at").dt.convert_time_zone(timezone)
    made = {
        "hour": local.dt.strftime("%Y-%m-%dT%H:00%:z"),
        "day": local.dt.date(),
        "week": local.dt.date().dt.truncate("1w"),
        "month": local.dt.strftime("%Y-%m"),
        "agent": pl.when(pl.col("source_format").is_in(sorted(AGENT_DIALECTS))).then("source_format"),
    }
    if name in made:
        return made[name].alias(name)
    if name.startswith("tag:"):
        wanted = pl.element().struct.field("key") == name.removeprefix("tag:")
        return pl.col("tags").list.filter(wanted).list.first().struct.field("value").alias(name)
    return pl.col(name).alias(name)


def charge_by_source(facts: pl.DataFrame, cost_source: str) -> pl.DataFrame:
    """Put the logged cost in the place of the computed one where the user asked for it.

    Args:
        facts: priced facts.
        cost_source: "computed", "logged" or "auto" (logged where there is one).

    Returns:
        Facts whose costs and price_status follow the source; a logged cost is one sum, so its parts are null.
    """
    if cost_source == "computed":
        return facts
    logged = pl.col("logged_cost").is_not_null() | pl.lit(cost_source == "logged")
    amount = pl.when(pl.col("line") == 0).then("logged_cost")
    status = pl.when(pl.col("logged_cost").is_null()).then(pl.lit("unpriced")).otherwise(pl.lit("priced"))
    reason = pl.when(pl.col("logged_cost").is_null()).then(pl.lit("no_logged_cost"))
    parts = [pl.when(~logged).then(name).alias(name) for name in (*COSTS[:-1], *PARTS, *RESTS)]
    return facts.with_columns(
        *parts,
        pl.when(logged).then(amount).otherwise("total_cost").alias("total_cost"),
        pl.when(logged).then(status).otherwise("price_status").alias("price_status"),
        pl.when(logged).then(reason).otherwise("price_reason").alias("price_reason"),
    )


def sum_spend(facts: pl.DataFrame, calls: pl.DataFrame, options: ReportOptions) -> pl.DataFrame:
    """Sum priced facts per group of ``options.by``: a partial spend.

    Money and tokens go to the model of their charge line, the call itself is counted under its main model.
    """
    by = [group_column(name, options.timezone) for name in options.by]
    several = facts["line"].max() not in (0, None)
    heads = facts.filter(pl.col("line") == 0) if several else facts
    if several:  # what a call of several lines is, only all of them together say
        heads = heads.drop("price_status").join(calls.select(*UID, "price_status"), on=UID)
    status = pl.col("price_status")
    flags = {
        "calls": pl.lit(value=True),
        "failed_calls": pl.col("status") == "failure",
        "counted_calls": pl.col("usage_source").is_in(["counted", "partial", "timed_out"]),
        "unpriced_calls": status == "unpriced",
        "partly_priced_calls": status == "partly_priced",
        "free_calls": status == "free",
        "logged_calls": pl.col("logged_cost").is_not_null(),
    }
    counted = [flag.fill_null(value=False).cast(pl.UInt32).alias(name) for name, flag in flags.items()]
    per_call = [*counted, pl.col("logged_cost")]
    per_line = [
        *[pl.col(f"line_{name}").alias(name) for name in _LINE_COUNTS], *map(pl.col, (*COSTS, *_PARTS)),
        pl.when(_is_repetition()).then("total_cost").otherwise(pl.col("total_cost") * 0).alias("duplicate_cost"),
    ]  # fmt: skip
    calls_summed = [*[pl.col(name).sum().cast(pl.Int64) for name in flags], sum_stated("logged_cost")]
    lines_summed = [sum_stated(name) for name in (*_LINE_COUNTS, *COSTS, *_PARTS, "duplicate_cost")]
    if heads["model"].eq_missing(facts["line_model"]).all() if not several else False:
        partials = [heads.select(*by, *per_call, *per_line).group_by(options.by).agg(*calls_summed, *lines_summed)]
    else:
        lines = facts.with_columns(pl.col("line_model").alias("model"))
        partials = [
            heads.select(*by, *per_call).group_by(options.by).agg(calls_summed),
            lines.select(*by, *per_line).group_by(options.by).agg(lines_summed),
        ]
    return merge_spend(partials, options.by)


def merge_spend(partials: list[pl.DataFrame], by: tuple[str, ...]) -> pl.DataFrame:
    """Add partial spends into one; the order of the partials does not matter."""
    rows = pl.concat(partials, how="diagonal_relaxed")
    sums = [*[pl.col(name).sum() for name in _CALL_MEASURES], *[sum_stated(name) for name in _SUMMED]]
    return (
        (rows.group_by(by).agg(sums) if by else rows.select(sums))
        .with_columns(share_of(part, whole).alias(name) for name, (part, whole) in RATES.items())
        .select(*by, *SpendMeasures.names)
    )


def share_of(part: str, whole: str) -> pl.Expr:
    """Return what share of a column another is, to 18 digits, half up; null where one is, or there is nothing."""
    one, all_of_it = (pl.col(name).to_physical().cast(pl.Int128) for name in (part, whole))
    twice = (one * 2 * 10**MONEY_SCALE + all_of_it) // (all_of_it * 2)
    return pl.when(all_of_it > 0).then(twice).reinterpret(dtype=MONEY)


def _is_repetition() -> pl.Expr:
    """Tell of rows that equal another, and have nothing that tells a copy from a call, whether one went before."""
    return pl.col("flags").list.contains(REPEATED) & ~pl.col("call_id").str.ends_with("-1")


def sort_spend(spend: pl.DataFrame, by: tuple[str, ...], first: str | None = None) -> pl.DataFrame:
    """Order a report: dearest first, what has no price last, then by group.

    Args:
        spend: columns of ``by`` and SpendMeasures.
        by: columns of the groups.
        first: column that goes before: a measure, largest first, or one of ``by``; None: there is none.
    """
    return spend[order_of_spend(spend, by, first)]


def order_of_spend(spend: pl.DataFrame, by: tuple[str, ...], first: str | None = None) -> pl.Series:
    """Return the positions of a report's rows in their order; the arguments are those of sort_spend."""
    columns = list(dict.fromkeys([*([first] if first else []), "total_cost", *by]))
    keys = spend.select(*columns, pl.int_range(pl.len(), dtype=pl.UInt32).alias(_PLACE))
    return keys.sort(columns, descending=[name not in by for name in columns], nulls_last=True)[_PLACE]


def check_sort(options: ReportOptions) -> None:
    """Refuse an order by what is no column of the report.

    Raises:
        ConfigError: there is no such column.
    """
    columns = (*options.by, *SpendMeasures.names)
    if options.sort is not None and options.sort not in columns:
        raise unknown("sort: no column", options.sort, columns)


def unpriced_groups(calls: pl.DataFrame) -> pl.DataFrame:
    """Count the calls without a full price per model, status and reason; ``first`` is the place of one of them."""
    unpriced = calls.filter(pl.col("price_status").is_in(["unpriced", "partly_priced"]))
    place = pl.concat_str("source_file", pl.lit(":"), "source_row")
    return unpriced.group_by(UNPRICED).agg(calls=pl.len().cast(pl.Int64), first=place.min())


def merge_unpriced(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Add what unpriced_groups gave of several tables into one."""
    return pl.concat(parts).group_by(UNPRICED).agg(pl.col("calls").sum(), pl.col("first").min())
