"""What tracers keep of a conversation, put into the shape of a chat, so that it can be counted as one.

Messages have their text under "content" or in "parts" (OpenTelemetry), their answers are a text, a message, a list of
them, or the provider's own body. Where a part is neither text nor a tool's, the tracer has left out what was in it:
then ``is_whole`` says no, and the text is not to be counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from callcost.logs.values.json import Refusal, canonical, decode, decode_text, dicts_in
from callcost.logs.values.json_path import first_filled

REDACTED = "redacted-by-litellm"
_TEXTS = frozenset(("text", "input_text", "output_text", "reasoning", "thinking"))
_KEPT = frozenset(("image_url",))  # with what is in them
_CALLS = frozenset(("tool_call", "tool-call", "tool_use"))
_RESULTS = frozenset(("tool_call_response", "tool-result", "tool_result"))
_PROMPTS = ("messages", "prompt", "input", "contents", "query", "question", "text")
_ANSWERS = ("message", "content", "text", "output", "messages")
_RESULT_TEXTS = ("response", "output", "result", "content")
_BESIDE = ("tools", "tool_choice", "functions", "response_format", "system")


def chat_request(value: Any, **beside: Any) -> dict[str, Any] | None:
    """Return a chat's request; None where there is no text.

    Args:
        value: messages, one message, a text, or an object that has them under a usual name.
        beside: tools and the like, where they are stated apart.
    """
    value = unquote(value)
    extra = {name: item for name, item in beside.items() if item}
    if type(value) is dict and "role" not in value:
        extra = {name: value[name] for name in _BESIDE if value.get(name)} | extra
        value = unquote(first_filled(value, _PROMPTS))
    messages = [_message(item, "user") for item in _items(value)]
    return {"messages": messages} | extra if messages else None


def chat_response(value: Any) -> dict[str, Any] | None:
    """Return a chat's answer as a body with choices; None where there is no text."""
    value = unquote(value)
    if type(value) is dict and "role" not in value:
        if type(value.get("choices")) is list:
            return value
        value = first_filled(value, _ANSWERS)
    return body_of(_message(item, "assistant") for item in _items(value))


def body_of(answers: Iterable[Any]) -> dict[str, Any] | None:
    """Return texts or messages as the choices of a chat's body; None where there is neither."""
    messages = [{"role": "assistant", "content": one} if type(one) is str else one for one in answers]
    messages = [one for one in messages if type(one) is dict]
    return {"choices": [{"index": number, "message": one} for number, one in enumerate(messages)]} if messages else None


def messages_of(prompt: Any) -> Any:
    """Return a text as the messages of a chat; what is no text as it is."""
    return [{"role": "user", "content": prompt}] if type(prompt) is str else prompt


def unquote(value: Any) -> Any:
    """Return what JSON as text holds, a text in quotes too; any other value as it is."""
    if type(value) is not str:
        return value
    if value.startswith('"') and value.endswith('"'):
        try:
            return decode(value.encode())
        except (Refusal, UnicodeEncodeError):
            return value
    return decode_text(value)


def is_whole(body: Mapping[str, Any] | None) -> bool:
    """Tell whether all parts of a chat's messages can be counted."""
    choices = [choice.get("message") for choice in (body or {}).get("choices", ()) if type(choice) is dict]
    messages = [*(body or {}).get("messages", ()), *choices]
    contents = [message.get("content") for message in messages if type(message) is dict]
    return all(_kind_of(part) in _TEXTS | _KEPT for content in contents for part in dicts_in(content))


def is_redacted(messages: Any) -> bool:
    """Tell whether text was replaced by LiteLLM's mark: a text, a message, or all of a list's."""
    if type(messages) is str:
        return messages == REDACTED
    if type(messages) is dict:
        messages = [messages]
    contents = [message.get("content", message.get("text")) for message in dicts_in(messages)]
    return bool(contents) and all(content == REDACTED for content in contents)


def _items(value: Any) -> list[Any]:
    if type(value) is list:
        return [item for item in value if type(item) in (dict, str)]
    return [value] if type(value) is dict or (type(value) is str and value) else []


def _message(item: Any, role: str) -> dict[str, Any]:
    if type(item) is str:
        return {"role": role, "content": item}
    parts = item.get("parts", item.get("content"))
    message = {"role": item.get("role") or role, "content": parts}
    if type(parts) is list:
        calls = [_tool_call(part) for part in dicts_in(parts) if _kind_of(part) in _CALLS]
        others = [_part(part) for part in parts if type(part) is str or _kind_of(part) not in _CALLS]
        message = {"role": message["role"], "content": others} | ({"tool_calls": calls} if calls else {})
    stated = {name: item[name] for name in ("tool_calls", "name", "tool_call_id") if item.get(name)}
    return message | stated


def _kind_of(part: Any) -> str | None:
    kind = part.get("type") if type(part) is dict else None
    return kind if type(kind) is str else None


def _part(part: Any) -> dict[str, Any]:
    if type(part) is str:
        return {"type": "text", "text": part}
    if type(part) is not dict:
        return {"type": "unknown"}
    kind = _kind_of(part)
    if kind in _KEPT:
        return part
    if kind in _RESULTS:
        found = next((part[name] for name in _RESULT_TEXTS if part.get(name) is not None), "")
        return {"type": "text", "text": found if type(found) is str else canonical(found).decode()}
    if kind in _TEXTS or (kind is None and "text" in part):
        text = part.get("content", part.get("text"))
        return {"type": "text", "text": text if type(text) is str else ""}
    return {"type": kind or "unknown"}


def _tool_call(part: Mapping[str, Any]) -> dict[str, Any]:
    name = part.get("name", part.get("toolName"))
    stated: Any = next((part[key] for key in ("arguments", "input", "args") if part.get(key) is not None), {})
    arguments = stated if type(stated) is str else canonical(stated).decode()
    return {"type": "function", "function": {"name": name if type(name) is str else "", "arguments": arguments}}
