"""Attributes come out the same, however they were written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callcost.logs.tracing.attributes import items_below, read_attributes
from callcost.logs.tracing.conversations import chat_request, chat_response, is_whole, unquote

FLAT = {"gen_ai.usage.input_tokens": 5, "gen_ai.system": "openai", "stop": ["a", "b"]}
WRITTEN: list[Any] = [
    FLAT,
    {"gen_ai": {"usage": {"input_tokens": 5}, "system": "openai"}, "stop": ["a", "b"], "none": None},
    json.dumps(FLAT),
    [("gen_ai.usage.input_tokens", 5), ("gen_ai.system", "openai"), ("stop", ["a", "b"])],
    [
        {
            "key": "gen_ai.usage",
            "value": {"kvlistValue": {"values": [{"key": "input_tokens", "value": {"intValue": 5}}]}},
        },
        {"key": "gen_ai.system", "value": {"stringValue": "openai"}},
        {"key": "stop", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}},
    ],
]  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN)
def test_attributes_are_flat_whatever_their_form(written: Any) -> None:
    assert read_attributes(written) == FLAT


@pytest.mark.parametrize("written", [None, 5, "text", "[1]", [1, {"a": 1}, (1, 2, 3)], "{broken"])
def test_what_is_no_mapping_has_no_attributes(written: Any) -> None:
    assert read_attributes(written) == {}


def test_numbered_names_are_a_list_in_their_order() -> None:
    flat = {"p.10.role": "c", "p.2.role": "b", "p.2.text": "x", "p.0.role": "a", "p.x.role": "-", "q.0.role": "-"}
    assert items_below(flat, "p") == [{"role": "a"}, {"role": "b", "text": "x"}, {"role": "c"}]


ASKED = [{"role": "user", "content": "Tides?"}]


@pytest.mark.parametrize(
    "value",
    ["Tides?", '"Tides?"', ASKED, ASKED[0], ["Tides?"], {"messages": ASKED}, {"prompt": "Tides?"}, json.dumps(ASKED)],
)
def test_a_prompt_is_a_chat_whatever_its_form(value: Any) -> None:
    assert chat_request(value) == {"messages": ASKED}


@pytest.mark.parametrize(
    "value",
    ["Six.", {"role": "assistant", "content": "Six."}, {"text": "Six."}, [{"role": "assistant", "content": "Six."}],
     {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Six."}}]}],
)  # fmt: skip
def test_an_answer_is_a_body_with_choices_whatever_its_form(value: Any) -> None:
    assert chat_response(value) == {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Six."}}]}


def test_quotes_around_a_text_are_no_part_of_it_where_they_are_json() -> None:
    assert [unquote(text) for text in ('"low"', '"lo"w"', '"lo', "low", 5)] == ["low", '"lo"w"', '"lo', "low", 5]


@pytest.mark.parametrize("value", [None, "", [], {}, 5, [None], {"messages": []}])
def test_no_text_is_no_conversation(value: Any) -> None:
    assert chat_request(value) is None
    assert chat_response(value) is None


def test_a_part_that_was_left_out_makes_a_conversation_incomplete() -> None:
    text, image = {"type": "text", "content": "What is this?"}, {"type": "blob", "mime_type": "image/png"}
    assert is_whole(chat_request([{"role": "user", "parts": [text]}]))
    assert not is_whole(chat_request([{"role": "user", "parts": [text, image]}]))
    assert is_whole(None)
