"""How providers write their bills: one small module per way, and the registry of them, most specific first.

In: the rows of a bill and their keys. Out: bill lines, and the name of the dialect that they are written in.
Open reader.py first.

A bill's dialect is known by the keys of its JSON records or by its columns, never by its file's name. A module of this
package is found by being there; its ``DIALECTS`` are asked in the order of their rank, which is also the order of trust
where two bills state the same day.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache, lru_cache

from callcost.logs.bills.lines import BillDialect


@cache
def bill_dialects() -> tuple[BillDialect, ...]:
    """Return all dialects in the order in which they are asked."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    found = [dialect for module in modules for dialect in getattr(module, "DIALECTS", ())]
    return tuple(sorted(found, key=lambda dialect: (dialect.rank, dialect.name)))


def dialect_of(keys: Iterable[str]) -> BillDialect | None:
    """Return the dialect of records with these keys; None: no bill looks like that."""
    return _dialect_of(frozenset(keys))


@lru_cache(maxsize=256)
def _dialect_of(present: frozenset[str]) -> BillDialect | None:
    return next((dialect for dialect in bill_dialects() if dialect.recognises(present)), None)
