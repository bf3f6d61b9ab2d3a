"""How a record or a body is recognised: by the keys it has and by what stands in a few of them. Data, no code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from typing import Any, Generic, TypeVar

import msgspec

from callcost.logs.values.json_path import Path, follow, parse_path

T = TypeVar("T")


_LEGACY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def plain_key(name: str) -> str:
    """Return a column's name in lower case; AWS's legacy ``lineItem/UsageType`` as CUR 2.0 has it.

    >>> plain_key(" lineItem/UsageType")
    'line_item_usage_type'
    """
    name = name.strip()
    if "/" in name:
        name = _LEGACY.sub("_", name).replace("/", "_")
    return name.lower()


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A set of conditions that must all hold.

    Attributes:
        keys: names that are all keys of the record.
        some: names of which at least one is a key.
        none: names of which none is a key.
        values: dotted path -> texts that may stand there.
        loose: whether keys are compared by plain_key.
        kinds: dotted path -> kinds of what must stand there: "object", "array", "text", "number".
        starts: dotted path -> how the text there must begin.
    """

    keys: frozenset[str] = frozenset()
    some: frozenset[str] = frozenset()
    none: frozenset[str] = frozenset()
    values: tuple[tuple[Path, frozenset[str]], ...] = ()
    kinds: tuple[tuple[Path, tuple[type, ...]], ...] = ()
    loose: bool = False
    starts: tuple[tuple[Path, tuple[str, ...]], ...] = ()

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record meets every condition."""
        return self.fits(record.keys()) and self.holds(record)

    def fits(self, present: Set[str]) -> bool:
        """Tell whether a record with these keys meets the conditions on keys."""
        if self.loose:
            present = frozenset(map(plain_key, present))
        return (
            self.keys <= present
            and (not self.some or not self.some.isdisjoint(present))
            and self.none.isdisjoint(present)
            and all(path[0] in present for path, _ in (*self.values, *self.kinds, *self.starts) if path)
        )

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record meets the conditions on what stands in it."""
        for path, allowed in self.values:
            value = follow(record, path)
            if type(value) is not str or value not in allowed:
                return False
        for path, starts in self.starts:
            value = follow(record, path)
            if type(value) is not str or not value.startswith(starts):
                return False
        return not self.kinds or all(isinstance(follow(record, path), kinds) for path, kinds in self.kinds)


class Recogniser(Generic[T]):
    """Find the first of many items whose signature a record meets.

    Records of one log have the same keys again and again, so that what keys alone decide is decided once.

    Args:
        items: (item, its signatures), in the order in which they are to be asked.
    """

    def __init__(self, items: Iterable[tuple[T, Iterable[Signature]]]) -> None:
        self._entries = [(signature, item) for item, signatures in items for signature in signatures]
        self._fitting: dict[tuple[str, ...], list[tuple[Signature, T]]] = {}

    def find(self, record: Mapping[str, Any]) -> T | None:
        """Return the item that recognises a record; None where none does."""
        keys = tuple(record)
        fitting = self._fitting.get(keys)
        if fitting is None:
            fitting = self._remember(keys)
        for signature, item in fitting:
            if signature.holds(record):
                return item
        return None

    def _remember(self, keys: tuple[str, ...]) -> list[tuple[Signature, T]]:
        present = frozenset(keys)
        fitting = [(signature, item) for signature, item in self._entries if signature.fits(present)]
        if len(keys) <= _MAX_KEYS:
            if len(self._fitting) >= _MAX_SHAPES:
                self._fitting.clear()
            self._fitting[keys] = fitting
        return fitting


_MAX_SHAPES, _MAX_KEYS = 2_000, 1_000  # sets of keys that are remembered, and the largest of them
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
        keys: names that must all be keys.
        some: names of which at least one must be a key.
        none: names of which none may be a key.
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
