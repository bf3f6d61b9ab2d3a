"""A dialect's type as a plan for the scanner: numbers in the order of scanner.c, of the types that msgspec decodes by.

What is compiled is the very type of schema.py, so that the scanner takes no line that the type would not. A type that
says more than the scanner knows has no plan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from callcost.logs.values.json_path import Path
from callcost.stages.columnar.schema import COST, COUNT, EPOCH, FLAG, JSON, TEXT, TIME, WORD, Node

# Kinds of values, what a column keeps of one, and marks of a type, as scanner.c has them.
IS_NULL, IS_TEXT, IS_INT, IS_FLOAT, IS_BOOL, IS_OBJECT, IS_LIST = (1 << bit for bit in range(7))
KEEP_NOTHING, KEEP_TEXT, KEEP_JSON, KEEP_COUNT, KEEP_SECONDS, KEEP_FLAG, KEEP_PART = range(7)
NULL_TELLS, NAMED, INNER_TELLS = 1, 2, 4
_ANY = 127
_KEPT = {TEXT: KEEP_TEXT, WORD: KEEP_TEXT, TIME: KEEP_TEXT, JSON: KEEP_JSON, COST: KEEP_JSON, COUNT: KEEP_COUNT,
         EPOCH: KEEP_SECONDS, FLAG: KEEP_FLAG}  # fmt: skip
_MOST_COLUMNS, _MOST_COUNT = 100, 10**17  # each column takes addresses; 18 digits are read
_SPARSE = 3  # slots for a key, so that the next free one is near


class Place(NamedTuple):
    """A column.

    Attributes:
        path: in the record.
        reading: what its values are (see schema.py); "": whether an object is there.
        keep: what of a value is kept.
        absent: text that stands for a value that is not there; of numbers any text, for -1; None: null.
    """

    path: Path
    reading: str
    keep: int
    absent: bytes | None


class Plan(NamedTuple):
    """A type, compiled.

    Attributes:
        types: records of scanner.c; the first is that of a line.
        objects: records of scanner.c.
        keys: records of scanner.c.
        names: of the keys, one after the other.
        places: the columns.
        slots: count of places where keys are looked for.
    """

    types: list[list[int]]
    objects: list[list[int]]
    keys: list[list[int]]
    names: bytes
    places: list[Place]
    slots: int


class _Unplanned(Exception):  # noqa: N818 - not an error: such a type is decoded by msgspec
    """A type says more than the scanner knows."""


def plan_of(node: Node, *, strict: bool) -> Plan | None:
    """Return the plan of a dialect's type; None where the scanner cannot read it.

    Args:
        node: the type.
        strict: whether null is a value (see schema.py).
    """
    compiler = _Compiler(strict=strict)
    try:
        compiler.add_type(inspect.type_info(node.kind), node=node)
    except _Unplanned:
        return None
    return compiler.plan() if len(compiler.places) <= _MOST_COLUMNS else None


class _Type:
    """A type as its members are added up.

    Attributes:
        kinds: that a value may have.
        object, items: numbers of what is below; -1: anything.
        count: of the types of items; 0: one for all.
        shortest, longest: bounds of a list; -1: none.
        least, most: bounds of a whole number; -1: none.
    """

    def __init__(self) -> None:
        self.kinds, self.object, self.items = 0, -1, -1
        self.count, self.shortest, self.longest = 0, 0, -1
        self.least, self.most = 0, -1


class _Compiler:
    """Compile types, each with what is below it.

    Attributes:
        places: the columns so far.
    """

    def __init__(self, *, strict: bool) -> None:
        self.places: list[Place] = []
        self._types: list[list[int]] = []
        self._objects: list[list[int]] = []
        self._keys: list[list[int]] = []
        self._names = bytearray()
        self._slots = 0
        self._strict = strict
        self._members: dict[type, Callable[[_Type, Any, Node | None], None]] = {
            inspect.StructType: self._add_struct,
            inspect.ListType: self._add_list,
            inspect.TupleType: self._add_tuple,
            inspect.StrType: _add_text,
            inspect.IntType: _add_count,
            inspect.FloatType: _add_number,
            inspect.NoneType: lambda found, *_: _allow(found, IS_NULL),
            inspect.BoolType: lambda found, *_: _allow(found, IS_BOOL),
            inspect.RawType: lambda found, *_: _allow(found, _ANY),
            inspect.AnyType: lambda found, *_: _allow(found, _ANY),
        }

    def plan(self) -> Plan:
        """Return what was compiled."""
        return Plan(self._types, self._objects, self._keys, bytes(self._names), self.places, self._slots)

    def add_type(self, info: Any, place: Place | None = None, node: Node | None = None, default: Any = None) -> int:
        """Add a type, and return its number.

        Args:
            info: of the type.
            place: its column, if its values are read.
            node: its node, if it is an object that is looked into.
            default: what stands for a value that is not there.
        """
        number = len(self._types)
        self._types.append([])
        self._types[number] = self._compiled(info, place, node, default)
        return number

    def _compiled(self, info: Any, place: Place | None, node: Node | None, default: Any) -> list[int]:
        found = _Type()
        if node is not None and node.path and isinstance(node.path[-1], str):
            place = Place(node.path, "", KEEP_PART, None)
        for member in info.types if isinstance(info, inspect.UnionType) else (info,):
            if type(member) not in self._members:
                raise _Unplanned
            self._members[type(member)](found, member, node)
        marks = 0 if _is_null(default) else NULL_TELLS
        if node is not None:
            marks |= INNER_TELLS | (NAMED if node.named else 0)
            found.kinds &= ~IS_TEXT  # an object as text is decoded anew
        if place is not None and place.reading == COST:  # what else may be a cost is looked at more closely
            found.kinds &= IS_INT | IS_FLOAT | (0 if self._strict else IS_NULL)
        if place is not None:
            self.places.append(place)
        keep, column = (place.keep, len(self.places) - 1) if place is not None else (KEEP_NOTHING, 0)
        return [found.kinds, keep, column, marks, found.object, found.items, found.count, found.shortest,
                found.longest, found.least, found.most]  # fmt: skip

    def _add_struct(self, found: _Type, info: inspect.StructType, node: Node | None) -> None:
        if found.object >= 0 or info.array_like or info.tag is not None:
            raise _Unplanned
        found.kinds |= IS_OBJECT
        found.object = len(self._objects)
        self._objects.append([])
        fields = {field.name: field for field in node.fields} if node is not None else {}
        parts = dict(node.parts) if node is not None else {}
        keys = []
        for field in info.fields:
            own, name = fields.get(field.name), field.encode_name.encode()
            place = None
            if own is not None:
                place = Place(own.path, own.reading, _kept(own.reading), _absent(field.default))
            kind = self.add_type(field.type, place, parts.get(field.name), field.default)
            keys.append([kind, len(self._names), len(name), int(field.required)])
            self._names += name
        size = 1 << (_SPARSE * len(keys)).bit_length()
        self._objects[found.object] = [len(self._keys), len(keys), self._slots, size - 1,
                                       sum(key[-1] for key in keys), int(info.forbid_unknown_fields)]  # fmt: skip
        self._keys += keys
        self._slots += size

    def _add_list(self, found: _Type, info: inspect.ListType, _node: Node | None) -> None:
        found.kinds |= IS_LIST
        found.shortest, found.longest = info.min_length or 0, -1 if info.max_length is None else info.max_length
        bounded = found.shortest > 0 or found.longest >= 0
        if bounded or not isinstance(info.item_type, inspect.RawType | inspect.AnyType):
            found.items = self.add_type(info.item_type)

    def _add_tuple(self, found: _Type, info: inspect.TupleType, node: Node | None) -> None:
        found.kinds |= IS_LIST
        found.count = found.shortest = found.longest = len(info.item_types)
        found.items = len(self._types)
        self._types += [[]] * found.count  # they follow each other; what is below them comes after
        parts = dict(node.parts) if node is not None else {}
        for number, item in enumerate(info.item_types):
            self._types[found.items + number] = self._compiled(item, None, parts.get(number), None)


def _allow(found: _Type, kinds: int) -> None:
    found.kinds |= kinds


def _add_text(found: _Type, info: inspect.StrType, _node: Node | None) -> None:
    if info.pattern is not None or (info.min_length, info.max_length) not in ((None, None), (1, 0)):
        raise _Unplanned
    _allow(found, IS_TEXT if info.max_length is None else 0)


def _add_count(found: _Type, info: inspect.IntType, _node: Node | None) -> None:
    _allow(found, IS_INT)
    if info.gt is not None or info.lt is not None or info.multiple_of is not None:
        raise _Unplanned
    if info.ge is not None and info.le is not None and 0 <= info.ge <= info.le <= _MOST_COUNT:
        found.least, found.most = info.ge, info.le
    elif info.ge is not None or info.le is not None:
        raise _Unplanned


def _add_number(found: _Type, info: inspect.FloatType, _node: Node | None) -> None:
    if info.gt is not None or info.lt is not None or info.le is not None or info.multiple_of is not None:
        raise _Unplanned
    if info.ge not in (None, 0):  # the scanner reads no number below 0
        raise _Unplanned
    _allow(found, IS_INT | IS_FLOAT)


def _kept(reading: str) -> int:
    if reading not in _KEPT:
        raise _Unplanned
    return _KEPT[reading]


def _is_null(default: Any) -> bool:
    """Say whether null is as good as nothing."""
    return default is None or default is msgspec.NODEFAULT or default == msgspec.Raw(b"null")


def _absent(default: Any) -> bytes | None:
    """Return the text that stands for what is not there; None: null."""
    if isinstance(default, msgspec.Raw):
        return None if _is_null(default) else bytes(default)
    if isinstance(default, str):
        return default.encode()
    return b"-1" if isinstance(default, int | float) else None
