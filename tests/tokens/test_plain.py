"""The short way for ordinary chats comes to what the rules say, whatever the texts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tokens.choice import choose
from pipeline.tokens.frames import Frame
from pipeline.tokens.messages import frame_completion, frame_prompt
from pipeline.tokens.plain import frame_plain

MODELS = ("gpt-4o", "gpt-4", "gpt-5-mini", "o3", "gpt-3.5-turbo", "o1-mini", "claude-3-haiku", "gemini-2.5-pro")
ROLES = ("system", "developer", "user", "assistant")
odd = st.sampled_from([" ", "\n x \n", '{"a": 1}', "```json\n[]\n```", "<think>no</think>"])
texts = st.one_of(st.text(min_size=1), odd)
chats: st.SearchStrategy[list[dict[str, str]]] = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(ROLES), "content": texts}), min_size=1, max_size=7
)
moments = st.one_of(st.none(), st.integers(1_500_000_000_000_000, 1_900_000_000_000_000))


def meaning(frame: Frame | None) -> tuple[Any, ...]:
    assert frame is not None
    weights: Counter[str] = Counter()
    for part in frame.parts:
        weights[part.text] += part.weight
    return frame.vocabulary, weights, frame.constant, frame.method, frame.error, frame.share


@given(st.sampled_from(MODELS), chats, texts, moments, st.booleans(), st.sampled_from([None, "chat"]))
def test_the_short_way_and_the_long_way_agree(
    model: str, messages: list[dict[str, str]], answer: str, at: int | None, bare: bool, endpoint: str | None
) -> None:
    choice = choose(model, "openai", endpoint)
    request = {"messages": messages, "temperature": 0.5}
    message = {"role": "assistant", "content": answer, "tool_calls": None, "refusal": None}
    response: Any = answer if bare else {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    found = frame_plain(choice, endpoint, request, response, at)
    if found is None:
        assert choice.marks or choice.vocabulary != choice.wanted or not choice.framing.startswith("gpt")
        return
    assert meaning(found[0]) == meaning(frame_prompt(choice, endpoint, request, response, at))
    assert meaning(found[1]) == meaning(frame_completion(choice, endpoint, response, request, at))


def test_ordinary_chats_with_openai_go_the_short_way() -> None:
    request = {"messages": [{"role": "user", "content": "hi"}]}
    for model in ("gpt-4o", "gpt-5", "gpt-3.5-turbo"):
        assert frame_plain(choose(model, "openai", "chat"), "chat", request, "hello") is not None


@pytest.mark.parametrize(
    ("request_more", "message_more"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {}),
        ({"response_format": {"type": "json_object"}}, {}),
        ({}, {"name": "ana"}),
        ({}, {"tool_calls": [{"id": "1"}]}),
        ({}, {"content": [{"type": "text", "text": "hi"}]}),
        ({}, {"content": ""}),
        ({}, {"role": "tool"}),
    ],
)
def test_anything_else_goes_the_long_way(request_more: dict[str, Any], message_more: dict[str, Any]) -> None:
    request = {"messages": [{"role": "user", "content": "hi", **message_more}], **request_more}
    assert frame_plain(choose("gpt-4o", "openai", "chat"), "chat", request, "hello") is None
