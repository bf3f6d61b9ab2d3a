"""cost_per_token and completion_cost: LiteLLM's shape, the report's prices."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

import callcost
from callcost import ConfigError, PriceError, UnknownModelError, completion_cost, cost_per_token, get_model_info

BODY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Fine, thank you."}}],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 400},
    },
}
OWN = {"my/model": {"input_cost_per_token": 1e-6, "output_cost_per_token": "2e-6", "litellm_provider": "my"}}


def test_tokens_cost_what_they_cost_then() -> None:
    assert cost_per_token("gpt-4o", 10**6, 10**6, at=datetime(2024, 6, 1, tzinfo=UTC)) == (5.0, 15.0)
    assert cost_per_token("gpt-4o", 10**6, 10**6, at=datetime(2025, 1, 1)) == (2.5, 10.0)  # noqa: DTZ001 - UTC
    assert cost_per_token("gpt-4o", 10**6, 10**6, prices="2024-06-01") == (5.0, 15.0)
    assert cost_per_token("gpt-4o", 10**6, 10**6, prices="litellm-1.106.4") == (2.5, 10.0)


def test_the_parameters_are_litellms_with_our_own_beside() -> None:
    for function, first in ((cost_per_token, "model"), (completion_cost, "completion_response")):
        parameters = inspect.signature(function).parameters
        assert next(iter(parameters)) == first
        own = [name for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY]
        assert own == ["at", "prices", "corrections"]


def test_corrections_lie_over_the_maps_as_they_are_asked_for() -> None:
    """A map of the caller's own, or one that is named, is taken as it is."""
    cases: list[tuple[str, datetime]] = [
        ("gpt-5.6-luna", datetime(2026, 7, 31, tzinfo=UTC)),
        ("azure_ai/mistral-small-2503", datetime(2026, 2, 1, tzinfo=UTC)),  # one source alone corrects it
    ]
    costs = {
        which: [
            (
                cost_per_token(model, 10**5, 0, at=at, corrections=which)[0],
                completion_cost(model=model, prompt="", completion_response={
                    "model": model, "usage": {"prompt_tokens": 10**5, "completion_tokens": 0}}, at=at,
                    corrections=which),
                float(get_model_info(model, at=at, corrections=which)["input_cost_per_token"]) * 10**5,
            )
            for model, at in cases
        ]
        for which in ("none", "stated", "all")
    }  # fmt: skip
    assert {which: [pytest.approx(each[0]) for each in found] for which, found in costs.items()} == {
        "none": [0.1, 0.1], "stated": [0.02, 0.1], "all": [0.02, 0.01],
    }  # fmt: skip
    assert all(each == pytest.approx((each[0],) * 3) for found in costs.values() for each in found)
    assert cost_per_token("gpt-5.6-luna", 10**5, 0, prices="litellm-1.93.0", corrections="all")[0] == 0.1
    assert cost_per_token("my/model", 1000, 0, prices=OWN, corrections="all")[0] == 0.001
    for prices in (None, "latest", OWN):
        with pytest.raises(ConfigError, match="corrections: no 'some'"):
            cost_per_token("gpt-4o", 1, 1, prices=prices, corrections="some")


def test_a_map_of_the_callers_own_prices_and_nothing_else() -> None:
    assert cost_per_token("my/model", 1000, 1000, prices=OWN) == (0.001, 0.002)
    with pytest.raises(UnknownModelError):
        cost_per_token("gpt-4o", 1, 1, prices=OWN)


def test_an_unknown_model_raises_and_near_names_are_told() -> None:
    with pytest.raises(LookupError, match=r"gtp-4o.*Near names: gpt-4o") as caught:
        cost_per_token("gtp-4o", 1, 1)
    assert isinstance(caught.value, UnknownModelError)
    with pytest.raises(UnknownModelError):
        cost_per_token("github_copilot/gpt-4o", 1, 1)  # listed, but nothing prices it


def test_more_cached_tokens_than_the_prompt_are_refused() -> None:
    with pytest.raises(PriceError, match="1900 cached tokens in a prompt of 100"):
        cost_per_token("claude-opus-4-5", 100, 5, cache_read_input_tokens=900, cache_creation_input_tokens=1000)


def test_a_batch_is_a_call_type_and_a_tier_a_word() -> None:
    assert cost_per_token("gpt-4o", 10**6, 10**6, call_type="aretrieve_batch") == (1.25, 5.0)
    assert cost_per_token("gpt-4o", 10**6, 10**6, service_tier="priority") == (4.25, 17.0)


def test_rates_of_the_callers_own_replace_the_maps() -> None:
    rates = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "cache_read_input_token_cost": 1e-7}

    assert cost_per_token("whatever", 1000, 100, cache_read_input_tokens=500, custom_cost_per_token=rates) == (
        0.00055,
        0.0002,
    )
    assert cost_per_token("whatever", custom_cost_per_second=0.01, response_time_ms=2500) == (0.0, 0.025)
    assert completion_cost(BODY, custom_cost_per_token=rates) == 0.00084


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, "abc", True, 1e30, 2.5])
def test_what_is_no_price_of_the_callers_own_is_refused_by_name(value: Any) -> None:
    for arguments in (
        {"custom_cost_per_token": {"input_cost_per_token": value, "output_cost_per_token": 1e-6}},
        {"prices": {"gpt-4o": {"input_cost_per_token": value, "output_cost_per_token": 1e-6}}},
    ):
        with pytest.raises(PriceError, match=r"'(gpt-4o|custom_cost_per_token)': input_cost_per_token: '"):
            cost_per_token("gpt-4o", 1, 1, **arguments)
        with pytest.raises(PriceError, match=r"'(gpt-4o|custom_cost_per_token)': input_cost_per_token: '"):
            completion_cost(model="gpt-4o", prompt="a", **arguments)
    if value != 2.5:  # a machine may cost that much a second
        with pytest.raises(PriceError, match="custom_cost_per_second"):
            cost_per_token("gpt-4o", response_time_ms=1000, custom_cost_per_second=value)


def test_rates_of_the_callers_own_that_are_none_do_not_price_at_0() -> None:
    with pytest.raises(PriceError, match="custom_cost_per_token holds no rate"):
        cost_per_token("gpt-4o", 1, 1, custom_cost_per_token={})


def test_other_measures_have_parameters_of_their_own() -> None:
    assert cost_per_token("azure/tts-1", prompt_characters=1000, prices="litellm-1.106.4") == (0.015, 0.0)
    assert cost_per_token("cohere/rerank-v3.5", rerank_billed_units={"search_units": 3}, call_type="rerank")[0] > 0
    assert cost_per_token("openai/whisper-1", audio_transcription_file_duration=60, call_type="transcription")[0] > 0


def test_a_response_is_priced_by_its_usage_tools_included() -> None:
    october = datetime(2026, 10, 1, tzinfo=UTC)

    assert completion_cost(BODY, at=october) == 600 * 2.5e-6 + 400 * 1.25e-6 + 100 * 1e-5
    assert completion_cost(SimpleNamespace(**BODY), at=october) == completion_cost(BODY, at=october)
    claude = {"model": "claude-opus-4-5", "usage": {"input_tokens": 10, "output_tokens": 10}}
    searched = {**claude, "usage": {**claude["usage"], "server_tool_use": {"web_search_requests": 3}}}  # type: ignore[dict-item]
    assert completion_cost(searched, at=october) == pytest.approx(completion_cost(claude, at=october) + 0.03)


@pytest.mark.parametrize(
    ("body", "more", "tier"),
    [
        ({"service_tier": "flex"}, {"optional_params": {"service_tier": "priority"}}, "flex"),
        ({"service_tier": "auto"}, {"optional_params": {"service_tier": "priority"}}, "priority"),
        ({"service_tier": "default"}, {"optional_params": {"service_tier": "flex"}}, None),
        ({"service_tier": "flex"}, {"service_tier": "priority"}, "priority"),
        ({}, {}, None),
    ],
)
def test_the_tier_is_the_one_served_unless_the_caller_insists(
    body: dict[str, Any], more: dict[str, Any], tier: str | None
) -> None:
    usage = {"prompt_tokens": 10**6, "completion_tokens": 0}

    priced = completion_cost({"model": "gpt-5", "usage": usage, **body}, **more)

    assert priced == cost_per_token("gpt-5", 10**6, 0, service_tier=tier)[0]


def test_texts_are_counted_where_there_is_no_usage() -> None:
    counted = completion_cost(model="gpt-4o", prompt="Hello, how are you?", completion="Fine.")
    silent = {name: value for name, value in BODY.items() if name != "usage"}

    assert 0 < counted < 0.001
    assert completion_cost(silent, messages=[{"role": "user", "content": "How are you?"}]) > 0
    with pytest.raises(PriceError, match="neither usage nor text"):
        completion_cost({"model": "gpt-4o"})


def test_the_first_name_that_has_a_price_is_taken() -> None:
    usage = {"prompt_tokens": 10**6, "completion_tokens": 0}

    assert completion_cost({"model": "our-own-name", "usage": usage}, model="gpt-4o") == 2.5
    assert completion_cost({"model": "gpt-4o", "usage": usage}, base_model="gpt-4o-mini") == 0.15
    assert cost_per_token("our-own-name", 10**6, 0, request_model="gpt-4o") == (2.5, 0.0)


def test_helpers_are_at_the_public_door() -> None:
    assert {"cost_per_token", "completion_cost", "get_model_info", "register_model"} <= set(callcost.__all__)
