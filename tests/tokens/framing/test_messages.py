"""Whole requests and answers: the recorded counts of small cases, and a frame or nothing for any JSON."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.tokens.frame import CALIBRATED, ESTIMATED, EXACT, Frame
from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.model_families import FAMILIES, choose
from callcost.tokens.requests.json_values import MAX_DEPTH, limit_depth, parse_json
from tests.conftest import LONG
from tests.tokens.counted import count, write_user

CASES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((Path(__file__).parents[2] / "cases" / "messages").glob("*.json"))
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_comes_to_its_tokens(name: str) -> None:
    record, expected = CASES[name]["record"], CASES[name]["expected"]
    choice = choose(record["model"], record["provider"], record["endpoint"])

    prompt = frame_prompt(choice, record["endpoint"], record["request"], record["response"])
    answer = frame_completion(choice, record["endpoint"], record["response"], record["request"])

    assert prompt is not None
    assert (count(prompt), prompt.method) == (expected["prompt"], expected["method"])
    assert count(answer) == expected.get("completion")


ENDPOINTS = [
    None, "chat", "responses", "completions", "embeddings", "anthropic", "gemini", "bedrock_converse",
    "bedrock_invoke", "cohere", "ollama", "something else",
]  # fmt: skip
MODELS = [
    "gpt-4o", "gpt-5", "gpt-5.2", "gpt-4-0613", "o3-mini", "gpt-oss-20b", "claude-sonnet-4-5", "claude-2.1",
    "gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-pro", "llama-3.1-8b", "qwen3-32b", "nobody",
]  # fmt: skip
PLACES = st.tuples(st.sampled_from(MODELS), st.sampled_from(ENDPOINTS))


def deep(levels: int, mapping: bool) -> Any:
    """Return lists or objects that hold one another."""
    value: Any = "bottom"
    for _ in range(levels):
        value = {"properties": value} if mapping else [value]
    return value


# Values that Hypothesis cannot show stand in the trees under a name.
MONSTERS = {
    "<huge>": 10**5000,
    "<lists>": deep(3000, mapping=False),
    "<objects>": deep(3000, mapping=True),
    "<a little deep>": deep(70, mapping=True),
    "<brackets>": "[" * 20_000,
}


def unmask(value: Any) -> Any:
    """Return a tree with the values that its names stand for."""
    if isinstance(value, dict):
        return {key: unmask(child) for key, child in value.items()}
    if isinstance(value, list):
        return [unmask(child) for child in value]
    return MONSTERS.get(value, value) if isinstance(value, str) else value


KEYS = [
    "messages", "contents", "parts", "content", "role", "type", "text", "input", "output", "tools", "function",
    "name", "arguments", "parameters", "properties", "items", "anyOf", "enum", "$ref", "$defs", "tool_calls",
    "tool_use", "tool_result", "functionCall", "args", "response", "toolSpec", "inputSchema", "json", "choices",
    "message", "schema", "response_format", "json_schema", "image_url", "url", "source", "data", "system",
    "systemInstruction", "id", "call_id", "prompt", "thinking", "default", "required", "description", "title",
]  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(KEYS),
    st.sampled_from(sorted(MONSTERS)), st.just("\ud800"), st.just('{"a": 1}'), st.just("data:image/png;base64,AAAA"),
    st.sampled_from(["user", "tool", "function", "message", "function_call_output", "object", "array", "#", "#/$defs"]),
)  # fmt: skip
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
)


def check(frame: Frame | None) -> None:
    """A frame is whole integers and texts, and can be sent to a worker."""
    if frame is None:
        return
    assert all(isinstance(text, str) and text for text in frame.texts)
    assert list(map(type, frame.weights)) == [int] * len(frame.texts)
    assert isinstance(frame.constant, int)
    assert frame.method in {EXACT, CALIBRATED, ESTIMATED}
    assert 0 < frame.error <= 2
    assert frame.share >= 1
    assert pickle.loads(pickle.dumps(frame)) == frame


@given(PLACES, JSON, JSON)
def test_any_json_is_a_frame_or_nothing(place: tuple[str, str | None], request: Any, response: Any) -> None:
    model, endpoint = place
    choice = choose(model, endpoint=endpoint)
    request, response = unmask(request), unmask(response)

    check(frame_prompt(choice, endpoint, request, response, 1_760_000_000_000_000))
    check(frame_completion(choice, endpoint, response, request))


def damage(value: Any, steps: list[int], junk: Any) -> Any:
    """Put junk in some place of a JSON value."""
    value = copy.deepcopy(value)
    node, places = value, []
    for step in steps:
        if not isinstance(node, (dict, list)) or not node:
            break
        key = list(node)[step % len(node)] if isinstance(node, dict) else step % len(node)
        places.append((node, key))
        node = node[key]
    if places:
        holder, key = places[-1]
        holder[key] = junk
    return value


@given(
    st.sampled_from(sorted(CASES)), st.sampled_from(MODELS), st.lists(st.integers(0, 50), min_size=1, max_size=9),
    JSON, st.booleans(),
)  # fmt: skip
def test_a_damaged_body_is_a_frame_or_nothing(name: str, model: str, steps: list[int], junk: Any, asked: bool) -> None:
    record = CASES[name]["record"]
    sides = {side: record[side] for side in ("request", "response")}
    damaged = damage(sides, [0 if asked else 1, *steps], unmask(junk))
    endpoint = record["endpoint"]

    for choice in (choose(record["model"], record["provider"], endpoint), choose(model)):
        check(frame_prompt(choice, endpoint, damaged["request"], damaged["response"]))
        check(frame_completion(choice, endpoint, damaged["response"], damaged["request"]))


@pytest.mark.parametrize("mapping", [True, False])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_nesting_of_any_depth_ends(endpoint: str | None, mapping: bool) -> None:
    nested = deep(100_000 if LONG else 20_000, mapping)
    request = {
        "messages": [{"role": "user", "content": [nested, "a"]}],
        "tools": [{"name": "f", "input_schema": nested}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": nested}},
    }
    for model in MODELS:
        check(frame_prompt(choose(model), endpoint, request, {"content": nested}))
        check(frame_prompt(choose(model), endpoint, nested))
        check(frame_completion(choose(model), endpoint, {"content": [nested]}, request))


def test_what_is_nested_too_deep_is_cut_and_the_rest_kept() -> None:
    assert limit_depth({"a": {"b": 1}}) == {"a": {"b": 1}}
    cut = limit_depth([deep(500, mapping=False), "kept"])
    assert cut[1] == "kept"
    assert json.dumps(cut).count("[") == MAX_DEPTH + 1
    assert parse_json("[" * 100_000) is None
    assert parse_json("9" * 10_000) is None


@pytest.mark.parametrize("request_body", [None, 3, True, "", [], {}, {"messages": []}, {"messages": 7}, {"input": []}])
def test_a_request_that_shows_nothing_is_nothing(request_body: Any) -> None:
    for row in FAMILIES:
        for endpoint in ENDPOINTS:
            frame = frame_prompt(choose(row.name), endpoint, request_body)
            assert frame is None


def test_a_text_or_a_list_of_messages_will_do() -> None:
    choice = choose("gpt-4o")

    assert frame_prompt(choice, "chat", write_user("Hi.")) == frame_prompt(
        choice, "chat", {"messages": write_user("Hi.")}
    )
    assert frame_completion(choice, "chat", "Hi.") == frame_completion(choice, "chat", {"text": "Hi."})


def test_the_order_of_the_tools_keys_makes_no_difference() -> None:
    function = {"name": "f", "description": "Does.", "parameters": {"type": "object", "properties": {"a": {}}}}
    turned = dict(reversed(function.items()))

    frames = [
        frame_prompt(
            choose("gpt-4o"), "chat", {"messages": write_user("x"), "tools": [{"type": "function", "function": one}]}
        )
        for one in (function, turned)
    ]

    assert frames[0] == frames[1]
