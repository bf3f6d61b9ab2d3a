"""The comparison's building blocks: a cell of our charges beside the bill's, of one day, provider, model and class.

What cells there are is for ``grain.py``, what a cell's difference is made of for ``rules.py``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from callcost.logs.bills.labels import TOKEN_CLASSES
from callcost.logs.bills.lines import BillLine
from callcost.prices.charges import quantized
from callcost.prices.rates import Terms
from callcost.tables import EXACT, LAST_PLACE

NOTHING = Decimal(0)
_FLOAT_NOISE = Decimal("1e-12")  # relative: amounts that a provider summed as floats
# What units of server tools end in (prices/units.py): requests to the web, sessions, queries, searches of files.
_TOOL_ENDINGS = ("requests", "sessions", "queries", "calls")

Vector = dict[str | None, tuple[Decimal, Decimal]]  # token class -> quantity, cost


class Part(NamedTuple):
    """Our charges of one unit under one set of terms.

    Attributes:
        day: beginning of the UTC day in microseconds since 1970; None: undated.
        paid: provider who is paid, as bills spell it.
        model: name in the log.
        unit: name in prices/units.py.
        token_class: class as bills have it, or the unit of what is charged beside tokens.
        quantity: number of units.
        cost: money in the bill's currency; None: unpriced.
        fx: what a US dollar bought of the bill's currency.
        provider: name in the log, for the price book; None: the log states none.
        requested: model that was asked for; None: the log states none.
        terms: what decides between the rates of a tariff.
        stated_rates: JSON of the rates at which the log says that it was charged; None: it does not say.
        line: number of the charge line (sampling run) in its call, from 0.
        aborted: whether it is of an answer that broke off; of single calls alone.
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
    line: int = 0
    aborted: bool = False


class Finding(NamedTuple):
    """A part of a difference, and why it is there.

    Attributes:
        cause: slug of the cause, as in causes.csv.
        tokens: quantity on the bill above ours; negative: below.
        amount: money on the bill above ours; None: the bill states none.
        evidence: words that say what was measured.
        owner: whose it is; None: it is not asked.
        shares: owner of a lot, and its part of the amount, where the finding knows them.
        base: what the same tokens cost before it, where a price is another; None: it is not about prices.
    """

    cause: str
    tokens: Decimal
    amount: Decimal | None
    evidence: str
    owner: str | None = None
    shares: tuple[tuple[str, Decimal], ...] = ()
    base: Decimal | None = None


class CellKey(NamedTuple):
    """What a cell is about.

    Attributes:
        day: beginning of the UTC day, or of the bill's period, in microseconds since 1970; None: undated.
        provider: who is paid.
        model: the bill's name of it; None: all models together.
        token_class: class of tokens, or what is charged beside them; None: all classes together.
    """

    day: int | None
    provider: str
    model: str | None
    token_class: str | None


class Share(NamedTuple):
    """What an owner has of an amount that is not stated by owner.

    Attributes:
        kind: what the owner is one of; owners of one kind have no token in common.
        part: of what the amount's tokens cost at our rates; more than 0, at most 1.
    """

    kind: str
    part: Decimal


class Move(NamedTuple):
    """A step that the price of a lot takes.

    Attributes:
        cause: slug of the cause, as in causes.csv.
        label: words that say what is different.
        price: what a token costs after it.
        owner: whose tokens alone it is about; None: it is about all of the lot.
        part: what the tokens that it is about have of the lot's price before it.
    """

    cause: str
    label: str
    price: Decimal
    owner: str | None = None
    part: Decimal = Decimal(1)


@dataclasses.dataclass(slots=True, eq=False)
class Lot:
    """One amount of a cell that has one price, or one of each owner.

    Attributes:
        cell: where it stands.
        tier: tier that the bill names; None: the standard one.
        owner: whose it is, as the bill says; "": it does not.
        amount: money that the bill asks.
        quantity: tokens that the bill states for it; None: it states none.
        ours: tokens of the logs; None: they are not told apart so.
        plain: what a token costs at our rates, in the tier of our own calls.
        unit: what a token costs at our rates, in the tier that the bill names.
        price: what a token costs as the bill asks, as far as that is explained.
        part: a charge of ours of the same model; None: there is none.
        moves: the steps from ``unit`` to ``price``.
        shares: owner -> what it has of the amount, where that is for tokens of several owners.
        split: owners whose tokens have a price of their own by now.
        mixed: what that makes of the price.
    """

    cell: Cell
    tier: str | None
    owner: str
    amount: Decimal
    quantity: Decimal | None
    ours: Decimal | None
    plain: Decimal
    unit: Decimal
    price: Decimal
    part: Part | None
    moves: list[Move] = dataclasses.field(default_factory=list)
    shares: dict[str, Share] = dataclasses.field(default_factory=dict)
    split: tuple[str, ...] = ()
    mixed: Decimal = Decimal(1)

    def restart(self) -> None:
        """Go back to our own price."""
        self.price, self.split, self.mixed = self.unit, (), Decimal(1)

    @property
    def day(self) -> int | None:
        """The day of its cell."""
        return self.cell.key.day


@dataclasses.dataclass(slots=True)
class Cell:
    """Our figures and the bill's under one key.

    Attributes:
        key: what the cell is about.
        ours: quantity in the logs.
        cost: money that we compute for ``ours``; None: nothing of it is priced.
        unpriced: part of ``ours`` that has no price.
        billed: quantity on the bill; None: the bill states none.
        amount: money on the bill; None: the bill states none.
        tool_amount: part of ``amount`` that the bill states for server tools; None: it states none.
        own_key_amount: money beside ``amount`` that was paid elsewhere, with a key of one's own.
        slack: money that rounding can hide.
        tiers: tier -> quantity that the bill states for it; None: the standard tier.
        asked: (tier, owner) -> money that the bill asks; no owner: "".
        counted: (tier, owner) -> quantity that the bill states.
        lots: ``asked`` as fine as there are prices for it, once it is looked at.
        parts: our charges.
        gap: quantity that is still to be explained; None: not known.
        rest: money that is still to be explained; None: the bill states none.
        implied: whether ``gap`` is read from the amount.
        findings: what is explained.
    """

    key: CellKey
    ours: Decimal = NOTHING
    cost: Decimal | None = None
    unpriced: Decimal = NOTHING
    billed: Decimal | None = None
    amount: Decimal | None = None
    tool_amount: Decimal | None = None
    own_key_amount: Decimal = NOTHING
    slack: Decimal = NOTHING
    tiers: dict[str | None, Decimal] = dataclasses.field(default_factory=dict)
    asked: dict[tuple[str | None, str], Decimal] = dataclasses.field(default_factory=dict)
    counted: dict[tuple[str | None, str], Decimal] = dataclasses.field(default_factory=dict)
    lots: list[Lot] = dataclasses.field(default_factory=list)
    parts: list[Part] = dataclasses.field(default_factory=list)
    gap: Decimal | None = None
    rest: Decimal | None = None
    implied: bool = False
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def add_line(self, line: BillLine) -> None:
        """Add what a line of the bill states."""
        lot = line.tier, owner_key(line)
        if line.quantity is not None:
            self.billed = (self.billed or NOTHING) + line.quantity
            self.tiers[line.tier] = self.tiers.get(line.tier, NOTHING) + line.quantity
            self.counted[lot] = self.counted.get(lot, NOTHING) + line.quantity
        if line.amount is not None:
            self.amount = (self.amount or NOTHING) + line.amount
            self.asked[lot] = self.asked.get(lot, NOTHING) + line.amount
            self.own_key_amount += line.own_key_amount or NOTHING

    def add_part(self, part: Part) -> None:
        """Add a charge of ours."""
        self.parts.append(part)
        self.ours += part.quantity
        if part.cost is None:
            self.unpriced += part.quantity
        else:
            self.cost = (self.cost or NOTHING) + part.cost

    def start(self) -> None:
        """Set ``gap``, ``rest`` and ``slack`` once both sides are in."""
        self.gap = None if self.billed is None else self.billed - self.ours
        self.rest = None if self.amount is None else self.amount - (self.cost or NOTHING)
        if self.amount is not None:
            self.slack += abs(self.amount) * _FLOAT_NOISE + LAST_PLACE * (1 + len(self.parts))

    @property
    def is_token(self) -> bool:
        """Whether it holds tokens, and not what is charged beside them."""
        return is_token(self.key.token_class)

    @property
    def expected(self) -> Decimal:
        """What the bill should say after all that is explained."""
        return NOTHING if self.rest is None else (self.amount or NOTHING) - self.rest

    @property
    def is_open(self) -> bool:
        """Whether more than rounding is unexplained."""
        return self.rest is not None and abs(self.rest) > self.slack

    @property
    def fees(self) -> Decimal:
        """What we charge for server tools."""
        return sum_costs(part for part in self.parts if part.token_class.endswith(_TOOL_ENDINGS))

    def is_off_by(self, amount: Decimal) -> bool:
        """Tell whether an amount is all that is unexplained, up to rounding."""
        return self.rest is not None and abs(self.rest - amount) <= self.slack

    def settle(
        self, cause: str, tokens: Decimal, amount: Decimal | None, evidence: str,
        shares: Iterable[tuple[str, Decimal]] = (), base: Decimal | None = None,
    ) -> None:  # fmt: skip
        """Name a part of the difference.

        Args:
            cause: slug of the cause, as in causes.csv.
            tokens: quantity to take from ``gap``.
            amount: money to take from ``rest``; None: not known.
            evidence: words that say what was measured.
            shares: owner of a lot, and its part of the amount.
            base: what the same tokens cost before, where a price is another.
        """
        if self.gap is not None:
            self.gap -= tokens
        if self.rest is None:
            amount = None
        elif amount is not None:
            amount = quantized(amount)
            self.rest -= amount
        if tokens or amount:
            self.findings.append(Finding(cause, tokens, amount, evidence, shares=tuple(shares), base=base))

    def value(self, tokens: Decimal) -> Decimal | None:
        """Return what tokens are worth: at our rate of this cell, else at the bill's; None: the bill has no amount."""
        priced = self.ours - self.unpriced
        if self.cost is not None and priced > 0:
            return quantized(share(self.cost, tokens, priced))
        counts = sum((lot.quantity or NOTHING for lot in self.lots), NOTHING)
        if counts:
            listed = sum((EXACT.multiply(lot.quantity or NOTHING, lot.plain) for lot in self.lots), NOTHING)
            return quantized(share(listed, tokens, counts))
        if self.amount is not None and self.billed:
            return self.rest if tokens == self.gap else quantized(share(self.amount, tokens, self.billed))
        return self.rest


def owner_key(line: BillLine) -> str:
    """Return all that a line states of whose it is, as one text; "": nothing."""
    return " ".join(f"{name}={value}" for name, value in sorted(line.owners.items()))


def settle_vector(cells: Iterable[Cell], cause: str, vector: Vector, sign: int, evidence: str) -> None:
    """Name what a vector holds of each cell as a part of its difference: more on the bill (1) or less (-1)."""
    for cell in cells:
        quantity, cost = vector.get(cell.key.token_class, (NOTHING, NOTHING))
        if quantity:
            cell.settle(cause, quantity * sign, cost * sign, evidence)


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return what a part of a whole has of an amount, to 60 digits."""
    return EXACT.divide(EXACT.multiply(amount, part), whole)


def sum_costs(parts: Iterable[Part]) -> Decimal:
    """Return what charges cost together; those without a price cost nothing."""
    return sum((part.cost or NOTHING for part in parts), NOTHING)


def is_token(token_class: str | None) -> bool:
    """Tell whether a class is one of tokens; None, all classes together, is."""
    return token_class is None or token_class in TOKEN_CLASSES


def are_counted(cells: Sequence[Cell]) -> bool:
    """Tell whether the bill counts every class that the logs have, and counts of a class differ."""
    return all(cell.gap is not None or not cell.ours for cell in cells) and any(cell.gap for cell in cells)
