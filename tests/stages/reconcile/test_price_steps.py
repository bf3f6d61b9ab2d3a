"""Steps between the bill's prices and ours are found over all cells, one on top of the other, each in its scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest

from callcost.logs.bills.lines import DAY
from callcost.stages.reconcile import rules
from callcost.stages.reconcile.cells import Cell, Lot, Move
from callcost.stages.reconcile.rates.price_steps import find_steps, settle_steps
from tests.stages.reconcile.by_hand import Number, make_case, make_cell, make_line

RATES = {"input": Decimal(2), "cache_read": Decimal("0.2"), "output": Decimal(8)}
MODELS = ("gpt-4.1", "o3")


def _cell(token_class: str, day: int, model: str, factor: Number, *, counted: bool = True, more: int = 0) -> Any:
    """So many tokens on each day of each model and class, and the amount of them and of ``more`` at a factor."""
    ours = 100 + 7 * day + len(token_class) + len(model)
    amount = RATES[token_class] * (ours + more) * Decimal(factor)
    billed = ours + more if counted else None
    return make_cell(token_class, day=day * DAY, model=model, ours=ours, cost=RATES[token_class] * ours, billed=billed,
                     amount=amount)  # fmt: skip


def _month(
    factor: Callable[[str, int, str], Number], days: int = 6, models: Iterable[str] = MODELS, **more: Any
) -> list[Any]:  # fmt: skip
    return [
        _cell(token_class, day, model, factor(token_class, day, model), **more)
        for day in range(days) for model in models for token_class in RATES
    ]  # fmt: skip


def _settle(cells: Iterable[Cell]) -> None:
    case = make_case(cells)
    for settle in (find_steps, rules.settle_implied, rules.settle_missing, rules.settle_rates):
        settle(case)


def _found(cells: Iterable[Cell]) -> list[list[tuple[str, str]]]:
    return [[(found.cause, found.evidence) for found in cell.findings] for cell in cells]


def test_a_factor_on_everything_is_a_discount() -> None:
    cells = _month(lambda *_: "0.88")
    _settle(cells)
    assert _found(cells) == [[("discount", "every amount x 0.88")]] * len(cells)
    assert {cell.rest for cell in cells} == {0}


def test_so_it_is_without_counts_and_with_tokens_that_the_logs_lack() -> None:
    cells = _month(lambda *_: "0.88", counted=False, more=31)
    _settle(cells)
    assert {cell.rest for cell in cells} == {0}
    assert {cell.findings[0].cause for cell in cells} == {"billed_not_logged"}
    assert {cell.findings[0].tokens for cell in cells} == {31}
    assert {cell.findings[1].evidence for cell in cells} == {"every amount x 0.88"}


def test_a_model_that_changes_its_price_is_named_with_the_day() -> None:
    cells = _month(lambda _, day, model: "0.8" if model == "o3" and day >= 2 else 1)
    _settle(cells)
    words = "every amount of o3 since 1970-01-03 x 0.8: a discount or a change of prices"
    for cell in cells:
        changed = cell.key.model == "o3" and cell.key.day >= 2 * DAY
        assert _found([cell]) == [[("price_version", words)] if changed else []]
    ended = _month(lambda _, day, model: "1.25" if model == "o3" and day < 4 else 1)
    _settle(ended)
    assert {words for found in _found(ended) for _, words in found} == {
        "every amount of o3 until 1970-01-04 x 1.25: a discount or a change of prices"
    }


def test_tokens_of_which_some_are_at_half_price_are_not_twice_as_many_at_half() -> None:
    cells = [
        make_cell(name, day=day * DAY, model="o3", ours=100 + 7 * day, cost=rate * (100 + 7 * day),
                  amount=rate * (100 + 7 * day - Decimal(20 + day) / 2))
        for day in range(9) for name, rate in RATES.items()
    ]  # fmt: skip
    _settle(cells)
    assert "tier_or_batch" not in {found.cause for cell in cells for found in cell.findings}


def test_a_price_moves_nothing_where_neither_side_states_tokens() -> None:
    cell = make_cell("input", day=0, model="o3", cost=None, amount=Decimal(99))
    moves = [Move("discount", "every amount x 0.88", Decimal("1.76"))]
    cell.lots = [Lot(cell, None, "", Decimal(99), None, None, Decimal(2), Decimal(2), Decimal("1.76"), None, moves)]
    cell.settle("billed_not_logged", Decimal(0), cell.rest, "no call in the logs")
    settle_steps(cell)
    assert [found.cause for found in cell.findings] == ["billed_not_logged"]


def test_a_factor_is_not_put_on_amounts_that_it_does_not_give() -> None:
    odd = ("0.51", "1.73", "0.62", "2.19", "0.77", "1.31")
    cells = _month(lambda name, day, model: "0.84" if model == "o3" else Decimal(odd[day]) + len(name))
    _settle(cells)
    words = "every amount of o3 x 0.84: a discount or a change of prices"
    assert _found(cells) == [[("discount", words)] if cell.key.model == "o3" else [] for cell in cells]


@pytest.mark.parametrize("since", [1, 3])  # the longer half of it may be the dearer or the cheaper one
def test_one_step_lies_on_another_and_what_is_off_everything_comes_last(since: int) -> None:
    cells = _month(lambda _, day, model: Decimal("0.9") * (Decimal("0.8") if model == "o3" and day >= since else 1))
    _settle(cells)
    assert {cell.rest for cell in cells} == {0}
    assert [cause for cause, _ in _found(cells)[-1]] == ["price_version", "discount"]
    assert [cause for cause, _ in _found(cells)[0]] == ["discount"]
    last = cells[-1]
    assert [found.amount for found in last.findings] == [last.cost * Decimal("-0.2"), last.cost * Decimal("-0.08")]


@pytest.mark.parametrize(("scope", "words"), [(("input",), "input"), (("cache_read",), "cache_read")])
def test_a_class_may_have_its_own_factor(scope: tuple[str, ...], words: str) -> None:
    cells = _month(lambda name, *_: "0.7" if name in scope else 1)
    _settle(cells)
    assert {text for found in _found(cells) for _, text in found} == {f"every amount of {words} x 0.7"}


def test_an_uplift_and_half_of_everything_have_their_names() -> None:
    for factor, cause in (("1.1", "region_uplift"), ("0.5", "tier_or_batch"), ("2", "tier_or_batch")):
        cells = _month(lambda *_, factor=factor: factor)
        _settle(cells)
        assert {one for found in _found(cells) for one, _ in found} == {cause}


def test_an_owner_whose_amounts_are_half_is_a_batch_of_that_owner() -> None:
    cells = []
    for cell in _month(lambda *_: 1):
        ours, cost = cell.ours, cell.cost
        key = cell.key
        whole = make_cell(key.token_class, day=key.day, model=key.model, ours=2 * ours, cost=2 * cost)
        for owner, factor in (("night", Decimal("0.5")), ("web", Decimal(1))):
            whole.add_line(make_line(quantity=ours, amount=cost * factor, owners={"api_key": owner}))
        whole.start()
        cells.append(whole)
    _settle(cells)
    assert _found(cells) == [[("tier_or_batch", "half of every rate, as a batch of api_key=night")]] * len(cells)
    assert {cell.rest for cell in cells} == {0}


def test_few_amounts_and_amounts_of_one_day_are_left_to_the_day() -> None:
    for cells in (
        _month(lambda _, day, model: "0.83" if (day, model) == (2, "o3") else 1),
        _month(lambda *_: "0.83", days=1, models=("o3",)),
        [_cell("input", 0, "o3", "0.831"), _cell("output", 1, "o3", "0.831")],
    ):
        find_steps(make_case(cells))
        assert not any(lot.moves for cell in cells for lot in cell.lots)


def test_amounts_that_no_factor_gives_move_nothing() -> None:
    cells = _month(lambda name, day, model: 1 + Decimal(7 * day + len(name) + len(model)) / 100)
    find_steps(make_case(cells))
    assert not any(lot.moves for cell in cells for lot in cell.lots)
    agreed = _month(lambda *_: 1)
    find_steps(make_case(agreed))
    assert not any(lot.moves for cell in agreed for lot in cell.lots)


def test_cells_that_are_explained_or_have_no_price_have_no_lots() -> None:
    known, unpriced = make_cell(ours=5, cost=1, amount=2), make_cell("output", amount=3)
    none = make_cell(day=DAY, ours=5)
    known.settle("unit_error", Decimal(0), Decimal(1), "")
    find_steps(make_case([known, unpriced, none]))
    assert (known.lots, unpriced.lots, none.lots) == ([], [], [])
