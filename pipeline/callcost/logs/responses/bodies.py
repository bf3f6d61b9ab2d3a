"""What the providers' own response bodies say beside their text: id, model, time, tier, usage, server-side tools.

One row of a table per API. How a body's text becomes tokens is for tokens/; what its counts mean is in usage.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from callcost.logs.values.json import dicts_in, list_in
from callcost.logs.values.json_path import Path, PathTree, compile_table, follow, parse_paths
from callcost.logs.values.signatures import Recogniser, Signature, sign

Units = dict[str, Decimal]
_NOTES, _QUERIES = ("message", "annotations"), ("groundingMetadata", "webSearchQueries")


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
        count_tools: what the body says about tools that the provider ran and bills apart.
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
    texts: Mapping[str, Any] = msgspec.field(default_factory=dict)


_COSTS = {
    "logged_cost": ("usage.cost.total_cost", "usage.cost"),  # Perplexity; OpenRouter
    "logged_ticks": ("usage.cost_in_usd_ticks",),
}
BODY_COST_KEYS = ("cost", "total_cost")
_OPENAI = _COSTS | {
    "provider_response_id": ("id",),
    "model": ("model",),
    "started_at": ("created",),
    "service_tier": ("service_tier",),
}


def _count_output_items(body: Mapping[str, Any]) -> Units:
    """Count the tools in the output of a Responses body; opening a page found before is no new search."""
    units: dict[str, int] = {}
    sessions = set()
    for item in dicts_in(body.get("output")):
        kind = item.get("type")
        unit = OUTPUT_ITEMS.get(kind) if type(kind) is str else None
        action = item.get("action") if unit else None
        if unit is None or (type(action) is dict and action.get("type", "search") not in BILLED_ACTIONS):
            continue
        if unit == "code_interpreter_sessions":
            sessions.add(str(item.get("container_id")))
        else:
            units[unit] = units.get(unit, 0) + 1
    if sessions:
        units["code_interpreter_sessions"] = len(sessions)
    return {unit: Decimal(number) for unit, number in units.items()}


OUTPUT_ITEMS = {
    "web_search_call": "web_search_requests",
    "file_search_call": "file_search_calls",
    "code_interpreter_call": "code_interpreter_sessions",
}
BILLED_ACTIONS = ("search",)


def _count_citations(body: Mapping[str, Any]) -> Units:
    """Tell from the citations of a chat answer that the model searched; chat states no number, so it is one."""
    notes = [note for choice in dicts_in(body.get("choices")) for note in dicts_in(follow(choice, _NOTES))]
    return {"web_search_requests": Decimal(1)} if any(note.get("type") == "url_citation" for note in notes) else {}


def _count_grounding(body: Mapping[str, Any]) -> Units:
    """Count the searches of a Gemini answer: the queries of its grounding."""
    queries = sum(len(list_in(follow(one, _QUERIES))) for one in dicts_in(body.get("candidates")))
    return {"web_search_requests": Decimal(queries)} if queries else {}


class _Any(msgspec.Struct, gc=False):
    """An object that nobody looks into."""


class _Message(msgspec.Struct, gc=False):
    annotations: Annotated[list[Any], msgspec.Meta(max_length=0)] | None = None  # they tell of searches


class _Choice(msgspec.Struct, gc=False):
    message: _Message


class _Completion(msgspec.Struct, gc=False):
    text: str


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    content: _Any
    grounding_metadata: None = None


class _Item(msgspec.Struct, gc=False):
    type: Annotated[str, msgspec.Meta(pattern=f"^(?!(?:{'|'.join(OUTPUT_ITEMS)})$)")] = ""


_SOME = msgspec.Meta(min_length=1)
# What a request says, which nobody looks at where the answer states its usage.
REQUEST_TEXTS = (
    "messages", "input", "prompt", "contents", "system", "instructions", "tools", "functions", "systemInstruction",
    "system_instruction", "inputText", "chat_history", "response_format",
)  # fmt: skip

APIS = (
    Api(
        endpoint="chat",
        texts={"choices": Annotated[list[_Choice], _SOME]},
        signatures=(sign(values={"object": "chat.completion"}), sign("choices", kinds={"choices.0.message": "object"})),
        facts=_OPENAI,
        usage=("usage", "x_groq.usage"),
        issuers=(("gen-", "openrouter"),),
        bare=(
            sign(values={"object": "chat.completion"}),
            sign("choices", none="messages request prompt", kinds={"choices.0.message": "object"}),
        ),
        count_tools=_count_citations,
    ),
    Api(
        endpoint="responses",
        texts={"output": list[_Item], "output_text": msgspec.Raw, "instructions": msgspec.Raw},
        signatures=(sign(values={"object": "response"}), sign("output usage", kinds={"output": "array"})),
        facts=_OPENAI | {"started_at": ("created_at",), "ended_at": ("completed_at",)},
        bare=(sign(values={"object": "response"}),),
        count_tools=_count_output_items,
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
        signatures=(sign("data", values={"data.0.object": "embedding"}),),
        facts={"provider_response_id": ("id",), "model": ("model",), "started_at": ("created",)},
        bare=(sign("data", values={"data.0.object": "embedding"}),),
    ),
    Api(
        endpoint="anthropic",
        texts={"content": list[_Any] | str},
        signatures=(sign("content", values={"type": "message"}), sign("usage", values={"type": "message"})),
        facts={
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
        count_tools=_count_grounding,
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
    "invoke": "bedrock_invoke",
}  # fmt: skip
FACTS: dict[str, PathTree] = {api.endpoint: compile_table(api.facts) for api in APIS}
USAGE_PATHS: dict[str | None, tuple[Path, ...]] = {api.endpoint: parse_paths(api.usage) for api in APIS}


# Where usage stands in a body of no API that is known, or of another than its record says.
ANY_USAGE: tuple[Path, ...] = (
    ("usage",), ("usageMetadata",), ("usage_metadata",), ("meta",), ("amazon-bedrock-invocationMetrics",),
)  # fmt: skip


def endpoint_named(name: str | None) -> str | None:
    """Return the endpoint that a log names in its own way ("/v1/chat/completions", "acompletion"); None: unknown."""
    if not name:
        return None
    word = name.lower().strip("/").removeprefix("v1/").removeprefix("openai/")
    word = ALIASES.get(word, word)
    return word if word in ENDPOINTS else None


def tools_of(api: Api | None, body: Any) -> Units:
    """Return what a body says about tools that the provider ran and bills apart."""
    return api.count_tools(body) if api and api.count_tools and type(body) is dict else {}


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
    "anthropic_version": "anthropic", "contents": "gemini", "encoding_format": "embeddings", "input": "responses",
    "inferenceConfig": "bedrock_converse", "inputText": "bedrock_invoke", "chat_history": "cohere", "messages": "chat",
    "prompt": "completions",
}  # fmt: skip


def api_of(body: Any) -> Api | None:
    """Return the API whose response a body is; None where it is none that is known."""
    if type(body) is not dict:
        return None
    return _RECOGNISER.find(body)


_RECOGNISER = Recogniser((api, api.signatures) for api in APIS)
