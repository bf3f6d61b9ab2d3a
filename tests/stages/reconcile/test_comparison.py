"""Rows and causes of a comparison: what is covered, what is open, what adds up."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost.logs.bills.lines import Kind
from callcost.stages.pricing.exchange_rates import ExchangeRates
from callcost.stages.reconcile.bill_tables import Bills
from callcost.stages.reconcile.comparison import Comparison, Ours, compare_bill, compare_logged, tables_of
from tests.stages.reconcile.by_hand import NO_BOOK, make_line
from tests.stages.reconcile.tables_by_hand import at, day, make_call, make_charge, write_calls, write_charges

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
COST = Decimal("0.00002")
ONE = Decimal(1)


def _ours(folder: Path, *charges: dict[str, Any], calls: tuple[dict[str, Any], ...] = ()) -> Ours:
    written = write_charges(folder, *charges) if charges else []
    return Ours(calls=write_calls(folder, *calls) if calls else [], charges=written, book=NO_BOOK, fx=ExchangeRates())


def _line(number: int = 3, provider: str = "openai", **more: Any) -> Any:
    row = {"model": "gpt-4.1", "token_class": "input", "start_at": day(number), "end_at": day(number + 1), **more}
    return make_line(provider=provider, **row)


def _bills(*lines: Any, **periods: tuple[int, int]) -> Bills:
    spans = {name: (day(first), day(last)) for name, (first, last) in periods.items()}
    return Bills(lines=list(lines), periods=spans or {"openai": (day(3), day(4))})


def _row(comparison: Comparison, **wanted: Any) -> dict[str, Any]:
    (row,) = [row for row in comparison.rows if all(row[name] == value for name, value in wanted.items())]
    return row


# --- Days that may still change ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "hours"),
    [("openai", 24), ("anthropic", 24), ("openrouter", 24), ("bedrock", 72), ("azure", 72), ("google", 72), ("x", 72)],
)
def test_a_day_is_final_when_its_lag_is_over(tmp_path: Path, provider: str, hours: int) -> None:
    line = _line(provider=provider, amount=ONE)
    end = datetime(2025, 11, 4, tzinfo=UTC) + timedelta(hours=hours)
    for as_of, status in ((end - timedelta(seconds=1), "open"), (end, "final"), (end + timedelta(days=9), "final")):
        (row,) = compare_bill(_bills(line), _ours(tmp_path), as_of).rows
        assert row["status"] == status
    undated = _line(provider=provider, amount=ONE, start_at=None, end_at=None)
    (row,) = compare_bill(_bills(undated), _ours(tmp_path), datetime(1980, 1, 1, tzinfo=UTC)).rows
    assert (row["status"], row["day"]) == ("final", None)


def test_logged_costs_are_always_final(tmp_path: Path) -> None:
    (row,) = compare_logged(_ours(tmp_path, calls=(make_call(1, logged_cost=ONE),))).rows
    assert row["status"] == "final"


# --- Rows -------------------------------------------------------------------------------------------------------------


def test_a_row_says_both_sides_and_their_difference(tmp_path: Path) -> None:
    bill = _bills(_line(amount=ONE, quantity=Decimal(12)))
    bill.currency = "EUR"
    found = compare_bill(bill, _ours(tmp_path, make_charge(1)), AS_OF)
    assert found.rows == [{
        "against": "bill", "day": date(2025, 11, 3), "provider": "openai", "model": "gpt-4.1", "token_class": "input",
        "line_item": None, "status": "final", "currency": "EUR", "computed_tokens": 10, "billed_tokens": 12,
        "token_difference": 2, "computed_cost": COST, "billed_cost": 1, "logged_cost": None, "difference": 1 - COST,
        "explained": Decimal("0.000004"), "unexplained": 1 - COST - Decimal("0.000004"),
    }]  # fmt: skip
    causes = [(row["cause"], row["tokens"], row["amount"], row["evidence"]) for row in found.causes]
    assert causes == [
        ("billed_not_logged", 2, Decimal("0.000004"), "the counts differ"),
        ("unexplained", 0, 1 - COST - Decimal("0.000004"), "no rule gives this amount"),
    ]
    assert found.causes[0]["day"] == date(2025, 11, 3)


def test_a_bill_of_counts_states_no_money(tmp_path: Path) -> None:
    found = compare_bill(_bills(_line(quantity=Decimal(12))), _ours(tmp_path, make_charge(1)), AS_OF)
    (row,) = found.rows
    money = ("billed_cost", "difference", "explained", "unexplained", "logged_cost")
    assert [row[name] for name in money] == [None] * 5
    assert [cause["amount"] for cause in found.causes] == [None]


def test_what_no_bill_is_about_is_only_added_up(tmp_path: Path) -> None:
    charges = [make_charge(number, at=at(f"0{number} 12:00")) for number in (2, 3, 4, 5)]
    charges += [make_charge(6, paid="azure"), make_charge(8, at=None)]
    charges += [make_charge(7, paid="azure", cost=None, model="o3")]
    bill = _bills(_line(amount=ONE), openai=(3, 5))
    found = compare_bill(bill, _ours(tmp_path, *charges), AS_OF)
    assert found.outside == {"openai": 3 * COST, "azure": COST}
    assert sorted(str(row["day"]) for row in found.rows) == ["2025-11-03", "2025-11-04"]
    undated = _bills(_line(amount=ONE, start_at=None, end_at=None), openai=(3, 4))
    found = compare_bill(undated, _ours(tmp_path, make_charge(8, at=None)), AS_OF)
    assert found.outside == {}
    middle = _bills(_line(amount=ONE, start_at=day(3) + 5), openai=(3, 4))
    middle.periods["openai"] = (day(3) + 5, day(4))
    assert compare_bill(middle, _ours(tmp_path, make_charge(3)), AS_OF).outside == {}


def test_lines_of_their_own_are_rows_by_their_label(tmp_path: Path) -> None:
    lines = [
        *(_line(kind=Kind.CREDIT, amount=Decimal(amount), line_item="gift") for amount in (-2, -3)),
        _line(kind=Kind.CREDIT, amount=-ONE, line_item="other"), _line(kind=Kind.FEE, amount=ONE, line_item="gift"),
        _line(kind=Kind.UNMAPPED, amount=ONE), _line(kind=Kind.UNMAPPED, quantity=ONE),
        _line(kind=Kind.FEE, amount=ONE, start_at=None, end_at=None),
    ]  # fmt: skip
    found = compare_bill(_bills(*lines), _ours(tmp_path), AS_OF)
    rows = {(row["token_class"], row["line_item"], row["day"] is None): row["billed_cost"] for row in found.rows}
    assert rows == {
        ("credit", "gift", False): -5, ("credit", "other", False): -1, ("fee", "gift", False): 1,
        ("unmapped", None, False): 1, ("fee", None, True): 1,
    }  # fmt: skip
    words = {(row["token_class"], row["cause"], row["evidence"]) for row in found.causes}
    assert words == {
        ("credit", "discount", "a credit of the bill"), ("fee", "fee", "capacity, tax or another fee: no call has it"),
        ("unmapped", "unmapped_line_item", "a line of its own: unmapped"),
    }  # fmt: skip
    assert {row["explained"] - row["difference"] for row in found.rows} == {0}
    assert {row["billed_tokens"] for row in found.rows} == {None}


# --- Calls ------------------------------------------------------------------------------------------------------------


def _call_line(identifier: str, amount: str, **more: Any) -> Any:
    return _line(call_id=identifier, amount=Decimal(amount), token_class=None, **more)


def test_calls_that_join_and_calls_in_no_log_are_one_row(tmp_path: Path) -> None:
    calls = make_call(1, total_cost=COST), make_call(2, total_cost=COST), make_call(3, total_cost=COST)
    lines = [
        _call_line("r1", "0.00002", quantity=Decimal(10)), _call_line("r2", "1", quantity=Decimal(10)),
        _call_line("x", "3", quantity=Decimal(7)), _call_line("y", "4"),
    ]  # fmt: skip
    charges = [make_charge(number) for number in (1, 2, 3)]
    found = compare_bill(_bills(*lines), _ours(tmp_path, *charges, calls=calls), AS_OF)
    (row,) = found.rows
    assert (row["token_class"], row["computed_tokens"]) == (None, 30)
    assert (row["billed_tokens"], row["token_difference"], row["billed_cost"]) == (27, 7, Decimal("8.00002"))
    assert (row["computed_cost"], row["difference"]) == (3 * COST, 8 - 2 * COST)
    assert (row["explained"], row["unexplained"], row["logged_cost"]) == (7 - COST, 1 - COST, None)
    causes = {(cause["cause"], cause["tokens"], cause["amount"], cause["evidence"]) for cause in found.causes}
    assert ("billed_not_logged", 7, 7, "no call in the logs has this id") in causes
    assert ("unexplained", 0, 1 - COST, "no rule gives this amount") in causes
    assert ("logged_not_billed", 0, -COST, "nothing on the bill") in causes


def test_a_line_with_an_id_and_no_amount_is_a_line_like_any_other(tmp_path: Path) -> None:
    line = make_line(call_id="r1", quantity=Decimal(10), model="gpt-4.1", start_at=day(3), end_at=day(4))
    found = compare_bill(_bills(line), _ours(tmp_path, make_charge(1), calls=(make_call(1),)), AS_OF)
    assert [(row["token_class"], row["token_difference"]) for row in found.rows] == [(None, 0)]


def test_logged_costs_are_summed_by_day_and_model_with_their_noise(tmp_path: Path) -> None:
    calls = [
        make_call(1, logged_cost=Decimal(2)), make_call(2, logged_cost=Decimal("2.000000001")),
        make_call(3, logged_cost=Decimal(5)), make_call(4, logged_cost=ONE, total_cost=None, model="o3"),
        make_call(5, logged_cost=ONE, total_tokens=None, started_at=at("04 12:00")),
    ]  # fmt: skip
    found = compare_logged(_ours(tmp_path, calls=tuple(calls)))
    row = _row(found, model="gpt-4.1", day=date(2025, 11, 3))
    assert (row["computed_tokens"], row["computed_cost"], row["logged_cost"]) == (30, 6, 9)
    assert (row["difference"], row["unexplained"], row["billed_cost"], row["billed_tokens"]) == (3, 3, None, None)
    assert (row["against"], row["currency"], row["token_difference"]) == ("log", "USD", None)
    unpriced = _row(found, model="o3")
    assert (unpriced["computed_cost"], unpriced["logged_cost"], unpriced["difference"]) == (None, 1, 1)
    assert found.noise == (1, Decimal("0.000000001"))
    assert _row(found, day=date(2025, 11, 4))["computed_tokens"] == 0


def test_noise_of_a_bill_per_call_is_rounding(tmp_path: Path) -> None:
    calls = (make_call(1, total_cost=Decimal(2)),)
    found = compare_bill(_bills(_call_line("r1", "2.000000001")), _ours(tmp_path, make_charge(1), calls=calls), AS_OF)
    (cause,) = found.causes
    assert (cause["cause"], cause["amount"]) == ("rounding", Decimal("0.000000001"))
    assert cause["evidence"] == "less than a billionth of each cost"
    assert compare_logged(_ours(tmp_path, calls=calls)).rows == []


def test_findings_of_one_cause_and_evidence_are_one_line(tmp_path: Path) -> None:
    calls = [make_call(number, logged_cost=Decimal(0)) for number in (1, 2)]
    found = compare_logged(_ours(tmp_path, calls=tuple(calls)))
    assert [(row["cause"], row["amount"]) for row in found.causes] == [("logged_not_billed", -4)]
    rows, causes = tables_of([found, found])
    assert (rows.height, causes.height) == (2, 2)
    assert [table.height for table in tables_of([])] == [0, 0]


def test_tables_are_sorted_with_what_is_not_stated_last(tmp_path: Path) -> None:
    lines = _line(amount=ONE), _line(amount=ONE, start_at=None, end_at=None)
    bill = compare_bill(_bills(*lines), _ours(tmp_path), AS_OF)
    logged = compare_logged(_ours(tmp_path, calls=(make_call(1, logged_cost=ONE),)))
    rows, _ = tables_of([logged, bill])
    assert rows.select("against", "day").rows() == [
        ("bill", date(2025, 11, 3)), ("bill", None), ("log", date(2025, 11, 3)),
    ]  # fmt: skip
