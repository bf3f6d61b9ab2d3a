"""Gemini CLI sessions (~/.gemini/tmp/*/chats/session-*): the messages of a conversation, some of them answers.

Counts are the API's under other names: the prompt includes what came from the cache, thoughts and the tools' prompts
stand beside. A message is written again when more is known of it, and is one call by its id.
Source: gemini-cli, chatRecordingService.ts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callcost.logs.record.dialect import CONTEXT, Dialect, Notes, refusing_dialect
from callcost.logs.record.envelopes import envelope
from callcost.logs.values.json import Refusal
from callcost.logs.values.signatures import sign


def carry_gemini_cli(notes: Notes, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer with its session, which the first line of a file names.

    Raises:
        Refusal: it is a message of the user or of the program.
    """
    if type(record.get("sessionId")) is str:
        notes["sessionId"] = record["sessionId"]
    if record.get("type") != "gemini":
        raise Refusal(CONTEXT)
    return notes | dict(record)


DIALECTS = (
    Dialect(
        name="gemini_cli",
        rank=24,  # before claude_code, whose rows have a session and a type as well
        signatures=(
            sign("id timestamp content", values={"type": "gemini"}),
            sign("id timestamp content", none="model usage tokens prompt", values={"type": "user info error warning"}),
            sign("sessionId projectHash", none="messages"),
            sign(some="$set $rewindTo"),
        ),
        envelopes=(
            envelope("messages", sign("sessionId messages", kinds={"messages": "array"}), inherits="sessionId"),
        ),
        fields={"duplicate_id": ("id",), "started_at": ("timestamp",), "model": ("model",), "session": ("sessionId",)},
        usage=("tokens",),
        endpoint="gemini",
        zero_is_missing=True,
        carry=carry_gemini_cli,
    ),
    refusing_dialect(
        "gemini_cli_result",
        "the sum of a session: give its file in ~/.gemini/tmp",
        sign("stats", kinds={"stats.models": "object"}),
    ),
)
