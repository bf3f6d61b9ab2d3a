"""Small files that unpack to far more than a run may hold; each is written by code, and packed as it is written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

_BLOCK = 1 << 20


class Bomb(NamedTuple):
    """A file that is more than it seems.

    Attributes:
        write: writes so many of what it is made of, and returns the path.
        size: how many of them a full bomb has.
        small: how many the ordinary tests take.
        reasons: what its rejects say; (): it has none.
    """

    write: Callable[[Path, int], Path]
    size: int
    small: int
    reasons: tuple[str, ...]


def _packed(path: Path, parts: Iterable[bytes]) -> Path:
    """Write parts, packed by gzip or zstandard as the name says."""
    if path.suffix == ".gz":
        with gzip.open(path, "wb", 6) as stream:
            stream.writelines(parts)
    else:
        with path.open("wb") as plain, zstandard.ZstdCompressor(level=9).stream_writer(plain) as packed:
            for part in parts:
                packed.write(part)
    return path


def _many(part: bytes, count: int) -> Iterator[bytes]:
    """Yield a part so many times, in blocks."""
    at_once = max(1, _BLOCK // len(part))
    yield from repeat(part * at_once, count // at_once)
    yield part * (count % at_once)


def write_cell(folder: Path, size: int) -> Path:
    """Write a Parquet file whose one cell has so many bytes."""
    path = folder / "cell.parquet"
    cell = pa.array([b"x" * size], pa.large_binary()).cast(pa.large_string())
    table = pa.table({"model": ["gpt-4o"], "messages": cell})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)
    return path


def _repeated(path: Path, rows: int, columns: dict[str, Any]) -> Path:
    """Write rows that name one of two words of 64 KiB each, and say the same for the rest."""

    def table_of(count: int) -> pa.Table:
        numbers = pa.array([row & 1 for row in range(count)], pa.int32())
        same = {name: pa.repeat(pa.scalar(value), count) for name, value in columns.items()}
        return pa.table({"user": pa.DictionaryArray.from_arrays(numbers, words), **same})

    words = pa.array([letter * (64 << 10) for letter in "ab"])
    with pq.ParquetWriter(path, table_of(2).schema, compression="zstd") as writer:
        for begin in range(0, rows, 1_000_000):
            writer.write_table(table_of(min(1_000_000, rows - begin)))
    return path


def write_dictionary(folder: Path, rows: int) -> Path:
    """Write rows of no dialect that repeat words of a dictionary."""
    return _repeated(folder / "dictionary.parquet", rows, {"what": "nothing"})


def write_users(folder: Path, rows: int) -> Path:
    """Write calls whose users are words of a dictionary."""
    columns = {"model": "gpt-4o", "messages": "[]", "usage": '{"prompt_tokens":10,"completion_tokens":2}'}
    return _repeated(folder / "users.parquet", rows, columns)


def write_null_rows(folder: Path, rows: int) -> Path:
    """Write rows of Parquet in which nothing stands."""
    path = folder / "nulls.parquet"
    schema = pa.schema({"model": pa.string()})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for begin in range(0, rows, 10_000_000):
            size = min(10_000_000, rows - begin)
            writer.write_table(pa.table({"model": pa.nulls(size, pa.string())}), row_group_size=size)
    return path


def write_objects(folder: Path, count: int) -> Path:
    """Write lines of empty objects."""
    return _packed(folder / "objects.jsonl.gz", _many(b"{}\n", count))


def write_scalars(folder: Path, count: int) -> Path:
    """Write one array of numbers."""
    return _packed(folder / "scalars.json.gz", [b"[", *_many(b"1,", count - 1), b"1]"])


def write_scalar_record(folder: Path, count: int) -> Path:
    """Write one record that holds an array of numbers."""
    return _packed(folder / "scalar_record.jsonl.gz", [b'{"model":"gpt-4o","x":[', *_many(b"1,", count - 1), b"1]}\n"])


def write_keys(folder: Path, count: int) -> Path:
    """Write one record of many keys."""
    keys = (b"".join(b'"k%07d":1,' % n for n in range(at, min(at + 10_000, count))) for at in range(0, count, 10_000))
    return _packed(folder / "keys.jsonl.zst", [b"{", *keys, b'"model":"gpt-4o"}\n'])


def write_lists(folder: Path, count: int) -> Path:
    """Write one record that holds many empty lists."""
    return _packed(folder / "lists.jsonl.gz", [b'{"model":"gpt-4o","x":[', *_many(b"[],", count - 1), b"[]]}\n"])


def write_newlines(folder: Path, count: int) -> Path:
    """Write a call behind many blank lines."""
    call = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o", "choices": [], "created": 1750000000}
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    line = json.dumps({**call, "usage": usage}).encode()
    return _packed(folder / "newlines.jsonl.zst", [*_many(b"\n", count), line])


BOMBS = {
    "cell": Bomb(write_cell, 1 << 30, 8 << 20, ("too_large",)),
    "dictionary": Bomb(write_dictionary, 3_000_000, 4_000, ("unknown_dialect",)),
    "null rows": Bomb(write_null_rows, 300_000_000, 30_000, ("too_large",)),
    "objects": Bomb(write_objects, 22_000_000, 60_000, ("unknown_dialect",)),
    "scalars": Bomb(write_scalars, 64_000_000, 60_000, ("not_an_object",)),
    "scalars in a record": Bomb(write_scalar_record, 31_000_000, 400_000, ("too_large",)),
    "keys": Bomb(write_keys, 4_000_000, 60_000, ("too_large",)),
    "lists": Bomb(write_lists, 20_000_000, 200_000, ("too_large",)),
    "newlines": Bomb(write_newlines, 1 << 30, 4 << 20, ()),
}
