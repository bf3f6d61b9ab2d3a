"""A folder that is full is named, whichever of those that a run writes to it is."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections import namedtuple
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.errors import RunError, reason_of
from callcost.jobs.engine.map_reduce import working_folder
from callcost.logs.io.temporary import refused_place, temporary_place
from tests.command import callcost, write_lines

CALL = {"model": "gpt-4o", "prompt_tokens": 9, "completion_tokens": 1, "timestamp": "2026-10-31T22:30:00Z"}
Room = namedtuple("Room", "total used free")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files that is full."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    _fill(monkeypatch, folder)
    return folder


def _fill(monkeypatch: pytest.MonkeyPatch, full: Path) -> None:
    def usage(path: str) -> Room:
        return Room(100, 100, 0) if Path(path).is_relative_to(full) else Room(100, 0, 100)

    monkeypatch.setattr("shutil.disk_usage", usage)


def _no_room(*_words: Any, **_options: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("more", [(), ("--state", "state")], ids=["alone", "state"])
def test_a_full_folder_of_temporary_files_is_not_blamed_on_the_report(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    """What comes from stdin is copied there first."""
    monkeypatch.setattr(shutil, "copyfileobj", _no_room)
    flags = [tmp_path / word if not word.startswith("-") else word for word in more]
    done = callcost("report", "-", "--out", tmp_path / "out", *flags, stdin=json.dumps(CALL).encode())
    assert done.code == 1
    assert f"{temporary}: No space left on device" in done.stderr
    assert str(tmp_path / "out") not in done.stderr


@pytest.mark.parametrize("verb", ["inspect", "explain"])
def test_verbs_without_a_folder_of_their_own_name_it(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def full(*_words: Any, **_options: Any) -> None:
        raise pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)")

    monkeypatch.setattr(pl.DataFrame, "write_ipc", full)
    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    log = write_lines(tmp_path / "a.jsonl", [CALL])
    done = callcost(verb, log, *(["--call", "x"] if verb == "explain" else []))
    assert done.code == 1
    assert done.stderr.startswith(f"callcost: cannot write to {temporary}: No space left on device. ")
    assert "TMPDIR" in done.stderr


def test_a_full_folder_of_the_report_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    _fill(monkeypatch, out)
    monkeypatch.setattr("callcost.jobs.report.publish_files", _no_room)
    done = callcost("report", write_lines(tmp_path / "a.jsonl", [CALL]), "--out", out)
    assert (done.code, out.exists()) == (1, False)
    assert done.stderr.startswith(f"callcost: cannot write to {out}: No space left on device. Check the folder's")


def test_a_disk_that_is_full_altogether_is_the_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room for temporary files either, what was to be written is named."""
    out = tmp_path / "out"
    _fill(monkeypatch, tmp_path)
    monkeypatch.setattr("callcost.jobs.report.publish_files", _no_room)
    monkeypatch.setattr("tempfile.gettempdir", _no_room)
    done = callcost("report", write_lines(tmp_path / "a.jsonl", [CALL]), "--out", out)
    assert done.stderr.startswith(f"callcost: cannot write to {out}: No space left on device")


def test_no_folder_for_temporary_files_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    with pytest.raises(RunError, match=r"no folder for temporary files: No usable.*Set TMPDIR"), working_folder(None):
        pass


def _refused(named: str | None, places: Iterable[str]) -> str:
    return refused_place(OSError(errno.EACCES, "no", named), [*places])


def test_an_error_is_about_the_folder_that_holds_what_it_names() -> None:
    assert _refused("/a/b/c", ["/x", "/a", "/a/b"]) == "/a/b"
    assert _refused("/q", ["/x", "s3://a"]) == "/q"
    assert _refused(f"{temporary_place()}/a", ["/x", "s3://a"]) == temporary_place()
    assert _refused(None, ["s3://a", temporary_place()]) == "s3://a"


def test_a_reason_is_the_systems_own_words() -> None:
    told = pl.exceptions.ComputeError("parquet: File out of specification: No space left on device (os error 28)")
    assert reason_of(told) == reason_of(OSError(errno.ENOSPC, "No space left on device")) == "No space left on device"
    assert reason_of(ValueError("one\ntwo")) == "one"
