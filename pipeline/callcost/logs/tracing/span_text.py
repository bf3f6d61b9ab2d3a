"""The text that a span keeps of its call, under any of the names that tracers use, in the shape of a chat.

OpenTelemetry has JSON of messages with parts, Traceloop and OpenInference number their messages, Vercel's SDK has
JSON of its own. What the shape is, is in conversations.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callcost.logs.tracing.attributes import items_below
from callcost.logs.tracing.conversations import chat_request, chat_response, unquote
from callcost.logs.values.json import decode_text, list_in


def request_of(flat: Mapping[str, Any], endpoint: str) -> dict[str, Any] | None:
    """Return what was sent, as a chat or as texts to embed; None where the span keeps no text.

    Args:
        flat: the span's attributes.
        endpoint: "chat" or "embeddings".
    """
    if endpoint == "embeddings":
        texts = flat.get("ai.values", flat.get("ai.value"))
        texts = texts or [item.get("embedding.text") for item in items_below(flat, "embedding.embeddings")]
        texts = [unquote(text) for text in texts] if type(texts) is list else unquote(texts)
        return {"input": texts} if texts else None
    found = _list_of(flat, "gen_ai.input.messages", "ai.prompt.messages", "gen_ai.prompt")
    found = found or _traceloop(flat, "gen_ai.prompt") or _openinference(flat, "llm.input_messages")
    system = _list_of(flat, "gen_ai.system_instructions")
    if system and type(found) is list:
        found = [{"role": "system", "parts": system}, *found]
    tools = [*map(decode_text, list_in(flat.get("ai.prompt.tools")))]
    return chat_request(
        found or flat.get("input.value") or flat.get("mlflow.spanInputs"),
        tools=tools or _list_of(flat, "gen_ai.tool.definitions"),
    )


def answer_of(flat: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what was answered, as a body with choices; None where the span keeps no text."""
    found = _list_of(flat, "gen_ai.output.messages", "gen_ai.completion")
    found = found or _traceloop(flat, "gen_ai.completion") or _openinference(flat, "llm.output_messages")
    found = found or flat.get("ai.response.text") or flat.get("output.value") or flat.get("mlflow.spanOutputs")
    calls = _list_of(flat, "ai.response.toolCalls")
    if calls:
        parts = [{"type": "text", "text": found}] if type(found) is str else []
        parts += [{"type": "tool_call"} | call for call in calls if type(call) is dict]
        found = {"role": "assistant", "parts": parts}
    return chat_response(found)


def _traceloop(flat: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Return numbered messages; a content of parts is JSON as text, calls of tools are numbered in their message."""
    messages = []
    for item in items_below(flat, prefix):
        calls = [
            {"type": "function", "function": {"name": tool.get("name", ""), "arguments": tool.get("arguments", "")}}
            for tool in items_below(item, "tool_calls")
        ]
        messages.append({"role": item.get("role"), "content": unquote(item.get("content")), "tool_calls": calls})
    return messages


def _openinference(flat: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    messages = []
    for item in items_below(flat, prefix):
        parts = [
            {"type": part.get("message_content.type", "text"), "text": part.get("message_content.text", "")}
            for part in items_below(item, "message.contents")
        ]
        calls = [
            {"type": "tool_call", "name": tool.get("tool_call.function.name", ""),
             "arguments": tool.get("tool_call.function.arguments", "")}
            for tool in items_below(item, "message.tool_calls")
        ]  # fmt: skip
        content = item.get("message.content")
        texts = [{"type": "text", "text": content}] if type(content) is str else []
        messages.append({"role": item.get("message.role"), "parts": [*texts, *parts, *calls]})
    return messages


def _list_of(flat: Mapping[str, Any], *names: str) -> Any:
    """Return the first that is a list, or is one as JSON text."""
    for name in names:
        value = decode_text(flat.get(name))
        if type(value) is list and value:
            return [item for item in value if type(item) in (dict, str)]
    return None
