"""The ladder from a log's name to a cost map's, rung by rung."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.models import PROVIDERS
from callcost.prices.book.archive import microseconds
from callcost.prices.book.book import Book, open_book
from callcost.prices.book.catalog import load_catalog
from callcost.prices.book.rungs import CLAIMS, RUNGS, Claim, Rung, names_of
from callcost.prices.rates import Terms
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
        ("gpt-oss-20b", "openrouter", None, None),  # many serve it, each at its own price
        ("gpt-4o-latest", "openai", None, None),
        ("", None, None, None),
    ],
)  # fmt: skip
def test_a_name_resolves_by_the_ladder(
    book: Book, model: str, provider: str | None, key: str | None, rung: str | None
) -> None:
    found = book.resolve(model, provider, TODAY)

    assert (found.key, found.rung) == (key, rung)



SPRING = microseconds("2026-05-20")


class Spelling(NamedTuple):
    """A name as in the wild, and what it means in spring 2026.

    Attributes:
        model: the name.
        provider: as stated.
        key: the map's key, "" for what is free by rule; None: nothing prices it.
        rung: what finds it.
        named: the provider that the name says where the log states another.
    """

    model: str
    provider: str | None
    key: str | None
    rung: str | None = None
    named: str | None = None


SONNET = "claude-sonnet-4-5-20250929"
PROFILE = f"us.anthropic.{SONNET}-v1:0"
SPELLINGS = [
    # blanks, providers before a colon, what a client adds
    Spelling(" gpt-4o ", None, "gpt-4o", "blank"),
    Spelling("openai:gpt-4o", None, "gpt-4o", "provider_removed"),
    Spelling("openai:gpt-4o", "openai", "gpt-4o", "provider_removed"),
    Spelling(f"anthropic:{SONNET}", None, SONNET, "provider_removed"),
    Spelling("claude-opus-4-6[1m]", "anthropic", "claude-opus-4-6", "context_suffix"),
    Spelling("anthropic/claude-sonnet-4.6", "openai", "claude-sonnet-4-6", "provider_removed", "anthropic"),
    # Bedrock
    Spelling(f"ca.anthropic.{SONNET}-v1:0", "bedrock", PROFILE, "geography"),
    Spelling("in.anthropic.claude-3-haiku-20240307-v1:0", "bedrock", "us.anthropic.claude-3-haiku-20240307-v1:0",
             "geography"),
    Spelling("anthropic.claude-sonnet-4-20250514-v1", "bedrock", "anthropic.claude-sonnet-4-20250514-v1:0", "revision"),
    Spelling(PROFILE, None, PROFILE, "exact"),
    Spelling(PROFILE, "anthropic", PROFILE, "bedrock_name", "bedrock"),
    Spelling(f"arn:aws:bedrock:us-east-1:1:inference-profile/{PROFILE}", None, PROFILE, "arn"),
    Spelling(f"arn:aws:bedrock:us-east-1:1:inference-profile/{PROFILE}", "openai", PROFILE, "arn", "bedrock"),
    Spelling("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", "bedrock", None),
    # Google
    Spelling("models/gemini-2.5-flash", None, "gemini-2.5-flash", "publisher"),
    Spelling("google/gemini-2.5-flash", None, "gemini/gemini-2.5-flash", "publisher"),
    Spelling("google/gemini-2.5-pro", "vertex_ai", "gemini-2.5-pro", "publisher"),
    Spelling("projects/p/locations/global/publishers/google/models/gemini-2.5-flash", None, "gemini-2.5-flash",
             "publisher"),
    Spelling("claude-sonnet-4-5@20250929", None, "vertex_ai/claude-sonnet-4-5@20250929", "vertex_version"),
    Spelling("mistral-large-2411@001", "vertex_ai", "vertex_ai/mistral-large-2411", "vertex_version"),
    Spelling("llama-4-maverick-17b-128e-instruct-maas", "vertex_ai",
             "vertex_ai/meta/llama-4-maverick-17b-128e-instruct-maas", "publisher"),
    # OpenAI and Azure
    Spelling("ft:gpt-4o-mini-2024-07-18:acme:v2:Bx1:ckpt-step-90", None, "ft:gpt-4o-mini-2024-07-18", "fine_tune"),
    Spelling("babbage:2023-07-21-v2", "openai", "babbage-002", "snapshot"),
    Spelling("gpt-3.5-turbo-instruct:20230824-v2", None, "gpt-3.5-turbo-instruct", "snapshot"),
    Spelling("openai/responses/gpt-4o", None, "gpt-4o", "route"),
    Spelling("gpt-4o (2024-08-06)", "azure", "azure/gpt-4o-2024-08-06", "snapshot"),
    Spelling("claude-opus-4-5-20251101", "azure", "azure_ai/claude-opus-4-5", "date"),
    # Anthropic
    Spelling("claude-sonnet-4.6", None, "claude-sonnet-4-6", "dots"),
    Spelling("Claude-Sonnet-4.6", None, "claude-sonnet-4-6", "dots"),
    Spelling("claude-3.5-haiku", "anthropic", "claude-3-5-haiku-20241022", "alias"),
    Spelling("claude-sonnet-4-0", "anthropic", "claude-sonnet-4-20250514", "alias"),
    Spelling(f"{SONNET}-thinking", "anthropic", SONNET, "thinking"),
    # OpenRouter
    Spelling("anthropic/claude-4.5-sonnet-20250929", "openrouter", "openrouter/anthropic/claude-sonnet-4.5", "date"),
    Spelling("anthropic/claude-3.5-haiku", "openrouter", "claude-3-5-haiku-20241022", "passed_on"),
    Spelling("x-ai/grok-3-mini:nitro", "openrouter", "xai/grok-3-mini", "passed_on"),
    Spelling("x-ai/grok-4-07-09", "openrouter", "xai/grok-4-0709", "passed_on"),
    Spelling("x-ai/grok-4-fast", "openrouter", "xai/grok-4-fast-reasoning", "passed_on"),
    Spelling("text-embedding-3-small", "openrouter", "text-embedding-3-small", "passed_on"),
    Spelling("claude-sonnet-4.5:nitro", "openrouter", "claude-sonnet-4-5", "passed_on"),
    Spelling("openrouter/anthropic/claude-3.7-sonnet:thinking", None, "openrouter/anthropic/claude-3.7-sonnet",
             "variant"),
    Spelling("anthropic/claude-sonnet-4.5:beta", None, "openrouter/anthropic/claude-sonnet-4.5", "variant"),
    Spelling("x-ai/grok-4", None, "xai/grok-4", "publisher"),
    Spelling("acme/unheard-of:free", "openrouter", "", "variant"),
    Spelling("acme/unheard-of:free", None, "", "variant"),
    Spelling("openai/gpt-4o:extended", "openrouter", None),  # dearer than its slug
    Spelling("openrouter/auto", None, None),  # a router, whatever a map says of it
    # the user's own machine
    Spelling("llama3.2:3b", "ollama", "", "local"),
    Spelling("ollama/qwen3:8b", None, "", "local"),
    Spelling("/models/Qwen3-1.7B-Q4_K_M.gguf", None, "", "local"),
    Spelling("anything", "llama.cpp", "", "local"),
    Spelling("gpt-oss:120b-cloud", "ollama", None),
    Spelling("hosted_vllm/my-model", None, None),
]  # fmt: skip


@pytest.mark.parametrize("asked", SPELLINGS, ids=[f"{each.provider}-{each.model}" for each in SPELLINGS])
def test_each_spelling_means_one_model(book: Book, asked: Spelling) -> None:
    found = book.resolve(asked.model, asked.provider, SPRING)

    free = found.tariff is not None and found.version == "rule"
    assert ("" if free else found.key, found.rung, found.named) == (asked.key, asked.rung, asked.named)


@pytest.mark.parametrize(
    ("model", "provider", "doubtful"),
    [
        ("openai/gpt-5:online", "openrouter", True),  # its search is charged too
        ("openai/gpt-5", "openrouter", False),
        ("qwen/qwen3-vl-plus", "openrouter", True),  # OpenRouter lists none: Alibaba's own rate, and others serve it
        ("eu.openai.gpt-5.5", "bedrock", True),
    ],
)
def test_a_rate_that_may_not_be_the_calls_own_is_said_to_be_doubtful(
    book: Book, model: str, provider: str, doubtful: bool
) -> None:
    card = book.rates(book.resolve(model, provider, TODAY), Terms())

    line = card.line("text_input") if card else None
    assert line is not None
    assert (line.listed.weak, bool(line.listed.note)) == (doubtful, doubtful)


def test_a_provider_that_no_map_prices_the_model_for_is_named_beside_the_one_that_has_it(book: Book) -> None:
    found = book.resolve("gpt-5-mini", "anthropic", TODAY)

    assert (found.key, found.reason, found.named) == (None, "unknown_model", "openai")


def test_a_name_says_where_its_model_is_served(book: Book) -> None:
    place = "projects/p/locations/europe-west1/publishers/anthropic/models/claude-sonnet-4-6"

    regional, plain = (book.resolve(name, "vertex_ai", TODAY) for name in (place, "claude-sonnet-4-6"))

    assert (regional.key, regional.region, plain.region) == (plain.key, "europe-west1", None)
    rates = [card.line("text_input") for each in (regional, plain) if (card := book.rates(each, Terms()))]
    assert [line.factors and line.factors[0][0] for line in rates if line] == [
        "regional_endpoint_uplift_multiplier", ()
    ]  # fmt: skip


@pytest.mark.parametrize(("region", "key", "rung"), [
    ("us-gov-west-1", "bedrock/us-gov-west-1/amazon.titan-text-lite-v1", "region"),
    ("eu-central-1", "amazon.titan-text-lite-v1", "exact"),
    (None, "amazon.titan-text-lite-v1", "exact"),
])  # fmt: skip
def test_a_region_that_has_a_price_of_its_own_is_priced_by_it(
    pinned: Book, region: str | None, key: str, rung: str
) -> None:
    found = pinned.resolve("amazon.titan-text-lite-v1", "bedrock", TODAY, region=region)

    assert (found.key, found.rung) == (key, rung)


NO_PRICE = re.compile(r"^ollama/.*-cloud$|^openrouter/openrouter/auto$")  # 0 in the map, and no price by their names
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

    assert {model for model, _ in lost} == {model for model in catalog.models if NO_PRICE.search(model)}
    assert {key for _, key in lost} == {None}


def test_the_model_that_was_asked_for_is_tried_last(book: Book) -> None:
    found = book.resolve("our-deployment", "azure", TODAY, requested="azure/gpt-4o")

    assert (found.key, found.rung) == ("azure/gpt-4o", "requested")


def test_near_names_are_suggested_never_priced(book: Book) -> None:
    assert book.resolve("claude-opus-4-55", None, TODAY).key is None
    assert "claude-opus-4-5" in book.suggest("claude-opus-4-55")
    assert "gpt-4o" in book.suggest("openai/gpt-4o:extended")
    near = [*book.suggest("openrouter/auto"), *book.suggest("gpt-oss:120b-cloud")]
    assert not any(NO_PRICE.search(name) for name in near)


PARTS = ("gpt-4o", "claude-3.5-sonnet", "anthropic.", "us.", "openai/", "openai:", "x-ai/", "@20250929", ":free",
         "-", "bedrock/", "arn:aws:bedrock:us-east-1:1:x/", "-2031-05-17", "ft:", ":a:b:c", "[1m]", " ",
         ".gguf")  # fmt: skip


@given(
    st.lists(st.sampled_from(PARTS), max_size=5).map("".join),
    st.sampled_from([None, "acme", "bedrock", "azure", "vertex_ai", "fireworks_ai", "openrouter", "openai", "xai"]),
)
def test_the_ladder_ends_keeps_the_name_and_says_none_twice(model: str, provider: str | None) -> None:
    names = names_of(model, provider)

    assert model in [name.model for name in names]
    assert len({(name.provider, name.model, name.free) for name in names}) == len(names)
    assert all(name.rung.isidentifier() for name in names)


@pytest.mark.parametrize("rule", [*RUNGS, *CLAIMS], ids=lambda rule: f"{rule.name}-{rule.pattern.pattern}")
def test_every_rule_has_a_source_and_names_providers(rule: Rung | Claim) -> None:
    held = (rule.only or frozenset()) | (rule.never if isinstance(rule, Rung) else {rule.provider})

    assert "https://" in rule.source
    assert held - {""} <= PROVIDERS
