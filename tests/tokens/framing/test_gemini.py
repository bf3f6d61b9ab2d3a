"""Gemini's tools: stubs, declarations, or bare texts."""

from __future__ import annotations

from typing import Any

import pytest

from callcost.tokens.frame import SPECIAL
from callcost.tokens.framing.gemini import (
    GEMINI_LAYOUTS,
    IMAGE_OUT,
    gemini_layout_of,
    texts_of_schema,
    texts_of_value,
    write_declaration,
    write_declaration_block,
    write_stub,
    write_stub_block,
    write_tool_texts,
)
from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.model_families import choose
from callcost.tokens.requests.types import CALL, RESULT, Block, Tool
from tests.tokens.counted import texts_of

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "Where."},
        "days": {"type": "integer", "default": 3},
        "unit": {"enum": ["c", "f"]},
        "spot": {"type": "object", "description": "A spot.", "properties": {"x": {"type": "number"}}},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = Tool("look_up", "Look.\nTwice.", SCHEMA)
CALLED = Block(CALL, name="look_up", value={"city": "Oslo", "days": 3})


def test_gemini_2_5_is_shown_python_functions() -> None:
    spot, function = write_stub(TOOL)

    assert spot.split("\n") == [
        "@dataclasses.dataclass(kw_only=True)",
        "class LookUpSpot:",
        '    """A spot.',
        "",
        "    Attributes:",
        "        x: ",
        '    """',
        "    x: float | None = None",
        "",
    ]
    assert function.split("\n") == [
        "def look_up(",
        "    city: str,",
        "    days: int | None = 3,",
        "    unit: Literal['c', 'f'] | None = None,",
        "    spot: LookUpSpot | None = None,",
        "    tags: list[str] | None = None,",
        ") -> dict:",
        '    """Look.',
        "    Twice.",
        "",
        "    Args:",
        "        city: Where.",
        "        days: ",
        "        unit: ",
        "        spot: A spot.",
        "        tags: ",
        '    """',
        "",
    ]


def test_gemini_2_5_calls_and_answers_in_python() -> None:
    assert write_stub_block(CALLED) == ['print(default_api.look_up(city = "Oslo", days = 3))']
    assert write_stub_block(Block(RESULT, name="look_up", value={"sky": "clear"})) == [
        '{"look_up_response": {"sky": "clear"}}'
    ]


def test_gemini_3_is_shown_declarations_between_escapes() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "description": ""}}, "required": []}

    assert [text.replace(SPECIAL, "|") for text in write_declaration(Tool("f", "Look.", schema))] == [
        "declaration:f{description:|Look.|,parameters:{type:|object|,properties:{city:{type:|string|}}}}"
    ]
    (call,) = write_declaration_block(CALLED)
    assert call.replace(SPECIAL, "|") == "call:look_up{city:|Oslo|,days:3}"


def test_what_a_tool_returns_is_a_class_of_gemini_2_5_and_a_part_of_gemini_3s_declaration() -> None:
    returns = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    shape, function = write_stub(Tool("add_up", "Add.", None, returns=returns))
    (declaration,) = write_declaration(Tool("add_up", "Add.", None, returns=returns))

    assert shape.startswith("@dataclasses.dataclass(kw_only=True)\nclass AddUpResponse:\n")
    assert shape.endswith("    sum: int\n")
    assert ") -> AddUpResponse:\n" in function
    assert ") -> dict:\n" in write_stub(Tool("f", "", None, returns={"type": "string"}))[0]
    assert declaration.replace(SPECIAL, "|") == (
        "declaration:add_up{description:|Add.|,response:{type:|object|,properties:{sum:{type:|integer|}},required:[|sum|]}}"
    )
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}
    declared = {"name": "add_up", "description": "Add.", "responseJsonSchema": returns}
    request = {**body, "tools": [{"functionDeclarations": [declared]}]}
    assert shape in texts_of(frame_prompt(choose("gemini-2.5-flash"), "gemini", request))


def test_gemini_2_is_billed_by_names_texts_and_types() -> None:
    assert write_tool_texts(Tool("f", "Look.", {"type": "object", "properties": {"n": {"type": "integer"}}})) == [
        "f", "Look.", "object", "n", "integer",
    ]  # fmt: skip
    assert write_tool_texts(Tool("f", "Look.", SCHEMA, "json_schema")) == ["f", "Look."]
    assert texts_of_schema({"title": "T", "type": "string"}) == ["string"]
    assert texts_of_schema({"title": "T", "type": "string"}, titles=True) == ["string", "T"]


def test_the_texts_of_a_value_are_its_keys_and_texts_and_a_token_for_a_number() -> None:
    assert sorted(texts_of_value({"a": [1234567, "b"], "c": None, "d": True})) == ["0", "a", "b", "c", "d", "true"]


def test_vertex_bills_every_generation_by_bare_texts() -> None:
    for framing in GEMINI_LAYOUTS:
        assert gemini_layout_of(framing, "vertex").tool is GEMINI_LAYOUTS["gemini-2"].tool
        assert gemini_layout_of(framing, "google").tool is GEMINI_LAYOUTS[framing].tool
    assert gemini_layout_of("gemini-1", "") == GEMINI_LAYOUTS["gemini-2"]


@pytest.mark.parametrize(("role", "more"), [({"role": "user"}, 1), ({}, 0)])
def test_a_system_text_counts_as_a_message_where_it_names_its_role(role: dict[str, str], more: int) -> None:
    contents = [{"role": "user", "parts": [{"text": "Hi."}]}]
    choice = choose("gemini-2.5-flash")
    whole = frame_prompt(
        choice, "gemini", {"systemInstruction": {**role, "parts": [{"text": "x"}]}, "contents": contents}
    )
    bare = frame_prompt(choice, "gemini", {"contents": contents})

    assert whole is not None
    assert bare is not None
    assert whole.constant - bare.constant == 1000 * more


def test_googles_own_tools_leave_no_trace() -> None:
    contents = [{"role": "user", "parts": [{"text": "Hi."}]}]

    with_search = frame_prompt(
        choose("gemini-2.5-pro"), "gemini", {"contents": contents, "tools": [{"googleSearch": {}}]}
    )

    assert texts_of(with_search) == ["Hi."]


def test_an_image_in_an_answer_has_its_price() -> None:
    parts: list[dict[str, Any]] = [{"text": "Here."}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]

    frame = frame_completion(
        choose("gemini-2.5-flash-image"), "gemini", {"candidates": [{"content": {"parts": parts}}]}
    )

    assert frame is not None
    assert frame.constant == 1000 * IMAGE_OUT


def test_openrouter_is_laid_out_as_who_served_it() -> None:
    request = {"messages": [{"role": "user", "content": "Hi."}] * 2}
    asked = choose("google/gemini-2.5-flash", "openrouter")
    constants = {
        host: frame.constant
        for host in ("Google", "Google AI Studio", None)
        if (frame := frame_prompt(asked, "chat", request, {"provider": host, "choices": []}))
    }

    assert constants == {"Google": 0, "Google AI Studio": 2000, None: 0}


def test_the_settings_of_googles_sdk_are_read() -> None:
    contents = [{"role": "user", "parts": [{"text": "Hi."}]}]
    config = {"system_instruction": "Be brief.", "tools": [{"function_declarations": [{"name": "look"}]}]}
    schema = {"response_schema": {"type": "object", "properties": {"sky": {"type": "string"}}}}

    request = {"contents": contents, "config": {**config, **schema}}

    texts = texts_of(frame_prompt(choose("gemini-2.0-flash"), "gemini", request))

    assert texts == ["look", "object", "sky", "string", "Be brief.", "Hi."]
