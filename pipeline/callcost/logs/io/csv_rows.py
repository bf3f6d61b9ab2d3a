"""CSV to records: every row is an object of its cells, as JSON, so that it is read like any other record.

RFC 4180, with what exports make of it: a BOM, semicolons, tabs or bars for commas, line breaks inside quotes, an index
column without a name. A cell is text and an empty one null. What a column means, and which hold JSON, is for the
dialects. Only a record that says where it begins can be cut, so that a CSV file is always read in one go.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator

import msgspec

from callcost.logs.io.records import BOM, MAX_RECORD, Raw, open_blocks, too_long
from callcost.tables import Reject

_HEADER_BYTES = 64 << 10
_WORD = r"[\w@$#(\[][\w.:()/\[\]$@#%*-]*"
_NAME = re.compile(rf" ?{_WORD}|{_WORD}(?: {_WORD}){{0,5}}")
_NUMBER = re.compile(r"[\d.:/-]+")
_DELIMITERS = ",;\t|"
_NO_LIMIT = 2**31 - 1  # of a cell; the rows are bounded


class _TooLong(Exception):  # noqa: N818 - how the lines tell the rows that a record is too long
    pass


class _Lines:
    """The lines of a file as text, and how many bytes were handed out."""

    def __init__(self, blocks: Iterable[bytes], longest: int) -> None:
        self._stream, self._longest = open_blocks(blocks), longest
        self.header = self._stream.readline(longest + 1)
        self.offset = 0
        self.start = 0  # of the record that is being read

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(self._longest + 1) if self.offset else self.header
        if not line:
            raise StopIteration
        first, self.offset = self.offset == 0, self.offset + len(line)
        rest = line
        while len(line) > self._longest and rest and not rest.endswith(b"\n"):
            rest = self._stream.readline(self._longest)
            self.offset += len(rest)
        if self.offset - self.start > self._longest:
            raise _TooLong
        return (line.removeprefix(BOM) if first else line).decode("utf-8", "surrogateescape")


def delimiter_of(header: bytes, columns: int = 2) -> str | None:
    """Return what parts the cells of a header; None where a line is no header.

    Args:
        header: the first line of a file.
        columns: number of names that it must have.

    >>> delimiter_of(b"model;user;tokens"), delimiter_of(b"Dear Ida, it rains.")
    (';', None)
    """
    line = header[:_HEADER_BYTES].removeprefix(BOM).decode("utf-8", "replace").strip("\r\n")
    best: tuple[int, str] | None = None
    for delimiter in _DELIMITERS:
        cells = _cells_of(line, delimiter) if delimiter in line else []
        names = cells[1:] if cells[:1] == [""] else cells  # the index that pandas writes
        spaced = any(name != name.strip() for name in names)  # "Hello, world" is no header
        fits = len(cells) >= columns + spaced and all(_is_name(name.rstrip(" ")) for name in names)
        if fits and (best is None or len(cells) > best[0]):
            best = len(cells), delimiter
    return best[1] if best else None


def _cells_of(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _is_name(cell: str) -> bool:
    return len(cell) < 100 and bool(_NAME.fullmatch(cell)) and not _NUMBER.fullmatch(cell)


def read_rows(blocks: Iterable[bytes], longest: int | None = None) -> Iterator[Raw | Reject]:
    """Yield the rows of a CSV file as JSON objects; the header is row 1.

    Args:
        blocks: the whole file, in pieces of any size.
        longest: bytes that a record may have; None: MAX_RECORD.
    """
    longest = longest or MAX_RECORD
    csv.field_size_limit(_NO_LIMIT)  # of the whole process; the module's default would refuse a long prompt
    lines = _Lines(blocks, longest)
    cells = csv.reader(lines, delimiter=delimiter_of(lines.header) or ",", skipinitialspace=True)
    names: list[str] | None = None
    row = 0
    while True:
        start = lines.start = lines.offset
        try:
            values = next(cells)
        except StopIteration:
            return
        except _TooLong:
            row += 1
            yield too_long(row, start, longest)
            continue
        except csv.Error:
            row += 1
            yield Reject(reason="bad_row", detail="no CSV", source_row=row, byte_offset=start)
            continue
        if not any(values):
            continue
        row += 1
        if names is None:
            names = [name.strip() for name in values]
        else:
            yield _record(names, values, row, start)


def _record(names: list[str], values: list[str], row: int, offset: int) -> Raw | Reject:
    if len(values) < len(names) or any(values[len(names) :]):
        detail = f"{len(values)} cells, not {len(names)}"
        return Reject(reason="bad_row", detail=detail, source_row=row, byte_offset=offset)
    try:
        data = msgspec.json.encode({name: value or None for name, value in zip(names, values, strict=False) if name})
    except UnicodeEncodeError:
        return Reject(reason="invalid_utf8", source_row=row, byte_offset=offset)
    return Raw(row, offset, data)
