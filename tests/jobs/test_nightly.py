"""A report that remembers: the same files as a fresh one, and only what is new is read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.jobs.report import report_spend
from callcost.jobs.state.report import report_incremental
from callcost.prices.book.catalog import add_map
from callcost.settings import ReportOptions, StateOptions, WorkOptions
from callcost.stages.count.missing_usage import TIMED_OUT, count_missing
from callcost.tables import Call
from callcost.tokens.engines.text_counter import TextCounter
from tests.command import ROOT, SAMPLES, Finished, callcost, report, write_lines

OUTPUTS = ("spend.csv", "spend.parquet", "rejects.parquet")
_opened: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        _opened.append(str(arguments[0]))


sys.addaudithook(_watch)


DAYS = (1, 2, 3, 4, 5, 7, 9, 15, 20, 30)


def rows_of(day: int, count: int = 20, **more: Any) -> list[dict[str, Any]]:
    """Return calls of one day of November 2025."""
    return [
        {
            "id": f"{day}-{number}", "timestamp": f"2025-11-{day:02}T08:{number:02}:00Z", "model": "gpt-4o",
            "user": f"user-{number % 3}", "messages": f"What is {number}?", "response": "A number.", **more,
        }
        for number in range(count)
    ]  # fmt: skip


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Ten days of logs, a file a day."""
    for day in DAYS:
        write_lines(tmp_path / "logs" / f"day-{day:02}.jsonl", rows_of(day))
    return tmp_path / "logs"


class Job:
    """A nightly job with its folders."""

    def __init__(self, logs: Path, folder: Path) -> None:
        self.logs, self.state, self.out = logs, folder / "state", folder / "reports"

    def run(self, *words: str | Path, expect: int = 0) -> Finished:
        """Run it once."""
        words = ("report", self.logs, "--out", self.out, "--state", self.state, *words)
        done = callcost(*words, out=self.out)
        assert done.code == expect, done.stderr
        return done

    def files(self) -> dict[str, str]:
        """Return every published file and its digest; the manifest without its run."""
        files = {p.relative_to(self.out).as_posix(): p.read_bytes() for p in self.out.rglob("*") if p.is_file()}
        manifest = json.loads(files["manifest.json"])
        del manifest["run"]
        files["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
        return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}


@pytest.fixture
def job(logs: Path, tmp_path: Path) -> Job:
    return Job(logs, tmp_path)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_the_first_run_says_what_a_plain_report_says(tmp_path: Path, out: Path) -> None:
    job = Job(SAMPLES, tmp_path / "job")
    remembered, plain = job.run(), report([SAMPLES], out, "--calls")
    for name in OUTPUTS:
        assert (job.out / name).read_bytes() == (out / name).read_bytes(), name
    for key in ("inputs", "records", "totals", "usage_source", "unpriced", "price_versions", "vocabularies"):
        assert remembered.manifest[key] == plain.manifest[key], key
    days = pl.read_parquet(sorted(job.out.glob("day=*/calls.parquet")), hive_partitioning=False)
    calls = pl.read_parquet(out / "calls.parquet")
    assert days.sort(calls.columns[:5]).equals(calls.sort(calls.columns[:5]))


def test_a_finished_job_reads_no_input_again(job: Job) -> None:
    job.run()
    before = job.files()
    _opened.clear()
    again = job.run()
    assert not [path for path in _opened if path.startswith(str(job.logs))]
    assert job.files() == before
    assert "0 inputs read, 10 known" in again.stderr


def test_not_even_the_bytes_of_a_known_log_are_looked_at(job: Job) -> None:
    """Logs whose content was exchanged under their size and time are still what they were: nobody opened them."""
    job.run()
    before = job.files()
    for path in job.logs.iterdir():
        stat = path.stat()
        path.write_bytes(b"x" * stat.st_size)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = job.run()
    assert (again.manifest["run"]["inputs_read"], job.files()) == (10, before)  # the manifest stays that of the first
    assert "0 inputs read, 10 known" in again.stderr


def test_a_finished_job_costs_little_more_than_loading_the_command(job: Job) -> None:
    job.run()
    words = ["report", str(job.logs), "--out", str(job.out), "--state", str(job.state), "--quiet"]
    modules = ("cli.commands.report", "cli.terminal.summary", "jobs.state.report")
    loaded = _processor_seconds("-c", "import " + ", ".join(f"callcost.{module}" for module in modules))
    again = _processor_seconds("-m", "callcost", *words)
    assert again < 2 * loaded


def _processor_seconds(*words: str) -> float:
    """Return what a process takes at best."""
    taken = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, *words], cwd=ROOT, check=True, timeout=100)
        after = os.times()
        taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(taken)


def test_a_late_record_changes_one_day_and_the_spend_and_says_so(job: Job, out: Path) -> None:
    job.run()
    before = job.files()
    write_lines(job.logs / "late.jsonl", [{**rows_of(7)[0], "id": "late"}])
    again = job.run("--max-late", "0", expect=3)
    assert changed(before, job.files()) == {
        "day=2025-11-07/calls.parquet", "spend.csv", "spend.parquet", "manifest.json",
    }  # fmt: skip
    run = again.manifest["run"]
    assert (run["inputs_read"], run["days_replaced"], run["late_calls"]) == (1, ["2025-11-07"], 1)
    assert "replaced: 2025-11-07" in again.stderr
    assert "--max-late crossed: late 100 % of new calls (1 of 1), limit 0 %" in again.stderr
    fresh = report([job.logs], out)
    assert (job.out / "spend.csv").read_bytes() == (out / "spend.csv").read_bytes()
    assert again.manifest["inputs"] == fresh.manifest["inputs"]


def test_a_file_that_changed_is_read_again_and_the_others_are_not(job: Job) -> None:
    job.run()
    before = job.files()
    write_lines(job.logs / "day-30.jsonl", [*rows_of(30), {**rows_of(30)[0], "id": "more"}])
    again = job.run()
    assert "day=2025-11-30/calls.parquet" in changed(before, job.files())
    assert again.manifest["run"]["inputs_read"] == 1
    assert again.manifest["run"]["late_calls"] == 0
    assert again.records["calls"] == 201


def test_a_log_that_was_only_touched_is_known_by_its_bytes(job: Job) -> None:
    job.run()
    before = job.files()
    for path in job.logs.iterdir():
        os.utime(path, (1, 1))
    changed_one = job.logs / "day-04.jsonl"
    changed_one.write_bytes(changed_one.read_bytes().replace(b"user-1", b"user-7"))  # of the same size
    again = job.run()
    assert (again.manifest["run"]["inputs_read"], again.manifest["run"]["inputs_known"]) == (1, 9)
    days = {name for name in changed(before, job.files()) if name.startswith("day=")}
    assert days == {"day=2025-11-04/calls.parquet"}
    assert "0 inputs read, 10 known" in job.run().stderr


def test_a_log_that_was_rotated_away_stays_in_the_report(job: Job) -> None:
    job.run()
    before = job.files()
    (job.logs / "day-01.jsonl").unlink()
    job.run()
    (job.logs / "day-02.jsonl").rename(job.logs / "day-02.jsonl.1")
    again = job.run()
    assert again.records["calls"] == 200
    assert changed(before, job.files()) <= {"manifest.json", "day=2025-11-02/calls.parquet", "spend.csv"} | set(OUTPUTS)


def test_stored_calls_are_priced_again_with_a_new_map_and_no_log_is_read(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLCOST_DATA_DIR", str(tmp_path / "own"))
    first = job.run().total("total_cost")
    before = job.files()
    entry = b'{"input_cost_per_token":1,"litellm_provider":"openai","mode":"chat","output_cost_per_token":1}'
    moment = 1_763_164_800_000_000  # 2025-11-15
    add_map({"gpt-4o": entry}, name="own-1", effective_from=moment, source="test", folder=tmp_path / "own/prices")
    assert "stored calls are priced again" in job.run("--plan").stdout
    again = job.run()
    assert again.total("total_cost") > first
    run = again.manifest["run"]
    assert (run["inputs_read"], run["bytes_read"]) == (0, 0)
    days = {name for name in changed(before, job.files()) if name.startswith("day=")}
    assert days == {f"day={day}/calls.parquet" for day in run["days_replaced"]} == {"day=2025-11-15/calls.parquet"}


def test_only_the_days_of_the_interval_are_replaced(job: Job) -> None:
    job.run()
    before = job.files()
    for day in (3, 20):
        write_lines(job.logs / f"late-{day}.jsonl", [{**rows_of(day)[0], "id": f"late-{day}"}])
    again = job.run("--since", "2025-11-15", "--until", "2025-11-25")
    days = {name for name in changed(before, job.files()) if name.startswith("day=")}
    assert days == {"day=2025-11-20/calls.parquet"}
    assert again.records["calls"] == 41
    assert job.run("--since", "2025-11-15T08:00:00Z", expect=2).stderr.count("midnight") == 1


def test_yesterday_is_the_one_day_that_is_reported(job: Job) -> None:
    now = datetime.now(UTC)
    for age in range(3):
        moment = (now - timedelta(days=age)).replace(hour=0, minute=0)
        rows = [row | {"id": f"{age} {row['id']}", "timestamp": moment.isoformat()} for row in rows_of(1)]
        write_lines(job.logs / f"recent-{age}.jsonl", rows)
    words = ("--since", "yesterday", "--until", "today")
    assert "read 13 inputs" in job.run("--plan", *words).stdout
    done = job.run(*words, "--fresh-within", "49h")
    yesterday = str((now - timedelta(days=1)).date())
    assert (done.records["calls"], done.records["filtered"]) == (20, 240)
    assert done.manifest["run"]["days_added"] == [yesterday]
    assert [path.name for path in job.out.glob("day=*")] == [f"day={yesterday}"]


def test_what_took_too_long_is_named_in_every_run(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(calls: Sequence[Call], counter: TextCounter) -> None:
        count_missing(calls, counter)
        for call in calls:
            if call.own_id in {"7-3", "7-11", "9-0"}:
                call.usage_source = call.count_method = TIMED_OUT

    monkeypatch.setattr("callcost.stages.tasks.count_missing", count)
    options = ReportOptions(logs=(str(job.logs),), out=str(job.out), work=WorkOptions(workers=1))
    expected = [["logs/day-07.jsonl", 4], ["logs/day-07.jsonl", 12], ["logs/day-09.jsonl", 1]]

    assert report_spend(dataclasses.replace(options, out=None)).manifest["timed_out"] == expected
    for _ in range(2):  # the second run reads nothing
        manifest = report_incremental(options, StateOptions(folder=str(job.state))).manifest
        assert manifest["timed_out"] == expected
        assert manifest["usage_source"]["timed_out"] == 3
        write_lines(job.logs / "day-31.jsonl", rows_of(30, 1, user="new"))


@pytest.mark.parametrize(
    ("gate", "crossing", "not_crossing"),
    [("--max-unpriced", "0", "1"), ("--max-rejected", "0", "1"), ("--strict", None, None)],
)
def test_a_gate_stays_crossed_when_nothing_is_new(job: Job, gate: str, crossing: str, not_crossing: str) -> None:
    write_lines(job.logs / "odd.jsonl", [{**rows_of(1)[0], "id": "odd", "model": "acme-llm-9"}, b"{"])
    words = [word for word in (gate, crossing) if word]
    assert gate in job.run(*words, expect=3).stderr
    quiet = job.run(*words, "--quiet", expect=3).stderr
    assert [line.startswith(gate) and " crossed: " in line for line in quiet.splitlines()] == [True] * quiet.count("\n")
    event = json.loads(job.run(*words, "--log-format", "json", expect=3).stderr.splitlines()[-1])
    assert event["crossed"]
    assert event["notes"] == {}
    if not_crossing:
        job.run(gate, not_crossing)


def test_a_plan_reads_and_writes_nothing(job: Job) -> None:
    plan = job.run("--plan")
    assert "read 10 inputs" in plan.stdout
    assert not job.out.exists()
    job.run()
    write_lines(job.logs / "day-09.jsonl", rows_of(9, 5))
    plan = job.run("--plan")
    assert "read 1 inputs" in plan.stdout
    assert "9 are known" in plan.stdout
    assert "replace at least 2025-11-09" in plan.stdout
    assert job.run().records["calls"] == 200  # the fifteen that the log does not hold any more are kept


def test_events_are_json_a_line_and_name_the_run(job: Job) -> None:
    done = job.run("--log-format", "json", "--run-id", "tonight")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [event["event"] for event in events] == ["plan", *["read"] * 10, "settled", "published", "done"]
    assert {event["run_id"] for event in events} == {done.manifest["run"]["id"]} == {"tonight"}


def test_old_calls_cross_the_gate_of_freshness_even_when_nothing_is_new(job: Job) -> None:
    job.run("--fresh-within", "26h", expect=3)
    job.run("--fresh-within", "26h", expect=3)
    job.run("--fresh-within", "9999d")


def test_how_old_calls_are_counts_from_as_of(job: Job) -> None:
    newest = job.run("--fresh-within", "9999d").manifest["last_at"]
    later = datetime.fromisoformat(newest) + timedelta(hours=26)
    job.run("--fresh-within", "26h", "--as-of", later.isoformat())
    job.run("--fresh-within", "25h", "--as-of", later.isoformat(), expect=3)


def test_a_run_out_of_time_keeps_what_it_read(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0] * 7)
    monkeypatch.setattr("callcost.jobs.state.intake.time.monotonic", lambda: next(clock, float("inf")))
    ended = job.run("--timeout", "60", expect=4)
    monkeypatch.undo()
    assert "What was read is kept" in ended.stderr
    assert not list(job.out.iterdir())
    again = job.run()
    assert 0 < again.manifest["run"]["inputs_read"] < 10
    assert again.records["calls"] == 200


@pytest.mark.parametrize(
    ("words", "said"), [(("--plan",), "goes with --state"), (("--fresh-within", "soon"), "is not an age")]
)
def test_options_of_a_state_need_one(logs: Path, out: Path, words: tuple[str, ...], said: str) -> None:
    done = callcost("report", logs, "--out", out, *words)
    assert (done.code, said in done.stderr) == (2, True)


def test_filters_cannot_go_with_a_state(job: Job) -> None:
    assert "--where cannot go" in job.run("--where", "model=x", expect=2).stderr


def test_no_log_at_all_is_said_with_the_pattern_as_without_a_state(job: Job, out: Path) -> None:
    job.run()
    before = job.files()
    missing = job.logs / "*.log"
    plain = callcost("report", missing, "--out", out)
    done = callcost("report", missing, "--out", job.out, "--state", job.state)
    assert (done.code, done.stderr) == (1, plain.stderr)
    assert f"no file matches {missing}" in done.stderr
    some = callcost("report", job.logs, missing, "--out", job.out, "--state", job.state)
    assert (some.code, some.stderr) == (1, plain.stderr)
    assert job.files() == before


@pytest.fixture(autouse=True)
def _quiet_audit() -> Iterator[None]:
    _opened.clear()
    yield
    _opened.clear()


def test_a_published_file_that_someone_changed_is_written_again(job: Job) -> None:
    job.run()
    before = job.files()
    (job.out / "spend.csv").write_text("mine", encoding="utf-8")
    (job.out / "day=2025-11-05/calls.parquet").unlink()
    job.run()
    assert job.files() == before
