"""A factor on one owner's tokens is found in amounts for the tokens of several, whoever says whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from callcost.logs.bills.lines import DAY
from callcost.stages.reconcile import rules
from callcost.stages.reconcile.cells import Cell, Share
from callcost.stages.reconcile.rates.lots import lots_of
from callcost.stages.reconcile.rates.owner_factors import owner_steps
from callcost.stages.reconcile.rates.price_steps import find_steps
from tests.stages.reconcile.by_hand import NO_BOOK, FakeEvidence, make_case, make_cell, make_line

RATES = {"input": Decimal(2), "cache_read": Decimal("0.2"), "output": Decimal(8)}
Tokens = Mapping[str, int]  # owner -> tokens
Factor = Callable[[str, str, int, str], Decimal]  # owner, class, day, model -> what the bill makes of a price


def _tokens(token_class: str, day: int, model: str) -> Tokens:
    """Night's part is another in every cell; of cached tokens it has none on some days."""
    seed = 31 * day + 7 * len(token_class) + 3 * len(model)
    night = 0 if token_class == "cache_read" and day % 3 == 0 else 100 + 37 * seed % 113
    return {"web": 200 + 53 * seed % 171, "night": night}


def _month(factor: Factor, *, counted: bool, days: int = 6, split: Callable[[str, int, str], Tokens] = _tokens) -> Any:
    """Amounts of two models that no owner has, and counts of each owner where the bill has some."""
    cells = []
    for day in range(days):
        for model in ("claude-haiku-4-5", "claude-sonnet-4-5"):
            for name, rate in RATES.items():
                tokens = split(name, day, model)
                whole = sum(tokens.values())
                cell = make_cell(name, day=day * DAY, model=model, ours=whole, cost=rate * whole)
                for owner, count in tokens.items() if counted else ():
                    cell.add_line(make_line(quantity=Decimal(count), owners={"api_key": owner}))
                amount = sum(rate * count * factor(owner, name, day, model) for owner, count in tokens.items())
                cell.add_line(make_line(amount=amount))
                cell.start()
                cells.append(cell)
    return cells


def _logged(cells: Iterable[Cell], split: Callable[[str, int, str], Tokens] = _tokens) -> FakeEvidence:
    """What the log says of the same calls by user."""
    costs = {
        cell.key: {f"user={owner}": Share("user", RATES[name] * count)
                   for owner, count in split(name, (cell.key.day or 0) // DAY, cell.key.model or "").items()}
        for cell in cells if (name := cell.key.token_class or "")
    }  # fmt: skip
    return FakeEvidence(costs=costs)


def _settle(cells: list[Cell], evidence: FakeEvidence | None = None) -> set[tuple[str, str]]:
    case = make_case(cells, evidence)
    for settle in (find_steps, rules.settle_implied, rules.settle_missing, rules.settle_rates, rules.settle_leftovers):
        settle(case)
    return {(found.cause, found.evidence) for cell in cells for found in cell.findings}


def _half_of_night(owner: str, *_: object) -> Decimal:
    return Decimal("0.5") if owner == "night" else Decimal(1)


NIGHT = {True: "api_key=night", False: "user=night"}  # as the bill's counts say, and as the log does


@pytest.mark.parametrize("counted", [True, False])
def test_one_owners_half_price_is_a_batch_of_that_owner(*, counted: bool) -> None:
    cells = _month(_half_of_night, counted=counted)
    assert _settle(cells, _logged(cells)) == {("tier_or_batch", f"half of every rate, as a batch of {NIGHT[counted]}")}
    for cell in cells:
        night = _tokens(cell.key.token_class, cell.key.day // DAY, cell.key.model)["night"]
        for found in cell.findings:
            cost = RATES[cell.key.token_class] * night
            assert (found.amount, found.base) == (-cost / 2, cost)
            assert [(owner, round(part, 18)) for owner, part in found.shares] == [(NIGHT[counted], -cost / 2)]


@pytest.mark.parametrize("counted", [True, False])
def test_so_it_is_below_what_is_off_everything_and_beside_a_models_new_price(*, counted: bool) -> None:
    def factor(owner: str, _: str, day: int, model: str) -> Decimal:
        cheaper = Decimal("0.8") if "haiku" in model and day >= 2 else 1
        return _half_of_night(owner) * Decimal("0.88") * cheaper

    cells = _month(factor, counted=counted)
    assert _settle(cells, _logged(cells)) == {
        ("tier_or_batch", f"half of every rate, as a batch of {NIGHT[counted]}"), ("discount", "every amount x 0.88"),
        ("price_version", "every amount of claude-haiku-4-5 since 1970-01-03 x 0.8: a discount or a change of prices"),
    }  # fmt: skip


def test_an_owners_factor_has_days() -> None:
    cells = _month(lambda owner, _, day, __: Decimal("0.75") if owner == "night" and day >= 3 else Decimal(1),
                   counted=True, days=9)  # fmt: skip
    assert _settle(cells) == {("discount", "every amount of api_key=night since 1970-01-04 x 0.75")}


def test_owners_of_whole_amounts_are_compared_with_others_of_the_day() -> None:
    """Cached tokens at twice their rate and half of that: night's look right by themselves."""
    cells = []
    for day in range(6):
        for name, rate in RATES.items():
            tokens = _tokens(name, day, "o3")
            whole = sum(tokens.values())
            cell = make_cell(name, day=day * DAY, model="o3", ours=whole, cost=rate * whole)
            for owner, count in tokens.items():
                amount = rate * count * _half_of_night(owner) * (2 if name == "cache_read" else 1)
                cell.add_line(make_line(quantity=Decimal(count), amount=amount, owners={"api_key": owner}))
            cell.start()
            cells.append(cell)
    assert _settle(cells) == {
        ("tier_or_batch", "half of every rate, as a batch of api_key=night"),
        ("tier_or_batch", "twice every rate, as priority of cache_read"),
    }


def test_a_workspaces_amounts_are_of_the_keys_that_it_counts() -> None:
    cell = make_cell(ours=60, cost=120)
    for key, workspace, count in (("a", "one", 10), ("b", "one", 20), ("c", "two", 30)):
        owners = {"api_key": key, "workspace": workspace}
        cell.add_line(make_line(quantity=Decimal(count), owners=owners))
    for workspace, amount in (("one", 60), ("two", 50)):
        cell.add_line(make_line(amount=Decimal(amount), owners={"workspace": workspace}))
    cell.start()
    found: Any = {lot.owner: (lot.quantity, {owner: share.part * 60 for owner, share in lot.shares.items()})
                  for lot in lots_of(cell, None, NO_BOOK)}  # fmt: skip
    assert found == {
        "workspace=one": (30, {"api_key=a workspace=one": 20, "api_key=b workspace=one": 40}),
        "workspace=two": (30, {"api_key=c workspace=two": 60}),
    }


def test_a_few_equal_calls_that_one_side_lacks_are_no_price_of_an_owner() -> None:
    """Writes to a cache are of one size: calls that the log lacks look like twice those of somebody."""

    def split(name: str, day: int, model: str) -> Tokens:
        return {"web": 300, "night": 100} if name == "cache_read" else _tokens(name, day, model)

    cells = _month(lambda *_: Decimal(1), counted=False, split=split)
    for cell in cells:
        more = 100 if cell.key.token_class == "cache_read" else 61
        cell.add_line(make_line(amount=RATES[cell.key.token_class] * more))
        cell.start()
    assert _settle(cells, _logged(cells, split)) == {("billed_not_logged", "counted from the amount")}


def test_amounts_that_rounding_hides_a_factor_in_are_not_read() -> None:
    cells = _month(_half_of_night, counted=True)
    for cell in cells:
        cell.lots, cell.slack = lots_of(cell, None, NO_BOOK), Decimal(50)
    assert owner_steps([lot for cell in cells for lot in cell.lots]) == []
