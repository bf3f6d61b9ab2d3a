"""The book as windows of time: what each price of a model was, from when to when, since when the book says so.

Versions and corrections become one timeline a field; no two windows of a field overlap. How they are written to a file
is left to ``jobs/export_prices.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from callcost.prices.book.catalog import Catalog
from callcost.prices.book.changes import prices_of
from callcost.prices.book.corrections import CONDITION, Corrections
from callcost.prices.peak_hours import OFF_PEAK, read_hours


class Origin(NamedTuple):
    """Where a price is from.

    Attributes:
        basis: in_force (a cost map) | corrected.
        source: name of the version that first said so, or the address of what a correction rests on.
        confidence: of a correction: stated | two_sources | one_source; "": a cost map.
        condition: when in its window it holds: off-peak hours; "": always.
        known_from: since when the book says so, microseconds since 1970 UTC.
    """

    basis: str
    source: str
    confidence: str
    condition: str
    known_from: int


class PriceWindow(NamedTuple):
    """One price of a model in one window of time.

    Attributes:
        model: name in the cost maps.
        provider: who serves it, as the maps say it; "": they do not.
        field: of the cost map, with its path.
        value: US dollars a unit, or a multiplier.
        begins: microseconds since 1970 UTC, inclusive.
        ends: exclusive; None: still so.
        origin: where it is from.
    """

    model: str
    provider: str
    field: str
    value: Decimal
    begins: int
    ends: int | None
    origin: Origin


def windows_of(model: str, catalog: Catalog, corrections: Corrections) -> list[PriceWindow]:
    """Return all windows of a model's prices, by field and time."""
    moments = {version.effective_from for version, _ in catalog.history(model)} | corrections.changes(model)
    done, current = list[PriceWindow](), dict[str, PriceWindow]()
    for moment in sorted(moments):
        now = {window.field: window for window in _windows_at(model, moment, catalog, corrections)}
        for field in [*current]:
            before, after = current[field], now.get(field)
            if after is None or not _goes_on(before, after):
                done.append(before._replace(ends=moment))
                del current[field]
        current = now | current
    return sorted([*done, *current.values()], key=lambda window: (window.field, window.begins))


def _windows_at(model: str, moment: int, catalog: Catalog, corrections: Corrections) -> Iterator[PriceWindow]:
    """Yield what holds from a moment on, as if it began there."""
    version = catalog.version_at(moment)
    entry = catalog.entry(model, version)
    laid = corrections.over(model, entry, moment)
    fields = laid.entry if laid else entry or {}
    peak = read_hours(fields[OFF_PEAK]) if fields.get(OFF_PEAK) else None
    rows = {row.place: row for row in laid.rows} if laid else {}
    for field, value in prices_of(fields).items():
        row = rows.get(field)
        if row is not None:
            origin = Origin("corrected", row.source, row.confidence, row.condition, row.recorded_on)
        elif version is not None:
            hours = f"{CONDITION}{peak.words}" if peak and field.startswith(OFF_PEAK) else ""
            origin = Origin("in_force", version.name, "", hours, version.known_from)
        else:
            continue
        yield PriceWindow(model, str(fields.get("litellm_provider") or ""), field, value, moment, None, origin)


def _goes_on(before: PriceWindow, after: PriceWindow) -> bool:
    """Say whether a window is the same price as the one before it: a map that says the same is no news."""
    if (before.value, before.provider, before.origin.basis) != (after.value, after.provider, after.origin.basis):
        return False
    return before.origin.basis == "in_force" or before.origin == after.origin
