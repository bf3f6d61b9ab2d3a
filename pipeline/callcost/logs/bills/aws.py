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

from callcost.logs.bills.labels import TOKEN_CLASSES, read_label
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

_REGION = re.compile(r"^(?P<region>[A-Z]{2,4}\d{0,2})-(?:MP:(?:[A-Z]{2,4}\d{0,2}_)?)?")
_BEDROCK = re.compile(r"bedrock", re.IGNORECASE)
_TOKENS = re.compile(r"token", re.IGNORECASE)
_EDITION = re.compile(r"\s*\((?:Amazon )?Bedrock Edition\)", re.IGNORECASE)
_SCALES = (
    (re.compile(r"^1k|1,?000 tokens|thousand", re.IGNORECASE), Decimal(1000)),
    (re.compile(r"^1m|million|^units?$", re.IGNORECASE), Decimal(1_000_000)),
)
# The line's type decides before its label does.
_KINDS = {
    "credit": CREDIT, "refund": CREDIT, "edpdiscount": CREDIT, "privateratediscount": CREDIT,
    "bundleddiscount": CREDIT, "discount": CREDIT, "tax": FEE, "fee": FEE, "rifee": FEE,
    "savingsplanrecurringfee": FEE, "savingsplanupfrontfee": FEE,
}  # fmt: skip


def read_line(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one line item; keys as in CUR 2.0, a legacy ``lineItem/UsageType`` is ``line_item_usage_type``."""
    usage_type = text_of(record.get("line_item_usage_type")) or ""
    region = _REGION.match(usage_type)
    line = BillLine(
        provider="bedrock",
        kind=_kind(record, usage_type),
        start_at=read_moment(record.get("line_item_usage_start_date"), "line_item_usage_start_date"),
        end_at=read_moment(record.get("line_item_usage_end_date"), "line_item_usage_end_date"),
        amount=read_amount(record.get("line_item_unblended_cost"), "line_item_unblended_cost"),
        currency=currency_of(record.get("line_item_currency_code")),
        account=text_of(record.get("line_item_usage_account_id")),
        line_item=usage_type or text_of(record.get("line_item_line_item_description")),
        region=region["region"] if region else None,
    )
    if line.kind == USAGE:
        _read_usage(line, record, _REGION.sub("", usage_type))
    yield line
    net = read_amount(record.get("line_item_net_unblended_cost"), "line_item_net_unblended_cost")
    if net is not None and line.amount is not None and net != line.amount and line.kind != OTHER:
        yield BillLine(
            provider="bedrock", kind=CREDIT, start_at=line.start_at, end_at=line.end_at, amount=net - line.amount,
            currency=line.currency, account=line.account, line_item="net of discounts", model=line.model,
            token_class=line.token_class, region=line.region,
        )  # fmt: skip


def _product(record: Mapping[str, Any]) -> str:
    """Return the product's name; CUR 2.0 keeps it in a map."""
    found = record.get("product")
    inner = found.get("product_name") if isinstance(found, Mapping) else None
    return text_of(record.get("product_product_name")) or text_of(inner) or ""


def _kind(record: Mapping[str, Any], usage_type: str) -> str:
    product = f"{record.get('line_item_product_code') or ''} {_product(record)}"
    if not _BEDROCK.search(product) and not (usage_type and ":" in usage_type and _TOKENS.search(usage_type)):
        return OTHER
    kind = str(record.get("line_item_line_item_type") or "Usage").lower()
    if kind.endswith("discount"):
        return CREDIT
    return _KINDS.get(kind, USAGE)


def _read_usage(line: BillLine, record: Mapping[str, Any], usage_type: str) -> None:
    product = _EDITION.sub("", _product(record))
    label = read_label(usage_type)
    named = label.model if "MP:" not in (line.line_item or "") else None
    if product and "amazon bedrock" not in product.lower():
        named = named or product
    if label.token_class is None:
        line.kind = UNMAPPED
        return
    line.model, line.token_class, line.tier = named, label.token_class, label.tier
    if line.token_class in TOKEN_CLASSES and named is None:
        line.kind = UNMAPPED  # the Marketplace says the model in the product's name only, and that is not there
    if label.region:
        line.region = f"{line.region or ''}/{label.region}"
    quantity = read_count(record.get("line_item_usage_amount"), "line_item_usage_amount")
    if quantity is not None:
        line.quantity = quantity * _scale(text_of(record.get("pricing_unit")) or "", usage_type)


def _scale(unit: str, usage_type: str) -> Decimal:
    found = next((scale for pattern, scale in _SCALES if pattern.search(unit)), None)
    if found is None and usage_type.lower().endswith("-units"):
        return Decimal(1_000_000)
    return found or (Decimal(1000) if not unit else Decimal(1))


DIALECTS = (
    BillDialect(
        name="aws_cur",
        rank=20,
        keys=keys_of("line_item_usage_start_date line_item_usage_type line_item_unblended_cost"),
        read=read_line,
        identity=("identity_line_item_id", "identity_time_interval"),
    ),
)
