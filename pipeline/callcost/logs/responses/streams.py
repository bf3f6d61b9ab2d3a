"""Streamed answers: which stream a chunk belongs to, and the body that the provider would have sent at once.

One joiner per API (stream_joiners.py), chosen by the first chunk. Chunks come as the events of an SSE text, as a list,
or one a row (chunk_rows.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from callcost.logs.responses.stream_joiners import JOINERS, Chunk, Joiner
from callcost.logs.values.json import Refusal, decode, decode_text, dicts_in

ANTHROPIC_EVENTS = frozenset((
    "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
    "message_stop", "ping",
))  # fmt: skip
_CONVERSE_EVENTS = frozenset(
    ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")
)
# Version 2 names them by "type", version 1 by "event_type": https://docs.cohere.com/v2/docs/streaming
COHERE_EVENTS = frozenset((
    "message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "tool-call-start",
    "tool-call-delta", "tool-call-end", "citation-start", "citation-end", "message-end", "stream-start",
    "search-queries-generation", "search-results", "text-generation", "citation-generation", "tool-calls-generation",
    "tool-calls-chunk", "stream-end",
))  # fmt: skip
_OBJECTS = {"chat.completion.chunk": "chat", "text_completion": "completions"}
_RESPONSE_KEYS = frozenset(("response", "sequence_number", "item_id", "item", "delta"))
_MESSAGE_KEYS = frozenset(("message", "index", "usage"))


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
        return join_chunks(dicts_in(value))
    if type(value) is dict and "type" in value and "response" in value and kind_of(value) == "responses":
        return join_chunks([value])  # the last event of a stream, or of a turn of a Realtime session
    return value


def read_events(text: str) -> Iterator[Chunk]:
    """Yield the JSON objects of an SSE text; what is no object ("[DONE]", a cut line) is left out."""
    for line in text.splitlines():
        if line.startswith("data:"):
            with contextlib.suppress(Refusal, UnicodeEncodeError):
                yield from dicts_in([decode(line[5:].strip().encode())])


def join_chunks(chunks: Iterable[Chunk]) -> Chunk | None:
    """Join chunks of one answer; None where there are none."""
    joiner: Joiner | None = None
    for chunk in chunks:
        if joiner is None:
            joiner = JOINERS.get(kind_of(chunk) or "", Joiner)()
        joiner.add(chunk)
    return joiner.result() if joiner else None


def kind_of(chunk: Chunk) -> str | None:
    """Return the kind of stream a chunk belongs to; None where it is no chunk that is known."""
    named, event = chunk.get("object"), chunk.get("type")
    if type(named) is str and named in _OBJECTS:
        return _OBJECTS[named]
    if any(type(name) is str and name in COHERE_EVENTS for name in (event, chunk.get("event_type"))):
        return "cohere"
    if type(event) is str:
        if event.startswith("response.") and not _RESPONSE_KEYS.isdisjoint(chunk):
            return "responses"
        if event.startswith("session.") and type(chunk.get("session")) is dict:
            return "responses"  # of a Realtime session
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
