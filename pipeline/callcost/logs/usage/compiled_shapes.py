"""The spellings of usage, made ready to be looked for in a usage object: marks as sets, paths taken apart."""

from __future__ import annotations

import msgspec

from callcost.logs.usage.spellings import SHAPES, Shape
from callcost.logs.usage.unread import Known, known_keys
from callcost.logs.values.json_path import Path, PathTree, compile_table, parse_path


class Compiled(msgspec.Struct, frozen=True):
    """A shape with its paths taken apart."""

    shape: Shape
    marks: frozenset[str]
    counts: PathTree
    units: PathTree
    unit_keys: frozenset[str]  # top-level keys below which units stand
    known: Known  # the keys that are read


def _paths_of(shape: Shape) -> list[Path]:
    """Return all paths in a usage object that a shape reads."""
    tables = (*shape.counts.values(), *shape.units.values(), shape.extra_prompt, ("iterations",), shape.noted)
    lists = (listed.path for listed in shape.lists)
    return [parse_path(path) for path in (*lists, *(path for paths in tables for path in paths))]


COMPILED = tuple(
    Compiled(
        shape,
        frozenset(shape.marks),
        compile_table(shape.counts),
        compile_table(shape.units),
        frozenset(parse_path(path)[0] for paths in shape.units.values() for path in paths)
        | frozenset(shape.words),
        known_keys(_paths_of(shape)),
    )
    for shape in SHAPES
)
# Keys of objects in a usage that hold parts of its counts.
PARTS = frozenset(key for compiled in COMPILED for key, below in compiled.known.items() if below)
