"""The lane for lines whose usage is complete: JSONL decoded by the block, rows without an object per field.

A block of lines is decoded at once into a type that holds only what the dialect's table reads. What does not decode,
or is not ordinary, goes line by line to the record reader, so that nothing is lost and nothing is decided here: the
lane is an order of work, not another reading. Where most lines are like that, the rest of the piece is the reader's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, BinaryIO

import polars as pl

from callcost.logs.dialects import recogniser
from callcost.logs.dialects.litellm import CUT_MARKS
from callcost.logs.io.inputs import align_to_line
from callcost.logs.io.records import Raw, read_lines
from callcost.logs.record.dialect import FieldReader
from callcost.logs.record_reader import UNFORESEEN
from callcost.logs.values.json import Refusal, decode
from callcost.logs.values.json_path import Path
from callcost.stages.columnar.chats import Talks, read_talks
from callcost.stages.columnar.decode import Table, flatten
from callcost.stages.columnar.probe import Judge
from callcost.stages.columnar.schema import LANES, UNDECODABLE, Leaves, Node, leaves_of, node_of, observe
from callcost.stages.columnar.to_facts import Laid, Rows, join_rows, lay_out
from callcost.stages.count.missing_usage import missing_sides
from callcost.tables import Reject

BLOCK_BYTES = 512 << 10  # so few that what they hold stays in a core's cache until it is in lists
_ROWS_BYTES, _ROWS = 8 << 20, 4_096  # lines of which columns are made: by then lists cost no more than few long columns
LONGEST_LINE = 16 << 20  # beyond it the record reader streams
_SAMPLED_LINES = 16
_MOST_ODD = 0.5  # of the lines; more of them, and the lane is no gain
_FEW_ODD = 100  # lines that tell nothing of the rest
MAX_CLASSES = 4_000  # of a piece
_OPENED, _CLOSED = frozenset(b"{"), frozenset(b"}\r")


class BlockReader:
    """Read the blocks of one piece, for as long as the lane is worth it.

    The leaves may take in the texts of chats whose usage is missing; then these are counted, not left.

    Args:
        leaves: of the dialect of the piece's first lines.
        sample: these lines, decoded.

    Attributes:
        worthwhile: False where most lines of a block had to be left.
        lines: that are read, but not handed out yet.
        texts: bytes of those of them whose texts are held.
    """

    def __init__(self, leaves: Leaves, sample: list[dict[str, Any]]) -> None:
        self._leaves, self._seen = leaves, tuple(observe(sample, leaves).items())
        self._wide = False
        self._gathered = _Gathered()
        self._held: list[Rows] = []
        self._read = self._left = 0
        self.worthwhile = True
        self.lines = self.texts = 0
        self._node, self._judge = _type_of(leaves, self._seen, self._wide)
        self._cut_mark = CUT_MARKS.get(leaves.reader.dialect.name, b"") if leaves.talking else b""

    def read(self, block: memoryview, offset: int, first_row: int) -> tuple[int, list[Raw | Reject]]:
        """Read a block of whole lines.

        Returns:
            How many lines it has, and those that do not decode, which are for the record reader.
        """
        lines = _Lines(block, offset, first_row)
        rows, objects, left = self._decode(lines)
        self._gathered.add(lines, rows, self._node, objects, self._cut_mark)
        self.lines += len(objects)
        self.texts += len(block) if self._leaves.talking and objects else 0
        self._read += lines.count
        self._left += len(left)
        self.worthwhile = self._left <= max(_FEW_ODD, _MOST_ODD * self._read)
        if self._gathered.bytes >= _ROWS_BYTES or self._gathered.table.height >= _ROWS:
            self._make_rows()
        return lines.count, [raw for number in left for raw in lines.raw(number)]

    def _make_rows(self) -> None:
        if self._gathered.table.height:
            self._held.append(self._gathered.rows(self._node))
        self._gathered = _Gathered()

    def lay_out(self, stream: BinaryIO) -> tuple[Laid, list[Raw | Reject]]:
        """Hand out what was read.

        Args:
            stream: the file.

        Returns:
            The facts of ordinary rows, and the other lines, which are for the record reader.
        """
        self._make_rows()
        if not self._held:
            return Laid(pl.DataFrame(), None, pl.Series()), []
        rows = join_rows(self._held)
        laid = lay_out(rows, self._judge)
        left = laid.left
        self._held, self.lines, self.texts = [], 0, 0
        self.worthwhile = len(left) <= _MOST_ODD * rows.height and len(self._judge) <= MAX_CLASSES
        places = zip(rows.numbers[left], rows.offsets[left], strict=True) if rows.offsets is not None else ()
        return laid, [raw for number, offset in places for raw in _line_at(stream, offset, number)]

    def _decode(self, lines: _Lines) -> tuple[Sequence[int], list[Any], list[int]]:
        """Return which lines were decoded, what they hold, and the lines that were not."""
        objects = lines.decode_all(self._node.decoder)
        if objects is None and not self._wide and not self.lines:
            self._wide = True
            self._node, self._judge = _type_of(self._leaves, self._seen, self._wide)
            objects = lines.decode_all(self._node.decoder)
        if objects is not None:
            return range(len(objects)), objects, []
        return lines.decode_each(self._node.decoder)


@lru_cache(maxsize=16)
def _type_of(leaves: Leaves, seen: tuple[tuple[Path, frozenset[type]], ...], wide: bool) -> tuple[Node, Judge]:
    node = node_of(leaves, dict(seen), wide=wide)
    return node, Judge(leaves, *flatten(node))


def _line_at(stream: BinaryIO, offset: int, row: int) -> list[Raw | Reject]:
    try:
        stream.seek(offset)
        line = stream.readline()
    except OSError:
        return [Reject(reason="unreadable_record", detail="not readable", source_row=row, byte_offset=offset)]
    return list(read_lines([line.rstrip(b"\n")], offset, row))


class _Lines:
    """The lines of a block."""

    def __init__(self, block: memoryview, offset: int, first_row: int) -> None:
        self._data, self.offset, self.first_row = bytes(block), offset, first_row
        self._ends = _ends_of(self._data)
        self.starts = [0, *(end + 1 for end in self._ends[:-1])]

    @property
    def count(self) -> int:
        """The number of lines."""
        return len(self._ends)

    @property
    def size(self) -> int:
        """The bytes of the block."""
        return len(self._data)

    def decode_all(self, decoder: Any) -> list[Any] | None:
        """Return what the lines hold, one object a line; None where they are not as plain as that."""
        byte = self._data.__getitem__
        if set(map(byte, self.starts)) != _OPENED or not set(map(byte, [end - 1 for end in self._ends])) <= _CLOSED:
            return None  # a value might reach over a line, or a line be blank
        try:
            objects = _decode_text(decoder.decode_lines, self._data)
        except UNDECODABLE:
            return None
        return objects if len(objects) == self.count else None

    def decode_each(self, decoder: Any) -> tuple[list[int], list[Any], list[int]]:
        """Return the numbers of the lines that can be decoded, what they hold, and the numbers of the others."""
        rows, objects, left = [], [], []
        for number in range(self.count):
            try:
                objects.append(_decode_text(decoder.decode, self._line(number)))
            except UNDECODABLE:
                left.append(number)
            else:
                rows.append(number)
        return rows, objects, left

    def raw(self, number: int) -> list[Raw | Reject]:
        """Return the record on a line, if there is one."""
        return list(read_lines([self._line(number)], self.offset + self.starts[number], self.first_row + number))

    def holding(self, word: bytes) -> set[int]:
        """Return the numbers of the lines that hold some bytes."""
        return {number for number in range(self.count) if word in self._line(number)} if word in self._data else set()

    def _line(self, number: int) -> bytes:
        return self._data[self.starts[number] : self._ends[number]]


def _ends_of(data: bytes) -> list[int]:
    """Return where lines end; several times as fast as splitting long ones."""
    ends: list[int] = []
    find, add = data.find, ends.append
    end = find(b"\n")
    while end >= 0:
        add(end)
        end = find(b"\n", end + 1)
    if not data.endswith(b"\n"):
        add(len(data))
    return ends


class _Gathered:
    """Lines of one block after another, of which no columns are made yet.

    Attributes:
        table: what the decoded ones hold.
        bytes: of all of them.
    """

    def __init__(self) -> None:
        self.table = Table()
        self.bytes = 0
        self._numbers: list[int] = []
        self._offsets: list[int] = []

    def add(self, lines: _Lines, rows: Sequence[int], node: Node, objects: list[Any], cut_mark: bytes) -> None:
        """Gather the lines of a block.

        Args:
            lines: of the block.
            rows: which of them are decoded.
            node: their type.
            objects: what they hold.
            cut_mark: a line that holds it is for the record reader; empty: none is.
        """
        if cut_mark and (cut := lines.holding(cut_mark)):
            self.table.odd.update(self.table.height + place for place, number in enumerate(rows) if number in cut)
        starts = lines.starts if len(rows) == lines.count else [lines.starts[number] for number in rows]
        self._numbers += map(lines.first_row.__add__, rows)
        self._offsets += map(lines.offset.__add__, starts)
        self.bytes += lines.size
        self.table.take(node, objects)

    def rows(self, node: Node) -> Rows:
        """Return the decoded lines as columns."""
        leaves, parts, asked, answers = self.table.columns(node)
        height = self.table.height
        odd = pl.Series([False]).new_from_index(0, height)
        if self.table.odd:
            odd = odd.scatter(sorted(self.table.odd), values=True)
        numbers, offsets = (pl.Series(values, dtype=pl.Int64) for values in (self._numbers, self._offsets))
        talks = read_talks(asked, answers or [""] * height) if asked else Talks()
        return Rows(numbers, offsets, leaves, parts, odd, talks)


def _decode_text(decode_json: Callable[[bytes], Any], data: bytes) -> Any:
    """Decode what is text all over: msgspec does not look at the text that it skips."""
    if not data.isascii():
        data.decode()
    return decode_json(data)


def open_lane(stream: BinaryIO, begin: int, *, counted: bool) -> BlockReader | None:
    """Return the reader of a piece's blocks; None where its first lines are not of one dialect that has a lane.

    Args:
        stream: the file.
        begin: where the piece begins.
        counted: whether usage that is missing will be counted.
    """
    stream.seek(begin)
    sample: list[dict[str, Any]] = []
    names: set[str | None] = set()
    talking = False
    for raw, _ in zip(read_lines(iter(lambda: stream.read(1 << 16), b"")), range(_SAMPLED_LINES), strict=False):
        try:
            value = decode(raw.data) if isinstance(raw, Raw) else None
        except Refusal:
            continue
        if isinstance(value, dict):
            sample.append(value)
            reader = recogniser().find(value)
            names.add(reader.dialect.name if reader else None)
            talking = talking or (counted and reader is not None and _is_to_count(reader, value))
    (name,) = names if len(names) == 1 else (None,)
    return BlockReader(leaves_of(name, talking=talking), sample) if name in LANES else None


def _is_to_count(reader: FieldReader, record: dict[str, Any]) -> bool:
    try:
        return reader.dialect.name in LANES and bool(missing_sides(reader.read(record)))
    except (Refusal, *UNFORESEEN):
        return False


def read_blocks(stream: BinaryIO, begin: int, end: int | None) -> Iterator[tuple[int, memoryview]]:
    """Yield (offset, whole lines) of a range of a file; the last line may be the first half of one that is too long.

    Args:
        stream: the file.
        begin: of the first line.
        end: lines that begin at or after it are left; None: the end of the file.
    """
    stop = stream.seek(0, 2) if end is None else align_to_line(stream, end)
    buffer, held = bytearray(BLOCK_BYTES), 0
    stream.seek(begin)
    while begin + held < stop:
        view = memoryview(buffer)
        room = min(len(buffer) - held, stop - begin - held)
        got = stream.readinto(view[held : held + room])  # type: ignore[attr-defined]
        if not got:
            return
        size = held + got
        cut = size if begin + size == stop else buffer.rfind(b"\n", 0, size) + 1
        if not cut and len(buffer) > LONGEST_LINE:
            return
        if cut:
            yield begin, view[:cut]
        begin, held = begin + cut, size - cut
        rest = bytes(view[cut:size])
        if not cut:
            buffer = bytearray(2 * len(buffer))
        buffer[:held] = rest
