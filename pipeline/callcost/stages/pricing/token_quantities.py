"""How much of each token unit every row holds, and what it costs: exact arithmetic on whole columns.

The formulas are the steps of ``prices/units.py``. A column that is 0 in every row is not there, and an operation that
changes nothing is not carried out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from operator import add

import polars as pl

from callcost.prices.units import COUNTS_READ, QUANTITIES, TOKEN_UNITS
from callcost.stages.tables.dictionary import Numbered

_HALF_RANGE = 2**63  # of a 64-bit number


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
