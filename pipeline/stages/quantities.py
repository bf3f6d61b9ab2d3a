"""How much of each token unit every row holds, and what it costs: exact arithmetic on whole columns.

The formulas are the steps of ``prices/units.py``. A column that is 0 in every row is not there, and an operation that
changes nothing is not carried out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from operator import add

import polars as pl

from pipeline.prices.units import COUNTS_READ, QUANTITIES, TOKEN_UNITS
from pipeline.stages.codes import Numbered

_HALF_RANGE = 2**63  # of a 64-bit number


def quantities(facts: pl.DataFrame) -> dict[str, pl.Series]:
    """Return a column for each token unit of which any row holds some."""
    known: dict[str, pl.Series | None] = {name: _stated(facts[f"line_{name}"]) for name in COUNTS_READ}
    for name, operation, left, right in QUANTITIES:
        one, other = known[left], known[right]
        if one is not None and other is not None:
            known[name] = _OPERATIONS[operation](one, other)
        else:
            known[name] = None if operation == "least" else one if one is not None or operation == "less" else other
    return {unit: column for unit in TOKEN_UNITS if (column := known[unit]) is not None}


def exact_dot(columns: Sequence[pl.Series], rates: Sequence[Sequence[int]], cards: Numbered) -> pl.Series | None:
    """Return the sum of quantities times rates of each row, as 128-bit whole numbers; None: of no column.

    Args:
        columns: quantities.
        rates: of each of them, by number of the card.
        cards: which card each row has.
    """
    if not columns:
        return None
    common = math.gcd(*(rate for each in rates for rate in each)) or 1
    most = sum(_largest(column) * (max(each) // common) for column, each in zip(columns, rates, strict=True))
    kind: type[pl.Int64 | pl.Int128] = pl.Int64 if most < _HALF_RANGE else pl.Int128  # 64 bits do, nearly always
    height = len(columns[0])
    dealt = (cards.deal(pl.Series([rate // common for rate in each], dtype=kind), height) for each in rates)
    products = [column.cast(kind) * rate for column, rate in zip(columns, dealt, strict=True)]
    total = products[0]
    for product in products[1:]:
        total = total + product
    return total.cast(pl.Int128) * pl.Series([common], dtype=pl.Int128)


def _stated(column: pl.Series) -> pl.Series | None:
    return column.fill_null(0) if _largest(column) else None


def _largest(column: pl.Series) -> int:
    most = column.max()
    return most if isinstance(most, int) else 0


def _less(one: pl.Series, other: pl.Series) -> pl.Series:
    difference = one - other
    return difference if (other <= one).all() else difference.clip(lower_bound=0)


def _least(one: pl.Series, other: pl.Series) -> pl.Series:
    return one if (one <= other).all() else pl.select(pl.min_horizontal(one, other)).to_series()


_OPERATIONS: Mapping[str, Callable[[pl.Series, pl.Series], pl.Series]] = {"less": _less, "least": _least, "add": add}
