"""What rows state beside tokens, charged: seconds, images, searches.

Few rows have any, of few kinds, so that each distinct (card, unit, quantity) is charged once by the scalar reader's own
function and dealt to the rows.
"""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import polars as pl

from callcost.prices.charges import SIDES, charge_for, side_of
from callcost.prices.rates import Line
from callcost.stages.pricing.rate_cards import Deal
from callcost.stages.tables.masks import Flag, any_of, flag
from callcost.tables import MONEY_SCALE

_ROW, _UNIT, _QUANTITY = "row", "unit", "quantity"
_KEY = ["card", _UNIT, _QUANTITY]


_NO_EXTRAS = pl.DataFrame(schema={_ROW: pl.UInt32, _UNIT: pl.String, _QUANTITY: pl.Decimal(38, MONEY_SCALE)})


def extras_of(facts: pl.DataFrame) -> pl.DataFrame:
    """Return (row, unit, quantity) of everything that rows state beside tokens."""
    if facts["line_units"].null_count() == facts.height:
        return _NO_EXTRAS
    some = facts.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias(_ROW), "line_units").drop_nulls()
    return some.explode("line_units").unnest("line_units").filter(pl.col(_QUANTITY) > 0)


def names_per_row(extras: pl.DataFrame, height: int) -> pl.Series | None:
    """Return per row the names of its units, sorted, one a line; null: it has none; None: no row has."""
    if extras.is_empty():
        return None
    names = extras.group_by(_ROW).agg(pl.col(_UNIT).sort().str.join("\n").alias("names"))
    return _every_row(names, height)["names"]


def add_extras(charged: Charged, extras: pl.DataFrame, deal: Deal, height: int) -> None:
    """Add what rows state beside tokens to what their tokens cost.

    Args:
        charged: what the tokens cost; changed in place.
        extras: as ``extras_of`` gives them.
        deal: the rows' cards.
        height: number of rows.
    """
    if extras.is_empty():
        return
    found = _charged(extras, deal)
    for name, side in charged.sides.items():
        rows = _every_row(found.filter(pl.col("side") == name), height)
        cost = rows["cost"].fill_null(0)
        side.cost = cost if side.cost is None else side.cost + cost
        charged.total = cost if charged.total is None else charged.total + cost
        side.held = any_of(side.held, flag(rows["cost"].is_not_null()))
        side.missing = any_of(side.missing, flag(rows["missing"]))
        side.priced = any_of(side.priced, flag(rows["priced"]))
        charged.weak = any_of(charged.weak, flag(rows["uncertain"]))
    every = pl.int_range(height, dtype=pl.UInt32, eager=True)
    charged.zeros = True
    charged.extras = flag(every.is_in(extras[_ROW].implode()))


def _charged(extras: pl.DataFrame, deal: Deal) -> pl.DataFrame:
    """Return per row and side: cost, priced, missing, uncertain."""
    every = pl.int_range(len(deal.cards.values), dtype=pl.UInt32, eager=True)
    asked = extras.with_columns(deal.cards.to_rows(every, deal.height).gather(extras[_ROW]).alias("card"))
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
    pair = deal.cards.values[card]
    return (pair is not None and name in pair[1].charged, pair[0].line(name) if pair else None)


def _cost(quantity: Decimal, line: Line | None) -> int:
    return charge_for(quantity, line) if line else 0


def _every_row(some: pl.DataFrame, height: int) -> pl.DataFrame:
    """Return one row per row, in order; null where there is none."""
    every = pl.DataFrame({_ROW: pl.int_range(height, dtype=pl.UInt32, eager=True)})
    return every.join(some, on=_ROW, how="left", maintain_order="left")


COUNTS = {"input": "line_prompt_tokens", "output": "line_completion_tokens"}  # of each side's tokens


@dataclasses.dataclass(slots=True)
class Side:
    """Charges of one cost column.

    Attributes:
        cost: in units of 10**-18 dollars, as 128-bit numbers; None: 0 in every row.
        held: whether the row states any unit of the side.
        missing: whether any of them has no rate.
        priced: whether any of them has one.
    """

    cost: pl.Series | None = None
    held: Flag = None
    missing: Flag = None
    priced: Flag = None


@dataclasses.dataclass(slots=True)
class Charged:
    """Charges of all rows.

    Attributes:
        sides: by name: input, output, other.
        weak: whether any rate that was charged may be too low.
        extras: whether the row states anything beside tokens.
        total: sum of the sides' costs; None: 0 in every row.
        zeros: whether any rate that was charged is an explicit 0.
    """

    sides: dict[str, Side] = dataclasses.field(default_factory=lambda: {side: Side() for side in SIDES})
    weak: Flag = None
    extras: Flag = None

    total: pl.Series | None = None
    zeros: bool = False
