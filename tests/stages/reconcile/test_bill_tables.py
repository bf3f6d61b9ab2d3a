"""Which bill is believed, what lies inside an interval, what an amount rounds to, what a dollar buys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from callcost.errors import ConfigError, LogError
from callcost.logs.bills.lines import DAY, Kind
from callcost.stages.pricing.exchange_rates import ExchangeRates, read_fx
from callcost.stages.reconcile.bill_tables import (
    Bills,
    _choose,
    _one_currency,
    cut_bill,
    half_places,
    open_bills,
)
from tests.stages.reconcile.by_hand import make_line

ONE = Decimal(1)


def _money(dialect: str, amount: int = 1, **more: Any) -> Any:
    return make_line(dialect=dialect, amount=Decimal(amount), **more)


def _count(dialect: str, quantity: int = 1, **more: Any) -> Any:
    return make_line(dialect=dialect, quantity=Decimal(quantity), **more)


def _lines(bills: Bills) -> list[Any]:
    return [(line.dialect, line.amount, line.quantity) for line in bills.lines]


# --- Which bill is believed -------------------------------------------------------------------------------------------


def test_amounts_and_counts_of_a_day_come_from_one_source_each() -> None:
    bills = _choose([_money("openai_costs"), _money("focus", 2), _money("focus", 3), _count("openai_usage", 5),
                     _count("openai_usage_csv", 6)])  # fmt: skip
    assert _lines(bills) == [("openai_costs", 1, None), ("openai_usage", None, 5)]
    assert bills.second_bills == {("focus", "openai"): 5}


def test_every_day_and_provider_chooses_for_itself() -> None:
    later = {"start_at": DAY, "end_at": 2 * DAY}
    bills = _choose([_money("openai_costs"), _money("focus", 2, **later), _money("focus", 3, provider="azure")])
    found: list[Any] = sorted((line.amount, line.dialect, line.provider) for line in bills.lines if line.amount)
    assert found == [(1, "openai_costs", "openai"), (2, "focus", "openai"), (3, "focus", "azure")]
    assert bills.periods == {"openai": (0, 2 * DAY), "azure": (0, DAY)}
    undated = _choose([_money("focus", start_at=None, end_at=None), _money("openai_costs", start_at=None, end_at=5)])
    assert _lines(undated) == [("openai_costs", 1, None)]
    assert undated.periods == {}


def test_counts_of_the_bill_of_amounts_are_believed_where_every_amount_has_one() -> None:
    both = _money("openai_costs", quantity=Decimal(7))
    usage = _count("openai_usage", 5)
    assert _lines(_choose([both, usage])) == [("openai_costs", 1, 7)]
    partly = [_money("openai_costs", quantity=Decimal(7)), _money("openai_costs", 2)]
    found = sorted(_lines(_choose([*partly, _count("openai_usage", 5)])), key=str)
    assert found == [("openai_costs", 1, None), ("openai_costs", 2, None), ("openai_usage", None, 5)]
    free = [both, _money("openai_costs", 0), _money("openai_costs", kind=Kind.FEE)]
    both.quantity = Decimal(7)
    assert ("openai_costs", 1, 7) in _lines(_choose([*free, _count("openai_usage", 5)]))


def test_a_source_is_believed_for_what_it_states_only() -> None:
    assert _lines(_choose([_count("openai_costs", 5), _money("focus", 2)])) == [
        ("openai_costs", None, 5), ("focus", 2, None),
    ]  # fmt: skip
    three = [_money("openai_costs"), _money("openai_costs_csv", 2), _count("openai_usage", 5)]
    assert _lines(_choose(three)) == [("openai_costs", 1, None), ("openai_usage", None, 5)]


def test_undated_lines_are_of_no_day() -> None:
    bills = _choose([_money("openai_costs", start_at=None, end_at=None), _money("focus", 2)])
    assert _lines(bills) == [("openai_costs", 1, None), ("focus", 2, None)]


def test_only_amounts_that_are_compared_have_a_currency() -> None:
    lines = [
        _money("focus", currency="EUR"), _money("aws_cur", kind=Kind.OTHER, currency="USD"),
        _count("openai_usage", currency="GBP"),
    ]  # fmt: skip
    assert _one_currency(lines) == "EUR"
    assert _one_currency([]) == "USD"


def test_counts_of_some_amounts_only_count_where_there_are_no_others() -> None:
    partly = [_money("openai_costs", quantity=Decimal(7)), _money("openai_costs", 2)]
    assert sorted(_lines(_choose(partly)), key=str) == [("openai_costs", 1, 7), ("openai_costs", 2, None)]


def test_what_is_no_business_of_ours_is_only_added_up() -> None:
    bills = _choose([_money("aws_cur", 3, kind=Kind.OTHER), _money("aws_cur", 4, kind=Kind.OTHER),
                     _count("aws_cur", kind=Kind.OTHER)])  # fmt: skip
    assert bills.lines == []
    assert bills.other_services == (Decimal(7), 2)


def test_an_invoice_is_compared_only_where_nothing_says_more() -> None:
    invoice = _money("control_total", 9, kind=Kind.CONTROL)
    alone = _choose([invoice])
    assert (_lines(alone), alone.invoices) == ([("control_total", 9, None)], [])
    later = _money("openai_costs", start_at=DAY, end_at=2 * DAY)
    beside = _choose([_money("control_total", 9, kind=Kind.CONTROL), later])
    assert _lines(beside) == [("openai_costs", 1, None)]
    assert [line.amount for line in beside.invoices] == [9]
    elsewhere = _choose([_money("control_total", 9, kind=Kind.CONTROL), _money("focus", provider="azure")])
    assert [line.provider for line in elsewhere.lines] == ["azure", "openai"]
    assert elsewhere.periods["openai"] == (0, DAY)


# --- Intervals --------------------------------------------------------------------------------------------------------


def _moment(days: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)


def _cut(since: float | None, until: float | None) -> Bills:
    lines = [make_line(start_at=number * DAY, end_at=(number + 1) * DAY, amount=ONE) for number in range(4)]
    undated = make_line(start_at=None, end_at=None)
    bills = Bills(lines=[*lines, undated], periods={"openai": (0, 4 * DAY), "azure": (0, DAY)})
    cut_bill(bills, None if since is None else _moment(since), None if until is None else _moment(until))
    return bills


@pytest.mark.parametrize(
    ("since", "until", "days", "span"),
    [(1, 3, [1, 2], (1, 3)), (1, None, [1, 2, 3], (1, 4)), (None, 2, [0, 1], (0, 2)), (0.5, 2.5, [1], (0.5, 2.5))],
)
def test_lines_wholly_inside_the_interval_are_kept(
    since: float | None, until: float | None, days: list[int], span: tuple[float, float]
) -> None:
    bills = _cut(since, until)
    assert [line.day for line in bills.lines] == [number * DAY for number in days]
    assert bills.periods["openai"] == (span[0] * DAY, span[1] * DAY)
    assert bills.notes == [f"{5 - len(days)} lines of the bill lie outside the interval"]


def test_without_an_interval_all_lines_are_kept() -> None:
    bills = _cut(None, None)
    assert (len(bills.lines), bills.notes) == (5, [])
    assert "azure" not in _cut(1, None).periods
    whole = Bills(lines=[make_line(start_at=DAY, end_at=None)], periods={})
    cut_bill(whole, _moment(1), _moment(1))
    assert (len(whole.lines), whole.notes) == (1, [])


# --- Rounding, currencies ---------------------------------------------------------------------------------------------


def test_the_last_place_of_a_source_is_that_of_its_finest_amount() -> None:
    amounts = [("a", Decimal("1.5")), ("a", Decimal("0.12345")), ("b", Decimal(100)), ("c", None), ("a", Decimal(7))]
    assert half_places(amounts) == {"a": Decimal("0.000005"), "b": Decimal("0.005")}
    assert half_places(amounts, least=0)["b"] == Decimal("0.5")
    assert half_places([("a", Decimal("1.50"))], least=0) == {"a": Decimal("0.05")}


def test_a_rate_holds_until_the_next() -> None:
    rates = ExchangeRates((10, 20), (Decimal(2), Decimal(3)))
    assert [rates.at(moment) for moment in (0, 10, 19, 20, 99, None)] == [2, 2, 2, 3, 3, 3]
    assert ExchangeRates().at(5) == ExchangeRates().at(None) == 1
    assert rates.convert(Decimal("0.5"), 20) == Decimal("1.5")


def test_rates_of_a_currency_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "fx.csv"
    rows = ("1970-01-03,eur ,0.9", "1970-01-02,EUR,0.8", "1970-01-01,GBP,5")
    path.write_text("\n".join(("date,currency,rate", *rows)), encoding="utf-8-sig")
    assert read_fx(str(path), "EUR") == ExchangeRates((DAY, 2 * DAY), (Decimal("0.8"), Decimal("0.9")))
    assert read_fx(None, "USD") == ExchangeRates()
    with pytest.raises(ConfigError, match=r"fx\.csv has no rate of CHF\. ") as caught:
        read_fx(str(path), "CHF")
    assert caught.value.hint == "Add rows: date, currency, what one US dollar buys of it"
    with pytest.raises(ConfigError, match=r"^the bill is in EUR, the calls are priced in USD\. ") as caught:
        read_fx(None, "EUR")
    assert caught.value.hint == "Give dated rates with --fx FILE (CSV: date, currency, rate)"


@pytest.mark.parametrize("rate", ["-1", "0", "NaN", "Infinity", "", "x"])
def test_a_rate_is_a_number_above_nothing(tmp_path: Path, rate: str) -> None:
    path = tmp_path / "fx.csv"
    path.write_text(f"date,currency,rate\n1970-01-02,EUR,{rate}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^the rates in .*fx\.csv cannot be read") as caught:
        read_fx(str(path), "EUR")
    assert caught.value.hint == "A CSV with the columns date (2026-11-01), currency, rate"
    with pytest.raises(ConfigError):
        read_fx(str(tmp_path / "none.csv"), "EUR")
    path.write_text("date,currency,rate\nsome day,EUR,1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^the rates in .*fx\.csv cannot be read"):
        read_fx(str(path), "EUR")


# --- Files ------------------------------------------------------------------------------------------------------------

HEADER = "usage_date_utc,model,token_type,cost_usd\n"


def test_a_bill_is_listed_with_what_came_of_its_records(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(HEADER + "1970-01-02,Claude Sonnet 4.5,output,1.5\n1970-01-02,Claude,output,x\n", encoding="utf-8")
    bills = open_bills([str(path)])
    (entry,) = bills.inputs
    assert {name: entry[name] for name in ("path", "bytes", "dialects", "records", "rejects")} == {
        "path": "bill.csv", "bytes": path.stat().st_size, "dialects": ["anthropic_console_cost"], "records": 2,
        "rejects": 1,
    }  # fmt: skip
    assert len(str(entry["sha256"])) == 64
    assert [reject.source_row for reject in bills.rejects] == [3]
    assert (bills.currency, bills.periods) == ("USD", {"anthropic": (DAY, 2 * DAY)})
    assert bills.notes == []


def test_notes_say_what_was_given_twice_restated_or_cut_off(tmp_path: Path) -> None:
    rows = [HEADER + f"1970-01-02,Claude Sonnet 4.5,output,{cost}\n" for cost in ("1.5", "1.5", "2.5")]
    for number, text in enumerate(rows):
        (tmp_path / f"{number}.csv").write_text(text, encoding="utf-8")
    page = '{"data": [{"starting_at": "1970-01-02", "results": [{"amount": "1", "currency": "usd"}]}], "has_more": %s}'
    (tmp_path / "p.json").write_text(page % "true", encoding="utf-8")
    notes = [
        "1 records given more than once count once", "1 records restated: the later version holds",
    ]  # fmt: skip
    more = "anthropic_cost: every page says that more follow: the bill may not be whole"
    assert open_bills([str(tmp_path)]).notes == [more, *notes]
    (tmp_path / "q.json").write_text(page.replace('"1"', '"2"') % "false", encoding="utf-8")
    assert open_bills([str(tmp_path)]).notes == [notes[0], "2 records restated: the later version holds"]


def test_buckets_without_results_are_covered_too(tmp_path: Path) -> None:
    page = '{"data": [{"starting_at": "1970-01-0%s", "results": []} , {"starting_at": "1970-01-04", "results": []}]}'
    (tmp_path / "p.json").write_text(page % 2, encoding="utf-8")
    assert open_bills([str(tmp_path)]).periods == {"anthropic": (DAY, 4 * DAY)}


def test_files_of_a_folder_come_by_their_numbers_and_arguments_in_their_order(tmp_path: Path) -> None:
    for number, cost in ((10, "3"), (9, "2")):
        (tmp_path / f"{number}.csv").write_text(HEADER + f"1970-01-02,Claude,output,{cost}\n", encoding="utf-8")
    assert [line.amount for line in open_bills([str(tmp_path)]).lines] == [3]
    assert [line.amount for line in open_bills([str(tmp_path / "10.csv"), str(tmp_path / "9.csv")]).lines] == [2]


def test_parquet_that_is_none_is_refused(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    row = {"period": "2025-11", "provider": "openai", "amount": "2", "currency": "eur"}
    pq.write_table(pa.Table.from_pylist([row]), good)
    bills = open_bills([str(good)])
    assert [line.amount for line in bills.lines] == [2]
    assert bills.currency == "EUR"
    bad.write_bytes(good.read_bytes()[:-40] + b"PAR1")
    with pytest.raises(LogError, match=r"^the bill bad\.parquet is no readable Parquet file") as caught:
        open_bills([str(bad)])
    assert caught.value.hint == "Export it again"


def test_bills_of_two_currencies_are_refused_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "bill.csv").write_text(
        "period,provider,amount,currency\n2025-11,openai,2,EUR\n2025-11,azure,2,GBP\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=r"^the bills are in EUR and GBP\. ") as caught:
        open_bills([str(tmp_path)])
    assert caught.value.hint == "Reconcile the bills of one currency at a time"
