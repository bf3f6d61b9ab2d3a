"""Blocks of lines: which the record reader gets, with what place, and when reading by the block is no gain."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callcost.logs.io.records import Raw
from callcost.stages.columnar import jsonl
from callcost.stages.columnar.jsonl import BlockReader, open_block_reader
from callcost.stages.columnar.line_blocks import Block
from tests.laws.test_litellm_columns import SPEND, ordinary, stated


def _line(**more: Any) -> bytes:
    return json.dumps(stated(ordinary(SPEND, **more))).encode()


@pytest.fixture(autouse=True)
def no_scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins where a process has read much, as other tests may have."""
    monkeypatch.setattr(jsonl, "SCANNED_FROM", 1 << 60)


FINE = _line()
PLAIN = json.dumps(
    {"id": "a", "model": "gpt-4o", "timestamp": "2025-11-01T00:00:00Z",
     "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
).encode()  # fmt: skip
BROKEN = b'{"request_id":'


def _block(*lines: bytes, offset: int = 0, row: int = 1) -> Block:
    return Block(b"".join(line + b"\n" for line in lines), offset, row)


def _opened(*lines: bytes, learning: bool = False, **more: Any) -> BlockReader:
    found = open_block_reader(_block(*lines or (FINE,)), counted=False, learning=learning, **more)
    assert found is not None
    return found


def _places(left: list[Any]) -> list[tuple[int, int, bytes]]:
    assert all(isinstance(raw, Raw) for raw in left)
    return [(raw.row, raw.offset, raw.data) for raw in left]


@pytest.mark.parametrize(
    ("before", "learning", "found"),
    [(7, False, True), (8, False, False), (8, True, True), (63, True, True), (64, True, False)],
)
def test_the_first_lines_say_whether_a_text_is_read_by_the_block(before: int, *, learning: bool, found: bool) -> None:
    block = _block(*[b"{}"] * before, FINE)
    assert (open_block_reader(block, counted=False, learning=learning) is not None) == found


def test_another_dialect_than_litellm_s_is_learned_only_from_much_text() -> None:
    assert open_block_reader(_block(PLAIN), counted=False, learning=False) is None
    assert open_block_reader(_block(PLAIN), counted=False, learning=True) is not None


def test_what_does_not_decode_is_left_with_its_place() -> None:
    reader = _opened()
    size = len(FINE) + 1
    left = reader.read(_block(FINE, BROKEN, FINE, b"", b"[1]", FINE, offset=1000, row=7))
    assert _places(left) == [
        (8, 1000 + size, BROKEN), (11, 1000 + 2 * size + len(BROKEN) + 2, b"[1]"),
    ]  # fmt: skip
    assert reader.read(_block(FINE, FINE)) == []
    ((rows, odd),) = reader.lay_out()
    assert (rows.facts.height, odd) == (5, [])
    assert list(rows.facts["source_row"]) == [7, 9, 12, 1, 2]
    assert list(reader.lay_out()) == []


def test_what_is_not_ordinary_is_left_when_rows_are_laid_out() -> None:
    reader = _opened()
    odd = _line(spend="no")
    assert reader.read(_block(FINE, odd, FINE, offset=5, row=3)) == []
    ((rows, left),) = reader.lay_out()
    assert list(rows.facts["source_row"]) == [3, 5]
    assert _places(left) == [(4, 5 + len(FINE) + 1, odd)]
    assert reader.worthwhile


@pytest.mark.parametrize(
    ("fine", "odd", "worthwhile"), [(20, 100, True), (20, 101, False), (150, 150, True), (149, 151, False)]
)
def test_a_text_of_which_most_is_left_is_not_worth_it(fine: int, odd: int, *, worthwhile: bool) -> None:
    reader = _opened()
    assert len(reader.read(_block(*[FINE] * fine))) == 0
    assert reader.worthwhile
    assert len(reader.read(_block(*[BROKEN] * odd))) == odd
    assert reader.worthwhile == worthwhile


@pytest.mark.parametrize(("odd", "worthwhile"), [(3, True), (4, False)])
def test_a_text_most_of_whose_rows_are_odd_is_not_worth_it(odd: int, *, worthwhile: bool) -> None:
    strange = _line(spend="no")
    reader = _opened()
    reader.read(_block(*[FINE] * 3, *[strange] * odd))
    ((rows, left),) = reader.lay_out()
    assert (rows.facts.height, len(left)) == (3, odd)
    assert reader.worthwhile == worthwhile


def test_a_text_of_very_many_classes_is_not_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [_line(call_type=f"m{number}") for number in range(3)]
    for most in (3, 2):
        reader = _opened()
        reader.read(_block(*lines))
        list(reader.lay_out())
        classes = len(reader._first.judge)
        monkeypatch.setattr(jsonl, "MAX_CLASSES", classes - (most == 2))
        reader.read(_block(*lines))
        list(reader.lay_out())
        assert reader.worthwhile == (most == 3)


@pytest.mark.parametrize("limit", ["_HELD_ROWS", "_HELD_BYTES"])
def test_it_is_full_when_enough_is_held(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    block = _block(FINE, FINE)
    monkeypatch.setattr(jsonl, limit, 4 if limit == "_HELD_ROWS" else 2 * len(block.data))
    reader = _opened()
    full = []
    for _ in range(2):
        reader.read(block)
        full.append(reader.is_full)
    list(reader.lay_out())
    assert [*full, reader.is_full] == [False, True, False]


@pytest.mark.parametrize("limit", ["_ROWS", "_ROWS_BYTES"])
def test_columns_are_made_whenever_enough_was_decoded(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, limit, 2)
    reader = _opened()
    for first in (1, 4, 7):
        reader.read(_block(FINE, BROKEN, FINE, row=first))
    ((rows, _),) = reader.lay_out()
    assert list(rows.facts["source_row"]) == [1, 3, 4, 6, 7, 9]
