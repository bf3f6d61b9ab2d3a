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


def test_a_batch_rate_that_is_in_doubt_stays_so() -> None:
    entry = entry_of({"input_cost_per_token": 2e-6, "input_cost_per_token_batches": 1e-6})
    for doubt in ("", "the map lists no rate of this geography"):
        tariff = read_tariff(entry, doubt)
        card = RateCard(tariff, case_of(tariff, Terms(batch=True)))
        bill = price_usage(Usage(prompt_tokens=1, completion_tokens=0), card)
        assert (bill.status, bill.total_cost) == ("partly_priced" if doubt else "priced", Decimal("0.000001"))


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


IN, OUT, READ = "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"
LARGE = Terms(prompt_tokens=200_001)


@pytest.mark.parametrize(
    ("entry", "terms", "unit", "rate", "note", "weak"),
    [
        ({IN: 4e-6}, Terms(), "text_input", "4e-6", "", False),
        ({IN: 4e-6, f"{IN}_batches": 1e-6}, Terms(batch=True), "text_input", "1e-6", "", False),
        ({IN: 4e-6, f"{IN}_batches": 1e-6, f"{IN}_above_200k_tokens": 8e-6}, LARGE._replace(batch=True), "text_input",
         "1e-6", "no batch rate above the threshold", True),
        ({IN: 4e-6, f"{IN}_batches": 1e-6, f"{IN}_above_200k_tokens_batches": 2e-6}, LARGE._replace(batch=True),
         "text_input", "2e-6", "", False),
        ({IN: 4e-6}, Terms(batch=True), "text_input", "2e-6", "no batch rate: half of the standard one is assumed",
         True),
        ({IN: 4e-6}, Terms(tier="flex"), "text_input", "4e-6", "no flex rate: the standard one", True),
        ({IN: 4e-6}, Terms(tier="priority"), "text_input", "4e-6", "no priority rate: the standard one", True),
        ({IN: 4e-6}, Terms(tier="performance"), "text_input", "4e-6", "no performance rate: the standard one", True),
        ({IN: 4e-6}, Terms(tier="On_Demand"), "text_input", "4e-6", "", False),
        ({IN: 4e-6}, Terms(tier="batch"), "text_input", "4e-6", "no batches rate: the standard one", True),
        ({IN: 4e-6, f"{IN}_batches": 2e-6, "litellm_provider": "openai"}, Terms(batch=True), "cache_read", "2e-6",
         "no cache_read rate: that of text_input", True),
        ({IN: 4e-6, "litellm_provider": "anthropic"}, Terms(geo="US"), "text_input", "4.4e-6",
         "times what the provider documents", False),
        ({IN: 4e-6}, Terms(geo="us"), "text_input", "4e-6", "the map has no rate for inference_geo us", True),
        ({IN: 4e-6, "provider_specific_entry": {"fast": 2}}, Terms(geo="us", speed="fast"), "text_input", "8e-6",
         "the map has no rate for inference_geo us", True),
        ({IN: 4e-6}, Terms(geo="not_available", speed="standard"), "text_input", "4e-6", "", False),
        ({"search_context_cost_per_query": {"search_context_size_medium": 1}}, Terms(tier="flex", geo="us"),
         "web_search_requests", "1", "", False),
        ({f"{IN}_priority": 4e-6}, Terms(), "text_input", "4e-6", "no standard rate: that of a dearer tier", True),
        ({IN: 4e-6, OUT: 1e-6, f"{OUT}_above_200k_tokens": 2e-6}, LARGE, "text_input", "4e-6",
         "no rate above 200000 tokens", True),
        ({IN: 4e-6, f"{IN}_priority": 6e-6, f"{IN}_above_200k_tokens": 8e-6}, LARGE._replace(tier="priority"),
         "text_input", "12e-6", f"no priority rate above the threshold: scaled by {IN}_priority", True),
        ({IN: 4e-6, f"{IN}_above_200k_tokens": 8e-6}, LARGE._replace(tier="priority"), "text_input", "8e-6",
         "no priority rate: the standard one", True),
        ({IN: 4e-6}, Terms(), "cache_read", "4e-6", "no cache_read rate: that of text_input", True),
        ({IN: 4e-6, READ: 1e-6}, Terms(), "cache_read_image", "1e-6", "no cache_read_image rate: that of cache_read",
         False),
        ({IN: 4e-6, READ: 1e-6}, Terms(), "cache_read_audio", "1e-6", "no cache_read_audio rate: that of cache_read",
         True),
        ({IN: 4e-6, f"{IN}_cache_hit": 1e-6}, Terms(batch=True), "cache_read", "0.5e-6",
         "no batch rate: half of the standard one is assumed", True),
        ({IN: 4e-6, READ: 0}, Terms(), "cache_read", "0", "", False),
        ({OUT: 0}, Terms(), "text_output", "0", "", False),
        ({OUT: 0, "output_cost_per_image_token": 5e-6}, Terms(), "text_output", "5e-6",
         "no text_output rate: that of image_output", False),
        ({OUT: 4e-6}, Terms(), "reasoning", "4e-6", "no reasoning rate: that of text_output", False),
        ({OUT: 4e-6, "litellm_provider": "dashscope"}, Terms(), "reasoning", "4e-6",
         "no reasoning rate: that of text_output", True),
        ({IN: 4e-6, "litellm_provider": "openai"}, Terms(), "file_search_calls", "0.0025",
         "the map names no fee: the provider's usual one", True),
        ({"tiered_pricing": [{"max_results_range": [0, 9], "input_cost_per_query": 1e-3},
                             {"max_results_range": [9, 99], "input_cost_per_query": 2e-3}]}, Terms(), "input_queries",
         "0.001", "dearer for more results, and a log does not say how many were asked for", True),
        ({"guardrail_cost_per_unit": {"pii": 1e-3, "odd": "free"}}, Terms(), "guardrail_units_pii", "0.001", "", False),
        ({"tiered_pricing": [{"range": "all"}, {"range": []}, {"range": [0, 1000], IN: 4e-6}]},
         Terms(prompt_tokens=10), "text_input", "4e-6", "", False),
        ({IN: 4e-6}, Terms(), "web_fetch_requests", "0", "costs nothing but its tokens", False),
        ({"output_cost_per_second": 0.1}, Terms(), "text_output", "0", "the model is not charged by tokens", True),
        ({"output_cost_per_second": 0.1}, Terms(), "output_seconds_720p", "0.1",
         "no output_seconds_720p rate: that of output_seconds", True),
        ({"input_cost_per_second": 0, "output_cost_per_second": 0.1}, Terms(), "input_seconds", "0.1",
         "no input_seconds rate: that of output_seconds", False),
        ({"input_cost_per_second": 0.2, "output_cost_per_second": 0.1}, Terms(), "input_seconds", "0.2", "", False),
        ({"mode": "image_generation", "input_cost_per_image": 0.04}, Terms(), "output_images", "0.04",
         "no output_images rate: that of input_images", False),
        ({IN: 4e-6}, Terms(), "citation_tokens", "4e-6", "no citation_tokens rate: that of text_input", True),
        ({IN: 4e-6, "litellm_provider": "openai"}, Terms(), "web_search_requests_low", "0.01",
         "no web_search_requests_low rate: that of web_search_requests; the map names no fee: the provider's usual one",
         True),
        ({IN: 4e-6, "litellm_provider": "xai"}, Terms(), "x_search_calls", "0.005",
         "the map names no fee: the provider's usual one", True),
    ],
)  # fmt: skip
def test_a_rate_says_what_it_stands_in_for(
    entry: dict[str, Any], terms: Terms, unit: str, rate: str, note: str, weak: bool
) -> None:
    tariff = read_tariff(entry_of({"mode": "chat", **entry}))

    line = RateCard(tariff, case_of(tariff, terms)).line(unit)

    assert line is not None
    assert (line.rate, line.listed.note, line.listed.weak) == (Decimal(rate), note, weak)


@pytest.mark.parametrize(
    ("entry", "unit"),
    [
        ({IN: 4e-6}, "text_output"), ({IN: 4e-6}, "web_search_requests"), ({IN: 4e-6}, "bananas"),
        ({IN: 4e-6, "litellm_provider": "xai"}, "file_search_calls"), ({}, "text_input"),
        ({"search_context_cost_per_query": {"search_context_size_medium": 1}}, "text_input"),
    ],
)  # fmt: skip
def test_what_nothing_prices_has_no_rate(entry: dict[str, Any], unit: str) -> None:
    tariff = read_tariff(entry_of({"mode": "chat", **entry}))

    assert RateCard(tariff, case_of(tariff, Terms())).line(unit) is None


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("cache_read_input_token_cost", "input_cost_per_token_cache_hit"),
        ("input_cost_per_token_batches", "input_cost_per_token_batch_requests"),
    ],
)
def test_of_two_spellings_of_a_rate_the_shorter_counts(newer: str, older: str) -> None:
    for fields in ({newer: 1e-6, older: 2e-6}, {older: 2e-6, newer: 1e-6}):
        (listed,) = read_tariff(entry_of(fields)).rates.values()

        assert (listed.rate, listed.field) == (Decimal("1e-6"), newer)


def test_every_stand_in_is_named() -> None:
    written = {"usage": {"prompt_tokens": 9, "cache_write_1h_tokens": 9}, "terms": {}}

    bill = charge(FILES["caches_missing"]["entry"], written)

    line = bill.charges[0].line
    assert line is not None
    assert line.listed.field == "input_cost_per_token"
    notes = line.listed.note.split("; ")
    assert notes == ["no cache_write_1h rate: that of cache_write_5m", "no cache_write_5m rate: that of text_input"]
