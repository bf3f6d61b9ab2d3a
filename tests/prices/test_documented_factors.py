"""Where the maps lack a rate that its provider documents as a multiple of another, that is what a call costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from callcost.prices.book.archive import microseconds
from callcost.prices.book.book import open_book
from callcost.prices.book.cost_map import entry_of
from callcost.prices.calls import price_line
from callcost.prices.charges import price_usage
from callcost.prices.documented_factors import FACTORS, MOMENTS, documented
from callcost.prices.rates import RateCard, Terms, case_of
from callcost.prices.tariffs import ListedRate, read_tariff
from callcost.settings import PriceOptions
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.tables.facts import facts_of
from callcost.tables import Call, Usage

IN, OUT, READ = "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"
WRITE, HOUR = "cache_creation_input_token_cost", "cache_creation_input_token_cost_above_1hr"
PLAIN = {IN: 4e-6, OUT: 8e-6}
LARGE = Terms(prompt_tokens=200_001)


def listed(provider: str, fields: dict[str, Any], unit: str, terms: Terms, model: str, day: str | None) -> ListedRate:
    entry = entry_of({"mode": "chat", "litellm_provider": provider, **fields})
    moment = microseconds(day) if day else None
    tariff = read_tariff(entry, factors=documented(provider, model, moment))
    line = RateCard(tariff, case_of(tariff, terms)).line(unit)
    assert line is not None
    return line.listed._replace(rate=line.rate)


@pytest.mark.parametrize(
    ("provider", "fields", "unit", "terms", "model", "day", "rate"),
    [
        ("anthropic", PLAIN, "cache_read", Terms(), "claude-opus-4-5", "2026-01-01", "4e-7"),
        ("anthropic", PLAIN, "cache_write_5m", Terms(), "claude-opus-4-5", "2026-01-01", "5e-6"),
        ("anthropic", PLAIN, "cache_write_1h", Terms(), "claude-opus-4-5", "2026-01-01", "8e-6"),
        ("anthropic", PLAIN | {WRITE: 5e-6}, "cache_write_1h", Terms(), "claude-opus-4-5", None, "8e-6"),
        ("anthropic", PLAIN | {f"{IN}_above_200k_tokens": 8e-6, HOUR: 8e-6}, "cache_write_1h", LARGE,
         "claude-sonnet-4-5", None, "16e-6"),
        ("anthropic", PLAIN, "text_output", Terms(batch=True), "", None, "4e-6"),
        ("anthropic", PLAIN, "text_output", Terms(tier="batch"), "", None, "4e-6"),
        ("anthropic", PLAIN, "cache_read", Terms(batch=True), "claude-opus-4-5", "2026-01-01", "2e-7"),
        ("anthropic", PLAIN | {f"{IN}_batches": 2e-6, f"{OUT}_batches": 4e-6}, "cache_read", Terms(batch=True),
         "claude-opus-4-5", None, "2e-7"),
        ("anthropic", PLAIN | {f"{IN}_above_200k_tokens": 8e-6}, "text_input", LARGE._replace(batch=True), "", None,
         "4e-6"),
        ("anthropic", PLAIN | {f"{IN}_above_200k_tokens": 8e-6, f"{IN}_batches": 2e-6}, "text_input",
         LARGE._replace(batch=True), "", None, "4e-6"),
        ("anthropic", PLAIN, "text_output", Terms(geo="US"), "claude-opus-4-6", "2026-03-01", "8.8e-6"),
        ("openai", PLAIN | {READ: 1e-6}, "cache_read", Terms(tier="flex"), "o3", None, "0.5e-6"),
        ("openai", PLAIN | {READ: 1e-6, f"{IN}_batches": 2e-6}, "cache_read", Terms(batch=True), "o3", None, "0.5e-6"),
        ("openai", PLAIN | {f"{IN}_above_272k_tokens": 8e-6, f"{IN}_flex": 2e-6}, "text_input",
         Terms(tier="flex", prompt_tokens=300_000), "gpt-5.6", None, "4e-6"),
        ("gemini", PLAIN, "audio_output", Terms(batch=True), "gemini/gemini-2.5-pro", None, None),
        ("gemini", PLAIN, "text_output", Terms(tier="ON_DEMAND_FLEX"), "gemini/gemini-2.5-pro", None, "4e-6"),
        ("gemini", PLAIN, "cache_read", Terms(), "gemini/gemini-2.5-pro", "2025-06-25", "1e-6"),
        ("gemini", PLAIN, "cache_read", Terms(), "gemini/gemini-2.5-pro", "2025-11-07", "4e-7"),
        ("gemini", PLAIN | {READ: 4e-7}, "cache_read", Terms(batch=True), "gemini/gemini-2.5-pro", None, None),
        ("vertex_ai-language-models", PLAIN | {READ: 4e-7}, "cache_read", Terms(batch=True), "gemini-2.5-pro", None,
         "4e-7"),
        ("vertex_ai-language-models", PLAIN, "text_output", Terms(batch=True), "gemini-2.0-flash", None, "4e-6"),
        ("vertex_ai-anthropic_models", PLAIN, "text_input", Terms(region="us-east5"), "vertex_ai/claude-opus-4-5",
         "2025-12-01", "4.4e-6"),
        ("fireworks_ai", PLAIN, "cache_read", Terms(), "", None, "2e-6"),
    ],
)  # fmt: skip
def test_a_documented_multiple_stands_in_and_nothing_that_is_not_said(
    provider: str, fields: dict[str, Any], unit: str, terms: Terms, model: str, day: str | None, rate: str | None
) -> None:
    found = listed(provider, fields, unit, terms, model, day)
    if rate is None:
        assert (found.derived, found.weak) == (False, True)
        return
    assert (found.rate, found.derived, found.weak) == (Decimal(rate), True, False)
    assert "document" in found.note


@pytest.mark.parametrize(
    ("provider", "fields", "unit", "terms", "model", "day"),
    [
        ("anthropic", PLAIN, "cache_read", Terms(), "claude-opus-5-5", "2026-10-20"),  # documented at less
        ("anthropic", PLAIN, "cache_write_5m", Terms(), "claude-3-haiku-20240307", "2025-01-01"),  # rounded there
        ("anthropic", PLAIN, "text_input", Terms(tier="priority"), "claude-opus-4-5", None),
        ("openai", PLAIN, "cache_read", Terms(tier="flex"), "o3", None),  # a half of what nobody knows
        ("openai", PLAIN, "text_input", Terms(tier="priority"), "o3", None),
        ("openai", PLAIN, "text_input", Terms(tier="flex"), "o3", "2025-01-01"),  # before there was any
        ("openai", PLAIN, "text_input", Terms(tier="flex"), "gpt-5-codex", None),  # which is not offered so
        ("openai", PLAIN, "text_input", Terms(tier="flex"), "o3-mini", None),
        ("gemini", PLAIN, "cache_read", Terms(), "gemini/gemini-2.5-pro", "2025-10-20"),  # between two prices
        ("gemini", PLAIN, "cache_read", Terms(), "gemini/gemini-2.5-computer-use-preview-10-2025", None),
        ("azure", PLAIN, "text_input", Terms(tier="flex"), "azure/o3", None),
        ("anthropic", PLAIN, "text_input", Terms(tier="endpoint"), "claude-opus-4-5", None),  # no tier of anybody's
    ],
)  # fmt: skip
def test_what_is_not_documented_stays_a_guess(
    provider: str, fields: dict[str, Any], unit: str, terms: Terms, model: str, day: str | None
) -> None:
    assert listed(provider, fields, unit, terms, model, day).weak


def test_a_rate_that_the_map_lists_goes_before_what_is_documented() -> None:
    fields = PLAIN | {READ: 7e-7, f"{IN}_batches": 3e-6, f"{READ}_batches": 6e-7}
    for unit, terms, rate in (
        ("cache_read", Terms(), "7e-7"), ("text_input", Terms(batch=True), "3e-6"),
        ("cache_read", Terms(batch=True), "6e-7"), ("image_input", Terms(batch=True), "3e-6"),
    ):  # fmt: skip
        found = listed("anthropic", fields, unit, terms, "claude-opus-4-5", None)
        assert (found.rate, found.derived) == (Decimal(rate), False)


def test_older_models_of_a_region_cost_what_they_do_everywhere() -> None:
    for model, rate in (("vertex_ai/claude-sonnet-4@20250514", "4e-6"), ("vertex_ai/claude-sonnet-4-5", "4.4e-6")):
        fields = (PLAIN, "text_input", Terms(region="europe-west1"), model, "2026-01-01")
        assert listed("vertex_ai-anthropic_models", *fields).rate == Decimal(rate)
    fields = (PLAIN, "text_input", Terms(region="eu"), "claude-opus-4-5", "2025-09-01")
    assert listed("vertex_ai-anthropic_models", *fields).rate == Decimal("4e-6")


def test_every_factor_has_a_source_and_a_multiple() -> None:
    for factor in FACTORS:
        assert factor.source.startswith("https://")
        assert 0 < factor.times <= 2
        assert factor.until is None or factor.since < factor.until
    assert min(MOMENTS) > 0


def test_a_derived_rate_is_a_price_with_its_reason_for_both_readers() -> None:
    """By the map of its day, which a call's time chooses; what is free of charge has nothing derived."""
    book = open_book(PriceOptions())
    usage = Usage(prompt_tokens=100_000, completion_tokens=0, cache_read_input_tokens=100_000)
    asked: list[tuple[str, str, str, dict[str, Any], tuple[str, str | None], str]] = [
        ("gemini/gemini-2.5-pro", "gemini", "2025-06-25", {}, ("priced", "derived_rate"), "0.03125"),
        ("gemini/gemini-2.5-pro", "gemini", "2025-08-01", {}, ("priced", None), "0.03125"),
        ("o3", "openai", "2025-07-02", {"service_tier": "flex"}, ("priced", "derived_rate"), "0.025"),
        ("gpt-4o", "openai", "2025-08-01", {"service_tier": "flex"}, ("partly_priced", "rate_fallback"), "0.125"),
        ("vertex_ai/claude-opus-4-5", "vertex_ai", "2025-12-01", {"region": "us-east5"}, ("priced", "derived_rate"),
         "0.055"),
        ("vertex_ai/claude-opus-4-5", "vertex_ai", "2026-10-01", {"region": "us-east5"}, ("priced", None), "0.055"),
        ("vertex_ai/claude-opus-4-5", "vertex_ai", "2025-12-01", {"region": "global"}, ("priced", None), "0.05"),
    ]  # fmt: skip
    calls = [
        Call(family="plain", source_format="plain", model=model, provider=provider, started_at=microseconds(day),
             usage=usage, usage_source="reported", status="success", source_row=number, **terms)
        for number, (model, provider, day, terms, *_) in enumerate(asked)
    ]  # fmt: skip
    rows = price_facts(facts_of(calls, 0, 0), book)
    for call, row, (*_, verdict, cost) in zip(calls, rows.iter_rows(named=True), asked, strict=True):
        _, bill = price_line(book, call, usage)
        assert (row["price_status"], row["price_reason"]) == (bill.status, bill.reason) == verdict, call.model
        assert row["total_cost"] == bill.total_cost == Decimal(cost), call.model


def test_a_side_that_is_not_stated_is_missing_where_its_rate_is_derived_too() -> None:
    tariff = read_tariff(entry_of({"mode": "chat", "litellm_provider": "openai", **PLAIN}))
    card = RateCard(tariff, case_of(tariff, Terms(batch=True)))
    assert price_usage(Usage(prompt_tokens=10), card)[:2] == ("partly_priced", "usage_incomplete")
