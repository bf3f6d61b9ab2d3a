"""Who serves models, how logs also spell them, and whose entries of a cost map price whose calls.

The ladder from a log's name to a cost map's names is in ``prices/book/rungs.py``; which of them is listed, at which
moment, and what it costs is left to ``prices/book/book.py``. Near names are only suggested, never priced.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable

# Who serves models, as cost maps spell it: the first segment of "provider/model", or the entry's litellm_provider.
_PROVIDERS = """
    abliteration agentcore ai21 ai21_chat aiand aihubmix aiml aleph_alpha amazon_nova anthropic anthropic_text
    anyscale apiserpent assemblyai aws_polly azure azure_ai azure_anthropic azure_text baseten bedrock
    bedrock_converse bedrock_mantle bespoke bigmodel bing_grounding black_forest_labs cerebras chatgpt
    clf_ai_gateway cloudflare codestral cognition cohere cohere_chat coralbricks crusoe darkbloom dashscope
    databricks dataforseo deepgram deepinfra deepseek duckduckgo elevenlabs eu_jev exa_ai fal_ai featherless_ai
    firecrawl fireworks_ai friendliai gemini gigachat github github_copilot gmi google_pse gradient_ai groq
    heroku hosted_vllm hostinger_router huggingface hyperbolic inception inferenceapis jina_ai kyma lambda_ai
    laya lemonade libertai linkup litellm_proxy llamacpp llamafile llamagate lm_studio maritalk meta meta_llama
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
# Programs that run models on the user's own machine: nobody is paid.
LOCAL = frozenset({"llamacpp", "llamafile", "lm_studio", "ollama", "ollama_chat"})

# Tiers whose capacity is paid for by the hour or the month, and tokens are not: Vertex AI's trafficType, Bedrock's
# reserved tier, OpenAI's Scale Tier (https://openai.com/api-scale-tier/).
PROVISIONED = "provisioned"
PROVISIONED_TIERS = frozenset({PROVISIONED, "provisioned_throughput", "reserved", "scale"})

# How logs also spell them: OpenTelemetry's gen_ai.provider.name and gen_ai.system, SDKs, gateways, and spellings of
# the map's own that differ between an entry's provider and its key.
PROVIDER_ALIASES = {
    "alibaba": "dashscope", "alibaba-cloud": "dashscope", "alibaba_cloud": "dashscope", "aliyun": "dashscope",
    "amazon-bedrock": "bedrock", "amazon-nova": "amazon_nova", "amazon_bedrock": "bedrock", "aws": "bedrock",
    "aws-bedrock": "bedrock", "aws.bedrock": "bedrock", "aws_bedrock": "bedrock", "az.ai.inference": "azure_ai",
    "az.ai.openai": "azure", "azure-ai": "azure_ai", "azure-ai-foundry": "azure_ai", "azure-foundry": "azure_ai",
    "azure-openai": "azure", "azure.ai.inference": "azure_ai", "azure.ai.openai": "azure",
    "azure_ai_foundry": "azure_ai", "azure_foundry": "azure_ai", "azure_openai": "azure", "azureopenai": "azure",
    "bedrock-mantle": "bedrock_mantle", "claude": "anthropic", "fireworks": "fireworks_ai",
    "fireworks-ai": "fireworks_ai", "gcp.gemini": "gemini", "gcp.gen_ai": "gemini", "gcp.vertex_ai": "vertex_ai",
    "google": "gemini", "google-gla": "gemini", "google-vertex": "vertex_ai",
    "google-vertex-anthropic": "vertex_ai", "google_ai_studio": "gemini", "google_genai": "gemini",
    "google_vertex": "vertex_ai", "google_vertexai": "vertex_ai", "grok": "xai", "ibm.watsonx.ai": "watsonx",
    "llama-cpp": "llamacpp", "llama-server": "llamacpp", "llama.cpp": "llamacpp", "llama_cpp": "llamacpp",
    "lm-studio": "lm_studio", "lmstudio": "lm_studio", "mistral-ai": "mistral", "mistral_ai": "mistral",
    "mistralai": "mistral", "moonshot-ai": "moonshot", "moonshotai": "moonshot", "nvidia": "nvidia_nim",
    "open-router": "openrouter", "open_router": "openrouter", "perplexity-ai": "perplexity",
    "perplexity_ai": "perplexity", "qwen": "dashscope", "together": "together_ai", "together-ai": "together_ai",
    "togetherai": "together_ai", "vercel": "vercel_ai_gateway", "vertex": "vertex_ai", "vertex-ai": "vertex_ai",
    "vertexai": "vertex_ai", "x-ai": "xai", "x_ai": "xai", "z-ai": "zai", "z.ai": "zai", "z_ai": "zai",
    "zhipu": "zai", "zhipuai": "zai",
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
    "azure": "azure_text|azure_ai",
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

_SPARE, _POOL = 2, 50  # of nearest: letters more or less, names compared closely


@functools.lru_cache(maxsize=65536)
def provider_of(provider: str | None, model: str) -> str | None:
    """Return the provider as cost maps spell it: the one stated, else the name's first segment, else None.

    >>> provider_of("aws.bedrock", "anthropic.claude-v2"), provider_of(None, "azure/gpt-4o")
    ('bedrock', 'azure')
    """
    stated = (provider or "").strip().lower()
    if stated:
        return PROVIDER_ALIASES.get(stated, stated)
    return split_provider(model)[0] or None


def split_provider(name: str) -> tuple[str, str]:
    """Return the provider that a name begins with, and the rest; ("", name) where it begins with none.

    Before a slash there may be an organisation too, so that only a provider's own name counts there; before a colon
    (https://ai.pydantic.dev/models/) its other names do, too.

    >>> split_provider("azure/gpt-4o"), split_provider("google-gla:gemini-2.5-pro"), split_provider("google/gemma-3")
    (('azure', 'gpt-4o'), ('gemini', 'gemini-2.5-pro'), ('', 'google/gemma-3'))
    """
    for mark in "/:":
        head, _, rest = name.strip().partition(mark)
        found = head.lower() if mark == "/" else PROVIDER_ALIASES.get(head.lower(), head.lower())
        is_tag = mark == ":" and (rest[:1].isdigit() or rest.startswith("latest"))  # Ollama's mistral:7b
        if rest and found in PROVIDERS and not is_tag:
            return found, rest
    return "", name


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
    if not pinned and (listed in _ALSO_ACCEPTS.get(provider, "").split("|") or provider not in PROVIDERS):
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
