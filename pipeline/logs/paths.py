"""Where a field stands in a record: dotted paths as data, and how to follow them.

A path is text: keys joined by ".", a list position as a number, a dot inside a key written "\\.", and "" for the record
itself. A table maps a column to several paths, and the first that holds something wins. Tables are data, so that a
reader of whole columns can turn the same ones into expressions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

Path = tuple[str, ...]
_DOT = re.compile(r"(?<!\\)\.")
_FACTS = ("@",)
_EMPTY: dict[str, Any] = {}


class Places(msgspec.Struct, frozen=True):
    """A table, compiled: each parent object is looked up once a record, then the keys in it.

    Attributes:
        parents: paths of the objects that hold the fields; ("@",) is the facts of the body.
        columns: (column, ((index of the parent, key), ...)).
    """

    parents: tuple[Path, ...]
    columns: tuple[tuple[str, tuple[tuple[int, str], ...]], ...]


def parse_path(text: str) -> Path:
    """Take a dotted path apart."""
    if text.startswith("@"):
        return ("@", text[1:])
    return tuple(part.replace("\\.", ".") for part in _DOT.split(text)) if text else ()


def follow(record: Any, path: Path) -> Any:
    """Return what stands at a path; None where nothing does."""
    for key in path:
        if type(record) is dict:
            record = record.get(key)
        elif type(record) is list and key.isdecimal() and int(key) < len(record):
            record = record[int(key)]
        else:
            return None
    return record


def compile_table(table: Mapping[str, tuple[str, ...]]) -> Places:
    """Group the paths of a table by the object that holds the field."""
    parents: dict[Path, int] = {}
    columns = []
    for column, paths in table.items():
        parsed = [parse_path(text) for text in paths]
        columns.append((column, tuple((parents.setdefault(path[:-1], len(parents)), path[-1]) for path in parsed)))
    return Places(tuple(parents), tuple(columns))


def read_places(record: Any, places: Places, facts: Mapping[str, Any] = _EMPTY) -> dict[str, Any]:
    """Return the first value that is something of each column; null and "" are nothing, and left out.

    Args:
        record: the object that the paths start from.
        places: the table.
        facts: of the response body, for paths that start with "@".
    """
    parents = [facts if path == _FACTS else follow(record, path) for path in places.parents]
    found = [parent if type(parent) is dict else _EMPTY for parent in parents]
    values: dict[str, Any] = {}
    for column, spots in places.columns:
        for index, key in spots:
            value = found[index].get(key)
            if value is not None and value != "":
                values[column] = value
                break
    return values
