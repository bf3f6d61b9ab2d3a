"""`callcost prices history`: what a model cost since when, since when the book says so, and who says it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from callcost.jobs.price_chart import draw_prices
from callcost.logs.io.folders import folder_at
from callcost.prices.book.book import Book
from callcost.prices.book.changes import compare_entries, prices_of
from callcost.prices.book.corrections import Corrections
from callcost.prices.book.price_windows import windows_of

_ORDER = ("listed", "changed", "corrected", "dropped")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PriceEvent:
    """One change of one price of a model.

    Attributes:
        effective_from: when it was charged first, microseconds since 1970 UTC.
        known_from: when the book came to say so.
        event: listed | changed | dropped (by a cost map) | corrected.
        field: of the cost map, with its path; None: the model came or went without a price.
        before: what the map said until then, or says where it is corrected; None: nothing.
        after: dollars a unit, or a multiplier; None: nothing any more.
        effective_to: end of a correction, exclusive; None: a later map ends it, or the event is none.
        source: version of the cost map, or the address or release of what a correction rests on.
        confidence: of a correction: stated | two_sources | one_source; "": a cost map.
    """

    effective_from: int
    known_from: int
    event: str
    field: str | None
    before: Decimal | None
    after: Decimal | None
    effective_to: int | None = None
    source: str
    confidence: str = ""


def price_history(model: str, book: Book) -> list[PriceEvent]:
    """Return every change of a model's prices as one timeline: of the maps and of what corrects them.

    Args:
        model: name in the cost maps.
        book: whose versions and corrections.
    """
    events = [*_of_maps(model, book), *_of_corrections(model, book)]
    return sorted(events, key=lambda event: (event.effective_from, _ORDER.index(event.event), event.field or ""))


def _of_maps(model: str, book: Book) -> Iterator[PriceEvent]:
    before = None
    for version, entry in book.catalog.history(model):
        word = "dropped" if entry is None else "listed" if before is None else "changed"
        changes = compare_entries(model, before, entry) if entry is not None else []
        cells: list[tuple[str | None, Decimal | None, Decimal | None]] = [change[1:] for change in changes]
        for field, old, new in cells or [(None, None, None)] * (word != "changed"):
            yield PriceEvent(
                effective_from=version.effective_from, known_from=version.known_from, event=word, field=field,
                before=old, after=new, source=version.name,
            )  # fmt: skip
        before = entry


def _of_corrections(model: str, book: Book) -> Iterator[PriceEvent]:
    table, catalog = book.rules.corrections, book.catalog
    for row in table.rows_of(model) if table else ():
        listed = prices_of(catalog.entry(model, catalog.version_at(row.begins)))
        yield PriceEvent(
            effective_from=row.begins, known_from=row.recorded_on, event="corrected", field=row.place,
            before=listed.get(row.place), after=row.value, effective_to=row.ends, source=row.source,
            confidence=row.confidence,
        )  # fmt: skip


def draw_history(model: str, book: Book, file: str) -> None:
    """Write a small chart of a model's prices to a file, as SVG; the same book gives the same bytes.

    Args:
        model: name in the cost maps.
        book: whose versions and corrections.
        file: path.

    Raises:
        ReportError: the file cannot be written.
    """
    from callcost.stages.report.publish import publish_file  # noqa: PLC0415 - Polars loads where a file is asked for

    catalog, path = book.catalog, Path(file)
    charged = windows_of(model, catalog, book.rules.corrections or Corrections((), catalog))
    listed = windows_of(model, catalog, Corrections((), catalog))
    chart = draw_prices(model, charged, listed, until=catalog.newest.effective_from)
    publish_file(folder_at(str(path.parent)), path.name, chart.encode())
