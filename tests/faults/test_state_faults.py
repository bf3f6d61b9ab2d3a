"""What goes wrong at night: a full disk, a forbidden folder, logs that vanish or grow, a ledger that is off."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.jobs.state import intake
from callcost.runners.entries import digest_of_document, digest_of_file
from callcost.runners.protocol import Tick
from callcost.stages import tasks as kernel
from callcost.tables import MapResult
from tests.command import ROOT, Finished, callcost, write_lines

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for day in range(1, 6):
        rows = (
            {"id": f"{day}-{n}", "timestamp": f"2025-11-{day:02}T08:00:00Z", "model": "gpt-4o", "messages": f"{n}?",
             "response": "A number.", "user": f"user-{n}"}
            for n in range(400)
        )  # fmt: skip
        write_lines(tmp_path / "logs" / f"day-{day}.jsonl", rows)
    return tmp_path / "logs"


def run(logs: Path, folder: Path, *words: str, expect: int = 0) -> Finished:
    out = folder / "reports"
    done = callcost("report", logs, "--state", folder / "state", "--out", out, *words, out=out)
    assert done.code == expect, done.stderr
    return done


def _limited(logs: Path, state: Path, out: Path, kilobytes: int) -> subprocess.CompletedProcess[bytes]:
    """Run where no file may grow beyond a limit, which is how a full disk looks to the one who writes."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, kilobytes * 1024))

    words = [sys.executable, "-B", "-m", "callcost", "report", str(logs), "--state", str(state), "--out", str(out)]
    return subprocess.run(words, env=ENVIRONMENT, capture_output=True, timeout=100, check=False, preexec_fn=limit)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is nearly full; skipped where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def _assert_failed_clearly(code: int, stderr: str, out: Path) -> None:
    assert code in {1, 4}, stderr
    assert stderr.startswith("callcost: cannot write"), stderr
    assert "Traceback" not in stderr
    assert not [name for name in _names(out) if name.endswith("tmp") or name == "manifest.json"]


@pytest.mark.parametrize("full", ["state", "reports"])
def test_a_full_disk_is_a_failure_with_a_reason_and_the_next_run_does_the_rest(
    logs: Path, tmp_path: Path, small_disk: Path, full: str
) -> None:
    (small_disk / "filler").write_bytes(bytes((100 if full == "state" else 150) << 10))
    places = {"state": tmp_path / "state", "reports": tmp_path / "reports"} | {full: small_disk / full}
    words = ("report", logs, "--state", places["state"], "--out", places["reports"])
    done = callcost(*words, apart=True)
    _assert_failed_clearly(done.code, done.stderr, places["reports"])
    (small_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    again = callcost(*words, out=places["reports"])
    assert again.code == 0, again.stderr
    assert again.records["calls"] == 2000
    left = [name for name in _names(tmp_path) if name.endswith("tmp") or name.startswith(".")]
    assert left == [".history.json", ".sums"]


@pytest.mark.parametrize("kilobytes", [1, 12, 30])
def test_files_that_cannot_grow_are_a_failure_with_a_reason(logs: Path, tmp_path: Path, kilobytes: int) -> None:
    done = _limited(logs, tmp_path / "state", tmp_path / "reports", kilobytes)
    if done.returncode == 0:
        pytest.skip("everything fitted")
    assert done.returncode in {1, 4}, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert run(logs, tmp_path).records["calls"] == 2000


@pytest.mark.parametrize("which", ["state", "reports"])
def test_a_folder_that_cannot_be_written_is_said(logs: Path, tmp_path: Path, which: str) -> None:
    (tmp_path / "file").touch()
    places = {"state": tmp_path / "state", "reports": tmp_path / "reports"} | {which: tmp_path / "file/below"}
    done = callcost("report", logs, "--state", places["state"], "--out", places["reports"])
    assert done.code == 1
    assert "cannot" in done.stderr


def _obey() -> None:
    """Give up, with what is run next, root's right to pass over permissions; nobody else has it."""
    for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, right, 0, 0, 0)  # PR_CAPBSET_DROP


def _run_as_told(logs: Path, folder: Path) -> Finished:
    words = ("report", str(logs), "--state", str(folder / "state"), "--out", str(folder / "reports"))
    command = [sys.executable, "-B", "-m", "callcost", *words]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, timeout=200, check=False, preexec_fn=_obey)
    return Finished(words, done.returncode, done.stdout.decode(), done.stderr.decode(), folder / "reports")


@pytest.mark.parametrize(("which", "code"), [("state", 1), ("reports", 4)])
def test_a_folder_without_permission_is_said(logs: Path, tmp_path: Path, which: str, code: int) -> None:
    (tmp_path / which).mkdir(mode=0o500)
    done = _run_as_told(logs, tmp_path)
    (tmp_path / which).chmod(0o700)
    assert (done.code, "Permission denied" in done.stderr, "Traceback" in done.stderr) == (code, True, False)
    assert run(logs, tmp_path).records["calls"] == 2000


def test_a_log_without_permission_is_a_reject_and_is_tried_again(logs: Path, tmp_path: Path) -> None:
    (logs / "day-3.jsonl").chmod(0)
    done = _run_as_told(logs, tmp_path)
    assert done.code == 0, done.stderr
    assert (done.records["rejects"], done.records["calls"]) == (1, 1600)
    (logs / "day-3.jsonl").chmod(0o600)
    again = run(logs, tmp_path)
    assert (again.records["rejects"], again.records["calls"]) == (0, 2000)


def test_a_read_only_disk_is_said(logs: Path, tmp_path: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = callcost("report", logs, "--state", small_disk / "state", "--out", tmp_path / "reports")
    assert done.code == 1
    assert "Read-only file system" in done.stderr


def _meddle(monkeypatch: pytest.MonkeyPatch, doing: Any) -> None:
    """Do something when the third input is about to be read."""
    seen: list[int] = []

    def map_inputs(task: Any, tick: Tick) -> MapResult:
        seen.append(1)
        if len(seen) == 3:
            doing(Path(task.pieces[0].source.path))
        return kernel.map_inputs(task, tick)

    monkeypatch.setattr(intake, "map_inputs", map_inputs)


def test_a_log_that_vanishes_is_named_and_the_rest_is_done(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _meddle(monkeypatch, Path.unlink)
    done = run(logs, tmp_path, expect=4)
    assert done.manifest["run"]["notes"] == {"vanished": ["logs/day-3.jsonl"]}
    assert "vanished: logs/day-3.jsonl" in done.stderr
    assert done.records["calls"] == 1600
    monkeypatch.undo()
    assert run(logs, tmp_path).records["calls"] == 1600


def test_a_log_that_grows_is_noted_and_read_again_by_the_next_run(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (logs / "day-3.jsonl").read_bytes().split(b"\n")[0]

    def grow(path: Path) -> None:
        with path.open("ab") as stream:
            stream.write(line.replace(b'"3-0"', b'"new"') + b'\n{"id": "cut')

    _meddle(monkeypatch, grow)
    done = run(logs, tmp_path)
    assert done.manifest["run"]["notes"] == {"grew": ["logs/day-3.jsonl"]}
    monkeypatch.undo()
    (logs / "day-3.jsonl").write_bytes((logs / "day-3.jsonl").read_bytes().replace(b'{"id": "cut', b""))
    again = run(logs, tmp_path)
    assert again.manifest["run"]["inputs_read"] == 1
    assert (again.records["calls"], again.records["rejects"]) == (2001, 0)


def test_a_log_that_kills_its_worker_three_times_is_named_and_the_rest_is_done(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLCOST_INLINE_BYTES", "0")
    monkeypatch.setattr(intake, "read_inputs", die_on_day_3)
    done = run(logs, tmp_path, "--workers", "2", expect=4)
    assert done.manifest["run"]["notes"] == {"quarantined": ["logs/day-3.jsonl"]}
    assert [(r["source_file"], r["reason"]) for r in done.rejects] == [("logs/day-3.jsonl", "worker_died")]
    assert done.records["calls"] == 1600
    assert "0 inputs read, 5 known" in run(logs, tmp_path).stderr  # until it changes


read_inputs = intake.read_inputs


def die_on_day_3(task: Any, tick: Tick) -> MapResult:
    if task.pieces[0].source.name.endswith("day-3.jsonl"):
        os._exit(1)
    return read_inputs(task, tick)


LEDGERS = ("ledger.json", "ledger.copy.json")
NEWER = json.dumps({"schema_version": 99, "callcost": "9.9", "digest": "", "published": {}})


@pytest.mark.parametrize("name", LEDGERS)
@pytest.mark.parametrize("text", ["", "{", None])
def test_one_of_two_ledgers_is_enough(logs: Path, tmp_path: Path, name: str, text: str | None) -> None:
    run(logs, tmp_path)
    ledger = tmp_path / "state" / name
    whole = ledger.read_bytes()
    ledger.unlink()
    if text is not None:
        ledger.write_text(text, encoding="utf-8")
    assert "0 inputs read, 5 known" in run(logs, tmp_path).stderr
    assert ledger.read_bytes() == whole


@pytest.mark.parametrize(("text", "said"), [("{", "is damaged"), (None, "is not there"), (NEWER, "9.9, schema 99")])
def test_a_state_without_a_ledger_is_refused_until_it_is_rebuilt_of_what_was_read(
    logs: Path, tmp_path: Path, text: str | None, said: str
) -> None:
    before = run(logs, tmp_path)
    (logs / "day-2.jsonl").unlink()
    for name in LEDGERS:
        (tmp_path / "state" / name).unlink()
        if text is not None:
            (tmp_path / "state" / name).write_text(text, encoding="utf-8")
    stopped = run(logs, tmp_path, expect=1)
    assert "state/ledger.json" in stopped.stderr
    assert said in stopped.stderr
    if text == NEWER:
        assert "newer callcost" in run(logs, tmp_path, "--rebuild", expect=1).stderr
        return
    assert "--rebuild" in stopped.stderr
    again = run(logs, tmp_path, "--rebuild")
    assert again.manifest["run"]["inputs_read"] == 0
    assert again.spend == before.spend
    assert "left out, since they are damaged: ledger.json" in again.stderr


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


def _file_of(folder: Path, log: str, kind: str) -> Path:
    for path in (folder / "state/inputs").glob(f"*/{kind}"):
        if json.loads((path.parent / "entry.json").read_bytes())["name"].endswith(log):
            return path
    raise AssertionError(log)


@pytest.mark.parametrize("kind", ["facts-*.parquet", "rejects-*.parquet", "entry.json"])
def test_what_was_damaged_is_read_again_or_refused_with_its_day_or_left_out_by_name(
    logs: Path, tmp_path: Path, kind: str
) -> None:
    with (logs / "day-2.jsonl").open("ab") as log:
        log.write(b"{broken\n")  # a log without rejects has no file of them
    before = run(logs, tmp_path)
    _flip(_file_of(tmp_path, "day-2.jsonl", kind))
    write_lines(logs / "more.jsonl", [b"{broken"])
    assert run(logs, tmp_path).spend == before.spend
    damaged = _file_of(tmp_path, "day-2.jsonl", kind)
    (logs / "day-2.jsonl").rename(tmp_path / "day-2.jsonl")
    _flip(damaged)
    write_lines(logs / "more.jsonl", [b"{broken", b"{again"])
    stopped = run(logs, tmp_path, expect=1).stderr
    assert f"state/inputs/{damaged.parent.name}/{damaged.name} is damaged or gone" in stopped
    assert "the calls of 2025-11-02 in logs/day-2.jsonl" in stopped
    assert "--rebuild" in stopped
    rest = run(logs, tmp_path, "--rebuild")
    assert rest.records["calls"] == 1600
    assert "left out, since they are damaged: logs/day-2.jsonl (2025-11-02)" in rest.stderr
    assert not (tmp_path / "reports/day=2025-11-02").exists()
    (tmp_path / "day-2.jsonl").rename(logs / "day-2.jsonl")
    assert run(logs, tmp_path).spend == before.spend


def _signed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a document of a state and give it its right digest."""
    document = json.loads(path.read_bytes())
    change(document)
    del document["digest"]
    path.write_text(json.dumps(document | {"digest": digest_of_document(document)}, sort_keys=True), encoding="utf-8")


def test_nothing_is_published_that_does_not_add_up(logs: Path, tmp_path: Path) -> None:
    """Facts that lack a call, in a state whose digests are all right."""
    run(logs, tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "reports").rglob("*") if path.is_file()}
    facts = _file_of(tmp_path, "day-2.jsonl", "facts-*")
    metadata = pl.read_parquet_metadata(facts)
    del metadata["ARROW:schema"]
    pl.read_parquet(facts).head(399).write_parquet(facts, metadata=metadata)
    entry, number = facts.with_name("entry.json"), facts.parent.name
    _signed(entry, lambda words: words["files"].update({facts.name: digest_of_file(facts)}))
    digest = digest_of_file(entry)
    _signed(tmp_path / "state/ledger.json", lambda words: words["entries"][number].update(entry=digest))
    write_lines(logs / "more.jsonl", [b"{broken"])
    stopped = run(logs, tmp_path, expect=1)
    assert "what was read does not add up: 400 records of logs/day-2.jsonl" in stopped.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "reports").rglob("*") if path.is_file()} == before


def _of_another_callcost(patch: pytest.MonkeyPatch) -> None:
    """Make what is read that of a callcost whose facts were laid out and keyed otherwise."""
    for module in ("state.intake", "engine.fingerprint", "state.report", "state.carry_over"):
        patch.setattr(f"callcost.jobs.{module}.layout_of_facts", lambda: "older")


def test_what_an_older_callcost_read_is_read_anew_so_that_no_duplicate_is_missed(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _of_another_callcost(patch)
        before = run(logs, tmp_path)
    shutil.copy(logs / "day-2.jsonl", logs / "again.jsonl")
    again = run(logs, tmp_path)
    assert again.manifest["run"]["inputs_read"] == 6
    assert again.records["duplicates"] == 400
    assert again.spend == before.spend
