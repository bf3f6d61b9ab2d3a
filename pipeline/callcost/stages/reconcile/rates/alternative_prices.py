"""What our charges would have cost otherwise: other tiers, places and versions of the price list, one after the other.

Each alternative is a hypothesis about a bill: the same quantities at the rates that it would have taken. The rates are
the price book's own; whether a bill agrees with one of them is for ``price_hypotheses.py`` to measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from callcost.logs.bills.lines import LONG_CONTEXT
from callcost.prices.book.book import Book, Resolution
from callcost.prices.book.cost_map import parse_entry
from callcost.prices.charges import charge_for, money, quantized
from callcost.prices.documented_factors import documented
from callcost.prices.rates import Factors, Line, RateCard, Terms, case_of
from callcost.prices.tariffs import Tariff, read_tariff
from callcost.stages.pricing.exchange_rates import converted
from callcost.stages.reconcile.cells import NOTHING, Cell, Part
from callcost.tables import EXACT

TIER, REGION, VERSION, CACHE = "tier_or_batch", "region_uplift", "price_version", "cache"
DISCOUNT = "discount"
NAMED_TIERS = "the tiers that the bill names"
CAUSES = (CACHE, TIER, REGION, VERSION)  # in the order in which they are asked
UPLIFT = Decimal("1.1")  # what providers add for processing in one place, where the map lists no multiplier
# What a batch and what a priority tier cost where the price list says nothing of them.
TIER_FACTORS = ((Decimal("0.5"), "half of every rate, as a batch"), (Decimal(2), "twice every rate, as priority"))
_LONG_PROMPT = 200_001  # tokens
_TIERS = (("batch", "batch"), (None, "standard"), ("priority", "priority"), ("flex", "flex"))
CACHE_RATES = (  # unit, whose rate it may be billed at, what that is called
    ("cache_read", "text_input", "cached tokens at the rate of input"),
    ("cache_write_5m", "cache_write_1h", "writes for five minutes at the rate of an hour"),
    ("cache_write_1h", "cache_write_5m", "writes for an hour at the rate of five minutes"),
    ("cache_write_5m", "text_input", "cache writes at the rate of input"),
)
_UNITS = {"input": "text_input", "output": "text_output", "cache_write": "cache_write_5m"}  # of classes
_PLACES: tuple[tuple[str | None, str | None, str], ...] = (  # geo, data residency
    ("us", None, "inference in the United States"),
    (None, "eu", "data residency in Europe"),
    (None, "us", "data residency in the United States"),
    (None, None, "no regional uplift"),
)


class Alternative(NamedTuple):
    """One cause, and what each cell costs once it is taken in.

    Attributes:
        cause: slug of the cause, as in causes.csv.
        label: words that say what is different.
        costs: money, one per cell, in the order of the cells.
    """

    cause: str
    label: str
    costs: tuple[Decimal, ...]


class StatedCost(NamedTuple):
    """What a call costs at the rates that its log states.

    Attributes:
        label: words that name these rates.
        plain: money by these rates alone.
        discounted: ``plain`` less what our own price book takes off.
    """

    label: str
    plain: Decimal
    discounted: Decimal


_Costs = Mapping[tuple[str, str], Decimal]  # (cause, label) -> what a part costs, where that has a rate


def alternatives_of(cells: Sequence[Cell], book: Book) -> Iterator[Alternative]:
    """Yield what the cells of one model would have cost otherwise, in the order of the causes; each cost once.

    Args:
        cells: cells of one day and model, each with a cost.
        book: prices of our side.
    """
    known = {tuple(cell.cost or NOTHING for cell in cells)}
    costs = {part: dict(_costs_of(part, book)) for cell in cells for part in cell.parts}
    keys = {key for of_part in costs.values() for key in of_part}
    found = [((TIER, NAMED_TIERS), tuple(cost_in_tiers(cell, book) for cell in cells))]
    found += [(key, tuple(_cost(cell, costs, key) for cell in cells)) for key in sorted(keys, key=_order)]
    for (cause, label), amounts in found:
        if amounts not in known:
            known.add(amounts)
            yield Alternative(cause, label, amounts)


def stated_cost(cell: Cell, book: Book) -> StatedCost | None:
    """Return what a call costs at the rates that its log says it was charged at; None: it says none.

    What these rates leave out costs what it does.
    """
    plain, discounted, used = NOTHING, NOTHING, {}
    for part in cell.parts:
        tariff = _stated_tariff(part.stated_rates) if part.stated_rates else None
        line = _line(tariff, part, part.terms) if tariff else None
        if tariff is None or line is None:
            plain, discounted = plain + (part.cost or NOTHING), discounted + (part.cost or NOTHING)
            continue
        reduced = _line(tariff, part, part.terms, _resolution(part, book).discount) or line
        plain, discounted = plain + _charge(part, line), discounted + _charge(part, reduced)
        used[part.unit] = line.rate
    named = ", ".join(f"{unit} {rate.normalize():f}" for unit, rate in sorted(used.items()))
    return StatedCost(f"the rates that the log states: {named}", plain, discounted) if used else None


@lru_cache(maxsize=1024)
def _stated_tariff(text: str) -> Tariff | None:
    try:
        return read_tariff(parse_entry(text.encode()))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None


def _order(key: tuple[str, str]) -> tuple[int, str]:
    return CAUSES.index(key[0]), key[1]


def _cost(cell: Cell, costs: Mapping[Part, _Costs], key: tuple[str, str]) -> Decimal:
    """Return what a cell costs with one thing changed; a part to which that does not apply costs what it does."""
    return sum((costs[part].get(key, part.cost) for part in cell.parts if part.cost is not None), NOTHING)


def cost_in_tiers(cell: Cell, book: Book) -> Decimal:
    """Return what our quantities cost in the tiers, and their shares, that the bill names."""
    whole = sum(cell.tiers.values(), NOTHING)
    if not whole or set(cell.tiers) == {None}:
        return cell.cost or NOTHING
    costs = costs_by_tier(cell, book, cell.tiers)
    total = sum((EXACT.multiply(costs[tier], quantity) for tier, quantity in cell.tiers.items()), NOTHING)
    return quantized(EXACT.divide(total, whole))


def cost_of_class(token_class: str | None, part: Part, book: Book, tier: str | None = None) -> Decimal | None:
    """Return what a token of a class costs where a charge of ours was made; None: there is no such rate.

    Args:
        token_class: class of tokens, or a unit.
        part: a charge of the same model.
        book: prices of our side.
        tier: tier that the bill names; None: that of the charge.
    """
    unit, found = _UNITS.get(token_class or "", token_class or ""), _resolution(part, book)
    terms = part.terms if tier is None else _terms_in(tier, part.terms)
    line = _line(found.tariff, part._replace(unit=unit), terms, found.discount) if found.tariff else None
    return None if line is None else _charge(part._replace(quantity=Decimal(1)), line)


def costs_by_tier(cell: Cell, book: Book, tiers: Iterable[str | None]) -> dict[str | None, Decimal]:
    """Return tier that the bill names -> what all of a cell's tokens cost in it; what has no such rate, as it does."""
    found: dict[str | None, Decimal] = dict.fromkeys(tiers, NOTHING)
    for part in (part for part in cell.parts if part.cost is not None):
        known = _resolution(part, book)
        for tier in found:
            line = _line(known.tariff, part, _terms_in(tier, part.terms), known.discount) if known.tariff else None
            found[tier] += part.cost or NOTHING if line is None else _charge(part, line)
    return found


def _terms_in(tier: str | None, terms: Terms) -> Terms:
    """Return terms as a tier of the bill has them: "batch", "standard 200k-1M" (of prompts so long)."""
    own = next((name for name, label in _TIERS if (tier or "").lower().startswith(label)), None)
    prompt = max(terms.prompt_tokens, _LONG_PROMPT) if (tier or "").endswith(LONG_CONTEXT) else terms.prompt_tokens
    return terms._replace(tier=own, batch=own == "batch", prompt_tokens=prompt)


def _costs_of(part: Part, book: Book) -> Iterator[tuple[tuple[str, str], Decimal]]:
    """Yield what a part costs in every tier and place and by every version of the price list that has a rate."""
    found = _resolution(part, book)
    if found.tariff is None or found.key is None:
        return
    own = part.terms._replace(region=part.terms.region or found.region)
    changes = [(TIER, label, _terms_in(label, own), found.tariff) for _, label in _TIERS]
    changes += [
        (REGION, label, own._replace(geo=geo, data_residency=residency), found.tariff)
        for geo, residency, label in _PLACES
    ]
    changes += [(VERSION, label, own, tariff) for label, tariff in _history(book, found.key)]
    for cause, label, terms, tariff in changes:
        line = _line(tariff, part, terms, found.discount)
        if line is not None:
            yield (cause, label), _charge(part, line)
    for unit, other, label in CACHE_RATES:
        line = _card(found.tariff, own, found.discount).line(other) if part.unit == unit else None
        if line is not None:
            yield (CACHE, label), _charge(part, line)


def _charge(part: Part, line: Line) -> Decimal:
    return converted(money(charge_for(part.quantity, line)), part.fx)


def _line(tariff: Tariff, part: Part, terms: Terms, discount: Factors = ()) -> Line | None:
    return _card(tariff, terms, discount).line(part.unit)


@lru_cache(maxsize=4096)
def _card(tariff: Tariff, terms: Terms, discount: Factors) -> RateCard:
    return RateCard(tariff, case_of(tariff, terms, discount))


def _resolution(part: Part, book: Book) -> Resolution:
    terms = part.terms
    return book.resolve(part.model, part.provider, terms.moment, region=terms.region, requested=part.requested)


@lru_cache(maxsize=1024)
def _history(book: Book, key: str) -> tuple[tuple[str, Tariff], ...]:
    steps = [(version, entry) for version, entry in book.catalog.history(key) if entry is not None]
    return tuple(
        (
            f"prices as of {version.effective_text} ({version.name})",
            read_tariff(entry, factors=documented(str(entry.get("litellm_provider")), key, version.effective_from)),
        )
        for version, entry in steps
    )
