"""Records in which something odd stands at any place: a key that some table knows, or one like it, with any JSON value.

Also what JSON allows and few write: a key twice, keys with escapes, numbers as -0, 1e3 or 7.0.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from callcost.logs.dialects import field_readers
from callcost.logs.record.stated_usage import USAGE_PLACES
from callcost.logs.responses.bodies import APIS, EFFORT_PATHS, REQUEST_TEXTS
from callcost.logs.usage.spellings import SHAPES
from callcost.logs.usage.unread import NOTED
from callcost.logs.values.json_path import parse_path
from callcost.logs.values.signatures import Signature
from tests.laws.records import Draw, Record

Keys = tuple[str | int, ...]


class Spelled(str):
    """A number as it is spelled."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """An object whose keys may be there twice."""

    __slots__ = ()


def _signed(signature: Signature) -> Iterator[Keys]:
    yield from ((key,) for key in (*signature.keys, *signature.some, *signature.none))
    yield from (path for path, _ in (*signature.values, *signature.kinds, *signature.starts))


def _known() -> Iterator[Keys]:
    """Yield every path that a table reads, or tells records by."""
    texts = [*USAGE_PLACES, *EFFORT_PATHS, *REQUEST_TEXTS]
    for dialect in (reader.dialect for reader in field_readers()):
        tables = (*dialect.fields.values(), *dialect.counts.values(), dialect.usage, dialect.reads, dialect.request)
        texts += [text for table in (*tables, dialect.response, dialect.texts, dialect.noted) for text in table]
        inside = (signature for envelope in dialect.envelopes for signature in envelope.signatures)
        for signature in (*dialect.signatures, *inside):
            yield from _signed(signature)
    for api in APIS:
        texts += [text for table in (*api.facts.values(), api.usage, api.reads, api.texts) for text in table]
        for signature in (*api.signatures, *api.bare):
            yield from _signed(signature)
    for shape in SHAPES:
        tables = (*shape.counts.values(), *shape.units.values(), shape.marks, shape.words, shape.extra_prompt)
        texts += [text for table in (*tables, shape.noted, [one.path for one in shape.lists]) for text in table]
    yield from (parse_path(text) for text in texts if text and not text.startswith(("@", "#")))


PATHS = sorted({tuple(map(str, path)) for path in _known()})
_OWN = ("foo_tokens", "usage_of_us", "fooTokens", "costs_of_us", "requests", "max_tokens", "x", "", "callcost")
_NAMES = sorted({*(key for path in PATHS for key in path), *NOTED, *_OWN})
_LIKE = [name for name in _NAMES if any(word in name.lower() for word in ("token", "usage", "cost", "count", "cache"))]
KEYS = st.sampled_from(_LIKE) | st.sampled_from(_NAMES)
_SPELLED = ("-0", "-0.0", "1e3", "7E0", "7.000", "1e-400", "1e400", "0e5", "1" + "0" * 22, "7.0000000000000000000001")
_SCALARS: tuple[Any, ...] = (
    0, 1, 7, 1000, 10**6, 0, 7, 10**12, 10**12 + 1, 10**20, -1, 1.5, 7.0, -0.0, 1e300, None, True, False, "", "7", "0",
    "1,000", " 7 ", "7.0", "1e3", "x", "[]", '{"total_tokens": 7}', "Hi", "gpt-4o", "2026-03-01T00:00:00Z", "error",
    500, "message", "assistant", "user", "batch", *map(Spelled, _SPELLED),
)  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(_SCALARS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)
WAYS = ("key", "key", "key", "path", "path", "value", "spelled", "twice", "gone", "wrapped", "text")


@st.composite
def odd_lines(draw: Draw, write: Callable[[int, Draw], Record]) -> list[bytes]:
    """Draw the lines of a log of a dialect; the same few things are otherwise in some of its records."""
    records: list[Any] = [write(number, draw) for number in range(draw(st.integers(3, 12)))]
    first = draw(st.sampled_from((0, 0, 4)))  # that may be otherwise
    for _ in range(draw(st.integers(1, 2))):
        sample = draw(st.sampled_from(records))
        places = [path for path in _places(sample, ()) if path]
        place, way, key = draw(st.sampled_from(places)), draw(st.sampled_from(WAYS)), draw(KEYS)
        holder = draw(st.sampled_from([(), *(path for path in places if type(_at(sample, path)) is dict)]))
        path, values = draw(st.sampled_from(PATHS)), draw(st.lists(VALUES, min_size=1, max_size=3))
        for number in range(first, len(records)):
            if draw(st.booleans()):
                value = copy.deepcopy(draw(st.sampled_from(values)))
                added = (key,) if way == "key" else path
                at = (*holder, *added) if way in ("key", "path") else (*holder, key) if way == "twice" else place
                records[number] = _changed(records[number], at, way, value)
    return [_spelled(record, escaped=draw(st.integers(0, 9)) == 0).encode() for record in records]


def _changed(record: Any, place: Keys, way: str, value: Any) -> Any:
    """Return a record with a place otherwise; as it is where it has no such place."""
    found = copy.deepcopy(record)
    above = found
    try:
        for key in place[:-1]:
            if type(above) is dict and type(key) is int:  # an element of a list that is an object here
                return record
            if way == "path" and type(above) is dict and type(above.get(key)) is not dict:
                above[key] = {}
            above = above[key]
        if type(above) is Pairs or (way in ("key", "path", "twice") and type(above) is not dict):
            return record
        if type(above) is dict and type(place[-1]) is int:
            return record
        if way == "twice":
            above[place[-1]] = Pairs([("x", 1), (str(place[-1]), value), (str(place[-1]), 7)])
        elif way == "gone":
            del above[place[-1]]
        else:
            above[place[-1]] = value if way in ("key", "path", "value") else _otherwise(above[place[-1]], way)
    except (LookupError, TypeError):
        return record
    return found


def _otherwise(value: Any, way: str) -> Any:
    if way == "wrapped":
        return [value]
    if way == "text":
        return _spelled(value)
    return Spelled(f"{value}.0") if type(value) is int else str(value) if type(value) is float else value


def _places(value: Any, path: Keys) -> Iterator[Keys]:
    yield path
    items = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()
    for key, below in items:
        yield from _places(below, (*path, key))


def _at(value: Any, path: Keys) -> Any:
    for key in path:
        value = value[key]
    return value


def _spelled(value: Any, *, escaped: bool = False) -> str:
    """Return JSON; with an escape in each key or not."""
    if type(value) is Spelled:
        return str(value)
    if isinstance(value, dict | Pairs):
        pairs = value.items() if isinstance(value, dict) else value
        inside = (f"{_key(key, escaped=escaped)}: {_spelled(item, escaped=escaped)}" for key, item in pairs)
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_spelled(item, escaped=escaped) for item in value)}]"
    return json.dumps(value)


def _key(key: str, *, escaped: bool) -> str:
    return f'"\\u{ord(key[0]):04x}{json.dumps(key[1:])[1:]}' if escaped and key else json.dumps(key)
