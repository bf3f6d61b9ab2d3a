"""How a call is paid is read where its log says so, and is not known else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callcost.logs.io.records import Raw
from callcost.logs.record.billing import read_billing
from callcost.settings import ReadOptions
from callcost.tables import Call
from tests.logs.outcomes import read_all


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("Included", "plan"), ("Included in Business", "plan"), ("On-Demand", "api"), ("Usage-based", "api"),
        ("User API Key", "api"), ("Errored, Not Charged", "not_charged"),
        ("Aborted, no charge", "not_charged"), ("not_charged", "not_charged"),
        ("none", None), ("Errored", None), ("Chatgpt", "plan"), ("ApiKey", "api"),
        ("oauth-personal", "plan"), ("gemini-api-key", "api"), ("subscription_included", "plan"), ("api", "api"),
        ("credits", "credits"), (1.5, "credits"), (0, None), (True, None), (None, None), ("", None), ({}, None),
    ],
)  # fmt: skip
def test_words_and_amounts_say_how_a_call_is_paid(value: Any, kind: str | None) -> None:
    assert read_billing(value) == kind


def _paid(*rows: dict[str, Any]) -> list[str | None]:
    raw = [Raw(number, 0, json.dumps(row).encode()) for number, row in enumerate(rows)]
    return [call.billing for call in read_all(raw, ReadOptions()) if isinstance(call, Call)]


@pytest.mark.parametrize(
    ("message", "tier", "kind"),
    [("msg_bdrk_1", None, "api"), ("msg_vrtx_1", None, "api"), ("msg_1", "batch", "api"), ("msg_1", "standard", None)],
)
def test_no_plan_has_the_clouds_and_tiers_of_the_api(message: str, tier: str | None, kind: str | None) -> None:
    usage = {"input_tokens": 5, "output_tokens": 1, "service_tier": tier}
    answer = {"id": message, "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "usage": usage}
    row = {"type": "assistant", "sessionId": "s", "timestamp": "2026-03-02T09:00:00Z", "message": answer}
    assert _paid(row) == [kind]


def test_a_rollout_is_of_a_plan_from_where_its_limits_name_one() -> None:
    def counted(total: int, plan: str | None) -> dict[str, Any]:
        sums = {"input_tokens": total, "cached_input_tokens": 0, "output_tokens": 1, "total_tokens": total + 1}
        limits = {"limit_id": "codex"} | ({"plan_type": plan} if plan else {})
        payload = {"type": "token_count", "info": {"total_token_usage": sums}, "rate_limits": limits}
        return {"timestamp": "2026-03-02T09:00:00Z", "type": "event_msg", "payload": payload}

    plans = (None, "unknown", "plus", None)
    assert _paid(*(counted(100 * n, plan) for n, plan in enumerate(plans, 1))) == [None, None, "plan", "plan"]
