"""Publish tables: the one place that writes a report's files, whole or not at all, with the same bytes each time.

Parquet is sorted and rechunked by its caller's order, with fixed row groups, compression and statistics; CSV has
plain decimals without exponent and guards text that a spreadsheet would run. How a file gets to its folder whole is
for logs/io/folders.py.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec
import polars as pl
from polars.io.plugins import register_io_source

from callcost.errors import ReportError
from callcost.logs.io.folders import FileVersion, Folder, folder_at, open_whole
from callcost.logs.io.object_store import written_name
from callcost.logs.own_output import UNFINISHED
from callcost.stages.tables.schemas import TAG_MAP, Calls

MANIFEST = "manifest.json"
ROW_GROUP_ROWS = 131_072
_MARKED = re.compile(r"[\r\n\\`*\[\]|<>&]|(?<!\w)_|_(?!\w)")  # what Markdown would take for more than a sign
_RISKY = r"^[=+\-@\t\r]"  # what spreadsheets take for a formula


def publish_files(out: str, files: Mapping[str, bytes]) -> None:
    """Write the files of a report, each whole or not at all, in order.

    What they are is written down before the first of them, so that those of a run that is killed are no logs to anyone.

    Args:
        out: a folder, or the URL of one in an object store.
        files: name -> content; the manifest is the last.

    Raises:
        ReportError: the folder is read-only, full or gone.
        LogError: the store refuses or cannot be reached.
    """
    folder = folder_at(out)
    publish_file(folder, UNFINISHED, files[MANIFEST])
    for name, data in files.items():
        publish_file(folder, name, data)
    folder.remove([UNFINISHED])


def publish_file(folder: Folder, name: str, data: bytes) -> FileVersion:
    """Write a file, whole or not at all, and return its version.

    Raises:
        ReportError: the folder is read-only, full or gone; nothing is left under either name.
        LogError: the store refuses or cannot be reached.
    """
    try:
        return folder.write(name, data)
    except OSError as error:
        message = f"cannot write {folder.place}/{name}: {error.strerror or error}"
        raise ReportError(message, hint="Check the folder's permissions and free space, then run again") from error


def parquet_bytes(table: pl.DataFrame) -> bytes:
    """Return a table as Parquet; the same rows in the same order give the same bytes (per Polars version)."""
    return parquet_of_parts([table])


def parquet_of_parts(parts: Iterable[pl.DataFrame]) -> bytes:
    """Return a table that comes in parts, in order, as Parquet: the bytes are those of the whole, never in memory.

    Args:
        parts: of one schema; at least one.
    """
    sink, tables = io.BytesIO(), (as_maps(part).rechunk() for part in parts)
    first = next(tables)

    def rows(*_asked: object) -> Iterator[pl.DataFrame]:
        return chain([first], tables)

    register_io_source(rows, schema=first.schema).sink_parquet(
        sink, compression="zstd", compression_level=3, statistics=True, row_group_size=ROW_GROUP_ROWS
    )
    return sink.getvalue()


def as_maps(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with tags as maps, which DuckDB and Spark look values up in."""
    tags = [name for name, kind in table.schema.items() if kind == Calls.tags.dtype]
    return table.with_columns(pl.col(tags).cast(TAG_MAP)) if tags else table


def plain_decimals(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with money as plain decimal text: no exponent, no trailing zeros."""
    money = [name for name, kind in table.schema.items() if isinstance(kind, pl.Decimal)]
    texts = [pl.col(name).cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".") for name in money]
    return table.with_columns(texts)


def flat_table(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with nested cells as JSON text, for what holds plain cells only."""
    nested = [name for name, kind in table.schema.items() if kind.is_nested()]
    encoder = msgspec.json.Encoder()
    return table.with_columns(
        pl.Series(
            name, [None if cell is None else encoder.encode(cell).decode() for cell in table[name].to_list()], pl.String
        )
        for name in nested
    )


def write_file(place: str, data: bytes) -> None:
    """Write a file that was asked for, whole or not at all.

    Raises:
        ReportError: it cannot be written.
        LogError: the store refuses or cannot be reached.
    """
    try:
        with open_whole(place) as stream:
            stream.write(data)
    except OSError as error:
        message = f"cannot write {place}: {error.strerror or error}"
        raise ReportError(message, hint="Check its folder's permissions and free space, then run again") from error


def csv_bytes(table: pl.DataFrame) -> bytes:
    """Return a table as CSV (UTF-8, LF): null is empty, money is plain decimal text."""
    text = [name for name, kind in table.schema.items() if kind == pl.String()]
    guarded = [
        pl.when(pl.col(name).str.contains(_RISKY)).then(pl.concat_str(pl.lit("'"), name)).otherwise(name).alias(name)
        for name in text
    ]
    sink = io.BytesIO()
    plain_decimals(table.clear()).write_csv(sink)  # the header
    for part in table.iter_slices(ROW_GROUP_ROWS):  # as text rows take several times their memory
        plain_decimals(part.with_columns(guarded)).write_csv(sink, include_header=False)
    return sink.getvalue()


def json_bytes(table: pl.DataFrame) -> bytes:
    """Return a table as JSON Lines: money is decimal text, so that no reader makes it a float."""
    sink = io.BytesIO()
    for part in table.iter_slices(ROW_GROUP_ROWS):
        plain_decimals(part).write_ndjson(sink)
    return sink.getvalue()


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a JSON document for people and scripts: sorted keys, two spaces, a final newline.

    Names of files in it are written as written_name has them.
    """
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
    return f"{written_name(text)}\n".encode()


def markdown_bytes(table: pl.DataFrame) -> bytes:
    """Return a table as one of Markdown: null is empty, money is plain decimal text, numbers are aligned right."""
    numbers = [kind.is_numeric() for kind in table.schema.values()]
    lines = [_markdown_row(table.columns), _markdown_row("--:" if number else "---" for number in numbers)]
    lines += [_markdown_row(row) for row in plain_decimals(table).iter_rows()]
    return "".join(lines).encode()


def _markdown_row(cells: Iterable[object]) -> str:
    texts = ("" if cell is None else str(cell) for cell in cells)
    return f"| {' | '.join(_MARKED.sub(_marked, text) for text in texts)} |\n"


def _marked(found: re.Match[str]) -> str:
    sign = found.group()
    return " " if sign in "\r\n" else f"\\{sign}" if sign in "\\`*_[]|" else f"&#{ord(sign)};"


WRITERS = {"parquet": parquet_bytes, "csv": csv_bytes, "json": json_bytes, "markdown": markdown_bytes}
