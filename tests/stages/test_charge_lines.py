"""Priced facts taken apart: one row per charge line and unit, as bills have them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from callcost.prices.book.book import pin_book
from callcost.prices.book.cost_map import entry_of
from callcost.stages.pricing.charge_lines import charge_classes, class_of_unit
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.tables.facts import facts_of
from callcost.tables import Call, Usage

RATES: dict[str, dict[str, object]] = {
    "gpt-4o": {
        "litellm_provider": "openai", "input_cost_per_token": 1e-3, "output_cost_per_token": 2e-3,
        "cache_read_input_token_cost": 1e-4, "input_cost_per_character": 1e-4, "input_cost_per_second": 7e-3,
        "search_context_cost_per_query": {"search_context_size_medium": 5e-3},
    },
    "claude-opus-4-5": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-3, "output_cost_per_token": 0},
    "ours-1": {"input_cost_per_token": 1e-3},
}  # fmt: skip


def charges_of(*calls: Call) -> list[dict[str, Any]]:
    book = pin_book("mine", {name: entry_of(fields) for name, fields in RATES.items()})
    facts = price_facts(facts_of(list(calls), 0), book)
    return charge_classes(facts, book).sort("record", "line", "unit").to_dicts()


def call(usage: Usage | None, model: str = "gpt-4o", /, **more: Any) -> Call:
    return Call(
        family="plain", **{"source_format": "plain", "model": model, "usage": usage, "usage_source": "reported"} | more
    )


def amounts(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("unit", "token_class", "quantity", "rate", "cost"))


def test_each_unit_of_a_line_has_its_class_quantity_rate_and_cost() -> None:
    usage = Usage(
        prompt_tokens=10, completion_tokens=5, cache_read_input_tokens=4, reasoning_tokens=2,
        billed_units={"web_search_requests": Decimal(3), "input_seconds": Decimal(9)},
    )  # fmt: skip

    rows = charges_of(call(usage, started_at=1, ended_at=2, provider="openai", source_format="openai_batch"))

    milli = Decimal("0.001")
    half = [milli / 2, milli, milli]  # of a batch, as no batch rate is listed
    assert [amounts(row)[:3] for row in rows] == [
        ("cache_read", "cache_read", 4),
        ("reasoning", "output", 2),
        ("text_input", "input", 6),
        ("text_output", "output", 3),
        ("web_search_requests", "web_search_requests", 3),
    ]
    assert [row["rate"] for row in rows] == [Decimal("0.00005"), half[1], half[0], half[2], None]
    assert [row["cost"] for row in rows] == [
        Decimal("0.0002"), 2 * half[1], 6 * half[0], 3 * half[2], Decimal("0.015"),
    ]  # fmt: skip
    assert {(row["batch"], row["prompt"], row["paid"]) for row in rows} == {(True, 10, "openai")}
    assert len({row["at"] for row in rows}) == 1
    assert rows[0]["at"] != rows[0]["started_at"]


def test_what_characters_pay_for_costs_nothing_by_tokens() -> None:
    rows = charges_of(
        call(Usage(prompt_tokens=10, completion_tokens=0, billed_units={"input_characters": Decimal(30)}))
    )

    assert [amounts(row) for row in rows] == [
        ("input_characters", "input_characters", 30, None, Decimal("0.003")),
        ("text_input", "input", 10, 0, 0),
    ]


def test_what_is_not_priced_has_no_rate_and_no_cost() -> None:
    seconds = {"input_seconds": Decimal(2), "bananas": Decimal(1)}

    unknown = charges_of(call(Usage(prompt_tokens=10, completion_tokens=0, billed_units=seconds), "gpt-99"))
    missing = charges_of(call(Usage(prompt_tokens=10, completion_tokens=0, billed_units={"bananas": Decimal(1)})))

    assert [amounts(row) for row in unknown] == [
        ("bananas", "bananas", 1, None, None),
        ("input_seconds", "input_seconds", 2, None, None),
        ("text_input", "input", 10, None, None),
    ]
    assert [row["cost"] for row in missing] == [None, Decimal("0.01")]
    assert {row["paid"] for row in unknown} == {"unknown"}


def test_an_iteration_of_another_model_has_that_models_payee_and_none_of_the_calls_names() -> None:
    lines = [Usage(model=model, prompt_tokens=1, completion_tokens=1) for model in ("gpt-4o", "claude-opus-4-5")]
    made = call(None, model_requested="asked", stated_rates="{}", iterations=lines)

    rows = charges_of(made)

    assert [(row["model"], row["paid"], row["requested"], row["stated_rates"]) for row in rows] == [
        ("gpt-4o", "openai", "asked", "{}"),
        ("gpt-4o", "openai", "asked", "{}"),
        ("claude-opus-4-5", "anthropic", None, None),
        ("claude-opus-4-5", "anthropic", None, None),
    ]
    assert [row["cost"] for row in rows] == [Decimal("0.001"), Decimal("0.002"), Decimal("0.003"), 0]
    assert {row["batch"] for row in rows} == {False}


def test_nobody_bills_what_a_cache_answered() -> None:
    assert charges_of(call(Usage(prompt_tokens=1, completion_tokens=1), status="cache_hit")) == []


def test_where_no_price_tells_who_is_paid_it_is_whom_the_log_names() -> None:
    rows = [
        charges_of(call(Usage(prompt_tokens=3), model, provider=provider))[0]["paid"]
        for model, provider in (("ours-1", "Acme"), ("no-such-9", "Acme"), ("ours-1", None), ("no-such-9", None))
    ]
    assert rows == ["acme", "acme", "unknown", "unknown"]


def test_a_unit_is_billed_without_its_size_and_kind() -> None:
    assert class_of_unit("output_seconds_720p") == "output_seconds"
    assert class_of_unit("cache_write_12h_tokens") == "cache_write_1h"
    assert class_of_unit("bananas") == "bananas"
