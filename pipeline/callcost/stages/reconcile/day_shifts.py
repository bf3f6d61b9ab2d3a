"""Calls that the bill has on another day: days cut in another time zone, and calls near midnight.

Two measurements. All days of a provider together: our calls cut at every half hour of the clock, and the cut that
agrees. And model by model: the calls nearest to midnight, one more at a time, until they are exactly what the one day
has over or the other day lacks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from callcost.logs.bills.lines import DAY
from callcost.stages.reconcile.call_evidence import SHIFTS, first_prefix, fits_in
from callcost.stages.reconcile.case import Case
from callcost.stages.reconcile.cells import NOTHING, Cell, CellKey, Vector, settle_vector
from callcost.stages.reconcile.exact_days import find_agreement

_CAUSE = "day_shift"
_HOUR = DAY // 24


def settle_shifts(case: Case) -> None:
    """Name the tokens that stand on another day of the bill."""
    dated = {key: cells for key, cells in case.token_cells() if key.day is not None}
    providers: dict[str, list[Cell]] = defaultdict(list)
    for key, cells in dated.items():
        providers[key.provider] += [cell for cell in cells if cell.gap is not None]
    apart = {name: cells for name, cells in providers.items() if any(cell.gap for cell in cells)}
    case.agreements = {name: found for name, cells in apart.items() if (found := find_agreement(name, cells, case))}
    known = {found.shift for found in case.agreements.values() if found.shift}
    common = known.pop() if len(known) == 1 else 0  # a log has one time zone
    for provider, cells in apart.items():
        agreed = case.agreements.get(provider)
        shift = common or _zone_of_gaps(provider, cells, case) if agreed is None else agreed.shift
        if shift:
            _settle_zone(provider, cells, shift, case)
    for key in dated:
        _settle_neighbours(key, key._replace(day=(key.day or 0) + DAY), dated, case)


def _zone_of_gaps(provider: str, cells: Sequence[Cell], case: Case) -> int:
    """Return the zone in which our days are the bill's: it explains more than half of all gaps, in most cells exactly.

    Returns:
        Microseconds by which its days begin earlier; 0: there is none.
    """
    gaps = [cell.gap or NOTHING for cell in cells]
    if not min(gaps, default=NOTHING) < 0 < max(gaps, default=NOTHING):
        return 0
    best, limit = 0, sum(map(abs, gaps), NOTHING) / 2
    shifted = case.evidence.by_time_zone(case.grain, provider, SHIFTS)
    for shift, figures in sorted(shifted.items(), key=lambda item: (abs(item[0]), item[0])):
        left = [gap - _moved(cell, figures)[0] for cell, gap in zip(cells, gaps, strict=True)]
        total = sum(map(abs, left), NOTHING)
        exact = sum(1 for gap, remaining in zip(gaps, left, strict=True) if gap and not remaining)
        if total < limit and exact * 2 > sum(map(bool, gaps)):
            best, limit = shift, total
    return best


def _settle_zone(provider: str, cells: Sequence[Cell], shift: int, case: Case) -> None:
    """Move our calls to the days of a zone."""
    case.evidence.shifts[provider] = shift
    figures = case.evidence.by_time_zone(case.grain, provider, (shift,))[shift]
    hours = (Decimal(shift) / _HOUR).normalize()
    for cell in cells:
        cell.settle(_CAUSE, *_moved(cell, figures), f"the bill's days are those of UTC{hours:+f} h")


def _moved(cell: Cell, figures: Mapping[CellKey, Vector]) -> tuple[Decimal, Decimal]:
    """Return how much more a cell has, and what that costs, with days cut elsewhere."""
    vector = figures.get(cell.key._replace(token_class=None), {})
    quantity, cost = vector.get(cell.key.token_class, (NOTHING, NOTHING))
    return quantity - cell.ours, cost - (cell.cost or NOTHING)


def _settle_neighbours(day: CellKey, after: CellKey, dated: Mapping[CellKey, Sequence[Cell]], case: Case) -> None:
    """Move calls between a day and the next where they are exactly what one of them has over or lacks."""
    here, there = _gaps(dated[day]), _gaps(dated.get(after, ()))
    for over, lacks, origin, sign in ((_negative(here), there, day, -1), (here, _negative(there), after, 1)):
        if not any(lacks.get(name, NOTHING) > 0 for name, gap in over.items() if gap) or min(over.values()) < 0:
            continue
        calls = case.evidence.calls_by_time(case.grain, origin, late=origin is day)
        found = first_prefix(calls, lambda total, over=over, lacks=lacks: _is_exact(total, over, lacks))  # type: ignore[misc]
        if found:
            settle_vector(dated[day], _CAUSE, found, sign, "calls near midnight")
            settle_vector(dated[after], _CAUSE, found, -sign, "calls near midnight")
            return


def _is_exact(total: Vector, over: dict[str | None, Decimal], lacks: dict[str | None, Decimal]) -> bool:
    """Tell whether calls are all that one day has over, or all that the other lacks and no more than the one has."""
    moved = {name: quantity for name, (quantity, _) in total.items() if quantity}
    extra, missing = ({name: gap for name, gap in gaps.items() if gap} for gaps in (over, lacks))
    return moved == extra or (moved == missing and fits_in(total, over))


def _gaps(cells: Sequence[Cell]) -> dict[str | None, Decimal]:
    return {cell.key.token_class: cell.gap for cell in cells if cell.gap is not None}


def _negative(gaps: dict[str | None, Decimal]) -> dict[str | None, Decimal]:
    return {name: -gap for name, gap in gaps.items()}
