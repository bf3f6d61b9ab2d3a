"""Open the inputs of a task and hand out windows of calls: the bridge from files to the record reader.

Text logs are read by logs/; Parquet is opened here, row group by row group, and its rows go through the same record
reader. Rejects and counters come along with the calls, so that every record stays accounted for.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial

import polars as pl
from msgspec import structs

from callcost.logs.io.compression import Damage, open_range
from callcost.logs.io.inputs import Input, container_of, read_raw, truncated, unreadable
from callcost.logs.io.object_store import open_input
from callcost.logs.io.records import Raw, read_lines
from callcost.logs.own_output import DETAIL, REASON
from callcost.logs.record.summed_rows import AGGREGATE
from callcost.logs.record_reader import CONTEXT, FRAGMENT, Outcome, RecordReader
from callcost.settings import ReadOptions
from callcost.stages.columnar.chats import Learned
from callcost.stages.columnar.jsonl import BlockReader, open_block_reader
from callcost.stages.columnar.line_blocks import LONGEST_LINE, LineBlocks
from callcost.stages.columnar.parquet import FlatTable, open_flat, read_flat
from callcost.stages.columnar.to_facts import Laid, lay_out
from callcost.stages.read.splits import Piece
from callcost.stages.tables.parquet_pages import measure_group, refuse_group, refuse_table
from callcost.stages.tables.parquet_rows import UNREADABLE_TABLE, Row, holds_own_table, read_rows, read_some
from callcost.tables import Call, Reject

WINDOW_BYTES = 48 << 20  # of record text per window: enough repeats to de-duplicate, little memory
WINDOW_CALLS = 25_000  # per window, each an object of some 2 KB even where its text is short
WINDOW_ROWS = 100_000  # calls per window, where they come without text
WINDOW_REJECTS = 50_000  # per window: a line that is no call may be two bytes long
LANE_BYTES = 32 << 10  # below it, laying out tables costs more than reading record by record
LEARN_BYTES = 4 << 20  # below it, to learn what is read of a dialect costs more
_LATE = 1 << 19  # numbers from here on are of calls that came after their row: streams joined


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
    chats: list[Learned | None] = dataclasses.field(default_factory=list)
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


def read_windows(piece: Piece, options: ReadOptions, *, lanes: bool = False, counted: bool = True) -> Iterator[Window]:
    """Read one piece of input, window by window.

    Args:
        piece: the piece of input.
        options: how logs are read.
        lanes: whether calls that need no counting, or are plain chats, may come as facts.
        counted: whether usage that is missing will be counted.

    Yields:
        Windows of about WINDOW_BYTES of records; their lineage columns are filled, rows as if the piece were the file
        where its ``rows_before`` is not known.
    """
    reader = RecordReader(options)
    source = piece.source
    container = container_of(source)
    stretches: Callable[[Piece, RecordReader, ReadOptions], Iterator[_Stretch]]
    stretches = _parquet_outcomes if container == "parquet" else _text_outcomes
    if container == "parquet" and holds_own_table(source.path):
        stretches = _own_outcomes
    elif lanes and piece.bytes >= LANE_BYTES and _are_usual(options):
        if container == "jsonl":
            stretches = partial(_block_outcomes, counted=counted)
        elif container == "parquet":
            stretches = _flat_outcomes
    window = Window()
    for row, found, seen in stretches(piece, reader, options):
        if not isinstance(found, Laid):
            window.add(found, row)
        else:
            if found.facts.height:
                window.facts.append(found.facts)
                window.chats.append(found.chats)
            window.tally.update(records=found.facts.height + found.contexts, context=found.contexts)
        window.seen_bytes += seen
        if window.is_full:
            yield _named(window, source)
            window = Window(late=window.late)
    window.add(reader.finish())
    yield _named(window, source)


def _are_usual(options: ReadOptions) -> bool:
    """Say whether each line is read as its dialect has it, and may be as long as a block takes it."""
    return options.dialect is None and options.mapping is None and options.max_record << 20 >= LONGEST_LINE


def _named(window: Window, source: Input) -> Window:
    for call in window.calls:
        call.source_file = source.name
    name = pl.lit(source.name).alias("source_file")
    window.facts = [facts.with_columns(name) for facts in window.facts]
    window.rejects = [structs.replace(reject, source_file=source.name) for reject in window.rejects]
    return window


_Stretch = tuple[int, list[Outcome] | Laid, int]  # row, what it holds (or facts of many rows), bytes


def _text_outcomes(piece: Piece, reader: RecordReader, options: ReadOptions) -> Iterator[_Stretch]:
    first = 1 + (piece.rows_before or 0)
    return _read(read_raw(piece.source, piece.start, piece.end, first, longest=options.max_record << 20), reader)


def _read(raws: Iterable[Raw | Reject], reader: RecordReader) -> Iterator[_Stretch]:
    for raw in raws:
        if isinstance(raw, Reject):
            yield 0, [raw], 0
        else:
            yield raw.row, reader.read(raw), len(raw.data)


def _block_outcomes(piece: Piece, reader: RecordReader, options: ReadOptions, *, counted: bool) -> Iterator[_Stretch]:
    """Read by the block for as long as that is worth it, the rest by the line."""
    try:
        with open_input(piece.source.path) as stream:
            begin, pieces = open_range(stream, piece.start, piece.end)
            blocks = LineBlocks(pieces, begin, 1 + (piece.rows_before or 0))
            yield from _by_columns(blocks, reader, counted=counted, learning=piece.bytes >= LEARN_BYTES)
            rest = read_lines(blocks.rest(), blocks.offset, blocks.row, longest=options.max_record << 20)
            yield from _read(rest, reader)
    except Damage as damage:
        yield 0, [truncated(damage)], 0
    except OSError as error:
        yield 0, [unreadable(error)], 0


def _by_columns(
    blocks: LineBlocks, reader: RecordReader, *, counted: bool, learning: bool
) -> Iterator[_Stretch]:
    found: BlockReader | None = None
    try:
        for block in blocks:
            found = found or open_block_reader(block, counted=counted, learning=learning)
            if found is None:
                yield from _read(read_lines([block.data], block.offset, block.row), reader)
                return
            left = found.read(block)
            yield block.row, [], len(block.data) - sum(len(raw.data) for raw in left if isinstance(raw, Raw))
            yield from _read(left, reader)
            if found.is_full:
                yield from _laid(found, reader)
            if not found.worthwhile:
                break
    except (Damage, OSError):
        if found is not None:
            yield from _laid(found, reader)
        raise
    if found is not None:
        yield from _laid(found, reader)


def _laid(found: BlockReader, reader: RecordReader) -> Iterator[_Stretch]:
    for laid, left in found.lay_out():
        yield 0, laid, 0
        yield from _read(left, reader)


def _own_outcomes(piece: Piece, _reader: RecordReader, _options: ReadOptions) -> Iterator[_Stretch]:
    """Refuse a table of ours as a whole, in the first piece of it."""
    if piece.start == 0:
        yield 0, [Reject(reason=REASON, detail=DETAIL)], piece.bytes


def _flat_outcomes(piece: Piece, reader: RecordReader, options: ReadOptions) -> Iterator[_Stretch]:
    """Read Parquet by columns for as long as that is worth it, the rest row by row."""
    before = done = piece.rows_before or 0  # rows before the row group at hand, rows dealt with
    group, worthwhile, odd = piece.start, True, list[int]()
    try:
        with closing(FlatTable(piece.source.path)) as table:
            flat = None if refuse_table(table.metadata, options) else open_flat(table.schema)
            last = table.metadata.num_row_groups if piece.end is None else piece.end
            size = piece.bytes // max(1, last - piece.start)
            while flat is not None and worthwhile and group < last:
                measured, height = measure_group(piece.source.path, table.metadata, group), table.height_of(group)
                if refuse_group(measured, options):
                    break  # the record reader comes to the same place, and reports it
                for rows in read_flat(table, flat, measured, done + 1):
                    laid = lay_out(rows, flat.judge)
                    odd += rows.numbers[laid.left].to_list()
                    done += rows.height
                    yield 0, laid, size * rows.height // height
                yield from _rows_at(piece, group, before, odd, reader)
                worthwhile = 2 * len(odd) <= done - before
                group, before, odd = group + 1, done, []
    except UNREADABLE_TABLE:
        pass  # the record reader comes to the same place, and reports it
    yield from _rows_at(piece, group, before, odd, reader)
    if piece.end is None or group < piece.end:
        rest = dataclasses.replace(piece, start=group, rows_before=before)
        yield from _parquet_outcomes(rest, reader, options, done)


def _rows_at(piece: Piece, group: int, before: int, wanted: list[int], reader: RecordReader) -> Iterator[_Stretch]:
    """Read some rows of a row group one by one."""
    found = 0
    try:
        for place, record in read_some(piece.source.path, group, group + 1, [row - before - 1 for row in wanted]):
            yield *_row_outcome(record, before + 1 + place, reader), 0
            found += 1
    except UNREADABLE_TABLE:
        for row in wanted[found:]:
            yield row, [Reject(reason="unreadable_record", detail="not readable Parquet", source_row=row)], 0


def _row_outcome(record: Row, row: int, reader: RecordReader) -> tuple[int, list[Outcome]]:
    if isinstance(record, Reject):
        return row, [structs.replace(record, source_row=row)]
    return row, reader.read_value(record, row)


def _parquet_outcomes(
    piece: Piece, reader: RecordReader, options: ReadOptions, done: int = 0
) -> Iterator[_Stretch]:
    """Read row by row; rows up to a number are dealt with."""
    before = 1 + (piece.rows_before or 0)
    try:
        for batch in read_rows(piece.source.path, piece.start, piece.end, options):
            if batch.refused is not None:
                yield 0, [batch.refused], 0
            size = batch.bytes // max(len(batch.rows), 1)
            for row, record in enumerate(batch.rows, before + batch.place):
                if row > done:
                    yield *_row_outcome(record, row, reader), size
    except UNREADABLE_TABLE:
        yield 0, [Reject(reason="unreadable_file", detail="not a readable Parquet file")], 0
