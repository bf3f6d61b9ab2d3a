"""encode and decode with the vocabulary that counts the model, or with a tokenizer of the caller's own."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import tiktoken

from callcost.errors import TokenizerError
from callcost.helpers import hub
from callcost.helpers.counting import token_counter
from callcost.helpers.text import KIND, create_pretrained_tokenizer, create_tokenizer, decode, encode
from callcost.tokens.engines.encoders import repair
from callcost.tokens.engines.vocabularies import find_vocabulary, read_file

SAMPLE = "Hellö World, this is my input string!"
MODELS = [
    "gpt-3.5-turbo",
    "gpt-4o",
    "azure/gpt-4.1",
    "claude-2.1",
    "anthropic/claude-3-5-sonnet-20241022",
    "mistral",
    "",
]


@pytest.fixture(scope="module")
def custom() -> dict[str, Any]:
    """A tokenizer.json of the caller's own: Claude 2's."""
    return create_tokenizer(read_file(find_vocabulary("claude2")).decode())


@pytest.mark.parametrize("model", MODELS)
def test_what_is_encoded_decodes_to_itself(model: str) -> None:
    assert decode(model=model, tokens=encode(model=model, text=SAMPLE)) == SAMPLE


@pytest.mark.parametrize("model", ["gpt-3.5-turbo", "gpt-4o", "azure/gpt-4.1", "claude-2.1", "text-davinci-003"])
def test_a_text_counts_as_many_tokens_as_it_encodes_to(model: str) -> None:
    assert token_counter(model=model, text=SAMPLE) == len(encode(model=model, text=SAMPLE))


def test_each_model_is_encoded_with_its_own_vocabulary() -> None:
    """LiteLLM encodes gpt-4o with gpt-4's and gives 9 ids for a text it counts as 7."""
    assert encode(model="gpt-4", text="hello world") == [15339, 1917]
    assert encode(model="gpt-4o", text="hello world") == [24912, 2375]
    assert encode(model="openai/gpt-4o-mini", text="hello world") == [24912, 2375]


def test_positional_arguments_are_in_litellms_order(custom: dict[str, Any]) -> None:
    assert encode("gpt-4", SAMPLE, custom) == encode(text=SAMPLE, custom_tokenizer=custom)
    assert decode("gpt-4", [15339], None) == "hello"


def test_a_custom_tokenizer_takes_the_models_place(custom: dict[str, Any]) -> None:
    assert custom["type"] == KIND
    assert encode(model="gpt-4", text=SAMPLE, custom_tokenizer=custom) == encode(model="claude-2", text=SAMPLE)
    assert decode(model="gpt-4", tokens=encode(model="claude-2", text=SAMPLE), custom_tokenizer=custom) == SAMPLE


def test_special_tokens_are_text_in_a_custom_tokenizer_too(custom: dict[str, Any]) -> None:
    text = "<EOT> of <META>"

    assert decode(tokens=encode(text=text, custom_tokenizer=custom), custom_tokenizer=custom) == text


def test_special_tokens_are_left_out_of_a_decoded_text_unless_asked_for(custom: dict[str, Any]) -> None:
    ids = [0, *encode(text="hi", custom_tokenizer=custom)]

    assert decode(tokens=ids, custom_tokenizer=custom) == "hi"
    assert decode(tokens=ids, custom_tokenizer=custom, skip_special_tokens=False) == "<EOT>hi"


def test_lone_surrogates_pass_through_a_custom_tokenizer(custom: dict[str, Any]) -> None:
    broken = "a\ud800b"

    assert encode(text=broken, custom_tokenizer=custom) == encode(text=repair(broken), custom_tokenizer=custom)


def test_a_tiktoken_encoding_serves_as_a_custom_tokenizer() -> None:
    letters = {bytes([value]): value for value in range(256)}
    encoding = tiktoken.Encoding("bytes", pat_str="(?s:.)", mergeable_ranks=letters, special_tokens={"<|end|>": 300})
    own = {"type": "openai_tokenizer", "tokenizer": encoding}

    assert encode(text="ab<|end|>", custom_tokenizer=own) == list(b"ab<|end|>")
    assert decode(tokens=[97, 300], custom_tokenizer=own) == "a<|end|>"
    assert token_counter(text="abc", custom_tokenizer=own) == 3


def test_anything_with_encode_and_decode_serves_as_a_custom_tokenizer() -> None:
    class Words:
        def encode(self, text: str) -> list[int]:
            return [len(word) for word in text.split()]

        def decode(self, ids: list[int]) -> str:
            return " ".join("x" * number for number in ids)

    own = {"type": KIND, "tokenizer": Words()}

    assert token_counter(text="one three", custom_tokenizer=own) == 2
    assert decode(tokens=[3, 5], custom_tokenizer=own) == "xxx xxxxx"


@pytest.mark.parametrize("text", ["", "{", "{}", json.dumps({"model": {"type": "none"}})])
def test_what_is_no_tokenizer_json_is_a_named_error(text: str) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
        create_tokenizer(text)


def test_what_is_no_custom_tokenizer_is_a_named_error() -> None:
    with pytest.raises(TokenizerError, match="create_tokenizer"):
        encode(text="x", custom_tokenizer={"type": KIND})


def test_a_hub_that_cannot_be_reached_is_a_named_error_at_once_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(hub, "ENDPOINT", "https://127.0.0.1:1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    started = time.monotonic()

    with pytest.raises(TokenizerError, match=r"^[^\n]*someone/some-tokenizer[^\n]*Hugging Face hub[^\n]*$"):
        create_pretrained_tokenizer("someone/some-tokenizer")

    assert time.monotonic() - started < 3
    assert capfd.readouterr() == ("", "")


def test_a_name_that_nobody_looks_up_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def look_up(*_: object) -> socket.socket:
        answered.wait(5)
        raise OSError

    monkeypatch.setattr(hub, "SECONDS", 0.05)
    monkeypatch.setattr(socket, "create_connection", look_up)
    try:
        assert not hub.hub_answers()
    finally:
        answered.set()


def test_what_was_fetched_before_is_used_where_the_hub_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    snapshot = tmp_path / "models--someone--some-tokenizer" / "snapshots" / "0" / "tokenizer.json"
    snapshot.parent.mkdir(parents=True)
    snapshot.write_bytes(read_file(find_vocabulary("claude2")))
    named = tmp_path / "models--someone--some-tokenizer" / "refs" / "main"
    named.parent.mkdir()
    named.write_text("0")
    monkeypatch.setattr(hub, "ENDPOINT", "https://127.0.0.1:1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    made = create_pretrained_tokenizer("someone/some-tokenizer")

    assert decode(tokens=encode(text=SAMPLE, custom_tokenizer=made), custom_tokenizer=made) == SAMPLE


@pytest.mark.parametrize(
    ("proxies", "asked"),
    [
        ({}, ("hub.example", 8443)),
        ({"https": "http://proxy.example:3128"}, ("proxy.example", 3128)),
        ({"all": "proxy.example"}, ("proxy.example", 80)),
    ],
)
def test_behind_a_proxy_the_proxy_is_asked(
    monkeypatch: pytest.MonkeyPatch, proxies: dict[str, str], asked: tuple[str, int]
) -> None:
    seen = []

    def connect(address: tuple[str, int], _: float) -> socket.socket:
        seen.append(address)
        return socket.socket()

    monkeypatch.setattr(hub, "ENDPOINT", "https://hub.example:8443")
    monkeypatch.setattr("urllib.request.getproxies", lambda: proxies)
    monkeypatch.setattr(socket, "create_connection", connect)

    assert hub.hub_answers()
    assert seen == [asked]


@pytest.mark.parametrize("ids", [[10**7], [2**40]])
def test_ids_of_no_vocabulary_are_a_named_error(ids: list[int]) -> None:
    with pytest.raises(TokenizerError, match="not in vocabulary"):
        decode(model="gpt-4", tokens=ids)
