"""The law of two readers: the scalar and the batch reader agree to the last decimal, and in every word."""

from __future__ import annotations

import functools
from decimal import Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from callcost.prices.book.book import Book, Resolution, open_book
from callcost.prices.book.catalog import load_catalog
from callcost.prices.calls import price_line
from callcost.prices.charges import Bill, charge_for, money
from callcost.prices.rates import BATCH_FORMATS, Terms
from callcost.prices.units import BILLED_UNITS, unit_of
from callcost.settings import PriceOptions
from callcost.stages.pricing.cost_parts import PARTS, RESTS, part_of
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.tables.facts import facts_of
from callcost.tables import USAGE_COUNTS, Call, Usage
from tests.conftest import examples

FEWER = examples(20)  # each draws tables of calls
BOOKS = ("as-of", "latest", "litellm-1.106.4", "2025-06-15")


@functools.cache
def book(prices: str) -> Book:
    return open_book(PriceOptions(prices=prices))


@functools.cache
def models() -> list[str]:
    return sorted(load_catalog().models)


@functools.cache
def moments() -> tuple[int, int]:
    versions = load_catalog().versions
    return versions[0].effective_from - 10**12, versions[-1].effective_from + 10**12


COUNTS = st.none() | st.just(0) | st.integers(0, 400_000) | st.integers(0, 10**12)
QUANTITIES = st.decimals(0, 10**6, places=6, allow_nan=False) | st.integers(0, 50).map(Decimal)
SIZED = ("output_seconds_720p", "web_search_requests_high", "output_images_2K")
UNITS = st.sampled_from([*BILLED_UNITS, *SIZED, "bananas"])
USAGES = st.builds(
    Usage,
    billed_units=st.none() | st.dictionaries(UNITS, QUANTITIES, max_size=3),
    **dict.fromkeys(USAGE_COUNTS, COUNTS),
)  # fmt: skip
NAMES = ("gpt-4o", "gpt-9", "claude-opus-4-5", "", "openai/gpt-5:online", "us.anthropic.claude-opus-4-6-v1", "a/b:free",
         "projects/p/locations/europe-west1/publishers/anthropic/models/claude-sonnet-4-6", "x-ai/grok-3")  # fmt: skip
PLAIN_USAGES = st.builds(Usage, prompt_tokens=COUNTS, completion_tokens=COUNTS, cache_read_input_tokens=COUNTS)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    def some(*words: str) -> str | None:
        return draw(st.sampled_from([None, *words]))

    tiers = ("flex", "priority", "batch", "default", "auto", "ultrafast", "balanced", "FAST", "decisions", "odd",
             "scale", "On_Demand_Flex")  # fmt: skip
    return Call(
        source_format=draw(st.sampled_from(["plain", "openai_batch"])),
        family="plain",
        model=draw(st.sampled_from(models()) | st.sampled_from(NAMES)),
        model_requested=some("gpt-4o", "azure/gpt-4o"),
        provider=some("openai", "azure", "bedrock", "vertex_ai", "acme", "openrouter", "anthropic", "ollama"),
        started_at=draw(st.none() | st.integers(*moments())),
        service_tier=some(*tiers),
        region=some("us-east-1", "eu-west-1", "global"),
        data_residency=some("eu", "us"),
        inference_geo=some("us", "global", "eu"),
        speed=some("fast", "standard"),
        status=draw(st.sampled_from(["success", "success", "failure", "cache_hit"])),
        usage_source=draw(st.sampled_from(["reported", "reported", "absent", "timed_out", "counted"])),
        usage=draw(st.none() | USAGES | PLAIN_USAGES),
        iterations=draw(st.just([]) | st.lists(USAGES, min_size=1, max_size=3)),
    )


def words_of(found: Resolution, bill: Bill) -> tuple[object, ...]:
    priced = bill.status in {"priced", "partly_priced"} or bill.reason == "free_model"
    return (
        bill.status,
        bill.reason,
        found.rung,
        found.basis if priced else None,
        found.version if priced else None,
        *bill.costs,
    )


COLUMNS = (
    "price_status", "price_reason", "price_rung", "price_basis", "price_version", "input_cost", "output_cost",
    "other_cost", "total_cost",
)  # fmt: skip


@given(st.lists(calls(), min_size=1, max_size=12), st.sampled_from(BOOKS))
@FEWER
def test_the_scalar_and_the_batch_reader_agree(made: list[Call], prices: str) -> None:
    lines = [(call, line) for call in made for line in call.iterations or [call.usage or Usage()]]
    expected = [words_of(*price_line(book(prices), call, line)) for call, line in lines]

    priced = price_facts(facts_of(made, 0), book(prices))

    assert priced.select(COLUMNS).rows() == expected


def test_tokens_that_a_unit_is_charged_instead_of_are_not_priced() -> None:
    """Of an answer of an image model whose characters have no rate nothing is known, in both readers."""
    call = Call(source_format="plain", family="plain", model="amazon.titan-image-generator-v1")
    call.usage = Usage(completion_tokens=1, billed_units={"input_images": Decimal(1), "output_characters": Decimal(1)})
    (row,) = price_facts(facts_of([call], 0), book("as-of")).select(COLUMNS).rows()
    assert row == words_of(*price_line(book("as-of"), call, call.usage))
    assert row[COLUMNS.index("output_cost")] is None


@given(st.lists(calls(), min_size=2, max_size=12), st.data())
@FEWER
def test_a_table_priced_in_parts_is_priced_as_a_whole(made: list[Call], data: st.DataObject) -> None:
    facts = facts_of(made, 0)
    cut = data.draw(st.integers(0, facts.height))

    parts = [price_facts(part, book("as-of")) for part in (facts[:cut], facts[cut:])]

    assert pl.concat(parts).equals(price_facts(facts, book("as-of")))


STATING = {
    "cache_read_cost": ("cache_read_input_tokens",),
    "cache_write_cost": ("cache_creation_input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"),
    "reasoning_cost": ("reasoning_tokens",),
}


def parts_of(line: Usage, bill: Bill) -> tuple[Decimal | None, ...]:
    """Return what of a bill went into caches and reasoning, by its charges."""
    if bill.total_cost is None:
        return (None,) * len(STATING)
    found = []
    for part, fields in STATING.items():
        own = [charge for charge in bill.charges if (unit := unit_of(charge.unit)) and part_of(unit[0]) == part]
        some = [name for name, quantity in (line.billed_units or {}).items() if quantity]
        beside = {part_of(unit[0]) for unit in map(unit_of, some) if unit}  # also where it is free
        stated = part in beside or any(getattr(line, field) is not None for field in fields)
        known = stated and all(charge.line is not None for charge in own)
        found.append(sum((charge.cost for charge in own), Decimal(0)) if known else None)
    return tuple(found)


@given(st.lists(calls(), min_size=1, max_size=12), st.sampled_from(BOOKS))
@FEWER
def test_parts_of_a_cost_are_the_sums_of_its_charges(made: list[Call], prices: str) -> None:
    lines = [(call, line) for call in made for line in call.iterations or [call.usage or Usage()]]
    expected = [parts_of(line, price_line(book(prices), call, line)[1]) for call, line in lines]

    priced = price_facts(facts_of(made, 0), book(prices))

    assert priced.select(PARTS[:3]).rows() == expected
    for side, *parts in (("input_cost", *PARTS[:2]), ("output_cost", PARTS[2])):
        whole, part = pl.col(side).fill_null(0), pl.sum_horizontal(pl.col(parts).fill_null(0))
        assert priced.select((part <= whole).all()).item()


def surcharge_of(call: Call, found: Resolution, bill: Bill, prices: str) -> Decimal | None:
    """Return what a bill has more than the same charges of a short prompt."""
    if bill.total_cost is None or not bill.charges:
        return bill.total_cost
    batch = call.source_format.endswith(BATCH_FORMATS)
    terms = Terms(call.service_tier, batch, 0, call.region, call.data_residency, call.inference_geo, call.speed,
                  call.started_at)  # fmt: skip
    card = book(prices).rates(found, terms)
    charged = [charge for charge in bill.charges if charge.line is not None]
    lines = [card.line(charge.unit) if card else None for charge in charged]
    if any(line is None and charge.line.rate for line, charge in zip(lines, charged, strict=True) if charge.line):
        return None
    short = sum(charge_for(charge.quantity, line) for charge, line in zip(charged, lines, strict=True) if line)
    return bill.total_cost - money(short)


@given(st.lists(calls(), min_size=1, max_size=12), st.sampled_from(BOOKS))
@FEWER
def test_classes_of_cost_add_up_and_a_long_context_costs_what_a_short_one_does_not(
    made: list[Call], prices: str
) -> None:
    lines = [(call, line) for call in made for line in call.iterations or [call.usage or Usage()]]
    expected = [surcharge_of(call, *price_line(book(prices), call, line), prices) for call, line in lines]

    priced = price_facts(facts_of(made, 0), book(prices))

    assert priced["long_context_cost"].to_list() == expected
    classes = [*RESTS, *PARTS[:3], "other_cost"]
    whole = pl.col("total_cost").fill_null(0)
    assert priced.select((pl.sum_horizontal(pl.col(classes).fill_null(0)) == whole).all()).item()
    for rest, (side, _) in RESTS.items():
        assert priced[rest].is_null().equals(priced[side].is_null())
