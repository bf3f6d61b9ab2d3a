"""Tasks of Cline, Roo Code and Kilo Code (tasks/*/ui_messages.json): what the program said, some of it of its requests.

A request is written when it starts and rewritten with its counts as JSON in a text; its time names it, as no id does,
and its beginning, which stands there too, tells it from that of another task in the same millisecond.
Cached tokens stand beside ``tokensIn``, with the providers of OpenAI's protocol inside it (``apiProtocol``; Roo-Code
src/shared/getApiMetrics.ts).
Older rows name no model. What is said of a deleted message's requests, and of a sub-agent's, are calls, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from callcost.logs.record.dialect import CONTEXT, Dialect, Entry
from callcost.logs.usage.arithmetic import READ, WRITTEN
from callcost.logs.usage.unread import UNREAD
from callcost.logs.values.json import Refusal, decode_text
from callcost.logs.values.json_path import follow
from callcost.logs.values.signatures import sign
from callcost.tables import Call

NO_MODEL = "unknown"
_REQUESTS = ("api_req_started", "deleted_api_reqs", "subagent_usage")
_COUNTS = ("tokensIn", "tokensOut", "cacheReads", "cacheWrites")


def find_request(record: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a request, its text decoded.

    Raises:
        Refusal: it is something else, or a request that has no counts and was not cancelled: it has only begun; or a
            row of another kind states counts.
    """
    text = decode_text(record.get("text"))
    if type(text) is not dict or not any(text.get(name) for name in (*_COUNTS, "cost", "cancelReason")):
        raise Refusal(CONTEXT)
    if record.get("say") not in _REQUESTS:
        stated = next((name for name in _COUNTS if text.get(name)), None)
        raise Refusal(UNREAD, f"text.{stated} of a row that is no known request") if stated else Refusal(CONTEXT)
    return record | {"text": text, "status": "cancelled" if text.get("cancelReason") else None}


def stands_beside(record: Mapping[str, Any]) -> Collection[str]:
    """Return the parts that stand beside the prompt."""
    return () if follow(record, ("text", "apiProtocol")) == "openai" else (READ, WRITTEN)


def settle_cline(call: Call, entry: Entry) -> None:
    """Name a model where the record names none, and what tells requests of one time apart."""
    call.model = call.model or NO_MODEL
    entry.distinct = follow(entry.record, ("text", "request"))
    call.text_missing = "truncated"


DIALECTS = (
    Dialect(
        name="cline",
        rank=24,
        signatures=(
            sign("ts", values={"type": "say ask"}, none="sessionId", kinds={"say": "text"}),
            sign("ts ask", values={"type": "ask"}, none="sessionId"),
        ),
        prepare=find_request,
        fields={
            "model": ("modelInfo.modelId", "text.model"),
            "provider": ("modelInfo.providerId", "text.inferenceProvider"),
            "started_at": ("ts",),
            "duplicate_id": ("ts",),
            "logged_cost": ("text.cost", "text.totalCost"),
            "status": ("status",),
        },
        counts={
            "prompt_tokens": ("text.tokensIn",),
            "completion_tokens": ("text.tokensOut",),
            READ: ("text.cacheReads",),
            WRITTEN: ("text.cacheWrites",),
        },
        beside=stands_beside,
        settle=settle_cline,
    ),
)
