"""The scanner takes no line of which it says anything else than json.loads and msgspec do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from callcost.stages.columnar.scanner.machine import WasmMachine, is_installed
from tests.stages.scanner.dialects import NAMES
from tests.stages.scanner.fuzz import MOST, fuzz

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_taken_is_what_the_lines_hold(name: str, long_run: bool) -> None:
    if not is_installed():
        pytest.skip("pip install 'callcost[fast]'")
    fuzz(name, WasmMachine(MOST), (1_000_000 if long_run else 20_000) // len(NAMES))


def test_sanitizers_find_nothing(long_run: bool, tmp_path: Path) -> None:
    """A native build, each place of its memory apart, so that a byte beside one is a fault."""
    compiler = shutil.which("cc")
    if not long_run or compiler is None:
        pytest.skip("the long checks do, with a compiler: CALLCOST_LONG=1")
    library = tmp_path / "scanner.so"
    options = ["-O1", "-g", "-shared", "-fPIC", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    source = ROOT / "pipeline/callcost/stages/columnar/scanner/scanner.c"
    subprocess.run([compiler, *options, "-o", str(library), str(source)], check=True)
    found = subprocess.run([compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
    env = os.environ | {"LD_PRELOAD": found.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": "pipeline"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.stages.scanner.native", str(library)], cwd=ROOT, env=env, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, list(NAMES)), done.stderr[-3_000:]
