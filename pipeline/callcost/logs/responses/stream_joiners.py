"""The chunks of a streamed answer, brought together to the body that the provider would have sent at once.

One joiner per API; streams.py tells which. Usage is taken from wherever it stands; where no chunk has any, the body has
none. A stream that breaks off before its end says so: CUT_OFF is true in its body.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

from callcost.logs.values.json import decode_text, dicts_in
from callcost.logs.values.json_path import follow

Chunk = dict[str, Any]
CUT_OFF = "callcost.cut_off"  # key of a body whose stream broke off
_TEXT_KEYS = ("outputText", "generation", "completion", "text", "response")


class Text(list[str]):
    """A text that is still growing: its pieces."""


def append_text(holder: Chunk, key: str, text: Any) -> None:
    """Add a piece to the text that a holder has under a key; what is no text adds nothing."""
    if type(text) is not str:
        return
    before = holder.get(key)
    if type(before) is Text:
        before.append(text)
    else:
        holder[key] = Text([before, text] if type(before) is str else [text])


def _append_texts(holder: Chunk, more: Chunk, keys: Iterable[str]) -> None:
    for key in keys:
        append_text(holder, key, more.get(key))


def _join_texts(value: Any) -> Any:
    if type(value) is Text:
        return "".join(value)
    if type(value) is dict:
        return {key: _join_texts(item) for key, item in value.items()}
    return [_join_texts(item) for item in value] if type(value) is list else value


class Joiner:
    """Take the chunks of one answer in their order, and give its body.

    As it stands it joins any other stream: its texts; of everything else the last is kept.

    Attributes:
        base: what the chunks state beside the parts below, the last of each.
        parts: choices, blocks or candidates by their index.
        usage: where it is gathered apart.
        text: pieces of the answer, where that is one text.
    """

    def __init__(self) -> None:
        self.base: Chunk = {}
        self.parts: dict[int, Chunk] = {}
        self.usage: Chunk = {}
        self.text = Text()

    def add(self, chunk: Chunk) -> None:
        """Take one more chunk."""
        self._keep(chunk, *_TEXT_KEYS)
        _append_texts(self.base, chunk, _TEXT_KEYS)

    def body(self) -> Chunk:
        """Return the body that the chunks so far make, its texts in pieces."""
        return dict(self.base)

    def result(self) -> Chunk:
        """Return the body that the chunks so far make."""
        body = {key: _join_texts(value) for key, value in self.body().items()}
        ended = ENDED.get(type(self))
        return body if ended is None or ended(self) else body | {CUT_OFF: True}

    def _keep(self, stated: Any, *apart: str) -> None:
        """Keep what an object states, but for the keys that are joined apart."""
        if type(stated) is dict:
            self.base.update((key, value) for key, value in stated.items() if value is not None and key not in apart)

    def _part(self, number: Any, new: Chunk) -> Chunk:
        """Return the part of an index; the new one where there is none yet."""
        return self.parts.setdefault(number if type(number) is int else 0, new)

    def _add_text(self, text: Any) -> None:
        if type(text) is str:
            self.text.append(text)


class Chat(Joiner):
    """OpenAI chat and legacy completions: choices by index, usage in any chunk, the last one counts."""

    def add(self, chunk: Chunk) -> None:
        """Take one more chunk."""
        self._keep(chunk, "choices")
        for choice in dicts_in(chunk.get("choices")):
            part = self._part(choice.get("index"), {})
            append_text(part, "text", choice.get("text"))
            if type(choice.get("delta")) is dict:
                _add_delta(part.setdefault("message", {"role": "assistant"}), choice["delta"])
            part.update((key, choice[key]) for key in ("finish_reason", "usage") if choice.get(key) is not None)

    def body(self) -> Chunk:
        """Return the body that the chunks so far make."""
        kind = "text_completion" if any("text" in choice for choice in self.parts.values()) else "chat.completion"
        choices = [{"index": number} | self.parts[number] for number in sorted(self.parts)]
        return self.base | {"object": kind, "choices": choices}


def _add_delta(message: Chunk, delta: Chunk) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            calls = message.setdefault("tool_calls", [])
            for call in dicts_in(value):
                _add_call(calls, call)
        elif type(value) is str and key != "role":
            append_text(message, key, value)
        elif type(value) is list:
            before = message.setdefault(key, [])
            message[key] = [*before, *value] if type(before) is list else value
        elif value is not None:
            message[key] = value


def _add_call(calls: list[Any], call: Chunk) -> None:
    number, function = call.get("index"), call.get("function")
    held = next((one for one in calls if number is not None and one.get("index") == number), None)
    if held is None:
        calls.append(call | {"function": dict(function)} if type(function) is dict else dict(call))
    elif type(function) is dict:
        target = held.setdefault("function", {})
        if type(target) is dict:
            append_text(target, "arguments", function.get("arguments"))


class Responses(Joiner):
    """OpenAI Responses: the last event that carries the response has it whole; before it, its items are joined.

    A Realtime session has a response for each turn: their usages add up. Its model is the session's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[int, Any] = {}

    def add(self, chunk: Chunk) -> None:
        """Take one more event."""
        number, kind = chunk.get("output_index"), chunk.get("type")
        if kind == "response.done" and type(chunk.get("response")) is dict:
            _join_usage(self.usage, chunk["response"].get("usage"), operator.add)
        if type(chunk.get("session")) is dict:
            self._keep({"model": chunk["session"].get("model")})
        elif type(chunk.get("response")) is dict:
            self._keep(chunk["response"])
        elif kind == "response.output_item.done" and type(chunk.get("item")) is dict:
            self.items[number if type(number) is int else len(self.items)] = chunk["item"]
        elif kind == "response.output_text.delta" and type(chunk.get("delta")) is str:
            append_text(self._part(number, {"type": "output_text"}), "text", chunk["delta"])

    def body(self) -> Chunk:
        """Return the body that the events so far make."""
        texts = {
            place: {"type": "message", "role": "assistant", "content": [part]} for place, part in self.parts.items()
        }
        items = texts | self.items
        output = self.base.get("output") or [items[place] for place in sorted(items)]
        body = self.base | {"object": "response", "output": output}
        return body | {"usage": self.usage} if self.usage else body


def _join_usage(usage: Chunk, more: Any, join: Callable[[int, int], int]) -> None:
    """Lay further counts over a usage: two of one name are joined, and what is null says nothing."""
    for key, value in more.items() if type(more) is dict else ():
        before = usage.get(key)
        if type(value) is dict:
            inner = usage[key] = dict(before) if type(before) is dict else {}
            _join_usage(inner, value, join)
        elif type(value) is int and type(before) is int:
            usage[key] = join(before, value)
        elif value is not None:
            usage[key] = value


_LAST_STATES = ("completed", "incomplete", "failed", "cancelled")


class Anthropic(Joiner):
    """Anthropic Messages: counts only grow over a stream, so the largest of each is its last.

    The output count of message_start is a placeholder; message_delta, which comes last, has the one that is billed.
    Source: https://platform.claude.com/docs/en/build-with-claude/streaming
    """

    last = False  # whether the last event came

    def add(self, chunk: Chunk) -> None:
        """Take one more event."""
        kind, delta, number = chunk.get("type"), chunk.get("delta"), chunk.get("index")
        self.last = self.last or kind in ("message_delta", "message_stop")
        ends = delta if kind == "message_delta" else None
        for stated in (chunk.get("message"), ends, chunk):
            if type(stated) is dict:
                _join_usage(self.usage, stated.get("usage"), max)
        self._keep(chunk.get("message"))
        if type(chunk.get(_METRICS)) is dict:
            self.base[_METRICS] = chunk[_METRICS]
        if type(chunk.get("content_block")) is dict:
            self.parts[number if type(number) is int else 0] = dict(chunk["content_block"])
        elif kind == "content_block_delta" and type(delta) is dict:
            _append_texts(self._part(number, {"type": "text", "text": ""}), delta, _BLOCK_TEXTS)
        else:
            self._keep(ends, "usage")

    def body(self) -> Chunk:
        """Return the body that the events so far make."""
        blocks = [_settle_block(self.parts[place]) for place in sorted(self.parts)]
        body = self.base | {"type": "message", "content": blocks}
        usage = self.usage if self.last else {key: self.usage[key] for key in self.usage if key != "output_tokens"}
        return body | {"usage": usage} if usage else body


_METRICS = "amazon-bedrock-invocationMetrics"
_BLOCK_TEXTS = ("text", "thinking", "partial_json", "signature")


def _settle_block(block: Chunk) -> Chunk:
    """Return a block with the input of a tool decoded, which comes as pieces of JSON text."""
    pieces = block.get("partial_json")
    if type(pieces) is not Text:
        return block
    rest = {key: value for key, value in block.items() if key != "partial_json"}
    return rest | {"input": decode_text("".join(pieces))}


class Gemini(Joiner):
    """Gemini: each chunk is a body with the next parts; its usage is the sum so far."""

    def add(self, chunk: Chunk) -> None:
        """Take one more chunk."""
        self._keep(chunk, "candidates", "usageMetadata")
        usage = chunk.get("usageMetadata")
        if type(usage) is dict:
            self.usage.update((key, value) for key, value in usage.items() if value is not None)
        for candidate in dicts_in(chunk.get("candidates")):
            part = self._part(candidate.get("index"), {"content": {"parts": []}})
            content = candidate.get("content")
            part.update((key, value) for key, value in candidate.items() if key != "content" and value is not None)
            if type(content) is dict:
                part["content"]["parts"].extend(dicts_in(content.get("parts")))

    def body(self) -> Chunk:
        """Return the body that the chunks so far make."""
        body = self.base | {"candidates": [self.parts[place] for place in sorted(self.parts)]}
        return body | {"usageMetadata": self.usage} if self.usage else body


class Converse(Joiner):
    """Bedrock Converse: events named by their only key."""

    def add(self, chunk: Chunk) -> None:
        """Take one more event."""
        self._keep(chunk.get("metadata"))
        self._keep(chunk.get("messageStop"))
        self._add_text(follow(chunk, ("contentBlockDelta", "delta", "text")))

    def body(self) -> Chunk:
        """Return the body that the events so far make."""
        message = {"role": "assistant", "content": [{"text": self.text}]}
        return {"stopReason": None} | self.base | {"output": {"message": message}}


class Ollama(Joiner):
    """Ollama: one object a line; the last holds the counts."""

    def add(self, chunk: Chunk) -> None:
        """Take one more object."""
        message = chunk.get("message")
        self._add_text(message.get("content") if type(message) is dict else chunk.get("response"))
        self._keep(chunk)

    def body(self) -> Chunk:
        """Return the body that the objects so far make."""
        return self.base | {"message": {"role": "assistant", "content": self.text}}


class Cohere(Joiner):
    """Cohere: the last event has the usage; in version 1 it has the whole body.

    Source: https://docs.cohere.com/v2/docs/streaming, https://docs.cohere.com/v1/docs/streaming
    """

    def add(self, chunk: Chunk) -> None:
        """Take one more event."""
        if chunk.get("event_type") == "text-generation":
            self._add_text(chunk.get("text"))
        self._keep({name: chunk.get(name) for name in ("id", "generation_id", "finish_reason", "model")})
        self._keep(chunk.get("response"))
        self._keep(chunk.get("delta"), "message")
        self._add_text(follow(chunk, ("delta", "message", "content", "text")))

    def body(self) -> Chunk:
        """Return the body that the events so far make."""
        if "meta" in self.base:
            return dict(self.base)
        message = {"role": "assistant", "content": [{"type": "text", "text": self.text}]}
        return {"finish_reason": None, "usage": {}} | self.base | {"message": message}


JOINERS: dict[str, Callable[[], Joiner]] = {
    "chat": Chat,
    "completions": Chat,
    "responses": Responses,
    "anthropic": Anthropic,
    "gemini": Gemini,
    "converse": Converse,
    "ollama": Ollama,
    "cohere": Cohere,
}
# Whether the chunks go on to where their API ends an answer: a reason to end, or the usage, which comes last.
ENDED: dict[type[Joiner], Callable[[Any], bool]] = {
    Chat: lambda of: of.base.get("usage") or any("finish_reason" in choice for choice in of.parts.values()),
    Responses: lambda of: of.base.get("usage") or of.base.get("status") in _LAST_STATES,
    Anthropic: lambda of: of.last,
    Gemini: lambda of: not of.parts or any("finishReason" in one for one in of.parts.values()),  # blocked: no parts
    Converse: lambda of: "stopReason" in of.base or "usage" in of.base,
    Ollama: lambda of: of.base.get("done") is not False,
    Cohere: lambda of: "finish_reason" in of.base,
}
