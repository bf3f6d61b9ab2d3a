"""`callcost inspect` says what is in the logs, and prices nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

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
    assert list(found["usage"].items()) == [("missing", 8), ("reported", 1)]  # the most frequent first


def test_an_inspection_counts_the_numbers_like_usage_that_no_table_knows(tmp_path: Path) -> None:
    """However the calls are read: one shape of 2,000 rows goes by columns, but for those that state such a number."""
    counts = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    bodies = [
        {
            "id": f"c-{number}",
            "object": "chat.completion",
            "created": 1_750_000_000 + number,
            "model": "gpt-4o",
            "choices": [],
            "usage": counts | ({"foo_tokens": number} if number % 4 == 1 else {}),
        }
        for number in range(2_000)
    ]
    log = write_lines(tmp_path / "log.jsonl", bodies)
    found = json.loads(callcost("inspect", log, "--format", "json").stdout)
    assert found["unread_usage"] == {"foo_tokens": 500}
    assert found["flags"] == {"unread_usage": 500}
    assert "500  foo_tokens" in callcost("inspect", log).stdout


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


def test_an_inspection_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    callcost("inspect", SAMPLES)
    assert not list(tmp_path.iterdir())


def test_nothing_to_inspect_is_a_failure(tmp_path: Path) -> None:
    assert callcost("inspect", tmp_path / "none.jsonl").code == 1
    assert callcost("inspect", write_lines(tmp_path / "bad.jsonl", [b"{"])).code == 1
    assert callcost("inspect").code == 2


def chat(number: int, prompt_tokens: int, completion_tokens: int, **usage: Any) -> bytes:
    """Return a line whose text comes to 9 prompt tokens and 1 completion token."""
    record = {
        "id": f"call-{number}", "model": "gpt-4o", "timestamp": "2026-05-01T00:00:00Z",
        "messages": [{"role": "user", "content": "hello world"}], "response": "yes",
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, **usage},
    }  # fmt: skip
    return json.dumps(record).encode()


def calibrated(*logs: Path, **how: Any) -> list[dict[str, Any]]:
    done = callcost("inspect", *logs, "--calibrate", "--format", "json", **how)
    assert done.code == 0
    rows: list[dict[str, Any]] = json.loads(done.stdout)["counting"]
    return rows


def test_a_calibration_compares_our_counts_with_the_stated_ones(tmp_path: Path) -> None:
    lines = [chat(1, 9, 1), chat(2, 9, 2), chat(3, 10, 1), chat(4, 18, 1)]
    log = write_lines(tmp_path / "log.jsonl", lines)

    every, completions, *rest = calibrated(log)

    figures = {"calls": 4, "exact": 0.5, "median": 0.05, "p90": 0.5, "sum": -10 / 46}
    assert every == {"model": "all", "side": "prompt_tokens", **figures}
    assert completions == {
        "model": "all", "side": "completion_tokens", "calls": 4, "exact": 0.75, "median": 0, "p90": 0.5, "sum": -0.2,
    }  # fmt: skip
    assert rest == [{**every, "model": "gpt-4o"}, {**completions, "model": "gpt-4o"}]


def test_a_calibration_leaves_out_what_says_nothing_of_our_counting(tmp_path: Path) -> None:
    textless = b'{"id": "x", "model": "gpt-4o", "usage": {"prompt_tokens": 5, "completion_tokens": 5}}'
    lines = [chat(1, 9, 0), chat(1, 9, 0), chat(2, 9, 0), textless]  # a duplicate, an empty side, no text

    rows = calibrated(write_lines(tmp_path / "log.jsonl", lines))

    assert [(row["model"], row["side"], row["calls"]) for row in rows] == [
        ("all", "prompt_tokens", 2), ("gpt-4o", "prompt_tokens", 2),
    ]  # fmt: skip


def test_a_calibration_compares_completions_without_their_reasoning(tmp_path: Path) -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 40}}
    log = write_lines(tmp_path / "log.jsonl", [chat(1, 9, 41, **details)])

    assert {row["side"]: row["exact"] for row in calibrated(log)} == {"prompt_tokens": 1, "completion_tokens": 1}


def test_a_calibration_is_the_same_on_any_number_of_workers(tmp_path: Path) -> None:
    logs = [
        write_lines(tmp_path / f"{name}.jsonl", [chat(n, 9 + n % 3, 1 + n % 2) for n in range(start, start + 60)])
        for name, start in (("a", 0), ("b", 30))
    ]

    alone = calibrated(*logs)
    shared = callcost(
        "inspect", *logs, "--calibrate", "--format", "json", "--workers", "2", env={"CALLCOST_INLINE_BYTES": "0"}
    )

    assert alone[0]["calls"] == 90
    assert json.loads(shared.stdout)["counting"] == alone


def test_a_calibration_is_a_table_for_people(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [chat(1, 9, 1), chat(2, 12, 1)])

    done = callcost("inspect", log, "--calibrate")

    row = next(line for line in done.stdout.splitlines() if line.startswith("gpt-4o"))
    assert row.split() == ["gpt-4o", "prompt", "2", "50.0", "%", "12.5", "%", "25.0", "%", "-14.3", "%"]
    assert "hello world" not in done.stdout
    nothing = callcost("inspect", write_lines(tmp_path / "none.jsonl", [b"{}"]), "--calibrate")
    assert "no call has both its text and its tokens" in nothing.stdout


def test_an_inspection_says_what_counts_would_gain_by_a_vocabulary(tmp_path: Path) -> None:
    request = {"messages": [{"role": "user", "content": "Hi."}]}
    response = {"choices": [{"message": {"role": "assistant", "content": "Hello."}}]}
    pair = {"id": "a", "provider": "deepseek", "endpoint": "chat", "model": "deepseek-chat"}
    log = write_lines(tmp_path / "log.jsonl", [{**pair, "request": request, "response": response}])

    finished = callcost("inspect", log, env={"XDG_DATA_HOME": str(tmp_path)})

    line = next(line for line in finished.stdout.splitlines() if line.startswith("  deepseek"))
    assert "1 calls" in line
    assert line.count("of counts exact") == 2
