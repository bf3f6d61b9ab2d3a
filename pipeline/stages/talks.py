"""Plain chats of the lane whose usage is missing: their texts out of JSON, and their counts as columns of facts.

What a plain chat is, and what it comes to, is known by tokens/plain.py; this file reads one without a table per
message. A chat that is not plain, or whose text settles what the call is, is for the record reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import polars as pl

from pipeline.logs.conversations import REDACTED
from pipeline.logs.dialects.litellm import STRIPPED
from pipeline.stages.count import SIDES, Counted, count_frames, join_counts
from pipeline.stages.leaves import Choices
from pipeline.tokens.choice import choose
from pipeline.tokens.counter import TextCounter
from pipeline.tokens.frames import Frame
from pipeline.tokens.plain import Skeleton, era_of, learn, read_answer
from pipeline.tokens.vocabularies import installed

_LONGEST = 1 << 18  # bytes of messages or of an answer; larger ones may be items that have a deadline
_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


class _Said(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: str
    content: Annotated[str, msgspec.Meta(min_length=1)]


_text = msgspec.json.Decoder(str)
_any = msgspec.json.Decoder()
_messages = msgspec.json.Decoder(Annotated[list[_Said], msgspec.Meta(min_length=1)])
_choices = msgspec.json.Decoder(Choices)

Asked = tuple[tuple[str, ...], list[str]]  # roles and texts
Frames = dict[str, Frame]  # side -> its frame


class Talk(NamedTuple):
    """A chat: the roles and texts of its messages, and the text of its answer."""

    roles: tuple[str, ...]
    texts: list[str]
    answer: str


class Asker(NamedTuple):
    """What decides how a chat is counted, beside its texts."""

    model: str
    provider: str | None
    endpoint: str | None


def read_asked(value: msgspec.Raw) -> Asked | None:
    """Return what plain messages hold; None where they are not plain, or say of themselves that text is missing."""
    data = bytes(value)
    try:
        if len(data) > _LONGEST:
            return None
        messages = _messages.decode(_text.decode(data) if data.startswith(b'"') else data)
    except _UNDECODABLE:
        return None
    texts = [message.content for message in messages]
    if texts[0] == REDACTED or any(STRIPPED in text for text in texts):
        return None
    return tuple([message.role for message in messages]), texts


def read_choices(value: msgspec.Raw) -> tuple[str | None, bool]:
    """Return the text of a plain answer, and whether the choices are such as the lane may have."""
    data = bytes(value)
    if len(data) <= _LONGEST:
        try:
            text = read_answer({"choices": _any.decode(data)})
        except _UNDECODABLE:
            return None, False
        if text is not None and text != REDACTED:
            return text, True
    try:
        _choices.decode(data)
    except _UNDECODABLE:
        return None, False
    return None, True


def frame_talks(talks: Iterable[Talk | None], askers: Iterable[Asker], times: Iterable[int | None]) -> list[Frames]:
    """Return how chats are counted; {} for what is no plain chat, or one of whose texts the rules look into.

    Args:
        talks: the chats.
        askers: whom each was asked of.
        times: when, in microseconds since 1970 UTC.
    """
    available = installed()
    known: dict[tuple[Any, ...], tuple[Skeleton, Skeleton] | None] = {}
    frames: list[Frames] = []
    for talk, asker, at in zip(talks, askers, times, strict=True):
        if talk is None:
            frames.append({})
            continue
        key = (talk.roles, asker, era_of(at))
        if key not in known:
            choice = choose(asker.model, asker.provider, asker.endpoint, available)
            known[key] = learn(choice, asker.endpoint, talk.roles, key[2])
        skeletons = known[key]
        sides = skeletons and (skeletons[0].fill(talk.texts), skeletons[1].fill([talk.answer]))
        frames.append(dict(zip(SIDES, sides, strict=True)) if sides else {})
    return frames


def count_facts(
    tables: Sequence[pl.DataFrame], frames: Sequence[list[Frames]], counter: TextCounter
) -> list[pl.DataFrame]:
    """Count what is missing in facts of the lane.

    Args:
        tables: of facts.
        frames: of each table, how its last rows are counted.
        counter: of this worker.
    """
    counted = iter(count_frames([one for of_table in frames for one in of_table], counter))
    return [
        _fill(facts, [next(counted) for _ in of_table]) if of_table else facts
        for facts, of_table in zip(tables, frames, strict=True)
    ]


def _fill(facts: pl.DataFrame, counted: Sequence[dict[str, Counted]]) -> pl.DataFrame:
    before = [None] * (facts.height - len(counted))
    sides = {side: [*before, *(one[side].tokens for one in counted)] for side in SIDES}
    kinds = [tuple(side[1:] for side in one.values()) for one in counted]
    known = {kind: join_counts(kind) for kind in set(kinds)}
    joined = [known[kind] for kind in kinds]
    counts = pl.DataFrame(sides, schema=dict.fromkeys(SIDES, pl.Int64))
    counts = counts.with_columns(total_tokens=pl.sum_horizontal(SIDES, ignore_nulls=False))
    words = pl.DataFrame({
        "count_method": [*before, *(method for method, _ in joined)],
        "count_error": [*before, *(error for _, error in joined)],
        "usage_source": [*before, *["counted"] * len(counted)],
    }, schema={"count_method": pl.String, "count_error": pl.Float64, "usage_source": pl.String})  # fmt: skip
    lines = counts.select(pl.all().name.prefix("line_"))
    found = pl.concat([counts, lines, words], how="horizontal")
    return facts.with_columns(
        pl.coalesce(facts[name], column) if name in facts.columns else column
        for name, column in found.to_dict().items()
    )
