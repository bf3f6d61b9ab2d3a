"""OpenRouter: the activity API (a day, a model and an endpoint a row) and the activity CSV (a call a row).

Dollars. What a user's own provider key pays (``byok_usage_inference``) is billed elsewhere and not added. The CSV's
``generation_id`` is the response id of the logged body, so that its rows join call by call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from callcost.logs.bills.lines import BillDialect, BillLine, keys_of, read_amount, read_count, read_moment, text_of
from callcost.logs.dialects.openrouter import ACTIVITY, ACTIVITY_COUNTS, ACTIVITY_KEYS


def _sum(record: Mapping[str, Any], *names: str) -> Decimal | None:
    counts = [read_count(record.get(name), name) for name in names]
    stated = [count for count in counts if count is not None]
    return sum(stated, Decimal(0)) if stated else None


def read_activity(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the activity API."""
    yield BillLine(
        provider="openrouter",
        start_at=read_moment(record["date"], "date"),
        model=text_of(record.get("model_permaslug")) or text_of(record.get("model")),
        quantity=_sum(record, "prompt_tokens", "completion_tokens"),
        amount=read_amount(record["usage"], "usage"),
        line_item=text_of(record.get("endpoint_id")),
    )


def read_call(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the activity CSV."""
    row = {column: record.get(name) for column, name in ACTIVITY.items()}
    yield BillLine(
        provider="openrouter",
        start_at=read_moment(row["started_at"], ACTIVITY["started_at"]),
        model=text_of(row["model"]),
        quantity=_sum(record, *ACTIVITY_COUNTS.values()),
        amount=read_amount(row["logged_cost"], ACTIVITY["logged_cost"]),
        call_id=text_of(row["own_id"]),
        tool_amount=_sum(record, "cost_web_search", "cost_file_processing"),
        account=text_of(row["api_key"]),
    )


DIALECTS = (
    BillDialect(
        name="openrouter_calls",
        rank=10,
        keys=keys_of(ACTIVITY_KEYS),
        read=read_call,
        identity=(ACTIVITY["own_id"],),
    ),
    BillDialect(
        name="openrouter_activity",
        rank=12,
        keys=keys_of("date usage prompt_tokens completion_tokens requests"),
        read=read_activity,
        identity=("*",),
        measures=frozenset(
            {"usage", "byok_usage_inference", "requests", "prompt_tokens", "completion_tokens", "reasoning_tokens"}
        ),
    ),
)
