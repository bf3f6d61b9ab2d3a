"""Why a published day costs something else: a row per reason and price version, whose differences add up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from callcost.stages.report import adjustments
from callcost.stages.report.adjustments import ANY, COMPARED, MISSING, NEW, RECOUNTED, REPRICED, changes_of_day, cost_of

Row = tuple[str, int | None, str | None, str | None]  # id, prompt tokens, cost, price version


def _calls(*rows: Row) -> pl.LazyFrame:
    return pl.LazyFrame(
        [{"call_id": name, "prompt_tokens": tokens, "total_cost": cost and Decimal(cost), "price_version": version}
         for name, tokens, cost, version in rows], schema=COMPARED,
    )  # fmt: skip


def _changes(before: list[Row], now: list[Row]) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in changes_of_day(_calls(*before), _calls(*now))]


A, B, C = ("a", 1, "1", "v1"), ("b", 2, "2", "v1"), ("c", 3, "4", "v1")
CASES: dict[str, tuple[list[Row], list[Row], list[tuple[Any, ...]]]] = {
    "nothing": ([A, B], [B, A], []),
    "another version at the same price": ([A], [("a", 1, "1", "v2")], []),
    "new and gone": ([A, B], [B, C], [(MISSING, None, 1, "-1"), (NEW, None, 1, "4")]),
    "priced otherwise by versions": (
        [A, B, C], [("a", 1, "1.5", "v2"), ("b", 2, "1", "v2"), ("c", 3, "5", "v3")],
        [(REPRICED, "v2", 2, "-0.5"), (REPRICED, "v3", 1, "1")],
    ),
    "priced otherwise by the same version": (
        [A, B, C], [("a", 1, "3", "v1"), ("b", 2, "3", "v2"), ("c", 3, None, "v1")],
        [(REPRICED, "v2", 1, "1"), (REPRICED, None, 2, "-2")],
    ),
    "recounted, whatever it costs and whoever says so": (
        [A, B], [("a", 2, "1", "v1"), ("b", None, "7", "v2")], [(RECOUNTED, None, 2, "5")],
    ),
    "no price before": ([("a", 1, None, None)], [A], [(REPRICED, "v1", 1, "1")]),
    "calls that share an id": ([A, A, A], [A, A], [(MISSING, None, 1, "-1")]),
    "of those the cheaper is the first": (
        [A, ("a", 1, "2", "v1")], [("a", 1, "3", "v2"), ("a", 1, "2", "v1")],
        [(REPRICED, "v2", 1, "1"), (REPRICED, None, 1, "1")],
    ),
    "all of a day": ([], [A, B], [(NEW, None, 2, "3")]),
}  # fmt: skip


@pytest.mark.parametrize(("before", "now", "changes"), CASES.values(), ids=CASES)
def test_a_change_of_a_day_has_its_reason(before: list[Row], now: list[Row], changes: list[tuple[Any, ...]]) -> None:
    assert sorted(_changes(before, now), key=str) == sorted(changes, key=str)
    moved = cost_of(_calls(*now).collect()) - cost_of(_calls(*before).collect())
    assert sum(Decimal(row[3]) for row in changes) == moved


def test_of_very_many_calls_the_whole_difference_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adjustments, "MOST_COMPARED", 3)
    assert _changes([A], [B, C]) == [(MISSING, None, 1, "-1"), (NEW, None, 2, "6")]
    assert _changes([A, C], [B, C]) == [(ANY, None, 0, "1")]
    assert _changes([A], [A, B, C]) == [(ANY, None, 2, "6")]
