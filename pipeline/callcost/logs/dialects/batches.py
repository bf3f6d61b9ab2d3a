"""Outputs of the providers' batch APIs: one answer a line, in any order, priced as a batch.

A ``custom_id`` is the writer's own and comes again in the next batch, so that the key is the provider's: the id of the
line or of the answer. A line that was never answered names no model and was not billed: context, not a call. Google and
AWS name no model and no time of their own: what the answer says is all there is.
"""

from __future__ import annotations

from callcost.logs.record.dialect import CONTEXT, Dialect, Entry, like_named
from callcost.logs.record.envelopes import Envelope, envelope
from callcost.logs.values.json import Refusal
from callcost.logs.values.signatures import Signature, sign
from callcost.tables import ABORTED, Call


def settle_batch(call: Call, entry: Entry) -> None:
    """Price it as a batch; set a line without an answer aside. What a batch cancels is not billed."""
    if not call.model and entry.api is None and (call.status == "failure" or not entry.response):
        raise Refusal(CONTEXT)
    call.service_tier = "batch"
    call.flags = [flag for flag in call.flags if flag != ABORTED]


def _batch(
    name: str,
    *signatures: Signature,
    key: tuple[str, ...] = ("@provider_response_id",),
    request: tuple[str, ...] = (),
    response: str = "response",
    json_columns: tuple[str, ...] = (),
    envelopes: tuple[Envelope, ...] = (),
    provider: str | None = None,
    **fields: tuple[str, ...],
) -> Dialect:
    """Return the dialect of one provider's outputs: where the answer stands, and what stands beside it."""
    answers = like_named("@provider_response_id @model @inference_geo user error") | {"duplicate_id": key}
    return Dialect(
        name=name,
        rank=30,
        signatures=signatures,
        envelopes=envelopes,
        fields=answers | fields,
        json_columns=json_columns,
        usage=("@",),
        request=request,
        response=(response,),
        provider=provider,
        settle=settle_batch,
    )


DIALECTS = (
    _batch(
        "openai_batch",
        sign("custom_id response", none="request result"),
        sign("custom_id error", none="request result body params"),
        key=("id", "@provider_response_id"),
        response="response.body",
        own_id=("custom_id", "id"),
        started_at=("@started_at",),
        http_status=("response.status_code",),
    ),
    _batch(
        "anthropic_batch",
        sign("custom_id result", kinds={"result": "object"}),
        response="result.message",
        own_id=("custom_id",),
        status=("result.type",),
        error=("result.error",),
    ),
    _batch(
        "vertex_batch",
        sign("request response processed_time"),
        sign("request status processed_time"),
        Signature(
            keys=frozenset(["request", "response"]),
            values=((("status",), frozenset([""])),),
            kinds=((("response", "usageMetadata"), (dict,)),),
        ),
        json_columns=("request", "response"),
        request=("request",),
        provider="vertex_ai",
        model_requested=("request.model",),
        started_at=("processed_time", "@started_at"),
        tags=("request.labels",),
        error=("status",),
    ),
    _batch(
        "gemini_batch",
        sign("key", none="request", kinds={"key": "text", "response.usageMetadata": "object"}),
        sign("key", none="request", kinds={"key": "text", "response.candidates": "array"}),
        sign("key", none="request response", kinds={"key": "text", "error": "object"}),
        sign("name metadata", none="request", kinds={"response.usageMetadata": "object"}),
        sign("name metadata", none="request response", kinds={"error": "object"}),
        envelopes=(
            envelope(
                "response.inlinedResponses.inlinedResponses",
                sign(kinds={"response.inlinedResponses.inlinedResponses": "array"}),
                inherits="name metadata",
            ),
        ),
        provider="gemini",
        own_id=("key", "metadata.key"),
        started_at=("@started_at",),
    ),
    _batch(
        "bedrock_batch",
        sign("recordId", some="modelOutput error"),
        request=("modelInput",),
        response="modelOutput",
        provider="bedrock",
        own_id=("recordId",),
        model_requested=("modelInput.model",),
    ),
)
