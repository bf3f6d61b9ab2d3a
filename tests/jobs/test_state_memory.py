"""What a night with a state holds in memory at once grows little with the calls of a day."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from callcost.jobs.state.partitions import Partitions
from tests.bench.logs import lean, write_jsonl
from tests.bench.measure import Taken, take
from tests.command import ROOT, report

MOST_BYTES = 1_000 << 20  # of a day of three million calls, with two workers
MOST_PER_CALL = 300  # bytes (1,300 where a day is one table): its file, packed, and a number or two for each call
PART = 500


def _published(out: Path) -> dict[str, bytes]:
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if name != "manifest.json"}


def test_a_large_day_is_published_in_parts_with_the_bytes_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write_jsonl(tmp_path / "log.jsonl", lean(6_000))
    whole = report([log], tmp_path / "whole", "--state", tmp_path / "state of the whole", "--format", "csv,html")
    heights: list[int] = []
    publish = Partitions.publish

    def seen(partitions: Partitions, day: date | None, parts: Iterable[pl.DataFrame]) -> None:
        publish(partitions, day, (heights.append(part.height) or part for part in parts))  # type: ignore[func-returns-value]

    monkeypatch.setattr(Partitions, "publish", seen)
    monkeypatch.setattr("callcost.stages.report.days._PART_ROWS", PART)
    parts = report([log], tmp_path / "parts", "--state", tmp_path / "state of parts", "--format", "csv,html")
    found, expected = _published(parts.out), _published(whole.out)
    assert sum(heights) == parts.records["calls"] == 6_000
    assert max(heights) <= 2 * PART
    assert found.keys() == expected.keys()
    assert [name for name in found if name.endswith(".parquet") and found[name] != expected[name]] == []
    assert found["spend.csv"] == expected["spend.csv"]
    assert found["report.html"] == expected["report.html"]


def test_a_day_that_is_published_anew_says_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcost.stages.report.days._PART_ROWS", PART)
    logs, state, out = tmp_path / "logs", tmp_path / "state", tmp_path / "out"
    logs.mkdir()
    rows = list(lean(4_000))
    write_jsonl(logs / "first.jsonl", iter(rows[::2]))
    before = report([logs], out, "--state", state).total("total_cost")
    write_jsonl(logs / "second.jsonl", iter(rows[1::2]))
    after = report([logs], out, "--state", state)
    [change] = after.manifest["run"]["day_changes"]
    assert (change["reason"], change["calls"]) == ("new calls", 2_000)
    assert after.total("total_cost") - before == Decimal(change["difference"])


def _night(calls: int, folder: Path) -> Taken:
    """Report a log of so many calls for the first time."""
    log = write_jsonl(folder / f"{calls}.jsonl", lean(calls))
    words = ["report", log, "--state", folder / f"{calls}-state", "--out", folder / f"{calls}-out", "--workers", "2"]
    taken = take([sys.executable, "-m", "callcost", *map(str, words)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    print(f"{calls:,} calls: {(taken.peak or 0) >> 20} MiB, {taken.wall:.0f} s, {taken.cpu:.0f} s of the processor")  # noqa: T201 - to be noted
    assert len(list((folder / f"{calls}-out").glob("day=*"))) == 1
    return taken


def test_a_day_of_three_million_calls_stays_within_the_memory_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long_run: bool
) -> None:
    if not long_run:
        pytest.skip("the long checks do: CALLCOST_LONG=1")
    monkeypatch.setattr("tests.bench.logs.SECONDS_PER_CALL", 0.02)  # else it would be a month
    few, many = (_night(calls, tmp_path) for calls in (1_000_000, 3_000_000))
    if few.peak is None or many.peak is None:
        pytest.skip("memory cannot be told here")
    assert many.peak < MOST_BYTES
    assert many.peak - few.peak < MOST_PER_CALL * 2_000_000
