"""Which records a known database holds: the tables that tell it, and a query."""

from __future__ import annotations

from collections.abc import Mapping, Set

import msgspec


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of database.

    Attributes:
        query: gives the records, one a row; a single column holds the record itself as JSON.
        tables: tables that it has, or "table.column".
        without: tables that it has not.
    """

    query: str
    tables: tuple[str, ...]
    without: tuple[str, ...] = ()

    def fits(self, columns: Mapping[str, Set[str]]) -> bool:
        """Tell whether a database is of this kind, by the columns of its tables."""

        def has(name: str) -> bool:
            table, _, column = name.partition(".")
            return table in columns and (not column or column in columns[table])

        return all(map(has, self.tables)) and not any(map(has, self.without))
