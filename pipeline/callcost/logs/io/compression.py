"""Packed bytes to plain ones, told by magic bytes: gzip of several members, zstandard of several frames, databases.

A range of a file that is not packed is cut between lines. Streams with bounded memory; a file that ends too early gives
all that could be read before it says so.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import zstandard

from callcost.logs.io.databases import MAGIC, BrokenDatabase, read_database

BLOCK = 1 << 20
_ZSTD_PIECE = 4 << 10  # of compressed input: at most about 128 MB of output, in an archive made to be one
_ZSTD_WINDOW = 1 << 27
_SKIPPABLE = tuple(bytes((low,)) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))  # frames of zstd that hold no data
SQLITE = "sqlite"
MAGICS: dict[str, tuple[bytes, ...]] = {"gzip": (b"\x1f\x8b",), "zstd": (b"\x28\xb5\x2f\xfd", *_SKIPPABLE)}


class Damage(Exception):  # noqa: N818 - how a compressed stream says that it ends here
    """A compressed file ends too early or is broken; what came before is good.

    Args:
        message: description of the damage.
        offset: number of uncompressed bytes that could be read.
    """

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


def packing_of(stream: BinaryIO) -> str | None:
    """Return how a file is packed, "gzip", "zstd" or "sqlite"; None: its bytes are its content, and can be cut.

    This is the only place that decides it: whoever seeks in a file by offsets of its content asks here first.

    Args:
        stream: seekable; it is left at its beginning.
    """
    stream.seek(0)
    magic = stream.read(len(MAGIC))
    stream.seek(0)
    if magic == MAGIC:
        return SQLITE
    return next((name for name, starts in MAGICS.items() if magic.startswith(starts)), None)


def decompress(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the plain bytes of a file, piece by piece.

    Args:
        stream: a seekable file, at its beginning.

    Raises:
        Damage: the file ends too early or is broken.
    """
    reader = _READERS.get(packing_of(stream), _read_plain)
    offset = 0
    try:
        for block in reader(stream):
            offset += len(block)
            yield block
    except BrokenDatabase as broken:
        raise Damage(str(broken), offset) from None
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError):
        raise Damage("the compressed file ends too early or is damaged", offset) from None


def _read_plain(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block


def _gunzip(stream: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=stream) as plain:
        while block := plain.read1(BLOCK):
            yield block


def _unzstd(stream: BinaryIO) -> Iterator[bytes]:
    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    frame = context.decompressobj()
    begun = False
    while piece := stream.read(_ZSTD_PIECE):
        while piece:
            if frame.eof:
                frame, begun = context.decompressobj(), False
            begun = True
            block = frame.decompress(piece)
            piece = frame.unused_data if frame.eof else b""
            for start in range(0, len(block), BLOCK):
                yield block[start : start + BLOCK]
    if begun and not frame.eof:
        raise EOFError


def _read_sqlite(stream: BinaryIO) -> Iterator[bytes]:
    from callcost.logs.dialects import stores  # noqa: PLC0415 - dialects read what containers hold, and name databases

    return read_database(stream, stores())


_READERS: dict[str | None, Callable[[BinaryIO], Iterator[bytes]]] = {
    "gzip": _gunzip, "zstd": _unzstd, SQLITE: _read_sqlite,
}  # fmt: skip


def open_range(stream: BinaryIO, start: int, end: int | None) -> tuple[int, Iterator[bytes]]:
    """Return where the first line of a range begins, and the plain bytes of the lines that begin in it.

    Args:
        stream: the file; one that is packed is read as a whole.
        start: position of the first byte of the range.
        end: position after the last byte of the range; None: the end of the file.

    Raises:
        OSError: the file cannot be read; so do the blocks, and Damage where a packed file is.
    """
    if packing_of(stream) is not None:
        return 0, decompress(stream)
    begin = align_to_line(stream, start)
    return begin, _range_blocks(stream, begin, end)


def align_to_line(stream: BinaryIO, position: int) -> int:
    """Move to the first line that begins at or after a position, and return where that is."""
    if position == 0:
        stream.seek(0)
        return 0
    stream.seek(position - 1)
    while block := stream.read(BLOCK):
        found = block.find(b"\n")
        if found >= 0:
            stream.seek(found + 1 - len(block), io.SEEK_CUR)
            return stream.tell()
    return stream.tell()


def _range_blocks(stream: BinaryIO, position: int, end: int | None) -> Iterator[bytes]:
    """Yield the lines that begin before ``end``; the last may reach beyond it."""
    while (end is None or position < end) and (block := stream.read(BLOCK)):
        position += len(block)
        if end is not None and position >= end:
            newline = block.find(b"\n", max(end - 1 - (position - len(block)), 0))
            while newline < 0 and (more := stream.read(BLOCK)):
                yield block
                block, newline = more, more.find(b"\n")
            yield block if newline < 0 else block[: newline + 1]
            return
        yield block
