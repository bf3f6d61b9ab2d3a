"""Charges class by class are the charges of the report; cells have the grain of the bill; rules are a table."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from callcost.jobs.engine.map_reduce import settle_logs, working_folder
from callcost.logs.bills.lines import DAY, BillLine
from callcost.prices.rates import Terms
from callcost.settings import PriceOptions, ReportOptions
from callcost.stages.analysis import bill_gap
from callcost.stages.dedup.resolve import settle_duplicates
from callcost.stages.pricing.charge_lines import charge_classes
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.reconcile import day_shifts, rules
from callcost.stages.reconcile.bill_tables import half_places
from callcost.stages.reconcile.cells import Cell, CellKey, Part
from callcost.stages.reconcile.grain import BillGrain, build_cells
from callcost.stages.reconcile.rates.alternative_prices import DISCOUNT, REGION, TIER, VERSION
from callcost.stages.reconcile.rates.price_hypotheses import UNIT
from callcost.stages.tables.facts import scan_facts
from tests.command import SAMPLES


def test_charges_by_class_add_up_to_the_cost_of_every_call() -> None:
    options = ReportOptions(logs=(str(SAMPLES),))
    with working_folder(None) as folder:
        settled = settle_logs(options, folder)
        facts = settle_duplicates(scan_facts(settled.tables("facts")).collect()).facts
        book = book_of(PriceOptions())
        priced = price_facts(facts, book).filter(pl.col("status") != "cache_hit")
        charges = charge_classes(priced, book)
    key = ["piece", "record", "line"]
    summed = charges.group_by(key).agg(pl.col("cost").sum(), quantity=pl.col("quantity").sum())
    both = priced.select(*key, "total_cost").join(summed, on=key, how="left")
    assert both.height > 50
    wrong = both.filter(pl.col("total_cost").fill_null(0) != pl.col("cost").fill_null(0))
    assert wrong.is_empty(), wrong


def _line(**more: object) -> BillLine:
    return BillLine(dialect="openai_costs", provider="openai", start_at=0, end_at=DAY, **more)  # type: ignore[arg-type]


def _slack(*lines: BillLine) -> dict[str, Decimal]:
    return half_places((line.dialect, line.amount) for line in lines)


def _part(model: str = "gpt-4o", token_class: str = "input", quantity: int = 10, cost: str | None = "0.1") -> Part:
    return Part(
        day=0, paid="openai", model=model, unit="text_input", token_class=token_class, quantity=Decimal(quantity),
        cost=None if cost is None else Decimal(cost), fx=Decimal(1), provider="openai", requested=None, terms=Terms(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ({"model": "gpt-4o", "token_class": "input"}, ("gpt-4o", "input")),
        ({"model": "gpt-4o"}, ("gpt-4o", None)),  # the bill tells no classes apart
        ({}, (None, None)),  # nor models
    ],
)
def test_our_charges_are_folded_to_the_grain_of_the_bill(
    line: dict[str, str], place: tuple[str | None, str | None]
) -> None:
    bill = _line(**line, amount=Decimal("0.1"))
    grain = BillGrain([bill], [("openai", "gpt-4o")])
    cells = build_cells([_part()], [bill], grain, _slack(bill))
    assert list(cells) == [CellKey(0, "openai", *place)]
    assert cells[CellKey(0, "openai", *place)].rest == 0


def test_a_class_that_the_bill_has_not_is_part_of_the_one_that_it_has() -> None:
    bill = _line(model="gpt-4o", token_class="input", amount=Decimal("0.2"))
    grain = BillGrain([bill], [("openai", "gpt-4o")])
    cells = build_cells([_part(), _part(token_class="audio_input")], [bill], grain, _slack(bill))
    assert [cell.rest for cell in cells.values()] == [0]


def test_a_name_without_a_snapshot_stands_for_any_of_them() -> None:
    names = ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06")
    dated = [_line(model=name, token_class="input", amount=Decimal(1)) for name in names]
    apart = BillGrain(dated, [("openai", "gpt-4o-2024-08-06")])
    together = BillGrain(dated, [("openai", "gpt-4o")])
    places = [apart.key(0, "openai", line.model, "input").model for line in dated]
    assert len(set(places)) == 2
    assert len({together.key(0, "openai", line.model, "input").model for line in dated}) == 1


def test_what_a_cell_finds_is_exactly_what_it_gives_away() -> None:
    cell = Cell(CellKey(0, "openai", "gpt-4o", "input"), ours=Decimal(3), cost=Decimal(1))
    cell.billed, cell.amount = Decimal(5), Decimal(2)
    cell.start()
    cell.settle("billed_not_logged", Decimal(2), cell.value(Decimal(2)), "")
    assert (cell.gap, cell.rest) == (Decimal(0), Decimal("0.333333333333333333"))
    assert sum(found.amount or 0 for found in cell.findings) + (cell.rest or 0) == Decimal(1)


def test_rounding_hides_half_a_place_and_no_more_than_a_cent() -> None:
    lines = [_line(amount=Decimal(text)) for text in ("1.500000", "0.25")]
    assert _slack(*lines) == {"openai_costs": Decimal("0.005")}
    assert _slack(*lines, _line(amount=Decimal("1.29e-05"))) == {"openai_costs": Decimal("0.00000005")}


def test_every_cause_has_a_rule_and_a_name() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path(rules.__file__).parent.glob("*.py"))
    found = set(re.findall(r'(?:settle|settle_vector|Finding)\((?:[a-z_]+, )?"([a-z_]+)"', text))
    found |= set(re.findall(r'cause = "([a-z_]+)" if .* else "([a-z_]+)"', text)[0])
    assert found | {UNIT, DISCOUNT, TIER, REGION, VERSION, day_shifts._CAUSE} == set(bill_gap.CAUSES)
    assert rules.RULES[-1] is rules.CALL_RULES[-1] is rules.settle_leftovers
