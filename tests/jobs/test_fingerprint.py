"""What the results of a run depend on: two runs with the same answer are one run, so nothing may be left out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import callcost
from callcost.jobs.engine import fingerprint
from callcost.settings import ReportOptions


def test_a_run_depends_on_every_module_of_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package, own = tmp_path / "callcost", fingerprint.code_of()
    shutil.copytree(Path(callcost.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(callcost, "__file__", str(package / "__init__.py"))
    code_of = fingerprint.code_of.__wrapped__
    assert code_of() == own, "it does not matter where the package lies"
    seen, modules = {own}, sorted(package.rglob("*.py"))
    for module in modules:  # each another change, on top of those before
        module.write_bytes(module.read_bytes() + b"\n")
        seen.add(code_of())
    modules[0].rename(package / "moved.py")
    seen.add(code_of())
    assert len(seen) == len(modules) + 2
    (package / "notes.txt").write_text("no module")
    assert code_of() in seen


def test_the_code_is_part_of_the_identity_of_a_run() -> None:
    found = fingerprint.identity_of(ReportOptions(logs=("none",)))["callcost"]
    assert found == f"{callcost.__version__} {fingerprint.code_of()}"
