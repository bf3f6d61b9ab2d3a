"""Calls that carry a stated cost: which they are, on which day, whose, and which are looked at one by one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.stages.pricing.exchange_rates import ExchangeRates
from callcost.stages.reconcile.per_call import billed_calls, explain_calls, logged_calls, without_noise
from tests.stages.reconcile.by_hand import NO_BOOK, causes, make_line
from tests.stages.reconcile.tables_by_hand import at, day, make_call, make_charge, write_calls, write_charges

EUROS = ExchangeRates((day(3), day(4)), (Decimal("0.5"), Decimal(4)))
ONE = Decimal(1)


def _logged(
    folder: Path, *calls: dict[str, Any], charges: list[Path] | None = None, fx: ExchangeRates | None = None
) -> Any:
    return logged_calls(write_calls(folder, *calls), charges or [], fx or ExchangeRates())


def test_only_calls_with_a_logged_cost_are_compared(tmp_path: Path) -> None:
    table = _logged(tmp_path, make_call(1, logged_cost=ONE), make_call(2), make_call(3, logged_cost=Decimal(0)))
    assert table.sort("record")["record"].to_list() == [1, 3]
    assert logged_calls([], [], ExchangeRates()).schema == table.schema
    assert table.sort("record").row(0, named=True) == {
        "piece": 0, "record": 1, "provider_response_id": "r1", "stated": 1, "billed_tokens": None,
        "tools_billed": None, "own_key": None, "biller": None, "day": day(3), "provider": "openai",
        "model": "gpt-4.1", "computed": 2, "total_tokens": 10, "source_format": "pair",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("started", "ended", "number"),
    [("03 23:59", "04 00:01", 4), ("03 23:59", None, 3), (None, "04 00:01", 4), ("04 00:00", "04 00:00", 4)],
)
def test_a_call_is_of_the_day_on_which_it_ended(
    tmp_path: Path, started: str | None, ended: str | None, number: int
) -> None:
    times = {"started_at": started and at(started), "ended_at": ended and at(ended)}
    assert _logged(tmp_path, make_call(1, logged_cost=ONE, **times))["day"].to_list() == [day(number)]


def test_who_is_paid_is_who_bills_then_whom_the_charges_name_then_whom_the_log_does(tmp_path: Path) -> None:
    charges = write_charges(tmp_path, make_charge(1, paid="azure"))
    calls = [make_call(number, logged_cost=ONE, provider="vertex_ai") for number in (1, 2)]
    table = _logged(tmp_path, *calls, charges=charges).sort("record")
    assert table["provider"].to_list() == ["azure", "google"]
    assert _logged(tmp_path, *calls)["provider"].to_list() == ["google", "google"]
    line = make_line(call_id="r1", amount=ONE, provider="openrouter")
    table, _ = billed_calls(write_calls(tmp_path, *calls), charges, [line], ExchangeRates())
    assert table["provider"].to_list() == ["openrouter"]


def test_our_costs_are_in_the_currency_of_the_bill(tmp_path: Path) -> None:
    calls = [make_call(1, logged_cost=ONE), make_call(2, logged_cost=ONE, started_at=at("04 00:00")),
             make_call(3, logged_cost=ONE, total_cost=None)]  # fmt: skip
    assert _logged(tmp_path, *calls, fx=EUROS).sort("record")["computed"].to_list() == [1, 8, None]
    assert _logged(tmp_path, *calls).sort("record")["computed"].to_list() == [2, 2, None]


def test_rows_of_a_bill_join_the_first_call_of_their_id(tmp_path: Path) -> None:
    calls = [make_call(2, provider_response_id="r"), make_call(1, provider_response_id="r"), make_call(3)]
    paths = write_calls(tmp_path, *calls)
    more = {"quantity": Decimal(7), "tool_amount": Decimal("0.5")}
    lines = [make_line(call_id="r", amount=ONE, **more), make_line(call_id="x", amount=ONE)]
    table, others = billed_calls(paths, [], lines, ExchangeRates())
    assert table["record"].to_list() == [1]
    assert table.select("stated", "billed_tokens", "tools_billed", "biller").row(0) == (1, 7, Decimal("0.5"), "openai")
    assert others == lines[1:]
    for calls_, lines_ in ((paths, []), ([], lines)):
        table, others = billed_calls(calls_, [], lines_, ExchangeRates())
        assert (table.height, others) == (0, lines_)


def test_what_is_a_billionth_off_is_ours(tmp_path: Path) -> None:
    stated = [Decimal(2), Decimal("2.000000002"), Decimal("2.000000003"), Decimal("1.999999998")]
    table = _logged(tmp_path, *(make_call(number, logged_cost=cost) for number, cost in enumerate(stated)))
    settled, calls, amount = without_noise(table)
    assert calls == 2
    assert amount == 0
    assert sorted(settled["stated"].to_list()) == [2, 2, 2, Decimal("2.000000003")]
    assert without_noise(table.clear())[1:] == (0, Decimal(0))


# --- Explained --------------------------------------------------------------------------------------------------------


def _explained(folder: Path, *calls: dict[str, Any], charges: list[Path] | None = None) -> list[Any]:
    table = _logged(folder, *calls, charges=charges)
    return explain_calls(table, charges or [], ExchangeRates(), NO_BOOK)


def test_only_calls_that_disagree_are_looked_at_one_by_one(tmp_path: Path) -> None:
    calls = [
        make_call(1, logged_cost=Decimal(2)), make_call(2, logged_cost=Decimal("1.23")),
        make_call(3, logged_cost=Decimal(0), total_cost=None), make_call(4, logged_cost=ONE, total_cost=None),
        make_call(0, logged_cost=Decimal(0)),
    ]  # fmt: skip
    cells = _explained(tmp_path, *calls)
    assert [(cell.cost, cell.amount, causes(cell)) for cell in cells] == [
        (2, 0, [("logged_not_billed", 0, -2)]),
        (2, Decimal("1.23"), [("unexplained", 0, Decimal("-0.77"))]),
        (None, 1, [("unpriced_model", 0, 1)]),
    ]
    assert (cells[0].key, cells[0].ours) == ((day(3), "openai", "gpt-4.1", None), 10)
    assert _explained(tmp_path, calls[0]) == []
    (empty,) = _explained(tmp_path, make_call(1, logged_cost=ONE, total_tokens=None))
    assert empty.ours == 0


def test_each_kind_of_log_has_its_own_last_place(tmp_path: Path) -> None:
    """Half a cent in one, half a millionth in the other."""
    calls = [
        make_call(1, source_format="cents", logged_cost=Decimal("2.004"), total_cost=Decimal("2.0041")),
        make_call(2, source_format="cents", logged_cost=Decimal("3.01")),
        make_call(3, source_format="fine", logged_cost=Decimal("2.000001")),
        make_call(4, source_format="whole", logged_cost=Decimal("2.4"), total_cost=Decimal("2.45")),
    ]
    cells = _explained(tmp_path, *calls)
    noise = [Decimal(text) for text in ("2.004e-12", "3.01e-12", "2.000001e-12", "2.4e-12")]
    places = [Decimal(text) for text in ("0.0005", "0.0005", "0.0000005", "0.05")]
    last = Decimal("1e-18")
    assert [cell.slack for cell in cells] == [one + other + last for one, other in zip(places, noise, strict=True)]
    assert causes(cells[0]) == [("rounding", 0, Decimal("-0.0001"))]
    assert causes(cells[2])[0][0] == "unexplained"
    assert cells[0].findings[0].evidence == "less than the last place of the stated cost"


def test_costs_in_whole_hundreds_have_no_place_before_the_point(tmp_path: Path) -> None:
    (cell,) = _explained(tmp_path, make_call(1, logged_cost=Decimal(300)))
    assert cell.slack == Decimal("0.5") + Decimal("3e-10") + Decimal("1e-18")


def test_a_call_is_explained_by_its_own_charges(tmp_path: Path) -> None:
    charges = write_charges(
        tmp_path,
        make_charge(1, cost=Decimal("0.5")),
        make_charge(1, cost=Decimal("1.25"), line=1, lines=2),
        make_charge(1, cost=None, line=2, unit="text_output", token_class="output", started_at=at("11:00")),
        make_charge(1, cost=Decimal("0.25"), token_class="web_search_requests", unit="web_search_requests"),
        make_charge(2, cost=Decimal(7)),
    )
    cells = _explained(tmp_path, make_call(1, logged_cost=Decimal("1.75")), charges=charges)
    assert causes(cells[0]) == [("server_tools", 0, Decimal("-0.25"))]
    parts = cells[0].parts
    assert [(part.line, part.unit, part.cost) for part in parts] == [
        (0, "text_input", Decimal("0.5")), (0, "web_search_requests", Decimal("0.25")),
        (1, "text_input", Decimal("1.25")), (2, "text_output", None),
    ]  # fmt: skip
    assert {part.day for part in parts} == {day(3)}
    assert parts[3].terms.moment == int(at("11:00").timestamp()) * 1_000_000
    lines = [make_line(call_id="r1", amount=Decimal(2), tool_amount=ONE)]
    table, _ = billed_calls(write_calls(tmp_path, make_call(1, total_cost=ONE)), charges, lines, ExchangeRates())
    (billed,) = explain_calls(table, charges, ExchangeRates(), NO_BOOK)
    assert causes(billed)[0] == ("server_tools", 0, Decimal("0.75"))


def test_a_factor_of_many_calls_is_a_discount(tmp_path: Path) -> None:
    calls = [make_call(number, logged_cost=cost * Decimal("0.831"), total_cost=cost)
             for number, cost in enumerate((ONE, Decimal(3), Decimal(7)))]  # fmt: skip
    assert {causes(cell)[0][0] for cell in _explained(tmp_path, *calls)} == {"discount"}
    assert isinstance(_logged(tmp_path, *calls), pl.DataFrame)
