"""A frame's sum: integers only, in any order, never negative."""

from __future__ import annotations

import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.tokens.frame import UNIT, Frame, FrameBuilder, total

WEIGHTS = st.integers(-3000, 3000)
COUNTED = st.lists(st.tuples(WEIGHTS, st.integers(0, 1 << 40)))


def frame_of(weights: list[int], constant: int = 0, share: int = 1) -> Frame:
    texts = ("text",) * len(weights)
    return Frame(vocabulary="o200k_base", texts=texts, weights=tuple(weights), constant=constant, share=share)


@given(COUNTED, st.integers(-(10**9), 10**9), st.integers(1, 9))
def test_the_sum_is_the_weighted_one_rounded_half_up(counted: list[tuple[int, int]], constant: int, share: int) -> None:
    weights, counts = [weight for weight, _ in counted], [number for _, number in counted]
    exact = Fraction(constant + sum(weight * number for weight, number in counted), UNIT)

    found = total(frame_of(weights, constant, share), counts)

    assert found == max(0, (exact + Fraction(1, 2)).__floor__() // share)


@given(COUNTED)
def test_no_order_changes_the_sum(counted: list[tuple[int, int]]) -> None:
    turned = list(reversed(counted))

    def add(rows: list[tuple[int, int]]) -> int:
        return total(frame_of([weight for weight, _ in rows], 3000), [number for _, number in rows])

    assert add(counted) == add(turned) == add(sorted(counted))


def test_every_part_needs_its_count() -> None:
    with pytest.raises(ValueError, match="its count"):
        total(frame_of([1000, 1000]), [1])


def test_half_a_token_is_one() -> None:
    assert total(frame_of([], 500), []) == 1
    assert total(frame_of([], 499), []) == 0
    assert total(frame_of([500], 0), [3]) == 2


def test_a_builder_leaves_empty_texts_out() -> None:
    builder = FrameBuilder()
    builder.text("")
    builder.text("a")
    builder.tokens(2)
    builder.ciphertext(10, 3, 0)
    builder.ciphertext(2400, 1, 2)
    builder.ciphertext(10, 3, 1)

    frame = builder.frame("cl100k_base", "exact", 0.0)

    assert (frame.texts, frame.weights) == (("a",), (1000,))
    assert frame.constant == 2000 + 30 + 400 + 0


def test_a_stand_in_weighs_and_corrects_each_text() -> None:
    builder = FrameBuilder(1022, "claude")
    builder.text("in 2024")
    builder.text("in 2024", 1500)

    assert builder.weights == [1022, 1533]
    assert builder.constant == 1240 + 1860


def test_frames_travel_to_workers_and_never_change() -> None:
    frame = frame_of([1000, 1022], 7)

    assert pickle.loads(pickle.dumps(frame)) == frame
    with pytest.raises(AttributeError):
        frame.constant = 1  # type: ignore[misc]
