"""encode and decode with the vocabulary that counts the model, or with a tokenizer of the caller's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tiktoken

from callcost.errors import TokenizerError
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


def test_a_hub_that_cannot_be_reached_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import tokenizers

    def refuse(*_: object, **__: object) -> None:
        message = "no network"
        raise OSError(message)

    class Unreachable:
        from_pretrained = staticmethod(refuse)

    monkeypatch.setattr(tokenizers, "Tokenizer", Unreachable)

    with pytest.raises(TokenizerError, match=r"someone/some-tokenizer.*Hugging Face hub"):
        create_pretrained_tokenizer("someone/some-tokenizer")


@pytest.mark.parametrize("ids", [[10**7], [2**40]])
def test_ids_of_no_vocabulary_are_a_named_error(ids: list[int]) -> None:
    with pytest.raises(TokenizerError, match="not in vocabulary"):
        decode(model="gpt-4", tokens=ids)
