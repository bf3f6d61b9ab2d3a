"""Costs by day: they add, however facts are cut, and a day's groups add up to it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost import Budget
from callcost.settings import ReportOptions
from callcost.stages.report import days
from callcost.stages.report.days import ALL, item_of_budget, merge_days, sum_days
from callcost.stages.tables.facts import facts_of
from tests.conftest import examples
from tests.stages.calls import DAY, make_call

OPTIONS = ReportOptions(logs="a", budget=[Budget(amount=1, group={"team": "a*", "model": "gpt-4o"}), Budget(amount=2)])
CALLS = st.fixed_dictionaries(
    {
        "started_at": st.none() | st.integers(0, 4 * DAY), "team": st.sampled_from(["a", "ab", "b", None]),
        "model": st.sampled_from(["gpt-4o", "o3"]), "user": st.sampled_from(["ana", "bo", None]),
        "cost": st.none() | st.decimals(0, 10**9, places=18),
    }
)  # fmt: skip
Row = dict[str, Any]


def _priced(rows: list[Row]) -> pl.DataFrame:
    calls = [make_call(n, **{name: row[name] for name in row if name != "cost"}) for n, row in enumerate(rows)]
    costs = pl.Series([row["cost"] for row in rows], dtype=pl.Decimal(38, 18))
    status = pl.Series(["unpriced" if row["cost"] is None else "priced" for row in rows], dtype=pl.String)
    return facts_of(calls, 0).with_columns(total_cost=costs, price_status=status)


def _total(table: pl.DataFrame, item: str) -> tuple[Decimal, int]:
    rows = table.filter(pl.col("item") == item)
    return sum(rows["cost"], Decimal(0)), int(rows["unpriced"].sum())


@examples(8, 100)
@given(rows=st.lists(CALLS, min_size=1, max_size=12), cut=st.integers(0, 12))
def test_they_add_however_facts_are_cut(rows: list[Row], cut: int) -> None:
    facts = _priced(rows)
    whole = merge_days([], more=[sum_days(facts, OPTIONS)])
    parts = [sum_days(part, OPTIONS) for part in (facts[cut:], facts[:cut])]
    assert merge_days([], more=parts).equals(whole)
    dated = [row for row in rows if row["started_at"] is not None]
    for item, wanted in {
        ALL: dated,
        item_of_budget(1): dated,
        item_of_budget(0): [row for row in dated if row["model"] == "gpt-4o" and (row["team"] or "").startswith("a")],
        "model": dated,
        "user": [row for row in dated if row["user"]],
    }.items():
        costs = [row["cost"] for row in wanted]
        expected = (sum((cost for cost in costs if cost is not None), Decimal(0)), costs.count(None))
        assert _total(whole, item) == expected, item


def test_what_is_not_before_the_moment_is_left_out() -> None:
    facts = _priced([{"started_at": n * DAY // 2, "cost": Decimal(1), "team": None} for n in range(6)])
    options = ReportOptions(logs="a", as_of="1970-01-02T12:00")
    assert _total(sum_days(facts, options), ALL) == (Decimal(3), 0)
    west = sum_days(facts, ReportOptions(logs="a", timezone="America/New_York"))
    assert west.filter(pl.col("item") == ALL).sort("day")["cost"].to_list() == [1, 2, 2, 1]


def test_very_many_values_are_merged_in_shares_and_the_dearest_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"started_at": 0, "user": f"u{n:03}", "cost": Decimal(n % 200), "team": None} for n in range(400)]
    path = tmp_path / "days-0.parquet"
    sum_days(_priced(rows), OPTIONS).write_parquet(path)
    found = merge_days([str(path)])
    monkeypatch.setattr(days, "_SHARE_ROWS", 150)
    assert merge_days([str(path)]).equals(found)
    kept = found.filter(pl.col("item") == "user")["value"].to_list()
    assert kept == [f"u{n:03}" for n in range(400) if n % 200 >= 150]
    first = found["day"][0]
    assert merge_days([str(path)], [first]).is_empty()
    assert merge_days([]).is_empty()
