"""Which places of a record are read, and the type that a line is decoded into so as to read only those.

LiteLLM's come from its own field tables, the tables of usage and the facts of a chat body: what a line may not hold for
its dialect to be sure (another dialect's keys, a body of another API, a usage of another shape) stands in the type as
what never fits, so that such a line does not decode and goes to the record reader. Those of other dialects are learned
in learn.py. What the places mean is not known here: probe.py asks the record reader.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import takewhile
from secrets import token_hex
from typing import Annotated, Any, NamedTuple

import msgspec

from callcost.logs.dialects import field_reader, field_readers
from callcost.logs.record.dialect import COST_COLUMN, TIME_COLUMNS, Dialect, FieldReader
from callcost.logs.record.origin import ORIGIN
from callcost.logs.responses.bodies import APIS, ENDPOINTS, USAGE_PATHS
from callcost.logs.usage.spellings import SHAPES
from callcost.logs.usage.unread import is_usage_like
from callcost.logs.values.json_path import FACTS, Path, parse_path
from callcost.tables import MAX_COUNT
from callcost.tokens.framing.plain_chat import MORE_ANSWER, READ_FIELDS

WORD, TEXT, COUNT, TIME, COST, NOTHING, NEVER = "word", "text", "count", "time", "cost", "nothing", "never"
JSON, EPOCH, FLAG, UNREAD = "json", "epoch", "flag", "unread"
UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
TEXTS = "texts"  # what is there or not, as FLAG, with its texts, where usage is missing
SIDES = ("prompt_tokens", "completion_tokens", "total_tokens")
# Columns that are carried from the record to the fact as they are, whatever else the record says.
CARRIED = frozenset(
    ("own_id", "duplicate_id", "provider_response_id", "user", "end_user", "team", "api_key", "org", "project",
     "session", "branch", "host")
)  # fmt: skip
NO_OBJECT, OBJECT, NULL_OBJECT = range(3)  # what is at the place of an object: nothing, it, null
# What stands in a column for a place that a record does not have; what no log has there.
ABSENT_TEXT, ABSENT_NUMBER, ABSENT_JSON = token_hex(16), -1, b""
# Read by the dialect's ``settle`` only for calls that are never in a class (hits of a cache).
_UNREAD = frozenset(("litellm_call_id",))
LITELLM = ("litellm_spend", "litellm_standard")  # whose settle looks at no more than what is declared here
_CHUNK_OR_PAGE = ("type", "object", "done", "data", ORIGIN)  # what the record reader asks before the dialect
_DERIVED = frozenset(("cache_write_5m_tokens", "cache_write_1h_tokens"))  # others are added up from them
_BODY, _CHOICES = "response", "choices"
_MESSAGES, _SETTINGS = "messages", "model_parameters"  # the request of the dialects of LITELLM
_CHAT_USAGE = next(shape for shape in SHAPES if shape.name == "openai_chat")
_OTHER_USAGE = tuple(mark for shape in SHAPES[: SHAPES.index(_CHAT_USAGE)] for mark in shape.marks)
_OF_CHATS = frozenset(("object", _CHOICES, "usage"))


@dataclasses.dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Layout:
    """What is read of a dialect's records.

    Attributes:
        reader: of the dialect.
        roles: path -> what stands there.
        counts: path of a count -> its canonical name, which says how large it can be.
        required: first-level keys by which the dialect is recognised.
        strict: a record may hold nothing that is not listed; else what is not listed is not looked at.
        shells: path -> type that texts must fit which nobody reads where usage is complete.
        samples: path -> what stood there in a record.
        chats: whether texts are read, too, of plain chats whose usage is missing.
        prefixed: where ids stand whose first letters tell who gave them.
        telling: places of counts that were seen to change a usage, so that they must be in it.
        usages: where usage objects stand, in which a key that no sample had may be a count that nobody knows.
    """

    reader: FieldReader
    roles: Mapping[Path, str]
    counts: Mapping[Path, str]
    required: frozenset[str] = frozenset()
    strict: bool = False
    shells: Mapping[Path, Any] = dataclasses.field(default_factory=dict)
    samples: Mapping[Path, Any] = dataclasses.field(default_factory=dict)
    chats: bool = False
    prefixed: frozenset[Path] = frozenset()
    telling: frozenset[Path] = frozenset()
    usages: tuple[Path, ...] = ()

    @property
    def adds_up(self) -> bool:
        """Whether the dialect adds counts up by rules of its own, which may compare them."""
        return self.strict and self.reader.dialect.prepare is not None and bool(self.reader.dialect.counts)


@cache
def litellm_layout(name: str, *, chats: bool = False) -> Layout:
    """Return what is read of a dialect of LITELLM, by its tables.

    Args:
        name: of the dialect.
        chats: whether texts are read, too.
    """
    reader = field_reader(name)
    dialect = reader.dialect
    roles: dict[Path, str] = {}
    for column, texts in dialect.fields.items():
        role = _role_of(column)
        for path in (path for text in texts for path in _resolved(text) if column not in _UNREAD):
            roles[path] = WORD if WORD in (role, roles.get(path)) else role
    roles[_BODY, "object"] = WORD
    roles[_BODY, _CHOICES] = TEXTS if chats else FLAG
    if chats:
        roles[(_MESSAGES,)] = TEXTS
        roles |= dict.fromkeys(((_SETTINGS, key) for key in sorted({*READ_FIELDS, "contents"})), NOTHING)
        roles |= dict.fromkeys(((_BODY, key) for key in sorted(MORE_ANSWER)), NOTHING)
    places = tuple(_places(dialect))
    counts = {path: name for _, found in places for name, paths in found.items() for path in paths}
    roles |= dict.fromkeys(counts, COUNT)
    required = dialect.signatures[0].keys
    for path in _unwelcome(dialect, [root for root, _ in places]):
        roles.setdefault(path, NOTHING)
    held = frozenset(path[0] for path in (*roles, *_SHELLS, *reader.request, *reader.response))
    never = [(key,) for key in _of_others(reader, required, held)] + [(_BODY, key) for key in _of_other_apis()]
    for path in never:
        roles.setdefault(path, NEVER)
    return Layout(
        reader=reader, roles=roles, counts=counts, required=required, shells=_SHELLS, samples=_SAMPLES, chats=chats,
        usages=tuple(root for root, _ in places if root),
    )


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


def _places(dialect: Dialect) -> Iterable[tuple[Path, Mapping[str, tuple[Path, ...]]]]:
    """Yield where counts stand together (the root of a usage object, or the record), and the paths of each count."""
    for text in dialect.usage:
        root = (_BODY, *USAGE_PATHS["chat"][0]) if text == FACTS else parse_path(text)
        yield root, _paths_below(root, _CHAT_USAGE.counts)
    if dialect.counts:
        yield (), _paths_below((), dialect.counts)


def _paths_below(root: Path, table: Mapping[str, Sequence[str]]) -> dict[str, tuple[Path, ...]]:
    return {
        name: tuple((*root, *parse_path(text)) for text in texts)
        for name, texts in table.items()
        if name not in _DERIVED
    }


def _unwelcome(dialect: Dialect, roots: Iterable[Path]) -> Iterable[Path]:
    """Return where something would change what the counts mean."""
    for root in roots:
        tables = [dialect.counts] if not root else [_CHAT_USAGE.counts, _CHAT_USAGE.units]
        for table in tables:
            for texts in table.values():
                yield from ((*root, *parse_path(text)) for text in texts)
        if root:
            yield from ((*root, key) for key in ("iterations", *_OTHER_USAGE))
    yield from ((_BODY, *path) for path in USAGE_PATHS["chat"][1:] if path[0] != _CHOICES)  # whose type has none


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
    own = {parse_path(text)[0] for texts in ENDPOINTS["chat"].facts.values() for text in texts}
    return frozenset(keys | {path[0] for path in paths}) - _OF_CHATS - own


# --- Types ------------------------------------------------------------------------------------------------------------

_Never = Annotated[str, msgspec.Meta(min_length=1, max_length=0)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)] | None


_SHELLS = {(_MESSAGES,): msgspec.Raw, (_BODY, _CHOICES): ENDPOINTS["chat"].texts[_CHOICES]}
_SAMPLES = {
    (_MESSAGES,): [{"role": "user", "content": "-"}],
    (_BODY, _CHOICES): [{"message": {"role": "assistant", "content": "-"}}],
}


class Field(NamedTuple):
    """A place of a record that is read.

    Attributes:
        name: attribute of its object.
        path: in the record.
        reading: what its values are: a role, JSON (a word of any kind, as JSON text), EPOCH, FLAG (there or not), or
            TEXTS (that, and what stands there).
    """

    name: str
    path: Path
    reading: str


@dataclasses.dataclass(slots=True)
class Node:
    """An object of a record, as a type.

    Attributes:
        path: of the object.
        kind: the Struct; its fields are the keys, numbered. Of a list, a tuple of them.
        empty: what stands for an object that is not there.
        fields: that are read.
        parts: (attribute, or position in a list, and node) of each object below.
        textual: whether the object may be written as JSON text.
        named: whether the dialect is recognised by its being there, be it blank.
        decoder: of its JSON.
    """

    path: Path
    kind: Any
    empty: Any
    fields: tuple[Field, ...]
    parts: tuple[tuple[str | int, Node], ...]
    textual: bool
    named: bool
    decoder: Any


Seen = Mapping[Path, frozenset[type]]
Tree = Mapping[Path, Sequence[Any]]


def observe(records: Iterable[Mapping[str, Any]], layout: Layout) -> Seen:
    """Return what kinds of values stand at each place of some records."""
    found: dict[Path, set[type]] = {}
    inner = {path[:size] for path in layout.roles for size in range(1, len(path))}

    def look(value: Any, path: Path) -> None:
        for key, below in value.items():
            place = (*path, key)
            if below is not None or _is_in_usage(layout, path):
                found.setdefault(place, set()).add(type(below))
            if place in inner:
                part = _object_in(below) if type(below) is str else below
                if type(part) is dict:
                    look(part, place)

    for record in records if not layout.strict else ():
        look(record, ())
    return {path: frozenset(kinds) for path, kinds in found.items()}


def _is_in_usage(layout: Layout, path: Path) -> bool:
    return any(path[: len(root)] == root for root in layout.usages)


def _object_in(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except UNDECODABLE:
        return None


def node_of(layout: Layout, seen: Seen, *, wide: bool) -> Node:
    """Return the type of a dialect's records.

    Args:
        layout: of the dialect.
        seen: what stands at the places of the records at hand.
        wide: whether places that were not seen may hold something too.
    """
    tree: dict[Path, list[Any]] = {(): []}
    for path in sorted(layout.roles, key=len):
        for size in range(len(path)):
            tree.setdefault(path[:size], [])
            if path[size] not in tree[path[:size]]:
                tree[path[:size]].append(path[size])
    return _node(layout, seen, (), tree, wide=wide or layout.strict)


def _node(layout: Layout, seen: Seen, path: Path, tree: Tree, *, wide: bool) -> Node:
    if tree[path] and type(tree[path][0]) is int:
        items = tuple((number, _node(layout, seen, (*path, number), tree, wide=wide)) for number in tree[path])
        kind: Any = tuple.__class_getitem__(tuple(item.kind for _, item in items))
        empty = tuple(item.empty for _, item in items)
        return Node(path, kind, empty, (), items, textual=False, named=False, decoder=None)
    order = {place: number for number, place in enumerate(seen)}
    defaults: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    found: list[Field] = []
    parts: list[tuple[str | int, Node]] = []
    for number, key in enumerate(sorted(tree[path], key=lambda key: order.get((*path, key), 1 << 30))):
        place, name = (*path, key), f"f{number}"
        names[name] = key
        if place in tree and (wide or place in seen):
            part = _node(layout, seen, place, tree, wide=wide)
            parts.append((name, part))
            kind = part.kind | str | None if part.textual else part.kind | None
            defaults.append((name, kind, part.empty))
            continue
        reading, kind, default = _kind(layout, place, seen.get(place, frozenset()), wide=wide)
        if reading:
            found.append(Field(name, place, reading))
        defaults.append((name, kind, default))
    in_usage = _is_in_usage(layout, path)
    exact = layout.strict or in_usage
    like = path not in layout.usages and "token" in str(path[-1:]).lower() and is_usage_like(str(path[-1]))
    for place in seen if in_usage else ():
        if place[:-1] == path and place[-1] not in tree[path]:
            names[f"f{len(names)}"] = place[-1]
            defaults.append((f"f{len(names) - 1}", _NO_USAGE[like or is_usage_like(place[-1])], None))
    made = msgspec.defstruct(
        "Part", defaults, gc=False, frozen=True, kw_only=True, rename=names.get, forbid_unknown_fields=exact
    )
    dialect = layout.reader.dialect
    return Node(
        path,
        made,
        made() if path else None,
        tuple(found),
        tuple(parts),
        textual=len(path) == 1 and path[0] in dialect.json_columns and not layout.strict,
        named=layout.strict or (len(path) == 1 and path[0] in dialect.signatures[0].some),
        decoder=msgspec.json.Decoder(made),
    )


def _kind(layout: Layout, place: Path, seen: frozenset[type], *, wide: bool) -> tuple[str, Any, Any]:
    """Return how a place is read ("": not at all), its type, and what stands for nothing there."""
    role = layout.roles.get(place, NOTHING)
    if role in (FLAG, TEXTS, UNREAD):
        kind = UNREAD_TYPES[layout.reader.dialect.no_counts is not None] if role == UNREAD else layout.shells[place]
        kind = msgspec.Raw if role == TEXTS else kind
        return ("" if role == UNREAD else role), kind | msgspec.UnsetType, msgspec.UNSET
    if layout.strict:
        return role, *_STRICT[role]
    default: Any = msgspec.NODEFAULT if len(place) == 1 and place[0] in layout.required else None
    if role == NEVER:
        return "", _Never, default
    if role == NOTHING or (not seen and not wide):
        return "", None, default
    if role == TIME and seen and str not in seen:
        return EPOCH, float | None, default
    reading = JSON if role == WORD and (wide or seen != {str}) else role
    kind = _KINDS[reading]
    return reading, kind, msgspec.Raw(b"null") if kind is msgspec.Raw and default is None else default


_KINDS: dict[str, Any] = {
    COUNT: _Count,
    TEXT: str | None,
    TIME: str | None,
    WORD: str | None,
    COST: msgspec.Raw,
    JSON: msgspec.Raw,
}
_NOT_THERE = msgspec.Raw(ABSENT_JSON)
_STRICT: dict[str, tuple[Any, Any]] = {
    TEXT: (str | None, ABSENT_TEXT),
    TIME: (str | None, ABSENT_TEXT),
    COUNT: (_Count, ABSENT_NUMBER),
    EPOCH: (Annotated[float, msgspec.Meta(ge=0)] | None, float(ABSENT_NUMBER)),
    COST: (msgspec.Raw, _NOT_THERE),
    WORD: (str | None, ABSENT_TEXT),
    JSON: (msgspec.Raw, _NOT_THERE),
}
# Whether a key's name, or that of what it stands in, is like one of usage -> what may stand there so that it is none,
# nor holds any.
_NO_USAGE: dict[bool, Any] = {
    False: str | int | float | bool | list[str | int | float | bool | None] | None,
    True: Annotated[int, msgspec.Meta(ge=0, le=0)] | None,
}
# Whether a record of the dialect may be a sum -> what may stand where nobody looks: no object, which might say so.
UNREAD_TYPES: dict[bool, Any] = {False: msgspec.Raw, True: str | int | float | bool | list[msgspec.Raw] | None}
