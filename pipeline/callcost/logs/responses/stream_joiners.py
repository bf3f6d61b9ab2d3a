"""The chunks of a streamed answer, brought together to the body that the provider would have sent at once.

One joiner per API, told by the first chunk. Chunks come as the events of an SSE text, as a list, or one a row
(chunk_rows.py). Usage is taken from wherever it stands; where no chunk has any, the body has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from callcost.logs.values.json import Refusal, decode, decode_text

Chunk = dict[str, Any]
ANTHROPIC_EVENTS = frozenset(
    (
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop", "ping",
    )
)  # fmt: skip
_CONVERSE_EVENTS = frozenset(
    ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")
)
_RESPONSE_KEYS = frozenset(("response", "sequence_number", "item_id", "item", "delta"))
_MESSAGE_KEYS = frozenset(("message", "index", "usage"))
_TEXT_KEYS = ("outputText", "generation", "completion", "text", "response")


def join_body(value: Any) -> Any:
    """Return the one body of a response: joined, where it is a stream; as it is, where it is not.

    Args:
        value: a body, a list of chunks, SSE text, or JSON text.
    """
    if type(value) is str:
        text = value.lstrip()
        if text.startswith(("data:", "event:", ":")):
            return join_chunks(read_events(text)) or value
        decoded = decode_text(text)
        return value if type(decoded) is str else join_body(decoded)
    if type(value) is list:
        return join_chunks(chunk for chunk in value if type(chunk) is dict)
    return value


def read_events(text: str) -> Iterator[Chunk]:
    """Yield the JSON objects of an SSE text; what is no object ("[DONE]", a cut line) is left out."""
    for line in text.splitlines():
        if line.startswith("data:"):
            try:
                chunk = decode(line[5:].strip().encode())
            except (Refusal, UnicodeEncodeError):
                continue
            if type(chunk) is dict:
                yield chunk


def join_chunks(chunks: Iterable[Chunk]) -> Chunk | None:
    """Join chunks of one answer; None where there are none."""
    joiner: Joiner | None = None
    for chunk in chunks:
        if joiner is None:
            joiner = JOINERS.get(kind_of(chunk) or "", Merged)()
        joiner.add(chunk)
    return joiner.result() if joiner else None


def kind_of(chunk: Chunk) -> str | None:
    """Return the kind of stream a chunk belongs to; None where it is no chunk that is known."""
    event = chunk.get("type")
    if chunk.get("object") == "chat.completion.chunk":
        return "chat"
    if chunk.get("object") == "text_completion":
        return "completions"
    if type(event) is str:
        if event.startswith("response.") and not _RESPONSE_KEYS.isdisjoint(chunk):
            return "responses"
        if event in ANTHROPIC_EVENTS and (not _MESSAGE_KEYS.isdisjoint(chunk) or len(chunk) < 3):
            return "anthropic"
    return _nested_kind(chunk)


def _nested_kind(chunk: Chunk) -> str | None:
    """Tell the streams whose chunks look like whole bodies; only a list of them is a stream."""
    choice = chunk["choices"][0] if type(chunk.get("choices")) is list and chunk["choices"] else None
    if type(choice) is dict and "delta" in choice:
        return "chat"
    if type(choice) is dict and "text" in choice:
        return "completions"
    if "candidates" in chunk or "usageMetadata" in chunk:
        return "gemini"
    if "done" in chunk and "model" in chunk:
        return "ollama"
    return "converse" if _CONVERSE_EVENTS & chunk.keys() and len(chunk) < 3 else None


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


def _join_texts(value: Any) -> Any:
    if type(value) is Text:
        return "".join(value)
    if type(value) is dict:
        return {key: _join_texts(item) for key, item in value.items()}
    return [_join_texts(item) for item in value] if type(value) is list else value


class Joiner:
    """Take chunks in order; give the body."""

    def __init__(self) -> None:
        self.base: Chunk = {}

    def add(self, chunk: Chunk) -> None:
        """Take one more chunk."""
        self.base.update((key, value) for key, value in chunk.items() if value is not None)

    def body(self) -> Chunk:
        """Return the body that the chunks so far make, its texts in pieces."""
        return dict(self.base)

    def result(self) -> Chunk:
        """Return the body that the chunks so far make."""
        return {key: _join_texts(value) for key, value in self.body().items()}


class Merged(Joiner):
    """Any other stream: texts are joined, of everything else the last is kept."""

    def add(self, chunk: Chunk) -> None:
        """Take one more chunk."""
        super().add({key: value for key, value in chunk.items() if key not in _TEXT_KEYS})
        for key in _TEXT_KEYS:
            append_text(self.base, key, chunk.get(key))


class Chat(Joiner):
    """OpenAI chat and legacy completions: choices by index, usage in any chunk, the last one counts."""

    def __init__(self) -> None:
        super().__init__()
        self.choices: dict[int, Chunk] = {}

    def add(self, chunk: Chunk) -> None:
        """Take one more chunk."""
        super().add({key: value for key, value in chunk.items() if key != "choices"})
        for choice in _dicts(chunk.get("choices")):
            number = choice.get("index")
            held = self.choices.setdefault(number if type(number) is int else 0, {})
            append_text(held, "text", choice.get("text"))
            if type(choice.get("delta")) is dict:
                _add_delta(held.setdefault("message", {"role": "assistant"}), choice["delta"])
            if choice.get("finish_reason") is not None:
                held["finish_reason"] = choice["finish_reason"]

    def body(self) -> Chunk:
        """Return the body that the chunks so far make."""
        kind = "text_completion" if any("text" in choice for choice in self.choices.values()) else "chat.completion"
        choices = [{"index": number} | self.choices[number] for number in sorted(self.choices)]
        return self.base | {"object": kind, "choices": choices}


def _add_delta(message: Chunk, delta: Chunk) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            calls = message.setdefault("tool_calls", [])
            for call in _dicts(value):
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
    """OpenAI Responses: the last event that carries the response has it whole; before it, its items are joined."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[Any, Any] = {}
        self.texts: dict[int, Chunk] = {}

    def add(self, chunk: Chunk) -> None:
        """Take one more event."""
        number = chunk.get("output_index")
        place = number if type(number) is int else len(self.items)
        if type(chunk.get("response")) is dict:
            super().add(chunk["response"])
        elif chunk.get("type") == "response.output_item.done" and type(chunk.get("item")) is dict:
            self.items[place] = chunk["item"]
        elif chunk.get("type") == "response.output_text.delta" and type(chunk.get("delta")) is str:
            part = self.texts.setdefault(number if type(number) is int else 0, {"type": "output_text"})
            append_text(part, "text", chunk["delta"])

    def body(self) -> Chunk:
        """Return the body that the events so far make."""
        parts: dict[int, Any] = {
            place: {"type": "message", "role": "assistant", "content": [part]} for place, part in self.texts.items()
        } | self.items
        output = self.base.get("output") or [parts[place] for place in sorted(parts)]
        return self.base | {"object": "response", "output": output}


class Anthropic(Joiner):
    """Anthropic Messages: counts only grow over a stream, so the largest of each is its last."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: dict[int, Chunk] = {}
        self.usage: Chunk = {}

    def add(self, chunk: Chunk) -> None:
        """Take one more event."""
        for part in (chunk.get("message"), chunk.get("delta") if chunk.get("type") == "message_delta" else None, chunk):
            if type(part) is dict:
                _grow(self.usage, part.get("usage"))
        if type(chunk.get("message")) is dict:
            super().add(chunk["message"])
        metrics = chunk.get("amazon-bedrock-invocationMetrics")
        if type(metrics) is dict:
            self.base["amazon-bedrock-invocationMetrics"] = metrics
        number = chunk.get("index")
        place = number if type(number) is int else 0
        if type(chunk.get("content_block")) is dict:
            self.blocks[place] = dict(chunk["content_block"])
        elif chunk.get("type") == "content_block_delta" and type(chunk.get("delta")) is dict:
            _add_block_delta(self.blocks.setdefault(place, {"type": "text", "text": ""}), chunk["delta"])
        elif chunk.get("type") == "message_delta" and type(chunk.get("delta")) is dict:
            super().add({key: value for key, value in chunk["delta"].items() if key != "usage"})

    def body(self) -> Chunk:
        """Return the body that the events so far make."""
        blocks = [_settled_block(self.blocks[place]) for place in sorted(self.blocks)]
        body = self.base | {"type": "message", "content": blocks}
        return body | {"usage": self.usage} if self.usage else body


_BLOCK_TEXTS = ("text", "thinking", "partial_json", "signature")


def _add_block_delta(block: Chunk, delta: Chunk) -> None:
    for key in _BLOCK_TEXTS:
        append_text(block, key, delta.get(key))


def _settled_block(block: Chunk) -> Chunk:
    """Return a block with the input of a tool decoded, which comes as pieces of JSON text."""
    pieces = block.get("partial_json")
    if type(pieces) is not Text:
        return block
    rest = {key: value for key, value in block.items() if key != "partial_json"}
    return rest | {"input": decode_text("".join(pieces))}


def _grow(usage: Chunk, more: Any) -> None:
    for key, value in more.items() if type(more) is dict else ():
        before = usage.get(key)
        if type(value) is dict and type(before) is dict:
            _grow(before, value)
        elif type(value) is dict:
            usage[key] = dict(value)
        elif type(value) is int and type(before) is int:
            usage[key] = max(before, value)
        elif value is not None:
            usage[key] = value


class Gemini(Joiner):
    """Gemini: each chunk is a body with the next parts; its usage is the sum so far."""

    def __init__(self) -> None:
        super().__init__()
        self.usage: Chunk = {}
        self.candidates: dict[int, Chunk] = {}

    def add(self, chunk: Chunk) -> None:
        """Take one more chunk."""
        super().add({key: value for key, value in chunk.items() if key not in {"candidates", "usageMetadata"}})
        usage = chunk.get("usageMetadata")
        if type(usage) is dict:
            self.usage.update((key, value) for key, value in usage.items() if value is not None)
        for candidate in _dicts(chunk.get("candidates")):
            number = candidate.get("index")
            held = self.candidates.setdefault(number if type(number) is int else 0, {"content": {"parts": []}})
            content = candidate.get("content")
            held.update((key, value) for key, value in candidate.items() if key != "content" and value is not None)
            if type(content) is dict:
                held["content"]["parts"].extend(_dicts(content.get("parts")))

    def body(self) -> Chunk:
        """Return the body that the chunks so far make."""
        body = self.base | {"candidates": [self.candidates[place] for place in sorted(self.candidates)]}
        return body | {"usageMetadata": self.usage} if self.usage else body


class Converse(Joiner):
    """Bedrock Converse: events named by their only key."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def add(self, chunk: Chunk) -> None:
        """Take one more event."""
        for name in ("metadata", "messageStop"):
            if type(chunk.get(name)) is dict:
                super().add(chunk[name])
        delta = chunk["contentBlockDelta"].get("delta") if type(chunk.get("contentBlockDelta")) is dict else None
        if type(delta) is dict and type(delta.get("text")) is str:
            self.texts.append(delta["text"])

    def body(self) -> Chunk:
        """Return the body that the events so far make."""
        message = {"role": "assistant", "content": [{"text": "".join(self.texts)}]}
        return {"stopReason": None} | self.base | {"output": {"message": message}}


class Ollama(Joiner):
    """Ollama: one object a line; the last holds the counts."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def add(self, chunk: Chunk) -> None:
        """Take one more object."""
        message = chunk.get("message")
        text = message.get("content") if type(message) is dict else chunk.get("response")
        self.texts.append(text if type(text) is str else "")
        super().add(chunk)

    def body(self) -> Chunk:
        """Return the body that the objects so far make."""
        return self.base | {"message": {"role": "assistant", "content": "".join(self.texts)}}


def _dicts(value: Any) -> list[Chunk]:
    return [item for item in value if type(item) is dict] if type(value) is list else []


JOINERS: dict[str, Callable[[], Joiner]] = {
    "chat": Chat,
    "completions": Chat,
    "responses": Responses,
    "anthropic": Anthropic,
    "gemini": Gemini,
    "converse": Converse,
    "ollama": Ollama,
}
