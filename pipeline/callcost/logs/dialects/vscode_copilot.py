"""Copilot's chats in VS Code: requests, some of which state their tokens.

A chat is one object (chatSessions/*.json, up to VS Code 1.108), or the journal of how that object grew (*.jsonl): a
snapshot (kind 0), values set at a path (1), items put into an array, which "i" cuts there first (2). What a request
used is set after it began: each setting gives the request once more, as one call by its id.
Sources: microsoft/vscode src/vs/workbench/contrib/chat/common/model/{chatModel,objectMutationLog}.ts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callcost.logs.record.dialect import CONTEXT, Dialect, Entry, Notes
from callcost.logs.record.envelopes import envelope
from callcost.logs.usage.unread import UNREAD
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import follow, parse_path
from callcost.logs.values.signatures import sign
from callcost.tables import Call

NO_MODEL = "unknown"
_KEPT = ("requestId", "sessionId", "modelId", "timestamp", "promptTokens", "completionTokens", "result")
_COUNTS = frozenset(("promptTokens", "completionTokens", "result"))
_FIRST = parse_path("put.0.requestId")
_INHERITED = "kind:journal i:at v.sessionId:sessionId"


def carry_journal(notes: Notes, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with what the journal so far says of it.

    Args:
        notes: "requests": what is known of each, by its position; "session".
        record: a request, of a journal with the array that it was put in with; or a value that was set.

    Raises:
        Refusal: it sets something else.
    """
    requests = notes.setdefault("requests", [])
    if type(record.get("put")) is list:
        _make_room(requests, record)
        requests.append({name: record[name] for name in _KEPT if record.get(name) is not None})
        notes["session"] = requests[-1].setdefault("sessionId", notes.get("session"))
        return dict(requests[-1])
    if "requestId" in record:
        return dict(record)
    path = record.get("k")
    if type(path) is not list or path[:1] != ["requests"] or not _COUNTS.intersection(map(str, path[2:3])):
        raise Refusal(CONTEXT)
    position = path[1]
    if type(position) is not int or not 0 <= position < len(requests):
        raise Refusal(UNREAD, "k: counts of a request that the journal does not hold")
    _set(requests[position], list(map(str, path[2:])), record.get("v"))
    return dict(requests[position])


def _make_room(requests: list[Any], record: Mapping[str, Any]) -> None:
    """Cut the requests where the first of an array is put: a snapshot at the beginning, a push where it says so."""
    if follow(record, _FIRST) == record.get("requestId"):
        start = record.get("at", len(requests)) if record.get("journal") == 2 else 0
        if type(start) is int and start >= 0:
            del requests[start:]


def _set(request: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        below = request.get(name)
        request[name] = request = dict(below) if type(below) is dict else {}
    request[path[-1]] = value


def settle_request(call: Call, _: Entry) -> None:
    """Name a model where the journal names none."""
    call.model = call.model or NO_MODEL


DIALECTS = (
    Dialect(
        name="vscode_copilot",
        rank=24,
        envelopes=(
            envelope(
                "requests",
                sign(
                    "requests sessionId",
                    some="requesterUsername responderUsername creationDate version",
                    kinds={"requests": "array"},
                ),
                inherits="sessionId",
            ),
            envelope(
                "v.requests",
                sign("kind v", kinds={"kind": "number", "v.requests": "array", "v.sessionId": "text"}),
                inherits=f"{_INHERITED} v.requests:put",
            ),
            envelope(
                "v",
                sign("kind k v", values={"k.0": "requests"}, kinds={"v.0.requestId": "text"}),
                inherits=f"{_INHERITED} v:put",
            ),
        ),
        signatures=(
            sign("requestId modelId", some="response result variableData completionTokens promptTokens"),
            sign("requestId journal put"),
            sign("kind k", kinds={"kind": "number", "k.0": "text"}),
        ),
        fields={
            "own_id": ("requestId",),
            "duplicate_id": ("requestId",),
            "model": ("result.metadata.resolvedModel", "result.resolvedModel", "modelId"),
            "model_requested": ("modelId",),
            "session": ("sessionId",),
            "started_at": ("timestamp",),
        },
        counts={
            "prompt_tokens": ("promptTokens", "result.metadata.promptTokens"),
            "completion_tokens": ("completionTokens", "result.metadata.outputTokens"),
        },
        carry=carry_journal,
        settle=settle_request,
    ),
)
