"""Which price book a helper asks, and as of when: its keyword-only ``prices`` and ``at``."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.prices.book import Book, open_book, pin_book
from pipeline.prices.costmap import Entry, entry_of
from pipeline.prices.registered import with_registered
from pipeline.settings import PriceOptions

# A version's name, a date or "latest"; a mapping in LiteLLM's map format; None: in force at the time of the call.
Prices = str | Mapping[str, Any] | None

_OPTIONS = PriceOptions()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def book_of(prices: Prices) -> Book:
    """Return the price book that a helper's ``prices`` means.

    Raises:
        PriceError: there is no such version.
    """
    if prices is None or isinstance(prices, str):
        return _open(with_registered(_OPTIONS if prices is None else PriceOptions(prices=prices)))
    return pin_book("mapping", _Entries(prices))


def microseconds_of(at: datetime | None) -> int:
    """Return a moment as microseconds since 1970 UTC; None is now, a time without a zone is UTC."""
    if at is None:
        return time.time_ns() // 1000
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


@functools.lru_cache(maxsize=16)
def _open(options: PriceOptions) -> Book:
    return open_book(options)


class _Entries(Mapping[str, Entry]):
    """The caller's own map, each entry read when it is asked for."""

    def __init__(self, models: Mapping[str, Any]) -> None:
        self._models = models

    def __getitem__(self, model: str) -> Entry:
        return entry_of(self._models[model])

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)
