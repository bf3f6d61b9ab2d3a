"""`callcost inspect` says what is in the logs, and prices nothing."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command import SAMPLES, Finished, callcost, write_lines


def test_an_inspection_agrees_with_the_report(sample_report: Finished) -> None:
    finished = callcost("inspect", SAMPLES, "--format", "json")
    assert finished.code == 0
    found = json.loads(finished.stdout)
    assert sum(row["calls"] for row in found["inputs"]) == sample_report.records["calls"]
    assert found["dialects"] == sample_report.manifest["source_format"]
    assert sum(found["rejects"].values()) == sample_report.records["rejects"]
    assert found["undated"] == sample_report.manifest["undated_calls"]


def test_an_inspection_names_dialects_models_and_rejects() -> None:
    finished = callcost("inspect", SAMPLES)
    assert finished.code == 0
    for word in (
        "litellm_standard",
        "litellm_spend",
        "openai_chat",
        "openai_responses",
        "anthropic",
        "pair",
        "plain",
        "gpt-4o",
        "broken_json",
    ):
        assert word in finished.stdout, word


def test_an_inspection_says_where_usage_is_missing() -> None:
    found = json.loads(callcost("inspect", SAMPLES / "no-usage-2025-05.jsonl", "--format", "json").stdout)
    assert found["usage"] == {"missing": 8, "reported": 1}


def test_an_inspection_says_why_records_are_duplicates_and_lists_ids_with_different_requests(tmp_path: Path) -> None:
    def pair(text: str, number: str = "a-1") -> bytes:
        request = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}
        return json.dumps({"id": number, "request": request, "response": {"choices": []}}).encode()

    one = write_lines(tmp_path / "one.jsonl", [pair("tides"), pair("tides"), pair("moons"), pair("winds", "a-2")])
    other = write_lines(tmp_path / "other.jsonl", [pair("winds", "a-2")])
    found = json.loads(callcost("inspect", one, other, "--format", "json").stdout)
    assert found["duplicates"] == {"same_id": 1, "same_id_elsewhere": 1}
    assert found["conflicts"] == [{"id": "a-1", "calls": 2, "first": "one.jsonl:1"}]
    screen = callcost("inspect", one, other).stdout
    assert "same id and request, in another file" in screen
    assert "a-1 (first: one.jsonl:1)" in screen


def test_an_inspection_says_why_text_cannot_be_counted() -> None:
    record = SAMPLES.parent / "tests/cases/litellm_spend/redacted_request/record.jsonl"
    assert json.loads(callcost("inspect", record, "--format", "json").stdout)["flags"] == {"text_redacted": 1}


def test_an_inspection_writes_nothing(tmp_path: Path) -> None:
    callcost("inspect", SAMPLES, cwd=tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_to_inspect_is_a_failure(tmp_path: Path) -> None:
    assert callcost("inspect", tmp_path / "none.jsonl").code == 1
    assert callcost("inspect", write_lines(tmp_path / "bad.jsonl", [b"{"])).code == 1
    assert callcost("inspect").code == 2
