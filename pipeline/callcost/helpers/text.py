"""Text to token ids and back, with LiteLLM's names: encode, decode, and tokenizers of the caller's own.

What differs from LiteLLM on purpose: ``encode`` uses the vocabulary that counts the model's tokens (LiteLLM encodes
gpt-4o with gpt-4's), special tokens written in a text are text, and nothing is fetched from a network but by
``create_pretrained_tokenizer``. Which vocabulary a model has stands in tokens/model_families.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from callcost.errors import TokenizerError
from callcost.helpers import parameters
from callcost.tokens.engines.encoders import Encoder, ForeignEncoder, load_encoder, take_as_text
from callcost.tokens.engines.vocabularies import installed
from callcost.tokens.model_families import choose

KIND = "huggingface_tokenizer"


def encode(model: str = "", text: str = "", custom_tokenizer: Mapping[str, Any] | None = None) -> list[int]:
    """Turn a text into token ids.

    Args:
        model: name of the model whose vocabulary encodes; a model without a public one has that of its stand-in.
        text: any text; special tokens in it are text.
        custom_tokenizer: what ``create_tokenizer`` returns; encodes instead.

    Returns:
        The ids.

    Raises:
        TokenizerError: ``custom_tokenizer`` is none.
        ArgumentError: an argument is of the wrong type; names it.

    >>> encode(model="gpt-4", text="hello world")
    [15339, 1917]
    """
    return encoder_of(model, custom_tokenizer).encode(parameters.text("text", text))


def decode(
    model: str = "",
    tokens: Sequence[int] = (),
    custom_tokenizer: Mapping[str, Any] | None = None,
    skip_special_tokens: bool = True,
) -> str:
    """Turn token ids into the text they stand for.

    Args:
        model: name of the model whose vocabulary decodes.
        tokens: token ids.
        custom_tokenizer: what ``create_tokenizer`` returns; decodes instead.
        skip_special_tokens: whether a custom tokenizer leaves special tokens out.

    Returns:
        The text.

    Raises:
        TokenizerError: an id is not in the vocabulary.
        ArgumentError: an argument is of the wrong type; names it.

    >>> decode(model="gpt-4", tokens=[15339, 1917])
    'hello world'
    """
    encoder, ids = encoder_of(model, custom_tokenizer), parameters.items("tokens", tokens)
    return encoder.decode(ids, skip_special_tokens=isinstance(encoder, ForeignEncoder) and bool(skip_special_tokens))


def create_tokenizer(json: str) -> dict[str, Any]:
    """Make a tokenizer of the text of a tokenizer.json, for ``custom_tokenizer``.

    Args:
        json: the file's text.

    Returns:
        ``{"type": "huggingface_tokenizer", "tokenizer": ...}``.

    Raises:
        TokenizerError: the text is no tokenizer.
    """
    import tokenizers  # noqa: PLC0415 - 40 ms that only who needs it pays

    try:
        made = tokenizers.Tokenizer.from_str(json)
    except Exception as error:
        raise TokenizerError("the text is no tokenizer.json that tokenizers can read") from error
    return {"type": KIND, "tokenizer": take_as_text(made)}


def create_pretrained_tokenizer(
    identifier: str, revision: str = "main", auth_token: str | None = None
) -> dict[str, Any]:
    """Make a tokenizer of a repository on the Hugging Face hub, for ``custom_tokenizer``. Reads the network.

    Where the hub does not take a connection within two seconds, what was fetched before is used.

    Args:
        identifier: name of the repository, such as "Xenova/llama-3-tokenizer".
        revision: branch, tag or commit of the repository.
        auth_token: token that opens a private repository.

    Returns:
        ``{"type": "huggingface_tokenizer", "tokenizer": ...}``.

    Raises:
        TokenizerError: the repository cannot be reached, or has no tokenizer.json.
    """
    from callcost.helpers.hub import fetch_tokenizer  # noqa: PLC0415 - as above

    try:
        made = fetch_tokenizer(identifier, revision, auth_token)
    except Exception as error:
        message = f"no tokenizer can be had from {identifier!r} on the Hugging Face hub ({type(error).__name__})"
        hint = "Check the name and the network, or read a tokenizer.json with create_tokenizer"
        raise TokenizerError(message, hint=hint) from error
    return {"type": KIND, "tokenizer": take_as_text(made)}


def encoder_of(model: str, custom_tokenizer: Mapping[str, Any] | None = None) -> Encoder:
    """Return what encodes a model's text, or the custom tokenizer in the same shape.

    Raises:
        TokenizerError: ``custom_tokenizer`` is none.
        ArgumentError: the model is no text.
    """
    if custom_tokenizer is None:
        return load_encoder(choose(parameters.text("model", model), available=installed()).vocabulary)
    tokenizer = custom_tokenizer.get("tokenizer") if isinstance(custom_tokenizer, Mapping) else None
    if isinstance(tokenizer, (str, type)) or not hasattr(tokenizer, "encode"):
        hint = "Make one with create_tokenizer or create_pretrained_tokenizer"
        raise TokenizerError('a custom tokenizer is {"type": ..., "tokenizer": ...}', hint=hint)
    return ForeignEncoder(tokenizer)
