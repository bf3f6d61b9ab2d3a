"""Which rate card each row of a table is charged by: settled once per distinct model, moment and terms.

Rows that agree in everything a rate can depend on share a card: what the model is called and who serves it, the span
between two price versions, the columns of ``_TERMS``, the band of prompt sizes between two thresholds of any tariff at
hand, and whether off-peak hours are open. For each such class the ``Book`` is asked once, with a prompt and a moment
that stand for all of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from pipeline.prices.book import Book, Resolution
from pipeline.prices.charges import UnitPlan, plan_units
from pipeline.prices.peaks import steps_of
from pipeline.prices.rates import BATCH_FORMATS, RateCard, Terms
from pipeline.stages.codes import classify, spans_of

_NAMES = ("line_model", "provider", "region")
_TERMS = ("service_tier", "source_format", "region", "data_residency", "inference_geo", "speed")
_MINUTE = 60_000_000  # microseconds

Dealt = tuple[RateCard, UnitPlan] | None  # a card, and what units beside tokens change; None: the model is unknown


class UnitPrices(NamedTuple):
    """What the cards say of one token unit, by number of the card.

    Attributes:
        rates: in units of 10**-18 dollars; 0 where there is none.
        missing: whether there is none, though tokens of this unit would be charged.
        weak: whether the rate may be too low.
    """

    rates: list[int]
    missing: list[bool]
    weak: list[bool]


@dataclasses.dataclass(frozen=True, slots=True)
class Deal:
    """The cards of a table, and which row has which.

    Attributes:
        of_rows: number of each row's card.
        cards: by number.
        places: number of what each row's model resolved to, at its moment.
        found: by number.
    """

    of_rows: pl.Series
    cards: Sequence[Dealt]
    places: pl.Series
    found: Sequence[Resolution]

    def prices(self, unit: str) -> UnitPrices:
        """Return what each card says of a token unit."""
        lines = [
            (pair[0].line(unit), unit not in pair[1].replaced) if pair else (None, False) for pair in self.cards
        ]
        return UnitPrices(
            [line.scaled if line and charged else 0 for line, charged in lines],
            [charged and line is None for line, charged in lines],
            [charged and line is not None and line.listed.weak for line, charged in lines],
        )

    def deal(self, of_cards: Sequence[bool]) -> pl.Series:
        """Return per row what is said of its card."""
        return pl.Series(of_cards, dtype=pl.Boolean).gather(self.of_rows)

    def say(self, of_found: Sequence[str | None]) -> pl.Series:
        """Return per row what is said of the model that it resolved to."""
        return pl.Series(of_found, dtype=pl.String).gather(self.places)


def deal_cards(facts: pl.DataFrame, stated_units: pl.Series, book: Book) -> Deal:
    """Settle each row's card.

    Args:
        facts: columns of FACT_COLUMNS.
        stated_units: per row the names of what it states beside tokens, sorted, one a line; null: none.
        book: who knows the rates.
    """
    places, found = _resolve(facts, book)
    terms, asked = classify([*(facts[name] for name in _TERMS), *_units(facts, stated_units)])
    tariffs = {id(each.tariff): each.tariff for each in found if each.tariff is not None}
    edges = sorted({edge for tariff in tariffs.values() for edge in tariff.edges})
    sizes = facts["line_prompt_tokens"].fill_null(0)
    offers, offered = _offers(places, found)
    moments = _off_peak(offers, offered, facts["started_at"].to_physical())
    of_rows, classes = classify([offers, terms, spans_of(sizes, edges), moments])
    cards = [
        _card(book, offered[offer], asked[term], edges[band - 1] if band else 0, moment)
        for offer, term, band, moment in classes
    ]
    return Deal(of_rows, cards, places, found)


def _resolve(facts: pl.DataFrame, book: Book) -> tuple[pl.Series, list[Resolution]]:
    """Resolve each row's model at its moment, once per distinct name and span between versions."""
    requested = facts.select(pl.when(pl.col("line_model") == pl.col("model")).then("model_requested")).to_series()
    names, asked = classify([*(facts[name] for name in _NAMES), requested])
    eras = _eras(facts["started_at"], book)
    places, spots = classify([names, eras])
    found = []
    for name, era in spots:
        model, provider, region, wanted = asked[name]
        found.append(book.resolve(model or "", provider, book.moment_of(era), region=region, requested=wanted))
    return places, found


def _eras(started_at: pl.Series, book: Book) -> pl.Series:
    """Return the number of the span between two moments of the book in which each row falls; -1: undated."""
    if book.era(-(2**62)) == book.era(2**62):
        return pl.repeat(book.era(0), len(started_at), dtype=pl.Int64, eager=True)
    return spans_of(started_at.to_physical(), book.moments).cast(pl.Int64).fill_null(-1)


def _units(facts: pl.DataFrame, stated_units: pl.Series) -> list[pl.Series]:
    """Return what of the units and tokens that a row states decides which units are charged."""
    if stated_units.null_count() == len(stated_units):
        return [stated_units] * 3
    sides = ("line_prompt_tokens", "line_completion_tokens")
    states = facts.select(
        pl.when(pl.lit(stated_units).is_not_null()).then(pl.col(side).fill_null(0) > 0).alias(side) for side in sides
    )
    return [stated_units, *states.get_columns()]


def _offers(places: pl.Series, found: Sequence[Resolution]) -> tuple[pl.Series, list[Resolution]]:
    """Return the number of each row's tariff and discount, with a resolution that has them: versions come together."""
    numbers: dict[tuple[int, Any], int] = {}
    offered: list[Resolution] = []
    for each in found:
        key = (id(each.tariff), each.discount)
        if key not in numbers:
            numbers[key] = len(offered)
            offered.append(each)
    of_places = pl.Series([numbers[id(each.tariff), each.discount] for each in found], dtype=pl.UInt32)
    return of_places.gather(places), offered


def _off_peak(offers: pl.Series, offered: Sequence[Resolution], moments: pl.Series) -> pl.Series:
    """Return a moment that stands for each row's: one at which the same off-peak hours are open; null: no matter."""
    hours = {n: each.tariff.hours for n, each in enumerate(offered) if each.tariff and each.tariff.hours}
    if not hours:
        return pl.repeat(None, len(moments), dtype=pl.Int64, eager=True)
    step = steps_of(hours.values()) * _MINUTE
    rows = pl.DataFrame([offers.alias("offer"), (moments // step * step).alias("slot")])
    slots = rows.filter(pl.col("offer").is_in(list(hours)), pl.col("slot").is_not_null()).unique()
    states = pl.Series("open", [hours[offer].open_at(slot) for offer, slot in slots.iter_rows()], dtype=pl.Boolean)
    stand_ins = slots.with_columns(states).with_columns(moment=pl.col("slot").min().over("offer", "open"))
    return rows.join(stand_ins, on=["offer", "slot"], how="left", maintain_order="left")["moment"]


def _card(book: Book, found: Resolution, asked: tuple[Any, ...], prompt: int, moment: int | None) -> Dealt:
    tier, source_format, region, residency, geo, speed, names, prompt_stated, completion_stated = asked
    terms = Terms(
        tier=tier,
        batch=(source_format or "").endswith(BATCH_FORMATS),
        prompt_tokens=prompt,
        region=region,
        data_residency=residency,
        geo=geo,
        speed=speed,
        moment=moment,
    )
    card = book.rates(found, terms)
    if card is None:
        return None
    if not names:
        return card, _NO_UNITS
    stated = {"prompt": bool(prompt_stated), "completion": bool(completion_stated)}
    return card, plan_units(names.split("\n"), card, **stated)


_NO_UNITS = UnitPlan()
