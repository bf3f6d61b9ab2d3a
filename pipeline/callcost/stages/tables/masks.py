"""Yes or no per row, where None stands for a column of noes: logic that does nothing where nothing is to be done."""

from __future__ import annotations

import polars as pl

Flag = pl.Series | None


def flag(column: pl.Series) -> Flag:
    """Return a column of booleans, None where none of them holds; null does not hold."""
    if not column.any():
        return None
    return column.fill_null(value=False) if column.null_count() else column


def any_of(*flags: Flag) -> Flag:
    """Return what holds where any does."""
    found: Flag = None
    for each in flags:
        if each is not None:
            found = each if found is None else found | each
    return found


def both(one: Flag, other: Flag) -> Flag:
    """Return what holds where both do."""
    return None if one is None or other is None else flag(one & other)


def without(one: Flag, other: Flag) -> Flag:
    """Return what holds where the first does and the second does not."""
    return one if one is None or other is None else flag(one & ~other)
