"""Marks correct what a stand-in vocabulary gets wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.tokens.engines.encoders import load_encoder
from callcost.tokens.vocabulary_corrections import MARKS, weigh_marks


@pytest.mark.parametrize("digits", ["7", "42", "365", "1984", "12345678", "1" * 40])
def test_digits_count_one_by_one(digits: str) -> None:
    (found,) = load_encoder("cl100k_base").count([digits])

    assert found * 1000 + weigh_marks("qwen", digits) == len(digits) * 1000


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="0123456789"), max_size=50))
def test_plain_english_has_few_marks(text: str) -> None:
    assert weigh_marks("", text) == 0
    assert weigh_marks("qwen", text) == 0
    assert weigh_marks("llama", text) == 0


@pytest.mark.parametrize("name", MARKS)
@given(text=st.text())
def test_a_texts_marks_are_worth_less_than_its_letters(name: str, text: str) -> None:
    assert abs(weigh_marks(name, text)) <= 1400 * len(text)
