"""How much of each unit every row holds, and what it costs: exact arithmetic on whole columns.

Of tokens the formulas are the steps of ``prices/units.py``; a column that is 0 in every row is not there, and an
operation that changes nothing is not carried out. Few rows state anything beside tokens (seconds, images, searches), of
few kinds, so that each distinct (card, unit, quantity) is charged once, by the scalar reader's own function.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from operator import add

import polars as pl

from callcost.prices.charges import SIDES, charge_for, side_of
from callcost.prices.tariffs import MARKS
from callcost.prices.units import COUNTS_READ, QUANTITIES, TOKEN_UNITS, is_measure, unit_of
from callcost.stages.pricing.rate_cards import RowCards, marked
from callcost.stages.tables.dictionary import Flag, Numbered, any_of, flag
from callcost.tables import MONEY_SCALE

_HALF_RANGE = 2**63  # of a 64-bit number
_ROW, _UNIT, _QUANTITY = "row", "unit", "quantity"
_KEY = ["card", _UNIT, _QUANTITY]
_NO_EXTRAS = pl.DataFrame(schema={_ROW: pl.UInt32, _UNIT: pl.String, _QUANTITY: pl.Decimal(38, MONEY_SCALE)})


def quantities(facts: pl.DataFrame) -> dict[str, pl.Series]:
    """Return a column for each token unit of which any row holds some."""
    known: dict[str, pl.Series | None] = {name: _counts_of(facts[f"line_{name}"]) for name in COUNTS_READ}
    for name, operation, left, right in QUANTITIES:
        one, other = known[left], known[right]
        if one is not None and other is not None:
            known[name] = _OPERATIONS[operation](one, other)
        else:
            known[name] = None if operation == "least" else one if one is not None or operation == "less" else other
    return {unit: column for unit in TOKEN_UNITS if (column := known[unit]) is not None}


def exact_costs(
    columns: Mapping[str, pl.Series], rates: Mapping[str, Sequence[int]], cards: Numbered
) -> dict[str, pl.Series]:
    """Return the sum of quantities times rates of each row, as 128-bit whole numbers, per side and in total.

    Args:
        columns: quantities by token unit, at least one.
        rates: of each of them, by number of the card.
        cards: which card each row has.

    Returns:
        A column for each side of which there is a unit, and "total".
    """
    most = sum(_largest(columns[unit]) * max(rates[unit]) for unit in columns)
    common = 1 if most < _HALF_RANGE else math.gcd(*(rate for each in rates.values() for rate in each))
    most //= common
    kind: type[pl.Int64 | pl.Int128] = pl.Int64 if most < _HALF_RANGE else pl.Int128  # 64 bits do, nearly always
    costs: dict[str, pl.Series] = {}
    for unit, column in columns.items():
        rate = pl.Series([rate // common for rate in rates[unit]], dtype=kind)
        cost = column.cast(kind) * (rate if cards.numbers is None else rate[cards.numbers])
        side = TOKEN_UNITS[unit].side
        costs[side] = costs[side] + cost if side in costs else cost
    costs["total"] = functools.reduce(add, costs.values())
    whole = {side: cost.cast(pl.Int128, wrap_numerical=True) for side, cost in costs.items()}  # it fits: half the time
    return whole if common == 1 else {side: cost * pl.Series([common], dtype=pl.Int128) for side, cost in whole.items()}


def _counts_of(column: pl.Series) -> pl.Series | None:
    if not _largest(column):
        return None
    return column.fill_null(0) if column.null_count() else column


def _largest(column: pl.Series) -> int:
    most = column.max()
    return most if isinstance(most, int) else 0


def _less(one: pl.Series, other: pl.Series) -> pl.Series:
    difference = one - other
    return difference if (other <= one).all() else difference.clip(lower_bound=0)


def _least(one: pl.Series, other: pl.Series) -> pl.Series:
    return one if (one <= other).all() else pl.select(pl.min_horizontal(one, other)).to_series()


_OPERATIONS: Mapping[str, Callable[[pl.Series, pl.Series], pl.Series]] = {"less": _less, "least": _least, "add": add}


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
    return every_row(names, height)["names"]


def charge_extras(extras: pl.DataFrame, cards: RowCards) -> pl.DataFrame:
    """Charge what rows state beside tokens.

    Args:
        extras: as ``extras_of`` gives them.
        cards: of the rows.

    Returns:
        The extras but those that are not charged, as their tokens are, with ``side``, ``cost`` (units of 10**-18
        dollars; 0: no rate), ``priced`` (there is a rate), what the rate may be (``MARKS``), ``short_cost`` (in a short
        prompt), ``cache`` (see units.Unit) and, of what is of a cache, ``uncached_cost`` (as plain input); null: there
        is no rate.
    """
    asked = extras.with_columns(card=cards.numbers.gather(extras[_ROW]))
    distinct = asked.select(_KEY).unique()
    charges = [(cards.cards.values[number], unit, quantity) for number, unit, quantity in distinct.iter_rows()]
    lines = [card.line(unit) for card, unit, _ in charges]
    costs = [charge_for(n, line) if line else 0 for (*_, n), line in zip(charges, lines, strict=True)]
    kinds = [found[0] if (found := unit_of(unit)) else None for _, unit, _ in charges]
    pairs = zip(charges, kinds, strict=True)
    plain = [card.line(kind.uncached) if kind and kind.cache else None for (card, *_), kind in pairs]
    uncached = [charge_for(n, line) if line else None for (*_, n), line in zip(charges, plain, strict=True)]
    shorts = [card.rates.short.line(unit) if card.rates else None for card, unit, _ in charges]
    short = [charge_for(n, line) if line else None for (*_, n), line in zip(charges, shorts, strict=True)]
    known = distinct.with_columns(
        pl.Series("side", [side_of(unit) for _, unit, _ in charges], dtype=pl.String),
        pl.Series("cost", costs, dtype=pl.Int128),
        pl.Series("priced", [line is not None for line in lines], dtype=pl.Boolean),
        pl.Series("cache", [kind.cache if kind else "" for kind in kinds], dtype=pl.String),
        pl.Series("uncached_cost", uncached, dtype=pl.Int128),
        pl.Series("short_cost", short, dtype=pl.Int128),
        *(pl.Series(mark, marked(lines, mark), dtype=pl.Boolean) for mark in MARKS),
    ).filter(pl.Series([unit in card.units.charged for card, unit, _ in charges], dtype=pl.Boolean))
    return asked.join(known, on=_KEY, maintain_order="left")


def add_extras(costs: Costs, extras: pl.DataFrame, charges: pl.DataFrame, height: int) -> None:
    """Add what rows state beside tokens to what their tokens cost.

    Args:
        costs: of the tokens; changed in place.
        extras: as ``extras_of`` gives them.
        charges: as ``charge_extras`` gives them.
        height: count of rows.
    """
    priced, missing = pl.col("priced"), ~pl.col("priced")
    sums = charges.group_by(_ROW, "side").agg(
        pl.col("cost").sum(),
        pl.col(*MARKS).any(),
        missing=missing.any(),
        priced=priced.any(),
        zero=(priced & (pl.col("cost") == 0)).any(),
    )
    for name, side in costs.sides.items():
        rows = every_row(sums.filter(pl.col("side") == name), height)
        cost = rows["cost"].fill_null(0)
        side.cost = cost if side.cost is None else side.cost + cost
        costs.total = cost if costs.total is None else costs.total + cost
        side.missing = any_of(side.missing, flag(rows["missing"]))
        side.priced = any_of(side.priced, flag(rows["priced"]))
        for mark in MARKS:
            costs.marks[mark] = any_of(costs.marks[mark], flag(rows[mark]))
        costs.zero = any_of(costs.zero, flag(rows["zero"]))
    every = pl.int_range(height, dtype=pl.UInt32, eager=True)
    costs.units = flag(every.is_in(extras[_ROW].implode()))
    measures = [unit for unit in extras[_UNIT].unique() if is_measure(unit)]
    costs.measured = flag(every.is_in(extras.filter(pl.col(_UNIT).is_in(measures))[_ROW].implode()))


def every_row(some: pl.DataFrame, height: int) -> pl.DataFrame:
    """Return one row per row, in order; null where there is none.

    Args:
        some: ``row`` and what some rows have, each at most once.
        height: count of rows.
    """
    every = pl.DataFrame({_ROW: pl.int_range(height, dtype=pl.UInt32, eager=True)})
    return every.join(some, on=_ROW, how="left", maintain_order="left")


COUNTS = {"input": "line_prompt_tokens", "output": "line_completion_tokens"}  # of each side's tokens


@dataclasses.dataclass(slots=True)
class SideCosts:
    """What rows cost in one cost column.

    Attributes:
        cost: in units of 10**-18 dollars, as 128-bit numbers; None: 0 in every row.
        missing: rows that are charged for a unit that has no rate.
        priced: rows that are charged for a unit that has one.
    """

    cost: pl.Series | None = None
    missing: Flag = None
    priced: Flag = None


@dataclasses.dataclass(slots=True)
class Costs:
    """What rows cost.

    Attributes:
        sides: by name: input, output, other.
        total: sum of the sides' costs; None: 0 in every row.
        marks: by what a rate may be: rows that are charged at such a rate.
        zero: rows with a charge that has a rate and costs 0.
        units: rows that state anything beside tokens.
        measured: rows of which that measures what a model did, instead of tokens.
    """

    sides: dict[str, SideCosts] = dataclasses.field(default_factory=lambda: {side: SideCosts() for side in SIDES})
    total: pl.Series | None = None
    marks: dict[str, Flag] = dataclasses.field(default_factory=lambda: dict.fromkeys(MARKS))
    zero: Flag = None
    units: Flag = None
    measured: Flag = None
