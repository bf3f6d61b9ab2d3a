"""Which rate card each row of a table is charged by: settled once per distinct model, moment and terms.

Rows that agree in everything a rate can depend on share a card: what the model is called and who serves it, the span
between two price versions, the columns of ``_TERMS``, the band of prompt sizes between two thresholds of any tariff at
hand, and whether off-peak hours are open. For each such class the ``Book`` is asked once, with a prompt and a moment
that stand for all of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import polars as pl

from callcost.prices.book.book import Book, Resolution, open_book
from callcost.prices.book.catalog import Catalog, load_catalog
from callcost.prices.charges import NO_UNITS, UnitPlan, conditions_of, plan_units
from callcost.prices.peak_hours import steps_of
from callcost.prices.rates import BATCH_FORMATS, Line, RateCard, Terms
from callcost.prices.tariffs import MARKS
from callcost.settings import PriceOptions
from callcost.stages.tables.dictionary import Flag, Numbered, cross, number_sizes, number_spans, number_text
from callcost.tables import SESSION_SUM

_TERMS = ("service_tier", "source_format", "region", "data_residency", "inference_geo", "speed")
_MINUTE = 60_000_000  # microseconds


class PlannedCard(NamedTuple):
    """Rates, and what is charged at them.

    Attributes:
        rates: by unit; None: the model is unknown.
        units: what units beside tokens change.
        conditions: those of CARD_CONDITIONS that hold.
    """

    rates: RateCard | None
    units: UnitPlan
    conditions: frozenset[str]

    def line(self, unit: str) -> Line | None:
        """Return the rate of a unit; None: there is none."""
        return self.rates.line(unit) if self.rates else None


class UnitPrices(NamedTuple):
    """What the cards say of one token unit, by number of the card.

    Attributes:
        rates: in units of 10**-18 dollars; 0 where there is none.
        rated: whether there is one, and tokens of this unit are charged by it.
        missing: whether there is none, though tokens of this unit would be charged.
        marks: by what a rate may be: whether it is.
        zero: whether the rate is an explicit 0.
    """

    rates: list[int]
    rated: list[bool]
    missing: list[bool]
    marks: dict[str, list[bool]]
    zero: list[bool]


@dataclasses.dataclass(frozen=True, slots=True)
class RowCards:
    """The cards of a table's rows.

    Attributes:
        height: count of rows.
        cards: which PlannedCard each row has.
        resolutions: which Resolution each row's model has, at its moment.
    """

    height: int
    cards: Numbered
    resolutions: Numbered

    @property
    def numbers(self) -> pl.Series:
        """The number of each row's card."""
        return self.cards.to_rows(pl.int_range(len(self.cards.values), dtype=pl.UInt32, eager=True), self.height)

    def prices(self, unit: str) -> UnitPrices:
        """Return what each card says of a token unit."""
        charged = [unit not in card.units.replaced for card in self.cards.values]
        lines = [card.line(unit) if own else None for card, own in zip(self.cards.values, charged, strict=True)]
        return UnitPrices(
            [line.scaled if line else 0 for line in lines],
            [line is not None for line in lines],
            [own and line is None for own, line in zip(charged, lines, strict=True)],
            {mark: marked(lines, mark) for mark in MARKS},
            [line is not None and line.scaled == 0 for line in lines],
        )

    def flag(self, of_cards: Iterable[bool]) -> Flag:
        """Return the rows whose card has a flag."""
        flags = pl.Series(of_cards, dtype=pl.Boolean)
        return self.cards.to_rows(flags, self.height) if flags.any() else None

    def words(self, attribute: str) -> pl.Series:
        """Return an attribute of each row's resolution, such as "rung", as the column ``price_rung``."""
        found = pl.Series(
            f"price_{attribute}", [getattr(each, attribute) for each in self.resolutions.values], pl.String
        )
        return self.resolutions.to_rows(found, self.height)


def marked(lines: Iterable[Line | None], mark: str) -> list[bool]:
    """Return of each line whether its rate is what a mark of ``MARKS`` says."""
    return [line is not None and getattr(line.listed, mark) for line in lines]


def find_cards(facts: pl.DataFrame, stated_units: pl.Series | None, book: Book) -> RowCards:
    """Find each row's card.

    Args:
        facts: columns of Facts.
        stated_units: per row the names of what it states beside tokens, sorted, one a line; None: no row any.
        book: who knows the rates.
    """
    resolutions = _resolve(facts, book)
    offers = _offers(resolutions)
    terms = cross(*(number_text(facts[name]) for name in _TERMS), *_units(facts, stated_units))
    tariffs = {id(each.tariff): each.tariff for each in offers.values if each.tariff is not None}
    edges = sorted({edge for tariff in tariffs.values() for edge in tariff.edges})
    bands = number_sizes(facts.select(prompt_size()).to_series(), edges) if edges else Numbered(None, [0])
    peaks = _off_peak(offers, facts["started_at"].to_physical())
    rows = cross(offers, terms, bands, peaks)
    cards = [
        _card(book, offer, asked, edges[band - 1] if band else 0, moment) for offer, asked, band, moment in rows.values
    ]
    return RowCards(facts.height, Numbered(rows.numbers, cards), resolutions)


def prompt_size() -> pl.Expr:
    """Return the size of each row's prompt; of a sum of calls it is not known, and no threshold is crossed."""
    is_sum = pl.col("flags").list.contains(SESSION_SUM).fill_null(value=False)
    return pl.when(~is_sum).then("line_prompt_tokens").otherwise(0)


def _resolve(facts: pl.DataFrame, book: Book) -> Numbered:
    """Resolve each row's model at its moment, once per distinct name and span between versions."""
    requested = facts["model_requested"]
    if requested.null_count() < facts.height:  # it stands for the call's own model, not for that of an iteration
        requested = facts.select(pl.when(pl.col("line_model") == pl.col("model")).then(requested)).to_series()
    columns = (facts["line_model"], facts["provider"], facts["region"], requested)
    names = cross(*(number_text(column) for column in columns))
    if book.rules.fixed is not None or not book.moments:  # it makes no difference when a call was made
        eras = Numbered(None, [book.era(0)])
    else:
        eras = number_spans(facts["started_at"].to_physical(), book.moments)
    spots = cross(names, eras)
    found = [book.resolve_in((model or "", *terms), era) for (model, *terms), era in spots.values]
    return Numbered(spots.numbers, found)


def _units(facts: pl.DataFrame, stated_units: pl.Series | None) -> list[Numbered]:
    """Return what of the units and tokens that a row states decides which units are charged."""
    if stated_units is None:
        return [Numbered(None, [None])] * 3
    states = facts.select(
        pl.when(pl.lit(stated_units).is_not_null() & (pl.col(side).fill_null(0) > 0)).then(pl.lit("yes")).alias(side)
        for side in ("line_prompt_tokens", "line_completion_tokens")
    )
    return [number_text(column) for column in (stated_units, *states.get_columns())]


def _offers(resolutions: Numbered) -> Numbered:
    """Number the rows by tariff and discount: where versions say the same, what they say comes together."""
    numbers: dict[tuple[Any, ...], int] = {}
    keys = [(id(each.tariff), each.discount, each.region) for each in resolutions.values]
    of_values = pl.Series([numbers.setdefault(key, len(numbers)) for key in keys], dtype=pl.UInt32)
    offered = list(dict(zip(keys, resolutions.values, strict=True)).values())
    if resolutions.numbers is None or len(offered) == 1:
        return Numbered(None, offered)
    same = len(offered) == len(keys)
    return Numbered(resolutions.numbers if same else of_values[resolutions.numbers], offered)


def _off_peak(offers: Numbered, moments: pl.Series) -> Numbered:
    """Number the rows by a moment at which the same off-peak hours are open; None: no matter."""
    hours = {n: each.tariff.hours for n, each in enumerate(offers.values) if each.tariff and each.tariff.hours}
    if not hours:
        return Numbered(None, [None])
    step = steps_of(hours.values()) * _MINUTE
    numbers = offers.to_rows(pl.int_range(len(offers.values), dtype=pl.UInt32, eager=True), len(moments))
    rows = pl.DataFrame([numbers.alias("offer"), (moments // step * step).alias("slot")])
    slots = rows.filter(pl.col("offer").is_in(list(hours)), pl.col("slot").is_not_null()).unique()
    states = pl.Series("open", [hours[offer].open_at(slot) for offer, slot in slots.iter_rows()], dtype=pl.Boolean)
    stand_ins = slots.with_columns(states).with_columns(moment=pl.col("slot").min().over("offer", "open"))
    joined = rows.join(stand_ins, on=["offer", "slot"], how="left", maintain_order="left")["moment"]
    found = number_text(joined.cast(pl.String))
    return Numbered(found.numbers, [None if moment is None else int(moment) for moment in found.values])


def _card(book: Book, found: Resolution, asked: tuple[Any, ...], prompt: int, moment: int | None) -> PlannedCard:
    tier, source_format, region, residency, geo, speed, names, prompt_stated, completion_stated = asked
    batch = (source_format or "").endswith(BATCH_FORMATS)
    rates = book.rates(found, Terms(tier, batch, prompt, region, residency, geo, speed, moment))
    listed = names.split("\n") if names else ()
    stated = {"prompt": bool(prompt_stated), "completion": bool(completion_stated)}
    units = plan_units(listed, rates, **stated) if listed else NO_UNITS
    return PlannedCard(rates, units, conditions_of(rates))


def book_of(options: PriceOptions) -> Book:
    """Return the process's one price book for these options and the versions that there are now."""
    return _book_of(options, load_catalog())


@lru_cache(maxsize=4)
def _book_of(options: PriceOptions, _catalog: Catalog) -> Book:
    return open_book(options)
