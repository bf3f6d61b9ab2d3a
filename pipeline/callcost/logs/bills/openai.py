"""OpenAI: the Usage API (tokens), the Costs API (dollars) and the CSV exports of its dashboard.

Amounts are dollars, written as JSON numbers (1.29e-05 occurs); days are UTC. ``input_audio_tokens`` and its like count
the uncached part only. A ``line_item`` is a label: ``gpt-4o-2024-08-06, cached input``.
https://platform.openai.com/docs/api-reference/usage
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from callcost.logs.bills.labels import (
    CACHE_READ,
    CACHE_WRITE_5M,
    INPUT,
    OUTPUT,
    PART_OF,
    TOKEN_CLASSES,
    add_label,
    read_label,
    tool_of,
)
from callcost.logs.bills.lines import BillDialect, BillLine, Columns, Kind, currency_of, line_of, read_amount

_MODEL = re.compile(r"(?:ft:)?[a-z0-9][\w.:/-]*")
_UNITS = {"1000_tokens": Decimal(1000), "1m_tokens": Decimal(1_000_000)}
# What the sibling endpoints of the Usage API count, under the names of prices/units.py.
_COUNTS = {
    "num_sessions": "code_interpreter_sessions",
    "usage_bytes": "vector_store",
    "images": "output_images",
    "characters": "input_characters",
    "seconds": "input_seconds",
}
_MEASURES = frozenset({
    "input_tokens", "input_cached_tokens", "input_cache_write_tokens", "input_uncached_tokens", "output_tokens",
    "input_text_tokens", "output_text_tokens", "input_cached_text_tokens", "input_audio_tokens",
    "input_cached_audio_tokens", "output_audio_tokens", "input_image_tokens", "input_cached_image_tokens",
    "output_image_tokens", "num_model_requests", "num_requests", *_COUNTS,
})  # fmt: skip


_COLUMNS = {"start_at": "start_time", "end_at": "end_time", "tier": "service_tier"}


def _line_of(record: Mapping[str, Any], columns: Columns) -> BillLine:
    line = line_of(record, {**_COLUMNS, **columns}, provider="openai")
    line.tier = "batch" if str(record.get("batch")).lower() == "true" else line.tier
    return line


def read_usage(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one result of the Usage API: a line per class of tokens, or of what else was counted."""
    line = _line_of(record, {"model": "model"})
    if "input_tokens" in record or "output_tokens" in record:
        counts = {name: read_amount(record.get(name), name) or Decimal(0) for name in record if name in _MEASURES}
        for token_class, quantity in _classes(counts):
            if quantity or token_class not in PART_OF:
                yield replace(line, token_class=token_class, quantity=quantity)
        return
    for name, token_class in _COUNTS.items():
        yield replace(line, token_class=token_class, quantity=read_amount(record.get(name), name))
    tool = "file_search_calls" if "file_search" in str(record.get("object", "")) else "web_search_requests"
    yield replace(line, model=None, token_class=tool, quantity=read_amount(record.get("num_requests"), "num_requests"))


def _classes(counts: Mapping[str, Decimal]) -> Iterator[tuple[str, Decimal]]:
    none = Decimal(0)
    cached, written = counts.get("input_cached_tokens", none), counts.get("input_cache_write_tokens", none)
    uncached = counts.get("input_uncached_tokens", counts.get("input_tokens", none) - cached - written)
    audio, image = counts.get("input_audio_tokens", none), counts.get("input_image_tokens", none)
    spoken, drawn = counts.get("output_audio_tokens", none), counts.get("output_image_tokens", none)
    yield INPUT, uncached - audio - image
    yield "audio_input", audio
    yield "image_input", image
    yield CACHE_READ, cached
    yield CACHE_WRITE_5M, written
    yield OUTPUT, counts.get("output_tokens", none) - spoken - drawn
    yield "audio_output", spoken
    yield "image_output", drawn


def read_old_usage(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the dashboard's older usage export."""
    line = line_of(record, {"start_at": "aggregation_timestamp", "model": "snapshot_id"}, provider="openai")
    names = ("n_cached_context_tokens_total", "n_context_tokens_total", "n_generated_tokens_total")
    cached, prompt, output = (read_amount(record.get(name), name) for name in names)
    cached = cached or Decimal(0)
    for token_class, quantity in ((INPUT, (prompt or Decimal(0)) - cached), (CACHE_READ, cached), (OUTPUT, output)):
        yield replace(line, token_class=token_class, quantity=quantity)


def read_costs(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one result of the Costs API."""
    stated = record.get("amount")
    amount = stated if isinstance(stated, Mapping) else {"value": stated}
    yield _cost_line(record, read_amount(amount.get("value")), amount.get("currency"))


def read_costs_csv(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the dashboard's cost export."""
    yield _cost_line(record, read_amount(record["amount_value"], "amount_value"), record.get("amount_currency"))


def _cost_line(record: Mapping[str, Any], amount: Decimal | None, currency: Any) -> BillLine:
    line = _line_of(record, {"line_item": "line_item"})
    line.amount, line.currency = amount, currency_of(currency)
    if amount is not None and amount < 0:
        line.kind = Kind.CREDIT
    elif line.line_item:
        _read_item(line, line.line_item)
    unit = str(record.get("quantity_unit") or "").lower()
    quantity = read_amount(record.get("quantity"), "quantity")
    counted = line.token_class not in TOKEN_CLASSES or "token" in unit
    if quantity is not None and line.kind == Kind.USAGE and counted:
        line.quantity = quantity * _UNITS.get(unit, Decimal(1))
    return line


def _read_item(line: BillLine, label: str) -> None:
    """Read what a line item is about: "model, class", a tool, a bare model, or nothing that is known."""
    model, comma, words = label.partition(",")
    tool = tool_of(label)
    if tool:
        line.token_class = tool
    elif "|" in label or not _MODEL.fullmatch(model.strip()):
        line.kind = Kind.UNMAPPED
    elif not comma:
        line.model = model.strip()
        line.token_class = INPUT if "embedding" in model or "moderation" in model else None
    else:
        read, tier = read_label(words), line.tier
        known = read if read.model is None else read._replace(token_class=None)
        line.tier = tier or read.tier if add_label(line, known, model.strip()) else tier


DIALECTS = (
    BillDialect(
        name="openai_costs",
        rank=10,
        keys=("amount line_item project_id start_time", "amount start_time end_time object"),
        read=read_costs,
        measures=frozenset({"amount", "quantity"}),
    ),
    BillDialect(
        name="openai_costs_csv",
        rank=12,
        keys=("start_time amount_value line_item", "start_time end_time amount_value amount_currency"),
        read=read_costs_csv,
        measures=frozenset({"amount_value", "quantity"}),
    ),
    BillDialect(
        name="openai_usage",
        rank=14,
        keys=(
            *(f"object project_id start_time {name}" for name in ("num_model_requests", "num_requests", *_COUNTS)),
            "num_model_requests input_tokens start_time",
        ),
        read=read_usage,
        measures=_MEASURES,
    ),
    BillDialect(
        name="openai_usage_csv",
        rank=16,
        keys=("aggregation_timestamp n_context_tokens_total n_generated_tokens_total",),
        read=read_old_usage,
        measures=frozenset({
            "n_context_tokens_total", "n_generated_tokens_total", "n_cached_context_tokens_total", "n_requests",
        }),
    ),
)  # fmt: skip
