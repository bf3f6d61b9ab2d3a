"""What happened in thirty nights is told by `callcost status`, by who was notified, and in Prometheus' figures."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from callcost.jobs.state.state_folder import HISTORY
from callcost.net import webhook
from callcost.net.http import Patience
from callcost.prices.book.catalog import add_map
from tests.command import callcost, report, write_lines
from tests.conftest import LONG
from tests.jobs.test_nightly import Job, rows_of

NIGHTS = 30 if LONG else 7
LATE, ROTATED, PRICED, KILLED, BROKEN = (7, 11, 15, 20, 25) if LONG else (3, 4, 5, 6, 7)
NEXT_MAP = 9  # day of November from which the package's litellm-1.79.3 holds, and own-1 no more


class Hook(HTTPServer):
    """An address that keeps what is posted to it, and fails as often as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.got: list[dict[str, Any]] = []
        self.failures = 0
        self.url = f"http://127.0.0.1:{self.server_port}/services/secret"


class _Post(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.failures -= 1
        failed = self.server.failures >= 0
        if not failed:
            self.server.got.append(json.loads(body))
        self.send_response(503 if failed else 204)
        self.end_headers()

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook.post_run, "__defaults__", (Patience(connect=1, read=1, total=5, pause=0.01),))


def _status(state: Path) -> dict[str, Any]:
    return dict(json.loads(callcost("status", state, "--json", "--runs", "100").stdout))


def _night(job: Job, number: int, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write what comes in a night, and do to it what the story has."""
    first = job.logs / "day-01.jsonl"
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    write_lines(job.logs / f"day-{number:02}.jsonl", rows_of(number, 5, usage=usage))
    if number == LATE:
        late = rows_of(1, 3, user="late", usage={"prompt_tokens": 10, "completion_tokens": 1})
        write_lines(job.logs / "late.jsonl", [{**row, "id": f"late-{row['id']}"} for row in late])
    if number == ROTATED:
        (job.logs / "day-01.jsonl.1.gz").write_bytes(gzip.compress(first.read_bytes()))
        first.unlink()
    if number == PRICED:
        monkeypatch.setenv("CALLCOST_DATA_DIR", str(data))
        moment = int(datetime(2025, 11, 2, tzinfo=UTC).timestamp() * 1_000_000)
        entry = b'{"input_cost_per_token":0.01,"litellm_provider":"openai","mode":"chat","output_cost_per_token":0.01}'
        add_map({"gpt-4o": entry}, name="own-1", effective_from=moment, source="test", folder=data / "prices")
    if number == BROKEN:
        (job.logs / "broken.jsonl.gz").write_bytes(gzip.compress(b'{"model": "gpt-4o"}\n' * 50)[:40])


def test_the_story_of_many_nights_is_told(
    tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch, out: Path
) -> None:
    job = Job(tmp_path / "logs", tmp_path)
    for number in range(1, NIGHTS + 1):
        _night(job, number, tmp_path / "own", monkeypatch)
        if number == KILLED:
            _kill(job, monkeypatch)
        job.run("--notify", hook.url)
    found = _status(job.state)
    assert len(found["runs"]) == NIGHTS + 1
    told = dict(enumerate((run for run in found["runs"] if "exit_code" in run), 1))
    assert [run["id"] for run in hook.got] == [run["id"] for run in told.values()]
    assert [run for run in found["runs"] if "exit_code" not in run] == [found["runs"][KILLED - 1]]
    assert {number: run["late_calls"] for number, run in told.items() if run["late_calls"]} == {LATE: 3}
    assert told[ROTATED]["new_calls"] == 5
    restated = [row for row in told[PRICED]["changes"] if row["reason"] == "price correction"]
    assert {row["because"] for row in restated} == {"own-1"}
    assert [row["day"] for row in restated] == [f"2025-11-{day:02}" for day in range(2, min(PRICED, NEXT_MAP))]
    assert told[BROKEN]["rejects"] > 0
    assert f"prices own-1: 2025-11-02 +${5 * 11 - Decimal('0.0175'):.2f}" in hook.got[PRICED - 1]["text"]
    moved = sum(Decimal(row["difference"]) for run in told.values() for row in run["changes"])
    plain = report([job.logs], out)
    assert plain.total("total_cost") == moved == Decimal(told[NIGHTS]["total_cost"])
    assert (out / "spend.csv").read_bytes() == (job.out / "spend.csv").read_bytes()
    assert sum(Decimal(day["total_cost"]) for day in found["days"]) == moved
    text = callcost("status", job.state, "--runs", "100").stdout
    for words in ("killed, or is still at work", "3 late calls", "prices own-1", "closed days: none"):
        assert words in text


def _kill(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a state as a run does that is killed: what it would write at its end is not there."""
    history, left = job.state / HISTORY, []

    def die(_run: Any) -> Any:
        left.append(history.read_bytes())
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr("callcost.jobs.state.report._Run.report", die)
        with pytest.raises(SystemExit, match="killed"):
            job.run()
    history.write_bytes(left[0])


def test_who_cannot_be_told_is_no_reason_to_fail(tmp_path: Path, hook: Hook) -> None:
    job = Job(write_lines(tmp_path / "logs" / "a.jsonl", rows_of(1, 2)).parent, tmp_path)
    hook.failures = 2
    job.run("--notify", hook.url)
    assert len(hook.got) == 1  # in the third attempt
    hook.failures = 100
    done = job.run("--notify", hook.url, "--quiet")
    assert done.stderr == "callcost: --notify: 127.0.0.1 answered 503\n"
    assert "secret" not in job.run("--notify", "nonsense://x/secret", "--metrics", job.logs / "a.jsonl/x").stderr
    callcost("report", tmp_path / "none", "--state", job.state, "--out", job.out, "--notify", hook.url)
    hook.failures = 0
    failed = callcost("report", tmp_path / "none", "--state", job.state, "--out", job.out, "--notify", hook.url)
    assert failed.code == hook.got[-1]["exit_code"] == 1
    assert "no file matches" in hook.got[-1]["text"]


def test_figures_for_prometheus_are_whole(tmp_path: Path) -> None:
    job = Job(write_lines(tmp_path / "logs" / "a.jsonl", rows_of(1, 2)).parent, tmp_path)
    job.run("--metrics", tmp_path / "callcost.prom")
    lines = (tmp_path / "callcost.prom").read_text(encoding="utf-8").splitlines()
    figures = dict(line.split() for line in lines if not line.startswith("#"))
    assert figures["callcost_run_exit_code"] == "0"
    assert figures["callcost_calls"] == figures["callcost_new_calls"] == "2"
    assert [name for name in os.listdir(tmp_path) if name.endswith("tmp")] == []  # noqa: PTH208


def test_another_time_zone_makes_no_old_call_late(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for day in (1, 2):
        write_lines(logs / f"{day}.jsonl", [{**row, "timestamp": f"2025-11-0{day}T20:00:0{row['id'][-1]}Z"}
                                            for row in rows_of(day, 4)])  # fmt: skip
    job = Job(logs, tmp_path)
    job.run()
    moved = job.run("--timezone", "Asia/Tokyo", "--max-late", "0").manifest["run"]
    assert (moved["late_calls"], moved["new_calls"], moved["day_changes"]) == (0, 0, [])
    write_lines(logs / "late.jsonl", [{**row, "id": "late"} for row in rows_of(1, 1)])
    assert job.run("--timezone", "Asia/Tokyo").manifest["run"]["late_calls"] == 1


def test_a_damaged_history_is_said_and_begun_anew(tmp_path: Path) -> None:
    job = Job(write_lines(tmp_path / "logs" / "a.jsonl", rows_of(1, 2)).parent, tmp_path)
    job.run()
    path = job.state / HISTORY
    path.write_bytes(path.read_bytes().replace(b'"new_calls": 2', b'"new_calls": 3'))
    assert "the history of the runs is damaged" in callcost("status", job.state).stdout
    job.run()
    assert [run["new_calls"] for run in _status(job.state)["runs"]] == [0]
    assert callcost("status", tmp_path / "logs").code == 1
