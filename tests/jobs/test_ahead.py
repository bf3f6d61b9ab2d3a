"""Workers that start before this process has imported what it needs."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from callcost.jobs.engine.prestart import start_workers
from callcost.runners.local import has_workers
from callcost.settings import ReportOptions, WorkOptions


def options_of(log: str | Path, **work: object) -> ReportOptions:
    return ReportOptions(logs=(str(log),), work=WorkOptions(**{"workers": 2, **work}))  # type: ignore[arg-type]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n")
    return path


def test_a_worthwhile_run_has_its_workers_at_once_and_none_afterwards(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLCOST_INLINE_BYTES", "0")
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1}, raising=False)

    with start_workers(options_of(log)):
        assert has_workers()
        assert len(multiprocessing.active_children()) == 2
    assert not has_workers()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("work", [{"workers": 1}, {"executor": "spark"}])
def test_a_run_that_needs_none_has_none(
    work: dict[str, object], log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLCOST_INLINE_BYTES", "0")

    with start_workers(options_of(log, **work)):
        assert not has_workers()


@pytest.mark.parametrize("name", ["missing.jsonl", "-", "s3://bucket/a.jsonl", "a.jsonl"])
def test_little_input_or_input_that_is_not_looked_at_starts_nothing_and_raises_nothing(
    name: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(log.parent)

    with start_workers(options_of(name)):
        assert not has_workers()


def test_what_starts_them_imports_nothing_heavy() -> None:
    heavy = {"polars", "pyarrow", "rich", "tiktoken"}
    said = f"import sys, callcost.cli.commands.report; print(*{heavy} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == ""
