"""SQLite databases to lines of JSON: the records of a store that a dialect names, else the rows of all its tables.

A database is read, never written: without a write-ahead log as it lies there; with one, which holds what was written
last, through a backup, or through a copy of both where nobody has it open. Columns that hold JSON are parsed; a blob is
text, packed or not, or nothing.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import zstandard

from callcost.logs.io.temporary import temporary_folder
from callcost.logs.record.stores import Store
from callcost.logs.values.json import Refusal, decode

MAGIC = b"SQLite format 3\x00"
COMPANIONS = ("-wal", "-shm", "-journal")  # of a database, in files beside it
_LOGS = ("-wal", "-journal")  # those that hold a part of its content
_BLOCK = 1 << 20
_LONGEST = 256 << 20  # bytes of a value
_ZSTD = b"\x28\xb5\x2f\xfd"


class BrokenDatabase(Exception):  # noqa: N818 - how a database says that it ends here
    """A database is damaged, locked or encrypted; what came before is good."""


def logs_beside(path: str) -> list[Path]:
    """Return the files beside a database on a disk that hold a part of its content."""
    found = [Path(f"{path}{suffix}") for suffix in _LOGS]
    return [each for each in found if _size_of(each)]


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def read_database(stream: BinaryIO, stores: Sequence[Store]) -> Iterator[bytes]:
    """Yield the records of a database as lines of JSON, in blocks.

    Args:
        stream: the database; of one on a disk also the files beside it are read.
        stores: what is known of databases.

    Raises:
        BrokenDatabase: it cannot be read any further.
        OSError: it cannot be read.
    """
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(contextlib.closing(_open(stream, stack)))
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
            connection.text_factory = lambda data: data.decode("utf-8", "replace")
            held, size = list[bytes](), 0
            for line in _lines(connection, stores):
                held.append(line)
                size += len(line)
                if size >= _BLOCK:
                    yield b"".join(held)
                    held, size = [], 0
            yield b"".join(held)
        except sqlite3.Error:
            raise BrokenDatabase("the database is damaged, locked or encrypted") from None


def _open(stream: BinaryIO, stack: contextlib.ExitStack) -> sqlite3.Connection:
    name = getattr(stream, "name", None)
    if isinstance(name, str | Path) and not logs_beside(str(name)):
        return _connect(Path(name), "mode=ro&immutable=1")
    copy = stack.enter_context(temporary_folder()) / "database"
    if not isinstance(name, str | Path):
        with copy.open("wb") as target:
            shutil.copyfileobj(stream, target, _BLOCK)
    elif not _is_backed_up(Path(name), copy):
        for suffix in ("", *_LOGS):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{name}{suffix}", f"{copy}{suffix}")
    return sqlite3.connect(copy)


def _connect(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)


def _is_backed_up(path: Path, copy: Path) -> bool:
    """Copy a database that somebody has open, in one piece; tell whether that was possible without writing there."""
    if not _size_of(Path(f"{path}-shm")):
        return False
    try:
        with contextlib.closing(_connect(path, "mode=ro")) as source, contextlib.closing(sqlite3.connect(copy)) as to:
            source.backup(to)
    except sqlite3.Error:
        copy.unlink(missing_ok=True)
        return False
    return True


def _lines(connection: sqlite3.Connection, stores: Sequence[Store]) -> Iterator[bytes]:
    tables = _tables_of(connection)
    known = [store for store in stores if store.fits(tables)]
    everything = (f'SELECT * FROM "{name}"' for name in tables)  # noqa: S608 - no name has a quote
    for query in [store.query for store in known] or everything:
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description]
        for row in cursor:
            values = [_value_of(value) for value in row]
            single = len(names) == 1 and bool(known)
            for record in _records_of(values[0]) if single else [dict(zip(names, values, strict=True))]:
                yield msgspec.json.encode(record) + b"\n"


def _records_of(value: Any) -> list[Any]:
    """Return what a column holds that is a record: the record, or each of several lines of JSON."""
    lines = [line for line in value.split("\n") if line.strip()] if type(value) is str else []
    records = [_value_of(line) for line in lines]
    return records if len(records) > 1 and isinstance(records[0], msgspec.Raw) else [value]


def _tables_of(connection: sqlite3.Connection) -> dict[str, frozenset[str]]:
    """Return the columns of tables and views, without those that SQLite keeps for itself."""
    found = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND coalesce(sql, '') NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
    )
    names = [name for (name,) in found if '"' not in name]
    return {
        name: frozenset(column for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (name,)))
        for name in names
    }


def _value_of(value: Any) -> Any:
    """Return a value as JSON has it; text that is a JSON object or array as that, in one line."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        value = _text_of(value)
    if type(value) is not str or value.lstrip()[:1] not in {"{", "["}:
        return value
    try:
        data = value.encode()
        decode(data)
    except (Refusal, UnicodeEncodeError):
        return value
    return msgspec.Raw(data.replace(b"\n", b" ").replace(b"\r", b" "))


def _text_of(blob: bytes) -> str | None:
    if blob.startswith(_ZSTD):
        try:
            blob = zstandard.ZstdDecompressor().decompressobj().decompress(blob[:_LONGEST])
        except zstandard.ZstdError:
            return None
    try:
        return blob.decode()
    except UnicodeDecodeError:
        return None
