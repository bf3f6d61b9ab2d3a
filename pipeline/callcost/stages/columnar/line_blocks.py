"""A text as blocks of whole lines, as its bytes come: of a file, a range of one, or what is unpacked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from callcost.logs.io.compression import Damage
from callcost.stages.read.splits import count_lines

BLOCK_BYTES = 512 << 10  # so few that what they hold stays in a core's cache until it is in lists
LONGEST_LINE = 16 << 20  # beyond it the record reader streams


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
