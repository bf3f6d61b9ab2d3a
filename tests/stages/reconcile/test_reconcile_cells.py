"""A cell's figures, what its differences are worth, and which cell a charge belongs to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from callcost.logs.bills.lines import DAY, Kind
from callcost.prices.charges import quantized
from callcost.stages.pricing.exchange_rates import converted
from callcost.stages.reconcile.bill_tables import half_places
from callcost.stages.reconcile.cells import Cell, CellKey, settle_vector, share
from callcost.stages.reconcile.grain import BillGrain, build_cells, group_cells, names_by_price
from tests.stages.reconcile.by_hand import causes, make_cell, make_line, make_part, vector

NOTHING = Decimal(0)
OPENAI = [("openai", "gpt-4.1")]


def test_a_cell_starts_with_the_differences_of_both_sides() -> None:
    cell = make_cell(ours=3, cost="0.25", billed=5, amount=2)
    assert (cell.gap, cell.rest, cell.expected) == (2, Decimal("1.75"), Decimal("0.25"))
    assert make_cell(ours=3, cost=1).gap is None
    nothing = make_cell(ours=3, cost=1)
    assert (nothing.rest, nothing.expected, nothing.slack, nothing.is_open) == (None, 0, 0, False)
    assert make_cell(amount=2).rest == 2


def test_rounding_hides_float_noise_and_one_last_place_a_charge() -> None:
    cell = make_cell(amount=-5, parts=[make_part(), make_part()], slack=Decimal("0.5"))
    assert cell.slack == Decimal("0.5") + Decimal("5e-12") + Decimal("3e-18")


@pytest.mark.parametrize(("off", "is_open"), [("1e-7", True), ("2e-12", True), ("0.9e-12", False), ("-2e-12", True)])
def test_more_than_the_noise_of_floats_is_a_difference(off: str, is_open: bool) -> None:
    cost = Decimal(1000)
    assert make_cell(cost=cost, amount=cost + cost * Decimal(off)).is_open == is_open


def test_what_is_just_the_slack_is_no_difference() -> None:
    cell = make_cell(cost=1, amount=2)
    cell.slack = Decimal(1)
    assert not cell.is_open
    assert cell.is_off_by(Decimal(2))
    assert cell.is_off_by(NOTHING)
    assert not cell.is_off_by(Decimal("-0.01"))
    cell.slack = Decimal("0.99")
    assert cell.is_open
    assert not make_cell(cost=1).is_off_by(NOTHING)


def test_a_finding_takes_what_it_names_and_no_more() -> None:
    cell = make_cell(ours=3, cost=1, billed=5, amount=2)
    cell.settle("cache", Decimal(2), Decimal("0.3333333333333333333333"), "why")
    assert (cell.gap, cell.rest) == (0, Decimal("0.666666666666666667"))
    assert cell.findings[0][:4] == ("cache", 2, Decimal("0.333333333333333333"), "why")
    cell.settle("cache", NOTHING, NOTHING, "nothing")
    cell.settle("cache", NOTHING, None, "nothing")
    assert len(cell.findings) == 1
    cell.settle("cache", NOTHING, Decimal(1), "money only")
    cell.settle("cache", Decimal(1), NOTHING, "tokens only")
    assert len(cell.findings) == 3
    uncounted = make_cell(cost=1, amount=2)
    uncounted.settle("cache", Decimal(1), Decimal(1), "why")
    assert (uncounted.gap, uncounted.rest) == (None, 0)
    counted = make_cell(ours=3, billed=5)
    counted.settle("cache", Decimal(2), Decimal(7), "no amount on the bill")
    assert causes(counted) == [("cache", 2, None)]


@pytest.mark.parametrize(
    ("cell", "tokens", "worth"),
    [
        ({"ours": 10, "cost": 3, "billed": 13, "amount": 5}, 3, "0.9"),
        ({"ours": 10, "cost": 3, "billed": 0, "amount": 5}, -10, "-3"),  # all of it
        ({"ours": 10, "cost": 3, "billed": 12, "amount": 5, "unpriced": Decimal(4)}, 2, "1"),
        ({"ours": 4, "cost": 0, "billed": 12, "amount": 5, "unpriced": Decimal(4)}, 4, "1.666666666666666667"),
        ({"billed": 12, "amount": 5}, 12, "5"),  # the whole gap is the whole rest
        ({"billed": 12, "amount": 5}, 3, "1.25"),  # at the bill's rate
        ({"ours": 2, "unpriced": Decimal(2), "billed": 12, "amount": 5}, 10, "5"),
        ({"amount": 5}, 3, "5"),
        ({"billed": 0, "amount": 5}, 3, "5"),
        ({"billed": 12}, 3, None),
        ({"ours": 1, "cost": 2, "billed": 3}, 2, "4"),  # at our rate, though the bill states no amount
    ],
)
def test_tokens_are_worth_our_rate_else_the_bills(cell: dict[str, Any], tokens: int, worth: str | None) -> None:
    assert make_cell(**cell).value(Decimal(tokens)) == (None if worth is None else Decimal(worth))


def test_a_whole_cell_is_worth_exactly_what_it_costs() -> None:
    """Also where a rate times all tokens would be off in the last place."""
    assert make_cell(ours=3, cost="0.1", billed=0, amount=0).value(Decimal(-3)) == Decimal("-0.1")
    assert make_cell(ours=7, cost="0.123456789012345678").value(Decimal(7)) == Decimal("0.123456789012345678")


def test_server_tools_are_what_is_asked_for_apart_from_tokens() -> None:
    tools = ("web_search_requests", "code_interpreter_sessions", "maps_queries", "file_search_calls")
    parts = [make_part(token_class=name, cost=Decimal(1)) for name in (*tools, "input", "output", "output_images")]
    assert make_cell(None, parts=[*parts, make_part(token_class="web_search_requests", cost=None)]).fees == 4


def test_vectors_are_settled_class_by_class() -> None:
    cells = [make_cell(name, ours=10, cost=1, billed=13, amount=2) for name in ("input", "output", "cache_read")]
    settle_vector(cells, "duplicates", vector(input=(3, "0.5"), output=(0, "0.5")), -1, "why")
    assert causes(cells[0]) == [("duplicates", -3, Decimal("-0.5"))]
    assert not cells[1].findings
    assert not cells[2].findings


def test_money_has_18_places_half_to_even() -> None:
    assert quantized(Decimal("0.0000000000000000025")) == Decimal("0.000000000000000002")
    assert share(Decimal(1), Decimal(1), Decimal(3)) == Decimal("0." + "3" * 60)
    assert converted(Decimal("0.1234567890123456789"), Decimal(1)) == Decimal("0.1234567890123456789")
    assert converted(Decimal("0.1234567890123456789"), Decimal(2)) == Decimal("0.246913578024691358")


# --- Which cell a charge belongs to -----------------------------------------------------------------------------------


def test_what_is_charged_beside_tokens_has_no_model() -> None:
    grain = BillGrain([make_line(model="gpt-4.1", token_class="input")], OPENAI)
    assert grain.key(0, "openai", "gpt-4.1", "web_search_requests") == (0, "openai", None, "web_search_requests")


def test_a_bill_that_names_no_model_for_tokens_has_none_for_any() -> None:
    lines = [make_line(token_class="input"), make_line(model="gpt-4.1", token_class="output")]
    grain = BillGrain(lines, OPENAI)
    assert grain.key(0, "openai", "gpt-4.1", "output") == (0, "openai", None, "output")
    assert grain.key(0, "anthropic", "claude", "output").model == "claude"
    tools = BillGrain([make_line(token_class="web_search_requests")], OPENAI)
    assert tools.key(0, "openai", "gpt-4.1", "output").model == "gpt-4.1"


def test_a_class_apart_from_tokens_stays_apart_where_the_bill_has_it() -> None:
    row, tools = make_line(model="gpt-4.1"), make_line(token_class="web_search_requests")
    assert BillGrain([row], OPENAI).key(0, "openai", "gpt-4.1", "input") == (0, "openai", "gpt-4.1", None)
    apart = BillGrain([row, tools], OPENAI).key(0, "openai", "gpt-4.1", "web_search_requests")
    assert apart == (0, "openai", None, "web_search_requests")
    whole = BillGrain([make_line()], OPENAI)
    assert whole.key(0, "openai", "gpt-4.1", "web_search_requests") == (0, "openai", None, None)
    other = BillGrain([row, make_line(model="o3", token_class="input")], OPENAI)
    assert other.key(0, "openai", "gpt-4.1", "input") == (0, "openai", "gpt-4.1", None)
    both = BillGrain([make_line(), tools], OPENAI)
    assert both.key(0, "openai", "gpt-4.1", "web_search_requests") == (0, "openai", None, "web_search_requests")


def test_a_class_stays_its_own_where_the_bill_knows_it_or_not_the_larger_one() -> None:
    lines = [make_line(model="gpt-4.1", token_class=name) for name in ("input", "audio_input", "cache_write")]
    grain = BillGrain(lines, OPENAI)
    classes = ("audio_input", "image_input", "cache_write_5m", "audio_output", "cache_read")
    found = [grain.key(0, "openai", "gpt-4.1", name).token_class for name in classes]
    assert found == ["audio_input", "input", "cache_write", "audio_output", "cache_read"]


def test_only_usage_and_invoices_say_what_a_bill_tells_apart() -> None:
    grain = BillGrain([make_line(kind=kind) for kind in (Kind.CREDIT, Kind.FEE, Kind.UNMAPPED)], OPENAI)
    assert grain.key(0, "openai", "gpt-4.1", "input") == (0, "openai", "gpt-4.1", "input")
    assert BillGrain([make_line(kind=Kind.CONTROL)], OPENAI).key(0, "openai", "gpt-4.1", "input")[2:] == (None, None)


@pytest.mark.parametrize(
    ("length", "is_period"), [(DAY, False), (26 * DAY // 24, False), (26 * DAY // 24 + 1, True), (31 * DAY, True)]
)
def test_what_lasts_longer_than_a_long_day_is_a_period(length: int, is_period: bool) -> None:
    end = DAY + length
    grain = BillGrain([make_line(start_at=DAY, end_at=end)], OPENAI)
    last = (end - 1) // DAY * DAY
    assert grain.key(last, "openai", "gpt-4.1", "input").day == (DAY if is_period else last)


def test_days_outside_all_periods_and_undated_charges_stay_as_they_are() -> None:
    months = [make_line(start_at=day * DAY, end_at=(day + 30) * DAY) for day in (40, 2)]
    grain = BillGrain([*months, make_line(start_at=None, end_at=9 * DAY)], OPENAI)
    keys = [grain.key(day, "openai", None, None).day for day in (0, 2 * DAY, 31 * DAY, 32 * DAY, 40 * DAY, 69 * DAY)]
    assert keys == [0, 2 * DAY, 2 * DAY, 32 * DAY, 40 * DAY, 40 * DAY]
    assert grain.key(None, "openai", None, None).day is None
    assert grain.key(70 * DAY, "openai", None, None).day == 70 * DAY
    assert grain.key(3 * DAY, "azure", None, None).day == 3 * DAY


def test_a_period_that_begins_within_a_day_holds_the_whole_day() -> None:
    grain = BillGrain([make_line(start_at=DAY + 5, end_at=30 * DAY)], OPENAI)
    assert grain.key(DAY, "openai", None, None).day == DAY
    assert grain.key(2 * DAY, "openai", None, None).day == DAY


def test_our_name_becomes_the_bills_where_the_bill_has_one() -> None:
    ours = [("openai", "openai/gpt-4.1-2025-04-14"), ("openai", "openai/o3"), ("azure", "gpt-4.1-2025-04-14")]
    grain = BillGrain([make_line(model="gpt-4.1", token_class="input")], ours)
    assert grain.key(0, "openai", "openai/gpt-4.1-2025-04-14", "input").model == "gpt-4.1"
    assert grain.key(0, "openai", "openai/o3", "input").model == "openai/o3"
    assert grain.key(0, "azure", "gpt-4.1-2025-04-14", "input").model == "gpt-4.1-2025-04-14"
    longer = BillGrain([make_line(model="openai/gpt-4.1", token_class="input")], OPENAI)
    assert longer.key(0, "openai", "gpt-4.1", "input").model == "openai/gpt-4.1"


def test_snapshots_are_told_apart_while_every_name_has_one() -> None:
    lines = [make_line(model=f"gpt-4o-2024-{date}", token_class="input") for date in ("05-13", "08-06")]
    grain = BillGrain(lines, [("openai", "openai/gpt-4o-2024-08-06")])
    assert grain.key(0, "openai", "openai/gpt-4o-2024-08-06", "input").model == "gpt-4o-2024-08-06"
    assert grain.key(0, "openai", "gpt-4o-2024-05-13", "input").model == "gpt-4o-2024-05-13"


# --- Cells of both sides ----------------------------------------------------------------------------------------------


def _build(lines: list[Any], parts: list[Any], per_call: tuple[str, ...] = ()) -> Any:
    grain = BillGrain(lines, OPENAI)
    slack = half_places((line.dialect, line.amount) for line in lines)
    return build_cells(parts, lines, grain, slack, per_call)


def test_lines_and_charges_add_up_in_their_cell() -> None:
    row = {"model": "gpt-4.1", "token_class": "input"}
    lines = [
        make_line(**row, amount=Decimal("0.25"), quantity=Decimal(7), tier="batch"),
        make_line(**row, amount=Decimal("0.5")),
        make_line(**row, quantity=Decimal(2)),
        make_line(**row, quantity=Decimal(1), tier="batch"),
    ]
    parts = [make_part(), make_part(quantity=Decimal(4), cost=None), make_part(cost=Decimal("0.00003"))]
    (cell,) = _build(lines, parts).values()
    assert (cell.billed, cell.amount, cell.ours) == (10, Decimal("0.75"), 24)
    assert (cell.cost, cell.unpriced) == (Decimal("0.00005"), 4)
    assert cell.tiers == {"batch": 8, None: 2}
    assert cell.slack == 2 * Decimal("0.005") + Decimal("0.75e-12") + Decimal("4e-18")
    assert cell.parts == parts


def test_what_a_bill_that_counts_does_not_name_it_counts_as_none() -> None:
    counted = make_line(model="gpt-4.1", token_class="input", quantity=Decimal(7))
    output = make_part(token_class="output")
    tools = make_part(token_class="web_search_requests")
    cells = {cell.key.token_class: cell for cell in _build([counted], [output, tools]).values()}
    assert (cells["output"].billed, cells["output"].amount) == (0, None)
    assert cells["web_search_requests"].billed is None  # it counts tokens only


def test_what_a_bill_of_amounts_does_not_name_it_asks_nothing_for() -> None:
    row = make_line(model="gpt-4.1", token_class="input", amount=Decimal(1))
    elsewhere = make_part(paid="azure")
    cells = {cell.key[1::2]: cell for cell in _build([row], [make_part(token_class="output"), elsewhere]).values()}
    assert (cells["openai", "output"].billed, cells["openai", "output"].amount) == (None, 0)
    assert cells["azure", "input"].amount is None
    assert cells["openai", "input"].billed is None
    (cell,) = _build([], [make_part()], ("openai",)).values()
    assert cell.amount == 0


def test_a_row_with_an_amount_and_no_count_is_not_counted_as_none() -> None:
    counted = make_line(model="gpt-4.1", token_class="input", quantity=Decimal(7))
    amount = make_line(model="gpt-4.1", token_class="output", amount=Decimal(1))
    cells = {cell.key.token_class: cell for cell in _build([counted, amount], []).values()}
    assert cells["output"].billed is None
    assert cells["input"].amount == 0


def test_groups_are_days_providers_and_models_in_order() -> None:
    keys = [
        CellKey(DAY, "openai", "b", "input"), CellKey(DAY, "openai", "a", None), CellKey(0, "openai", "b", "output"),
        CellKey(0, "openai", "b", "input"), CellKey(None, "openai", "z", None), CellKey(0, "azure", "z", None),
        CellKey(0, "azure", None, None), CellKey(DAY, "openai", "A", None), CellKey(DAY, "openai", None, None),
        CellKey(0, "openai", "b", None), CellKey(0, "openai", "b", "A"),
    ]  # fmt: skip
    groups = group_cells({key: Cell(key) for key in keys})
    assert [key for key, _ in groups] == [
        (None, "openai", "z", None), (0, "azure", None, None), (0, "azure", "z", None), (0, "openai", "b", None),
        (DAY, "openai", None, None), (DAY, "openai", "A", None), (DAY, "openai", "a", None), (DAY, "openai", "b", None),
    ]  # fmt: skip
    assert [cell.key.token_class for cell in groups[3][1]] == [None, "A", "input", "output"]


# --- Names by price ---------------------------------------------------------------------------------------------------


def _line_of(model: str, amount: str) -> Any:
    return make_line(model=model, token_class="input", quantity=Decimal(10), amount=Decimal(amount))


@pytest.mark.parametrize(
    ("models", "billed", "found"),
    [
        (["grok-4-1-fast"], [("Grok 4.1", "0.00002")], {"grok-4-1-fast": "Grok 4.1"}),
        (["grok-4-1-fast"], [("Grok 4.1", "0.00003")], {}),  # another price
        (["grok-4-1-fast"], [("Grok 4", "0.00002")], {}),  # another number
        (["grok-4-1-fast", "grok-4-1-slow"], [("Grok 4.1", "0.00002")], {}),  # either may be meant
        (["grok-4-1-fast", "grok-4-1"], [("Grok 4.1", "0.00002")], {}),  # the name itself is logged
        (["grok-4-1-fast"], [("Grok 4.1", "0.00002"), ("grok 4.1 fast", "0.1")], {}),  # and billed
    ],
)
def test_a_part_of_a_name_at_its_price_is_the_model(
    models: list[str], billed: list[tuple[str, str]], found: dict[str, str]
) -> None:
    parts = [make_part(model=model) for model in models]
    lines = [_line_of(model, amount) for model, amount in billed]
    slack = {"openai_costs": Decimal("0.0000001")}
    assert names_by_price(lines, parts, slack) == {("openai", model): name for model, name in found.items()}


def test_a_model_found_by_its_price_is_in_the_cell_of_its_line() -> None:
    same = {("openai", "grok-4-1-fast"): "Grok 4.1"}
    grain = BillGrain([_line_of("Grok 4.1", "1")], [("openai", "grok-4-1-fast")], same)
    assert grain.key(0, "openai", "grok-4-1-fast", "input") == grain.key(0, "openai", "Grok 4.1", "input")
