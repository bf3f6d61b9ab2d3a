"""Corrections mend what a stand-in vocabulary gets wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.tokens.engines.encoders import load_encoder
from callcost.tokens.vocabulary_corrections import CORRECTIONS, correction_of


@pytest.mark.parametrize("digits", ["7", "42", "365", "1984", "12345678", "1" * 40])
def test_digits_count_one_by_one(digits: str) -> None:
    (found,) = load_encoder("cl100k_base").count([digits])

    assert found * 1000 + correction_of("qwen", digits) == len(digits) * 1000


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="0123456789"), max_size=50))
def test_plain_english_has_few_corrections(text: str) -> None:
    assert correction_of("", text) == 0
    assert correction_of("qwen", text) == 0
    assert correction_of("llama", text) == 0


@pytest.mark.parametrize("name", CORRECTIONS)
@given(text=st.text())
def test_a_texts_correction_is_worth_less_than_its_letters(name: str, text: str) -> None:
    assert abs(correction_of(name, text)) <= 1400 * len(text)
