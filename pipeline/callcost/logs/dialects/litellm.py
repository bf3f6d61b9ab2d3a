"""LiteLLM: the StandardLoggingPayload of its logging callbacks, and the rows of its SpendLogs table.

Prompt counts include cache reads and writes, whatever the provider (LiteLLM adds them up). Both forms call a request
by the same ladder (the provider's response id, else LiteLLM's own call id), so that they share one family: the same
call exported both ways is one call. Spellings differ by release: times are naive UTC text or epochs, JSON columns of
SpendLogs are text or objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from callcost.logs.record.dialect import CONTEXT, Dialect, Entry, like_named
from callcost.logs.responses.bodies import effort_paths
from callcost.logs.tracing.conversations import is_redacted
from callcost.logs.usage.usage import states_both_sides
from callcost.logs.values.json import Refusal, canonical, dicts_in
from callcost.logs.values.json_path import first_filled
from callcost.logs.values.scalars import read_rates
from callcost.logs.values.signatures import sign
from callcost.tables import Call

_TRUNCATED = re.compile(rb"\((?:litellm_)?truncated (?:skipped )?\d+ chars")
STRIPPED = "[BASE64_REDACTED]"
CUT_MARKS = {"litellm_spend": b"truncated"}  # dialect -> what stands in every text that its writer cut
CACHE_HIT = "_cache_hit"  # in the id of a call that a cache answered; its time follows
_CACHE_HIT_ID = re.compile(rf"{CACHE_HIT}[\d.]+$")
_CALL_TYPES = {  # word in the type of a call, the most telling first -> endpoint
    "responses": "responses", "anthropic_messages": "anthropic", "embedding": "embeddings",
    "text_completion": "completions", "generate_content": "gemini", "completion": "chat", "image": "images",
    "transcription": "transcription", "speech": "speech", "rerank": "rerank", "ocr": "ocr", "realtime": "responses",
}  # fmt: skip
# Records of LiteLLM's other routes: no model answered, unless they carry tokens after all.
_NO_CALLS = re.compile("mcp|vector_store|(create|list|cancel)_batch|file|assistant|thread|fine_tuning|container")
_DEPLOYMENTS = frozenset(("azure", "azure_ai"))  # what is asked for there is a name of one's own
_REQUEST_KEYS = {
    "responses": "input", "embeddings": "input", "speech": "input", "completions": "prompt", "images": "prompt",
    "gemini": "contents",
}  # fmt: skip

_ASKS = ("messages", "proxy_server_request")
_EXTRA = "metadata.additional_usage_values"
_DETAILS = f"{_EXTRA}.prompt_tokens_details"
_PARTS = {
    "cache_read_input_tokens": (f"{_EXTRA}.cache_read_input_tokens", f"{_DETAILS}.cached_tokens"),
    "cache_creation_input_tokens": (f"{_EXTRA}.cache_creation_input_tokens", f"{_DETAILS}.cache_creation_tokens"),
    "cache_write_5m_tokens": (f"{_DETAILS}.cache_creation_token_details.ephemeral_5m_input_tokens",),
    "cache_write_1h_tokens": (f"{_DETAILS}.cache_creation_token_details.ephemeral_1h_input_tokens",),
    "reasoning_tokens": (f"{_EXTRA}.completion_tokens_details.reasoning_tokens",),
}
_COUNTS = like_named("prompt_tokens completion_tokens total_tokens")
_SHARED = like_named("model_group cache_hit @provider_response_id call_type litellm_call_id") | {
    "user": ("metadata.user_api_key_user_id",),
    "team": ("metadata.user_api_key_team_alias", "metadata.user_api_key_team_id"),
    "org": ("metadata.user_api_key_org_id",),
    "project": ("metadata.user_api_key_project_alias", "metadata.user_api_key_project_id"),
    "started_at": ("startTime",),
    "ended_at": ("endTime",),
    "provider": ("custom_llm_provider",),
    "status": ("status", "metadata.status"),
    "tags": ("request_tags",),
    "session": ("session_id",),
    "url": ("api_base", "hidden_params.api_base"),
    "model_requested": ("model_group", "model"),
    "priced_as": ("model_map_information.model_map_key", "metadata.model_map_information.model_map_key"),
    "rates": ("model_map_information.model_map_value", "metadata.model_map_information.model_map_value"),
    "answered_by": ("@model",),
    "batch": ("hidden_params.batch_models", "metadata.batch_models"),
    "service_tier": (
        "cost_breakdown.service_tier", "metadata.cost_breakdown.service_tier", "@service_tier",
        "metadata.usage_object.service_tier", "hidden_params.provider_specific_fields.traffic_type",
        "model_parameters.service_tier",
    ),
    "data_residency": ("cost_breakdown.data_residency", "metadata.cost_breakdown.data_residency"),
    "region": ("cost_breakdown.vertex_location", "metadata.cost_breakdown.vertex_location",
               "model_parameters.aws_region_name", "model_parameters.vertex_location"),
    "inference_geo": ("metadata.usage_object.inference_geo", "@inference_geo"),
    "speed": ("metadata.usage_object.speed", "@speed"),
    "effort": effort_paths(("model_parameters",)),
}  # fmt: skip


def settle_litellm(call: Call, entry: Entry) -> None:
    """Say what the table cannot: the kind of call, its text, cache hits, batches, LiteLLM's own estimates."""
    call_type = str(entry.values.get("call_type", ""))
    if call.usage is None and _NO_CALLS.search(call_type):
        raise Refusal(CONTEXT)
    call.endpoint = _endpoint_of(entry)
    if call.provider in _DEPLOYMENTS:
        call.model = str(entry.values.get("answered_by") or entry.values.get("priced_as") or call.model)
    if entry.values.get("batch") or "batch" in call_type:
        call.service_tier = "batch"
    if call.own_id and (call.status == "cache_hit" or _CACHE_HIT_ID.search(call.own_id)):
        call.status = "cache_hit"
        _part_from_origin(call, entry)
    if call.status == "failure" and call.usage is not None:
        call.usage_source = "estimated_upstream"  # the provider sent no answer: LiteLLM counted the prompt itself
    call.stated_rates = read_rates(entry.values.get("rates"))
    _settle_text(call, entry)


def _part_from_origin(call: Call, entry: Entry) -> None:
    """Give a hit of LiteLLM's cache a key of its own: it repeats the id of the call that it spared."""
    origin = _CACHE_HIT_ID.sub("", call.own_id or "")
    own = entry.values.get("litellm_call_id") or call.own_id
    call.duplicate_id = f"{origin}{CACHE_HIT} {own if own != origin else call.started_at}"


def _endpoint_of(entry: Entry) -> str | None:
    call_type = str(entry.values.get("call_type", ""))
    return next((name for word, name in _CALL_TYPES.items() if word in call_type), entry.values["endpoint"])


def _settle_text(call: Call, entry: Entry) -> None:
    """Build the request from where LiteLLM keeps its text; drop what was redacted or cut."""
    messages, request, key = _request_in(entry.record, call.endpoint)
    call.request = {**(request if type(request) is dict else {}), key: messages} if messages else None
    call.text_missing = _spoiled(messages, entry.response, may_be_cut=call.source_format == "litellm_spend")
    if call.text_missing is None and not states_both_sides(call.usage) and _is_stripped(messages):
        call.text_missing = "stripped"
    entry.distinct = None if call.text_missing else messages


def _asked(entry: Entry, *, may_be_cut: bool) -> Any:
    messages, _, _ = _request_in(entry.record, _endpoint_of(entry))
    return None if _spoiled(messages, entry.response, may_be_cut=may_be_cut) else messages


def _request_in(record: Mapping[str, Any], endpoint: str | None) -> tuple[Any, Any, str]:
    """Return the messages of a record, the request around them, and the key that they have there."""
    keys = (_REQUEST_KEYS.get(endpoint or "", "messages"), "messages", "input", "prompt", "contents")
    messages, request = record.get("messages"), record.get("model_parameters")
    if not messages:
        sent = record.get("proxy_server_request")
        request = sent.get("body", sent) if type(sent) is dict else None
        messages = first_filled(request, keys) if type(request) is dict else None
    return messages, request, keys[0]


def _spoiled(messages: Any, response: Any, *, may_be_cut: bool) -> str | None:
    """Return why texts are not whole whatever the usage is; None: nothing says so."""
    if is_redacted(messages) or is_redacted(_answers(response)):
        return "redacted"
    return "truncated" if may_be_cut and any(map(_is_cut, (messages, response))) else None


def _is_cut(text: Any) -> bool:
    """Tell whether SpendLogs shortened a text: its strings are marked, JSON as text is cut off."""
    return (type(text) is str and text.startswith(("[", "{"))) or bool(text and _TRUNCATED.search(canonical(text)))


def _is_stripped(messages: Any) -> bool:
    """Tell whether files were taken out of messages (s3_strip_base64_files): all of a content, or marked."""
    found = dicts_in(messages)
    values = [value for message in found for value in message.values()]
    if type(messages) is list and all(type(value) is str for value in values):  # chats without parts: quick to search
        return any(STRIPPED in value for value in values)
    return any(message.get("content") == [] for message in found) or STRIPPED.encode() in canonical(messages)


def _answers(response: Any) -> Any:
    if type(response) is not dict:
        return response
    if "choices" in response:
        return [choice.get("message") for choice in dicts_in(response["choices"])]
    if "output" in response:
        return [part for item in dicts_in(response["output"]) for part in dicts_in(item.get("content"))]
    return response if "text" in response else None


DIALECTS = (
    Dialect(
        name="litellm_standard",
        family="litellm",
        rank=20,
        signatures=(
            sign("call_type startTime response_cost", some="model_map_information hidden_params model_parameters"),
        ),
        fields=_SHARED | {
            "own_id": ("id",),
            "duplicate_id": ("id",),
            "model": ("hidden_params.litellm_model_name", "model", "@model"),
            "end_user": ("end_user", "metadata.user_api_key_end_user_id", "model_parameters.user"),
            "api_key": ("metadata.user_api_key_alias", "metadata.user_api_key_hash"),
            "logged_cost": ("response_cost",),
        },
        json_columns=("metadata", "messages", "response", "request_tags", "model_parameters", "hidden_params",
                      "cost_breakdown", "model_map_information"),
        usage=("metadata.usage_object", "hidden_params.usage_object", "@"),
        counts=_COUNTS,
        response=("response",),
        zero_is_missing=True,
        peculiar_ids=CACHE_HIT,
        settle=settle_litellm,
        asked=partial(_asked, may_be_cut=False),
        asks=_ASKS,
    ),
    Dialect(
        name="litellm_spend",
        family="litellm",
        rank=20,
        signatures=(
            sign("request_id spend startTime call_type"),
            sign("request_id call_type api_key model startTime"),
            sign("request_id call_type metadata"),
        ),
        fields=_SHARED | {
            "own_id": ("request_id",),
            "duplicate_id": ("request_id",),
            "model": ("model", "@model"),
            "user": ("user", "metadata.user_api_key_user_id"),
            "end_user": ("end_user", "metadata.user_api_key_end_user_id"),
            "team": ("metadata.user_api_key_team_alias", "team_id", "metadata.user_api_key_team_id"),
            "org": ("organization_id", "metadata.user_api_key_org_id"),
            "api_key": ("metadata.user_api_key_alias", "api_key", "metadata.user_api_key"),
            "logged_cost": ("spend",),
        },
        json_columns=("metadata", "messages", "response", "request_tags", "proxy_server_request"),
        usage=("metadata.usage_object", "@"),
        counts=_COUNTS | _PARTS,
        response=("response",),
        zero_is_missing=True,
        peculiar_ids=CACHE_HIT,
        settle=settle_litellm,
        asked=partial(_asked, may_be_cut=True),
        asks=_ASKS,
    ),
)  # fmt: skip
