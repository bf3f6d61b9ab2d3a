"""What rows state beside tokens, charged: seconds, images, searches.

Few rows have any, of few kinds, so that each distinct (card, unit, quantity) is charged once by the scalar reader's own
function and dealt to the rows.
"""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from pipeline.prices.charges import SIDES, charge_for, side_of
from pipeline.prices.rates import Line
from pipeline.stages.cards import Deal

_ROW, _UNIT, _QUANTITY = "row", "unit", "quantity"
_KEY = ["card", _UNIT, _QUANTITY]


def extras_of(facts: pl.DataFrame) -> pl.DataFrame:
    """Return (row, unit, quantity) of everything that rows state beside tokens."""
    some = facts.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias(_ROW), "line_units").drop_nulls()
    return some.explode("line_units").unnest("line_units").filter(pl.col(_QUANTITY) > 0)


def names_per_row(extras: pl.DataFrame, height: int) -> pl.Series:
    """Return per row the names of its units, sorted, one a line; null: it has none."""
    names = extras.group_by(_ROW).agg(pl.col(_UNIT).sort().str.join("\n").alias("names"))
    return _every_row(names, height)["names"]


def add_extras(rows: pl.DataFrame, extras: pl.DataFrame, deal: Deal) -> pl.DataFrame:
    """Add what rows state beside tokens to what their tokens cost.

    Args:
        rows: per side the columns "cost", "held", "missing" and "priced", and "weak".
        extras: as ``extras_of`` gives them.
        deal: the rows' cards.

    Returns:
        The rows, and the column "extras": whether a row states any.
    """
    if extras.is_empty():
        return rows.with_columns(extras=pl.lit(value=False))
    charged = _charged(extras, deal)
    rows = rows.with_row_index(_ROW)
    for side in SIDES:
        rows = rows.join(
            charged.filter(pl.col("side") == side).drop("side"), on=_ROW, how="left", maintain_order="left"
        )
        rows = rows.with_columns(
            (pl.col(f"{side} cost") + pl.col("cost").fill_null(0)).alias(f"{side} cost"),
            (pl.col(f"{side} held") | pl.col("cost").is_not_null()).alias(f"{side} held"),
            *(
                (pl.col(f"{side} {flag}") | pl.col(flag).fill_null(value=False)).alias(f"{side} {flag}")
                for flag in ("missing", "priced")
            ),
            weak=pl.col("weak") | pl.col("uncertain").fill_null(value=False),
        ).drop("cost", "missing", "priced", "uncertain")
    return rows.with_columns(extras=pl.col(_ROW).is_in(extras[_ROW].implode())).drop(_ROW)


def _charged(extras: pl.DataFrame, deal: Deal) -> pl.DataFrame:
    """Return per row and side: cost, priced, missing, uncertain."""
    asked = extras.with_columns(deal.of_rows[extras[_ROW]].alias("card"))
    amounts = asked.select(_KEY).unique()
    lines = [_line(deal, card, name) for card, name, _ in amounts.iter_rows()]
    costs = [_cost(quantity, line) for quantity, (_, line) in zip(amounts[_QUANTITY], lines, strict=True)]
    known = amounts.with_columns(
        pl.Series("charged", [is_charged for is_charged, _ in lines], dtype=pl.Boolean),
        pl.Series("side", [side_of(name) for name in amounts[_UNIT]], dtype=pl.String),
        pl.Series("cost", costs, dtype=pl.Int128),
        pl.Series("priced", [line is not None for _, line in lines], dtype=pl.Boolean),
        pl.Series("uncertain", [line is not None and line.listed.weak for _, line in lines], dtype=pl.Boolean),
    ).filter("charged")
    return (
        asked.join(known, on=_KEY, how="inner")
        .group_by(_ROW, "side")
        .agg(
            pl.col("cost").sum(),
            missing=(~pl.col("priced")).any(),
            priced=pl.col("priced").any(),
            uncertain=pl.col("uncertain").any(),
        )
    )


def _line(deal: Deal, card: int, name: str) -> tuple[bool, Line | None]:
    """Return whether a card charges a unit at all, and the line at which it does."""
    pair = deal.cards[card]
    return (pair is not None and name in pair[1].charged, pair[0].line(name) if pair else None)


def _cost(quantity: Decimal, line: Line | None) -> int:
    return charge_for(quantity, line) if line else 0


def _every_row(some: pl.DataFrame, height: int) -> pl.DataFrame:
    """Return one row per row, in order; null where there is none."""
    every = pl.DataFrame({_ROW: pl.int_range(height, dtype=pl.UInt32, eager=True)})
    return every.join(some, on=_ROW, how="left", maintain_order="left")
