"""One small module per way of writing logs, and the registry of them, most specific first.

In: the keys of a record. Out: the dialect that reads it, as a table of paths and key sets.
Open plain.py first.

A module of this package is found by being there, and so is a mapping file (mapping_file.py); dialects are asked in the
order of their rank.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from callcost.arguments import unknown
from callcost.logs.mapping.mapping_file import load_mapping
from callcost.logs.record.dialect import FieldReader
from callcost.logs.record.envelopes import Unwrapper
from callcost.logs.record.stores import Store
from callcost.logs.values.signatures import Recogniser


@cache
def field_readers() -> tuple[FieldReader, ...]:
    """Return the readers of all dialects in the order in which they are asked."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    tables = (table for folder in __path__ for table in Path(folder).glob("*.toml"))
    readers = (
        *(FieldReader(dialect) for module in modules for dialect in module.DIALECTS),
        *(load_mapping(str(table)) for table in tables),
    )
    return tuple(sorted(readers, key=lambda reader: (reader.dialect.rank, reader.dialect.name)))


@cache
def recogniser() -> Recogniser[FieldReader]:
    """Return what finds the dialect of a record."""
    return Recogniser((reader, reader.dialect.signatures) for reader in field_readers())


@cache
def unwrapper() -> Unwrapper:
    """Return what takes records out of envelopes."""
    return Unwrapper(envelope for reader in field_readers() for envelope in reader.dialect.envelopes)


@cache
def stores() -> tuple[Store, ...]:
    """Return the databases that dialects know."""
    return tuple(store for reader in field_readers() for store in reader.dialect.stores)


def field_reader(name: str) -> FieldReader:
    """Return the reader of one dialect.

    Raises:
        ConfigError: there is none of that name.
    """
    for reader in field_readers():
        if reader.dialect.name == name:
            return reader
    known = sorted(reader.dialect.name for reader in field_readers() if not reader.dialect.refusal)
    raise unknown("no dialect is called", name, known)
