"""Rows by class: what the record reader says of one record holds for every row that differs only in what varies.

Rows that agree in every word, and in which places hold something at all, form a class. For each class two records are
made, with a mark of its own in each place that varies (ids and names, times, counts, costs), and read with the ordinary
FieldReader. Where both calls say the same of every mark (this column is that id, this count the sum of those), the
class is ordinary: each of its rows has that call's columns, and its own where the marks were. What a field means stays
the reader's affair; what a row's counts must be for that to hold, to_facts.py asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import polars as pl

from callcost.logs.dialects import recogniser, unwrapper
from callcost.logs.record.dialect import CONTEXT, COST_COLUMN, TIME_COLUMNS
from callcost.logs.responses.chunk_rows import is_chunk
from callcost.logs.values.json import UNFORESEEN, Refusal
from callcost.logs.values.json_path import Path
from callcost.logs.values.times import read_time
from callcost.stages.columnar.chats import Shape, fill_shape
from callcost.stages.columnar.schema import (
    CARRIED,
    COST,
    COUNT,
    EPOCH,
    FLAG,
    JSON,
    SIDES,
    TEXT,
    TEXTS,
    TIME,
    WORD,
    Field,
    Layout,
)
from callcost.stages.columnar.sentinels import (
    ATTEMPTS,
    MARK,
    TOTAL,
    RowClass,
    class_of,
    make_marks,
    make_record,
)
from callcost.stages.read.sides import CallTemplate, template_call
from callcost.stages.tables.dictionary import Numbered, cross, number_spans
from callcost.stages.tables.facts import facts_of
from callcost.stages.tables.plain_chats import ChatKinds, Texts
from callcost.tables import USAGE_COUNTS, Call
from callcost.tokens.engines.vocabularies import installed
from callcost.tokens.framing.plain_chat import RULE_CHANGES

_VARYING = frozenset((TEXT, COUNT, TIME, EPOCH, COST))
_WORDS = frozenset((WORD, JSON, FLAG, TEXTS))
TEMPLATED = (*sorted(CARRIED), "span", "parent")
_COMMON = (
    "source_format", "provider", "model", "model_requested", "tags", "service_tier", "region", "status", "flags",
    "usage_source", "model_group", "endpoint", "data_residency", "inference_geo", "speed", "effort", "stated_rates",
    "line", "lines", "line_model", "key_kind", "user", "end_user", "team", "api_key", "org", "project", "session",
    "branch", "host", "billing", "replayed",
)  # fmt: skip
UNSEEN = frozenset(("request", "response", "text_missing", "request_digest", "record_digest"))  # of no fact here
IDS = ("own_id", "duplicate_id", "provider_response_id", "span", "parent")  # of no class
_NO_CALL = "no call of the dialect"  # a reason that nobody sees
_FEW_CLASSES, _ROWS_OF_A_CLASS = 400, 8
_LARGEST_SUM = 5  # places that a count adds up

CONTEXT_CLASS = -1  # rows that the record reader knows for no calls
Part = str | Path  # of a text: as it is, or what stands at a place


def are_few(classes: int, rows: int) -> bool:
    """Tell whether classes are so few that it is worth while to judge them: each costs as much as several records."""
    return classes <= max(_FEW_CLASSES, rows // _ROWS_OF_A_CLASS)


class Plan(NamedTuple):
    """Where the columns of a class come from.

    Attributes:
        family: of its keys.
        texts: (column, parts that give it, one after the other).
        times: (column, place).
        cost: place of the logged cost; None: there is none.
        counts: (count, places that add up to it); () where usage is missing and the text is there.
        total: places that state the total.
        zeros: places of counts that must be 0: of a usage that is missing.
        equal: places that state one count, pair by pair.
    """

    family: str
    texts: tuple[tuple[str, tuple[Part, ...]], ...]
    times: tuple[tuple[str, Path], ...]
    cost: Path | None
    counts: tuple[tuple[str, tuple[Path, ...]], ...]
    total: tuple[Path, ...]
    zeros: tuple[Path, ...]
    equal: tuple[tuple[Path, Path], ...]


class Judge:
    """Read two records for each class, once.

    Args:
        layout: of the dialect.
        read: the places at hand.
        parts: paths of the objects at hand that may be there or not.

    Attributes:
        words: places whose values tell classes apart.
        varying: places of which only tells classes apart whether they hold anything.
        plans: of the ordinary classes so far, by number.
    """

    def __init__(self, layout: Layout, read: tuple[Field, ...], parts: tuple[Path, ...]) -> None:
        self.layout, self.parts = layout, parts
        self.words = tuple(field for field in read if field.reading in _WORDS)
        self.varying = tuple(field for field in read if field.reading in _VARYING)
        self._readings = {field.path: field.reading for field in self.varying}
        self._known: dict[tuple[bool, tuple[Any, ...]], int | None] = {}
        self._plans: list[Plan] = []
        self._calls: list[Call] = []
        self._blank: dict[int, RowClass] = {}  # number -> class whose rows state no usage
        self._templates: dict[tuple[int, Shape, int], CallTemplate | None] = {}
        self._commons = pl.DataFrame()

    def __len__(self) -> int:
        """Return how many classes there were so far."""
        return len(self._known)

    def commons(self) -> pl.DataFrame:
        """Return the columns of facts that the rows of a class have in common, one row per ordinary class."""
        if self._commons.height < len(self._calls):
            facts = facts_of(self._calls, 0).select(_COMMON)
            self._commons = facts.select(column for column in facts if column.null_count() < facts.height)
        return self._commons

    def _known_template(self, *key: Any) -> CallTemplate | None:
        if key not in self._templates:
            self._templates[key] = self._template(*key)
        return self._templates[key]

    def tell_chats(
        self, shapes: Sequence[Shape | None], texts: Texts, classes: pl.Series, times: pl.Series | None
    ) -> tuple[ChatKinds, pl.Series]:
        """Return the chats of rows that come to the same as others but for their texts, and which rows they are.

        Args:
            shapes: of each row; None: it is for the record reader.
            texts: of the rows.
            classes: of the rows, which state no usage.
            times: when, in microseconds since 1970 UTC; None: unknown.
        """
        known: dict[Shape | None, int] = {}
        numbers = pl.Series([known.setdefault(shape, len(known)) for shape in shapes], dtype=pl.UInt32)
        eras = Numbered(None, [-1]) if times is None else number_spans(times, RULE_CHANGES)
        some = range(1 + int(classes.max()))  # type: ignore[arg-type]  # no row is of no class
        kinds = cross(Numbered(numbers, list(known)), Numbered(classes.cast(pl.UInt32), some), eras)
        there = {0} if kinds.numbers is None else set(kinds.numbers.unique())
        few = are_few(len(there), len(shapes))
        templates = [
            self._known_template(number, shape, era) if few and shape and place in there else None
            for place, (shape, number, era) in enumerate(kinds.values)
        ]
        fine = kinds.to_rows(pl.Series([one is not None for one in templates], dtype=pl.Boolean), len(shapes))
        rows = kinds.numbers if kinds.numbers is None else kinds.numbers.filter(fine)
        return ChatKinds(texts.pick(fine.to_list()), Numbered(rows, templates)), fine

    def _template(self, number: int, shape: Shape, era: int) -> CallTemplate | None:
        """Return what rows of a class, a shape and a time (by RULE_CHANGES; -1: none) come to that state no usage."""
        own, plan = self._blank[number], self._plans[number]
        try:
            texts, placeholders = fill_shape(shape)
            call = self._call(own, make_marks(self.layout, own, self._readings, 0, blank=True) | texts)
        except (Refusal, *UNFORESEEN):
            return None
        if _constants(call, plan) != _constants(self._calls[number], plan):
            return None
        call.started_at = None if era < 0 else RULE_CHANGES[era - 1] if era else RULE_CHANGES[0] - 1
        return template_call(call, placeholders, installed())

    def judge(self, values: tuple[Any, ...], *, blank: bool = False) -> int | None:
        """Return the number of an ordinary class; None: its rows are for the record reader.

        Args:
            values: of the words; what is at the place of each part; what each varying place holds.
            blank: whether its rows state no usage.
        """
        if (blank, values) not in self._known:
            self._known[blank, values] = self._number_of(values, blank=blank)
        return self._known[blank, values]

    def plan_of(self, number: int | None) -> Plan | None:
        """Return where the columns of a class come from; None: its rows are no calls, or for the record reader."""
        return None if number is None or number == CONTEXT_CLASS else self._plans[number]

    def _number_of(self, values: tuple[Any, ...], *, blank: bool) -> int | None:
        own = class_of(self.layout, self.words, self.parts, self.varying, values)
        some = self.layout.reader.dialect.signatures[0].some
        named = self.layout.strict or not some or any(own.parts.get((key,)) for key in some)
        if own.ranks is None or not named:
            return None
        found = [self._try(own, attempt, blank=blank) for attempt in ATTEMPTS]
        if found == [CONTEXT_CLASS, CONTEXT_CLASS]:
            return CONTEXT_CLASS
        (call, plan), (other, same) = (one if isinstance(one, tuple) else (None, None) for one in found)
        if call is None or other is None or plan is None or plan != same:
            return None
        if _constants(call, plan) != _constants(other, plan):
            return None
        self._calls.append(call)
        self._plans.append(plan)
        number = len(self._calls) - 1
        if blank:
            self._blank[number] = own
        return number

    def _try(self, own: RowClass, attempt: int, *, blank: bool) -> tuple[Call, Plan] | int | None:
        """Return the call of a marked record and where its columns come from; CONTEXT_CLASS where it is none."""
        marks = make_marks(self.layout, own, self._readings, attempt, blank=blank)
        try:
            call = self._call_of(own, marks)
        except Refusal as refusal:
            whole = TOTAL not in marks.values()  # what was refused without its totals may be more with them
            return CONTEXT_CLASS if refusal.reason == CONTEXT and self.layout.strict and whole else None
        except UNFORESEEN:
            return None
        plan = self._plan_of(call, marks, blank=blank)
        return None if plan is None else (call, plan)

    def _call_of(self, own: RowClass, marks: dict[Path, Any]) -> Call:
        """Read a record with marks in it; its totals are made what the sides add up to."""
        totals = [path for path, mark in marks.items() if mark == TOTAL]
        if totals:
            usage = self._call(own, {path: mark for path, mark in marks.items() if path not in totals}).usage
            if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
                raise Refusal(_NO_CALL)
            marks |= dict.fromkeys(totals, usage.prompt_tokens + usage.completion_tokens)
        return self._call(own, marks)

    def _call(self, own: RowClass, marks: Mapping[Path, Any]) -> Call:
        record = make_record(self.layout, own, self.words, marks)
        reader = self.layout.reader
        if self.layout.strict and (
            recogniser().find(record) is not reader or unwrapper().unwrap(record) is not None or is_chunk(record)
        ):
            raise Refusal(_NO_CALL)
        return reader.read(record)

    def _plan_of(self, call: Call, marks: Mapping[Path, Any], *, blank: bool) -> Plan | None:
        """Return where a call's columns come from; None where it is not ordinary."""
        if call.iterations or call.flags or call.count_method or call.status != "success":
            return None
        if not (self.layout.strict or call.provider):
            return None
        of = {reading: {} for reading in (TEXT, TIME, EPOCH, COST, COUNT)}  # type: dict[str, dict[Any, Path]]
        for path, mark in marks.items():
            if mark is not None and mark != "" and not (mark == 0 and self._readings[path] == COUNT):
                of[self._readings[path]].setdefault(mark, path)
        times = {read_time(mark): path for mark, path in (of[TIME] | of[EPOCH]).items()}
        scale = self.layout.reader.dialect.cost_scale
        costs = {mark * scale: path for mark, path in of[COST].items()}
        texts = {name: _template(getattr(call, name), of[TEXT]) for name in TEMPLATED}
        texts |= {name: (text,) for name in IDS if (text := getattr(call, name)) and not texts[name]}
        texts = {name: parts for name, parts in texts.items() if parts}
        stated = {name: moment for name in TIME_COLUMNS if (moment := getattr(call, name)) is not None}
        if "duplicate_id" not in texts or not set(stated.values()) <= times.keys() or not _is_clean(call, texts):
            return None
        if call.logged_cost is not None and call.logged_cost not in costs:
            return None
        counts = self._no_counts(call, marks) if blank else self._counts(call, marks)
        if counts is None:
            return None
        return Plan(
            call.family,
            tuple(texts.items()),
            tuple((name, times[moment]) for name, moment in stated.items()),
            None if call.logged_cost is None else costs[call.logged_cost],
            *counts,
        )

    def _counts(self, call: Call, marks: Mapping[Path, Any]) -> Counts | None:
        """Return which places each count adds up, and which state the total."""
        usage = call.usage
        if usage is None or call.usage_source != "reported" or usage.billed_units:
            return None
        stated = {path: mark for path, mark in marks.items() if self._readings[path] == COUNT and mark is not None}
        totals = tuple(path for path in stated if self.layout.counts[path] == SIDES[2])
        sums = _sums_of({path: mark for path, mark in stated.items() if path not in totals})
        found = {name: value for name in USAGE_COUNTS if (value := getattr(usage, name)) is not None}
        if not set(SIDES) <= found.keys() or not set(found.values()) <= sums.keys() | {found[SIDES[2]]}:
            return None
        places = {name: sums[value] for name, value in found.items() if name != SIDES[2] and value in sums}
        if len(places) != len(found) - 1:
            return None
        used = {stated[path] for paths in (*places.values(), totals) for path in paths}
        must = stated.keys() if self.layout.adds_up else stated.keys() & self.layout.telling
        if not {stated[path] for path in must} <= used | {0}:
            return None
        return tuple(places.items()), totals, (), tuple(_pairs_of(stated, self.layout))

    def _no_counts(self, call: Call, marks: Mapping[Path, Any]) -> Counts | None:
        """Return what must be 0 where a call has no usage."""
        if call.usage is not None or call.usage_source is not None:
            return None
        return (), (), tuple(path for path in marks if self._readings[path] == COUNT), ()


Counts = tuple[
    tuple[tuple[str, tuple[Path, ...]], ...], tuple[Path, ...], tuple[Path, ...], tuple[tuple[Path, Path], ...]
]


def _pairs_of(stated: Mapping[Path, int], layout: Layout) -> Iterator[tuple[Path, Path]]:
    """Yield the places that have one mark: of one count, or, where a dialect's counts are compared, of equal ones."""
    first: dict[int, Path] = {}
    for path, mark in stated.items():
        if mark and layout.counts[path] != SIDES[2] and first.setdefault(mark, path) != path:
            yield first[mark], path


def _sums_of(stated: Mapping[Path, int]) -> dict[int, tuple[Path, ...]]:
    """Return every sum of few places, with the places; 0 is that of none."""
    places = [path for path, mark in stated.items() if mark]
    found: dict[int, tuple[Path, ...]] = {0: ()}
    for size in range(1, min(len(places), _LARGEST_SUM) + 1):
        for some in combinations(places, size):
            found.setdefault(sum(stated[path] for path in some), some)
    return found


def _template(text: str | None, marks: Mapping[Any, Path]) -> tuple[Part, ...]:
    """Return a text's parts, as they are or by their places; (): there is no mark in it."""
    if not text or MARK not in text:
        return ()
    pattern = "|".join(re.escape(mark) for mark in sorted(marks, key=len, reverse=True))
    pieces = [piece for piece in re.split(f"({pattern})", text) if piece] if pattern else [text]
    return tuple(marks.get(piece, piece) for piece in pieces)


def _constants(call: Call, plan: Plan) -> dict[str, Any]:
    own = {"usage", *TIME_COLUMNS, COST_COLUMN, *(name for name, _ in plan.texts)}
    names = set(call.__struct_fields__) - UNSEEN - own
    return {name: getattr(call, name) for name in names}


def _is_clean(call: Call, texts: Mapping[str, tuple[Part, ...]]) -> bool:
    """Tell whether no mark came out where none belongs."""
    constants = [value for name in call.__struct_fields__ if name not in texts and name not in UNSEEN
                 for value in [getattr(call, name)] if isinstance(value, str)]  # fmt: skip
    constants += [text for pair in (call.tags or {}).items() for text in pair]
    constants += [part for parts in texts.values() for part in parts if isinstance(part, str)]
    return not any(MARK in text for text in constants)
