"""The command as its users run it, here or in a process of its own, and what it left in its folder."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from callcost.cli.root import run

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_logs"
PARTS = ("calls", "duplicates", "rejects", "context", "fragments", "filtered")


@dataclasses.dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    words: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    out: Path

    @cached_property
    def spend(self) -> list[dict[str, str]]:
        """The rows of spend.csv as text; an empty cell is ""."""
        with (self.out / "spend.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """manifest.json."""
        return dict(json.loads((self.out / "manifest.json").read_text(encoding="utf-8")))

    @cached_property
    def what(self) -> dict[str, Any]:
        """The manifest without `run`: what must be the same for the same input."""
        return {key: value for key, value in self.manifest.items() if key != "run"}

    @cached_property
    def rejects(self) -> list[dict[str, Any]]:
        """The rows of rejects.parquet."""
        return list(pq.read_table(self.out / "rejects.parquet").to_pylist())

    @cached_property
    def calls(self) -> list[dict[str, Any]]:
        """The rows of calls.parquet."""
        return list(pq.read_table(self.out / "calls.parquet").to_pylist())

    @cached_property
    def records(self) -> dict[str, int]:
        """What came of all records of the run."""
        return dict(self.manifest["records"])

    def total(self, column: str) -> Decimal:
        """Sum a column of spend.csv; an empty cell adds nothing."""
        return sum((Decimal(row[column]) for row in self.spend if row[column]), Decimal(0))

    def input(self, name: str) -> dict[str, Any]:
        """Return the manifest's counts of the input whose path ends with `name`."""
        found = [entry for entry in self.manifest["inputs"] if entry["path"].endswith(name)]
        assert len(found) == 1, f"{name} is {len(found)} inputs of {[e['path'] for e in self.manifest['inputs']]}"
        return dict(found[0])


def callcost(
    *words: str | Path,
    out: Path | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    apart: bool = False,
) -> Finished:
    """Run the command to its end, with pipes on both sides.

    Args:
        words: after `callcost`.
        out: folder of its reports.
        stdin: what it reads there.
        env: variables beside this process's own; they need a process of their own.
        cwd: where it runs; needs a process of its own, too.
        apart: run in a process of its own.
    """
    line = tuple(str(word) for word in words)
    ran = _apart(line, stdin, env, cwd) if apart or env or cwd else _here(line, stdin)
    finished = Finished(line, *ran, out or Path())
    assert "Traceback" not in finished.stderr, finished.stderr
    return finished


def report(
    logs: Iterable[str | Path],
    out: Path,
    *flags: str | Path,
    expect: int = 0,
    stdin: bytes = b"",
    pool: bool = False,
    apart: bool = False,
) -> Finished:
    """Run `callcost report` and check its exit code; `pool`: even so little work goes to worker processes."""
    env = {"CALLCOST_INLINE_BYTES": "0"} if pool else None
    finished = callcost("report", *logs, "--out", out, *flags, out=out, stdin=stdin, env=env, apart=apart)
    assert finished.code == expect, f"exit {finished.code}, not {expect}: {finished.stderr}"
    return finished


def on_a_terminal(*words: str | Path, cwd: Path) -> tuple[int, str]:
    """Run the command with a terminal as its streams; return its exit code and all that the terminal got."""
    import fcntl  # these three: Windows has none of them
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 100, 0, 0))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "NO_COLOR": "1"}
    env = {name: value for name, value in env.items() if name not in {"COLUMNS", "LINES", "FORCE_COLOR", "CI"}}
    line = [sys.executable, "-m", "callcost", *map(str, words)]
    seen = b""
    with subprocess.Popen(line, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # the terminal is gone with its last process
            while block := os.read(ours, 65_536):
                seen += block
    os.close(ours)
    return process.returncode, seen.decode()


def _apart(line: Sequence[str], stdin: bytes, env: Mapping[str, str] | None, cwd: Path | None) -> tuple[int, str, str]:
    words = [sys.executable, "-m", "callcost", *line]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    done = subprocess.run(words, input=stdin, capture_output=True, timeout=500, check=False, cwd=cwd, env=environment)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def _here(line: Sequence[str], stdin: bytes) -> tuple[int, str, str]:
    ours, out, err = sys.stdin, io.StringIO(), io.StringIO()
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(line)
    finally:
        sys.stdin = ours
    return code, out.getvalue(), err.getvalue()


def write_lines(path: Path, records: Iterable[Mapping[str, Any] | bytes]) -> Path:
    """Write records as JSON lines; bytes are written as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in records)
    path.write_bytes(b"".join(row + b"\n" for row in rows))
    return path


def assert_conserved(finished: Finished) -> None:
    """Check that every record of every input is exactly one of six things, and so in total."""
    for entry in finished.manifest["inputs"]:
        assert entry["records"] == sum(entry[part] for part in PARTS), entry
    records = finished.manifest["records"]
    assert records["records"] == sum(records[part] for part in PARTS), records
    assert records["filtered"] == sum(finished.manifest["filtered_by"].values()), records
    assert records["rejects"] == sum(row["records"] for row in finished.manifest["reject_reasons"]), records
    for key in ("records", *PARTS):
        assert records[key] == sum(entry[key] for entry in finished.manifest["inputs"]), key


def read_records(paths: Sequence[Path]) -> list[bytes]:
    """Return the non-blank lines of plain JSONL files, without line ends and byte order marks."""
    lines = (line for path in paths for line in path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    return [line.rstrip(b"\r") for line in lines if line.strip()]


def assert_no_process_left(session: int) -> None:
    """Check that every process of a session has ended, or does within 20 seconds; end those that do not."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return
        time.sleep(0.2)
    os.killpg(session, signal.SIGKILL)
    pytest.fail("a process of the run was still there 20 seconds after its end")
