"""What a text counts is what it encodes to, and what it encodes to decodes to the text again."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callcost.helpers.counting import token_counter
from callcost.helpers.text import decode, encode
from callcost.tokens.engines.encoders import load_encoder, repair

NAMES = ["o200k_base", "cl100k_base", "p50k_base", "r50k_base", "claude2", "tekken", "gemma3_ranks"]
OWN = ["gpt-4o", "gpt-3.5-turbo", "text-davinci-003", "claude-2.1"]  # models whose own vocabulary is bundled

awkward = st.sampled_from(
    [
        "<|endoftext|>",
        "<EOT>",
        " \n\t ",
        "'s",
        "\u017f",
        "\ufeff",
        "\u200d",
        "e\u0301",
        "ﬁ",
        "½",
        "👩\u200d👩\u200d👧",
        "\x00",
        "\u3000",
    ]
)
texts = st.lists(awkward | st.text(max_size=20), max_size=8).map("".join)
surrogates = st.text(st.characters(categories=["Cs"]) | st.sampled_from("ab "), max_size=12)


@pytest.mark.parametrize("name", NAMES)
@given(texts | surrogates)
def test_a_count_is_the_number_of_ids(name: str, text: str) -> None:
    encoder = load_encoder(name)

    assert encoder.count([text]) == [len(encoder.encode(text))]


@pytest.mark.parametrize("model", OWN)
@given(texts)
def test_a_models_text_counts_as_many_tokens_as_it_encodes_to(model: str, text: str) -> None:
    assert token_counter(model=model, text=text) == len(encode(model=model, text=text))


@pytest.mark.parametrize("model", OWN)
@given(texts)
@example(" leading and trailing ")
@example("ﬁ ½ Å")
def test_what_was_encoded_decodes_to_the_text(model: str, text: str) -> None:
    """Claude 2's vocabulary normalizes (NFKC) before it encodes."""
    expected = unicodedata.normalize("NFKC", text) if model == "claude-2.1" else text

    assert decode(model=model, tokens=encode(model=model, text=text)) == expected


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(texts, max_size=6))
def test_a_list_counts_as_its_texts_one_by_one(name: str, many: list[str]) -> None:
    encoder = load_encoder(name)

    assert encoder.count(many) == [encoder.count([text])[0] for text in many]


@given(surrogates)
def test_a_repaired_text_is_valid_and_as_long_as_it_reads(text: str) -> None:
    repaired = repair(text)

    assert repaired.encode().decode() == repaired
    assert repair(repaired) == repaired
