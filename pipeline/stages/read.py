"""Open the inputs of a task and hand out windows of calls: the bridge from files to the record reader.

Text logs are read by logs/; Parquet is opened here, row group by row group, and its rows go through the same record
reader. Rejects and counters come along with the calls, so that every record stays accounted for.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator

import pyarrow as pa

from pipeline.logs.files import Input, container_of, read_raw
from pipeline.logs.reader import CONTEXT, FRAGMENT, Outcome, RecordReader
from pipeline.settings import ReadOptions
from pipeline.stages.parquet import read_rows
from pipeline.stages.pieces import Piece
from pipeline.tables import Call, Reject

WINDOW_BYTES = 16 << 20  # of record text per window: enough repeats to de-duplicate, little memory


@dataclasses.dataclass(slots=True)
class Window:
    """A stretch of one input, read.

    Attributes:
        first: number of its first record in the piece.
        calls: in the order of the input, still with their text.
        rejects: records that could not become calls.
        tally: "records", "context" and "fragments" of this stretch.
        seen_bytes: how much of the input this stretch covers, as stored.
    """

    first: int = 1
    calls: list[Call] = dataclasses.field(default_factory=list)
    rejects: list[Reject] = dataclasses.field(default_factory=list)
    tally: Counter[str] = dataclasses.field(default_factory=Counter)
    seen_bytes: int = 0

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Sort outcomes into their places; each is one record."""
        for outcome in outcomes:
            if isinstance(outcome, Call):
                outcome.record = self.first + self.tally["records"]
                self.calls.append(outcome)
            elif isinstance(outcome, Reject):
                self.rejects.append(outcome)
            elif outcome is CONTEXT:
                self.tally["context"] += 1
            elif outcome is FRAGMENT:
                self.tally["fragments"] += 1
            self.tally["records"] += 1


def read_windows(piece: Piece, options: ReadOptions) -> Iterator[Window]:
    """Read one piece of input, window by window.

    Args:
        piece: of the input.
        options: how logs are read.

    Yields:
        Windows of about WINDOW_BYTES of records; their lineage columns are filled, rows as if the piece were the file
        where its ``rows_before`` is not known.
    """
    reader = RecordReader(options)
    source = piece.source
    stretches = _parquet_outcomes if container_of(source) == "parquet" else _text_outcomes
    window = Window()
    for outcomes, seen in stretches(piece, reader):
        window.add(outcomes)
        window.seen_bytes += seen
        if window.seen_bytes >= WINDOW_BYTES:
            yield _named(window, source)
            window = Window(first=window.first + window.tally["records"])
    window.add(reader.finish())
    yield _named(window, source)


def _named(window: Window, source: Input) -> Window:
    for call in window.calls:
        call.source_file = source.name
    window.rejects = [
        Reject(
            reason=reject.reason,
            detail=reject.detail,
            source_file=source.name,
            source_row=reject.source_row,
            byte_offset=reject.byte_offset,
        )
        for reject in window.rejects
    ]
    return window


def _text_outcomes(piece: Piece, reader: RecordReader) -> Iterator[tuple[list[Outcome], int]]:
    for raw in read_raw(piece.source, piece.start, piece.end, 1 + (piece.rows_before or 0)):
        if isinstance(raw, Reject):
            yield [raw], 0
        else:
            yield reader.read(raw), len(raw.data)


def _parquet_outcomes(piece: Piece, reader: RecordReader) -> Iterator[tuple[list[Outcome], int]]:
    row = piece.rows_before or 0
    try:
        for rows, size in read_rows(piece.source.path, piece.start, piece.end):
            for record in rows:
                row += 1
                yield [_placed(record, row)] if isinstance(record, Reject) else reader.read_value(record, row), 0
            yield [], size
    except (OSError, ValueError, pa.ArrowException):  # ValueError: a damaged page of text
        yield [Reject(reason="unreadable_file", detail="not a readable Parquet file")], 0


def _placed(reject: Reject, row: int) -> Reject:
    return Reject(reason=reject.reason, detail=reject.detail, source_row=row)
