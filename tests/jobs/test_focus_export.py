"""A report as a bill in FOCUS: to the last digit what the report says, and read back as a bill without a difference."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.errors import ConfigError
from callcost.jobs.reconcile import reconcile_costs
from callcost.jobs.report import SpendReport, report_spend
from callcost.settings import FOCUS_FORMATS, PriceOptions, ReconcileOptions, ReportOptions
from tests.command import ROOT, write_lines

SAMPLES = str(ROOT / "sample_logs")
AS_OF = datetime(2027, 1, 1, tzinfo=UTC)


def _rows(folder: Path, version: str) -> pl.DataFrame:
    return pl.read_csv(folder / f"{version}.csv", infer_schema=False)


def _sum(rows: pl.DataFrame, column: str) -> Decimal:
    return sum(map(Decimal, rows[column]), Decimal(0))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SpendReport]:
    """The samples as bills of both versions."""
    out = tmp_path_factory.mktemp("focus")
    formats = (*FOCUS_FORMATS, "parquet")
    return out, report_spend(ReportOptions(logs=(SAMPLES,), out=str(out), formats=formats, sub_account="team"))


@pytest.mark.parametrize("version", FOCUS_FORMATS)
def test_a_bill_comes_to_what_the_report_says(samples: tuple[Path, SpendReport], version: str) -> None:
    out, report = samples
    rows = _rows(out, version)
    assert _sum(rows, "BilledCost") == report.spend["total_cost"].sum()
    for price, cost in (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")):
        assert all(
            Decimal(one) * Decimal(quantity) == Decimal(whole)
            for one, quantity, whole in rows.select(price, "PricingQuantity", cost).iter_rows()
        )
    assert rows.columns == sorted((name for name in rows.columns if name[:2] != "x_"), key=str) + [
        name for name in rows.columns if name[:2] == "x_"
    ]
    assert rows["SubAccountId"].null_count() == rows["SubAccountType"].null_count()
    parquet = pl.read_parquet(out / f"{version}.parquet")
    assert parquet["BilledCost"].sum() == report.spend["total_cost"].sum()


def test_tokens_of_a_bill_are_those_of_priced_calls(samples: tuple[Path, SpendReport]) -> None:
    out, report = samples
    rows = _rows(out, "focus-1.4").filter(pl.col("ConsumedUnit") == "Tokens")
    assert 0 < _sum(rows, "ConsumedQuantity") <= report.spend["total_tokens"].sum()
    assert report.manifest["focus"]["unpriced_calls"] <= report.manifest["price_status"]["unpriced"]


@pytest.mark.parametrize("name", ["focus-1.2.csv", "focus-1.4.parquet"])
def test_a_bill_read_back_differs_by_nothing(samples: tuple[Path, SpendReport], name: str) -> None:
    out, report = samples
    result = reconcile_costs(ReconcileOptions(logs=(SAMPLES,), bills=(str(out / name),), as_of=AS_OF))
    bill = result.manifest["bill"]
    assert result.causes.filter(pl.col("against") == "bill").is_empty()
    assert Decimal(bill["difference"]) == 0
    assert bill["unmapped"] == []
    assert Decimal(bill["stated"]) == report.spend["total_cost"].sum()


def test_a_bill_is_one_to_who_checks_them(samples: tuple[Path, SpendReport]) -> None:
    commands = pytest.importorskip("focus_data_toolkit.cli")
    assert commands.main(["validate", str(samples[0] / "focus-1.4.csv")]) == 0


def _call(number: int, **more: Any) -> dict[str, Any]:
    return {
        "timestamp": f"2025-11-03T1{number}:00:00Z", "provider": "openai", "user": f"user {number}",
        "request": {"model": "gpt-4o-2024-11-20", "messages": [{"role": "user", "content": "hello"}]},
        "response": {
            "id": f"chatcmpl-{number}", "object": "chat.completion", "model": "gpt-4o-2024-11-20",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100},
        }, **more,
    }  # fmt: skip


def test_a_discount_stands_between_the_list_price_and_what_is_paid(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_call(0), _call(1)])
    own = tmp_path / "own.toml"
    own.write_text('[[discounts]]\nprovider = "openai"\npercent = 10\n', encoding="utf-8")
    options = ReportOptions(
        logs=(str(log),), out=str(tmp_path), formats="focus-1.4", prices=PriceOptions(override=str(own)),
        billing_account="acme", sub_account="user",
    )  # fmt: skip
    report_spend(options)
    rows = _rows(tmp_path, "focus-1.4")
    assert (_sum(rows, "ListCost"), _sum(rows, "BilledCost")) == (Decimal("0.007"), Decimal("0.0063"))
    assert set(rows["BillingAccountId"]) == {"acme"}
    assert set(rows["SubAccountId"]) == {"user 0", "user 1"}
    assert json.loads(rows["Tags"][0]) == {"user": rows["SubAccountId"][0]}
    assert set(rows["BillingPeriodEnd"]) == {"2025-12-01T00:00:00Z"}


def test_what_cannot_be_on_a_bill_is_said(tmp_path: Path) -> None:
    strange = _call(2) | {"request": {"model": "no-such-9", "messages": []}}
    strange["response"] = strange["response"] | {"model": "no-such-9"}
    log = write_lines(tmp_path / "log.jsonl", [_call(0), strange])
    report = report_spend(ReportOptions(logs=(str(log),), out=str(tmp_path), formats="focus-1.2"))
    assert report.manifest["focus"] == {"rows": 2, "undated_calls": 0, "unpriced_calls": 1}


def test_a_bill_is_made_of_computed_costs_of_logs(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_call(0)])
    with pytest.raises(ConfigError, match="computed"):
        report_spend(ReportOptions(logs=(str(log),), out=str(tmp_path), formats="focus-1.4", cost_source="logged"))
    with pytest.raises(ConfigError, match="--sub-account"):
        report_spend(ReportOptions(logs=(str(log),), sub_account="team"))
    report_spend(ReportOptions(logs=(str(log),), out=str(tmp_path / "held"), calls=True))
    with pytest.raises(ConfigError, match="not with a report"):
        report_spend(ReportOptions(logs=(str(tmp_path / "held"),), out=str(tmp_path), formats="focus-1.4"))
