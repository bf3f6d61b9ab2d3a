"""YAML cassettes to records: every recorded interaction of VCR, in Python's or Ruby's spelling, as JSON.

An interaction is found by the dash that it begins with, so that only one is held at a time and a broken one costs
itself. YAML's events become JSON text directly: nothing is constructed, no tag is obeyed, numbers keep their digits,
depth and size are bounded (PyYAML's own loader ends the process on deep nesting). Bytes that are no text become
{"base64": ...}. Other YAML is no log.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml

from callcost.logs.io.records import BOM, MAX_RECORD, Raw, open_blocks, read_values, too_long
from callcost.logs.io.sniff import INTERACTIONS
from callcost.logs.values.json import MAX_DEPTH, Refusal
from callcost.tables import Reject

_INTERACTIONS = re.compile(INTERACTIONS)
_DASH = re.compile(rb" *-(?:\s|$)")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+(?:[eE][+-]\d+)?)?")  # YAML 1.1's: else it is text
_WORDS = {"": b"null", "~": b"null"} | {
    spelling: word.encode() for word in ("null", "true", "false") for spelling in (word, word.title(), word.upper())
}
_BINARY = "tag:yaml.org,2002:binary"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's parser, where PyYAML was built with it


def read_cassette(blocks: Iterable[bytes], longest: int | None = None) -> Iterator[Raw | Reject]:
    """Yield the interactions of a cassette as JSON objects.

    Args:
        blocks: the whole file, in pieces of any size.
        longest: bytes that a record may have; None: MAX_RECORD.
    """
    anchors = _Anchors(longest or MAX_RECORD)
    row = 0
    for offset, text in _interactions(blocks, anchors.longest):
        try:
            values = read_values([_json_of(text, anchors)], anchors.longest)
            found = [value for value in values if isinstance(value, Raw)]
        except Refusal as refusal:
            row += 1
            yield Reject(reason=refusal.reason, detail=refusal.detail, source_row=row, byte_offset=offset)
            continue
        for value in found:
            row += 1
            yield Raw(row, offset, value.data)


class _Anchors:
    """What a file has named, to be repeated; what there is no room for is not kept."""

    def __init__(self, longest: int) -> None:
        self.texts: dict[str, bytes] = {}
        self.longest = self._room = longest

    def keep(self, name: str, text: bytes) -> None:
        if len(text) <= self._room:
            self._room -= len(text)
            self.texts[name] = text


class _Interaction:
    """The text of one interaction while it is read; only its length counts once it is too long."""

    def __init__(self, offset: int, longest: int) -> None:
        self.offset, self._longest = offset, longest
        self.size = 0
        self._lines: list[bytes] = []

    def add(self, line: bytes) -> None:
        self.size += len(line)
        if self.size <= self._longest:
            self._lines.append(line)
        else:
            self._lines.clear()

    def take(self) -> Iterator[tuple[int, bytes]]:
        """Yield where it begins and its text, unless there is none; b"" if it is too long."""
        if self.size:
            yield self.offset, b"".join(self._lines)


def _interactions(blocks: Iterable[bytes], longest: int) -> Iterator[tuple[int, bytes]]:
    indent: int | None = None  # of the dashes; -1: the first is to come; None: not among interactions
    one = _Interaction(0, longest)
    for offset, line, begun in _lines(blocks, longest):
        deep = len(line) - len(line.lstrip(b" "))
        if begun:
            one.add(line)
            continue
        if indent is not None and _DASH.match(line) and indent in {-1, deep}:
            yield from one.take()
            one, indent = _Interaction(offset, longest), deep
        elif indent is not None and deep <= indent and line.strip() and not line.lstrip().startswith(b"#"):
            yield from one.take()
            one, indent = _Interaction(offset, longest), None
        if indent is None:
            found = _INTERACTIONS.match(line)
            if found and found[1]:
                yield offset, found[1]
            elif found:
                indent = -1
        elif indent >= 0:
            one.add(line)
    yield from one.take()


def _lines(blocks: Iterable[bytes], longest: int) -> Iterator[tuple[int, bytes, bool]]:
    """Yield each line, where it begins, and whether it is the rest of one that is too long to be read at once."""
    stream, offset, begun = open_blocks(blocks), 0, False
    while line := stream.readline(longest):
        yield offset, line if offset else line.removeprefix(BOM), begun
        offset += len(line)
        begun = not line.endswith(b"\n")


def _json_of(text: bytes, anchors: _Anchors) -> bytes:
    """Return YAML as JSON.

    Args:
        text: one document.
        anchors: what earlier documents of the file named, to be repeated; what this one names is added.

    Raises:
        Refusal: it is no YAML, nests too deeply or is too long.
    """
    if not text:
        raise _too_long(anchors)
    writer = _Writer(anchors)
    loader = _Loader(text)
    try:
        while not writer.take(loader.get_event()):
            pass
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1} of the interaction" if mark else ""
        is_utf8 = text.decode(errors="ignore").encode() == text
        raise Refusal("broken_yaml" if is_utf8 else "invalid_utf8", place) from None
    finally:
        loader.dispose()
    return b"".join(writer.parts)


def _too_long(anchors: _Anchors) -> Refusal:
    return Refusal("line_too_long", too_long(0, 0, anchors.longest).detail)


class _Writer:
    """YAML's events in, the parts of a JSON text out."""

    def __init__(self, anchors: _Anchors) -> None:
        self.parts: list[bytes] = []
        self._anchors = anchors
        self._open: list[_Node] = []
        self._bytes = 0

    def take(self, event: Any) -> bool:
        """Take the next event; tell whether the document is over."""
        if isinstance(event, yaml.ScalarEvent):
            self._put(_scalar_of(event, is_key=self._wants_key()), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._put(self._anchors.texts.get(event.anchor, b"null"), None)
        elif isinstance(event, yaml.CollectionStartEvent):
            if self._wants_key():
                raise Refusal("broken_yaml", "a key that is no text")
            if len(self._open) >= MAX_DEPTH:
                raise Refusal("too_deep", f"more than {MAX_DEPTH} levels")
            opening, closing = (b"{", b"}") if isinstance(event, yaml.MappingStartEvent) else (b"[", b"]")
            self._separate()
            self._open.append(_Node(closing, len(self.parts), event.anchor))
            self._add(opening)
        elif isinstance(event, yaml.CollectionEndEvent):
            node = self._open.pop()
            self._add(node.closing)
            self._name(node.anchor, node.start)
        return isinstance(event, yaml.DocumentEndEvent | yaml.StreamEndEvent)

    def _wants_key(self) -> bool:
        return bool(self._open) and self._open[-1].closing == b"}" and self._open[-1].members % 2 == 0

    def _separate(self) -> None:
        """Write what parts a member from the one before."""
        if self._open:
            node = self._open[-1]
            if node.members:
                self._add(b":" if node.closing == b"}" and node.members % 2 else b",")
            node.members += 1

    def _put(self, text: bytes, anchor: str | None) -> None:
        self._separate()
        self._add(text)
        self._name(anchor, len(self.parts) - 1)

    def _add(self, text: bytes) -> None:
        self._bytes += len(text)
        if self._bytes > self._anchors.longest:
            raise _too_long(self._anchors)
        self.parts.append(text)

    def _name(self, anchor: str | None, start: int) -> None:
        if anchor is not None:
            self._anchors.keep(anchor, b"".join(self.parts[start:]))


@dataclass(slots=True)
class _Node:
    """A mapping or a sequence that is being written."""

    closing: bytes
    start: int
    anchor: str | None
    members: int = 0


def _scalar_of(event: Any, *, is_key: bool) -> bytes:
    text: str = event.value
    if event.tag == _BINARY:
        return b"null" if is_key else _binary_of(text)
    if event.implicit[0] and not is_key:
        if text in _WORDS:
            return _WORDS[text]
        if _NUMBER.fullmatch(text):
            return text.encode()
    return msgspec.json.encode(text)


def _binary_of(text: str) -> bytes:
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b"null"
    try:
        return msgspec.json.encode(data.decode())
    except UnicodeDecodeError:
        return msgspec.json.encode({"base64": base64.b64encode(data).decode()})
