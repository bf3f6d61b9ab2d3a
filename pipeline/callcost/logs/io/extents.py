"""Does a file begin as another one ended? Digests of what was read, unpacked, so that a log is known again.

A log that grew begins with what it held before; so does one that was renamed, copied or packed. A last line that is
not whole is left out, since whoever writes it has not ended yet.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Iterator
from hashlib import sha256

from callcost.errors import CallcostError
from callcost.logs.io.compression import Damage
from callcost.logs.io.inputs import Input, blocks_of
from callcost.logs.io.sniff import container_of
from callcost.logs.values.json import Refusal, decode

LINES = ("jsonl", "sse")  # containers that are only ever appended to
_WITH_LAST_LINES = (*LINES, "csv")
_LONGEST_TAIL = 64 << 20  # of a last line that is held until it is known whether it is whole


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What was read of a file, unpacked.

    Attributes:
        bytes: number of bytes that were read; a last line that is not whole is left out.
        sha256: digest of these bytes as hex.
    """

    bytes: int
    sha256: str


def extent_of(source: Input) -> Extent | None:
    """Return the extent of a file as it is now; None where it cannot be read."""
    state, size, tail = sha256(), 0, b""
    has_lines = container_of(source.path) in _WITH_LAST_LINES
    try:
        for block in _readable(source):
            held = tail + block
            end = held.rfind(b"\n") + 1 if has_lines and len(held) < _LONGEST_TAIL else len(held)
            state.update(memoryview(held)[:end])
            size, tail = size + end, held[end:]
    except (OSError, CallcostError):
        return None
    if tail and _is_whole(tail):
        state.update(tail)
        size += len(tail)
    return Extent(bytes=size, sha256=state.hexdigest())


def begins_with(source: Input, extents: Collection[Extent]) -> set[Extent]:
    """Return those extents that a file begins with; its unpacked bytes are read once, as far as the longest reaches."""
    ends = sorted({extent.bytes for extent in extents})
    digests: dict[int, str] = {}
    state, size = sha256(), 0
    with contextlib.suppress(OSError, CallcostError):
        for block in _readable(source):
            rest = memoryview(block)
            while ends and size + len(rest) >= ends[0]:
                end = ends.pop(0)
                state.update(rest[: end - size])
                rest, size = rest[end - size :], end
                digests[end] = state.copy().hexdigest()
            if not ends:
                break
            state.update(rest)
            size += len(rest)
        if ends and ends[0] == size:
            digests[size] = state.hexdigest()
    return {extent for extent in extents if digests.get(extent.bytes) == extent.sha256}


def _readable(source: Input) -> Iterator[bytes]:
    """Yield a file's unpacked bytes as far as it is whole."""
    with contextlib.suppress(Damage):
        yield from blocks_of(source)


def _is_whole(line: bytes) -> bool:
    try:
        decode(line)
    except Refusal:
        return False
    return True
