"""Open the inputs of a task and hand out windows of calls: the bridge from files to the record reader.

Text logs are read by logs/; Parquet is opened here, row group by row group, and its rows go through the same record
reader. Rejects and counters come along with the calls, so that every record stays accounted for.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import polars as pl
from msgspec import structs

from callcost.logs.io.inputs import Input, read_raw
from callcost.logs.io.records import Raw
from callcost.logs.io.sniff import container_of
from callcost.logs.own_output import DETAIL, REASON
from callcost.logs.record.summed_rows import AGGREGATE
from callcost.logs.record_reader import CONTEXT, FRAGMENT, Outcome, RecordReader
from callcost.settings import ReadOptions
from callcost.stages.read.splits import Piece
from callcost.stages.tables.parquet_rows import UNREADABLE_TABLE, Row, holds_own_table, read_rows
from callcost.stages.tables.plain_chats import ChatKinds
from callcost.tables import Call, Reject

WINDOW_BYTES = 48 << 20  # of record text per window: enough repeats to de-duplicate, little memory
WINDOW_CALLS = 25_000  # per window, each an object of some 2 KB even where its text is short
WINDOW_ROWS = 100_000  # calls per window, where they come without text
WINDOW_REJECTS = 50_000  # per window: a line that is no call may be two bytes long
_LATE = 1 << 19  # numbers from here on are of calls that came after their row: streams joined


class FactRows(NamedTuple):
    """Rows that were read by columns.

    Attributes:
        facts: of calls; columns that are null for all of them left out, and source_file, input and piece, which are
            filled in later.
        chats: of the last of them, whose usage is missing; the others state theirs. None: all do.
        contexts: how many more rows are no calls, and known for it.
    """

    facts: pl.DataFrame
    chats: ChatKinds | None = None
    contexts: int = 0


@dataclasses.dataclass(slots=True)
class Window:
    """A stretch of one input, read.

    Attributes:
        calls: the calls in the order of the input, still with their text.
        facts: of calls that were read by columns; columns that are null for all of them left out.
        chats: the chats of the last calls of each table of facts, where they are to be counted.
        rejects: records that could not become calls.
        tally: "records", "context" and "fragments" of this stretch; of "aggregates" what they sum, too.
        seen_bytes: how much of the input this stretch covers, as stored.
    """

    calls: list[Call] = dataclasses.field(default_factory=list)
    facts: list[pl.DataFrame] = dataclasses.field(default_factory=list)
    chats: list[ChatKinds | None] = dataclasses.field(default_factory=list)
    rejects: list[Reject] = dataclasses.field(default_factory=list)
    tally: Counter[str] = dataclasses.field(default_factory=Counter)
    seen_bytes: int = 0
    late: int = 0  # calls of streams so far in the piece

    @property
    def found(self) -> int:
        """The number of calls."""
        return len(self.calls) + sum(map(len, self.facts))

    @property
    def is_full(self) -> bool:
        """Whether it is time for the next one."""
        if self.seen_bytes >= WINDOW_BYTES or len(self.calls) >= WINDOW_CALLS or len(self.rejects) >= WINDOW_REJECTS:
            return True
        return bool(self.facts) and self.found >= WINDOW_ROWS

    def add(self, outcomes: Iterable[Outcome], row: int = 0) -> None:
        """Sort outcomes into their places; each is one record.

        Args:
            outcomes: of one row, or of streams that ended.
            row: its number; a call of another row is one that was joined.
        """
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, Call):
                if outcome.source_row != row:
                    number, self.late = _LATE + self.late % _LATE, self.late + 1  # noqa: PLW2901 - a number of its own
                outcome.record = (outcome.source_row << 20) + number
                self.calls.append(outcome)
            elif isinstance(outcome, Reject):
                self.rejects.append(outcome)
                if outcome.reason == AGGREGATE:
                    self.tally.update(aggregates=1, aggregate_calls=outcome.calls, aggregate_tokens=outcome.tokens)
            elif outcome is CONTEXT:
                self.tally["context"] += 1
            elif outcome is FRAGMENT:
                self.tally["fragments"] += 1
            self.tally["records"] += 1


class Records:
    """The records of a piece that are read one by one: their reader is made for the first of them.

    Raises:
        ConfigError: the dialect is unknown, or the mapping file is wrong.
    """

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._made = RecordReader(options) if options.dialect or options.mapping else None

    @property
    def reader(self) -> RecordReader:
        """Their reader."""
        self._made = self._made or RecordReader(self._options)
        return self._made

    def finish(self) -> list[Outcome]:
        """Return the calls of streams that had no end."""
        return self._made.finish() if self._made else []


Stretch = tuple[int, list[Outcome] | FactRows, int]  # row, what it holds (or facts of many rows), bytes
Stretches = Callable[[Piece, Records, ReadOptions], Iterator[Stretch]]


def read_windows(piece: Piece, options: ReadOptions, stretches: Stretches | None = None) -> Iterator[Window]:
    """Read one piece of input, window by window.

    Args:
        piece: the piece of input.
        options: how logs are read.
        stretches: what reads it; None: the record reader, record by record.

    Yields:
        Windows of about WINDOW_BYTES of records; their lineage columns are filled, rows as if the piece were the file
        where its ``rows_before`` is not known.
    """
    records = Records(options)
    window = Window()
    for row, found, seen in (stretches or read_by_record)(piece, records, options):
        if not isinstance(found, FactRows):
            window.add(found, row)
        else:
            if found.facts.height:
                window.facts.append(found.facts)
                window.chats.append(found.chats)
            window.tally.update(records=found.facts.height + found.contexts, context=found.contexts)
        window.seen_bytes += seen
        if window.is_full:
            yield _named(window, piece.source)
            window = Window(late=window.late)
    window.add(records.finish())
    yield _named(window, piece.source)


def _named(window: Window, source: Input) -> Window:
    for call in window.calls:
        call.source_file = source.name
    name = pl.lit(source.name).alias("source_file")
    window.facts = [facts.with_columns(name) for facts in window.facts]
    window.rejects = [structs.replace(reject, source_file=source.name) for reject in window.rejects]
    return window


def read_by_record(piece: Piece, records: Records, options: ReadOptions) -> Iterator[Stretch]:
    """Read a piece record by record; a table of ours is refused as a whole, in the first piece of it."""
    first, source = piece.rows_before or 0, piece.source
    if container_of(source.path) != "parquet":
        raws = read_raw(source, piece.start, piece.end, 1 + first, longest=options.max_record << 20)
        yield from read_lines_of(raws, records)
    elif not holds_own_table(source.path):
        yield from read_table_rows(piece, records, options)
    elif piece.start == 0:
        yield 0, [Reject(reason=REASON, detail=DETAIL)], piece.bytes


def read_lines_of(raws: Iterable[Raw | Reject], records: Records) -> Iterator[Stretch]:
    """Read the records of a text."""
    for raw in raws:
        if isinstance(raw, Reject):
            yield 0, [raw], 0
        else:
            yield raw.row, records.reader.read(raw), len(raw.data)


def read_row(record: Row, row: int, records: Records) -> tuple[int, list[Outcome]]:
    """Read a row of a table; return its number and what it holds."""
    if isinstance(record, Reject):
        return row, [structs.replace(record, source_row=row)]
    return row, records.reader.read_value(record, row)


def read_table_rows(piece: Piece, records: Records, options: ReadOptions, done: int = 0) -> Iterator[Stretch]:
    """Read a table row by row; rows up to a number are dealt with."""
    before = 1 + (piece.rows_before or 0)
    try:
        for batch in read_rows(piece.source.path, piece.start, piece.end, options):
            if batch.refused is not None:
                yield 0, [batch.refused], 0
            size = batch.bytes // max(len(batch.rows), 1)
            for row, record in enumerate(batch.rows, before + batch.place):
                if row > done:
                    yield *read_row(record, row, records), size
    except UNREADABLE_TABLE:
        yield 0, [Reject(reason="unreadable_file", detail="not a readable Parquet file")], 0
