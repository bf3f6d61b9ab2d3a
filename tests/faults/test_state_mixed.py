"""Whatever goes wrong with a state, in any order: the next run publishes what a first one would, or refuses by name."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from callcost.logs.io.folders import FileVersion, Folder, folder_at
from callcost.runners.entries import digest_of_document
from callcost.runners.locks import hold_lock
from tests.command import write_lines
from tests.conftest import LONG
from tests.faults.test_state_bits import published, rows_of, run

SEEDS = (24, 25, 26, 27) if LONG else (24,)  # of walks that run beside one another
STEPS = 250 if LONG else 5
DAYS = 30 if LONG else 4
Patch = pytest.MonkeyPatch


class Killed(BaseException):
    """The process ends here."""


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "state").rglob("*") if path.is_file())


def _at_a_write(folder: Path, chance: random.Random, patch: Patch, failure: BaseException) -> None:
    """Run, and let one of the writes to the state or the report fail."""
    left, write = chance.randrange(8), Folder.write

    def fail(self: Folder, name: str, data: bytes) -> FileVersion:
        nonlocal left
        left -= 1
        if left < 0:
            raise failure
        return write(self, name, data)

    with patch.context() as here:
        here.setattr(Folder, "write", fail)
        with contextlib.suppress(Killed):
            assert run(folder).code in {0, 1, 4, 130}


def kill(folder: Path, chance: random.Random, patch: Patch) -> None:
    _at_a_write(folder, chance, patch, Killed())


def stop(folder: Path, chance: random.Random, patch: Patch) -> None:
    _at_a_write(folder, chance, patch, KeyboardInterrupt())


def fill_the_disk(folder: Path, chance: random.Random, patch: Patch) -> None:
    _at_a_write(folder, chance, patch, OSError(errno.ENOSPC, "No space left on device"))


def flip_a_bit(folder: Path, chance: random.Random, _patch: Patch) -> None:
    path = chance.choice(_files(folder))
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def delete(folder: Path, chance: random.Random, _patch: Patch) -> None:
    chance.choice(_files(folder)).unlink()


def set_the_clock_back(folder: Path, chance: random.Random, _patch: Patch) -> None:
    for path in (folder / "logs").iterdir():
        os.utime(path, ns=(0, chance.randrange(1, 10**18)))


def upgrade(folder: Path, _chance: random.Random, patch: Patch) -> None:
    with patch.context() as here:
        for module in ("jobs.state.report", "jobs.state.carry_over", "runners.ledger"):
            here.setattr(f"callcost.{module}.__version__", "9.9.9")
        run(folder)


def downgrade(folder: Path, _chance: random.Random, _patch: Patch) -> None:
    """A newer callcost wrote the ledger: this one refuses, until that one's is put back."""
    names = [folder / "state" / name for name in ("ledger.json", "ledger.copy.json")]
    kept = {path: path.read_bytes() for path in names if path.is_file()}
    for path, data in kept.items():
        try:
            document = json.loads(data) | {"schema_version": 99}
        except ValueError:
            return
        path.write_text(json.dumps({**document, "digest": digest_of_document(document)}), encoding="utf-8")
    if kept:
        refused = run(folder)
        assert (refused.code, "newer callcost" in refused.stderr) == (1, True), refused.stderr
    for path, data in kept.items():
        path.write_bytes(data)


def run_two_at_once(folder: Path, _chance: random.Random, _patch: Patch) -> None:
    with hold_lock(folder_at(str(folder / "state")), "other"):
        refused = run(folder)
        assert (refused.code, "another run works" in refused.stderr) == (1, True), refused.stderr


FAULTS: tuple[Callable[[Path, random.Random, Patch], None], ...] = (
    kill, stop, fill_the_disk, flip_a_bit, delete, set_the_clock_back, upgrade, downgrade, run_two_at_once,
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_no_fault_is_ever_another_figure(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    folder, first = tmp_path / "place", tmp_path / "first"
    refused, expected, day = 0, {}, 0
    faults = [*chance.sample(FAULTS, len(FAULTS)), *chance.choices(FAULTS, k=STEPS)][:STEPS]
    for step, fault in enumerate(faults):
        if step % max(1, STEPS // DAYS) == 0 and day < DAYS:
            day += 1
            write_lines(folder / f"logs/day-{day}.jsonl", rows_of(day)[:20])
            shutil.rmtree(first, ignore_errors=True)
            shutil.copytree(folder / "logs", first / "logs")
            assert run(first).code == 0
            expected = published(first)
        if _files(folder):
            fault(folder, chance, monkeypatch)
        again = run(folder)
        if again.code != 0:
            assert again.code in {1, 4}, again.stderr
            assert again.stderr.startswith("callcost: "), again.stderr
            refused += 1
            again = run(folder, "--rebuild")
        assert again.code == 0, f"{fault.__name__}: {again.stderr}"
        assert published(folder) == expected, f"step {step}: {fault.__name__}"
    assert refused <= STEPS / 2
