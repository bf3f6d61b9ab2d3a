"""Who serves models, and whose entries of a cost map price whose calls."""

from __future__ import annotations

import pytest

from callcost.models import PROVIDER_ALIASES, PROVIDERS, accepts, names_itself, nearest, provider_of, split_provider


@pytest.mark.parametrize(
    ("provider", "listed", "pinned", "fits"),
    [
        ("vertex_ai", "vertex_ai-anthropic_models", True, True),
        ("bedrock", "bedrock_converse", True, True),
        ("azure_ai", "openai", True, True),
        ("azure", "openai", True, False),
        ("azure", "azure_text", True, False),
        ("azure", "azure_text", False, True),
        ("azure", "azure_ai", False, True),
        ("azure", "azure_ai", True, False),
        ("litellm_proxy", "mistral", True, True),
        ("acme", "openai", True, False),
        ("acme", "openai", False, True),
        (None, "openai", True, True),
        ("openai", None, True, True),
    ],
)
def test_an_entry_prices_its_own_providers_calls(
    provider: str | None, listed: str | None, pinned: bool, fits: bool
) -> None:
    assert accepts(provider, listed, pinned=pinned) is fits


def test_providers_are_known_by_other_names() -> None:
    assert provider_of("Azure.AI.OpenAI", "x") == "azure"
    assert provider_of("alibaba", "qwen-max") == "dashscope"
    assert provider_of("", "mistral/mistral-large") == "mistral"
    assert provider_of(None, "moonshotai/Kimi-K3") is None  # an organisation, not a provider
    assert provider_of(None, "mistral:7b") is None  # a tag of Ollama's
    assert provider_of(None, "google-gla:gemini-2.5-pro") == "gemini"
    assert "openai" in PROVIDERS


def test_every_other_name_stands_for_a_provider() -> None:
    assert set(PROVIDER_ALIASES.values()) <= PROVIDERS
    assert not set(PROVIDER_ALIASES) & PROVIDERS


def test_a_name_is_cut_at_its_provider_and_nowhere_else() -> None:
    assert split_provider("anthropic:claude-opus-4-5") == ("anthropic", "claude-opus-4-5")
    assert split_provider("ft:gpt-4o:org::id") == ("", "ft:gpt-4o:org::id")
    assert split_provider("openai/") == ("", "openai/")


def test_a_bare_name_is_enough_for_some_providers() -> None:
    assert names_itself("gpt-4o", "openai")
    assert not names_itself("deepseek-chat", "deepseek")


def test_the_nearest_names_come_first() -> None:
    assert nearest("gtp-4o", ["o3", "gpt-4", "gpt-4o"]) == ["gpt-4o", "gpt-4"]
    assert nearest("zzz", ["gpt-4o"]) == []
