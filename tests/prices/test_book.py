"""The book prices a call of any day by what was in force then."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.prices.archive import microseconds
from pipeline.prices.book import Book, Resolution, open_book
from pipeline.prices.charges import Bill, price_usage
from pipeline.prices.rates import Terms
from pipeline.settings import PriceOptions
from pipeline.tables import Usage

MILLION = Usage(prompt_tokens=10**6, completion_tokens=10**6)


@pytest.fixture(scope="module")
def book() -> Book:
    return open_book(PriceOptions())


def price(
    book: Book, model: str, day: str | None, usage: Usage = MILLION, provider: str | None = None
) -> tuple[Resolution, Bill | None]:
    at = None if day is None else microseconds(day)
    found = book.resolve(model, provider, at)
    card = book.rates(found, Terms(prompt_tokens=usage.prompt_tokens or 0, moment=at))
    return found, price_usage(usage, card) if card else None


@pytest.mark.parametrize(
    ("model", "day", "input_cost", "output_cost", "basis"),
    [
        ("gpt-4o", "2024-06-01", 5, 15, "in_force"),
        ("gpt-4o", "2025-01-01", Decimal("2.5"), 10, "in_force"),
        ("o3", "2025-06-01", 10, 40, "in_force"),
        ("o3", "2025-07-01", 2, 8, "in_force"),
        ("claude-3-5-sonnet-20241022", "2026-11-20", 3, 15, "retired"),
        ("claude-opus-4-20250514", "2026-01-01", 15, 75, "in_force"),
        ("claude-opus-4-20250514", "2026-11-20", 15, 75, "retired"),
        ("claude-opus-4-20250514", "2025-05-15", 15, 75, "first_listed_later"),
    ],
)
def test_a_million_tokens_cost_what_they_cost_that_day(
    book: Book, model: str, day: str, input_cost: Decimal, output_cost: Decimal, basis: str
) -> None:
    found, bill = price(book, model, day)

    assert bill is not None
    assert (bill.status, bill.input_cost, bill.output_cost) == ("priced", input_cost, output_cost)
    assert bill.total_cost == input_cost + output_cost
    assert found.basis == basis


@pytest.mark.parametrize(
    ("day", "basis", "hour_cache"),
    [("2025-01-08", "in_force", None), ("2026-11-20", "retired", Decimal("6e-06"))],
)
def test_a_name_in_force_goes_before_its_twin_that_was_dropped(
    day: str, basis: str, hour_cache: Decimal | None
) -> None:
    found = open_book(PriceOptions()).resolve("claude-3-5-sonnet-20241022", "anthropic", microseconds(day))
    assert (found.key, found.basis) == ("claude-3-5-sonnet-20241022", basis)
    assert found.entry is not None
    assert found.entry.get("cache_creation_input_token_cost_above_1hr") == hour_cache
