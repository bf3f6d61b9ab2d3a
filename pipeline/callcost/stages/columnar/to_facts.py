"""Leaves as columns to facts: every row of an ordinary class at once, without an object per row.

What the leaves are is known by schema.py, what a class of rows has in common by probe.py. This file does what is left
per row, as arithmetic on whole columns: the first place that states something, blank text, times, counts that add up.
A row that is not as plain as that is handed back for the record reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa

from callcost.logs.dialects.litellm import CACHE_HIT
from callcost.logs.record.dialect import COST_COLUMN, TIME_COLUMNS
from callcost.logs.values.json_path import Path
from callcost.logs.values.times import FIRST_EPOCH, LATEST
from callcost.stages.columnar.chats import Learned, Talks, learn_talks
from callcost.stages.columnar.probe import BLANK, Judge
from callcost.stages.columnar.schema import SIDES
from callcost.stages.tables.dictionary import Numbered, cross, number_text
from callcost.stages.tables.facts import key_columns
from callcost.stages.tables.schemas import Facts

_LATEST_EPOCH = 9_000_000_000.0  # until then microseconds are whole numbers that a float holds exactly
_STAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]{1,6})?$"
_OUTPUT = (
    "reasoning_tokens",
    "text_output_tokens",
    "audio_output_tokens",
    "image_output_tokens",
    "video_output_tokens",
)
_CACHE = ("cache_read_input_tokens", "cache_creation_input_tokens")


class Rows(NamedTuple):
    """Some records of one piece, as columns.

    Attributes:
        numbers: of the rows in the piece or file.
        offsets: of their first bytes; None: the file has none.
        leaves: path -> column; a leaf without a column is null everywhere.
        parts: path of an object -> in which rows it is there; an object without a column is in none.
        odd: which rows are for the record reader.
        talks: the plain chats of the rows; without rows where no texts are read.
    """

    numbers: pl.Series
    offsets: pl.Series | None
    leaves: dict[Path, pl.Series]
    parts: dict[Path, pl.Series]
    odd: pl.Series
    talks: Talks

    @property
    def height(self) -> int:
        """The number of rows."""
        return len(self.numbers)


def join_rows(blocks: Sequence[Rows]) -> Rows:
    """Put the rows of several blocks, which have the same leaves and parts, after each other."""
    if len(blocks) == 1:
        return blocks[0]
    leaves = dict.fromkeys(path for block in blocks for path in block.leaves)
    parts = dict.fromkeys(path for block in blocks for path in block.parts)
    offsets = [block.offsets for block in blocks if block.offsets is not None]
    talks = Talks()
    for block in blocks:
        talks.add(block.talks)
    return Rows(
        pl.concat([block.numbers for block in blocks]),
        pl.concat(offsets) if offsets else None,
        {path: _joined([block.leaves.get(path) for block in blocks], blocks, None) for path in leaves},
        {path: _joined([block.parts.get(path) for block in blocks], blocks, False) for path in parts},
        pl.concat([block.odd for block in blocks]),
        talks,
    )


def _joined(columns: Sequence[pl.Series | None], blocks: Sequence[Rows], missing: Any) -> pl.Series:
    kind = next(column.dtype for column in columns if column is not None)
    none = pl.Series([missing], dtype=kind)
    return pl.concat(
        [
            none.new_from_index(0, block.height) if column is None else column
            for column, block in zip(columns, blocks, strict=True)
        ]
    )


class Laid(NamedTuple):
    """Rows laid out.

    Attributes:
        facts: of ordinary rows; columns that are null for all of them are left out, and source_file, input and piece
            for the caller to fill.
        talks: the chats of the last of them, whose usage is missing; the others state theirs. None: all do.
        left: the rows that are for the record reader, by position.
    """

    facts: pl.DataFrame
    talks: Learned | None
    left: pl.Series


def lay_out(rows: Rows, judge: Judge) -> Laid:
    """Lay out rows as facts.

    Args:
        rows: of one dialect.
        judge: of their classes.
    """
    numbered = cross(*_numbered(rows, judge))
    found = pl.Series([judge.judge(values) for values in numbered.values], dtype=pl.Int64)
    classes = numbered.to_rows(found, rows.height)
    tables, left = [], pl.Series([True]).new_from_index(0, rows.height)
    for place in sorted({judge.places[number] for number in found if number is not None}):
        own = pl.Series([judge.places[number] == place if number is not None else False for number in found])
        facts, fit = _facts(rows, judge, classes, place)
        fit = fit & ~rows.odd & numbered.to_rows(own, rows.height)
        tables.append(facts if fit.all() else facts.filter(fit))
        left = left & ~fit
    talks: Learned | None = None
    if any(rows.talks.roles):
        facts, talks, fit = _blank_facts(rows, judge, numbered, left)
        tables.append(facts)
        left = left & ~fit
    return Laid(pl.concat(tables, how="diagonal") if tables else pl.DataFrame(), talks, left.arg_true())


def _blank_facts(
    rows: Rows, judge: Judge, numbered: Numbered, left: pl.Series
) -> tuple[pl.DataFrame, Learned | None, pl.Series]:
    """Return the facts of plain chats whose usage is missing, these chats, and which rows they are."""
    numbers = pl.Series([judge.judge(values, blank=True) for values in numbered.values], dtype=pl.Int64)
    classes = numbered.to_rows(numbers, rows.height)
    fit = left & ~rows.odd & classes.is_not_null() & pl.Series(list(map(bool, rows.talks.roles)), dtype=pl.Boolean)
    facts, plain = _facts(rows, judge, classes, BLANK) if fit.any() else (pl.DataFrame(), fit)
    fit = fit & plain
    if not fit.any():
        return pl.DataFrame(), None, fit
    facts = facts.filter(fit)
    times = facts["started_at"].to_physical() if "started_at" in facts.columns else None
    learned, fine = learn_talks(rows.talks.pick(fit.to_list()), classes.filter(fit), judge.asker, times)
    if fine.all():
        return facts, learned, fit
    return facts.filter(fine), learned, fit.scatter(fit.arg_true().filter(~fine), values=False)


def _numbered(rows: Rows, judge: Judge) -> list[Numbered]:
    """Number the rows by each of the words and parts that tell classes apart."""
    words = [rows.leaves.get(leaf.path) for leaf in judge.words]
    found = [Numbered(None, [None]) if column is None else number_text(column) for column in words]
    for there in (rows.parts.get(path) for path in judge.parts):
        if there is None or there.all() or not there.any():
            found.append(Numbered(None, [there is not None and bool(there[0])]))
        else:
            found.append(Numbered(there.cast(pl.UInt32), [False, True]))
    return found


def _facts(rows: Rows, judge: Judge, classes: pl.Series, place: int) -> tuple[pl.DataFrame, pl.Series]:
    """Return the facts of all rows as if all were in classes of a place, and which rows are as plain as that."""
    used = {path for name in judge.carried for path in judge.columns(name)}
    used |= {path for paths in judge.counts(place).values() for path in paths}
    stated = {path: rows.leaves[path] for path in used & rows.leaves.keys()}
    stated = {path: column for path, column in stated.items() if column.null_count() < rows.height}
    frame = pl.DataFrame([column.alias(".".join(path)) for path, column in stated.items()])
    none = pl.Series([False]).new_from_index(0, rows.height)
    counts = {
        name: _first(stated, paths)
        for name, paths in judge.counts(place).items()
        if not stated.keys().isdisjoint(paths)
    }
    carried = {
        name: _first(stated, judge.columns(name), text=name != COST_COLUMN)
        for name in judge.carried
        if not stated.keys().isdisjoint(judge.columns(name))
    }
    if not ({"prompt_tokens", "completion_tokens"} <= counts.keys() or place == BLANK) or "own_id" not in carried:
        return pl.DataFrame(), none
    if place == BLANK:
        fit = [(column == 0).fill_null(value=True) for column in counts.values()]
        counts = {}
    else:
        total = counts.pop("total_tokens", None)
        whole = counts["prompt_tokens"] + counts["completion_tokens"]
        sums = [] if total is None else [(total == whole).fill_null(value=True)]
        fit = [whole > 0, *_consistent(counts, rows), *sums]
        counts["total_tokens"] = whole
    times = {name: carried.pop(name) for name in TIME_COLUMNS if name in carried}
    ids = carried["own_id"]
    named = ~ids.str.contains(CACHE_HIT, literal=True)  # null where there is none
    laid = frame.select(
        fit=pl.all_horizontal(*fit, named).fill_null(value=False),
        **{name: carried[name] for name in carried if name in Facts.types},
        **counts,
        **{f"line_{name}": count for name, count in counts.items()},
        **times,
        call_id=ids,
        **key_columns(judge.family, ids.fill_null("")),
    )
    fits, laid = laid["fit"], laid.drop("fit")
    for name in times:
        moments, read = _moments(laid[name])
        laid, fits = laid.with_columns(moments.alias(name)), fits if read is None else fits & read
    lineage = [rows.numbers.alias("source_row"), (rows.numbers * 2**20).alias("record")]
    if rows.offsets is not None:
        lineage.append(rows.offsets.alias("byte_offset"))
    return laid.with_columns(*_commons(judge, classes), *lineage), fits


def _commons(judge: Judge, classes: pl.Series) -> list[pl.Series]:
    commons = judge.commons()
    if commons.height > 1:
        return commons[classes.fill_null(0)].get_columns()
    return [column.new_from_index(0, len(classes)) for column in commons]


def _first(stated: dict[Path, pl.Series], paths: Sequence[Path], *, text: bool = False) -> pl.Expr:
    """Return per row the first of some leaves that is something."""
    found = [path for path in paths if path in stated]
    columns = [pl.col(".".join(path)) for path in found]
    if text:
        columns = [
            pl.when(column != "").then(column)
            if stated[path].dtype == pl.String and (stated[path] == "").any()
            else column
            for path, column in zip(found, columns, strict=True)
        ]
    return columns[0] if len(columns) == 1 else pl.coalesce(columns)


def _consistent(counts: dict[str, pl.Expr], rows: Rows) -> list[pl.Expr]:
    """Return what holds where no part is larger than its whole."""
    rules = []
    prompt, completion = counts["prompt_tokens"], counts["completion_tokens"]
    for name, count in counts.items():
        if name.startswith("cache_read_") and name not in _CACHE:
            rules.append(count.fill_null(0) == 0)
        elif name not in SIDES:
            rules.append(count.fill_null(0) <= (completion if name in _OUTPUT else prompt))
    cached = [counts[name].fill_null(0) for name in _CACHE if name in counts]
    return [*rules, pl.sum_horizontal(cached) <= prompt] if len(cached) > 1 else rules


def _moments(column: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Return times, exactly as logs/values/times.py reads them, and which rows could be read; None: all."""
    if column.dtype == pl.Datetime:
        micros: pl.Series = column.to_physical()
    elif column.dtype == pl.Float64:
        near = (column >= FIRST_EPOCH) & (column < _LATEST_EPOCH)
        seconds = column if near.all() else column.zip_with(near, pl.Series([None], dtype=pl.Float64))
        micros = (seconds * 1_000_000).round(mode="half_to_even").cast(pl.Int64)
    else:
        micros = _stamps(column.cast(pl.String))  # a file of tables may number its words
    read = micros.is_between(0, LATEST, closed="none")
    read = read.fill_null(value=False) | column.is_null() if micros.null_count() else read
    return micros.cast(pl.Datetime("us", "UTC")), None if read.all() else read


def _stamps(column: pl.Series) -> pl.Series:
    """Return the microseconds of ISO times, naive ones in UTC; null for what is not written like that."""
    texts: Any = column.to_arrow()
    leaping = column.str.contains(":60", literal=True).any()  # Arrow takes a 60th second for the next minute
    for zone in () if leaping else (None, "UTC"):
        try:
            return pl.Series(texts.cast(pa.timestamp("us", zone))).to_physical()
        except pa.ArrowInvalid:
            continue
    plain = column.zip_with(column.str.contains(_STAMP).fill_null(value=False), pl.Series([None], dtype=pl.String))
    return plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False).to_physical()
