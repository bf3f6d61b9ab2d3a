"""Envelopes: one JSON value that holds many records, and how to take them out. An envelope itself is no record.

A table of keys: which lists lead to the records, and what an envelope says of all of them. A dialect with an envelope
of its own names it beside its other tables (``Dialect.envelopes``); what any log may be wrapped in stands here.
Containers of bytes (lines, arrays) are in records.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from callcost.logs.values.json import decode_text
from callcost.logs.values.json_path import follow, parse_path
from callcost.logs.values.signatures import Recogniser, Signature, sign

Location = tuple[str | int, ...]
MAX_DEPTH = 8  # of envelopes inside each other
EVERY, KEY = "*", "_key"


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of envelope.

    Attributes:
        signatures: a value that meets one of them is such an envelope.
        rows: keys down to the records, each of a list (of which every item is followed) or of one object, which may
            be JSON as text; EVERY follows all that an object has, by its keys, which the records get as KEY.
        inherits: paths in the objects on the way whose values their records get where they lack them, "id:thread"
            under another name.
        also: further ways down to records.
    """

    signatures: tuple[Signature, ...]
    rows: tuple[str, ...]
    inherits: tuple[str, ...] = ()
    also: tuple[tuple[str, ...], ...] = ()


def envelope(rows: str, *signatures: Signature, inherits: str = "") -> Envelope:
    """Write an envelope in short: the keys down to its records joined by ".", those that they inherit by spaces."""
    return Envelope(signatures=signatures, rows=tuple(rows.split(".")), inherits=tuple(inherits.split()))


class Row(NamedTuple):
    """One record out of an envelope: where it stands, as keys and positions, and what it is."""

    location: Location
    value: Any


def _log_event(key: str, *beside: str) -> Envelope:
    """Return the envelope of a log service's event, whose message is a record as text."""
    return envelope(key, Signature(keys=frozenset([key]), some=frozenset(beside), kinds=(((key,), (str,)),)))


ENVELOPES = (
    # A page of an API's listing; with a model or usage beside it, {"data": ...} may be a body of embeddings.
    envelope(
        "data",
        sign("data", some="has_more total_pages total page page_size next_page first_id", kinds={"data": "array"}),
        sign("data meta", kinds={"data": "array", "meta": "object"}),
        sign("data", none="object model usage created", kinds={"data.0": "object"}),
    ),
    envelope("result", sign("result success", kinds={"result.0": "object"})),  # Cloudflare
    envelope("content", sign("content page size total", kinds={"content.0": "object"})),
    envelope("Items", sign("Items", kinds={"Items.0": "object"})),
    envelope("records", sign("records", kinds={"records.0": "object"})),  # Azure
    envelope("jsonPayload", sign("jsonPayload", kinds={"jsonPayload": "object"})),  # Google
    envelope("logEvents", sign("logEvents", kinds={"logEvents.0": "object"})),  # CloudWatch
    envelope("events", sign("events", kinds={"events.0.message": "text"})),  # its command line
    _log_event("@message"),
    _log_event("message", "@timestamp", "timestamp", "eventId", "ingestionTime", "logStreamName"),
)


class Unwrapper:
    """Take records out of envelopes, also out of envelopes in envelopes.

    Args:
        envelopes: the envelopes of the dialects; they are asked before those of this file.
    """

    def __init__(self, envelopes: Iterable[Envelope]) -> None:
        self._recogniser = Recogniser((kind, kind.signatures) for kind in (*envelopes, *ENVELOPES))

    def unwrap(self, value: dict[str, Any]) -> list[Row] | None:
        """Return the records of an envelope, none where it is empty; None where the value is a record itself."""
        rows = self._open(value)
        return None if rows is None else [inner for row in rows for inner in self._open_all(row, 1)]

    def _open(self, value: Any) -> list[Row] | None:
        kind = self._recogniser.find(value) if type(value) is dict else None
        if kind is None:
            return None
        key = kind.rows[0]
        if type(value.get(key)) is str:
            value = {key: decode_text(value[key])}
            if type(value[key]) is str:
                return None
        return [row for keys in (kind.rows, *kind.also) for row in _rows_of(value, keys, kind.inherits, {}, ())]

    def _open_all(self, row: Row, depth: int) -> Iterator[Row]:
        inner = self._open(row.value) if depth < MAX_DEPTH else None
        if inner is None:
            yield row
            return
        for below in inner:
            yield from self._open_all(Row(row.location + below.location, below.value), depth + 1)


def _rows_of(
    value: Any, keys: tuple[str, ...], inherits: tuple[str, ...], inherited: dict[str, Any], at: Location
) -> Iterator[Row]:
    """Yield the records below a value, with what they inherit from the objects on the way."""
    if type(value) is not dict or not keys:
        yield Row(at, inherited | value if inherited and type(value) is dict else value)
        return
    named = ((name.rpartition(":")[2], follow(value, parse_path(name.partition(":")[0]))) for name in inherits)
    inherited = inherited | {name: stated for name, stated in named if stated is not None}
    if keys[0] == EVERY:
        for key, item in value.items():
            yield from _rows_of(item, keys[1:], inherits, inherited | {KEY: key}, (*at, key))
        return
    below = value.get(keys[0])
    if type(below) is list:
        for position, item in enumerate(below):
            yield from _rows_of(item, keys[1:], inherits, inherited, (*at, keys[0], position))
    elif below is not None:
        yield from _rows_of(below, keys[1:], inherits, inherited, (*at, keys[0]))
