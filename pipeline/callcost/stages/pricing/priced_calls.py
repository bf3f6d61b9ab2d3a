"""One row per call, from the priced charge lines of each.

Most calls are one line; a call with charges of its own (an advisor, an iteration) has more.
"""

from __future__ import annotations

import polars as pl

from callcost.stages.pricing.cost_parts import PARTS, RESTS
from callcost.stages.tables.facts import UID
from callcost.stages.tables.schemas import Calls, Facts

GATHERED = {**{name: Facts.types[name] for name in UID}, **Calls.types}
COSTS = ("input_cost", "output_cost", "other_cost", "total_cost")
_MONEY = (*COSTS, *PARTS, *RESTS)
_LINE_COUNTS = ("cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_tokens", "total_tokens")


def gather_calls(facts: pl.DataFrame) -> pl.DataFrame:
    """Bring the charge lines of each call together: one row per call, the columns of Calls after UID.

    A call is as priced as its lines are: all unpriced or all free stay so, a mixture is partly priced.
    """
    if facts["lines"].max() == 1:
        return facts.select(GATHERED.keys())
    single = facts.filter(pl.col("lines") == 1).select(GATHERED.keys())
    many = facts.filter(pl.col("lines") > 1)
    if many.is_empty():
        return single
    statuses, reasons = pl.col("price_status"), pl.col("price_reason")
    status = (
        pl.when((statuses == "unpriced").all()).then(pl.lit("unpriced"))
        .when((statuses == "free").all()).then(pl.lit("free"))
        .when(statuses.is_in(["unpriced", "partly_priced"]).any()).then(pl.lit("partly_priced"))
        .otherwise(pl.lit("priced"))
    )  # fmt: skip
    lines = pl.struct(
        pl.col("line_model").alias("model"),
        pl.col("line_prompt_tokens").alias("prompt_tokens"),
        pl.col("line_completion_tokens").alias("completion_tokens"),
        "price_status",
        "total_cost",
        *(pl.col(f"line_{name}").alias(name) for name in _LINE_COUNTS),
        *(name for name in _MONEY if name != "total_cost"),
    )
    gathered = (
        many.sort(*UID, "line")
        .group_by(UID, maintain_order=True)
        .agg(
            *[
                pl.col(name).first()
                for name in Calls.types
                if name not in {"price_status", "price_reason", "iterations", *_MONEY}
            ],
            status.alias("price_status"),
            pl.coalesce(reasons.filter(statuses != "priced").drop_nulls().first(), reasons.drop_nulls().first()),
            lines.alias("iterations"),
            *[sum_stated(name) for name in _MONEY],
        )
    )
    return pl.concat([single, gathered.select(GATHERED.keys()).cast(GATHERED)])  # type: ignore[arg-type]


def sum_stated(name: str) -> pl.Expr:
    """Sum what is stated; null, not 0, where nothing is."""
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
