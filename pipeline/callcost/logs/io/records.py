"""Bytes to records: lines of JSONL and SSE, and the values of arrays and of objects spread over lines.

Everything streams: a record is held only while it is being read, and one that is too long is skipped without holding
it. A JSON value is found by its brackets, so that one broken value costs itself and not its neighbours. What a record
means, and whether it is JSON at all, is for the reader.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from callcost.tables import Reject

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_RECORD = 64 << 20
BOM = b"\xef\xbb\xbf"
_BLANKS = b" \t\r\n\x0b\x0c"
# Everything up to the next bracket, whole strings included, and the bracket; a quote there opens a string that does not
# end in its line or not yet. Possessive, so that nothing is tried twice.
_TO_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+")*+(["{}\[\]]?)')
_STRING_REST = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
_SCALAR = re.compile(rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"|[^\s,]+')
_BLANK_ENDS = tuple(bytes((blank, end)) for blank in _BLANKS for end in _BLANKS)
_QUOTE, _BACKSLASH = b'"\\'
_OPENERS = b"{["
_SSE_FIELDS = (b"event:", b"id:", b"retry:", b":")


class Raw(NamedTuple):
    """One record as bytes.

    Attributes:
        row: position in its container, from 1.
        offset: position of its first byte in the uncompressed file, from 0.
        data: the record, without the end of its line.
        is_event: whether it is of an event stream, whose lines are in their order.
        is_element: whether it is of an array, whose elements are.
    """

    row: int
    offset: int
    data: bytes
    is_event: bool = False
    is_element: bool = False


def read_lines(
    blocks: Iterable[bytes], offset: int = 0, row: int = 1, *, sse: bool = False, longest: int | None = None
) -> Iterator[Raw | Reject]:
    """Yield one record a line; blank lines are none.

    Args:
        blocks: the file from ``offset`` on, in pieces of any size.
        offset: position of the first byte, in uncompressed bytes.
        row: number of the first line, from 1.
        sse: an event stream: its data lines are the records, without "data:".
        longest: bytes that a record may have; None: MAX_RECORD.
    """
    longest = longest or MAX_RECORD
    held: list[bytes] = []  # the pieces of a line that has not ended yet
    held_bytes = 0
    for block in blocks:
        if held and block.endswith(_BLANK_ENDS) and (end := block.find(b"\n") + 1):
            held_bytes += end - 1
            held.append(block[: end - 1])
            yield from _line(b"".join(held), held_bytes, row, offset, longest, sse=sse)
            offset, row, held, held_bytes = offset + held_bytes + 1, row + 1, [], 0
            block = block[end:]  # noqa: PLW2901 - what follows may be blank
        if not held and block.isspace():  # a file may be nothing but blank lines, a thousand million of them
            end = block.rfind(b"\n") + 1
            offset, row = offset + end, row + block.count(b"\n")
            block = block[end:]  # noqa: PLW2901 - the beginning of a line
        lines = block.split(b"\n")
        for number, line in enumerate(lines):
            ended = number < len(lines) - 1
            if not held and ended:
                if line:
                    yield from _line(line, len(line), row, offset, longest, sse=sse)
                offset += len(line) + 1
                row += 1
                continue
            held_bytes += len(line)
            held.append(line)
            if held_bytes > longest:
                held = [b""]  # skipped, not kept; only its length still counts
            if ended:
                yield from _line(b"".join(held), held_bytes, row, offset, longest, sse=sse)
                offset += held_bytes + 1
                row += 1
                held, held_bytes = [], 0
    yield from _line(b"".join(held), held_bytes, row, offset, longest, sse=sse)


def _line(line: bytes, size: int, row: int, offset: int, longest: int, *, sse: bool) -> Iterator[Raw | Reject]:
    """Yield the record of a line; of one that is longer than it may be, only its size in bytes is looked at."""
    if size > longest:
        yield too_long(row, offset, longest)
        return
    data = line.lstrip(_BLANKS)
    if data.startswith(BOM):
        data = data[len(BOM) :].lstrip(_BLANKS)
    is_event = sse or data.startswith(b"data:")
    if is_event:
        data = _event_data(data)
    start = len(line) - len(data)
    data = data.rstrip(_BLANKS)
    if data:
        yield Raw(row, offset + start, data, is_event)


def _event_data(data: bytes) -> bytes:
    """Return the JSON of an SSE line; nothing for the lines that frame events."""
    if data.startswith(_SSE_FIELDS):
        return b""
    data = data.removeprefix(b"data:").lstrip(_BLANKS)
    return b"" if data.rstrip(_BLANKS) == b"[DONE]" else data


def read_values(blocks: Iterable[bytes], longest: int | None = None) -> Iterator[Raw | Reject]:
    """Yield the elements of top-level arrays, and every other top-level value.

    Args:
        blocks: the whole file, in pieces of any size.
        longest: bytes that a record may have; None: MAX_RECORD.
    """
    scanner = ValueScanner(longest)
    for block in blocks:
        yield from scanner.feed(block)
    yield from scanner.finish()


def split_values(raw: Raw) -> list[Raw]:
    """Return the objects that stand on one line without a break between them; [] where there are not several.

    Files joined with ``cat`` are like that where the first does not end in a newline.
    """
    scanner = ValueScanner()
    parts = [*scanner.feed(raw.data), *scanner.finish()]
    whole = [part for part in parts if isinstance(part, Raw) and part.data[:1] == b"{" and part.data[-1:] == b"}"]
    if len(whole) < 2 or len(whole) != len(parts):
        return []
    return [Raw(raw.row, raw.offset + part.offset, part.data) for part in whole]


class ValueScanner:
    """Find where values begin and end; fed piece by piece.

    Args:
        longest: bytes that a record may have; None: MAX_RECORD.
    """

    def __init__(self, longest: int | None = None) -> None:
        self._longest = longest or MAX_RECORD
        self._buffer = bytearray()
        self._base = 0  # offset of the buffer's first byte
        self._scanned = 0  # how much of the buffer is understood
        self._start: int | None = None  # where the value being read begins, in the buffer
        self._gap = 0  # where the stretch after the last value begins, in the buffer
        self._depth = 0
        self._inside_array = 0  # depth at which values stand: 1 inside a top-level array
        self._in_string = False
        self._skipping = False  # the value being read is too long, and reported
        self._row = 1
        self._found: list[Raw | Reject] = []

    def feed(self, block: bytes) -> list[Raw | Reject]:
        """Take the next piece; return the values that ended in it."""
        self._buffer += block
        while self._scan_on():
            pass
        self._forget()
        return self._take()

    def finish(self) -> list[Raw | Reject]:
        """Return what is left at the end: a value that never ended, or stray text."""
        if self._start is not None:
            self._emit(self._start, len(self._buffer))
        else:
            self._emit_scalars(len(self._buffer))
        return self._take()

    def _take(self) -> list[Raw | Reject]:
        found, self._found = self._found, []
        return found

    def _scan_on(self) -> bool:
        """Go on until the buffer ends or a string reaches over its end; tell whether to go on at once."""
        if self._in_string and not self._leave_string():
            return False
        buffer, end = self._buffer, self._scanned
        while True:
            stretch = _TO_BRACKET.match(buffer, end)
            end = self._scanned = stretch.end() if stretch else len(buffer)
            if not stretch or not stretch[1]:
                return False
            byte = buffer[end - 1]
            if byte == _QUOTE:
                self._in_string = True
                return True
            if byte in _OPENERS:
                self._open(end - 1, byte)
            else:
                self._close(end - 1, end)

    def _leave_string(self) -> bool:
        """Look for the end of a string; a line break ends a broken one, since JSON has none inside strings."""
        rest = _STRING_REST.match(self._buffer, self._scanned)
        end = rest.end() if rest else self._scanned
        self._scanned = end
        if end >= len(self._buffer) or (self._buffer[end] == _BACKSLASH and end + 1 == len(self._buffer)):
            return False
        self._scanned = end + 1
        self._in_string = False
        return True

    def _open(self, begin: int, byte: int) -> None:
        if self._depth == self._inside_array:
            self._emit_scalars(begin)
            if byte == _OPENERS[1] and not self._inside_array:
                self._inside_array = 1
                self._gap = begin + 1
            else:
                self._start = begin
        self._depth += 1

    def _close(self, begin: int, end: int) -> None:
        if self._depth > self._inside_array:
            self._depth -= 1
            if self._depth == self._inside_array and self._start is not None:
                self._emit(self._start, end)
                self._start, self._gap = None, end
        elif self._inside_array:
            self._emit_scalars(begin)
            self._depth = self._inside_array = 0
            self._gap = end

    def _emit(self, start: int, end: int) -> None:
        if not self._skipping:
            if end - start > self._longest:
                self._found.append(too_long(self._row, self._base + start, self._longest))
            else:
                data = bytes(self._buffer[start:end])
                self._found.append(Raw(self._row, self._base + start, data, is_element=bool(self._inside_array)))
        self._skipping = False
        self._row += 1

    def _emit_scalars(self, end: int) -> None:
        """Report what stands between values: numbers, words and stray text, one record a word."""
        stretch = bytes(self._buffer[self._gap : end])
        for word in _SCALAR.finditer(stretch.replace(BOM, b"   ") if self._base + self._gap == 0 else stretch):
            self._found.append(Raw(self._row, self._base + self._gap + word.start(), word[0]))
            self._row += 1
        self._gap = end

    def _forget(self) -> None:
        """Drop the bytes that are dealt with."""
        if self._start is not None and len(self._buffer) - self._start > self._longest and not self._skipping:
            self._found.append(too_long(self._row, self._base + self._start, self._longest))
            self._skipping = True
        if self._start is None:
            if self._depth == self._inside_array and not self._in_string:
                self._emit_scalars(self._last_break())
            if len(self._buffer) - self._gap > self._longest:
                self._found.append(too_long(self._row, self._base + self._gap, self._longest))
                self._row += 1
                self._gap = len(self._buffer)
            keep = min(self._gap, self._scanned)
        else:
            keep = self._scanned if self._skipping else self._start
        del self._buffer[:keep]
        self._base += keep
        self._scanned -= keep
        self._gap = max(self._gap - keep, 0)
        if self._start is not None:
            self._start = 0

    def _last_break(self) -> int:
        """Return the end of the words that are complete; the last may go on in the next piece."""
        return max(self._gap, *(self._buffer.rfind(byte, self._gap) + 1 for byte in b" \t\r\n,"))


class _Blocks(io.RawIOBase):
    """Blocks of bytes as a file."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: WriteableBuffer) -> int:
        while not self._held:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._held = memoryview(block)
        view = memoryview(target).cast("B")
        size = min(len(view), len(self._held))
        view[:size] = self._held[:size]
        self._held = self._held[size:]
        return size


def open_blocks(blocks: Iterable[bytes]) -> io.BufferedReader:
    """Return blocks of bytes as a file that is read line by line."""
    return io.BufferedReader(_Blocks(blocks), 256 << 10)


def too_long(row: int, offset: int, longest: int) -> Reject:
    """Return the reject of a record with more bytes than it may have."""
    detail = f"more than {longest >> 20} MiB: raise --max-record"
    return Reject(reason="line_too_long", detail=detail, source_row=row, byte_offset=offset)
