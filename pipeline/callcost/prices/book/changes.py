"""What changed between two entries or two whole maps, field by field, and what is announced to change.

Compares amounts and multipliers only: limits, sources and dates of deprecation are shown by the command line, but
they change no price. What a change means in money for a log is left to the jobs that have one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from callcost.prices.book.archive import isoformat, microseconds
from callcost.prices.book.catalog import Catalog, Version
from callcost.prices.book.cost_map import Entry, rate
from callcost.prices.tariffs import EVERY_FIELD, Doubt


class PriceChange(NamedTuple):
    """One price of a model, before and after; None: there was or is none."""

    model: str
    field: str
    old: Decimal | None
    new: Decimal | None

    @property
    def ratio(self) -> Decimal | None:
        """New over old; None where one of them is missing or 0."""
        return self.new / self.old if self.old and self.new else None


class MapChange(NamedTuple):
    """What a later map says that an earlier one does not."""

    added: list[str]
    dropped: list[str]
    prices: list[PriceChange]  # of models that both list


def prices_of(entry: Entry | None) -> dict[str, Decimal]:
    """Return every amount and multiplier of an entry by its path.

    >>> prices_of({"tiered_pricing": [{"range": [0, 9], "input_cost_per_token": Decimal(1)}], "max_tokens": 9})
    {'tiered_pricing[0-9].input_cost_per_token': Decimal('1')}
    """
    return dict(_walk("", entry or {}))


def compare_entries(model: str, old: Entry | None, new: Entry | None) -> list[PriceChange]:
    """Return the prices of a model that differ, by field."""
    before, after = prices_of(old), prices_of(new)
    return [
        PriceChange(model, field, before.get(field), after.get(field))
        for field in sorted(before.keys() | after.keys())
        if before.get(field) != after.get(field)
    ]


def compare_maps(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> MapChange:
    """Return the models that came and went, and the prices that changed, by model and field."""
    both = sorted(old.keys() & new.keys())
    return MapChange(
        added=sorted(new.keys() - old.keys()),
        dropped=sorted(old.keys() - new.keys()),
        prices=[change for model in both for change in compare_entries(model, old[model], new[model])],
    )


def _walk(path: str, value: Any) -> Iterator[tuple[str, Decimal]]:
    """Yield (path, amount): a row of a list is named by its range where it has one, else by its number."""
    if isinstance(value, Decimal):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(f"{path}.{key}" if path else key, item)
    elif isinstance(value, list):
        for number, row in enumerate(value):
            scale = row.get("range") if isinstance(row, Mapping) else None
            yield from _walk(f"{path}[{'-'.join(map(str, scale)) if isinstance(scale, list) else number}]", row)


# --- Changes that were announced --------------------------------------------------------------------------------------


class Announcement(NamedTuple):
    """One row of ``scheduled.csv``: what a field of a model's entry is to say from a day on.

    Attributes:
        model: name in the cost maps.
        field: of the entry; ``EVERY_FIELD``: all of its prices.
        value: what it is to say; None: that it changes, or an introductory price ends, is all that is known.
        begins: microseconds since 1970 UTC.
        ends: when a version said something new, which decides; None: none has.
        source: address of what says so.
        recorded_on: when this row came into the book, microseconds since 1970 UTC.
        event: rows of one change share it.
    """

    model: str
    field: str
    value: Decimal | None
    begins: int
    ends: int | None
    source: str
    recorded_on: int
    event: str


def news_of(row: Announcement, catalog: Catalog) -> tuple[Version | None, Entry | None]:
    """Return the first version that says something new of what was announced, and what it says of the model."""
    known_at = min(row.recorded_on, row.begins - 1)
    known = _price_named(row, catalog.entry(row.model, catalog.version_at(known_at)))
    for version, entry in catalog.history(row.model):
        if version.effective_from > known_at and entry is not None and _price_named(row, entry) != known:
            return version, entry
    return None, None


def _price_named(row: Announcement, entry: Entry | None) -> Any:
    return prices_of(entry) if row.field == EVERY_FIELD else (entry or {}).get(row.field)


def doubt_of(row: Announcement) -> Doubt:
    """Return what an announcement says against the price that the maps still have."""
    day = isoformat(row.begins).removesuffix("T00:00:00Z")
    if row.value is None:
        note = f"announced until {day} only, and nothing says what holds since: {row.source}"
    else:
        note = f"{row.value:f} announced since {day}, which no second source has yet: {row.source}"
    return Doubt("scheduled", note)


def read_announcement(cells: Mapping[str, str]) -> Announcement:
    """Read one row of the file."""
    return Announcement(
        model=cells["model"],
        field=cells["field"],
        value=rate(cells["value"]) if cells["value"] else None,
        begins=microseconds(cells["from"]),
        ends=None,
        source=cells["source"],
        recorded_on=microseconds(cells["recorded_on"]),
        event=cells["event"],
    )
