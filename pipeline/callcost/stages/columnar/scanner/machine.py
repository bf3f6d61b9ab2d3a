"""scanner.wasm, running: memory that its caller lays out, and three functions that work in it.

WebAssembly reads and writes nothing but its own memory, whatever the lines are: a fault of the scanner ends its call
with an error, and nothing else. Without the extra ``fast`` there is no machine.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
from functools import cache
from pathlib import Path
from typing import Any, Protocol

BLOB = Path(__file__).with_name("scanner.wasm")
PADDING = b"\n" * 64  # behind the lines: the scanner loads some bytes at once
_ALIGNED = 64
_PAGE = 1 << 16


class Fault(Exception):  # noqa: N818 - not an error: msgspec reads these lines
    """The scanner has no room, or failed."""


class Machine(Protocol):
    """Memory, and the functions of scanner.c."""

    def place(self, size: int) -> int:
        """Return the address of some bytes that are 0 and stay where they are.

        Raises:
            Fault: there is no such room.
        """

    def write(self, address: int, data: bytes) -> None:
        """Write bytes to a place."""

    def read(self, address: int, size: int) -> bytes:
        """Return the bytes at a place."""

    def prepare(self, plan: int) -> None:
        """Take over the plan at an address."""

    def scan(self, lines: bytes, number: int, offset: int) -> int:
        """Read lines, of which the first has this number and offset, and return how many bytes were read.

        Raises:
            Fault: the scanner failed.
        """

    def pack(self) -> None:
        """Make bits of the bytes that say which rows hold something."""


class WasmMachine:
    """A machine in wasmtime, with memory of its own.

    Args:
        most: bytes of the longest lines that are read at once.

    Raises:
        Fault: the system gives it no room.
    """

    def __init__(self, most: int) -> None:
        loaded = _loaded()
        if loaded is None:
            raise Fault
        runtime, engine, module = loaded
        self._store = runtime.Store(engine)
        self._error = runtime.WasmtimeError
        self._faults = (runtime.WasmtimeError, runtime.Trap)
        try:
            exports = runtime.Instance(self._store, module, []).exports(self._store)
        except self._faults as error:
            raise Fault from error
        self._memory, self._next = exports["memory"], exports["__heap_base"].value(self._store)
        self._prepare, self._scan, self._pack = exports["prepare"], exports["scan"], exports["pack"]
        self._base = 0
        self._lines = self.place(most + len(PADDING))

    def place(self, size: int) -> int:
        """Return the address of some bytes that are 0 and stay where they are.

        Raises:
            Fault: there is no such room.
        """
        address = -(-self._next // _ALIGNED) * _ALIGNED
        self._next = address + size
        missing = self._next - self._memory.data_len(self._store)
        try:
            if missing > 0:
                self._memory.grow(self._store, -(-missing // _PAGE))
        except self._error as error:
            raise Fault from error
        self._base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
        return int(address)

    def write(self, address: int, data: bytes) -> None:
        """Write bytes to a place."""
        ctypes.memmove(self._base + address, data, len(data))

    def read(self, address: int, size: int) -> bytes:
        """Return the bytes at a place."""
        return ctypes.string_at(self._base + address, size)

    def prepare(self, plan: int) -> None:
        """Take over the plan at an address."""
        self._prepare(self._store, plan)

    def scan(self, lines: bytes, number: int, offset: int) -> int:
        """Read lines, of which the first has this number and offset, and return how many bytes were read.

        Raises:
            Fault: the scanner failed.
        """
        end = self._lines + len(lines)
        self.write(self._lines, lines)
        self.write(end, PADDING)
        try:
            return int(self._scan(self._store, self._lines, end, number, offset))
        except self._faults as error:
            raise Fault from error

    def pack(self) -> None:
        """Make bits of the bytes that say which rows hold something."""
        self._pack(self._store)


def is_installed() -> bool:
    """Say whether there is a machine, and load it."""
    return _loaded() is not None


@cache
def _loaded() -> tuple[Any, Any, Any] | None:
    """Return the runtime, its engine and the scanner, compiled once in a process; None where they cannot be had."""
    try:
        runtime = importlib.import_module("wasmtime")  # optional, and 30 MB
    except (ImportError, OSError):  # it is not installed, or not for this system
        return None
    engine = runtime.Engine()
    try:
        module = runtime.Module(engine, BLOB.read_bytes())
    except runtime.WasmtimeError:
        return None
    atexit.register(_loaded.cache_clear)  # what is freed after wasmtime's own module complains
    return runtime, engine, module
