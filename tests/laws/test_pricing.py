"""Laws of prices: they follow the version in force, grow with the tokens, and never get lost without a word."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from callcost.prices.book.book import Book, open_book
from callcost.prices.book.catalog import Catalog, load_catalog
from callcost.prices.book.cost_map import Entry
from callcost.prices.book.name_ladder import Rules
from callcost.prices.book.overrides import Overrides
from callcost.prices.charges import Bill, price_usage
from callcost.prices.rates import RateCard, Terms, case_of
from callcost.prices.tariffs import read_tariff
from callcost.prices.units import TOKEN_UNITS, place_field
from callcost.settings import PriceOptions
from callcost.tables import Usage

# The usage that holds a unit, as parts of a prompt or a completion of 1,000 tokens.
PARTS: Mapping[str, Mapping[str, int]] = {
    "text_input": {},
    "text_output": {},
    "cache_read": {"cache_read_input_tokens": 400},
    "cache_read_audio": {"cache_read_input_tokens": 400, "cache_read_audio_tokens": 400},
    "cache_read_image": {"cache_read_input_tokens": 400, "cache_read_image_tokens": 400},
    "cache_write_5m": {"cache_write_5m_tokens": 400},
    "cache_write_1h": {"cache_write_1h_tokens": 400},
    "audio_input": {"audio_input_tokens": 400},
    "image_input": {"image_input_tokens": 400},
    "video_input": {"video_input_tokens": 400},
    "reasoning": {"reasoning_tokens": 400},
    "audio_output": {"audio_output_tokens": 400},
    "image_output": {"image_output_tokens": 400},
    "video_output": {"video_output_tokens": 400},
}
TIERS = st.sampled_from([None, "flex", "priority", "batch", "ultrafast"])
# Reasoning is output everywhere but where a map says otherwise; these dated previews alone paid more for it.
THINKING_APART = ("gemini-2.5-flash-preview", "gemini-robotics-er-2-preview")


@functools.cache
def book() -> Book:
    return open_book(PriceOptions())


@functools.cache
def models() -> list[str]:
    return sorted(load_catalog().models)


def usage_of(unit: str, times: int = 1) -> Usage:
    if unit not in TOKEN_UNITS:
        return Usage(billed_units={unit: Decimal(3)})
    side = "prompt_tokens" if TOKEN_UNITS[unit].side == "input" else "completion_tokens"
    counts = {"prompt_tokens": 0, "completion_tokens": 0, side: 1000, **PARTS[unit]}
    usage = Usage()
    for name, count in counts.items():
        setattr(usage, name, count * times)
    return usage


def charge(entry: Mapping[str, Any], usage: Usage, **terms: Any) -> Bill:
    tariff = read_tariff(entry)
    return price_usage(usage, RateCard(tariff, case_of(tariff, Terms(**terms, prompt_tokens=usage.prompt_tokens or 0))))


@st.composite
def listings(draw: st.DrawFn) -> tuple[str, Entry]:
    """A model's entry of some version."""
    model = draw(st.sampled_from(models()))
    listed = [entry for _, entry in load_catalog().history(model) if entry is not None]
    return model, draw(st.sampled_from(listed))


@given(listings(), st.sampled_from(sorted(PARTS)), st.booleans(), TIERS, st.sampled_from([1, 300]), st.data())
def test_dropping_a_rate_never_gives_a_smaller_plain_price(
    listing: tuple[str, Entry], unit: str, batch: bool, tier: str | None, times: int, data: st.DataObject
) -> None:
    model, entry = listing
    assume(unit != "reasoning" or not any(name in model for name in THINKING_APART))
    rates = sorted(field for field in entry if place_field(field))
    assume(rates)
    usage, dropped = usage_of(unit, times), data.draw(st.sampled_from(rates))
    before = charge(entry, usage, tier=tier, batch=batch)
    after = charge({field: value for field, value in entry.items() if field != dropped}, usage, tier=tier, batch=batch)

    if _is_plain(before) and _is_plain(after):
        assert after.total_cost is not None
        assert before.total_cost is not None
        assert after.total_cost >= before.total_cost, (model, dropped)


def _is_plain(bill: Bill) -> bool:
    """Say whether a price is the map's own; what a provider documents may be less than what a map once rounded."""
    return bill.status == "free" or (bill.status == "priced" and bill.reason is None)


@given(listings(), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**6), TIERS)
def test_a_price_grows_with_the_tokens(
    listing: tuple[str, Entry], prompt: int, completion: int, more: int, tier: str | None
) -> None:
    _, entry = listing
    assume(not _cheaper_above(entry))
    fewer = charge(entry, Usage(prompt_tokens=prompt, completion_tokens=completion), tier=tier)
    larger = charge(entry, Usage(prompt_tokens=prompt + more, completion_tokens=completion + more), tier=tier)

    assert fewer.total_cost is None or larger.total_cost is None or fewer.total_cost <= larger.total_cost


def _cheaper_above(entry: Entry) -> bool:
    """Say whether the map itself lists a lower rate for larger prompts."""
    tariff = read_tariff(entry)
    costs = [charge(entry, Usage(prompt_tokens=size, completion_tokens=size)).total_cost for size in (1, *tariff.edges)]
    ratios = [cost / size for cost, size in zip(costs, (1, *tariff.edges), strict=True) if cost is not None]
    return ratios != sorted(ratios)


@given(st.sampled_from(sorted(PARTS)), listings(), st.integers(0, 102), st.integers(0, 400))
def test_a_later_version_changes_no_price_in_force_or_retired(
    unit: str, listing: tuple[str, Entry], until: int, days: int
) -> None:
    model, _ = listing
    versions = load_catalog().versions
    earlier = _catalog_until(min(until, len(versions) - 1))
    moment = min(earlier.newest.effective_from, versions[0].effective_from + days * 86_400_000_000)
    usage = usage_of(unit)

    found, bill = _price(Book(Rules(earlier, Overrides())), model, moment, usage)  # corrections may come later, too
    later, same = _price(Book(Rules(load_catalog(), Overrides())), model, moment, usage)

    if found in {"in_force", "retired"}:
        assert (later, same) == (found, bill)


@functools.cache
def _catalog_until(index: int) -> Catalog:
    """The catalog as it was when its newest version was that of an index."""
    whole = load_catalog()
    timelines = {model: [step for step in steps if step[0] <= index] for model, steps in whole._timelines.items()}
    return Catalog(whole.versions[: index + 1], timelines)


def _price(prices: Book, model: str, moment: int, usage: Usage) -> tuple[str | None, Any]:
    found = prices.resolve(model, None, moment)
    card = prices.rates(found, Terms(prompt_tokens=usage.prompt_tokens or 0, moment=moment))
    return found.basis, (found.version, price_usage(usage, card)[:2], price_usage(usage, card).scaled) if card else None


def test_a_call_inside_the_life_of_a_model_is_priced_in_the_units_that_it_lists(long_run: bool) -> None:
    catalog, unpriced = load_catalog(), []
    for model in models() if long_run else models()[::7]:
        for version, entry in catalog.history(model):
            if entry is None:
                continue
            usage = _usage_that_fields_price(entry)
            _, bill = _price(book(), model, version.effective_from, usage)
            if bill is None or bill[1][0] == "unpriced":
                tariff = read_tariff(entry)  # one whose every rate is 0 is a placeholder
                unpriced.append((model, version.name, tariff.empty or tariff.free))

    assert all(lists_nothing for _, _, lists_nothing in unpriced)


def _usage_that_fields_price(entry: Entry) -> Usage:
    tariff, usage = read_tariff(entry), Usage()
    for unit in {placed.unit for rates in (tariff.rates, *(rates for _, rates in tariff.bands)) for placed in rates}:
        if unit not in TOKEN_UNITS:
            usage.billed_units = {**(usage.billed_units or {}), unit: Decimal(3)}
            continue
        whole = "prompt_tokens" if TOKEN_UNITS[unit].side == "input" else "completion_tokens"
        setattr(usage, whole, (getattr(usage, whole) or 0) + 10)
        for part in PARTS[unit]:
            setattr(usage, part, 10)
    return usage
