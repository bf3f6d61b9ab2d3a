"""A record that ends its worker is set aside with its row; every other record counts."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import polars as pl
import pytest

from callcost.jobs.engine import map_reduce as run
from callcost.jobs.report import report_spend
from callcost.settings import ReportOptions, WorkOptions
from callcost.stages import tasks as kernel
from callcost.stages.tasks import MapTask, Tick
from callcost.tables import MapResult
from tests.laws.test_litellm_columns import SPEND, ordinary, stated

DEADLY = b"deadly"
ROWS, BAD = 9, 6


def die_of_a_word(task: MapTask, tick: Tick) -> MapResult:
    """Read the task as ever, unless it holds the record that ends the process."""
    for piece in task.pieces:
        with Path(piece.source.path).open("rb") as stream:
            stream.seek(piece.start)
            if DEADLY in stream.read((piece.end or piece.source.bytes) - piece.start):
                os.kill(os.getpid(), signal.SIGKILL)
    return kernel.map_inputs(task, tick)


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three logs; a row of the second is deadly."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for log in range(3):
        records = [stated(ordinary(SPEND, request_id=f"r-{log}-{row}")) for row in range(ROWS)]
        if log == 1:
            records[BAD - 1]["user"] = DEADLY.decode()
        (folder / f"{log}.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")
    monkeypatch.setenv("CALLCOST_INLINE_BYTES", "0")
    monkeypatch.setattr(run, "map_inputs", die_of_a_word)
    return folder


def test_a_record_that_ends_its_worker_twice_is_a_reject_with_its_row_and_all_others_count(
    logs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = report_spend(ReportOptions(logs=(str(logs),), out=str(out), calls=True, work=WorkOptions(workers=2)))
    rejects = report.rejects.select("source_file", "source_row", "reason").rows()
    assert rejects == [("logs/1.jsonl", BAD, "worker_died")]
    offset = (logs / "1.jsonl").read_bytes().splitlines(keepends=True)[: BAD - 1]
    assert report.rejects["byte_offset"].to_list() == [sum(map(len, offset))]
    assert report.manifest["records"] | {} == {
        "records": 3 * ROWS, "calls": 3 * ROWS - 1, "duplicates": 0, "rejects": 1, "context": 0, "fragments": 0,
        "filtered": 0,
    }  # fmt: skip
    assert all(len(line["sha256"]) == 64 for line in report.manifest["inputs"])
    assert report.spend["calls"].sum() == 3 * ROWS - 1
    calls = pl.read_parquet(out / "calls.parquet").filter(pl.col("source_file") == "logs/1.jsonl")
    expected = [(f"r-1-{row - 1}", row) for row in range(1, ROWS + 1) if row != BAD]
    assert calls.sort("source_row").select("call_id", "source_row").rows() == expected


def test_a_file_that_cannot_be_cut_is_one_reject(logs: Path) -> None:
    records = [json.loads(line) for line in (logs / "1.jsonl").read_text(encoding="utf-8").splitlines()]
    (logs / "1.jsonl").unlink()
    (logs / "1.json").write_text(json.dumps(records), encoding="utf-8")
    report = report_spend(ReportOptions(logs=(str(logs),), work=WorkOptions(workers=2)))
    rejects = report.rejects.select("source_file", "source_row", "reason").rows()
    assert rejects == [("logs/1.json", None, "worker_died")]
    assert report.manifest["records"]["calls"] == 2 * ROWS
