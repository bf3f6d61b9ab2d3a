"""A lock is held by one process at a time, names it, and is free when that process is dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from callcost.errors import RunError
from callcost.logs.io.folders import folder_at
from callcost.runners.locks import hold_lock
from tests.command import ROOT

HOLD = """
import sys, time
from callcost.logs.io.folders import folder_at
from callcost.runners.locks import hold_lock
with hold_lock(folder_at(sys.argv[1]), "first"):
    print("held", flush=True)
    time.sleep(60)
"""


def _holder(place: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", HOLD, str(place)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_the_second_is_told_who_has_it_and_a_dead_owner_keeps_nothing(tmp_path: Path) -> None:
    place, path = tmp_path / "state", tmp_path / "state" / ".lock"
    folder, process = folder_at(str(place)), _holder(place)
    with pytest.raises(RunError, match=f"run first, process {process.pid} on"), hold_lock(folder, "second"):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with hold_lock(folder, "second"):
        assert path.exists()
    assert not path.exists()


def test_a_lock_is_free_after_an_error(tmp_path: Path) -> None:
    folder = folder_at(str(tmp_path))
    with pytest.raises(KeyError), hold_lock(folder, "first"):
        raise KeyError
    with hold_lock(folder, "second"):
        pass


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot lock"), hold_lock(folder_at(str(tmp_path / "file/below")), "first"):
        pass
