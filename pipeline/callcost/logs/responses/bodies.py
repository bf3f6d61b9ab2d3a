"""What the providers' own response bodies say beside their text: id, model, time, tier, usage, server-side tools.

One row of a table per API. How a body's text becomes tokens is for tokens/; what its counts mean is in usage.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import msgspec

from callcost.logs.responses import tools
from callcost.logs.usage.unit_quantities import Units
from callcost.logs.usage.usage import Reading
from callcost.logs.values.json_path import Path, PathTree, compile_table, parse_paths
from callcost.logs.values.signatures import Recogniser, Signature, sign


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """One provider API.

    Attributes:
        endpoint: its name, as the pair dialect's ``endpoint``.
        signatures: a response body of this API meets one of them.
        facts: canonical column -> paths in the response body.
        usage: paths of the usage object in the response body; "" is the body itself.
        bare: a whole record that meets one of them is such a body.
        issuers: beginning of a response id -> the provider that gives such ids.
        asked: the model that was asked for is the billed name, not the one in the body.
        count_tools: what the body says about what the provider bills beside tokens.
        add_usage: a usage object from what the body states in many places; empty where it states none.
        tool_runs: usages of other models that a tool ran, which the body's own leaves out.
        reads: paths that these functions look at beside ``texts``.
        texts: key -> type of what was said; where it fits, nothing but its text is said there, and no tool was run.
    """

    endpoint: str
    signatures: tuple[Signature, ...]
    facts: Mapping[str, tuple[str, ...]]
    usage: tuple[str, ...] = ("usage",)
    bare: tuple[Signature, ...] = ()
    issuers: tuple[tuple[str, str], ...] = ()
    asked: bool = False
    count_tools: Callable[[Mapping[str, Any]], Units] | None = None
    add_usage: Callable[[Mapping[str, Any]], Mapping[str, int]] | None = None
    tool_runs: Callable[[Mapping[str, Any]], Reading] | None = None
    reads: tuple[str, ...] = ()
    texts: Mapping[str, Any] = msgspec.field(default_factory=dict)


_COSTS = {
    "logged_cost": ("usage.cost.total_cost", "usage.cost"),  # Perplexity; OpenRouter
    "logged_ticks": ("usage.cost_in_usd_ticks",),
    "own_key": ("usage.is_byok",),  # OpenRouter
    "upstream_cost": ("usage.cost_details.upstream_inference_cost",),
}
BODY_COST_KEYS = ("cost", "total_cost", "upstream_inference_cost")
_OPENAI = _COSTS | {
    "provider_response_id": ("id",),
    "model": ("model",),
    "started_at": ("created",),
    "service_tier": (  # a proxy leaves Anthropic's in the usage; Vertex AI's endpoint for OpenAI's SDK has its own
        "service_tier", "usage.service_tier", "usage.extra_properties.google.traffic_type",
    ),
    "inference_geo": ("usage.inference_geo",),
    "speed": ("usage.speed",),
}  # fmt: skip


class _Any(msgspec.Struct, gc=False):
    """An object that nobody looks into."""


class _Message(msgspec.Struct, gc=False):
    annotations: Annotated[list[Any], msgspec.Meta(max_length=0)] | None = None  # they tell of searches


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    usage: None = None


class _Completion(msgspec.Struct, gc=False):
    text: str


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    content: _Any
    grounding_metadata: None = None


class _Item(msgspec.Struct, gc=False):
    type: Annotated[str, msgspec.Meta(pattern=f"^(?!(?:{'|'.join(tools.OUTPUT_ITEMS)})$)")] = ""


_SOME = msgspec.Meta(min_length=1)
# What a request says, which nobody looks at where the answer states its usage.
REQUEST_TEXTS = (
    "messages", "input", "prompt", "contents", "system", "instructions", "tools", "functions", "systemInstruction",
    "system_instruction", "inputText", "chat_history", "response_format",
)  # fmt: skip

# Where a request says how much the model shall reason. OpenAI, Chat and Responses: platform.openai.com/docs/guides/
# reasoning; Anthropic: platform.claude.com/docs/en/build-with-claude/effort and .../extended-thinking; Gemini:
# ai.google.dev/gemini-api/docs/thinking.
EFFORT_PATHS = (
    "reasoning_effort", "reasoning.effort", "output_config.effort", "thinking.type",
    "additionalModelRequestFields.thinking.type", "generationConfig.thinkingConfig.thinkingLevel",
    "generationConfig.thinkingConfig.thinkingBudget", "config.thinking_config.thinking_level",
    "config.thinking_config.thinking_budget",
)  # fmt: skip


def effort_paths(roots: Iterable[str]) -> tuple[str, ...]:
    """Return where records say how much a model shall reason whose request bodies stand at some paths."""
    return tuple(f"{root}.{path}" if root else path for root in roots for path in EFFORT_PATHS)


APIS = (
    Api(
        endpoint="chat",
        texts={"choices": Annotated[list[_Choice], _SOME]},
        signatures=(sign(values={"object": "chat.completion"}), sign("choices", kinds={"choices.0.message": "object"})),
        facts=_OPENAI,
        usage=("usage", "x_groq.usage", "choices.0.usage"),  # Groq's and Kimi's streams
        issuers=(("gen-", "openrouter"),),
        bare=(
            sign(values={"object": "chat.completion"}),
            sign("choices", none="messages request prompt", kinds={"choices.0.message": "object"}),
        ),
        count_tools=tools.count_citations,
    ),
    Api(
        endpoint="responses",
        texts={"output": list[_Item], "output_text": msgspec.Raw, "instructions": msgspec.Raw},
        signatures=(
            sign(values={"object": "response"}),
            sign(values={"object": "realtime.response"}),
            sign("output usage", kinds={"output": "array"}),
        ),
        facts=_OPENAI | {"started_at": ("created_at",), "ended_at": ("completed_at",)},
        bare=(sign(values={"object": "response"}),),
        count_tools=tools.count_output_items,
        tool_runs=tools.image_tool_runs,
        reads=("tool_usage",),
    ),
    Api(
        endpoint="completions",
        texts={"choices": Annotated[list[_Completion], _SOME]},
        signatures=(sign(values={"object": "text_completion"}), sign("choices", kinds={"choices.0.text": "text"})),
        facts=_OPENAI,
        bare=(sign(values={"object": "text_completion"}),),
    ),
    Api(
        endpoint="embeddings",
        signatures=(
            sign("data", values={"data.0.object": "embedding"}),
            sign(kinds={"predictions.0.embeddings": "object"}),  # Vertex
            sign(kinds={"embedding.values": "array"}),  # Gemini's embedContent and batchEmbedContents
            sign(kinds={"embeddings.0.values": "array"}),
        ),
        facts=_COSTS | {"provider_response_id": ("id",), "model": ("model",), "started_at": ("created",)},
        usage=("usage", "usageMetadata"),
        bare=(sign("data", values={"data.0.object": "embedding"}),),
        add_usage=tools.add_predictions,
        reads=("predictions",),
    ),
    Api(
        endpoint="images",
        signatures=(
            sign(kinds={"data.0.b64_json": "text"}),
            sign("created", kinds={"data.0.url": "text"}),
            sign(kinds={"predictions.0.bytesBase64Encoded": "text"}),  # Vertex
        ),
        facts={"model": ("model",), "started_at": ("created",)},
        bare=(
            sign("model", kinds={"data.0.b64_json": "text"}),
            sign("model created", kinds={"data.0.url": "text"}),
        ),
        count_tools=tools.count_pictures,
        reads=("data", "predictions"),
    ),
    Api(
        endpoint="transcription",
        signatures=(
            sign("text duration"),
            sign("text", some="segments words", kinds={"text": "text"}),
            sign("text", values={"usage.type": "duration tokens"}),
        ),
        facts={"model": ("model",)},
        bare=(
            sign("model text duration", some="segments words task"),
            sign("model text", values={"usage.type": "duration tokens"}),
        ),
        count_tools=tools.count_recording,
        reads=("duration",),
    ),
    Api(endpoint="speech", signatures=(), facts={}),
    Api(
        endpoint="rerank",
        signatures=(
            sign(kinds={"results.0.relevance_score": "number"}),
            sign(kinds={"results.0.relevanceScore": "number"}),  # Bedrock
            sign("data", kinds={"data.0.relevance_score": "number"}),  # Voyage
        ),
        facts={"provider_response_id": ("id",), "model": ("model",)},
        usage=("usage", "meta"),
        bare=(
            sign("model", kinds={"results.0.relevance_score": "number"}),
            sign("model", kinds={"data.0.relevance_score": "number"}),
        ),
    ),
    Api(
        endpoint="ocr",
        signatures=(sign("usage_info"), sign(kinds={"pages.0.markdown": "text"})),
        facts={"model": ("model",)},
        usage=("usage_info", "usage"),
        bare=(sign("model usage_info", kinds={"pages.0.markdown": "text"}),),
    ),
    Api(
        endpoint="anthropic",
        texts={"content": list[_Any] | str},
        signatures=(sign("content", values={"type": "message"}), sign("usage", values={"type": "message"})),
        facts=_COSTS
        | {
            "provider_response_id": ("id",),
            "model": ("model",),
            "service_tier": ("usage.service_tier",),
            "inference_geo": ("usage.inference_geo",),
            "speed": ("usage.speed",),
        },
        issuers=(("msg_bdrk_", "bedrock"), ("msg_vrtx_", "vertex_ai"), ("msg_", "anthropic")),
        bare=(sign("role", values={"type": "message"}), sign("usage", values={"type": "message"})),
    ),
    Api(
        endpoint="gemini",
        texts={"candidates": Annotated[list[_Candidate], _SOME]},
        signatures=(sign(some="usageMetadata usage_metadata"), sign("candidates")),
        facts={
            "provider_response_id": ("responseId", "response_id"),
            "model": ("modelVersion", "model_version"),
            "started_at": ("createTime", "create_time"),
            "service_tier": (  # Gemini API; Vertex AI, in JSON and as its SDK has it
                "usageMetadata.serviceTier", "usageMetadata.trafficType", "usage_metadata.service_tier",
                "usage_metadata.traffic_type",
            ),
        },
        usage=("usageMetadata", "usage_metadata"),
        bare=(
            sign("usageMetadata", none="request contents"),
            sign("usage_metadata candidates", none="request contents"),
            sign("candidates", kinds={"candidates.0.content": "object"}, none="request contents"),
        ),
        count_tools=tools.count_grounding,
    ),
    Api(
        endpoint="bedrock_converse",
        texts={"output": _Any},
        signatures=(sign("usage stopReason", none="schemaVersion"),),
        facts={
            "provider_response_id": ("ResponseMetadata.RequestId",),
            "service_tier": ("serviceTier.type",),
        },
        bare=(sign("usage stopReason output", none="schemaVersion request"),),
        asked=True,
    ),
    Api(
        endpoint="cohere",
        signatures=(sign("meta", some="text generations finish_reason"), sign("message finish_reason usage")),
        facts={"provider_response_id": ("id", "response_id", "generation_id")},
        usage=("usage", "meta"),
    ),
    Api(
        endpoint="ollama",
        texts={"message": _Any, "response": str},
        signatures=(sign("done model"),),
        facts={"model": ("model",), "started_at": ("created_at",)},
        usage=("",),
        bare=(sign("done model created_at", none="request messages"),),
    ),
    Api(
        endpoint="bedrock_invoke",
        signatures=(sign(some="amazon-bedrock-invocationMetrics inputTextTokenCount generation_token_count"),),
        facts={"provider_response_id": ("id",), "model": ("model",), "service_tier": ("service_tier",)},
        usage=("amazon-bedrock-invocationMetrics", "usage", "", "meta"),
        asked=True,
    ),
)
ENDPOINTS = {api.endpoint: api for api in APIS}
ALIASES = {
    "chat_completions": "chat", "chat/completions": "chat", "completion": "chat", "acompletion": "chat",
    "response": "responses", "aresponses": "responses", "embedding": "embeddings", "aembedding": "embeddings",
    "messages": "anthropic", "anthropic_messages": "anthropic", "text_completion": "completions",
    "atext_completion": "completions", "generatecontent": "gemini", "generate_content": "gemini",
    "agenerate_content": "gemini", "converse": "bedrock_converse", "conversestream": "bedrock_converse",
    "invoke": "bedrock_invoke", "realtime": "responses", "embedcontent": "embeddings",
    "batchembedcontents": "embeddings", "embed_content": "embeddings", "images/generations": "images",
    "images/edits": "images", "images/variations": "images", "image_generation": "images", "image": "images",
    "audio/transcriptions": "transcription", "audio/translations": "transcription", "transcriptions": "transcription",
    "audio/speech": "speech", "tts": "speech", "text-to-speech": "speech", "reranking": "rerank",
}  # fmt: skip
FACTS: dict[str, PathTree] = {api.endpoint: compile_table(api.facts) for api in APIS}
USAGE_PATHS: dict[str | None, tuple[Path, ...]] = {api.endpoint: parse_paths(api.usage) for api in APIS}


# Where usage stands in a body of no API that is known, or of another than its record says.
ANY_USAGE: tuple[Path, ...] = (
    ("usage",), ("usageMetadata",), ("usage_metadata",), ("meta",), ("amazon-bedrock-invocationMetrics",),
    ("usage_info",),
)  # fmt: skip


def endpoint_named(name: str | None) -> str | None:
    """Return the endpoint that a log names in its own way ("/v1/chat/completions", "acompletion"); None: unknown."""
    if not name:
        return None
    word = name.lower().strip("/").removeprefix("v1/").removeprefix("openai/").removeprefix("openai_")
    word = ALIASES.get(word, word)
    return word if word in ENDPOINTS else None


def counts_only(name: Any) -> bool:
    """Tell whether an endpoint, or a URL, is one that answers how many tokens a text has, which bills nothing."""
    return type(name) is str and _COUNTS_ONLY.search(name) is not None


_COUNTS_ONLY = re.compile(r"count[_-]?tokens|(^|/)input_tokens|(^|/|:)(de)?tokenize", re.IGNORECASE)


def tools_of(api: Api | None, body: Any) -> Units:
    """Return what a body says about what the provider bills beside tokens."""
    return api.count_tools(body) if api and api.count_tools and type(body) is dict else {}


def runs_of(api: Api | None, body: Any) -> Reading:
    """Return the usages of other models that a body says a tool ran."""
    return api.tool_runs(body) if api and api.tool_runs and type(body) is dict else Reading()


def settle_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Say what a call cost that was paid with a key of one's own: what the provider bills, the gateway's fee apart.

    Source: https://openrouter.ai/docs/use-cases/usage-accounting.
    """
    upstream = facts.pop("upstream_cost", None)
    if facts.get("own_key") is not True or upstream is None:
        return facts
    return facts | {"logged_cost": upstream, "gateway_fee": facts.get("logged_cost")}


def issuer_of(api: Api, response_id: Any) -> str | None:
    """Return the provider that gave a response its id; None where others give such ids too."""
    if type(response_id) is not str:
        return None
    return next((provider for prefix, provider in api.issuers if response_id.startswith(prefix)), None)


def endpoint_of_request(request: Any) -> str | None:
    """Return the endpoint that a request without an answer went to, by its fields; None where they do not tell."""
    if type(request) is not dict:
        return None
    return next((endpoint for key, endpoint in REQUEST_MARKS.items() if key in request), None)


REQUEST_MARKS = {  # key of a request, the most telling first -> endpoint
    "anthropic_version": "anthropic", "contents": "gemini", "encoding_format": "embeddings", "voice": "speech",
    "requests": "embeddings", "content": "embeddings", "input": "responses",
    "inferenceConfig": "bedrock_converse", "inputText": "bedrock_invoke", "chat_history": "cohere", "messages": "chat",
    "prompt": "completions",
}  # fmt: skip


def api_of(body: Any) -> Api | None:
    """Return the API whose response a body is; None where it is none that is known."""
    if type(body) is not dict:
        return None
    return _RECOGNISER.find(body)


_RECOGNISER = Recogniser((api, api.signatures) for api in APIS)
