"""A report as a bill in FOCUS: to the last digit what the report says, and read back as a bill without a difference."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.cli.terminal.summary import summary_lines
from callcost.errors import ConfigError
from callcost.jobs.reconcile import reconcile_costs
from callcost.jobs.report import SpendReport, report_spend
from callcost.jobs.state.close import close_day
from callcost.jobs.state.report import report_incremental
from callcost.settings import FOCUS_FORMATS, PriceOptions, ReconcileOptions, ReportOptions, StateOptions
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
    report_spend(ReportOptions(logs=(str(log),), out=str(tmp_path / "held"), calls=True, cost_source="logged"))
    with pytest.raises(ConfigError, match="logged"):
        report_spend(ReportOptions(logs=(str(tmp_path / "held"),), out=str(tmp_path), formats="focus-1.4"))


@pytest.mark.parametrize("kind", ["report", "state"])
def test_a_bill_of_what_was_published_is_that_of_its_logs(
    kind: str, samples: tuple[Path, SpendReport], tmp_path: Path
) -> None:
    held = ReportOptions(logs=(SAMPLES,), out=str(tmp_path / "report"))
    if kind == "report":
        report_spend(dataclasses.replace(held, calls=True))
    else:
        report_incremental(held, StateOptions(folder=str(tmp_path / "state")))
    options = ReportOptions(
        logs=(str(tmp_path / kind),), out=str(tmp_path), formats=(*FOCUS_FORMATS, "parquet"), sub_account="team"
    )
    report = report_spend(options)
    assert _sum(_rows(tmp_path, "focus-1.4"), "BilledCost") == report.spend["total_cost"].sum()
    for version in FOCUS_FORMATS:
        assert (tmp_path / f"{version}.csv").read_bytes() == (samples[0] / f"{version}.csv").read_bytes()


def _close(tmp_path: Path, first: list[dict[str, Any]], *days: date, **options: Any) -> tuple[ReportOptions, Path]:
    """Read records into a state, and close days of it."""
    log = write_lines(tmp_path / "logs" / "log.jsonl", first)
    asked = ReportOptions(logs=(str(log.parent),), out=str(tmp_path / "report"), **options)
    state = tmp_path / "state"
    report_incremental(asked, StateOptions(folder=str(state)))
    for day in days:
        close_day(day, asked, StateOptions(folder=str(state)))
    return asked, state


def _bill(state: Path, **options: Any) -> tuple[SpendReport, pl.DataFrame]:
    out = str(state.parent)
    report = report_spend(ReportOptions(logs=(str(state),), out=out, formats="focus-1.4", **options))
    return report, _rows(state.parent, "focus-1.4")


def test_what_changes_a_closed_day_is_a_correction(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    asked, state = _close(tmp_path, [_call(0), _call(1), _call(2)], date(2025, 11, 3))
    write_lines(tmp_path / "logs" / "late.jsonl", [_call(3), _later(_call(4))])
    own.write_text('[[discounts]]\nprovider = "openai"\npercent = 10\n', encoding="utf-8")
    dearer = dataclasses.replace(asked, prices=PriceOptions(override=str(own)))
    nightly = report_incremental(dearer, StateOptions(folder=str(state)))
    report, rows = _bill(state, prices=dearer.prices)
    is_new = pl.col("ChargeClass") == "Correction"
    usage, corrections = rows.filter(is_new.is_null()), rows.filter(is_new)
    assert _sum(usage, "BilledCost") == report.spend["total_cost"].sum() == nightly.spend["total_cost"].sum()
    moved = sum(Decimal(row["difference"]) for row in nightly.manifest["adjustments"])
    assert _sum(corrections, "BilledCost") == moved != 0
    assert set(corrections["ChargePeriodStart"]) == {"2025-11-03T00:00:00Z"}
    assert set(corrections["BillingPeriodStart"]) == {"2025-12-01T00:00:00Z"}
    assert _sum(corrections, "x_Calls") == 2  # of the late call, input and output
    result = reconcile_costs(
        ReconcileOptions(
            logs=asked.logs, bills=(str(tmp_path / "focus-1.4.csv"),), as_of=AS_OF, prices=dearer.prices,
        )
    )  # fmt: skip
    assert Decimal(result.manifest["bill"]["difference"]) == 0
    assert result.causes.filter(pl.col("against") == "bill").is_empty()
    commands = pytest.importorskip("focus_data_toolkit.cli")
    assert commands.main(["validate", str(tmp_path / "focus-1.4.csv")]) == 0


def test_adjustments_that_a_report_cannot_take_apart_are_counted(tmp_path: Path) -> None:
    asked, state = _close(tmp_path, [_call(0), _call(1)], date(2025, 11, 3))
    write_lines(tmp_path / "logs" / "late.jsonl", [_call(3)])
    nightly = report_incremental(asked, StateOptions(folder=str(state)))
    bill = ReportOptions(logs=(str(tmp_path / "report"),), out=str(tmp_path), formats="focus-1.4")
    report = report_spend(bill)
    assert report.manifest["focus"]["adjustments"] == len(nightly.manifest["adjustments"]) == 1
    assert "1 adjustment of closed days left out" in "\n".join(summary_lines(report.manifest, bill))


def test_a_closed_day_that_nothing_changes_needs_no_correction(tmp_path: Path) -> None:
    _, state = _close(tmp_path, [_call(0), _later(_call(1))], date(2025, 11, 3))
    report, rows = _bill(state)
    assert rows["ChargeClass"].null_count() == rows.height
    assert _sum(rows, "BilledCost") == report.spend["total_cost"].sum()


def _later(call: dict[str, Any]) -> dict[str, Any]:
    return call | {"timestamp": call["timestamp"].replace("2025-11", "2025-12")}
