"""The least that reading a dialect's lines takes: msgspec decodes the columns of a report, typed, and nothing after it.

A dialect's columns are those that a report reads of the lines that ``dialect_logs`` writes; what else stands on a line
is skipped over. What type a column has is seen in the lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tests.bench.dialect_logs import LOGS

_SEEN = 12  # records whose types are looked at
_ANTHROPIC = ("id", "model", "usage/input_tokens", "usage/cache_creation_input_tokens", "usage/cache_read_input_tokens",
              "usage/cache_creation/ephemeral_5m_input_tokens", "usage/cache_creation/ephemeral_1h_input_tokens",
              "usage/output_tokens", "usage/service_tier")  # fmt: skip
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "openai_chat": (
        "id", "created", "model", "service_tier", "usage/prompt_tokens", "usage/completion_tokens",
        "usage/total_tokens", "usage/prompt_tokens_details/cached_tokens", "usage/prompt_tokens_details/audio_tokens",
        "usage/completion_tokens_details/reasoning_tokens", "usage/completion_tokens_details/audio_tokens",
    ),
    "anthropic": _ANTHROPIC,
    "otel": (
        "trace_id", "span_id", "parent_id", "start_time", "end_time", "status/status_code", "attributes/gen_ai.system",
        "attributes/gen_ai.operation.name", "attributes/gen_ai.request.model", "attributes/gen_ai.response.model",
        "attributes/gen_ai.response.id", "attributes/gen_ai.usage.input_tokens",
        "attributes/gen_ai.usage.output_tokens",
    ),
    "claude_code": (
        "type", "requestId", "sessionId", "cwd", "gitBranch", "isSidechain", "uuid", "timestamp",
        *(f"message/{path}" for path in _ANTHROPIC),
    ),
    "langfuse": (
        "id", "trace_id", "type", "start_time", "end_time", "provided_model_name", "level", "usage_details/input",
        "usage_details/output", "usage_details/total", "total_cost", "user_id", "session_id",
    ),
}  # fmt: skip


def type_of(dialect: str) -> Any:
    """Return the type of a dialect's lines: structs that hold its columns, each of which may be missing."""
    return _struct([path.split("/") for path in COLUMNS[dialect]], list(LOGS[dialect](_SEEN)))


def _struct(paths: Iterable[list[str]], records: list[dict[str, Any]]) -> Any:
    below: dict[str, list[list[str]]] = {}
    for first, *rest in paths:
        below.setdefault(first, []).append(rest)
    fields: list[tuple[str, Any, Any]] = []
    for number, (key, rests) in enumerate(below.items()):
        values = [record[key] for record in records if record.get(key) is not None]
        kind = _struct(rests, values) if rests[0] else (type(values[0]) if values else None)
        fields.append((f"f{number}", kind if kind is None else kind | None, None))
    names = {f"f{number}": key for number, key in enumerate(below)}
    return msgspec.defstruct("Line", fields, rename=names, gc=False)
