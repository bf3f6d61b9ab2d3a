"""Chats whose usage is missing, by columns: their texts out of JSON, without an object per chat.

What is left of a chat without its texts is its shape. What a shape comes to is asked once (probe.py), with a
placeholder for each text. A text that settles more than its own tokens is for the record reader.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec

from callcost.logs.dialects.litellm import STRIPPED
from callcost.logs.tracing.conversations import REDACTED
from callcost.logs.values.json import decode
from callcost.logs.values.json_path import Path
from callcost.stages.columnar.schema import UNDECODABLE
from callcost.stages.tables.plain_chats import Texts
from callcost.tokens.framing.plain_chat import PLACEHOLDER

_CHUNK = 256  # values that are decoded together, and one by one where one of them is odd
_LONGEST = 1 << 18  # bytes of what stands at a place; more may be items that have a deadline
_SPOKEN = re.compile(rb'((?<!\\)"(?:content|text)"\s*:\s*")(?!")([^"\\]*(?:\\.[^"\\]*)*)(?=")', re.DOTALL)
_WHOLE, _QUOTED, _ODD = b"T", b"J", b"?"  # of a shape: a text and nothing else, JSON as text, for the record reader
_BODIES = ("{", "[", '"', "data:", "event:")  # how texts begin that may be read as something else
_TOOL = b"tool"  # results of tools are looked into
_strings = msgspec.json.Decoder(list[str])
_any = msgspec.json.Decoder()

_Left = bytes | tuple[str, ...]  # of a value without its texts: JSON, of plain messages the roles
_Place = tuple[_Left, list[str]]
Shape = tuple[tuple[Path, _Left], ...]  # what each place holds, without its texts
Raws = Mapping[Path, Sequence[Any]]


class _Message(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, msgspec.Meta(min_length=1)]


_messages = msgspec.json.Decoder(Annotated[list[_Message], msgspec.Meta(min_length=1)])
_role, _content = attrgetter("role"), attrgetter("content")


def misfits(values: Sequence[Any], kind: Any) -> list[int]:
    """Return the positions of values, as JSON, that are not of a type; one that is not there is of any."""
    decoder, found = msgspec.json.Decoder(kind), []
    for first in range(0, len(values), _CHUNK):
        chunk = [bytes(value) if value is not msgspec.UNSET else b"" for value in values[first : first + _CHUNK]]
        try:
            decoder.decode_lines(b"\n".join(chunk))
        except UNDECODABLE:
            found += [first + place for place, data in enumerate(chunk) if data and not _is_of(decoder, data)]
    return found


def _is_of(decoder: Any, data: bytes) -> bool:
    try:
        decoder.decode(data)
    except UNDECODABLE:
        return False
    return True


def take_texts(raws: Raws, rows: Sequence[int]) -> tuple[list[Shape | None], Texts]:
    """Take the texts out of some rows.

    Args:
        raws: place -> of each row the JSON that stands there.
        rows: which of them.

    Returns:
        Of each row its shape, None where it is for the record reader, and the texts.
    """
    shapes: list[Shape | None] = []
    found = Texts([], [])
    known: dict[Shape, Shape] = {}
    columns = [_taken([values[row] for row in rows]) for values in raws.values()]
    for places in zip(*columns, strict=True):
        shape = tuple((path, place[0]) for path, place in zip(raws, places, strict=True) if place is not None)
        texts = [text for place in places if place is not None for text in place[1]]
        fine = known.get(shape) or (_ODD not in dict(shape).values() and shape)
        if fine and not _settle_more(shape, texts):
            shapes.append(known.setdefault(shape, shape))
        else:
            shapes.append(None)
            texts = []
        found.lengths.append(len(texts))
        found.texts.extend(texts)
    return shapes, found


def _settle_more(shape: Shape, texts: Sequence[str]) -> bool:
    """Tell whether a text says more than its own words: that it was taken out, or what a tool returned."""
    if REDACTED in texts or STRIPPED in "".join(texts):
        return True
    looked_into = any(type(left) is bytes and _TOOL in left for _, left in shape)
    return looked_into and any(text.lstrip().startswith(_BODIES) for text in texts)


def _taken(values: Sequence[Any]) -> list[_Place | None]:
    """Return what is left of each value, and its texts; None: nothing stands there."""
    found: list[_Place | None] = []
    for first in range(0, len(values), _CHUNK):
        chunk = values[first : first + _CHUNK]
        found += _plain(chunk) or [None if value is msgspec.UNSET else _taken_apart(bytes(value)) for value in chunk]
    return found


def _plain(values: Sequence[Any]) -> list[_Place]:
    """Return the roles and texts of messages that are nothing else; none where a value is not."""
    datas = [bytes(value) for value in values if value is not msgspec.UNSET]
    if len(datas) < len(values) or max(map(len, datas)) > _LONGEST:
        return []
    try:
        found: list[list[_Message]] = _messages.decode_lines(b"\n".join(datas))
    except UNDECODABLE:
        return []
    return [(tuple(map(_role, one)), list(map(_content, one))) for one in found] if len(found) == len(datas) else []


def _taken_apart(data: bytes) -> _Place:
    if len(data) > _LONGEST:
        return _ODD, []
    mark = b""
    try:
        if data[:1] == b'"' and data != b'""':
            text = str(_any.decode(data))
            if text.strip() and not text.lstrip().startswith(_BODIES):
                return _WHOLE, [text]
            mark, data = _QUOTED, text.strip().encode()
            _any.decode(data)
        pieces = _SPOKEN.split(data)
        texts: list[str] = _strings.decode(b'["' + b'","'.join(pieces[2::3]) + b'"]') if len(pieces) > 1 else []
    except UNDECODABLE:
        return _ODD, []
    del pieces[2::3]
    return mark + b"\0".join(pieces), texts


def fill_shape(shape: Shape) -> tuple[dict[Path, Any], list[str]]:
    """Return what stands at the places of a shape with a placeholder for each text, and the placeholders.

    Raises:
        Refusal: it is no JSON that the record reader takes.
    """
    values: dict[Path, Any] = {}
    placeholders: list[str] = []

    def next_one() -> str:
        placeholders.append(PLACEHOLDER.format(len(placeholders)))
        return placeholders[-1]

    for path, left in shape:
        if left == _WHOLE:
            values[path] = next_one()
            continue
        if isinstance(left, tuple):
            values[path] = [{"role": role, "content": next_one()} for role in left]
            continue
        quoted = left[:1] == _QUOTED
        pieces = left[quoted:].split(b"\0")
        heads = [piece + json.dumps(next_one())[1:-1].encode() for piece in pieces[1::2]]
        whole = b"".join(piece for pair in zip(pieces[::2], [*heads, b""], strict=True) for piece in pair)
        values[path] = whole.decode() if quoted else decode(whole)
    return values, placeholders
