"""Keyed hashes of prompts: equal beginnings are equal whoever wrote them down, and nobody without the key makes one."""

from __future__ import annotations

from typing import Any

import pytest

from callcost.settings import FingerprintKey
from callcost.tokens.requests.fingerprints import fingerprints

KEY = FingerprintKey("open sesame")
TOOL = {"name": "find", "description": "Look it up.", "parameters": {"type": "object", "properties": {}}}
CHAT: dict[str, Any] = {
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    "tools": [{"type": "function", "function": TOOL}],
}
SAME: dict[str, Any] = {
    "a later turn": {**CHAT, "messages": [*CHAT["messages"], {"role": "assistant", "content": "Hi"}]},
    "Anthropic": {
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "tools": [{"name": "find", "description": "Look it up.", "input_schema": TOOL["parameters"]}],
    },
    "Responses": {"instructions": "Be brief.", "input": "Hello", "tools": [{"type": "function", **TOOL}]},
    "Gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "tools": [{"functionDeclarations": [TOOL]}],
    },
}


@pytest.mark.parametrize("request_body", SAME.values(), ids=SAME)
def test_who_wrote_a_prompt_down_does_not_matter(request_body: dict[str, Any]) -> None:
    assert fingerprints(None, request_body, KEY) == fingerprints(None, CHAT, KEY)


def test_another_beginning_or_key_has_another_hash() -> None:
    known = fingerprints(None, CHAT, KEY)
    other = fingerprints(None, CHAT | {"tools": []}, KEY)
    assert (other[0] != known[0], other[1] == known[1]) == (True, True)
    assert set(fingerprints(None, CHAT, FingerprintKey("another"))).isdisjoint(known)
    assert all(len(each or "") == 32 for each in known)


def test_what_is_not_there_has_none() -> None:
    assert fingerprints(None, None, KEY) == (None, None)
    assert fingerprints(None, {"messages": [{"role": "user", "content": "Hello"}]}, KEY)[0] is None
    assert fingerprints("embeddings", {"input": ["a", "b"]}, KEY)[0] is None
    assert fingerprints("embeddings", {"input": ["a", "b"]}, KEY)[1] is not None


def test_a_key_is_written_as_its_id() -> None:
    assert repr(KEY) == str(KEY) == KEY.id
    assert {KEY, FingerprintKey("open sesame")} == {KEY}
    assert {KEY, FingerprintKey("open sesam")} != {KEY}
