"""Rejects between tasks and in a report: written in files of few rows as they come, never all of them in memory.

A log that is no log may have a reject for each of its bytes; a task hands them on in files, and the published table
is put in order from these files, a few of them at a time.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow.parquet as pq

from callcost.stages.report.publish import ROW_GROUP_ROWS, parquet_bytes
from callcost.stages.tables.facts import number_rows, read_tables, rejects_of
from callcost.stages.tables.schemas import Rejects, RejectsOfPieces
from callcost.tables import Reject

FILE_ROWS = 200_000  # of a file between tasks
MOST_HELD = 500_000  # rejects that a report puts in order at once; more of them go through it in stretches
_WHOLE_FILE = 2**63 - 1  # stands for a row that is null: after all others
_Key = tuple[str, int]


class RejectFiles:
    """Write the rejects of one task, file by file.

    Args:
        task: number of the task.
        folder: where the files go.
    """

    def __init__(self, task: int, folder: str) -> None:
        self._stem = str(Path(folder) / f"rejects-{task:06}")
        self._held: list[pl.DataFrame] = []
        self._rows = 0
        self._paths: list[str] = []

    def add(self, rejects: Sequence[Reject], piece: int) -> None:
        """Take the rejects of a window of a piece."""
        self._held.append(rejects_of(rejects, piece))
        self._rows += len(rejects)
        if self._rows >= FILE_ROWS:
            self._write()

    def finish(self) -> list[str]:
        """Write what is left, and return the paths of all files."""
        if self._rows:
            self._write()
        return self._paths

    def _write(self) -> None:
        path = f"{self._stem}-{len(self._paths):04}.parquet" if self._paths else f"{self._stem}.parquet"
        pl.concat(self._held).write_parquet(path)
        self._held, self._rows = [], 0
        self._paths.append(path)


class RejectTable:
    """The rejects of a run, in the files of its tasks.

    Args:
        paths: paths of the files.
        rows_before: (number of a piece, rows of its file before it) where its rejects do not know it.
        count: how many there are.
    """

    def __init__(self, paths: Sequence[str], rows_before: tuple[tuple[int, int], ...], count: int) -> None:
        self._paths, self._rows_before, self._count = tuple(paths), rows_before, count

    def parquet(self) -> bytes:
        """Return the published table as Parquet; the same rejects give the same bytes, whatever task found them."""
        if self._count <= MOST_HELD:
            return parquet_bytes(_in_order([self._read(path) for path in self._paths]))
        sink = io.BytesIO()
        groups = _regrouped(self._stretches(), ROW_GROUP_ROWS)
        first = next(groups)
        with pq.ParquetWriter(
            sink, first.to_arrow().schema, compression="zstd", compression_level=3,
            use_dictionary=cast("Any", ["source_file", "reason", "detail"]),  # a list, whatever its stub says
            column_encoding=dict.fromkeys(("source_row", "byte_offset"), "DELTA_BINARY_PACKED"),
        ) as writer:  # fmt: skip
            writer.write_table(first.to_arrow())
            for group in groups:
                writer.write_table(group.to_arrow())
        return sink.getvalue()

    def _read(self, path: str) -> pl.DataFrame:
        return number_rows(read_tables([path]), self._rows_before)

    def _stretches(self) -> Iterator[pl.DataFrame]:
        """Yield all rejects in order, in tables of about one file.

        Files are taken in the order of their first rejects; what stands before the first of the next file is complete.
        """
        firsts = [(_first_of(self._read(path)), path) for path in self._paths]
        files = sorted((first, path) for first, path in firsts if first is not None)
        held: list[pl.DataFrame] = []
        for (_, path), (limit, _) in zip(files, [*files[1:], (None, "")], strict=True):
            held.append(self._read(path))
            if limit is None:
                yield _in_order(held)
                return
            table = pl.concat(held)
            is_before = _stands_before(limit)
            yield _in_order([table.filter(is_before)])
            held = [table.filter(~is_before)]


def _in_order(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    table = pl.concat(tables) if tables else pl.DataFrame(schema=RejectsOfPieces.types)
    return table.select(Rejects.names).sort(Rejects.names, nulls_last=True)


def _first_of(table: pl.DataFrame) -> _Key | None:
    if table.is_empty():
        return None
    name = str(table["source_file"].min())
    rows: Any = table.filter(pl.col("source_file") == name)["source_row"].fill_null(_WHOLE_FILE).min()
    return name, int(rows)


def _stands_before(limit: _Key) -> pl.Expr:
    name, row = limit
    rows = pl.col("source_row").fill_null(_WHOLE_FILE)
    return (pl.col("source_file") < name) | ((pl.col("source_file") == name) & (rows < row))


def _regrouped(tables: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Yield the rows of tables in tables of so many rows; the last may have fewer."""
    held: list[pl.DataFrame] = []
    count = 0
    for table in tables:
        held.append(table)
        count += table.height
        while count >= rows:
            whole = pl.concat(held)
            yield whole.head(rows)
            held, count = [whole.tail(-rows)], count - rows
    if count:
        yield pl.concat(held)


def count_rows(parquet: bytes) -> int:
    """Return how many rows a table has, by its footer."""
    return pq.read_metadata(io.BytesIO(parquet)).num_rows
