"""What each call was charged, class of tokens by class: rows of published calls, taken apart.

The charges of a call add up to its ``total_cost`` exactly, whatever it was priced by; what no class has, such as tools
or a cost that only the log states, is ``other``.
"""

from __future__ import annotations

import polars as pl

from callcost.stages.tables.facts import UID
from callcost.stages.tables.published_calls import priced_lines
from callcost.stages.tables.schemas import Charges

# token class -> (its tokens: whole, parts that are others), (its cost: whole, parts that are others)
_CLASSES = {
    "input": (
        ("line_prompt_tokens", ("line_cache_read_input_tokens", "line_cache_creation_input_tokens")),
        ("input_cost", ("cache_read_cost", "cache_write_cost")),
    ),
    "cache_read": (("line_cache_read_input_tokens", ()), ("cache_read_cost", ())),
    "cache_write": (("line_cache_creation_input_tokens", ()), ("cache_write_cost", ())),
    "output": (("line_completion_tokens", ("line_reasoning_tokens",)), ("output_cost", ("reasoning_cost",))),
    "reasoning": (("line_reasoning_tokens", ()), ("reasoning_cost", ())),
    "other": ((None, ()), ("total_cost", ("input_cost", "output_cost"))),
}


def charges_of(calls: pl.DataFrame) -> pl.DataFrame:
    """Take calls apart into charges.

    Args:
        calls: columns of Calls.

    Returns:
        Columns of Charges: a row per charge line and class that it states or is charged for.
    """
    lines = priced_lines(calls, {}).with_columns(pl.col("line_model").alias("model"))
    return cut_charges(lines).select(Charges.names).cast(Charges.types)  # type: ignore[arg-type]


def cut_charges(lines: pl.DataFrame) -> pl.DataFrame:
    """Take priced lines apart into charges.

    Args:
        lines: columns of Facts, priced.

    Returns:
        Their lineage and columns of Charges: a row per line and class that it states or is charged for.
    """
    carried = [name for name in dict.fromkeys([*UID, "line", *Charges.names]) if name in lines.columns]
    parts = [
        lines.select(
            *carried,
            pl.lit(name).alias("token_class"),
            pl.lit(place, pl.Int64).alias("place"),
            _less(*tokens).alias("tokens"),
            _less(*cost).alias("cost"),
        )
        for place, (name, (tokens, cost)) in enumerate(_CLASSES.items())
    ]
    rows = pl.concat(parts).filter(pl.col("tokens").is_not_null() | (pl.col("cost") != 0))
    return rows.sort(*UID, "line", "place")


def _less(whole: str | None, parts: tuple[str, ...]) -> pl.Expr:
    """Return a figure without those of its parts that are known; tokens that claim more than there is leave none."""
    if whole is None:
        return pl.lit(None, pl.Int64)
    left = pl.col(whole)
    for part in parts:
        left -= pl.col(part).fill_null(0)
    return left.clip(lower_bound=0) if whole.endswith("_tokens") else left
