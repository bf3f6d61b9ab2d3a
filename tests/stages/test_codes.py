"""Rows by number: the same as grouping by the values themselves."""

from __future__ import annotations

import bisect
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from callcost.stages.tables.dictionary import Numbered, cross, number_few, number_sizes, number_spans, number_text

WORDS = st.lists(st.none() | st.sampled_from(["a", "b", "", "é", "a b"]), min_size=1, max_size=60)
MOMENTS = st.lists(st.none() | st.integers(-(10**6), 10**6), min_size=1, max_size=60)
EDGES = st.lists(st.integers(-(10**6), 10**6), unique=True, max_size=40).map(sorted)


def values_of(numbered: Numbered, height: int) -> list[Any]:
    numbers = [0] * height if numbered.numbers is None else numbered.numbers.to_list()
    return [numbered.values[number] for number in numbers]


@given(WORDS)
def test_words_keep_their_value(words: list[str | None]) -> None:
    assert values_of(number_text(pl.Series(words, dtype=pl.String)), len(words)) == words


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30) | st.lists(st.integers(0, 2**40), min_size=1, max_size=9),
    st.sampled_from([1, 100]),
)
def test_few_numbers_keep_their_value(some: list[int], times: int) -> None:
    kind = pl.UInt8 if max(some) < 256 else pl.UInt64
    assert values_of(number_few(pl.Series(some * times, dtype=kind)), len(some) * times) == some * times


@given(MOMENTS, EDGES)
def test_a_moment_is_numbered_by_the_edges_that_it_reached(moments: list[int | None], edges: list[int]) -> None:
    numbered = number_spans(pl.Series(moments, dtype=pl.Int64), edges)

    expected = [-1 if moment is None else bisect.bisect_right(edges, moment) for moment in moments]
    assert values_of(numbered, len(moments)) == expected


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=60), EDGES)
def test_few_or_many_edges_make_no_difference(moments: list[int], edges: list[int]) -> None:
    every = sorted({abs(edge) % 2000 for edge in edges} | set(range(0, 2000, 50)))  # more than are compared one by one
    expected = [bisect.bisect_right(every, moment) for moment in moments]

    assert values_of(number_spans(pl.Series(moments * 400), every), len(moments) * 400) == expected * 400


@given(MOMENTS, EDGES)
def test_a_size_that_is_not_stated_reaches_nothing(sizes: list[int | None], edges: list[int]) -> None:
    numbered = number_sizes(pl.Series(sizes, dtype=pl.Int64), edges)

    expected = [0 if size is None else bisect.bisect_right(edges, size) for size in sizes]
    assert values_of(numbered, len(sizes)) == expected


@given(st.lists(st.tuples(*[st.sampled_from([None, "x", "y", "z"])] * 4), min_size=1, max_size=40))
def test_several_things_at_once_are_their_tuples(rows: list[tuple[str | None, ...]]) -> None:
    parts = [number_text(pl.Series(column, dtype=pl.String)) for column in zip(*rows, strict=True)]

    assert values_of(cross(*parts), len(rows)) == rows
    assert values_of(cross(cross(*parts[:2]), *parts[2:]), len(rows)) == [(row[:2], *row[2:]) for row in rows]


def test_more_combinations_than_a_number_holds_are_taken_one_after_another() -> None:
    height = 3000
    parts = [Numbered(pl.Series([(row * step) % height for row in range(height)], dtype=pl.UInt32), range(height))
             for step in range(1, 8)]  # fmt: skip

    crossed = cross(*parts)

    assert values_of(crossed, height) == [tuple((row * step) % height for step in range(1, 8)) for row in range(height)]


def test_what_is_said_of_values_is_dealt_to_rows() -> None:
    numbered = number_text(pl.Series(["b", "a", "b"]))

    assert numbered.to_rows(pl.Series([1, 2]), 3).to_list() == [1, 2, 1]
    assert numbered.to_rows(pl.Series([7, 7]), 3).to_list() == [7, 7, 7]
    assert Numbered(None, ["all"]).to_rows(pl.Series([5]), 3).to_list() == [5, 5, 5]
