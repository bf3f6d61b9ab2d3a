"""OpenTelemetry spans of LLM calls: OTLP JSON, exporters' own JSON, rows of Phoenix and ClickHouse, flat attributes.

What their counts are called, and what these mean, is in tracing/token_attributes.py, their text in span_text.py. A span
that says it is an agent, a chain or a tool, or Vercel's outer span, is none: what it states is counted in the spans
inside it; calls inside calls are settled with the duplicates, by ``span`` and ``parent``. The key is the provider's
response id within a trace (one call seen by two instrumentations), else the span's own id.

Events are log records: of the GenAI conventions, of Claude Code, Codex, Gemini CLI and Qwen Code. Gemini CLI writes a
call as both; its own says more. Codex's span of a turn has the sum of its calls, whose events count in its place.
MLflow's traces are spans whose attributes are JSON as text. Sources: https://code.claude.com/docs/en/monitoring-usage,
openai/codex codex-rs/otel, gemini-cli packages/core/src/telemetry, mlflow/mlflow mlflow/entities/span.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from callcost.logs.record.dialect import CONTEXT, COUNTED_ELSEWHERE, Dialect, Entry
from callcost.logs.record.envelopes import envelope
from callcost.logs.tracing.attributes import PECULIAR_IDS, as_mapping, read_attributes, span_id, span_name
from callcost.logs.tracing.conversations import is_whole, unquote
from callcost.logs.tracing.span_text import answer_of, request_of
from callcost.logs.tracing.token_attributes import COUNTS, NOTED, attribute_paths, parts_beside
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import compile_table, read_paths
from callcost.logs.values.scalars import read_text
from callcost.logs.values.signatures import sign
from callcost.models import PROVIDERS, provider_of
from callcost.tables import SESSION_SUM, Call

_CALLS = "chat text_completion generate_content embeddings completion embedding responses"
_NO_CALLS = "invoke_agent create_agent execute_tool invoke_workflow plan retrieval search_memory"
_GENAI_EVENT = "gen_ai.client.inference.operation.details"
_EVENTS = f"""
    api_request claude_code.api_request codex.sse_event gemini_cli.api_response qwen-code.api_response {_GENAI_EVENT}
"""
# What a span says it is, the most telling first: attribute -> (words of a call, words of none; None: any other).
_KINDS: tuple[tuple[str, str, str | None], ...] = (
    ("span.event", _EVENTS, ""),
    ("openinference.span.kind", "llm embedding", None),
    ("langfuse.observation.type", "generation embedding", None),
    ("mlflow.spanType", "llm chat_model embedding", None),
    ("langsmith.span.kind", "llm embedding", None),
    ("langwatch.span.type", "llm", "agent chain tool rag workflow component"),
    ("traceloop.span.kind", "", "workflow task agent tool"),
    ("gen_ai.operation.name", _CALLS, _NO_CALLS),
    ("llm.request.type", _CALLS, "rerank"),
)
_VERCEL = "ai.operationId"
_AGENT_RUNS = ("final_result", "all_messages_events", "pydantic_ai.all_messages")  # on Pydantic AI's outer spans
_MLFLOW = (  # JSON as text
    "mlflow.chat.tokenUsage", "mlflow.llm.cost", "mlflow.llm.model", "mlflow.llm.provider", "mlflow.message.format",
)  # fmt: skip
_TURN = "codex.turn.token_usage.input_tokens"
_ATTRIBUTES = (
    "trace_metadata", "resource_attributes", "ResourceAttributes", "span_attributes", "SpanAttributes", "attributes",
)  # fmt: skip
_LINEAGE_OBJECTS = ("context", "spanContext", "parentSpanContext", "status")  # JSON as text in a table
_ERRORS = frozenset(("2", "error", "status_code_error", "statuscode.error"))
_GOOGLE_VERTEX = "google.vertex"  # Vercel's; its google.generative-ai is plain "google"


_LINEAGE = compile_table({
    "trace": ("trace_id", "traceId", "TraceId", "spanContext.traceId", "context.trace_id"),
    "own": ("span_id", "spanId", "SpanId", "spanContext.spanId", "context.span_id"),
    "parent": ("parent_id", "parentSpanId", "parent_span_id", "ParentSpanId", "parentSpanContext.spanId"),
    "event": ("eventName", "event_name", "attributes.event\\.name"),
    "began": ("timeUnixNano", "time_unix_nano", "observedTimeUnixNano", "hrTime",
              "startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime", "Timestamp", "timestamp"),
    "ended": ("endTimeUnixNano", "end_time_unix_nano", "end_time", "endTime"),
    "status": ("status.code", "status.status_code", "status_code", "StatusCode", "status"),
    "scope": ("scope.name", "scopeName", "ScopeName", "instrumentationScope.name"),
})  # fmt: skip


def prepare_span(record: dict[str, Any]) -> dict[str, Any]:
    """Lay a span out flat: its attributes by name, what it is under ``span.``."""
    plain = {key.removeprefix("context."): value for key, value in record.items()}
    plain |= {key: unquote(plain[key]) for key in _LINEAGE_OBJECTS if type(plain.get(key)) is str}
    flat = read_attributes(as_mapping(record.get("resource")).get("attributes"))
    for key in _ATTRIBUTES:
        if record.get(key) is not None:
            flat |= read_attributes(record[key])
    flat |= {
        key.removeprefix("attributes."): value
        for key, value in record.items()
        if "." in key and value is not None and not key.startswith("context.")
    }
    flat |= read_attributes({name: unquote(flat[name]) for name in _MLFLOW if name in flat})
    stated = read_attributes(flat.pop("ai.response.providerMetadata", None))
    flat |= {f"provider.{name}": value for name, value in stated.items()}
    lineage = {f"span.{name}": value for name, value in read_paths(plain, _LINEAGE).items()}
    times = {name: _moment(lineage[name]) for name in ("span.began", "span.ended") if name in lineage}
    event = flat.get("event.name", lineage.get("span.event"))
    lineage |= {"span.event": event} if type(event) is str else {}
    host = flat.get("server.address")
    url = {"url": f"https://{host}"} if type(host) is str and "//" not in host else {}
    return url | flat | lineage | times | {"span.status": _status_of(lineage, flat)}


def _moment(value: Any) -> Any:
    """Return a time; JavaScript's is [seconds, nanoseconds]."""
    if type(value) is list and len(value) == 2 and all(type(part) is int for part in value):
        return value[0] * 10**9 + value[1]
    return value


def _status_of(lineage: Mapping[str, Any], flat: Mapping[str, Any]) -> str | None:
    stated = str(lineage.get("span.status", "")).lower()
    return "error" if stated in _ERRORS or flat.get("error.type") else None


def settle_span(call: Call, entry: Entry) -> None:
    """Set aside what is no call; give it its key, its place among the spans, its text."""
    flat = entry.record
    if not _is_call(flat, stated=call.usage is not None):
        raise Refusal(COUNTED_ELSEWHERE if call.usage is not None else CONTEXT)
    if not call.model and call.usage is None:
        raise Refusal(CONTEXT)
    call.provider = _provider(call.provider, call.model)
    call.endpoint = _endpoint_of(flat)
    trace, own, parent = (span_id(flat.get(f"span.{name}")) for name in ("trace", "own", "parent"))
    call.span, call.parent = span_name(own, trace), span_name(parent, trace)
    call.own_id = own if trace else None
    key = call.provider_response_id or own
    call.duplicate_id = f"{key} {trace}" if key and trace else call.provider_response_id
    if _TURN in flat:
        call.flags.append(SESSION_SUM)
        call.own_id = call.duplicate_id = read_text(flat.get("turn.id"))
        call.session = read_text(flat.get("thread.id"))
        call.span, call.parent = _session(flat, "thread.id"), None
    elif flat.get("span.event") == "codex.sse_event":
        call.parent = _session(flat, "conversation.id")
    call.request, call.response = request_of(flat, call.endpoint), answer_of(flat)
    entry.distinct = None if call.provider_response_id else call.request
    if not (is_whole(call.request) and is_whole(call.response)):
        call.text_missing = "stripped"


def _endpoint_of(flat: Mapping[str, Any]) -> str:
    kinds = (str(flat.get(name, "")).lower() for name in (_VERCEL, *(name for name, _, _ in _KINDS)))
    return "embeddings" if any("embed" in kind for kind in kinds) else "chat"


def asked_in_span(entry: Entry) -> Any:
    """Return the request of a span whose response has no id of its provider's."""
    identified = read_text(entry.values.get("provider_response_id"))
    return None if identified else request_of(entry.record, _endpoint_of(entry.record))


def _session(flat: Mapping[str, Any], name: str) -> str | None:
    """Return what a turn of Codex's and the calls made in it have in common."""
    own = read_text(flat.get(name))
    return f"codex {own}" if own else None


def _is_call(flat: Mapping[str, Any], *, stated: bool) -> bool:
    if flat.get("span.event") == _GENAI_EVENT and str(flat.get("span.scope", "")).startswith("gemini_cli"):
        return False
    if type(flat.get(_VERCEL)) is str:
        return ".do" in flat[_VERCEL]  # ai.streamText is around ai.streamText.doStream
    for name, calls, others in _KINDS:
        word = str(flat.get(name, "")).lower().strip('"')
        if word and (word in calls.split() or others is None or word in others.split()):
            return word in calls.split()
    return stated and not any(name in flat for name in _AGENT_RUNS)


def _provider(stated: str | None, model: str) -> str | None:
    """Return who was asked; Vercel adds the API to the name ("openai.responses")."""
    if stated is None or provider_of(stated, model) in PROVIDERS:
        return stated
    return "vertex_ai" if stated.startswith(_GOOGLE_VERTEX) else stated.partition(".")[0]


_FLAT = """
    gen_ai.system gen_ai.provider.name gen_ai.operation.name gen_ai.request.model gen_ai.response.model
    gen_ai.usage.input_tokens gen_ai.usage.prompt_tokens llm.model_name llm.token_count.prompt llm.request.type
    openinference.span.kind ai.operationId ai.model.id
"""
_TEXTS = {
    f"{place}{name}": msgspec.Raw
    for place in ("", "attributes.", "attributes\\.")
    for name in attribute_paths(
        "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions",
        "gen_ai.prompt", "gen_ai.completion", "input.value", "output.value", "ai.prompt.messages", "ai.response.text",
        "gen_ai.input", "gen_ai.output", "mlflow.spanInputs", "mlflow.spanOutputs",
    )
}  # fmt: skip
_BESIDE = """
    timeUnixNano observedTimeUnixNano time_unix_nano hrTime
    spanContext spanId span_id context SpanId spanName span_name parent_id parentSpanId traceId trace_id TraceId
"""
_TRACED = {
    "session": ("gen_ai.conversation.id", "session.id", "langfuse.session.id", "langwatch.thread.id",
                "ai.telemetry.metadata.sessionId", "traceloop.association.properties.session_id", "conversation.id",
                "mlflow.trace.session"),
    "user": ("user.id", "enduser.id", "langfuse.user.id", "langwatch.user.id", "ai.telemetry.metadata.userId",
             "traceloop.association.properties.user_id", "user.email", "mlflow.trace.user"),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider",
                 "mlflow.llm.provider"),
    "model": ("gen_ai.response.model", "ai.response.model", "llm.response.model", "llm.model_name",
              "embedding.model_name", "mlflow.llm.model", "gen_ai.request.model", "ai.model.id", "llm.request.model",
              "model"),
    "model_requested": ("gen_ai.request.model", "ai.model.id", "llm.request.model", "llm.model_name"),
    "provider_response_id": ("gen_ai.response.id", "ai.response.id", "request_id"),
    "service_tier": ("openai.response.service_tier", "gen_ai.openai.response.service_tier",
                     "provider.openai.serviceTier", "provider.anthropic.usage.service_tier",
                     "provider.google.usageMetadata.serviceTier", "provider.google.usageMetadata.trafficType",
                     "provider.vertex.usageMetadata.trafficType", "openai.request.service_tier",
                     "gen_ai.openai.request.service_tier"),
    "inference_geo": ("provider.anthropic.usage.inference_geo",),
    "speed": ("provider.anthropic.usage.speed",),
    "effort": ("gen_ai.request.reasoning_effort", "gen_ai.openai.request.reasoning_effort"),
    "logged_cost": ("gen_ai.usage.cost", "llm.cost.total", "operation.cost", "provider.openrouter.usage.cost",
                    "cost_usd", "mlflow.llm.cost.total_cost"),
    "tags": ("tag.tags", "langfuse.trace.tags", "langwatch.labels"),
    "http_status": ("http.response.status_code",),
    "host": ("host.name",),
    "billing": ("auth_mode", "auth_type"),  # of Codex, of Gemini CLI
    "started_at": ("span.began", "ai.response.timestamp"),
    "ended_at": ("span.ended",),
    "status": ("span.status",),
}  # fmt: skip

DIALECTS = (
    Dialect(
        name="otel",
        rank=25,
        envelopes=(
            envelope(
                "resourceSpans.scopeSpans.spans",
                sign("resourceSpans", kinds={"resourceSpans": "array"}),
                inherits="resource scope",
            ),
            envelope(
                "resourceLogs.scopeLogs.logRecords",
                sign("resourceLogs", kinds={"resourceLogs": "array"}),
                inherits="resource scope",
            ),
            envelope(
                "traces.data.spans",
                sign(kinds={"traces.0.data": "object", "traces.0.info": "object"}),
                inherits="info.trace_metadata:trace_metadata",
            ),
            envelope(
                "data.spans",
                sign("info data", kinds={"data.spans": "array"}),
                inherits="info.trace_metadata:trace_metadata",
            ),
            envelope("scopeSpans.spans", sign("scopeSpans", kinds={"scopeSpans": "array"}), inherits="resource scope"),
        ),
        signatures=(
            sign("traceId spanId startTimeUnixNano"),
            sign("attributes", some=_BESIDE, kinds={"attributes": "object array text"}),
            sign("SpanAttributes", some=_BESIDE),
            sign(some=_FLAT),
            sign(some=" ".join(f"attributes.{name}" for name in _FLAT.split())),
        ),
        prepare=prepare_span,
        fields={column: attribute_paths(*names) for column, names in _TRACED.items()} | {"url": ("url",)},
        counts=COUNTS,
        beside=parts_beside,
        total_decides=False,  # Traceloop and the Vercel SDK add up the sides alone
        unread_in="",
        noted=attribute_paths(*NOTED),
        no_counts=frozenset(),
        reads=("",),
        texts=_TEXTS,
        alone=True,
        peculiar_ids=PECULIAR_IDS,
        settle=settle_span,
        asked=asked_in_span,
    ),
)
