"""FOCUS 1.0 to 1.4, the open form of bills: BilledCost by charge period, service and SKU.

Provider and model have no column of their own: the service's name says who is paid, and a SKU's meter, its id or the
charge's description the model and the class, as in that provider's own bill. ``x_Model`` and ``x_TokenType`` are
believed first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from callcost.logs.bills.labels import ANTHROPIC_CLASSES, read_label
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
from callcost.logs.bills.names import paid_provider

_WHO = ("serviceprovidername", "providername", "publishername", "hostprovidername", "invoiceissuername")
_AI = re.compile(
    r"\bai\b|openai|anthropic|bedrock|vertex|gemini|claude|foundry|cognitive|language model|llm", re.IGNORECASE
)
_CLOUDS = (
    (re.compile(r"bedrock", re.IGNORECASE), "bedrock"),
    (re.compile(r"vertex|gemini", re.IGNORECASE), "google"),
    (re.compile(r"azure|foundry|cognitive", re.IGNORECASE), "azure"),
)
_LABELS = ("x_skumeter", "skumeter", "chargedescription", "x_usagetype", "skuid", "resourcename")
_SCALES = (
    (re.compile(r"1,?000,?000|\b1m\b|million", re.IGNORECASE), Decimal(1_000_000)),
    (re.compile(r"1,?000|\b1k\b|thousand", re.IGNORECASE), Decimal(1000)),
)
_KINDS = {"credit": CREDIT, "adjustment": CREDIT, "tax": FEE, "purchase": FEE}


def read_line(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of Cost and Usage."""
    provider, kind = _provider(record), _kind(record)
    line = BillLine(
        provider=provider,
        kind=kind,
        start_at=read_moment(record.get("chargeperiodstart"), "chargeperiodstart", us_dates=True),
        end_at=read_moment(record.get("chargeperiodend"), "chargeperiodend", us_dates=True),
        amount=read_amount(record.get("billedcost"), "billedcost"),
        currency=currency_of(record.get("billingcurrency")),
        account=text_of(record.get("subaccountid")) or text_of(record.get("billingaccountid")),
        line_item=next((text for name in _LABELS if (text := text_of(record.get(name)))), None),
    )
    if kind == USAGE:
        _read_sku(line, record)
    yield line


def _provider(record: Mapping[str, Any]) -> str:
    service = str(record.get("servicename") or "")
    cloud = next((name for pattern, name in _CLOUDS if pattern.search(service)), None)
    return cloud or paid_provider(next((str(record[name]) for name in _WHO if record.get(name)), service))


def _kind(record: Mapping[str, Any]) -> str:
    places = ("servicename", "servicecategory", "servicesubcategory", *_WHO)
    if not any(_AI.search(str(record.get(name) or "")) for name in places):
        return OTHER
    category = str(record.get("chargecategory") or "usage").lower()
    return _KINDS.get(category, USAGE)


def _read_sku(line: BillLine, record: Mapping[str, Any]) -> None:
    if line.amount is not None and line.amount < 0:
        line.kind = CREDIT
        return
    own = text_of(record.get("x_tokentype"))
    line.model = text_of(record.get("x_model"))
    line.token_class = ANTHROPIC_CLASSES.get(own.lower().replace(" ", "_")) if own else None
    for name in _LABELS:
        label = read_label(text_of(record.get(name)) or "")
        line.model = line.model or (label.model if label.token_class else None)
        line.token_class, line.tier = line.token_class or label.token_class, line.tier or label.tier
    if line.token_class is None:
        line.kind, line.model = UNMAPPED, None
        return
    line.region = text_of(record.get("regionid"))
    unit = str(record.get("consumedunit") or record.get("pricingunit") or "")
    field = "consumedquantity" if record.get("consumedquantity") not in {None, ""} else "pricingquantity"
    quantity = read_count(record.get(field), field)
    if quantity is not None and "token" in unit.lower():
        line.quantity = quantity * next((scale for pattern, scale in _SCALES if pattern.search(unit)), Decimal(1))


DIALECTS = (
    BillDialect(
        name="focus",
        rank=40,
        keys=keys_of("billedcost billingcurrency chargeperiodstart chargecategory servicename"),
        read=read_line,
    ),
)
