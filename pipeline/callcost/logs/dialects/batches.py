"""Outputs of the providers' batch APIs: one answer a line, in any order, priced as a batch.

A ``custom_id`` is the writer's own and comes again in the next batch, so that the key is the provider's: the id of the
line or of the answer. A line that was never answered names no model and was not billed: context, not a call. Google and
AWS name no model and no time of their own: what the answer says is all there is.
"""

from __future__ import annotations

from callcost.logs.record.dialect import CONTEXT, Dialect, Entry
from callcost.logs.record.envelopes import Envelope
from callcost.logs.values.json import Refusal
from callcost.logs.values.signatures import Signature, sign
from callcost.tables import Call


def settle_batch(call: Call, entry: Entry) -> None:
    """Price it as a batch; set a line without an answer aside."""
    if not call.model and entry.api is None and (call.status == "failure" or not entry.response):
        raise Refusal(CONTEXT)
    call.service_tier = "batch"


_ANSWERS = {
    "provider_response_id": ("@provider_response_id",),
    "model": ("@model",),
    "inference_geo": ("@inference_geo",),
    "user": ("user",),
}

DIALECTS = (
    Dialect(
        name="openai_batch",
        family="openai_batch",
        rank=30,
        signatures=(
            sign("custom_id response", none="request result"),
            sign("custom_id error", none="request result body params"),
        ),
        fields=_ANSWERS
        | {
            "own_id": ("custom_id", "id"),
            "duplicate_id": ("id", "@provider_response_id"),
            "started_at": ("@started_at",),
            "error": ("error",),
            "http_status": ("response.status_code",),
        },
        usage=("@",),
        response=("response.body",),
        settle=settle_batch,
    ),
    Dialect(
        name="anthropic_batch",
        family="anthropic_batch",
        rank=30,
        signatures=(sign("custom_id result", kinds={"result": "object"}),),
        fields=_ANSWERS
        | {
            "own_id": ("custom_id",),
            "duplicate_id": ("@provider_response_id",),
            "status": ("result.type",),
            "error": ("result.error",),
        },
        usage=("@",),
        response=("result.message",),
        settle=settle_batch,
    ),
    Dialect(
        name="vertex_batch",
        family="vertex_batch",
        rank=30,
        signatures=(
            sign("request response processed_time"),
            sign("request status processed_time"),
            Signature(
                keys=frozenset(["request", "response"]),
                values=((("status",), frozenset([""])),),
                kinds=((("response", "usageMetadata"), (dict,)),),
            ),
        ),
        json_columns=("request", "response"),
        fields=_ANSWERS
        | {
            "duplicate_id": ("@provider_response_id",),
            "model_requested": ("request.model",),
            "started_at": ("processed_time", "@started_at"),
            "tags": ("request.labels",),
            "error": ("status",),
        },
        usage=("@",),
        request=("request",),
        response=("response",),
        provider="vertex_ai",
        settle=settle_batch,
    ),
    Dialect(
        name="gemini_batch",
        family="gemini_batch",
        rank=30,
        signatures=(
            sign("key", none="request", kinds={"key": "text", "response.usageMetadata": "object"}),
            sign("key", none="request", kinds={"key": "text", "response.candidates": "array"}),
            sign("key", none="request response", kinds={"key": "text", "error": "object"}),
            sign("name metadata", none="request", kinds={"response.usageMetadata": "object"}),
            sign("name metadata", none="request response", kinds={"error": "object"}),
        ),
        envelopes=(
            Envelope(
                signatures=(sign(kinds={"response.inlinedResponses.inlinedResponses": "array"}),),
                rows=("response", "inlinedResponses", "inlinedResponses"),
                inherits=("name", "metadata"),
            ),
        ),
        fields=_ANSWERS
        | {
            "own_id": ("key", "metadata.key"),
            "duplicate_id": ("@provider_response_id",),
            "started_at": ("@started_at",),
            "error": ("error",),
        },
        usage=("@",),
        response=("response",),
        provider="gemini",
        settle=settle_batch,
    ),
    Dialect(
        name="bedrock_batch",
        family="bedrock_batch",
        rank=30,
        signatures=(sign("recordId", some="modelOutput error"),),
        fields=_ANSWERS
        | {
            "own_id": ("recordId",),
            "duplicate_id": ("@provider_response_id",),
            "model_requested": ("modelInput.model",),
            "error": ("error",),
        },
        usage=("@",),
        request=("modelInput",),
        response=("modelOutput",),
        provider="bedrock",
        settle=settle_batch,
    ),
)
