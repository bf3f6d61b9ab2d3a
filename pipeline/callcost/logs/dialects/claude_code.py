"""Claude Code transcripts (~/.claude/projects/**/*.jsonl), and what ``claude -p --output-format stream-json`` prints.

A call is written as a row per block of its answer, each with the call's usage so far, and once more into the file of
each session that resumes or forks this one: copies share the id of Anthropic's message, and the largest usage is the
call's. A request id tells calls of one message id apart; a sidechain's replay of the main chain has one of its own,
which therefore tells nothing, and counts of its own, which yield to the main chain's (ccusage pull 1155).

A row that was written while the answer streamed has no stop reason, and an output so far: it yields to one that has
(omarchy pull 10606: handed on to another model, the answer's prompt may be the smaller), and where none has, as before
2.1.97 or after an interruption, the call is flagged (claude-code issues 22686 and 27361, claude-code-trace issue 38).
In what is printed that output is a placeholder: nobody knows it (multica pull 729).
Rows without an answer are context, and so are those of no model (``<synthetic>``: API errors, interruptions). Sources:
ccusage's Claude adapter, and the repeats counted over real sessions.
"""

from __future__ import annotations

from typing import Any

from callcost.logs.record.billing import API
from callcost.logs.record.dialect import CONTEXT, Dialect, Entry, like_named, refusing_dialect
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import follow
from callcost.logs.values.signatures import sign
from callcost.tables import INCOMPLETE, Call

_NO_MODEL = "<synthetic>"
_NESTED = ("data", "message")  # where the progress of an agent has the row that its own file has too
_BY_USE = ("bedrock", "vertex_ai")  # clouds and tiers that no plan of Claude has
_TIERS_BY_USE = ("priority", "batch")
_INHERITED = ("sessionId", "cwd", "gitBranch")
_OF_OTHERS = "model usage tokens messages prompt input output response request traceId"  # never beside a row's message


def find_answer(record: dict[str, Any]) -> dict[str, Any]:
    """Return the row that holds (a part of) what a model answered: the record, or the one inside it.

    Raises:
        Refusal: there is none.
    """
    row = follow(record, _NESTED) if record.get("type") == "progress" else record
    message = row.get("message") if type(row) is dict and row.get("type", "assistant") == "assistant" else None
    if type(message) is not dict or message.get("role", "assistant") != "assistant":
        raise Refusal(CONTEXT)
    if message.get("model") == _NO_MODEL or row.get("isApiErrorMessage") is True:
        raise Refusal(CONTEXT)
    return record if row is record else row | {name: record.get(name) for name in _INHERITED} | {"isSidechain": True}


def settle_claude_code(call: Call, entry: Entry) -> None:
    """Leave the row's one block of text uncounted; say what a request id tells, and what is paid by use for sure."""
    call.text_missing = "truncated"
    is_begun = entry.record["message"].get("stop_reason", "") is None
    call.replayed = True if _is_replayed(entry) else False if is_begun else None
    if is_begun and call.usage is not None:
        if entry.record.get("sessionId") is None and "session_id" in entry.record:  # printed
            call.usage.completion_tokens = call.usage.total_tokens = None
        else:
            call.flags.append(INCOMPLETE)
    if call.provider in _BY_USE or call.service_tier in _TIERS_BY_USE:
        call.billing = API
    entry.distinct = request_id_of(entry)


def _is_replayed(entry: Entry) -> bool:
    return entry.record.get("isSidechain") is True


def request_id_of(entry: Entry) -> Any:
    """Return the id of the request; a sidechain's tells nothing."""
    return None if _is_replayed(entry) else entry.record.get("requestId")


DIALECTS = (
    Dialect(
        name="claude_code",
        rank=25,
        signatures=(
            sign("sessionId message", kinds={"message": "object"}),
            sign("sessionId", none=_OF_OTHERS, kinds={"type": "text"}),
            sign("message timestamp", none=_OF_OTHERS, values={"type": "user assistant"}),
            sign("session_id", none=_OF_OTHERS, values={"type": "assistant user system stream_event"}),
            sign("session_id subtype tools", values={"type": "system"}),
            sign("summary leafUuid"),
            sign("messageId snapshot"),
            sign("display pastedContents"),  # ~/.claude/history.jsonl
        ),
        prepare=find_answer,
        fields=like_named("@provider_response_id @model @service_tier @inference_geo @speed")
        | {
            "duplicate_id": ("message.id", "requestId", "uuid"),
            "started_at": ("timestamp", "_audit_timestamp"),
            "session": ("sessionId", "session_id"),
            "project": ("cwd",),
            "branch": ("gitBranch",),
            "logged_cost": ("costUSD",),
        },
        usage=("@",),
        response=("message",),
        endpoint="anthropic",
        alone=True,
        reads=("type", "data", "message.role", "message.stop_reason", "isApiErrorMessage", "isSidechain"),
        settle=settle_claude_code,
        asked=request_id_of,
        asks=("requestId",),
    ),
    refusing_dialect(
        "claude_code_result",
        "the sum of a session: give its transcript in ~/.claude/projects",
        sign("session_id subtype", values={"type": "result"}),
    ),
)
