"""The command gives the same bytes on Windows and macOS, as far as their refusals can be had on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from callcost.logs.io.inputs import find_inputs
from callcost.whole_files import move
from tests.command import ROOT, SAMPLES

GOLDEN = (ROOT / "tests" / "golden" / "expected" / "spend.csv").read_bytes()


def _run(system: str, home: Path, words: str) -> bytes:
    """Run commands there; return what the last of them wrote to stdout."""
    (home / "private").mkdir()
    (home / "tmp").symlink_to(home / "private")  # as macOS has it
    folders = {"TMPDIR": "tmp", "CALLCOST_DATA_DIR": "data", "CALLCOST_CACHE_DIR": "cache"}
    env = {**os.environ, **{name: str(home / folder) for name, folder in folders.items()}, "CALLCOST_NO_CACHE": "0"}
    line = [sys.executable, "-m", "tests.systems", system, *words.split()]
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode("cp1252")
    assert not list((home / "private").iterdir())
    return done.stdout


def test_windows_gives_the_golden_bytes_and_a_state_is_used_again(tmp_path: Path) -> None:
    out, state = tmp_path / "reports", tmp_path / "state"
    nightly = f"report {SAMPLES} --state {state} --out {out} --quiet"
    plain = f"report {SAMPLES} --out - --format csv"
    shown = _run("windows", tmp_path, f"{nightly} ; close 2025-01-06 --state {state} ; {nightly} ; {plain}")
    assert (out / "spend.csv").read_bytes() == GOLDEN
    assert shown.endswith(b"\r\n" + GOLDEN)
    hidden = {path.name for path in state.iterdir() if path.name.startswith(".")}
    assert hidden == {".history.json", ".sums"}


def test_macos_gives_the_golden_bytes(tmp_path: Path) -> None:
    out = tmp_path / "reports"
    _run("macos", tmp_path, f"report {SAMPLES} --out {out} --quiet --workers 1")
    assert (out / "spend.csv").read_bytes() == GOLDEN


def test_a_file_that_the_disk_shows_under_two_spellings_is_one_input(tmp_path: Path) -> None:
    (tmp_path / "Log.jsonl").write_text("{}\n", encoding="utf-8")
    os.link(tmp_path / "Log.jsonl", tmp_path / "log.jsonl")
    os.link(tmp_path / "Log.jsonl", tmp_path / "copy.jsonl")
    paths = [str(tmp_path / name) for name in ("Log.jsonl", "log.jsonl", "copy.jsonl")]
    assert [found.name for found in find_inputs(paths)] == ["Log.jsonl", "copy.jsonl"]


def test_a_name_that_windows_keeps_for_who_reads_is_given_when_they_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = 3
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise PermissionError(13, "The process cannot access the file")
        return replace(path, target)

    (tmp_path / "new").write_bytes(b"1")
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        move(tmp_path / "new", tmp_path / "old")  # nobody waits on Unix
    monkeypatch.setattr("callcost.whole_files._PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(sys, "platform", "win32")
    move(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"1"
