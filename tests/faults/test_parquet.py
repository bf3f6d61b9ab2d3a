"""Parquet as other programs write it: whatever the type of a column, a row is a call or a reject."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command import SAMPLES, Finished, assert_conserved, report

COLUMNS: dict[str, tuple[str, pa.Array[Any]]] = {
    "nanoseconds": ("startTime", pa.array([1740992400000000001, 1740992400123456789, None], pa.timestamp("ns"))),
    "nanoseconds with a zone": (
        "startTime",
        pa.array([1740992400000000001, 5, None], pa.timestamp("ns", "Europe/Berlin")),
    ),
    "microseconds far away": ("startTime", pa.array([9 * 10**18, -9 * 10**18, 0], pa.timestamp("us"))),
    "seconds far away": ("startTime", pa.array([9 * 10**15, -9 * 10**15, 0], pa.timestamp("s"))),
    "days far away": ("startTime", pa.array([20_000, 20_001, 2**31 - 1], pa.date32())),
    "times of day": ("startTime", pa.array([1, 2, 3], pa.time64("ns"))),
    "durations": ("session_id", pa.array([1, 2, 3], pa.duration("ns"))),
    "nothing": ("startTime", pa.nulls(3)),
    "codes": ("model", pa.array(["gpt-4o", "gpt-4o", "o3"]).dictionary_encode()),
    "binary text": ("model", pa.array([b"gpt-4o", b"gpt-4o", b"o3"], pa.binary())),
    "large text": ("model", pa.array(["gpt-4o", "gpt-4o", "o3"], pa.large_string())),
    "decimals": ("spend", pa.array([Decimal("0.1"), Decimal("0.20"), None], pa.decimal128(20, 6))),
    "no numbers": ("spend", pa.array([float("nan"), float("inf"), 1e300])),
    "float counts": ("prompt_tokens", pa.array([1.0, 2.5, float("nan")])),
    "large counts": ("prompt_tokens", pa.array([2**64 - 1, 5, 6], pa.uint64())),
    "a struct": ("metadata", pa.array([{"usage_object": {"prompt_tokens": 3}}, None, {"usage_object": None}])),
    "a list": ("request_tags", pa.array([["env:prod"], None, []], pa.list_(pa.string()))),
    "a map": ("request_tags", pa.array([[("env", "prod")], None, []], pa.map_(pa.string(), pa.string()))),
}


def _report(tmp_path: Path, out: Path, name: str, column: pa.Array[Any]) -> Finished:
    table = pq.read_table(SAMPLES / "litellm/spend-2025-03.parquet").slice(2, 3)
    table = table.set_column(table.schema.get_field_index(name), name, column)
    (tmp_path / "logs").mkdir()
    pq.write_table(table, tmp_path / "logs/rows.parquet")
    return report([tmp_path / "logs", SAMPLES / "plain-2025-04.jsonl.gz"], out, "--calls")


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_any_type_ends_no_run(tmp_path: Path, out: Path, kind: str) -> None:
    finished = _report(tmp_path, out, *COLUMNS[kind])
    assert_conserved(finished)
    assert finished.input("rows.parquet")["records"] == 3


def test_nanoseconds_are_read_as_the_time_they_are(tmp_path: Path, out: Path) -> None:
    finished = _report(tmp_path, out, *COLUMNS["nanoseconds"])
    times = {
        call["source_row"]: call["started_at"] for call in finished.calls if call["source_file"] == "logs/rows.parquet"
    }
    assert [times[row] and times[row].isoformat() for row in (1, 2, 3)] == [
        "2025-03-03T09:00:00+00:00",
        "2025-03-03T09:00:00.123456+00:00",
        None,
    ]


@pytest.mark.parametrize("kind", ["microseconds far away", "seconds far away"])
def test_a_time_beyond_all_calendars_is_none(tmp_path: Path, out: Path, kind: str) -> None:
    finished = _report(tmp_path, out, *COLUMNS[kind])
    calls = [call for call in finished.calls if call["source_file"] == "logs/rows.parquet"]
    assert sorted((call["started_at"] is None, call["flags"]) for call in calls)[1:] == [(True, ["bad_time"])] * 2


def test_text_that_is_stored_as_binary_is_text(tmp_path: Path, out: Path) -> None:
    finished = _report(tmp_path, out, *COLUMNS["binary text"])
    assert finished.input("rows.parquet")["calls"] == 3
    assert {"gpt-4o", "o3"} <= {call["model"] for call in finished.calls}


def test_a_row_that_is_not_utf8_is_one_reject(tmp_path: Path, out: Path) -> None:
    broken = pa.array([b"ana.silva", b"ana\xffsilva", b"bo.larsen"], pa.binary()).view(pa.string())
    finished = _report(tmp_path, out, "user", broken)
    assert [(reject["reason"], reject["source_row"]) for reject in finished.rejects] == [("invalid_utf8", 2)]
    assert finished.input("rows.parquet")["calls"] == 2
