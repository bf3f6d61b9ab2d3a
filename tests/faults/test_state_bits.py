"""A bit or a file of a state is not what it was: the same bytes as ever, or a refusal by name, never another figure."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from callcost.runners.leases import LOCK
from tests.command import Finished, callcost, write_lines

CLOSED = "2025-11-01"


def rows_of(day: int) -> list[dict[str, Any] | bytes]:
    rows = [
        {"id": f"{day}-{n}", "timestamp": f"2025-11-{day:02}T08:00:{n:02}Z", "model": "gpt-4o", "user": f"user-{n % 7}",
         "usage": {"prompt_tokens": 1000 * day + n, "completion_tokens": 10 + n}}
        for n in range(60)
    ]  # fmt: skip
    return [*rows, b"{broken"]


class World(NamedTuple):
    """A folder with logs, a state and a report, and what the next run publishes there."""

    folder: Path
    expected: dict[bool, dict[str, bytes]]  # whether there is a new log -> files


def run(folder: Path, *words: str) -> Finished:
    places = (folder / "logs", "--state", folder / "state", "--out", folder / "reports")
    return callcost("report", *places, *words, out=folder / "reports")


def published(folder: Path) -> dict[str, bytes]:
    out = folder / "reports"
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    manifest = json.loads(files["manifest.json"])
    del manifest["run"]
    return {**files, "manifest.json": json.dumps(manifest, sort_keys=True).encode()}


def copied(world: Path, folder: Path, *, at_hand: bool, more: bool) -> Path:
    """Copy a world with its times, back where it was: paths are part of what a state knows."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(world, folder)
    if not at_hand:
        for path in (folder / "logs").glob("day-*"):
            path.unlink()
    if more:
        write_lines(folder / "logs/more.jsonl", rows_of(4))
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A state of five logs with rejects; a day was closed and has a late call since."""
    folder = tmp_path_factory.mktemp("bits") / "place"
    for day in (1, 2, 3):
        write_lines(folder / f"logs/day-{day}.jsonl", rows_of(day))
    write_lines(folder / "logs/always.jsonl", rows_of(5)[:3])
    assert run(folder).code == 0
    assert callcost("close", CLOSED, "--state", folder / "state").code == 0
    write_lines(folder / "logs/day-6.jsonl", [{**row, "id": "late"} for row in rows_of(1)[:1] if isinstance(row, dict)])
    assert run(folder).code == 0
    (folder / "state" / LOCK).write_text("{}", encoding="utf-8")  # as a killed run leaves it
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    expected = {}
    for more in (False, True):
        assert run(copied(kept, folder, at_hand=True, more=more)).code == 0
        expected[more] = published(folder)
        assert run(copied(kept, folder, at_hand=False, more=more)).code == 0
        assert published(folder) == expected[more]
    return World(kept, expected)


def _files(world: World) -> list[Path]:
    return sorted(path for path in (world.folder / "state").rglob("*") if path.is_file())


def _flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    stat = path.stat()
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _assert_right(world: World, folder: Path, name: str, *, more: bool) -> bool:
    """Run; say whether it published, with the bytes of an undisturbed run, or refused and named the file."""
    done = run(folder)
    if done.code == 0:
        files, expected = published(folder), world.expected[more]
        assert [key for key in files.keys() | expected.keys() if files.get(key) != expected.get(key)] == [], name
        return True
    assert (done.code, name in done.stderr) == (1, True), f"{name}: {done.stderr}"
    return False


def _place(world: World) -> Path:
    return world.folder.with_name("place")


def test_a_flipped_bit_is_never_another_figure(world: World, long_run: bool) -> None:
    chance, right, tried = random.Random(15), Counter[bool](), Counter[bool]()
    files = _files(world)
    for number in range(200 if long_run else 12):
        at_hand, more = number % 2 == 0, chance.random() < 0.8
        path = chance.choice(files)
        if chance.random() < 0.5:  # else small files would take most of the bits
            path = chance.choices(files, [each.stat().st_size for each in files])[0]
        name = path.relative_to(world.folder / "state").as_posix()
        folder = copied(world.folder, _place(world), at_hand=at_hand, more=more)
        _flip(folder / "state" / name, chance)
        tried[at_hand] += 1
        right[at_hand] += _assert_right(world, folder, name, more=more)
    print("flips", right, "of", tried)  # noqa: T201 - how many, for whoever runs the whole
    assert right[True] >= 0.6 * tried[True]


def test_a_deleted_file_is_never_another_figure(world: World, long_run: bool) -> None:
    chance, right, tried = random.Random(15), Counter[bool](), Counter[bool]()
    files = _files(world)
    chosen = [*files, *chance.choices(files, k=40)][:40] if long_run else chance.sample(files, 6)
    for number, path in enumerate(chosen):
        at_hand = number % 2 == 0
        name = path.relative_to(world.folder / "state").as_posix()
        folder = copied(world.folder, _place(world), at_hand=at_hand, more=True)
        (folder / "state" / name).unlink()
        tried[at_hand] += 1
        right[at_hand] += _assert_right(world, folder, name, more=True)
    print("deletions", right, "of", tried)  # noqa: T201
    assert right[True] >= 0.6 * tried[True]
