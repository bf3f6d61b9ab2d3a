"""The scanner as a library of this system, for sanitizers: ``python -m tests.stages.scanner.native LIBRARY``."""

from __future__ import annotations

import ctypes
import sys

from callcost.stages.columnar.scanner.machine import PADDING
from tests.stages.scanner.dialects import NAMES
from tests.stages.scanner.fuzz import fuzz

LINES = 5_000  # of a dialect


class NativeMachine:
    """A machine whose places are pieces of memory of their own.

    Args:
        library: scanner.c, compiled.
    """

    def __init__(self, library: str) -> None:
        self._system, self._scanner = ctypes.CDLL(None), ctypes.CDLL(library)
        self._system.calloc.restype = ctypes.c_void_p
        self._system.calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
        self._system.free.argtypes = [ctypes.c_void_p]
        self._scanner.prepare.argtypes = [ctypes.c_void_p]
        self._scanner.scan.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
        self._scanner.scan.restype = ctypes.c_int64

    def place(self, size: int) -> int:
        """Return the address of some bytes that are 0."""
        return int(self._system.calloc(size, 1))

    def write(self, address: int, data: bytes) -> None:
        """Write bytes to a place."""
        ctypes.memmove(address, data, len(data))

    def read(self, address: int, size: int) -> bytes:
        """Return the bytes at a place."""
        return ctypes.string_at(address, size)

    def prepare(self, plan: int) -> None:
        """Take over the plan at an address."""
        self._scanner.prepare(plan)

    def scan(self, lines: bytes, number: int, offset: int) -> int:
        """Read lines, which lie in memory of their own."""
        start = self.place(len(lines) + len(PADDING))
        self.write(start, lines + PADDING)
        read = int(self._scanner.scan(start, start + len(lines), number, offset))
        self._system.free(start)
        return read

    def pack(self) -> None:
        """Make bits of the bytes that say which rows hold something."""
        self._scanner.pack()


if __name__ == "__main__":
    for name in NAMES:
        fuzz(name, NativeMachine(sys.argv[1]), LINES)
        sys.stdout.write(f"{name}\n")
