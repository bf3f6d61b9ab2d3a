"""Keyed hashes of what a request begins with: equal prompts have equal hashes, and only who has the key can make them.

They say that prompts repeat, and which, where no text may be kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from callcost.settings import FingerprintKey
from callcost.tokens.requests.bodies import read_prompt
from callcost.tokens.requests.types import Message, Prompt

_RESULTS = frozenset({"tool", "function"})  # roles of what tools put out


def fingerprints(endpoint: str | None, request: Any, key: FingerprintKey) -> tuple[str | None, str | None]:
    """Return the hashes of a request's system prompt and tools, and of its first user turn; None: it has no such.

    Args:
        endpoint: see read_prompt.
        request: the provider's own body.
        key: what the hashes are keyed with.
    """
    prompt = read_prompt(endpoint, request)
    system = [_content_of(message) for message in prompt.messages if message.speaker == "system"]
    tools = [(tool.name, tool.description, tool.parameters, tool.kind) for tool in prompt.tools]
    return _hash([system, tools] if system or tools else None, key), _hash(_first_turn(prompt), key)


def _first_turn(prompt: Prompt) -> Any:
    turns = (each for each in prompt.messages if each.speaker == "user" and each.role not in _RESULTS)
    first = next(turns, None)
    return _content_of(first) if first is not None else prompt.texts or None


def _content_of(message: Message) -> Sequence[Any]:
    """Return what a message says, whatever its provider calls the parts of it."""
    return [
        [block.kind, block.text, block.name, block.media and msgspec.structs.astuple(block.media)]
        for block in message.blocks
    ]


def _hash(content: Any, key: FingerprintKey) -> str | None:
    return None if content is None else key.digest(json.dumps(content, sort_keys=True, default=str).encode())
