"""What cannot become a call is a reject that says why and where; nothing else is lost."""

from __future__ import annotations

import csv
import gzip
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from callcost.stages.tables.schemas import Rejects
from callcost.tables import REJECT_REASONS
from tests.command import SAMPLES, Finished, assert_conserved, callcost, report, write_lines

GOOD = {
    "timestamp": "2025-01-01T00:00:00Z",
    "model": "gpt-4o",
    "user": "ana.silva",
    "messages": [{"role": "user", "content": "Well?"}],
    "response": "Fine.",
    "usage": {"prompt_tokens": 9, "completion_tokens": 3},
}
AWKWARD = {
    2: "broken_json", 3: "not_an_object", 4: "not_an_object", 5: "not_an_object", 6: "no_model", 7: "bad_count",
    8: "bad_count", 9: "count_out_of_range", 10: "bad_count", 13: "invalid_utf8", 14: "nul_bytes",
    15: "too_deep", 16: "unknown_dialect", 17: "aggregate",
}  # fmt: skip


def test_the_awkward_sample_shows_every_small_kind(sample_report: Finished) -> None:
    rows = {
        reject["source_row"]: reject["reason"] for reject in sample_report.rejects if "awkward" in reject["source_file"]
    }
    assert rows == AWKWARD


def test_a_reject_says_where(sample_report: Finished) -> None:
    data = (SAMPLES / "awkward-2025-11.jsonl").read_bytes()
    starts = [0, *(position + 1 for position, byte in enumerate(data) if byte == 10)]
    for reject in sample_report.rejects:
        assert list(reject) == list(Rejects.names)
        assert reject["reason"] in REJECT_REASONS
        if "awkward" in reject["source_file"]:
            assert reject["source_file"] == "sample_logs/awkward-2025-11.jsonl"
            assert reject["byte_offset"] == starts[reject["source_row"] - 1]


def test_a_damaged_gz_keeps_the_lines_before_the_damage(sample_report: Finished) -> None:
    entry = sample_report.input("damaged-2025-11.jsonl.gz")
    assert (entry["calls"], entry["rejects"]) == (4, 1)
    (reject,) = (reject for reject in sample_report.rejects if "damaged" in reject["source_file"])
    assert reject["reason"] == "truncated_file"


def test_a_time_that_cannot_be_read_rejects_no_call(sample_report: Finished) -> None:
    (call,) = (call for call in sample_report.calls if "bad_time" in call["flags"])
    assert call["started_at"] is None
    assert sample_report.manifest["undated_calls"] >= 1


def test_the_largest_count_is_no_reject(tmp_path: Path, out: Path) -> None:
    usage = {"prompt_tokens": 10**12, "completion_tokens": 0}
    finished = report([write_lines(tmp_path / "one.jsonl", [{**GOOD, "usage": usage}])], out)
    assert (finished.records["rejects"], finished.total("prompt_tokens")) == (0, Decimal(10**12))


def test_only_rejects_is_a_failure_that_is_still_written_down(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "bad.jsonl", [b'{"model": "gpt-4o"', b"17"])
    finished = report([log], out, expect=1)
    assert [reject["reason"] for reject in finished.rejects] == ["broken_json", "not_an_object"]
    assert_conserved(finished)


def test_an_empty_file_is_no_call_at_all(tmp_path: Path, out: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"\n\n")
    finished = report([tmp_path / "empty.jsonl"], out, expect=1)
    assert finished.records["records"] == 0


def test_a_line_that_is_too_long_is_one_reject(tmp_path: Path, out: Path) -> None:
    long_text = b'{"model": "gpt-4o", "note": "' + b"x" * (65 * 1024 * 1024) + b'"}'
    log = write_lines(tmp_path / "long.jsonl", [GOOD, long_text, {**GOOD, "user": "bo.larsen"}])
    finished = report([log], out)
    assert [(reject["reason"], reject["source_row"]) for reject in finished.rejects] == [("line_too_long", 2)]
    assert finished.total("calls") == 2


def test_a_refused_file_is_one_reject_without_a_row(tmp_path: Path, out: Path) -> None:
    write_lines(tmp_path / "logs/good.jsonl", [GOOD])
    (tmp_path / "logs/bad.parquet").write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    finished = report([tmp_path / "logs"], out)
    assert [(reject["reason"], reject["source_row"]) for reject in finished.rejects] == [("unreadable_file", None)]
    assert_conserved(finished)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_one_reject(tmp_path: Path, out: Path) -> None:
    write_lines(tmp_path / "logs/good.jsonl", [GOOD])
    write_lines(tmp_path / "logs/closed.jsonl", [GOOD]).chmod(0)
    assert [reject["reason"] for reject in report([tmp_path / "logs"], out).rejects] == ["unreadable_file"]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("prompt_tokens", -1, "bad_count"),
        ("prompt_tokens", 1.5, "bad_count"),
        ("prompt_tokens", [1], "bad_count"),
        ("completion_tokens", "x", "bad_count"),
        ("completion_tokens", 10**12 + 1, "count_out_of_range"),
        ("prompt_tokens", 2**70, "count_out_of_range"),
    ],
)
def test_a_count_that_is_none_names_its_field(tmp_path: Path, out: Path, field: str, value: Any, reason: str) -> None:
    log = write_lines(
        tmp_path / "one.jsonl", [GOOD, {**GOOD, "usage": {"prompt_tokens": 1, "completion_tokens": 1, field: value}}]
    )
    (reject,) = report([log], out).rejects
    assert (reject["reason"], reject["source_row"]) == (reason, 2)
    assert field in reject["detail"]


@pytest.mark.parametrize("digits", [9, 10, 11, 12, 15, 19, 20, 21, 30, 300])
@pytest.mark.parametrize("form", ["1e{}", "9.123456789e{}", "-1e{}"])
def test_a_logged_cost_of_any_size_ends_no_run(tmp_path: Path, out: Path, digits: int, form: str) -> None:
    row = json.dumps({**GOOD, "cost": "?"}).replace('"?"', form.format(digits)).encode()
    finished = report([write_lines(tmp_path / "cost.jsonl", [GOOD, row, row.replace(b"ana", b"bo")])], out)
    assert not finished.rejects
    assert finished.total("calls") == 3
    assert_conserved(finished)


ROWS: dict[str, dict[str, Any]] = {
    "litellm_spend": {
        "request_id": "", "call_type": "acompletion", "startTime": "2025-02-24 09:20:46.847",
        "endTime": "2025-02-24 09:20:47.9", "model": "gpt-4o", "user": "ana.silva", "team_id": "team-7",
        "prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30, "custom_llm_provider": "openai",
        "metadata": '{"status": "success"}', "api_key": "88dc28d0f030c55e",
    },
    "litellm_standard": {
        "id": "", "call_type": "acompletion", "status": "success", "custom_llm_provider": "openai",
        "startTime": "2025-01-24 09:20:46.847371", "endTime": "2025-01-24 09:20:47.9", "model": "gpt-4o",
        "metadata": '{"user_api_key_user_id": "ana.silva", "user_api_key_alias": "checkout"}', "prompt_tokens": 10,
        "completion_tokens": 20, "total_tokens": 30, "model_group": "gpt-4o", "end_user": "", "model_parameters": "{}",
    },
    "plain": {
        "id": "", "timestamp": "2025-01-01T00:00:00.123456Z", "model": "gpt-4o", "user": "ana.silva",
        "prompt_tokens": 10, "completion_tokens": 20,
    },
}  # fmt: skip
COSTLY = {"litellm_spend": "spend", "litellm_standard": "response_cost", "plain": "cost"}


@pytest.mark.parametrize("dialect", COSTLY)
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("wrong", ["n/a", "true", "1e99", "NaN", "0,12"])
def test_good_usage_beside_a_bad_cost_keeps_its_call(
    tmp_path: Path, out: Path, dialect: str, form: str, wrong: str
) -> None:
    """The same whether a file is read by columns or record by record, and whatever it is: 300 rows go by columns."""
    rows = [
        {
            **ROWS[dialect], next(iter(ROWS[dialect])): f"id-{number}",
            COSTLY[dialect]: wrong if number % 3 == 0 else "0.25",
        }
        for number in range(300)
    ]  # fmt: skip
    path = tmp_path / f"log.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        write_lines(path, rows)
    finished = report([path], out, "--calls")
    assert (finished.rejects, len(finished.calls)) == ([], 300)
    assert_conserved(finished)
    bad = [call for call in finished.calls if "bad_logged_cost" in call["flags"]]
    assert len(bad) == 100
    assert {call["logged_cost"] for call in bad} == {None}
    assert {call["logged_cost"] for call in finished.calls if call not in bad} == {Decimal("0.25")}
    assert len({call["total_cost"] for call in finished.calls}) == 1


def test_backfill_leaves_a_bad_cost_as_it_is(tmp_path: Path, out: Path) -> None:
    row = {**ROWS["plain"], "cost": "n/a"}
    log = write_lines(tmp_path / "log.jsonl", [row])
    assert callcost("backfill", log, "--out", tmp_path / "filled").code == 0
    (filled,) = [json.loads(line) for line in (tmp_path / "filled" / "log.jsonl").read_text().splitlines()]
    assert filled["cost"] == "n/a"
    before, after = report([log], out), report([tmp_path / "filled" / "log.jsonl"], tmp_path / "again")
    assert before.what["totals"] == after.what["totals"]
    assert before.what["flags"] == after.what["flags"] == {"bad_logged_cost": 1}


def test_compression_is_told_by_content(tmp_path: Path, out: Path) -> None:
    plain = write_lines(tmp_path / "logs/no-gz.jsonl.gz", [GOOD])
    (tmp_path / "logs/gz-without-the-name.log").write_bytes(gzip.compress(plain.read_bytes().replace(b"ana", b"bob")))
    assert report([tmp_path / "logs"], out).total("calls") == 2


def test_no_file_matched_is_a_failure(tmp_path: Path, out: Path) -> None:
    finished = callcost("report", tmp_path / "none*.jsonl", "--out", out)
    assert finished.code == 1
    assert "none*.jsonl" in finished.stderr
    assert not out.exists()
