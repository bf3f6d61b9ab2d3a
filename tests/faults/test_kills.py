"""A run that is ended from outside publishes all or nothing, leaves no process behind, and can be run again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import ROOT, Finished, assert_no_process_left, report, write_lines

REPORT = ("manifest.json", "rejects.parquet", "spend.csv", "spend.parquet")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "CALLCOST_INLINE_BYTES": "0"}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough calls, in files enough, that two workers are busy for a while."""
    folder = tmp_path_factory.mktemp("busy") / "logs"
    for number in range(6):
        rows = (
            {
                "timestamp": 1_735_700_000 + number * 10_000 + row,
                "model": ("gpt-4o", "o3", "gpt-4o-mini")[row % 3],
                "user": f"user-{row % 50}",
                "messages": [{"role": "user", "content": f"What is {row} times {number}?"}],
                "response": str(row * number),
                "usage": {"prompt_tokens": 10 + row, "completion_tokens": 3},
            }
            for row in range(1_500)
        )
        write_lines(folder / f"part-{number}.jsonl", rows)
    return folder


@pytest.fixture(scope="module")
def undisturbed(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return report([logs], tmp_path_factory.mktemp("undisturbed") / "reports", "--workers", "2", pool=True)


def _start(logs: Path, out: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "callcost", "report", str(logs), "--out", str(out), "--workers", "2"]
    return subprocess.Popen(
        words, env=ENVIRONMENT, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


# The command, able to hear Ctrl-C: a job in the background of a shell is begun deaf to it, and so are its tests.
_HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + (
    "from callcost.__main__ import command; command()"
)


def _published(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) if out.exists() else []


def test_a_kill_at_any_moment_leaves_nothing_half_done(
    logs: Path, undisturbed: Finished, tmp_path: Path, long_run: bool
) -> None:
    chance = random.Random(11)
    seconds = undisturbed.manifest["run"]["seconds"] + 1.5
    for number in range(200 if long_run else 3):
        out = tmp_path / f"killed-{number}"
        process = _start(logs, out)
        time.sleep(chance.uniform(0.2, seconds))
        process.kill()
        process.communicate()
        assert_no_process_left(process.pid)

        published = _published(out)
        if "manifest.json" in published:  # the last file: then all the others are there, and whole
            assert published == sorted(REPORT)
        for name in {*published, "spend.csv"} & {"spend.csv", "spend.parquet", "rejects.parquet"} & set(published):
            assert (out / name).read_bytes() == (undisturbed.out / name).read_bytes(), name

        if number % 5 == 0:
            again = report([logs], out, "--workers", "2", pool=True)
            assert _published(out) == sorted(REPORT)
            assert again.what == undisturbed.what
            assert sorted(path.name for path in out.iterdir()) == sorted(REPORT)  # nor a dead run's working folder


def _workers(parent: int) -> list[int]:
    """Return the spawned workers of a process that runs."""
    found = []
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split():
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="workers are found in /proc")
def test_a_worker_that_is_killed_changes_no_byte(
    logs: Path, undisturbed: Finished, tmp_path: Path, long_run: bool
) -> None:
    chance = random.Random(12)
    killed = 0
    for number in range(40 if long_run else 1):
        out = tmp_path / f"worker-killed-{number}"
        process = _start(logs, out)
        while process.poll() is None and not (found := _workers(process.pid)):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 1.5))
        found = _workers(process.pid) if process.poll() is None else []
        with contextlib.suppress(ProcessLookupError):
            for worker in found[:1]:
                os.kill(worker, signal.SIGKILL)
                killed += 1
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr.decode()
        for name in REPORT[1:]:
            assert (out / name).read_bytes() == (undisturbed.out / name).read_bytes(), name
        assert_no_process_left(process.pid)
    assert killed


def test_an_interrupt_says_so_and_leaves_nothing(logs: Path, tmp_path: Path) -> None:
    out = tmp_path / "interrupted"
    process = _start(logs, out)
    while process.poll() is None and not list(out.glob(".callcost-work-*")):
        time.sleep(0.02)  # until the work has begun
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("the run was faster than the interrupt")
    assert process.returncode == 130, stderr.decode()
    assert b"interrupted" in stderr
    assert b"Traceback" not in stderr
    assert not out.exists()
    assert_no_process_left(process.pid)


def test_an_interrupt_ends_a_run_that_waits_for_its_standard_input(tmp_path: Path) -> None:
    """Polars has a read that waits go on after Ctrl-C, as if nobody had pressed it."""
    out = tmp_path / "reports"
    words = ["-c", _HEARING, "report", "-", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, *words], env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        while process.poll() is None and not list(out.glob(".callcost-work-*")):
            time.sleep(0.02)
        time.sleep(0.5)  # until it waits
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
        _, stderr = process.communicate()
    assert stderr == b"callcost: interrupted; nothing is half published, run the same command again\n"
    assert not out.exists()


@pytest.mark.parametrize("kilobytes", [1, 60])
@pytest.mark.parametrize("inline", [True, False])
def test_a_disk_that_is_full_is_a_failure_with_a_reason(
    logs: Path, tmp_path: Path, kilobytes: int, *, inline: bool
) -> None:
    """No file may grow beyond a limit, which is how a full disk looks to the one who writes."""
    out = tmp_path / "full"
    limited = ["sh", "-c", f'ulimit -f {kilobytes * 2}; exec "$@"', "sh"]  # in blocks of 512 bytes
    words = [*limited, sys.executable, "-B", "-m", "callcost", "report", str(logs), "--out", str(out), "--workers", "2"]
    env = {**ENVIRONMENT, "CALLCOST_INLINE_BYTES": "999999999" if inline else "0"}

    done = subprocess.run(words, env=env, capture_output=True, timeout=120, check=False)

    stderr = done.stderr.decode()
    assert done.returncode == 1, stderr
    assert "Traceback" not in stderr
    assert stderr.startswith("callcost: ")
    assert not out.exists()
