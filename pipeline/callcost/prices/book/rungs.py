"""The ladder from a log's name to a cost map's names: one table of spelling rules, each with its source.

A rung says how one spelling becomes another of the same model; a claim says whose model a name can only be, or who
sets the price that a reseller passes on. Which of the names is listed, and what it costs, is left to
``name_ladder.py``. No rung guesses: near names are only suggested (``models.nearest``), never priced.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from callcost.models import LOCAL, PROVIDER_ALIASES, PROVIDERS, provider_of, split_provider

LITELLM = "litellm_semantics: https://github.com/BerriAI/litellm (utils.py, cost_calculator.py)"
_ANTHROPIC = "https://platform.claude.com/docs/en/about-claude/models/overview"
_AWS = "https://docs.aws.amazon.com/bedrock/latest/userguide/"
_AZURE = "https://learn.microsoft.com/azure/ai-foundry/openai/concepts/models"
_GOOGLE_DOCS = "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/"
_OPENAI = "https://platform.openai.com/docs/"
_OPENROUTER = "https://openrouter.ai/docs/guides/routing/model-variants"
_SLUGS = "https://openrouter.ai/api/v1/models (canonical_slug)"
_PASSED_ON = "https://openrouter.ai/docs/faq"  # "we pass through the pricing of the underlying providers"
_XAI = "https://docs.x.ai/docs/models"
_OLLAMA = "https://docs.ollama.com/cloud"

_BEDROCK = frozenset({"bedrock", "bedrock_converse", "bedrock_mantle"})
_VERTEX = frozenset({"vertex_ai", "vertex_ai_beta"})
_GOOGLE = _VERTEX | {"gemini"}
_RESOLD = frozenset({"openrouter"})
_GEOGRAPHIES = r"global|us-gov|[a-z]{2,4}"
_VENDORS = (
    "ai21|amazon|anthropic|cohere|deepseek|google|luma|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai|qwen"
    "|stability|twelvelabs|writer|zai"
)
_BEDROCK_ID = rf"(?:(?:{_GEOGRAPHIES})\.)?(?:{_VENDORS})\.(?=[a-z])"
_ROUTES = r"(?:bedrock|converse|invoke|chat_completions|openai|mantle|nova|nova-2)/"
_DATE = r"20\d\d-?[01]\d-?[0-3]\d"
_VARIANTS = "free|thinking|nitro|exacto|beta|floor|extended|online"
# Stated of a call, these may say whose API was spoken, not who served: SDKs of others are built on it, and proxies.
_SPOKEN = frozenset({"openai", "anthropic", "litellm_proxy"})


class Rung(NamedTuple):
    """One way from a name to another name of the same model.

    Attributes:
        name: written into price_rung when the name it gives is listed.
        pattern: what it holds for.
        becomes: what the match is replaced with.
        source: who says so.
        only: the providers it holds for ("": no provider is known); None: all.
        never: the providers it does not hold for.
        note: why the name's rate may not be all that the call costs; "": it is.
    """

    name: str
    pattern: re.Pattern[str]
    becomes: str
    source: str
    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()
    note: str = ""


class Claim(NamedTuple):
    """A spelling that only one provider has, or a slug for which a reseller charges what its maker does.

    Attributes:
        name: as of a rung.
        pattern: what it holds for.
        becomes: what the match is replaced with.
        provider: who serves the model, or sets its price.
        source: who says so.
        only: the stated providers it holds for; "": none that a cost map knows; None: all but the provider itself.
        note: as of a rung.
    """

    name: str
    pattern: re.Pattern[str]
    becomes: str
    provider: str
    source: str
    only: frozenset[str] | None = None
    note: str = ""


def _rung(name: str, pattern: str, becomes: str, source: str, *only: str, never: str = "", note: str = "") -> Rung:
    holds = frozenset(only) if only else None
    return Rung(name, re.compile(pattern), becomes, source, holds, frozenset(never.split()), note)


# Each rung is tried on every name that the rungs above gave.
RUNGS = (
    _rung("blank", r"^\s*(.*?)\s*$", r"\1", LITELLM),
    _rung("repeated_prefix", r"^([^/]+/)\1+", r"\1", LITELLM),
    _rung("provider_removed", r"^([^/:]+)[/:]", "", LITELLM),  # only where the first segment is the provider
    _rung("context_suffix", r"\[1m\]$", "", "https://code.claude.com/docs/en/model-config"),
    # Bedrock
    _rung("arn", r"^(?:.*/)?arn:aws[^/]*/(?:.*/)?", "", _AWS + "inference-profiles-support.html", *_BEDROCK),
    _rung("route", rf"^(?:{_ROUTES})+", "", LITELLM, *_BEDROCK),
    _rung("context_suffix", r"(?<=:\d):\d+k$", "", _AWS + "models-supported.html", *_BEDROCK),
    _rung("region", r"^(?:us-gov|us|eu|ap|ca|sa|me|af|il|mx|cn)-[a-z]+-\d/", "", LITELLM, *_BEDROCK),
    # a profile of any geography but the global one costs the same of Claude
    _rung("geography", r"^(?!us\.|us-gov\.|global\.)[a-z]{2,4}\.(?=anthropic\.)", "us.",
          "https://aws.amazon.com/bedrock/pricing/", *_BEDROCK),
    _rung("geography", r"^global\.", "", LITELLM, *_BEDROCK),
    _rung("geography", rf"^(?:{_GEOGRAPHIES})\.(?=(?:{_VENDORS})\.)", "", LITELLM, *_BEDROCK,
          note="the map lists no rate of this geography: that of the base model"),
    _rung("bedrock_name", r"^(claude-.+-20\d{6})$", r"anthropic.\1-v1:0", LITELLM, *_BEDROCK),  # as bodies say it
    _rung("revision", r"(-v\d)$", r"\1:0", _AWS + "models-supported.html", *_BEDROCK),
    # Google
    _rung("publisher", r"^(?:.*/)?publishers/[^/]+/models/", "", LITELLM, *_GOOGLE),
    _rung("publisher", r"^models/", "", "https://ai.google.dev/api/models", *_GOOGLE, ""),
    _rung("publisher", r"^google/", "", _GOOGLE_DOCS + "migrate/openai/overview", *_VERTEX),
    _rung("publisher", r"^(?=llama-.*-maas$)", "meta/", _GOOGLE_DOCS + "partner-models/llama", *_VERTEX),
    _rung("vertex_version", r"@(?:\d{3}|\d{8}|default|latest)$", "", LITELLM, *_VERTEX),
    # Azure (its lists of models say "gpt-4o (2024-08-06)"), Fireworks
    _rung("snapshot", r"^(\S+) \((?:version )?(20\d\d-\d\d-\d\d)\)$", r"\1-\2", _AZURE),
    _rung("deployment_alias", r"^gpt-35-", "gpt-3.5-", LITELLM, "azure", "azure_text"),
    _rung("deployment_alias", r"^gpt-41(?=-|$)", "gpt-4.1", LITELLM, "azure"),
    _rung("fireworks_path", r"^(?!accounts/)", "accounts/fireworks/models/", LITELLM, "fireworks_ai"),
    # OpenAI
    _rung("route", r"^(?:responses|chat)/", "", "https://docs.litellm.ai/docs/response_api", "openai", "azure"),
    _rung("fine_tune", r"^(ft:.+?)(?::[^:]*){3}$", r"\1", LITELLM),
    _rung("fine_tune", r"^(ft:.+?)(?::[^:]*){3}:ckpt-step-\d+$", r"\1", _OPENAI + "guides/fine-tuning"),
    _rung("snapshot", r"^(babbage|davinci):20\d\d-\d\d-\d\d-v\d+$", r"\1-002", _OPENAI + "deprecations", "openai", ""),
    _rung("snapshot", rf":{_DATE}-v\d+$", "", _OPENAI + "deprecations", "openai", ""),
    # Mistral, xAI
    _rung("alias", r"^pixtral-12b(?:-latest)?$", "pixtral-12b-2409", "https://docs.mistral.ai/models", "mistral"),
    _rung("dots", r"^grok-4\.1-fast", "grok-4-1-fast", _XAI, "xai"),
    _rung("alias", r"^grok-4(-1)?-fast$", r"grok-4\1-fast-reasoning", _XAI, "xai"),
    # Mistral
    _rung("alias", r"^(mistral-ocr-2505)$", r"\1-completion", "https://docs.mistral.ai/api/endpoint/ocr", "mistral"),
    # OpenRouter
    _rung("variant", r":(?:thinking|nitro|exacto|beta|floor)$", "", _OPENROUTER, *_RESOLD),
    _rung("variant", r":online$", "", _OPENROUTER, *_RESOLD,
          note="the search that :online adds is charged too, and a log does not say what it cost"),
    # Anthropic
    _rung("word_order", r"claude-(\d(?:[.-]\d{1,2})?)-(opus|sonnet|haiku|fable)", r"claude-\2-\1",
          _SLUGS),
    _rung("dots", r"(claude-(?:[a-z]+-)?\d)\.(\d)", r"\1-\2", _ANTHROPIC, never="openrouter"),
    _rung("thinking", r"^((?:.*[./])?claude-.+)-thinking$", r"\1", "https://docs.newapi.pro/en/docs/guide"),
    _rung("alias", r"^claude-(sonnet|opus)-4(?:-0)?$", r"claude-\1-4-20250514", _ANTHROPIC),
    _rung("alias", r"^claude-3-7-sonnet(?:-latest)?$", "claude-3-7-sonnet-20250219", _ANTHROPIC),
    _rung("alias", r"^claude-3-5-(sonnet|haiku)(?:-latest)?$", r"claude-3-5-\1-20241022", _ANTHROPIC),
    _rung("alias", r"^claude-3-(opus|sonnet)(?:-latest)?$", r"claude-3-\1-20240229", _ANTHROPIC),
    _rung("alias", r"^claude-3-haiku$", "claude-3-haiku-20240307", _ANTHROPIC),
    # Dates
    _rung("snapshot_number", r"-\d+$", "", LITELLM, *_GOOGLE, "databricks"),
    _rung("date", r"-(\d\d)-(\d\d)$", r"-\1\2", _SLUGS, *_RESOLD),  # grok-4-07-09 is grok-4-0709
    _rung("date", r"-(\d\d)-(2\d)$", r"-\2\1", _SLUGS, *_RESOLD),  # qwen3-235b-a22b-07-25 is ...-2507
    _rung("date", r"(?<=\d\.\d)-(?:0\d|1[0-2])[0-3]\d$", "", _SLUGS, *_RESOLD),  # kimi-k2.5-0127
    _rung("date", rf"(?<!^)-{_DATE}$", "", LITELLM, never=" ".join((*_BEDROCK, *_GOOGLE, "databricks"))),
)  # fmt: skip


def _claim(name: str, pattern: str, becomes: str, provider: str, source: str, *only: str, note: str = "") -> Claim:
    return Claim(name, re.compile(pattern), becomes, provider, source, frozenset(only) if only else None, note)


_HOSTED = "OpenRouter lists no rate of its own: the maker's, and others serve the model too"
CLAIMS = (
    # whose name it can only be
    _claim("arn", r"^(?=arn:aws[^:]*:bedrock:)", "", "bedrock", _AWS + "inference-profiles-support.html"),
    _claim("bedrock_name", rf"^(?={_BEDROCK_ID})", "", "bedrock", _AWS + "models-supported.html", *_SPOKEN, ""),
    _claim("publisher", r"^(?=(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/)", "", "vertex_ai",
           _GOOGLE_DOCS + "model-reference/inference"),
    _claim("vertex_version", r"^(?=claude-.+@(?:\d{8}|default|latest)$)", "", "vertex_ai",
           _GOOGLE_DOCS + "partner-models/claude", *_SPOKEN, ""),
    _claim("fireworks_path", r"^(?=accounts/fireworks/)", "", "fireworks_ai", LITELLM),
    _claim("cloudflare_path", r"^(?=@cf/)", "", "cloudflare", "https://developers.cloudflare.com/workers-ai/models/"),
    _claim("variant", rf"^(?=[\w.~-]+/[^/]+:(?:{_VARIANTS})$)", "", "openrouter", _OPENROUTER, *_SPOKEN, ""),
    _claim("local", r"^(?=.*\.gguf$)", "", "llamacpp",
           "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md", *_SPOKEN, ""),
    _claim("publisher", r"^google/(?=gemini-)", "", "gemini", "https://openrouter.ai/google", *_SPOKEN, ""),
    _claim("publisher", r"^x-ai/(?=grok-)", "", "xai", "https://openrouter.ai/x-ai", *_SPOKEN, ""),
    # what OpenRouter charges where nobody else serves the model
    _claim("passed_on", r"^openai/(?!gpt-oss)", "", "openai", _PASSED_ON, *_RESOLD),
    _claim("passed_on", r"^anthropic/", "", "anthropic", _PASSED_ON, *_RESOLD),
    _claim("passed_on", r"^google/(?=gemini-)", "", "gemini", _PASSED_ON, *_RESOLD),
    _claim("passed_on", r"^x-ai/", "", "xai", _PASSED_ON, *_RESOLD),
    _claim("passed_on", r"^perplexity/", "", "perplexity", _PASSED_ON, *_RESOLD),
    _claim("passed_on", r"^cohere/", "", "cohere", _PASSED_ON, *_RESOLD),
    _claim("passed_on", r"^mistralai/(?=(?:mistral-large|mistral-medium|codestral|devstral-medium|magistral-medium)\b)",
           "", "mistral", _PASSED_ON, *_RESOLD),
    # its answers leave the publisher out of some names, as of embeddings
    *(_claim("passed_on", rf"^(?={maker}[^/]*$)", "", provider, _PASSED_ON, *_RESOLD) for maker, provider in (
        (r"(?:gpt-\d|o\d\b|chatgpt-|text-embedding-\d)", "openai"), ("claude-", "anthropic"),
        (r"gemini-(?!embedding)", "gemini"), ("grok-", "xai"))),
    *(_claim("makers_rate", rf"^{maker}/", "", provider, _PASSED_ON, *_RESOLD, note=_HOSTED) for maker, provider in (
        ("mistralai", "mistral"), ("deepseek", "deepseek"), ("moonshotai", "moonshot"), ("z-ai", "zai"),
        ("minimax", "minimax"), ("qwen", "dashscope"))),
    # a maker's own API, for a name that says who made the model and nothing else
    *(_claim("maker", rf"^(?={maker})", "", provider, LITELLM, "") for maker, provider in (
        ("grok-", "xai"), ("gemini-", "gemini"), ("deepseek-(?:chat|reasoner|coder|v)", "deepseek"),
        ("(?:open-)?(?:mi[sx]tral|ministral|codestral|magistral|devstral|pixtral)-", "mistral"),
        ("sonar", "perplexity"), ("kimi-|moonshot-", "moonshot"), ("glm-", "zai"), ("MiniMax-", "minimax"))),
)  # fmt: skip


class Name(NamedTuple):
    """One name to look up in a cost map.

    Attributes:
        rung: what gave it.
        model: the name.
        provider: who serves the model of this name; None: nobody knows.
        note: why its rate may not be all that the call costs; "": it is.
        claimed: by which provider a claim says it is served, where the call states another; None: no claim gave it.
        free: it costs nothing, whether a map lists it or not.
    """

    rung: str
    model: str
    provider: str | None = None
    note: str = ""
    claimed: str | None = None
    free: bool = False


# What a cloud runs under the names of the user's own machine (a tag that ends in cloud), and a router that answers in
# the name of the model it chose: neither has a price by its name.
_NO_PRICE = (
    (LOCAL, re.compile(r"[:-]cloud$"), _OLLAMA),
    (_RESOLD, re.compile(r"^(?:openrouter/)*auto(?:-beta)?$"), "https://openrouter.ai/docs/guides/routing/routers"),
)


@functools.lru_cache(maxsize=65536)
def names_of(model: str, provider: str | None, region: str | None = None) -> tuple[Name, ...]:
    """Return the names to look up, in the order of the ladder.

    Args:
        model: as the log has it.
        provider: as ``provider_of`` gives it.
        region: cloud region of the call; only Bedrock's map keys have one.

    >>> [name.model for name in names_of("ft:gpt-4o:my-org::abc", "openai")][1::2]
    ['ft:gpt-4o:my-org::abc', 'ft:gpt-4o']
    """
    if any(provider in whose and pattern.search(model) for whose, pattern, _ in _NO_PRICE):
        return ()
    found: dict[tuple[str | None, str], Name] = {}
    groups: list[tuple[str | None, Name]] = [(provider, Name("exact", model))]
    if model != model.lower():
        groups.append((provider, Name("case", model.lower())))
    seen = {(provider, model)}
    for server, start in groups:
        steps = list(_steps(start, server))
        for step in steps:
            for spelled, how in _spellings(step.model, server, region, step.rung):
                name = step._replace(rung=how, model=spelled, provider=server)
                found.setdefault((server, spelled), name)
        if server in LOCAL or (server in _RESOLD and start.model.endswith(":free")):
            rung = "local" if server in LOCAL else "variant"
            found[server, ""] = Name(rung, start.model, server, claimed=start.claimed, free=True)
        for step in steps:
            for who, name in _claimed(step, server):
                if (who, name.model) not in seen:
                    seen.add((who, name.model))
                    groups.append((who, name))
    return tuple(found.values())


def has_no_price(model: str) -> bool:
    """Say whether a map's own name has no price, whatever the map says."""
    return not names_of(model, provider_of(None, model))


def without_variant(model: str) -> str:
    """Return a name without the variant that OpenRouter puts behind it, for messages."""
    return re.sub(rf":(?:{_VARIANTS})$", "", model)


def _steps(start: Name, provider: str | None) -> Iterator[Name]:
    """Yield every name that the rungs give, each rung tried on all the names so far."""
    names = {start.model: start}
    for rung in RUNGS:
        if (rung.only is not None and (provider or "") not in rung.only) or provider in rung.never:
            continue
        for name in list(names.values()):
            if rung.name == "provider_removed" and not _starts_with(name.model, provider):
                continue
            changed = rung.pattern.sub(rung.becomes, name.model, count=1)
            if changed:
                how = rung.name if start.claimed is None else start.rung
                names.setdefault(changed, name._replace(rung=how, model=changed, note=rung.note or name.note))
    return iter(names.values())


def _claimed(name: Name, provider: str | None) -> Iterator[tuple[str, Name]]:
    """Yield what the claims, and a provider's name before the model's, say of a name."""
    stated = provider if provider in PROVIDERS else ""
    head, rest = split_provider(name.model)
    if head and head != provider and (not stated or stated in _SPOKEN):
        yield head, name._replace(rung="provider_removed", model=rest, claimed=head)
    for claim in CLAIMS:
        if claim.provider != provider and (claim.only is None or stated in claim.only):
            changed, times = claim.pattern.subn(claim.becomes, name.model, count=1)
            if times:
                says = claim.provider if claim.only != _RESOLD else name.claimed or ""
                yield claim.provider, Name(claim.name, changed, note=claim.note or name.note, claimed=says)


def _starts_with(name: str, provider: str | None) -> bool:
    head = re.split(r"[/:]", name, maxsplit=1)[0].lower()
    return len(head) < len(name) and provider is not None and PROVIDER_ALIASES.get(head, head) == provider


def _spellings(name: str, provider: str | None, region: str | None, rung: str) -> Iterator[tuple[str, str]]:
    """Yield a name under its provider, and plain."""
    added = "provider_added" if rung == "exact" else rung
    under = provider is not None and _starts_with(name, provider)
    if provider in _BEDROCK:
        families = ("bedrock", "bedrock_mantle") if provider != "bedrock_mantle" else ("bedrock_mantle", "bedrock")
        if region:
            yield from ((f"{family}/{region}/{name}", "region") for family in families)
        yield f"{families[0]}/{name}", added
        yield name, rung
        yield f"{families[1]}/{name}", added
        return
    if provider and not under:
        yield f"{'vertex_ai' if provider in _VERTEX else provider}/{name}", added
    yield name, rung
    if under:
        yield f"{provider}/{name}", added
    elif provider == "azure":  # Azure's other API, which serves what others made
        yield f"azure_ai/{name}", added
