"""What is read of the records of any dialect, learned from a few of them.

The dialect's tables say which places are looked at, and the record reader, asked with one value changed at a time, what
each is for: an id or a name that a column carries as it is, a time, a count, a cost. What has none of these parts is a
word: its value tells classes apart. What nobody looks at is left out; what is said in a chat is nobody's business where
usage is complete, as long as it is of the type that the API's table gives it. Nothing is believed: probe.py reads each
class anew, and a line with a key that no sample had is the record reader's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from callcost.logs.dialects import field_readers
from callcost.logs.record.dialect import COST_COLUMN, TIME_COLUMNS, FieldReader
from callcost.logs.record.origin import ORIGIN
from callcost.logs.record.summed_rows import names_count
from callcost.logs.responses.bodies import ANY_USAGE, APIS, REQUEST_MARKS, REQUEST_TEXTS, USAGE_PATHS, Api, api_of
from callcost.logs.responses.chunk_rows import is_chunk
from callcost.logs.usage.spellings import SHAPES
from callcost.logs.usage.unread import is_usage_like
from callcost.logs.values.json import UNFORESEEN, Refusal
from callcost.logs.values.json_path import Path, follow, parse_path
from callcost.logs.values.signatures import Signature, plain_key
from callcost.logs.values.times import read_time
from callcost.stages.columnar.probe import TEMPLATED, UNSEEN
from callcost.stages.columnar.schema import (
    COST,
    COUNT,
    EPOCH,
    FLAG,
    JSON,
    SIDES,
    TEXT,
    TEXTS,
    TIME,
    UNREAD,
    UNREAD_TYPES,
    WORD,
    Layout,
)
from callcost.stages.columnar.sentinels import PREFIXES
from callcost.tables import USAGE_COUNTS, Call
from callcost.tokens.framing.plain_chat import BODY_KEYS

_PROBED = 3  # records in which a place is tried
_CHUNK_KEYS = (("type",), ("object",), ("done",))  # that tell a chunk of a stream by what stands there
_MARK, _TIME = "\x02probe\x03", "2001-02-03T04:05:06Z"
_LONGEST_LIST = 4
_ID = "provider_response_id"  # whose first letters may say who gave it
_SECONDS = 10**11  # a number below it is an epoch in seconds
_COUNT = re.compile(
    r"token|units$|count$|^(?:input|output|total|prompt|completion|cached|thoughts|tool)", re.IGNORECASE
)


def learn_layout(reader: FieldReader, records: Sequence[dict[str, Any]], *, chats: bool = False) -> Layout | None:
    """Return what is read of a dialect's records; None where they cannot be read by columns.

    Args:
        reader: of the dialect.
        records: some of them.
        chats: whether texts are read, too.
    """
    dialect = reader.dialect
    if not dialect.alone:
        return None
    records = [record for record in records if ORIGIN not in record and not is_chunk(record)]
    known = [(record, call) for record in records if (call := _read(reader, record)) and _is_whole(call, chats=chats)]
    if not known or (dialect.no_counts is not None and any(map(names_count, records))):
        return None
    shells = {path: kind for record in records for path, kind in _shells(reader, record)}
    look = _Looked(reader, [body for record in records for body in _bodies(reader, record)])
    samples, texts = _sampled(records, shells, look)
    unfit = {path for path, kind in shells.items() if path in samples and not _fits(samples[path], kind)}
    roles: dict[Path, str] = {}
    counts: dict[Path, str] = {}
    telling: set[Path] = set()
    for path, value in samples.items():
        if path in shells:
            roles[path], counts[path] = JSON if path in unfit else TEXTS if chats else FLAG, ""
        elif look.is_unread(path, value):
            signed = FLAG if _signed_keys() & {str(path[-1]), plain_key(str(path[-1]))} else UNREAD
            roles[path] = JSON if chats and _counts_for(reader, path) else signed
            shells[path] = UNREAD_TYPES[dialect.no_counts is not None]
        else:
            found = _probes(reader, known, path)
            roles[path], counts[path] = _role(found, path, value, look)
            telling |= {path} if COUNT in {role for role, _ in found} else set()
    roles = {path: WORD if role == JSON and path in texts else role for path, role in _gathered(roles).items()}
    return Layout(
        reader=reader,
        roles=roles,
        counts={path: counts[path] for path, role in roles.items() if role == COUNT},
        strict=True,
        shells=shells,
        samples={path: value for path, value in samples.items() if roles.get(path) in (FLAG, TEXTS)},
        chats=chats,
        telling=frozenset(path for path in roles if path in telling),
        prefixed=frozenset(path for path in roles if counts.get(path) == _ID or _ID in look.columns(path)),
    )


def _fits(value: Any, kind: Any) -> bool:
    """Tell whether a value says what stands at a place: where texts stand, one of their type, else any but null."""
    if kind is None or kind is msgspec.Raw:
        return value is not None
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return value is not None


def _sampled(
    records: Sequence[dict[str, Any]], shells: Mapping[Path, Any], look: _Looked
) -> tuple[dict[Path, Any], set[Path]]:
    """Return what stands at each place of some records, where something does, and where nothing but text does."""
    samples: dict[Path, Any] = {}
    others: set[Path] = set()
    lists = _short_lists(records)
    for record in records:
        for path, value in _places((), record, shells, look, lists):
            if path not in samples or (value is not None and not _fits(samples[path], shells.get(path))):
                samples[path] = value
            if value is not None and type(value) is not str:
                others.add(path)
    return samples, {path for path, value in samples.items() if type(value) is str} - others


def _read(reader: FieldReader, record: dict[str, Any]) -> Call | None:
    try:
        return reader.read(record)
    except (Refusal, *UNFORESEEN):
        return None


def _is_whole(call: Call, *, chats: bool) -> bool:
    usage = call.usage
    sides = () if usage is None else (usage.prompt_tokens, usage.completion_tokens)
    fine = chats if usage is None else None not in sides and not usage.billed_units
    return fine and not call.iterations and not call.flags and bool(call.duplicate_id)


def _counts_for(reader: FieldReader, path: Path) -> bool:
    """Tell whether what stands at a place may say what a text comes to."""
    roots = [root for root in (*reader.request, *reader.response) if path[: len(root)] == root]
    return not BODY_KEYS.isdisjoint(map(str, path[max(map(len, roots), default=0) :]))


def _bodies(reader: FieldReader, record: Mapping[str, Any]) -> Iterator[tuple[Path, Api | None]]:
    """Yield where a record has the body of a response, and whose it is."""
    for path in reader.response:
        body = follow(record, path)
        if body is not None:
            if type(body) is dict:
                yield path, reader.api or api_of(body)
            return


def _shells(reader: FieldReader, record: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield where texts stand in a record, and the type that each must fit."""
    for path, api in _bodies(reader, record):
        yield from (((*path, key), kind) for key, kind in (api.texts if api else {}).items())
    for path in reader.request:
        if type(follow(record, path)) is dict:
            yield from (((*path, key), msgspec.Raw) for key in REQUEST_TEXTS)
    yield from ((parse_path(text), kind) for text, kind in reader.dialect.texts.items())


class _Looked:
    """Which places the record reader may look at, by the tables."""

    def __init__(self, reader: FieldReader, bodies: Sequence[tuple[Path, Api | None]]) -> None:
        dialect = reader.dialect
        tables = (*dialect.fields.items(), *dialect.counts.items())
        paths = {(name, parse_path(text)) for name, texts in tables for text in texts if not text.startswith("@")}
        signed = {*_signed_paths(), *_CHUNK_KEYS}
        for path, api in bodies:
            facts = api.facts if api else {}
            paths |= {("", (*path, *parse_path(text))) for text in (api.reads if api else ())}
            paths |= {(name, (*path, *parse_path(text))) for name, texts in facts.items() for text in texts}
            usage = (*ANY_USAGE, *(USAGE_PATHS[api.endpoint] if api else ()))
            paths |= {("", (*path, *root)) for root in usage if root}
            signed |= {(*path, *key) for key in _API_PATHS}
            if () in usage:
                paths |= {("", (*path, key)) for key in _USAGE_KEYS}
        paths |= {("", parse_path(text)) for text in (*dialect.usage, *dialect.reads) if not text.startswith("@")}
        paths |= {("", (*path, key)) for path in reader.request for key in (*REQUEST_TEXTS, *REQUEST_MARKS)}
        self._columns: dict[Path, set[str]] = {}
        for name, path in paths:
            self._columns.setdefault(path, set()).add(name)
        self._paths = {path for _, path in paths if path} | {(key,) for key in _USAGE_KEYS if "" in dialect.usage}
        self._signed = signed
        self._tops: tuple[Path, ...] = ((), *reader.response)  # where a count of tokens is seen that no table reads
        self._everything = "" in dialect.reads
        self._sums = dialect.no_counts is not None
        self._unread: dict[Path, bool] = {}  # so far: records have the same places

    def is_unread(self, path: Path, value: Any) -> bool:
        """Tell whether nobody looks at a place, nor at anything below it; an object may count the calls of a sum."""
        if self._everything or (self._sums and type(value) is dict):
            return False
        if path not in self._unread:
            names = tuple(map(str, path))
            looked_into = any(names[: len(own)] == own[: len(names)] for own in self._paths)
            signed = any(own[: len(names)] == names for own in self._signed)
            at_top = any(is_usage_like(names[len(root)]) for root in self._tops if names[: len(root)] == root != names)
            self._unread[path] = not (looked_into or signed or at_top)
        return self._unread[path]

    def columns(self, path: Path) -> set[str]:
        """Return the columns that a place is for, by the tables."""
        return self._columns.get(path, set())


@cache
def _signed_paths() -> frozenset[Path]:
    """Return the places whose values tell dialects and envelopes apart."""
    return frozenset(path for own in _signatures() for path, _ in (*own.values, *own.kinds, *own.starts))


def _signatures() -> Iterator[Signature]:
    for reader in field_readers():
        yield from reader.dialect.signatures
        for envelope in reader.dialect.envelopes:
            yield from envelope.signatures


@cache
def _signed_keys() -> frozenset[str]:
    """Return the keys that tell dialects, envelopes and APIs by being there or not."""
    apis = (signature for api in APIS for signature in api.signatures)
    return frozenset(
        key
        for own in (*_signatures(), *apis)
        for key in (*own.keys, *own.some, *own.none, *(path[0] for path, _ in (*own.values, *own.starts)))
    )


_API_PATHS = frozenset(
    path for api in APIS for signature in api.signatures for path, _ in (*signature.values, *signature.kinds)
)
_COUNTS = {
    parse_path(text)[-1]: name for shape in reversed(SHAPES) for name, texts in shape.counts.items() for text in texts
}  # what a count is called by the last key of its path
_USAGE_KEYS = frozenset(
    parse_path(text)[0] for shape in SHAPES for texts in (*shape.counts.values(), *shape.units.values())
    for text in texts
) | frozenset(key for shape in SHAPES for key in (*shape.marks, *shape.words))  # fmt: skip


def _places(
    path: Path, value: Any, shells: Mapping[Path, Any], look: _Looked, lists: frozenset[Path]
) -> Iterator[tuple[Path, Any]]:
    """Yield the places of a record, down to what has no parts or is not looked into, with what stands there."""
    if path and (path in shells or look.is_unread(path, value)):
        yield path, value
    elif type(value) is dict and value:
        for key, below in value.items():
            yield from _places((*path, key), below, shells, look, lists)
    elif type(value) is list and path in lists:
        for number, below in enumerate(value):
            yield from _places((*path, number), below, shells, look, lists)  # type: ignore[arg-type]  # a position in a list is a key, too
    else:
        yield path, value


def _short_lists(records: Sequence[dict[str, Any]]) -> frozenset[Path]:
    """Return where a list has the same few objects with numbers in every record, as counts by modality."""
    found: dict[Path, set[int]] = {}

    def walk(path: Path, value: Any) -> None:
        if type(value) is dict:
            for key, below in value.items():
                walk((*path, key), below)
        if value is not None:
            items = value if type(value) is list else ()
            short = all(type(item) is dict and any(type(one) is int for one in item.values()) for item in items)
            found.setdefault(path, set()).add(len(items) if short else 0)

    for record in records:
        walk((), record)
    return frozenset(path for path, sizes in found.items() if len(sizes) == 1 and 0 < min(sizes) <= _LONGEST_LIST)


def _probes(reader: FieldReader, known: Sequence[tuple[dict[str, Any], Call]], path: Path) -> set[Role]:
    """Return what a place is for in some records that hold something there."""
    held = [(record, call) for record, call in known if follow(record, tuple(map(str, path))) is not None][:_PROBED]
    return {role for record, call in held if (role := _probed(reader, record, call, path))}


def _role(found: set[Role], path: Path, value: Any, look: _Looked) -> Role:
    """Return what a place is for, by what it was found to be for and by the tables."""
    if found and {role for role, _ in found} == {COUNT}:
        parts = {name for _, name in found} - {*SIDES, ""}
        return COUNT, min(parts) if parts else _COUNTS.get(str(path[-1])) or min(found)[1]
    if found and {role for role, _ in found} == {TEXT}:
        return TEXT, max(name for _, name in found)
    if len(found) == 1:
        return found.pop()
    return (JSON, "") if found else _named(path, value, look.columns(path))


def _named(path: Path, value: Any, columns: set[str]) -> Role:
    """Return what a place is for, by its name, where no change there tells: something else goes before it."""
    if columns and columns <= set(TIME_COLUMNS):
        return TIME if type(value) is str else EPOCH, ""
    if columns and columns <= set(TEMPLATED) and type(value) is str:
        return TEXT, ""
    if type(value) is int and columns <= set(USAGE_COUNTS) and _COUNT.search(str(path[-1])):
        return COUNT, _COUNTS.get(str(path[-1]), SIDES[2] if "total" in str(path[-1]).lower() else "")
    return JSON, ""


Role = tuple[str, str]  # what a place is for, and of a count, its name; _ID for the provider's own id


def _probed(reader: FieldReader, record: dict[str, Any], call: Call, path: Path) -> Role | None:
    """Return what a place is for, as a change there tells; None: it tells nothing."""
    value = follow(record, tuple(map(str, path)))
    if value is None:
        return None
    if type(value) is str:
        return _probed_text(reader, record, call, path, value)
    if type(value) is int or type(value) is float:
        return _probed_number(reader, record, call, path, value)
    return JSON, ""


def _changes(
    reader: FieldReader, record: dict[str, Any], call: Call, path: Path, new: Any
) -> tuple[Call | None, set[str]]:
    """Return the call of a record with another value at a place, and what is otherwise in it."""
    other = _read(reader, _with(record, path, new))
    fields = set(call.__struct_fields__) - UNSEEN
    return other, {name for name in fields if other is None or getattr(other, name) != getattr(call, name)}


def _probed_text(reader: FieldReader, record: dict[str, Any], call: Call, path: Path, value: str) -> Role | None:
    other, names = _changes(reader, record, call, path, next(filter(value.startswith, PREFIXES), "") + _MARK)
    if not names:
        return None
    if other is not None and names <= set(TEMPLATED):
        carried = all(_MARK in str(getattr(other, name)) for name in names)
        return TEXT if carried else JSON, _ID if carried and _ID in names else ""
    other, names = _changes(reader, record, call, path, _TIME)
    is_time = read_time(value) is not None and other is not None and names and names <= set(TIME_COLUMNS)
    return (TIME if is_time else JSON), ""


def _probed_number(reader: FieldReader, record: dict[str, Any], call: Call, path: Path, value: float) -> Role | None:
    other, names = _changes(reader, record, call, path, value + 1)
    if not names:
        return None
    if other is not None and other.usage and call.usage and type(value) is int and names <= {"usage", "flags"}:
        if other.usage == call.usage and value:  # all of what it is a part of: it can only be less
            other = _changes(reader, record, call, path, value - 1)[0] or other
        return COUNT, _count_of(call, other, path)
    if other is not None and names <= set(TIME_COLUMNS) and value < _SECONDS:
        return EPOCH, ""
    return (COST if other is not None and names == {COST_COLUMN} else JSON), ""


def _count_of(call: Call, other: Call, path: Path) -> str:
    """Return the name of a count, by what changes with it."""
    names = {name for name in USAGE_COUNTS if getattr(call.usage, name) != getattr(other.usage, name)}
    parts = names - set(SIDES)
    if parts:
        return min(parts, key=len)
    if not names and call.usage != other.usage:  # what is billed beside tokens
        return ""
    if "total" in str(path[-1]).lower() or not names:
        return SIDES[2]
    return next((side for side in SIDES if side in names), SIDES[2])


def _with(record: Any, path: Path, value: Any) -> Any:
    """Return a record with another value at a place."""
    copy: Any = list(record) if type(record) is list else dict(record)
    copy[path[0]] = value if len(path) == 1 else _with(record[path[0]], path[1:], value)
    return copy


def _gathered(roles: Mapping[Path, str]) -> dict[Path, str]:
    """Return places with each object that holds but words as one word."""
    parents = {path[:size] for path in roles for size in range(1, len(path))}
    found = {path: role for path, role in roles.items() if path not in parents}
    for parent in sorted(parents, key=len, reverse=True):
        inner = [path for path in found if path[: len(parent)] == parent]
        if inner and all(found[path] == JSON for path in inner):
            found = {path: role for path, role in found.items() if path not in inner} | {parent: JSON}
    for whole in {path[:-1] for path in found if isinstance(path[-1], int)}:  # a list of more than objects
        found = {path: role for path, role in found.items() if path[: len(whole)] != whole} | {whole: JSON}
    return found
