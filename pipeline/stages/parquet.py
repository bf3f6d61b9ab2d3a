"""Rows of Parquet as records: what Python cannot hold becomes text, and a row that cannot be read costs only itself.

Times become ISO text (naive ones stay naive), since exports hold nanoseconds and years that Python's datetime does
not; bytes that hold text become text, since Spark and Impala write strings without saying so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.logs.own_output import FACTS_MARK, are_own_columns
from pipeline.logs.stores import as_source
from pipeline.tables import Reject

BATCH_ROWS = 2_000  # rows decoded at a time; a row may hold a whole conversation
UNREADABLE_TABLE = (OSError, ValueError, pa.ArrowException)  # ValueError: a damaged page of text
_UNREADABLE = (ValueError, OverflowError, TypeError, OSError, pa.ArrowException)  # ValueError: invalid UTF-8 too
Row = dict[str, Any] | Reject


def read_rows(path: str, start: int, end: int | None) -> Iterator[tuple[list[Row], int]]:
    """Yield batches of rows and their size in bytes.

    Args:
        path: of the file.
        start: first row group.
        end: the row group to stop before; None: read all.

    Yields:
        Rows without their null columns, which JSON would leave out; rejects, which have no place yet, in the place of
        rows that cannot be read.

    Raises:
        OSError: the file cannot be read.
        pa.ArrowException: it is damaged.
    """
    with pq.ParquetFile(as_source(path)) as table:
        groups = range(start, table.num_row_groups if end is None else end)
        for batch in table.iter_batches(batch_size=BATCH_ROWS, row_groups=list(groups)):
            yield _rows_of(_plain_batch(batch)), batch.nbytes


def holds_own_table(path: str) -> bool:
    """Tell whether a file is a table that callcost wrote; one that cannot be read is none."""
    try:
        schema = pq.read_schema(as_source(path))
        return are_own_columns(schema.names) or FACTS_MARK.encode() in (schema.metadata or {})
    except UNREADABLE_TABLE:
        return False


def read_some(path: str, start: int, end: int | None, wanted: Sequence[int]) -> Iterator[tuple[int, Row]]:
    """Yield some rows, as read_rows does, and which they are.

    Args:
        path: of the file.
        start: first row group.
        end: the row group to stop before; None: the end of the file.
        wanted: places of the rows, ascending; the first row of the first group is 0.
    """
    left, place = deque(wanted), 0
    with pq.ParquetFile(as_source(path)) as table:
        groups = range(start, table.num_row_groups if end is None else end)
        for batch in table.iter_batches(batch_size=BATCH_ROWS, row_groups=list(groups)) if left else ():
            here = []
            while left and left[0] < place + batch.num_rows:
                here.append(left.popleft() - place)
            if here:
                rows = _rows_of(_plain_batch(batch.take(pa.array(here, pa.int64()))))
                yield from zip((place + number for number in here), rows, strict=True)
            place += batch.num_rows
            if not left:
                return


def first_rows(path: str, count: int) -> list[Row]:
    """Return the first rows of a file.

    Raises:
        OSError: the file cannot be read.
        pa.ArrowException: it is damaged.
    """
    with pq.ParquetFile(as_source(path)) as table:
        batches = table.iter_batches(batch_size=count, row_groups=[0] if table.num_row_groups else [])
        return [row for batch in islice(batches, 1) for row in _rows_of(_plain_batch(batch))]


def _plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([_plain(column) for column in batch.columns], names=batch.schema.names)


def _rows_of(batch: pa.RecordBatch) -> list[Row]:
    try:
        return [_stated(row) for row in batch.to_pylist()]
    except _UNREADABLE:
        return [_row_of(batch.slice(number, 1)) for number in range(batch.num_rows)]


def _row_of(batch: pa.RecordBatch) -> Row:
    try:
        return _stated(batch.to_pylist()[0])
    except UnicodeDecodeError:
        return Reject(reason="invalid_utf8")
    except _UNREADABLE as error:
        return Reject(reason="unreadable_record", detail=type(error).__name__)


def _stated(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _plain(column: pa.Array[Any]) -> pa.Array[Any]:
    """Return a column whose values every Python and every reader can hold."""
    kind = column.type
    try:
        if pa.types.is_timestamp(kind):
            return _iso_times(column)
        if pa.types.is_temporal(kind):
            return column.cast(pa.string()) if pa.types.is_date(kind) else column.cast(pa.int64(), safe=False)
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return column.cast(pa.large_string())
    except _UNREADABLE:
        return column  # its rows are tried one by one
    return column


def _iso_times(column: pa.Array[Any]) -> pa.Array[Any]:
    zone = "" if column.type.tz is None else "Z"
    naive = column.cast(pa.timestamp(column.type.unit, "UTC")).cast(pa.timestamp(column.type.unit)) if zone else column
    finest: Any = naive.cast(pa.timestamp("us"), safe=False) if column.type.unit == "ns" else naive
    from pyarrow import compute  # noqa: PLC0415 - a tenth of a second, and few tables have times

    texts: pa.Array[Any] = compute.strftime(finest, format=f"%Y-%m-%dT%H:%M:%S{zone}")
    return texts
