"""What our charges would have cost otherwise: other tiers, places and versions of the price list, one after the other.

Each rival is a hypothesis about a bill: the same quantities at the rates that it would have taken. The rates are the
price book's own; whether a bill agrees with one of them is for ``rules.py`` to measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from callcost.prices.book.book import Book, Resolution
from callcost.prices.book.cost_map import parse_entry
from callcost.prices.charges import charge_for, money
from callcost.prices.rates import Factors, Line, RateCard, Terms, case_of
from callcost.prices.tariffs import Tariff, read_tariff
from callcost.stages.reconcile.cells import EXACT, NOTHING, Cell, Part, quantized

TIER, REGION, VERSION = "tier_or_batch", "region_uplift", "price_version"
UPLIFT = Decimal("1.1")  # what providers add for processing in one place, where the map lists no multiplier
_TIERS = (("batch", "batch"), (None, "standard"), ("priority", "priority"), ("flex", "flex"))
_PLACES: tuple[tuple[dict[str, str], str], ...] = (
    ({"geo": "us"}, "inference in the United States"),
    ({"data_residency": "eu"}, "data residency in Europe"),
    ({"data_residency": "us"}, "data residency in the United States"),
    ({}, "no regional uplift"),
)


class Rival(NamedTuple):
    """A hypothesis: what each cell would have cost.

    Attributes:
        cause: that it would be.
        label: what is different.
        costs: of the cells, in their order.
    """

    cause: str
    label: str
    costs: tuple[Decimal, ...]


class Stated(NamedTuple):
    """What a call costs at the rates that its log states.

    Attributes:
        label: these rates.
        plain: by them alone.
        discounted: less what our own price book takes off.
    """

    label: str
    plain: Decimal
    discounted: Decimal


class _Change(NamedTuple):
    cause: str
    label: str
    terms: Terms
    tariff: Tariff
    discount: Factors


def rivals_of(cells: Sequence[Cell], book: Book) -> Iterator[Rival]:
    """Yield what the cells of one model would have cost otherwise, in the order of the causes; each cost once.

    Args:
        cells: of one day and model, each with a cost.
        book: that priced them.
    """
    seen = {tuple(cell.cost or NOTHING for cell in cells)}
    changes = {part: {(c.cause, c.label): c for c in _changes(part, book)} for cell in cells for part in cell.parts}
    labels = sorted({key: None for known in changes.values() for key in known}, key=_order)
    named = tuple(_cost_in_tiers(cell, changes) for cell in cells)
    if any(set(cell.tiers) - {None} for cell in cells) and named not in seen:
        seen.add(named)
        yield Rival(TIER, "the tiers that the bill names", named)
    for cause, label in labels:
        costs = tuple(_cost(cell, changes, (cause, label)) for cell in cells)
        if costs not in seen:
            seen.add(costs)
            yield Rival(cause, label, costs)


def stated_cost(cell: Cell, book: Book) -> Stated | None:
    """Return what a call costs at the rates that its log says it was charged at; None: it says none.

    What these rates leave out costs what it does.
    """
    plain, discounted, used = NOTHING, NOTHING, {}
    for part in cell.parts:
        tariff = _stated_tariff(part.stated_rates) if part.stated_rates else None
        line = _card(tariff, part.terms, ()).line(part.unit) if tariff else None
        if tariff is None or line is None:
            plain, discounted = plain + (part.cost or NOTHING), discounted + (part.cost or NOTHING)
            continue
        found = _resolved(part, book)
        reduced = _card(tariff, part.terms, found.discount).line(part.unit) or line
        plain, discounted = plain + _charged(part, line), discounted + _charged(part, reduced)
        used[part.unit] = line.rate
    named = ", ".join(f"{unit} {rate.normalize():f}" for unit, rate in sorted(used.items()))
    return Stated(f"the rates that the log states: {named}", plain, discounted) if used else None


@lru_cache(maxsize=1024)
def _stated_tariff(text: str) -> Tariff | None:
    try:
        return read_tariff(parse_entry(text.encode()))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None


def _order(key: tuple[str, str]) -> tuple[int, str]:
    return (TIER, REGION, VERSION).index(key[0]), key[1]


def _cost(cell: Cell, changes: dict[Part, dict[tuple[str, str], _Change]], key: tuple[str, str]) -> Decimal:
    total = NOTHING
    for part in cell.parts:
        if part.cost is None:
            continue
        change = changes[part].get(key)
        other = _charge(part, change) if change else None
        total += part.cost if other is None else other
    return total


def _cost_in_tiers(cell: Cell, changes: dict[Part, dict[tuple[str, str], _Change]]) -> Decimal:
    """Return what our quantities cost in the tiers, and their shares, that the bill names."""
    whole = sum(cell.tiers.values(), NOTHING)
    if not whole or set(cell.tiers) == {None}:
        return cell.cost or NOTHING
    total = NOTHING
    for tier, quantity in cell.tiers.items():
        label = next((label for _, label in _TIERS if (tier or "").lower().startswith(label)), "standard")
        total += EXACT.multiply(_cost(cell, changes, (TIER, label)), quantity)
    return quantized(EXACT.divide(total, whole))


def _charge(part: Part, change: _Change) -> Decimal | None:
    line = _card(change.tariff, change.terms, change.discount).line(part.unit)
    return None if line is None else _charged(part, line)


def _charged(part: Part, line: Line) -> Decimal:
    whole = part.quantity == part.quantity.to_integral_value()
    cost = money(charge_for(int(part.quantity) if whole else part.quantity, line))
    return cost if part.fx == 1 else quantized(EXACT.multiply(cost, part.fx))


@lru_cache(maxsize=4096)
def _card(tariff: Tariff, terms: Terms, discount: Factors) -> RateCard:
    return RateCard(tariff, case_of(tariff, terms, discount))


def _changes(part: Part, book: Book) -> Iterator[_Change]:
    found = _resolved(part, book)
    if found.tariff is None or found.key is None:
        return
    own, tariff, discount = part.terms, found.tariff, found.discount
    for tier, label in _TIERS:
        yield _Change(TIER, label, own._replace(tier=tier, batch=tier == "batch"), tariff, discount)
    for place, label in _PLACES:
        elsewhere = own._replace(geo=place.get("geo"), data_residency=place.get("data_residency"))
        yield _Change(REGION, label, elsewhere, tariff, discount)
    for name, other in _history(book, found.key):
        yield _Change(VERSION, name, own, other, discount)


def _resolved(part: Part, book: Book) -> Resolution:
    terms = part.terms
    return book.resolve(part.model, part.provider, terms.moment, region=terms.region, requested=part.requested)


@lru_cache(maxsize=1024)
def _history(book: Book, key: str) -> tuple[tuple[str, Tariff], ...]:
    steps = [(version, entry) for version, entry in book.catalog.history(key) if entry is not None]
    return tuple(
        (f"prices as of {version.effective_text} ({version.name})", read_tariff(entry)) for version, entry in steps
    )
