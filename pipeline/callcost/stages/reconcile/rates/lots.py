"""Lots: the amounts of a cell, as fine as the bill states amounts of one price, and how many tokens they are for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from enum import IntEnum

from callcost.prices.book.book import Book
from callcost.stages.reconcile.cells import NOTHING, Cell, Lot, Part
from callcost.stages.reconcile.rates.alternative_prices import cost_in_tiers, cost_of_class, costs_by_tier
from callcost.tables import EXACT


def lots_of(cell: Cell, sample: Part | None, book: Book) -> list[Lot]:
    """Return the amounts of a cell as fine as the bill has prices for them; []: there is no price of ours.

    Args:
        cell: with an amount.
        sample: charge of the same model, for a class that only the bill has.
        book: prices of our side.
    """
    amounts = cell.asked or {(None, ""): cell.amount or NOTHING}
    counts: Mapping[tuple[str | None, str], Decimal] = cell.counted
    if not counts and cell.billed is not None:
        counts = {(None, ""): cell.billed}
    if counts and not set(amounts) <= set(counts):  # counts have other owners than amounts
        amounts, counts = _by_tier(amounts), _by_tier(counts)
    if counts and not set(amounts) <= set(counts):  # and other tiers
        amounts, counts = {(None, ""): cell.amount or NOTHING}, {(None, ""): cell.billed or NOTHING}
        return _priced(cell, amounts, counts, {None: cost_in_tiers(cell, book)}, sample, book)
    tiers = {tier for tier, _ in amounts}
    units = {} if tiers == {None} else costs_by_tier(cell, book, tiers)
    return _priced(cell, amounts, counts, units, sample, book)


def _by_tier(figures: Mapping[tuple[str | None, str], Decimal]) -> dict[tuple[str | None, str], Decimal]:
    found: dict[tuple[str | None, str], Decimal] = defaultdict(Decimal)
    for (tier, _), figure in figures.items():
        found[tier, ""] += figure
    return found


def _priced(
    cell: Cell, amounts: Mapping[tuple[str | None, str], Decimal], counts: Mapping[tuple[str | None, str], Decimal],
    costs: Mapping[str | None, Decimal], sample: Part | None, book: Book,
) -> list[Lot]:  # fmt: skip
    lots, single = [], len(amounts) == 1
    for (tier, owner), amount in amounts.items():
        if cell.ours > 0 and cell.cost:
            plain: Decimal | None = EXACT.divide(cell.cost, cell.ours)
            unit: Decimal | None = EXACT.divide(costs.get(tier, cell.cost), cell.ours)
        else:
            plain = sample and cost_of_class(cell.key.token_class, sample, book)
            unit = sample and cost_of_class(cell.key.token_class, sample, book, tier)
        if not unit or not plain:
            return []
        expected = cell.ours if single else None
        part = next((part for part in cell.parts if part.cost), sample)
        lots.append(Lot(cell, tier, owner, amount, counts.get((tier, owner)), expected, plain, unit, unit, part))
    return lots


class Fit(IntEnum):
    """How well a price gives a lot's amount."""

    NOT = 0
    UNKNOWN = 1  # no count is stated, and the amounts are too coarse for whole numbers to tell
    WHOLE = 2  # it is for a whole number of tokens
    COUNTED = 3  # it is for the tokens that are stated, or for ours


def fit_of(lot: Lot, price: Decimal) -> Fit:
    """Return how well a price gives a lot's amount."""
    count = lot.ours if lot.quantity is None else lot.quantity
    if count is not None and abs(EXACT.multiply(count, price) - lot.amount) <= lot.cell.slack:
        return Fit.COUNTED
    if lot.quantity is not None or lot.cell.key.token_class is None:
        return Fit.NOT
    if price <= 4 * lot.cell.slack:
        return Fit.UNKNOWN
    return Fit.NOT if whole_tokens(lot, price) is None else Fit.WHOLE


def whole_tokens(lot: Lot, price: Decimal) -> Decimal | None:
    """Return how many tokens a lot's amount is for at a price; None: no whole number."""
    count = Decimal(round(EXACT.divide(lot.amount, price)))
    return count if abs(EXACT.multiply(count, price) - lot.amount) <= lot.cell.slack else None
