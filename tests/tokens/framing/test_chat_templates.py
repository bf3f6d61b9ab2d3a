"""Open models' own templates: a prompt with tools is one text, in which each special token counts one."""

from __future__ import annotations

from typing import Any

import pytest

from callcost.tokens.frame import SPECIAL
from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.framing.templates.deepseek_v3 import write_deepseek
from callcost.tokens.framing.templates.glm import write_glm, write_glm_4_7
from callcost.tokens.framing.templates.llama import write_llama, write_llama_ollama
from callcost.tokens.framing.templates.parts import ordered
from callcost.tokens.framing.templates.qwen import (
    write_qwen,
    write_qwen_3_5,
    write_qwen_coder,
    write_qwen_thinking,
)
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
    assert '"name": "look", "description": null, "parameters": {"type": "object", "properties"' in text
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
    assert '\n{"name": "look", "description": null, "parameters"' in text
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


def test_the_coder_is_shown_tools_as_xml_and_a_system_text_of_its_own() -> None:
    text = written(write_qwen_coder, {"messages": CHAT["messages"][1:], "tools": [TOOL]})

    assert text.startswith("|system\nYou are Qwen, a helpful AI assistant")
    assert "\n\nYou have access to the following functions:\n\n<tools>\n<function>\n<name>look</name>\n" in text
    assert "<parameter>\n<name>city</name>\n<type>string</type>\n</parameter>\n</parameters>\n</function>" in text
    assert text.endswith("|user\n|\nsunny\n|\n|\n|assistant\n")
    assert "You are Qwen" not in written(write_qwen_coder, CHAT)


def test_the_value_of_an_xml_tag_is_json_or_what_python_writes() -> None:
    city = {"type": ["string", "null"], "default": None, "nullable": True, "maxLength": 9}
    tool = {"function": {"name": "look", "parameters": {"properties": {"city": city}, "required": ["city"]}}}

    text = written(write_qwen_coder, {"messages": CHAT["messages"], "tools": [tool]})

    assert '<type>["string", "null"]</type>\n<default>None</default>\n<nullable>True</nullable>\n<maxLength>9' in text
    assert '</parameter>\n<required>["city"]</required>\n</parameters>' in text


def test_a_model_that_always_reasons_has_its_reasoning_begun() -> None:
    assert written(write_qwen_thinking, CHAT) == written(write_qwen, CHAT) + "|\n"


def test_what_a_tool_lacks_is_written_as_null() -> None:
    assert '{"name": "look", "description": null, "parameters"' in written(
        write_qwen, {**CHAT, "tools": [{"function": {"name": "look", "parameters": {}}}]}
    )


def test_newer_glm_writes_no_lines_around_roles_and_is_told_how_hard_to_think() -> None:
    text = written(write_glm_4_7, CHAT)

    assert text.startswith("|||\n# Tools\n")
    assert text.endswith("|Be brief.|Weather?|||look|city||Oslo||||sunny|||")
    assert written(lambda prompt: write_glm_4_7(prompt, effort="Max"), CHAT).startswith("|||Max|\n# Tools\n")


def test_deepseek_is_shown_tools_behind_the_system_text() -> None:
    text = written(write_deepseek, CHAT)

    assert text.startswith("|Be brief.\n\n## Tools\nYou have access to the following tools:\n\n### look\n")
    assert text.endswith('or spaces\n|Weather?||||look|{"city":"Oslo"}||||sunny|')
    assert written(write_deepseek, {"messages": CHAT["messages"][:2]}) == "|Be brief.|Weather?||"


def test_llama_is_shown_the_tools_in_the_first_question_over_several_lines() -> None:
    text = written(write_llama, CHAT)

    assert text.startswith("||system|\n\nEnvironment: ipython\nCutting Knowledge Date: December 2023\n")
    assert '\n        "name": "look",\n' in text
    assert text.endswith(
        'Weather?||assistant|\n\n{"name": "look", "parameters": {"city": "Oslo"}}||ipython|\n\n"sunny"||assistant|\n\n'
    )
