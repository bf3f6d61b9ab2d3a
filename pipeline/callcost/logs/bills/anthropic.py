"""Anthropic: the usage and cost reports of its Admin API, and the two CSV exports of its console.

``cost_report`` amounts are decimal text in **cents** ("41280.000000" is $412.80), the console's are dollars. Counts of
the prompt exclude the caches. Days are UTC; a field that the report was not grouped by is null.
https://platform.claude.com/docs/en/api/admin/cost_report
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from callcost.logs.bills.labels import (
    ANTHROPIC_CLASSES,
    CACHE_READ,
    CACHE_WRITE,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    INPUT,
    OUTPUT,
)
from callcost.logs.bills.lines import (
    CREDIT,
    EXACT,
    UNMAPPED,
    BillDialect,
    BillLine,
    currency_of,
    keys_of,
    read_amount,
    read_count,
    read_moment,
    text_of,
)

_CENTS = Decimal("0.01")
_SEARCHES = "web_search_requests"
_STANDARD = frozenset({"", "standard", "not_available", "none"})
_REPORT = (
    ("uncached_input_tokens", INPUT),
    ("cache_read_input_tokens", CACHE_READ),
    ("cache_creation.ephemeral_5m_input_tokens", CACHE_WRITE_5M),
    ("cache_creation.ephemeral_1h_input_tokens", CACHE_WRITE_1H),
    ("output_tokens", OUTPUT),
    ("server_tool_use.web_search_requests", _SEARCHES),
)
_CONSOLE = (
    ("usage_input_tokens_no_cache", INPUT),
    ("usage_input_tokens_cache_read", CACHE_READ),
    ("usage_input_tokens_cache_write_5m", CACHE_WRITE_5M),
    ("usage_input_tokens_cache_write_1h", CACHE_WRITE_1H),
    ("usage_input_tokens_cache_write", CACHE_WRITE),
    ("usage_output_tokens", OUTPUT),
    ("web_search_count", _SEARCHES),
)


def _stated(record: Mapping[str, Any], *names: str) -> str | None:
    value = next((text_of(record.get(name)) for name in names if record.get(name)), None)
    return None if value is None or value.lower() in _STANDARD else value


def _follow(record: Mapping[str, Any], path: str) -> Any:
    name, _, below = path.partition(".")
    inner = record.get(name)
    return inner.get(below) if below and isinstance(inner, Mapping) else None if below else inner


def read_usage(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one result of the usage report: a line per class of tokens."""
    model = text_of(record.get("model"))
    for path, token_class in _REPORT:
        quantity = read_count(_follow(record, path), path)
        if quantity is not None:
            yield BillLine(
                **_base(record, "starting_at", "ending_at", "service_tier"),
                model=None if token_class == _SEARCHES else model,
                token_class=token_class,
                quantity=quantity,
            )


def _base(record: Mapping[str, Any], start: str, end: str, tier: str) -> dict[str, Any]:
    return {
        "provider": "anthropic",
        "start_at": read_moment(record.get(start), start),
        "end_at": read_moment(record.get(end), end),
        "account": text_of(record.get("workspace_id")) or text_of(record.get("workspace")),
        "tier": _stated(record, tier),
        "region": _stated(record, "inference_geo"),
    }


def read_cost(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one result of the cost report: cents."""
    amount = read_amount(record.get("amount"))
    line = BillLine(
        **_base(record, "starting_at", "ending_at", "service_tier"),
        amount=None if amount is None else EXACT.multiply(amount, _CENTS),
        currency=currency_of(record.get("currency")),
        line_item=text_of(record.get("description")),
    )
    kind, token_class = text_of(record.get("cost_type")), text_of(record.get("token_type"))
    _place(line, token_class if kind in {None, "tokens"} else kind, text_of(record.get("model")))
    if line.line_item is None and kind is None and token_class is None:
        line.kind = CREDIT if line.amount is not None and line.amount < 0 else "usage"  # grouped by nothing: a sum
    yield line


def _place(line: BillLine, label: str | None, model: str | None) -> None:
    line.token_class = ANTHROPIC_CLASSES.get(label.lower()) if label else None
    line.model = None if line.token_class in {_SEARCHES, "code_execution"} else model
    line.line_item = line.line_item or label
    if line.amount is not None and line.amount < 0:
        line.kind = CREDIT
    elif line.token_class is None or (model is None and line.model is not None):
        line.kind = UNMAPPED


def read_console_usage(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the console's token export."""
    for name, token_class in _CONSOLE:
        quantity = read_count(record.get(name), name)
        if quantity is not None:
            yield BillLine(
                **_base(record, "usage_date_utc", "", "usage_type"),
                model=None if token_class == _SEARCHES else text_of(record.get("model_version")),
                token_class=token_class,
                quantity=quantity,
            )


def read_console_cost(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the console's cost export: dollars, and the model by its display name."""
    line = BillLine(
        **_base(record, "usage_date_utc", "", "usage_type"),
        amount=read_amount(record["cost_usd"], "cost_usd"),
        line_item=text_of(record.get("cost_type")) or text_of(record.get("token_type")),
    )
    label = text_of(record.get("token_type")) or text_of(record.get("cost_type"))
    _place(line, label, text_of(record.get("model")) or text_of(record.get("model_version")))
    yield line


DIALECTS = (
    BillDialect(
        name="anthropic_cost",
        rank=10,
        keys=keys_of("amount currency starting_at", "amount cost_type token_type"),
        read=read_cost,
        identity=("*",),
        measures=frozenset({"amount"}),
    ),
    BillDialect(
        name="anthropic_console_cost",
        rank=12,
        keys=keys_of("usage_date_utc token_type cost_usd"),
        read=read_console_cost,
        identity=("*",),
        measures=frozenset({"cost_usd"}),
    ),
    BillDialect(
        name="anthropic_usage",
        rank=14,
        keys=keys_of("uncached_input_tokens output_tokens"),
        read=read_usage,
        identity=("*",),
        measures=frozenset(
            {"uncached_input_tokens", "cache_creation", "cache_read_input_tokens", "output_tokens", "server_tool_use"}
        ),
    ),
    BillDialect(
        name="anthropic_console_usage",
        rank=16,
        keys=keys_of("usage_date_utc model_version usage_input_tokens_no_cache usage_output_tokens"),
        read=read_console_usage,
        identity=("*",),
        measures=frozenset(name for name, _ in _CONSOLE),
    ),
)
