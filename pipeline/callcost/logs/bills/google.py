"""Google Cloud: the billing export (rows of BigQuery as JSON, CSV or Parquet), of which the AI services are compared.

The SKU's description says the model and the class (``Gemini 2.5 Flash GA Text Input - Predictions``); thinking is part
of the output. ``cost`` is before credits, each of which is negative; their sum becomes a line of its own. The day is
that of ``usage_start_time`` (UTC), not the console's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from callcost.logs.bills.labels import INPUT, OUTPUT, add_label, read_label
from callcost.logs.bills.lines import BillDialect, BillLine, Kind, line_of, read_amount, text_at, value_at

_SERVICES = re.compile(r"vertex ai|gemini|generative language|agent platform|claude|mistral|llama", re.IGNORECASE)
_CLASSES = {"image_input": INPUT, "video_input": INPUT, "image_output": OUTPUT}  # one price for all that is read
_COLUMNS = {
    "start_at": "usage_start_time",
    "end_at": "usage_end_time",
    "amount": "cost",
    "currency": "currency",
    "line_item": ("sku.description", "service.description"),
}
_KINDS = {"tax": Kind.FEE, "adjustment": Kind.CREDIT}


def read_line(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row; nested fields may stand as objects or as columns with dots."""
    sku = text_at(record, "sku.description") or ""
    line = line_of(record, _COLUMNS, provider="google", kind=_kind(record))
    if line.kind == Kind.USAGE:
        _read_sku(line, record, sku)
    yield line
    credit = _credits(record)
    if credit and line.kind != Kind.OTHER:
        yield replace(line, kind=Kind.CREDIT, amount=credit, line_item=f"credit: {sku}", quantity=None, tier=None)


def _kind(record: Mapping[str, Any]) -> str:
    if not _SERVICES.search(text_at(record, "service.description") or ""):
        return Kind.OTHER
    return _KINDS.get(str(record.get("cost_type")).lower(), Kind.USAGE)


def _read_sku(line: BillLine, record: Mapping[str, Any], sku: str) -> None:
    if add_label(line, read_label(sku)):
        line.token_class = _CLASSES.get(line.token_class or "", line.token_class)
        line.quantity = read_amount(value_at(record, "usage.amount"), "usage.amount")


def _credits(record: Mapping[str, Any]) -> Decimal:
    found = record.get("credits")
    if isinstance(found, str) and found.strip().startswith("["):
        try:
            found = json.loads(found, parse_float=Decimal)
        except ValueError:
            found = None
    rows = found if isinstance(found, list) else []
    amounts = (read_amount(row.get("amount"), "credits.amount") for row in rows if isinstance(row, Mapping))
    return sum((amount for amount in amounts if amount is not None), Decimal(0))


DIALECTS = (
    BillDialect(
        name="gcp_billing",
        rank=20,
        keys=("usage_start_time cost sku service", "usage_start_time cost sku.description service.description",
                     "usage_start_time cost sku_description service_description"),
        read=read_line,
    ),
)  # fmt: skip
