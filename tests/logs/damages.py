"""Damage to records and files: every case and sample log, and what may happen to it on its way here."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callcost.logs.io.inputs import find_inputs, read_raw
from callcost.logs.io.records import Raw
from callcost.logs.io.sniff import container_of
from callcost.stages.tables.parquet_rows import read_rows
from callcost.tables import MAX_COUNT

_TESTS = Path(__file__).parents[1]
FILES = sorted((*(_TESTS / "cases").glob("*/*/record.*"), *(_TESTS.parent / "sample_logs").rglob("*.*")))


def _records_of(path: Path) -> list[bytes]:
    (source,) = find_inputs([str(path)])
    if container_of(source.path) == "parquet":
        rows = [row for batch in read_rows(str(path), 0, None) for row in batch.rows]
        return [json.dumps(row, default=str).encode() for row in rows if isinstance(row, dict)]
    return [raw.data for raw in read_raw(source) if isinstance(raw, Raw)]


def _decoded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


RECORDS = [record for path in FILES for record in _records_of(path)]
VALUES: list[Any] = [record for record in map(_decoded, RECORDS) if isinstance(record, dict)]
CANARY = "kanarienvogel"  # text of a user's, which nothing may show
STRANGE: list[Any] = [
    CANARY,
    None, True, False, 0, -1, 1.5, 1e308, MAX_COUNT, MAX_COUNT + 1, 2**64, 10**400, -(10**40), "", "0", "12", "1e3",
    "NaN", "\x00", "\ud800", "[", '{"a": [1', "data: {}", "data: [1]\n\n", "[[]]", [], {}, [[]], [None], [{}],
    {"": None},
    {"usage": {}}, {"type": "message"}, {"object": "chat.completion.chunk"}, ["text"], [1, "a", None, {"b": []}],
    {"input_tokens": [1]}, {"choices": [{"delta": 5}]}, [{"type": "message_start", "message": 5}], {"result": {}},
    {"prompt_tokens": 5, "total_tokens": "x"}, {"candidates": [5, {"content": {"parts": 5}}]}, "2025-01-01", -1.0,
]  # fmt: skip


def cut(line: bytes, chance: random.Random) -> bytes:
    return line[: chance.randrange(len(line) + 1)]


def flip(line: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(line)
    for _ in range(chance.choice([1, 1, 3, 20]) if line else 0):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def splice(line: bytes, chance: random.Random) -> bytes:
    other = chance.choice(RECORDS)
    return line[: chance.randrange(len(line) + 1)] + other[chance.randrange(len(other) + 1) :]


def deepen(line: bytes, chance: random.Random) -> bytes:
    depth = chance.choice([30, 199, 1_000] * 9 + [100_000])
    opening, closing = chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
    key = chance.choice([b"messages", b"usage", b"response", b"choices", b"model", b"tags"])
    return line[:-1] + b',"' + key + b'":' + opening * depth + b"1" + closing * depth + b"}"


def change_number(line: bytes, chance: random.Random) -> bytes:
    spots = [spot for spot in range(len(line)) if line[spot : spot + 1].isdigit()]
    if not spots:
        return line
    spot = chance.choice(spots)
    number = chance.choice(
        [b"9" * 30, b"9" * 5_000, b"1e400", b"-1e-400", b"00", b"1.0", b"-7", b"Infinity", b"1e99999999"]
    )
    return line[:spot] + number + line[spot + 1 :]


def _places(value: Any) -> list[tuple[Any, Any]]:
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(value, key) for key, _ in items] + [place for _, item in items for place in _places(item)]


def retype(record: Any, chance: random.Random) -> Any:
    """Put something strange in the place of some values, anywhere in the record."""
    record = copy.deepcopy(record)
    for _ in range(chance.choice([1, 1, 2, 5])):
        places = _places(record)
        if places:
            holder, key = chance.choice(places)
            strange = chance.choice([*STRANGE, chance.choice(VALUES)])
            holder[key] = copy.deepcopy(strange)
    return record


DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [cut, flip, splice, deepen, change_number]


def damage_file(data: bytes, chance: random.Random) -> bytes:
    """Return a file whose bytes were cut, changed, moved or repeated."""
    mark = chance.choice([b"\r", b"\n", b'"', b"'", b"- ", b"\t", b",", b"{", b"\x00", b"&a ", b"*a"])
    at, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    damages = (
        lambda: cut(data, chance),
        lambda: flip(data, chance),
        lambda: data[:at] + data[end:],
        lambda: data[:end] + data[at:],
        lambda: data[at:] + data[:at],
        lambda: data[:at] + mark + data[at:],
    )
    return chance.choice(damages)()
