"""The format of gpt-oss: a system message of its own, instructions and tools as the developer's, channels."""

from __future__ import annotations

from typing import Any

import pytest

from callcost.tokens.frame import SPECIAL
from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.framing.templates.harmony import write_harmony, write_namespace
from callcost.tokens.model_families import choose
from callcost.tokens.requests.bodies import read_prompt
from callcost.tokens.requests.types import Tool
from tests.tokens.counted import count

CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"city":"Oslo"}'}}
TOOL = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}
ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"}]
AFTER = [
    {"role": "assistant", "content": "<think>Hm.</think>\n", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    {"role": "assistant", "content": "It is sunny."},
]


def written(request: dict[str, Any], **more: bool) -> str:
    return write_harmony(read_prompt("chat", request), **more).replace(SPECIAL, "|")


def tool(schema: dict[str, Any]) -> str:
    return write_namespace([Tool("f", "", {"type": "object", "properties": {"p": schema}, "required": ["p"]})])


def test_a_system_text_is_the_developers_instructions_or_a_message() -> None:
    assert written({"messages": ASK}).endswith(
        "|developer|# Instructions\n\nBe brief.||user|Weather?||assistant"
    )
    assert written({"messages": ASK}, instructs=False).endswith("|system|Be brief.||user|Weather?||assistant")


def test_a_host_may_write_the_developers_message_even_if_it_is_empty() -> None:
    assert written({"messages": ASK[1:]}, always_instructs=True).endswith("||developer|||user|Weather?||assistant")
    assert "developer" not in written({"messages": ASK[1:]})


def test_calls_and_results_go_through_the_commentary_and_thoughts_are_dropped() -> None:
    text = written({"messages": [*ASK, *AFTER], "tools": [TOOL]})

    assert "Calls to these tools must go to the commentary channel" in text
    assert text.endswith(
        '|assistant to=functions.look|commentary json|{"city":"Oslo"}|'
        "|functions.look to=assistant|commentary|sunny||assistant|final|It is sunny.||assistant"
    )


@pytest.mark.parametrize(
    ("schema", "lines"),
    [
        ({"type": "integer"}, "p: number,"),
        ({"type": ["integer", "null"]}, "p: number | null,"),
        ({"type": "string", "enum": ["a", "b"], "default": "a"}, 'p: "a" | "b", // default: a'),
        ({"type": "string", "default": "a", "nullable": True}, 'p: string | null, // default: "a"'),
        ({"type": "array", "items": {"type": "boolean"}}, "p: boolean[],"),
        ({"type": "array"}, "p: Array<any>,"),
        ({"type": "string", "title": "P", "description": "It."}, "// P\n//\n// It.\np: string,"),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, "p: \n     | string\n     | number,"),
        ({"type": "object", "properties": {"x": {}}}, "p: {\n    x?: any,\n    },"),
        ({"$ref": "#/x"}, "p: any,"),
    ],
)
def test_a_parameter_is_a_typescript_property(schema: dict[str, Any], lines: str) -> None:
    assert tool(schema) == f"## functions\n\nnamespace functions {{\n\ntype f = (_: {{\n{lines}\n}}) => any;\n\n}} // namespace functions"  # noqa: E501


def test_a_tool_without_parameters_takes_none() -> None:
    assert "// Look.\n// Well.\ntype f = () => any;\n" in write_namespace([Tool("f", "Look.\nWell.")])


@pytest.mark.parametrize(
    ("provider", "tokens"),  # as recorded: Cerebras and Groq, 2 November 2025
    [("cerebras", 70), ("groq", 74)],
)
def test_recorded_calls_come_to_their_tokens(provider: str, tokens: int) -> None:
    request = {"messages": [{"role": "user", "content": "Hi there!"}]}

    assert count(frame_prompt(choose("gpt-oss-120b", provider), "chat", request)) == tokens


@pytest.mark.parametrize(
    ("more", "constant"),
    [({"content": "Hi."}, 4), ({"content": "Hi.", "reasoning": "Greet."}, 10), ({"tool_calls": [CALL]}, 11)],
)
def test_the_channels_of_an_answer_are_billed(more: dict[str, Any], constant: int) -> None:
    response = {"choices": [{"message": {"role": "assistant", **more}, "finish_reason": "stop"}]}

    frame = frame_completion(choose("gpt-oss-20b", "cerebras"), "chat", response, {"messages": ASK})

    assert frame is not None
    assert frame.constant == constant * 1000
