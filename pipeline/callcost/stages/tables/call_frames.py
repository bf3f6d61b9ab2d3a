"""Tables of calls that a program has in memory, read as published calls are: names, types, counts, row by row.

Columns have the names of Calls, and those of USAGE_COUNTS and TERMS that are published nowhere; what is missing is
null. A table whose columns cannot be meant is refused by name. A row that cannot be a call stays, with the reason why:
those of REJECT_REASONS. What stands inside what, the readers of logs decide (logs/usage/arithmetic.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

import polars as pl

from callcost.arguments import nearest
from callcost.errors import ConfigError
from callcost.logs.usage.arithmetic import SHARES, settle_counts
from callcost.logs.usage.compiled_shapes import COMPILED
from callcost.logs.usage.unread import is_usage_like
from callcost.stages.tables.published_calls import COLUMNS
from callcost.stages.tables.schemas import MONEY, Calls, Rejects
from callcost.tables import MAX_COUNT, USAGE_COUNTS

FRAME = "frame"  # stands for the log that the calls are not of
_COUNTS = tuple(name for name in COLUMNS if name in USAGE_COUNTS)
_COSTS = tuple(name for name in Calls.names if name.endswith("_cost") and name != "logged_cost")
CHARGED = tuple(name for name in Calls.names if name.startswith("price_") or name in _COSTS)  # what pricing fills
_SPELLED = {  # what providers and gateways call a count -> the count
    place: name
    for compiled in reversed(COMPILED)
    for name, places in compiled.shape.counts.items()
    for place in places
    if "." not in place
}


class ArrowTable(Protocol):
    """A table that hands itself over by Arrow: of Polars, pyarrow, pandas from 2.2 on, DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the table as a stream of Arrow."""
        ...


Frame = pl.LazyFrame | ArrowTable


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallFrame:
    """A table of calls, read.

    Attributes:
        calls: columns of COLUMNS, as many rows as the table; what a reader of logs fills in is filled in.
        faults: ``reason`` and ``detail`` of each row; null: it is a call.
    """

    calls: pl.DataFrame
    faults: pl.DataFrame

    @property
    def is_priced(self) -> bool:
        """Whether a row comes priced."""
        return self.calls["price_status"].null_count() < self.calls.height


def collect_frame(frame: Frame) -> pl.DataFrame:
    """Return a table as one of Polars.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    if not hasattr(frame, "__arrow_c_stream__"):
        raise ConfigError(f"{type(frame).__name__} is no table of calls", hint="Give a DataFrame or a LazyFrame")
    return pl.DataFrame(frame)


def read_frame(table: pl.DataFrame) -> CallFrame:
    """Read a table of calls.

    Args:
        table: a row per call; columns that nobody knows are passed over. Rows with a price_status keep their prices.

    Raises:
        ConfigError: a column that is needed is missing, is of a wrong type, or looks like a count and is unknown.
    """
    _check_names(table)
    columns = [_read_column(table[name], kind) for name, kind in COLUMNS.items() if name in table.columns]
    known = pl.DataFrame(columns).with_columns(
        pl.lit(None, kind).alias(name) for name, kind in COLUMNS.items() if name not in table.columns
    )
    faults = _faults_of(table)
    rows = pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    words = {"source_file": pl.lit(FRAME), "source_row": rows, "status": pl.lit("success")}
    filled = known.with_columns(pl.coalesce(name, value).alias(name) for name, value in words.items())
    lacks_price = filled["price_status"].is_null()
    if (lacks_price & filled["iterations"].is_not_null()).any():
        hint = "Price them from their logs, or keep the columns of their prices"
        raise ConfigError("iterations: what the runs of a call cost is known from its log alone", hint=hint)
    calls = filled.with_row_index("place")
    unpriced = _settle(calls.filter(lacks_price))
    settled = pl.concat([calls.filter(~lacks_price), unpriced.select(calls.columns)]).sort("place")
    return CallFrame(calls=settled.select(*COLUMNS), faults=faults)


def _check_names(table: pl.DataFrame) -> None:
    for name, kind in table.schema.items():
        if name in COLUMNS or not (kind.is_numeric() or kind.is_nested()):
            continue
        like = ("token" in name.lower() or "usage" in name.lower()) and is_usage_like(name)
        near = (_SPELLED.get(name) or nearest(name, _COUNTS)) if like else _misspelled(name)
        if like or near:
            guess = f"Did you mean {near}: {_doc(near)}" if near else f"One of {', '.join(_COUNTS)}"
            raise ConfigError(f"no count {name!r}", hint=f"{guess}; else drop the column")
    if "model" not in table.columns:
        raise _lacking(table, "model", lambda kind: kind == pl.String)
    if "started_at" not in table.columns and any(kind.is_temporal() for kind in table.dtypes):
        raise _lacking(table, "started_at", lambda kind: kind.is_temporal())
    if not any(name in table.columns for name in (*_COUNTS, "billed_units")):
        raise ConfigError("the table has no counts", hint=f"Columns are {', '.join(_COUNTS[:2])} and so on")
    costs = [name for name in _COSTS if name in table.columns]
    if costs and "price_status" not in table.columns:
        hint = "Drop the columns of costs, or call logged_cost what a log states"
        raise ConfigError(f"the table has {costs[0]} and no price_status", hint=hint)


def _misspelled(name: str) -> str | None:
    import difflib  # noqa: PLC0415 - where a column is unknown

    return next(iter(difflib.get_close_matches(name.lower(), _COUNTS, 1, 0.85)), None)


def _doc(name: str) -> str:
    column = next((column for column in Calls.columns if column.name == name), None)
    return column.doc if column else "tokens"


def _lacking(table: pl.DataFrame, name: str, fits: Callable[[Any], bool]) -> ConfigError:
    others = [other for other, kind in table.schema.items() if fits(kind) and other not in COLUMNS]
    near = f"Rename the column that has it, such as {(nearest(name, others) or others[0])!r}" if others else "Add it"
    return ConfigError(f"the table has no column {name!r}", hint=near)


def _read_column(column: pl.Series, kind: pl.DataType) -> pl.Series:
    try:
        if column.dtype != pl.Null and isinstance(kind, pl.Datetime):
            return _moments(column)
        if column.dtype != pl.Null and column.name in USAGE_COUNTS:
            return _counts(column)
        if column.dtype.is_float() and kind == MONEY:
            exact = [None if value is None or value != value else Decimal(repr(value)) for value in column]  # noqa: PLR0124
            return pl.Series(column.name, exact, MONEY)
        return column.cast(kind)
    except (pl.exceptions.PolarsError, TypeError, ArithmeticError):
        raise ConfigError(f"{column.name}: {column.dtype} is not {kind}", hint="Cast the column, or drop it") from None


def _moments(column: pl.Series) -> pl.Series:
    if not isinstance(column.dtype, pl.Datetime | pl.Date):
        raise TypeError
    moments = column.cast(pl.Datetime("us")) if isinstance(column.dtype, pl.Date) else column
    zone = getattr(moments.dtype, "time_zone", None)
    aware = moments.dt.convert_time_zone("UTC") if zone else moments.dt.replace_time_zone("UTC")
    return aware.cast(pl.Datetime("us", "UTC"))


def _counts(column: pl.Series) -> pl.Series:
    """Return whole numbers; null where a value is none, and where a table's cell is empty."""
    if not column.dtype.is_numeric():
        raise TypeError
    held = column.fill_nan(None) if column.dtype.is_float() else column
    counts = held.cast(pl.Int64, strict=False)
    return counts.set((counts < 0) | (counts > MAX_COUNT), None)


def _faults_of(table: pl.DataFrame) -> pl.DataFrame:
    """Return why each row is no call, in the words of the readers of logs."""
    named = pl.col("model").cast(pl.String)
    found = [(named.is_null() | (named == ""), "no_model", "")]
    for name in _COUNTS:
        if name not in table.columns or table.schema[name] == pl.Null:
            continue
        value = pl.col(name).fill_nan(None) if table.schema[name].is_float() else pl.col(name)
        found += [
            (value < 0, "bad_count", f"{name} is negative"),
            (value > MAX_COUNT, "count_out_of_range", name),
            (value != value.cast(pl.Int64, strict=False), "bad_count", f"{name} is not a whole number"),
        ]
    reason, detail = (
        pl.coalesce(pl.when(each[0]).then(pl.lit(each[place])) for each in found).alias(name)
        for place, name in ((1, "reason"), (2, "detail"))
    )
    return table.select(reason, detail)


def _settle(calls: pl.DataFrame) -> pl.DataFrame:
    """Fill in what follows from what rows state, as of a row of a log; flag what contradicts itself."""
    fair = calls["place"].is_in(calls.filter(_is_fair())["place"].implode())
    whole = (pl.col("prompt_tokens") + pl.col("completion_tokens")).alias("total_tokens")
    simple, odd = calls.filter(fair).with_columns(whole), calls.filter(~fair)
    settled = pl.concat([simple, _settle_odd(odd).select(simple.columns)]).sort("place")
    states = pl.any_horizontal(pl.col("prompt_tokens", "completion_tokens", "billed_units").is_not_null())
    source = pl.when(states).then(pl.lit("reported")).otherwise(pl.lit("absent"))
    return settled.with_columns(pl.coalesce("usage_source", source))


def _is_fair() -> pl.Expr:
    """Tell of the rows of which no count contradicts another, so that there is nothing to settle."""
    prompt, completion, whole = (pl.col(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    rules = [prompt.is_not_null(), completion.is_not_null(), whole.is_null() | (whole == prompt + completion)]
    for names, name in SHARES:
        parts = [pl.col(part) for part in names if part in COLUMNS]
        if parts:
            none = pl.all_horizontal(part.is_null() for part in parts)
            rules.append(none | (pl.sum_horizontal(parts) <= pl.col(name).fill_null(-1)))
    return pl.all_horizontal(rules).fill_null(value=False)


def _settle_odd(calls: pl.DataFrame) -> pl.DataFrame:
    """Settle the counts of rows as those of a log, each distinct set of them once."""
    is_gemini = pl.col("model").str.contains("gemini").fill_null(value=False)
    keys = calls.select(*_COUNTS, gemini=is_gemini)
    rows: list[tuple[Any, ...]] = []
    distinct = keys.unique(maintain_order=True)
    for *values, gemini in distinct.iter_rows():
        counts = {name: value for name, value in zip(_COUNTS, values, strict=True) if value is not None}
        usage, flags = settle_counts(counts, model="gemini" if gemini else "")
        rows.append((*(getattr(usage, name) for name in _COUNTS), sorted(flags)))
    kinds = {**{f"now {name}": pl.Int64() for name in _COUNTS}, "found": pl.List(pl.String)}
    found = distinct.hstack(pl.DataFrame(rows, schema=kinds, orient="row"))
    joined = calls.with_columns(gemini=is_gemini).join(
        found, on=[*_COUNTS, "gemini"], how="left", nulls_equal=True, maintain_order="left"
    )
    both = pl.concat_list(pl.col("flags").fill_null([]), "found").list.unique().list.sort()
    return joined.with_columns(*(pl.col(f"now {name}").alias(name) for name in _COUNTS), both.alias("flags"))


def bad_rows(frame: CallFrame) -> pl.DataFrame:
    """Return the rows that are no calls: columns of Rejects, in order."""
    rows = frame.calls.select("source_file", "source_row", byte_offset=pl.lit(None, pl.Int64)).hstack(frame.faults)
    return rows.filter(pl.col("reason").is_not_null()).select(Rejects.names)
