"""A stated cost that is ours but for the noise of floats is no difference, and no such call is looked at by itself."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.jobs.reconcile import Reconciliation, reconcile_costs
from callcost.settings import ReconcileOptions
from callcost.stages.reconcile import per_call as pairs
from callcost.stages.reconcile.per_call import costs_agree, without_noise

IN, OUT = Decimal("0.000002"), Decimal("0.000008")  # gpt-4.1, US dollars a token
MONEY = pl.Decimal(38, 18)


def _cost(number: int) -> Decimal:
    return (1_000 + number) * IN + (100 + number) * OUT


def _log(path: Path, stated: list[Decimal]) -> Path:
    rows = [
        {
            "timestamp": f"2025-11-{1 + number % 28:02}T10:00:00Z", "provider": "openai", "model": "gpt-4.1",
            "id": f"gen-{number}", "messages": [], "cost": 0,
            "usage": {"prompt_tokens": 1_000 + number, "completion_tokens": 100 + number},
        }
        for number in range(len(stated))
    ]  # fmt: skip
    lines = (json.dumps(row).replace('"cost": 0', f'"cost": {cost:f}') for row, cost in zip(rows, stated, strict=True))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _reconcile(log: Path) -> Reconciliation:
    return reconcile_costs(ReconcileOptions(logs=(str(log),)))


def test_float_noise_is_no_difference_and_goes_by_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[Any] = []
    one_by_one = pairs._cell

    def counted(row: dict[str, Any], *more: Any) -> Any:
        looked_at.append(row)
        return one_by_one(row, *more)

    monkeypatch.setattr(pairs, "_cell", counted)
    noise = Decimal("1e-13")
    stated = [_cost(number) + noise * (1 if number % 3 else -2) for number in range(600)]
    stated[7] += Decimal("0.0123")

    result = _reconcile(_log(tmp_path / "log.jsonl", stated))

    assert len(looked_at) == 1
    rows = result.rows
    assert rows.select(pl.col("difference").sum()).item() == stated[7] - _cost(7)
    assert rows.filter(pl.col("difference") != 0).height == 1
    assert result.causes["amount"].sum() == rows["difference"].sum()
    assert rows.filter(pl.col("difference") != pl.col("explained") + pl.col("unexplained")).is_empty()
    noise_found = result.manifest["float_noise"]
    assert noise_found["calls"] == 599
    assert sum(rows["logged_cost"].to_list(), Decimal(noise_found["amount"])) == sum(stated)


def test_what_is_more_than_noise_is_a_difference(tmp_path: Path) -> None:
    result = _reconcile(_log(tmp_path / "log.jsonl", [_cost(0) * (1 + Decimal("2e-9"))]))
    assert result.rows["difference"].to_list() == [_cost(0) * Decimal("2e-9")]
    assert result.manifest["float_noise"] == {"calls": 0, "amount": "0"}


AMOUNTS = st.one_of(
    st.integers(0, 10**12).map(lambda number: Decimal(number).scaleb(-18)),
    st.integers(0, 10**29).map(lambda number: Decimal(number).scaleb(-18)),
)


@given(
    AMOUNTS, st.one_of(st.integers(-3, 3).map(lambda step: ("near", step)), AMOUNTS.map(lambda other: ("any", other)))
)
def test_the_limit_is_a_billionth_exactly(ours: Decimal, drawn: tuple[str, Any]) -> None:
    kind, value = drawn
    edge = int(ours.scaleb(18)) // 10**9
    stated = ours + Decimal(edge + value).scaleb(-18) if kind == "near" else value
    table = pl.DataFrame({"computed": [ours], "stated": [stated]}, schema={"computed": MONEY, "stated": MONEY})

    same = abs(stated - ours) * 10**9 <= ours
    settled, calls, amount = without_noise(table)

    assert table.select(costs_agree()).item() == same
    assert settled["stated"][0] == (ours if same else stated)
    assert (calls, amount) == ((1, stated - ours) if same and stated != ours else (0, 0))
