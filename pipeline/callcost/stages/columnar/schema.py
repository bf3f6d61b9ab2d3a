"""Which leaves of a record a dialect's table reads, and the type that a line is decoded into so as to read only those.

The leaves come from the dialect's own field table, the tables of usage and the facts of a chat body. What a line may
not hold for its dialect to be sure (another dialect's keys, a body of another API, a usage of another shape) stands in
the type as what never fits, so that such a line does not decode and goes to the record reader. What leaves mean is not
known here: probe.py asks the record reader.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import takewhile
from typing import Annotated, Any, NamedTuple

import msgspec

from callcost.logs.dialects import field_reader, field_readers
from callcost.logs.record.dialect import COST_COLUMN, TIME_COLUMNS, Dialect, FieldReader
from callcost.logs.record.origin import ORIGIN
from callcost.logs.responses.bodies import APIS, ENDPOINTS, USAGE_PATHS
from callcost.logs.usage.spellings import SHAPES
from callcost.logs.values.json_path import FACTS, Path, parse_path
from callcost.tables import MAX_COUNT
from callcost.tokens.framing.plain_chat import MORE_ANSWER, READ_FIELDS

WORD, TEXT, COUNT, TIME, COST, NOTHING, NEVER = "word", "text", "count", "time", "cost", "nothing", "never"
JSON, EPOCH, FLAG = "json", "epoch", "flag"
UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
ASKED, ANSWERED = "asked", "answered"  # messages and choices with their texts, where usage is missing
SIDES = ("prompt_tokens", "completion_tokens", "total_tokens")
# Columns that are carried from the record to the fact as they are, whatever else the record says.
CARRIED = frozenset(
    ("own_id", "duplicate_id", "provider_response_id", "user", "end_user", "team", "api_key", "org", "project",
     "session")
)  # fmt: skip
# Read by the dialect's ``settle`` only for calls that are never in a class (hits of a cache).
_UNREAD = frozenset(("litellm_call_id",))
LANES = ("litellm_spend", "litellm_standard")  # whose settle looks at no more than what is declared here
_CHUNK_OR_PAGE = ("type", "object", "done", "data", ORIGIN)  # what the record reader asks before the dialect
_DERIVED = frozenset(("cache_write_5m_tokens", "cache_write_1h_tokens"))  # others are added up from them
_BODY, _CHOICES = "response", "choices"
_MESSAGES, _SETTINGS = "messages", "model_parameters"  # the request of the dialects of LANES
_OF_CHATS = frozenset(("object", _CHOICES, "usage"))


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where counts stand together: a usage object, or the record itself.

    Attributes:
        root: of the usage object; (): the dialect's own counts.
        counts: canonical count -> paths in the record, the first that is stated wins.
    """

    root: Path
    counts: Mapping[str, tuple[Path, ...]]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Leaves:
    """What a dialect's table reads.

    Attributes:
        reader: of the dialect.
        roles: path -> what stands there.
        columns: carried column, time or cost -> paths, the first that is something wins.
        places: of usage, in the order in which they are asked.
        required: first-level keys by which the dialect is recognised.
        talking: whether texts are read, too, of plain chats whose usage is missing.
    """

    reader: FieldReader
    roles: Mapping[Path, str]
    columns: Mapping[str, tuple[Path, ...]]
    places: tuple[Place, ...]
    required: frozenset[str]
    talking: bool = False


@cache
def leaves_of(name: str, *, talking: bool = False) -> Leaves:
    """Return the leaves of a dialect of LANES.

    Args:
        name: of the dialect.
        talking: whether texts are read, too.
    """
    reader = field_reader(name)
    dialect = reader.dialect
    roles: dict[Path, str] = {}
    columns: dict[str, tuple[Path, ...]] = {}
    for column, texts in dialect.fields.items():
        if column in _UNREAD:
            continue
        paths = tuple(path for text in texts for path in _resolved(text))
        role = _role_of(column)
        if role != WORD:
            columns[column] = paths
        for path in paths:
            roles[path] = WORD if WORD in (role, roles.get(path)) else role
    roles[_BODY, "object"] = WORD
    if talking:
        roles[(_MESSAGES,)] = ASKED
        roles |= dict.fromkeys(((_SETTINGS, key) for key in sorted({*READ_FIELDS, "contents"})), NOTHING)
        roles |= dict.fromkeys(((_BODY, key) for key in sorted(MORE_ANSWER)), NOTHING)
    places = tuple(_places(dialect))
    for place in places:
        roles |= {path: COUNT for paths in place.counts.values() for path in paths}
    required = dialect.signatures[0].keys
    for path in _unwelcome(dialect, places):
        roles.setdefault(path, NOTHING)
    held = frozenset(path[0] for path in roles)
    never = [(key,) for key in _of_others(reader, required, held)] + [(_BODY, key) for key in _of_other_apis()]
    for path in never:
        roles.setdefault(path, NEVER)
    return Leaves(reader, roles, columns, places, required, talking)


def _role_of(column: str) -> str:
    if column in TIME_COLUMNS:
        return TIME
    return COST if column == COST_COLUMN else TEXT if column in CARRIED else WORD


def _resolved(text: str) -> list[Path]:
    """Return the paths in the record that a path of the table means; of bodies, those of a chat."""
    path = parse_path(text)
    if path[:1] != (FACTS,):
        return [path]
    return [(_BODY, *parse_path(place)) for place in ENDPOINTS["chat"].facts.get(path[1], ())]


def _places(dialect: Dialect) -> Iterable[Place]:
    shape = SHAPES[0]
    for text in dialect.usage:
        root = (_BODY, *USAGE_PATHS["chat"][0]) if text == FACTS else parse_path(text)
        yield Place(root, _paths_below(root, shape.counts))
    if dialect.counts:
        yield Place((), _paths_below((), dialect.counts))


def _paths_below(root: Path, table: Mapping[str, Sequence[str]]) -> dict[str, tuple[Path, ...]]:
    return {
        name: tuple((*root, *parse_path(text)) for text in texts)
        for name, texts in table.items()
        if name not in _DERIVED
    }


def _unwelcome(dialect: Dialect, places: Iterable[Place]) -> Iterable[Path]:
    """Return where something would change what the counts mean."""
    for place in places:
        tables = [dialect.counts] if not place.root else [SHAPES[0].counts, SHAPES[0].units]
        for table in tables:
            for texts in table.values():
                yield from ((*place.root, *parse_path(text)) for text in texts)
        if place.root:
            yield (*place.root, "iterations")
    yield from ((_BODY, *path) for path in USAGE_PATHS["chat"][1:])


def _of_others(own: FieldReader, required: frozenset[str], held: frozenset[str]) -> frozenset[str]:
    """Return keys without which no dialect that is asked earlier recognises a record that has the required ones.

    Args:
        own: the dialect.
        required: keys that every record has.
        held: keys that a record may have.
    """
    found = set(_CHUNK_OR_PAGE)
    for reader in takewhile(lambda reader: reader is not own, field_readers()):
        for signature in reader.dialect.signatures:
            wanted = {*signature.keys, *(path[0] for path, _ in signature.values)} - held
            if not wanted & found and not signature.none & required:
                found |= set(sorted(wanted)[:1]) or signature.some - held
    return frozenset(found)


def _of_other_apis() -> frozenset[str]:
    """Return keys without which a body is a chat's, if it is any API's."""
    signatures = [signature for api in APIS for signature in api.signatures]
    paths = [path for signature in signatures for path, _ in (*signature.values, *signature.kinds)]
    keys = {key for signature in signatures for key in (*signature.keys, *signature.some)}
    return frozenset(keys | {path[0] for path in paths}) - _OF_CHATS


# --- Types ------------------------------------------------------------------------------------------------------------

_Never = Annotated[str, msgspec.Meta(min_length=1, max_length=0)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)] | None


class _Message(msgspec.Struct, gc=False):
    annotations: Annotated[list[Any], msgspec.Meta(max_length=0)] | None = None  # they tell of searches


class _Choice(msgspec.Struct, gc=False):
    message: _Message


Choices = Annotated[list[_Choice], msgspec.Meta(min_length=1)]


class Leaf(NamedTuple):
    """A leaf that is read.

    Attributes:
        name: attribute of its object.
        path: in the record.
        reading: what its values are: a role, JSON (a word of any kind, as JSON text), EPOCH, FLAG (there or not), or
            ANSWERED (that, and with its text).
    """

    name: str
    path: Path
    reading: str


@dataclasses.dataclass(slots=True)
class Node:
    """An object of a record, as a type.

    Attributes:
        path: of the object.
        kind: the Struct; its fields are the keys, numbered.
        empty: what stands for an object that is not there.
        leaves: that are read.
        parts: (attribute, node) of each object below.
        textual: whether the object may be written as JSON text.
        told: whether the dialect is told by its being there, be it blank.
        decoder: of its JSON.
    """

    path: Path
    kind: type[msgspec.Struct]
    empty: Any
    leaves: tuple[Leaf, ...]
    parts: tuple[tuple[str, Node], ...]
    textual: bool
    told: bool
    decoder: Any


Seen = Mapping[Path, frozenset[type]]


def observe(records: Iterable[Mapping[str, Any]], leaves: Leaves) -> Seen:
    """Return what kinds of values stand at each leaf of some records."""
    found: dict[Path, set[type]] = {}
    inner = {path[:size] for path in leaves.roles for size in range(1, len(path))}

    def look(value: Any, path: Path) -> None:
        for key, below in value.items():
            place = (*path, key)
            if below is not None:
                found.setdefault(place, set()).add(type(below))
            if place in inner:
                part = _object_in(below) if type(below) is str else below
                if type(part) is dict:
                    look(part, place)

    for record in records:
        look(record, ())
    return {path: frozenset(kinds) for path, kinds in found.items()}


def _object_in(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except UNDECODABLE:
        return None


def node_of(leaves: Leaves, seen: Seen, *, wide: bool) -> Node:
    """Return the type of a dialect's records.

    Args:
        leaves: of the dialect.
        seen: what stands at the leaves of the records at hand.
        wide: whether leaves that were not seen may hold something too.
    """
    tree: dict[Path, list[str]] = {(): []}
    for path in sorted(leaves.roles, key=len):
        for size in range(len(path)):
            tree.setdefault(path[:size], [])
            if path[size] not in tree[path[:size]]:
                tree[path[:size]].append(path[size])
    return _node(leaves, seen, (), tree, wide=wide)


def _node(leaves: Leaves, seen: Seen, path: Path, tree: Mapping[Path, Sequence[str]], *, wide: bool) -> Node:
    order = {place: number for number, place in enumerate(seen)}
    fields: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    found: list[Leaf] = []
    parts: list[tuple[str, Node]] = []
    for number, key in enumerate(sorted(tree[path], key=lambda key: order.get((*path, key), 1 << 30))):
        place, name = (*path, key), f"f{number}"
        names[name] = key
        if place in tree and (wide or place in seen):
            part = _node(leaves, seen, place, tree, wide=wide)
            parts.append((name, part))
            kind = part.kind | str | None if part.textual else part.kind | None
            fields.append((name, kind, part.empty))
            continue
        reading, kind = _kind(leaves.roles.get(place, NOTHING), seen.get(place, frozenset()), wide=wide)
        if reading:
            found.append(Leaf(name, place, reading))
        default: Any = msgspec.NODEFAULT if not path and key in leaves.required else None
        if kind is msgspec.Raw and default is None:
            default = msgspec.Raw(b"null")
        fields.append((name, kind, default))
    if path == (_BODY,):
        names[_CHOICES] = _CHOICES
        fields.append((_CHOICES, (msgspec.Raw if leaves.talking else Choices) | msgspec.UnsetType, msgspec.UNSET))
        found.append(Leaf(_CHOICES, (*path, _CHOICES), ANSWERED if leaves.talking else FLAG))
    made = msgspec.defstruct("Part", fields, gc=False, frozen=True, kw_only=True, rename=names.get)
    textual = len(path) == 1 and path[0] in leaves.reader.dialect.json_columns
    empty = None if not path else made()
    told = len(path) == 1 and path[0] in leaves.reader.dialect.signatures[0].some
    return Node(path, made, empty, tuple(found), tuple(parts), textual, told, msgspec.json.Decoder(made))


def _kind(role: str, seen: frozenset[type], *, wide: bool) -> tuple[str, Any]:
    """Return how a leaf is read ("": not at all), and its type."""
    if role == NEVER:
        return "", _Never
    if role == NOTHING or (not seen and not wide):
        return "", None
    if role == ASKED:
        return role, msgspec.Raw
    if role == TIME and seen and str not in seen:
        return EPOCH, float | None
    if role == WORD and (wide or seen != {str}):
        return JSON, msgspec.Raw
    return role, _KINDS[role]


_KINDS: dict[str, Any] = {COUNT: _Count, TEXT: str | None, TIME: str | None, WORD: str | None, COST: msgspec.Raw}
