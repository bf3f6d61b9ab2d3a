"""Each call costs what its model cost on its day, to the last digit."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.command import Finished, report, write_lines

MILLION = 1_000_000


def _call(model: str, day: str, **usage: int) -> dict[str, Any]:
    counts = {"prompt_tokens": MILLION, "completion_tokens": MILLION, **usage}
    return {
        "timestamp": f"{day}T12:00:00Z",
        "model": model,
        "user": "ana.silva",
        "messages": [],
        "response": "Fine.",
        "usage": counts,
    }


def _only(finished: Finished) -> dict[str, str]:
    assert len(finished.spend) == 1, finished.spend
    return finished.spend[0]


@pytest.mark.parametrize(
    ("model", "day", "input_cost", "output_cost"),
    [
        ("gpt-4o", "2024-06-01", "5", "15"),
        ("gpt-4o", "2025-01-01", "2.5", "10"),
        ("o3", "2025-06-01", "10", "40"),
        ("o3", "2025-07-01", "2", "8"),
        ("claude-3-5-sonnet-20241022", "2026-11-20", "3", "15"),
        ("claude-opus-4-20250514", "2025-06-01", "15", "75"),
        ("claude-opus-4-20250514", "2026-11-20", "15", "75"),
    ],
)
def test_a_million_tokens_each_way(
    tmp_path: Path, out: Path, model: str, day: str, input_cost: str, output_cost: str
) -> None:
    log = write_lines(tmp_path / "one.jsonl", [_call(model, day)])

    row = _only(report([log], out))

    assert (Decimal(row["input_cost"]), Decimal(row["output_cost"])) == (Decimal(input_cost), Decimal(output_cost))
    assert Decimal(row["total_cost"]) == Decimal(input_cost) + Decimal(output_cost)
    assert Decimal(row["other_cost"] or 0) == 0


def test_a_price_change_falls_between_two_calls_of_one_group(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "two.jsonl", [_call("gpt-4o", "2024-06-01"), _call("gpt-4o", "2025-01-01")])
    assert Decimal(_only(report([log], out))["total_cost"]) == Decimal("32.5")


def test_one_token_costs_its_exact_rate(tmp_path: Path, out: Path) -> None:
    log = write_lines(
        tmp_path / "one.jsonl", [_call("gpt-4o-mini", "2025-01-01", prompt_tokens=1, completion_tokens=0)]
    )
    row = _only(report([log], out))
    assert Decimal(row["total_cost"]) == Decimal("0.00000015")
    assert "e" not in row["total_cost"].lower()


def test_the_largest_count_is_priced_without_overflow(tmp_path: Path, out: Path) -> None:
    call = _call("gpt-4o", "2024-06-01", prompt_tokens=10**12, completion_tokens=10**12)
    log = write_lines(
        tmp_path / "one.jsonl", [{**call, "id": str(number), "timestamp": 1717243200 + number} for number in range(50)]
    )
    assert Decimal(_only(report([log], out))["total_cost"]) == 50 * 20 * Decimal(10) ** 6


def test_a_retired_model_says_so(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "one.jsonl", [_call("claude-3-5-sonnet-20241022", "2026-11-20")])
    (call,) = report([log], out, "--calls").calls
    assert (call["price_status"], call["price_basis"]) == ("priced", "retired")


def test_an_unknown_model_is_unpriced_and_listed(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "one.jsonl", [_call("acme-llm-9", "2026-11-20"), _call("acme-llm-9", "2026-11-19")])
    finished = report([log], out)
    row = _only(finished)
    assert (row["unpriced_calls"], row["total_cost"]) == ("2", "")
    assert "acme-llm-9" in str(finished.manifest["unpriced"])


def test_a_later_price_version_is_not_used_before_its_day(tmp_path: Path, out: Path) -> None:
    log = write_lines(
        tmp_path / "one.jsonl",
        [_call("gpt-4o", "2024-11-15"), {**_call("o3", "2025-06-14"), "timestamp": "2025-06-14T21:43:07Z"}],
    )
    costs = {row["model"]: Decimal(row["total_cost"]) for row in report([log], out, "--corrections", "none").spend}
    assert costs == {"gpt-4o": Decimal(20), "o3": Decimal(50)}


def test_a_correction_goes_before_the_version_of_its_day(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "one.jsonl", [_call("gpt-4o", "2024-11-15")])
    finished = report([log], out, "--calls")
    assert Decimal(_only(finished)["total_cost"]) == Decimal("12.5")
    assert finished.calls[0]["price_basis"] == "corrected"
    assert finished.manifest["corrections"] == {"calls": 1, "total_cost": "-7.5"}
    assert "corrections of prices moved 1 call by -$7.50" in finished.stderr


@pytest.mark.parametrize(("prices", "cost"), [("latest", "12.5"), ("2024-06-01", "20"), ("2025-01-01", "12.5")])
def test_prices_of_another_day_can_be_asked_for(tmp_path: Path, out: Path, prices: str, cost: str) -> None:
    log = write_lines(tmp_path / "one.jsonl", [_call("gpt-4o", "2024-06-01")])
    assert Decimal(_only(report([log], out, "--prices", prices))["total_cost"]) == Decimal(cost)


@pytest.mark.parametrize(
    ("day", "cost"),
    [
        ("2026-09-10", "26.1"),  # above 200,000 tokens that map doubles every rate: 6 + 0.6 + 7.5 + 12
        ("2026-11-20", "13.05"),  # and this one has no such step: 3 + 0.3 + 3.75 + 6
    ],
)
def test_cache_reads_and_writes_have_their_own_rates(tmp_path: Path, out: Path, day: str, cost: str) -> None:
    usage = {
        "input_tokens": MILLION,
        "cache_read_input_tokens": MILLION,
        "cache_creation_input_tokens": 2 * MILLION,
        "cache_creation": {"ephemeral_5m_input_tokens": MILLION, "ephemeral_1h_input_tokens": MILLION},
        "output_tokens": 0,
    }
    message = {
        "id": "msg_01abc",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "usage": usage,
    }
    pair = {
        "id": "1",
        "provider": "anthropic",
        "endpoint": "anthropic",
        "started_at": f"{day}T00:00:00Z",
        "request": {},
        "response": message,
    }

    row = _only(report([write_lines(tmp_path / "one.jsonl", [pair])], out))

    assert row["prompt_tokens"] == str(4 * MILLION)
    assert Decimal(row["input_cost"]) == Decimal(cost)


@pytest.mark.parametrize(("tier", "cost"), [("default", "12.5"), ("priority", "21.25"), ("batch", "6.25")])
def test_the_service_tier_has_its_own_rates(tmp_path: Path, out: Path, tier: str, cost: str) -> None:
    usage = {"prompt_tokens": MILLION, "completion_tokens": MILLION, "total_tokens": 2 * MILLION}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1793701800,
        "model": "gpt-4o",
        "choices": [],
        "usage": usage,
        "service_tier": tier,
    }
    assert Decimal(_only(report([write_lines(tmp_path / "one.jsonl", [body])], out))["total_cost"]) == Decimal(cost)


def test_an_iteration_is_priced_with_its_own_model(sample_report: Finished) -> None:
    (call,) = (call for call in sample_report.calls if call["iterations"] and len(call["iterations"]) == 3)
    # claude-sonnet-5: 2 and 10 a million; claude-opus-4-8, the adviser: 5 and 25 a million.
    assert call["total_cost"] == Decimal(2 * (1128 + 1283) + 10 * (135 + 10) + 5 * 2543 + 25 * 18) / MILLION
