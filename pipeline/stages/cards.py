"""Which rate card each row of a table is charged by: settled once per distinct model, moment and terms.

Rows that agree in everything a rate can depend on share a card: the columns of ``_TERMS``, the span between two price
versions, the band of prompt sizes between two thresholds of any tariff at hand, and whether off-peak hours are open.
For each such class the ``Book`` is asked once, with a prompt and a moment that stand for all of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import polars as pl

from pipeline.prices.book import Book, Resolution
from pipeline.prices.charges import UnitPlan, lacking_rate, plan_units
from pipeline.prices.peaks import Hours, steps_of
from pipeline.prices.rates import BATCH_FORMATS, RateCard, Terms
from pipeline.prices.units import TOKEN_UNITS

RATE, MISSING, WEAK = "{} rate", "{} missing", "{} weak"  # columns of the table, per token unit

_TERMS = ("provider", "region", "service_tier", "data_residency", "inference_geo", "speed")
_UNITS = "units stated"
_MICROSECONDS = 60_000_000  # a minute


@dataclasses.dataclass(frozen=True, slots=True)
class Deal:
    """The cards of a table, and which row has which.

    Attributes:
        of_rows: number of each row's card.
        table: one row per card: its rates in units of 10**-18 dollars, and what is said of rows that it prices.
        cards: the card itself, and what units beside tokens change; None: the model is unknown.
    """

    of_rows: pl.Series
    table: pl.DataFrame
    cards: Sequence[tuple[RateCard, UnitPlan] | None]

    def any(self, column: str, unit: str) -> bool:
        """Say whether a flag column holds for any card."""
        return bool(self.table[column.format(unit)].any())

    def dealt(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return columns of the table, one row per row."""
        return self.table.select(columns)[self.of_rows] if columns else pl.DataFrame(height=len(self.of_rows))


def deal_cards(facts: pl.DataFrame, stated_units: pl.Series, book: Book) -> Deal:
    """Settle each row's card.

    Args:
        facts: columns of FACT_COLUMNS.
        stated_units: per row the names of what it states beside tokens, sorted, one a line; null: none.
        book: who knows the rates.
    """
    asked = facts.select(
        *_TERMS,
        model="line_model",
        requested=pl.when(pl.col("line_model") == pl.col("model")).then("model_requested"),
        batch=pl.any_horizontal(pl.col("source_format").str.ends_with(end) for end in BATCH_FORMATS),
        era=_eras(facts["started_at"], book),
    ).with_columns(
        stated_units.alias(_UNITS),
        **{
            f"states {side}": pl.when(pl.lit(stated_units).is_not_null()).then(facts[f"line_{side}_tokens"] > 0)
            for side in ("prompt", "completion")
        },
    )
    number, kinds = _classes(asked)
    resolutions = [_resolve(book, kind) for kind in kinds.iter_rows(named=True)]
    moments = facts["started_at"].to_physical()
    sizes = facts["line_prompt_tokens"].fill_null(0)
    edges = sorted({edge for found in resolutions if found.tariff for edge in found.tariff.edges})
    exact = pl.DataFrame([number.alias("kind"), _bands(sizes, edges), _peaks(number, moments, resolutions)])
    row_card, classes = _classes(exact)
    dealt = [
        _card(book, resolutions[kind], kinds.row(kind, named=True), [0, *edges][band], moment)
        for kind, band, moment in classes.iter_rows()
    ]
    found = [resolutions[kind] for kind in classes["kind"]]
    return Deal(row_card, _table(found, dealt), dealt)


def _classes(rows: pl.DataFrame) -> tuple[pl.Series, pl.DataFrame]:
    """Return the number of each row's class of equal rows, and the classes in the order of their numbers."""
    varied = [name for name in rows.columns if rows[name].null_count() < rows.height]
    classes = rows.select(varied).unique(maintain_order=True).with_row_index("class")
    found = rows.select(varied).join(classes, on=varied, how="left", nulls_equal=True, maintain_order="left")
    rest = (pl.lit(None).alias(name) for name in rows.columns if name not in varied)
    return found["class"], classes.drop("class").with_columns(rest).select(rows.columns)


def _eras(started_at: pl.Series, book: Book) -> pl.Series:
    """Return the number of the span between two moments of the book in which each row falls; -1: undated."""
    probe = book.era(0)
    if book.era(2**62) == probe == book.era(-(2**62)):
        return pl.Series("era", [probe], dtype=pl.Int64).new_from_index(0, len(started_at))
    edges = pl.Series(book.moments, dtype=pl.Int64)
    spans = edges.search_sorted(started_at.to_physical(), side="right").cast(pl.Int64)
    return pl.select(pl.when(pl.lit(started_at).is_null()).then(-1).otherwise(spans)).to_series()


def _resolve(book: Book, kind: dict[str, Any]) -> Resolution:
    return book.resolve(
        kind["model"] or "",
        kind["provider"],
        book.moment_of(kind["era"]),
        region=kind["region"],
        requested=kind["requested"],
    )


def _bands(sizes: pl.Series, edges: list[int]) -> pl.Series:
    """Return how many edges each prompt reaches."""
    if not edges:
        return pl.Series("band", [0], dtype=pl.UInt32).new_from_index(0, len(sizes))
    return pl.Series(edges, dtype=pl.Int64).search_sorted(sizes, side="right").alias("band")


def _peaks(number: pl.Series, moments: pl.Series, resolutions: Sequence[Resolution]) -> pl.Series:
    """Return a moment that stands for each row's: one in which the same off-peak hours are open; null: no matter."""
    hours: dict[int, Hours] = {
        kind: found.tariff.hours
        for kind, found in enumerate(resolutions)
        if found.tariff is not None and found.tariff.hours is not None
    }
    none = pl.Series("moment", [None], dtype=pl.Int64).new_from_index(0, len(moments))
    if not hours:
        return none
    step = steps_of(hours.values()) * _MICROSECONDS
    slots = pl.DataFrame([number.alias("kind"), (moments // step * step).alias("slot")])
    timed = slots.filter(pl.col("kind").is_in(list(hours)), pl.col("slot").is_not_null()).unique()
    flags = [hours[kind].open_at(slot) for kind, slot in timed.iter_rows()]
    stand_ins = timed.with_columns(open=pl.Series(flags, dtype=pl.Boolean)).with_columns(
        moment=pl.col("slot").min().over("kind", "open")
    )
    return slots.join(stand_ins, on=["kind", "slot"], how="left", maintain_order="left")["moment"]


def _card(
    book: Book, found: Resolution, kind: dict[str, Any], prompt: int, moment: int | None
) -> tuple[RateCard, UnitPlan] | None:
    terms = Terms(
        tier=kind["service_tier"],
        batch=bool(kind["batch"]),
        prompt_tokens=prompt,
        region=kind["region"],
        data_residency=kind["data_residency"],
        geo=kind["inference_geo"],
        speed=kind["speed"],
        moment=moment,
    )
    card = book.rates(found, terms)
    if card is None:
        return None
    names = (kind[_UNITS] or "").splitlines()
    prompt_stated, completion_stated = bool(kind["states prompt"]), bool(kind["states completion"])
    return card, plan_units(names, card, prompt=prompt_stated, completion=completion_stated) if names else UnitPlan()


def _table(found: Sequence[Resolution], dealt: Sequence[tuple[RateCard, UnitPlan] | None]) -> pl.DataFrame:
    known = [pair or (None, UnitPlan()) for pair in dealt]
    columns = {
        "price_rung": [resolution.rung for resolution in found],
        "price_basis": [resolution.basis for resolution in found],
        "price_version": [resolution.version for resolution in found],
        "unpriced": [resolution.reason for resolution in found],
    }
    table = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    flags = {
        "free card": [bool(card and card.free) for card, _ in known],
        "lacks input": [bool(card and lacking_rate(card, "input")) for card, _ in known],
        "lacks output": [bool(card and lacking_rate(card, "output")) for card, _ in known],
    }
    rates: dict[str, list[int]] = {}
    for unit in TOKEN_UNITS:
        lines = [
            (card.lines.get(unit) if card else None, unit not in plan.replaced and card is not None)
            for card, plan in known
        ]
        rates[RATE.format(unit)] = [line.scaled if line and charged else 0 for line, charged in lines]
        flags[MISSING.format(unit)] = [line is None and charged for line, charged in lines]
        flags[WEAK.format(unit)] = [bool(line and charged and line.listed.weak) for line, charged in lines]
    return table.with_columns(
        *(pl.Series(name, values, dtype=pl.Int128) for name, values in rates.items()),
        *(pl.Series(name, values, dtype=pl.Boolean) for name, values in flags.items()),
    )
