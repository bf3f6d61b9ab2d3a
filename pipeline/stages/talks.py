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
from pipeline.stages.count import join_counts
from pipeline.stages.facts import FACT_SCHEMA
from pipeline.stages.leaves import UNDECODABLE, Choices
from pipeline.tokens.choice import choose
from pipeline.tokens.counter import TextCounter
from pipeline.tokens.frames import settle
from pipeline.tokens.plain import Skeleton, era_of, learn, read_answer
from pipeline.tokens.vocabularies import installed

_LONGEST = 1 << 18  # bytes of messages or of an answer; larger ones may be items that have a deadline


class _Said(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: str
    content: Annotated[str, msgspec.Meta(min_length=1)]


_text = msgspec.json.Decoder(str)
_any = msgspec.json.Decoder()
_messages = msgspec.json.Decoder(Annotated[list[_Said], msgspec.Meta(min_length=1)])
_choices = msgspec.json.Decoder(Choices)

Asked = tuple[tuple[str, ...], list[str]]  # roles and texts


class Talk(NamedTuple):
    """A chat: the roles and texts of its messages, and the text of its answer."""

    roles: tuple[str, ...]
    texts: list[str]
    answer: str


class Learned(NamedTuple):
    """A chat, and what its prompt and its answer come to beside its texts."""

    prompt: Skeleton
    answer: Skeleton
    talk: Talk


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
    except UNDECODABLE:
        return None
    texts = [message.content for message in messages]
    if texts[0] == REDACTED or STRIPPED in "\n".join(texts):
        return None
    return tuple([message.role for message in messages]), texts


def read_choices(value: msgspec.Raw) -> tuple[str | None, bool]:
    """Return the text of a plain answer, and whether the choices are such as the lane may have."""
    data = bytes(value)
    if len(data) <= _LONGEST:
        try:
            text = read_answer({"choices": _any.decode(data)})
        except UNDECODABLE:
            return None, False
        if text is not None and text != REDACTED:
            return text, True
    try:
        _choices.decode(data)
    except UNDECODABLE:
        return None, False
    return None, True


def learn_talks(
    talks: Iterable[Talk | None], askers: Iterable[Asker], times: Iterable[int | None]
) -> list[Learned | None]:
    """Return how chats are counted; None for what is no plain chat, or one of whose texts the rules look into.

    Args:
        talks: the chats.
        askers: whom each was asked of.
        times: when, in microseconds since 1970 UTC.
    """
    available = installed()
    known: dict[tuple[Any, ...], tuple[Skeleton, Skeleton] | None] = {}
    found: list[Learned | None] = []
    for talk, asker, at in zip(talks, askers, times, strict=True):
        if talk is None:
            found.append(None)
            continue
        key = (talk.roles, asker, era_of(at))
        if key not in known:
            choice = choose(asker.model, asker.provider, asker.endpoint, available)
            known[key] = learn(choice, asker.endpoint, talk.roles, key[2])
        skeletons = known[key]
        found.append(skeletons and Learned(*skeletons, talk))
    return found


def count_facts(
    tables: Sequence[pl.DataFrame], talks: Sequence[list[Learned]], counter: TextCounter
) -> list[pl.DataFrame]:
    """Count what is missing in facts of the lane, each distinct text once.

    Args:
        tables: of facts.
        talks: of each table, the chats of its last rows.
        counter: of this worker.
    """
    wanted: dict[str, dict[str, None]] = {}
    skeletons: dict[int, Skeleton] = {}
    for prompt, answer, talk in (one for of_table in talks for one in of_table):
        texts = wanted.setdefault(prompt.frame.vocabulary, {})
        texts.update(dict.fromkeys(talk.texts))
        texts[talk.answer] = None
        skeletons[id(prompt)], skeletons[id(answer)] = prompt, answer
    for skeleton in skeletons.values():
        wanted[skeleton.frame.vocabulary].update(dict.fromkeys(skeleton.frame.texts))
    counts = {vocabulary: counter.count(vocabulary, texts) for vocabulary, texts in wanted.items()}
    bases = {name: one.thousandths(counts[one.frame.vocabulary]) for name, one in skeletons.items()}

    def tokens(skeleton: Skeleton, texts: list[str]) -> int:
        frame = skeleton.frame
        own: int = sum(map(counts[frame.vocabulary].__getitem__, texts))  # type: ignore[arg-type]  # too short to be late
        return settle(bases[id(skeleton)] + frame.weights[-1] * own + skeleton.weigh(texts), frame.share)

    return [
        _fill(facts, of_table, [(tokens(p, talk.texts), tokens(a, [talk.answer])) for p, a, talk in of_table])
        for facts, of_table in zip(tables, talks, strict=True)
    ]


def _fill(facts: pl.DataFrame, talks: Sequence[Learned], counted: Sequence[tuple[int, int]]) -> pl.DataFrame:
    if not talks:
        return facts
    before = [None] * (facts.height - len(talks))
    kinds = [(one.prompt.frame.method, one.prompt.frame.error, one.answer.frame.method, one.answer.frame.error)
             for one in talks]  # fmt: skip
    known = {kind: join_counts((kind[:2], kind[2:])) for kind in set(kinds)}
    columns: dict[str, list[Any]] = {
        "prompt_tokens": [*before, *(prompt for prompt, _ in counted)],
        "completion_tokens": [*before, *(answer for _, answer in counted)],
        "total_tokens": [*before, *map(sum, counted)],
        "count_method": [*before, *(known[kind][0] for kind in kinds)],
        "count_error": [*before, *(known[kind][1] for kind in kinds)],
        "usage_source": [*before, *["counted"] * len(talks)],
    }
    columns |= {f"line_{name}": columns[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    found = [pl.Series(name, values, dtype=FACT_SCHEMA[name]) for name, values in columns.items()]
    return facts.with_columns(
        pl.coalesce(facts[column.name], column) if column.name in facts.columns else column for column in found
    )
