"""The short way for ordinary chats comes to what the rules say, whatever the texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callcost.tokens.frame import Frame
from callcost.tokens.framing import messages, plain_chat
from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.framing.plain_chat import READ_FIELDS, frame_plain, templates_of
from callcost.tokens.model_families import Choice, choose
from callcost.tokens.requests.bodies import read_prompt
from tests.conftest import examples

MODELS = (
    "gpt-4o", "gpt-4", "gpt-5-mini", "o3", "gpt-3.5-turbo", "gpt-oss-20b", "claude-3-haiku", "claude-opus-4-8",
    "gemini-2.5-pro", "gemini-2.0-flash", "llama-3.1-8b", "mistral-large", "qwen3-8b", "deepseek-chat", "grok-4",
    "other",
)  # fmt: skip
ROLES = ("system", "developer", "user", "assistant")
odd = st.sampled_from(
    [" ", "\n x \n", "in 2024 '25", "中文。\n  x", '{"a": 1}', "```json\n[]\n```", "<think>no</think>"]
)
texts = st.one_of(st.text(min_size=1), odd)
chats: st.SearchStrategy[list[dict[str, str]]] = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(ROLES), "content": texts}), min_size=1, max_size=7
)
moments = st.one_of(st.none(), st.integers(1_500_000_000_000_000, 1_900_000_000_000_000))


def meaning(frame: Frame | None) -> tuple[Any, ...]:
    assert frame is not None
    weights: Counter[str] = Counter()
    for text, weight in zip(frame.texts, frame.weights, strict=True):
        weights[text] += weight
    return frame.vocabulary, weights, frame.constant, frame.method, frame.error, frame.share


@examples(40)
@given(st.sampled_from(MODELS), chats, texts, moments, st.booleans(), st.sampled_from([None, "chat"]))
@example("gpt-oss-20b", [{"role": "system", "content": "x"}, {"role": "user", "content": "y"}], "z", None, False, None)
@example("gpt-oss-20b", [{"role": "assistant", "content": "<think>x</think>y"}], "z", None, False, None)
def test_the_short_way_and_the_long_way_agree(
    model: str, chat: list[dict[str, str]], answer: str, at: int | None, bare: bool, endpoint: str | None
) -> None:
    choice = choose(model, "openai", endpoint)
    request = {"messages": chat, "temperature": 0.5}
    message = {"role": "assistant", "content": answer, "tool_calls": None, "refusal": None}
    response: Any = answer if bare else {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    found = frame_plain(choice, endpoint, request, response, at)
    if found is None:  # gpt-oss writes a system text and its heading as one text, and leaves out former thoughts
        assert model == "gpt-oss-20b"
        assert {"system", "developer", "assistant"} & {each["role"] for each in chat}
        return
    assert meaning(found[0]) == meaning(frame_prompt(choice, endpoint, request, response, at))
    assert meaning(found[1]) == meaning(frame_completion(choice, endpoint, response, request, at))


def test_settings_and_empty_fields_do_not_lead_off_the_short_way() -> None:
    settings = {"max_retries": 0, "extra_body": {"top_k": 1}, "tools": [], "response_format": None, "system": ""}
    request = {"messages": [{"role": "user", "content": "hi"}], **settings}
    ending = {"finish_reason": "stop", "stop_reason": None, "logprobs": None}
    response = {"choices": [{**ending, "message": {"role": "assistant", "content": "yes", "refusal": None}}]}

    assert frame_plain(choose("gpt-4o", "openai", "chat"), "chat", request, response) is not None


class Watched(dict[str, Any]):
    """A request that notes which of its fields are looked at."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.looked_at: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.looked_at.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.looked_at.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.looked_at.add(str(key))
        return super().__contains__(key)


@pytest.mark.parametrize("model", MODELS)
def test_every_field_that_the_rules_look_at_leads_off_the_short_way(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "read_offer", lambda body: read_prompt(None, body))  # it looks at a copy
    request = Watched({"messages": [{"role": "user", "content": "hi"}]})
    choice = choose(model, endpoint="chat")

    frame_prompt(choice, "chat", request, "hello")
    frame_completion(choice, "chat", "hello", request)

    assert "messages" in request.looked_at
    assert request.looked_at <= READ_FIELDS | {"messages", "input"}  # input is read where there are no messages


@pytest.mark.parametrize(
    ("request_more", "message_more"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {}),
        ({"response_format": {"type": "json_object"}}, {}),
        ({"contents": None}, {}),
        ({"system": "Be brief."}, {}),
        ({}, {"name": "ana"}),
        ({}, {"tool_calls": [{"id": "1"}]}),
        ({}, {"content": [{"type": "text", "text": "hi"}]}),
        ({}, {"content": ""}),
        ({}, {"role": "tool"}),
        ({}, {"role": {}}),
        ({}, {"content": None}),
    ],
)
def test_anything_else_goes_the_long_way(request_more: dict[str, Any], message_more: dict[str, Any]) -> None:
    request = {"messages": [{"role": "user", "content": "hi", **message_more}], **request_more}
    assert frame_plain(choose("gpt-4o", "openai", "chat"), "chat", request, "hello") is None


@pytest.mark.parametrize(
    ("more", "choice"),
    [
        ({}, {"finish_reason": "length"}),
        ({}, {"stop_reason": "max_tokens"}),
        ({"candidates": [{}]}, {}),
        ({}, {"message": {"role": "assistant", "content": "yes", "reasoning_content": "hm"}}),
        ({}, {"message": {"role": "assistant", "content": None}}),
        ({}, {"message": {"role": "tool", "content": "yes"}}),
    ],
)
def test_any_other_answer_goes_the_long_way(more: dict[str, Any], choice: dict[str, Any]) -> None:
    request = {"messages": [{"role": "user", "content": "hi"}]}
    message = {"role": "assistant", "content": "yes"}
    response = {"choices": [{"finish_reason": "stop", "message": message, **choice}], **more}

    assert frame_plain(choose("gpt-4o", "openai", "chat"), "chat", request, response) is None


@pytest.mark.parametrize("role", ["tool", "function", "model", ""])
def test_only_ordinary_roles_have_templates(role: str) -> None:
    choice = choose("gpt-4o", "openai", "chat")

    assert templates_of(choice, "chat", ("user", "assistant"), -1) is not None
    assert templates_of(choice, "chat", ("user", role), -1) is None


@pytest.mark.parametrize(
    "rule",
    [
        lambda text: [(text.strip(), 1000)],
        lambda _text: [],
        lambda text: [(text, 2000)],
        lambda text: [(text, 1000), (text, 1000)],
        lambda text: [(text, 1000), (f"<{text}>", 1000)],
    ],
    ids=["trims it", "drops it", "weighs it", "repeats it", "wraps it"],
)
def test_where_a_rule_does_something_with_a_text_there_is_no_template(
    rule: Callable[[str], list[tuple[str, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def frame(_choice: Choice, _endpoint: str | None, request: Any, *_: Any) -> Frame:
        parts = [part for message in request["messages"] for part in rule(message["content"])]
        return Frame("o200k_base", tuple(text for text, _ in parts), tuple(weight for _, weight in parts))

    monkeypatch.setattr(plain_chat, "frame_prompt", frame)

    assert templates_of.__wrapped__(choose("gpt-4o", "openai", "chat"), "chat", ("user",), -1) is None
