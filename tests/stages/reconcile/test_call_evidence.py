"""What charges say of single calls: parts, copies, runs, days in other zones, calls by time."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.prices.rates import Terms
from callcost.stages.pricing.exchange_rates import ExchangeRates
from callcost.stages.reconcile.call_evidence import SHIFTS, Evidence, part_of
from callcost.stages.reconcile.cells import CellKey
from callcost.stages.reconcile.grain import BillGrain
from tests.stages.reconcile.by_hand import make_line, vector
from tests.stages.reconcile.tables_by_hand import at, day, make_charge, write_charges

GRAIN = BillGrain([], [])
COST = Decimal("0.00002")
EUROS = ExchangeRates((day(3), day(4)), (Decimal("0.5"), Decimal(2)))


def _evidence(folder: Path, *rows: dict[str, Any], fx: ExchangeRates | None = None, without: Any = None) -> Evidence:
    return Evidence(write_charges(folder, *rows), fx or ExchangeRates(), without)


def _key(number: int = 3, model: str = "gpt-4.1") -> CellKey:
    return CellKey(day(number), "openai", model, None)


def test_a_run_without_charges_has_no_evidence() -> None:
    nothing = Evidence([], ExchangeRates())
    assert (nothing.parts(), nothing.copies(GRAIN), nothing.runs(GRAIN)) == ([], {}, [])


def test_charges_of_one_day_and_terms_are_one_part(tmp_path: Path) -> None:
    terms = {"service_tier": "flex", "region": "eu", "data_residency": "us", "inference_geo": "de", "speed": "fast"}
    evidence = _evidence(
        tmp_path,
        make_charge(1, **terms, prompt=7, stated_rates="{}", started_at=at("11:00")),
        make_charge(2, **terms, prompt=9, started_at=at("10:00")),
        make_charge(3, at=at("04 00:00"), requested="gpt", batch=True, prompt=None),
        make_charge(4, model=None, provider=None),
        make_charge(5, token_class="output", unit="text_output"),
        make_charge(6, token_class="output", unit="text_output", cost=None),
    )
    parts: list[Any] = evidence.parts()
    first, undearer = parts[0], [part for part in parts if part.token_class == "output"]
    by_terms = {part.terms.tier: part for part in parts if part.token_class == "input" and part.day == day(3)}
    both = by_terms["flex"]
    moment = int(at("10:00").timestamp()) * 1_000_000
    assert both.terms == Terms("flex", False, 9, "eu", "us", "de", "fast", moment)
    assert (both.quantity, both.cost, both.fx, both.line, both.stated_rates) == (20, 2 * COST, 1, 0, None)
    assert first.day == day(3)
    assert [(part.quantity, part.cost) for part in undearer] == [(20, None)]
    (later,) = [part for part in parts if part.day == day(4)]
    assert (later.requested, later.terms.batch, later.terms.prompt_tokens) == ("gpt", True, 0)
    assert [part.provider for part in parts if not part.model] == [None]


def test_parts_are_in_the_currency_of_the_bill(tmp_path: Path) -> None:
    rows = make_charge(1), make_charge(2, at=at("04 01:00")), make_charge(3, at=None), make_charge(4, at=at("02 01:00"))
    parts = {part.day: part for part in _evidence(tmp_path, *rows, fx=EUROS).parts()}
    assert {number: part.cost for number, part in parts.items()} == {
        day(3): COST / 2, day(4): COST * 2, None: COST * 2, day(2): COST / 2,
    }  # fmt: skip
    assert parts[day(4)].fx == 2


def test_calls_that_are_explained_already_are_left_out(tmp_path: Path) -> None:
    without = pl.DataFrame({"piece": [0], "record": [2], "other": ["x"]})
    rows = make_charge(1), make_charge(2, model="o3"), make_charge(2, piece=1)
    assert len(_evidence(tmp_path, *rows, without=without.clear()).parts()) == 2
    (part,) = _evidence(tmp_path, *rows, without=without).parts()
    assert part.quantity == 20


def test_a_line_of_charges_keeps_its_run_and_its_stated_rates() -> None:
    row = {**dict.fromkeys(("region", "service_tier", "data_residency", "inference_geo", "speed", "requested")),
           **make_charge(1, line=3, stated_rates="{}"), "day": day(3), "moment": 5, "priced": True}  # fmt: skip
    part = part_of(row, ExchangeRates())
    assert (part.line, part.stated_rates, part.cost, part.terms.moment) == (3, "{}", COST, 5)
    assert part_of({**row, "cost": None}, ExchangeRates()).cost == 0
    assert part_of({**row, "priced": False}, ExchangeRates()).cost is None
    del row["line"]
    assert part_of(row, ExchangeRates()).line == 0


# --- Copies -----------------------------------------------------------------------------------------------------------


def _copies(folder: Path, *rows: dict[str, Any]) -> dict[CellKey, Any]:
    return _evidence(folder, *rows).copies(GRAIN)


def test_calls_with_one_response_id_and_counts_are_copies(tmp_path: Path) -> None:
    one, two = make_charge(1, provider_response_id="r"), make_charge(2, provider_response_id="r", at=at("12:01"))
    copied = {_key(): vector(input=(10, COST))}
    assert _copies(tmp_path, one, two) == copied
    assert _copies(tmp_path, one, two, make_charge(3, provider_response_id="r")) == {
        _key(): vector(input=(20, 2 * COST))
    }
    assert not _copies(tmp_path, one, {**two, "provider_response_id": "s"})
    assert not _copies(tmp_path, one, {**two, "quantity": Decimal(11)})
    assert not _copies(tmp_path, one, {**two, "model": "o3"})
    assert not _copies(tmp_path, *({**row, "provider_response_id": None} for row in (one, two)))


def test_of_copies_the_first_call_stays(tmp_path: Path) -> None:
    """The first by its id: the other is on the day after."""
    one, two = (make_charge(number, provider_response_id="r", at=at(f"0{number} 12:00")) for number in (3, 4))
    assert list(_copies(tmp_path, two, one)) == [_key(4)]
    assert list(_copies(tmp_path, {**two, "call_id": "a"}, one)) == [_key(3)]


def test_calls_of_one_moment_below_the_second_and_of_equal_counts_are_copies(tmp_path: Path) -> None:
    one, two = (make_charge(number, at=at("12:00:00.000001")) for number in (1, 2))
    assert _copies(tmp_path, one, two) == {_key(): vector(input=(10, COST))}
    assert not _copies(tmp_path, one, {**two, "started_at": at("12:00:00.000002")})
    assert not _copies(tmp_path, one, {**two, "paid": "azure"})
    assert not _copies(tmp_path, one, {**two, "quantity": Decimal(11)})


def test_calls_of_one_whole_second_are_no_copies(tmp_path: Path) -> None:
    """A log that writes whole seconds has equal calls of one second by chance."""
    assert not _copies(tmp_path, *(make_charge(number, at=at("12:00:01")) for number in (1, 2)))
    assert not _copies(tmp_path, *(make_charge(number, started_at=None) for number in (1, 2)))


def test_calls_of_one_whole_second_are_copies_where_chance_makes_none(tmp_path: Path) -> None:
    """One pair in an hour is none by chance; of fifty equal calls in an hour some are."""
    pair = [make_charge(number, at=at("12:00:01")) for number in (1, 2)]
    others = [make_charge(3, at=at("13:00:01"), quantity=Decimal(99))]
    assert _copies(tmp_path, *pair, *others) == {_key(): vector(input=(10, COST))}
    many = [make_charge(number, at=at(f"12:{number}:07")) for number in range(10, 58)]
    assert not _copies(tmp_path, *pair, *others, *many)


def test_few_calls_are_looked_at_as_copies(tmp_path: Path) -> None:
    """Of a million calls without ids, those of one moment and as many tokens: all others cost time and memory."""
    rows = [make_charge(number, quantity=Decimal(10 + number), provider_response_id=None) for number in range(5)]
    assert _evidence(tmp_path, *rows)._may_be_copies().is_empty()
    assert _evidence(tmp_path, *rows, {**rows[2], "record": 9})._may_be_copies()["record"].sort().to_list() == [2, 9]


def test_a_copy_by_id_and_by_moment_counts_once(tmp_path: Path) -> None:
    rows = [make_charge(number, at=at("12:00:00.5"), provider_response_id="r") for number in (1, 2)]
    assert _copies(tmp_path, *rows) == {_key(): vector(input=(10, COST))}


def test_copies_hold_all_their_classes(tmp_path: Path) -> None:
    rows = [
        make_charge(number, provider_response_id="r", token_class=name, unit=f"text_{name}", cost=cost)
        for number in (1, 2)
        for name, cost in (("input", COST), ("output", None))
    ]
    assert _copies(tmp_path, *rows) == {_key(): vector(input=(10, COST), output=(10, 0))}


# --- Runs -------------------------------------------------------------------------------------------------------------


def test_further_runs_and_first_runs_are_told_apart(tmp_path: Path) -> None:
    rows = [make_charge(1, line=line, lines=3, quantity=Decimal(10 ** line)) for line in (0, 1, 2)]
    evidence = _evidence(tmp_path, *rows, make_charge(2), make_charge(3, lines=2, at=at("04 01:00")))
    further, first = evidence.runs(GRAIN)
    assert further == {_key(): vector(input=(110, 2 * COST))}
    assert first == {_key(): vector(input=(1, COST)), _key(4): vector(input=(10, COST))}


# --- Time -------------------------------------------------------------------------------------------------------------


def test_calls_come_by_their_distance_to_either_end_of_the_day(tmp_path: Path) -> None:
    rows = [
        make_charge(number, at=at(time), quantity=Decimal(number))
        for number, time in ((1, "23:59"), (2, "00:01"), (3, "12:00"), (4, "04 00:00"), (5, "02 23:59:59.999999"))
    ]
    rows += [make_charge(3, token_class="output", unit="text_output", at=at("12:00"), quantity=Decimal(7))]
    rows += [make_charge(6, model="o3"), make_charge(7, paid="azure")]
    evidence = _evidence(tmp_path, *rows)
    noon = vector(input=(3, COST), output=(7, COST))
    late = [vector(input=(1, COST)), noon, vector(input=(2, COST))]
    assert evidence.calls_by_time(GRAIN, _key(), late=True) == late
    assert evidence.calls_by_time(GRAIN, _key(), late=False) == late[::-1]
    assert evidence.calls_by_time(GRAIN, CellKey(None, "openai", "gpt-4.1", None), late=True) == []


def test_calls_of_one_moment_come_by_their_place(tmp_path: Path) -> None:
    rows = [make_charge(2), make_charge(1, quantity=Decimal(3)), make_charge(1, piece=1, quantity=Decimal(4))]
    for late in (True, False):
        found = _evidence(tmp_path, *rows).calls_by_time(GRAIN, _key(), late=late)
        assert [call["input"][0] for call in found] == [3, 10, 4]


def test_calls_are_in_the_cells_and_the_currency_of_the_bill(tmp_path: Path) -> None:
    grain = BillGrain([make_line(model="gpt-4.1", start_at=day(3), end_at=day(4))], [])
    rows = [make_charge(1), make_charge(1, token_class="output", unit="text_output")]
    found = _evidence(tmp_path, *rows, fx=EUROS).calls_by_time(grain, _key(), late=True)
    assert found == [{None: (Decimal(20), COST)}]
    copies = _evidence(tmp_path, *(make_charge(number, provider_response_id="r") for number in (1, 2)), fx=EUROS)
    assert copies.copies(grain) == {_key(): {None: (Decimal(10), COST / 2)}}


@pytest.mark.parametrize(
    ("time", "hours", "number"),
    [("03 23:30", 0.5, 4), ("03 23:29:59", 0.5, 3), ("03 00:30", -0.5, 3), ("03 00:29", -0.5, 2), ("03 10:00", 14, 4),
     ("03 14:00", -14, 3), ("03 13:59", -14, 2)],
)  # fmt: skip
def test_days_are_cut_at_every_half_hour_of_the_clock(tmp_path: Path, time: str, hours: float, number: int) -> None:
    zones = _evidence(tmp_path, make_charge(1, at=at(time))).by_time_zone(GRAIN, "openai", SHIFTS)
    assert zones[int(hours * 3_600_000_000)] == {_key(number): vector(input=(10, COST))}
    assert sorted(zones) == [half * 1_800_000_000 for half in range(-28, 29) if half]


def test_a_zone_holds_all_calls_of_a_provider(tmp_path: Path) -> None:
    rows = make_charge(1), make_charge(2, at=at("12:20")), make_charge(3, paid="azure"), make_charge(4, at=None)
    zones = _evidence(tmp_path, *rows, fx=EUROS).by_time_zone(GRAIN, "openai", SHIFTS)
    undated = CellKey(None, "openai", "gpt-4.1", None)
    assert zones[3_600_000_000] == {_key(): vector(input=(20, COST)), undated: vector(input=(10, 2 * COST))}
    assert zones[14 * 3_600_000_000][_key(4)] == vector(input=(20, 4 * COST))
