"""Spark on this machine runs this interpreter, and keeps its own log off the terminal."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from callcost.runners.spark import open_session


class _Context:
    pythonExec = "python3"  # noqa: N815 - Spark's name

    def __init__(self, master: str) -> None:
        self.master = master

    def getConf(self) -> dict[str, str]:  # noqa: N802 - Spark's name
        return {}


class _Session:
    """A session that writes its log to stderr as it starts, as a child process does."""

    builder: Any

    def __init__(self, master: str) -> None:
        self.sparkContext = _Context(master)
        self.appName = self.config = lambda *_words: self

    @staticmethod
    def getActiveSession() -> None:  # noqa: N802 - Spark's name
        return None

    def getOrCreate(self) -> _Session:  # noqa: N802 - Spark's name
        os.write(2, b"WARN of Spark")
        return self

    def stop(self) -> None:
        """Do nothing."""


def _interpreter_of(master: str, patch: pytest.MonkeyPatch) -> str:
    module = types.ModuleType("pyspark.sql")
    _Session.builder = _Session(master)
    module.__dict__["SparkSession"] = _Session
    patch.setitem(sys.modules, "pyspark", types.ModuleType("pyspark"))
    patch.setitem(sys.modules, "pyspark.sql", module)
    with open_session(None) as session:
        return str(session.sparkContext.pythonExec)


def test_workers_on_this_machine_run_this_interpreter_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert _interpreter_of("local[*]", monkeypatch) == sys.executable
    assert _interpreter_of("spark://cluster:7077", monkeypatch) == "python3"
    monkeypatch.setenv("PYSPARK_PYTHON", "/opt/python")
    assert _interpreter_of("local[*]", monkeypatch) == "python3"
    assert capfd.readouterr().err == ""
    assert [*tmp_path.iterdir()] == []
