"""Langfuse: observations of its blob export (snake_case), of its API and UI exports (camelCase), traces that hold them.

Only generations and embeddings are calls. A generation inside a generation repeats it: settled with the duplicates, by
``span`` and ``parent``. An export has a row for each version of an observation, so that the same id is always the same
call. Its SDKs take cached, reasoning and audio tokens out of "input" and "output", others leave them in: the stated
total tells, which Langfuse itself adds up where a writer gives none. Costs are US dollars, by Langfuse's own prices.
Zero counts are what it puts where none are known. Times without a zone are UTC (ClickHouse). What its SDKs send, and it
keeps in its bucket, are events, each of which states a part of an observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from callcost.logs.record.dialect import CONTEXT, Dialect, Entry, Notes, refusing_dialect
from callcost.logs.record.envelopes import envelope
from callcost.logs.record.stated_usage import OWN_COUNTS
from callcost.logs.tracing.attributes import PECULIAR_IDS, as_mapping, span_name
from callcost.logs.tracing.conversations import chat_request, chat_response, is_redacted, is_whole, unquote
from callcost.logs.tracing.token_attributes import INGESTED_COUNTS
from callcost.logs.values.json import Refusal, canonical
from callcost.logs.values.signatures import sign
from callcost.tables import Call

_CALLS = {"GENERATION": "chat", "EMBEDDING": "embeddings"}
_MEDIA = b"@@@langfuseMedia:"  # in the place of an image or audio
_KINDS = "GENERATION EMBEDDING SPAN EVENT AGENT TOOL CHAIN RETRIEVER EVALUATOR GUARDRAIL"
_PARTS, _DONE = ("generation", "observation", "span", "event"), ("create", "update")
_EVENTS = ("trace-create", "score-create", "sdk-log")
_MOST = 10_000  # observations and traces that are held: what updates one comes soon after it
_OF_TRACES = ("userId", "sessionId", "tags")
_OWN = ("input_", "output_")  # names that its SDKs give to what they took out of "input" and "output"

_OWN_COUNTS = {
    "prompt_tokens": ("input", "input_tokens", "prompt_tokens", "promptTokens", "inputTokens", "prompt_token_count"),
    "completion_tokens": (
        "output", "output_tokens", "completion_tokens", "completionTokens", "outputTokens", "candidates_token_count",
    ),
    "total_tokens": ("total", "total_tokens", "totalTokens", "total_token_count"),
    "cache_read_input_tokens": (
        "input_cached_tokens", "input_cache_read", "cache_read_input_tokens", "input_cache_read_input_tokens",
        "cached_tokens", "input_cached_content_token_count", "cached_content_token_count", "cache_read",
    ),
    "cache_creation_input_tokens": (
        "input_cache_creation", "cache_creation_input_tokens", "input_cache_creation_input_tokens",
        "input_cache_write_tokens", "input_cache_write", "cache_creation",
    ),
    "cache_write_5m_tokens": ("input_cache_creation_5m",),
    "cache_write_1h_tokens": ("input_cache_creation_1h",),
    "audio_input_tokens": ("input_audio_tokens", "input_audio"),
    "image_input_tokens": ("input_image_tokens", "input_image"),
    "text_input_tokens": ("input_text_tokens",),
    "text_output_tokens": ("output_text_tokens",),
    "reasoning_tokens": (
        "output_reasoning_tokens", "output_reasoning", "reasoning_tokens", "thoughts_token_count",
    ),
    "audio_output_tokens": ("output_audio_tokens", "output_audio"),
    "video_input_tokens": ("input_video_tokens", "input_video"),
    "image_output_tokens": ("output_image_tokens", "output_image"),
    "accepted_prediction_tokens": ("output_accepted_prediction_tokens",),
    "rejected_prediction_tokens": ("output_rejected_prediction_tokens",),
}  # fmt: skip
_COUNTS = {
    name: tuple(f"details.{key}" for key in dict.fromkeys((*keys, *INGESTED_COUNTS.get(name, ()))))
    for name, keys in _OWN_COUNTS.items()
}
_WHOLE = ("prompt_tokens", "completion_tokens", "total_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
_OLDER = ("input", "output", "total")
_OLDEST = ("promptTokens", "completionTokens", "totalTokens")
_TAKEN_OUT = tuple(name for name in _OWN_COUNTS if name not in _WHOLE)


def prepare_observation(record: dict[str, Any]) -> dict[str, Any]:
    """Lay out the maps of an observation: its counts, its total cost."""
    details = as_mapping(record.get("usage_details", record.get("usageDetails")))
    older = as_mapping(record.get("usage"))
    older = older if (older.get("unit") or "TOKENS") == "TOKENS" else {}
    oldest = {name: record[name] for name in _OLDEST if record.get(name) is not None}
    if not details:
        details, older = older or oldest, {}
    named = {new: older[name] for new, name in zip(_OLDEST, _OLDER, strict=True) if older.get(name) is not None}
    copies = {name: _unlike(mapping, details) for name, mapping in (("older", named), ("oldest", oldest))}
    cost = as_mapping(record.get("cost_details", record.get("costDetails"))).get("total")
    return record | copies | {"details": details, "stated_cost": {"total": cost}}


def _unlike(copy: Mapping[str, Any], details: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what older fields say otherwise than the details, of which they copy a count or the sum of a side."""
    sums = {sum(count for name, count in details.items() if name.startswith(side) and type(count) is int)
            for side in ("input", "output")}  # fmt: skip
    like = {0, *sums, *(count for count in details.values() if type(count) is int)}
    return {} if all(count in like for count in copy.values() if type(count) is int) else copy


def parts_beside(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the parts that stand beside their side: all, where Langfuse's SDKs named what they took out."""
    return _TAKEN_OUT if any(name.startswith(_OWN) for name in record["details"]) else ()


def settle_observation(call: Call, entry: Entry) -> None:
    """Set aside what is no generation; give it its key, its place in the trace, its text."""
    values = entry.values
    endpoint = _CALLS.get(str(values.get("kind")).upper())
    if endpoint is None or (not call.model and call.usage is None):
        raise Refusal(CONTEXT)
    call.endpoint = endpoint
    trace, parent = values.get("trace"), values.get("around")
    if call.own_id and trace:
        call.duplicate_id = f"{call.own_id} {trace}"
        call.span, call.parent = span_name(call.own_id, trace), span_name(parent, trace)
    asked, answered = entry.record.get("input"), entry.record.get("output")
    call.request = chat_request(asked) if endpoint == "chat" else {"input": unquote(asked)} if asked else None
    call.response = chat_response(answered) if endpoint == "chat" else None
    entry.distinct = None
    if is_redacted(asked) or is_redacted(answered):
        call.text_missing = "redacted"
    elif not (is_whole(call.request) and is_whole(call.response)) or _MEDIA in canonical([asked, answered]):
        call.text_missing = "stripped"


def carry_event(notes: Notes, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return an observation with all that the events so far say of it.

    Args:
        notes: id of an observation or a trace -> what is said of it, of the last _MOST that anything was said of.
        record: an event of an ingestion batch: what is created or updated is its body.

    Raises:
        Refusal: it is of no generation.
    """
    kind, body = str(record.get("type")), as_mapping(record.get("body"))
    stated = {key: value for key, value in body.items() if value is not None}
    name = str(stated.get("id"))
    known: dict[str, Any] = notes.pop(name, {}) | stated
    notes[name] = known
    if len(notes) > _MOST:
        del notes[next(iter(notes))]
    if not kind.startswith(("generation-", "observation-")):
        raise Refusal(CONTEXT)
    trace = notes.get(str(known.get("traceId")), {})
    given = {key: trace[key] for key in _OF_TRACES if key in trace}
    return given | {"type": "GENERATION", "startTime": record.get("timestamp")} | known


_OBSERVATION = Dialect(
    name="langfuse",
    rank=20,
    envelopes=(
        envelope(
            "observations",
            sign("id", kinds={"observations.0": "object"}),
            sign(kinds={"observations.0.traceId": "text", "observations.0.type": "text"}),
            inherits="trace.userId:userId trace.sessionId:sessionId trace.tags:tags userId sessionId user_id"
            " session_id tags",
        ),
    ),
    signatures=(
        sign("usage_details", some="trace_id provided_model_name"),
        sign("usageDetails", some="traceId providedModelName"),
        sign("traceId parentObservationId type"),
        sign("id name startTime", values={"type": _KINDS}),
        sign("id name start_time", values={"type": _KINDS}),
    ),
    prepare=prepare_observation,
    json_columns=("input", "output", "metadata", "tags"),
    fields={
        "own_id": ("id",),
        "duplicate_id": ("id",),
        "kind": ("type",),
        "trace": ("trace_id", "traceId"),
        "around": ("parent_observation_id", "parentObservationId"),
        "started_at": ("start_time", "startTime"),
        "ended_at": ("end_time", "endTime"),
        "provider": ("metadata.ls_provider",),
        "model": ("provided_model_name", "providedModelName", "model"),
        "user": ("user_id", "userId"),
        "session": ("session_id", "sessionId"),
        "project": ("project_id", "projectId"),
        "tags": ("tags",),
        "status": ("level",),
        "logged_cost": (
            "total_cost", "totalCost", "stated_cost.total", "calculatedTotalCost", "calculated_total_cost",
        ),
    },
    usage=(OWN_COUNTS, "older", "oldest"),
    counts=_COUNTS,
    beside=parts_beside,
    unread_in="details",
    zero_is_missing=True,
    alone=True,
    peculiar_ids=PECULIAR_IDS,
    texts={"input": msgspec.Raw, "output": msgspec.Raw},
    reads=(
        "usage_details", "usageDetails", "usage", "promptTokens", "completionTokens", "totalTokens", "cost_details",
        "costDetails",
    ),
    settle=settle_observation,
    asked=lambda _: None,
)
DIALECTS = (
    _OBSERVATION,
    msgspec.structs.replace(
        _OBSERVATION,
        name="langfuse_events",
        family="langfuse",  # the same observations, by their ids
        envelopes=(envelope("batch", sign("batch", kinds={"batch.0.body": "object"})),),
        signatures=(
            sign(
                "id type body timestamp",
                values={"type": " ".join((*_EVENTS, *(f"{kind}-{done}" for kind in _PARTS for done in _DONE)))},
                kinds={"body": "object"},
            ),
        ),
        alone=False,
        carry=carry_event,
        repeats=True,
    ),
    refusing_dialect(
        "langfuse_trace",
        "",
        sign("id timestamp", some="htmlPath bookmarked", none="traceId trace_id"),
        sign("id value source", some="dataType data_type stringValue string_value"),
        family="langfuse", rank=20, reason=CONTEXT,
    ),
)  # fmt: skip
