"""One conversation in every provider's spelling is one prompt, and one answer is one answer."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.tokens.requests.bodies import read_answer, read_limit, read_offer, read_prompt
from callcost.tokens.requests.content_blocks import READERS, read_blocks, read_piece
from callcost.tokens.requests.tools_and_format import read_form, read_tool_choice, read_tools
from callcost.tokens.requests.types import CALL, DOCUMENT, IMAGE, RESULT, TEXT, THOUGHT, Block, Form, Prompt, Tool

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8) + (2).to_bytes(4) + (3).to_bytes(4) + bytes(80)).decode()

CALLED = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
CONVERSATIONS: dict[str, Any] = {
    "openai chat": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Weather in Rome?"}]},
            {"role": "assistant", "content": None, "tool_calls": [CALLED]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "description": "Look.", "parameters": SCHEMA}}],
    },
    "openai functions": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather in Rome?"},
            {"role": "assistant", "function_call": {"name": "weather", "arguments": '{"city":"Rome"}'}},
            {"role": "function", "name": "weather", "content": "sunny"},
        ],
        "functions": [{"name": "weather", "description": "Look.", "parameters": SCHEMA}],
    },
    "openai responses": {
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Weather in Rome?"}]},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Rome"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        ],
        "tools": [{"type": "function", "name": "weather", "description": "Look.", "parameters": SCHEMA}],
    },
    "anthropic": {
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": "Weather in Rome?"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Rome"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "sunny"}]}]},
        ],
        "tools": [{"name": "weather", "description": "Look.", "input_schema": SCHEMA}],
    },
    "bedrock converse": {
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "Weather in Rome?"}]},
            {"role": "assistant", "content": [
                {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Rome"}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "sunny"}]}}]},
        ],
        "toolConfig": {"tools": [
            {"toolSpec": {"name": "weather", "description": "Look.", "inputSchema": {"json": SCHEMA}}}]},
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Weather in Rome?"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "Rome"}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"result": "sunny"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "weather", "description": "Look.", "parameters": SCHEMA}]}],
    },
    "ollama": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather in Rome?"},
            {"role": "assistant", "content": "", "tool_calls": [
                {"function": {"name": "weather", "arguments": {"city": "Rome"}}}]},
            {"role": "tool", "name": "weather", "content": "sunny"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "description": "Look.", "parameters": SCHEMA}}],
    },
}  # fmt: skip


def told(prompt: Prompt) -> list[tuple[str, str]]:
    """Return the blocks of a prompt in order, without ids and roles."""
    return [(block.kind, block.text) for message in prompt.messages for block in message.blocks]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_reads_the_same_in_every_spelling(name: str) -> None:
    prompt = read_prompt(None, CONVERSATIONS[name])

    *first, result = told(prompt)
    assert first == [(TEXT, "Be brief."), (TEXT, "Weather in Rome?"), (CALL, '{"city":"Rome"}')]
    assert result == (RESULT, '{"result":"sunny"}' if name == "gemini" else "sunny")
    assert prompt.messages[0].role == "system"
    assert [(tool.name, tool.description, tool.parameters) for tool in prompt.tools] == [("weather", "Look.", SCHEMA)]
    names = [block.name for message in prompt.messages for block in message.blocks]
    assert names == ["", "", "weather", "weather"]


ANSWERED: dict[str, Any] = {
    "openai chat": {"choices": [{"message": {"content": "It is sunny.", "tool_calls": [CALLED]}}]},
    "openai responses": {"output": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is sunny."}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Rome"}'}]},
    "anthropic": {"content": [
        {"type": "text", "text": "It is sunny."},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Rome"}}]},
    "bedrock converse": {"output": {"message": {"role": "assistant", "content": [
        {"text": "It is sunny."}, {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Rome"}}}]}}},
    "gemini": {"candidates": [{"content": {"parts": [
        {"text": "It is sunny."}, {"functionCall": {"name": "weather", "args": {"city": "Rome"}}}]}}]},
    "ollama": {"message": {"content": "It is sunny.", "tool_calls": [
        {"function": {"name": "weather", "arguments": {"city": "Rome"}}}]}},
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERED)
def test_an_answer_reads_the_same_in_every_spelling(name: str) -> None:
    (blocks,) = read_answer(ANSWERED[name]).alternatives

    assert [(block.kind, block.text) for block in blocks] == [(TEXT, "It is sunny."), (CALL, '{"city":"Rome"}')]
    assert blocks[1].name == "weather"


TEXTS: dict[str, Any] = {
    "a text": "Hi.",
    "chat": {"choices": [{"message": {"content": "Hi."}}]},
    "a stream's end": {"choices": [{"delta": {"content": "Hi."}}]},
    "a refusal": {"choices": [{"message": {"content": None, "refusal": "Hi."}}]},
    "completions": {"choices": [{"text": "Hi."}]},
    "ollama generate": {"response": "Hi.", "done": True},
    "titan": {"results": [{"outputText": "Hi."}]},
    "cohere": {"generations": [{"text": "Hi."}]},
    "cohere 2": {"message": {"role": "assistant", "content": [{"type": "text", "text": "Hi."}]}},
    "jurassic": {"completions": [{"data": {"text": "Hi."}}]},
    "llama on bedrock": {"generation": "Hi."},
    "mistral on bedrock": {"outputs": [{"text": "Hi."}]},
    "claude 2": {"completion": "Hi."},
    "responses' own text": {"output": "Hi."},
    "plain": {"text": "Hi."},
    "a list of pieces": [{"type": "text", "text": "Hi."}],
}


@pytest.mark.parametrize("name", TEXTS)
def test_an_answers_text_is_found(name: str) -> None:
    (blocks,) = read_answer(TEXTS[name]).alternatives

    assert [(block.kind, block.text) for block in blocks] == [(TEXT, "Hi.")]


@pytest.mark.parametrize(
    ("body", "cut"),
    [
        ({"choices": [{"finish_reason": "length", "text": ""}]}, True),
        ({"choices": [{"finish_reason": "stop", "text": ""}]}, False),
        ({"content": [], "stop_reason": "max_tokens"}, True),
        ({"output": {}, "stopReason": "end_turn"}, False),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, True),
        ({"output": [], "status": "incomplete"}, True),
    ],
)
def test_an_answer_that_was_cut_off_says_so(body: Any, cut: bool) -> None:
    assert read_answer(body).cut is cut


@pytest.mark.parametrize(
    ("endpoint", "body", "texts", "tokens"),
    [
        ("completions", {"prompt": "Once"}, ["Once"], 0),
        ("completions", {"prompt": ["Once", "Twice"]}, ["Once", "Twice"], 0),
        ("completions", {"prompt": [1, 2, 3]}, [], 3),
        ("completions", {"prompt": [[1, 2], [3]]}, [], 3),
        ("embeddings", {"input": "Once"}, ["Once"], 0),
        ("embeddings", {"input": [7, 8]}, [], 2),
        ("embeddings", {"texts": ["a", "b"]}, ["a", "b"], 0),
        ("embeddings", {"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "taskType": "x"}, ["a", "b"], 0),
        ("embeddings", {"requests": [{"content": {"parts": [{"text": "a"}]}}, {"content": {"parts": []}}]}, ["a"], 0),
        ("embeddings", {"instances": [{"content": "a", "task_type": "x"}, {"content": "b"}]}, ["a", "b"], 0),
        ("bedrock_invoke", {"inputText": "Once"}, ["Once"], 0),
        (None, {"inputs": "Once"}, ["Once"], 0),
        (None, {"message": "Once"}, ["Once"], 0),
        (None, "Once", ["Once"], 0),
    ],
)
def test_inputs_without_messages_are_texts_or_ids(endpoint: str, body: Any, texts: list[str], tokens: int) -> None:
    prompt = read_prompt(endpoint, body)

    assert (prompt.texts, prompt.tokens, prompt.messages) == (texts, tokens, [])


PIECES: dict[str, tuple[Any, list[tuple[str, int, int]]]] = {
    "an image": ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}, [(IMAGE, 2, 3)]),
    "an image of responses": ({"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}, [(IMAGE, 2, 3)]),
    "anthropic's image": ({"type": "image", "source": {"type": "base64", "data": PIXEL}}, [(IMAGE, 2, 3)]),
    "bedrock's image": ({"image": {"format": "png", "source": {"bytes": PIXEL}}}, [(IMAGE, 2, 3)]),
    "gemini's image": ({"inlineData": {"mimeType": "image/png", "data": PIXEL}}, [(IMAGE, 2, 3)]),
    "a linked image": ({"type": "image", "source": {"type": "url", "url": "https://example.org"}}, [(IMAGE, 0, 0)]),
    "a file": ({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg=="}}, [(DOCUMENT, 0, 0)]),
}


@pytest.mark.parametrize("name", PIECES)
def test_media_are_found_with_their_size(name: str) -> None:
    piece, expected = PIECES[name]

    found = [(block.kind, block.media.width, block.media.height) for block in read_piece(piece) if block.media]

    assert found == expected


def test_text_files_are_text() -> None:
    data = base64.b64encode(b"a,b").decode()

    assert read_blocks([{"inlineData": {"mimeType": "text/csv", "data": data}}]) == [Block(TEXT, "a,b")]
    assert read_blocks([{"type": "document", "source": {"type": "text", "data": "a,b"}}]) == [Block(TEXT, "a,b")]


@pytest.mark.parametrize(
    "piece",
    [
        {"type": "thinking", "thinking": "Hm.", "signature": "1234"},
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "1234"}}},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "1234"},
    ],
)
def test_reasoning_is_a_thought_with_its_seal(piece: Any) -> None:
    assert read_piece(piece) == [Block(THOUGHT, "Hm.", encrypted=4)]
    assert read_piece({"text": "Hm.", "thought": True}) == [Block(THOUGHT, "Hm.")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("", "")),
        ({"tool_choice": "auto"}, ("auto", "")),
        ({"tool_choice": "none"}, ("none", "")),
        ({"tool_choice": "required"}, ("required", "")),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, ("named", "f")),
        ({"tool_choice": {"type": "function", "name": "f"}}, ("named", "f")),
        ({"tool_choice": {"type": "tool", "name": "f"}}, ("named", "f")),
        ({"tool_choice": {"type": "any"}}, ("required", "")),
        ({"function_call": {"name": "f"}}, ("named", "f")),
        ({"toolConfig": {"toolChoice": {"tool": {"name": "f"}}}}, ("named", "f")),
        ({"toolConfig": {"toolChoice": {"any": {}}}}, ("required", "")),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, ("required", "")),
        ({"tool_choice": 7}, ("", "")),
    ],
)
def test_the_choice_among_tools_is_read(body: Any, expected: tuple[str, str]) -> None:
    assert read_tool_choice(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, Form()),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
         Form("n", "", SCHEMA)),
        ({"text": {"format": {"type": "json_schema", "name": "n", "description": "d", "schema": SCHEMA}}},
         Form("n", "d", SCHEMA)),
        ({"output_format": {"type": "json_schema", "schema": SCHEMA}}, Form("", "", SCHEMA)),
        ({"generationConfig": {"responseSchema": SCHEMA}}, Form("", "", SCHEMA)),
        ({"format": "json"}, Form()),
        ({"response_format": 7}, None),
    ],
)  # fmt: skip
def test_the_form_of_the_answer_is_read(body: Any, expected: Form | None) -> None:
    assert read_form(body) == expected


def test_a_providers_own_tool_keeps_its_kind() -> None:
    body = {"tools": [{"type": "web_search_20250305", "name": "web_search"}, {"googleSearch": {}}]}

    assert [(tool.name, tool.kind) for tool in read_tools(body)] == [
        ("web_search", "web_search_20250305"),
        ("", "googleSearch"),
    ]


def test_what_is_on_offer_is_read_without_the_messages() -> None:
    body = {**CONVERSATIONS["openai chat"], "response_format": {"type": "json_object"}}

    offer = read_offer(body)

    function = body["tools"][0]["function"]
    assert (offer.messages, offer.form) == ([], Form())
    assert offer.tools == [Tool("weather", "Look.", SCHEMA, given=function)]
    assert read_offer("text") == Prompt()


@given(st.sampled_from(sorted(READERS)), st.dictionaries(st.sampled_from([*READERS, "type", "source"]), st.text()))
def test_any_piece_is_read(kind: str, rest: dict[str, str]) -> None:
    for piece in ({**rest, "type": kind}, {**rest, kind: rest}, {kind: None}):
        assert all(isinstance(block, Block) for block in read_piece(piece))


def test_items_of_one_answer_are_one_message() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}

    prompt = read_prompt("responses", {"input": [{"role": "user", "content": "x"}, call, call, call]})

    assert [len(message.blocks) for message in prompt.messages] == [1, 3]


def test_media_beside_what_a_function_of_gemini_returned_are_content() -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    response = {"functionResponse": {"name": "look", "response": {"a": 1}, "parts": [part, part]}}

    prompt = read_prompt("gemini", {"contents": [{"role": "user", "parts": [response]}]})

    assert [block.kind for block in prompt.messages[0].blocks] == ["result", "image", "image"]


BROKE_OFF: dict[str, tuple[Any, Any]] = {
    "openai chat": ({"max_completion_tokens": 50}, {"choices": [{"finish_reason": "length", "message": {}}]}),
    "openai chat, before": ({"max_tokens": 50}, {"choices": [{"finish_reason": "length", "text": "a"}]}),
    "responses": (
        {"max_output_tokens": 50},
        {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []},
    ),
    "anthropic": ({"max_tokens": 50}, {"stop_reason": "max_tokens", "content": [{"type": "text", "text": "a"}]}),
    "gemini": ({"generationConfig": {"maxOutputTokens": 50}}, {"candidates": [{"finishReason": "MAX_TOKENS"}]}),
    "bedrock": (
        {"inferenceConfig": {"maxTokens": 50}},
        {"stopReason": "max_tokens", "output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}},
    ),
}


@pytest.mark.parametrize(("request_body", "response"), BROKE_OFF.values(), ids=BROKE_OFF)
def test_the_limit_of_an_answer_is_read_where_it_broke_off_there(request_body: Any, response: Any) -> None:
    assert read_limit(request_body, response) == 50
    assert read_limit({}, response) is None
    assert read_limit(request_body, "a") is None


def test_a_limit_tells_nothing_of_several_answers_or_of_one_that_a_filter_broke_off() -> None:
    cut = {"finish_reason": "length", "message": {"content": "a"}}
    filtered = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}

    assert read_limit({"max_tokens": 50}, {"choices": [cut, cut]}) is None
    assert read_limit({"max_output_tokens": 50}, filtered) is None
