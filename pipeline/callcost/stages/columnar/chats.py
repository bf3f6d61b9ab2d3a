"""Plain chats whose usage is missing, by columns: their texts out of JSON, and how they are counted.

What a plain chat is, and what it comes to, is known by tokens/framing/plain_chat.py; this file reads them by columns,
without an object per chat. A chat that is not plain, or whose text settles what the call is, is for the record
reader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import polars as pl

from callcost.logs.dialects.litellm import STRIPPED
from callcost.logs.tracing.conversations import REDACTED
from callcost.stages.columnar.schema import UNDECODABLE, Choices
from callcost.stages.tables.dictionary import Numbered, cross, number_spans
from callcost.stages.tables.plain_chats import ChatKinds, Chats, Roles
from callcost.tokens.engines.vocabularies import installed
from callcost.tokens.framing.plain_chat import RULE_CHANGES, FrameTemplate, read_plain_answer, templates_of
from callcost.tokens.model_families import choose

_CHUNK = 256  # rows that are decoded together, and one by one where one of them is odd
_LONGEST = 1 << 18  # bytes of messages or of an answer; larger ones may be items that have a deadline


class _Message(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: str
    content: Annotated[str, msgspec.Meta(min_length=1)]


class _Answer(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """The ordinary message of an answer; any other is looked at by ``read_plain_answer``."""

    role: Literal["assistant"]
    content: Annotated[str, msgspec.Meta(min_length=1)]
    refusal: None = None
    annotations: Annotated[list[Any], msgspec.Meta(max_length=0)] | None = None
    audio: None = None
    function_call: None = None
    tool_calls: None = None
    provider_specific_fields: None = None


class _Ending(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    message: _Answer
    finish_reason: Literal["stop"] | None = None
    index: int = 0
    logprobs: None = None


_text = msgspec.json.Decoder(str)
_any = msgspec.json.Decoder()
_messages = msgspec.json.Decoder(Annotated[list[_Message], msgspec.Meta(min_length=1)])
_choices = msgspec.json.Decoder(Choices)
_endings = msgspec.json.Decoder(Annotated[list[_Ending], msgspec.Meta(min_length=1, max_length=1)])
_role, _content = attrgetter("role"), attrgetter("content")

class Asker(NamedTuple):
    """What decides how a chat is counted, beside its texts."""

    model: str
    provider: str | None
    endpoint: str | None


def read_chats(asked: Sequence[msgspec.Raw], answers: Sequence[str]) -> Chats:
    """Return the plain chats of some rows.

    Args:
        asked: of each row, the JSON of its messages.
        answers: of each row, the text of its plain answer; "": it has none.
    """
    found = Chats(answers=list(answers))
    for first in range(0, len(asked), _CHUNK):
        rows = zip(_read_messages(asked[first : first + _CHUNK]), answers[first : first + _CHUNK], strict=True)
        for messages, answer in rows:
            if messages and answer:
                found.roles.append(tuple(map(_role, messages)))
                found.texts += map(_content, messages)
            else:
                found.answers[len(found.roles)] = ""
                found.roles.append(())
    return found


def _read_messages(values: Sequence[msgspec.Raw]) -> list[list[_Message]]:
    """Return the messages of each row; none where they are not plain, or say of themselves that text is missing."""
    datas = list(map(bytes, values))
    if max(map(len, datas)) <= _LONGEST:
        try:
            found: list[list[_Message]] = _messages.decode_lines(b"\n".join(datas))
        except UNDECODABLE:
            found = []
        if len(found) == len(datas):
            texts = map(_content, chain.from_iterable(found))
            if not any(text == REDACTED or STRIPPED in text for text in texts):
                return found
    return [_messages_of(data) for data in datas]


def _messages_of(data: bytes) -> list[_Message]:
    try:
        if len(data) > _LONGEST:
            return []
        messages: list[_Message] = _messages.decode(_text.decode(data) if data.startswith(b'"') else data)
    except UNDECODABLE:
        return []
    stripped = any(STRIPPED in message.content for message in messages)
    return [] if stripped or messages[0].content == REDACTED else messages


def read_answers(values: Sequence[msgspec.Raw | msgspec.UnsetType]) -> tuple[list[str], list[int]]:
    """Return the texts of plain answers, "" for others, and which rows have choices that columns may not have."""
    found: list[str] = []
    odd: list[int] = []
    for first in range(0, len(values), _CHUNK):
        chunk = values[first : first + _CHUNK]
        texts = _plain_answers(chunk)
        if texts is None:
            pairs = [("", True) if value is msgspec.UNSET else _answer_of(bytes(value)) for value in chunk]
            odd += [first + row for row, (_, fine) in enumerate(pairs) if not fine]
            texts = [text for text, _ in pairs]
        found += texts
    return found, odd


def _plain_answers(values: Sequence[msgspec.Raw | msgspec.UnsetType]) -> list[str] | None:
    """Return the texts of answers where all of them are as ordinary as can be."""
    datas = [bytes(value) for value in values if value is not msgspec.UNSET]
    try:
        found: list[list[_Ending]] = _endings.decode_lines(b"\n".join(datas))
    except UNDECODABLE:
        return None
    texts = [choices[0].message.content for choices in found]
    if len(texts) != len(values) or max(map(len, datas)) > _LONGEST or REDACTED in texts:
        return None
    return texts


def _answer_of(data: bytes) -> tuple[str, bool]:
    """Return the text of a plain answer, and whether the choices are such as columns may have."""
    if len(data) <= _LONGEST:
        try:
            text = read_plain_answer({"choices": _any.decode(data)})
        except UNDECODABLE:
            return "", False
        if text is not None and text != REDACTED:
            return text, True
    try:
        _choices.decode(data)
    except UNDECODABLE:
        return "", False
    return "", True


def learn_chats(
    chats: Chats, classes: pl.Series, asker_of: Callable[[int], Asker], times: pl.Series | None
) -> tuple[ChatKinds, pl.Series]:
    """Tell how chats are counted.

    Args:
        chats: the chats, one in each row.
        classes: of the rows.
        asker_of: class -> whom its chats were asked of.
        times: when, in microseconds since 1970 UTC; None: unknown.

    Returns:
        How those chats are counted into whose texts the rules do not look, and which they are.
    """
    numbers: dict[Roles, int] = {}
    roles = pl.Series([numbers.setdefault(one, len(numbers)) for one in chats.roles], dtype=pl.UInt32)
    eras = Numbered(None, [-1]) if times is None else number_spans(times, RULE_CHANGES)
    some = range(1 + int(classes.max()))  # type: ignore[arg-type]  # no row is of no class
    kinds = cross(Numbered(roles, list(numbers)), Numbered(classes.cast(pl.UInt32), some), eras)
    available = installed()
    templates: list[tuple[FrameTemplate, FrameTemplate] | None] = []
    for own_roles, number, era in kinds.values:
        asker = asker_of(number)
        choice = choose(asker.model, asker.provider, asker.endpoint, available)
        templates.append(templates_of(choice, asker.endpoint, own_roles, era))
    fine = kinds.to_rows(pl.Series([one is not None for one in templates], dtype=pl.Boolean), len(classes))
    rows = kinds.numbers if kinds.numbers is None else kinds.numbers.filter(fine)
    return ChatKinds(chats.pick(fine.to_list()), Numbered(rows, templates)), fine
