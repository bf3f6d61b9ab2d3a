"""`callcost prices export FILE`: the price book as a table, one row per model, field and window of time."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from callcost.errors import ConfigError
from callcost.logs.io.folders import folder_at
from callcost.prices.book.catalog import load_catalog
from callcost.prices.book.corrections import load_corrections
from callcost.prices.book.price_windows import windows_of
from callcost.stages.report.publish import WRITERS, publish_file
from callcost.stages.tables.schemas import Rate, Schema, Text, Time


class PriceWindows(Schema):
    """One price of a model in one window of time: a row of what ``callcost prices export`` writes."""

    model = Text("name in the cost maps")
    provider = Text("who serves it, as the maps say it")
    field = Text("of the cost map, with its path")
    value = Rate("for one unit; a multiplier where the field is one")
    effective_from = Time("first moment")
    effective_to = Time("first moment after it; null: still so")
    basis = Text("in_force | corrected")
    source = Text("version that first said so, or the address or release of what a correction rests on")
    confidence = Text("of a correction: stated | two_sources | one_source; empty: a cost map's")
    condition = Text("off-peak hours in which it holds; empty: always")
    known_from = Time("since when the book says so")


def export_prices(file: str, which: str) -> int:
    """Write the book to a file; the same book gives the same bytes.

    Args:
        file: its ending says how it is written: Parquet, JSON Lines or CSV.
        which: the corrections that are laid over the maps: "none", "stated" or "all".

    Returns:
        The number of rows.

    Raises:
        ConfigError: the ending is none of these.
        PriceError: a version is missing or damaged.
        ReportError: the file cannot be written.
    """
    path = Path(file)
    write = WRITERS.get(path.suffix.lower().removeprefix("."))
    if write is None:
        hint = f"End it in {', '.join(f'.{kind}' for kind in WRITERS)}"
        raise ConfigError(f"cannot tell from {path.name!r} how to write prices", hint=hint)
    catalog = load_catalog()
    corrections = load_corrections(which, catalog)
    models = sorted({*catalog.models, *corrections.models})
    rows = [
        (*window[:-1], *window.origin) for model in models for window in windows_of(model, catalog, corrections)
    ]
    table = pl.DataFrame(rows, schema=PriceWindows.types, orient="row")
    publish_file(folder_at(str(path.parent)), path.name, write(table))
    return table.height
