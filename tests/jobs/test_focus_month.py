"""A month of calls as a bill in FOCUS: what it comes to is the report's spend, and read back it differs by nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from callcost.jobs.reconcile import reconcile_costs
from callcost.jobs.report import report_spend
from callcost.settings import FOCUS_FORMATS, ReconcileOptions, ReportOptions
from tests.jobs.bill_maker import make_calls, write_log


@pytest.mark.parametrize("version", FOCUS_FORMATS)
def test_a_month_read_back_as_its_bill_differs_by_nothing(tmp_path: Path, version: str) -> None:
    calls = make_calls(count=420, days=28)
    log = write_log(tmp_path / "logs", calls)
    report = report_spend(ReportOptions(logs=(str(log),), out=str(tmp_path), formats=version))
    rows = pl.read_csv(tmp_path / f"{version}.csv", infer_schema=False)
    spend = report.spend["total_cost"].sum()
    assert sum(map(Decimal, rows["BilledCost"]), Decimal(0)) == spend
    assert rows["ChargePeriodStart"].n_unique() == 28
    tokens = sum(map(Decimal, rows.filter(pl.col("ConsumedUnit") == "Tokens")["ConsumedQuantity"]), Decimal(0))
    assert tokens == sum(sum(call.total.values()) for call in calls)
    bill = str(tmp_path / f"{version}.csv")
    as_of = datetime(2026, 6, 1, tzinfo=UTC)
    result = reconcile_costs(ReconcileOptions(logs=(str(log),), bills=(bill,), as_of=as_of))
    assert result.causes.filter(pl.col("against") == "bill").is_empty()
    totals = result.manifest["bill"]
    assert (totals["difference"], totals["unmapped"]) == ("0", [])
    assert Decimal(totals["stated"]) == spend
