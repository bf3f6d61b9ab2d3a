"""The stand-in for Gemma 3 counts as its tokenizer does, and is made from it."""

from __future__ import annotations

import json

import pytest

from callcost.tokens.engines.encoders import load_encoder
from callcost.tokens.engines.vocabularies import find_vocabulary, installed, read_file, read_tokens
from tests.tokens.engines.gemma_ranks import pattern_of, ranks_of

# Counted with the published tokenizer.json.
PUBLISHED = {
    "Hello, world! This is callcost.": 9,
    "def f(x: list[int]) -> dict:\n    return {'a': x[0]}\n": 23,
    "  two blanks\n\n\n\tand a tab\t\tor two": 11,
    " " * 40 + "x": 3,
    "<table><tr><td>a</td></tr></table> a<<b && c <b>d</b>": 16,
    "Größe, naïve façade, Ελλάδα, Привет": 11,
    "東京は日本の首都です。今日は": 7,
    "नमस्ते दुनिया, مرحبا بالعالم": 6,
    "1234567890 3.14159 2026-11-30T12:00:00Z": 39,
    '{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}': 19,
    "\r\n\r\nline\r\n": 7,
}


@pytest.mark.parametrize("text", PUBLISHED)
def test_texts_count_as_with_the_published_tokenizer(text: str) -> None:
    assert load_encoder("gemma3_ranks").count([text]) == [PUBLISHED[text]]


@pytest.mark.parametrize("piece", ["a<", "<", "\n"])
def test_no_text_is_too_much_for_the_expression_engine(piece: str) -> None:
    assert load_encoder("gemma3_ranks").count([piece * 1_200_000])[0] > 30_000


def test_its_file_is_made_from_the_published_tokenizer() -> None:
    if "gemma3" not in installed():
        pytest.skip("needs: callcost tokens install gemma3")
    document = json.loads(read_file(find_vocabulary("gemma3")))
    row = find_vocabulary("gemma3_ranks")

    assert {token: rank for rank, token in enumerate(read_tokens(row)) if token} == ranks_of(document)
    assert row.pattern == pattern_of(document)
