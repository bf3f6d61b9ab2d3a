"""Count plain chats that are columns: each distinct text once, then added up as columns of facts.

What a plain chat comes to beside its texts is known by tokens/framing/plain_chat.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import polars as pl

from callcost.stages.count.missing_usage import join_counts
from callcost.stages.tables.dictionary import Numbered
from callcost.stages.tables.plain_chats import ChatKinds, Chats
from callcost.stages.tables.schemas import Facts
from callcost.tokens.engines.text_counter import Counts, TextCounter
from callcost.tokens.frame import round_units
from callcost.tokens.vocabulary_corrections import correction_of


def count_facts(
    tables: Sequence[pl.DataFrame], chats: Sequence[ChatKinds | None], counter: TextCounter
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


def _groups(learned: ChatKinds) -> Iterator[_Group]:
    chats, kinds = learned
    keys = [(pair[0].frame.vocabulary, pair[0].corrections) if pair else None for pair in kinds.values]
    known = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    of_rows = kinds.to_rows(pl.Series([known[key] for key in keys], dtype=pl.UInt32), len(chats.roles))
    for key, number in known.items():
        own = of_rows == number
        if key is not None and own.any():
            yield _Group(*key, chats.pick(own.to_list()), None if own.all() else own.arg_true())


def _add_up(learned: ChatKinds, groups: Sequence[_Group], counts: dict[str, Counts]) -> list[pl.Series]:
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
