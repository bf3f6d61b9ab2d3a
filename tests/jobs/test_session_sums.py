"""A sum of a session is priced as what it is: at no price of long prompts, beside no call of its own."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.command import callcost, report, write_lines

GOOSE = {
    "_store": "goose", "id": "g1", "created_at": "2026-06-01 10:00:00", "accumulated_input_tokens": 300_000,
    "accumulated_output_tokens": 1_000, "provider_name": "anthropic",
    "model_config_json": {"model_name": "claude-sonnet-4-5"},
}  # fmt: skip
START = {"type": "session.start", "data": {"sessionId": "s"}, "id": "1", "timestamp": "2026-07-01T12:00:00Z"}
SHUTDOWN = {
    "type": "session.shutdown", "id": "2", "timestamp": "2026-07-01T13:00:00Z",
    "data": {"modelMetrics": {"gpt-5.5": {"requests": {}, "usage": {"inputTokens": 300, "outputTokens": 20}}}},
}  # fmt: skip


def _request(number: int, **more: Any) -> dict[str, Any]:
    row = {"_store": "copilot", "id": number, "session_id": "s", "model": "gpt-5.5", "input_tokens": 100}
    return row | {"output_tokens": 10, "created_at": "2026-07-01 12:30:00"} | more


def test_a_sum_crosses_no_threshold_and_strict_refuses_it(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "goose.jsonl", [GOOSE])
    (call,) = report([log], out, "--calls").calls
    assert call["flags"] == ["session_sum"]
    assert call["total_cost"] == Decimal("0.915")  # 300,000 at 3 and 1,000 at 15 dollars a million
    assert callcost("report", log, "--out", out, "--strict").code == 3


def test_requests_count_in_the_place_of_their_sessions_sum(tmp_path: Path, out: Path) -> None:
    events = write_lines(tmp_path / "events.jsonl", [START, SHUTDOWN])
    store = write_lines(tmp_path / "store.jsonl", [_request(1), _request(2), _request(3, session_id="t")])
    assert [call["prompt_tokens"] for call in report([events], out, "--calls").calls] == [300]
    found = report([events, store], out, "--calls")
    assert sorted((call["session"], call["prompt_tokens"]) for call in found.calls) == [
        ("s", 100), ("s", 100), ("t", 100),
    ]  # fmt: skip
    assert found.records["duplicates"] == 1


def test_a_session_that_was_not_shut_down_counts_what_its_messages_state(tmp_path: Path, out: Path) -> None:
    data = {"model": "gpt-5.5", "outputTokens": 20}
    message = START | {"type": "assistant.message", "data": data, "id": "9", "parentId": "1"}
    log = write_lines(tmp_path / "events.jsonl", [START, message, message | {"id": "10"}])
    (call,) = report([log], out, "--calls").calls
    assert (call["completion_tokens"], call["prompt_tokens"]) == (40, None)
    assert (call["flags"], call["price_status"]) == (["incomplete_usage", "session_sum"], "partly_priced")
    log = write_lines(tmp_path / "events.jsonl", [START, message, SHUTDOWN])
    (call,) = report([log], out, "--calls").calls
    assert (call["completion_tokens"], call["prompt_tokens"], call["flags"]) == (20, 300, ["session_sum"])


def test_calls_that_were_kept_count_in_the_place_of_sums_and_messages(tmp_path: Path, out: Path) -> None:
    event = {"id": "8", "parentId": "1", "timestamp": "2026-07-01T12:30:00Z"}
    message = event | {"id": "9", "type": "assistant.message", "data": {"model": "gpt-5.5", "outputTokens": 20}}
    used = {"model": "gpt-5.5", "inputTokens": 200, "outputTokens": 20, "apiCallId": "a"}
    kept = event | {"type": "assistant.usage", "data": used}
    log = write_lines(tmp_path / "events.jsonl", [START, kept, message, SHUTDOWN])
    (call,) = report([log], out, "--calls").calls
    assert (call["completion_tokens"], call["prompt_tokens"], call["flags"]) == (20, 200, [])


def test_the_last_of_several_requests_is_no_whole_price(tmp_path: Path, out: Path) -> None:
    crush = {"_store": "crush", "id": "c", "created_at": 1_780_000_000, "cost": 0.5, "prompt_tokens": 100}
    log = write_lines(tmp_path / "crush.jsonl", [crush | {"completion_tokens": 20, "model": "gpt-5.5"}])
    (call,) = report([log], out, "--calls").calls
    assert (call["price_status"], call["price_reason"]) == ("partly_priced", "usage_incomplete")
    assert call["flags"] == ["incomplete_usage", "session_sum"]
