"""Layouts of facts: what those of an older callcost have in common with today's, and how they are made to go together.

Facts outlive the code that wrote them, in the folder of ``--state``. A layout is the columns of facts and the rules of
their keys. One goes over into today's if each of its columns is still there, of the same kind (what it lacks is null),
and if a step is known from its rules to the next, and so on. Whoever raises KEY_RULES adds a step here, whoever removes
a column names it in REMOVED; a column whose kind changes is a new column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from callcost.stages.tables.facts import BUCKETS, KEY_RULES, layout_of_facts, read_facts, write_facts
from callcost.stages.tables.schemas import Facts

REMOVED: frozenset[str] = frozenset()  # columns that older layouts have and nobody reads any more
UNDESCRIBED = {"141684aa97ad929a33fda8b2745c38a4": 1}  # layouts of the time before ledgers describe them: their rules


def _to_rules_2(facts: pl.DataFrame) -> pl.DataFrame:
    """Without an id, only a time below the second makes equal records copies."""
    times = pl.col("started_at", "ended_at")
    fine = pl.any_horizontal((times.dt.microsecond() != 0).fill_null(value=False))
    kind = pl.when((pl.col("key_kind") == "bytes") & ~fine).then(pl.lit("none")).otherwise("key_kind")
    return facts.with_columns(kind.alias("key_kind"))


STEPS: Mapping[int, Callable[[pl.DataFrame], pl.DataFrame]] = {1: _to_rules_2}  # rules -> to the next


def describe_layout() -> dict[str, Any]:
    """Return what a later callcost has to know of today's layout."""
    columns = {column.name: column.kind for column in Facts.columns}
    return {"key_rules": KEY_RULES, "buckets": BUCKETS, "columns": columns}


def rules_of(layout: str, described: Mapping[str, Any]) -> int | None:
    """Return the rules of the keys of a layout that goes over into today's; None: it does not.

    Args:
        layout: name of the layout.
        described: layout -> what describe_layout said of it.
    """
    if layout == layout_of_facts():
        return KEY_RULES
    if layout in UNDESCRIBED and layout not in described:
        return UNDESCRIBED[layout]
    words = described.get(layout)
    if words is None or words["buckets"] != BUCKETS:
        return None
    kinds = {column.name: column.kind for column in Facts.columns}
    known = all(kinds.get(name) == kind for name, kind in words["columns"].items() if name not in REMOVED)
    rules = int(words["key_rules"])
    return rules if known and all(step in STEPS for step in range(rules, KEY_RULES)) and rules <= KEY_RULES else None


def is_newer(layout: str, described: Mapping[str, Any]) -> bool:
    """Say whether a later callcost made a layout: its rules, or columns that were never heard of, say so."""
    words = described.get(layout, {"key_rules": 0, "columns": {}})
    names = {column.name for column in Facts.columns} | REMOVED
    return words["key_rules"] > KEY_RULES or not names.issuperset(words["columns"])


def renew_facts(path: Path, rules: int, number: int, target: Path) -> None:
    """Write a file of facts of an older layout as one of today's.

    Args:
        path: path or URL of the file.
        rules: number of the rules that made its keys.
        number: number of the input that the facts are of from now on.
        target: path of the new file.
    """
    facts = read_facts(path)
    for step in range(rules, KEY_RULES):
        facts = STEPS[step](facts)
    write_facts(facts.with_columns(pl.lit(number, pl.Int64).alias("input")), target)
