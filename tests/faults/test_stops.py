"""Whatever ends a command, no copy of what it read stays behind: SIGTERM and SIGHUP end it as Ctrl-C does, and what
SIGKILL leaves is swept by the next run, which touches nothing that is still used."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from callcost.logs.io.inputs import find_inputs, read_again
from tests.command import ROOT, assert_no_process_left, callcost

LINE = b'{"id":"c1","model":"gpt-4o","user":"u","messages":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}\n'
SPOOLED = ".callcost-work-*/*"


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The folder for temporary files of the commands."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def _start(out: Path, temporary: Path) -> subprocess.Popen[bytes]:
    """Start a report of stdin."""
    words = [sys.executable, "-m", "callcost", "report", "-", "--out", str(out), "--workers", "2"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), "CALLCOST_INLINE_BYTES": "0"}
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, env=env, start_new_session=True)


def _spooling(out: Path, temporary: Path) -> subprocess.Popen[bytes]:
    """Start a report of stdin, and wait until it copies what comes from there."""
    before = set(temporary.glob(SPOOLED))
    process = _start(out, temporary)
    assert process.stdin is not None
    process.stdin.write(LINE)
    process.stdin.flush()
    while not set(temporary.glob(SPOOLED)) - before:
        assert process.poll() is None
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_stopped_command_leaves_no_copy_of_stdin(name: str, tmp_path: Path, temporary: Path) -> None:
    process = _spooling(tmp_path / "out", temporary)
    process.send_signal(getattr(signal, name))
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr.decode()
    by = b"" if name == "SIGINT" else b" by " + name.encode()
    assert b"callcost: interrupted" + by + b";" in stderr
    assert b"Traceback" not in stderr
    assert not list(temporary.iterdir())
    assert not (tmp_path / "out").exists()


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path, temporary: Path) -> None:
    handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        process = _spooling(tmp_path / "out", temporary)
    finally:
        signal.signal(signal.SIGHUP, handler)
    process.send_signal(signal.SIGHUP)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr.decode()


def test_the_next_run_sweeps_what_a_killed_one_left_and_no_other(tmp_path: Path, temporary: Path) -> None:
    killed, live = (_spooling(tmp_path / name, temporary) for name in ("killed", "live"))
    killed.kill()
    killed.communicate()
    assert len(list(temporary.glob(SPOOLED))) == 2
    done = callcost("report", "-", "--out", tmp_path / "next", stdin=LINE, env={"TMPDIR": str(temporary)})
    assert done.code == 0, done.stderr
    assert len(list(temporary.glob(SPOOLED))) == 1
    _, stderr = live.communicate(timeout=60)
    assert live.returncode == 0, stderr.decode()
    assert (tmp_path / "live" / "spend.csv").read_bytes() == (tmp_path / "next" / "spend.csv").read_bytes()
    assert not list(temporary.iterdir())


def test_a_command_may_be_stopped_at_any_moment(tmp_path: Path, temporary: Path, long_run: bool) -> None:
    chance = random.Random(19)
    for number in range(100 if long_run else 3):
        process = _start(tmp_path / f"out-{number}", temporary)
        assert process.stdin is not None
        process.stdin.write(LINE * 2_000)
        process.stdin.close()
        process.stdin = None
        time.sleep(chance.uniform(0, 1.5))
        process.send_signal(chance.choice([signal.SIGTERM, signal.SIGHUP]))
        _, stderr = process.communicate(timeout=60)
        assert process.returncode in {0, 130, -signal.SIGTERM, -signal.SIGHUP}, stderr.decode()
        assert b"Traceback" not in stderr
        assert_no_process_left(process.pid)
        assert not list(temporary.iterdir())


_BROKEN = """
import os, signal
import callcost.__main__ as door
def main():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        {end}
door.main = main
door.command()
"""


@pytest.mark.parametrize("end", ["raise ImportError('half an import')", "raise SystemExit(1)"])
def test_what_a_signal_breaks_is_an_interrupt(end: str) -> None:
    done = subprocess.run([sys.executable, "-c", _BROKEN.format(end=end)], capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr


_LATE = """
import atexit, os, signal
import callcost.__main__ as door
def main():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        atexit.register(lambda number=number: os.kill(os.getpid(), number))
    raise SystemExit(3)
door.main = main
door.command()
"""


def test_a_signal_at_the_exit_changes_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", _LATE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")


def test_workers_are_told_the_copy_of_what_can_be_read_only_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = subprocess.Popen([sys.executable, "-c", f"open({str(pipe)!r}, 'wb').write({LINE!r})"])
    inputs = find_inputs([str(pipe)])
    writer.wait()
    (again,) = read_again([str(pipe)], inputs)
    assert Path(again).read_bytes() == LINE
    assert read_again([str(tmp_path)], inputs) == (str(tmp_path),)
