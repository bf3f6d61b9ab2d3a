"""Calls that the bill has on another day: days cut in another time zone, and calls near midnight.

Two measurements. All days of a provider together: our calls cut at every half hour of the clock, and the cut that
agrees. And model by model: the calls nearest to midnight, one more at a time, until they are exactly what the one day
has over or the other day lacks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from callcost.logs.bills.lines import DAY
from callcost.stages.reconcile.call_evidence import Evidence, Vector, first_prefix, fits_in
from callcost.stages.reconcile.cells import NOTHING, Cell, Fold, Place

_CAUSE = "day_shift"
_HOUR = DAY // 24
Groups = dict[Place, list[Cell]]


def settle_shifts(groups: Groups, evidence: Evidence, fold: Fold) -> None:
    """Name the tokens that stand on another day of the bill."""
    providers: dict[str, list[Cell]] = defaultdict(list)
    for place, cells in groups.items():
        if place.day is not None:
            providers[place.provider] += [cell for cell in cells if cell.is_token and cell.gap is not None]
    for provider, cells in sorted(providers.items()):
        if _goes_both_ways(cells):
            _settle_zone(provider, cells, evidence, fold)
    for place in sorted((place for place in groups if place.day is not None), key=_order):
        _settle_neighbours(place, groups, evidence, fold)


def _order(place: Place) -> tuple[str, str, int]:
    return place.provider, place.model or "", place.day or 0


def _goes_both_ways(cells: Sequence[Cell]) -> bool:
    gaps = [cell.gap or NOTHING for cell in cells]
    return any(gap > 0 for gap in gaps) and any(gap < 0 for gap in gaps)


def _settle_zone(provider: str, cells: Sequence[Cell], evidence: Evidence, fold: Fold) -> None:
    """Find the zone in which our days are the bill's: it explains more than half of all gaps, in most cells exactly."""
    now = sum((abs(cell.gap or NOTHING) for cell in cells), NOTHING)
    open_cells = [cell for cell in cells if cell.gap]
    best: tuple[Decimal, int] | None = None
    shifted = evidence.shifted(fold, provider)
    for shift, figures in sorted(shifted.items(), key=lambda item: (abs(item[0]), item[0])):
        left = [(cell.gap or NOTHING) - _moved(cell, figures)[0] for cell in cells]
        total = sum(map(abs, left), NOTHING)
        exact = sum(1 for cell, gap in zip(cells, left, strict=True) if cell.gap and not gap)
        if total * 2 < now and exact * 2 > len(open_cells) and (best is None or total < best[0]):
            best = (total, shift)
    if best is None:
        return
    hours = Decimal(best[1]) / _HOUR
    for cell in cells:
        tokens, cost = _moved(cell, shifted[best[1]])
        cell.settle(_CAUSE, tokens, cost, f"the bill's days are those of UTC{hours.normalize():+f} h")


def _moved(cell: Cell, figures: dict[Place, tuple[Decimal, Decimal]]) -> tuple[Decimal, Decimal]:
    quantity, cost = figures.get(cell.place, (NOTHING, NOTHING))
    return quantity - cell.ours, cost - (cell.cost or NOTHING)


def _settle_neighbours(place: Place, groups: Groups, evidence: Evidence, fold: Fold) -> None:
    """Move calls between a day and the next where they are exactly what one of them has over or lacks."""
    day = place.day or 0
    after = place._replace(day=day + DAY)
    if after not in groups:
        return
    here, there = _gaps(groups[place]), _gaps(groups[after])
    if not here or not there:
        return
    for over, lacks, whose, sign in ((_negative(here), there, place, -1), (here, _negative(there), after, 1)):
        if not all(gap >= 0 for gap in over.values()) or not any(gap > 0 for gap in over.values()):
            continue
        if not any(lacks.get(name, NOTHING) > 0 for name, gap in over.items() if gap):
            continue
        calls = evidence.near(fold, whose, whose.day or 0, late=whose is place)
        found = first_prefix(calls, lambda total, over=over, lacks=lacks: _exact(total, over, lacks))  # type: ignore[misc]
        if found:
            _move(groups[place], found, sign)
            _move(groups[after], found, -sign)
            return


def _exact(total: Vector, over: dict[str | None, Decimal], lacks: dict[str | None, Decimal]) -> bool:
    """Say whether calls are all that one day has over, or all that the other lacks and no more than the one has."""
    held = {name: quantity for name, (quantity, _) in total.items() if quantity}
    wanted = {name: gap for name, gap in over.items() if gap}
    missed = {name: gap for name, gap in lacks.items() if gap}
    return held == wanted or (held == missed and fits_in(total, over))


def _gaps(cells: Sequence[Cell]) -> dict[str | None, Decimal]:
    tokens = [cell for cell in cells if cell.is_token]
    known = {cell.place.token_class: cell.gap for cell in tokens if cell.gap is not None}
    return {name: gap for name, gap in known.items() if gap is not None} if any(known.values()) else {}


def _negative(gaps: dict[str | None, Decimal]) -> dict[str | None, Decimal]:
    return {name: -gap for name, gap in gaps.items()}


def _move(cells: Sequence[Cell], calls: Vector, sign: int) -> None:
    for cell in cells:
        quantity, cost = calls.get(cell.place.token_class, (NOTHING, NOTHING))
        if quantity:
            cell.settle(_CAUSE, quantity * sign, cost * sign, "calls near midnight")
