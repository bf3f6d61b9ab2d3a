"""Claude Code transcripts (~/.claude/projects/**/*.jsonl), and what ``claude -p --output-format stream-json`` prints.

A call is written as a row per block of its answer, each with the call's usage so far, and once more into the file of
each session that resumes or forks this one: copies share the id of Anthropic's message, and the largest usage is the
call's. A request id tells calls of one message id apart; a sidechain's replay of the main chain has one of its own,
which therefore tells nothing. Rows without an answer are context, and so are those of no model (``<synthetic>``: API
errors, interruptions). Sources: ccusage's Claude adapter, and the repeats counted over real sessions.
"""

from __future__ import annotations

from typing import Any

from pipeline.logs.decode import Refusal
from pipeline.logs.fields import CONTEXT, Dialect, Entry
from pipeline.logs.paths import follow, parse_path
from pipeline.logs.signatures import sign
from pipeline.tables import Call

_NO_MODEL = "<synthetic>"
_NESTED = "data.message"  # where the progress of an agent has the row that its own file has too


def settle_claude_code(call: Call, entry: Entry) -> None:
    """Set aside what is no answer; leave the row's one block of text uncounted; say what a request id tells."""
    record = entry.record
    nested = record.get("type") == "progress"
    row = follow(record, parse_path(_NESTED)) if nested else record
    if call.model == _NO_MODEL or not _is_answer(row):
        raise Refusal(CONTEXT)
    call.request = call.response = None
    call.text_missing = "truncated"
    entry.distinct = None if nested or record.get("isSidechain") is True else record.get("requestId")


def _is_answer(row: Any) -> bool:
    """Tell whether a row holds (a part of) what a model answered."""
    if type(row) is not dict or row.get("type", "assistant") != "assistant" or row.get("isApiErrorMessage") is True:
        return False
    message = row.get("message")
    return type(message) is dict and message.get("role", "assistant") == "assistant"


DIALECTS = (
    Dialect(
        name="claude_code",
        family="claude_code",
        rank=25,
        signatures=(
            sign("sessionId message", kinds={"message": "object"}),
            sign("sessionId", kinds={"type": "text"}),
            sign("message timestamp", values={"type": "user assistant"}),
            sign("session_id", values={"type": "assistant user system stream_event"}),
            sign("summary leafUuid"),
            sign("messageId snapshot"),
            sign("display pastedContents"),  # ~/.claude/history.jsonl
        ),
        fields={
            "duplicate_id": (
                "message.id", f"{_NESTED}.message.id", "requestId", f"{_NESTED}.requestId", "uuid",
            ),
            "provider_response_id": ("@provider_response_id",),
            "started_at": (f"{_NESTED}.timestamp", "timestamp"),
            "model": ("@model",),
            "session": ("sessionId", "session_id"),
            "project": ("cwd",),
            "service_tier": ("@service_tier",),
            "inference_geo": ("@inference_geo",),
            "speed": ("@speed",),
            "logged_cost": ("costUSD",),
        },
        usage=("@",),
        response=("message", f"{_NESTED}.message"),
        endpoint="anthropic",
        settle=settle_claude_code,
    ),
    Dialect(
        name="claude_code_result",
        family="claude_code_result",
        rank=10,
        signatures=(sign("session_id subtype", values={"type": "result"}),),
        refusal=("aggregate", "the sum of a session: give its transcript, or print it with stream-json"),
    ),
)  # fmt: skip
