"""Rows of a bill in FOCUS from sums made by hand: what each cell is made of."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from callcost.settings import FOCUS_FORMATS
from callcost.stages.report.focus_rows import COLUMNS, focus_table, group_charges
from callcost.stages.tables.schemas import MONEY

V1_2, V1_4 = FOCUS_FORMATS
DAY, LAST = datetime(2025, 11, 30), datetime(2025, 12, 31)  # noqa: DTZ001 - as sums have them: UTC
GROUP: dict[str, Any] = {
    "day": DAY, "paid": "openai", "model": "gpt-4o", "unit": "text_input", "token_class": "input",
    "service_tier": None, "batch": False, "region": None, "price_version": "v1", "rate": Decimal("0.5"),
    "list_rate": Decimal("0.75"), "sub_account": None, "tags": None, "correction": False,
    "quantity": Decimal(4), "cost": Decimal(2), "list_cost": Decimal(3), "calls": 2,
}  # fmt: skip
TYPES: dict[str, Any] = {
    "day": pl.Datetime("us"), "rate": MONEY, "list_rate": MONEY, "quantity": MONEY, "cost": MONEY, "list_cost": MONEY,
    "batch": pl.Boolean, "correction": pl.Boolean, "calls": pl.Int64,
}  # fmt: skip


def _table(*groups: dict[str, Any], version: str = V1_4, **more: Any) -> list[dict[str, Any]]:
    schema: dict[str, Any] = {name: TYPES.get(name, pl.String()) for name in GROUP}
    return focus_table(pl.DataFrame([GROUP | group for group in groups], schema), version, **more).to_dicts()


def test_each_cell_of_a_row() -> None:
    (row,) = _table({})
    one = {"BilledCost": 2, "ContractedCost": 2, "EffectiveCost": 2, "PricingCurrencyEffectiveCost": 2, "ListCost": 3}
    price, listed = Decimal("0.5"), Decimal("0.75")
    prices = {
        "ContractedUnitPrice": price, "PricingCurrencyContractedUnitPrice": price, "ListUnitPrice": listed,
        "PricingCurrencyListUnitPrice": listed, "PricingQuantity": 4, "ConsumedQuantity": 4, "x_Calls": 2,
    }  # fmt: skip
    texts = {
        "BillingAccountId": "openai:unknown", "BillingCurrency": "USD", "BillingPeriodStart": "2025-11-01T00:00:00Z",
        "BillingPeriodEnd": "2025-12-01T00:00:00Z", "ChargeCategory": "Usage", "ChargeFrequency": "Usage-Based",
        "ChargeDescription": "gpt-4o, input tokens", "ChargePeriodStart": "2025-11-30T00:00:00Z",
        "ChargePeriodEnd": "2025-12-01T00:00:00Z", "ConsumedUnit": "Tokens", "HostProviderName": "OpenAI",
        "InvoiceIssuerName": "OpenAI", "PricingCategory": "Standard", "PricingCurrency": "USD",
        "PricingUnit": "Tokens", "ServiceCategory": "AI and Machine Learning", "ServiceName": "OpenAI API",
        "ServiceProviderName": "OpenAI", "ServiceSubcategory": "Generative AI", "SkuId": "openai/gpt-4o/text_input",
        "SkuMeter": "Input Tokens", "SkuPriceId": f"openai/gpt-4o/text_input/standard/any/{listed}000000000000000{'0'}",
        "x_PriceVersion": "v1",
    }  # fmt: skip
    assert json.loads(row.pop("SkuPriceDetails")) == {
        "x_Model": "gpt-4o", "x_TokenType": "input", "x_ServiceTier": "standard", "x_PriceVersion": "v1",
    }  # fmt: skip
    assert {name: value for name, value in row.items() if value is not None} == one | prices | texts


@pytest.mark.parametrize(
    ("change", "cells"),
    [
        ({"batch": True, "service_tier": "flex", "region": "eu"}, {"RegionId": "eu", "RegionName": "eu"}),
        ({"paid": "acme_ai"}, {"ServiceName": "Acme Ai API", "InvoiceIssuerName": "Acme Ai"}),
        ({"paid": "azure"}, {"ServiceName": "Microsoft Foundry", "InvoiceIssuerName": "Microsoft"}),
        ({"model": None}, {"SkuId": "openai/unknown/text_input"}),
        ({"unit": "maps_queries"}, {"ConsumedUnit": "Queries", "SkuMeter": "Maps Queries"}),
        ({"unit": "text_messages"}, {"ConsumedUnit": "Text Messages", "SkuMeter": "Text Messages"}),
        ({"unit": "odd"}, {"ConsumedUnit": "Units"}),
        ({"unit": "cache_write_1h"}, {"ConsumedUnit": "Tokens", "SkuMeter": "Cache Write 1h Tokens"}),
        ({"tags": '{"a":"b"}', "sub_account": "team"}, {"Tags": '{"a":"b"}', "SubAccountId": "team",
                                                       "SubAccountName": "team", "SubAccountType": "Team"}),
        ({"correction": True}, {"ChargeClass": "Correction", "BillingPeriodStart": "2025-11-01T00:00:00Z"}),
        ({"list_cost": Decimal(0)}, {"ListUnitPrice": Decimal(0)}),
    ],
)  # fmt: skip
def test_what_a_cell_depends_on(change: dict[str, Any], cells: dict[str, Any]) -> None:
    (row,) = _table(change, sub_account_type="Team", account="mine")
    assert {name: row[name] for name in cells} == cells
    assert row["BillingAccountId"] == "mine"
    tier = "batch" if change.get("batch") else "standard"
    assert f"/{tier}/{change.get('region', 'any')}/" in row["SkuPriceId"]
    assert json.loads(row["SkuPriceDetails"])["x_ServiceTier"] == tier
    assert row["SubAccountType"] == ("Team" if change.get("sub_account") else None)


def test_a_cost_that_no_price_gives_exactly_is_one_of_it_and_of_a_correction_none() -> None:
    third = {"quantity": Decimal(3), "cost": Decimal(1), "list_cost": Decimal(1)}
    (row,) = _table(third)
    assert (row["PricingQuantity"], row["ContractedUnitPrice"], row["ListUnitPrice"]) == (1, 1, 1)
    assert (row["ConsumedQuantity"], row["BilledCost"]) == (3, 1)
    (row,) = _table(third | {"correction": True})
    assert (row["PricingQuantity"], row["ContractedUnitPrice"], row["ListUnitPrice"]) == (None, None, None)
    assert (row["ConsumedQuantity"], row["BilledCost"], row["SkuPriceId"]) == (3, 1, None)
    for name in ("cost", "list_cost"):  # neither price alone would do
        (row,) = _table({"quantity": Decimal(3), "cost": Decimal(6), "list_cost": Decimal(6)} | {name: Decimal(1)})
        assert row["PricingQuantity"] == 1


def test_what_has_no_day_stands_on_the_last_and_corrections_in_the_last_month() -> None:
    undated, first, correction, last = _table(
        {"day": None, "model": "a"}, {"model": "b"}, {"model": "c", "correction": True}, {"model": "d", "day": LAST},
    )  # fmt: skip
    rows = {row["SkuId"].split("/")[1]: row for row in (undated, first, correction, last)}
    assert {name: (row["ChargePeriodStart"][:10], row["BillingPeriodStart"][:10], row["x_Undated"])
            for name, row in rows.items()} == {
        "a": ("2025-12-31", "2025-12-01", "true"), "b": ("2025-11-30", "2025-11-01", None),
        "c": ("2025-11-30", "2025-12-01", None), "d": ("2025-12-31", "2025-12-01", None),
    }  # fmt: skip
    assert rows["d"]["BillingPeriodEnd"] == "2026-01-01T00:00:00Z"
    assert _table({"day": None}) == []


def test_equal_rows_are_summed_and_corrections_that_cancel_out_are_left_out() -> None:
    (row,) = _table({}, {"quantity": Decimal(6), "cost": Decimal(3), "calls": 5})
    assert (row["ConsumedQuantity"], row["BilledCost"], row["x_Calls"]) == (10, 5, 7)
    back = {"correction": True, "quantity": Decimal(-4), "cost": Decimal(-2), "list_cost": Decimal(-3), "calls": -2}
    assert _table({"correction": True}, back, {"model": "o3"})[0]["SkuId"] == "openai/o3/text_input"
    assert len(_table({"correction": True}, back | {"cost": Decimal(-1)}, {"model": "o3"})) == 2
    assert len(_table({"correction": True}, back | {"quantity": Decimal(-1)}, {"model": "o3"})) == 2
    assert len(_table({"quantity": Decimal(0), "cost": Decimal(0)}, {"model": "o3"})) == 2


def test_columns_of_one_version_are_not_in_the_other() -> None:
    old, new = (set(_table({}, version=version)[0]) for version in (V1_2, V1_4))
    assert old - new == {"CommitmentDiscountStatus", "ProviderName", "PublisherName"}
    assert new - old == {"HostProviderName", "ServiceProviderName"}
    amounts = {column.name for column in COLUMNS if column.amount}
    assert {name for name, value in _table({})[0].items() if isinstance(value, Decimal)} <= amounts


def _charges(*rows: dict[str, Any]) -> pl.DataFrame:
    charge = {name: value for name, value in GROUP.items() if name not in {"day", "calls", "correction"}} | {
        "at": datetime(2025, 11, 30, 23), "piece": 0, "record": 0,  # noqa: DTZ001
    }  # fmt: skip
    kinds: dict[str, Any] = {name: TYPES.get(name, pl.String()) for name in charge} | {
        "at": pl.Datetime("us"), "piece": pl.Int64, "record": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame([charge | row for row in rows], kinds)


@pytest.mark.parametrize(("sign", "factor"), [(None, 1), (1, 1), (-1, -1)])
def test_charges_are_summed_and_what_is_taken_back_is_negative(sign: int | None, factor: int) -> None:
    left_out: list[dict[str, Any]] = [{"cost": None, "record": 7}, {"quantity": Decimal(0)}]
    (group,) = group_charges(_charges({}, {"record": 1}, {"piece": 1}, {"piece": 1}, *left_out), sign).to_dicts()
    assert (group["day"], group["correction"]) == (DAY, sign is not None)
    assert (group["quantity"], group["cost"], group["list_cost"], group["calls"]) == (
        16 * factor, 8 * factor, 12 * factor, 3 * factor,
    )  # fmt: skip
