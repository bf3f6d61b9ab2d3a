"""A log that nobody may read, and a folder that nobody may list, is one reject in every verb; the run goes on."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.command import ROOT, callcost, report, write_lines

CALL = {"model": "gpt-4o", "prompt_tokens": 9, "completion_tokens": 1, "timestamp": "2026-10-31T22:30:00Z", "cost": 1}
UNREADABLE = ["logs/half/x.jsonl", "logs/locked", "logs/secret.jsonl"]
DROP, OVERRIDE, SEARCH = 24, 1, 2  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH of Linux

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="folders are locked as Linux has it")


def _obey() -> None:
    """Let the process that begins be kept out like anybody, even if root began it."""
    system = ctypes.CDLL(None)
    for capability in (OVERRIDE, SEARCH):
        system.prctl(DROP, capability, 0, 0, 0)


def _run(*words: str | Path, pool: bool = False) -> tuple[int, str, str]:
    line = [sys.executable, "-m", "callcost", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)} | ({"CALLCOST_INLINE_BYTES": "0"} if pool else {})
    done = subprocess.run(
        line, capture_output=True, timeout=300, check=False, env=env, text=True,
        preexec_fn=_obey if os.geteuid() == 0 else None,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Path]:
    """One log that can be read, and three ways in which one cannot."""
    folder = tmp_path / "logs"
    for number, name in enumerate(("good", "secret", "locked/x", "half/x")):
        write_lines(folder / f"{name}.jsonl", [{"id": f"c-{number}", **CALL}])
    locked = {folder / "secret.jsonl": 0o000, folder / "locked": 0o000, folder / "half": 0o444}
    for path, mode in locked.items():
        path.chmod(mode)
    yield folder
    for path in locked:
        path.chmod(0o700)


def _rejects(out: Path) -> list[tuple[Any, ...]]:
    rows = pq.read_table(out / "rejects.parquet").to_pylist()
    return [(row["source_file"], row["reason"], row["source_row"]) for row in rows]


@pytest.mark.parametrize("how", [(), ("--state", "kept"), ("--work-dir", "kept"), ("--workers", "2")])
def test_each_is_one_reject_of_a_report(tmp_path: Path, logs: Path, how: tuple[str, ...]) -> None:
    words = [tmp_path / word if word == "kept" else word for word in how]
    for _ in range(2):  # the second run of a state has the good log already, and asks for the others again
        code, _, told = _run("report", logs, "--out", tmp_path / "out", *words, pool="--workers" in how)
        assert code == 0, told
        assert _rejects(tmp_path / "out") == [(name, "unreadable_file", None) for name in UNREADABLE]
        manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
        assert (manifest["records"]["calls"], manifest["records"]["rejects"]) == (1, 3)


def test_a_state_reads_what_is_open_again(tmp_path: Path, logs: Path) -> None:
    words = ("report", logs, "--out", tmp_path / "out", "--state", tmp_path / "state")
    assert _run(*words)[0] == 0
    for path in (logs / "secret.jsonl", logs / "locked", logs / "half"):
        path.chmod(0o700)
    for _ in range(2):
        code, _, told = _run(*words)
        assert (code, _rejects(tmp_path / "out")) == (0, []), told
        manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
        assert (manifest["records"]["calls"], manifest["records"]["records"]) == (4, 4)


def test_every_verb_goes_on(tmp_path: Path, logs: Path) -> None:
    code, told, _ = _run("inspect", logs, "--format", "json")
    assert (code, json.loads(told)["rejects"]) == (0, {"unreadable_file": 3})
    code, told, _ = _run("explain", logs, "--call", "c-0")
    assert (code, "total  0.0000325 USD" in told) == (0, True)
    code, told, _ = _run("reconcile", logs, "--out", tmp_path / "reconciled")
    assert code == 0
    code, told, _ = _run("backfill", logs, "--dry-run", "--format", "json")
    left = [row["path"] for row in json.loads(told)["inputs"] if row["left_out"] == "Permission denied"]
    assert (code, left) == (0, UNREADABLE)
    code, told, _ = _run(
        "report", logs / "half/x.jsonl", logs / "secret.jsonl", logs / "locked", "--out", tmp_path / "o"
    )
    assert code == 1
    assert [name for name, _, _ in _rejects(tmp_path / "o")] == ["locked", "secret.jsonl", "x.jsonl"]


def test_an_agents_folder_that_nobody_may_list_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (".claude/projects/open/s", ".claude/projects/locked/s", ".codex/sessions/s"):
        write_lines(tmp_path / f"{name}.jsonl", [CALL])
    locked = [tmp_path / ".claude/projects/locked", tmp_path / ".codex"]
    for path in locked:
        path.chmod(0o000)
    code, told, _ = _run("agents", "--json")
    for path in locked:
        path.chmod(0o700)
    found = json.loads(told)
    assert (code, found["totals"]["calls"]) == (0, 1)
    assert [(row["reason"], row["records"]) for row in found["reject_reasons"]] == [("unreadable_file", 2)]


def test_a_bill_that_cannot_be_read_ends_the_comparison(tmp_path: Path, logs: Path) -> None:
    code, _, told = _run("reconcile", logs / "good.jsonl", "--bill", logs / "locked", "--out", tmp_path / "out")
    assert (code, "the bill locked cannot be read" in told) == (1, True)


@pytest.mark.parametrize("place", ["logs", "--out", "--state", "--work-dir", "--mapping"])
def test_a_name_that_is_too_long_is_said(tmp_path: Path, place: str) -> None:
    long = tmp_path / ("a" * 5_000)
    log = write_lines(tmp_path / "a.jsonl", [CALL])
    words: dict[str, str | Path] = {"--out": tmp_path / "out"}
    words |= {} if place == "logs" else {place: long}
    flags = [word for pair in words.items() for word in pair]
    finished = callcost("report", long if place == "logs" else log, *flags)
    assert finished.code == (2 if place == "--mapping" else 1)
    assert "aaaa" in finished.stderr
    assert "File name too long" in finished.stderr or place in {"logs", "--mapping"}


def test_a_folder_that_is_gone_while_it_is_listed_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = tmp_path / "logs"
    for name in ("a/x", "b/x"):
        write_lines(logs / f"{name}.jsonl", [{"id": name, **CALL}])
    scan = os.scandir

    def scandir(path: Any) -> Any:
        if str(path) == str(logs / "a"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    finished = report([logs], tmp_path / "out")
    assert [reject["source_file"] for reject in finished.rejects] == ["logs/a"]
    assert finished.total("calls") == 1
