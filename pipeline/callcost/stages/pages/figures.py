"""Figures for people, beside the exact ones: what is rounded on a page has the whole figure in its title.

A figure is a Decimal or an int of a table of sums from the first to the last step; only the geometry of a chart is made
of floats, in charts.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import polars as pl

from callcost.prices.charges import plain
from callcost.readable import dollars, money
from callcost.stages.pages.kit import Markup, cell
from callcost.stages.pricing.price_facts import sum_stated
from callcost.stages.tables.schemas import SpendMeasures

Figure = Decimal | int | None
SUMMED = tuple(column.name for column in SpendMeasures.columns if column.kind != "ratio")
LOCAL_COST = "local_cost"  # of sums: total_cost in another currency, where the report has one
NONE, USD = "–", "USD"
_SCALES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


class Measure(NamedTuple):
    """What charts show.

    Attributes:
        name: in words.
        column: of sums.
        unit: of the figures, in words.
        currency: code, where they are amounts.
    """

    name: str
    column: str
    unit: str
    currency: str | None = None


def measures_of(currency: str | None) -> list[Measure]:
    """Return what charts show, in their order; the currency is that beside dollars, where there is one."""
    local = [Measure(f"cost in {currency}", LOCAL_COST, currency, currency)] if currency else []
    counts = [Measure("tokens", "total_tokens", "tokens"), Measure("calls", "calls", "calls")]
    return [Measure("cost", "total_cost", "US dollars", USD), *local, *counts]


def shown(figure: Figure, currency: str | None = None) -> str:
    """Return a figure for reading, an amount of a currency or a count; a dash where nothing is stated."""
    if figure is None:
        return NONE
    return f"{figure:,}" if currency is None else money(Decimal(figure), currency)


def figure_cell(figure: Figure, currency: str | None = None, *, text: str | None = None) -> Markup:
    """Return a cell with a figure: a rounded amount has the exact one as its title, whatever text stands for it."""
    if figure is None:
        return cell(NONE)
    return cell(text or shown(figure, currency), title=None if currency is None else plain(figure))


def percent(part: Figure, whole: Figure) -> str | None:
    """Return the share of a part, to a tenth of a percent; None where it has none.

    >>> percent(1, 3)
    '33.3%'
    """
    if part is None or not whole:
        return None
    share = Decimal(part) * 100 / Decimal(whole)
    if 0 < share < Decimal("0.05"):
        return "<0.1%"
    return f"{share:.1f}%"


def per(cost: Decimal | None, count: int | None, unit: int = 1) -> str:
    """Return what so many of a unit cost on average, for reading."""
    if cost is None or not count:
        return NONE
    return dollars(cost * unit / count)


def scale_figures(figures: Sequence[Decimal], currency: str | None = None) -> list[str]:
    """Return the figures of a scale, as short as can be, with as many places each.

    >>> scale_figures([Decimal(0), Decimal("1.5"), Decimal(3)], "USD")
    ['$0', '$1.50', '$3.00']
    >>> scale_figures([Decimal(0), Decimal(2500), Decimal(5000)])
    ['0', '2.5k', '5.0k']
    """
    top = max(figures)
    size, letter = next(((size, letter) for size, letter in _SCALES if top >= size), (1, ""))
    if currency and size == 10**3 and top < 10**4:
        size, letter = 1, ""
    parts = [plain(figure / size) for figure in figures]
    places = max(len(part.partition(".")[2]) for part in parts)
    places = 2 if currency and places == 1 and not letter else places
    sign = "$" if currency == USD else ""
    return [f"{sign}{figure / size:.{places}f}{letter}" if figure else f"{sign}0" for figure in figures]


def add_up(sums: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Add sums into fewer groups, exactly; a sum over nothing stated stays null. Ratios are left out."""
    summed = [*SUMMED, *({LOCAL_COST} & {*sums.columns})]
    return sums.group_by(by, maintain_order=True).agg(sum_stated(name) for name in summed)
