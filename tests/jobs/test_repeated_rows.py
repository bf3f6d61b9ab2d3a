"""Usage rows with a date and no id: each of a file is a call, a copy of the file adds none, and every verb says so."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.command import Finished, assert_conserved, callcost, report, write_lines

ROW = {
    "timestamp": "2026-11-02T00:00:00.000Z", "model": "gpt-4o", "user": "ana",
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
}  # fmt: skip
COST = Decimal("0.0035")


def check(finished: Finished, calls: int, left_out: int) -> None:
    assert_conserved(finished)
    assert (finished.records["calls"], finished.records["duplicates"]) == (calls, left_out)
    assert finished.total("total_cost") == calls * COST
    cost = str(calls * COST).rstrip("0")
    assert finished.manifest["repeated_rows"] == {"calls": calls, "total_cost": cost, "left_out": left_out}
    assert finished.manifest["flags"]["repeated_row"] == calls


@pytest.mark.parametrize("time", [{}, {"timestamp": None}, {"timestamp": "2026-11-02"}, {"timestamp": "some day"}])
def test_fifty_equal_rows_of_a_file_are_fifty_calls(time: dict[str, Any], tmp_path: Path, out: Path) -> None:
    finished = report([write_lines(tmp_path / "usage.jsonl", [ROW | time] * 50)], out, "--calls")
    check(finished, 50, 0)
    assert len({row["call_id"] for row in finished.calls}) == 50


def test_rows_that_differ_or_have_a_time_below_the_second_are_not_flagged(tmp_path: Path, out: Path) -> None:
    fine = ROW | {"timestamp": "2026-11-02T00:00:00.001Z"}
    log = write_lines(tmp_path / "usage.jsonl", [ROW, ROW | {"user": "bo"}, fine, fine])
    finished = report([log], out)
    assert (finished.records["calls"], finished.records["duplicates"]) == (3, 1)
    assert finished.manifest["repeated_rows"] == {"calls": 0, "total_cost": None, "left_out": 0}
    assert "repeated_row" not in finished.manifest["flags"]


def test_a_copy_a_packed_one_and_an_export_of_a_part_add_nothing(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "logs" / "usage.jsonl", [ROW] * 50)
    (tmp_path / "logs" / "again.jsonl.gz").write_bytes(gzip.compress(log.read_bytes()))
    spaced = json.dumps(ROW | {"note": None}, indent=1).encode()  # the same values in other bytes
    (tmp_path / "logs" / "part.json").write_bytes(b"[" + b",".join([spaced] * 20) + b"]")
    check(report([tmp_path / "logs"], out), 50, 70)
    check(report([tmp_path / "logs"], out, pool=True), 50, 70)


def test_the_file_that_has_most_of_them_decides_for_each_row(tmp_path: Path, out: Path) -> None:
    other = ROW | {"user": "bo"}
    write_lines(tmp_path / "logs" / "a.jsonl", [ROW, ROW, other])
    write_lines(tmp_path / "logs" / "b.jsonl", [other, ROW, other, other])
    check(report([tmp_path / "logs"], out), 5, 2)


def test_a_file_that_is_read_in_pieces_is_one_file(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcost.stages.read.splits.PIECE_BYTES", 500)
    check(report([write_lines(tmp_path / "usage.jsonl", [ROW] * 50)], out), 50, 0)


def test_nightly_reports_count_as_one_report_over_everything_does(tmp_path: Path, out: Path) -> None:
    state = ("--state", tmp_path / "state")
    log = write_lines(tmp_path / "logs" / "a.jsonl", [ROW] * 3)
    check(report([tmp_path / "logs"], out, *state), 3, 0)
    (tmp_path / "logs" / "b.jsonl.gz").write_bytes(gzip.compress(log.read_bytes()))
    check(report([tmp_path / "logs"], out, *state), 3, 3)
    write_lines(tmp_path / "logs" / "c.jsonl", [ROW] * 7)
    check(report([tmp_path / "logs"], out, *state), 7, 6)
    assert callcost("close", "2026-11-02", *state).code == 0
    write_lines(tmp_path / "logs" / "d.jsonl", [ROW] * 7)
    later = report([tmp_path / "logs"], out, *state)
    assert (later.manifest["adjustments"], later.total("total_cost")) == ([], 7 * COST)


def test_each_of_them_can_be_explained(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "a.jsonl", [ROW] * 3)
    copy = write_lines(tmp_path / "b.jsonl", [ROW] * 2)
    ids = [row["call_id"] for row in report([log, copy], out, "--calls").calls]
    assert sorted(name.rpartition("-")[2] for name in ids) == ["1", "2", "3"]
    for name in ids:
        explained = callcost("explain", log, copy, "--call", name)
        assert explained.code == 0
        assert "repeated_row" in explained.stdout


@pytest.mark.parametrize(
    ("copies", "line"),
    [
        ((3,), "3 rows equal another without an id or a time below the second: each counted, $0.01050"),
        ((3, 2), "3 rows equal another without an id or a time below the second: each counted, $0.01050; 2 more are "
                 "copies in other files: not counted"),
        ((1, 1), "1 row equals another without an id or a time below the second: each counted, $0.003500; 1 more is "
                 "a copy in another file: not counted"),
    ],
)  # fmt: skip
def test_the_summary_and_an_inspection_say_what_became_of_them(
    copies: Sequence[int], line: str, tmp_path: Path, out: Path
) -> None:
    for number, count in enumerate(copies):
        write_lines(tmp_path / "logs" / f"{number}.jsonl", [ROW] * count)
    assert line in report([tmp_path / "logs"], out).stderr.splitlines()
    inspected = callcost("inspect", tmp_path / "logs").stdout
    assert "repeated_row" in inspected
    assert ("in another file" in inspected) == (len(copies) > 1)
