"""Records made for a class of rows: its words as they are, and a mark of its own in each place that varies.

Two records are made of a class, with other marks each. Counts are marked so that they go together: the sides larger
than all that is part of them, and a total what the sides add up to; where a dialect compares counts, in the order that
they have in the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from zlib import crc32

from callcost.logs.responses.bodies import APIS
from callcost.logs.usage.arithmetic import PARTS_OF_PARTS
from callcost.logs.values.json import decode
from callcost.logs.values.json_path import Path
from callcost.stages.columnar.schema import (
    ABSENT_TEXT,
    COST,
    COUNT,
    EPOCH,
    FLAG,
    JSON,
    OBJECT,
    SIDES,
    TEXT,
    TEXTS,
    TIME,
    WORD,
    Field,
    Layout,
)

ABSENT, NULL, BLANK, ZERO, THERE = range(5)  # what a place that varies holds; above that: an id with a known prefix
PREFIXES = tuple(prefix for api in APIS for prefix, _ in api.issuers)
ATTEMPTS = (0, 1)
TOTAL = -1  # of a total, until the sides are known
MARK = "\x02"  # in every mark that is text, and in no name or id of a log


class RowClass(NamedTuple):
    """What the rows of a class have in common.

    Attributes:
        words: place -> what stands there.
        parts: path of an object -> what is there (see schema.py).
        kinds: place that varies -> what it holds: ABSENT, NULL, BLANK, ZERO, THERE or more.
        ranks: (place of a count, how many others are smaller), where the dialect may ask; None: too many to tell.
    """

    words: Mapping[Path, Any]
    parts: Mapping[Path, int]
    kinds: Mapping[Path, int]
    ranks: tuple[tuple[Path, int], ...] | None


def class_of(
    layout: Layout, words: tuple[Field, ...], parts: tuple[Path, ...], varying: tuple[Field, ...],
    values: tuple[Any, ...],
) -> RowClass:  # fmt: skip
    """Lay out what tells a class from others: of the words, the parts and what varies, in this order."""
    rest = values[len(words) :]
    return RowClass(
        dict(zip((field.path for field in words), values, strict=False)),
        dict(zip(parts, rest, strict=False)),
        dict(zip((field.path for field in varying), rest[len(parts) :], strict=False)),
        values[-1] if layout.adds_up else (),
    )


def make_marks(
    layout: Layout, own: RowClass, readings: Mapping[Path, str], attempt: int, *, blank: bool
) -> dict[Path, Any]:
    """Return a value for each place that holds something, which no other place has but those of the same count.

    Args:
        layout: of the dialect.
        own: the class.
        readings: place -> what its values are.
        attempt: 0 or 1.
        blank: whether all counts are 0.
    """
    numbers: dict[str, int] = {}  # places of one count have one mark: to_facts.py asks that rows have one number there
    marks = {
        path: _mark_of(
            attempt, numbers.setdefault(layout.counts.get(path) or str(path), number), readings[path], kind,
            layout.counts.get(path, ""),
        )
        for number, (path, kind) in enumerate(own.kinds.items())
        if kind != ABSENT and all(own.parts.get(path[:size], OBJECT) == OBJECT for size in range(1, len(path)))
    }
    marks |= {path: (16 + attempt) * 16**rank for path, rank in own.ranks or () if marks.get(path)}
    if blank:
        marks |= {path: 0 for path in marks if readings[path] == COUNT and marks[path] is not None}
    return marks


def _mark_of(attempt: int, number: int, reading: str, kind: int, count: str) -> Any:
    if kind < THERE:
        return {BLANK: "", NULL: None, ZERO: 0}[kind]
    if reading == COUNT:
        return TOTAL if count == SIDES[2] else _count_mark(attempt, number, count)
    return {
        TEXT: f"{('', *PREFIXES)[kind - THERE]}{MARK}{attempt}.{number}\x03",
        TIME: f"2001-02-0{3 + attempt} 04:{number // 60:02}:{number % 60:02}.5",
        EPOCH: 981_173_100.5 + 1000 * attempt + number,
        COST: Decimal(1 + 1000 * attempt + number),
    }[reading]


def _count_mark(attempt: int, number: int, count: str) -> int:
    # sides above the sum of all parts, and parts above that of their own; else so random that a sum tells of what
    size = 10**11 if count in SIDES else 10**7 if count in PARTS_OF_PARTS else 10**9
    return 2 * size + crc32(f"{attempt} {number}".encode()) * size // 2**32


def make_record(layout: Layout, own: RowClass, words: tuple[Field, ...], marks: Mapping[Path, Any]) -> dict[str, Any]:
    """Return a record of a class.

    Args:
        layout: of the dialect.
        own: the class.
        words: the places of its words.
        marks: place -> what to put there, also in the place of what the layout shows of texts.
    """
    record: dict[str, Any] = {}
    lists = {path[:size] for path in layout.roles for size in range(len(path)) if isinstance(path[size], int)}
    for path in sorted(own.parts, key=len):
        if own.parts[path]:
            there: Any = [] if path in lists else {}
            _put(record, path, there if own.parts[path] == OBJECT else None, own.parts)
    for field in words:
        value, held = _word_of(layout, field, own.words[field.path])
        if held or (not layout.strict and field.path[0] in layout.required):
            _put(record, field.path, value, own.parts)
    nulls = {path: None for path in own.kinds if not layout.strict and path[0] in layout.required and path not in marks}
    for path, mark in (nulls | dict(marks)).items():
        _put(record, path, mark, own.parts)
    return record


def _word_of(layout: Layout, field: Field, value: Any) -> tuple[Any, bool]:
    """Return a word as a record has it, and whether it has it."""
    if field.reading in (FLAG, TEXTS):
        return layout.samples.get(field.path), value is not None
    nothing = (ABSENT_TEXT if field.reading == WORD else "") if layout.strict else None
    held = value != nothing
    return (decode(value.encode()) if held and value is not None and field.reading == JSON else value), held


def _put(record: Any, path: Path, value: Any, parts: Mapping[Path, int]) -> None:
    """Set a value where all objects above it are there."""
    for size in range(1, len(path)):
        if parts.get(path[:size], OBJECT) != OBJECT or record is None:
            return
        record = _below(record, path[size - 1])
    last: Any = path[-1]
    if isinstance(last, int):
        _below(record, last)
    else:
        record[last] = value


def _below(record: Any, key: Any) -> Any:
    if isinstance(key, int):
        record.extend({} for _ in range(len(record), key + 1))
    return record[key]
