"""Azure: the actual or amortised cost export (EA and MCA), of which only the AI services are compared.

Dates are MM/DD/YYYY or ISO; the unit of a quantity stands in UnitOfMeasure or in the meter's name; the meter's name is
the only place that says the model and the class: ``gpt 4o 1120 cached Inp glbl Tokens``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from callcost.logs.bills.labels import read_label
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

_SERVICES = re.compile(r"cognitive services|foundry|azure openai|azure ai", re.IGNORECASE)
_COMMITMENTS = re.compile(r"provisioned|\bptu\b", re.IGNORECASE)
_SCALES = (
    (re.compile(r"\b1m\b|1,?000,?000", re.IGNORECASE), Decimal(1_000_000)),
    (re.compile(r"\b1k\b|1,?000", re.IGNORECASE), Decimal(1000)),
)
_AMOUNTS = ("cost", "costinbillingcurrency", "pretaxcost")
_CURRENCIES = ("billingcurrency", "billingcurrencycode", "currency")


def read_line(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the export."""
    field = next((name for name in _AMOUNTS if name in record), _AMOUNTS[0])
    meter = text_of(record.get("metername")) or ""
    line = BillLine(
        provider="azure",
        kind=_kind(record),
        start_at=read_moment(record.get("date") or record.get("usagedatetime"), "date", us_dates=True),
        amount=read_amount(record.get(field), field),
        currency=currency_of(next((record[name] for name in _CURRENCIES if record.get(name)), None)),
        account=text_of(record.get("subscriptionid")) or text_of(record.get("subscriptionguid")),
        line_item=meter or None,
    )
    if line.kind == USAGE:
        _read_meter(line, record, meter)
    yield line


def _kind(record: Mapping[str, Any]) -> str:
    category = str(record.get("metercategory") or "")
    if not _SERVICES.search(category):
        return OTHER
    charge = str(record.get("chargetype") or "usage").lower()
    if charge in {"refund", "roundingadjustment"} or str(record.get("cost") or "").startswith("-"):
        return CREDIT
    return USAGE if charge == "usage" else FEE


def _read_meter(line: BillLine, record: Mapping[str, Any], meter: str) -> None:
    if _COMMITMENTS.search(meter):
        line.kind = FEE  # hours of reserved capacity: no call has them
        return
    label = read_label(meter)
    if label.token_class is None or (label.model is None and "token" in meter.lower()):
        line.kind = UNMAPPED
        return
    line.model, line.token_class, line.tier, line.region = label.model, label.token_class, label.tier, label.region
    if line.model and line.model[:1].isdigit():
        line.model = f"gpt-{line.model}"  # "5.4 opt Dz 1M Tokens"
    quantity = read_count(record.get("quantity") or record.get("usagequantity"), "quantity")
    if quantity is not None:
        unit = f"{record.get('unitofmeasure') or ''} {meter}"
        line.quantity = quantity * next((scale for pattern, scale in _SCALES if pattern.search(unit)), Decimal(1))


DIALECTS = (
    BillDialect(
        name="azure_cost",
        rank=20,
        keys=keys_of(
            "metername metercategory date cost", "metername metercategory date costinbillingcurrency",
            "metername metercategory usagedatetime pretaxcost",
        ),
        read=read_line,
    ),
)  # fmt: skip
