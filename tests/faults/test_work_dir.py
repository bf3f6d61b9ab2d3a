"""A run whose work is kept: killed at any moment it goes on to the same bytes; two drivers of it give one result."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import ROOT, Finished, assert_no_process_left, callcost, report, write_lines

FILES = ("calls.parquet", "rejects.parquet", "spend.csv", "spend.parquet")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "CALLCOST_INLINE_BYTES": "0"}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_logs(tmp_path_factory.mktemp("busy") / "logs")


def make_logs(folder: Path) -> Path:
    """Make files of very different size, one without usage; every 40th call of each is also in another one."""
    chance = random.Random(7)
    for number in range(12):
        rows = (
            {
                "id": f"call-{number + (row % 40 == 0)}-{row}",
                "timestamp": 1_735_700_000 + row,
                "model": ("gpt-4o", "o3", "gpt-4o-mini")[row % 3],
                "user": f"user-{row % 50}",
                "messages": [{"role": "user", "content": f"What is {row} times {row}?"}],
                "response": "a number",
                **({} if number == 3 else {"usage": {"prompt_tokens": 9 + row % 7, "completion_tokens": 3}}),
            }
            for row in range(chance.choice([1, 50, 200, 1_200]))
        )
        write_lines(folder / f"part-{number:02}.jsonl", rows)
    return folder


@pytest.fixture(scope="module")
def undisturbed(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return report([logs], tmp_path_factory.mktemp("undisturbed") / "reports", "--calls")


def start(logs: Path, out: Path, work: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "callcost", "report", str(logs), "--out", str(out), "--calls", "--workers", "2"]
    return subprocess.Popen(
        [*words, "--work-dir", str(work)], env=ENVIRONMENT, start_new_session=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def assert_same(out: Path, undisturbed: Finished) -> None:
    for name in FILES:
        assert (out / name).read_bytes() == (undisturbed.out / name).read_bytes(), name
    assert Finished((), 0, "", "", out).what == undisturbed.what


def test_a_driver_that_is_killed_at_any_moment_goes_on_to_the_same_bytes(
    logs: Path, undisturbed: Finished, tmp_path: Path, long_run: bool
) -> None:
    chance, kills = random.Random(5), 0
    while kills < (10 if long_run else 2):
        out, work = tmp_path / f"out-{kills}", tmp_path / f"work-{kills}"
        for _ in range(2):  # the second one goes on where the first was killed
            process = start(logs, out, work)
            while not list(work.glob("run-*/tried/*")) and process.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 3))
            process.kill()
            process.communicate()
            assert_no_process_left(process.pid)
            kills += 1
        before = {path: path.stat().st_mtime_ns for path in work.glob("run-*/done/*")}
        assert report([logs], out, "--calls", "--work-dir", work, "--workers", "2", pool=True).code == 0
        assert_same(out, undisturbed)
        assert len(list(work.glob("run-*"))) == 1
        assert all(path.stat().st_mtime_ns == then for path, then in before.items())  # done is done


def test_two_drivers_of_one_run_give_one_result_with_exact_totals(
    logs: Path, undisturbed: Finished, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    drivers = [start(logs, tmp_path / f"out-{n}", work) for n in range(2)]
    for driver in drivers:
        _, stderr = driver.communicate(timeout=120)
        assert driver.returncode == 0, stderr.decode()
    for n in range(2):
        assert_same(tmp_path / f"out-{n}", undisturbed)
    (run,) = work.glob("run-*")
    tasks = {path.name.split("-")[1] for path in (run / "done").glob("map_inputs-*")}
    assert len(tasks) == len(list((run / "done").glob("map_inputs-*"))) > 2
    assert len(list((run / "drivers").iterdir())) == 2


def test_whatever_a_result_depends_on_makes_another_run(logs: Path, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "one.jsonl", [{"model": "gpt-4o", "messages": "x", "response": "y"}])
    work = tmp_path / "work"

    def runs(*flags: str) -> int:
        report([log], tmp_path / "out", "--work-dir", work, *flags)
        return len(list(work.glob("run-*")))

    assert runs() == 1
    assert runs("--workers", "2") == 1
    assert runs("--prices", "latest") == 2
    assert runs("--by", "user") == 3
    os.utime(log, (1, 1))
    assert runs() == 4
    assert runs("--since", "2024-01-01") == 5
    assert runs("--as-known", "2026-01-01") == 6
    assert callcost("gc", work, "--older-than", "0h").code == 0
    assert list(work.iterdir()) == []


def test_what_does_not_go_together_is_refused(logs: Path, tmp_path: Path) -> None:
    def refusal(*flags: str) -> str:
        done = callcost("report", logs, "--out", tmp_path / "out", *flags)
        assert done.code == 2
        return done.stderr

    assert "--executor spark needs --work-dir" in refusal("--executor", "spark")
    assert "goes with --executor spark" in refusal("--spark-remote", "sc://localhost:1")
    work = ("--executor", "spark", "--work-dir", str(tmp_path / "work"))
    assert "is no sc:// address" in refusal(*work, "--spark-remote", "localhost:1")
    assert "--executor spark needs --work-dir" in refusal("--executor", "spark", "--state", str(tmp_path / "state"))
    done = callcost("report", "-", "--out", tmp_path / "out", "--work-dir", tmp_path / "work", stdin=b"{}")
    assert done.code == 2
    assert "cannot be read again" in done.stderr


def test_without_the_extra_spark_says_which_command_installs_it(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    words = ("--executor", "spark", "--work-dir", tmp_path / "work")
    done = callcost("report", logs, "--out", tmp_path / "out", *words)
    assert done.code == 2
    assert "pip install 'callcost[spark]'" in done.stderr
    assert not (tmp_path / "work").exists()
