"""Where a difference comes from: the rules, in the order in which they are asked.

Each rule measures one cause on evidence of its own and takes only what it measured; tokens come before money. What all
rules leave is called unexplained, so that no rule is ever the plug of another. ``RULES`` is the table.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from callcost.logs.bills.labels import (
    CACHE_READ,
    CACHE_WRITE,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    INPUT,
    OUTPUT,
    TOKEN_CLASSES,
)
from callcost.prices.book.book import Book
from callcost.stages.reconcile.call_evidence import Evidence, Vector
from callcost.stages.reconcile.cells import EXACT, NOTHING, Cell, Fold, Place
from callcost.stages.reconcile.day_shifts import settle_shifts
from callcost.stages.reconcile.price_hypotheses import HYPOTHESES, POWERS, UNIT, agrees, factors_of, settle_prices

_CACHES = (CACHE_READ, CACHE_WRITE, CACHE_WRITE_5M, CACHE_WRITE_1H)
_ROUGHLY = Decimal("0.001")


@dataclasses.dataclass(slots=True)
class Case:
    """A comparison while it is explained.

    Attributes:
        groups: the cells of each day, provider and model.
        evidence: of single calls.
        fold: of our names into the bill's.
        book: that priced our side.
    """

    groups: dict[Place, list[Cell]]
    evidence: Evidence
    fold: Fold
    book: Book

    def token_cells(self) -> Iterator[tuple[Place, list[Cell]]]:
        """Yield the groups, only their cells of tokens."""
        for place, cells in self.groups.items():
            yield place, [cell for cell in cells if cell.is_token]


class Rule(NamedTuple):
    """One rule: the causes that it may name, what it takes for evidence, and how it measures."""

    causes: tuple[str, ...]
    evidence: str
    settle: Callable[[Case], None]


def group_cells(cells: dict[Place, Cell]) -> dict[Place, list[Cell]]:
    """Bring the cells of each day, provider and model together, in order."""
    groups: dict[Place, list[Cell]] = defaultdict(list)
    for place, cell in sorted(cells.items(), key=lambda item: _order(item[0])):
        groups[place._replace(token_class=None)].append(cell)
    return dict(groups)


def _order(place: Place) -> tuple[int, str, str, str]:
    return (-1 if place.day is None else place.day), place.provider, place.model or "", place.token_class or ""


def explain(case: Case) -> None:
    """Apply every rule; afterwards no difference is left without a name."""
    for rule in RULES:
        rule.settle(case)


# --- Tokens -----------------------------------------------------------------------------------------------------------


def settle_unpriced(case: Case) -> None:
    """Take what the bill asks for tokens that we have and cannot price."""
    for _, cells in case.token_cells():
        for cell in cells:
            if cell.cost is None and cell.unpriced and cell.rest:
                ours = min(cell.ours, cell.billed) if cell.billed else cell.ours
                part = EXACT.divide(ours, cell.billed) if cell.billed else Decimal(1)
                cell.settle("unpriced_model", NOTHING, EXACT.multiply(cell.rest, part), "our calls have no price")


def settle_units(case: Case) -> None:
    """Take counts that are ours in another unit."""
    for _, cells in case.token_cells():
        known = [cell for cell in cells if cell.ours > 0 and cell.billed]
        for power in POWERS:
            if known and all(_is_times(cell.billed or NOTHING, cell.ours, power) for cell in known):
                for cell in known:
                    wrong = bool(cell.cost and _is_times(cell.amount or NOTHING, cell.cost, power))
                    cell.settle(UNIT, cell.gap or NOTHING, cell.rest if wrong else NOTHING, f"counts x {power:f}")
                break


def _is_times(billed: Decimal, ours: Decimal, power: Decimal) -> bool:
    return abs(billed - ours * power) <= ours * power * _ROUGHLY


def settle_implied(case: Case) -> None:
    """Read counts from amounts where the bill states none: whole tokens at our rates, unless other rates fit."""
    for _, cells in case.token_cells():
        stated = [cell for cell in cells if cell.amount is not None and cell.cost and cell.ours > 0]
        if not stated or any(cell.gap is not None or cell.place.token_class is None for cell in cells):
            continue
        if agrees(stated, case.book):
            continue
        counts = [_whole_tokens(cell) for cell in stated]
        if all(count is not None for count in counts):
            for cell, count in zip(stated, counts, strict=True):
                cell.gap, cell.implied = (count or NOTHING) - cell.ours, True


def _whole_tokens(cell: Cell) -> Decimal | None:
    cost, amount = cell.cost or Decimal(1), cell.amount or NOTHING
    count = Decimal(round(EXACT.divide(EXACT.multiply(amount, cell.ours), cost)))
    return count if abs(EXACT.divide(EXACT.multiply(count, cost), cell.ours) - amount) <= cell.slack else None


def settle_copies(case: Case) -> None:
    """Take calls that are in the logs twice, and days or calls that the bill has twice."""
    copies = case.evidence.copies(case.fold)
    for place, cells in case.token_cells():
        if not _are_counted(cells):
            continue
        copied = copies.get(place)
        room = {cell.place.token_class: -(cell.gap or NOTHING) for cell in cells}
        if copied and all(amount <= room.get(name, NOTHING) for name, (amount, _) in copied.items()):
            _settle_vector(cells, "duplicates", copied, -1, "calls logged twice under different names")
        elif any((cell.gap or NOTHING) > 0 for cell in cells):
            _settle_billed_twice(case, place, cells)


def _settle_billed_twice(case: Case, place: Place, cells: Sequence[Cell]) -> None:
    """Take what the bill has again: every call, or exactly one. Where calls are all alike, no count can tell."""
    if place.day is None:
        return
    calls = case.evidence.near(case.fold, place, place.day, late=True)
    counts = [{name: held[0] for name, held in call.items()} for call in calls]
    if all(count == counts[0] for count in counts):
        return
    held = [cell for cell in cells if cell.ours > 0]
    times = {EXACT.divide(cell.gap or NOTHING, cell.ours) for cell in held}
    missing: dict[str | None, Decimal] = {cell.place.token_class: cell.gap for cell in cells if cell.gap}
    if len(held) > 1 and len(missing) == len(held) and len(times) == 1 and (ratio := times.pop()) == int(ratio):
        whole = {cell.place.token_class: (cell.gap or NOTHING, (cell.cost or NOTHING) * ratio) for cell in held}
        _settle_vector(cells, "duplicates", whole, 1, f"the bill has every call {int(ratio) + 1} times")
    elif len(missing) > 1 and counts.count(missing) == 1:
        _settle_vector(cells, "duplicates", calls[counts.index(missing)], 1, "the bill has just one logged call more")


def settle_runs(case: Case) -> None:
    """Take sampling runs of a call that only one side has."""
    hidden = case.evidence.runs(case.fold)
    for place, cells in case.token_cells():
        if not _are_counted(cells):
            continue
        gaps = {cell.place.token_class: cell.gap or NOTHING for cell in cells}
        for runs in hidden:
            vector = {name: held for name, held in runs.get(place, {}).items() if held[0]}
            for sign in (-1, 1):
                if vector and all(gaps.get(name) == held[0] * sign for name, held in vector.items()):
                    who = "the bill lacks" if sign < 0 else "the bill has once more"
                    _settle_vector(cells, "missing_iterations", vector, sign, f"{who} further runs of our calls")
                    gaps = {cell.place.token_class: cell.gap or NOTHING for cell in cells}


def settle_caches(case: Case) -> None:
    """Take cached tokens that one side counts twice, as plain input, or not at all: the answers agree."""
    for _, cells in case.token_cells():
        by_class = {cell.place.token_class: cell for cell in cells}
        gaps = {name: cell.gap or NOTHING for name, cell in by_class.items()}
        if not _are_counted(cells) or (INPUT not in by_class and not any(name in gaps for name in _CACHES)):
            continue
        caches = [name for name in _CACHES if gaps.get(name)]
        cached = [total for total in _cached_totals(by_class) if total]
        twice = not caches and abs(gaps.get(INPUT, NOTHING)) in cached
        calls_agree = not gaps.get(OUTPUT) and any(cell.ours for cell in cells) and OUTPUT in gaps
        if twice or (calls_agree and caches and by_class[OUTPUT].ours):
            label = "cached tokens counted as input, too" if twice else "answers agree, cached tokens do not"
            for name in (INPUT, *caches):
                if gaps.get(name):
                    cell = by_class[name]
                    cell.settle("cache", gaps[name], cell.value(gaps[name]), label)


def _cached_totals(cells: dict[str | None, Cell]) -> Iterator[Decimal]:
    """Yield what of the prompt was cached, on either side: reads, writes, both."""
    known = [(name, cells[name]) for name in _CACHES if name in cells]
    for figures in ({name: cell.ours for name, cell in known}, {name: cell.billed or NOTHING for name, cell in known}):
        read = figures.pop(CACHE_READ, NOTHING)
        written = sum(figures.values(), NOTHING)
        yield from (read, written, read + written)


def _are_counted(cells: Sequence[Cell]) -> bool:
    known = all(cell.gap is not None or not cell.ours for cell in cells)
    return known and any(cell.gap for cell in cells)


def _settle_vector(cells: Sequence[Cell], cause: str, vector: Vector, sign: int, evidence: str) -> None:
    for cell in cells:
        quantity, cost = vector.get(cell.place.token_class, (NOTHING, NOTHING))
        if quantity:
            cell.settle(cause, quantity * sign, cost * sign, evidence)


def settle_tools(case: Case) -> None:
    """Take what is charged beside tokens, wherever the two sides do not agree."""
    for cells in case.groups.values():
        for cell in cells:
            if not cell.is_token and cell.unpriced and not cell.gap and cell.is_open:
                cell.settle("unpriced_model", NOTHING, cell.rest, "our price list names no fee")
            elif not cell.is_token and (cell.gap or cell.is_open):
                cell.settle("server_tools", cell.gap or NOTHING, cell.rest, "charged beside tokens")
            elif cell.place.token_class is None and cell.is_open:
                tools = (part.cost or NOTHING for part in cell.parts if part.token_class not in TOKEN_CLASSES)
                fees = sum(tools, NOTHING)
                if fees and abs((cell.rest or NOTHING) + fees) <= cell.slack:
                    cell.settle("server_tools", NOTHING, cell.rest, "the bill lacks our server tools")


def settle_missing(case: Case) -> None:
    """Take tokens that only one side has, after all that could be said of them."""
    for _, cells in case.token_cells():
        for cell in cells:
            if cell.gap:
                cause = "billed_not_logged" if cell.gap > 0 else "logged_not_billed"
                amount = cell.rest if _explains_rest(cell) else cell.value(cell.gap)
                cell.settle(cause, cell.gap, amount, _who_lacks(cell))
            elif cell.gap is None and cell.rest and not cell.ours:
                cell.settle("billed_not_logged", NOTHING, cell.rest, "no call in the logs")
            elif cell.gap is None and cell.rest and cell.amount == 0:
                cell.settle("logged_not_billed", NOTHING, cell.rest, "nothing on the bill")


def _explains_rest(cell: Cell) -> bool:
    """Say whether a row of all classes together asks a price for its missing tokens that its model has."""
    if cell.place.token_class is not None or not cell.gap or cell.rest is None:
        return False
    rates = [part.cost / part.quantity for part in cell.parts if part.cost and part.quantity]
    return bool(rates) and min(rates) <= cell.rest / cell.gap <= max(rates)


def _who_lacks(cell: Cell) -> str:
    if not cell.ours:
        return "no call in the logs"
    if not cell.billed and not cell.implied:
        return "nothing on the bill"
    return "counted from the amount" if cell.implied else "the counts differ"


# --- Money ------------------------------------------------------------------------------------------------------------


def settle_rates(case: Case) -> None:
    """Take what other rates would ask for the same tokens."""
    groups = [(place.provider, cells) for place, cells in case.token_cells()]
    factors = factors_of(groups)
    for provider, cells in groups:
        settle_prices(cells, case.book, factors.get(provider, ()))


def settle_rounding(case: Case) -> None:
    """Take what the bill's last place can hide."""
    for cells in case.groups.values():
        for cell in cells:
            if cell.rest and not cell.is_open:
                cell.settle("rounding", NOTHING, cell.rest, "less than the bill's last place")


def settle_leftovers(case: Case) -> None:
    """Take what is left of rows whose calls are in part unpriced, and call the rest unexplained."""
    for cells in case.groups.values():
        for cell in cells:
            if cell.unpriced and cell.rest and cell.rest > 0:
                cell.settle("unpriced_model", NOTHING, cell.rest, "calls of the row have no price")
            if cell.rest or cell.gap:
                cell.settle("unexplained", cell.gap or NOTHING, cell.rest, "no rule gives this amount")


RULES = (
    Rule(("unpriced_model",), "we have the tokens and no price", settle_unpriced),
    Rule(("unit_error",), "every count is 100, 1,000 or 1,000,000 times ours, or that part", settle_units),
    Rule((), "counts are whole tokens of the amounts, where the bill has none", settle_implied),
    Rule(
        ("day_shift",),
        "the days agree if they are cut in another zone, or the calls nearest to midnight are what one day has over",
        lambda case: settle_shifts(case.groups, case.evidence, case.fold),
    ),
    Rule(("duplicates",), "calls with one response id, or one moment and counts; calls billed twice", settle_copies),
    Rule(("missing_iterations",), "the gap is what further runs of our calls hold, in every class", settle_runs),
    Rule(("cache",), "answers agree and cached tokens do not, or input differs by just the cached", settle_caches),
    Rule(("server_tools",), "the row is charged beside tokens", settle_tools),
    Rule(("billed_not_logged", "logged_not_billed"), "tokens that only one side has", settle_missing),
    Rule(tuple(cause for cause, _ in HYPOTHESES), "tokens agree and one hypothesis gives all amounts", settle_rates),
    Rule(("rounding",), "less than half the last place of the bill's amounts, per line", settle_rounding),
    Rule(("unexplained",), "what is left", settle_leftovers),
)
# Causes that are lines of their own on a bill: unmapped_line_item (also taxes and commitments), discount (credits).
CAUSES = (
    "billed_not_logged", "logged_not_billed", "duplicates", "day_shift", "unit_error", "cache", "missing_iterations",
    "server_tools", "tier_or_batch", "region_uplift", "price_version", "discount", "unpriced_model",
    "unmapped_line_item", "rounding", "unexplained",
)  # fmt: skip
