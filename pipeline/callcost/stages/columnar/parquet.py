"""Parquet by columns: as they are stored to columns of places, without an object per row.

Only the columns that the dialect's table reads are read at all. A column of JSON text is decoded once per distinct
text. A file whose columns are not plain (nested ones, counts as fractions, another dialect's keys) is read row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from callcost.logs.dialects import recogniser
from callcost.logs.io.object_store import as_source
from callcost.logs.values.json_path import Path
from callcost.stages.columnar.decode import Rows, Table, flatten, money_of, presence_of
from callcost.stages.columnar.probe import Judge
from callcost.stages.columnar.schema import (
    COST,
    COUNT,
    EPOCH,
    JSON,
    LITELLM,
    NEVER,
    TEXT,
    TIME,
    WORD,
    Field,
    Layout,
    Node,
    litellm_layout,
    node_of,
)
from callcost.stages.tables.facts import series_of
from callcost.stages.tables.parquet_pages import RowGroup
from callcost.stages.tables.schemas import MONEY, MONEY_TYPE
from callcost.tables import MAX_COUNT

BATCH_ROWS = 100_000
_BATCH_BYTES = 256 << 20  # of the columns of a batch
_TEXT = "BYTE_ARRAY"
_FEW_BYTES = 4  # that a value of a column takes; fewer, and the file has numbers for its words
_LATEST = {"ms": 253_402_300_799_999, "us": 253_402_300_799_999_999, "ns": 2**63 - 1}  # in the year 9999, or 2262
_PLAIN = frozenset((pl.String, pl.Boolean, pl.Int64, pl.Float64, pl.Datetime, pl.Decimal))


class Flat(NamedTuple):
    """What is read of a Parquet file.

    Attributes:
        layout: of its dialect.
        columns: places that are columns.
        parts: columns of JSON text, each with what is read of it.
        judge: of the classes of rows.
    """

    layout: Layout
    columns: tuple[Field, ...]
    parts: tuple[tuple[str, Node], ...]
    judge: Judge


class FlatTable:
    """A file that is read by columns.

    Args:
        path: of the file.

    Raises:
        OSError: the file cannot be read.
        pa.ArrowException: it is no Parquet.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.metadata = pq.read_metadata(as_source(path))
        self._words = _words_of(self.metadata)
        self._table = self._open(self._words)
        self.schema = self._table.schema_arrow

    def batches(self, group: RowGroup, names: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield columns of the rows of a row group."""
        wide = [name for name in group.wide_columns() if name not in self._words]
        words = [*self._words, *wide]
        table = self._open(words) if wide else self._table
        rows = min(BATCH_ROWS, group.rows_within(_BATCH_BYTES, words, names))
        yield from table.iter_batches(batch_size=rows, row_groups=[group.number], columns=names)

    def height_of(self, group: int) -> int:
        """Return the number of rows of a row group."""
        return self.metadata.row_group(group).num_rows

    def close(self) -> None:
        """Close it."""
        self._table.close()

    def _open(self, words: list[str]) -> pq.ParquetFile:
        return pq.ParquetFile(as_source(self.path), metadata=self.metadata, read_dictionary=words)


def _words_of(metadata: pq.FileMetaData) -> list[str]:
    """Return the columns of text whose values a file numbers; they are read as numbers and words."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    texts = [place for place in range(metadata.num_columns) if metadata.schema.column(place).physical_type == _TEXT]
    sizes = {place: sum(group.column(place).total_uncompressed_size for group in groups) for place in texts}
    return [metadata.schema.column(n).path for n, size in sizes.items() if size < _FEW_BYTES * metadata.num_rows]


def open_flat(schema: pa.Schema) -> Flat | None:
    """Return how a file is read by columns; None where it cannot be."""
    kinds = _kinds_of(schema)
    reader = recogniser().find(dict.fromkeys(kinds, "")) if kinds else None
    if reader is None or reader.dialect.name not in LITELLM:
        return None
    layout = litellm_layout(reader.dialect.name)
    inner = {path[0] for path in layout.roles if len(path) > 1}
    if any(layout.roles.get((name,)) == NEVER for name in kinds):
        return None
    columns = []
    for name, kind in kinds.items():
        role = layout.roles.get((name,), "")
        reading = _READINGS.get((role, kind), "")
        if role and not reading:
            return None
        if name in inner and (kind != pl.String or name not in reader.dialect.json_columns):
            return None
        if role and name not in inner:
            columns.append(Field(name, (name,), reading))
    root = node_of(layout, {}, wide=True)
    parts = tuple((part.path[0], part) for _, part in root.parts if part.path[0] in kinds)
    found = [flatten(part) for _, part in parts]
    read = (*columns, *(field for below, _ in found for field in below))
    objects = tuple(path for (_, part), (_, inside) in zip(parts, found, strict=True) for path in (part.path, *inside))
    return Flat(layout, tuple(columns), parts, Judge(layout, read, objects))


def _kinds_of(schema: pa.Schema) -> dict[str, Any]:
    """Return the Polars type of each column; {} where one is named twice, or a time might overflow when it is read."""
    if pa.timestamp("s") in [pa.timestamp(kind.unit) for kind in schema.types if pa.types.is_timestamp(kind)]:
        return {}
    empty: Any = pl.from_arrow(schema.empty_table()) if len(set(schema.names)) == len(schema.names) else pl.DataFrame()
    return {name: _kind_of(kind) for name, kind in empty.schema.items()}


def _kind_of(kind: pl.DataType) -> Any:
    if kind in (pl.Categorical, pl.Enum):
        return pl.String
    if kind.is_integer():
        return pl.Int64
    base = kind.base_type()
    return base if base in _PLAIN else None


_READINGS = {
    (WORD, pl.String): WORD,
    (WORD, pl.Boolean): JSON,
    (TEXT, pl.String): TEXT,
    (COUNT, pl.Int64): COUNT,
    (TIME, pl.String): TIME,
    (TIME, pl.Datetime): TIME,
    (TIME, pl.Float64): EPOCH,
    (COST, pl.Float64): COST,
    (COST, pl.Int64): COST,
    (COST, pl.Decimal): COST,
}


def read_flat(table: FlatTable, flat: Flat, group: RowGroup, first_row: int) -> Iterator[Rows]:
    """Yield the rows of a row group."""
    names = [field.name for field in flat.columns] + [name for name, _ in flat.parts]
    for batch in table.batches(group, names):
        batch = batch.select(names)  # noqa: PLW2901 - in this order
        numbers = pl.int_range(first_row, first_row + batch.num_rows, eager=True)
        first_row += batch.num_rows
        if not _is_text(batch):
            every = pl.Series([True]).new_from_index(0, len(numbers))
            yield Rows(numbers, None, {}, {}, every, {})
            continue
        frame = pl.DataFrame([_series(name, column) for name, column in zip(names, batch.columns, strict=True)])
        fields: dict[Path, pl.Series] = {}
        parts: dict[Path, pl.Series] = {}
        odd = pl.Series([False]).new_from_index(0, frame.height)
        for key in flat.layout.required:  # a column that is null is as good as not there
            if frame[key].null_count():
                odd = odd | frame[key].is_null()
        for field in flat.columns:
            column, wrong = _column(frame[field.name], field.reading)
            fields[field.path] = column
            odd = odd if wrong is None else odd | wrong
        for name, part in flat.parts:
            odd = odd | _take_text(frame[name], part, fields, parts)
        yield Rows(numbers, None, fields, parts, odd, {})


def _is_text(batch: pa.RecordBatch) -> bool:
    """Tell whether all text is UTF-8; nobody has looked so far, and Polars takes it on trust."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _series(name: str, column: pa.Array[Any]) -> pl.Series:
    """Return a column; text that comes as numbers and words stays so, unless the words are no set."""
    if not isinstance(column, pa.DictionaryArray):
        return pl.Series(name, column)
    words, numbers = pl.Series(column.dictionary), pl.Series(name, column.indices)
    if words.dtype == pl.String and not words.null_count() and words.n_unique() == len(words):
        return numbers.cast(pl.UInt32).cat.to(pl.Enum(words))
    return words.gather(numbers).alias(name)


def _column(column: pl.Series, reading: str) -> tuple[pl.Series, pl.Series | None]:
    """Return a column as to_facts.py takes it, and which rows are for the record reader; None: none."""
    if reading == WORD:
        return column, None
    if reading in (TEXT, JSON):
        return column.cast(pl.String), None  # truth as "true" and "false", as JSON has it
    if reading == COUNT:
        return _within(column, 0, MAX_COUNT)
    if reading == COST:
        return _costs(column)
    if column.dtype == pl.Datetime:
        moments, wrong = _within(column.to_physical(), 0, _LATEST[str(getattr(column.dtype, "time_unit", "us"))])
        return moments.cast(column.dtype).dt.cast_time_unit("us").dt.replace_time_zone(None), wrong
    return column, None


def _within(numbers: pl.Series, low: int, high: int) -> tuple[pl.Series, pl.Series | None]:
    """Return whole numbers, null where they are beyond their bounds, and where that is; None: nowhere."""
    least, most = numbers.min(), numbers.max()
    if least is None or (isinstance(least, int) and isinstance(most, int) and least >= low and most <= high):
        return numbers.cast(pl.Int64), None
    wrong = ~numbers.is_between(low, high).fill_null(value=True)
    return numbers.zip_with(~wrong, pl.Series([None], dtype=numbers.dtype)).cast(pl.Int64), wrong


def _costs(column: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    values = column.unique()
    amounts = [money_of(value) for value in values.to_list()]
    wrong = pl.Series([not fine for _, fine in amounts])
    exact = series_of([amount for amount, _ in amounts], MONEY_TYPE).cast(MONEY)
    if len(values) == 1:
        return exact.new_from_index(0, len(column)), wrong.new_from_index(0, len(column)) if wrong[0] else None
    dealt = pl.DataFrame({"value": column}).join(
        pl.DataFrame({"value": values, "amount": exact, "wrong": wrong}), on="value", how="left", nulls_equal=True,
        maintain_order="left",
    )  # fmt: skip
    return dealt["amount"], dealt["wrong"] if wrong.any() else None


def _take_text(column: pl.Series, part: Node, fields: dict[Path, pl.Series], parts: dict[Path, pl.Series]) -> pl.Series:
    """Read a column of JSON text, each distinct text once; return which rows are for the record reader."""
    texts = pl.DataFrame({"text": column.cast(pl.String)})
    distinct = texts.unique().with_row_index("number")
    numbers = texts.join(distinct, on="text", how="left", nulls_equal=True, maintain_order="left")["number"]
    table = Table()
    below = [table.part_of(text, part, row) for row, text in enumerate(distinct["text"])]
    there = pl.Series(presence_of(part, below), dtype=pl.UInt8)
    if (there > 0).any():
        parts[part.path] = there[numbers]
        table.take(part, below)
        found = table.columns(part)
        fields |= {path: values[numbers] for path, values in found.fields.items()}
        parts |= {path: flags[numbers] for path, flags in found.parts.items()}
    odd = pl.Series([row in table.odd for row in range(len(below))], dtype=pl.Boolean)
    return odd[numbers]
