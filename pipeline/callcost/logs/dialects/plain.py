"""Plain rows of one's own making: {model, user, messages, response or output text, usage or counts}.

The last dialect to be asked: it takes any object with text or counts and the usual names beside them. An ``id`` is
comparable with other plain rows only. Text is put in the shape of a chat, so that it is counted as one.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from callcost.logs.record.dialect import Dialect, Entry, like_named
from callcost.logs.record.stated_usage import USAGE_PLACES
from callcost.logs.tracing.conversations import body_of, messages_of
from callcost.logs.values.json_path import first_filled
from callcost.logs.values.signatures import sign
from callcost.tables import Call

_PROMPTS = ("messages", "prompt", "input", "query", "question")
_ANSWERS = ("response", "output", "completion", "text", "answer", "output_text", "response_text")
# An answer as text; one that is JSON or an event stream is a body.
_PROSE = Annotated[str, msgspec.Meta(pattern=r"^(?!\s*(?:[\[{:]|data:|event:))")]
_TEXTS = (
    dict.fromkeys((*_PROMPTS, *_ANSWERS), str | list[msgspec.Raw] | None)
    | dict.fromkeys(("messages", "prompt", "input", "completion"), msgspec.Raw)
    | dict.fromkeys(("response", "output"), _PROSE)
)
_TOOLS = ("tools", "tool_choice", "functions", "response_format", "system")


def settle_plain(call: Call, entry: Entry) -> None:
    """Put the text into the shape of a chat; a provider's own body is left as it is."""
    if call.endpoint is None:
        call.endpoint = "chat"
    call.request = entry.distinct = request_of(entry)
    if entry.api is None:
        answer = first_filled(entry.record, _ANSWERS)
        call.response = body_of(answer if type(answer) is list else [answer])


def request_of(entry: Entry) -> Any:
    """Return what was asked, in the shape of a chat or of what else it is."""
    prompt = first_filled(entry.record, _PROMPTS)
    if prompt is None:
        return entry.request
    extra = {name: entry.record[name] for name in _TOOLS if entry.record.get(name)}
    if entry.values["endpoint"] in {"embeddings", "responses"}:
        return {"input": prompt} | extra
    return {"messages": messages_of(prompt)} | extra


DIALECTS = (
    Dialect(
        name="plain",
        rank=90,
        signatures=(
            sign(some="messages prompt query question usage prompt_tokens completion_tokens"),
            sign(some="input_tokens output_tokens tokens_in tokens_out", none="object"),
            sign("model", some="input response output completion text answer output_text response_text total_tokens"),
        ),
        json_columns=("messages", "response", "usage", "tags", "metadata", "tools"),
        fields=like_named("provider endpoint end_user tags region status error cache_hit @logged_ticks") | {
            "own_id": ("id", "call_id", "request_id"),
            "duplicate_id": ("id", "call_id", "request_id", "@provider_response_id"),
            "provider_response_id": ("response_id", "@provider_response_id"),
            "model": ("@model", "model", "model_name", "model_id", "request.model"),
            "model_requested": ("model_requested", "model", "model_name", "model_id"),
            "user": ("user", "user_id", "username", "user_name", "user_email"),
            "team": ("team", "team_id"),
            "api_key": ("api_key_alias", "api_key_id", "api_key_name"),
            "org": ("org", "organization", "org_id"),
            "project": ("project", "project_id"),
            "session": ("session", "session_id", "conversation_id"),
            "started_at": (
                "started_at", "start_time", "timestamp", "time", "created_at", "created", "ts", "date", "datetime",
                "startTime", "startedAt", "createdAt", "requested_at", "request_time", "datetime_utc", "@started_at",
            ),
            "ended_at": ("ended_at", "end_time", "endTime", "endedAt", "completed_at", "completedAt", "@ended_at"),
            "service_tier": ("service_tier", "@service_tier"),
            "http_status": ("status_code",),
            "logged_cost": ("cost", "cost_usd", "total_cost", "logged_cost", "usage.cost", "@logged_cost"),
        },
        usage=("usage", "@", "", *USAGE_PLACES),
        counts={
            "prompt_tokens": (
                "tokens_in", "tokens_prompt", "prompt_token_count", "input_token_count", "num_prompt_tokens",
                "num_input_tokens",
            ),
            "completion_tokens": (
                "tokens_out", "tokens_completion", "completion_token_count", "output_token_count",
                "num_completion_tokens", "num_output_tokens",
            ),
        },
        unread_in="",
        response=("response", "output", "response_obj"),  # the last as LiteLLM hands it to callbacks
        no_counts=frozenset(),
        alone=True,
        texts=_TEXTS,
        settle=settle_plain,
        asked=request_of,
    ),
)  # fmt: skip
