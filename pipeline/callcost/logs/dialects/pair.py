"""Home-made pairs: {request, response} with the provider's own bodies, and what the writer put beside them.

An explicit ``id`` is the writer's own and comparable only with other pairs; without one the provider's response id is
the key, and then a pair and the bare body of the same answer are one call (family "provider").
"""

from __future__ import annotations

from callcost.logs.record.dialect import UNBILLED, Dialect, Entry, like_named
from callcost.logs.record.stated_usage import USAGE_PLACES
from callcost.logs.responses.bodies import ENDPOINTS, counts_only, endpoint_of_request
from callcost.logs.values.json import Refusal
from callcost.logs.values.signatures import sign
from callcost.tables import Call


def settle_pair(call: Call, entry: Entry) -> None:
    """Say what the table cannot: which id space, whose model name, which API a lone request went to."""
    if counts_only(entry.record.get("endpoint")) or counts_only(entry.values.get("url")):
        raise Refusal(UNBILLED)
    if not call.own_id:
        call.family = "provider"
    call.endpoint = call.endpoint or endpoint_of_request(entry.request)
    api = ENDPOINTS.get(call.endpoint or "")
    beside = call.model_requested
    if beside and (not call.model or (api is not None and api.asked)):
        call.model = beside


DIALECTS = (
    Dialect(
        name="pair",
        rank=60,
        signatures=(
            sign("request", kinds={"request": "object array text"}),
            sign("response", none="messages prompt input", kinds={"response": "object array"}),
        ),
        json_columns=("request", "response", "tags", "metadata"),
        fields=like_named("provider endpoint end_user team project tags region @inference_geo @logged_ticks")
        | {
            "own_id": ("id",),
            "duplicate_id": ("id", "@provider_response_id"),
            "provider_response_id": ("@provider_response_id", "response.id"),
            "model": ("@model", "response.model", "response.body.model"),
            "model_requested": ("model", "request.model", "request.modelId", "request.body.model"),
            "user": ("user", "user_id", "request.user", "request.metadata.user_id", "request.body.user"),
            "api_key": ("api_key_alias", "api_key_id"),
            "org": ("org", "organization"),
            "session": ("session", "session_id"),
            "started_at": (
                "started_at", "timestamp", "time", "created_at", "startTime", "startedAt", "createdAt", "start_time",
                "@started_at",
            ),
            "ended_at": ("ended_at", "end_time", "endTime", "endedAt", "completedAt", "@ended_at"),
            "service_tier": ("service_tier", "@service_tier", "request.service_tier"),
            "url": ("url", "api_base", "base_url", "request.url"),
            "speed": ("@speed", "request.speed"),
            "status": ("status", "response.status"),
            "error": ("error", "response.error", "response.body.error"),
            "http_status": ("status_code", "response.status_code", "response.status"),
            "logged_cost": ("cost", "@logged_cost"),
        },
        usage=("@", *USAGE_PLACES),
        request=("request.body", "request"),
        response=("response.body", "response"),
        alone=True,
        settle=settle_pair,
    ),
)
