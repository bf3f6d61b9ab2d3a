"""Open models' own templates: a prompt with tools is one text, in which each special token counts one."""

from __future__ import annotations

from typing import Any

import pytest

from callcost.tokens.frame import SPECIAL
from callcost.tokens.framing.chat_templates import ordered, write_glm, write_llama_ollama, write_qwen, write_qwen_3_5
from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.model_families import choose
from callcost.tokens.requests.bodies import read_prompt
from tests.tokens.counted import texts_of

TOOL = {"function": {"parameters": {"properties": {"city": {"type": "string"}}, "type": "object"}, "name": "look"}}
CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"city":"Oslo"}'}}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    ],
    "tools": [TOOL],
}


def written(writer: Any, request: dict[str, Any]) -> str:
    return str(writer(read_prompt("chat", request))).replace(SPECIAL, "|")


def test_qwen_3_is_shown_tools_behind_the_system_text_and_calls_as_json() -> None:
    text = written(write_qwen, CHAT)

    assert text.startswith("|system\nBe brief.\n\n# Tools\n")
    assert '"name": "look", "parameters": {"type": "object", "properties"' in text
    call = '|assistant\n|\n{"name": "look", "arguments": {"city": "Oslo"}}\n||\n'
    assert text.endswith(f"|user\nWeather?|\n{call}|user\n|\nsunny\n||\n|assistant\n")


def test_qwen_3_5_is_shown_tools_before_the_system_text_and_calls_as_tags() -> None:
    text = written(write_qwen_3_5, CHAT)

    assert text.startswith("|system\n# Tools\n")
    assert "</IMPORTANT>\n\nBe brief.|\n" in text
    assert "|\n<function=look>\n<parameter=city>\nOslo\n</parameter>\n</function>\n||\n" in text
    assert text.endswith("|assistant\n|\n")


def test_glm_is_shown_the_function_alone() -> None:
    text = written(write_glm, CHAT)

    assert text.startswith("|||\n# Tools\n")
    assert '\n{"name": "look", "parameters"' in text
    assert text.endswith("|\nWeather?|\n||\n|look\n|city|\n|Oslo|\n||\n|\nsunny\n||")


def test_ollama_shows_llama_the_tools_in_the_last_question_as_go_writes_them() -> None:
    asked = {"messages": CHAT["messages"][:2], "tools": [TOOL]}
    text = written(write_llama_ollama, asked)

    assert '"parameters":{"type":"object","required":null,"properties":{"city":{"type":"string","description' in text
    assert text.endswith("\n\nWeather?||assistant|\n\n")
    assert '"look","parameters"' not in written(write_llama_ollama, CHAT).split("sunny")[1]


@pytest.mark.parametrize("model", ["qwen3-32b", "qwen3.5-35b-a3b", "glm-4.6"])
def test_a_plain_chat_needs_no_template(model: str) -> None:
    request = {"messages": CHAT["messages"][:2]}

    assert texts_of(frame_prompt(choose(model), "chat", request))[-1] == "Weather?"


def test_an_answer_of_calls_counts_what_the_model_wrote() -> None:
    answer = {"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [CALL]}}]}
    frame = frame_completion(choose("qwen2.5:32b", "ollama"), "chat", answer, CHAT)

    assert frame is not None
    assert texts_of(frame) == ['\n{"name": "look", "arguments": {"city": "Oslo"}}\n']
    assert frame.constant // 1000 == 3  # two special tokens and the end


def test_the_keys_of_a_tool_stand_in_one_order() -> None:
    assert list(ordered({"x": 1, "required": [], "properties": {}, "type": "object"})) == [
        "type", "properties", "required", "x",
    ]  # fmt: skip
