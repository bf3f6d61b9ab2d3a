"""Rows by number: which rows are equal in some columns, without joining on text.

A column of text becomes dense codes once; what is asked per row afterwards is arithmetic and look-ups in small tables.
What the columns mean is left to the callers.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import polars as pl

_SMALL = 2**21  # codes below this are looked up in a table, others joined


class Classes(NamedTuple):
    """Rows that are equal in some columns have the same number.

    Attributes:
        numbers: one per row, dense.
        values: of the columns, one tuple per number.
    """

    numbers: pl.Series
    values: list[tuple[Any, ...]]


def classify(columns: Sequence[pl.Series]) -> Classes:
    """Number the rows by their values in all of the columns; null is a value.

    Args:
        columns: of text, of booleans or of whole numbers, at least one, all of one length.
    """
    numbers, values = _coded(columns[0])
    rows: list[tuple[Any, ...]] = [(value,) for value in values]
    for column in columns[1:]:
        codes, more = _coded(column)
        if len(more) == 1:
            rows = [(*row, more[0]) for row in rows]
            continue
        both, places = compact(numbers.cast(pl.Int64) * len(more) + codes, len(rows) * len(more))
        numbers, rows = both, [(*rows[place // len(more)], more[place % len(more)]) for place in places]
    return Classes(numbers, rows)


def compact(codes: pl.Series, size: int) -> tuple[pl.Series, list[int]]:
    """Return dense numbers instead of codes below ``size``, and the codes that occur, in the order of the numbers."""
    places = codes.unique().sort()
    if size > _SMALL:
        table = pl.DataFrame({"code": places}).with_row_index("number")
        joined = pl.DataFrame({"code": codes}).join(table, on="code", how="left", maintain_order="left")
        return joined["number"], places.to_list()
    dense = pl.int_range(len(places), dtype=pl.UInt32, eager=True)
    table_of_all = pl.zeros(size, dtype=pl.UInt32, eager=True).scatter(places, dense)
    return table_of_all.gather(codes), places.to_list()


def spans_of(numbers: pl.Series, edges: Sequence[int]) -> pl.Series:
    """Return how many of the edges, ascending, each number has reached; null for null."""
    low, high = numbers.min(), numbers.max()
    if not (isinstance(low, int) and isinstance(high, int)):
        return numbers.cast(pl.UInt32)
    before, inside = bisect.bisect_right(edges, low), [edge for edge in edges if low < edge <= high]
    if not inside:
        return pl.select(pl.when(pl.lit(numbers).is_not_null()).then(before).cast(pl.UInt32)).to_series()
    width = min(after - edge for edge, after in pairwise([low, *inside, high + 1]))
    buckets = (high - low) // width + 1
    every = pl.Series(inside, dtype=pl.Int64)
    if buckets > max(_SMALL, len(numbers)) // 4:
        return before + every.search_sorted(numbers, side="right")
    # no bucket holds more than one edge: what is reached at its start, and the one that may come
    starts = pl.int_range(buckets, dtype=pl.Int64, eager=True) * width + low
    reached = every.search_sorted(starts, side="right")
    following = pl.Series([*inside, high + 1], dtype=pl.Int64).gather(reached)
    bucket = (numbers - low) // width
    return before + reached.gather(bucket) + (numbers >= following.gather(bucket))


def _coded(column: pl.Series) -> tuple[pl.Series, list[Any]]:
    """Return a code per row, and the value of each code."""
    if column.null_count() == len(column):
        return _same(len(column)), [None]
    if column.null_count() == 0 and (column == column[0]).all():
        return _same(len(column)), [column[0]]
    return _coded_text(column) if column.dtype == pl.String else _coded_numbers(column.cast(pl.Int64))


def _same(height: int) -> pl.Series:
    return pl.zeros(height, dtype=pl.UInt32, eager=True)


def _coded_text(column: pl.Series) -> tuple[pl.Series, list[Any]]:
    categories = pl.Categories.random()
    coded = column.cast(pl.Categorical(categories))  # keeps the categories alive until they are read
    codes, words = coded.to_physical(), list[Any](categories.to_series())
    return (codes.fill_null(len(words)), [*words, None]) if codes.null_count() else (codes, words)


def _coded_numbers(column: pl.Series) -> tuple[pl.Series, list[Any]]:
    low, high = column.min(), column.max()
    if not (isinstance(low, int) and isinstance(high, int)):
        return _same(len(column)), [None]
    numbers, places = compact((column - low).fill_null(high - low + 1), high - low + 2)
    return numbers, [None if place > high - low else place + low for place in places]
