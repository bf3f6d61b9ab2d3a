"""Families that count turn by turn: each sign of a request adds its row's constant."""

from __future__ import annotations

from typing import Any

import pytest

from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.framing.turns import TURN_LAYOUTS
from callcost.tokens.model_families import choose
from tests.tokens.counted import texts_of, write_user

CLAUDE = "claude-sonnet-4-5"
ROW = TURN_LAYOUTS["claude-4.5"]
ASK = write_user("Hi.")
TOOL = {"name": "look", "description": "Look.", "input_schema": {"type": "object", "properties": {}}}


def constant(request: dict[str, Any], model: str = CLAUDE) -> int:
    """Return the tokens of a request that no text accounts for."""
    frame = frame_prompt(choose(model), "anthropic", request)
    assert frame is not None
    return frame.constant // 1000


@pytest.mark.parametrize("framing", TURN_LAYOUTS)
def test_a_longer_conversation_never_costs_less(framing: str) -> None:
    row = TURN_LAYOUTS[framing]

    assert min(row.start, row.user, row.assistant, row.system, row.tools, row.tool, row.call, row.result) >= 0
    assert row.tool_factor >= 1000 or row.tool_factor == 0  # 0: its texts


def test_each_turn_has_its_price() -> None:
    turn = {"role": "assistant", "content": "Yes."}

    assert constant({"messages": ASK}) == ROW.start + ROW.user
    assert constant({"messages": [*ASK, turn, *ASK]}) == ROW.start + 2 * ROW.user + ROW.assistant
    assert constant({"messages": [*ASK, turn]}) == ROW.start + ROW.user + ROW.assistant + ROW.prefill
    assert constant({"system": "Be brief.", "messages": ASK}) == ROW.start + ROW.user + ROW.system


@pytest.mark.parametrize(
    ("more", "price"),
    [
        ({}, 0),
        ({"tool_choice": {"type": "any"}}, ROW.any_tool),
        ({"tool_choice": {"type": "tool", "name": "look"}}, ROW.one_tool),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, ROW.thinking),
    ],
)
def test_tools_bring_a_hidden_prompt(more: dict[str, Any], price: int) -> None:
    bare = constant({"messages": ASK})

    assert constant({"messages": ASK, "tools": [TOOL, TOOL], **more}) == bare + ROW.tools + 2 * ROW.tool + price


def test_a_tool_is_shown_as_spaced_json() -> None:
    frame = frame_prompt(choose(CLAUDE), "anthropic", {"messages": ASK, "tools": [TOOL]})

    assert texts_of(frame)[0] == (
        '{"description": "Look.", "name": "look", "parameters": {"type": "object", "properties": {}}}'
    )


def test_a_call_costs_by_its_arguments_at_the_top() -> None:
    use = {"type": "tool_use", "id": "a", "name": "look", "input": {"a": "b", "c": {"d": 1}}}
    bare = constant({"messages": [*ASK, {"role": "assistant", "content": "x"}, *ASK]})

    one = {"messages": [*ASK, {"role": "assistant", "content": [use]}, *ASK]}

    assert constant(one) == bare + ROW.call + 2 * ROW.call_key
    assert texts_of(frame_prompt(choose(CLAUDE), "anthropic", one))[1:6] == ["look", "a", "b", "c", '{"d":1}']


def test_thoughts_of_the_turn_that_is_still_open_are_shown_again() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "x"}
    use = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "sunny"}]}
    asked = [*ASK, {"role": "assistant", "content": [thought, use]}, result]

    assert "Hm." in texts_of(frame_prompt(choose(CLAUDE), "anthropic", {"messages": asked}))
    assert "Hm." not in texts_of(frame_prompt(choose(CLAUDE), "anthropic", {"messages": asked + ASK}))


def test_an_answer_ends_with_its_own_tokens() -> None:
    text: dict[str, Any] = {"type": "text", "text": "It is sunny."}
    use = {"type": "tool_use", "id": "a", "name": "look", "input": {}}

    def answered(*content: Any, stop: str = "end_turn") -> int:
        frame = frame_completion(choose(CLAUDE), "anthropic", {"content": list(content), "stop_reason": stop})
        assert frame is not None
        return frame.constant // 1000

    assert answered(text) == ROW.answer
    assert answered(text, stop="max_tokens") == 0
    assert answered(text, use) == ROW.answer_beside + ROW.answer_call
    assert answered(use, use) == ROW.answer_call + ROW.answer_more


def test_a_template_of_its_own_system_text_counts_it_where_there_is_no_other() -> None:
    row = TURN_LAYOUTS["kimi"]
    system = {"role": "system", "content": "Be brief."}
    assert constant({"messages": ASK}, "kimi-k2") == row.start + row.user + row.no_system
    assert constant({"messages": [system, *ASK]}, "kimi-k2") == row.start + row.user + row.system


def test_a_host_with_a_template_of_its_own_is_counted_by_it() -> None:
    def start(provider: str) -> int:
        frame = frame_prompt(choose("llama3.2:3b", provider), "chat", {"messages": ASK})
        assert frame is not None
        return frame.constant // 1000

    assert start("ollama") == start("groq") - 10


def test_some_models_and_days_have_prices_of_their_own() -> None:
    asked = {"messages": ASK, "tools": [TOOL]}
    august = 1_788_000_000_000_000  # 2026-08-29

    assert constant(asked, "claude-opus-4-7") > constant(asked, "claude-opus-4-8") > constant(asked, "claude-opus-5")
    chat = choose("deepseek-v4-flash", "deepseek")
    frames = [frame_prompt(chat, "chat", {"messages": ASK, **more}, at=at) for more, at in (
        ({}, august), ({"thinking": {"type": "disabled"}}, august), ({}, 0),
    )]  # fmt: skip
    assert [frame.constant // 1000 for frame in frames if frame] == [83, 4, 4]


def test_an_answer_to_a_named_choice_does_not_write_the_name() -> None:
    use = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
    kinds = ({"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "look"})
    frames = [
        frame_completion(choose(CLAUDE), "anthropic", {"content": [use]}, {"tools": [TOOL], "tool_choice": kind})
        for kind in kinds
    ]

    assert [(frame.constant // 1000, texts_of(frame)) for frame in frames if frame] == [
        (ROW.answer_call, ["look"]), (ROW.answer_any, ["look"]), (ROW.answer_named, []),
    ]  # fmt: skip


def test_citations_and_bedrocks_form_cost_their_hidden_prompts() -> None:
    document = {"document": {"format": "txt", "name": "a", "source": {"text": "Facts."}}}
    cited = {"document": {**document["document"], "citations": {"enabled": True}}}
    schema = {"name": "F", "schema": '{"type": "object"}'}
    form = {"outputConfig": {"textFormat": {"structure": {"jsonSchema": schema}}}}
    asked, told = ({"messages": [{"role": "user", "content": [{"text": "Hi."}, piece]}]} for piece in (document, cited))

    assert constant(told) - constant(asked) == ROW.citations
    assert constant({"messages": ASK, **form}) - constant({"messages": ASK}) == ROW.form


def test_cohere_bills_of_a_tool_what_it_says() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "description": "Where."}}}
    tool = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": schema}}

    texts = texts_of(frame_prompt(choose("command-r"), "chat", {"messages": ASK, "tools": [tool]}))

    assert texts == ["look", "Look.", "city", "Where.", "Hi."]


def test_special_tokens_of_a_raw_text_count_one_each_where_its_model_has_them() -> None:
    text = "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi.<|eot_id|>"

    frame = frame_prompt(choose("meta.llama3-8b-instruct-v1:0", "bedrock"), "bedrock_invoke", {"prompt": text})
    other = frame_prompt(choose("qwen3-0.6b", "vllm"), "completions", {"prompt": text})

    assert frame is not None
    assert (frame.constant // 1000, texts_of(frame)) == (4, ["user", "\n\nHi."])
    assert texts_of(other) == [text]


def test_local_hosts_begin_a_raw_text_with_the_token_that_begins_every_text() -> None:
    there = frame_prompt(choose("llama3.2:3b", "vllm"), "completions", {"prompt": "Hi."})

    assert there is not None
    assert there.constant == 1000


def test_ollama_writes_a_text_as_the_users_message_unless_it_is_raw() -> None:
    choice = choose("llama3.2:3b", "ollama")
    asked = frame_prompt(choice, "chat", {"messages": ASK})

    raw = frame_prompt(choice, "ollama", {"prompt": "Hi.", "raw": True})
    written = frame_prompt(choice, "ollama", {"prompt": "Hi."})
    assert raw is not None
    assert written is not None
    assert asked is not None
    assert (written.constant, written.texts) == (asked.constant, asked.texts)
    assert (raw.constant, raw.texts) == (1000, ("Hi.",))


def test_tools_are_left_out_where_a_host_hides_what_may_not_be_called() -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    request = {"messages": ASK, "tools": tools, "tool_choice": "none"}

    hidden = frame_prompt(choose("llama-3.3-70b", "groq"), "chat", request)
    shown = frame_prompt(choose("llama-3.3-70b", "together"), "chat", request)

    assert "look" not in "".join(texts_of(hidden))
    assert "look" in "".join(texts_of(shown))


def test_nova_2_brings_a_longer_prompt_once_a_tool_was_called() -> None:
    call = {"toolUse": {"toolUseId": "1", "name": "look", "input": {}}}
    messages = [{"role": "user", "content": [{"text": "Hi."}]}, {"role": "assistant", "content": [call]}]

    first, second = (constant({"messages": messages}, f"amazon.nova-{name}-v1:0") for name in ("lite", "2-lite"))

    assert second - first == 542


def test_mistral_writes_what_is_required_behind_the_type() -> None:
    schema = {"required": ["x"], "type": "object", "properties": {"x": {}}}
    tools = [{"type": "function", "function": {"name": "look", "parameters": schema}}]

    frame = frame_prompt(choose("mistral-large-latest", "mistral"), "chat", {"messages": ASK, "tools": tools})

    assert '"parameters": {"properties": {"x": {}}, "type": "object", "required": ["x"]}' in "".join(texts_of(frame))
