"""Rows by number, which rows are equal in some columns, and by yes or no; None stands for what all rows have alike.

A column of text becomes dense numbers once; what is asked per row afterwards is arithmetic and look-ups in small
tables, and nothing where nothing is to be done. What the columns mean is left to the callers.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from itertools import pairwise, repeat
from typing import Any, NamedTuple

import polars as pl

_SMALL = 2**21  # numbers below this are looked up in a table, others joined
_LARGE = 2**62  # what a mixed number must stay below
_HALF_WIDTH = 2**32  # below this, 32 bits do
_FEW_EDGES = 16
_FEW = 4096
_FEW_ROWS = 500  # below that, a list is faster
Flag = pl.Series | None  # yes or no per row; None: no in all


class Numbered(NamedTuple):
    """Rows that are equal in something have the same number.

    Attributes:
        numbers: one per row, dense; None: all rows are number 0.
        values: what they are equal in, by number.
    """

    numbers: pl.Series | None
    values: Sequence[Any]

    def to_rows(self, of_values: pl.Series, height: int) -> pl.Series:
        """Give each row what belongs to its number.

        Args:
            of_values: one item per number.
            height: count of rows.
        """
        if self.numbers is None:
            return of_values.new_from_index(0, height)
        if len(of_values) > 1 and of_values.null_count() == 0 and (of_values == of_values[0]).all():
            return of_values.new_from_index(0, height)
        if of_values.dtype == pl.Boolean:  # bytes are gathered three times as fast as bits
            return of_values.cast(pl.UInt8)[self.numbers].cast(pl.Boolean)
        return of_values[self.numbers]


def is_constant(column: pl.Series) -> bool:
    """Say whether every row holds the same, and none nothing; some rows tell at once where they differ."""
    if column.null_count() or not len(column):
        return False
    first = column[0]
    return bool(column[-1] == first and column[len(column) // 2] == first and (column == first).all())


def number_few(column: pl.Series) -> Numbered:
    """Number the rows by a column of few different numbers from 0; none is null."""
    values = sorted(set(column.to_list())) if len(column) <= _FEW_ROWS else column.unique().sort().to_list()
    if len(values) == 1:
        return Numbered(None, values)
    if values[-1] > _FEW:
        return Numbered(column.replace_strict(values, range(len(values)), return_dtype=pl.UInt32), values)
    places = pl.Series([bisect.bisect_left(values, each) for each in range(values[-1] + 1)], dtype=pl.UInt32)
    return Numbered(places[column], values)  # five times as fast


def number_text(column: pl.Series) -> Numbered:
    """Number the rows by a column of text; null is a value."""
    if column.null_count() == len(column):
        return Numbered(None, [None])
    if is_constant(column):
        return Numbered(None, [column[0]])
    if isinstance(column.dtype, pl.Enum):
        words, numbers = list[Any](column.dtype.categories), column.to_physical().cast(pl.UInt32)
    else:
        categories = pl.Categories.random()
        coded = column.cast(pl.Categorical(categories))  # keeps the categories alive until they are read
        numbers, words = coded.to_physical(), list[Any](categories.to_series())
    if numbers.null_count():
        return Numbered(numbers.fill_null(len(words)), [*words, None])
    return Numbered(numbers, words)


def number_spans(numbers: pl.Series, edges: Sequence[int]) -> Numbered:
    """Number the rows by how many of the edges, ascending, each has reached; -1 for null."""
    low, high = numbers.min(), numbers.max()
    if not (isinstance(low, int) and isinstance(high, int)):
        return Numbered(None, [-1])
    before, inside = bisect.bisect_right(edges, low), [edge for edge in edges if low < edge <= high]
    spans = range(before, before + len(inside) + 1)
    if numbers.null_count():
        reached = _reached(numbers, low, high, inside).fill_null(len(spans))
        return Numbered(reached, [*spans, -1])
    return Numbered(_reached(numbers, low, high, inside) if inside else None, spans)


def number_sizes(sizes: pl.Series, edges: Sequence[int]) -> Numbered:
    """Do the same for sizes of which few reach the first edge; null reaches none."""
    beyond = (sizes >= edges[0]).arg_true() if edges else pl.Series(dtype=pl.UInt32)
    if not len(beyond):
        return Numbered(None, [0])
    reached = pl.Series(edges, dtype=pl.Int64).search_sorted(sizes[beyond], side="right")
    return Numbered(pl.zeros(len(sizes), dtype=pl.UInt32, eager=True).scatter(beyond, reached), range(len(edges) + 1))


def cross(*parts: Numbered) -> Numbered:
    """Number the rows by several things at once; the values are tuples, of those that occur."""
    varied = [part for part in parts if part.numbers is not None]
    numbers: pl.Series | None = None
    columns: list[list[Any]] = []  # of the values so far, one per part
    while varied:
        count = 1  # as many at a time as one number holds
        room = len(columns[0]) if columns else 1
        while count < len(varied) and room * math.prod(len(part.values) for part in varied[: count + 1]) < _LARGE:
            count += 1
        numbers, columns = _fold(numbers, columns, varied[:count])
        varied = varied[count:]
    if numbers is None:
        return Numbered(None, [tuple(part.values[0] for part in parts)])
    own = iter(columns)
    every = (repeat(part.values[0]) if part.numbers is None else next(own) for part in parts)
    return Numbered(numbers, list(zip(*every, strict=False)))


def _fold(
    numbers: pl.Series | None, columns: list[list[Any]], parts: Sequence[Numbered]
) -> tuple[pl.Series, list[list[Any]]]:
    """Return numbers for the rows so far and further parts together, and the values of each part."""
    if numbers is None and len(parts) == 1 and parts[0].numbers is not None:
        return parts[0].numbers, [list(parts[0].values)]
    size = math.prod(len(part.values) for part in parts) * (len(columns[0]) if columns else 1)
    kind = pl.UInt32 if size < _HALF_WIDTH else pl.UInt64
    mixed = None if numbers is None else numbers.cast(kind)
    for part in parts:
        if part.numbers is not None:
            own = part.numbers.cast(kind)
            mixed = own if mixed is None else mixed * len(part.values) + own
    dense, rest = _compact(pl.Series(mixed), size)
    tail: list[list[Any]] = []
    for part in reversed(parts):
        tail.append([part.values[digit] for digit in rest % len(part.values)])
        rest = rest // len(part.values)
    places = rest.to_list()
    return dense, [*([column[place] for place in places] for column in columns), *reversed(tail)]


def _compact(codes: pl.Series, size: int) -> tuple[pl.Series, pl.Series]:
    """Return dense numbers instead of codes below ``size``, and the codes that occur, in the order of the numbers."""
    if size <= _FEW and len(codes) >= size * 2**8:  # as likely as not they all occur
        return codes, pl.int_range(size, dtype=pl.UInt64, eager=True)
    if size > _SMALL:
        places = pl.Series("code", codes.to_arrow().unique()).sort()  # five times as fast as Polars' own
        table = pl.DataFrame({"code": places}).with_row_index("number")
        joined = pl.DataFrame({"code": codes}).join(table, on="code", how="left", maintain_order="left")
        return joined["number"], places
    places = pl.zeros(size, dtype=pl.Boolean, eager=True).scatter(codes, values=True).arg_true()
    dense = pl.int_range(len(places), dtype=pl.UInt32, eager=True)
    return pl.zeros(size, dtype=pl.UInt32, eager=True).scatter(places, dense)[codes], places


def _reached(numbers: pl.Series, low: int, high: int, inside: Sequence[int]) -> pl.Series:
    """Return how many of the edges, each above ``low`` and up to ``high``, every number has reached; null for null."""
    if len(inside) <= _FEW_EDGES:
        passed: pl.Expr = pl.when(pl.lit(numbers.is_not_null())).then(pl.lit(0, dtype=pl.UInt8))
        for count, edge in enumerate(inside, 1):
            passed = pl.when(pl.lit(numbers >= edge)).then(pl.lit(count, dtype=pl.UInt8)).otherwise(passed)
        return pl.select(passed).to_series().cast(pl.UInt32)
    every = pl.Series(inside, dtype=pl.Int64)
    width = min(after - edge for edge, after in pairwise([low, *inside, high + 1]))
    buckets = (high - low) // width + 1
    if buckets > max(_SMALL, len(numbers)) // 4:
        places = pl.lit(every.search_sorted(numbers, side="right"))
        return pl.select(pl.when(pl.lit(numbers).is_not_null()).then(places)).to_series()
    # no bucket holds more than one edge: what is reached at its start, and the one that may come
    starts = pl.int_range(buckets, dtype=pl.Int64, eager=True) * width + low
    reached = every.search_sorted(starts, side="right")
    following = pl.Series([*inside, high + 1], dtype=pl.Int64)[reached]
    bucket = (numbers - low) // width
    return reached[bucket] + (numbers >= following[bucket])


def flag(column: pl.Series) -> Flag:
    """Return a column of booleans, None where none of them holds; null does not hold."""
    if not column.any():
        return None
    return column.fill_null(value=False) if column.null_count() else column


def any_of(*flags: Flag) -> Flag:
    """Return what holds where any does."""
    found: Flag = None
    for each in flags:
        if each is not None:
            found = each if found is None else found | each
    return found


def both(one: Flag, other: Flag) -> Flag:
    """Return what holds where both do."""
    return None if one is None or other is None else flag(one & other)


def without(one: Flag, other: Flag) -> Flag:
    """Return what holds where the first does and the second does not."""
    return one if one is None or other is None else flag(one & ~other)
