"""Damaged records of every dialect, read by the whole command: it ends, and no record is unaccounted for."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.command import assert_conserved, report, write_lines
from tests.logs.damages import CANARY, DAMAGES, FILES, RECORDS, VALUES, damage_file, retype

_FILES, _OF_BYTES = 8, 12


def test_every_damaged_record_is_accounted_for(long_run: bool, tmp_path: Path, out: Path) -> None:
    chance = random.Random(20_261_122)
    wanted = 200_000 if long_run else 1_000
    for number in range(_FILES):
        lines = [_damaged(chance) for _ in range(wanted // _FILES)]
        write_lines(tmp_path / "logs" / f"lines-{number}.jsonl", lines)
    for number in range(_OF_BYTES):
        original = chance.choice(FILES)
        damaged = tmp_path / "logs" / f"bytes-{number}{original.suffix}"
        damaged.write_bytes(damage_file(original.read_bytes(), chance))

    done = report([tmp_path / "logs"], out)

    assert_conserved(done)
    assert done.records["records"] >= wanted * 9 // 10  # lines that were cut to nothing are none
    reasons = {reject["reason"] for reject in done.rejects}
    assert not reasons & {"unreadable_record", "worker_died"}
    assert not [reject for reject in done.rejects if CANARY in reject["detail"]]


def _damaged(chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        return json.dumps(retype(chance.choice(VALUES), chance)).encode()
    return chance.choice(DAMAGES)(chance.choice(RECORDS), chance).replace(b"\n", b" ")
