"""What separates the bill's prices from ours over all cells of a provider: a few steps, each of one scope.

A step is one factor, or cached tokens at the rate of another class, on every amount of a scope: everything, one model,
class, tier or owner, all the time or since a day. Candidates are read from the amounts; the one that explains most
money to the last digit is taken, then the next on top of it, until none is left. A bill that counts shows a price by
itself; without counts, prices are right where they give whole numbers of tokens, as many as the logs let expect.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

from callcost.logs.bills.labels import OUTPUT
from callcost.prices.book.book import Book
from callcost.stages.reconcile.case import Case
from callcost.stages.reconcile.cells import NOTHING, Cell, Lot, Part
from callcost.stages.reconcile.rates.alternative_prices import (
    CACHE,
    CACHE_RATES,
    CAUSES,
    DISCOUNT,
    NAMED_TIERS,
    REGION,
    TIER,
    TIER_FACTORS,
    UPLIFT,
    VERSION,
    alternatives_of,
    cost_of_class,
)
from callcost.stages.reconcile.rates.lots import Fit, fit_of, lots_of, whole_tokens
from callcost.tables import EXACT

_ONE = Decimal(1)
_WHOLE_PERCENTS = [*(Decimal(percent).scaleb(-2) for percent in range(99, 5, -1)), UPLIFT]
_LEAST, _MOST = Decimal("0.05"), Decimal(3)  # between these a factor may be a discount or a change of prices
_MOST_STEPS = 12
_TRIED = 6  # factors that are looked at, of either kind
_FEW = 3  # amounts that need no factor of their own
_SAMPLE = 5_000  # amounts that are looked at for candidates
_CHANCE = Decimal("0.25")  # of the amounts in its scope that a wrong factor may give whole tokens for
_BROKEN = 20  # an amount that agreed and does not any more weighs so much
_NEARLY = Decimal("0.98")
_SCOPES: tuple[tuple[str, ...], ...] = (
    (), ("tier",), ("owner",), ("model",), ("token_class",), ("model", "token_class"),
)  # fmt: skip


class Step(NamedTuple):
    """A difference of prices, and where it holds.

    Attributes:
        cause: slug of the cause, as in causes.csv.
        label: words that say what is different.
        scope: attribute of lots -> its value; {}: every lot of the provider.
        days: first and last day, in microseconds since 1970; None: open.
        factor: lot -> what its price is multiplied by; None: it has no such rate.
    """

    cause: str
    label: str
    scope: Mapping[str, object]
    days: tuple[int | None, int | None]
    factor: Callable[[Lot], Decimal | None]

    def holds(self, lot: Lot) -> bool:
        """Tell whether a lot is in the scope."""
        first, last = self.days
        day = lot.day or 0
        return (
            (first is None or day >= first)
            and (last is None or day <= last)
            and all(_attribute(lot, name) == value for name, value in self.scope.items())
        )


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
    for lots in sorted(providers.values(), key=lambda lots: -sum(lot.quantity is not None for lot in lots)):
        found += _settle_provider(lots, case.book, found)


def _attribute(lot: Lot, name: str) -> object:
    return getattr(lot.cell.key if name in {"model", "token_class"} else lot, name)


# --- What is taken ----------------------------------------------------------------------------------------------------


def settle_steps(cell: Cell) -> None:
    """Name what the steps take of a cell's difference, once its tokens are explained."""
    if not any(lot.moves for lot in cell.lots) or not cell.expected:
        return
    counts = [cell.ours if lot.quantity is None else lot.quantity for lot in cell.lots]
    listed = sum((EXACT.multiply(count, lot.unit) for count, lot in zip(counts, cell.lots, strict=True)), NOTHING)
    if abs(listed - cell.expected) > cell.slack:
        plain = EXACT.divide(cell.expected, sum(counts, NOTHING))
        shares = [(lot.owner, count * (lot.unit - plain)) for count, lot in zip(counts, cell.lots, strict=True)]
        cell.settle(TIER, NOTHING, listed - cell.expected, NAMED_TIERS, shares)
    taken: dict[tuple[str, str], list[tuple[str, Decimal]]] = defaultdict(list)
    for count, lot in zip(counts, cell.lots, strict=True):
        price = lot.unit
        for cause, label, then in lot.moves:
            taken[cause, label].append((lot.owner, EXACT.multiply(count, then - price)))
            price = then
    for (cause, label), shares in taken.items():
        cell.settle(cause, NOTHING, sum((amount for _, amount in shares), NOTHING), label, shares)


# --- Candidates -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(slots=True)
class _Candidate:
    """A factor with the scope in which it explains most.

    Attributes:
        score: money that it explains, less what it breaks; less of it where the tokens would be others than ours.
        waste: money in its scope that it leaves unexplained.
        step: what it is; its name is found last.
    """

    score: Decimal
    waste: Decimal
    step: Step


def _settle_provider(lots: Sequence[Lot], book: Book, elsewhere: Iterable[Decimal]) -> list[Decimal]:
    """Apply steps to the lots of a provider until none explains more; return the factors that were found."""
    found: list[Decimal] = []
    alternatives = _alternatives(lots, book)
    sample = lots[:: len(lots) // _SAMPLE + 1]
    for _ in range(_MOST_STEPS):
        open_lots = [lot for lot in sample if fit_of(lot, lot.price) < Fit.WHOLE]
        factors = _factors(open_lots, [*elsewhere, *found]) if len(open_lots) >= _FEW else []
        tried: list[tuple[str, Callable[[Lot], Decimal | None]]] = [("", _same(factor)) for factor in factors]
        known = [_best(sample, label, factor) for label, factor in (*tried, *alternatives)]
        candidates = [one for options in known for one in options]
        if not candidates:
            break
        most = max(one.score for one in candidates)
        near = [one for one in candidates if one.score >= most * _NEARLY]
        best = min(near, key=lambda one: (one.waste, len(one.step.scope), -one.score))
        step = _named(best.step, lots, book)
        if not best.step.label:
            found.append(step.factor(lots[0]) or _ONE)
        for lot in lots:
            factor = step.factor(lot) if step.holds(lot) else None
            if factor is not None:
                lot.price = EXACT.multiply(lot.price, factor)
                lot.moves.append((step.cause, step.label, lot.price))
    return found


def _same(factor: Decimal) -> Callable[[Lot], Decimal | None]:
    return lambda lot: factor


def _alternatives(lots: Sequence[Lot], book: Book) -> list[tuple[str, Callable[[Lot], Decimal | None]]]:
    """Return label -> what makes a price of cached tokens that of another class."""
    classes = {lot.cell.key.token_class for lot in lots}
    known: dict[tuple[int, str], Decimal | None] = {}

    def factor(lot: Lot, unit: str, other: str) -> Decimal | None:
        if lot.cell.key.token_class != unit or lot.part is None:
            return None
        key = id(lot.cell), other
        if key not in known:
            own, asked = (cost_of_class(name, lot.part, book, lot.tier) for name in (unit, other))
            known[key] = EXACT.divide(asked, own) if own and asked and own != asked else None
        return known[key]

    return [
        (label, lambda lot, unit=unit, other=other: factor(lot, unit, other))  # type: ignore[misc]
        for unit, other, label in CACHE_RATES
        if unit in classes
    ]


def _factors(lots: Sequence[Lot], known: Iterable[Decimal]) -> list[Decimal]:
    """Return the factors that amounts are off by, most money first, and those that give whole tokens."""
    votes: Counter[Decimal] = Counter()
    for lot in lots:
        factor = _read_factor(lot)
        if factor is not None:
            votes[factor] += 1
    found = [factor for factor, count in votes.most_common(_TRIED) if count >= _FEW]
    uncounted = [lot for lot in lots if lot.quantity is None and fit_of(lot, lot.price) == Fit.NOT]
    uncounted = sorted(uncounted, key=lambda lot: -lot.amount)[:40]
    for factor in {*known, *_WHOLE_PERCENTS} if len(uncounted) >= _FEW else ():
        whole = sum(fit_of(lot, EXACT.multiply(lot.price, factor)) >= Fit.WHOLE for lot in uncounted)
        if whole >= _FEW and whole >= len(uncounted) * _CHANCE / 2:
            votes[factor] = whole
    uncounted_first = sorted(votes.items(), key=lambda one: (-one[1], -one[0])) if uncounted else ()
    return [*found, *(factor for factor, _ in uncounted_first if factor not in found)][: 2 * _TRIED]


def _read_factor(lot: Lot) -> Decimal | None:
    """Return the shortest factor that gives a lot's amount for its tokens."""
    count = lot.ours if lot.quantity is None else lot.quantity
    if not count:
        return None
    plain = EXACT.multiply(count, lot.price)
    read = EXACT.divide(lot.amount, plain)
    if not _LEAST < read < _MOST:
        return None
    short = (round(read, places) for places in range(2, 9))
    return next((one for one in short if abs(EXACT.multiply(plain, one) - lot.amount) <= lot.cell.slack), None)


def _best(lots: Sequence[Lot], label: str, factor: Callable[[Lot], Decimal | None]) -> list[_Candidate]:
    """Return the scopes in which a factor explains something."""
    values: list[tuple[Lot, Decimal]] = []  # money that is explained (more than 0), broken, or neither
    in_doubt = _fewer_tokens(lots, factor) if label else set()
    for lot in lots:
        other = factor(lot)
        if other is not None:
            before, after = fit_of(lot, lot.price), fit_of(lot, EXACT.multiply(lot.price, other))
            better = after > before and (after == Fit.COUNTED or (before == Fit.NOT and after == Fit.WHOLE))
            if better or (after != Fit.NOT and id(lot) in in_doubt):
                values.append((lot, lot.amount))
            else:
                values.append((lot, -_BROKEN * lot.amount if after < before else NOTHING))
    if sum(value > 0 for _, value in values) < _FEW:
        return []
    found = []
    for names in _SCOPES:
        groups: dict[tuple[object, ...], list[tuple[Lot, Decimal]]] = defaultdict(list)
        for lot, value in values:
            groups[tuple(_attribute(lot, name) for name in names)].append((lot, value))
        for key, members in groups.items():
            one = _within_days(members, label, factor, dict(zip(names, key, strict=True)))
            if one is not None:
                found.append(one)
    return found


def _within_days(
    values: Sequence[tuple[Lot, Decimal]], label: str, factor: Callable[[Lot], Decimal | None],
    scope: Mapping[str, object],
) -> _Candidate | None:  # fmt: skip
    """Return a candidate on the days on which it explains most; None: it explains too little."""
    by_day: dict[int, Decimal] = defaultdict(Decimal)
    for lot, value in values:
        by_day[lot.day or 0] += value
    days = sorted(by_day)
    best, start, total, first, last = NOTHING, days[0], NOTHING, days[0], days[0]
    for day in days:
        if total <= 0:
            start, total = day, NOTHING
        total += by_day[day]
        if total > best:
            best, first, last = total, start, day
    inside = [(lot, value) for lot, value in values if first <= (lot.day or 0) <= last]
    helped = [lot for lot, value in inside if value > 0]
    left = [(lot, fit_of(lot, lot.price)) for lot, value in inside if value == 0]
    kinds = {(lot.day, lot.cell.key.model, lot.cell.key.token_class is None and id(lot.cell)) for lot in helped}
    tried = len(helped) + sum(fit < Fit.WHOLE for _, fit in left)
    least = tried * (_CHANCE if not scope and (first, last) == (days[0], days[-1]) else 2 * _CHANCE)
    if len(helped) < _FEW or len(helped) < least or len(kinds) < _FEW:
        return None
    first = min(lot.day or 0 for lot in helped)
    opens = None if all(value >= 0 for lot, value in values if (lot.day or 0) < first) else first
    closes = None if all(value >= 0 for lot, value in values if (lot.day or 0) > last) else last
    waste = sum((lot.amount for lot, fit in left if fit == Fit.NOT), NOTHING)
    return _Candidate(best / (1 + _excess(helped, factor)), waste, Step("", label, scope, (opens, closes), factor))


def _excess(lots: Iterable[Lot], factor: Callable[[Lot], Decimal | None]) -> Decimal:
    """Return how far the whole tokens of lots without counts are from ours, as a part of ours."""
    apart, ours = NOTHING, NOTHING
    for lot in lots:
        if lot.quantity is None and lot.ours:
            count = round(EXACT.divide(lot.amount, EXACT.multiply(lot.price, factor(lot) or _ONE)))
            apart, ours = apart + abs(count - lot.ours), ours + lot.ours
    return EXACT.divide(apart, ours) if ours else NOTHING


def _fewer_tokens(lots: Sequence[Lot], factor: Callable[[Lot], Decimal | None]) -> set[int]:
    """Return the lots without counts whose tokens fit those of the logs better at another rate.

    Prompts are to answers as the logs have them: cached tokens at the rate of input look like ten times as many.
    """
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for lot in lots:
        if lot.quantity is None:
            kind = "answers" if lot.cell.key.token_class == OUTPUT else "prompts"
            sums[f"our {kind}"] += lot.cell.ours if lot is lot.cell.lots[0] else NOTHING
            sums[kind] += whole_tokens(lot, lot.price) or NOTHING
    if not sums["our answers"] or not sums["our prompts"] or not sums["answers"]:
        return set()
    doubted = [lot for lot in lots if lot.quantity is None and factor(lot) is not None]
    more = NOTHING
    for lot in doubted:
        other = whole_tokens(lot, EXACT.multiply(lot.price, factor(lot) or _ONE))
        more += (other or NOTHING) - (whole_tokens(lot, lot.price) or NOTHING)
    answers = EXACT.divide(sums["answers"], sums["our answers"])
    now, then = (abs(EXACT.divide(prompts, sums["our prompts"]) - answers)
                 for prompts in (sums["prompts"], sums["prompts"] + more))  # fmt: skip
    return {id(lot) for lot in doubted} if now - then > max(then, answers / 5) else set()


# --- Names ------------------------------------------------------------------------------------------------------------


def _named(step: Step, lots: Sequence[Lot], book: Book) -> Step:
    """Give a step its cause and its words."""
    where = _words(step)
    if step.label:
        return step._replace(cause=CACHE, label=step.label + where)
    factor = step.factor(lots[0]) or _ONE
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
