"""FOCUS 1.0 to 1.4, the open form of bills: BilledCost by charge period, service and SKU.

Provider and model have no column of their own: the service's name says who is paid, and a SKU's meter, its id or the
charge's description the model and the class, as in that provider's own bill. ``x_Model`` and ``x_TokenType`` are
believed first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from callcost.logs.bills.labels import ANTHROPIC_CLASSES, read_label
from callcost.logs.bills.lines import BillDialect, BillLine, Kind, line_of, read_amount, scale_of, text_at
from callcost.logs.bills.names import paid_provider

_PROVIDERS = ("serviceprovidername", "providername", "publishername", "hostprovidername", "invoiceissuername")
_AI = re.compile(
    r"\bai\b|openai|anthropic|bedrock|vertex|gemini|claude|foundry|cognitive|language model|llm", re.IGNORECASE
)
_CLOUDS = (
    (re.compile(r"bedrock", re.IGNORECASE), "bedrock"),
    (re.compile(r"vertex|gemini", re.IGNORECASE), "google"),
    (re.compile(r"azure|foundry|cognitive", re.IGNORECASE), "azure"),
)
_LABELS = ("x_skumeter", "skumeter", "chargedescription", "x_usagetype", "skuid", "resourcename")
_KINDS = {"credit": Kind.CREDIT, "adjustment": Kind.CREDIT, "tax": Kind.FEE, "purchase": Kind.FEE}
_COLUMNS = {
    "start_at": "chargeperiodstart",
    "end_at": "chargeperiodend",
    "amount": "billedcost",
    "currency": "billingcurrency",
    "line_item": _LABELS,
}


def read_line(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of Cost and Usage."""
    line = line_of(record, _COLUMNS, us_dates=True, provider=_provider(record), kind=_kind(record))
    if line.kind == Kind.USAGE:
        _read_sku(line, record)
    yield line


def _provider(record: Mapping[str, Any]) -> str:
    service = str(record.get("servicename") or "")
    cloud = next((name for pattern, name in _CLOUDS if pattern.search(service)), None)
    return cloud or paid_provider(next((str(record[name]) for name in _PROVIDERS if record.get(name)), service))


def _kind(record: Mapping[str, Any]) -> str:
    places = ("servicename", "servicecategory", "servicesubcategory", *_PROVIDERS)
    if not any(_AI.search(str(record.get(name) or "")) for name in places):
        return Kind.OTHER
    return _KINDS.get(str(record.get("chargecategory")).lower(), Kind.USAGE)


def _read_sku(line: BillLine, record: Mapping[str, Any]) -> None:
    if line.amount is not None and line.amount < 0:
        line.kind = Kind.CREDIT
        return
    own = text_at(record, "x_tokentype")
    line.model = text_at(record, "x_model")
    line.token_class = ANTHROPIC_CLASSES.get(own.lower().replace(" ", "_")) if own else None
    for name in _LABELS:
        label = read_label(text_at(record, name) or "")
        line.model = line.model or (label.model if label.token_class else None)
        line.token_class, line.tier = line.token_class or label.token_class, line.tier or label.tier
    if line.token_class is None:
        line.kind, line.model = Kind.UNMAPPED, None
        return
    line.region = text_at(record, "regionid")
    unit = str(record.get("consumedunit") or record.get("pricingunit") or "")
    field = "pricingquantity" if record.get("consumedquantity") in (None, "") else "consumedquantity"
    quantity = read_amount(record.get(field), field)
    if quantity is not None and "token" in unit.lower():
        line.quantity = quantity * scale_of(unit)


DIALECTS = (
    BillDialect(
        name="focus",
        rank=40,
        keys=("billedcost billingcurrency chargeperiodstart chargecategory servicename",),
        read=read_line,
    ),
)
