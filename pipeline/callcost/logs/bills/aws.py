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

from callcost.logs.bills.labels import TOKEN_CLASSES, read_label
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
    region = _REGION.match(usage_type)
    line = line_of(
        record, _COLUMNS, provider="bedrock", kind=_kind(record, product, usage_type),
        region=region["region"] if region else None,
    )  # fmt: skip
    if line.kind == Kind.USAGE:
        _read_usage(line, record, product, _REGION.sub("", usage_type))
    yield line
    net = read_amount(record.get(_NET), _NET)
    if net is not None and line.amount is not None and net != line.amount and line.kind != Kind.OTHER:
        amount = net - line.amount
        yield replace(line, kind=Kind.CREDIT, amount=amount, line_item="net of discounts", quantity=None, tier=None)


def _kind(record: Mapping[str, Any], product: str, usage_type: str) -> str:
    product = f"{record.get('line_item_product_code') or ''} {product}"
    if not _BEDROCK.search(product) and not (":" in usage_type and _TOKENS.search(usage_type)):
        return Kind.OTHER
    kind = str(record.get("line_item_line_item_type") or "Usage").lower()
    return Kind.CREDIT if kind.endswith("discount") else _KINDS.get(kind, Kind.USAGE)


def _read_usage(line: BillLine, record: Mapping[str, Any], product: str, usage_type: str) -> None:
    label, product = read_label(usage_type), _EDITION.sub("", product)
    if label.token_class is None:
        line.kind = Kind.UNMAPPED
        return
    line.model, line.token_class, line.tier = label.model, label.token_class, label.tier
    if "MP:" in (line.line_item or ""):
        line.model = None
    if product and "amazon bedrock" not in product.lower():
        line.model = line.model or product
    if line.token_class in TOKEN_CLASSES and line.model is None:
        line.kind = Kind.UNMAPPED  # the Marketplace says the model in the product's name only, and that is not there
    if label.region:
        line.region = f"{line.region or ''}/{label.region}"
    quantity = read_amount(record.get("line_item_usage_amount"), "line_item_usage_amount")
    if quantity is not None:
        line.quantity = quantity * _scale(text_at(record, "pricing_unit") or "", usage_type)


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
