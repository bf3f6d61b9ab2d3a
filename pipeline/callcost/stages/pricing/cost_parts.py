"""What of a cost went into caches, reasoning and long contexts, and what caching saved: parts of what is charged.

A part is null where nobody states its tokens or a rate of it is missing, and 0 where they are stated as none. What
caching saved is what the tokens read from and written to caches would have cost as plain input of the same call, less
what they cost: writes at a premium count against it. What a long context cost is the cost less what it would have been
at the rates of the shortest prompt. What is left of a side beside its parts is a cost of its own (RESTS), so that
these, caches, reasoning and other_cost add up to the total.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from operator import add
from typing import NamedTuple

import polars as pl

from callcost.prices.units import TOKEN_UNITS, Unit
from callcost.stages.pricing.charged_units import every_row, exact_costs
from callcost.stages.pricing.rate_cards import RowCards
from callcost.stages.tables.dictionary import Flag, any_of, both, flag
from callcost.stages.tables.schemas import MONEY

PARTS = ("cache_read_cost", "cache_write_cost", "reasoning_cost", "cache_savings_cost", "long_context_cost")
RESTS = {"uncached_input_cost": ("input_cost", PARTS[:2]), "visible_output_cost": ("output_cost", PARTS[2:3])}
_STATES = {  # part -> columns of which one states it
    "cache_read_cost": ("line_cache_read_input_tokens",),
    "cache_write_cost": tuple(
        f"line_{name}_tokens" for name in ("cache_creation_input", "cache_write_5m", "cache_write_1h")
    ),
    "reasoning_cost": ("line_reasoning_tokens",),
}
_SAVINGS, _LONG = PARTS[3:]


class Part(NamedTuple):
    """A part of the cost of each row.

    Attributes:
        cost: in units of 10**-18 dollars, as 128-bit numbers; None: 0 in every row.
        unrated: rows that have tokens of it and no rate for them.
        unstated: rows that do not state it.
    """

    cost: pl.Series | None
    unrated: Flag
    unstated: Flag = None


def rest_costs() -> list[pl.Expr]:
    """Return what is left of the cost of each side beside its parts; null where that is."""
    return [
        (pl.col(side) - pl.sum_horizontal(pl.col(parts).fill_null(0))).cast(MONEY).alias(name)
        for name, (side, parts) in RESTS.items()
    ]


def part_costs(
    facts: pl.DataFrame,
    columns: Mapping[str, pl.Series],
    charges: pl.DataFrame | None,
    cards: RowCards,
    total: pl.Series | None,
) -> dict[str, Part]:
    """Return the parts of what rows cost.

    Args:
        facts: columns of Facts.
        columns: quantities of token units.
        charges: of what rows state beside tokens, as ``charge_extras`` gives them; None: there is nothing.
        cards: of the rows.
        total: what the rows cost, in units of 10**-18 dollars; None: 0 in every row.
    """
    cached = _of_caches(charges)
    parts = {name: _cost_of(name, columns, cached, cards) for name in _STATES}
    stated = {name: any_of(*(flag(facts[each].is_not_null()) for each in of)) for name, of in _STATES.items()}
    for name in PARTS[:2]:
        stated[name] = any_of(stated[name], _rows_of(name, cached, cards.height))
    savings = _savings(columns, cached, cards, [parts[name] for name in PARTS[:2]])
    stated[_SAVINGS] = any_of(*(stated[name] for name in PARTS[:2]))
    every = pl.repeat(True, cards.height, eager=True)
    found = {
        name: part._replace(unstated=every if (known := stated[name]) is None else flag(~known))
        for name, part in (parts | {_SAVINGS: savings}).items()
    }
    return found | {_LONG: _surcharge(columns, charges, cards, total)}


def part_of(unit: Unit) -> str | None:
    """Return the part that a unit's cost is of."""
    if unit.cache:
        return PARTS[0] if unit.cache.startswith("read") else PARTS[1]
    return PARTS[2] if unit.modality == "reasoning" else None


def _units(name: str, columns: Mapping[str, pl.Series]) -> Iterator[str]:
    return (unit for unit in columns if part_of(TOKEN_UNITS[unit]) == name)


def _cost_of(name: str, columns: Mapping[str, pl.Series], cached: pl.DataFrame, cards: RowCards) -> Part:
    own = {unit: columns[unit] for unit in _units(name, columns)}
    prices = {unit: cards.prices(unit) for unit in own}
    missing = [both(flag(own[unit] > 0), cards.flag(prices[unit].missing)) for unit in own]
    sums = exact_costs(own, {unit: prices[unit].rates for unit in own}, cards.cards) if own else {}
    beside = _per_row(cached.filter(pl.col("part") == name), "cost", cards.height)
    return Part(_plus(sums.get("total"), beside.cost), any_of(*missing, beside.unrated))


def _savings(columns: Mapping[str, pl.Series], cached: pl.DataFrame, cards: RowCards, paid: list[Part]) -> Part:
    """Return what would have been paid without caches, less what was paid."""
    own = {unit: columns[unit] for name in PARTS[:2] for unit in _units(name, columns)}
    lines = {unit: [card.line(TOKEN_UNITS[unit].uncached) for card in cards.cards.values] for unit in own}
    rates = {unit: [line.scaled if line else 0 for line in of_cards] for unit, of_cards in lines.items()}
    missing = [
        both(flag(own[unit] > 0), cards.flag([line is None for line in of_cards])) for unit, of_cards in lines.items()
    ]
    sums = exact_costs(own, rates, cards.cards) if own else {}
    beside = _per_row(cached, "uncached_cost", cards.height)
    without = _plus(sums.get("total"), beside.cost)
    less = functools.reduce(_plus, (part.cost for part in paid))
    saved = without - less if without is not None and less is not None else without  # what was paid for has a rate
    return Part(saved, any_of(*missing, beside.unrated, *(part.unrated for part in paid)))


def _surcharge(
    columns: Mapping[str, pl.Series], charges: pl.DataFrame | None, cards: RowCards, total: pl.Series | None
) -> Part:
    """Return what was paid, less what the same would have cost in a short prompt."""
    short = [card.rates and card.rates.short for card in cards.cards.values]
    if total is None or all(card.rates is own for card, own in zip(cards.cards.values, short, strict=True)):
        return Part(None, None)
    rates, missing = {}, []
    for unit, held in columns.items():
        lines = [card.line(unit) if card else None for card in short]
        rated = list(zip(lines, cards.prices(unit).rates, strict=True))
        rates[unit] = [line.scaled if line and paid else 0 for line, paid in rated]
        missing.append(both(flag(held > 0), cards.flag([line is None and paid > 0 for line, paid in rated])))
    sums = exact_costs(columns, rates, cards.cards) if columns else {}
    priced = None if charges is None else charges.filter("priced")
    beside = Part(None, None) if priced is None else _per_row(priced, "short_cost", cards.height)
    less = _plus(sums.get("total"), beside.cost)
    return Part(total if less is None else total - less, any_of(*missing, beside.unrated))


def _of_caches(charges: pl.DataFrame | None) -> pl.DataFrame:
    """Return what rows state beside tokens that is of caches: ``row``, ``part``, ``cost`` and ``uncached_cost``."""
    if charges is None:
        kinds = {"row": pl.UInt32, "part": pl.String, "cost": pl.Int128, "uncached_cost": pl.Int128}
        return pl.DataFrame(schema=kinds)
    part = pl.when(pl.col("cache").str.starts_with("read")).then(pl.lit(PARTS[0])).otherwise(pl.lit(PARTS[1]))
    cost = pl.when("priced").then("cost")
    cached = charges.filter(pl.col("cache") != "")
    return cached.select("row", part.alias("part"), cost.alias("cost"), "uncached_cost")


def _rows_of(name: str, cached: pl.DataFrame, height: int) -> Flag:
    rows = cached.filter(pl.col("part") == name)["row"]
    return flag(pl.int_range(height, dtype=pl.UInt32, eager=True).is_in(rows.implode())) if len(rows) else None


def _per_row(cached: pl.DataFrame, column: str, height: int) -> Part:
    if cached.is_empty():
        return Part(None, None)
    sums = cached.group_by("row").agg(cost=pl.col(column).sum(), unrated=pl.col(column).is_null().any())
    rows = every_row(sums, height)
    return Part(rows["cost"].fill_null(0), flag(rows["unrated"]))


def _plus(one: pl.Series | None, other: pl.Series | None) -> pl.Series | None:
    return add(one, other) if one is not None and other is not None else one if one is not None else other
