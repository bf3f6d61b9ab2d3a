"""Tools as OpenAI writes them into the prompt."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.tokens.framing.tool_schemas import comment, write_tool, write_tools
from callcost.tokens.requests.json_refs import MAX_WRITTEN
from callcost.tokens.requests.types import Tool

WORDS = st.text(max_size=8)


def write(properties: dict[str, Any], required: list[str] | None = None, **more: Any) -> list[str]:
    """Return the lines of a tool named ``f``."""
    schema = {"type": "object", "properties": properties, "required": required or [], **more}
    return write_tool(Tool("f", "", schema)).split("\n")


def test_all_tools_stand_in_one_namespace() -> None:
    found = write_tools([Tool("a"), Tool("b", "Says b.")])

    assert found == (
        "# Tools\n\n## functions\n\nnamespace functions {\n\n"
        "type a = () => any;\n\n// Says b.\ntype b = () => any;\n\n} // namespace functions"
    )


def test_a_tool_is_a_function_type_with_comments() -> None:
    found = write_tool(
        Tool(
            "get_weather",
            "Get the weather.\n  Now. ",
            {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "The city."},
                    "days": {"type": "integer", "default": 3, "minimum": 1, "maximum": 9},
                    "unit": {"enum": ["celsius", "fahrenheit"]},
                },
                "required": ["city"],
            },
        )
    )

    assert found.split("\n") == [
        "// Get the weather.",
        "// Now.",
        "type get_weather = (_: {",
        "// The city.",
        "city: string,",
        "days?: number, // default: 3, minimum: 1, maximum: 9",
        'unit?: "celsius" | "fahrenheit",',
        "}) => any;",
    ]


TYPES: dict[str, tuple[dict[str, Any], str]] = {
    "any": ({}, "any"),
    "text": ({"type": "string"}, "string"),
    "whole numbers": ({"type": "integer"}, "number"),
    "a list": ({"type": "array", "items": {"type": "boolean"}}, "boolean[]"),
    "a list of anything": ({"type": "array"}, "any[]"),
    "a list of a choice": ({"type": "array", "items": {"enum": ["a", 1]}}, 'Array<"a" | 1>'),
    "a constant": ({"const": "on"}, '"on"'),
    "one of two types": ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string | null"),
    "types in a list": ({"type": ["string", "null"]}, "string | null"),
    "an object without properties": ({"type": "object"}, "object"),
    "a flat object": ({"type": "object", "properties": {"b": {"type": "number"}}}, "{ b?: number }"),
}


@pytest.mark.parametrize("name", TYPES)
def test_a_type_is_written(name: str) -> None:
    schema, written = TYPES[name]

    assert write({"p": schema}, ["p"]) == [f"type f = (_: {{ p: {written} }}) => any;"]


def test_the_format_of_a_number_leaves_no_trace() -> None:
    number = {"type": "integer", "format": "uint8", "minimum": 0}
    assert write({"age": number}) == write({"age": {"type": "integer", "minimum": 0}})
    assert write({"day": {"type": "string", "format": "date"}}) != write({"day": {"type": "string"}})


def test_limits_stand_behind_the_type_that_they_are_of() -> None:
    assert write({"age": {"type": "integer", "minimum": 0}})[1] == "age?: number, // minimum: 0"
    assert write({"age": {"type": "integer", "minimum": 0, "default": 1}})[1].endswith("// default: 1, minimum: 0")
    assert write({"day": {"type": "string", "format": "date"}})[1] == 'day?: string, // format: "date"'
    both = {"type": ["integer", "null"], "minimum": 0, "maximum": 9}
    assert write({"age": both})[1:-1] == ["age?: ", "number // minimum: 0, maximum: 9", " |", "null", ","]
    assert "".join(write({"age": both | {"description": "In years."}})).count("In years.") == 3
    listed = {"type": "array", "items": {"type": "string", "minLength": 2}}
    assert write({"names": listed})[1:-1] == ["names?: Array<", "string // minLength: 2", ">,"]


def test_alternatives_with_comments_take_lines_of_their_own() -> None:
    found = write({"p": {"anyOf": [{"type": "string", "description": "A name."}, {"type": "null"}]}}, ["p"])

    assert found == ["type f = (_: {", "p: ", "// A name.", "string", " |", "null", ",", "}) => any;"]


def test_a_list_of_described_items_stands_between_brackets() -> None:
    found = write({"p": {"type": "array", "items": {"type": "string", "description": "A name."}}}, ["p"])

    assert found == ["type f = (_: {", "p: Array<", "// A name.", "string", ">,", "}) => any;"]


def test_the_models_of_2023_see_the_first_descriptions_only() -> None:
    inner = {"type": "object", "properties": {"deep": {"type": "object", "description": "Two.", "properties": {
        "leaf": {"type": "integer", "description": "Three."}}}}}  # fmt: skip
    tool = Tool("f", "Does it.", {"type": "object", "description": "Zero.", "properties": {"p": inner}})

    found = write_tools([tool], plain=True)

    assert "Does it." in found
    assert "Two." not in found
    assert "Three." not in found
    assert "leaf?: number," in found


def test_an_empty_comment_line_is_bare() -> None:
    assert comment("  a\n\n  b \n") == ["// a", "//", "// b"]
    assert comment(" \n ") == []


def trees(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(
        ["type", "properties", "items", "anyOf", "oneOf", "enum", "const", "default", "description", "title",
         "required", "$ref", "$defs", "format", "minimum"]
    )  # fmt: skip
    return st.recursive(leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6))


LEAVES = (
    WORDS | st.none() | st.booleans() | st.integers() | st.floats()
    | st.sampled_from(["object", "array", "string", "#", "#/$defs", "#/properties", "#/items", "#/$defs/properties"])
)  # fmt: skip


@given(trees(LEAVES))
def test_any_schema_is_written(schema: Any) -> None:
    for shape in (schema, {"type": "object", "properties": schema}, {"properties": {"p": schema}}):
        for plain in (False, True):
            assert "namespace functions" in write_tools([Tool("f", "d", shape)], plain=plain)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "description": "d" * 9000, "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}},
        {"type": "object", "properties": {f"p{n}": {"$ref": "#"} for n in range(1000)}},
        {"anyOf": [{"$ref": "#"}] * 30, "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "properties": {"a": {"type": ["object", "array"] * 20, "items": {"$ref": "#"}}}},
    ],
    ids=["two", "wide", "either", "both"],
)
def test_schemas_that_refer_to_themselves_end(schema: dict[str, Any]) -> None:
    before = time.monotonic()

    assert len(write_tool(Tool("f", "", schema))) < 8 * MAX_WRITTEN
    assert time.monotonic() - before < 20


@pytest.mark.parametrize(
    ("wrap", "sign", "levels"),
    [
        (lambda inner: {"type": "array", "items": inner}, "[]", 24),
        (lambda inner: {"type": "object", "properties": {"k": inner}}, "k?", 24),
        (lambda inner: {"anyOf": [inner, {"type": "null"}]}, "null", 23),
        (lambda inner: {"type": ["array"], "items": inner}, "[]", 12),  # a list of types is a level of its own
    ],
    ids=["arrays", "objects", "alternatives", "lists of types"],
)
def test_schemas_that_nest_too_deep_are_cut_off(
    wrap: Callable[[dict[str, Any]], dict[str, Any]], sign: str, levels: int
) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(60):
        schema = wrap(schema)

    assert "\n".join(write({"a": schema})).count(sign) == levels
