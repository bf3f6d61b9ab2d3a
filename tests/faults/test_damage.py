"""Damaged logs: no copy of a sample line, however damaged, ends the run or escapes the count."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import SAMPLES, Finished, assert_conserved, read_records, report, write_lines

# Without the line that is nested too deeply: copying it is beyond this file's own recursion.
LINES = [line for line in read_records(sorted(SAMPLES.rglob("*.jsonl"))) if line.count(b"[") < 500]
GOOD = [line for line in LINES if line.startswith((b'{"id"', b'{"timestamp"'))]
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 10**12, 10**12 + 1, 2**63, 2**64, 10**40, -(10**40),
    "", "0", "12", "1e3", "NaN", "\x00", "\ud800", "ß" * 300,
    [], {}, [[]], [None], [{}], {"": None}, {"usage": {}}, {"type": "message"}, ["text"], [1, "a", None, {"b": []}],
]  # fmt: skip


def _cut(line: bytes, chance: random.Random) -> bytes:
    return line[: chance.randrange(len(line))]


def _cut_out(line: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(line))
    return line[:start] + line[start + chance.randrange(1, 40) :]


def _flip_bits(line: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(line)
    for _ in range(chance.choice([1, 1, 2, 8, 64])):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _splice(line: bytes, chance: random.Random) -> bytes:
    other = chance.choice(LINES)
    return line[: chance.randrange(len(line))] + other[chance.randrange(len(other)) :]


def _retype(line: bytes, chance: random.Random) -> bytes:
    """Put something strange in the place of one to three values, anywhere in the record."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return _flip_bits(line, chance)
    for _ in range(chance.choice([1, 1, 2, 3])):
        places = _places(record)
        if places:
            holder, key = chance.choice(places)
            holder[key] = copy.deepcopy(chance.choice(STRANGE))
    return json.dumps(record).encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(value, key) for key, _ in items] + [place for _, item in items for place in _places(item)]


def _huge_number(line: bytes, chance: random.Random) -> bytes:
    digits = [position for position in range(len(line)) if line[position : position + 1].isdigit()]
    if not digits:
        return _cut(line, chance)
    position = chance.choice(digits)
    number = chance.choice(
        [b"9" * 19, b"9" * 400, b"1e400", b"-1e-400", b"-9" * 20, b"0.1", b"00", b"1e99999999", b"Infinity"]
    )
    return line[:position] + number + line[position + 1 :]


def _deep(line: bytes, chance: random.Random) -> bytes:
    depth = chance.choice([20, 150, 900, 1_100, 20_000])
    opening, closing = chance.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"content":', b"}]")])
    middle = opening * depth + b"1" + closing * (depth if chance.random() < 0.8 else depth // 2)
    key = chance.choice([b"messages", b"usage", b"response", b"metadata", b"choices", b"model"])
    return line.rstrip(b"}") + b"}" * max(0, line.count(b"{") - line.count(b"}")) + b',"' + key + b'":' + middle + b"}"


def _deep_value(line: bytes, chance: random.Random) -> bytes:
    return (
        line[:-1]
        + b', "%s": ' % chance.choice([b"messages", b"usage", b"output", b"x"])
        + b"[" * 400
        + b"]" * 400
        + b"}"
    )


def _repeat_key(line: bytes, chance: random.Random) -> bytes:
    return line[:-1] + b", " + chance.choice(LINES).strip()[1:]


DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [
    _cut, _cut_out, _flip_bits, _splice, _retype, _retype, _retype, _huge_number, _deep, _deep_value, _repeat_key,
]  # fmt: skip


def _damaged(count: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    copies = (chance.choice(DAMAGES)(chance.choice(LINES), chance) for _ in range(count))
    return [line for line in copies if line.strip()]


def _record_count(copies: list[bytes]) -> int:
    """Damage may put a line end into a copy, which makes it two records."""
    return sum(1 for damaged in copies for line in damaged.split(b"\n") if line.strip())


def test_damaged_lines_end_no_run_and_escape_no_count(tmp_path: Path, out: Path, long_run: bool) -> None:
    size = 10_000 if long_run else 2_000
    copies = _damaged(size, seed=20_261_122)
    write_lines(tmp_path / "logs/damaged.jsonl", [GOOD[0], *copies])

    finished = report([tmp_path / "logs"], out, "--calls", "--item-timeout", "2", apart=True)

    assert_conserved(finished)
    assert finished.records["records"] == 1 + _record_count(copies)
    assert len(finished.rejects) == finished.records["rejects"] > size // 10
    assert finished.records["calls"] > size // 10
    assert finished.total("calls") == finished.records["calls"]


def test_files_that_begin_with_damage_are_counted_whole(tmp_path: Path, out: Path, long_run: bool) -> None:
    """What the first line looks like decides how a file is read; damage there must not lose the rest."""
    chance = random.Random(7)
    for number in range(400 if long_run else 80):
        copies = _damaged(chance.randrange(1, 12), seed=number)
        write_lines(tmp_path / f"logs/{number:03}.jsonl", copies or [b"{"])
    write_lines(tmp_path / "logs/good.jsonl", GOOD[:3])

    finished = report([tmp_path / "logs"], out)

    assert_conserved(finished)
    assert len(finished.manifest["inputs"]) == len(list((tmp_path / "logs").iterdir()))
    assert all(entry["records"] > 0 for entry in finished.manifest["inputs"])


@pytest.mark.parametrize(
    "name",
    [
        "plain-2025-04.jsonl.gz",
        "openai/responses-2025-07.jsonl.zst",
        "litellm/spend-2025-03.parquet",
        "litellm/spend-api-2025-04.json",
    ],
)
def test_damaged_containers_are_counted(tmp_path: Path, out: Path, name: str, long_run: bool) -> None:
    whole = (SAMPLES / name).read_bytes()
    chance = random.Random(name)
    suffix = "".join(Path(name).suffixes)
    for number in range(120 if long_run else 25):
        damaged = chance.choice([_cut, _flip_bits, _cut_out])(whole, chance)
        (tmp_path / "logs").mkdir(exist_ok=True)
        (tmp_path / f"logs/{number:03}{suffix}").write_bytes(damaged)
    write_lines(tmp_path / "logs/good.jsonl", GOOD[:3])

    finished = report([tmp_path / "logs"], out)

    assert_conserved(finished)
    assert finished.records["rejects"] > 0
    assert {reason["reason"] for reason in finished.rejects} & {
        "truncated_file",
        "unreadable_file",
        "broken_json",
        "invalid_utf8",
    }


def test_a_file_of_nothing_but_noise_is_rejected(tmp_path: Path, out: Path) -> None:
    (tmp_path / "noise.jsonl").write_bytes(random.Random(3).randbytes(5_000))
    finished = report([tmp_path / "noise.jsonl"], out, expect=1)
    assert_conserved(finished)
    assert finished.records["rejects"] == finished.records["records"] > 0


def test_the_same_damage_gives_the_same_rejects(tmp_path: Path) -> None:
    write_lines(tmp_path / "damaged.jsonl", [GOOD[0], *_damaged(300, seed=5)])
    runs: list[Finished] = [
        report([tmp_path / "damaged.jsonl"], tmp_path / f"out-{n}", "--workers", str(n), pool=n > 1) for n in (1, 2)
    ]
    assert (runs[0].out / "rejects.parquet").read_bytes() == (runs[1].out / "rejects.parquet").read_bytes()
