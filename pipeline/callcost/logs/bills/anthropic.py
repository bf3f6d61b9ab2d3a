"""Anthropic: the usage and cost reports of its Admin API, and the two CSV exports of its console.

``cost_report`` amounts are decimal text in **cents** ("41280.000000" is $412.80), the console's are dollars. Counts of
the prompt exclude the caches. Days are UTC; a field that the report was not grouped by is null.
https://platform.claude.com/docs/en/api/admin/cost_report
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

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
    LONG_CONTEXT,
    BillDialect,
    BillLine,
    Columns,
    Kind,
    line_of,
    read_amount,
    text_at,
    value_at,
)
from callcost.tables import EXACT

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


_API = {"start_at": "starting_at", "end_at": "ending_at", "tier": "service_tier"}
_CONSOLE_EXPORT = {"start_at": "usage_date_utc", "tier": "usage_type"}


def _line_of(record: Mapping[str, Any], columns: Columns) -> BillLine:
    line = line_of(record, {**columns, "region": "inference_geo"}, provider="anthropic")
    line.tier, line.region = (
        None if value is None or value.lower() in _STANDARD else value for value in (line.tier, line.region)
    )
    if text_at(record, "context_window") == LONG_CONTEXT:
        line.tier = f"{line.tier or 'standard'} {LONG_CONTEXT}"
    return line


def read_usage(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one result of the usage report: a line per class of tokens."""
    return _counts(record, {**_API, "model": "model"}, _REPORT)


def read_console_usage(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the console's token export: a line per class of tokens."""
    return _counts(record, {**_CONSOLE_EXPORT, "model": "model_version"}, _CONSOLE)


def _counts(record: Mapping[str, Any], columns: Columns, counts: tuple[tuple[str, str], ...]) -> Iterator[BillLine]:
    line = _line_of(record, columns)
    for path, token_class in counts:
        model = None if token_class == _SEARCHES else line.model
        quantity = read_amount(value_at(record, path), path)
        yield replace(line, model=model, token_class=token_class, quantity=quantity)


def read_cost(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one result of the cost report: cents."""
    line = _line_of(record, {"amount": "amount", **_API, "currency": "currency", "line_item": "description"})
    line.amount = None if line.amount is None else EXACT.multiply(line.amount, _CENTS)
    kind, token_class = text_at(record, "cost_type"), text_at(record, "token_type")
    is_sum = line.line_item is None and kind is None and token_class is None  # grouped by nothing
    _add_label(line, token_class if kind in {None, "tokens"} else kind, text_at(record, "model"))
    if is_sum and line.kind == Kind.UNMAPPED:
        line.kind = Kind.USAGE
    yield line


def read_console_cost(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the console's cost export: dollars, and the model by its display name."""
    line = _line_of(record, {**_CONSOLE_EXPORT, "amount": "cost_usd", "line_item": ("cost_type", "token_type")})
    _add_label(line, text_at(record, "token_type", "cost_type"), text_at(record, "model", "model_version"))
    yield line


def _add_label(line: BillLine, label: str | None, model: str | None) -> None:
    line.token_class = ANTHROPIC_CLASSES.get(label.lower()) if label else None
    line.model = None if line.token_class in {_SEARCHES, "code_execution"} else model
    line.line_item = line.line_item or label
    if line.amount is not None and line.amount < 0:
        line.kind = Kind.CREDIT
    elif line.token_class is None or (model is None and line.model is not None):
        line.kind = Kind.UNMAPPED


DIALECTS = (
    BillDialect(
        name="anthropic_cost",
        rank=10,
        keys=("amount currency starting_at", "amount cost_type token_type"),
        read=read_cost,
        measures=frozenset({"amount"}),
    ),
    BillDialect(
        name="anthropic_console_cost",
        rank=12,
        keys=("usage_date_utc token_type cost_usd",),
        read=read_console_cost,
        measures=frozenset({"cost_usd"}),
    ),
    BillDialect(
        name="anthropic_usage",
        rank=14,
        keys=("uncached_input_tokens output_tokens",),
        read=read_usage,
        measures=frozenset(
            {"uncached_input_tokens", "cache_creation", "cache_read_input_tokens", "output_tokens", "server_tool_use"}
        ),
    ),
    BillDialect(
        name="anthropic_console_usage",
        rank=16,
        keys=("usage_date_utc model_version usage_input_tokens_no_cache usage_output_tokens",),
        read=read_console_usage,
        measures=frozenset(name for name, _ in _CONSOLE),
    ),
)
