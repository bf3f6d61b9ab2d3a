"""Chunk rows: streams logged one chunk a line, brought together by id while a file is read.

Which chunk is which is in streams.py, how chunks make a body in stream_joiners.py. A stream that says its end is handed
over at once; one that does not (OpenAI's chat) at the end of the file, or when too many are open. An answer of Gemini's
that has ended waits for what comes next, which may state its usage alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from callcost.logs.responses.stream_joiners import ENDED, JOINERS, Chunk, Joiner, Responses
from callcost.logs.responses.streams import ANTHROPIC_EVENTS, COHERE_EVENTS, kind_of
from callcost.logs.values.json import UNFORESEEN, dict_in, list_in
from callcost.logs.values.json_path import follow

MAX_OPEN = 10_000  # streams held at a time; the one that had no chunk for longest is closed first
_ENDS = frozenset((
    "message_stop", "message-end", "stream-end",
    *(f"response.{end}" for end in ("completed", "incomplete", "failed", "cancelled", "done")),
))  # fmt: skip
_STARTS = frozenset(("message_start", "response.created", "message-start", "stream-start"))
_GEMINI = "gemini"
_WITH_EVENTS = frozenset(("anthropic", "responses", "cohere"))  # kinds whose events leave out the id
_BODY_LIKE = frozenset(("completions", "ollama", _GEMINI))  # kinds whose last chunk looks like a body
_FINISHED = ("finishReason", "finish_reason")  # of a candidate

_IDS = (
    ("responseId",), ("message", "id"), ("response", "id"), ("id",), ("generation_id",), ("response", "generation_id"),
)  # fmt: skip
_OF_AN_END = frozenset(("type", "index"))  # keys of Cohere's events that only say that a part has ended


class Stream(NamedTuple):
    """A stream: what joins its chunks, the place of the first, what one that could not be joined raised, how many."""

    joiner: Joiner
    row: int
    offset: int | None
    fault: Exception | None = None
    chunks: int = 0

    @property
    def is_numbered(self) -> bool:
        """Whether its chunks say in which order they came, as those of Responses do."""
        return self.chunks < 2 or isinstance(self.joiner, Responses)


def is_chunk(record: Chunk) -> bool:
    """Tell whether a whole record is one chunk of a stream."""
    event = record.get("type")
    if type(event) is str and (event in ANTHROPIC_EVENTS or event.startswith("response.")):
        return kind_of(record) is not None
    if _event_of(record) in COHERE_EVENTS:
        return type(record.get("delta")) is dict or "is_finished" in record or record.keys() <= _OF_AN_END
    kind = record.get("object")
    return (
        kind == "chat.completion.chunk"
        or (kind == "text_completion" and _is_unfinished(record))
        or (record.get("done") is False and "model" in record and "created_at" in record)
    )


def _is_unfinished(completion: Chunk) -> bool:
    """Tell whether a legacy completion, whose chunks look like bodies, is one of several; its id must say of which."""
    choices = list_in(completion.get("choices"))
    return bool(
        choices
        and all(type(choice) is dict and choice.get("finish_reason") is None for choice in choices)
        and not completion.get("usage")
        and _id_of(completion)
    )


def is_begun_answer(record: Chunk) -> bool:
    """Tell whether a body of Gemini's is not whole: within a sequence, what follows it is of the same answer.

    Only the last chunk has a reason to finish, and each states the usage so far.
    Source: https://ai.google.dev/api/generate-content#candidate
    """
    candidates = list_in(record.get("candidates"))
    ended = any(type(one) is dict and one.get(key) for one in candidates for key in _FINISHED)
    return bool(candidates) and not (ended and "usageMetadata" in record)


def _goes_on(joiner: Joiner, chunk: Chunk) -> bool:
    """Tell whether a chunk of Gemini's is of an answer that has begun: its id, or one prompt and a total that grows."""
    if ENDED[type(joiner)](joiner) and list_in(chunk.get("candidates")):
        return False
    if _id_of(chunk) is not None:
        return True
    usages = (joiner.usage, dict_in(chunk.get("usageMetadata")))
    prompts = {one["promptTokenCount"] for one in usages if type(one.get("promptTokenCount")) is int}
    totals = [one["totalTokenCount"] for one in usages if type(one.get("totalTokenCount")) is int]
    return len(prompts) < 2 and totals == sorted(totals)


class Gatherer:
    """Hold the open streams of one file."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, str], Stream] = OrderedDict()
        self._latest: dict[str, tuple[str, str]] = {}  # kind -> the stream that chunks without an id belong to
        self._ended: tuple[str, str] | None = None  # an answer of Gemini's that has a reason to finish

    def takes(self, record: Chunk, *, in_sequence: bool = False) -> bool:
        """Tell whether a record is a chunk, or looks like a body and ends a stream that is open.

        Args:
            record: as it stands in its file.
            in_sequence: whether it is an event of a stream, or an element of an array.
        """
        if is_chunk(record) or (in_sequence and is_begun_answer(record)):
            return True
        kind = kind_of(record) if self._open else None
        return kind in _BODY_LIKE and self._key_of(kind, record) in self._open

    def add(self, chunk: Chunk, row: int, offset: int | None) -> tuple[bool, list[Stream]]:
        """Take a chunk.

        Returns:
            Whether it was the first of its stream, and the streams that are complete now.
        """
        kind = kind_of(chunk) or "chat"
        key = self._key_of(kind, chunk)
        done: list[Stream] = []
        held = self._open.get(key)
        if held and kind == _GEMINI and held.fault is None and not _goes_on(held.joiner, chunk):
            done.append(self._open.pop(key))
        if self._ended is not None and self._ended != key and self._ended in self._open:
            done.append(self._open.pop(self._ended))
        first = key not in self._open
        if first:
            self._open[key] = Stream(JOINERS[kind](), row, offset)
        try:
            self._open[key].joiner.add(chunk)
        except UNFORESEEN as error:
            self._open[key] = self._open[key]._replace(fault=error)
        self._open[key] = self._open[key]._replace(chunks=self._open[key].chunks + 1)
        self._open.move_to_end(key)
        if kind == _GEMINI:
            self._ended = None if is_begun_answer(chunk) else key
        if _event_of(chunk) in _ENDS or chunk.get("done") is True:
            self._latest.pop(kind, None)
            done.append(self._open.pop(key))
        elif len(self._open) > MAX_OPEN:
            done.append(self._open.popitem(last=False)[1])
        return first, done

    def finish(self) -> Iterator[Stream]:
        """Hand over every stream that is still open."""
        while self._open:
            yield self._open.popitem(last=False)[1]

    def _key_of(self, kind: str, chunk: Chunk) -> tuple[str, str]:
        own = str(chunk.get("model")) if kind == "ollama" else _id_of(chunk)
        if own is None:
            return self._latest.setdefault(kind, (kind, ""))
        if kind in _WITH_EVENTS and (_event_of(chunk) in _STARTS or kind not in self._latest):
            self._latest[kind] = (kind, own)
        return kind, own


def _event_of(chunk: Chunk) -> str:
    event = chunk.get("type", chunk.get("event_type"))
    return event if type(event) is str else ""


def _id_of(chunk: Chunk) -> str | None:
    stated = (follow(chunk, path) for path in _IDS)
    return next((own for own in stated if type(own) is str and own), None)
