"""What the results of a run depend on: two runs with the same answer are one run, so nothing may be left out."""

from __future__ import annotations

from pathlib import Path

import pytest

import callcost
from callcost.jobs.engine import fingerprint
from callcost.settings import ReportOptions


def test_a_run_depends_on_every_module_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Path(callcost.__file__).parent
    modules = {path.resolve() for path in package.rglob("*.py")}
    read: set[Path] = set()
    plain = Path.read_text

    def noting(path: Path, encoding: str | None = None) -> str:
        read.add(path.resolve())
        return plain(path, encoding)

    fingerprint.code_of.cache_clear()
    monkeypatch.setattr(Path, "read_text", noting)
    assert fingerprint.identity_of(ReportOptions(logs=("none",)))["callcost"].startswith(callcost.__version__)
    assert modules <= read
