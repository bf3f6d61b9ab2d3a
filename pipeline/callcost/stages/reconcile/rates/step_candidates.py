"""What one factor on a scope of amounts would explain of a provider's bill: the steps that price_steps.py tries.

A step is one factor, or cached tokens at the rate of another class, on every amount of a scope: everything, one model,
class, tier or owner, all the time or since a day. Factors are read from the amounts. A bill that counts shows a price
by itself; without counts, prices are right where they give whole numbers of tokens, as many as the logs let expect.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from callcost.logs.bills.labels import OUTPUT
from callcost.prices.book.book import Book
from callcost.stages.reconcile.cells import NOTHING, Lot, Move
from callcost.stages.reconcile.rates.alternative_prices import CACHE_RATES, UPLIFT, cost_of_class
from callcost.stages.reconcile.rates.lots import Fit, fit_of, whole_tokens
from callcost.tables import EXACT

_ONE = Decimal(1)
_WHOLE_PERCENTS = [*(Decimal(percent).scaleb(-2) for percent in range(99, 5, -1)), UPLIFT]
_LEAST, _MOST = Decimal("0.05"), Decimal(3)  # between these a factor may be a discount or a change of prices
_TRIED = 6  # factors that are looked at, of either kind
_FEW = 3  # amounts that need no factor of their own
_CHANCE = Decimal("0.25")  # of the amounts in its scope that a wrong factor may give whole tokens for
_BROKEN = 20  # an amount that agreed and does not any more weighs so much
NEARLY = Decimal("0.98")
_SCOPES: tuple[tuple[str, ...], ...] = (
    (), ("tier",), ("owner",), ("model",), ("token_class",), ("model", "token_class"),
)  # fmt: skip

_OWNER_SCOPES: tuple[tuple[str, ...], ...] = ((), ("model",))  # what an owner does with a class is nobody's choice

Factor = Callable[[Lot], Decimal | None]  # lot -> what its price is multiplied by; None: it has no such rate


class Step(NamedTuple):
    """A difference of prices, and where it holds.

    Attributes:
        cause: slug of the cause, as in causes.csv.
        label: words that say what is different.
        scope: attribute of lots -> its value; {}: every lot of the provider.
        days: first and last day, in microseconds since 1970; None: open.
        factor: lot -> what its price is multiplied by; None: it has no such rate.
        times: what a token's price is multiplied by, where that is the same for all.
    """

    cause: str
    label: str
    scope: Mapping[str, object]
    days: tuple[int | None, int | None]
    factor: Factor
    times: Decimal | None = None

    def holds(self, lot: Lot) -> bool:
        """Tell whether a lot is in the scope."""
        first, last = self.days
        day = lot.day or 0
        return (
            (first is None or day >= first)
            and (last is None or day <= last)
            and all(_attribute(lot, name) == value for name, value in self.scope.items() if name != "owner")
            and ("owner" not in self.scope or lot.owner == self.owner or self.owner in lot.shares)
        )

    @property
    def owner(self) -> str:
        """Whose amounts it is about; "": it is not about an owner."""
        return str(self.scope.get("owner", ""))

    @property
    def length(self) -> int:
        """How many things it says: that it is, where, since when and until when."""
        return 1 + len(self.scope) + sum(day is not None for day in self.days)


def take(step: Step, lot: Lot) -> Move | None:
    """Give a lot the price that a step makes of its own; None: the step is not about it."""
    factor = step.factor(lot) if step.holds(lot) else None
    if factor is None:
        return None
    lot.price = EXACT.multiply(lot.price, factor)
    owner = step.owner
    if owner not in lot.shares:
        return Move(step.cause, step.label, lot.price)
    part = EXACT.divide(lot.shares[owner].part, lot.mixed)
    lot.split, lot.mixed = (*lot.split, owner), EXACT.multiply(lot.mixed, factor)
    return Move(step.cause, step.label, lot.price, owner, part)


@dataclasses.dataclass(slots=True)
class Candidate:
    """A factor with the scope in which it explains most.

    Attributes:
        score: money that it explains, less what it breaks; less of it where the tokens would be others than ours.
        waste: money in its scope that it leaves unexplained.
        step: what it is; its name is found last.
    """

    score: Decimal
    waste: Decimal
    step: Step


class Value(NamedTuple):
    """What a step does for one amount.

    Attributes:
        lot: the amount.
        money: what is explained (more than 0), broken, or neither.
        fit: how well its price fits where the step is not taken; of an owner's part, where it is.
    """

    lot: Lot
    money: Decimal
    fit: Fit


def find_candidates(
    lots: Sequence[Lot], alternatives: Sequence[Step], known: Iterable[Decimal]
) -> list[list[Candidate]]:
    """Return what one step more would explain of lots at their prices: of each factor, the scopes that it has.

    Args:
        lots: amounts of one provider.
        alternatives: steps that are tried beside the factors of whole amounts, each in all scopes within its own.
        known: factors that are found already, here or of another provider.
    """
    open_lots = [lot for lot in lots if fit_of(lot, lot.price) < Fit.WHOLE]
    factors = _factors(open_lots, known) if len(open_lots) >= _FEW else []
    tried = [Step("", "", {}, (None, None), _same(factor), factor) for factor in factors]
    return [found for step in (*tried, *alternatives) if (found := _best(lots, step))]


def leader(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate that explains most; of those that explain about as much, the one that wastes least."""
    most = max((one.score for one in candidates), default=NOTHING)
    near = [one for one in candidates if one.score >= most * NEARLY]
    return min(near, key=lambda one: (one.waste, len(one.step.scope), -one.score), default=None)


def first_steps(by_factor: Iterable[Sequence[Candidate]]) -> list[Candidate]:
    """Return each factor's leader, and the candidate that says least of it; those that explain most come first."""
    leaders = [(best, group) for group in by_factor if (best := leader(group)) is not None]
    found: list[Candidate] = []
    for best, group in sorted(leaders, key=lambda pair: -pair[0].score):
        shortest = min(group, key=lambda one: (one.step.length, -one.score))
        found += [best] if best is shortest else [best, shortest]
    return found


def explained_by(lots: Sequence[Lot]) -> Decimal:
    """Return the money that prices give to the last digit, less what they move and do not give.

    It is less, too, where the tokens would be others than ours.
    """
    fits = [(lot, fit_of(lot, lot.price)) for lot in lots]
    wasted = sum((lot.amount for lot, fit in fits if fit == Fit.NOT and lot.price != lot.unit), NOTHING)
    right = [lot for lot, fit in fits if fit >= Fit.WHOLE]
    counted = sum((lot.amount for lot in right if lot.quantity is not None), NOTHING)
    uncounted = sum((lot.amount for lot in right if lot.quantity is None), NOTHING)
    return counted + EXACT.divide(uncounted, 1 + _excess(right, _same(_ONE))) - wasted


def _same(factor: Decimal) -> Factor:
    return lambda lot: factor


def cache_alternatives(lots: Sequence[Lot], book: Book) -> list[Step]:
    """Return what makes a price of cached tokens that of another class."""
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
        Step("", label, {}, (None, None), partial(factor, unit=unit, other=other))
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


def _best(lots: Sequence[Lot], step: Step) -> list[Candidate]:
    """Return the scopes, within that of a step, in which its factor explains something."""
    values = []
    in_doubt = _fewer_tokens(lots, step.factor) if step.label else set()
    for lot in lots:
        other = step.factor(lot)
        if other is not None:
            split = step.owner in lot.shares
            before, after = fit_of(lot, lot.price), fit_of(lot, EXACT.multiply(lot.price, other), split=split)
            better = after > before and (after == Fit.COUNTED or (before == Fit.NOT and after == Fit.WHOLE))
            if better or (after != Fit.NOT and id(lot) in in_doubt):
                value = lot.amount
            else:  # whole numbers are no proof that all tokens have one price
                value = NOTHING if after >= before else -lot.amount * (1 if split and before < Fit.COUNTED else _BROKEN)
            values.append(Value(lot, value, after if split else before))
    if sum(one.money > 0 for one in values) < _FEW:
        return []
    found = []
    for names in _OWNER_SCOPES if step.owner else _SCOPES:
        groups: dict[tuple[object, ...], list[Value]] = defaultdict(list)
        for one in values:
            groups[tuple(_attribute(one.lot, name) for name in names)].append(one)
        for key, members in groups.items():
            scope = {**dict(zip(names, key, strict=True)), **step.scope}
            within = _within_days(members, step._replace(scope=scope))
            if within is not None:
                found.append(within)
    return found


def _within_days(values: Sequence[Value], step: Step) -> Candidate | None:
    """Return a candidate on the days on which a step explains most; None: it explains too little."""
    by_day: dict[int, Decimal] = defaultdict(Decimal)
    for lot, money, _ in values:
        by_day[lot.day or 0] += money
    days = sorted(by_day)
    best, start, total, first, last = NOTHING, days[0], NOTHING, days[0], days[0]
    for day in days:
        if total <= 0:
            start, total = day, NOTHING
        total += by_day[day]
        if total > best:
            best, first, last = total, start, day
    inside = [one for one in values if first <= (one.lot.day or 0) <= last]
    helped = [lot for lot, money, _ in inside if money > 0]
    left = [(lot, fit) for lot, money, fit in inside if money == 0 or (money < 0 and fit == Fit.NOT)]
    classes = {one.lot.cell.key.token_class for one in inside}
    if step.owner and len({lot.cell.key.token_class for lot in helped}) < min(2, len(classes)):
        return None  # an owner has a few equal calls of one class, as an hour's writes to the cache
    kinds = {(lot.day, lot.cell.key.model, lot.cell.key.token_class is None and id(lot.cell)) for lot in helped}
    tried = len(helped) + sum(fit < Fit.WHOLE for _, fit in left)
    least = tried * (_CHANCE if not step.scope and (first, last) == (days[0], days[-1]) else 2 * _CHANCE)
    if len(helped) < _FEW or len(helped) < least or len(kinds) < _FEW or _only_halves_tokens(helped, step.factor):
        return None
    first = min(lot.day or 0 for lot in helped)
    opens = None if all(money >= 0 for lot, money, _ in values if (lot.day or 0) < first) else first
    closes = None if all(money >= 0 for lot, money, _ in values if (lot.day or 0) > last) else last
    waste = sum((lot.amount for lot, fit in left if fit == Fit.NOT), NOTHING)
    return Candidate(best / (1 + _excess(helped, step.factor)), waste, step._replace(days=(opens, closes)))


def _excess(lots: Iterable[Lot], factor: Factor) -> Decimal:
    """Return how far the whole tokens of cells without counts are from ours, as a part of ours."""
    cells: dict[int, list[Lot]] = defaultdict(list)
    for lot in lots:
        if lot.quantity is None and lot.cell.ours:
            cells[id(lot.cell)].append(lot)
    apart, ours = NOTHING, NOTHING
    for whole in (members for members in cells.values() if len(members) == len(members[0].cell.lots)):
        prices = ((lot, EXACT.multiply(lot.price, factor(lot) or _ONE)) for lot in whole)
        count = sum((whole_tokens(lot, price) or NOTHING for lot, price in prices), NOTHING)
        apart, ours = apart + abs(count - whole[0].cell.ours), ours + whole[0].cell.ours
    return EXACT.divide(apart, ours) if ours else NOTHING


def _only_halves_tokens(lots: Iterable[Lot], factor: Factor) -> bool:
    """Tell whether a price gives whole tokens that are further from ours than those at twice the price.

    Any mixture of full and half prices is of whole tokens at the half, be it of the list or of what a discount leaves.
    """
    half, full, ours = NOTHING, NOTHING, NOTHING
    for lot in lots:
        times = factor(lot)
        if lot.quantity is None and lot.cell.ours and len(lot.cell.lots) == 1 and times and 2 * times <= 1:
            count = EXACT.divide(lot.amount, EXACT.multiply(lot.price, times))
            half, full, ours = half + count, full + count / 2, ours + lot.cell.ours
    return abs(half - ours) > abs(full - ours)


def _fewer_tokens(lots: Sequence[Lot], factor: Factor) -> set[int]:
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


def _attribute(lot: Lot, name: str) -> object:
    return getattr(lot.cell.key if name in {"model", "token_class"} else lot, name)
