"""A text as blocks of whole lines, as its bytes come: of a file, a range of one, or what is unpacked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from callcost.logs.io.compression import Damage
from callcost.logs.io.records import Raw, read_lines
from callcost.logs.values.json import Refusal, decode
from callcost.stages.columnar.schema import UNDECODABLE
from callcost.stages.read.splits import count_lines
from callcost.tables import Reject

BLOCK_BYTES = 512 << 10  # so few that what they hold stays in a core's cache until it is in lists
LONGEST_LINE = 16 << 20  # beyond it the record reader streams
_OPENED, _CLOSED = frozenset(b"{"), frozenset(b"}\r")


class Block(NamedTuple):
    """Whole lines of a text; the last may lack its line break.

    Attributes:
        data: their bytes.
        offset: of the first byte in the text.
        row: of the first line.
    """

    data: bytes
    offset: int
    row: int


class LineBlocks:
    """A text cut into blocks of whole lines, as its bytes come.

    Args:
        pieces: the text from ``offset`` on, in pieces of any size.
        offset: of the first byte, where a line begins.
        row: of that line.

    Attributes:
        offset: of what is not handed out yet.
        row: of its first line.
        ended: whether all is handed out.
    """

    def __init__(self, pieces: Iterable[bytes], offset: int, row: int) -> None:
        self.offset, self.row = offset, row
        self._pieces = iter(pieces)
        self._held: list[bytes] = []
        self._error: Exception | None = None  # that ended the pieces
        self.ended = False

    def __iter__(self) -> Iterator[Block]:
        """Yield blocks until the text or its pieces end, or a line is longer than LONGEST_LINE.

        Raises:
            OSError, Damage: as the pieces do, when all whole lines before are handed out.
        """
        size, broken = 0, False
        try:
            for piece in self._pieces:
                self._held.append(piece)
                size += len(piece)
                broken = broken or b"\n" in piece
                if size < BLOCK_BYTES:
                    continue
                if broken:
                    yield self._cut()
                    size, broken = sum(map(len, self._held)), False
                elif size > LONGEST_LINE:
                    return
        except (Damage, OSError) as error:
            self._error = error
            block = self._cut() if broken else None
            self._held = []  # the beginning of a line whose end cannot be read
            if block is not None:
                yield block
            raise
        self.ended = True
        if self._held:
            yield self._cut(last=True)

    def _cut(self, *, last: bool = False) -> Block:
        """Take the whole lines out of what is held, copying them once."""
        whole, self._held = self._held, []
        ends: list[memoryview] = []
        while not last and not ends:
            piece = whole.pop()
            end = piece.rfind(b"\n") + 1
            self._held[:0] = [piece[end:]] if end < len(piece) else []
            ends = [memoryview(piece)[:end]] if end else []
        block = Block(b"".join([*whole, *ends]), self.offset, self.row)
        self.offset += len(block.data)
        self.row += count_lines(block.data)
        return block

    def rest(self) -> Iterator[bytes]:
        """Yield what is not handed out.

        Raises:
            OSError, Damage: as the pieces do.
        """
        held, self._held = self._held, []
        yield from held
        if self._error is not None:
            raise self._error
        yield from self._pieces


class Lines:
    """The lines of a block.

    Args:
        block: of whole lines.

    Attributes:
        data: bytes of the block.
        offset: of the first byte in the text.
        first_row: of the first line.
    """

    def __init__(self, block: Block) -> None:
        self.data, self.offset, self.first_row = block

    @cached_property
    def _ends(self) -> list[int]:
        return _ends_of(self.data)

    @cached_property
    def starts(self) -> list[int]:
        """Where the lines begin in the block."""
        return [0, *(end + 1 for end in self._ends[:-1])]

    @property
    def count(self) -> int:
        """The number of lines."""
        return len(self._ends)

    @property
    def size(self) -> int:
        """The bytes of the block."""
        return len(self.data)

    @cached_property
    def is_text(self) -> bool:
        """Whether all of it is UTF-8."""
        try:
            return self.data.isascii() or bool(self.data.decode())
        except UnicodeError:
            return False

    def decode_all(self, decoder: Any) -> list[Any] | None:
        """Return what the lines hold, one object a line; None where they are not as plain as that."""
        byte = self.data.__getitem__
        if set(map(byte, self.starts)) != _OPENED or not set(map(byte, [end - 1 for end in self._ends])) <= _CLOSED:
            return None  # a value might reach over a line, or a line be blank
        try:
            objects = _decode_text(decoder.decode_lines, self.data)
        except UNDECODABLE:
            return None
        return objects if len(objects) == self.count else None

    def decode_each(self, decoder: Any, numbers: Sequence[int]) -> tuple[list[int], list[Any], list[int]]:
        """Return the numbers of the lines that can be decoded, what they hold, and the numbers of the others."""
        rows, objects, left = [], [], []
        for number in numbers:
            if not self.data.startswith(b"{", self.starts[number]):  # a record begins after what is blank
                left.append(number)
                continue
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

    def value(self, number: int) -> Any:
        """Return what a line holds; None where the record reader would refuse it."""
        try:
            return decode(self._line(number))
        except Refusal:
            return None

    def holding(self, word: bytes) -> set[int]:
        """Return the numbers of the lines that hold some bytes."""
        return {number for number in range(self.count) if word in self._line(number)} if word in self.data else set()

    def _line(self, number: int) -> bytes:
        return self.data[self.starts[number] : self._ends[number]]


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


def _decode_text(decode_json: Callable[[bytes], Any], data: bytes) -> Any:
    """Decode what is text all over: msgspec does not look at the text that it skips."""
    if not data.isascii():
        data.decode()
    return decode_json(data)
