"""A time that no calendar here has, or of which a part is unknown, leaves its call undated and flagged, everywhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command import assert_conserved, callcost, report, write_lines

BAD: tuple[Any, ...] = (
    "9999-12-31T23:59:59-05:00", "9999-12-31 23:59:59", "0001-01-01T00:00:00+05:00", "10000-01-01T00:00:00Z", 10**20,
    253_402_300_800 * 10**9, -1_737_710_446, 0, 1e300, "1e300", "NaN", "-inf", "Nov 10, 2026 15:04 AM",
    "2026-11-10 03:04 XM", "2026-11-10 03:04 PM and more", "10 Nov 2026 03:04:05 CEST", "yesterday",
)  # fmt: skip
GOOD = {
    "Nov 10, 2026 3:04 PM": "2026-11-10T15:04:00",
    "2026-11-10 12:04:05 a.m.": "2026-11-10T00:04:05",
    "9999-12-30T23:59:59Z": "9999-12-30T23:59:59",
}


def plain_calls(times: Iterable[Any]) -> list[dict[str, Any]]:
    usage = {"prompt_tokens": 1000, "completion_tokens": 10}
    return [{"id": f"c-{n}", "timestamp": when, "model": "gpt-4o", "usage": usage} for n, when in enumerate(times)]


def spend_rows(times: Iterable[Any]) -> list[dict[str, Any]]:
    """Rows of LiteLLM, which are read by columns."""
    row = {
        "call_type": "acompletion", "api_key": "k", "spend": 0.1, "total_tokens": 9, "prompt_tokens": 5,
        "completion_tokens": 4, "endTime": "2025-01-24 09:20:47.5", "model": "gpt-4o", "user": "u",
        "custom_llm_provider": "openai", "cache_hit": "None", "status": "success", "metadata": {}, "response": {},
    }  # fmt: skip
    return [row | {"request_id": f"r-{n}", "startTime": when} for n, when in enumerate(times)]


@pytest.fixture(params=[plain_calls, spend_rows], ids=["plain", "litellm"])
def log(request: pytest.FixtureRequest, tmp_path: Path, columns_for_all: None) -> Path:
    return write_lines(tmp_path / "log.jsonl", request.param([*BAD, *GOOD]))


def test_a_report_counts_them_undated_and_says_so(log: Path, out: Path) -> None:
    wide = ("--by", "hour,day,week,month", "--timezone", "Pacific/Kiritimati", "--calls")
    finished = report([log], out, *wide)
    assert_conserved(finished)
    found = [row["started_at"] for row in sorted(finished.calls, key=lambda row: int(row["source_row"]))]
    assert found[: len(BAD)] == [None] * len(BAD)
    assert [when.replace(tzinfo=None).isoformat() for when in found[len(BAD) :]] == list(GOOD.values())
    assert finished.manifest["undated_calls"] == finished.manifest["flags"]["bad_time"] == len(BAD)


def test_nightly_reports_inspect_and_explain_end_well(log: Path, out: Path, tmp_path: Path) -> None:
    report([log], out, "--state", tmp_path / "state", "--timezone", "Pacific/Kiritimati")
    found = json.loads(callcost("inspect", log, "--format", "json").stdout)
    assert found["undated"] == found["flags"]["bad_time"] == len(BAD)
    name = "c-0" if "c-0" in log.read_text() else "r-0"
    explained = callcost("explain", log, "--call", name)
    assert explained.code == 0
    assert "bad_time" in explained.stdout


def test_a_reconciliation_rejects_rows_of_a_bill_that_have_such_times(log: Path, tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    names = ("generation_id", "created_at", "cost_total", "tokens_prompt", "tokens_completion", "model_permaslug")
    with bill.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(names)
        rows.writerows([f"g-{n}", when, "0.1", 5, 4, "openai/gpt-4o"] for n, when in enumerate([*BAD, *GOOD]))
    words = ("--bill", bill, "--as-of", "2027-01-01", "--out", tmp_path / "gap")
    finished = callcost("reconcile", log, *words)
    assert finished.code == 0, finished.stderr
    manifest = json.loads((tmp_path / "gap" / "manifest.json").read_text())
    assert manifest["bills"][0]["rejects"] == len(BAD)
    assert callcost("reconcile", log, "--out", tmp_path / "log_alone").code == 0


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_times_of_parquet_beyond_the_calendar_are_undated(unit: str, tmp_path: Path, out: Path) -> None:
    rows = [{**row, "metadata": "{}", "response": "{}"} for row in spend_rows(range(4))]
    factor = {"s": 1, "ms": 1_000, "us": 1_000_000}[unit]
    seconds = [253_402_214_399, 253_402_214_400, 253_402_300_800, -62_135_596_801]
    table = pa.Table.from_pylist(rows).drop_columns(["startTime", "endTime"])
    for name in ("startTime", "endTime"):
        moments = pa.array([second * factor for second in seconds], pa.int64())
        table = table.append_column(name, moments.cast(pa.timestamp(unit)))
    pq.write_table(table, tmp_path / "log.parquet", version="2.6")
    finished = report([tmp_path / "log.parquet"], out, "--calls", "--by", "day")
    assert_conserved(finished)
    dated = [row["started_at"].replace(tzinfo=None) for row in finished.calls if row["started_at"]]
    assert dated == [datetime(9999, 12, 30, 23, 59, 59)]  # noqa: DTZ001
    assert finished.manifest["flags"]["bad_time"] == 3


def test_a_csv_read_by_a_mapping_has_clocks_of_twelve_hours(tmp_path: Path, out: Path) -> None:
    mapping = tmp_path / "gateway.toml"
    mapping.write_text(
        'zone = "Europe/Berlin"\n[columns]\nmodel = "m"\nstarted_at = "when"\nprompt_tokens = "in"\n'
        'completion_tokens = "out"\n'
    )
    log = tmp_path / "log.csv"
    log.write_text('m,when,in,out\ngpt-4o,"Nov 10, 2026 3:04 PM",5,4\ngpt-4o,"Nov 10, 2026 3:04 QM",5,4\n')
    finished = report([log], out, "--mapping", mapping, "--calls")
    times = {row["source_row"]: row["started_at"] for row in finished.calls}
    assert [when and when.replace(tzinfo=None).isoformat() for _, when in sorted(times.items())] == [
        "2026-11-10T14:04:00", None,
    ]  # fmt: skip
    assert finished.manifest["flags"] == {"bad_time": 1}
