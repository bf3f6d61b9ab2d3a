"""What models take beside text: what a map says of them, and nothing where none does."""

from __future__ import annotations

import json

import zstandard

from callcost.prices.abilities import abilities_of
from tests.prices.abilities import pack


def test_abilities_are_those_of_the_map_and_unknown_where_it_says_none() -> None:
    assert abilities_of({}, "amazon.nova-micro-v1:0") == frozenset({"tools"})
    assert abilities_of({}, "gpt-4o") == frozenset({"tools", "image", "document"})
    assert abilities_of({"supports_max_reasoning_effort": True}, "acme-9") is None
    assert abilities_of({}, None) is None


def test_a_map_of_the_users_own_goes_before_the_bundled_one() -> None:
    assert abilities_of({"supports_vision": True, "supports_function_calling": False}, "gpt-4o") == frozenset({"image"})


def test_a_map_is_packed_as_sets_of_models_that_take_the_same() -> None:
    entries = {
        "b": {"supports_vision": True}, "a": {"supports_vision": True, "supports_pdf_input": False},
        "c": {"supports_audio_input": False}, "d": {"mode": "chat"}, "sample_spec": {"supports_vision": True},
    }  # fmt: skip
    lines = zstandard.ZstdDecompressor().decompress(pack(json.dumps(entries).encode())).decode().splitlines()
    assert list(map(json.loads, lines)) == [
        {"takes": [], "models": ["c"]}, {"takes": ["image"], "models": ["a", "b"]},
    ]  # fmt: skip
