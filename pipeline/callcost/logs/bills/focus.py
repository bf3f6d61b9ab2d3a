"""FOCUS 1.0 to 1.4, the open form of bills: BilledCost by charge period, service and SKU.

Only rows that are measured in tokens, or of a service that serves models, are ours: "AI and Machine Learning" also
holds disks and bandwidth. The service's name says who is paid. The model is what ``x_Model`` says, as a column or in
SkuPriceDetails, then the SKU's id, then the charge's description; a meter names a class, and the model only in the
bills of clouds, whose meters are the labels of their own bills.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from callcost.logs.bills.labels import ANTHROPIC_CLASSES, TOKEN_CLASSES, Label, add_label, read_label
from callcost.logs.bills.lines import BillDialect, BillLine, Kind, line_of, read_amount, scale_of, text_at
from callcost.logs.bills.names import paid_provider

_PROVIDERS = ("serviceprovidername", "providername", "publishername", "hostprovidername", "invoiceissuername")
_SERVES_MODELS = re.compile(
    r"openai|anthropic|claude|bedrock|vertex ai|gemini|generative|foundry|cognitive services|azure ai|language model"
    r"|\bllms?\b|openrouter|mistral|deepseek|cohere|groq|perplexity|together ai|fireworks|\bxai\b",
    re.IGNORECASE,
)
_CLOUDS = (
    (re.compile(r"bedrock", re.IGNORECASE), "bedrock"),
    (re.compile(r"vertex|gemini", re.IGNORECASE), "google"),
    (re.compile(r"azure|foundry|cognitive", re.IGNORECASE), "azure"),
)
_METERS = ("x_skumeter", "x_skumetername", "skumeter")
_LABELS = (*_METERS, "chargedescription", "x_usagetype", "skuid", "resourcename")
_KINDS = {"credit": Kind.CREDIT, "adjustment": Kind.CREDIT, "tax": Kind.FEE, "purchase": Kind.FEE}
# "1K" and "count" say nothing of what is counted; gigabytes and hours do.
_COUNTS = re.compile(r".*token.*|[\d,.]*\s*[km]?\s*(?:units?|counts?|requests?)?", re.IGNORECASE)
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
    takes_back = str(record.get("chargeclass")).lower() == "correction"  # usage that was billed before
    if line.kind == Kind.USAGE and line.amount is not None and line.amount < 0 and not takes_back:
        line.kind = Kind.CREDIT
    if line.kind == Kind.USAGE:
        _read_sku(line, record)
    if str(record.get("x_undated")).lower() == "true":
        line.start_at = line.end_at = None  # as callcost writes calls that nobody knows the day of
    yield line


def _provider(record: Mapping[str, Any]) -> str:
    service = str(record.get("servicename") or "")
    cloud = next((name for pattern, name in _CLOUDS if pattern.search(service)), None)
    return cloud or paid_provider(next((str(record[name]) for name in _PROVIDERS if record.get(name)), service))


def _kind(record: Mapping[str, Any]) -> str:
    places = ("servicename", "servicesubcategory", *_PROVIDERS)
    if "token" not in _unit(record).lower() and not any(
        _SERVES_MODELS.search(str(record.get(name) or "")) for name in places
    ):
        return Kind.OTHER
    return _KINDS.get(str(record.get("chargecategory")).lower(), Kind.USAGE)


def _unit(record: Mapping[str, Any]) -> str:
    return str(record.get("consumedunit") or record.get("pricingunit") or "").strip()


def _read_sku(line: BillLine, record: Mapping[str, Any]) -> None:
    details, unit = _details(record), _unit(record)
    sku = (text_at(record, "skuid") or "").split("/")  # provider/model/class, where it is ours
    own = text_at(record, "x_tokentype") or text_at(details, "x_tokentype")
    model = text_at(record, "x_model") or text_at(details, "x_model")
    if len(sku) > 2 and _class_of(sku[-1]):
        own, model = own or sku[-1], model or "/".join(sku[1:-1])
    labels = {name: read_label(text_at(record, name) or "") for name in _LABELS}
    named = [name for name in _LABELS if name not in _METERS and "$" not in str(record.get(name))]
    named += _METERS if line.provider in {"bedrock", "google", "azure"} else ()
    stated = next((label.model for name in named if (label := labels[name]).model and label.token_class), None)
    beside = own and own not in TOKEN_CLASSES and own.isidentifier() and unit and "token" not in unit.lower()
    token_class = own if beside else _class_of(own)  # what is charged beside tokens has a name of its own
    token_class = token_class or next((label.token_class for label in labels.values() if label.token_class), None)
    tier = text_at(details, "x_servicetier") or next((label.tier for label in labels.values() if label.tier), None)
    is_fee = own is None and any(label.is_fee for label in labels.values())
    if token_class in TOKEN_CLASSES and not _COUNTS.fullmatch(unit):
        token_class = None  # bandwidth that goes out is no output
    read = Label(stated, token_class, None if tier == "standard" else tier, None, is_fee)
    if add_label(line, read, model):
        line.region = text_at(record, "regionid")
        field = "pricingquantity" if record.get("consumedquantity") in (None, "") else "consumedquantity"
        quantity = read_amount(record.get(field), field)
        if quantity is not None and (token_class not in TOKEN_CLASSES or "token" in unit.lower()):
            line.quantity = quantity * scale_of(unit)


def _class_of(name: str | None) -> str | None:
    """Return the class that a custom column names."""
    if name is None:
        return None
    plain = name.lower().replace(" ", "_")
    return plain if plain in TOKEN_CLASSES else ANTHROPIC_CLASSES.get(plain) or read_label(name).token_class


def _details(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return SkuPriceDetails, JSON in a column or an object, with keys in lower case."""
    found = record.get("skupricedetails")
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            found = None
    return {str(name).lower(): value for name, value in found.items()} if isinstance(found, Mapping) else {}


DIALECTS = (
    BillDialect(
        name="focus",
        rank=40,
        keys=("billedcost billingcurrency chargeperiodstart chargecategory servicename",),
        read=read_line,
    ),
)
