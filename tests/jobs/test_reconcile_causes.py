"""Each cause is found where it was put, and only there: bills from known calls, with faults one by one and at once."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from callcost.jobs.reconcile import Reconciliation, reconcile_costs
from callcost.settings import ReconcileOptions
from tests.jobs.bill_faults import FAULTS, World, make_world, write_world
from tests.jobs.bill_maker import make_bill

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
ENOUGH = Decimal("0.99")


def _reconcile(folder: Path, world: World, *, with_usage: bool = True) -> Reconciliation:
    log, bill = write_world(folder, world, with_usage=with_usage)
    return reconcile_costs(ReconcileOptions(logs=(str(log),), bills=(str(bill),), as_of=AS_OF))


def _found(result: Reconciliation) -> dict[str, Decimal]:
    """Return cause -> money that it moves, signs apart."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for cause, amount in result.causes.select("cause", "amount").iter_rows():
        found[cause] += abs(amount)
    return dict(found)


def _assert_adds_up(result: Reconciliation) -> None:
    place = ["against", "day", "provider", "model", "token_class", "line_item"]
    sums: dict[tuple[object, ...], Decimal] = defaultdict(Decimal)
    for row in result.causes.iter_rows(named=True):
        sums[tuple(row[name] for name in place)] += row["amount"]
    for row in result.rows.iter_rows(named=True):
        assert sums.pop(tuple(row[name] for name in place), Decimal(0)) == row["difference"], row
    assert not sums


def test_a_bill_of_the_logged_calls_differs_by_nothing(tmp_path: Path) -> None:
    result = _reconcile(tmp_path, make_world())
    assert result.causes.height == 0
    assert set(result.rows["difference"]) == {Decimal(0)}
    assert result.manifest["bill"]["stated"] == f"{make_world().bill.total.normalize():f}"


def test_so_does_a_bill_without_counts(tmp_path: Path) -> None:
    result = _reconcile(tmp_path, make_world(), with_usage=False)
    assert result.causes.height == 0
    assert set(result.rows["difference"]) == {Decimal(0)}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_alone_is_its_cause(tmp_path: Path, name: str) -> None:
    world = make_world()
    FAULTS[name](world)
    result = _reconcile(tmp_path, world)
    _assert_adds_up(result)
    found = _found(result)
    for cause, amount in world.injected.items():
        assert found.get(cause, 0) >= ENOUGH * amount, (cause, found, world.injected)
    astray = sum(found.values()) - sum(found.get(cause, Decimal(0)) for cause in world.injected)
    assert astray <= (1 - ENOUGH) * sum(world.injected.values()), (found, world.injected)


def test_all_faults_at_once_are_all_found(tmp_path: Path) -> None:
    world = make_world()
    for fault in FAULTS.values():
        fault(world)
    result = _reconcile(tmp_path, world)
    _assert_adds_up(result)
    found = _found(result)
    for cause, amount in world.injected.items():
        if cause != "rounding":  # what hides in amounts that are also something else belongs to that
            assert ENOUGH * amount <= found.get(cause, 0) <= amount / ENOUGH, (cause, found, world.injected)
    assert 0 < found["rounding"] <= world.injected["rounding"]


@pytest.mark.parametrize(
    "name",
    [
        "lose_calls", "forgive_calls", "ask_batch", "ask_batch_by_tier", "ask_old_prices", "grant_discount",
        "search_more", "ask_input_for_cache",
    ],
)  # fmt: skip
def test_amounts_alone_tell_these(tmp_path: Path, name: str) -> None:
    world = make_world()
    FAULTS[name](world)
    result = _reconcile(tmp_path, world, with_usage=False)
    _assert_adds_up(result)
    found = _found(result)
    for cause, amount in world.injected.items():
        assert found.get(cause, 0) >= ENOUGH * amount, (cause, found, world.injected)


@pytest.mark.parametrize("hours", [-8, 5.5])
def test_days_cut_in_another_zone_are_a_day_shift(tmp_path: Path, hours: float) -> None:
    world = make_world()
    shifted = make_world()
    for call in shifted.calls:
        call.at += timedelta(hours=hours)
    world.bill = make_bill(shifted.calls)
    result = _reconcile(tmp_path, world)
    _assert_adds_up(result)
    found = _found(result)
    assert found["day_shift"] > ENOUGH * sum(found.values())
