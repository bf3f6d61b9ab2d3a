"""What a scanner takes of lines that are changed in any way, beside what json.loads and msgspec say that they hold."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

from callcost.logs.values.json_path import Path
from callcost.stages.columnar.decode import Rows, Table
from callcost.stages.columnar.scanner.columns import Scanner
from callcost.stages.columnar.scanner.machine import Machine
from callcost.stages.columnar.schema import ABSENT_NUMBER, ABSENT_TEXT, COST, FLAG, JSON
from callcost.stages.tables.facts import round_money
from tests.stages.scanner.dialects import Dialect, dialect_of
from tests.stages.scanner.mutations import mutated

MOST = 8 << 20  # bytes of lines that are scanned together
_BATCH = 500  # lines that are scanned together
_TAKEN = 0.15  # of the lines at least, or nothing would be compared


def fuzz(name: str, machine: Machine, wanted: int) -> None:
    """Scan changed lines of a dialect, and compare each row.

    Args:
        name: of the dialect.
        machine: that takes MOST bytes.
        wanted: count of lines.

    Raises:
        AssertionError: a row is not what its line holds.
    """
    dialect, chance = dialect_of(name), random.Random(20_261_130)
    scanner = Scanner(dialect.plan, machine, dialect.layout.reader.dialect.cost_scale)
    seen = taken = 0
    while seen < wanted:
        changed = (mutated(chance.choice(dialect.lines), chance) for _ in range(_BATCH))
        lines = [line for line in changed if len(line) < MOST // _BATCH and is_text(line)]
        block = b"\n".join(lines) + b"\n"
        count, odd = scanner.scan(block, 1, 0)
        fine = sorted({*range(len(lines))} - {*odd})
        rows = scanner.take()
        assert count == len(lines)
        assert rows.numbers.to_list() == [number + 1 for number in fine]
        assert rows.offsets is not None
        assert [block[at:].partition(b"\n")[0] for at in rows.offsets] == [lines[number] for number in fine]
        if fine:
            assert_decoded_alike(dialect, [lines[number] for number in fine], rows)
            assert_held(dialect, [_loaded(lines[number]) for number in fine], rows)
        seen, taken = seen + count, taken + len(fine)
    assert taken > _TAKEN * seen


def _loaded(line: bytes | str) -> Any:
    return json.loads(line, parse_float=_Written, parse_int=_Whole)


class _Written(str):
    """A number with a fraction or an exponent, as it is written."""

    __slots__ = ()


class _Whole(int):
    """A number without one."""


def is_text(line: bytes) -> bool:
    """Say whether a line is UTF-8."""
    try:
        line.decode()
    except UnicodeError:
        return False
    return True


def assert_decoded_alike(dialect: Dialect, lines: list[bytes], rows: Rows) -> None:
    """Check that lines decode, all of them, and to these columns."""
    table = Table(dialect.layout.reader.dialect.cost_scale, strict=dialect.layout.strict)
    table.take(dialect.node, [dialect.node.decoder.decode(line) for line in lines])
    fields, parts, _ = table.columns(dialect.node)
    assert sorted(rows.odd.arg_true()) == sorted(table.odd)
    assert rows.parts.keys() == parts.keys()
    assert rows.fields.keys() == fields.keys()
    for path, column in (*fields.items(), *parts.items()):
        own = rows.parts[path] if path in parts else rows.fields[path]
        assert own.dtype == column.dtype, path
        assert own.to_list() == column.to_list(), path


def assert_held(dialect: Dialect, records: list[Any], rows: Rows) -> None:
    """Check columns by what stands in the records."""
    readings = {place.path: place.reading for place in dialect.plan.places if place.reading}
    for path, column in rows.fields.items():
        for row, (record, own) in enumerate(zip(records, column.to_list(), strict=True)):
            if not rows.odd[row]:
                assert _is_held(_follow(record, path), own, readings[path]), (path, own)


_NOTHING = object()


def _follow(record: Any, path: Path) -> Any:
    for key in path:
        try:
            record = record[key]
        except (KeyError, IndexError, TypeError):
            return _NOTHING
    return record


def _is_held(value: Any, own: Any, reading: str) -> bool:
    if reading == FLAG:
        return bool((own == "yes") == (value is not _NOTHING))
    if value is _NOTHING or value is None:
        return own is None or (value is _NOTHING and own in (ABSENT_TEXT, ABSENT_NUMBER, ""))
    if reading == JSON:
        return bool(_loaded(own) == value)
    if reading == COST:
        return type(value) in (_Written, _Whole) and own == round_money(Decimal(value))
    if isinstance(value, _Written):
        return bool(own == float(value))
    return type(value) in (str, _Whole) and bool(own == value)
