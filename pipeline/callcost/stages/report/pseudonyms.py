"""Pseudonyms in the place of names of people, keys and sessions: the same for the same name and key, and no way back.

A pseudonym is the column and the keyed digest (HMAC-SHA256) of column and name, so that sums and comparisons stay as
they were, and whoever lacks the key can neither read a name nor try one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from callcost.errors import ConfigError
from callcost.settings import Budget, FingerprintKey
from callcost.stages.tables.published_calls import full_key

COLUMNS = ("user", "end_user", "api_key", "session")
_DIGITS = 16  # hexadecimal, of a digest
_PSEUDONYM = re.compile(rf"({'|'.join(COLUMNS)})-[0-9a-f]{{{_DIGITS}}}")


def pseudonym_of(column: str, name: str, key: FingerprintKey) -> str:
    """Return what stands for a name of a column, as "user-3f9a0c1b2d4e5f60"."""
    return f"{column}-{key.digest(f'{column} {name}'.encode())[:_DIGITS]}"


def hide_names(calls: pl.DataFrame, key: FingerprintKey | None) -> pl.DataFrame:
    """Put pseudonyms in the place of names.

    Args:
        calls: columns of Calls or Facts.
        key: None: names stay as they are.

    Returns:
        The same table; a call_id that is the name of the session, as that of an agent's sum, becomes its pseudonym, and
        of what copies share nothing is left but whether it is an id.
    """
    if key is None:
        return calls
    own = calls["call_id"] == calls["session"]
    if "copy_key" in calls.columns:
        start, rest = (full_key().str.extract(r"(?s)^(by \w+ \S+ )(.*)", group) for group in (1, 2))
        keys = calls.select(start=start, copy_key=rest)
        calls = calls.with_columns(copy_key=keys["start"] + _hidden(keys["copy_key"], "copy_key", key))
    hidden = calls.with_columns(_hidden(calls[column], column, key) for column in COLUMNS)
    return hidden.with_columns(call_id=pl.when(own).then("session").otherwise("call_id"))


def _hidden(names: pl.Series, column: str, key: FingerprintKey) -> pl.Series:
    known = names.drop_nulls().unique().to_list()
    if not known:
        return names
    return names.replace_strict(known, [pseudonym_of(column, name, key) for name in known], return_dtype=pl.String)


def hide_budget(budget: Budget, key: FingerprintKey | None) -> Budget:
    """Put pseudonyms in the place of the names that a budget is for; its own name goes with them.

    Raises:
        ConfigError: it is for names that are like something, which pseudonyms are not.
    """
    if key is None or not any(column in COLUMNS for column, _ in budget.group):
        return budget
    for column, glob in budget.group:
        if column in COLUMNS and ("*" in glob or "?" in glob):
            message = f"budget: {column} cannot be a pattern with --pseudonyms"
            raise ConfigError(message, hint="Write the whole name")
    shown = [column not in COLUMNS or not name or _PSEUDONYM.fullmatch(name) for column, name in budget.group]
    group = [
        (column, name if is_shown else pseudonym_of(column, name, key))
        for (column, name), is_shown in zip(budget.group, shown, strict=True)
    ]
    return Budget(amount=budget.amount, period=budget.period, group=group)


def hidden_filters(where: Iterable[tuple[str, str]], key: FingerprintKey | None) -> dict[tuple[str, str], str]:
    """Return (column, glob) -> what stands for the glob in what is written, of filters by names that are hidden."""
    if key is None:
        return {}
    return {(column, glob): pseudonym_of(column, glob, key) for column, glob in where if column in COLUMNS}
