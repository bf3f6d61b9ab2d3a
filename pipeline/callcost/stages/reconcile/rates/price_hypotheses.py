"""Money first meets tokens here: what the bill asks for the tokens it counts, and which other rates would ask the same.

A hypothesis holds if it gives every amount of a model's day at once, to the rounding of the bill. In the order in which
they are tried: another unit; cached tokens at another class's rate; another tier of the price list, or half or twice
our rates; an uplift for processing in one place, of the price list or of 10 %; another dated version of the price list;
the same part of every amount. What none gives is left to be called unexplained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from callcost.prices.book.book import Book
from callcost.stages.reconcile.case import Case
from callcost.stages.reconcile.cells import NOTHING, Cell, share
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
    Alternative,
    alternatives_of,
    stated_cost,
)
from callcost.tables import EXACT

UNIT = "unit_error"
POWERS = tuple(
    power for places in (2, 3, 6) for power in (Decimal(10) ** places, Decimal(10) ** -places)
)
_SAME_RATIO = Decimal("1e-4")  # relative: two ratios are one
_PERCENT_TOLERANCE = Decimal("0.001")  # of a percent: a factor is a whole percent
_SMALLEST_FACTOR = Decimal("0.05")  # no discount leaves less


def settle_prices(cells: Sequence[Cell], book: Book) -> None:
    """Name what separates the amounts of a model's day from our rates, where one hypothesis gives them all.

    Args:
        cells: cells of one day and model; those without a price of ours are left alone.
        book: prices of the run.
    """
    together = _comparable(cells)
    if not any(cell.is_open for cell in together):
        return
    steps = _first_that_fits(together, book)
    if steps:
        _settle(together, steps)
        return
    for cell in together:  # each on its own: an amount may be wrong where its neighbours are right
        alone = _first_that_fits([cell], book) if cell.is_open and len(together) > 1 else None
        if alone and alone[-1].cause != DISCOUNT:
            _settle([cell], alone)


def settle_stated_rates(case: Case) -> None:
    """Name what separates amounts of calls from ours, where the log says at which rates it was charged.

    A log knows no discount of ours: where that is all the difference, it is no other version of the prices.
    """
    for cell in case.cells():
        stated = stated_cost(cell, case.book) if cell.cost is not None and cell.is_open else None
        if stated and cell.is_off_by(stated.plain - cell.expected):
            cause = DISCOUNT if stated.discounted == cell.cost else VERSION
            cell.settle(cause, NOTHING, stated.plain - cell.expected, stated.label, base=cell.expected)


def amounts_agree(cells: Sequence[Cell], book: Book) -> bool:
    """Tell whether amounts alone, without counts, are those of our own counts at some rates."""
    return not any(cell.is_open for cell in cells) or _first_that_fits(cells, book) is not None


def _comparable(cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.is_token and cell.cost and cell.expected > 0]


def _first_that_fits(cells: Sequence[Cell], book: Book) -> list[Alternative] | None:
    """Return the first hypothesis that gives every amount, as steps from our costs to it."""
    return next((steps for steps in _hypotheses(cells, book) if _fits(cells, steps[-1])), None)


def _hypotheses(cells: Sequence[Cell], book: Book) -> Iterator[list[Alternative]]:
    plain = tuple(cell.expected for cell in cells)
    for power in POWERS:
        yield [_times(UNIT, f"amounts x {power:f}", plain, power)]
    listed = [_for_billed_counts(cells, other) for other in alternatives_of(cells, book)]
    by_cause = {cause: [other for other in listed if other.cause == cause] for cause in CAUSES}
    yield from ([other] for other in by_cause[CACHE])
    yield from ([other] for other in by_cause[TIER])
    yield from ([_times(TIER, label, plain, factor)] for factor, label in TIER_FACTORS)
    yield from ([other] for other in by_cause[REGION])
    yield [_times(REGION, "an uplift of 10 %", plain, UPLIFT)]
    yield [Alternative(REGION, "no uplift of 10 %", tuple(EXACT.divide(cost, UPLIFT) for cost in plain))]
    yield from ([other, _times(REGION, "an uplift of 10 %", other.costs, UPLIFT)] for other in by_cause[TIER])
    yield from ([other] for other in by_cause[VERSION])
    own = _common_factor(cells)
    if own is not None and _is_convincing(own, cells):
        cause = REGION if _is_near(own, UPLIFT) else DISCOUNT
        label = f"every amount x {round(own, 6).normalize():f}"
        yield [_times(cause, label, plain, own)]
        yield from ([other, _times(cause, label, other.costs, own)] for other in listed)


def _times(cause: str, label: str, costs: Sequence[Decimal], factor: Decimal) -> Alternative:
    return Alternative(cause, label, tuple(EXACT.multiply(cost, factor) for cost in costs))


def _for_billed_counts(cells: Sequence[Cell], other: Alternative) -> Alternative:
    """Return an alternative's costs for the quantities of the bill."""
    costs = tuple(
        share(cost, cell.expected, cell.cost or cost) for cell, cost in zip(cells, other.costs, strict=True)
    )
    return other._replace(costs=costs)


def _fits(cells: Sequence[Cell], other: Alternative) -> bool:
    return all(cell.is_off_by(cost - cell.expected) for cell, cost in zip(cells, other.costs, strict=True))


def _common_factor(cells: Sequence[Cell]) -> Decimal | None:
    """Return the factor between our costs and the amounts, the shortest that gives all; None: it is not one."""
    if not cells:
        return None
    largest = max(cells, key=lambda cell: cell.expected)
    read = EXACT.divide(largest.expected + (largest.rest or NOTHING), largest.expected)
    if not (_SMALLEST_FACTOR < read < 1 or _is_near(read, UPLIFT)):
        return None
    plain = [cell.expected for cell in cells]
    short = (round(read, places) for places in range(2, 9))
    return next((factor for factor in short if _fits(cells, _times(DISCOUNT, "", plain, factor))), None)


def _is_convincing(factor: Decimal, cells: Sequence[Cell]) -> bool:
    """Tell whether a factor is more than any two numbers have: it holds for several amounts, or is a whole percent."""
    percent = EXACT.multiply(factor, Decimal(100))
    return len(cells) > 1 or abs(percent - round(percent)) < _PERCENT_TOLERANCE


def _is_near(left: Decimal, right: Decimal) -> bool:
    return abs(left - right) <= EXACT.multiply(abs(right), _SAME_RATIO)


def _settle(cells: Sequence[Cell], steps: Sequence[Alternative]) -> None:
    for number, cell in enumerate(cells):
        before = cell.expected
        for step in steps:
            cost = step.costs[number]
            base = _of_named_tiers(cell, before) if step.label == NAMED_TIERS else before
            cell.settle(step.cause, NOTHING, cost - before, step.label, base=base)
            before = cost


def _of_named_tiers(cell: Cell, cost: Decimal) -> Decimal:
    """Return the part of a cell's cost for tokens of which the bill names a tier."""
    named = sum((count for tier, count in cell.tiers.items() if tier), NOTHING)
    return share(cost, named, sum(cell.tiers.values(), NOTHING))
