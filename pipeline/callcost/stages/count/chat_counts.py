"""Count chats that are columns: each distinct text once, then added up as columns of facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, compress
from typing import NamedTuple

import polars as pl

from callcost.stages.count.missing_usage import join_counts
from callcost.stages.tables.dictionary import Numbered
from callcost.stages.tables.plain_chats import ChatKinds
from callcost.stages.tables.schemas import Facts
from callcost.tables import HIDDEN
from callcost.tokens.engines.text_counter import Counts, TextCounter
from callcost.tokens.frame import EXACT, SMALL, Frame, round_units
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
    groups = [list(_groups(kinds)) if kinds else [] for kinds in chats]
    wanted: dict[str, dict[str, None]] = {}
    for group in chain.from_iterable(groups):
        wanted.setdefault(group.vocabulary, {}).update(dict.fromkeys(group.texts))
    for template in (template for kinds in chats if kinds for template in kinds.kinds.values if template):
        for frame in (template.prompt.frame, template.completion.frame):
            wanted.setdefault(frame.vocabulary, {}).update(dict.fromkeys(frame.texts))
    counts = {vocabulary: counter.count(vocabulary, texts) for vocabulary, texts in wanted.items()}
    return [
        _fill(facts, kinds.kinds, _add_up(kinds, of_table, counts)) if kinds and of_table else facts
        for facts, kinds, of_table in zip(tables, chats, groups, strict=True)
    ]


class _Group(NamedTuple):
    """Chats of a table that are counted with one vocabulary.

    Attributes:
        vocabulary: its name.
        corrections: what it gets wrong; a key of vocabulary_corrections.py's table.
        texts: of the chats, one after the other.
        ends: where the texts of each chat end.
        answers: of each text, 1 where it is an answer's, else 0.
        rows: which chats they are; None: all.
    """

    vocabulary: str
    corrections: str
    texts: list[str]
    ends: pl.Series
    answers: pl.Series
    rows: pl.Series | None


def _groups(chats: ChatKinds) -> Iterator[_Group]:
    texts, kinds = chats
    height = len(texts.lengths)
    keys = [(one.prompt.frame.vocabulary, one.prompt.corrections) if one else None for one in kinds.values]
    known = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    of_rows = kinds.to_rows(pl.Series([known[key] for key in keys], dtype=pl.UInt32), height)
    numbers = [0] * height if kinds.numbers is None else kinds.numbers.to_list()
    for key, number in known.items():
        own = of_rows == number
        if key is not None and own.any():
            wanted = own.to_list()
            lengths, picked = texts.pick(wanted)
            answers = chain.from_iterable(kinds.values[kind].answers for kind in compress(numbers, wanted))
            ends = pl.Series(lengths, dtype=pl.UInt32).cum_sum()
            rows = None if own.all() else own.arg_true()
            yield _Group(*key, picked, ends, pl.Series(answers, dtype=pl.Boolean), rows)


def _add_up(chats: ChatKinds, groups: Sequence[_Group], counts: dict[str, Counts]) -> list[pl.Series]:
    """Return the tokens of the prompts and of the answers."""
    height = len(chats.texts.lengths)
    sides = []
    for side in range(2):
        tokens = extras = pl.zeros(height, dtype=pl.Int64, eager=True)
        for group in groups:
            tokens = _put(tokens, group.rows, _sums(group, side, counts[group.vocabulary]))
            if group.corrections:
                weighed = {text: correction_of(group.corrections, text) for text in dict.fromkeys(group.texts)}
                extras = _put(extras, group.rows, _sums(group, side, weighed))
        templates = [one and (one.prompt, one.completion)[side] for one in chats.kinds.values]
        fixed = [(one.thousandths(counts[one.frame.vocabulary]), one.frame.weights[-1], one.frame.share)
                 if one else (0, 0, 1) for one in templates]  # fmt: skip
        constant, weight, share = (
            chats.kinds.to_rows(pl.Series(values, dtype=pl.Int64), height) for values in zip(*fixed, strict=True)
        )
        sides.append(round_units(constant + weight * tokens + extras, share).clip(0))  # as frame.whole_tokens
    return sides


def _sums(group: _Group, side: int, values: dict[str, int] | Counts) -> pl.Series:
    """Return per chat what the texts of a side have of something; null where it is unknown of one."""
    each = pl.Series(list(map(values.__getitem__, group.texts)), dtype=pl.Int64)
    own = each.zip_with(group.answers == bool(side), pl.zeros(len(each), dtype=pl.Int64, eager=True))
    so_far = own.cum_sum()[group.ends - 1]
    return so_far - so_far.shift(1, fill_value=0)


def _put(column: pl.Series, rows: pl.Series | None, values: pl.Series) -> pl.Series:
    return values if rows is None else column.clone().scatter(rows, values)


def _errors(frames: Sequence[Frame | None], kinds: Numbered, tokens: pl.Series) -> pl.Series:
    """Return the expected relative errors of one side: relative_error of frame.py, by columns."""
    of_kinds = pl.Series([frame and frame.error for frame in frames], dtype=pl.Float64)
    small = pl.Series([SMALL * (frame is not None and frame.method != EXACT) for frame in frames], dtype=pl.Int64)
    error, extra = (kinds.to_rows(values, len(tokens)) for values in (of_kinds, small))
    widest = pl.select(pl.max_horizontal(error, 1.0)).to_series()
    return pl.select(pl.min_horizontal(error * (1 + extra / tokens.clip(1)), widest)).to_series()


def _fill(facts: pl.DataFrame, kinds: Numbered, sides: Sequence[pl.Series]) -> pl.DataFrame:
    """Write counts into the last rows of facts."""
    prompts, answers = sides
    height = len(prompts)
    before = facts.height - height
    frames = [(one.prompt.frame, one.completion.frame) if one else () for one in kinds.values]
    methods = [join_counts([(one.method, one.error) for one in pair])[0] if pair else None for pair in frames]
    errors = [
        _errors([pair[side] if pair else None for pair in frames], kinds, tokens) for side, tokens in enumerate(sides)
    ]
    columns: dict[str, pl.Series] = {
        "prompt_tokens": prompts,
        "completion_tokens": answers,
        "total_tokens": prompts + answers,
        "count_method": kinds.to_rows(pl.Series(methods, dtype=Facts.types["count_method"]), height),
        "count_error": pl.select(pl.max_horizontal(errors)).to_series(),
        "usage_source": pl.Series(["counted"], dtype=Facts.types["usage_source"]).new_from_index(0, height),
    }
    columns |= {f"line_{name}": columns[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    found = []
    for name, values in columns.items():
        none = pl.Series([None], dtype=Facts.types[name]).new_from_index(0, before)
        found.append(pl.concat([none, values.cast(Facts.types[name])]).alias(name))
    filled = facts.with_columns(
        pl.coalesce(facts[column.name], column) if column.name in facts.columns else column for column in found
    )
    hidden = pl.Series([one is not None and one.hidden for one in kinds.values])
    if not hidden.any():
        return filled
    rows = pl.concat([pl.Series([False]).new_from_index(0, before), kinds.to_rows(hidden, height)])
    return filled.with_columns(flags=pl.when(rows).then(pl.lit([HIDDEN])).otherwise("flags"))  # others have none
