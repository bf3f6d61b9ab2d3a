"""What a model is called: the ladder from a log's name to a cost map's."""

from __future__ import annotations

import pytest

from callcost.models import PROVIDERS, RUNGS, accepts, makers_name, names_itself, names_of, nearest, provider_of
from callcost.prices.book.archive import microseconds
from callcost.prices.book.book import Book, open_book
from callcost.prices.book.catalog import load_catalog
from callcost.settings import PriceOptions

TODAY = microseconds("2026-11-20")


@pytest.fixture(scope="module")
def book() -> Book:
    return open_book(PriceOptions())


@pytest.fixture(scope="module")
def pinned() -> Book:
    return open_book(PriceOptions(prices="litellm-1.106.4"))


@pytest.mark.parametrize(
    ("model", "provider", "key", "rung"),
    [
        ("gpt-4o", None, "gpt-4o", "exact"),
        ("gpt-4o", "openai", "gpt-4o", "exact"),
        ("gpt-4o", "azure_openai", "azure/gpt-4o", "provider_added"),
        ("openai/gpt-4o", None, "gpt-4o", "provider_removed"),
        ("azure/azure/eu/gpt-4o", "azure", "azure/eu/gpt-4o", "repeated_prefix"),
        ("perplexity/perplexity/sonar", "perplexity", "perplexity/perplexity/sonar", "exact"),
        ("perplexity/sonar", None, "perplexity/sonar", "exact"),
        ("GPT-4O", "openai", "gpt-4o", "case"),
        ("gpt-4.1-2031-05-17", "azure", "azure/gpt-4.1", "date"),
        ("ft:gpt-4o-mini-2024-07-18:my-org:suffix:abc123", "openai", "ft:gpt-4o-mini-2024-07-18", "fine_tune"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "aws.bedrock", "anthropic.claude-3-haiku-20240307-v1:0", "exact"),
        ("eu.anthropic.claude-3-haiku-20240307-v1:0", "bedrock", "eu.anthropic.claude-3-haiku-20240307-v1:0", "exact"),
        ("in.anthropic.claude-3-haiku-20240307-v1:0", "bedrock", None, None),
        ("converse/us.amazon.nova-lite-v1:0", "bedrock", "us.amazon.nova-lite-v1:0", "route"),
        (
            "bedrock/arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0", None,
            "us.amazon.nova-lite-v1:0", "arn",
        ),
        ("bedrock/us-west-2/us.amazon.nova-lite-v1:0", None, "us.amazon.nova-lite-v1:0", "region"),
        ("publishers/google/models/gemini-2.5-pro", "vertex_ai", "gemini-2.5-pro", "publisher"),
        ("models/gemini-2.5-pro", "google", "gemini/gemini-2.5-pro", "publisher"),
        ("gpt-35-turbo", "azure", "azure/gpt-35-turbo", "provider_added"),
        ("grok-4", None, "xai/grok-4", "maker"),
        ("gpt-5-mini", "anthropic", None, None),
        ("gpt-9", None, None, None),
        ("gpt-4o-latest", "openai", None, None),
        ("", None, None, None),
    ],
)  # fmt: skip
def test_a_name_resolves_by_the_ladder(
    book: Book, model: str, provider: str | None, key: str | None, rung: str | None
) -> None:
    found = book.resolve(model, provider, TODAY)

    assert (found.key, found.rung) == (key, rung)


UNPLACED = ("deepseek-reasoner", "gemini-pro-latest", "inferenceapis/kimi-k2.7-code", "jamba-large-1.7")


@pytest.mark.parametrize("model", UNPLACED)
def test_a_pinned_map_is_read_as_litellm_reads_it(book: Book, pinned: Book, model: str) -> None:
    """LiteLLM names no provider for these and raises; with our own rules their exact name is enough."""
    assert pinned.resolve(model).key is None
    assert book.resolve(model, None, TODAY).key == model


def test_every_name_ever_listed_resolves_to_itself(book: Book) -> None:
    catalog = load_catalog()

    lost = [
        (model, found.key)
        for model in catalog.models
        for version, entry in catalog.history(model)[:1]
        if entry and (found := book.resolve(model, None, version.effective_from)).key != model
    ]

    assert lost == []


def test_the_model_that_was_asked_for_is_tried_last(book: Book) -> None:
    found = book.resolve("our-deployment", "azure", TODAY, requested="azure/gpt-4o")

    assert (found.key, found.rung) == ("azure/gpt-4o", "requested")


def test_near_names_are_suggested_never_priced(book: Book) -> None:
    assert book.resolve("claude-opus-4-55", None, TODAY).key is None
    assert "claude-opus-4-5" in book.suggest("claude-opus-4-55")
    assert nearest("gtp-4o", ["o3", "gpt-4", "gpt-4o"]) == ["gpt-4o", "gpt-4"]
    assert nearest("zzz", ["gpt-4o"]) == []


@pytest.mark.parametrize(
    ("provider", "listed", "pinned", "fits"),
    [
        ("vertex_ai", "vertex_ai-anthropic_models", True, True),
        ("bedrock", "bedrock_converse", True, True),
        ("azure_ai", "openai", True, True),
        ("azure", "openai", True, False),
        ("azure", "azure_text", True, False),
        ("azure", "azure_text", False, True),
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
    assert provider_of("", "mistral/mistral-large") == "mistral"
    assert provider_of(None, "moonshotai/Kimi-K3") is None  # an organisation, not a provider
    assert "openai" in PROVIDERS


def test_a_maker_is_named_only_by_its_own_models() -> None:
    assert makers_name("deepseek-chat")
    assert makers_name("my-grok-4") is None


def test_the_ladder_never_loops_or_loses_the_name() -> None:
    for model in ("a", "a/a/a", "ft:::::", "-2031-05-17", "bedrock/bedrock/converse/", "arn:aws:bedrock::1:x/y/z"):
        for provider in (None, "bedrock", "azure", "vertex_ai", "fireworks_ai", "a"):
            names = names_of(model, provider)
            assert model in [name.model for name in names]
            assert len({name.model for name in names}) == len(names)
    assert names_itself("gpt-4o", "openai")
    assert all(rung.name.isidentifier() for rung in RUNGS)
