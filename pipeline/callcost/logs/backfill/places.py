"""Where a dialect keeps what a record of it lacks: the places for counts and cost, the dialect's own first.

A place is an addition for json_splice.py. Several are offered, best first, and the ``callcost`` object takes what no
other place can; whoever fills reads the filled record again and takes the first that says the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from callcost.logs.dialects import field_readers, unwrapper
from callcost.logs.io.records import Raw, split_values
from callcost.logs.record.dialect import Dialect
from callcost.logs.record.envelopes import Location, Row
from callcost.logs.record.origin import ORIGIN, SIDES, USAGE
from callcost.logs.record.stated_usage import OWN_COUNTS
from callcost.logs.record_reader import RecordReader
from callcost.logs.responses.bodies import ANY_USAGE, USAGE_PATHS
from callcost.logs.responses.chunk_rows import is_chunk
from callcost.logs.usage.spellings import SHAPES, Shape
from callcost.logs.usage.usage import shape_of
from callcost.logs.values.json import Refusal, decode, decode_text
from callcost.logs.values.json_path import Path, follow, parse_paths
from callcost.tables import Call

COST_FIELDS = {"litellm_standard": "response_cost", "litellm_spend": "spend"}
_SHAPES = {shape.name: shape for shape in SHAPES}
_SAME_NAMES = ("anthropic", "gemini", "bedrock_converse", "bedrock_invoke", "ollama")  # of an endpoint and its spelling
_SPELLINGS = {"responses": "anthropic"} | {name: name for name in _SAME_NAMES}
_RESPONSE = "@"
_MAX_PLACES = 4  # tried before the callcost object takes the counts


class Target(NamedTuple):
    """A record that is a call and has no callcost object yet.

    Attributes:
        raw: the bytes it stands in.
        location: () where it is the whole of them; where they are an envelope, the keys and positions that lead to it.
        number: position of the record in its envelope, from 0.
        record: decoded.
        call: the call as it was read.
    """

    raw: Raw
    location: Location
    number: int
    record: Mapping[str, Any]
    call: Call


def targets_of(raw: Raw, reader: RecordReader) -> list[Target | Call]:
    """Return the calls of one record as bytes; one that no place of it can be given to (a stream's) as it is."""
    try:
        value = decode(raw.data)
    except Refusal:
        return [target for part in split_values(raw) for target in targets_of(part, reader)]
    if type(value) is not dict:
        return []
    unwrapped = unwrapper().unwrap(value)
    rows = [Row((), value)] if unwrapped is None else unwrapped
    outcomes = reader.read(raw)
    if len(outcomes) != len(rows) or any(is_chunk(row.value) for row in rows):
        return [outcome for outcome in outcomes if isinstance(outcome, Call)]
    return [
        Target(raw, row.location, number, row.value, outcome)
        for number, (row, outcome) in enumerate(zip(rows, outcomes, strict=True))
        if isinstance(outcome, Call) and ORIGIN not in row.value
    ]


def usage_places(record: Mapping[str, Any], call: Call, counted: Mapping[str, int]) -> list[dict[str | int, Any]]:
    """Return additions that hold counts, the best place first, the callcost object last.

    Args:
        record: decoded.
        call: read from it.
        counted: canonical name -> count, of what it does not state.
    """
    names = {paths[0]: counted[name] for name, paths in _dialect_of(call).counts.items() if name in counted}
    flat: dict[str | int, Any] = {name: count for name, count in names.items() if record.get(name, 0) is None}
    places = [flat | put_below(path, _spell(shape, counted)) for path, shape in _own_places(record, call)]
    return [*places[:_MAX_PLACES], {ORIGIN: {USAGE: dict(counted)}}]


def flat_places(record: Mapping[str, Any], call: Call, counted: Mapping[str, int]) -> list[dict[str | int, Any]]:
    """Return additions for a row of a table: columns of its own for the counts, else the callcost object."""
    fields = _dialect_of(call).counts
    own: dict[str | int, Any] = {fields.get(name, (name,))[0]: count for name, count in counted.items()}
    fits = all(name in record and record[str(name)] is None for name in own)
    return [*([own] if fits else []), {ORIGIN: {USAGE: dict(counted)}}]


def put_below(path: tuple[str | int, ...], value: dict[str | int, Any]) -> dict[str | int, Any]:
    """Return an addition that goes in at a path."""
    for key in reversed(path):
        value = {key: value}
    return value


def _own_places(record: Mapping[str, Any], call: Call) -> Iterator[tuple[Path, Shape]]:
    """Yield where this dialect keeps usage: objects that are there already, then where one may be made."""
    paths = [path for path in _usage_paths(record, call) if type(_follow(record, path[:-1])) is dict]
    for path in paths:
        shape = shape_of(_follow(record, path))
        if shape is not None and path:
            yield path, shape.shape
    default = _SHAPES[_SPELLINGS.get(call.endpoint or "", "openai_chat")]
    for path in paths:
        if not _follow(record, path):
            yield path, _SHAPES["openai_chat"] if call.family == "litellm" else default
    if all(name in _dialect_of(call).counts.get(name, ()) for name in SIDES):
        yield (), _SHAPES["openai_chat"]


def _usage_paths(record: Mapping[str, Any], call: Call) -> Iterator[Path]:
    dialect = _dialect_of(call)
    if OWN_COUNTS in dialect.usage:
        return  # what it reads is laid out anew, and stands nowhere in the record
    for path in parse_paths(dialect.usage):
        if path[:1] != (_RESPONSE,):
            yield path
            continue
        for body in parse_paths(dialect.response):
            if type(_follow(record, body)) is dict:
                for place in USAGE_PATHS.get(call.endpoint, ANY_USAGE)[:1]:
                    yield (*body, *place)


def _dialect_of(call: Call) -> Dialect:
    """Return the dialect of a call; one that says nothing for a mapping file of the user's own."""
    known = (reader.dialect for reader in field_readers() if reader.dialect.name == call.source_format)
    return next(known, Dialect(name=call.source_format))


def _follow(record: Mapping[str, Any], path: Path) -> Any:
    """Return what stands at a path, also inside JSON kept as text."""
    value: Any = record
    for key in path:
        value = follow(decode_text(value), (key,))
    return decode_text(value)


def _spell(shape: Shape, counted: Mapping[str, int]) -> dict[str | int, Any]:
    """Return counts in a shape's spelling; what it has no word for is left out."""
    return {shape.counts[name][0]: count for name, count in counted.items() if name in shape.counts}
