"""Which price book a helper asks, and as of when: its keyword-only ``prices``, ``corrections`` and ``at``."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from callcost.errors import ArgumentError, PriceError
from callcost.helpers.parameters import mapping
from callcost.prices.book.archive import microseconds
from callcost.prices.book.book import Book, open_book, pin_book
from callcost.prices.book.cost_map import Entry, entry_of
from callcost.prices.book.faults import DEAR_HINT, first_fault
from callcost.prices.book.registered import with_registered
from callcost.settings import PriceOptions

# A version's name, a date or "latest"; a mapping in LiteLLM's map format; None: in force at the time of the call.
Prices = str | Mapping[str, Any] | None

_OPTIONS = PriceOptions()
CORRECTED = _OPTIONS.corrections  # which corrections lie over the maps where nothing is said


def book_of(prices: Prices, corrections: str = CORRECTED) -> Book:
    """Return the price book that a helper's ``prices`` and ``corrections`` mean.

    Raises:
        PriceError: there is no such version.
        ArgumentError: ``prices`` is neither a text nor a mapping.
        ConfigError: ``corrections`` is none of its words.
    """
    named = prices if isinstance(prices, str) else _OPTIONS.prices
    usual = prices is None and corrections is CORRECTED  # soon told, as it is asked for every call
    options = _OPTIONS if usual else PriceOptions(prices=named, corrections=corrections)
    if prices is None or isinstance(prices, str):
        return _open(with_registered(options))
    return pin_book("mapping", _Entries(mapping("prices", prices)))


def sound_entry(owner: str, fields: Any, *, force: bool = False) -> Entry:
    """Return a caller's own fields of the cost map with exact decimals.

    Args:
        owner: the model or the argument that they are of, for the error.
        fields: as they were given.
        force: take rates above one dollar a token.

    Raises:
        PriceError: one of them can be no price; names it and its value.
    """
    if not isinstance(fields, Mapping):
        raise PriceError(f"the fields of {owner!r} are no mapping")
    try:
        fault = first_fault(fields, force=force)
    except RecursionError:
        raise PriceError(f"the fields of {owner!r} lie too deep in each other") from None
    if fault:
        raise PriceError(f"{owner!r}: {fault}", hint=f"{DEAR_HINT}; {_FORCE}" if fault.dear else "")
    return entry_of(fields)


_FORCE = "register_model(..., force=True) takes them"


def microseconds_of(at: datetime | None) -> int:
    """Return a moment as microseconds since 1970 UTC; None is now, a time without a zone is UTC.

    Raises:
        ArgumentError: it is no moment.
    """
    if at is None:
        return time.time_ns() // 1000
    if not isinstance(at, datetime):
        raise ArgumentError(f"at: a value of type {type(at).__name__} is no datetime")
    return microseconds(at.isoformat())


@functools.lru_cache(maxsize=16)
def _open(options: PriceOptions) -> Book:
    return open_book(options)


class _Entries(Mapping[str, Entry]):
    """The caller's own map, each entry read when it is asked for."""

    def __init__(self, models: Mapping[str, Any]) -> None:
        self._models = models

    def __getitem__(self, model: str) -> Entry:
        return sound_entry(model, self._models[model])

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._models if isinstance(name, str))

    def __len__(self) -> int:
        return len(self._models)
