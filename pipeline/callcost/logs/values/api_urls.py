"""What the URL of an API says: whose it is, which endpoint, which model, and what decides its price.

Regional hosts of OpenAI and the regions of Bedrock and Vertex change the rate. Provider names are the cost map's.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

# Column -> what the URL says. A region in the host is where the call was served.
_TERMS = (
    ("data_residency", re.compile(r"//(eu|us|gov)\.api\.openai\.com")),
    ("region", re.compile(r"//bedrock-runtime(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.")),
    ("region", re.compile(r"//bedrock-mantle\.([a-z]{2}(?:-[a-z]+)+-\d)\.api\.aws")),
    ("region", re.compile(r"//([a-z]+-[a-z]+\d+)-aiplatform\.googleapis")),
    ("region", re.compile(r"googleapis\.com/.*/locations/([a-z0-9-]+)/")),
)
_NAMES = {"gov": "fedramp"}  # as cost maps call what the host calls otherwise
_PROVIDERS = (
    ("openai", r"(?:eu\.|us\.|gov\.)?api\.openai\.com"),
    ("azure", r"[\w-]+\.openai\.azure\.com|[\w-]+\.cognitiveservices\.azure\.com"),
    ("azure_ai", r"[\w.-]+\.(?:services\.ai|models\.ai|inference\.ml)\.azure\.com"),
    ("anthropic", r"api\.anthropic\.com"),
    ("gemini", r"generativelanguage\.googleapis\.com"),
    ("vertex_ai", r"(?:[a-z0-9-]+-)?aiplatform\.googleapis\.com"),
    ("bedrock", r"bedrock-runtime(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?"),
    ("bedrock_mantle", r"bedrock-mantle\.[a-z0-9-]+\.api\.aws"),
    ("openrouter", r"openrouter\.ai"),
    ("groq", r"api\.groq\.com"),
    ("mistral", r"api\.mistral\.ai"),
    ("deepseek", r"api\.deepseek\.com"),
    ("xai", r"(?:[a-z0-9-]+\.)?api\.x\.ai"),
    ("cohere", r"api\.cohere\.(?:com|ai)"),
    ("together_ai", r"api\.together\.(?:xyz|ai)"),
    ("fireworks_ai", r"api\.fireworks\.ai"),
    ("perplexity", r"api\.perplexity\.ai"),
    ("cerebras", r"api\.cerebras\.ai"),
    ("moonshot", r"api\.moonshot\.(?:ai|cn)"),
    ("deepinfra", r"api\.deepinfra\.com"),
    ("nebius", r"api\.studio\.nebius\.(?:ai|com)"),
    ("voyage", r"api\.voyageai\.com"),
    ("zai", r"api\.z\.ai"),
    ("dashscope", r"dashscope(?:-intl|-us)?\.aliyuncs\.com"),
    ("minimax", r"api\.minimax(?:i)?\.(?:io|com)"),
    ("sambanova", r"api\.sambanova\.ai"),
    ("nvidia_nim", r"integrate\.api\.nvidia\.com"),
    ("huggingface", r"router\.huggingface\.co"),
    ("github", r"models\.github\.ai"),
    ("vercel_ai_gateway", r"ai-gateway\.vercel\.sh"),
    ("ollama", r"[^/:]+:11434"),
)
# Endpoint -> the end of the path; a group is the model.
_ENDPOINTS = (
    ("chat", r"/chat/completions"),
    ("responses", r"/responses(?:/resp_[^/]+)?"),
    ("embeddings", r"/embeddings"),
    ("completions", r"/completions"),
    ("anthropic", r"/messages"),
    ("anthropic", r"/models/([^/:]+):(?:rawPredict|streamRawPredict)"),
    ("gemini", r"/models/([^/:]+):(?:generateContent|streamGenerateContent)"),
    ("embeddings", r"/models/([^/:]+):(?:embedContent|batchEmbedContents|predict)"),
    ("images", r"/images/(?:generations|edits|variations)"),
    ("transcription", r"/audio/(?:transcriptions|translations)"),
    ("speech", r"/audio/speech"),
    ("rerank", r"/rerank"),
    ("ocr", r"/ocr"),
    ("bedrock_converse", r"/model/([^/]+)/converse(?:-stream)?"),
    ("bedrock_invoke", r"/model/([^/]+)/invoke(?:-with-response-stream)?"),
    ("ollama", r"/api/(?:chat|generate|embed)"),
    ("cohere", r"api\.cohere\.(?:com|ai)/v[12]/(?:chat|embed|generate)"),
)
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")


@cache  # for the first URL: few logs have any
def _hosts() -> list[tuple[str, re.Pattern[str]]]:
    return [(name, re.compile(rf"\w+://(?:[^/@]*@)?(?:{pattern})(?:[:/]|$)")) for name, pattern in _PROVIDERS]


@cache
def _paths() -> list[tuple[str, re.Pattern[str]]]:
    return [(endpoint, re.compile(rf"{pattern}/?(?:[?#]|$)")) for endpoint, pattern in _ENDPOINTS]


class Route(NamedTuple):
    """Where a request went."""

    provider: str | None = None
    endpoint: str | None = None
    model: str | None = None


def read_host(url: Any) -> dict[str, str]:
    """Return the columns that a URL decides.

    >>> read_host("https://eu.api.openai.com/v1")
    {'provider': 'openai', 'data_residency': 'eu'}
    """
    if type(url) is not str or "//" not in url:
        return {}
    provider = _provider_of(url)
    found = {"provider": provider} if provider else {}
    for column, pattern in _TERMS:
        match = pattern.search(url)
        if match:
            found.setdefault(column, _NAMES.get(match[1], match[1]))
    return found


def read_route(url: Any) -> Route:
    """Return whose API a URL is, which endpoint of it, and the model that it names.

    >>> read_route("https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse")
    Route(provider='bedrock', endpoint='bedrock_converse', model='amazon.nova-lite-v1:0')
    """
    if type(url) is not str:
        return Route()
    provider = _provider_of(url)
    for endpoint, pattern in _paths():
        found = pattern.search(url)
        if found:
            named = _DEPLOYMENT.search(url) if not found.groups() else found
            return Route(provider, endpoint, unquote(named[1]) if named else None)
    return Route(provider)


@lru_cache(maxsize=4096)  # a log's calls go to few hosts, and there are many to compare with
def _provider_of(url: str) -> str | None:
    return next((provider for provider, pattern in _hosts() if pattern.match(url)), None)
