"""Recorded HTTP: interactions of VCR cassettes (Python's and Ruby's) and entries of HAR files.

The bodies are the providers' own, whatever the recorder did to them (parsed, base64, still compressed), and ids are
theirs: a recording and the bare body of the same answer are one call (family "provider"). What went to no model, or is
only asked about one, is context. A cassette has no time but the response's Date, or what the body says.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from callcost.logs.record.dialect import CONTEXT, UNBILLED, Dialect, Entry, like_named
from callcost.logs.record.envelopes import Envelope, envelope
from callcost.logs.responses.bodies import counts_only
from callcost.logs.responses.http_bodies import decode_content
from callcost.logs.values.api_urls import read_route
from callcost.logs.values.json import Refusal, decode_text, dict_in, dicts_in
from callcost.logs.values.signatures import Signature, sign
from callcost.tables import Call

_NAMED_BY_URL = "bedrock"  # its bodies have the model's short name, or none
_HEADERS = {
    "date": "date", "openai-organization": "org", "anthropic-organization-id": "org", "openai-project": "project",
    "x-amzn-requestid": "request_id", "request-id": "request_id", "x-request-id": "request_id",
    "content-encoding": "encoding",
}  # fmt: skip


def prepare_recording(record: dict[str, Any]) -> dict[str, Any]:
    """Lay out what a table cannot reach: headers by name, bodies decoded, what the URL says."""
    request, response = dict_in(record.get("request")), dict_in(record.get("response"))
    url = request.get("uri", request.get("url"))
    route = read_route(url)
    headers = _headers_of(response.get("headers"))
    status = response.get("status")
    return {
        "time": record.get("startedDateTime") or record.get("recorded_at"),
        "url": url,
        "provider": route.provider,
        "endpoint": route.endpoint,
        "model": route.model,
        "status_code": status.get("code") if type(status) is dict else status,
        "request": _body_of(request, {}),
        "response": _body_of(response, headers),
    } | {name: headers.get(name) for name in ("date", "org", "project", "request_id")}


def _headers_of(headers: Any) -> dict[str, str]:
    """Return what headers are to us -> their text: VCR has a mapping of lists, HAR a list of names and values."""
    listed = ((item.get("name"), item.get("value")) for item in dicts_in(headers))
    found = {}
    for name, value in headers.items() if type(headers) is dict else listed:
        kind = _HEADERS.get(name.lower()) if type(name) is str else None
        text = value[0] if type(value) is list and value else value
        if kind and type(text) is str and text:
            found[kind] = text
    return found


def _body_of(message: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
    """Return the body of a request or a response: decoded where it is JSON, else its text."""
    if message.get("parsed_body") is not None:
        return message["parsed_body"]
    body = message.get("body", message.get("content", message.get("postData")))
    kept = dict_in(body)
    text = kept.get("string", kept.get("text", body))
    coded = kept.get("base64_string", text if kept.get("encoding") == "base64" else dict_in(text).get("base64"))
    if type(coded) is str:
        try:
            text = decode_content(base64.b64decode(coded), headers.get("encoding", ""))
        except (binascii.Error, ValueError):
            return None
    return decode_text(text) if type(text) is str else None


def settle_recording(call: Call, entry: Entry) -> None:
    """Set aside what no model answered; take the model that the URL names where that is the billed one."""
    if entry.api is None and not entry.values.get("endpoint"):
        raise Refusal(UNBILLED if counts_only(entry.values.get("url")) else CONTEXT)
    if call.model_requested and (not call.model or call.provider == _NAMED_BY_URL):
        call.model = call.model_requested
    if call.usage is None and call.response is None and call.status == "success":
        call.text_missing = "truncated"  # a body that was not kept, or in an encoding of no library


_FIELDS = like_named("provider endpoint org project url @provider_response_id @model @inference_geo @logged_cost") | {
    "own_id": ("request_id",),
    "duplicate_id": ("@provider_response_id", "request_id"),
    "model_requested": ("model", "request.model", "request.modelId"),
    "user": ("request.user", "request.safety_identifier", "request.metadata.user_id"),
    "started_at": ("time", "date", "@started_at"),
    "service_tier": ("@service_tier", "request.service_tier"),
    "speed": ("@speed", "request.speed"),
    "error": ("response.error",),
    "http_status": ("status_code",),
    "logged_ticks": ("@logged_ticks",),
}


def _recording(name: str, signature: Signature, *envelopes: Envelope) -> Dialect:
    return Dialect(
        name=name,
        family="provider",
        rank=15,
        envelopes=envelopes,
        signatures=(signature,),
        prepare=prepare_recording,
        fields=_FIELDS,
        usage=("@",),
        request=("request",),
        response=("response",),
        settle=settle_recording,
    )


DIALECTS = (
    _recording(
        "vcr",
        sign("request response", kinds={"request.uri": "text"}),
        envelope("interactions", sign(kinds={"interactions.0.request": "object"})),
        envelope("http_interactions", sign(kinds={"http_interactions.0.request": "object"})),
    ),
    _recording(
        "har",
        sign("startedDateTime request response", kinds={"request.url": "text"}),
        envelope("log.entries", sign(kinds={"log.entries": "array"})),
    ),
)
