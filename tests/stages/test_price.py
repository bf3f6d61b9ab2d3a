"""The batch reader says what the scalar reader says, row by row and in order."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from callcost.prices.book.archive import microseconds
from callcost.prices.book.book import Book, open_book, pin_book
from callcost.prices.book.cost_map import entry_of
from callcost.prices.calls import price_line
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
        (call("gpt-4o", usage=None, status="failure", flags=["aborted"]), ("unpriced", "aborted"), None),
        (call("gpt-4o", usage=MILLION, status="failure"), ("priced", None), Decimal("12.5")),
        (call("gpt-4o", usage=None, usage_source="absent"), ("unpriced", "no_usage"), None),
        (call("gpt-4o", usage=MILLION, usage_source="timed_out"), ("partly_priced", "timed_out"), Decimal("12.5")),
        (call("gpt-9", usage=MILLION), ("unpriced", "unknown_model"), None),
        (call("ollama/llama3:70b", usage=MILLION), ("free", "local"), 0),
        (call("unheard-of:3b", provider="llama.cpp", usage=MILLION), ("free", "local"), 0),
        (call("lemonade/Gemma-3-4b-it-GGUF", usage=MILLION), ("free", "free_model"), 0),
        (call("gpt-4o", usage=MILLION, service_tier="scale"), ("unpriced", "provisioned"), None),
        (call("gpt-4o", usage=MILLION, service_tier="Flex"), ("partly_priced", "rate_fallback"), Decimal("12.5")),
        (call("o3", "2025-07-02", usage=MILLION, service_tier="Flex"), ("priced", "derived_rate"), Decimal(5)),
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


RATES: dict[str, dict[str, object]] = {
    "chat": {
        "mode": "chat", "input_cost_per_token": 1e-3, "output_cost_per_token": 2e-3, "input_cost_per_character": 1e-4,
        "input_cost_per_second": 7e-3, "search_context_cost_per_query": {"search_context_size_medium": 5e-3},
    },
    "embeds": {"mode": "embedding", "input_cost_per_token": 1e-3, "output_cost_per_token": 0},
    "draws": {"mode": "image_generation", "input_cost_per_token": 1e-3, "output_cost_per_image_token": 4e-3},
    "gratis": {"mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0},
    "listed": {"mode": "chat"},
    "parts": {
        "mode": "chat", "input_cost_per_token": 1e-3, "cache_read_input_token_cost": 1e-4,
        "cache_creation_input_token_cost": 2e-3, "cache_creation_input_token_cost_above_1hr": 4e-3,
        "input_cost_per_audio_token": 5e-3, "output_cost_per_token": 2e-3, "output_cost_per_reasoning_token": 3e-3,
        "output_cost_per_audio_token": 7e-3,
    },
    "fine": {"mode": "chat", "input_cost_per_token": "0.000001000000000001", "output_cost_per_token": 0},
    "ranks": {"mode": "rerank", "input_cost_per_query": 0},
    "asks": {"mode": "chat", "input_cost_per_token": 1e-3},
    "answers": {"mode": "chat", "output_cost_per_token": 2e-3},
}  # fmt: skip
FREE, NONE = ("0", "0", None, "0"), (None, None, None, None)
SEARCHES = {"web_search_requests": Decimal(2)}


def stating(prompt: int | None = None, completion: int | None = None, /, **counts: int | dict[str, Decimal]) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=completion, **counts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "usage", "terms", "verdict", "costs"),
    [
        ("chat", stating(10, 10), {}, "priced", ("0.01", "0.02", None, "0.03")),
        ("chat", stating(0, 0), {}, "priced", FREE),
        # one side is not stated
        ("chat", stating(10), {}, "partly_priced usage_incomplete", ("0.01", None, None, "0.01")),
        ("chat", stating(None, 10), {}, "partly_priced usage_incomplete", (None, "0.02", None, "0.02")),
        ("embeds", stating(10), {}, "priced", ("0.01", None, None, "0.01")),
        ("embeds", stating(None, 10), {}, "partly_priced usage_incomplete", (None, "0", None, "0")),
        ("draws", stating(10), {}, "priced", ("0.01", None, None, "0.01")),
        ("chat", stating(10, billed_units=SEARCHES), {}, "partly_priced usage_incomplete",
         ("0.01", None, "0.01", "0.02")),
        ("chat", stating(None, 10, billed_units=SEARCHES), {}, "partly_priced usage_incomplete",
         (None, "0.02", "0.01", "0.03")),
        ("chat", stating(billed_units=SEARCHES), {}, "partly_priced usage_incomplete", (None, None, "0.01", "0.01")),
        # nothing was made, or nothing is known of it
        ("chat", stating(10, 10), {"status": "cache_hit"}, "free cache_hit", FREE),
        ("chat", stating(billed_units=SEARCHES), {"status": "cache_hit"}, "free cache_hit", FREE),
        ("other", stating(10, 10), {"status": "cache_hit"}, "free cache_hit", FREE),
        ("chat", stating(), {"status": "failure"}, "free failed_call", FREE),
        ("chat", stating(10, 10), {"billing": "not_charged"}, "free not_charged", FREE),
        ("other", stating(10, billed_units=SEARCHES), {"billing": "not_charged"}, "free not_charged", FREE),
        ("chat", stating(10, 10), {"billing": "plan"}, "priced", ("0.01", "0.02", None, "0.03")),
        ("chat", stating(), {"status": "failure", "flags": ["aborted"]}, "unpriced aborted", NONE),
        ("chat", stating(), {"flags": ["aborted"]}, "unpriced aborted", NONE),
        ("chat", stating(10, 10), {"flags": ["aborted"]}, "priced", ("0.01", "0.02", None, "0.03")),
        ("chat", stating(0), {"status": "failure"}, "partly_priced usage_incomplete", ("0", None, None, "0")),
        ("chat", stating(billed_units=SEARCHES), {"status": "failure"}, "partly_priced usage_incomplete",
         (None, None, "0.01", "0.01")),
        ("chat", stating(), {}, "unpriced no_usage", NONE),
        ("chat", stating(10, 10), {"usage_source": "absent"}, "unpriced no_usage", NONE),
        ("other", stating(), {}, "unpriced no_usage", NONE),
        ("other", stating(10, 10), {}, "unpriced unknown_model", NONE),
        ("other", stating(10, billed_units=SEARCHES), {}, "unpriced unknown_model", NONE),
        ("listed", stating(10, 10), {}, "unpriced no_rate", NONE),
        ("chat", stating(billed_units={"bananas": Decimal(1)}), {}, "unpriced no_rate", NONE),
        # a part has no rate, or one that is not its own
        ("chat", stating(10, 0, billed_units={"bananas": Decimal(1)}), {"usage_source": "timed_out"},
         "partly_priced missing_rate", ("0.01", "0", None, "0.01")),
        ("chat", stating(1, 0, billed_units={"bananas": Decimal(1)}), {}, "partly_priced missing_rate",
         ("0.001", "0", None, "0.001")),
        ("chat", stating(0, 1, billed_units={"bananas": Decimal(1)}), {}, "partly_priced missing_rate",
         ("0", "0.002", None, "0.002")),
        ("asks", stating(1, 1), {}, "partly_priced missing_rate", ("0.001", None, None, "0.001")),
        ("answers", stating(1, 1), {}, "partly_priced missing_rate", (None, "0.002", None, "0.002")),
        ("asks", stating(1, 0), {}, "priced", ("0.001", "0", None, "0.001")),
        ("asks", stating(0, 1), {}, "unpriced no_rate", NONE),
        ("chat", stating(10, 10), {"usage_source": "timed_out"}, "partly_priced timed_out",
         ("0.01", "0.02", None, "0.03")),
        ("chat", stating(10), {"usage_source": "timed_out"}, "partly_priced timed_out", ("0.01", None, None, "0.01")),
        ("chat", stating(10, 0, cache_creation_input_tokens=10), {}, "partly_priced rate_fallback",
         ("0.01", "0", None, "0.01")),
        ("chat", stating(10, cache_creation_input_tokens=10), {}, "partly_priced usage_incomplete",
         ("0.01", None, None, "0.01")),
        # parts larger than the whole get what is left of it
        ("parts", stating(10, 10, cache_read_input_tokens=20, reasoning_tokens=30), {}, "priced",
         ("0.001", "0.03", None, "0.031")),
        ("parts", stating(10, 10, cache_read_input_tokens=4, cache_creation_input_tokens=20, audio_input_tokens=5), {},
         "priced", ("0.0124", "0.02", None, "0.0324")),
        ("parts", stating(10, 10, audio_input_tokens=5, reasoning_tokens=4, audio_output_tokens=20), {}, "priced",
         ("0.03", "0.054", None, "0.084")),
        ("parts", stating(10, 0, cache_write_5m_tokens=4), {}, "priced", ("0.014", "0", None, "0.014")),
        ("parts", stating(10, 0, cache_write_1h_tokens=4), {}, "priced", ("0.022", "0", None, "0.022")),
        ("parts", stating(10, 0, cache_creation_input_tokens=8, cache_write_1h_tokens=3), {}, "priced",
         ("0.024", "0", None, "0.024")),
        ("fine", stating(10**12, 0), {}, "priced", ("1000000.000001", "0", None, "1000000.000001")),
        # an explicit price of 0
        ("gratis", stating(10, 10), {}, "free free_model", FREE),
        ("gratis", stating(0, 0), {}, "free free_model", FREE),
        ("embeds", stating(0, 10), {}, "free free_model", FREE),
        ("ranks", stating(billed_units={"input_queries": Decimal(2)}), {}, "free free_model", ("0", None, None, "0")),
        ("chat", stating(0, 0, billed_units=SEARCHES), {}, "priced", ("0", "0", "0.01", "0.01")),
        ("embeds", stating(10, 10), {}, "priced", ("0.01", "0", None, "0.01")),
        # two measures of one thing
        ("chat", stating(10, 0, billed_units={"input_characters": Decimal(30)}), {}, "priced",
         ("0.003", "0", None, "0.003")),
        ("chat", stating(10, 0, billed_units={"input_seconds": Decimal(2)}), {}, "priced",
         ("0.01", "0", None, "0.01")),
        ("chat", stating(0, 10, billed_units={"input_seconds": Decimal(2)}), {}, "priced",
         ("0.014", "0.02", None, "0.034")),
        ("chat", stating(None, 10, billed_units={"input_seconds": Decimal(2)}), {}, "priced",
         ("0.014", "0.02", None, "0.034")),
        ("chat", stating(1, 10, billed_units={"input_seconds": Decimal(2)}), {}, "priced",
         ("0.001", "0.02", None, "0.021")),
    ],
)  # fmt: skip
def test_both_readers_judge_a_price_by_the_same_rules(
    model: str, usage: Usage, terms: dict[str, str], verdict: str, costs: tuple[str | None, ...]
) -> None:
    """Each is priced beside a plain call, which stays as it is."""
    mine = pin_book("mine", {name: entry_of(fields) for name, fields in RATES.items()})
    made = call(model, usage=usage, **terms)
    expected = (*[Decimal(cost) if cost else None for cost in costs],)

    _, bill = price_line(mine, made, usage)
    priced = price_facts(facts_of([made, call("chat", usage=stating(1, 1))], 0), mine)

    words = tuple(verdict.split()) if " " in verdict else (verdict, None)
    assert (*bill[:2], bill.costs) == (*words, expected)
    columns = ("price_status", "price_reason", "input_cost", "output_cost", "other_cost", "total_cost")
    assert priced.select(columns).row(0) == (*words, *expected)
    assert priced.select(columns).row(1)[:2] == ("priced", None)
    without_version = words[0] == "unpriced" or words[1] in {"cache_hit", "failed_call", "not_charged"}
    assert priced["price_version"].to_list() == [None if without_version else "mine", "mine"]


def test_rows_that_come_priced_stay_as_they_are_and_where_they_are(book: Book) -> None:
    facts = facts_of([call(model, usage=MILLION) for model in ("gpt-4o", "o3", "gpt-9", "gpt-4o")], 0)
    whole = price_facts(facts, book)
    marked = whole.with_columns(pl.lit(Decimal(7)).cast(whole["total_cost"].dtype).alias("total_cost"))

    mixed = price_facts(pl.concat([facts[:1], marked[1:2], facts[2:3], marked[3:]]), book)

    assert mixed["total_cost"].to_list() == [Decimal("12.5"), Decimal(7), None, Decimal(7)]
    assert mixed["model"].to_list() == facts["model"].to_list()
    assert price_facts(marked, book).equals(marked)


def test_no_rows_are_priced_as_none(book: Book) -> None:
    empty = facts_of([], 0)

    assert price_facts(empty, book).equals(empty)


def test_each_row_pays_what_its_minute_its_prompt_and_its_terms_cost() -> None:
    """Rows that share a rate card are told apart by whatever changes a rate, and by nothing else."""
    off_peak = {"hours_utc": "16:30-00:30", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}
    rates = {"input_cost_per_token": 4e-6, "output_cost_per_token": 4e-6}
    more = {"input_cost_per_token_above_200k_tokens": 8e-6, "output_cost_per_token_above_200k_tokens": 8e-6}
    flex = {"input_cost_per_token_flex": 2e-6, "output_cost_per_token_flex": 2e-6}
    book = pin_book("mine", {
        "night": entry_of(rates | {"off_peak_pricing": off_peak}),
        "sunday": entry_of(rates | {"off_peak_pricing": off_peak | {"hours_utc": "00:00-24:00", "weekdays": ["sun"]}}),
        "large": entry_of(rates | more),
        "flexible": entry_of(rates | flex),
        "banded": entry_of({"tiered_pricing": [
            {"range": [0, 1000], "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
            {"range": [1000, 9000], "input_cost_per_token": 2e-6, "output_cost_per_token": 2e-6},
        ]}),
        "uplift": entry_of(rates | {"provider_specific_entry": {"us": 2.0, "fast": 3.0}}),
        "resident": entry_of(rates | {"regional_processing_uplift_multiplier_eu": 2.0}),
    })  # fmt: skip
    small = Usage(prompt_tokens=10**5, completion_tokens=0)
    rows: list[tuple[Call, str]] = [
        (call("night", "2026-09-06T16:29:59", usage=small), "0.4"),
        (call("night", "2026-09-06T16:30:00", usage=small), "0.1"),
        (call("night", "2026-09-06T16:31:00", usage=small), "0.1"),
        (call("night", "2026-09-07T00:29:59", usage=small), "0.1"),
        (call("night", "2026-09-07T00:30:00", usage=small), "0.4"),
        (call("night", None, usage=small), "0.4"),
        (call("sunday", "2026-09-06T12:00:00", usage=small), "0.1"),
        (call("sunday", "2026-09-07T12:00:00", usage=small), "0.4"),
        (call("large", usage=Usage(prompt_tokens=200_000, completion_tokens=0)), "0.8"),
        (call("large", usage=Usage(prompt_tokens=200_001, completion_tokens=0)), "1.600008"),
        (call("large", usage=Usage(prompt_tokens=0, completion_tokens=10**6)), "4"),
        (call("banded", usage=Usage(prompt_tokens=1000, completion_tokens=0)), "0.001"),
        (call("banded", usage=Usage(prompt_tokens=1001, completion_tokens=0)), "0.002002"),
        (call("banded", usage=Usage(prompt_tokens=0, completion_tokens=1000)), "0.001"),
        (call("flexible", usage=small, service_tier="flex"), "0.2"),
        (call("flexible", usage=small), "0.4"),
        (call("flexible", usage=small, source_format="openai_batch"), "0.2"),
        (call("uplift", usage=small), "0.4"),
        (call("uplift", usage=small, inference_geo="us"), "0.8"),
        (call("uplift", usage=small, speed="fast"), "1.2"),
        (call("resident", usage=small, data_residency="eu"), "0.8"),
        (call("resident", usage=small, data_residency="us"), "0.4"),
    ]

    priced = price_facts(facts_of([made for made, _ in rows], 0), book)

    assert priced["total_cost"].to_list() == [Decimal(cost) for _, cost in rows]
    assert [price_line(book, made, made.usage or Usage())[1].total_cost for made, _ in rows] == [
        Decimal(cost) for _, cost in rows
    ]


def test_a_moment_names_the_version_only_where_the_book_follows_versions() -> None:
    days = ["2024-06-01", "2025-07-01", None]
    made = [call("o3" if day == "2025-07-01" else "gpt-4o", day, usage=MILLION) for day in days]

    found = {
        prices: price_facts(facts_of(made, 0), open_book(PriceOptions(prices=prices)))["price_basis"].to_list()
        for prices in ("as-of", "latest", "2025-08-01")
    }

    assert found["as-of"] == ["in_force", "in_force", "newest"]
    assert found["latest"] == ["newest"] * 3
    assert found["2025-08-01"] == ["in_force"] * 3


def test_names_of_one_entry_that_say_different_places_are_charged_apart(book: Book) -> None:
    model = "publishers/anthropic/models/claude-sonnet-4-6"
    names = [f"projects/p/locations/{place}/{model}" for place in ("eu", "global")]
    calls = [call(name, "2026-11-01", provider="vertex_ai", usage=MILLION) for name in names]

    rows = price_facts(facts_of(calls, 0), book)

    bills = [price_line(book, made, MILLION)[1] for made in calls]
    assert rows["total_cost"].to_list() == [bill.total_cost for bill in bills] == [Decimal("19.8"), Decimal(18)]


CACHE_RATES: dict[str, dict[str, object]] = {
    "cached": {
        "input_cost_per_token": 10e-6, "output_cost_per_token": 1e-6, "cache_read_input_token_cost": 1e-6,
        "cache_creation_input_token_cost": 12.5e-6, "cache_creation_input_token_cost_above_1hr": 20e-6,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "usage", "saved"),
    [
        ("cached", Usage(prompt_tokens=10**6, completion_tokens=0, cache_read_input_tokens=10**6), Decimal(9)),
        ("cached", Usage(prompt_tokens=10**6, completion_tokens=0, cache_creation_input_tokens=10**6), Decimal("-2.5")),
        ("cached", Usage(prompt_tokens=10**6, completion_tokens=0, cache_write_1h_tokens=10**6), Decimal(-10)),
        ("cached", Usage(prompt_tokens=3, completion_tokens=0, cache_read_input_tokens=0), Decimal(0)),
        ("cached", Usage(prompt_tokens=3, completion_tokens=0), None),
        ("unheard-of", Usage(prompt_tokens=3, completion_tokens=0, cache_read_input_tokens=3), None),
        (
            "cached",
            Usage(prompt_tokens=2 * 10**6, completion_tokens=0, billed_units={"cache_write_12h_tokens": Decimal(1)}),
            Decimal("-0.00001"),  # at the rate of an hour, which is the nearest
        ),
    ],
)
def test_what_caching_saved_is_net_of_what_writing_cost_more(model: str, usage: Usage, saved: Decimal | None) -> None:
    made = pin_book("mine", {name: entry_of(rates) for name, rates in CACHE_RATES.items()})
    row = price_facts(facts_of([call(model, usage=usage)], 0), made).row(0, named=True)
    assert row["cache_savings_cost"] == saved
