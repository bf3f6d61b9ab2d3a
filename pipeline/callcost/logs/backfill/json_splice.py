"""Put values into the bytes of a JSON record without touching the rest: where a value stands, and what goes there.

Nothing is written again: an absent key is inserted after the last one of its object, a null is replaced at its span,
and whatever is stated stays, byte for byte. JSON kept as text inside a column is spliced inside its quotes. What a
record should be given is for others to say.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from callcost.logs.values.json import Refusal, decode

Additions = Mapping[str | int, Any]  # key, or position in a list -> value, or what goes below it
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]}]+")
_GAP = re.compile(rb"[\s,]*")
_COLON = re.compile(rb"\s*:\s*")
_PIECE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|\\u[0-9a-fA-F]{4}|\\.|[^\\]+", re.DOTALL)
_QUOTE, _OBJECT, _LIST = b'"{['
_OPENERS = (b"{", b"[")


class Edit(NamedTuple):
    """Text that takes the place of a stretch of bytes."""

    start: int
    end: int
    text: bytes


class _Members(NamedTuple):
    """What stands in an object: key -> span of its value; the end of the last; whether keys are followed by a space."""

    spans: dict[str, tuple[int, int]]
    end: int
    spaced: bool


def splice(data: bytes, additions: Additions) -> bytes:
    """Return a record with what it lacks put in.

    Args:
        data: one JSON object.
        additions: key -> value for an absent key or a null; key -> mapping, which goes into the object that stands
            there. What the record states stays.

    Raises:
        Refusal: the record has a key twice where something should go, so that no place is the right one.

    Example:
        >>> splice(b'{"a": null, "b": {"c": 1}}', {"a": 2, "b": {"c": 9, "d": 3}})
        b'{"a": 2, "b": {"c": 1, "d": 3}}'
    """
    return apply_edits(data, list(_edits_of(data, data.index(b"{"), additions)))


def apply_edits(data: bytes, edits: list[Edit]) -> bytes:
    """Return the bytes with edits made; their spans do not overlap."""
    parts, position = [], 0
    for edit in sorted(edits):
        parts += [data[position : edit.start], edit.text]
        position = edit.end
    return b"".join([*parts, data[position:]])


def encode(value: Any, *, spaced: bool = False) -> bytes:
    """Return a value as JSON; a Decimal keeps every digit and has no exponent.

    Args:
        value: scalars and mappings.
        spaced: a space after ":" and ",".
    """
    if isinstance(value, Decimal):
        text = format(value, "f")
        return (text.rstrip("0").rstrip(".") if "." in text else text).encode()
    if isinstance(value, Mapping):
        colon, comma = (b": ", b", ") if spaced else (b":", b",")
        members = (encode(str(key)) + colon + encode(item, spaced=spaced) for key, item in value.items())
        return b"{" + comma.join(members) + b"}"
    return msgspec.json.encode(value)


def _edits_of(data: bytes, start: int, additions: Additions) -> Iterator[Edit]:
    """Yield the edits of the object that begins at ``start``."""
    members = _members_of(data, start)
    absent: dict[str, Any] = {}
    for key, value in additions.items():
        span = members.spans.get(str(key))
        if span is None:
            absent[str(key)] = value
        elif data[span[0] : span[1]] == b"null":
            yield Edit(*span, encode(value, spaced=members.spaced))
        elif isinstance(value, Mapping):
            yield from _edits_below(data, span, value)
    if absent:
        body = encode(absent, spaced=members.spaced)[1:-1]
        comma = (b", " if members.spaced else b",") if members.spans else b""
        yield Edit(members.end, members.end, comma + body)


def _edits_below(data: bytes, span: tuple[int, int], additions: Additions) -> Iterator[Edit]:
    """Yield the edits inside a stated value: an object, elements of a list, or an object kept as text."""
    start, end = span
    kind = data[start]
    if kind == _OBJECT:
        yield from _edits_of(data, start, additions)
    elif kind == _LIST:
        elements = list(_elements_of(data, start))
        for position, below in additions.items():
            if isinstance(position, int) and position < len(elements) and data[elements[position][0]] == _OBJECT:
                yield from _edits_of(data, elements[position][0], below)
    elif kind == _QUOTE:
        yield from _edits_in_text(data[start:end], start, additions)


def _edits_in_text(literal: bytes, offset: int, additions: Additions) -> Iterator[Edit]:
    """Yield the edits of an object that is kept as text: places inside it become places inside the quotes."""
    inner: list[int] = [0]  # where each piece begins in the text, and in the literal
    outer: list[int] = [1]
    for piece in _PIECE.finditer(literal, 1, len(literal) - 1):
        held = piece[0]
        size = len(decode(b'"' + held + b'"').encode()) if held[:1] == b"\\" else len(held)
        inner.append(inner[-1] + size)
        outer.append(piece.end())
    text = decode(literal).encode()
    if inner[-1] != len(text) or not text.lstrip().startswith(b"{"):
        return

    def place(position: int) -> int:
        index = bisect_right(inner, position) - 1
        return offset + outer[index] + (position - inner[index])

    for edit in _edits_of(text, text.index(b"{"), additions):
        yield Edit(place(edit.start), place(edit.end), msgspec.json.encode(edit.text.decode())[1:-1])


def _members_of(data: bytes, start: int) -> _Members:
    spans: dict[str, tuple[int, int]] = {}
    end, position, spaced = start + 1, start + 1, False
    while True:
        position = _end_of(_GAP, data, position)
        name = _STRING.match(data, position)
        if name is None:
            return _Members(spans, end, spaced)
        colon = _COLON.match(data, name.end())
        if colon is None:
            raise Refusal("broken_json", "no colon after a key")
        spaced = spaced or colon[0].endswith(b" ")
        end = position = _value_end(data, colon.end())
        key = decode(name[0])
        if key in spans:
            raise Refusal("broken_json", "a key stands twice")
        spans[key] = (colon.end(), end)


def _elements_of(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    position = _end_of(_GAP, data, start + 1)
    while data[position : position + 1] not in {b"]", b""}:
        end = _value_end(data, position)
        yield position, end
        position = _end_of(_GAP, data, end)


def _end_of(pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
    found = pattern.match(data, position)
    return found.end() if found else position


def _value_end(data: bytes, start: int) -> int:
    """Return where the value that begins at ``start`` ends."""
    if data[start] == _QUOTE:
        return _end_of(_STRING, data, start)
    if data[start : start + 1] not in _OPENERS:
        return _end_of(_SCALAR, data, start)
    depth = 0
    for token in _TOKEN.finditer(data, start):
        byte = token[0]
        if byte in _OPENERS:
            depth += 1
        elif byte in {b"}", b"]"}:
            depth -= 1
            if depth == 0:
                return token.end()
    raise Refusal("broken_json", "a value has no end")
