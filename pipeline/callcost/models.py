"""What a model is called: providers and their other names, and the ladder from a log's name to a cost map's name.

The ladder is data: a rung is a pattern, the providers it holds for, and what the name becomes. Which of the names is
listed, at which moment, and what it costs is left to ``prices/book/book.py``. No rung guesses: near names are only
suggested, never priced.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# Who serves models, as cost maps spell it: the first segment of "provider/model", or the entry's litellm_provider.
_PROVIDERS = """
    abliteration agentcore ai21 ai21_chat aiand aihubmix aiml aleph_alpha amazon_nova anthropic anthropic_text
    anyscale apiserpent assemblyai aws_polly azure azure_ai azure_anthropic azure_text baseten bedrock
    bedrock_converse bedrock_mantle bespoke bigmodel bing_grounding black_forest_labs cerebras chatgpt
    clf_ai_gateway cloudflare codestral cognition cohere cohere_chat coralbricks crusoe darkbloom dashscope
    databricks dataforseo deepgram deepinfra deepseek duckduckgo elevenlabs eu_jev exa_ai fal_ai featherless_ai
    firecrawl fireworks_ai friendliai gemini gigachat github github_copilot gmi google_pse gradient_ai groq
    heroku hosted_vllm hostinger_router huggingface hyperbolic inception inferenceapis jina_ai kyma lambda_ai
    laya lemonade libertai linkup litellm_proxy llamafile llamagate lm_studio maritalk meta meta_llama
    microsoft_365_copilot minimax mistral moonshot morph nace nadir nebius nimble nlp_cloud novita nscale
    nvidia_nim oci ollama ollama_chat openai opencode_go openinfer openrouter ovhcloud palm parallel_ai
    perplexity petals pinstripes prism publicai qwen_ai_platform qwencloud recraft reducto refuseless replicate
    runwayml sagemaker sagemaker_chat sail sambanova sarvam scaledown scaleway scx-ai searxng serper snowflake
    soniox stability strands_decider streamlake tavily tencent tensormesh text-completion-codestral
    text-completion-inception text-completion-openai tinyfish together_ai transcribe triton typesafe v0
    vercel_ai_gateway vertex_ai vertex_ai_beta vllm volcengine voyage wandb watsonx watsonx_text xai xiaomi_mimo
    xinference you_com zai zerogpu
"""
PROVIDERS = frozenset(_PROVIDERS.split())

# How logs also spell them: OpenTelemetry's gen_ai.provider.name and gen_ai.system, SDKs, gateways, and spellings of
# the map's own that differ between an entry's provider and its key.
PROVIDER_ALIASES = {
    "amazon-bedrock": "bedrock", "amazon-nova": "amazon_nova", "amazon_bedrock": "bedrock", "aws": "bedrock",
    "aws.bedrock": "bedrock", "aws_bedrock": "bedrock", "az.ai.inference": "azure_ai", "az.ai.openai": "azure",
    "azure-ai": "azure_ai", "azure-openai": "azure", "azure.ai.inference": "azure_ai", "azure.ai.openai": "azure",
    "azure_openai": "azure", "azureopenai": "azure", "claude": "anthropic", "fireworks": "fireworks_ai",
    "fireworks-ai": "fireworks_ai", "gcp.gemini": "gemini", "gcp.gen_ai": "gemini", "gcp.vertex_ai": "vertex_ai",
    "google": "gemini", "google-gla": "gemini", "google-vertex": "vertex_ai", "google_ai_studio": "gemini",
    "google_genai": "gemini", "google_vertexai": "vertex_ai", "ibm.watsonx.ai": "watsonx", "mistral_ai": "mistral",
    "mistralai": "mistral", "moonshotai": "moonshot", "open_router": "openrouter", "perplexity_ai": "perplexity",
    "together": "together_ai", "together-ai": "together_ai", "togetherai": "together_ai", "vercel": "vercel_ai_gateway",
    "vertex": "vertex_ai", "vertex-ai": "vertex_ai", "vertexai": "vertex_ai", "x-ai": "xai", "x_ai": "xai",
    "z.ai": "zai",
}  # fmt: skip

# Entries that a provider's calls may be priced by, beside its own. A pattern of the entry's litellm_provider.
_ACCEPTS = {
    "vertex_ai": re.compile(r"vertex_ai.*"),
    "vertex_ai_beta": re.compile(r"vertex_ai.*"),
    "fireworks_ai": re.compile(r"fireworks_ai.*"),
    "bedrock": re.compile(r"bedrock.*"),
    "bedrock_converse": re.compile(r"bedrock.*"),
    "azure_ai": re.compile(r"azure_ai|azure|openai"),
    "litellm_proxy": re.compile(r".*"),
    "github": re.compile(r".*"),
    "nadir": re.compile(r".*"),
}
# One provider's second API. A pinned map is read as LiteLLM reads it, which keeps these apart.
_ALSO_ACCEPTS = {
    "openai": "text-completion-openai",
    "azure": "azure_text",
    "anthropic": "anthropic_text",
    "cohere": "cohere_chat",
    "cohere_chat": "cohere",
    "ai21": "ai21_chat",
    "mistral": "codestral",
}

# LiteLLM names no provider for these: with a pinned map, a call that names none either is not priced
# (litellm_semantics.md 2.1).
_UNREGISTERED = frozenset({"anyscale", "coralbricks", "inferenceapis", "openinfer", "scaledown"})
_KNOWN_BARE = re.compile(
    r"openai|text-completion-openai|anthropic|cohere|cohere_chat|replicate|openrouter|maritalk|vertex_ai.*|nlp_cloud"
    r"|aleph_alpha|baseten|petals|bedrock.*|watsonx"
)

# A maker's own API, for a name that says who made the model and nothing else.
_MAKERS = (
    (re.compile(r"grok-"), "xai"),
    (re.compile(r"gemini-"), "gemini"),
    (re.compile(r"deepseek-(chat|reasoner|coder|v)"), "deepseek"),
    (re.compile(r"(open-)?(mi[sx]tral|ministral|codestral|magistral|devstral|pixtral)-"), "mistral"),
    (re.compile(r"sonar"), "perplexity"),
    (re.compile(r"kimi-|moonshot-"), "moonshot"),
    (re.compile(r"glm-"), "zai"),
    (re.compile(r"MiniMax-"), "minimax"),
)

_GEOGRAPHY = r"(?:global|us-gov|us|eu|apac|jp|au)\."
_REGION = r"(?:us-gov|us|eu|ap|ca|sa|me|af|il|mx|cn)-[a-z]+-\d/"
_ROUTES = r"(?:bedrock|converse|invoke|chat_completions|openai|mantle|nova|nova-2)/"
_BEDROCK = frozenset({"bedrock", "bedrock_converse"})
_VERTEX = frozenset({"vertex_ai", "vertex_ai_beta"})
_GOOGLE = _VERTEX | {"gemini"}
_FIREWORKS = frozenset({"fireworks_ai"})
_NO_DATES = _BEDROCK | _GOOGLE | {"databricks"}  # whose trailing date is part of the name


_SPARE, _POOL = 2, 50  # of nearest: letters more or less, names compared closely


class Rung(NamedTuple):
    """One way from a name to another name of the same model.

    Attributes:
        name: written into price_rung when the name it gives is listed.
        pattern: what it holds for.
        becomes: what the match is replaced with.
        only: the providers it holds for; None: all.
        never: the providers it does not hold for.
    """

    name: str
    pattern: re.Pattern[str]
    becomes: str
    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()


# From the source of litellm_semantics.md part 2; each rung is tried on every name that the rungs above gave.
RUNGS = (
    Rung("repeated_prefix", re.compile(r"^([^/]+/)\1+"), r"\1"),
    Rung("provider_removed", re.compile(r"^([^/]+)/"), ""),  # only where the first segment is the provider
    Rung("arn", re.compile(r"^(?:.*/)?arn:aws[^/]*/(?:.*/)?"), "", only=_BEDROCK),
    Rung("route", re.compile(rf"^(?:{_ROUTES})+"), "", only=_BEDROCK),
    Rung("context_suffix", re.compile(r"(?<=:\d):\d+k$|\[1m\]$"), "", only=_BEDROCK),
    Rung("region", re.compile(rf"^{_REGION}"), "", only=_BEDROCK),
    Rung("geography", re.compile(rf"^{_GEOGRAPHY}"), "", only=_BEDROCK),
    Rung("bedrock_name", re.compile(r"^(claude-.+-20\d{6})$"), r"anthropic.\1-v1:0", only=_BEDROCK),  # as bodies say it
    Rung("publisher", re.compile(r"^(?:.*/)?publishers/[^/]+/models/"), "", only=_GOOGLE),
    Rung("publisher", re.compile(r"^models/"), "", only=_GOOGLE),
    Rung("vertex_version", re.compile(r"@(?:\d{8}|default|latest)$"), "", only=_VERTEX),
    Rung("deployment_alias", re.compile(r"^gpt-35-"), "gpt-3.5-", only=frozenset({"azure", "azure_text"})),
    Rung("deployment_alias", re.compile(r"^gpt-41(?=-|$)"), "gpt-4.1", only=frozenset({"azure"})),
    Rung("fireworks_path", re.compile(r"^(?!accounts/)"), "accounts/fireworks/models/", only=_FIREWORKS),
    Rung("fine_tune", re.compile(r"^(ft:.+?)(?::[^:]*){3}$"), r"\1"),
    Rung("snapshot_number", re.compile(r"-\d+$"), "", only=_GOOGLE | {"databricks"}),
    Rung("date", re.compile(r"(?<!^)-(?:\d{4}-\d\d-\d\d|20\d{6})$"), "", never=_NO_DATES),
)  # fmt: skip


class Name(NamedTuple):
    """One name to look up in a cost map, and the rung that gave it."""

    rung: str
    model: str


@functools.lru_cache(maxsize=65536)
def provider_of(provider: str | None, model: str) -> str | None:
    """Return the provider as cost maps spell it: the one stated, else the name's first segment, else None.

    >>> provider_of("aws.bedrock", "anthropic.claude-v2"), provider_of(None, "azure/gpt-4o")
    ('bedrock', 'azure')
    """
    stated = (provider or "").strip().lower()
    if stated:
        return PROVIDER_ALIASES.get(stated, stated)
    head, slash, _ = model.lower().partition("/")
    return head if slash and head in PROVIDERS else None


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
    found: dict[str, Name] = {}
    for rung, name in _steps(model, provider):
        for spelled, how in _spellings(name, provider, region, rung):
            found.setdefault(spelled, Name(how, spelled))
    return tuple(found.values())


def makers_name(model: str) -> Name | None:
    """Return the name under its maker's own API, of a name that says who made the model but not who served it.

    >>> makers_name("grok-4")
    Name(rung='maker', model='xai/grok-4')
    """
    for pattern, provider in _MAKERS:
        if pattern.match(model):
            return Name("maker", f"{provider}/{model}")
    return None


@functools.lru_cache(maxsize=65536)
def accepts(provider: str | None, listed: str | None, *, pinned: bool = False) -> bool:
    """Say whether an entry of one provider may price a call of another.

    Args:
        provider: of the call; None: not stated.
        listed: the entry's litellm_provider; None: not stated.
        pinned: keep a provider's second API apart, as LiteLLM does.
    """
    if provider is None or not listed or provider == listed or PROVIDER_ALIASES.get(listed) == provider:
        return True
    if not pinned and (_ALSO_ACCEPTS.get(provider) == listed or provider not in PROVIDERS):
        return True  # a provider that no map knows says nothing about who is to be paid
    pattern = _ACCEPTS.get(provider)
    return pattern is not None and pattern.fullmatch(listed) is not None


def names_itself(key: str, listed: str | None) -> bool:
    """Say whether a map's own name is enough to know its provider, as LiteLLM 1.106 sees it."""
    head, slash, _ = key.partition("/")
    if slash and head not in _UNREGISTERED:
        return True
    return not slash and (not listed or _KNOWN_BARE.fullmatch(listed) is not None)


def nearest(model: str, known: Iterable[str], count: int = 3, *, likeness: float = 0.6) -> list[str]:
    """Return the known names that look most like an unknown one, best first; for messages, never for prices.

    Args:
        model: the unknown name.
        known: the others.
        count: names at the most.
        likeness: difflib's ratio that a name must have more than.

    >>> nearest("gtp-4o", ["gpt-4o", "gpt-4", "o3"])
    ['gpt-4o', 'gpt-4']
    """
    wanted = model.rpartition("/")[2].lower()
    letters, spare = set(wanted), _SPARE + len(wanted) // 4
    tails = [(name.rpartition("/")[2].lower(), name) for name in known]
    alike = [
        (tail, name)
        for tail, name in tails
        if abs(len(tail) - len(wanted)) <= spare and len(letters & set(tail)) * 4 >= len(letters) * 3
    ]
    alike.sort(key=lambda pair: -_shared(wanted, pair[0]))
    scored = [(difflib.SequenceMatcher(None, tail, wanted).ratio(), name) for tail, name in alike[:_POOL]]
    scored.sort(key=lambda pair: (-pair[0], len(pair[1])))
    return [name for score, name in scored if score > likeness][:count]


def _shared(one: str, other: str) -> int:
    """Return how many pairs of neighbouring letters two names share: cheap, and good enough to pick a few."""
    pairs = {one[at : at + 2] for at in range(len(one) - 1)}
    return sum(other[at : at + 2] in pairs for at in range(len(other) - 1))


def _steps(model: str, provider: str | None) -> Iterator[tuple[str, str]]:
    """Yield every (rung, name) that the rungs give, each rung tried on all the names so far."""
    names: dict[str, str] = {model: "exact"}
    for rung in RUNGS:
        if (rung.only is not None and provider not in rung.only) or provider in rung.never:
            continue
        for name in list(names):
            if rung.name == "provider_removed" and not _starts_with(name, provider):
                continue
            changed = rung.pattern.sub(rung.becomes, name, count=1)
            if changed:
                names.setdefault(changed, rung.name)
    return ((rung, name) for name, rung in names.items())


def _starts_with(name: str, provider: str | None) -> bool:
    head, slash, _ = name.partition("/")
    return bool(slash) and provider is not None and PROVIDER_ALIASES.get(head.lower(), head.lower()) == provider


def _spellings(name: str, provider: str | None, region: str | None, rung: str) -> Iterator[tuple[str, str]]:
    """Yield a name under its provider, and plain."""
    if provider in _BEDROCK:
        if region:
            yield f"bedrock/{region}/{name}", "region"
        yield f"bedrock/{name}", "provider_added" if rung == "exact" else rung
    elif provider and not _starts_with(name, provider):
        family = "vertex_ai" if provider in _VERTEX else provider
        yield f"{family}/{name}", "provider_added" if rung == "exact" else rung
    yield name, rung
    if provider and _starts_with(name, provider):
        yield f"{provider}/{name}", "provider_added" if rung == "exact" else rung
