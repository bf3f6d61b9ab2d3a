"""How a record or a body is recognised: by the keys it has and by what stands in a few of them. Data, no code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.logs.paths import Path, follow, parse_path


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A set of conditions that must all hold.

    Attributes:
        keys: all of these are keys of the record.
        some: at least one of these is.
        none: none of these is.
        values: dotted path -> the values that may stand there.
        kinds: dotted path -> kinds of what must stand there: "object", "array", "text", "number".
    """

    keys: frozenset[str] = frozenset()
    some: frozenset[str] = frozenset()
    none: frozenset[str] = frozenset()
    values: tuple[tuple[Path, frozenset[str]], ...] = ()
    kinds: tuple[tuple[Path, tuple[type, ...]], ...] = ()

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record meets every condition."""
        present = record.keys()
        return (
            self.keys <= present
            and (not self.some or not self.some.isdisjoint(present))
            and self.none.isdisjoint(present)
            and all(_text(follow(record, path)) in allowed for path, allowed in self.values)
            and all(isinstance(follow(record, path), kinds) for path, kinds in self.kinds)
        )


KINDS: Mapping[str, tuple[type, ...]] = {"object": (dict,), "array": (list,), "text": (str,), "number": (int, float)}


def sign(
    keys: str = "",
    *,
    some: str = "",
    none: str = "",
    values: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
) -> Signature:
    """Write a signature in short: names separated by spaces.

    Args:
        keys: all of these must be there.
        some: at least one of these must be.
        none: none of these may be.
        values: dotted path -> the texts that may stand there.
        kinds: dotted path -> the kinds that may stand there, see KINDS.
    """
    return Signature(
        keys=frozenset(keys.split()),
        some=frozenset(some.split()),
        none=frozenset(none.split()),
        values=tuple((parse_path(path), frozenset(texts.split())) for path, texts in (values or {}).items()),
        kinds=tuple(
            (parse_path(path), tuple(kind for name in names.split() for kind in KINDS[name]))
            for path, names in (kinds or {}).items()
        ),
    )


def _text(value: Any) -> str | None:
    return value if type(value) is str else None
