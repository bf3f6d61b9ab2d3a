"""The guides are true: each step, in its order, prints what the page shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT
from tests.shape.guides import GUIDES, is_shown, steps, walk


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_each_step_of_a_guide_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    found = steps(page)
    assert len(found) >= 4
    with walk(tmp_path) as reader:
        for step, shown in found:
            seen = reader.do(step)
            assert is_shown(seen, shown), "\n".join([step, *seen])
    if page.stem == "guide-nightly":
        _run_by_the_clock(tmp_path)


def _run_by_the_clock(folder: Path) -> None:
    """Run the guide's script as cron does, without a home, a terminal and a folder to start in."""
    command = folder / ".venv/bin/callcost"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m callcost "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "pipeline"), "CALLCOST_DATA_DIR": str(folder / "none")}
    done = subprocess.run([folder / "nightly.sh"], cwd="/", env=bare, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "--tolerance crossed: difference 2.774194 % of the bill, limit 1%\n"


def test_a_line_that_is_not_shown_is_noticed() -> None:
    assert is_shown(["a", "b", "c"], ["a", "...", "c"])
    assert not is_shown(["a", "c"], ["a", "...", "c"])
    assert not is_shown(["a", "b", "c"], ["a", "b"])
    assert is_shown(["2026-11-30 17:12Z  3.2  0"], ["2025-01-01 00:00Z  12.5  0"])
    assert not is_shown(["2026-11-30 17:12Z  3.2  0"], ["2025-01-01 00:00Z  12.5  3"])
