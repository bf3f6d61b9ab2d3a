"""Whatever a helper is given, it answers or raises a CallcostError.

Arguments are random values, and sound ones with random values in the place of some of their parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import callcost
from callcost.errors import CallcostError
from callcost.prices.book.registered import registered
from tests.helpers.test_registry import forget_registered

WORDS = st.sampled_from([
    "gpt-4o", "claude-opus-4-5", "gemini-2.5-pro", "user", "text", "image_url", "function", "priority", "batch", "eu",
    "latest", "openai", "data:image/png;base64,AAAA", "aretrieve_batch", "auto",
])  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 10**6), st.integers(), st.floats(), st.decimals(), st.text(max_size=8),
    st.binary(max_size=4), st.datetimes(), st.complex_numbers(), WORDS, st.builds(object),
    st.sampled_from([10**400, Decimal("sNaN"), int]),
)  # fmt: skip
KEYS = st.one_of(
    st.sampled_from([
        "input_cost_per_token", "output_cost_per_token", "role", "content", "type", "text", "url", "function", "name",
        "model", "usage", "prompt_tokens", "completion_tokens", "choices", "tiered_pricing", "range", "tokenizer",
        "parameters", "properties", "max_tokens", "gpt-4o", "service_tier", "output", "input_tokens", "mode",
    ]),
    st.text(max_size=4), st.integers(), st.none(),
)  # fmt: skip
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=5),
        st.tuples(inner, inner),
        st.builds(SimpleNamespace, usage=inner, model=inner),
    ),
    max_leaves=10,
)
RATES = {
    "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "litellm_provider": "openai", "mode": "chat",
    "max_tokens": 4096, "tiered_pricing": [{"range": [0, 128000], "input_cost_per_token": 1e-6}],
    "off_peak_pricing": {"windows": [{"hours_utc": "10:00-12:00", "weekdays": [1, "mon"]}],
                         "weekday_timezone": "Asia/Shanghai", "input_cost_per_token": 1e-7},
    "search_context_cost_per_query": {"search_context_size_low": 0.1}, "provider_specific_entry": {"us": 1.1},
}  # fmt: skip
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {
    "type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}}, "required": ["a"]}}}  # fmt: skip
MESSAGES = [
    {"role": "user", "content": [{"type": "text", "text": "Is it warm?"},
                                 {"type": "image_url", "image_url": {"url": "https://host/a.png", "detail": "low"}}]},
    {"role": "assistant",
     "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "x", "content": "yes"},
]  # fmt: skip
BODY = {
    "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o", "service_tier": "flex",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4},
              "speed": "fast"},
}  # fmt: skip
COUNTED = {
    "model": "gpt-4o", "messages": MESSAGES, "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": TOOL["function"]}},
}  # fmt: skip


def _count_awaited(**arguments: Any) -> None:
    asyncio.run(callcost.async_token_counter(**arguments))


def _register(**arguments: Any) -> None:
    if isinstance(arguments["model_cost"], str):
        return  # an address, which would be fetched
    callcost.register_model(**arguments)
    callcost.cost_per_token("gpt-4o", 1, 1)
    for model in registered():
        callcost.model_cost[model]


HELPERS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "cost_per_token": (callcost.cost_per_token, {
        "model": "gpt-4o", "prompt_tokens": 10, "completion_tokens": 5, "prices": {"gpt-4o": RATES},
        "at": datetime(2025, 1, 1), "data_residency": "eu"}),  # noqa: DTZ001 - as callers write it
    "completion_cost": (callcost.completion_cost, {"completion_response": BODY, "optional_params": {}}),
    "token_counter": (callcost.token_counter, COUNTED),
    "async_token_counter": (_count_awaited, COUNTED),
    "encode": (callcost.encode, {"model": "gpt-4o", "text": "warm"}),
    "decode": (callcost.decode, {"model": "gpt-4o", "tokens": [1, 2]}),
    "create_tokenizer": (callcost.create_tokenizer, {"json": "{}"}),
    "get_max_tokens": (callcost.get_max_tokens, {"model": "gpt-4o", "prices": {"gpt-4o": RATES}}),
    "get_model_info": (callcost.get_model_info, {"model": "gpt-4o", "prices": {"gpt-4o": RATES}}),
    "register_model": (_register, {"model_cost": {"gpt-4o": RATES, "my/model": RATES}}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_stays_registered() -> Iterator[None]:
    yield
    forget_registered()


def _changed(data: st.DataObject, value: Any) -> Any:
    """Return a value with random parts in the place of some of its own."""
    if data.draw(st.integers(0, 9)) == 0:
        return data.draw(JUNK)
    if isinstance(value, dict):
        return {key: _changed(data, item) for key, item in value.items()}
    return [_changed(data, item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", HELPERS)
def test_a_helper_answers_or_raises_a_callcost_error(name: str, long_run: bool) -> None:
    function, sound = HELPERS[name]
    known = [name for name in inspect.signature(getattr(callcost, name)).parameters if name != "force"]

    @settings(max_examples=2000 if long_run else 25)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        wrong = data.draw(st.lists(st.sampled_from(known), max_size=2, unique=True))
        arguments = {key: _changed(data, value) for key, value in sound.items()}
        arguments |= {key: data.draw(JUNK) for key in wrong}
        with contextlib.suppress(CallcostError):
            function(**arguments)

    check()


def test_the_law_is_asked_of_every_helper() -> None:
    """What is left out reads the network, or is no function."""
    functions = {name for name in callcost.__all__ if inspect.isroutine(getattr(callcost, name))}
    jobs = {
        "backfill_usage", "compare", "compare_periods", "compare_spend", "price_calls", "query_calls",
        "reconcile_costs", "report_spend", "suggest_savings", "what_if",
    }  # fmt: skip
    assert functions - jobs - {"create_pretrained_tokenizer"} == set(HELPERS)
