"""AWS: the Cost and Usage Report, legacy and 2.0, for Bedrock and for models sold through the Marketplace.

Four grammars of usage types are known: ``USE1-Claude4.6Opus-input-tokens-cross-region-geo-batch``, the same with
``cache-read-input-token-count``, ``USW2-anthropic.claude-opus-4-8-mantle-input-tokens-global-standard`` and the
Marketplace's ``USE1-MP:USE1_InputTokenCount-Units``, where only the product's name says the model. The pricing unit
says whether a quantity is in thousands or millions; the Marketplace's bare "Units" are millions. What a negotiated
rate takes off (net beside unblended) becomes a line of its own.
https://docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-understanding-cur-data.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from callcost.logs.bills.labels import TOKEN_CLASSES, add_label, read_label
from callcost.logs.bills.lines import BillDialect, BillLine, Kind, line_of, read_amount, text_at

_REGION = re.compile(r"^(?P<region>[A-Z]{2,4}\d{0,2})-(?:MP:(?:[A-Z]{2,4}\d{0,2}_)?)?")
_BEDROCK = re.compile(r"bedrock", re.IGNORECASE)
_TOKENS = re.compile(r"token", re.IGNORECASE)
_EDITION = re.compile(r"\s*\((?:Amazon )?Bedrock Edition\)", re.IGNORECASE)
_SCALES = (
    (re.compile(r"^1k|1,?000 tokens|thousand", re.IGNORECASE), Decimal(1000)),
    (re.compile(r"^1m|million|^units?$", re.IGNORECASE), Decimal(1_000_000)),
)
# The line's type decides before its label does; every sort of discount is a credit, too.
_KINDS = {
    **dict.fromkeys(("credit", "refund"), Kind.CREDIT),
    **dict.fromkeys(("tax", "fee", "rifee", "savingsplanrecurringfee", "savingsplanupfrontfee"), Kind.FEE),
}
_COLUMNS = {
    "start_at": "line_item_usage_start_date",
    "end_at": "line_item_usage_end_date",
    "amount": "line_item_unblended_cost",
    "currency": "line_item_currency_code",
    "line_item": ("line_item_usage_type", "line_item_line_item_description"),
}
_NET = "line_item_net_unblended_cost"


def read_line(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one line item; keys as in CUR 2.0, a legacy ``lineItem/UsageType`` is ``line_item_usage_type``."""
    usage_type = text_at(record, "line_item_usage_type") or ""
    product = text_at(record, "product_product_name", "product.product_name") or ""  # CUR 2.0 keeps it in a map
    line = line_of(record, _COLUMNS, provider="bedrock", kind=_kind(record, product, usage_type))
    line.region = region_of(usage_type)
    if line.kind == Kind.USAGE:
        quantity = read_amount(record.get("line_item_usage_amount"), "line_item_usage_amount")
        add_usage_type(line, usage_type, product, quantity, text_at(record, "pricing_unit") or "")
    yield line
    net = read_amount(record.get(_NET), _NET)
    if net is not None and line.amount is not None and net != line.amount and line.kind != Kind.OTHER:
        amount = net - line.amount
        yield replace(line, kind=Kind.CREDIT, amount=amount, line_item="net of discounts", quantity=None, tier=None)


def _kind(record: Mapping[str, Any], product: str, usage_type: str) -> str:
    product = f"{record.get('line_item_product_code') or ''} {product}"
    if not is_bedrock(product) and not (":" in usage_type and _TOKENS.search(usage_type)):
        return Kind.OTHER
    kind = str(record.get("line_item_line_item_type") or "Usage").lower()
    return Kind.CREDIT if kind.endswith("discount") else _KINDS.get(kind, Kind.USAGE)


def is_bedrock(product: str) -> bool:
    """Tell whether a product's name is that of Bedrock, or of a model that the Marketplace sells for it."""
    return _BEDROCK.search(product) is not None


def edition_of(product: str) -> str | None:
    """Return the model that a product of the Marketplace is; None: it is Bedrock itself, or no product."""
    plain = _EDITION.sub("", product)
    return plain if plain and not is_bedrock(plain) else None


def region_of(usage_type: str) -> str | None:
    """Return the region that a usage type begins with; None: it names none."""
    found = _REGION.match(usage_type)
    return found["region"] if found else None


def add_usage_type(line: BillLine, usage_type: str, product: str, quantity: Decimal | None, unit: str) -> None:
    """Write into a line what its usage type says.

    Args:
        line: of usage.
        usage_type: as AWS writes it, region first.
        product: name of the product; "": not stated.
        quantity: of ``unit``; None: not stated.
        unit: of the price; "": not stated.
    """
    plain = _REGION.sub("", usage_type)
    label, edition = read_label(plain), edition_of(product)
    if "MP:" in usage_type:  # the Marketplace says the model in the product's name only
        label = label._replace(model=edition)
    if add_label(line, label, label.model or edition):
        line.region = f"{line.region or ''}/{label.region}" if label.region else line.region
        if quantity is not None and label.token_class in TOKEN_CLASSES:
            quantity *= _scale(unit, plain)
        line.quantity = quantity


def _scale(unit: str, usage_type: str) -> Decimal:
    found = next((scale for pattern, scale in _SCALES if pattern.search(unit)), None)
    if found is None and usage_type.lower().endswith("-units"):
        return Decimal(1_000_000)
    return found or (Decimal(1000) if not unit else Decimal(1))


DIALECTS = (
    BillDialect(
        name="aws_cur",
        rank=20,
        keys=("line_item_usage_start_date line_item_usage_type line_item_unblended_cost",),
        read=read_line,
        identity=("identity_line_item_id", "identity_time_interval"),
    ),
)
