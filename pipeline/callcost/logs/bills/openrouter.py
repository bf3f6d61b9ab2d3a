"""OpenRouter: the activity API (a day, a model and an endpoint a row) and the activity CSV (a call a row).

Dollars. What a user's own provider key pays (``byok_usage_inference``) is billed elsewhere and not added. The CSV's
``generation_id`` is the response id of the logged body, so that its rows join call by call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from callcost.logs.bills.lines import BillDialect, BillLine, line_of, read_amount
from callcost.logs.dialects.openrouter import ACTIVITY, ACTIVITY_COUNTS, ACTIVITY_KEYS

_DAYS = {
    "start_at": "date",
    "model": ("model_permaslug", "model"),
    "amount": "usage",
    "own_key_amount": "byok_usage_inference",
    "line_item": "endpoint_id",
}
_CALLS = {
    "start_at": ACTIVITY["started_at"],
    "model": ACTIVITY["model"],
    "amount": ACTIVITY["logged_cost"],
    "call_id": ACTIVITY["own_id"],
    "own_key_amount": "byok_usage_inference",
}


def _sum(record: Mapping[str, Any], *names: str) -> Decimal | None:
    counts = [read_amount(record.get(name), name) for name in names]
    stated = [count for count in counts if count is not None]
    return sum(stated, Decimal(0)) if stated else None


def read_activity(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the activity API."""
    line = line_of(record, _DAYS, provider="openrouter")
    line.quantity = _sum(record, "prompt_tokens", "completion_tokens")
    yield line


def read_call(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the activity CSV."""
    line = line_of(record, _CALLS, provider="openrouter")
    line.quantity = _sum(record, *ACTIVITY_COUNTS.values())
    line.tool_amount = _sum(record, "cost_web_search", "cost_file_processing")
    yield line


DIALECTS = (
    BillDialect(
        name="openrouter_calls",
        rank=10,
        keys=(ACTIVITY_KEYS,),
        read=read_call,
        identity=(ACTIVITY["own_id"],),
    ),
    BillDialect(
        name="openrouter_activity",
        rank=12,
        keys=("date usage prompt_tokens completion_tokens requests",),
        read=read_activity,
        measures=frozenset(
            {"usage", "byok_usage_inference", "requests", "prompt_tokens", "completion_tokens", "reasoning_tokens"}
        ),
    ),
)
