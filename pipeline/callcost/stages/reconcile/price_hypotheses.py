"""Money first meets tokens here: what the bill asks for the tokens it counts, and which other rates would ask the same.

A hypothesis holds if it gives every amount of a model's day at once, to the rounding of the bill. Hypotheses are tried
in the order of ``HYPOTHESES``; what none gives is left, and said to be unexplained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from callcost.prices.book.book import Book
from callcost.stages.reconcile.alternative_prices import REGION, TIER, UPLIFT, VERSION, Rival, rivals_of, stated_cost
from callcost.stages.reconcile.cells import EXACT, NOTHING, Cell

UNIT, DISCOUNT = "unit_error", "discount"
HYPOTHESES = (
    (UNIT, "the bill's amounts are 100, 1,000 or 1,000,000 times ours, or that part of them"),
    (TIER, "the amounts are those of another tier of the price list, or half or twice ours"),
    (REGION, "the amounts hold an uplift for processing in one place, of the price list or of 10 %"),
    (VERSION, "the amounts are those of another dated version of the price list"),
    (DISCOUNT, "every amount is the same part of ours"),
)
POWERS = tuple(
    power for places in (2, 3, 6) for power in (Decimal(10) ** places, Decimal(10) ** -places)
)
# What a batch and what a priority tier cost where the price list says nothing of them.
_TIER_FACTORS = ((Decimal("0.5"), "half of every rate, as a batch"), (Decimal(2), "twice every rate, as priority"))
_NEAR = Decimal("1e-6")  # relative: two ratios are one
_LEAST = Decimal("0.05")  # no discount leaves less


class Step(NamedTuple):
    """One cause, and what each cell costs once it is taken in.

    Attributes:
        cause: of the difference to the step before.
        label: evidence.
        costs: of the cells.
    """

    cause: str
    label: str
    costs: tuple[Decimal, ...]


def settle_prices(cells: Sequence[Cell], book: Book, factors: Sequence[Decimal]) -> None:
    """Name what separates the amounts of a model's day from our rates, where one hypothesis gives them all.

    Args:
        cells: of one day and model; those without a price of ours are left alone.
        book: of the run.
        factors: discounts and uplifts seen elsewhere on this provider's bill.
    """
    together = [cell for cell in cells if cell.rest is not None and cell.is_token and cell.cost and cell.expected > 0]
    if not any(cell.is_open for cell in together):
        return
    steps = _agreeing(together, book, factors)
    if steps:
        _settle(together, steps)
        return
    for cell in together:  # each on its own: an amount may be wrong where its neighbours are right
        alone = _agreeing([cell], book, ()) if cell.is_open and len(together) > 1 else None
        if alone and alone[-1].cause != DISCOUNT:
            _settle([cell], alone)


def settle_stated(cell: Cell, book: Book) -> None:
    """Name what separates a call's amount from ours, where its log says at which rates it was charged.

    A log knows no discount of ours: where that is all the difference, it is no other version of the prices.
    """
    stated = stated_cost(cell, book) if cell.cost is not None and cell.is_open else None
    if stated is None or cell.amount is None or abs(cell.amount - stated.plain) > cell.slack:
        return
    cause = DISCOUNT if stated.discounted == cell.cost else VERSION
    cell.settle(cause, NOTHING, stated.plain - cell.expected, stated.label)


def agrees(cells: Sequence[Cell], book: Book) -> bool:
    """Say whether amounts alone, without counts, are those of our own counts at some rates."""
    priced = [cell for cell in cells if cell.rest is not None and cell.cost]
    return not any(cell.is_open for cell in priced) or bool(_agreeing(priced, book, ()))


def factors_of(groups: Iterable[tuple[str, Sequence[Cell]]]) -> dict[str, list[Decimal]]:
    """Return the factors that hold for whole days of a provider: how many, most common first.

    Args:
        groups: (provider, cells of a day and model).
    """
    votes: dict[str, dict[Decimal, int]] = defaultdict(lambda: defaultdict(int))
    for provider, cells in groups:
        priced = [cell for cell in cells if cell.rest is not None and cell.is_token and cell.expected > 0 and cell.cost]
        factor = _own_factor(priced)
        if factor is not None and any(cell.is_open for cell in priced):
            near = next((known for known in votes[provider] if _is_near(known, factor)), factor)
            votes[provider][near] += len(priced)
    return {
        provider: sorted((factor for factor, count in known.items() if count > 1), key=lambda one: (-known[one], one))
        for provider, known in votes.items()
    }


def _agreeing(cells: Sequence[Cell], book: Book, factors: Sequence[Decimal]) -> list[Step] | None:
    """Return the first hypothesis that gives every amount."""
    return next((steps for steps in _hypotheses(cells, book, factors) if _fits(cells, steps[-1])), None)


def _hypotheses(cells: Sequence[Cell], book: Book, factors: Sequence[Decimal]) -> Iterator[list[Step]]:
    plain = tuple(cell.expected for cell in cells)
    for power in POWERS:
        yield [_times(UNIT, f"amounts x {power:f}", plain, power)]
    rivals = [_at_billed(cells, rival) for rival in rivals_of(cells, book)]
    by_cause = {cause: [rival for rival in rivals if rival.cause == cause] for cause, _ in HYPOTHESES}
    yield from ([rival] for rival in by_cause[TIER])
    yield from ([_times(TIER, label, plain, factor)] for factor, label in _TIER_FACTORS)
    yield from ([rival] for rival in by_cause[REGION])
    yield [_times(REGION, "an uplift of 10 %", plain, UPLIFT)]
    yield [Step(REGION, "no uplift of 10 %", tuple(EXACT.divide(cost, UPLIFT) for cost in plain))]
    for rival in by_cause[TIER]:
        yield [rival, _times(REGION, "an uplift of 10 %", rival.costs, UPLIFT)]
    yield from ([rival] for rival in by_cause[VERSION])
    own = _own_factor(cells)
    for factor in [*factors, *([own] if own is not None and _is_told(own, cells) else [])]:
        cause = REGION if _is_near(factor, UPLIFT) else DISCOUNT
        if factor < 1 or cause == REGION:
            label = f"every amount x {_shown(factor)}"
            yield [_times(cause, label, plain, factor)]
            yield from ([rival, _times(cause, label, rival.costs, factor)] for rival in rivals)


def _times(cause: str, label: str, costs: Sequence[Decimal], factor: Decimal) -> Step:
    return Step(cause, label, tuple(EXACT.multiply(cost, factor) for cost in costs))


def _at_billed(cells: Sequence[Cell], rival: Rival) -> Step:
    """Return a rival's costs for the quantities of the bill."""
    costs = tuple(
        cost if cell.expected == cell.cost else EXACT.divide(EXACT.multiply(cost, cell.expected), cell.cost or 1)
        for cell, cost in zip(cells, rival.costs, strict=True)
    )
    return Step(rival.cause, rival.label, costs)


def _fits(cells: Sequence[Cell], step: Step) -> bool:
    return all(
        cell.amount is not None and abs(cell.amount - cost) <= cell.slack
        for cell, cost in zip(cells, step.costs, strict=True)
    )


def _own_factor(cells: Sequence[Cell]) -> Decimal | None:
    """Return the factor between our costs and the amounts, the shortest that gives all; None: it is not one."""
    if not cells:
        return None
    largest = max(cells, key=lambda cell: cell.expected)
    read = EXACT.divide(largest.amount or NOTHING, largest.expected)
    if not (_LEAST < read < 1 or _is_near(read, UPLIFT)):
        return None
    short = (read.quantize(Decimal(1).scaleb(-places), context=EXACT) for places in range(2, 9))
    found = next((factor for factor in short if all(_gives(cell, factor) for cell in cells)), None)
    return None if found == 1 else found


def _gives(cell: Cell, factor: Decimal) -> bool:
    return abs((cell.amount or NOTHING) - EXACT.multiply(cell.expected, factor)) <= cell.slack


def _is_told(factor: Decimal, cells: Sequence[Cell]) -> bool:
    """Say whether a factor is more than any two numbers have: it holds for several amounts, or is a whole percent."""
    percent = EXACT.multiply(factor, Decimal(100))
    return len(cells) > 1 or abs(percent - round(percent)) < Decimal("0.001")


def _is_near(left: Decimal, right: Decimal) -> bool:
    return abs(left - right) <= EXACT.multiply(abs(right), Decimal("1e-4"))


def _shown(factor: Decimal) -> str:
    return f"{factor.quantize(_NEAR).normalize():f}"


def _settle(cells: Sequence[Cell], steps: Sequence[Step]) -> None:
    for number, cell in enumerate(cells):
        before = cell.expected
        for step in steps:
            cost = step.costs[number]
            cell.settle(step.cause, NOTHING, cost - before, step.label)
            before = cost
