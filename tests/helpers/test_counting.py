"""token_counter counts as the reports do, with LiteLLM's arguments."""

from __future__ import annotations

import inspect
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import callcost
from callcost.errors import TokenizerError
from callcost.helpers.counting import async_token_counter, token_counter
from callcost.helpers.text import create_tokenizer
from callcost.stages.count.missing_usage import count_missing
from callcost.tables import Call
from callcost.tokens.engines.encoders import load_encoder
from callcost.tokens.engines.text_counter import TextCounter
from callcost.tokens.engines.vocabularies import find_vocabulary, read_file

SAMPLE = "Hellö World, this is my input string!"
CHAT = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Hey, how's it going"},
    {"role": "assistant", "content": "Fine, and you?"},
    {"role": "user", "name": "ann", "content": "Good."},
]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "The city"}},
                "required": ["city"],
            },
        },
    }
]


def test_the_parameters_are_litellms_in_name_and_order() -> None:
    expected = ["model", "custom_tokenizer", "text", "messages", "count_response_tokens", "tools", "tool_choice"]
    expected += ["use_default_image_token_count", "default_token_count", "response_format"]

    assert list(inspect.signature(token_counter).parameters) == expected
    assert list(inspect.signature(async_token_counter).parameters) == expected


@pytest.mark.parametrize("model", ["gpt-3.5-turbo", "gpt-4", "gpt-4o"])
def test_plain_text_and_chat_come_out_as_litellm_has_them(model: str) -> None:
    """Recorded from LiteLLM 1.106.2; these short shapes it counts as OpenAI does."""
    assert token_counter(model=model, text=SAMPLE) == 10
    assert token_counter(model=model, text=["Hellö ", "World"]) == 3
    assert token_counter(model=model, text="") == 0
    assert token_counter(model=model, messages=CHAT) == 38
    assert token_counter(model=model, messages=CHAT, count_response_tokens=True) == 35
    assert token_counter(model=model, messages=CHAT, count_response_tokens=None) == 35
    assert token_counter(model=model, messages=[]) == 3


def test_tools_come_out_as_litellm_has_them_where_it_is_right() -> None:
    """Recorded from LiteLLM 1.106.2."""
    named = {"type": "function", "function": {"name": "get_weather"}}

    assert token_counter(model="gpt-4o", messages=CHAT, tools=TOOLS) == 72
    assert token_counter(model="gpt-4o", messages=CHAT, tools=TOOLS, tool_choice="none") == 73
    assert token_counter(model="gpt-4o", messages=CHAT, tools=TOOLS, tool_choice=named) == 81


def test_a_long_text_is_counted_whole() -> None:
    """LiteLLM cuts it every 1,024 characters and adds up the pieces."""
    text = "internationalization " * 2000

    assert token_counter(model="gpt-4o", text=text) == len(load_encoder("o200k_base").encode(text))


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-5", "o3", "claude-sonnet-4-5", "gemini-2.5-pro", "claude-2", "mistral-large", "unheard-of"]
)
def test_the_helper_counts_a_request_as_a_report_does(model: str) -> None:
    request = {"model": model, "messages": CHAT, "tools": TOOLS, "tool_choice": "auto"}
    call = Call(source_format="pair", family="pair", model=model, endpoint="chat", request=request)

    with TextCounter() as counter:
        count_missing([call], counter)

    assert call.usage is not None
    assert token_counter(model=model, messages=CHAT, tools=TOOLS, tool_choice="auto") == call.usage.prompt_tokens


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4-5", "llama-3.3-70b", "qwen3-32b", "gemini-2.5-pro", "glm-4.6", "gpt-4o"]
)
def test_the_helper_counts_a_text_as_a_report_does(model: str) -> None:
    """A stand-in vocabulary's corrections are of the text, not of the messages."""
    text = "In 2025, 12345 'units' x 678 were + sold\n    to 東京 и Москва.\n" * 9
    call = Call(source_format="pair", family="pair", model=model, endpoint="embeddings", request={"input": text})

    with TextCounter() as counter:
        count_missing([call], counter)

    assert call.usage is not None
    assert token_counter(model=model, text=text) == call.usage.prompt_tokens


def test_a_response_format_is_counted() -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}

    plain = token_counter(model="gpt-4o", messages=CHAT)

    assert token_counter(model="gpt-4o", messages=CHAT, response_format=form) > plain + 10
    assert token_counter(model="gpt-4o", messages=CHAT, response_format={"type": "json_object"}) == plain


def test_every_image_counts_250_where_asked() -> None:
    pieces = [{"type": "text", "text": "what is this"}]
    images = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}] * 2
    plain = token_counter(model="gpt-4o", messages=[{"role": "user", "content": pieces}])

    count = token_counter(
        model="gpt-4o", messages=[{"role": "user", "content": pieces + images}], use_default_image_token_count=True
    )

    assert count == plain + 500


def test_message_objects_count_as_the_dictionaries_they_stand_for() -> None:
    message = SimpleNamespace(
        model_dump=lambda exclude_none: {**CHAT[1], "tool_calls": None} if not exclude_none else CHAT[1]
    )

    assert token_counter(model="gpt-4o", messages=[message]) == token_counter(model="gpt-4o", messages=[CHAT[1]])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"text": "a", "messages": []},
        {"text": "a", "tools": TOOLS},
        {"text": "a", "tool_choice": "none"},
        {"text": "a", "response_format": {"type": "json_object"}},
    ],
)
def test_what_does_not_go_together_is_a_value_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="text"):
        token_counter(model="gpt-4o", **arguments)


def test_a_custom_tokenizer_counts_messages_in_the_models_framing() -> None:
    own = create_tokenizer(read_file(find_vocabulary("claude2")).decode())
    encoder = load_encoder("claude2")
    texts = ["system", "You are terse.", "user", "Hey, how's it going"]

    count = token_counter(model="gpt-4o", messages=CHAT[:2], custom_tokenizer=own)

    assert count == 3 + 2 * 3 + sum(encoder.count(texts))


def test_a_default_stands_in_where_counting_fails() -> None:
    broken = {"type": "huggingface_tokenizer"}

    with pytest.raises(TokenizerError):
        token_counter(model="gpt-4o", text="x", custom_tokenizer=broken)
    assert token_counter(model="gpt-4o", text="x", custom_tokenizer=broken, default_token_count=7) == 7


def test_counting_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callcost, "disable_token_counter", True)

    assert token_counter(model="gpt-4o", text=SAMPLE) == 0
    assert token_counter(model="gpt-4o") == 0


def test_only_true_switches_counting_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callcost, "disable_token_counter", "yes")

    assert token_counter(model="gpt-4o", text=SAMPLE) == 10


def test_importing_and_counting_load_neither_tables_nor_network() -> None:
    script = (
        "import sys; from callcost.helpers.counting import token_counter;"
        "early = set(sys.modules);"
        "assert not early & {'tiktoken', 'tokenizers', 'asyncio', 'polars', 'pyarrow', 'httpx', 'platformdirs'};"
        "import socket; socket.socket.connect = None; socket.getaddrinfo = None;"
        "assert token_counter(model='gpt-4o', text='hello world') == 2;"
        "assert not set(sys.modules) & {'polars', 'pyarrow', 'httpx', 'asyncio'}"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_piece_whose_type_is_no_text_is_no_image() -> None:
    odd = [{"role": "user", "content": [{"type": ["image_url"], "text": "a"}]}]

    assert token_counter(model="gpt-4o", messages=odd, use_default_image_token_count=True) == token_counter(
        model="gpt-4o", messages=odd
    )
