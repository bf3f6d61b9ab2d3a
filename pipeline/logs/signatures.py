"""How a record or a body is recognised: by the keys it has and by what stands in a few of them. Data, no code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from pipeline.logs.paths import Path, follow, parse_path

T = TypeVar("T")


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
        if not self.keys <= present or (self.some and self.some.isdisjoint(present)):
            return False
        if not self.none.isdisjoint(present):
            return False
        for path, allowed in self.values:
            value = follow(record, path)
            if type(value) is not str or value not in allowed:
                return False
        return all(isinstance(follow(record, path), kinds) for path, kinds in self.kinds)

    def triggers(self) -> list[tuple[str, str | None]]:
        """Return (key, text that stands there or None) of which a record has one if it matches; []: any may match."""
        for path, allowed in self.values:
            if len(path) == 1:
                return [(path[0], text) for text in sorted(allowed)]
        below = [path[0] for path, _ in (*self.values, *self.kinds) if path]
        return [(key, None) for key in sorted(self.some) or sorted(self.keys)[:1] or below[:1]]


class Recogniser(Generic[T]):
    """Find the first of many items whose signature a record meets, asking only those of which it has a key.

    Args:
        items: (item, its signatures), in the order in which they are to be asked.
    """

    def __init__(self, items: Iterable[tuple[T, Iterable[Signature]]]) -> None:
        self._entries = [(signature, item) for item, signatures in items for signature in signatures]
        self._always: list[int] = []
        self._by_key: dict[str, dict[str | None, list[int]]] = {}
        for number, (signature, _) in enumerate(self._entries):
            triggers = signature.triggers()
            if not triggers:
                self._always.append(number)
            for key, text in triggers:
                self._by_key.setdefault(key, {}).setdefault(text, []).append(number)

    def find(self, record: Mapping[str, Any]) -> T | None:
        """Return the item that recognises a record; None where none does."""
        by_key = self._by_key
        asked = list(self._always)
        for key in record:
            if key in by_key:
                by_text = by_key[key]
                asked += by_text.get(None, ())
                if type(record[key]) is str:
                    asked += by_text.get(record[key], ())
        asked.sort()
        for number in asked:
            signature, item = self._entries[number]
            if signature.matches(record):
                return item
        return None


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
