"""Rows by class: what the record reader says of one record holds for every row that differs only in what is carried.

Rows that agree in every leaf but ids and names that are carried as they are, times, counts and costs, form a class. For
each class two records are made, one with a mark in every place of these, one with as few as there can be, and read
with the ordinary FieldReader. Only where both calls come out as the marks say (usage is the marks, nothing flagged, no
charge beside tokens) is the class ordinary: then each of its rows has that call's columns, and its own where the marks
were. What a field means stays the reader's affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
import polars as pl

from callcost.logs.record.dialect import COST_COLUMN, TIME_COLUMNS
from callcost.logs.record_reader import UNFORESEEN
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import Path
from callcost.logs.values.times import read_time
from callcost.stages.columnar.chats import Asker
from callcost.stages.columnar.schema import (
    ANSWERED,
    CARRIED,
    COST,
    COUNT,
    EPOCH,
    FLAG,
    JSON,
    SIDES,
    TEXT,
    TIME,
    WORD,
    Leaf,
    Leaves,
)
from callcost.stages.tables.facts import facts_of
from callcost.tables import Call, Usage
from callcost.tokens.framing.plain_chat import ENDPOINTS, read_plain_answer

_MARK = "\x02{}\x03"  # around the number of a leaf: no name or id of a log is like that
_UNREAD = frozenset(("request", "response", "text_missing", "request_digest", "record_digest"))  # of no fact here
_STAMP, _EPOCH = "2001-02-03 04:05:0{}.5", 981_173_100.5
_COMMON = (
    "source_format", "provider", "model", "model_requested", "tags", "service_tier", "region", "status", "flags",
    "usage_source", "model_group", "endpoint", "data_residency", "inference_geo", "speed", "stated_rates", "line",
    "lines", "line_model", "key_kind",
)  # fmt: skip
_IDS = ("own_id", "duplicate_id")
BLANK = -1  # the place of the counts of classes whose usage is missing and whose text is there
_SAID = "-"
_ASKED = [{"role": "user", "content": _SAID}]
_FIRST_PROMPT, _FIRST_COMPLETION = 500_009, 300_007


class Judge:
    """Read one record for each class, once.

    Args:
        leaves: of the dialect.
        read: the leaves at hand.
        parts: paths of the objects at hand that may be there or not.

    Attributes:
        words: leaves whose values tell classes apart.
        places: of the ordinary classes so far: number of the place that their counts are taken from, or BLANK.
    """

    def __init__(self, leaves: Leaves, read: tuple[Leaf, ...], parts: tuple[Path, ...]) -> None:
        self._leaves, self.parts, self.carried = leaves, parts, tuple(leaves.columns)
        self.words = tuple(leaf for leaf in read if leaf.reading in (WORD, JSON, FLAG, ANSWERED))
        self._marked = tuple(leaf for leaf in read if leaf.reading in (TEXT, COUNT, TIME, EPOCH, COST))
        self._marks = {leaf.path: self._mark_of(number, leaf) for number, leaf in enumerate(self._marked)}
        self._known: dict[tuple[bool, tuple[Any, ...]], int | None] = {}
        self.places: list[int] = []
        self._calls: list[Call] = []
        self._commons = pl.DataFrame()
        self.family = leaves.reader.dialect.family

    def __len__(self) -> int:
        """Return how many classes there were so far."""
        return len(self._known)

    def columns(self, name: str) -> list[Path]:
        """Return the paths at hand of a carried column, a time or the cost."""
        return [path for path in self._leaves.columns.get(name, ()) if path in self._marks]

    def counts(self, place: int) -> dict[str, list[Path]]:
        """Return the paths at hand of the counts of a place; of BLANK all, each by itself."""
        if place == BLANK:
            return {".".join(leaf.path): [leaf.path] for leaf in self._marked if leaf.reading == COUNT}
        found = {
            name: [path for path in paths if path in self._marks]
            for name, paths in self._leaves.places[place].counts.items()
        }
        return {name: paths for name, paths in found.items() if paths}

    def commons(self) -> pl.DataFrame:
        """Return the columns of facts that the rows of a class have in common, one row per ordinary class."""
        if self._commons.height < len(self._calls):
            facts = facts_of(self._calls, 0).select(_COMMON)
            self._commons = facts.select(column for column in facts if column.null_count() < facts.height)
        return self._commons

    def asker(self, number: int) -> Asker:
        """Return what decides how the rows of a class are counted."""
        call = self._calls[number]
        return Asker(call.model, call.provider, call.endpoint)

    def judge(self, values: tuple[Any, ...], *, blank: bool = False) -> int | None:
        """Return the number of an ordinary class; None: its rows are for the record reader.

        Args:
            values: of the words, then whether each of the parts is there.
            blank: whether its rows state no usage, but hold the text of a plain chat.
        """
        if (blank, values) not in self._known:
            self._known[blank, values] = self._read(values, blank=blank)
        return self._known[blank, values]

    def _read(self, values: tuple[Any, ...], *, blank: bool) -> int | None:
        words = dict(zip((leaf.path for leaf in self.words), values, strict=False))
        there = {path for path, held in zip(self.parts, values[len(self.words) :], strict=True) if held}
        places = enumerate(place.root for place in self._leaves.places)
        number = BLANK if blank else next((number for number, root in places if root in there or not root), None)
        call = None if number is None else self._compare(words, there, number)
        if number is None or call is None:
            return None
        self._calls.append(call)
        self.places.append(number)
        return len(self._calls) - 1

    def _compare(self, words: Mapping[Path, Any], there: set[Path], number: int) -> Call | None:
        some = self._leaves.reader.dialect.signatures[0].some
        if some and not any((key,) in there for key in some):
            return None
        counts = {name: _held(paths, there) for name, paths in self.counts(number).items()}
        counts = {name: paths for name, paths in counts.items() if paths}
        marks, kept = self._marks, counts
        usage = least = None
        if number == BLANK:
            zeros = {path: 0 for paths in counts.values() for path in paths}
            marks, kept = {**marks, **zeros}, {}
        elif not {"prompt_tokens", "completion_tokens"} <= counts.keys():
            return None
        else:
            stated = {name: marks[paths[0]] for name, paths in counts.items()}
            stated["total_tokens"] = stated["prompt_tokens"] + stated["completion_tokens"]
            usage, least = Usage(**stated), Usage(**{name: stated[name] for name in SIDES})
        try:
            full = self._leaves.reader.read(self._record(words, there, marks))
            bare = self._leaves.reader.read(self._record(words, there, self._few(kept)))
        except (Refusal, *UNFORESEEN):
            return None
        expected = {column: self._expected(column, there) for column in self._leaves.columns}
        few = {column: expected[column] if column in _IDS else None for column in expected}
        if not (_is_expected(full, usage, expected) and _is_expected(bare, least, few)):
            return None
        if (
            _constants(full) != _constants(bare)
            or not _is_clean(full)
            or not full.provider
            or full.family != self.family
        ):
            return None
        return full

    def _few(self, counts: Mapping[str, list[Path]]) -> dict[Path, Any]:
        """Return the marks without which there is no call: of its id and of its counts."""
        kept = {paths[0] for name, paths in counts.items() if name in SIDES[:2]}
        kept |= {path for name in _IDS for path in self._leaves.columns[name]}
        nulls = {(key,) for key in self._leaves.required} - kept
        return {path: mark if path in kept else None for path, mark in self._marks.items() if path in kept | nulls}

    def _expected(self, column: str, there: set[Path]) -> Any:
        paths = _held(self.columns(column), there)
        if not paths:
            return None
        mark = self._marks[paths[0]]
        if column in TIME_COLUMNS:
            return read_time(mark)
        return Decimal(mark) if column == COST_COLUMN else mark

    def _mark_of(self, number: int, leaf: Leaf) -> Any:
        if leaf.reading == TEXT:
            return _MARK.format(number)
        if leaf.reading == TIME:
            return _STAMP.format(number % 10)
        if leaf.reading == EPOCH:
            return _EPOCH + number
        return number + 1 if leaf.reading == COST else self._count_of(leaf.path)

    def _count_of(self, path: Path) -> int:
        """Return a count of its own for each place: prompt and completion give the total, parts are below both."""
        for step, place in enumerate(self._leaves.places):
            for number, (name, paths) in enumerate(place.counts.items()):
                if path in paths:
                    sides = {SIDES[0]: _FIRST_PROMPT + 1_000 * step, SIDES[1]: _FIRST_COMPLETION + 10 * step}
                    sides[SIDES[2]] = sum(sides.values())
                    return sides.get(name, 1_000 * (step + 1) + 10 * number + paths.index(path))
        raise LookupError(path)

    def _record(self, words: Mapping[Path, Any], there: set[Path], marks: Mapping[Path, Any]) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for path in sorted(there, key=len):
            _put(record, path, {}, there)
        for leaf in self.words:
            value = words[leaf.path]
            if leaf.reading in (FLAG, ANSWERED):
                value = [{"message": {"role": "assistant", "content": _SAID}}] if value else None
            elif leaf.reading == JSON and value is not None:
                value = msgspec.json.decode(value)
            if value is not None or leaf.path[0] in self._leaves.required:
                _put(record, leaf.path, value, there)
        for path, mark in marks.items():
            _put(record, path, mark, there)
        return record | ({"messages": _ASKED} if self._leaves.talking else {})


def _put(record: dict[str, Any], path: Path, value: Any, there: set[Path]) -> None:
    """Set a value where all objects above it are there."""
    for size in range(1, len(path)):
        if path[:size] not in there:
            return
        record = record.setdefault(path[size - 1], {})
    record[path[-1]] = value


def _constants(call: Call) -> dict[str, Any]:
    names = set(call.__struct_fields__) - _UNREAD - CARRIED - {*TIME_COLUMNS, COST_COLUMN, "usage"}
    return {name: getattr(call, name) for name in names}


def _held(paths: Iterable[Path], there: set[Path]) -> list[Path]:
    return [path for path in paths if all(path[:size] in there for size in range(1, len(path)))]


def _is_expected(call: Call, usage: Usage | None, columns: Mapping[str, Any]) -> bool:
    """Tell whether a call holds the marks where they belong, and is ordinary otherwise."""
    if call.usage != usage or call.usage_source != ("reported" if usage else None) or call.status != "success":
        return False
    if usage is None and not _is_plain(call):
        return False
    if call.iterations or call.flags or call.count_method or not call.own_id or call.own_id != call.duplicate_id:
        return False
    return all(getattr(call, column) == value for column, value in columns.items())


def _is_plain(call: Call) -> bool:
    """Tell whether a call's text is that of the record, and nothing else."""
    asked = call.request.get("messages") if type(call.request) is dict else None
    said = asked == _ASKED and call.text_missing is None and read_plain_answer(call.response) == _SAID
    return said and call.endpoint in ENDPOINTS


def _is_clean(call: Call) -> bool:
    """Tell whether no mark came out where none belongs."""
    constants = [value for value in _constants(call).values() if isinstance(value, str)]
    constants += [text for pair in (call.tags or {}).items() for text in pair]
    return not any("\x02" in text for text in constants)
