"""Make a log of one dialect: usage complete, as its writer writes it, with short texts; seeded, always the same."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tests.bench.logs import FIRST_MOMENT, MODELS, SEED, USERS, lean, short_chats

Record = dict[str, Any]
CLAUDES = ("claude-sonnet-4-20250514", "claude-opus-4-20250514")
GEMINIS = ("gemini-2.5-pro", "gemini-2.5-flash")
_TEXT = "The tide comes in twice a day, and no two harbours see it at the same hour. " * 4


class Counts:
    """Counts of one call, and what else its record needs."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self.number, self.rng = number, rng
        self.prompt, self.completion = rng.randint(40, 4_000), rng.randint(10, 900)
        self.cached, self.reasoning = self.prompt * rng.randint(0, 3) // 4, self.completion * rng.randint(0, 2) // 3
        self.total = self.prompt + self.completion
        self.at = FIRST_MOMENT + number
        self.time = f"{datetime.fromtimestamp(self.at, UTC).replace(tzinfo=None).isoformat()}.{number % 1000:03}Z"
        self.user = rng.choice(USERS)

    def identity(self, prefix: str, letters: int = 24) -> str:
        """Return an id that no other record has."""
        return f"{prefix}{self.rng.getrandbits(4 * letters):0{letters}x}"


def openai_chat(one: Counts) -> Record:
    """Return a body of OpenAI's chat API."""
    answer: Record = {"role": "assistant", "content": _TEXT, "refusal": None, "annotations": []}
    usage = {
        "prompt_tokens": one.prompt,
        "completion_tokens": one.completion,
        "total_tokens": one.total,
        "prompt_tokens_details": {"cached_tokens": one.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": one.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    return {
        "id": one.identity("chatcmpl-"),
        "object": "chat.completion",
        "created": one.at,
        "model": one.rng.choice(MODELS),
        "choices": [{"index": 0, "message": answer, "logprobs": None, "finish_reason": "stop"}],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": f"fp_{one.number % 9:010x}",
    }


def openai_responses(one: Counts) -> Record:
    """Return a body of OpenAI's Responses API."""
    text = {"type": "output_text", "text": _TEXT, "annotations": []}
    return {
        "id": one.identity("resp_", 48),
        "object": "response",
        "created_at": one.at,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": one.rng.choice(MODELS),
        "output": [{"type": "message", "id": one.identity("msg_", 48), "role": "assistant", "content": [text]}],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": one.prompt,
            "input_tokens_details": {"cached_tokens": one.cached},
            "output_tokens": one.completion,
            "output_tokens_details": {"reasoning_tokens": one.reasoning},
            "total_tokens": one.total,
        },
        "user": one.user,
        "metadata": {},
    }


def anthropic(one: Counts) -> Record:
    """Return a body of Anthropic's Messages API."""
    return {
        "id": one.identity("msg_"),
        "type": "message",
        "role": "assistant",
        "model": one.rng.choice(CLAUDES),
        "content": [{"type": "text", "text": _TEXT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": one.prompt,
            "cache_creation_input_tokens": one.cached // 3,
            "cache_read_input_tokens": one.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": one.cached // 3, "ephemeral_1h_input_tokens": 0},
            "output_tokens": one.completion,
            "service_tier": "standard",
        },
    }


def gemini(one: Counts) -> Record:
    """Return a body of Gemini's API."""
    parts = {"parts": [{"text": _TEXT}], "role": "model"}
    return {
        "candidates": [{"content": parts, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": one.prompt,
            "candidatesTokenCount": one.completion,
            "totalTokenCount": one.total + one.reasoning,
            "cachedContentTokenCount": one.cached,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": one.prompt}],
            "thoughtsTokenCount": one.reasoning,
        },
        "modelVersion": one.rng.choice(GEMINIS),
        "createTime": one.time,
        "responseId": one.identity(""),
    }


def pair(one: Counts) -> Record:
    """Return a request and its answer, and whose they are."""
    body = openai_chat(one)
    asked = [{"role": "system", "content": "Answer in one sentence."}, {"role": "user", "content": _TEXT}]
    return {
        "timestamp": one.time,
        "user": one.user,
        "team": "team-1",
        "request": {"model": body["model"], "messages": asked, "temperature": 0.2},
        "response": body,
        "latency_ms": one.rng.randint(200, 9_000),
    }


def plain(one: Counts) -> Record:
    """Return a row of somebody's own making."""
    return {
        "id": one.identity("p-"),
        "timestamp": one.time,
        "model": one.rng.choice(MODELS),
        "user": one.user,
        "prompt": _TEXT,
        "response": _TEXT,
        "prompt_tokens": one.prompt,
        "completion_tokens": one.completion,
        "latency_ms": one.rng.randint(200, 9_000),
    }


def otel(one: Counts) -> Record:
    """Return a span of the GenAI conventions, as one row."""
    model = one.rng.choice(MODELS)
    return {
        "trace_id": one.identity("", 32),
        "span_id": one.identity("", 16),
        "parent_id": None,
        "name": f"chat {model}",
        "kind": "CLIENT",
        "start_time": one.time,
        "end_time": one.time,
        "status": {"status_code": "UNSET"},
        "attributes": {
            "gen_ai.system": "openai",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": model,
            "gen_ai.response.model": model,
            "gen_ai.response.id": one.identity("chatcmpl-"),
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": one.prompt,
            "gen_ai.usage.output_tokens": one.completion,
            "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": _TEXT}]}]),
        },
        "resource": {"attributes": {"service.name": "harbour"}},
    }


def langfuse(one: Counts) -> Record:
    """Return an observation of a blob export."""
    return {
        "id": one.identity("obs-"),
        "trace_id": one.identity("", 32),
        "type": "GENERATION",
        "name": "answer",
        "start_time": one.time,
        "end_time": one.time,
        "provided_model_name": one.rng.choice(MODELS),
        "input": json.dumps([{"role": "user", "content": _TEXT}]),
        "output": json.dumps({"role": "assistant", "content": _TEXT}),
        "level": "DEFAULT",
        "usage_details": {"input": one.prompt, "output": one.completion, "total": one.total},
        "cost_details": {},
        "total_cost": one.total / 1_000_000,
        "user_id": one.user,
        "session_id": f"s{one.number // 5}",
        "latency": one.number % 90 / 7,
    }


def claude_code(one: Counts) -> Record:
    """Return a row of a transcript: an answer, or what the user said."""
    row = {
        "parentUuid": one.identity("", 32),
        "isSidechain": False,
        "userType": "external",
        "cwd": "/home/ann/harbour",
        "sessionId": f"s{one.number // 200}",
        "version": "2.0.1",
        "gitBranch": "main",
        "uuid": one.identity("", 32),
        "timestamp": one.time,
    }
    if one.number % 3 == 0:
        return row | {"type": "user", "message": {"role": "user", "content": _TEXT}}
    return row | {"type": "assistant", "requestId": one.identity("req_"), "message": anthropic(one)}


WRITERS: tuple[Callable[[Counts], Record], ...] = (
    openai_chat, openai_responses, anthropic, gemini, pair, plain, otel, langfuse, claude_code,
)  # fmt: skip


def _written(write: Callable[[Counts], Record]) -> Callable[[int], Iterator[Record]]:
    def records(count: int) -> Iterator[Record]:
        rng = random.Random(SEED)
        return (write(Counts(number, rng)) for number in range(count))

    return records


LOGS: dict[str, Callable[[int], Iterator[Record]]] = {
    "litellm_spend": lean,
    "litellm_standard": short_chats,
    **{write.__name__: _written(write) for write in WRITERS},
}
