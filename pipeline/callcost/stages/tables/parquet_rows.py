"""Rows of Parquet as records: what Python cannot hold becomes text, and a row that cannot be read costs only itself.

Times become ISO text (naive ones stay naive), since exports hold nanoseconds and years that Python's datetime does
not; bytes that hold text become text, since Spark and Impala write strings without saying so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from callcost.logs.io.object_store import as_source
from callcost.logs.own_output import FACTS_METADATA, are_own_columns
from callcost.settings import ReadOptions
from callcost.stages.tables.facts import Exported
from callcost.stages.tables.parquet_pages import BATCH_BYTES, RowGroup, measure_group, refuse_group, refuse_table
from callcost.tables import Reject

BATCH_ROWS = 2_000  # rows decoded at a time; a row may hold a whole conversation
UNREADABLE_TABLE = (OSError, ValueError, pa.ArrowException)  # ValueError: a damaged page of text
_UNREADABLE = (ValueError, OverflowError, TypeError, OSError, pa.ArrowException)  # ValueError: invalid UTF-8 too
_USUAL = ReadOptions()
Row = dict[str, Any] | Reject


class Batch(NamedTuple):
    """Some rows of a file.

    Attributes:
        place: position of the first of them; 0 is the first row of the first row group that is read.
        rows: without their null columns, which JSON would leave out; a reject, which has no place yet, in the place of
            a row that cannot be read.
        bytes: their size, unpacked.
        refused: why a row group, or the file, is not read at all; there are no rows then.
    """

    place: int
    rows: list[Row]
    bytes: int
    refused: Reject | None = None


def read_rows(path: str, start: int, end: int | None, options: ReadOptions = _USUAL) -> Iterator[Batch]:
    """Yield the rows of some row groups.

    Args:
        path: path or URL of the file.
        start: first row group.
        end: the row group to stop before; None: read all.
        options: how much may be unpacked.

    Raises:
        OSError: the file cannot be read.
        pa.ArrowException: it is damaged.
    """
    metadata = pq.read_metadata(as_source(path))
    if refused := refuse_table(metadata, options):
        if not start:  # once, whatever the file is cut into
            yield Batch(0, [], 0, refused)
        return
    place = 0
    for number in range(start, metadata.num_row_groups if end is None else end):
        group = measure_group(path, metadata, number)
        after = place + metadata.row_group(number).num_rows
        if refused := refuse_group(group, options):
            yield Batch(place, [], 0, refused)
        else:
            for batch in _batches_of(path, metadata, group):
                plain = _plain_batch(batch)
                yield Batch(place, _rows_of(plain), sum(map(_size_of, plain.columns)))
                place += batch.num_rows
        place = after


def _batches_of(path: str, metadata: pq.FileMetaData, group: RowGroup) -> Iterator[pa.RecordBatch]:
    """Unpack a row group, so many rows at a time that they take BATCH_BYTES at the most."""
    words = group.wide_columns()
    rows = min(BATCH_ROWS, group.rows_within(BATCH_BYTES, words))
    with pq.ParquetFile(as_source(path), metadata=metadata, read_dictionary=words) as table:
        yield from table.iter_batches(batch_size=rows, row_groups=[group.number])


def holds_own_table(path: str) -> bool:
    """Tell whether a file is a table that callcost wrote; one that cannot be read is none."""
    try:
        schema = pq.read_schema(as_source(path))
        return are_own_columns(schema.names) or FACTS_METADATA.encode() in (schema.metadata or {})
    except UNREADABLE_TABLE:
        return False


def read_some(path: str, start: int, end: int | None, wanted: Sequence[int]) -> Iterator[tuple[int, Row]]:
    """Yield some rows, as read_rows does, and which they are.

    Args:
        path: path or URL of the file.
        start: first row group.
        end: the row group to stop before; None: the end of the file.
        wanted: places of the rows, ascending; the first row of the first group is 0.
    """
    left, place = deque(wanted), 0
    metadata = pq.read_metadata(as_source(path))
    for number in range(start, metadata.num_row_groups if end is None else end) if left else ():
        after = place + metadata.row_group(number).num_rows
        if left and left[0] < after:
            for batch in _batches_of(path, metadata, measure_group(path, metadata, number)):
                here = []
                while left and left[0] < place + batch.num_rows:
                    here.append(left.popleft() - place)
                if here:
                    rows = _rows_of(_plain_batch(batch.take(pa.array(here, pa.int64()))))
                    yield from zip((place + number for number in here), rows, strict=True)
                place += batch.num_rows
                if not left:
                    return
        place = after


def first_rows(path: str, count: int) -> list[Row]:
    """Return the first rows of a file; none where they are too large to be looked at.

    Raises:
        OSError: the file cannot be read.
        pa.ArrowException: it is damaged.
    """
    batches = read_rows(path, 0, 1 if pq.read_metadata(as_source(path)).num_row_groups else 0)
    return list(islice((row for batch in batches for row in batch.rows), count))


def _plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([_plain(column) for column in batch.columns], names=batch.schema.names)


def _rows_of(batch: pa.RecordBatch) -> list[Row]:
    try:
        if not any(isinstance(column, pa.DictionaryArray) for column in batch.columns):
            return [_stated(row) for row in batch.to_pylist()]
        columns = [_values_of(column) for column in batch.columns]
        return [_stated(dict(zip(batch.schema.names, row, strict=True))) for row in zip(*columns, strict=True)]
    except _UNREADABLE:
        return [_row_of(batch.slice(number, 1)) for number in range(batch.num_rows)]


def _values_of(column: pa.Array[Any]) -> list[Any]:
    """Return the values of a column; rows that say the same share one."""
    if not isinstance(column, pa.DictionaryArray):
        return column.to_pylist()
    words = column.dictionary.to_pylist()
    return [None if number is None else words[number] for number in column.indices.to_pylist()]


def _size_of(column: pa.Array[Any]) -> int:
    """Return the bytes of a column; words as often as they are repeated."""
    if not isinstance(column, pa.DictionaryArray):
        return column.nbytes
    mean = column.dictionary.nbytes // max(len(column.dictionary), 1)
    return mean * (len(column) - column.null_count)


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
    if isinstance(column, pa.DictionaryArray):
        return _with_used_words(column)
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


def _with_used_words(column: pa.DictionaryArray[Any, Any]) -> pa.Array[Any]:
    """Return numbers and words, only those that these rows have."""
    numbers = column.indices.to_pylist()
    used = sorted({number for number in numbers if number is not None})
    places = {number: place for place, number in enumerate(used)}
    words = _plain(column.dictionary.take(pa.array(used, pa.int64())))
    return pa.DictionaryArray.from_arrays(pa.array(map(places.get, numbers), pa.int32()), words)


def _iso_times(column: pa.Array[Any]) -> pa.Array[Any]:
    zone, unit = "" if column.type.tz is None else "Z", column.type.unit
    ticks = pl.Series(Exported(column.view(pa.int64())))
    if ticks.is_between(0, _LAST_TICK[unit]).all():  # else as Arrow writes years beyond four digits
        micros = ticks // 1_000 if unit == "ns" else ticks * (1_000_000 // _TICKS[unit])
        texts = micros.cast(pl.Datetime("us")).dt.strftime(f"%Y-%m-%dT%H:%M:%S{_FRACTIONS[unit]}{zone}")
        return pa.array(texts.to_list(), pa.string())
    naive = column.cast(pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit)) if zone else column
    finest: Any = naive.cast(pa.timestamp("us"), safe=False) if unit == "ns" else naive
    from pyarrow import compute  # noqa: PLC0415 - a tenth of a second, and few tables have such times

    odd: pa.Array[Any] = compute.strftime(finest, format=f"%Y-%m-%dT%H:%M:%S{zone}")
    return odd


_TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # in a second
_LAST_TICK = {unit: min(253_402_300_799 * ticks, 2**63 - 1) for unit, ticks in _TICKS.items()}  # of the year 9999
_FRACTIONS = {"s": "", "ms": "%.3f", "us": "%.6f", "ns": "%.6f"}
