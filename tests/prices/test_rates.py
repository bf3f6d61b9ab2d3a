"""What an entry charges under given terms: a folder of cases, one file a rule of pricing.md."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost.prices.book.archive import microseconds
from callcost.prices.book.cost_map import entry_of
from callcost.prices.charges import Bill, price_usage
from callcost.prices.rates import RateCard, Terms, case_of, effective_rate
from callcost.prices.tariffs import read_tariff
from callcost.tables import Usage

FOLDER = Path(__file__).parents[1] / "cases" / "prices"
FILES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
CASES = [(name, number, case) for name, file in FILES.items() for number, case in enumerate(file["cases"])]


def usage_of(counts: dict[str, Any]) -> Usage:
    units = counts.get("billed_units")
    return Usage(**counts | ({"billed_units": {name: Decimal(text) for name, text in units.items()}} if units else {}))


def charge(entry: dict[str, Any], case: dict[str, Any]) -> Bill:
    usage, tariff = usage_of(case["usage"]), read_tariff(entry_of(entry))
    moment = microseconds(case["at"]) if "at" in case else None
    terms = Terms(**case["terms"], prompt_tokens=usage.prompt_tokens or 0, moment=moment)
    return price_usage(usage, RateCard(tariff, case_of(tariff, terms)))


@pytest.mark.parametrize(("name", "number", "case"), CASES, ids=[f"{name}-{number}" for name, number, _ in CASES])
def test_an_entry_charges_what_the_rule_says(name: str, number: int, case: dict[str, Any]) -> None:
    bill = charge(FILES[name]["entry"], case)

    assert (bill.status, bill.reason) == (case["status"], case.get("reason"))
    assert bill.total_cost == (None if case["cost"] is None else Decimal(case["cost"]))
    assert bill.total_cost is None or sum(part.cost for part in bill.charges) == bill.total_cost


def test_multipliers_are_folded_in_and_rounded_once_half_to_even() -> None:
    factors = (("a", Decimal("0.5")), ("b", Decimal("1.1")))

    assert effective_rate(Decimal("3e-18"), factors) == Decimal("2e-18")  # 1.65, where 1.5 * 1.1 in steps would be 2.2
    assert effective_rate(Decimal("5e-18"), factors[:1]) == Decimal("2e-18")


def test_every_stand_in_is_named() -> None:
    written = {"usage": {"prompt_tokens": 9, "cache_write_1h_tokens": 9}, "terms": {}}

    bill = charge(FILES["caches_missing"]["entry"], written)

    line = bill.charges[0].line
    assert line is not None
    assert line.listed.field == "input_cost_per_token"
    notes = line.listed.note.split("; ")
    assert notes == ["no cache_write_1h rate: that of cache_write_5m", "no cache_write_5m rate: that of text_input"]
