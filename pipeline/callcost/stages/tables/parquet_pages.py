"""What a Parquet file would unpack to, told by its footer and the headers of its pages before any page is unpacked.

A page of 35 KB may hold a value of 1 GiB, and a dictionary repeat one value for each of millions of rows. The footer
states sums only, and whoever wrote it may lie; what the reader sets memory aside for is what the page's own header says
(https://github.com/apache/parquet-format, Thrift's compact protocol).
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Collection, Sequence
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from callcost.logs.io.object_store import is_url, open_input
from callcost.settings import ReadOptions
from callcost.tables import Reject

PAGES_OF_RECORD = 4  # a row's pages may take so many times what a record may
BATCH_BYTES = 64 << 20  # of rows that are unpacked at a time
_WIDE_VALUE = 4 << 10  # of a dictionary, that is better not repeated for each row
_VALUE_BYTES = 16  # of a value that takes no room in its page, because it is that of the row before
_HEADER_BYTES, _LONGEST_HEADER = 1 << 10, 1 << 20
_SEARCHED_BYTES = 32 << 20  # of a file in a store; in a larger one looking at each page would cost a second download
_LIKELY_RATIO, _LIKELY_PAGE = 100, 1 << 20  # of those that are not looked at
_DATA_PAGE, _DICTIONARY_PAGE, _DATA_PAGE_V2 = 0, 2, 3
_TEXT = "BYTE_ARRAY"
_CODECS: dict[str, Any] = {"SNAPPY": "snappy", "GZIP": "gzip", "BROTLI": "brotli", "ZSTD": "zstd", "LZ4_RAW": "lz4_raw"}


class Width(NamedTuple):
    """What a column of a row group takes once it is unpacked, in bytes.

    Attributes:
        page: the largest page of values and the dictionary, which are in memory at the same time.
        row: the values of a row, in the page that has the largest.
        value: what a row takes beyond that if it repeats the largest value of the dictionary; 0: there is none.
    """

    page: int
    row: int
    value: int


@dataclasses.dataclass(frozen=True, slots=True)
class RowGroup:
    """What a row group takes once it is unpacked.

    Attributes:
        number: position of the row group in the file, from 0.
        columns: path of a leaf column -> its widths.
    """

    number: int
    columns: dict[str, Width]

    @property
    def least_bytes(self) -> int:
        """Memory for one page of each column, or for one row: no batch takes less."""
        widths = self.columns.values()
        return max(sum(width.page for width in widths), sum(width.row for width in widths))

    def wide_columns(self) -> list[str]:
        """Return the columns of text that are better read as numbers and words."""
        return [path for path, width in self.columns.items() if "." not in path and width.value > _WIDE_VALUE]

    def rows_within(self, room: int, words: Collection[str], names: Collection[str] | None = None) -> int:
        """Return how many rows go into so many bytes; at least one.

        Args:
            room: bytes.
            words: columns that are read as numbers and words, so that no value is repeated.
            names: columns that are read; None: all.
        """
        wanted = {path: width for path, width in self.columns.items() if names is None or path in names}
        row = sum(width.row + (0 if path in words else width.value) for path, width in wanted.items())
        return max(1, room // max(row, 1))


def refuse_table(metadata: pq.FileMetaData, options: ReadOptions) -> Reject | None:
    """Return the reject of a file with more rows than a log may have; None where it may be read."""
    rows = sum(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
    if max(rows, metadata.num_rows) <= options.max_rows:
        return None
    detail = f"{rows:,} rows, more than {options.max_rows:,}: raise --max-rows"
    return Reject(reason="too_large", detail=detail)


def refuse_group(group: RowGroup, options: ReadOptions) -> Reject | None:
    """Return the reject of a row group that cannot be unpacked within a run's memory; None where it may be read."""
    most = PAGES_OF_RECORD * options.max_record
    if group.least_bytes <= most << 20:
        return None
    size = f"{group.least_bytes >> 20:,} MiB"
    detail = f"a page of each column of row group {group.number} takes {size}, more than {most}: raise --max-record"
    return Reject(reason="too_large", detail=detail)


def measure_group(path: str, metadata: pq.FileMetaData, number: int) -> RowGroup:
    """Return what a row group takes once it is unpacked.

    Args:
        path: path or URL of the file.
        metadata: footer of the file.
        number: position of the row group in the file, from 0.

    Raises:
        OSError: the file cannot be read.
    """
    group = metadata.row_group(number)
    chunks = [group.column(place) for place in range(group.num_columns)]
    if is_url(path) and _is_plausible(chunks):
        return RowGroup(number, {chunk.path_in_schema: _stated_width(chunk, group.num_rows) for chunk in chunks})
    with open_input(path) as stream:
        return RowGroup(number, {chunk.path_in_schema: _width_of(stream, chunk, group.num_rows) for chunk in chunks})


def _is_plausible(chunks: Sequence[Any]) -> bool:
    """Say whether a row group is large, and no column of it unpacks to far more than it takes."""
    return sum(chunk.total_compressed_size for chunk in chunks) > _SEARCHED_BYTES and not any(
        chunk.total_uncompressed_size > _LIKELY_RATIO * chunk.total_compressed_size for chunk in chunks
    )


def _stated_width(chunk: Any, rows: int) -> Width:
    """Return the widths of a column as the footer has them, which knows no pages."""
    size = max(chunk.total_uncompressed_size, chunk.total_compressed_size)
    return Width(page=min(size, _LIKELY_PAGE), row=size // max(rows, 1), value=0)


def _width_of(stream: BinaryIO, chunk: Any, rows: int) -> Width:
    """Look at the headers of a column's pages."""
    per_row = max(1, -(-chunk.num_values // max(rows, 1)))  # more than one: it is nested
    page = dense = dictionary = value = values = 0
    at = chunk.data_page_offset
    if chunk.dictionary_page_offset and chunk.dictionary_page_offset < at:
        at = chunk.dictionary_page_offset
    end = at + chunk.total_compressed_size
    try:
        while values < chunk.num_values and at < end:
            header, length = _header_at(stream, at)
            if header.kind == _DICTIONARY_PAGE:
                dictionary = header.unpacked
                value = _widest_value(stream, at + length, header, chunk)
            else:
                page = max(page, header.unpacked)
                dense = max(dense, -(-header.unpacked // max(header.values, 1)))
            values += header.values if header.kind in (_DATA_PAGE, _DATA_PAGE_V2) else 0
            at += length + header.packed
    except (ValueError, IndexError, OverflowError):
        size = max(chunk.total_uncompressed_size, chunk.total_compressed_size)
        return Width(page=size, row=size // max(rows, 1), value=0)  # damaged or encrypted: reading it says so
    return Width(page=page + dictionary, row=(dense + _VALUE_BYTES) * per_row, value=value * per_row)


class _Header(NamedTuple):
    """What the header of a page says."""

    kind: int
    unpacked: int
    packed: int
    values: int


def _header_at(stream: BinaryIO, at: int) -> tuple[_Header, int]:
    """Return the header of the page that begins at an offset, and its length.

    Raises:
        ValueError: there is none.
    """
    size = _HEADER_BYTES
    while True:
        stream.seek(at)
        data = stream.read(size)
        try:
            fields, length = _struct_at(data, 0, 0)
            break
        except IndexError:  # statistics may hold long values
            if len(data) < size or size >= _LONGEST_HEADER:
                raise ValueError("no header of a page") from None
            size *= 32
    kinds = {5: _DATA_PAGE, 7: _DICTIONARY_PAGE, 8: _DATA_PAGE_V2}
    inner: dict[int, Any] = next((fields[name] for name in kinds if isinstance(fields.get(name), dict)), {})
    numbers = (*map(fields.get, (1, 2, 3)), inner.get(1, 0))
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError("no header of a page")
    return _Header(*numbers), length


def _widest_value(stream: BinaryIO, at: int, header: _Header, chunk: Any) -> int:
    """Return the size of the largest value of a dictionary; that of all of it where it cannot be looked at."""
    if chunk.physical_type != _TEXT:
        return min(header.unpacked, 16)
    codec = _CODECS.get(chunk.compression)
    if max(header) > BATCH_BYTES or (codec is None and chunk.compression != "UNCOMPRESSED"):
        return header.unpacked
    stream.seek(at)
    data = stream.read(header.packed)
    try:
        plain = data if codec is None else pa.decompress(data, header.unpacked, codec).to_pybytes()
    except (OSError, pa.ArrowException):
        return header.unpacked
    widest = place = 0
    length_at = struct.Struct("<I").unpack_from
    while place + 4 <= len(plain):
        (size,) = length_at(plain, place)
        widest = max(widest, size)
        place += 4 + size
    return widest


# --- Thrift's compact protocol ----------------------------------------------------------------------------------------

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_MOST_LEVELS = 8


def _struct_at(data: bytes, at: int, level: int) -> tuple[dict[int, Any], int]:
    """Return the fields of a struct by their number (only numbers and structs), and where it ends.

    Raises:
        IndexError: the data ends before it.
        ValueError: it is none.
    """
    if level > _MOST_LEVELS:
        raise ValueError("structs too deep")
    fields: dict[int, Any] = {}
    name = 0
    while byte := data[at]:
        at += 1
        kind = byte & 15
        if byte >> 4:
            name += byte >> 4
        else:
            name, at = _number_at(data, at)
        if kind in (_TRUE, _FALSE):  # the kind is the value
            continue
        fields[name], at = _value_at(data, at, kind, level)
    return fields, at + 1


def _value_at(data: bytes, at: int, kind: int, level: int) -> tuple[Any, int]:
    if kind in (_I16, _I32, _I64):
        return _number_at(data, at)
    if kind == _STRUCT:
        return _struct_at(data, at, level + 1)
    if kind == _BINARY:
        size, at = _unsigned_at(data, at)
        at += size
    elif kind in (_BYTE, _TRUE, _FALSE):
        at += 1
    elif kind == _DOUBLE:
        at += 8
    elif kind in (_LIST, _SET):
        at = _after_list(data, at, level)
    else:
        raise ValueError("no kind of a header's field")
    if at > len(data):
        raise IndexError
    return None, at


def _after_list(data: bytes, at: int, level: int) -> int:
    count, kind = data[at] >> 4, data[at] & 15
    at += 1
    if count == 15:
        count, at = _unsigned_at(data, at)
    if level > _MOST_LEVELS:
        raise ValueError("lists too deep")
    for _ in range(count):
        _, at = _value_at(data, at, kind, level + 1)
    return at


def _unsigned_at(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number too long")


def _number_at(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned_at(data, at)
    return (value >> 1) ^ -(value & 1), at
