"""A closed day stays as it is when no log holds a call of it any more, and every figure is of the same calls."""

from __future__ import annotations

import csv
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.command import Finished, assert_conserved, callcost, write_lines

CLOSED = "2025-11-01"
LOST = Decimal("-0.0026025")  # what the only call of the closed day cost


def row(day: int, number: int = 0) -> dict[str, Any]:
    usage = {"prompt_tokens": 1000 + day, "completion_tokens": 10}
    moment = f"2025-11-{day:02}T10:00:00Z"
    return {"id": f"c{day}-{number}", "model": "gpt-4o", "user": "ana", "timestamp": moment, "usage": usage}


class Job:
    """A report of four days that remembers."""

    def __init__(self, folder: Path) -> None:
        self.logs, self.state, self.out = folder / "logs", folder / "state", folder / "reports"
        self.log = write_lines(self.logs / "a.jsonl", [row(day) for day in range(1, 5)])

    def run(self, *words: str | Path, expect: int = 0) -> Finished:
        """Run it once; whatever came of it, all figures are of the same calls."""
        done = callcost("report", self.logs, "--out", self.out, "--state", self.state, *words, out=self.out)
        assert done.code == expect, done.stderr
        assert_figures_agree(done)
        return done

    def close(self, day: str = CLOSED) -> None:
        done = callcost("close", day, "--state", self.state)
        assert done.code == 0, done.stderr

    def days(self) -> list[str]:
        return sorted(path.name.removeprefix("day=") for path in self.out.glob("day=*"))

    def adjustments(self) -> list[tuple[str, str, str, Decimal]]:
        with (self.out / "adjustments.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [(line["day"], line["reason"], line["calls"], Decimal(line["difference"])) for line in rows]


def assert_figures_agree(done: Finished) -> None:
    """Compare the partitions, the spend, the manifest and the first line of the summary."""
    assert_conserved(done)
    closed, totals = done.manifest["closed_calls"], done.manifest["totals"]
    published = done.records["calls"] + closed["published"] - closed["read"]
    assert done.total("calls") == (totals["calls"] or 0) == published
    assert done.stderr.startswith(f"{published:,} call{'s' * (published != 1)}: ")
    since = done.manifest["options"]["since"] or ""
    files = [path for path in sorted(done.out.glob("day=*/*.parquet")) if path.parent.name[4:] >= since[:10]]
    calls = [pl.read_parquet(path, hive_partitioning=False).select("call_id", "total_cost") for path in files]
    assert sum(table.height for table in calls) == published
    assert sum((cost for table in calls for cost in table["total_cost"]), Decimal(0)) == done.total("total_cost")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    job = Job(tmp_path)
    job.run()
    job.close()
    return job


def test_a_closed_day_outlives_its_last_call(job: Job, tmp_path: Path) -> None:
    partition = job.out / f"day={CLOSED}/calls.parquet"
    before, spend = partition.read_bytes(), (job.out / "spend.csv").read_bytes()
    write_lines(job.log, [row(day) for day in range(2, 5)])
    for words in (["--forget", job.log], [], ["--by", "model,user"]):
        done = job.run(*words)
        assert partition.read_bytes() == before
        assert (job.out / "spend.csv").read_bytes() == spend
        assert job.adjustments() == [(CLOSED, "missing records", "1", LOST)]
        assert f"{CLOSED} is closed: {LOST} dollars of missing records not in it" in done.stderr
        assert done.manifest["closed_days"] == [CLOSED]
        assert done.manifest["run"]["days_removed"] == []
    job.out = tmp_path / "elsewhere"
    assert job.run().manifest["run"]["days_added"] == [f"2025-11-0{day}" for day in range(1, 5)]


@pytest.mark.parametrize(("rest", "days"), [([row(7)], ["2025-11-07"]), ([{}], []), ([], [])])
def test_open_days_that_are_removed_are_named_and_the_closed_one_stays(
    job: Job, rest: list[dict[str, Any]], days: list[str]
) -> None:
    job.log.unlink()
    write_lines(job.logs / "b.jsonl", rest)
    done = job.run("--forget", job.log)
    removed = ["2025-11-02", "2025-11-03", "2025-11-04"]
    assert (job.days(), done.manifest["run"]["days_removed"]) == ([CLOSED, *days], removed)
    assert f"removed: {', '.join(removed)}" in done.stderr
    assert job.adjustments() == [(CLOSED, "missing records", "1", LOST)]
    again = job.run("--fresh-within", "1000000h")
    assert "no call at all" not in done.stderr + again.stderr
    assert "removed: " not in again.stderr


@pytest.mark.parametrize(("rest", "code"), [([row(7)], 0), ([{}], 1)])
def test_a_closed_day_without_a_call_goes_by_restate(job: Job, rest: list[dict[str, Any]], code: int) -> None:
    job.log.unlink()
    write_lines(job.logs / "b.jsonl", rest)
    job.run("--forget", job.log)
    done = job.run("--restate", expect=code)
    assert CLOSED not in job.days()
    assert (done.manifest["run"]["days_removed"], done.manifest["closed_days"]) == ([CLOSED], [])
    assert f"open again, since no call is left: {CLOSED}" in done.stderr
    assert not (job.out / "adjustments.csv").exists()
    assert not list((job.state / "closed").glob("*"))
    assert job.run(expect=code).total("calls") == len(rest) - code
    write_lines(job.log, [row(1)])
    assert CLOSED in job.run().manifest["run"]["days_added"]


def test_a_closed_day_outside_the_interval_is_not_in_the_sums(job: Job) -> None:
    done = job.run("--since", "2025-11-02")
    assert (int(done.total("calls")), int(done.total("prompt_tokens"))) == (3, 3009)
    assert CLOSED in job.days()
    assert done.manifest["closed_days"] == [CLOSED]
    assert job.run().total("calls") == 4


def test_figures_agree_whatever_is_closed_and_forgotten(tmp_path: Path, long_run: bool) -> None:
    for seed in range(20 if long_run else 2):
        chance = random.Random(seed)
        job = Job(tmp_path / str(seed))
        logs = {job.logs / f"{name}.jsonl": list[dict[str, Any]]() for name in "abc"}
        for number, log in enumerate(logs):
            logs[log] = [row(chance.randint(1, 9), 10 * number + n) for n in range(5)]
            write_lines(log, logs[log])
        job.run()
        for day in chance.sample(job.days(), 2):
            job.close(day)
        closed = {day: (job.out / f"day={day}/calls.parquet").read_bytes() for day in job.days()}
        for log, rows in logs.items():
            write_lines(log, [{}, *chance.sample(rows, chance.randint(0, 2))])
            done = job.run("--forget", log)
            for day in done.manifest["closed_days"]:
                assert (job.out / f"day={day}/calls.parquet").read_bytes() == closed[day]
        difference = sum((cost for *_, cost in job.adjustments()), Decimal(0)) if done.manifest["adjustments"] else 0
        before = done.total("total_cost")
        assert job.run("--restate", expect=int(not done.records["calls"])).total("total_cost") == before + difference
