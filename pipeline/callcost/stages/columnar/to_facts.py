"""Columns of places to facts: every row of an ordinary class at once, without an object per row.

What the places are is known by schema.py, what a class of rows has in common, and where its columns come from, by
probe.py. This file does what is left per row, as arithmetic on whole columns: what each place holds, times, counts that
add up. A row that is not as plain as that is handed back for the record reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa

from callcost.logs.record.dialect import COST_COLUMN, FieldReader
from callcost.logs.record.media_calls import WITHOUT_ANSWER_TOKENS
from callcost.logs.usage.arithmetic import SHARES
from callcost.logs.values.json_path import Path
from callcost.logs.values.times import FIRST_EPOCH, LATEST
from callcost.stages.columnar.chats import take_texts
from callcost.stages.columnar.decode import Records, Rows
from callcost.stages.columnar.probe import CONTEXT_CLASS, IDS, Judge, Part, Plan, are_few
from callcost.stages.columnar.schema import ABSENT_NUMBER, ABSENT_TEXT, COST, COUNT, NO_OBJECT, SIDES, Field
from callcost.stages.columnar.sentinels import ABSENT, BLANK, NULL, PREFIXES, THERE, ZERO
from callcost.stages.read.windows import FactRows
from callcost.stages.tables.dictionary import Numbered, cross, number_few, number_text
from callcost.stages.tables.facts import key_columns
from callcost.stages.tables.plain_chats import ChatKinds
from callcost.stages.tables.schemas import Facts
from callcost.tables import MAX_COUNT

_MOST_PAIRS = 40  # of which the orders fit into one number
_LATEST_EPOCH = 9_000_000_000.0  # until then microseconds are whole numbers that a float holds exactly
_STAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]{1,6})?$"


class Laid(NamedTuple):
    """Rows laid out.

    Attributes:
        rows: the ordinary ones, and those that are known for no calls.
        left: the rows that are for the record reader, by position.
    """

    rows: FactRows
    left: pl.Series


Leave = Callable[[pl.DataFrame], pl.Series]  # facts -> which of them are for the record reader whatever they are


def lay_out(rows: Rows, judge: Judge, leave: Leave | None = None) -> Laid:
    """Lay out rows as facts.

    Args:
        rows: of one dialect.
        judge: of their classes.
        leave: calls that are for the record reader, too; then chats whose usage is missing are all among them.
    """
    numbered = cross(*_numbered(rows, judge))
    if not are_few(len(numbered.values), rows.height):
        return Laid(FactRows(pl.DataFrame()), pl.int_range(rows.height, eager=True, dtype=pl.UInt32))
    found = pl.Series([judge.judge(values) for values in numbered.values], dtype=pl.Int64)
    classes = numbered.to_rows(found, rows.height)
    plans = [judge.plan_of(number) for number in found]
    tables, left = [], pl.Series([True]).new_from_index(0, rows.height)
    for plan in dict.fromkeys(plan for plan in plans if plan is not None):
        own = numbered.to_rows(pl.Series([other == plan for other in plans], dtype=pl.Boolean), rows.height)
        facts, fit = _facts(rows, judge, classes, plan, own & ~rows.odd)
        if leave is not None and facts.height:
            gone = leave(facts)
            facts, fit = facts.filter(~gone), fit.scatter(fit.arg_true().filter(gone), values=False)
        tables.append(facts)
        left = left & ~fit
    known = (classes == CONTEXT_CLASS).fill_null(value=False) & ~rows.odd
    if known.any():
        known = known & _are_fair(rows, judge)
    left = left & ~known
    chats: ChatKinds | None = None
    if rows.texts and rows.records is not None and leave is None:
        for facts, learned, fit in _uncounted(rows, rows.records, judge, numbered, left):
            tables.append(facts)
            chats = learned
            left = left & ~fit
    facts = pl.concat(tables, how="diagonal") if tables else pl.DataFrame()
    return Laid(FactRows(facts, chats, int(known.sum())), left.arg_true())


def _are_fair(rows: Rows, judge: Judge) -> pl.Series:
    """Tell in which rows no counts can add up to more than a count may be, which is refused whatever the record is."""
    fair = pl.Series([True]).new_from_index(0, rows.height)
    for path in judge.layout.counts.keys() & rows.fields.keys():
        fair = fair & (rows.fields[path] <= MAX_COUNT // 100).fill_null(value=True)
    return fair


def _uncounted(
    rows: Rows, records: Records, judge: Judge, numbered: Numbered, left: pl.Series
) -> list[tuple[pl.DataFrame, ChatKinds, pl.Series]]:
    """Return the facts of plain chats whose usage is missing, these chats, and which rows they are; none or one."""
    found = [judge.judge(values, blank=True) for values in numbered.values]
    classes = numbered.to_rows(pl.Series(found, dtype=pl.Int64), rows.height)
    fit = left & ~rows.odd & classes.is_not_null()
    plans = [judge.plan_of(number) for number in found]
    tables, plain = [], pl.Series([False]).new_from_index(0, rows.height)
    for plan in dict.fromkeys(plan for plan in plans if plan is not None):
        own = numbered.to_rows(pl.Series([other == plan for other in plans], dtype=pl.Boolean), rows.height)
        facts, fine = _facts(rows, judge, classes, plan, own & fit)
        tables.append(facts.with_columns(fine.arg_true().alias(_ROW)))
        plain = plain | fine
    if not plain.any():
        return []
    facts = pl.concat(tables, how="diagonal").sort(_ROW).drop(_ROW)
    if not judge.layout.strict:
        facts, plain = _kept(facts, plain, _state_nothing(records(plain.arg_true()), judge.layout.reader))
        if not plain.any():
            return []
    places = plain.arg_true()
    shapes, texts = take_texts(rows.texts, places.to_list())
    times = facts["started_at"].to_physical() if "started_at" in facts.columns else None
    chats, fine = judge.tell_chats(shapes, texts, classes[places], times)
    return [(facts.filter(fine), chats, plain.scatter(places.filter(~fine), values=False))]


def _state_nothing(records: Iterable[Any], reader: FieldReader) -> pl.Series:
    """Tell which records state no count of tokens anywhere, not even where their layout does not look."""
    found = [type(record) is dict and reader.stated_tokens(record) is None for record in records]
    return pl.Series(found, dtype=pl.Boolean)


_ROW = "row"


def _numbered(rows: Rows, judge: Judge) -> list[Numbered]:
    """Number the rows by each thing that tells classes apart: words, parts, what the other places hold."""
    words = [rows.fields.get(field.path) for field in judge.words]
    found = [Numbered(None, [None]) if column is None else number_text(column) for column in words]
    parts = [rows.parts.get(path) for path in judge.parts]
    found += [Numbered(None, [NO_OBJECT]) if there is None else number_few(there) for there in parts]
    found += [_kinds(rows.fields.get(field.path), field, judge) for field in judge.varying]
    if judge.layout.adds_up:
        found.append(_order_of_counts(rows, judge))
    return found


def _order_of_counts(rows: Rows, judge: Judge) -> Numbered:
    """Number the rows by which of their counts are larger than which: a dialect's own arithmetic may ask.

    Returns:
        The values are (place, how many others are smaller), of each place of a count but totals.
    """
    counts = judge.layout.counts
    places = [field.path for field in judge.varying if counts.get(field.path, SIDES[2]) != SIDES[2]]
    places = [path for path in places if path in rows.fields]
    pairs = list(combinations(range(len(places)), 2))
    if len(pairs) > _MOST_PAIRS:
        return Numbered(None, [None])
    code = pl.Series([0], dtype=pl.UInt64).new_from_index(0, rows.height)
    for one, other in pairs:
        first, second = rows.fields[places[one]], rows.fields[places[other]]
        larger = (first > second).fill_null(value=False).cast(pl.UInt64)
        smaller = (first < second).fill_null(value=False).cast(pl.UInt64)
        code = code * 3 + larger * 2 + smaller
    numbered = number_few(code)
    return Numbered(numbered.numbers, [_ranks(places, pairs, value) for value in numbered.values])


def _ranks(places: Sequence[Path], pairs: Sequence[tuple[int, int]], code: int) -> tuple[tuple[Path, int], ...]:
    smaller = [0] * len(places)
    for one, other in reversed(pairs):
        code, order = divmod(code, 3)
        smaller[one] += order == 2
        smaller[other] += order == 1
    return tuple(zip(places, smaller, strict=True))


def _kinds(column: pl.Series | None, field: Field, judge: Judge) -> Numbered:
    """Number the rows by what a place holds: ABSENT, NULL, BLANK, THERE or ZERO."""
    strict = judge.layout.strict
    nothing = NULL if strict and field.reading != COST else ABSENT
    if column is None or column.null_count() == len(column):
        return Numbered(None, [nothing if column is not None else ABSENT])
    marked: list[tuple[pl.Series, int]] = []
    if column.dtype in (pl.String, pl.Enum, pl.Categorical):
        text = column.cast(pl.String) if column.dtype != pl.String else column
        marked = [(text == "", BLANK), *([(text == ABSENT_TEXT, ABSENT)] if strict else [])]
    elif strict and column.dtype in (pl.Int64, pl.Float64):
        marked = [(column == ABSENT_NUMBER, ABSENT)]
        if field.reading == COUNT and judge.layout.adds_up:
            marked.append((column == 0, ZERO))
    if field.path in judge.layout.prefixed:
        starts = [(column.str.starts_with(prefix), THERE + n) for n, prefix in enumerate(PREFIXES, 1)]
        marked += reversed(starts)  # the first that fits is the one
    marked = [(where, kind) for where, kind in marked if where.any()]
    if not marked and not column.null_count():
        return Numbered(None, [THERE])
    kinds = pl.Series([THERE], dtype=pl.UInt8).new_from_index(0, len(column))
    for where, kind in [*marked, (column.is_null(), nothing)]:
        kinds = kinds.zip_with(~where.fill_null(value=False), pl.Series([kind], dtype=pl.UInt8))
    return number_few(kinds)


def _facts(
    rows: Rows, judge: Judge, classes: pl.Series, plan: Plan, wanted: pl.Series
) -> tuple[pl.DataFrame, pl.Series]:
    """Return the facts of those rows of a plan's classes that are as plain as that, and which they are."""
    every = wanted.all()

    def pick(column: pl.Series) -> pl.Series:
        return column if every else column.filter(wanted)

    counts = {name: _sum(places) for name, places in plan.counts}
    fit = _rules(plan, counts, judge)
    if counts:
        counts[SIDES[2]] = counts[SIDES[0]] + counts[SIDES[1]]
    texts = dict(plan.texts)
    ids = _text(texts.pop("duplicate_id"))
    own = _text(texts.pop("own_id")) if "own_id" in texts else None
    columns = {name: _text(parts) for name, parts in texts.items()}
    if own is not None or "provider_response_id" in columns:
        columns["call_id"] = columns["provider_response_id"] if own is None else own
    if plan.cost is not None:
        columns[COST_COLUMN] = pl.col(_name(plan.cost))
    times = {name: pl.col(_name(path)) for name, path in plan.times}
    used = _used(plan)
    frame = pl.DataFrame([pick(rows.fields[path]).alias(_name(path)) for path in sorted(used, key=_name)])
    laid = frame.select(
        fit=pl.all_horizontal(*fit, pl.lit(value=True)).fill_null(value=False),
        **{name: column for name, column in columns.items() if name in Facts.types},
        **counts,
        **{f"line_{name}": count for name, count in counts.items()},
        **times,
        **key_columns(plan.family, ids.fill_null("")),
    )
    fits, laid = laid["fit"], laid.drop("fit")
    for name in times:
        moments, read = _moments(laid[name])
        laid, fits = laid.with_columns(moments.alias(name)), fits if read is None else fits & read
    numbers = pick(rows.numbers)
    lineage = [numbers.alias("source_row"), (numbers * 2**20).alias("record")]
    if rows.offsets is not None:
        lineage.append(pick(rows.offsets).alias("byte_offset"))
    commons = [column for column in _commons(judge, pick(classes)) if column.name not in laid.columns]
    fits = fits & _answered(laid[SIDES[1]], commons) if counts else fits
    laid, kept = _kept(laid.with_columns(*commons, *lineage), wanted, fits)
    if rows.digest is None or not laid.height:
        return laid, kept
    requests, records = rows.digest(kept.arg_true())
    laid = laid.with_columns(requests.alias("request_digest"), records.alias("record_digest"))
    return _kept(laid, kept, records.is_not_null())


def _answered(completion: pl.Series, commons: Sequence[pl.Series]) -> pl.Series:
    """Return which rows have an answer of some tokens or of none: another 0 is a placeholder where there is text."""
    endpoint = next((column for column in commons if column.name == "endpoint"), None)
    some = completion > 0
    if endpoint is None or some.all():
        return some
    return some | endpoint.is_in(WITHOUT_ANSWER_TOKENS).fill_null(value=False)


def _kept(facts: pl.DataFrame, rows: pl.Series, fine: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    """Return facts without those that are not fine, and which rows are left of those that they were of."""
    if fine.all():
        return facts, rows
    return facts.filter(fine), rows.scatter(rows.arg_true().filter(~fine), values=False)


_CACHE = ("cache_read_input_tokens", "cache_creation_input_tokens")


def _name(path: Path) -> str:
    return "\0".join(map(str, path))


def _used(plan: Plan) -> set[Path]:
    """Return the places that the columns of a plan come from."""
    texts = {part for _, parts in plan.texts for part in parts if not isinstance(part, str)}
    counts = {path for _, places in plan.counts for path in places}
    times = {path for _, path in plan.times}
    counts |= {path for pair in plan.equal for path in pair}
    return texts | counts | times | {*plan.total, *plan.zeros} | ({plan.cost} if plan.cost is not None else set())


def _sum(places: Sequence[Path]) -> pl.Expr:
    columns = [pl.col(_name(path)) for path in places]
    return sum(columns[1:], columns[0]) if columns else pl.lit(0, dtype=pl.Int64)


def _text(parts: Sequence[Part]) -> pl.Expr:
    columns = [pl.lit(part) if isinstance(part, str) else pl.col(_name(part)).cast(pl.String) for part in parts]
    return columns[0] if len(columns) == 1 else pl.concat_str(columns)


def _rules(plan: Plan, counts: dict[str, pl.Expr], judge: Judge) -> list[pl.Expr]:
    """Return what must hold of a row, so that it is what the marks of its class were."""
    fit = [pl.col(_name(path)) == 0 for path in plan.zeros]
    fit += [pl.col(_name(one)) == pl.col(_name(other)) for one, other in plan.equal]
    if counts:
        whole = counts[SIDES[0]] + counts[SIDES[1]]
        fit += [counts[SIDES[0]] > 0, *(pl.col(_name(path)) == whole for path in plan.total), *_shares(counts)]
        fit += [counts[name] <= MAX_COUNT for name, places in plan.counts if len(places) > 1]
        fit += _sums(counts) if judge.layout.adds_up else []
        if plan.total and len(dict(plan.counts)[SIDES[1]]) > 1:
            # a total that reasoning beside the completion gives may be taken for one that the cache gives
            cached = [counts[name] for name in _CACHE if name in counts]
            for some in (some for size in (1, 2) for some in combinations(cached, size)):
                fit.append((sum(some[1:], some[0]) == 0) | (sum(some[1:], some[0]) != counts["reasoning_tokens"]))
    peculiar = judge.layout.reader.dialect.peculiar_ids
    if peculiar:
        places = {part for name, parts in plan.texts if name in IDS for part in parts if not isinstance(part, str)}
        fit += [~pl.col(_name(path)).str.contains(peculiar) for path in sorted(places)]
    return fit


def _shares(counts: dict[str, pl.Expr]) -> list[pl.Expr]:
    """Return what holds where no part is larger than its whole."""
    rules = []
    for names, whole in SHARES:
        parts = [counts[name] for name in names if name in counts]
        if parts and whole in counts:
            rules.append(sum(parts[1:], parts[0]) <= counts[whole])
    return rules


def _sums(counts: dict[str, pl.Expr]) -> list[pl.Expr]:
    """Return what holds where all parts of a side together are not larger than it."""
    rules = []
    for side in SIDES[:2]:
        parts = [counts[name] for names, whole in SHARES for name in names if whole == side and name in counts]
        rules += [sum(parts[1:], parts[0]) <= counts[side]] if parts else []
    return rules


def _commons(judge: Judge, classes: pl.Series) -> list[pl.Series]:
    commons = judge.commons()
    if commons.height > 1:
        return commons[classes.fill_null(0).clip(0)].get_columns()
    return [column.new_from_index(0, len(classes)) for column in commons]


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
    first = column.drop_nulls().head(1).to_list()
    zoned = bool(first) and first[0][-1:] in ("Z", "z")  # which of the two is tried first
    for zone in () if leaping else ("UTC", None) if zoned else (None, "UTC"):
        try:
            return pl.Series(texts.cast(pa.timestamp("us", zone))).to_physical()
        except pa.ArrowInvalid:
            continue
    plain = column.zip_with(column.str.contains(_STAMP).fill_null(value=False), pl.Series([None], dtype=pl.String))
    return plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False).to_physical()
