"""Bedrock's model invocation log, as it lies in S3 and as CloudWatch exports it.

The counts that AWS took stand beside the bodies, without the caches, which stand below ``input`` or beside it; a body
of a provider's own says more (what was written for an hour), and goes first where it knows of caches at all. Bodies
that are large, or that are not to be logged, are moved to S3: their counts stay. An application's inference profile
hides the model, which only an answer names. Source: AWS, Bedrock user guide, model-invocation-logging.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from callcost.logs.record.dialect import Dialect, Entry, like_named
from callcost.logs.responses.bodies import endpoint_of_request
from callcost.logs.values.json import decode_text
from callcost.logs.values.signatures import sign
from callcost.tables import Call

_NAMELESS = re.compile(r":(?:application-inference-profile|provisioned-model|custom-model-deployment|imported-model)/")
_CACHES = ("cacheReadInputTokenCount", "cacheWriteInputTokenCount")
_JSON = ("input", "output", "identity", "requestMetadata")


def gather_counts(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with its counts in one object, as a response has them."""
    record = record | {name: decode_text(record[name]) for name in _JSON if type(record.get(name)) is str}
    sides = {name: side if type(side := record.get(name)) is dict else {} for name in _JSON[:2]}
    counts = {
        "inputTokenCount": sides["input"].get("inputTokenCount"),
        "outputTokenCount": sides["output"].get("outputTokenCount"),
    } | {name: sides["input"].get(name, record.get(name)) for name in _CACHES}
    return record | {"counts": {name: count for name, count in counts.items() if count is not None}}


def settle_bedrock(call: Call, entry: Entry) -> None:
    """Say who called, by which API and which model."""
    call.endpoint = call.endpoint or endpoint_of_request(entry.request)
    call.user = str(entry.values.get("arn", "")).rpartition("/")[2] or None
    answered_by = entry.values.get("answered_by")
    if type(answered_by) is str and _NAMELESS.search(call.model):
        call.model = answered_by
    if any(_is_moved(entry.record.get(name)) for name in _JSON[:2]):
        call.text_missing = "moved"


def _is_moved(side: Any) -> bool:
    return isinstance(side, Mapping) and any(key.endswith("BodyS3Path") for key in side)


DIALECTS = (
    Dialect(
        name="bedrock_invocation_log",
        rank=20,
        signatures=(sign(values={"schemaType": "ModelInvocationLog"}),),
        prepare=gather_counts,
        fields=like_named("@provider_response_id region @service_tier")
        | {
            "own_id": ("requestId",),
            "duplicate_id": ("requestId", "@provider_response_id"),
            "started_at": ("timestamp",),
            "endpoint": ("operation",),
            "model": ("modelId", "@model"),
            "model_requested": ("modelId",),
            "answered_by": ("@model",),
            "arn": ("identity.arn",),
            "org": ("accountId",),
            "tags": ("requestMetadata",),
            "error": ("errorCode",),
        },
        usage=("@", "counts"),
        request=("input.inputBodyJson",),
        response=("output.outputBodyJson",),
        provider="bedrock",
        settle=settle_bedrock,
    ),
)
