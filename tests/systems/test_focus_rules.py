"""Our bills in FOCUS 1.2 meet the rules of FinOps' validator, in the environment that it needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from callcost.jobs.report import report_spend
from callcost.settings import ReportOptions
from tests.command import ROOT
from tests.systems.focus_rules import NEEDS, PYTHON

SCRIPT = ROOT / "tests/systems/focus_rules.py"


def _python() -> str | None:
    """Return a Python of the version that the validator needs; None: there is none here."""
    name = "python" + ".".join(map(str, PYTHON))
    for path in (sys.executable, shutil.which(name)):
        asked = f"import sys, venv; sys.exit(sys.version_info[:2] != {PYTHON})"
        if path and subprocess.run([path, "-c", asked], check=False, capture_output=True).returncode == 0:
            return path
    return None


def test_a_bill_meets_the_rules_of_the_validator(tmp_path: Path, *, long_run: bool) -> None:
    if not long_run:
        pytest.skip("not run: the validator is installed and tried at full size alone")
    python = _python()
    if python is None:
        pytest.skip("not run: FinOps' validator needs Python 3.12, and none is here; the workflow's job focus has it")
    formats = ("focus-1.2", "parquet")
    report_spend(ReportOptions(logs=(str(ROOT / "sample_logs"),), out=str(tmp_path / "bill"), formats=formats))
    checker = tmp_path / "checker"
    subprocess.run([python, "-m", "venv", checker], check=True)
    subprocess.run([checker / "bin/pip", "install", "-q", *NEEDS], check=True)
    files = [tmp_path / "bill" / f"focus-1.2.{ending}" for ending in ("csv", "parquet")]
    done = subprocess.run([checker / "bin/python", SCRIPT, *files], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_checks_the_same_files_with_the_same_versions() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    (job,) = [job for job in workflow.split("\n\n") if job.lstrip().startswith("focus:")]
    assert all(f"'{need}'" in job for need in NEEDS)
    assert f'"{PYTHON[0]}.{PYTHON[1]}"' in job
    assert "tests/systems/focus_rules.py bill/focus-1.2.csv bill/focus-1.2.parquet" in job
