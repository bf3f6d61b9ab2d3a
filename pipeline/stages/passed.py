"""Tables that tasks pass to each other: written on this machine's disk, read from there or from an object store.

Whoever runs the tasks puts what they wrote where others reach it. Polars reads the columns that are wanted in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from pipeline.logs.buckets import is_url, storage_options


def scan_passed(paths: Sequence[str], **how: Any) -> pl.LazyFrame:
    """Read tables as one, lazily; there is at least one."""
    return pl.scan_parquet(list(paths), storage_options=_options(paths[0]), **how)


def read_passed(paths: Sequence[str], columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read tables as one; there is at least one."""
    wanted = None if columns is None else list(columns)
    return pl.read_parquet(list(paths), columns=wanted, storage_options=_options(paths[0]))


def columns_of_passed(path: str) -> list[str]:
    """Return the names of a table's columns."""
    return scan_passed([path]).collect_schema().names() if is_url(path) else list(pl.read_parquet_schema(path))


def metadata_of_passed(path: str) -> dict[str, str]:
    """Return what a table's writer noted beside its schema."""
    return pl.read_parquet_metadata(path, storage_options=_options(path))


def _options(path: str) -> dict[str, Any] | None:
    return storage_options() if is_url(path) else None
