"""Logs are renamed, copied, emptied and packed under a state: the totals are those of all that was ever logged."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.command import Finished, assert_conserved, callcost, report, write_lines

Row = dict[str, Any]
TOTALS = ("calls", "prompt_tokens", "completion_tokens", "total_cost")


class Logger:
    """A program that writes a log, and what turns that over at night."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance = folder, chance
        self.log = folder / "logs/app.log"
        self.everything = folder / "everything"
        self.written = 0
        (folder / "logs").mkdir()

    def write(self, most: int) -> None:
        """Write some calls, with an id or without one."""
        rows = []
        for _ in range(self.chance.randint(0, most)):
            self.written += 1
            rows.append(self.row(self.written))
        data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        for path in (self.log, self.everything / "all.jsonl"):
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as stream:
                stream.write(data)

    def row(self, number: int) -> Row:
        usage = {"prompt_tokens": self.chance.randint(1, 10**6), "completion_tokens": self.chance.randint(0, 10**4)}
        own = {"id": f"call-{number}"} if self.chance.random() < 0.5 else {}
        seconds = f"{number % 60:02}.{number:06}" if self.chance.random() < 0.5 else f"{number % 60:02}"
        moment = f"2025-11-{self.chance.randint(1, 28):02}T08:{number // 60 % 60:02}:{seconds}Z"
        return {**own, "timestamp": moment, "model": "gpt-4o", "user": f"user-{number}", "usage": usage}


def _shift(logger: Logger, suffix: str = "") -> None:
    """Make room: app.log.1 becomes app.log.2, and so on."""
    for number in range(9, 0, -1):
        old = logger.log.with_name(f"app.log.{number}{suffix}")
        if old.exists():
            old.rename(logger.log.with_name(f"app.log.{number + 1}{suffix}"))


def rename(logger: Logger, _night: int) -> None:
    _shift(logger)
    logger.log.rename(logger.log.with_name("app.log.1"))


def copytruncate(logger: Logger, _night: int) -> None:
    _shift(logger)
    shutil.copyfile(logger.log, logger.log.with_name("app.log.1"))
    logger.log.write_bytes(b"")


def compress(logger: Logger, _night: int) -> None:
    _shift(logger, ".gz")
    logger.log.with_name("app.log.1.gz").write_bytes(gzip.compress(logger.log.read_bytes()))
    logger.log.unlink()


def delaycompress(logger: Logger, _night: int) -> None:
    _shift(logger, ".zst")
    last = logger.log.with_name("app.log.1")
    if last.exists():
        logger.log.with_name("app.log.2.zst").write_bytes(zstandard.compress(last.read_bytes()))
        last.unlink()
    logger.log.rename(last)


def dateext(logger: Logger, night: int) -> None:
    logger.log.rename(logger.log.with_name(f"app.log-202511{night + 1:02}"))


def shred(logger: Logger, night: int) -> None:
    rename(logger, night)
    if night % 2:
        logger.log.with_name("app.log.1").unlink()


def run(folder: Path, *words: str | Path, expect: int = 0) -> Finished:
    out = folder / "reports"
    done = callcost("report", folder / "logs", "--state", folder / "state", "--out", out, *words, out=out)
    assert done.code == expect, done.stderr
    return done


def _sums(done: Finished) -> list[Any]:
    return [done.total(name) for name in TOTALS]


@pytest.mark.parametrize("turn", [rename, copytruncate, compress, delaycompress, dateext, shred])
def test_a_log_that_is_turned_over_counts_once_and_stays(
    turn: Callable[[Logger, int], None], tmp_path: Path, long_run: bool
) -> None:
    """A log grows between the report and its turn; half of the jobs keep but one log that was turned over."""
    for seed in range(20 if long_run else 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        logger = Logger(folder, random.Random(f"{turn.__name__} {seed}"))
        for night in range(5):
            logger.write(30)
            run(folder, expect=0 if logger.written else 1)
            if turn is not shred:
                logger.write(10)
            turn(logger, night)
            for path in (folder / "logs").glob("app.log.[2-9]*") if seed % 2 == 0 else ():
                path.unlink()  # it was read as the first
            if night % 2:
                logger.write(10)
        logger.write(5)
        done = run(folder)
        whole = report([logger.everything], folder / "whole")
        assert _sums(done) == _sums(whole)
        assert done.records["calls"] == logger.written
        assert_conserved(done)


def test_a_packed_log_in_the_place_of_the_plain_one_is_the_same_log(tmp_path: Path) -> None:
    rows = [{"timestamp": "2025-11-03T08:00:00Z", "model": "gpt-4o", "usage": {"prompt_tokens": 5}}] * 7
    log = write_lines(tmp_path / "logs/a.jsonl", [{**row, "user": str(n)} for n, row in enumerate(rows)])
    before = run(tmp_path)
    log.with_suffix(".jsonl.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    after = run(tmp_path)
    assert (_sums(after), after.records["calls"]) == (_sums(before), 7)


def test_a_last_line_that_was_not_whole_yet_makes_no_other_log(tmp_path: Path) -> None:
    row = {"timestamp": "2025-11-03T08:00:00Z", "model": "gpt-4o", "usage": {"prompt_tokens": 5}}
    one, two, three = (json.dumps({**row, "user": f"user-{n}"}).encode() for n in range(3))
    log = write_lines(tmp_path / "logs/a.jsonl", [])
    log.write_bytes(one + b"\n" + two[:20])
    assert run(tmp_path).records["rejects"] == 1
    log.write_bytes(one + b"\n" + two[:20].replace(b"2025", b"2024") + b"\n" + two + b"\n")
    done = run(tmp_path)
    assert (done.records["calls"], done.records["rejects"], len(done.manifest["inputs"])) == (2, 1, 1)
    log.write_bytes(three)  # another log, whose only record lacks the end of its line
    run(tmp_path)
    log.write_bytes(three + b"\n" + two + b"\n")
    done = run(tmp_path)
    assert (done.records["calls"], done.records["duplicates"], len(done.manifest["inputs"])) == (3, 1, 2)


def _document(folder: Path, numbers: range) -> Path:
    rows = [
        {"id": f"call-{n}", "timestamp": f"2025-11-{n:02}T08:00:00Z", "model": "gpt-4o", "usage": {"prompt_tokens": n}}
        for n in numbers
    ]
    path = folder / "logs/export.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return path


def test_calls_that_a_document_does_not_hold_any_more_are_kept_and_named_until_they_are_forgotten(
    tmp_path: Path,
) -> None:
    path = _document(tmp_path, range(1, 11))
    run(tmp_path)
    _document(tmp_path, range(4, 13))
    done = run(tmp_path)
    assert (done.records["calls"], done.records["duplicates"], len(done.manifest["inputs"])) == (12, 0, 1)
    assert done.manifest["run"]["notes"] == {"kept": ["logs/export.json (3 calls that it does not hold any more)"]}
    assert done.manifest["run"]["kept"] == {"logs/export.json": 3}
    assert_conserved(done)
    _document(tmp_path, range(6, 14))
    assert run(tmp_path).records["calls"] == 13
    path.rename(path.with_name("renamed.json"))
    done = run(tmp_path)
    assert (done.records["calls"], done.manifest["run"]["kept"]) == (13, {"logs/renamed.json": 5})
    done = run(tmp_path, "--forget", path.with_name("renamed.json"))
    assert (done.records["calls"], done.manifest["run"]["kept"]) == (8, {})


def test_what_is_forgotten_of_lines_is_what_an_earlier_content_gave(tmp_path: Path) -> None:
    log = tmp_path / "logs/a.jsonl"
    days = [
        {"id": f"call-{n}", "timestamp": f"2025-11-{n:02}T08:00:00Z", "model": "gpt-4o", "usage": {"prompt_tokens": n}}
        for n in range(1, 10)
    ]
    write_lines(log, days[:5])
    run(tmp_path)
    write_lines(log, days[5:])
    done = run(tmp_path)
    assert done.records["calls"] == 9
    assert done.manifest["run"]["notes"] == {"kept": ["logs/a.jsonl (5 calls that it does not hold any more)"]}
    assert "kept: logs/a.jsonl (5 calls" in done.stderr
    assert "nothing was read from" in run(tmp_path, "--forget", "logs/b.jsonl", expect=2).stderr
    done = run(tmp_path, "--forget", "logs/a.jsonl")
    assert done.records["calls"] == 4
    left = sorted(path.name for path in (tmp_path / "reports").glob("day=*"))
    assert left == [f"day=2025-11-0{n}" for n in range(6, 10)]


def test_calls_that_only_a_state_holds_are_refused_when_they_are_damaged(tmp_path: Path) -> None:
    """The log is at hand, but reading it again would not give them."""
    _document(tmp_path, range(1, 11))
    run(tmp_path)
    _document(tmp_path, range(4, 13))
    run(tmp_path)
    facts = next((tmp_path / "state/inputs").glob("*/facts-leftovers-*"))
    facts.write_bytes(facts.read_bytes()[:-1] + b"x")
    write_lines(tmp_path / "logs/more.jsonl", [b"{broken"])
    assert facts.name in run(tmp_path, expect=1).stderr
    assert run(tmp_path, "--rebuild").records["calls"] == 9
