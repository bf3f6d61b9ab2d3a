"""A night settles and publishes what is new; its files are, byte by byte, those of a run over all."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from callcost.jobs.engine.map_reduce import reduce_parts
from callcost.jobs.state.unchanged import kept_sums, log_groups
from tests.command import ROOT, callcost, write_lines

FIRST, MODELS = 1, ("gpt-4o", "o3", "claude-sonnet-4-20250514", "no-such-model")


class Shop:
    """A shop whose logs change from night to night, with its state and its reports.

    Args:
        folder: where all of it is.
        seed: what its nights are drawn from.
        calls: calls of a day.
    """

    def __init__(self, folder: Path, seed: int, calls: int = 30) -> None:
        self.folder, self.random, self.calls, self.night = folder, random.Random(seed), calls, 0
        self.logs, self.state, self.out = (folder / name for name in ("logs", "state", "reports"))
        self.prices = folder / "own.toml"
        self.set_price(2)

    def set_price(self, dollars: int) -> None:
        rates = f"input_cost_per_token = {dollars}e-6\noutput_cost_per_token = 1e-5\n"
        self.prices.write_text(f'[rates."no-such-model"]\n{rates}', encoding="utf-8")

    def row(self, day: int) -> dict[str, Any]:
        """Return a new call of a day."""
        prompt, answer = self.random.randrange(1, 4_000), self.random.randrange(1, 900)
        hour, minute = self.random.randrange(24), self.random.randrange(60)
        named = {"id": f"chatcmpl-{self.random.getrandbits(64):016x}"} if self.random.random() < 0.9 else {}
        return {
            **named, "timestamp": f"2025-11-{day:02}T{hour:02}:{minute:02}:00Z", "model": self.random.choice(MODELS),
            "user": f"user-{self.random.randrange(5)}",
            "usage": {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer},
        }  # fmt: skip

    def lines_of(self, path: Path) -> list[str]:
        return path.read_text(encoding="utf-8").splitlines()

    def any_log(self) -> Path:
        return self.random.choice(sorted(self.logs.glob("*.jsonl")))

    # --- What may happen on a day -------------------------------------------------------------------------------------

    def comes_late(self) -> None:
        rows = [self.row(self.random.randint(FIRST, self.night)) for _ in range(4)]
        write_lines(self.logs / f"late-{self.night}.jsonl", rows)

    def copies_an_old_log(self) -> None:
        """Calls of an old day stand in a new log, too, some of them with other requests."""
        lines = [line for line in self.lines_of(self.any_log()) if line.endswith("}")]
        rows = [json.loads(line) for line in lines[: self.random.randint(1, 4)]]
        for row in rows[:1]:
            row["usage"]["completion_tokens"] += 1
        write_lines(self.logs / f"again-{self.night}.jsonl", [*rows, self.row(self.night)])

    def grows(self) -> None:
        with self.any_log().open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.row(self.night)) + "\n")

    def is_rotated(self) -> None:
        path = self.any_log()
        path.with_name(f"{path.name}.1.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()
        write_lines(path, [self.row(self.night)])

    def loses_lines(self) -> None:
        path = self.any_log()
        path.write_text("\n".join([*self.lines_of(path)[1:], "{no json"]) + "\n", encoding="utf-8")

    def is_priced_otherwise(self) -> None:
        self.set_price(self.night)

    def loses_what_is_kept(self) -> None:
        for path in sorted((self.state / ".sums").glob("*"))[:: self.random.randint(1, 3)]:
            path.write_bytes(path.read_bytes()[:-9] + b"?" * 9) if self.random.random() < 0.5 else path.unlink()

    def loses_a_day(self) -> None:
        path = self.random.choice(sorted(self.out.glob("day=*/calls.parquet")))
        path.unlink() if self.random.random() < 0.5 else path.write_bytes(b"")

    def is_closed(self) -> None:
        day = self.random.choice(sorted(self.out.glob("day=*"))).name.removeprefix("day=")
        callcost("close", day, "--state", self.state, "--timezone", "Asia/Tokyo", "--prices-override", self.prices)

    # --- Nights -------------------------------------------------------------------------------------------------------

    def passes(self) -> None:
        """Let a day pass: its log, and two things that may happen."""
        self.night += 1
        write_lines(self.logs / f"day-{self.night:02}.jsonl", [self.row(self.night) for _ in range(self.calls)])
        happens = (
            self.comes_late, self.copies_an_old_log, self.copies_an_old_log, self.grows, self.is_rotated,
            self.loses_lines, self.is_priced_otherwise, self.loses_what_is_kept, self.loses_a_day, self.is_closed,
        )  # fmt: skip
        for thing in self.random.sample(happens, 2) if self.night > FIRST else ():
            thing()

    def words(self, state: Path, out: Path) -> tuple[str | Path, ...]:
        more = ("--prices-override", self.prices, "--by", "day,model,user", "--timezone", "Asia/Tokyo")
        return ("report", self.logs, "--state", state, "--out", out, *more)

    def report(self) -> dict[str, bytes]:
        """Run the night; return what is published."""
        done = callcost(*self.words(self.state, self.out))
        assert done.code in {0, 3, 4}, done.stderr
        return _published(self.out)

    def report_over_all(self) -> dict[str, bytes]:
        """Return what a run with the same state publishes that has nothing but facts."""
        state, out = self.folder / "state over all", self.folder / "reports over all"
        shutil.copytree(self.state, state)
        shutil.rmtree(state / ".sums")
        done = callcost(*self.words(state, out))
        assert done.code in {0, 3, 4}, done.stderr
        files = _published(out)
        shutil.rmtree(state)
        shutil.rmtree(out)
        return files

    def kill_report(self) -> None:
        """Start the night and kill it somewhere."""
        words = [sys.executable, "-m", "callcost", *map(str, self.words(self.state, self.out))]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            is_begun = self.state / ".history.json"
            before = is_begun.stat().st_mtime_ns if is_begun.exists() else 0
            while process.poll() is None and (not is_begun.exists() or is_begun.stat().st_mtime_ns == before):
                time.sleep(0.01)
            time.sleep(self.random.random() / 2)
            process.send_signal(signal.SIGKILL)


def _published(out: Path) -> dict[str, bytes]:
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    manifest = json.loads(files["manifest.json"])
    del manifest["run"]
    return {**files, "manifest.json": json.dumps(manifest, sort_keys=True).encode()}


@pytest.mark.parametrize("seed", range(3))
def test_nights_publish_what_a_run_over_all_does(tmp_path: Path, seed: int, long_run: bool) -> None:
    shop = Shop(tmp_path, seed, calls=300 if long_run else 30)
    for night in range(28 if long_run else 6):
        shop.passes()
        if night % 4 == 3:
            shop.kill_report()
        found, wanted = shop.report(), shop.report_over_all()
        assert {name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)} == set()


@pytest.fixture
def reduced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many groups of logs were priced and summed, each time that some were asked for."""
    counts: list[int] = []

    def counting(options: Any, found: Any, parts: Any, **more: Any) -> Any:
        counts.append(len(parts))
        return reduce_parts(options, found, parts, **more)

    monkeypatch.setattr("callcost.jobs.state.unchanged.settle_night.reduce_parts", counting)
    monkeypatch.setattr(log_groups, "ALONE", 1)
    return counts


def test_a_night_prices_only_what_changed(tmp_path: Path, reduced: list[int]) -> None:
    shop = Shop(tmp_path, 7)
    for night in range(1, 6):
        shop.night = night
        rows = [{**shop.row(night), "timestamp": f"2025-11-{night:02}T{hour:02}:00:00Z"} for hour in range(12)]
        write_lines(shop.logs / f"day-{night}.jsonl", rows)
        shop.report()
    assert reduced == [1, 0] * 5  # the new log each night, and no other
    copied = json.loads(shop.lines_of(shop.logs / "day-2.jsonl")[3])
    late = [copied, {**shop.row(4), "timestamp": "2025-11-04T05:00:00Z"}]
    write_lines(shop.logs / "late.jsonl", late)
    shop.report()
    assert reduced[10:] == [2, 1]  # the late log and that of the call it copies; that of the day it falls on is listed
    shop.set_price(3)
    shop.report()
    assert reduced[12:] == [6, 0]
    assert shop.report() == shop.report_over_all()


def test_more_sums_than_are_worth_it_are_not_kept(
    tmp_path: Path, reduced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_sums, "MOST_ROWS", 5)
    shop = Shop(tmp_path, 8)
    for night in (1, 2):
        shop.night = night
        write_lines(shop.logs / f"day-{night}.jsonl", [shop.row(night) for _ in range(9)])
        found = shop.report()
    assert reduced == [1, 0, 2, 0]
    assert found == shop.report_over_all()
