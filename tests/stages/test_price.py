"""The batch reader says what the scalar reader says, row by row and in order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from callcost.prices.book.archive import microseconds
from callcost.prices.book.book import Book, open_book
from callcost.settings import PriceOptions
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.tables.facts import facts_of
from callcost.stages.tables.schemas import Facts
from callcost.tables import Call, Usage


@pytest.fixture(scope="module")
def book() -> Book:
    return open_book(PriceOptions())


def call(model: str, day: str | None = "2026-01-01", *, usage: Usage | None, **more: object) -> Call:
    made = Call(source_format="plain", family="plain", model=model, usage=usage, usage_source="reported")
    made.started_at = None if day is None else microseconds(day)
    for name, value in more.items():
        setattr(made, name, value)
    return made


MILLION = Usage(prompt_tokens=10**6, completion_tokens=10**6)


def test_rows_are_priced_in_order_by_the_version_of_their_day(book: Book) -> None:
    days = [("gpt-4o", "2024-06-01"), ("o3", "2025-07-01"), ("gpt-4o", "2025-01-01"), ("o3", "2025-06-01")]
    facts = facts_of([call(model, day, usage=MILLION) for model, day in days], 0)

    priced = price_facts(facts, book)

    assert priced["total_cost"].to_list() == [Decimal(20), Decimal(10), Decimal("12.5"), Decimal(50)]
    assert priced["price_status"].to_list() == ["priced"] * 4
    assert dict(priced.schema) == Facts.types
    assert priced["model"].to_list() == facts["model"].to_list()


@pytest.mark.parametrize(
    ("made", "verdict", "total"),
    [
        (call("gpt-4o", usage=MILLION, status="cache_hit"), ("free", "cache_hit"), 0),
        (call("gpt-4o", usage=None, status="failure"), ("free", "failed_call"), 0),
        (call("gpt-4o", usage=MILLION, status="failure"), ("priced", None), Decimal("12.5")),
        (call("gpt-4o", usage=None, usage_source="absent"), ("unpriced", "no_usage"), None),
        (call("gpt-4o", usage=MILLION, usage_source="timed_out"), ("partly_priced", "timed_out"), Decimal("12.5")),
        (call("gpt-9", usage=MILLION), ("unpriced", "unknown_model"), None),
        (call("ollama/llama3:70b", usage=MILLION), ("free", "free_model"), 0),
        (call("github_copilot/gpt-4o", usage=MILLION), ("unpriced", "no_rate"), None),
        (call("gpt-4o", usage=Usage(prompt_tokens=10**6)), ("partly_priced", "usage_incomplete"), Decimal("2.5")),
    ],
)
def test_a_row_says_why_it_has_no_plain_price(
    book: Book, made: Call, verdict: tuple[str, str | None], total: Decimal | None
) -> None:
    row = price_facts(facts_of([made], 0), book).row(0, named=True)

    assert (row["price_status"], row["price_reason"]) == verdict
    assert row["total_cost"] == total
