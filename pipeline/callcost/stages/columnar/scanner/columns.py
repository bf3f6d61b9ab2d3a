"""What the scanner finds in blocks of lines, as columns, the same that decoding the lines gives.

The columns are laid out once, in the memory of the machine; blocks are added to them until they are taken out. What a
column means is for schema.py and decode.py, what becomes of an odd line for the caller.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from callcost.logs.values.json_path import Path
from callcost.stages.columnar.decode import Rows, amounts_of
from callcost.stages.columnar.scanner.machine import Fault, Machine
from callcost.stages.columnar.scanner.scan_plan import (
    KEEP_COUNT,
    KEEP_FLAG,
    KEEP_JSON,
    KEEP_PART,
    KEEP_SECONDS,
    KEEP_TEXT,
    Place,
    Plan,
)
from callcost.stages.columnar.schema import COST
from callcost.stages.tables.facts import Exported

MOST_BYTES = 16 << 20  # of lines whose columns are taken out together
MOST_ROWS = 1 << 15
_PADDED = 16  # bytes behind a text: some are loaded at once
_CACHE = 64 * 8  # of a column's latest texts
_TEXT, _BYTE = pa.string_view(), pa.uint8()
_KINDS: dict[int, tuple[pa.DataType, int]] = {  # what is kept -> type of a column, bytes of a value
    KEEP_TEXT: (_TEXT, 16), KEEP_JSON: (_TEXT, 16), KEEP_COUNT: (pa.int64(), 8), KEEP_SECONDS: (pa.float64(), 8),
    KEEP_FLAG: (_BYTE, 1), KEEP_PART: (_BYTE, 1),
}  # fmt: skip


class _Column(NamedTuple):
    """A column, as scanner.c has it."""

    values: int
    there: int = 0
    texts: int = 0
    cache: int = 0
    keep: int = 0
    filled: int = 0
    fallback: int = 0
    length: int = 0
    line: int = 0
    used: int = 0
    nulls: int = 0


_WORDS = len(_Column._fields)
_FLAGS = pl.Series([None, "yes"], dtype=pl.String)


class Scanned(NamedTuple):
    """What became of a block.

    Attributes:
        height: count of its lines.
        odd: which of them are to be decoded.
    """

    height: int
    odd: list[int]


class Scanner:
    """Scan the lines of one type.

    Args:
        plan: of the type.
        machine: that the scanner runs in, for this alone.
        scale: US dollars in one unit of a cost.

    Attributes:
        height: count of rows that are not taken out yet.

    Raises:
        Fault: the machine has no room.
    """

    def __init__(self, plan: Plan, machine: Machine, scale: Decimal = Decimal(1)) -> None:
        self.height = 0
        self._places, self._machine, self._scale = plan.places, machine, scale
        names, columns = bytearray(plan.names), []
        for place in plan.places:
            columns.append(self._lay_out(place, len(names)))
            names += place.absent or b""
        self._numbers, self._offsets = machine.place(8 * MOST_ROWS), machine.place(8 * MOST_ROWS)
        self._odd = machine.place(4 * MOST_ROWS)
        tables = [_packed(records) for records in (plan.types, plan.objects, plan.keys, columns)]
        addresses = []
        for data in (*tables, bytes(names)):
            addresses.append(machine.place(len(data) + _PADDED))
            machine.write(addresses[-1], data)
        self._columns = addresses[3]
        addresses += [machine.place(4 * plan.slots), machine.place(8 * len(plan.keys)), self._odd]
        addresses += [self._numbers, self._offsets]
        state = [*addresses, len(plan.objects), len(columns), MOST_BYTES, MOST_ROWS, 0, 0]
        address = machine.place(8 * len(state))
        machine.write(address, _packed([state]))
        self._counts = address + 8 * (len(state) - 2)  # of rows and of odd lines
        machine.prepare(address)

    def _lay_out(self, place: Place, fallback: int) -> _Column:
        _, width = _KINDS[place.keep]
        there = self._machine.place(MOST_ROWS)
        values = self._machine.place(width * MOST_ROWS)
        is_text = place.keep in (KEEP_TEXT, KEEP_JSON)
        texts = self._machine.place(MOST_BYTES + _PADDED) if is_text else 0
        cache = self._machine.place(_CACHE) if is_text else 0
        filled, absent = place.absent is not None, place.absent or b""
        return _Column(values, there, texts, cache, place.keep, int(filled), fallback, len(absent))

    def scan(self, lines: bytes, number: int, offset: int) -> Scanned:
        """Read a block.

        Args:
            lines: of it, which are UTF-8; with those that are not taken out at most MOST_BYTES.
            number: of its first line.
            offset: of its first byte.

        Raises:
            Fault: the scanner failed, or the lines are too many; then none of them is read.
        """
        before = self.height
        try:
            if self._machine.scan(lines, number, offset) < len(lines):
                raise Fault
        except Fault:
            self._machine.write(self._counts, _packed([[before]]))
            raise
        self.height, odd = struct.unpack("<2q", self._machine.read(self._counts, 16))
        found = struct.unpack(f"<{odd}I", self._machine.read(self._odd, 4 * odd))
        return Scanned(self.height - before + odd, list(found))

    def take(self) -> Rows:
        """Take the rows out, as decode.py gives them; a row whose cost a column cannot hold is odd."""
        self._machine.pack()
        data = self._machine.read(self._columns, 8 * _WORDS * len(self._places))
        columns = map(_Column._make, struct.iter_unpack(f"<{_WORDS}q", data))
        fields: dict[Path, pl.Series] = {}
        parts: dict[Path, pl.Series] = {}
        odd = pl.Series([False]).new_from_index(0, self.height)
        for place, column in zip(self._places, columns, strict=True):
            values = self._series(*_KINDS[place.keep], column)
            if place.keep == KEEP_PART:
                parts[place.path] = values
                continue
            if place.reading == COST:
                values, wrong = amounts_of(values, self._scale)
                odd = odd | wrong if wrong is not None else odd
            fields[place.path] = _FLAGS[values] if place.keep == KEEP_FLAG else values
        numbers, offsets = (
            self._series(pa.int64(), 8, _Column(values=address)) for address in (self._numbers, self._offsets)
        )
        self._machine.write(self._counts, bytes(8))
        self.height = 0
        gone = [path for path, there in parts.items() if not there.max()]
        fields, parts = (
            {path: found[path] for path in found if not any(path[: len(part)] == part for part in gone)}
            for found in (fields, parts)
        )
        return Rows(numbers, offsets, fields, parts, odd, {})

    def _series(self, kind: pa.DataType, width: int, column: _Column) -> pl.Series:
        read, height = self._machine.read, self.height
        nullable = column.nulls and kind != _BYTE  # what is there or not is never null itself
        there = pa.py_buffer(read(column.there, -(-height // 8))) if nullable else None
        buffers = [there, pa.py_buffer(read(column.values, width * height))]
        buffers += [pa.py_buffer(read(column.texts, column.used))] if kind == _TEXT else []
        return pl.Series(Exported(pa.Array.from_buffers(kind, height, buffers)))


def _packed(records: Iterable[Sequence[int]]) -> bytes:
    return b"".join(struct.pack(f"<{len(record)}q", *record) for record in records)
