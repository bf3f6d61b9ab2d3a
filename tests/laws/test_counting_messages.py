"""Messages count the same in a report and in the helper, and no shape of them is an exception."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from callcost.helpers.counting import token_counter
from callcost.stages.count.missing_usage import METHODS, count_missing
from callcost.tables import Call
from callcost.tokens.engines.text_counter import TextCounter

MODELS = [
    "gpt-4o",
    "gpt-3.5-turbo",
    "gpt-5",
    "o3",
    "claude-sonnet-4-5",
    "claude-2",
    "gemini-2.5-pro",
    "mistral-large",
    "x",
]
ROLES = ["system", "user", "assistant", "tool", "developer", "", "someone"]
FIELDS = [
    "role",
    "content",
    "type",
    "text",
    "name",
    "tool_calls",
    "function",
    "arguments",
    "input",
    "image_url",
    "url",
    "source",
    "data",
    "parts",
]
FIELDS += ["properties", "items", "anyOf", "$ref", "enum", "required", "detail", "format", "default"]

words = st.sampled_from(["", "hello", " world", "\n\n", "中文", "{}", '{"a": 1}', "get_weather", "\ud800", "🙂"])
arguments = words | st.just('{"city": "Rome"}')
calls = st.lists(
    st.fixed_dictionaries(
        {
            "id": words,
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": words, "arguments": arguments}),
        }
    ),
    max_size=3,
)
pieces = st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": words})
    | st.fixed_dictionaries(
        {
            "type": st.just("image_url"),
            "image_url": st.fixed_dictionaries({"url": st.just("https://example.com/a.png")}),
        }
    ),
    max_size=3,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(ROLES), "content": words | pieces | st.none()},
        optional={"name": words, "tool_calls": calls, "tool_call_id": words},
    ),
    max_size=5,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | words, inner, max_size=5),
    max_leaves=20,
)


def make_call(model: str, request: Any, response: Any = None) -> Call:
    """Make a call that states no usage."""
    return Call(source_format="pair", family="pair", model=model, endpoint="chat", request=request, response=response)


@given(st.lists(st.tuples(st.sampled_from(MODELS), messages), min_size=1, max_size=6))
def test_a_window_of_requests_counts_as_each_alone(requests: list[tuple[str, list[dict[str, Any]]]]) -> None:
    window = [make_call(model, {"messages": given_}) for model, given_ in requests]

    with TextCounter() as counter:
        count_missing(window, counter)

    for call, (model, given_) in zip(window, requests, strict=True):
        if call.usage is not None and call.usage.prompt_tokens is not None:
            assert call.usage.prompt_tokens == token_counter(model=model, messages=given_)
        else:
            assert call.usage_source == "absent"


@given(st.sampled_from(MODELS), json_values, json_values, json_values)
def test_no_json_of_any_shape_is_an_exception(model: str, given_: Any, tools: Any, form: Any) -> None:
    many = given_ if isinstance(given_, list) else [given_]
    offered = tools if isinstance(tools, list) else [tools]

    assert token_counter(model=model, messages=many, tools=offered, tool_choice=form, response_format=form) >= 0
    assert (
        token_counter(model=model, messages=many, count_response_tokens=True, use_default_image_token_count=True) >= 0
    )


@given(st.sampled_from(MODELS), json_values, json_values)
def test_no_body_of_any_shape_stops_a_window(model: str, request: Any, response: Any) -> None:
    call = make_call(model, request, response)

    with TextCounter() as counter:
        count_missing([call, make_call("gpt-4o", {"messages": [{"role": "user", "content": "hi"}]})], counter)

    assert call.usage_source in {"counted", "absent"}
    assert call.count_method is None or call.count_method in METHODS
    assert (call.usage_source == "counted") == (call.count_error is not None)
