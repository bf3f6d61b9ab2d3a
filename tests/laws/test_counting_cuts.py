"""A text cut where cuts.py cuts has the tokens of the whole text, for every vocabulary that is said to allow it."""

from __future__ import annotations

import functools
import unicodedata

import pytest
import tiktoken
from hypothesis import example, given
from hypothesis import strategies as st

from callcost.tokens.engines import safe_splits as cuts
from callcost.tokens.engines.encoders import Encoder, JsonEncoder, load_encoder
from callcost.tokens.engines.safe_splits import blank_runs, slices
from callcost.tokens.engines.vocabularies import find_vocabulary, ranks_of, read_tokens

RANKS = ["o200k_base", "cl100k_base", "p50k_base", "r50k_base", "tekken"]
ALL = [*RANKS, "claude2"]

# What the expressions tell apart: letters of every kind, marks, digits, blanks, line breaks, apostrophes, slashes.
PIECES = [
    "a",
    "B",
    "ǅ",
    "ʰ",
    "中",
    "文",
    "か",
    "カ",
    "。",
    "，",
    "é",
    "e\u0301",
    "\u0301",
    "7",
    "½",
    "٣",
    "'s",
    "'LL",
    "'",
]
PIECES += ["!", "/", "...", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\x85", "\x1c", "😀", "Å", "ﬁ"]
mixed = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40).map("".join)


@functools.cache
def whole(name: str) -> tiktoken.Encoding:
    """The reference: tiktoken on the whole string."""
    row = find_vocabulary(name)
    return tiktoken.Encoding(name, pat_str=row.pattern, mergeable_ranks=ranks_of(read_tokens(row)), special_tokens={})


def whole_ids(encoder: Encoder, text: str) -> list[int]:
    """Encode a whole string without any cut."""
    if isinstance(encoder, JsonEncoder):
        return list(encoder._encode_slice(text).ids)
    return whole(encoder.vocabulary.name).encode(text, disallowed_special=())


@pytest.mark.parametrize("name", ALL)
@given(mixed, st.integers(1, 12))
@example("one two  three", 1)
@example("中文。中文，文", 1)
@example("ab'S x' s a ", 1)
def test_slices_have_the_tokens_of_the_whole(name: str, text: str, size: int) -> None:
    encoder = load_encoder(name)
    pieces = list(slices(text, size))

    assert "".join(pieces) == text
    assert [token for piece in pieces for token in whole_ids(encoder, piece)] == whole_ids(encoder, text)


@given(mixed, st.integers(1, 12))
def test_every_slice_but_the_last_is_as_long_as_asked(text: str, size: int) -> None:
    pieces = list(slices(text, size))

    assert all(len(piece) >= size for piece in pieces[:-1])


@pytest.mark.parametrize("name", RANKS)
@given(st.lists(st.sampled_from([" ", " ", "\n", "\r\n", "\t", "\u00a0", "x", "!", "1", "'s", "中"]), max_size=40))
@example(["x", " ", " ", " ", "\n"])
@example(["!", "\n", " ", " ", " "])
@example(["!", "\n", " ", "\n", " ", " ", " ", "x"])
@example([" ", " ", " ", "\n", "\n", " ", " ", " ", "1"])
def test_a_run_of_blanks_counted_apart_changes_nothing(name: str, parts: list[str]) -> None:
    text = "".join(parts)
    pattern = find_vocabulary(name).pattern
    reference = whole(name)
    ids: list[int] = []
    start = 0

    for first, last in blank_runs(text, pattern, shortest=3):
        assert not text[first:last].strip()
        ids += reference.encode(text[start:first]) + one_pre_token(name).encode(text[first:last])
        start = last

    assert ids + reference.encode(text[start:]) == reference.encode(text)


@functools.cache
def one_pre_token(name: str) -> tiktoken.Encoding:
    """The reference for a text that is one pre-token."""
    return tiktoken.Encoding(
        name, pat_str="(?s:.+)", mergeable_ranks=ranks_of(read_tokens(find_vocabulary(name))), special_tokens={}
    )


@pytest.mark.parametrize("name", RANKS)
def test_every_run_that_is_long_enough_is_found(name: str) -> None:
    pattern = find_vocabulary(name).pattern
    for before in range(7):
        for length in range(12):
            text = "x" * before + " " * length + "x"
            found = list(blank_runs(text, pattern, shortest=3))
            assert found == ([(before, before + length - 1)] if length >= 3 else [])


def test_the_blanks_are_those_that_unicode_calls_white_space() -> None:
    ours = set(cuts._BLANKS + cuts._LINES)
    pythons = {chr(code) for code in range(0x110000) if chr(code).isspace()}

    assert ours == pythons - set("\x1c\x1d\x1e\x1f")


def test_what_is_cut_stays_apart_under_nfkc() -> None:
    for last in "zZ9かカ中":
        for first in " 。，":
            joined = unicodedata.normalize("NFKC", last + first)
            assert joined == unicodedata.normalize("NFKC", last) + unicodedata.normalize("NFKC", first)
