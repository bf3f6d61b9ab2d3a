r"""Where a field stands in a record: dotted paths as data, and how to follow them.

A path is text: keys joined by ".", a list position as a number, a dot inside a key written "\.", and "" for the record
itself. A table maps a column to several paths, and the first that holds something wins. Tables are data, so that a
reader of whole columns can turn the same ones into expressions. A path that starts with "@" goes on in the facts of the
response body (bodies.py), wherever that body stands: "@model" is the model that the provider's own body names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

Path = tuple[str, ...]
FACTS = "@"
_DOT = re.compile(r"(?<!\\)\.")
_NO_FACTS: Mapping[str, Any] = {}


class PathTree(msgspec.Struct, frozen=True):
    """A table as a tree of keys, so that a part that a record lacks costs one look-up, however many paths lead there.

    Attributes:
        fields: (key, ((column, rank among the paths of the column), ...)) of each field that stands here.
        parts: (key, what stands below it).
    """

    fields: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = ()
    parts: tuple[tuple[str, PathTree], ...] = ()


@lru_cache(maxsize=2**12)  # tables of different dialects name the same places
def parse_path(text: str) -> Path:
    """Take a dotted path apart."""
    if text.startswith(FACTS):
        return (FACTS, text[1:])
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


def follow_first(record: Any, paths: Iterable[Path]) -> Any:
    """Return what stands at the first of several paths at which something does; None where nothing does."""
    return next((value for value in (follow(record, path) for path in paths) if value is not None), None)


def first_filled(record: Mapping[str, Any], keys: Iterable[str]) -> Any:
    """Return what stands under the first of several keys that holds something; null, 0 and what is empty is nothing."""
    return next((record[key] for key in keys if record.get(key)), None)


def parse_paths(texts: Iterable[str]) -> tuple[Path, ...]:
    """Take dotted paths apart."""
    return tuple(map(parse_path, texts))


def compile_table(table: Mapping[str, tuple[str, ...]]) -> PathTree:
    """Turn a table into a tree."""
    return _tree((column, rank, parse_path(text)) for column, paths in table.items() for rank, text in enumerate(paths))


def _tree(entries: Iterable[tuple[str, int, Path]]) -> PathTree:
    fields: dict[str, list[tuple[str, int]]] = {}
    parts: dict[str, list[tuple[str, int, Path]]] = {}
    for column, rank, path in entries:
        if len(path) == 1:
            fields.setdefault(path[0], []).append((column, rank))
        elif path:
            parts.setdefault(path[0], []).append((column, rank, path[1:]))
    return PathTree(
        tuple((key, tuple(columns)) for key, columns in fields.items()),
        tuple((key, _tree(below)) for key, below in parts.items()),
    )


def read_paths(record: Any, tree: PathTree, facts: Mapping[str, Any] = _NO_FACTS) -> dict[str, Any]:
    """Return the first value that is something of each column; null and "" are nothing, and left out.

    Args:
        record: the object that the paths start from.
        tree: the table.
        facts: facts of the response body, for paths that start with "@".
    """
    values: dict[str, Any] = {}
    ranks: dict[str, int] = {}
    if type(record) is dict:
        _collect(record, tree, values, ranks)
    about = next((below for key, below in tree.parts if key == FACTS), None) if facts else None
    if about:
        _collect(facts, about, values, ranks)
    return values


def _collect(record: Mapping[str, Any], tree: PathTree, values: dict[str, Any], ranks: dict[str, int]) -> None:
    get = record.get
    for key, columns in tree.fields:
        value = get(key)
        if value is None or value == "":
            continue
        for column, rank in columns:
            if not rank or ranks.get(column, _LAST) > rank:
                values[column] = value
                ranks[column] = rank
    for key, part in tree.parts:
        below = get(key)
        if not below:
            continue
        if type(below) is dict:
            _collect(below, part, values, ranks)
        elif type(below) is list:
            positions = {str(position): item for position, item in enumerate(below[:MAX_POSITIONS])}
            _collect(positions, part, values, ranks)


_LAST = 1 << 30
MAX_POSITIONS = 10  # of a list that a path may name
