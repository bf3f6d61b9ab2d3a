"""What an answer comes to: its text, its calls, and what ends or introduces them."""

from __future__ import annotations

from typing import Any

import pytest

from callcost.tokens.engines.encoders import load_encoder
from callcost.tokens.framing.answers import (
    ALIASES,
    ANSWER_LAYOUTS,
    END_SINCE,
    END_UNTIL,
    AnswerLayout,
    answer_layout_of,
)
from callcost.tokens.framing.messages import frame_completion
from callcost.tokens.model_families import choose
from tests.tokens.counted import count_answer, texts_of

SUNNY = {"choices": [{"message": {"content": "It is sunny."}, "finish_reason": "stop"}]}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
FORM = {"type": "json_schema", "json_schema": {"name": "sky", "schema": {"type": "object", "properties": {}}}}


def answer(*arguments: str) -> dict[str, Any]:
    calls = [{"id": str(n), "function": {"name": "look", "arguments": text}} for n, text in enumerate(arguments)]
    return {"choices": [{"message": {"content": None, "tool_calls": calls}, "finish_reason": "tool_calls"}]}


def tokens(*texts: str) -> int:
    return sum(load_encoder("o200k_base").count(texts))


def test_a_familys_row_is_found() -> None:
    for framing, same in ALIASES.items():
        assert answer_layout_of(framing, "chat") == ANSWER_LAYOUTS[same, "chat"]
    assert answer_layout_of("nobody", "chat") == AnswerLayout()


def test_an_end_that_is_billed_costs_a_token() -> None:
    plain = count_answer("gpt-4o", SUNNY, "chat")

    assert plain == tokens("It is sunny.")
    assert count_answer("gpt-4o", SUNNY, "chat", at=END_SINCE) == plain + 1
    assert count_answer("gpt-4o", SUNNY, "chat", at=END_UNTIL) == plain
    assert answer_layout_of("gpt-4", "chat", "azure").text == 1
    assert answer_layout_of("gpt-5", "chat", "azure") == ANSWER_LAYOUTS["gpt-5", "chat"]


def test_text_that_was_cut_off_has_no_end() -> None:
    cut = {"choices": [{"message": {"content": "It is sunny."}, "finish_reason": "length"}]}

    assert count_answer("gpt-5", SUNNY, "chat") == tokens("It is sunny.") + 3
    assert count_answer("gpt-5", cut, "chat") == tokens("It is sunny.")


def test_text_beside_tools_on_offer_costs_one_token_more() -> None:
    assert count_answer("gpt-4o", SUNNY, "chat", request={"tools": [TOOL]}) == tokens("It is sunny.") + 1


def test_a_call_is_its_name_and_arguments() -> None:
    assert count_answer("gpt-4o", answer('{"n":1}'), "chat") == 7 + tokens(".look", '{"n":1}')


def test_a_call_that_was_asked_for_by_name_is_its_arguments() -> None:
    request = {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}}

    assert count_answer("gpt-4o", answer('{"n":1}'), "chat", request=request) == tokens('{"n":1}')


def test_several_calls_are_one_bundle_and_so_is_one_whose_arguments_were_written_anew() -> None:
    (bundle,) = texts_of(frame_completion(choose("gpt-4o"), "chat", answer('{"n": 1}', '{"n": 2}')))
    (lone,) = texts_of(frame_completion(choose("gpt-4o"), "chat", answer('{"n": 1}')))

    assert bundle.count("functions.look") == 2
    assert lone == '{"tool_uses":[{"recipient_name":"functions.look","parameters":{"n":1}}]}'


def test_a_form_is_named_before_the_text() -> None:
    request = {"messages": [], "response_format": FORM}

    assert count_answer("gpt-5", SUNNY, "chat", request=request) == tokens("It is sunny.", "sky") + 3 + 2
    assert count_answer("gpt-4o", SUNNY, "chat", request=request) == tokens("It is sunny.")


def test_all_alternatives_count() -> None:
    twice = {"choices": SUNNY["choices"] * 2}

    assert count_answer("gpt-4o", twice, "chat") == 2 * tokens("It is sunny.")


def test_reasoning_that_is_shown_is_left_out() -> None:
    thought = {"choices": [{"message": {"content": "Yes.", "reasoning_content": "Hm, hm, hm."}}]}

    assert count_answer("gpt-4o", thought, "chat") == tokens("Yes.")


@pytest.mark.parametrize("response", ["", {}, {"choices": []}, {"choices": [{"message": {"content": None}}]}, None, 7])
def test_an_empty_answer_is_nothing(response: Any) -> None:
    assert frame_completion(choose("gpt-4o"), "chat", response) is None


def thinking(thought: str, model: str, **more: Any) -> int | None:
    message = {"role": "assistant", "content": "Four.", "reasoning_content": thought}
    return count_answer(model, {"choices": [{"message": message, "finish_reason": "stop"}]}, "chat", **more)


@pytest.mark.parametrize("model", ["deepseek-reasoner", "glm-4.6", "qwen3-32b", "gpt-oss-20b", "claude-3-7-sonnet"])
def test_reasoning_that_is_shown_is_counted(model: str) -> None:
    assert thinking("Two and two. " * 9, model) > thinking("", model) + 20  # type: ignore[operator]
    assert thinking("Two and two. " * 9, model, thoughts=False) == thinking("", model)


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "gemini-2.5-pro", "gpt-5"])
def test_a_summary_of_reasoning_is_not_what_is_billed(model: str) -> None:
    assert thinking("Two and two. " * 9, model) == thinking("", model)


def test_sealed_reasoning_counts_by_its_length_in_the_responses_api() -> None:
    def sealed(*lengths: int) -> int | None:
        items = [{"type": "reasoning", "encrypted_content": "A" * length, "summary": []} for length in lengths]
        answer = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Four."}]}
        return count_answer("gpt-5", {"output": [*items, answer]}, "responses")

    bare = sealed()
    assert bare is not None
    assert sealed(2_000) == bare + 167  # 0.161 a character, less 155
    assert sealed(2_000, 2_000) == bare + 334
    assert sealed(100) == bare


def test_the_one_tool_that_must_be_called_is_not_named_in_the_answer() -> None:
    tool = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    answer = {"output": [{"type": "function_call", "name": "look", "arguments": "{}"}]}
    asked = {"input": "Hi.", "tools": [tool]}
    free, bound = (
        frame_completion(choose("gpt-4o"), "responses", answer, {**asked, "tool_choice": how})
        for how in ("auto", "required")
    )

    assert free is not None
    assert bound is not None
    assert (free.texts, bound.texts) == ((".look", "{}"), ("{}",))
