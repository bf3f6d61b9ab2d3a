"""Charges as FOCUS, the open form of bills: one row per day, provider, model, unit, terms, rate and showback keys.

``COLUMNS`` is the table of both versions: each column's name, in which versions it is, what it is made of. FOCUS has no
column for tokens: they are quantities, the model and the class stand in the SKU and its details. A charge without a
price cannot be written truthfully and is left out. One without a day stands on the last day of all, flagged
``x_Undated``; where no call has a day, it is left out, too. What a day that is closed would cost now is corrected in
the last month: what its charges were is taken back, and what they are is charged.
https://focus.finops.org/focus-specification/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import polars as pl

from callcost.prices.units import TOKEN_UNITS, unit_of
from callcost.settings import FOCUS_FORMATS
from callcost.stages.tables.schemas import MONEY
from callcost.tables import EXACT

V1_2, V1_4 = FOCUS_FORMATS
# Who is paid, and the service: what `reconcile` reads back as the same provider.
_PROVIDERS = {
    "openai": ("OpenAI", "OpenAI API"), "anthropic": ("Anthropic", "Claude API"),
    "bedrock": ("Amazon Web Services", "Amazon Bedrock"), "azure": ("Microsoft", "Microsoft Foundry"),
    "google": ("Google Cloud", "Vertex AI"), "openrouter": ("OpenRouter", "OpenRouter API"),
}  # fmt: skip
_METERS = {
    "text_input": "Input Tokens", "audio_input": "Audio Input Tokens", "image_input": "Image Input Tokens",
    "video_input": "Video Input Tokens", "cache_read": "Cached Input Tokens",
    "cache_read_audio": "Cached Audio Input Tokens", "cache_read_image": "Cached Image Input Tokens",
    "cache_read_video": "Cached Video Input Tokens", "cache_write": "Cache Write Tokens",
    "cache_write_5m": "Cache Write 5m Tokens",
    "cache_write_1h": "Cache Write 1h Tokens", "text_output": "Output Tokens", "reasoning": "Reasoning Output Tokens",
    "audio_output": "Audio Output Tokens", "image_output": "Image Output Tokens",
    "video_output": "Video Output Tokens",
}  # fmt: skip
_PLURALS = {"query": "Queries"}
_KEYS = (
    "day", "paid", "model", "unit", "token_class", "service_tier", "batch", "region", "price_version", "rate",
    "list_rate", "sub_account", "tags", "correction",
)  # fmt: skip
_SUMS = ("quantity", "cost", "list_cost", "calls")


class Row(NamedTuple):
    """One row of a bill before it is written down; amounts in US dollars."""

    day: datetime
    billed: datetime
    paid: str
    model: str
    unit: str
    token_class: str
    tier: str
    region: str | None
    price_version: str | None
    account: str
    sub_account: str | None
    sub_account_type: str | None
    tags: str | None
    quantity: Decimal | None  # in the pricing unit: ``price`` times it is ``cost``, exactly; only corrections have none
    consumed: Decimal
    price: Decimal | None
    cost: Decimal
    list_price: Decimal | None
    list_cost: Decimal
    calls: int
    undated: bool
    correction: bool

    @property
    def names(self) -> tuple[str, str]:
        """Who is paid, and the service."""
        shown = self.paid.replace("_", " ").title()
        return _PROVIDERS.get(self.paid, (shown, f"{shown} API"))

    @property
    def meter(self) -> str:
        """What is metered, in words."""
        return _METERS.get(self.unit, self.unit.replace("_", " ").title())

    @property
    def unit_name(self) -> str:
        """A count unit of FOCUS: "Tokens", "Requests"."""
        found = unit_of(self.unit)
        measure = "token" if self.unit in TOKEN_UNITS or self.unit in _METERS else found[0].measure if found else "unit"
        return _PLURALS.get(measure, measure.replace("_", " ").title() + "s")

    @property
    def sku(self) -> str:
        """Names what is bought; it stays when its price changes."""
        return f"{self.paid}/{self.model}/{self.unit}"

    @property
    def sku_price(self) -> str | None:
        """Names the price; None: there is none."""
        price = None if self.list_price is None else f"{self.list_price:f}"
        return price and "/".join([self.sku, self.tier, self.region or "any", price])

    @property
    def details(self) -> str:
        """SkuPriceDetails: what FOCUS has no column for."""
        known = {
            "x_Model": self.model, "x_TokenType": self.token_class, "x_ServiceTier": self.tier,
            "x_PriceVersion": self.price_version,
        }  # fmt: skip
        return json.dumps({name: value for name, value in known.items() if value is not None}, ensure_ascii=False)


class Column(NamedTuple):
    """One column of FOCUS.

    Attributes:
        name: as FOCUS has it.
        value: of a row.
        only: the one version that has it; None: both.
        amount: whether it is a number, and not text.
    """

    name: str
    value: Callable[[Row], Any]
    only: str | None = None
    amount: bool = False


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _month(day: datetime, months: int = 0) -> datetime:
    first = day.replace(day=1)
    return first if not months else (first + timedelta(days=32)).replace(day=1)


COLUMNS = (
    Column("BilledCost", lambda row: row.cost, amount=True),
    Column("BillingAccountId", lambda row: row.account),
    Column("BillingAccountName", lambda _: None),
    Column("BillingCurrency", lambda _: "USD"),
    Column("BillingPeriodEnd", lambda row: _time(_month(row.billed, 1))),
    Column("BillingPeriodStart", lambda row: _time(_month(row.billed))),
    Column("ChargeCategory", lambda _: "Usage"),
    Column("ChargeClass", lambda row: "Correction" if row.correction else None),
    Column("ChargeDescription", lambda row: f"{row.model}, {row.meter.lower()}"),
    Column("ChargeFrequency", lambda _: "Usage-Based"),
    Column("ChargePeriodEnd", lambda row: _time(row.day + timedelta(days=1))),
    Column("ChargePeriodStart", lambda row: _time(row.day)),
    Column("CommitmentDiscountStatus", lambda _: None, V1_2),
    Column("ConsumedQuantity", lambda row: row.consumed, amount=True),
    Column("ConsumedUnit", lambda row: row.unit_name),
    Column("ContractedCost", lambda row: row.cost, amount=True),
    Column("ContractedUnitPrice", lambda row: row.price, amount=True),
    Column("EffectiveCost", lambda row: row.cost, amount=True),
    Column("HostProviderName", lambda row: row.names[0], V1_4),
    Column("InvoiceId", lambda _: None),
    Column("InvoiceIssuerName", lambda row: row.names[0]),
    Column("ListCost", lambda row: row.list_cost, amount=True),
    Column("ListUnitPrice", lambda row: row.list_price, amount=True),
    Column("PricingCategory", lambda _: "Standard"),
    Column("PricingCurrency", lambda _: "USD"),
    Column("PricingCurrencyContractedUnitPrice", lambda row: row.price, amount=True),
    Column("PricingCurrencyEffectiveCost", lambda row: row.cost, amount=True),
    Column("PricingCurrencyListUnitPrice", lambda row: row.list_price, amount=True),
    Column("PricingQuantity", lambda row: row.quantity, amount=True),
    Column("PricingUnit", lambda row: row.unit_name),
    Column("ProviderName", lambda row: row.names[0], V1_2),
    Column("PublisherName", lambda row: row.names[0], V1_2),
    Column("RegionId", lambda row: row.region),
    Column("RegionName", lambda row: row.region),
    Column("ServiceCategory", lambda _: "AI and Machine Learning"),
    Column("ServiceName", lambda row: row.names[1]),
    Column("ServiceProviderName", lambda row: row.names[0], V1_4),
    Column("ServiceSubcategory", lambda _: "Generative AI"),
    Column("SkuId", lambda row: row.sku),
    Column("SkuMeter", lambda row: row.meter),
    Column("SkuPriceDetails", lambda row: row.details),
    Column("SkuPriceId", lambda row: row.sku_price),
    Column("SubAccountId", lambda row: row.sub_account),
    Column("SubAccountName", lambda row: row.sub_account),
    Column("SubAccountType", lambda row: row.sub_account and row.sub_account_type),
    Column("Tags", lambda row: row.tags),
    Column("x_Calls", lambda row: Decimal(row.calls), amount=True),
    Column("x_PriceVersion", lambda row: row.price_version),
    Column("x_Undated", lambda row: "true" if row.undated else None),
)


def group_charges(charges: pl.DataFrame, sign: int | None = None) -> pl.DataFrame:
    """Sum charges to rows of a bill.

    Args:
        charges: columns of ``charge_lines.charge_classes``, with ``list_cost``, ``sub_account`` and ``tags`` (JSON).
        sign: None for usage; of a correction, -1 for what is taken back and 1 for what is charged.

    Returns:
        Keys of a row, ``quantity``, ``cost``, ``list_cost`` and ``calls``; those without a price are left out.
    """
    known = charges.filter(pl.col("cost").is_not_null(), pl.col("quantity") > 0)
    groups = (
        known.with_columns(day=pl.col("at").dt.truncate("1d"), correction=pl.lit(sign is not None))
        .group_by(_KEYS)
        .agg(pl.col("quantity", "cost", "list_cost").sum(), calls=pl.struct("piece", "record").n_unique())
        .cast({"calls": pl.Int64})
    )
    return groups.with_columns(-pl.col(_SUMS)) if sign == -1 else groups


def focus_table(
    groups: pl.DataFrame, version: str, *, account: str | None = None, sub_account_type: str | None = None
) -> pl.DataFrame:
    """Return the rows of a bill as FOCUS has them, sorted.

    Args:
        groups: as of ``group_charges``, summed over all files.
        version: one of settings.FOCUS_FORMATS.
        account: who is billed; None: not known.
        sub_account_type: what sub accounts are; None: there are none.
    """
    columns = [column for column in COLUMNS if column.only in {None, version}]
    merged = groups.group_by(_KEYS).agg(pl.col(_SUMS).sum())
    merged = merged.filter(~pl.col("correction") | (pl.col("quantity") != 0) | (pl.col("cost") != 0))
    last = merged["day"].max()
    rows = [
        _row(group, account, sub_account_type, last)
        for group in merged.sort(_KEYS, nulls_last=True).iter_rows(named=True)
        if isinstance(last, datetime)
    ]
    cells = {
        column.name: pl.Series(column.name, [column.value(row) for row in rows], MONEY if column.amount else pl.String)
        for column in columns
    }
    return pl.DataFrame(cells)


def _row(group: Mapping[str, Any], account: str | None, sub_account_type: str | None, last: datetime) -> Row:
    quantity, cost, list_cost = group["quantity"], group["cost"], group["list_cost"]
    price, list_price = _price(cost, quantity), _price(list_cost, quantity)
    if price is None or list_price is None:  # fractions, rounded charge by charge: no price times them is the cost
        one = (Decimal(1), cost, list_cost)
        quantity, price, list_price = (None, None, None) if group["correction"] else one
    day = group["day"] or last
    return Row(
        day=day.replace(tzinfo=UTC), billed=(last if group["correction"] else day).replace(tzinfo=UTC),
        correction=group["correction"], paid=group["paid"],
        model=group["model"] or "unknown", unit=group["unit"], token_class=group["token_class"],
        tier="batch" if group["batch"] else group["service_tier"] or "standard", region=group["region"],
        price_version=group["price_version"], account=account or f"{group['paid']}:unknown",
        sub_account=group["sub_account"], sub_account_type=sub_account_type, tags=group["tags"], quantity=quantity,
        consumed=group["quantity"], price=price, cost=cost, list_price=list_price, list_cost=list_cost,
        calls=group["calls"], undated=group["day"] is None,
    )  # fmt: skip


def _price(cost: Decimal, quantity: Decimal) -> Decimal | None:
    """Return the price of one, to 18 places; None: it is none that gives the cost exactly."""
    if not quantity:
        return None
    price = round(EXACT.divide(cost, quantity), 18)
    return price if EXACT.multiply(price, quantity) == cost else None
