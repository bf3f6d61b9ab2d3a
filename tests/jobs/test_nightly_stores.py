"""A state of logs in an object store: what its listing says tells what is new, and the report is that of a folder."""

from __future__ import annotations

import json
from pathlib import Path

import obstore
from obstore.store import S3Store

from tests.command import Finished, callcost
from tests.logs import test_stores
from tests.logs.test_stores import put, url

server, bucket = test_stores.server, test_stores.bucket


def _calls(day: int, count: int = 5) -> bytes:
    rows = (
        {"id": f"{day}-{n}", "timestamp": f"2025-11-{day:02}T08:00:00Z", "model": "gpt-4o", "messages": f"{n}?",
         "response": "A number."}
        for n in range(count)
    )  # fmt: skip
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _run(logs: str, folder: Path, *words: str) -> Finished:
    out = folder / "reports"
    done = callcost("report", logs, "--state", folder / "state", "--out", out, *words, out=out)
    assert done.code == 0, done.stderr
    return done


def test_only_new_and_changed_objects_are_read_and_those_that_are_gone_stay_in_the_report(
    bucket: S3Store, tmp_path: Path
) -> None:
    for day in (1, 2, 3):
        put(bucket, f"logs/day-{day}.jsonl", data=_calls(day))
    logs = url(bucket, "logs")
    assert "read 3 inputs" in _run(logs, tmp_path, "--plan").stdout
    assert _run(logs, tmp_path).records["calls"] == 15
    assert "0 inputs read, 3 known" in _run(logs, tmp_path).stderr

    put(bucket, "logs/day-1.jsonl", data=_calls(1))  # the same bytes: the same ETag
    put(bucket, "logs/day-3.jsonl", data=_calls(3, 6))
    put(bucket, "logs/copy.jsonl", data=_calls(2))
    obstore.delete(bucket, "logs/day-2.jsonl")
    again = _run(logs, tmp_path)
    assert again.manifest["run"]["inputs_read"] == 2
    assert again.manifest["run"]["days_replaced"] == ["2025-11-02", "2025-11-03"]  # the calls of one say where they are
    assert again.records["calls"] == 16
    obstore.delete(bucket, "logs/copy.jsonl")
    assert _run(logs, tmp_path).records["calls"] == 16


def test_the_report_is_that_of_the_same_logs_in_a_folder(bucket: S3Store, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for day in (1, 2):
        put(bucket, f"logs/day-{day}.jsonl", data=_calls(day))
        (tmp_path / f"logs/day-{day}.jsonl").write_bytes(_calls(day))
    there, here = _run(url(bucket, "logs"), tmp_path / "there"), _run(str(tmp_path / "logs"), tmp_path / "here")
    names = sorted(path.relative_to(here.out) for path in here.out.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(there.out) for path in there.out.rglob("*") if path.is_file())
    assert here.what == there.what
    for name in names:
        assert name.name == "manifest.json" or (here.out / name).read_bytes() == (there.out / name).read_bytes(), name
