"""Records are cut out of bytes: whatever the size of the pieces they come in, where they stand is known."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.io import records as containers
from callcost.logs.io.records import BOM, Raw, read_lines, read_values, split_values
from callcost.tables import Reject

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=6)


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def _lines(data: bytes, size: int = 1 << 20, **options: Any) -> list[Raw | Reject]:
    return list(read_lines(_pieces(data, size), **options))


def _raws(found: list[Raw | Reject]) -> list[Raw]:
    assert all(isinstance(one, Raw) for one in found)
    return [one for one in found if isinstance(one, Raw)]


def test_a_line_is_a_record_and_a_blank_line_is_none() -> None:
    data = BOM + b'{"a": 1}\r\n\n  \t\n{"b": 2}\n' + BOM + b'{"c": 3}'
    assert _lines(data) == [Raw(1, 3, b'{"a": 1}'), Raw(4, 18, b'{"b": 2}'), Raw(5, 30, b'{"c": 3}')]


def test_an_event_is_a_record_without_its_frame() -> None:
    data = b': hi\nevent: delta\nid: 7\ndata: {"a": 1}\n\ndata:{"b": 2}\ndata: [DONE]\n\n'
    found = _raws(_lines(data, sse=True))
    assert [(raw.row, raw.data) for raw in found] == [(4, b'{"a": 1}'), (6, b'{"b": 2}')]
    assert all(data[raw.offset :].startswith(raw.data) for raw in found)
    assert _lines(b'{"a": 1}\ndata: {"b": 2}\n') == [Raw(1, 0, b'{"a": 1}'), Raw(2, 15, b'{"b": 2}', is_event=True)]


@given(st.binary(max_size=300), st.integers(1, 50))
def test_lines_do_not_depend_on_the_pieces(data: bytes, size: int) -> None:
    whole = _lines(data)
    assert _lines(data, size) == whole
    rows = data.split(b"\n")
    for raw in _raws(whole):
        assert data[raw.offset : raw.offset + len(raw.data)] == raw.data
        assert raw.data in rows[raw.row - 1]
    assert len(whole) <= sum(1 for row in rows if row.strip())


@given(OBJECTS, st.sampled_from([None, 0, 2]), st.integers(1, 40), st.booleans())
def test_values_are_found_in_arrays_and_between_each_other(
    objects: list[Any], indent: int | None, size: int, ascii_only: bool
) -> None:
    array = json.dumps(objects, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    joined = b"".join(json.dumps(one, indent=indent, ensure_ascii=True).encode() for one in objects)
    for data in (array, BOM + b"\n " + array + b"\n", joined):
        found = _raws(list(read_values(_pieces(data, size))))
        assert [raw.row for raw in found] == list(range(1, len(objects) + 1))
        assert all(data[raw.offset : raw.offset + len(raw.data)] == raw.data for raw in found)
        assert found == _raws(list(read_values([data])))
    assert [json.loads(raw.data) for raw in _raws(list(read_values([joined])))] == objects


@given(st.binary(max_size=200), st.integers(1, 30))
def test_values_do_not_depend_on_the_pieces(data: bytes, size: int) -> None:
    whole = list(read_values([data]))
    pieces = list(read_values(_pieces(data, size)))
    assert [one for one in pieces if isinstance(one, Raw)] == [one for one in whole if isinstance(one, Raw)]


def test_what_stands_between_values_is_a_record_too() -> None:
    data = b'[{"a": 1}, 42, "two words", null, {"b": [1, {}]} oops, [3]]\n{"c": "]"} tail'
    assert [raw.data for raw in _raws(list(read_values([data])))] == [
        b'{"a": 1}', b"42", b'"two words"', b"null", b'{"b": [1, {}]}', b"oops", b"[3]", b'{"c": "]"}', b"tail",
    ]  # fmt: skip


def test_a_broken_value_costs_itself() -> None:
    """A string that is not closed ends with its line, since JSON has no line break inside one."""
    data = b'[\n{"a": "x},\n"b": 1},\n{"c": 2}\n]'
    found = _raws(list(read_values([data])))
    assert found[-1].data == b'{"c": 2}'
    assert len(found) == 2


def test_a_value_cut_off_by_the_end_is_a_record() -> None:
    found = _raws(list(read_values([b'[{"a": 1}, {"b": '])))
    assert [raw.data for raw in found] == [b'{"a": 1}', b'{"b": ']


@pytest.mark.parametrize("size", [7, 1000])
def test_a_record_that_is_too_long_is_skipped(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(containers, "MAX_RECORD", 40)
    long = b'{"a": "%s"}' % (b"x" * 100)
    for data, read in ((b"{}\n%s\n{}\n" % long, read_lines), (b"[{},\n%s,\n{}]" % long, read_values)):
        found = list(read(_pieces(data, size)))
        assert [one if isinstance(one, Reject) else one.data for one in found] == [b"{}", found[1], b"{}"]
        assert isinstance(found[1], Reject)
        assert (found[1].reason, found[1].source_row) == ("line_too_long", 2)
        assert found[1].byte_offset == data.index(long)


def test_stray_text_that_never_ends_is_one_reject(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_RECORD", 40)
    found = list(read_values([b"x" * 30] * 10))
    assert [one.reason for one in found if isinstance(one, Reject)][:1] == ["line_too_long"]


def test_a_record_of_just_the_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_RECORD", 40)
    line = b'{"a": "%s"}' % (b"x" * 31)
    assert len(line) == 40
    assert _lines(line + b"\n{}\n", 9) == [Raw(1, 0, line), Raw(2, 41, b"{}")]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b'{"a": 1}{"b": 2}', [(0, b'{"a": 1}'), (8, b'{"b": 2}')]),
        (b'{"a": "}{"} {}', [(0, b'{"a": "}{"}'), (12, b"{}")]),
        (b'{"a": 1}', []), (b'{"a": 1} x', []), (b'{"a": 1}{"b": ', []), (b"[1][2]", []),
    ],
)  # fmt: skip
def test_objects_on_one_line_are_taken_apart(line: bytes, parts: list[tuple[int, bytes]]) -> None:
    assert split_values(Raw(3, 100, line)) == [Raw(3, 100 + offset, data) for offset, data in parts]
