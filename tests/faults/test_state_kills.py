"""A nightly job that is killed at any moment and run again leaves the bytes of an undisturbed run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.command import ROOT, assert_no_process_left, write_lines

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "CALLCOST_INLINE_BYTES": "0"}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight days of calls without usage, so that two workers are busy for a while."""
    folder = tmp_path_factory.mktemp("busy") / "logs"
    for day in range(1, 9):
        rows = (
            {
                "timestamp": f"2025-11-{day:02}T{row % 24:02}:00:00Z",
                "model": ("gpt-4o", "o3", "gpt-4o-mini")[row % 3],
                "user": f"user-{row % 50}",
                "messages": [{"role": "user", "content": f"What is {row} times {day}?"}],
                "response": str(row * day),
            }
            for row in range(600)
        )
        write_lines(folder / f"day-{day}.jsonl", rows)
    return folder


def _words(logs: Path, folder: Path) -> list[str]:
    words = ["report", str(logs), "--state", str(folder / "state"), "--out", str(folder / "reports"), "--workers", "2"]
    return [sys.executable, "-m", "callcost", *words]


def _finish(logs: Path, folder: Path) -> tuple[float, dict[str, bytes]]:
    """Run the job to its end; return the seconds it took and what it published."""
    started = time.monotonic()
    done = subprocess.run(_words(logs, folder), env=ENVIRONMENT, capture_output=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return time.monotonic() - started, _published(folder / "reports")


def _published(out: Path) -> dict[str, bytes]:
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    manifest: dict[str, Any] = json.loads(files["manifest.json"])
    del manifest["run"]
    return {**files, "manifest.json": json.dumps(manifest, sort_keys=True).encode()}


def _assert_nothing_left(folder: Path, sessions: list[int]) -> None:
    left = {path.name for path in folder.rglob("*") if path.name.startswith(".") or path.name.endswith("tmp")}
    assert left <= {".history.json", ".sums"}
    for session in sessions:
        assert_no_process_left(session)


def _killed(logs: Path, folder: Path, seconds: float) -> int | None:
    """Start the job and kill it after so long, with all its processes; return its session, None: it had ended."""
    process = subprocess.Popen(
        _words(logs, folder), env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with contextlib.suppress(subprocess.TimeoutExpired):
        assert process.wait(seconds) == 0
        return None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return process.pid


def test_a_job_killed_at_any_moment_and_run_again_publishes_the_same_bytes(
    logs: Path, tmp_path: Path, long_run: bool
) -> None:
    """Some jobs are killed once, others again and again as they are resumed, until one is left to its end."""
    seconds, undisturbed = _finish(logs, tmp_path / "undisturbed")
    chance = random.Random(7)
    kills = jobs = 0
    while kills < (100 if long_run else 3):
        jobs += 1
        folder = tmp_path / f"killed-{jobs}"
        folder.mkdir()
        sessions: list[int] = []
        while (session := _killed(logs, folder, chance.uniform(0.1, seconds))) is not None:
            kills, sessions = kills + 1, [*sessions, session]
            if chance.random() < 0.4:
                break
        _, published = _finish(logs, folder)
        assert published.keys() == undisturbed.keys()
        assert [name for name in published if published[name] != undisturbed[name]] == []
        _assert_nothing_left(folder, sessions)


def test_two_runs_at_once_are_one_run_and_a_clear_error(logs: Path, tmp_path: Path) -> None:
    runs = [
        subprocess.Popen(_words(logs, tmp_path), env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    said = [run.communicate(timeout=200)[1].decode() for run in runs]
    codes = sorted(run.returncode for run in runs)
    if codes == [0, 0]:
        pytest.skip("one run ended before the other began")
    assert codes == [0, 1]
    error = next(text for text in said if "another run works in" in text)
    assert f"process {runs[0].pid}" in error or f"process {runs[1].pid}" in error
    assert "Traceback" not in "".join(said)
    _finish(logs, tmp_path)
