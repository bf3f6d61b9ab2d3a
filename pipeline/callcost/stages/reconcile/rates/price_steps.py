"""What separates the bill's prices from ours over all cells of a provider: the fewest steps, each of one scope.

Each step (``step_candidates.py``) is on top of those before it, until none explains more. Of several ways to explain as
much the shortest is taken: 12 % off everything, and one model cheaper since a day, not three prices of two models.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby

from callcost.prices.book.book import Book
from callcost.stages.reconcile.case import Case
from callcost.stages.reconcile.cells import NOTHING, Cell, Lot, Part
from callcost.stages.reconcile.rates.alternative_prices import (
    CACHE,
    CAUSES,
    DISCOUNT,
    NAMED_TIERS,
    REGION,
    TIER,
    TIER_FACTORS,
    UPLIFT,
    VERSION,
    alternatives_of,
)
from callcost.stages.reconcile.rates.lots import Fit, add_shares, fit_of, lots_of
from callcost.stages.reconcile.rates.owner_factors import owner_steps
from callcost.stages.reconcile.rates.step_candidates import (
    NEARLY,
    Step,
    cache_alternatives,
    explained_by,
    find_candidates,
    first_steps,
    leader,
    take,
)
from callcost.tables import EXACT

_ONE = Decimal(1)
_FIRST_STEPS = 6  # that are tried
_MOST_STEPS = 12
_SAMPLE = 5_000  # amounts that are looked at for candidates


def find_steps(case: Case) -> None:
    """Give cells their lots, and lots the prices that the bill asks, as far as few steps explain them."""
    providers: dict[str, list[Lot]] = defaultdict(list)
    samples: dict[tuple[str, str | None], Part] = {}
    for key, cells in case.token_cells():
        for part in (part for cell in cells for part in cell.parts if part.cost and part.quantity):
            samples[key.provider, key.model] = part
    for key, cells in case.token_cells():
        for cell in cells:
            if cell.amount and cell.rest is not None and not cell.findings and not cell.unpriced:
                cell.lots = lots_of(cell, samples.get((key.provider, key.model)), case.book)
                providers[key.provider] += cell.lots
    found: list[Decimal] = []  # what holds of one provider may hold of the next
    for name, lots in sorted(providers.items(), key=lambda one: -sum(lot.quantity is not None for lot in one[1])):
        found += _settle_provider(lots, case, name, found)


# --- Search -----------------------------------------------------------------------------------------------------------


def _settle_provider(lots: Sequence[Lot], case: Case, provider: str, elsewhere: Sequence[Decimal]) -> list[Decimal]:
    """Apply the steps that explain a provider's lots to them; return the factors that were found."""
    sample = lots[:: len(lots) // _SAMPLE + 1]
    alternatives = cache_alternatives(lots, case.book)
    steps = _fewest_steps(sample, alternatives, elsewhere)
    if not _is_plain(steps, sample) and add_shares(lots, case.evidence.owner_costs(case.grain, provider)):
        steps = _fewest_steps(sample, alternatives, elsewhere)
    for lot in lots:
        lot.restart()
    for step in (_named(step, lots, case.book) for step in sorted(steps, key=_invoice_order)):
        for lot in lots:
            move = take(step, lot)
            if move is not None:
                lot.moves.append(move)
    return _factors_of(steps)


def _is_plain(steps: Sequence[Step], lots: Sequence[Lot]) -> bool:
    """Tell whether steps explain all amounts: for the bill's counts, or by no more than one thing that is said."""
    _apply(steps, lots)
    short = sum(step.length for step in steps) <= 1
    return all(fit_of(lot, lot.price) == Fit.COUNTED and (short or lot.quantity is not None) for lot in lots)


def _apply(steps: Iterable[Step], lots: Iterable[Lot]) -> None:
    for lot in lots:
        lot.restart()
        for step in steps:
            take(step, lot)


def _fewest_steps(lots: Sequence[Lot], alternatives: Sequence[Step], elsewhere: Sequence[Decimal]) -> list[Step]:
    """Return the steps that explain most; of ways that explain about as much, the one that says least.

    What explains most by itself may be two steps at once, a change of prices below a discount: so several first steps
    are tried, each with all that then explains most. A factor of one owner may explain nothing by itself.
    """
    _apply((), lots)
    owners, before = owner_steps(lots), explained_by(lots)
    tried = [*alternatives, *(step._replace(days=(None, None)) for step in owners)]
    first_ones = first_steps(find_candidates(lots, tried, elsewhere))[:_FIRST_STEPS]
    ways: list[tuple[Decimal, int, list[Step]]] = []
    for first in (*(one.step for one in first_ones), *owners):
        _apply((), lots)
        steps: list[Step] = []
        best: Step | None = first
        while best is not None and len(steps) < _MOST_STEPS:
            steps.append(best)
            for lot in lots:
                take(best, lot)
            found = find_candidates(lots, tried, [*elsewhere, *_factors_of(steps)])
            leading = leader([one for of_factor in found for one in of_factor])
            best = None if leading is None else leading.step
        explained = explained_by(lots)
        if first not in owners or explained > before:
            ways.append((explained, sum(step.length for step in steps), steps))
        if sum(step.length for step in steps) <= 1 and all(fit_of(lot, lot.price) == Fit.COUNTED for lot in lots):
            break
    most = max((explained for explained, _, _ in ways), default=NOTHING)
    near = [way for way in ways if way[0] >= most * NEARLY]
    return min(near, key=lambda way: (way[1], -way[0]))[2] if near else []


def _factors_of(steps: Iterable[Step]) -> list[Decimal]:
    return [step.times for step in steps if step.times is not None]


def _invoice_order(step: Step) -> tuple[int, bool]:
    """Sort as an invoice does: prices of one model or class first, what is off everything last."""
    return -step.length, not step.label


# --- What is taken ----------------------------------------------------------------------------------------------------


def settle_steps(cell: Cell) -> None:
    """Name what the steps take of a cell's difference, once its tokens are explained."""
    named = not cell.cost and any(lot.tier for lot in cell.lots)
    if not (named or any(lot.moves for lot in cell.lots)) or not cell.expected:
        return
    counts = [cell.ours if lot.quantity is None else lot.quantity for lot in cell.lots]
    if not sum(counts, NOTHING):  # nobody says for how many tokens it is
        return
    listed = sum((EXACT.multiply(count, lot.unit) for count, lot in zip(counts, cell.lots, strict=True)), NOTHING)
    if abs(listed - cell.expected) > cell.slack:
        plain = EXACT.divide(cell.expected, sum(counts, NOTHING))
        known = list(zip(counts, cell.lots, strict=True))
        shares = [(lot.owner, count * (lot.unit - plain)) for count, lot in known]
        base = sum((EXACT.multiply(count, lot.plain) for count, lot in known if lot.tier), NOTHING)
        cell.settle(TIER, NOTHING, listed - cell.expected, NAMED_TIERS, shares, base=base)
    taken: dict[tuple[str, str], list[tuple[str, Decimal]]] = defaultdict(list)
    bases: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for count, lot in zip(counts, cell.lots, strict=True):
        price = lot.unit
        for move in lot.moves:
            taken[move.cause, move.label].append((move.owner or lot.owner, EXACT.multiply(count, move.price - price)))
            bases[move.cause, move.label] += EXACT.multiply(EXACT.multiply(count, price), move.part)
            price = move.price
    for (cause, label), shares in taken.items():
        moved = sum((amount for _, amount in shares), NOTHING)
        cell.settle(cause, NOTHING, moved, label, shares, base=bases[cause, label])


# --- Names ------------------------------------------------------------------------------------------------------------


def _named(step: Step, lots: Sequence[Lot], book: Book) -> Step:
    """Give a step its cause and its words."""
    where = _words(step)
    if step.label:
        return step._replace(cause=CACHE, label=step.label + where)
    factor = step.times or _ONE
    listed = _listed(step, factor, lots, book)
    if listed is not None:
        return step._replace(cause=listed[0], label=listed[1] + where)
    label = f"every amount{where} x {round(factor, 6).normalize():f}"
    if abs(factor - UPLIFT) < Decimal("1e-4"):
        return step._replace(cause=REGION, label=label)
    if "model" in step.scope:
        return step._replace(cause=VERSION if step.days != (None, None) else DISCOUNT,
                             label=f"{label}: a discount or a change of prices")  # fmt: skip
    return step._replace(cause=DISCOUNT if factor < 1 else VERSION, label=label)


def _words(step: Step) -> str:
    first, last = (None if day is None else f"{datetime.fromtimestamp(day // 1_000_000, UTC):%Y-%m-%d}"
                   for day in step.days)  # fmt: skip
    scope = " ".join(str(value) for value in step.scope.values() if value)
    return f"{f' of {scope}' if scope else ''}{f' since {first}' if first else ''}{f' until {last}' if last else ''}"


def _listed(step: Step, factor: Decimal, lots: Sequence[Lot], book: Book) -> tuple[str, str] | None:
    """Return cause and label of the tier, place or version of the price list that costs just as much; None: none."""
    for of_factor, label in TIER_FACTORS:
        if factor == of_factor:
            return TIER, label
    names: list[set[tuple[str, str]]] = []
    held = (lot for lot in lots if step.holds(lot) and lot.cell.cost and lot.ours is not None)
    for _, members in list(_groups(held))[:: max(1, len(lots) // 200)][:3]:
        cells = [lot.cell for lot in members]
        names.append({
            (other.cause, other.label) for other in alternatives_of(cells, book)
            if other.cause != CACHE and all(
                abs(cost - EXACT.multiply(cell.cost or NOTHING, factor)) <= cell.slack
                for cost, cell in zip(other.costs, cells, strict=True)
            )
        })  # fmt: skip
    common = sorted(set.intersection(*names), key=lambda one: (CAUSES.index(one[0]), one[1])) if names else []
    return common[0] if common else None


def _groups(lots: Iterable[Lot]) -> Iterator[tuple[object, list[Lot]]]:
    for key, members in groupby(lots, key=lambda lot: (lot.cell.key.day, lot.cell.key.model)):
        yield key, list(members)
