"""What is billed beside tokens: exact quantities, refused where they are none; searches as their provider counts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.responses.tools import count_grounding
from callcost.logs.usage.unit_quantities import join_units, read_quantities, settle_searches
from callcost.logs.usage.usage import read_usage
from callcost.logs.values.json import Refusal
from callcost.stages.tables.facts import facts_of
from callcost.tables import MAX_COUNT, Call, Usage

COUNTS = st.integers(1, 10**6).map(Decimal)


@given(st.decimals(0, MAX_COUNT, allow_nan=False, places=6))
def test_a_quantity_is_exact_however_it_is_written(quantity: Decimal) -> None:
    expected = {"input_seconds": quantity} if quantity else {}

    assert read_quantities({"input_seconds": str(quantity)}) == expected
    assert read_quantities({"input_seconds": quantity}) == expected
    assert read_quantities({"input_seconds": 10.7}) == {"input_seconds": Decimal("10.7")}


@given(st.decimals(0, MAX_COUNT, allow_nan=False, places=40) | st.just(Decimal("0.003034250000000000001")))
def test_a_quantity_has_as_many_places_as_money_and_ends_no_run(quantity: Decimal) -> None:
    found = read_quantities({"gateway_fee": quantity})
    call = Call(source_format="plain", family="plain", usage=Usage(billed_units=found))
    assert facts_of([call], 0).height == 1
    assert abs(found.get("gateway_fee", Decimal(0)) - quantity) <= Decimal("0.5e-18")


def test_nothing_is_no_quantity() -> None:
    assert read_quantities({"a": 0, "b": "", "c": float("nan"), "d": 0.0}) == {}


@pytest.mark.parametrize("value", [-1, "many", True, [], {}, float("-inf"), "1 2", "NaN"])
def test_what_is_no_quantity_is_refused(value: object) -> None:
    with pytest.raises(Refusal) as refusal:
        read_quantities({"pages": value})
    assert (refusal.value.reason, refusal.value.detail) == ("bad_count", "pages is no quantity")


@pytest.mark.parametrize("value", [MAX_COUNT + 1, float("inf"), "1e30"])
def test_a_quantity_is_no_larger_than_a_count(value: object) -> None:
    with pytest.raises(Refusal) as refusal:
        read_quantities({"pages": value})
    assert (refusal.value.reason, refusal.value.detail) == ("count_out_of_range", "pages")


@given(COUNTS, COUNTS, st.sampled_from(["low", "medium", "high"]))
def test_perplexity_charges_a_request_or_its_queries_and_citations(queries: Any, cited: Any, size: str) -> None:
    units = {"web_search_requests": queries, "citation_tokens": cited}
    body = {"search_context_size": size, "num_search_queries": int(queries)}

    assert settle_searches(units, body, "sonar-deep-research") == units
    included = {"included_queries": queries, "included_citation_tokens": cited}
    assert settle_searches(units, body, "sonar-pro") == included | {f"web_search_requests_{size}": 1}
    assert settle_searches({}, {"num_search_queries": 1}, "sonar-pro") == {"web_search_requests_low": 1}
    assert settle_searches(units, {}, "gpt-5") == units


@given(COUNTS, COUNTS)
def test_a_gateways_search_is_one_of_the_tools_that_it_ran(ran: Decimal, searched: Decimal) -> None:
    units = settle_searches({"server_tool_calls": ran, "web_search_requests": searched}, {}, "")

    assert units["web_search_requests"] == searched
    assert units.get("server_tool_calls", 0) == max(ran - searched, 0)
    assert settle_searches({"server_tool_calls": ran}, {}, "") == {"server_tool_calls": ran}


@given(COUNTS, COUNTS, st.sampled_from(["", "_low", "_high"]))
def test_what_is_stated_goes_before_what_is_shown_of_the_same_thing(shown: Decimal, stated: Decimal, size: str) -> None:
    usage = {f"web_search_requests{size}": stated}

    assert join_units({"web_search_requests": shown, "maps_queries": shown}, usage) == usage | {"maps_queries": shown}
    assert join_units({"maps_queries": shown}, {}) == {"maps_queries": shown}


def test_a_usage_of_units_alone_is_a_usage() -> None:
    for body, units in (
        ({"pages_processed": 2}, {"pages": 2}),
        ({"type": "duration", "seconds": 11}, {"input_seconds": 11}),
        ({"search_units": 2}, {"input_queries": 2}),
        ({"billed_units": {"search_units": 1, "images": 3}}, {"input_queries": 1, "input_images": 3}),
        ({"prompt_tokens": 0, "completion_tokens": 0, "seconds": 11}, {"input_seconds": 11}),
    ):
        usage = read_usage(body).usage
        assert usage is not None
        assert usage.billed_units == {unit: Decimal(number) for unit, number in units.items()}


@pytest.mark.parametrize(
    ("found", "given", "units"),
    [
        ({"groundingChunks": [{"web": {}}]}, True, {}),
        ({"groundingChunks": [{"web": {}}]}, False, {"web_search_requests": 1}),
        ({"groundingChunks": [{"web": {}}], "webSearchQueries": ["a", "", "b", "a "]}, True,
         {"web_search_requests": 2}),
    ],
    ids=str,
)  # fmt: skip
def test_a_page_of_a_given_address_is_no_search(found: Any, given: bool, units: dict[str, int]) -> None:
    read = {"urlContextMetadata": {"urlMetadata": [{"retrievedUrl": "https://example.org"}]}} if given else {}
    assert count_grounding({"candidates": [{"groundingMetadata": found} | read]}) == units


def test_questions_to_the_maps_are_read_where_litellm_states_them() -> None:
    body = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"google_maps_grounding_requests": 1}}
    reading = read_usage(body)
    assert reading.usage is not None
    assert reading.usage.billed_units == {"maps_queries": Decimal(1)}
    assert not reading.unread
