"""Records of many dialects, whole: as their writers write them, and with anything changed that could be otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

Record = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Path = tuple[str | int, ...]

MODELS = ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "o3-2025-04-16")
CLAUDES = ("claude-sonnet-4-20250514", "claude-opus-4-20250514")
SPANS = (*MODELS, *CLAUDES)
PEOPLE = ("ann", "bob", None)
TEXTS = ("Hello there", "", "data: no", "{}", "Zoë 🙂", "[1]")
_SMALL = st.integers(0, 9)
_COUNTS = st.integers(1, 10**6) | _SMALL | st.sampled_from((10**12 - 1, 10**12))


def moment(number: int) -> str:
    """Return a time, other for each number."""
    return f"2026-03-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:{number * 7 % 60:02}.{number % 1000:03}Z"


class _Numbers:
    """Counts of one call, drawn together so that most of them go together."""

    def __init__(self, draw: Draw) -> None:
        self.prompt, self.completion = draw(_COUNTS), draw(_COUNTS)
        self.cached = draw(st.sampled_from((0, self.prompt // 2, self.prompt)) | _SMALL)
        self.written = draw(st.sampled_from((0, self.prompt // 3)) | _SMALL)
        self.reasoning = draw(st.sampled_from((0, self.completion // 2, self.completion)) | _SMALL)
        self.total = self.prompt + self.completion


def openai_chat(number: int, draw: Draw) -> Record:
    """Draw a body of OpenAI's chat API."""
    counts = _Numbers(draw)
    return {
        "id": f"chatcmpl-{number:x}",
        "object": "chat.completion",
        "created": 1_772_000_000 + number,
        "model": draw(st.sampled_from(MODELS)),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": draw(st.sampled_from(TEXTS)), "annotations": []},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": counts.prompt,
            "completion_tokens": counts.completion,
            "total_tokens": counts.total,
            "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": counts.reasoning,
                "audio_tokens": 0,
                "rejected_prediction_tokens": draw(_SMALL),
            },
        },
        "service_tier": "default",
        "system_fingerprint": draw(st.sampled_from(("fp_a", "fp_b", None))),
    }


def openrouter(number: int, draw: Draw) -> Record:
    """Draw a body of OpenRouter's, paid with a key of one's own or not."""
    body = openai_chat(number, draw)
    own_key, cost = draw(st.sampled_from((False, False, True))), draw(_SMALL) / 7
    costs = {"cost": cost, "is_byok": own_key, "cost_details": {"upstream_inference_cost": 20 * cost}}
    tier = draw(st.sampled_from(("default", "default", "provisioned")))
    return body | {"id": f"gen-{number}", "service_tier": tier, "usage": body["usage"] | costs}


def openai_responses(number: int, draw: Draw) -> Record:
    """Draw a body of OpenAI's Responses API."""
    counts = _Numbers(draw)
    return {
        "id": f"resp_{number:x}",
        "object": "response",
        "created_at": 1_772_000_000 + number,
        "status": "completed",
        "error": None,
        "model": draw(st.sampled_from(MODELS)),
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}],
        "previous_response_id": draw(st.sampled_from((None, f"resp_{number - 1:x}"))),
        "tools": [],
        "usage": {
            "input_tokens": counts.prompt,
            "input_tokens_details": {"cached_tokens": counts.cached},
            "output_tokens": counts.completion,
            "output_tokens_details": {"reasoning_tokens": counts.reasoning},
            "total_tokens": counts.total,
        },
        "user": draw(st.sampled_from(PEOPLE)),
    }


def anthropic(number: int, draw: Draw) -> Record:
    """Draw a body of Anthropic's Messages API."""
    counts = _Numbers(draw)
    return {
        "id": f"{draw(st.sampled_from(('msg_', 'msg_', 'msg_bdrk_', 'x')))}{number:x}",
        "type": "message",
        "role": "assistant",
        "model": draw(st.sampled_from(CLAUDES)),
        "content": [{"type": "text", "text": draw(st.sampled_from(TEXTS))}],
        "stop_reason": draw(st.sampled_from(("end_turn", "max_tokens"))),
        "usage": {
            "input_tokens": counts.prompt,
            "cache_creation_input_tokens": counts.written,
            "cache_read_input_tokens": counts.cached,
            "cache_creation": {
                "ephemeral_5m_input_tokens": counts.written - counts.written // 3,
                "ephemeral_1h_input_tokens": counts.written // 3,
            },
            "output_tokens": counts.completion,
            "service_tier": draw(st.sampled_from(("standard", "standard", "batch"))),
        },
    }


def gemini(number: int, draw: Draw) -> Record:
    """Draw a body of Gemini's API."""
    counts = _Numbers(draw)
    usage = {
        "promptTokenCount": counts.prompt,
        "candidatesTokenCount": counts.completion,
        "totalTokenCount": counts.total + counts.reasoning,
        "cachedContentTokenCount": counts.cached,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": counts.prompt}],
        "thoughtsTokenCount": counts.reasoning,
    }
    return {
        "candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}, "finishReason": "STOP"}],
        "usageMetadata": usage,
        "modelVersion": draw(st.sampled_from(("gemini-2.5-pro", "gemini-2.5-flash"))),
        "createTime": moment(number),
        "responseId": f"r{number:x}",
    }


def pair(number: int, draw: Draw) -> Record:
    """Draw a pair of bodies, with what its writer put beside them."""
    body = draw(st.sampled_from((openai_chat, anthropic)))(number, draw)
    return {
        "id": f"call-{number}",
        "timestamp": moment(number),
        "user": draw(st.sampled_from(PEOPLE)),
        "team": draw(st.sampled_from(PEOPLE)),
        "request": {
            "model": body["model"],
            "messages": [{"role": "user", "content": draw(st.sampled_from(TEXTS))}],
            "temperature": 0.2,
        },
        "response": body,
        "extra": {"attempts": draw(_SMALL)},
        "latency_ms": draw(_COUNTS),
    }


def plain(number: int, draw: Draw) -> Record:
    """Draw a row of somebody's own making."""
    counts = _Numbers(draw)
    return {
        "id": f"p-{number}",
        "timestamp": moment(number),
        "model": draw(st.sampled_from(MODELS)),
        "user": draw(st.sampled_from(PEOPLE)),
        "prompt": draw(st.sampled_from(TEXTS)),
        "response": draw(st.sampled_from(TEXTS)),
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "latency_ms": draw(_COUNTS),
        "metrics": {"speed": draw(_SMALL), "tokens_out": counts.completion},
        "cost": draw(_SMALL) / 7,
    }


def otel(number: int, draw: Draw) -> Record:
    """Draw a span of the GenAI conventions, as one row."""
    counts = _Numbers(draw)
    return {
        "trace_id": f"{number + 1:032x}",
        "span_id": f"{number + 1:016x}",
        "parent_id": draw(st.sampled_from((None, f"{number + 7:016x}", "0" * 16))),
        "name": "chat",
        "start_time": moment(number),
        "end_time": moment(number + 1),
        "attributes": {
            "gen_ai.system": draw(st.sampled_from(("openai", "anthropic"))),
            "gen_ai.operation.name": "chat",
            "gen_ai.response.model": draw(st.sampled_from(SPANS)),
            "gen_ai.response.id": draw(st.sampled_from((None, f"chatcmpl-{number}"))),
            "gen_ai.usage.input_tokens": counts.prompt,
            "gen_ai.usage.output_tokens": counts.completion,
            "gen_ai.usage.cache_read_input_tokens": counts.cached,
            "user.id": draw(st.sampled_from(PEOPLE)),
            "host.name": draw(st.sampled_from(PEOPLE)),
            "auth_mode": draw(st.sampled_from((None, "ApiKey", "Chatgpt", "x"))),
            "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]),
        },
    }


def langfuse(number: int, draw: Draw) -> Record:
    """Draw an observation of a blob export."""
    counts = _Numbers(draw)
    return {
        "id": f"obs-{number}",
        "trace_id": f"t-{number}",
        "type": draw(st.sampled_from(("GENERATION", "GENERATION", "SPAN"))),
        "start_time": moment(number),
        "end_time": moment(number + 1),
        "provided_model_name": draw(st.sampled_from(MODELS)),
        "input": json.dumps([{"role": "user", "content": "Hi"}]),
        "output": draw(st.sampled_from(TEXTS)),
        "level": "DEFAULT",
        "usage_details": {
            "input": counts.prompt,
            "input_cached_tokens": counts.cached,
            "output": counts.completion,
            "output_reasoning_tokens": counts.reasoning,
            "total": draw(st.sampled_from((counts.total, counts.total + counts.cached + counts.reasoning))),
        },
        "total_cost": draw(_SMALL) / 7,
        "user_id": draw(st.sampled_from(PEOPLE)),
        "session_id": f"s{number % 3}",
        "latency": draw(_SMALL) / 3,
    }


def claude_code(number: int, draw: Draw) -> Record:
    """Draw a row of a transcript: an answer, or what the user said."""
    row = {
        "parentUuid": f"u{number - 1}",
        "isSidechain": draw(st.sampled_from((False, False, True))),
        "cwd": "/home/a",
        "sessionId": f"s{number // 3}",
        "uuid": f"u{number}",
        "timestamp": moment(number),
    }
    if draw(st.booleans()):
        return row | {"type": "user", "message": {"role": "user", "content": draw(st.sampled_from(TEXTS))}}
    begun = draw(st.sampled_from(({}, {}, {"stop_reason": None})))
    return row | {"type": "assistant", "requestId": f"req_{number}", "message": anthropic(number, draw) | begun}


WRITERS = (openai_chat, openrouter, openai_responses, anthropic, gemini, pair, plain, otel, langfuse, claude_code)

_VALUES: tuple[Any, ...] = (
    None, 0, 1, -1, 5, 5.0, 1.5, "5", "", "x", True, False, [], {}, ["a"], {"a": 1}, {"requests": 7, "total_tokens": 9},
    10**12, 10**12 + 1, 10**20, "null",
    "error", "failed", 500, "2025-02-30", 1_772_000_000_000, 1e300, "\x02", "msg_1", "data: {}", "0", "0x5",
    "GENERATION", "low", "response.done", {"web_search": {"num_requests": 2}},
    {"image_gen": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}},
)  # fmt: skip
_NAMES = (
    "usage", "id", "model", "object", "type", "error", "status", "user_id", "requests", "count", "total_tokens",
    "cached_tokens", "server_tool_use", "iterations", "cache_hit", "service_tier", "messages", "choices", "callcost",
    "x",
    "reasoning_tokens", "url", "session_id", "cost", "isApiErrorMessage", "annotations", "done",
    "tool_usage", "search_context_size", "num_search_queries", "is_byok", "seconds", "duration", "response", "type",
)  # fmt: skip


@st.composite
def lines(draw: Draw, write: Callable[[int, Draw], Record]) -> list[bytes]:
    """Draw the lines of a log: ordinary records of a dialect, and some in which a few things are otherwise."""
    found = []
    for number in range(draw(st.integers(2, 14))):
        record: Any = write(draw(st.sampled_from((number, number, 3))), draw)
        for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, 2)))):
            record = _changed(record, draw)
        found.append(json.dumps(record, ensure_ascii=draw(st.booleans())).encode())
    return found


@st.composite
def ordinary(draw: Draw, write: Callable[[int, Draw], Record]) -> list[bytes]:
    """Draw the lines of a log in which nothing is otherwise."""
    return [json.dumps(write(number, draw)).encode() for number in range(25)]


def _changed(record: Record, draw: Draw) -> Record:
    """Return a record with one thing otherwise: gone, another value, the value of another place, or a key more."""
    copy: Record = json.loads(json.dumps(record))
    places = list(_places(copy, ()))
    if not places:
        return copy
    path = draw(st.sampled_from(places))
    above: Any = copy
    for key in path[:-1]:
        above = above[key]
    way = draw(st.sampled_from(("gone", "value", "value", "other", "more")))
    if way == "gone":
        del above[path[-1]]
    elif way == "value":
        above[path[-1]] = draw(st.sampled_from(_VALUES))
    elif way == "other":
        above[path[-1]] = _at(copy, draw(st.sampled_from(places)))
    elif isinstance(above, dict):
        above[draw(st.sampled_from(_NAMES))] = draw(st.sampled_from(_VALUES))
    return copy


def _places(value: Any, path: Path) -> Iterator[Path]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from _places(below, (*path, key))


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return json.loads(json.dumps(value))
