"""Logs, state and report in an object store: what is published is to the byte what it would be in folders."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.logs.io.folders import folder_at
from callcost.runners.leases import SECONDS_VARIABLE
from callcost.runners.locks import hold_lock
from tests.command import ROOT, Finished, callcost
from tests.stores import Bucket, find_seaweed, make_bucket, serving_azurite, serving_moto, serving_seaweed


@pytest.fixture(scope="module", params=["seaweedfs", "moto", "azurite"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, long_run: bool) -> Iterator[str]:
    """The endpoint of a server on loopback."""
    folder = tmp_path_factory.mktemp("server")
    if request.param == "moto" and find_seaweed() and not long_run:
        pytest.skip("SeaweedFS is here and does; the long checks run on both")
    servers: dict[str, Callable[[], AbstractContextManager[str]]] = {
        "seaweedfs": lambda: serving_seaweed(folder),
        "moto": serving_moto,
        "azurite": lambda: serving_azurite(folder, install=long_run),
    }
    with servers[request.param]() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    return make_bucket(server, f"b{abs(hash(request.node.nodeid))}", monkeypatch)


def _calls(day: int, count: int = 5) -> bytes:
    rows = (
        {"id": f"{day}-{n}", "timestamp": f"2025-11-{day:02}T08:00:00Z", "model": "gpt-4o", "messages": f"{n}?",
         "response": "A number."}
        for n in range(count)
    )  # fmt: skip
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _run(logs: str | Path, state: str | Path, out: str | Path, *words: str, expect: int = 0) -> Finished:
    done = callcost("report", logs, "--state", state, "--out", out, *words, out=Path(out))
    assert done.code == expect, done.stderr
    return done


def _comparable(files: dict[str, bytes]) -> dict[str, bytes]:
    manifest: dict[str, Any] = json.loads(files["manifest.json"])
    del manifest["run"]
    return {**files, "manifest.json": json.dumps(manifest, sort_keys=True).encode()}


def _files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_new_and_changed_objects_are_read_and_those_that_are_gone_stay_in_the_report(
    bucket: Bucket, tmp_path: Path
) -> None:
    for day in (1, 2, 3):
        bucket.put(f"logs/day-{day}.jsonl", _calls(day))
    logs, places = bucket.url("logs"), (tmp_path / "state", tmp_path / "reports")
    assert "read 3 inputs" in _run(logs, *places, "--plan").stdout
    assert _run(logs, *places).records["calls"] == 15
    assert "0 inputs read, 3 known" in _run(logs, *places).stderr

    bucket.put("logs/day-1.jsonl", _calls(1))  # the same bytes: the same ETag
    bucket.put("logs/day-3.jsonl", _calls(3, 6))
    bucket.put("logs/copy.jsonl", _calls(2))
    bucket.delete("logs/day-2.jsonl")
    again = _run(logs, *places)
    assert again.manifest["run"]["inputs_read"] == 2
    assert again.manifest["run"]["days_replaced"] == ["2025-11-02", "2025-11-03"]  # the calls of one say where they are
    assert again.records["calls"] == 16
    bucket.delete("logs/copy.jsonl")
    assert _run(logs, *places).records["calls"] == 16


def test_a_state_in_a_store_publishes_night_after_night_what_one_on_a_disk_does(bucket: Bucket, tmp_path: Path) -> None:
    """The same nights twice: everything in the store, and everything in folders."""
    here: tuple[Any, ...] = (tmp_path / "logs", tmp_path / "state", tmp_path / "reports")
    there = tuple(bucket.url(name) for name in ("logs", "state", "reports"))
    (tmp_path / "logs").mkdir()

    def put(name: str, data: bytes) -> None:
        (tmp_path / "logs" / name).write_bytes(data)
        bucket.put(f"logs/{name}", data)

    def both(*words: str) -> str:
        said = [_run(*places, *words).stderr.replace(str(places[2]), "") for places in (here, there)]
        assert said[0].splitlines()[-3:] == said[1].splitlines()[-3:]
        assert _comparable(bucket.files("reports")) == _comparable(_files_of(tmp_path / "reports"))
        return said[1]

    put("day-1.jsonl", _calls(1))
    put("day-2.jsonl", _calls(2))
    assert "2 inputs read, 0 known" in both()
    assert "0 inputs read, 2 known" in both()
    for state in (tmp_path / "state", bucket.url("state")):
        assert callcost("close", "2025-11-01", "--state", state).code == 0
    put("late.jsonl", _calls(1, 7))
    put("day-2.jsonl", _calls(2, 3))
    put("day-3.jsonl", _calls(3) + b"{broken\n")
    assert "2025-11-01 is closed: " in both("--calls", "--format", "parquet,csv,json")
    assert "read 0 inputs" in _run(*there, "--plan").stdout
    both("--restate")
    both("--since", "2025-11-02", "--until", "2025-11-03")
    left = [name for name in bucket.files("state") if not name.startswith((".lock/", "inputs/", "closed/"))]
    sums = json.loads(bucket.files("state")["ledger.json"])["published"]["sums"]["files"]
    assert sorted(left) == sorted([".history.json", "ledger.copy.json", "ledger.json", "spend.parquet", *sums])


def test_the_state_and_the_report_may_be_in_different_places(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("logs/day-1.jsonl", _calls(1))
    _run(bucket.url("logs"), bucket.url("state"), tmp_path / "reports")
    _run(bucket.url("logs"), tmp_path / "state", bucket.url("reports"))
    assert _comparable(bucket.files("reports")) == _comparable(_files_of(tmp_path / "reports"))
    bucket.delete("reports/day=2025-11-01/calls.parquet")
    assert _run(bucket.url("logs"), tmp_path / "state", bucket.url("reports")).code == 0
    assert _comparable(bucket.files("reports")) == _comparable(_files_of(tmp_path / "reports"))


def _start(bucket: Bucket, name: str, lease: float) -> subprocess.Popen[bytes]:
    places = ["--state", bucket.url(f"{name}/state"), "--out", bucket.url(f"{name}/reports")]
    words = [sys.executable, "-m", "callcost", "report", bucket.url("logs"), *places]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), SECONDS_VARIABLE: str(lease)}
    return subprocess.Popen(
        words, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def _end(bucket: Bucket, name: str) -> dict[str, bytes]:
    """Run to the end; return what is published."""
    _run(bucket.url("logs"), bucket.url(f"{name}/state"), bucket.url(f"{name}/reports"))
    return _comparable(bucket.files(f"{name}/reports"))


def _kill(run: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def test_a_run_that_is_killed_and_resumed_in_a_store_publishes_the_same_bytes(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, long_run: bool
) -> None:
    for day in range(1, 9):
        bucket.put(f"logs/day-{day}.jsonl", _calls(day, 40))
    undisturbed = _end(bucket, "undisturbed")
    monkeypatch.setenv(SECONDS_VARIABLE, "1.5")
    run = _start(bucket, "killed", 1.5)
    while len(bucket.files("killed/state/inputs")) < 4 and run.poll() is None:
        time.sleep(0.01)
    _kill(run, 0)  # in the middle: a lock is there, and a part of what is read
    assert _end(bucket, "killed") == undisturbed
    chance = random.Random(7)
    for number in range(10 if long_run else 0):
        for _ in range(chance.randint(1, 3)):
            _kill(_start(bucket, f"killed-{number}", 1.5), chance.uniform(0.5, 5))
        assert _end(bucket, f"killed-{number}") == undisturbed


def test_a_run_that_finds_another_at_work_in_a_store_says_which_and_ends(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bucket.put("logs/day-1.jsonl", _calls(1))
    monkeypatch.setenv(SECONDS_VARIABLE, "3")
    with hold_lock(folder_at(bucket.url("state")), "the-first"):
        said = _run(bucket.url("logs"), bucket.url("state"), tmp_path / "out", expect=1).stderr
    assert f"another run works in {bucket.url('state')}: run the-first, process {os.getpid()} on" in said
    _run(bucket.url("logs"), bucket.url("state"), tmp_path / "out")


def test_two_runs_at_once_are_one_result_and_perhaps_a_clear_error(bucket: Bucket, long_run: bool) -> None:
    if not long_run:
        pytest.skip("the long checks do: CALLCOST_LONG=1")
    for day in range(1, 4):
        bucket.put(f"logs/day-{day}.jsonl", _calls(day, 400))
    for number in range(5):
        runs = [_start(bucket, f"two-{number}", 3) for _ in range(2)]
        said = [run.communicate(timeout=100)[1].decode() for run in runs]
        assert "Traceback" not in "".join(said)
        codes = sorted(run.returncode for run in runs)
        assert codes in ([0, 0], [0, 1]), said  # the second waited for the first to end, or heard that it lives
        assert codes == [0, 0] or "another run works in " in "".join(said)
        assert _comparable(bucket.files(f"two-{number}/reports")) == _end(bucket, "alone")


def test_a_delta_table_in_a_store_holds_what_partitions_do(bucket: Bucket, tmp_path: Path) -> None:
    pytest.importorskip("deltalake", reason="pip install 'callcost[delta]'")
    if bucket.url().startswith("az://"):
        pytest.skip("Azurite lists from the beginning where it is asked for what comes after a name")
    place = bucket.url("reports")
    for count in (3, 3, 4):
        bucket.put("logs/day-1.jsonl", _calls(1))
        bucket.put("logs/day-2.jsonl", _calls(2, count))
        _run(bucket.url("logs"), bucket.url("state"), place, "--table", "delta")
        _run(bucket.url("logs"), tmp_path / "state", tmp_path / "out")
        held = deltalake_table(bucket, f"{place}/calls.delta").sort("call_id")
        published = pl.read_parquet(tmp_path / "out/*/*.parquet", hive_partitioning=False).sort("call_id")
        assert held.drop("day").equals(published)
        assert held.group_by("day").len().height == 2
    assert len([name for name in bucket.files("reports/calls.delta/_delta_log") if name.endswith(".json")]) == 2


def deltalake_table(bucket: Bucket, place: str) -> pl.DataFrame:
    return pl.read_delta(place, storage_options=bucket.words)
