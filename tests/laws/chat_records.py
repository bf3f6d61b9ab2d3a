"""Chats that state no usage, in every dialect that holds both sides of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.laws.records import CLAUDES, MODELS, PEOPLE, Draw, Record, moment

_WORDS = ("Hello there", "When is high tide?", " \n spaces around ", "Zoë 🙂")
_AWKWARD = (
    '{"a": 1}', "[1]", "data: no", '"q"', "", "redacted-by-litellm", "[BASE64_REDACTED]", 'say "content": "no"', "null",
)  # fmt: skip
_TEXTS = st.sampled_from((*_WORDS * 20, *_AWKWARD))


def _messages(draw: Draw, content: Callable[[str], Any] = str) -> list[Record]:
    roles = draw(st.sampled_from((("user",), ("system", "user"), ("user", "assistant", "user"))))
    return [{"role": role, "content": content(draw(_TEXTS))} for role in roles]


def _settings(draw: Draw) -> Record:
    settings: tuple[Record, ...] = (
        {}, {}, {"temperature": 0.2}, {"response_format": {"type": "json_object"}}, {"system": "Be brief."},
        {"tools": [{"type": "function", "function": {"name": "f", "description": "x", "parameters": {}}}]},
    )  # fmt: skip
    chosen: Record = draw(st.sampled_from(settings))
    return chosen


def openai_pair(number: int, draw: Draw) -> Record:
    """Draw a pair of OpenAI's chat API."""
    message = {"role": "assistant", "content": draw(_TEXTS), "refusal": None}
    ending = draw(st.sampled_from(("stop", "stop", "length")))
    model = draw(st.sampled_from(MODELS))
    return {
        "id": f"call-{number}",
        "timestamp": moment(number),
        "user": draw(st.sampled_from(PEOPLE)),
        "request": {"model": model, "messages": _messages(draw)} | _settings(draw),
        "response": {
            "id": f"chatcmpl-{number:x}",
            "object": "chat.completion",
            "created": 1_772_000_000 + number,
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": ending}],
            "system_fingerprint": draw(st.sampled_from(("fp_a", "fp_b"))),
        },
    }


def anthropic_pair(number: int, draw: Draw) -> Record:
    """Draw a pair of Anthropic's Messages API."""
    model = draw(st.sampled_from(CLAUDES))
    blocks = draw(st.booleans())
    messages = _messages(draw, lambda text: [{"type": "text", "text": text}] if blocks else text)
    return {
        "id": f"call-{number}",
        "timestamp": moment(number),
        "request": {"model": model, "max_tokens": 90, "messages": messages} | _settings(draw),
        "response": {
            "id": f"msg_{number:x}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": draw(_TEXTS)}],
            "stop_reason": draw(st.sampled_from(("end_turn", "max_tokens"))),
        },
    }


def gemini_pair(number: int, draw: Draw) -> Record:
    """Draw a pair of Gemini's API."""
    contents = [{"role": "user", "parts": [{"text": draw(_TEXTS)}]}]
    content = {"role": "model", "parts": [{"text": draw(_TEXTS)}]}
    return {
        "id": f"call-{number}",
        "timestamp": moment(number),
        "request": {"model": "gemini-2.5-pro", "contents": contents, "generationConfig": {"temperature": 1}},
        "response": {
            "candidates": [{"content": content, "finishReason": "STOP"}],
            "modelVersion": "gemini-2.5-pro",
            "responseId": f"r{number:x}",
        },
    }


def plain_chat(number: int, draw: Draw) -> Record:
    """Draw a row of somebody's own making."""
    asked = {"messages": _messages(draw)} if draw(st.booleans()) else {"prompt": draw(_TEXTS)}
    model = draw(st.sampled_from((*MODELS, *CLAUDES)))
    return {"id": f"p-{number}", "timestamp": moment(number), "model": model} | asked | {"response": draw(_TEXTS)}


def otel_chat(number: int, draw: Draw) -> Record:
    """Draw a span of the GenAI conventions, as one row."""
    asked = [{"role": "user", "parts": [{"type": "text", "content": draw(_TEXTS)}]}]
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": draw(_TEXTS)}], "finish_reason": "stop"}]
    return {
        "trace_id": f"{number + 1:032x}",
        "span_id": f"{number + 1:016x}",
        "name": "chat",
        "start_time": moment(number),
        "end_time": moment(number + 1),
        "attributes": {
            "gen_ai.system": "openai",
            "gen_ai.operation.name": "chat",
            "gen_ai.response.model": draw(st.sampled_from(MODELS)),
            "gen_ai.input.messages": json.dumps(asked),
            "gen_ai.output.messages": json.dumps(answer),
        },
    }


def langfuse_chat(number: int, draw: Draw) -> Record:
    """Draw an observation of a blob export."""
    return {
        "id": f"obs-{number}",
        "trace_id": f"t-{number}",
        "type": "GENERATION",
        "start_time": moment(number),
        "end_time": moment(number + 1),
        "provided_model_name": draw(st.sampled_from(MODELS)),
        "input": json.dumps(_messages(draw)),
        "output": draw(st.sampled_from((json.dumps({"role": "assistant", "content": draw(_TEXTS)}), draw(_TEXTS)))),
        "usage_details": {},
        "user_id": draw(st.sampled_from(PEOPLE)),
    }


CHATS = (openai_pair, anthropic_pair, gemini_pair, plain_chat, otel_chat, langfuse_chat)
