"""Lots: the amounts of a cell, as fine as the bill states amounts of one price, and how many tokens they are for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import IntEnum
from itertools import combinations

from callcost.prices.book.book import Book
from callcost.stages.reconcile.cells import NOTHING, Cell, CellKey, Lot, Part, Share, share
from callcost.stages.reconcile.rates.alternative_prices import cost_in_tiers, cost_of_class, costs_by_tier
from callcost.tables import EXACT

Figures = Mapping[tuple[str | None, str], Decimal]  # (tier, owner) -> money or tokens
_ONE = Decimal(1)


def lots_of(cell: Cell, sample: Part | None, book: Book) -> list[Lot]:
    """Return the amounts of a cell as fine as the bill has prices for them; []: there is no price of ours.

    Args:
        cell: with an amount.
        sample: charge of the same model, for a class that only the bill has.
        book: prices of our side.
    """
    amounts: Figures = cell.asked or {(None, ""): cell.amount or NOTHING}
    counts: Figures = cell.counted
    if not counts and cell.billed is not None:
        counts = {(None, ""): cell.billed}
    within = _owners_within(amounts, counts)
    if counts and within is None:  # counts have other owners than amounts
        amounts = _by_tier(amounts)
        within = _owners_within(amounts, counts)
    if counts and within is None:  # and other tiers
        return _blended(cell, sample, book)
    tiers = {tier for tier, _ in amounts}
    units = {} if tiers == {None} else costs_by_tier(cell, book, tiers)
    sums = {key: sum(owners.values(), NOTHING) for key, owners in (within or {}).items()}
    lots = _priced(cell, amounts, sums, units, sample, book)
    for lot in lots:
        _share_out([lot], (within or {}).get((lot.tier, lot.owner), {}).items())
    return lots


def _share_out(lots: Iterable[Lot], figures: Iterable[tuple[str, Decimal]]) -> None:
    """Say what owners have of amounts, from what they have of their tokens."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for owner, figure in figures:
        sums[owner] += figure
    whole = sum(sums.values(), NOTHING)
    for lot in lots:
        if set(sums) - {lot.owner}:
            lot.shares = {owner: Share("", share(part, _ONE, whole)) for owner, part in sums.items() if part > 0}


def _blended(cell: Cell, sample: Part | None, book: Book) -> list[Lot]:
    """Return all of a cell as one lot, at the price of the tiers of which the bill has counts."""
    whole = None, ""
    costs: dict[str | None, Decimal] = {None: cost_in_tiers(cell, book)}
    lots = _priced(cell, {whole: cell.amount or NOTHING}, {whole: cell.billed or NOTHING}, costs, sample, book)
    if cell.cost:
        by_tier = costs_by_tier(cell, book, {tier for tier, _ in cell.counted})
        _share_out(lots, ((owner, count * by_tier[tier]) for (tier, owner), count in cell.counted.items()))
    return lots


def _by_tier(figures: Figures) -> Figures:
    found: dict[tuple[str | None, str], Decimal] = defaultdict(Decimal)
    for (tier, _), figure in figures.items():
        found[tier, ""] += figure
    return found


def _owners_within(amounts: Figures, counts: Figures) -> dict[tuple[str | None, str], dict[str, Decimal]] | None:
    """Return (tier, owner) of an amount -> owners of its counts, who are the same or say more; None: some are no such.

    A bill may ask by workspace what it counts by workspace and key, or by nobody what it counts by key.
    """
    found: dict[tuple[str | None, str], dict[str, Decimal]] = {key: {} for key in amounts}
    finer = not counts.keys() <= found.keys()
    index = {(tier, frozenset(owner.split())): owner for tier, owner in amounts} if finer else {}
    for (tier, owner), count in counts.items():
        asked = owner if (tier, owner) in found else _said_of(tier, owner, index)
        if asked is not None:
            owners = found[tier, asked]
            owners[owner] = owners.get(owner, NOTHING) + count
    return found if all(found.values()) else None


def _said_of(tier: str | None, owner: str, index: Mapping[tuple[str | None, frozenset[str]], str]) -> str | None:
    """Return the owner of an amount of whom most of what an owner says is said; None: there is none."""
    words = owner.split()
    parts = (frozenset(some) for size in range(len(words), -1, -1) for some in combinations(words, size))
    return next((index[tier, some] for some in parts if (tier, some) in index), None)


def _priced(
    cell: Cell, amounts: Figures, counts: Figures, costs: Mapping[str | None, Decimal], sample: Part | None, book: Book,
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


def add_shares(lots: Iterable[Lot], costs: Mapping[CellKey, Mapping[str, Share]]) -> bool:
    """Say what owners of our calls have of amounts that are for just our tokens; tell whether there are such.

    Args:
        lots: amounts.
        costs: cell -> owner -> its kind, and what its calls cost.
    """
    found = False
    for lot in lots:
        cell = lot.cell
        if lot.ours is not None and lot.quantity in {None, lot.ours} and cell.cost:
            own = {owner: Share(one.kind, EXACT.divide(one.part, cell.cost))
                   for owner, one in costs.get(cell.key, {}).items() if one.part > 0}  # fmt: skip
            lot.shares, found = lot.shares | own, found or bool(own)  # the bill's owners come first
    return found


class Fit(IntEnum):
    """How well a price gives a lot's amount."""

    NOT = 0
    UNKNOWN = 1  # no count is stated, and the amounts are too coarse for whole numbers to tell
    WHOLE = 2  # it is for a whole number of tokens
    COUNTED = 3  # it is for the tokens that are stated, or for ours


def fit_of(lot: Lot, price: Decimal, *, split: bool = False) -> Fit:
    """Return how well a price gives a lot's amount; a mixture of prices (``split``) only for known tokens."""
    count = lot.ours if lot.quantity is None else lot.quantity
    if count is not None and abs(EXACT.multiply(count, price) - lot.amount) <= lot.cell.slack:
        return Fit.COUNTED
    if lot.quantity is not None or lot.cell.key.token_class is None or split or lot.split:
        return Fit.NOT
    if price <= 4 * lot.cell.slack:
        return Fit.UNKNOWN
    return Fit.NOT if whole_tokens(lot, price) is None else Fit.WHOLE


def whole_tokens(lot: Lot, price: Decimal) -> Decimal | None:
    """Return how many tokens a lot's amount is for at a price; None: no whole number."""
    count = lot.ours or NOTHING if lot.split else Decimal(round(EXACT.divide(lot.amount, price)))
    return count if abs(EXACT.multiply(count, price) - lot.amount) <= lot.cell.slack else None
