"""The comparison's building blocks: a cell of our charges beside the bill's, and how our names become the bill's.

A cell is one day, provider, model and class of tokens. Where a bill is coarser than the logs (no model, no class, whole
months), our charges are folded to its grain; nothing of the bill is ever spread over finer cells. What a cell's
difference is made of is for ``rules.py``.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import NamedTuple

from callcost.logs.bills.labels import PART_OF, TOKEN_CLASSES
from callcost.logs.bills.lines import CONTROL, DAY, USAGE, BillLine, day_of
from callcost.logs.bills.names import ModelKey, model_key
from callcost.prices.rates import LAST_PLACE, Terms

EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
NOTHING = Decimal(0)
_LONG = DAY + DAY // 12  # a longer period is no day
_FLOAT_NOISE = Decimal("1e-12")  # relative: amounts that a provider summed as floats


class Part(NamedTuple):
    """Our charges of one unit under one set of terms.

    Attributes:
        day: beginning of the UTC day, microseconds since 1970; None: undated.
        paid: provider.
        model: as the log has it.
        unit: of prices/units.py.
        token_class: as bills have it.
        quantity: how much.
        cost: in the bill's currency; None: unpriced.
        fx: what a dollar bought.
        provider: as the log has it, for the price book.
        requested: the model that was asked for.
        terms: that set the rates.
        stated_rates: those that the log says it was charged at.
    """

    day: int | None
    paid: str
    model: str
    unit: str
    token_class: str
    quantity: Decimal
    cost: Decimal | None
    fx: Decimal
    provider: str | None
    requested: str | None
    terms: Terms
    stated_rates: str | None = None


class Finding(NamedTuple):
    """A part of a difference, and why it is there."""

    cause: str
    tokens: Decimal
    amount: Decimal | None
    evidence: str


class Place(NamedTuple):
    """Where a cell stands; None: all of them together."""

    day: int | None
    provider: str
    model: str | None
    token_class: str | None


@dataclasses.dataclass(slots=True)
class Cell:
    """Our figures and the bill's of one place.

    Attributes:
        place: of the cell.
        ours: quantity in the logs.
        cost: of it; None: nothing of it is priced.
        unpriced: of ``ours``, what has no price.
        billed: quantity on the bill; None: the bill states none.
        amount: on the bill; None: the bill states none.
        slack: what rounding can hide.
        tiers: of ``billed``, how much the bill says was in which tier.
        parts: of our charges.
        gap: quantity that is still to be explained; None: not known.
        rest: money that is still to be explained; None: the bill states none.
        implied: ``gap`` is read from the amount.
        findings: what was explained.
    """

    place: Place
    ours: Decimal = NOTHING
    cost: Decimal | None = None
    unpriced: Decimal = NOTHING
    billed: Decimal | None = None
    amount: Decimal | None = None
    slack: Decimal = NOTHING
    tiers: dict[str | None, Decimal] = dataclasses.field(default_factory=dict)
    parts: list[Part] = dataclasses.field(default_factory=list)
    gap: Decimal | None = None
    rest: Decimal | None = None
    implied: bool = False
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def open(self) -> None:
        """Begin to explain."""
        self.gap = None if self.billed is None else self.billed - self.ours
        self.rest = None if self.amount is None else self.amount - (self.cost or NOTHING)
        if self.amount is not None:
            self.slack += abs(self.amount) * _FLOAT_NOISE + LAST_PLACE * (1 + len(self.parts))

    @property
    def is_token(self) -> bool:
        """Whether it holds tokens, and not what is charged beside them."""
        return self.place.token_class is None or self.place.token_class in TOKEN_CLASSES

    @property
    def expected(self) -> Decimal:
        """What the bill should say after all that was found."""
        return NOTHING if self.amount is None or self.rest is None else self.amount - self.rest

    @property
    def is_open(self) -> bool:
        """Whether more than rounding is unexplained."""
        return self.rest is not None and abs(self.rest) > self.slack

    def settle(self, cause: str, tokens: Decimal, amount: Decimal | None, evidence: str) -> None:
        """Name a part of the difference."""
        if self.gap is not None:
            self.gap -= tokens
        if self.rest is None:
            amount = None
        elif amount is not None:
            amount = quantized(amount)
            self.rest -= amount
        if tokens or amount:
            self.findings.append(Finding(cause, tokens, amount, evidence))

    def value(self, tokens: Decimal) -> Decimal | None:
        """Return what tokens are worth: at our rate of this cell, else at the bill's."""
        priced = self.ours - self.unpriced
        if self.cost is not None and priced > 0:
            whole = abs(tokens) == priced
            return self.cost.copy_sign(tokens) if whole else quantized(_share(self.cost, tokens, priced))
        if self.amount is not None and self.billed:
            return self.rest if tokens == self.gap else quantized(_share(self.amount, tokens, self.billed))
        return self.rest


def quantized(amount: Decimal) -> Decimal:
    """Return an amount as money is kept: 18 places, half to even."""
    return amount.quantize(LAST_PLACE, context=EXACT)


def _share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    return EXACT.divide(EXACT.multiply(amount, part), whole)


# --- How our names become the bill's ----------------------------------------------------------------------------------


class Fold:
    """Where a charge of ours stands on the bill: built from all that the bill names.

    Args:
        lines: of the bill.
        ours: (provider, model) pairs of the logs.
    """

    def __init__(self, lines: Iterable[BillLine], ours: Iterable[tuple[str, str]]) -> None:
        used = [line for line in lines if line.kind in {USAGE, CONTROL}]
        self._labels = _unite_names([(line.provider, line.model) for line in used if line.model], ours)
        self._classes: dict[tuple[str, str | None], set[str | None]] = defaultdict(set)
        self._provider_classes: dict[str, set[str | None]] = defaultdict(set)
        self._coarse = {line.provider for line in used if line.model is None and _is_token(line.token_class)}
        for line in used:
            _, model = self._named(line.provider, line.model, line.token_class)
            self._classes[line.provider, model].add(line.token_class)
            self._provider_classes[line.provider].add(line.token_class)
        self._periods = _periods(used)

    def place(self, day: int | None, provider: str, model: str | None, token_class: str | None) -> Place:
        """Return the cell of a charge, ours or the bill's."""
        provider, label = self._named(provider, model, token_class)
        known = self._classes.get((provider, label), set())
        billed = self._provider_classes.get(provider, set())
        if None in known and (_is_token(token_class) or token_class not in billed):
            token_class = None
        elif None in self._classes.get((provider, None), set()) and token_class not in billed:
            label, token_class = None, None
        while token_class in PART_OF and token_class not in known and PART_OF[token_class] in known:
            token_class = PART_OF[token_class]
        return Place(self._period(provider, day), provider, label, token_class)

    def _named(self, provider: str, model: str | None, token_class: str | None) -> tuple[str, str | None]:
        if model is None or provider in self._coarse or not _is_token(token_class):
            return provider, None
        return provider, self._labels.get((provider, model), model)

    def _period(self, provider: str, day: int | None) -> int | None:
        periods = self._periods.get(provider, [])
        if day is None or not periods:
            return day
        found = bisect_right(periods, (day, 2**62)) - 1
        return periods[found][0] if found >= 0 and day < periods[found][1] else day


def _is_token(token_class: str | None) -> bool:
    return token_class is None or token_class in TOKEN_CLASSES


def _periods(lines: Iterable[BillLine]) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for line in lines:
        if line.start_at is not None and line.end_at is not None and line.end_at - line.start_at > _LONG:
            found[line.provider].add((day_of(line.start_at), line.end_at))
    return {provider: sorted(periods) for provider, periods in found.items()}


def _unite_names(
    billed: Iterable[tuple[str, str]], ours: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Give the names of one model one label: the bill's where it has one.

    Names with a snapshot stay apart from each other as long as every name of the model has one; as soon as one has
    none, it may stand for any of them, and all are one.
    """
    families: dict[tuple[str, ModelKey], set[tuple[bool, str]]] = defaultdict(set)
    for is_ours, names in ((False, billed), (True, ours)):
        for provider, name in names:
            families[provider, model_key(name).undated].add((is_ours, name))
    labels: dict[tuple[str, str], str] = {}
    for (provider, _), members in families.items():
        dated = all(model_key(name).date for _, name in members)
        kinds: dict[str, list[tuple[bool, str]]] = defaultdict(list)
        for member in sorted(members):
            kinds[model_key(member[1]).date if dated else ""].append(member)
        for same in kinds.values():
            labels |= {(provider, name): same[0][1] for _, name in same}
    return labels


def build_cells(
    parts: Iterable[Part],
    lines: Iterable[BillLine],
    fold: Fold,
    slack: Mapping[str, Decimal],
    asked: Iterable[str] = (),
) -> dict[Place, Cell]:
    """Lay our charges and the bill's lines side by side.

    Args:
        parts: our charges on the days that the bill covers.
        lines: of the bill, usage and invoice sums only.
        fold: of the two.
        slack: dialect -> half a unit of the last place of its amounts.
        asked: providers whose bill has a row per call: what joined none of them is asked nothing.
    """
    cells: dict[Place, Cell] = {}
    counted: set[tuple[str, bool]] = set()
    paid = set(asked)
    for line in lines:
        place = fold.place(None if line.start_at is None else day_of(line.start_at), line.provider, line.model,
                           line.token_class)  # fmt: skip
        cell = cells.setdefault(place, Cell(place))
        if line.quantity is not None:
            cell.billed = (cell.billed or NOTHING) + line.quantity
            cell.tiers[line.tier] = cell.tiers.get(line.tier, NOTHING) + line.quantity
            counted.add((line.provider, _is_token(line.token_class)))
        if line.amount is not None:
            cell.amount = (cell.amount or NOTHING) + line.amount
            cell.slack += slack[line.dialect]
            paid.add(line.provider)
    for part in parts:
        place = fold.place(part.day, part.paid, part.model, part.token_class)
        cell = cells.setdefault(place, Cell(place))
        cell.parts.append(part)
        cell.ours += part.quantity
        if part.cost is None:
            cell.unpriced += part.quantity
        else:
            cell.cost = (cell.cost or NOTHING) + part.cost
    for place, cell in cells.items():  # what a bill that counts does not name, it counts as none
        if cell.billed is None and cell.amount is None and (place.provider, cell.is_token) in counted:
            cell.billed = NOTHING
        if cell.amount is None and place.provider in paid:
            cell.amount = NOTHING
        cell.open()
    return cells
