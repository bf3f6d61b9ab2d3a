"""Portkey: rows of its log export, and the log and metric files of a private gateway.

Costs are in cents, units are tokens as Portkey counted them; where the provider's body is there, its usage counts. The
three forms call a request by the same id. A hit of Portkey's own cache costs nothing. Sources: portkey.ai/docs
product/observability/logs-export; the sample files of its private cloud.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from callcost.logs.record.dialect import Dialect, Entry, like_named
from callcost.logs.tracing.attributes import as_mapping
from callcost.logs.values.api_urls import read_route
from callcost.logs.values.signatures import sign
from callcost.tables import Call

_HITS = frozenset(("hit", "semantic hit", "semantic_hit"))
_CURRENCY = "usd"


def prepare_portkey(record: dict[str, Any]) -> dict[str, Any]:
    """Lay out what stands in headers and in pairs of lists: metadata, provider, cache status, what the URL says."""
    request, response = as_mapping(record.get("request")), as_mapping(record.get("response"))
    sent = as_mapping(request.get("portkeyHeaders"))
    config = as_mapping(sent.get("x-portkey-config"))
    url = record.get("request_url") or request.get("url")
    route = read_route(url)
    return record | {
        "metadata": _metadata_of(record.get("metadata")) or as_mapping(sent.get("x-portkey-metadata")),
        "provider": record.get("ai_org") or sent.get("x-portkey-provider") or config.get("provider") or route.provider,
        "endpoint": route.endpoint,
        "url": url,
        "cache": record.get("cache_status") or as_mapping(response.get("headers")).get("x-portkey-cache-status"),
        "request": record.get("request.body") or request.get("body") or request or None,
        "response": record.get("response.body") or response.get("body") or response or None,
        "http_status": record.get("response_status_code") or response.get("status"),
    }


def _metadata_of(value: Any) -> dict[str, Any]:
    """Return metadata by name; metric files have a list of names and one of values."""
    found = as_mapping(value)
    names, values = found.get("key"), found.get("value")
    if type(names) is list and type(values) is list:
        return dict(zip(map(str, names), values, strict=False))
    return found


def settle_portkey(call: Call, entry: Entry) -> None:
    """Say what the table cannot: cache hits, failures without a code, other currencies."""
    if str(entry.values.get("cache")).lower() in _HITS:
        call.status = "cache_hit"
    elif str(entry.values.get("success")) in {"0", "0.0", "False"}:
        call.status = "failure"
    if str(entry.values.get("currency") or _CURRENCY).lower() != _CURRENCY:
        call.logged_cost = None


DIALECTS = (
    Dialect(
        name="portkey",
        rank=20,
        signatures=(
            sign("ai_org ai_model", some="req_units total_units cost response_status_code"),
            sign("request response created_at", kinds={"request.portkeyHeaders": "object"}),
        ),
        prepare=prepare_portkey,
        fields=like_named("@provider_response_id provider endpoint @inference_geo http_status url cache")
        | {
            "own_id": ("id", "_id"),
            "duplicate_id": ("id", "_id"),
            "model": ("@model", "ai_model", "request.model"),
            "model_requested": ("request.model", "ai_model"),
            "started_at": ("created_at",),
            "user": ("metadata._user", "_user", "user_id"),
            "api_key": ("virtual_key", "api_key_id"),
            "org": ("organisation_id",),
            "project": ("workspace_slug",),
            "tags": ("metadata",),
            "service_tier": ("@service_tier", "request.service_tier"),
            "speed": ("@speed", "request.speed"),
            "logged_cost": ("cost",),
            "currency": ("cost_currency",),
            "success": ("is_success",),
        },
        usage=("@",),
        counts={
            "prompt_tokens": ("req_units",),
            "completion_tokens": ("res_units",),
            "total_tokens": ("total_units",),
        },
        request=("request",),
        response=("response",),
        cost_scale=Decimal("0.01"),
        zero_is_missing=True,
        settle=settle_portkey,
    ),
)
