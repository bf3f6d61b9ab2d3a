"""Factors on the tokens of one owner alone: one key's batch, also where amounts are for the tokens of several keys.

An amount is g x (1 + w x (f - 1)) of what its tokens cost at our rates: w is what the owner has of it, as the bill's
owners and counts or the logs say, f the owner's factor, and g what is on everybody's tokens of this model and class, a
discount or a change of prices. Two neighbouring amounts with different w give f whatever g is, and one with some of
others gives it where g is 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise

from callcost.stages.reconcile.cells import NOTHING, Lot
from callcost.stages.reconcile.rates.lots import Fit, fit_of
from callcost.stages.reconcile.rates.step_candidates import Factor, Step
from callcost.tables import EXACT

_ONE = Decimal(1)
_LEAST, _MOST = Decimal("0.05"), Decimal(3)  # between these a factor may be a tier or a discount
_READ = 1_000  # amounts that are looked at
_OWNERS = 50  # that are looked at
_FEW = 3  # readings that are no chance
_CHANCE = Decimal("0.25")  # of all readings of an owner
_BEST = 3  # steps that are tried
_COARSE = Decimal("0.005")  # a factor that rounding can hide more of is not read

Readings = dict[str, dict[Decimal, list[int]]]  # owner -> factor -> days


def owner_steps(lots: Iterable[Lot]) -> list[Step]:
    """Return the factors of owners that amounts at their prices speak for, those with most readings first.

    Args:
        lots: amounts of one provider, with what their owners have of them.
    """
    found: dict[tuple[int, Decimal, tuple[int, ...]], Step] = {}
    for owner, days in _readings(_series(lots)).items():
        times = max((one for one in days if one != 1), key=lambda one: len(days[one]), default=_ONE)
        count = len(days[times])
        if times != 1 and count >= _FEW and count >= _CHANCE * sum(map(len, days.values())):
            step = Step("", "", {"owner": owner}, _between(days[times], days[_ONE]), _factor(owner, times), times)
            found.setdefault((-count, times, tuple(days[times])), step)  # a key may be all that a user has
    return [found[key] for key in sorted(found, key=lambda one: one[0])[:_BEST]]


def _counted(lot: Lot) -> Decimal:
    return (lot.ours if lot.quantity is None else lot.quantity) or NOTHING


def _part(lot: Lot, owner: str) -> Decimal:
    """Return what an owner has of an amount."""
    return lot.shares[owner].part if owner in lot.shares else Decimal(lot.owner == owner)


def _owners(lot: Lot) -> Iterable[str]:
    return lot.shares or ([lot.owner] if lot.owner else [])


def _factor(owner: str, times: Decimal) -> Factor:
    """Return what makes an owner's tokens cost a multiple, and a mixed price what comes of it."""

    def factor(lot: Lot) -> Decimal | None:
        mine = lot.shares.get(owner)
        if mine is None:
            return times if lot.owner == owner else None
        if owner in lot.split or any(lot.shares[one].kind != mine.kind for one in lot.split):
            return None
        return EXACT.add(_ONE, EXACT.divide(EXACT.multiply(mine.part, times - 1), lot.mixed))

    return factor


def _between(days: Sequence[int], others: Sequence[int]) -> tuple[int | None, int | None]:
    """Return the first and the last day; None: there is no other day before or after."""
    first, last = min(days), max(days)
    opens, closes = any(day < first for day in others), any(day > last for day in others)
    return first if opens else None, last if closes else None


# --- Readings ---------------------------------------------------------------------------------------------------------


def _series(lots: Iterable[Lot]) -> list[list[Lot]]:
    """Return the amounts of each model, class and tier that have owners, by day; those with most money."""
    found: dict[tuple[object, ...], list[Lot]] = defaultdict(list)
    for lot in lots:
        if _owners(lot) and _counted(lot) and lot.amount > 0:
            found[lot.cell.key.model, lot.cell.key.token_class, lot.tier].append(lot)
    kept, room = list[list[Lot]](), _READ
    for members in sorted(found.values(), key=lambda some: -sum((lot.amount for lot in some), NOTHING)):
        kept.append(sorted(members, key=lambda lot: (lot.day or 0, lot.owner))[:room])
        room -= len(kept[-1])
    return kept


def _readings(series: Sequence[Sequence[Lot]]) -> Readings:
    money: dict[str, Decimal] = defaultdict(Decimal)
    for lot in (lot for members in series for lot in members):
        for owner in _owners(lot):
            money[owner] += lot.amount * _part(lot, owner)
    largest = set(sorted(money, key=lambda owner: (-money[owner], owner))[:_OWNERS])
    found: Readings = {}
    for members in series:
        for owner, times, day in (*_single(members), *_paired(members, largest)):
            if owner in largest and times is not None:
                found.setdefault(owner, defaultdict(list))[times].append(day)
    return found


def _single(lots: Iterable[Lot]) -> Iterator[tuple[str, Decimal | None, int]]:
    for lot in lots:
        for owner in lot.shares if fit_of(lot, lot.price) != Fit.COUNTED else ():
            yield owner, _read_one(lot, owner), lot.day or 0


def _paired(lots: Iterable[Lot], owners: set[str]) -> Iterator[tuple[str, Decimal | None, int]]:
    for one, other in pairwise(lots):
        for owner in sorted({*_owners(one), *_owners(other)} & owners):
            if _part(one, owner) != _part(other, owner):
                own = max((one, other), key=lambda lot: _part(lot, owner))
                yield owner, _read_pair(one, other, owner), own.day or 0


def _read_one(lot: Lot, owner: str) -> Decimal | None:
    """Return the factor that alone gives an amount; None: there is none."""
    plain = EXACT.multiply(_counted(lot), lot.price)
    mine = EXACT.multiply(plain, _part(lot, owner))
    if mine * _COARSE <= lot.cell.slack:
        return None
    raw = 1 + EXACT.divide(lot.amount - plain, mine)
    return _shortest(raw, lambda times: plain + EXACT.multiply(mine, times - 1), lot.amount, lot.cell.slack)


def _read_pair(one: Lot, other: Lot, owner: str) -> Decimal | None:
    """Return the factor that gives the proportion of two amounts; None: there is none."""
    (first, mine), (second, theirs) = (
        (EXACT.multiply(_counted(lot), lot.price), _part(lot, owner)) for lot in (one, other)
    )
    scale = EXACT.divide(second, first)
    slack = other.cell.slack + EXACT.multiply(one.cell.slack, scale)
    ratio, ratio_of_other = EXACT.divide(one.amount, first), EXACT.divide(other.amount, second)
    below = ratio * theirs - ratio_of_other * mine
    if abs(mine - theirs) * second * _COARSE <= slack or not below:
        return None

    def amount_at(times: Decimal) -> Decimal:
        return EXACT.divide(one.amount * scale * (1 + theirs * (times - 1)), 1 + mine * (times - 1))

    return _shortest(1 + EXACT.divide(ratio_of_other - ratio, below), amount_at, other.amount, slack)


def _shortest(raw: Decimal, amount_at: Callable[[Decimal], Decimal], amount: Decimal, slack: Decimal) -> Decimal | None:
    """Return the shortest factor near a reading that gives an amount; None: it is none that could be."""
    if not _LEAST < raw < _MOST:
        return None
    short = (round(raw, places) for places in (2, 3, 4))
    return next((times for times in short if abs(amount_at(times) - amount) <= slack), None)
