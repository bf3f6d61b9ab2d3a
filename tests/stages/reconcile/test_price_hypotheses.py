"""Other rates are named where they give every amount, and no number is taken for a discount by chance."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import pytest

from callcost.prices.book.book import Book, Resolution
from callcost.prices.book.cost_map import Entry, parse_entry
from callcost.prices.rates import Terms
from callcost.prices.tariffs import read_tariff
from callcost.stages.reconcile.cells import Cell, Part
from callcost.stages.reconcile.rates.alternative_prices import alternatives_of, stated_cost
from callcost.stages.reconcile.rates.price_hypotheses import (
    amounts_agree,
    settle_prices,
    settle_stated_rates,
)
from tests.stages.reconcile.by_hand import NO_BOOK, Number, causes, make_case, make_cell, make_part


def _settled(*cells: Cell) -> list[Any]:
    settle_prices(cells, NO_BOOK)
    return [causes(cell) for cell in cells]


def _pair(*amounts: Number, **more: Any) -> list[Cell]:
    """Input for $10 and output for $40, and what the bill asks for them."""
    costs = (("input", 10), ("output", 40))
    pairs = zip(costs, amounts, strict=True)
    return [make_cell(name, cost=cost, amount=amount, **more) for (name, cost), amount in pairs]


@pytest.mark.parametrize(
    ("factor", "cause"),
    [
        ("100", "unit_error"), ("0.01", "unit_error"), ("1000", "unit_error"), ("0.001", "unit_error"),
        ("1000000", "unit_error"), ("0.000001", "unit_error"), ("0.5", "tier_or_batch"), ("2", "tier_or_batch"),
        ("1.1", "region_uplift"), ("0.88", "discount"), ("0.831", "discount"), ("0.3", "discount"),
        ("0.0501", "discount"), ("0.05", None), ("0.04", None), ("1.2", None), ("10", None), ("3", None),
    ],
)  # fmt: skip
def test_a_factor_that_gives_every_amount_has_a_cause(factor: str, cause: str | None) -> None:
    moved = [10 * (Decimal(factor) - 1), 40 * (Decimal(factor) - 1)]
    found = _settled(*_pair(10 * Decimal(factor), 40 * Decimal(factor)))
    assert found == ([[(cause, 0, amount)] for amount in moved] if cause else [[], []])


def test_no_uplift_is_one_taken_off_again() -> None:
    cells = [make_cell(cost=11, amount=10), make_cell("output", cost=44, amount=40)]
    assert _settled(*cells) == [[("region_uplift", 0, -1)], [("region_uplift", 0, -4)]]
    assert cells[0].findings[0].evidence == "no uplift of 10 %"


@pytest.mark.parametrize(
    ("factor", "words"),
    [("0.5", "half of every rate, as a batch"), ("2", "twice every rate, as priority"), ("100", "amounts x 100"),
     ("0.01", "amounts x 0.01"), ("1.1", "an uplift of 10 %"), ("0.88", "every amount x 0.88")],
)  # fmt: skip
def test_the_evidence_of_a_factor_says_which(factor: str, words: str) -> None:
    (cell,) = [make_cell(cost=10, amount=10 * Decimal(factor))]
    _settled(cell)
    assert cell.findings[0].evidence == words


def test_one_amount_alone_is_a_discount_of_whole_percents_only() -> None:
    for factor, found in (("0.83", True), ("0.831", False), ("0.9999", False), ("0.830005", True), ("0.83001", False)):
        (causes_found,) = _settled(make_cell(cost=10, amount=10 * Decimal(factor)))
        assert bool(causes_found) == found, factor


def test_amounts_that_disagree_are_settled_one_by_one_but_never_as_a_discount() -> None:
    assert _settled(*_pair(20, 40)) == [[("tier_or_batch", 0, 10)], []]
    assert _settled(*_pair("8.3", 40)) == [[], []]
    assert _settled(*_pair("8.3", 20)) == [[], [("tier_or_batch", 0, -20)]]


def test_cells_that_agree_or_have_no_price_are_left_alone() -> None:
    assert _settled(*_pair(10, 40)) == [[], []]
    assert _settled(*_pair("10.5", 40, slack=Decimal(1))) == [[], []]
    assert _settled(make_cell(cost=10, amount="10.5", slack=Decimal(1))) == [[]]  # which is near an uplift, too
    near = make_cell(cost=10, amount="10.5", slack=Decimal(1)), make_cell("output", cost=40, amount=47)
    assert _settled(*near) == [[], []]
    assert _settled(make_cell(cost="0.5", amount="0.25")) == [[("tier_or_batch", 0, Decimal("-0.25"))]]
    assert _settled(make_cell(amount=5), make_cell("output", cost=40, amount=20)) == [
        [], [("tier_or_batch", 0, -20)],
    ]  # fmt: skip
    assert _settled(make_cell(cost=10)) == [[]]
    assert _settled(make_cell("web_search_requests", cost=10, amount=20)) == [[]]
    billed_none = make_cell(cost=10, amount=0)
    billed_none.settle("logged_not_billed", Decimal(0), Decimal(-10), "")
    assert len(_settled(billed_none)[0]) == 1
    assert _settled(make_cell(cost=0, amount=20)) == [[]]


def test_rounding_decides_whether_an_amount_is_given() -> None:
    assert _settled(*_pair("5.25", 20, slack=Decimal("0.25"))) == [
        [("tier_or_batch", 0, -5)], [("tier_or_batch", 0, -20)],
    ]  # fmt: skip
    assert _settled(*_pair("5.26", "19.75", slack=Decimal("0.25"))) == [[], [("tier_or_batch", 0, -20)]]


def test_tokens_that_are_explained_already_are_priced_as_the_bill_counts_them() -> None:
    """Half of the tokens were not billed, and the rest at twice the rate: the expected amount is 5, not 10."""
    cell = make_cell(ours=10, cost=10, billed=5, amount=10)
    cell.settle("logged_not_billed", Decimal(-5), Decimal(-5), "")
    assert _settled(cell)[0][1:] == [("tier_or_batch", 0, 5)]


def test_amounts_alone_agree_where_any_rates_give_them() -> None:
    assert amounts_agree(_pair(10, 40), NO_BOOK)
    assert amounts_agree(_pair(5, 20), NO_BOOK)
    assert not amounts_agree(_pair(5, 40), NO_BOOK)


# --- Alternatives of the price list -----------------------------------------------------------------------------------

RATES = {
    "input_cost_per_token": 2, "output_cost_per_token": 8, "input_cost_per_token_batches": 1.5,
    "output_cost_per_token_batches": 3, "input_cost_per_token_priority": 5, "output_cost_per_token_priority": 16,
    "input_cost_per_token_flex": 1.75, "output_cost_per_token_flex": 7, "litellm_provider": "openai", "mode": "chat",
    "provider_specific_entry": {"us": 1.25}, "regional_processing_uplift_multiplier_eu": 1.5,
    "regional_processing_uplift_multiplier_us": 1.75,
}  # fmt: skip
OLD = {"input_cost_per_token": 3, "output_cost_per_token": 9, "litellm_provider": "openai", "mode": "chat"}


def _entry(fields: Mapping[str, Any]) -> Entry:
    return parse_entry(json.dumps(fields).encode())


@dataclasses.dataclass(frozen=True)
class FakeVersion:
    effective_text: str
    name: str
    effective_from: int = 0


@dataclasses.dataclass(eq=False)
class FakeBook:
    """A price list of one model with one older version."""

    discount: tuple[tuple[str, Decimal], ...] = ()

    @property
    def catalog(self) -> FakeBook:
        return self

    def history(self, key: str) -> list[tuple[FakeVersion, Entry | None]]:
        dates = (("2025-01-01", OLD), ("2025-06-01", None), ("2025-07-01", RATES))
        return [(FakeVersion(day, f"v{day[5:7]}"), fields and _entry(fields)) for day, fields in dates]

    def resolve(self, model: str, provider: str | None, moment: int | None, **more: Any) -> Resolution:
        if model != "gpt-4.1":
            return Resolution()
        return Resolution(key="gpt-4.1", tariff=read_tariff(_entry(RATES)), discount=self.discount)


BOOK = cast("Book", FakeBook())


def _parts(**more: Any) -> list[Part]:
    return [
        make_part(quantity=Decimal(10), cost=Decimal(20), **more),
        make_part(unit="text_output", token_class="output", quantity=Decimal(5), cost=Decimal(40), **more),
    ]


def _cells(*amounts: int | str, **more: Any) -> list[Cell]:
    """10 tokens of input for $20 and 5 of output for $40."""
    return [
        make_cell(part.token_class, ours=part.quantity, cost=part.cost, billed=part.quantity, amount=amount,
                  parts=[part], **more)
        for part, amount in zip(_parts(), amounts, strict=True)
    ]  # fmt: skip


def _first(*cells: Cell) -> Any:
    return next(alternatives_of(cells, BOOK))


def test_every_tier_place_and_version_is_an_alternative_once() -> None:
    found: list[Any] = list(alternatives_of(_cells(1, 1), BOOK))
    assert found == [
        ("tier_or_batch", "batch", (15, 15)),
        ("tier_or_batch", "flex", (Decimal("17.5"), 35)),
        ("tier_or_batch", "priority", (50, 80)),
        ("region_uplift", "data residency in Europe", (30, 60)),
        ("region_uplift", "data residency in the United States", (35, 70)),
        ("region_uplift", "inference in the United States", (25, 50)),
        ("price_version", "prices as of 2025-01-01 (v01)", (30, 45)),
    ]


def test_a_place_may_have_been_left_out() -> None:
    cell = make_cell(ours=10, cost=25, parts=[_parts(terms=Terms(geo="us"))[0]._replace(cost=Decimal(25))])
    found: dict[str, Any] = {one.label: one.costs for one in alternatives_of([cell], BOOK)}
    assert found["no regional uplift"] == (20,)


def test_the_tiers_of_a_bill_are_tiers_whatever_the_log_says() -> None:
    cell = make_cell(ours=10, cost="17.5", parts=[_parts(terms=Terms(tier="flex"))[0]._replace(cost=Decimal("17.5"))])
    cell.tiers = {None: Decimal(6), "batch": Decimal(2)}
    assert _first(cell).costs == ((20 * 6 + 15 * 2) / Decimal(8),)
    cell.tiers = {None: Decimal(6)}
    assert _first(cell).label == "batch"


def test_the_tiers_that_a_bill_names_come_first_in_their_shares() -> None:
    tiers: dict[str | None, Decimal] = {None: Decimal(6), "Batch API": Decimal(2)}
    cells = _cells(1, 1)
    cells[0].tiers = tiers
    first = _first(*cells)
    assert (first.label, first.costs) == ("the tiers that the bill names", ((20 * 6 + 15 * 2) / Decimal(8), 40))
    cells[0].tiers = {None: Decimal(6)}
    assert _first(*cells).label == "batch"
    cells[0].tiers = {"standard": Decimal(6)}
    assert _first(*cells).label == "batch"  # it costs what it does
    cells[0].tiers = {"priority": Decimal(0)}
    assert _first(*cells).label == "batch"
    cells[0].tiers = {"unheard of": Decimal(1), "priority": Decimal(2)}
    assert _first(*cells).costs == (Decimal(40), 40)
    cells[0].tiers = {"flex": Decimal(1), "priority": Decimal(2)}
    assert _first(*cells).costs == (Decimal("39.166666666666666667"), 40)


def test_what_has_no_price_or_no_other_rate_costs_what_it_does() -> None:
    cells = _cells(1, 1)
    cells[0].parts += [
        make_part(model="unheard of", cost=Decimal(7)), make_part(cost=None),
        make_part(unit="maps_queries", token_class="maps_queries", cost=Decimal(3)),
    ]  # fmt: skip
    assert _first(*cells).costs == (15 + 7 + 3, 15)


def test_alternatives_are_in_the_currency_of_the_bill() -> None:
    cell = make_cell(ours=10, cost=16, amount=1, parts=[_parts(fx=Decimal("0.8"))[0]._replace(cost=Decimal(16))])
    assert _first(cell).costs == (12,)
    part = make_part(unit="text_input", quantity=Decimal("2.5"), cost=Decimal(5))
    assert _first(make_cell(cost=5, parts=[part])).costs == (Decimal("3.75"),)


@pytest.mark.parametrize(
    ("amounts", "steps"),
    [
        (("15", "15"), [("tier_or_batch", "batch")]),
        (("50", "80"), [("tier_or_batch", "priority")]),
        (("25", "50"), [("region_uplift", "inference in the United States")]),
        (("16.5", "16.5"), [("tier_or_batch", "batch"), ("region_uplift", "an uplift of 10 %")]),
        (("30", "45"), [("price_version", "prices as of 2025-01-01 (v01)")]),
        (("33", "49.5"), []),  # no older version has an uplift, too
        (("31", "46"), []),
    ],
)
def test_the_first_rates_that_give_all_are_named(amounts: tuple[str, str], steps: list[tuple[str, str]]) -> None:
    cells = _cells(*amounts)
    settle_prices(cells, BOOK)
    assert [(found.cause, found.evidence) for found in cells[0].findings] == steps
    assert all((cell.rest == 0) == bool(steps) for cell in cells)


def test_alternatives_are_for_the_tokens_that_the_bill_counts() -> None:
    cell = make_cell(ours=10, cost=20, billed=5, amount="7.5", parts=[_parts()[0]])
    cell.settle("logged_not_billed", Decimal(-5), Decimal(-10), "")
    settle_prices([cell], BOOK)
    assert causes(cell)[1:] == [("tier_or_batch", 0, Decimal("-2.5"))]
    assert cell.findings[1].evidence == "batch"


# --- Rates that a log states ------------------------------------------------------------------------------------------


def _call(amount: str, rates: Any = OLD, **more: Any) -> Any:
    text = json.dumps(rates) if rates is not None else None
    slack = more.pop("slack", Decimal(0))
    return make_cell(None, ours=15, cost=60, amount=amount, parts=_parts(stated_rates=text, **more), slack=slack)


def test_a_call_at_the_rates_of_its_log_is_another_version() -> None:
    cell = _call("75")
    settle_stated_rates(make_case([cell], book=BOOK))
    assert causes(cell) == [("price_version", 0, 15)]
    assert cell.findings[0].evidence == "the rates that the log states: text_input 3, text_output 9"
    unpriced = _call("75")
    unpriced.cost = None
    rounded = _call("60", slack=Decimal(20))
    for other in (_call("76"), _call("60"), _call("75", None), unpriced, rounded):
        settle_stated_rates(make_case([other], book=BOOK))
        assert not other.findings


def test_stated_rates_without_our_discount_are_a_discount() -> None:
    book = cast("Book", FakeBook(discount=(("mine", Decimal("0.75")),)))
    cell = _call("60", RATES)
    cell.cost, cell.rest = Decimal(45), Decimal(15)
    settle_stated_rates(make_case([cell], book=book))
    assert causes(cell) == [("discount", 0, 15)]
    found = stated_cost(_call("75"), book)
    assert found is not None
    assert found.plain == 75
    assert found.discounted == Decimal("56.25")


def test_stated_rates_are_for_the_case_of_the_call_and_leave_the_rest_as_it_is() -> None:
    batch = _call("30", RATES, terms=Terms(batch=True))
    settle_stated_rates(make_case([batch], book=BOOK))
    assert causes(batch) == [("price_version", 0, -30)]
    half = {"input_cost_per_token": 3, "litellm_provider": "openai", "mode": "chat"}
    found = stated_cost(_call("70", half), BOOK)
    assert found is not None
    assert found.plain >= 30
    mixed = _call("75")
    mixed.parts.insert(0, make_part(cost=Decimal(4)))
    mixed.parts.append(make_part(cost=None))
    priced = stated_cost(mixed, BOOK)
    assert priced is not None
    assert priced.plain == priced.discounted == 79
    assert stated_cost(make_cell(None, parts=_parts()), BOOK) is None
