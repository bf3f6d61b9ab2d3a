"""The book prices a call of any day by what was in force then."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from callcost.errors import PriceError
from callcost.prices.book.archive import microseconds
from callcost.prices.book.book import Book, Resolution, _Query, open_book
from callcost.prices.book.catalog import load_catalog
from callcost.prices.charges import Bill, price_usage
from callcost.prices.rates import Terms
from callcost.settings import PriceOptions
from callcost.tables import Usage

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
        ("gemini/gemini-1.5-flash", "2026-07-01", Decimal("0.15"), Decimal("0.6"), "retired"),  # above 128k tokens
        ("gemini/gemini-1.5-flash", "2026-11-20", Decimal("0.15"), Decimal("0.6"), "retired"),
    ],
)
def test_a_million_tokens_cost_what_they_cost_that_day(
    book: Book, model: str, day: str, input_cost: Decimal, output_cost: Decimal, basis: str
) -> None:
    found, bill = price(book, model, day)

    assert bill is not None
    assert bill.status == "priced"
    assert bill.costs == (input_cost, output_cost, None, input_cost + output_cost)
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


def test_the_very_name_that_is_listed_soon_goes_before_a_like_one_in_force(book: Book) -> None:
    key = "apac.amazon.nova-lite-v1:0"
    listed = book.catalog.history(key)[0][0].effective_from
    day = 86_400_000_000
    found = {days: book.resolve(key, "bedrock", listed - days * day) for days in (119, 121)}
    assert (found[119].key, found[119].basis, found[119].runner_up) == (
        key, "first_listed_later", "amazon.nova-lite-v1:0",
    )  # fmt: skip
    assert (found[121].key, found[121].basis, found[121].runner_up) == ("amazon.nova-lite-v1:0", "in_force", None)


@pytest.mark.parametrize(
    ("model", "provider", "status", "reason"),
    [
        ("deepseek-v3-2-251201", "volcengine", "unpriced", "placeholder_rate"),
        ("gemini/gemini-1.5-flash-8b-exp-0827", "gemini", "unpriced", "placeholder_rate"),
        ("zai/glm-4.7-flash", "zai", "free", "free_model"),
        ("omni-moderation-latest", "openai", "free", "free_model"),
        ("ollama/llama3", "ollama", "free", "local"),
    ],
)
def test_a_hosted_model_at_0_is_free_only_where_its_provider_says_so(
    book: Book, model: str, provider: str, status: str, reason: str
) -> None:
    _, bill = price(book, model, None, provider=provider)
    assert bill is not None
    assert (bill.status, bill.reason) == (status, reason)


def test_a_zero_of_the_users_own_is_no_placeholder(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[rates."deepseek-v3-2-251201"]\ninput_cost_per_token = 0\n', encoding="utf-8")
    _, bill = price(open_book(PriceOptions(override=own)), "deepseek-v3-2-251201", None, provider="volcengine")
    assert bill is not None
    assert (bill.status, bill.reason) == ("free", "free_model")


def test_a_call_without_a_time_takes_the_newest_version(book: Book) -> None:
    found, bill = price(book, "gpt-4o", None)

    assert (found.basis, found.version) == ("newest", book.catalog.newest.name)
    assert bill is not None
    assert bill.total_cost == Decimal("12.5")


@pytest.mark.parametrize(
    ("prices", "model", "basis", "version", "total"),
    [
        ("latest", "gpt-4o", "newest", load_catalog().newest.name, Decimal("12.5")),
        ("latest", "claude-3-5-sonnet-20241022", "retired", "litellm-1.82.0", 18),
        ("2024-06-01", "gpt-4o", "in_force", "tokencost-0.1.8", 20),
        ("2024-06-01", "o3", "first_listed_later", "litellm-1.67.0", 50),
        ("2026-11-20", "claude-3-5-sonnet-20241022", "retired", "litellm-1.82.0", 18),
        ("litellm-1.106.4", "gpt-4o", "in_force", "litellm-1.106.4", Decimal("12.5")),
        ("litellm-1.106.4", "claude-3-5-sonnet-20241022", None, None, None),
    ],
)
def test_the_option_prices_says_by_what_every_call_is_priced(
    prices: str, model: str, basis: str | None, version: str | None, total: Decimal | None
) -> None:
    found, bill = price(open_book(PriceOptions(prices=prices)), model, "2025-01-01")

    assert (found.basis, found.version) == (basis, version)
    assert (bill and bill.total_cost) == total


@pytest.mark.parametrize("prices", ["litellm-0.0.0", "2019-01-01", "yesterday"])
def test_a_version_that_does_not_exist_is_an_error(prices: str) -> None:
    with pytest.raises(PriceError):
        open_book(PriceOptions(prices=prices))


def test_a_model_listed_without_rates_is_priced_by_its_first_rates(book: Book) -> None:
    """The map lists some models weeks before it knows what they cost."""
    name, day = "databricks/databricks-glm-5-3-flash", "2026-09-14"
    (listed, empty), (rated, _) = book.catalog.history(name)[:2]
    assert empty is not None
    assert listed.effective_text[:10] <= day < rated.effective_text[:10]

    found, bill = price(book, name, day)

    assert (found.basis, found.version) == ("first_listed_later", rated.name)
    assert bill is not None
    assert bill.status == "priced"


OWN = """
[rates."gpt-4o"]
input_cost_per_token = 2e-6
effective_from = 2025-03-01
[rates."in-house"]
input_cost_per_token = 1e-6
output_cost_per_token = 1e-6
[[discounts]]
provider = "anthropic"
percent = 12.5
[aliases]
"team-profile" = "azure/gpt-4o-mini"
"renamed" = { model = "o3", effective_from = 2025-03-01 }
"""


@pytest.mark.parametrize(
    ("model", "provider", "day", "rung", "key", "total"),
    [
        ("gpt-4o", "openai", "2025-02-01", "exact", "gpt-4o", Decimal("12.5")),
        ("gpt-4o", "openai", "2025-04-01", "override", "gpt-4o", 12),
        ("openai/gpt-4o", None, "2025-04-01", "override", "gpt-4o", 12),
        ("azure/gpt-4o", None, "2025-04-01", "exact", "azure/gpt-4o", Decimal("12.5")),
        ("in-house", None, "2020-01-01", "override", "in-house", 2),
        ("team-profile", "azure", "2025-04-01", "alias", "azure/gpt-4o-mini", Decimal("0.825")),
        ("renamed", None, "2025-04-01", "alias", "o3", 50),
        ("renamed", None, "2025-02-01", None, None, None),
        ("claude-opus-4-20250514", "anthropic", "2026-01-01", "exact", "claude-opus-4-20250514", Decimal("78.75")),
        ("anthropic.claude-3-haiku-20240307-v1:0", "bedrock", "2026-01-01", "exact", None, Decimal("1.5")),
    ],
)
def test_the_users_own_prices_win_and_are_named(
    tmp_path: Path, model: str, provider: str | None, day: str, rung: str | None, key: str | None, total: Decimal | None
) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(OWN, encoding="utf-8")

    found, bill = price(open_book(PriceOptions(override=str(path))), model, day, provider=provider)

    assert (found.rung, found.key) == (rung, key or found.key)
    assert (bill and bill.total_cost) == total
    if total == Decimal("78.75"):
        assert found.discount[0][1] == Decimal("0.875")


def test_spans_between_versions_have_numbers(book: Book) -> None:
    first = book.moments[0]

    assert [book.era(moment) for moment in (None, first - 1, first, first + 1)] == [-1, 0, 1, 1]
    assert book.moment_of(-1) is None
    assert all(book.era(book.moment_of(era)) == era for era in range(-1, len(book.moments) + 1))


def test_a_name_means_the_same_however_its_spans_are_asked_for(book: Book) -> None:
    """What was resolved at the last change before a moment is what resolving at the moment itself finds."""
    for model in ("gpt-4o", "claude-3-5-sonnet-20241022", "deepseek-chat", "openrouter/openai/gpt-4o"):
        for moment in book.moments[::5]:
            exact = book._resolve_names(_Query(model, None, None, None), moment)
            found = book.resolve(model, None, moment)
            assert (found.key, found.basis, found.version) == (exact.key, exact.basis, exact.version)
            assert found.tariff is exact.tariff
