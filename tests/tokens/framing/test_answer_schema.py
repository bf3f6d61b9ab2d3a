"""The form of an answer as OpenAI writes it into the prompt."""

from __future__ import annotations

from callcost.tokens.framing.answer_schema import prune_schema, write_form
from callcost.tokens.requests.types import Form


def test_a_form_is_a_heading_a_comment_and_the_schema() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"n": {"type": "integer", "title": "N"}},
        "required": ["n"],
        "additionalProperties": False,
    }

    assert write_form(Form("answer", "What\nit is.", schema)).split("\n") == [
        "# Response Formats",
        "",
        "## answer",
        "",
        "// What",
        "// it is.",
        '{"type":"object","properties":{"n":{"type":"integer","title":"N"}}}',
    ]


def test_a_property_may_be_called_as_a_word_of_the_schema_language() -> None:
    schema = {"properties": {"required": {"type": "string", "required": []}, "properties": {"additionalProperties": 1}}}

    assert prune_schema(schema) == {"properties": {"required": {"type": "string"}, "properties": {}}}


def test_limits_of_numbers_leave_no_trace() -> None:
    limited = {"properties": {"age": {"type": "integer", "minimum": 0, "maximum": 9}, "minimum": {"type": "string"}}}
    assert prune_schema(limited) == {"properties": {"age": {"type": "integer"}, "minimum": {"type": "string"}}}


def test_lists_are_read_through() -> None:
    assert prune_schema([{"required": ["a"], "const": 1}, [{"$schema": 2}]]) == [{"const": 1}, [{}]]


def test_the_format_of_a_number_leaves_no_trace() -> None:
    assert prune_schema({"type": ["integer", "null"], "format": "uint8"}) == {"type": ["integer", "null"]}
    assert prune_schema({"type": "string", "format": "date"}) == {"type": "string", "format": "date"}
