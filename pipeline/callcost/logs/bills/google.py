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

from callcost.logs.bills.labels import CACHE_READ, INPUT, OUTPUT, read_label
from callcost.logs.bills.lines import (
    CREDIT,
    FEE,
    OTHER,
    UNMAPPED,
    USAGE,
    BillDialect,
    BillLine,
    currency_of,
    keys_of,
    read_amount,
    read_count,
    read_moment,
    text_of,
)

_SERVICES = re.compile(r"vertex ai|gemini|generative language|agent platform", re.IGNORECASE)
_FOLDED = {"image_input": INPUT, "video_input": INPUT, "image_output": OUTPUT}


def read_line(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row; nested fields may stand as objects or as columns with dots."""
    sku = text_of(_field(record, "sku", "description")) or ""
    service = text_of(_field(record, "service", "description")) or ""
    line = BillLine(
        provider="google",
        kind=_kind(record, service),
        start_at=read_moment(record.get("usage_start_time"), "usage_start_time"),
        end_at=read_moment(record.get("usage_end_time"), "usage_end_time"),
        amount=read_amount(record.get("cost"), "cost"),
        currency=currency_of(record.get("currency")),
        account=text_of(_field(record, "project", "id")),
        line_item=sku or service or None,
    )
    if line.kind == USAGE:
        _read_sku(line, record, sku)
    yield line
    credit = _credits(record)
    if credit and line.kind != OTHER:
        yield BillLine(
            provider="google", kind=CREDIT, start_at=line.start_at, end_at=line.end_at, amount=credit,
            currency=line.currency, account=line.account, line_item=f"credit: {sku}", model=line.model,
            token_class=line.token_class,
        )  # fmt: skip


def _field(record: Mapping[str, Any], outer: str, inner: str) -> Any:
    found = record.get(outer)
    if isinstance(found, Mapping):
        return found.get(inner)
    return record.get(f"{outer}.{inner}", record.get(f"{outer}_{inner}"))


def _kind(record: Mapping[str, Any], service: str) -> str:
    if not _SERVICES.search(service):
        return OTHER
    return {"tax": FEE, "adjustment": CREDIT}.get(str(record.get("cost_type") or "regular").lower(), USAGE)


def _read_sku(line: BillLine, record: Mapping[str, Any], sku: str) -> None:
    label = read_label(sku)
    if label.token_class is None or (label.model is None and "storage" not in sku.lower()):
        line.kind = UNMAPPED
        return
    token_class = CACHE_READ if label.token_class == CACHE_READ else label.token_class
    line.token_class = _FOLDED.get(token_class, token_class)
    line.model, line.tier = label.model, label.tier
    quantity = read_count(_field(record, "usage", "amount"), "usage.amount")
    line.quantity = quantity


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
        keys=keys_of("usage_start_time cost sku service", "usage_start_time cost sku.description service.description",
                     "usage_start_time cost sku_description service_description"),
        read=read_line,
    ),
)  # fmt: skip
