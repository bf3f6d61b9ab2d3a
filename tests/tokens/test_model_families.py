"""Which vocabulary and framing a model's name leads to; every name leads somewhere."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.tokens.framing.gemini import GEMINI_LAYOUTS
from callcost.tokens.framing.openai_layouts import LAYOUTS
from callcost.tokens.framing.turns import TURN_LAYOUTS
from callcost.tokens.model_families import BUNDLED, BY_ENDPOINT, FAMILIES, OTHER, Family, choose
from callcost.tokens.vocabulary_corrections import CORRECTIONS

ROWS = pytest.mark.parametrize("row", [*FAMILIES, OTHER], ids=lambda row: row.name)

MODELS = {
    "gpt-4o-2024-08-06": ("gpt-4", "o200k_base"),
    "openai/gpt-4.1-nano": ("gpt-4", "o200k_base"),
    "ft:gpt-4o-mini-2024-07-18:acme::x1": ("gpt-4", "o200k_base"),
    "chatgpt-4o-latest": ("gpt-4", "o200k_base"),
    "gpt-4o-mini-search-preview-2025-03-11": ("gpt-4-search", "o200k_base"),
    "gpt-4": ("gpt-0613", "cl100k_base"),
    "gpt-4-0613": ("gpt-0613", "cl100k_base"),
    "gpt-4-turbo-2024-04-09": ("gpt-3.5", "cl100k_base"),
    "gpt-4-0125-preview": ("gpt-3.5", "cl100k_base"),
    "gpt-35-turbo": ("gpt-3.5", "cl100k_base"),
    "gpt-3.5-turbo-0301": ("gpt-0301", "cl100k_base"),
    "gpt-5-mini-2025-08-07": ("gpt-5", "o200k_base"),
    "gpt-5.2": ("gpt-5.2", "o200k_base"),
    "gpt-5.5": ("gpt-5", "o200k_base"),
    "gpt-5-chat-latest": ("gpt-5-chat", "o200k_base"),
    "o3-mini": ("o-series", "o200k_base"),
    "azure/o4-mini": ("o-series", "o200k_base"),
    "gpt-oss-120b": ("gpt-oss", "o200k_base"),
    "text-embedding-3-small": ("gpt-3.5", "cl100k_base"),
    "text-embedding-ada-002": ("gpt-3.5", "cl100k_base"),
    "davinci-002": ("gpt-3.5", "cl100k_base"),
    "text-davinci-003": ("gpt-4", "p50k_base"),
    "davinci": ("gpt-4", "r50k_base"),
    "text-curie-001": ("gpt-4", "r50k_base"),
    "anthropic.claude-v2:1": ("claude-2", "claude2"),
    "claude-2.1": ("claude-2", "claude2"),
    "claude-instant-1.2": ("claude-2", "claude2"),
    "anthropic.claude-3-haiku-20240307-v1:0": ("claude-3-haiku", "claude2"),
    "claude-3-5-haiku-20241022": ("claude-3.5-haiku", "claude2"),
    "claude-3-5-sonnet-20240620": ("claude-3.5-june", "claude2"),
    "claude-3-7-sonnet-20250219": ("claude", "claude2"),
    "claude-sonnet-4-20250514": ("claude", "claude2"),
    "claude-sonnet-4-5-20250929": ("claude-4.5", "claude2"),
    "us.anthropic.claude-haiku-4-5-20251001-v1:0": ("claude-4.5", "claude2"),
    "claude-opus-4-7": ("claude-4.7", "claude2"),
    "claude-sonnet-5": ("claude-4.7", "claude2"),
    "models/gemini-1.5-flash": ("gemini-2", "gemma3_ranks"),
    "gemini-2.5-pro": ("gemini-2.5", "gemma3_ranks"),
    "gemini-3-pro-preview": ("gemini-3", "gemma3_ranks"),
    "meta-llama/Llama-3.3-70B-Instruct": ("llama-3.1", "cl100k_base"),
    "meta.llama3-8b-instruct-v1:0": ("llama-3", "cl100k_base"),
    "llama-2-13b-chat": ("llama-2", "cl100k_base"),
    "mistral-large-latest": ("mistral", "tekken"),
    "open-mixtral-8x7b": ("mistral-old", "cl100k_base"),
    "qwen/qwen3-32b": ("qwen-3", "cl100k_base"),
    "deepseek-reasoner": ("deepseek", "cl100k_base"),
    "moonshotai/kimi-k2": ("kimi", "o200k_base"),
    "zai-org/GLM-4.6": ("glm", "cl100k_base"),
    "amazon.nova-lite-v1:0": ("nova", "o200k_base"),
    "command-r-plus": ("cohere", "o200k_base"),
    "grok-4": ("grok-4", "o200k_base"),
    "grok-4-fast-reasoning": ("grok", "o200k_base"),
    "grok-3-mini": ("grok-3", "o200k_base"),
    "llama-guard3:1b": ("llama-guard", "cl100k_base"),
    "somebody's model": ("other", "o200k_base"),
}


@pytest.mark.parametrize("model", MODELS)
def test_a_name_leads_to_its_family(model: str) -> None:
    choice = choose(model)

    assert (choice.framing, choice.vocabulary) == MODELS[model]


@ROWS
def test_every_family_has_its_framing(row: Family) -> None:
    framings = {framing for framing, _ in LAYOUTS} | set(GEMINI_LAYOUTS) | set(TURN_LAYOUTS)

    assert row.framing in framings


@ROWS
def test_every_family_can_be_counted_with_what_is_bundled(row: Family) -> None:
    assert row.vocabulary in BUNDLED or row.stand_in.vocabulary in BUNDLED
    assert row.stand_in.corrections in CORRECTIONS
    assert 500 <= row.stand_in.factor <= 2000
    re.compile(row.pattern)


def test_families_have_names_of_their_own() -> None:
    names = [row.name for row in FAMILIES]

    assert len(names) == len(set(names))
    assert set(BY_ENDPOINT.values()) <= set(names)


def test_an_installed_vocabulary_counts_without_a_factor() -> None:
    choice = choose("qwen3-32b", available=frozenset({"qwen3"}))

    assert (choice.vocabulary, choice.factor, choice.corrections, choice.native) == ("qwen3", 1000, "", True)
    assert not choose("qwen3-32b").native
    assert not choose("qwen3-32b", available=frozenset({"gemma3"})).native


@pytest.mark.parametrize(
    ("endpoint", "framing"), [("anthropic", "claude-4.5"), ("gemini", "gemini-3"), ("chat", "other")]
)
def test_the_endpoint_tells_the_vendor_of_a_name_that_does_not(endpoint: str, framing: str) -> None:
    assert choose("prod-alias-7", endpoint=endpoint).framing == framing
    assert choose("gpt-4o", endpoint=endpoint).framing == "gpt-4"


@given(st.text(), st.text() | st.none(), st.text() | st.none())
def test_any_name_leads_somewhere(model: str, provider: str | None, endpoint: str | None) -> None:
    choice = choose(model, provider, endpoint)

    assert choice.vocabulary in BUNDLED
    assert choice == choose(model.upper(), provider, endpoint) or model.lower() != model.upper().lower()


def test_a_choice_never_changes() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        choose("gpt-4o").factor = 1  # type: ignore[misc]
