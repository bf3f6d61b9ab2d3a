"""Plain chats whose usage is missing, by columns: their texts out of JSON, and their counts as columns of facts.

What a plain chat is, and what it comes to, is known by tokens/framing/plain_chat.py; this file reads and counts them by
columns, without an object per chat. A chat that is not plain, or whose text settles what the call is, is for the record
reader.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, compress, repeat
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import polars as pl

from callcost.logs.dialects.litellm import STRIPPED
from callcost.logs.tracing.conversations import REDACTED
from callcost.stages.columnar.schema import UNDECODABLE, Choices
from callcost.stages.count.missing_usage import join_counts
from callcost.stages.tables.dictionary import Numbered, cross, number_spans
from callcost.stages.tables.schemas import Facts
from callcost.tokens.engines.text_counter import Counts, TextCounter
from callcost.tokens.engines.vocabularies import installed
from callcost.tokens.frame import round_units
from callcost.tokens.framing.plain_chat import RULE_CHANGES, FrameTemplate, read_plain_answer, templates_of
from callcost.tokens.model_families import choose
from callcost.tokens.vocabulary_corrections import correction_of

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

Roles = tuple[str, ...]


@dataclasses.dataclass(slots=True)
class Chats:
    """The plain chats of some rows, as columns.

    Attributes:
        roles: of each row, the roles of its messages; (): it holds no plain chat.
        texts: of the messages of all rows, one after the other.
        answers: of each row, the text; "": it holds no plain chat.
    """

    roles: list[Roles] = dataclasses.field(default_factory=list)
    texts: list[str] = dataclasses.field(default_factory=list)
    answers: list[str] = dataclasses.field(default_factory=list)

    def add(self, other: Chats) -> None:
        """Put the rows of another after these."""
        self.roles += other.roles
        self.texts += other.texts
        self.answers += other.answers

    def pick(self, wanted: Sequence[bool]) -> Chats:
        """Return some of the rows."""
        if all(wanted):
            return self
        texts = compress(self.texts, chain.from_iterable(map(repeat, wanted, map(len, self.roles))))
        return Chats(list(compress(self.roles, wanted)), list(texts), list(compress(self.answers, wanted)))


class Learned(NamedTuple):
    """Plain chats, and what decides what each comes to.

    Attributes:
        chats: the chats.
        kinds: of the rows; its values are what a prompt and an answer come to beside their texts.
    """

    chats: Chats
    kinds: Numbered


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
) -> tuple[Learned, pl.Series]:
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
    return Learned(chats.pick(fine.to_list()), Numbered(rows, templates)), fine


def count_facts(
    tables: Sequence[pl.DataFrame], chats: Sequence[Learned | None], counter: TextCounter
) -> list[pl.DataFrame]:
    """Count what is missing in facts that are read by columns, each distinct text once.

    Args:
        tables: of facts.
        chats: of each table, the chats of its last rows.
        counter: of this worker.
    """
    groups = [list(_groups(learned)) if learned else [] for learned in chats]
    wanted: dict[str, dict[str, None]] = {}
    for group in chain.from_iterable(groups):
        texts = wanted.setdefault(group.vocabulary, {})
        texts.update(dict.fromkeys(group.chats.texts))
        texts.update(dict.fromkeys(group.chats.answers))
    for prompt, answer in (pair for learned in chats if learned for pair in learned.kinds.values if pair):
        for frame in (prompt.frame, answer.frame):
            wanted.setdefault(frame.vocabulary, {}).update(dict.fromkeys(frame.texts))
    counts = {vocabulary: counter.count(vocabulary, texts) for vocabulary, texts in wanted.items()}
    return [
        _fill(facts, learned.kinds, _add_up(learned, of_table, counts)) if learned and of_table else facts
        for facts, learned, of_table in zip(tables, chats, groups, strict=True)
    ]


class _Group(NamedTuple):
    """Chats of a table that are counted with one vocabulary.

    Attributes:
        vocabulary: its name.
        corrections: what it gets wrong; a key of vocabulary_corrections.py's table.
        chats: the chats.
        rows: which they are; None: all.
    """

    vocabulary: str
    corrections: str
    chats: Chats
    rows: pl.Series | None


def _groups(learned: Learned) -> Iterator[_Group]:
    chats, kinds = learned
    keys = [(pair[0].frame.vocabulary, pair[0].corrections) if pair else None for pair in kinds.values]
    known = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    of_rows = kinds.to_rows(pl.Series([known[key] for key in keys], dtype=pl.UInt32), len(chats.roles))
    for key, number in known.items():
        own = of_rows == number
        if key is not None and own.any():
            yield _Group(*key, chats.pick(own.to_list()), None if own.all() else own.arg_true())


def _add_up(learned: Learned, groups: Sequence[_Group], counts: dict[str, Counts]) -> list[pl.Series]:
    """Return the tokens of prompts and of answers."""
    height = len(learned.chats.roles)
    sides = []
    for side in (0, 1):
        tokens = extras = pl.zeros(height, dtype=pl.Int64, eager=True)
        for group in groups:
            counted = counts[group.vocabulary]
            tokens = _put(tokens, group.rows, _sums(group.chats, side, counted))
            if group.corrections:
                texts = group.chats.answers if side else group.chats.texts
                weighed = {text: correction_of(group.corrections, text) for text in dict.fromkeys(texts)}
                extras = _put(extras, group.rows, _sums(group.chats, side, weighed))
        templates = [pair[side] if pair else None for pair in learned.kinds.values]
        fixed = [(one.thousandths(counts[one.frame.vocabulary]), one.frame.weights[-1], one.frame.share)
                 if one else (0, 0, 1) for one in templates]  # fmt: skip
        constant, weight, share = (
            learned.kinds.to_rows(pl.Series(values, dtype=pl.Int64), height) for values in zip(*fixed, strict=True)
        )
        sides.append(round_units(constant + weight * tokens + extras, share).clip(0))  # as frame.whole_tokens
    return sides


def _sums(chats: Chats, side: int, values: dict[str, int] | Counts) -> pl.Series:
    """Return per chat what its messages, or its answer, have of something."""
    each = pl.Series(list(map(values.__getitem__, chats.answers if side else chats.texts)), dtype=pl.Int64)
    if side:
        return each
    ends = pl.Series(list(map(len, chats.roles)), dtype=pl.UInt32).cum_sum()
    so_far = each.cum_sum()[ends - 1]
    return so_far - so_far.shift(1, fill_value=0)


def _put(column: pl.Series, rows: pl.Series | None, values: pl.Series) -> pl.Series:
    return values if rows is None else column.clone().scatter(rows, values)


def _fill(facts: pl.DataFrame, kinds: Numbered, sides: Sequence[pl.Series]) -> pl.DataFrame:
    """Write counts into the last rows of facts."""
    prompts, answers = sides
    height = len(prompts)
    before = facts.height - height
    frames = [(pair[0].frame, pair[1].frame) if pair else () for pair in kinds.values]
    joined = [join_counts([(one.method, one.error) for one in pair]) if pair else (None, None) for pair in frames]
    methods, errors = zip(*joined, strict=True)
    columns: dict[str, pl.Series] = {
        "prompt_tokens": prompts,
        "completion_tokens": answers,
        "total_tokens": prompts + answers,
        "count_method": kinds.to_rows(pl.Series(methods, dtype=Facts.types["count_method"]), height),
        "count_error": kinds.to_rows(pl.Series(errors, dtype=Facts.types["count_error"]), height),
        "usage_source": pl.Series(["counted"], dtype=Facts.types["usage_source"]).new_from_index(0, height),
    }
    columns |= {f"line_{name}": columns[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    found = []
    for name, values in columns.items():
        none = pl.Series([None], dtype=Facts.types[name]).new_from_index(0, before)
        found.append(pl.concat([none, values.cast(Facts.types[name])]).alias(name))
    return facts.with_columns(
        pl.coalesce(facts[column.name], column) if column.name in facts.columns else column for column in found
    )
