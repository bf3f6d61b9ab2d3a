"""Whose a difference is: the causes of each cell split by owner, exactly, on what the bill and the logs state.

Where amounts of a cell have owners on the bill, each owner's difference is known and the causes are dealt out of
it. Where the bill states owners of counts alone, missing and surplus tokens go to whose counts differ. Where it states
none, less money is an owner's only if all calls of the cell are that owner's, or it is all that the owner's calls cost,
or half of that as a batch; a factor is everybody's share of what the bill asks before it, missing calls' included, and
copies in our logs are of whose calls they copy. What nothing tells is unattributed, as is the difference where our
calls state no owner and the bill does.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from callcost.logs.bills.lines import BillLine
from callcost.logs.bills.owners import Keys, owner_of
from callcost.prices.charges import quantized
from callcost.stages.reconcile.cells import NOTHING, Cell, CellKey, Finding, share
from callcost.stages.reconcile.grain import BillGrain
from callcost.stages.reconcile.rates.alternative_prices import TIER
from callcost.tables import UNATTRIBUTED

COPIES = "duplicates"
_PARTS = {TIER: Decimal("-0.5"), "logged_not_billed": Decimal(-1)}  # of what an owner's calls cost: as a batch, nothing

Shares = dict[str, Decimal]  # owner -> a part of something


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OwnerNames:
    """By what causes are split.

    Attributes:
        by: dimensions; (): they are not split.
        keys: what ids of the bill stand for.
    """

    by: tuple[str, ...] = ()
    keys: Keys = dataclasses.field(default_factory=dict)

    def of(self, line: BillLine) -> str | None:
        """Return whose a line is; None: it does not say."""
        return owner_of(line.owners, self.by, self.keys)


@dataclasses.dataclass(slots=True)
class Side:
    """What one side states of a cell by owner; an owner of None: it does not say."""

    counts: dict[str | None, Decimal] = dataclasses.field(default_factory=lambda: defaultdict(Decimal))
    amounts: dict[str | None, Decimal] = dataclasses.field(default_factory=lambda: defaultdict(Decimal))
    tiers: dict[str | None, Decimal] = dataclasses.field(default_factory=lambda: defaultdict(Decimal))  # not standard


def bill_by_owner(lines: Iterable[BillLine], grain: BillGrain, names: OwnerNames) -> dict[CellKey, Side]:
    """Return what the bill states of each cell by owner."""
    found: dict[CellKey, Side] = defaultdict(Side)
    for line in lines:
        side = found[grain.key(line.day, line.provider, line.model, line.token_class)]
        owner = names.of(line)
        if line.quantity is not None:
            side.counts[owner] += line.quantity
            side.tiers[owner] += line.quantity if line.tier else NOTHING
        if line.amount is not None:
            side.amounts[owner] += line.amount
    return found


def ours_by_owner(charged: Mapping[CellKey, Mapping[str | None, tuple[Decimal, Decimal]]]) -> dict[CellKey, Side]:
    """Return what our charges are of each cell by owner, from (quantity, cost) of each."""
    found: dict[CellKey, Side] = defaultdict(Side)
    for key, owners in charged.items():
        for owner, (quantity, cost) in owners.items():
            found[key].counts[owner] += quantity
            found[key].amounts[owner] += cost
    return found


def attribute(
    cells: Iterable[Cell], billed: Mapping[CellKey, Side], ours: Mapping[CellKey, Side],
    whose: Mapping[str, str | None] | None = None, copies: Mapping[CellKey, Side] | None = None,
) -> None:  # fmt: skip
    """Split the findings of cells by owner; the parts of a finding add up to it.

    Args:
        cells: explained.
        billed: what the bill states of each by owner.
        ours: what our charges are of each by owner.
        whose: owner of a lot -> its name.
        copies: what of ``ours`` is there a second time.
    """
    copied = copies or {}
    for cell in cells:
        if cell.findings:
            one, other, twice = (known.get(cell.key, Side()) for known in (billed, ours, copied))
            cell.findings = _split(cell, one, other, twice, whose or {})


def _split(cell: Cell, billed: Side, ours: Side, copies: Side, whose: Mapping[str, str | None]) -> list[Finding]:
    gaps = None if cell.billed is None else _differences(billed.counts, ours.counts)
    left = None if cell.amount is None else _differences(billed.amounts, ours.amounts)
    paid: Shares = defaultdict(Decimal, {owner or UNATTRIBUTED: cost for owner, cost in ours.amounts.items()})
    known = [(found, _named(found, whose, copies)) for found in cell.findings]
    known.sort(key=lambda one: (  # factors stay in their order: each is of what is paid after those before it
        not one[0].tokens, not one[1], left is None and one[0].cause != TIER,
        NOTHING if one[0].base is not None else abs(one[0].amount or NOTHING),
    ))  # fmt: skip
    result = []
    for number, (found, named) in enumerate(known, 1):
        amount = found.amount or NOTHING
        if left is not None and number == len(known):
            money = _exact(amount, left)
        else:
            money = _dealt(amount, named or _weights(found, gaps, left, billed, ours, paid))
        for owner, part in money.items():
            paid[owner] += part
            if left is not None:
                left[owner] = left.get(owner, NOTHING) - part
        like = _gaps_like(found.tokens, gaps) or named or {one: abs(part) for one, part in money.items()}
        tokens = _dealt(found.tokens, like)
        result += [
            found._replace(
                tokens=tokens.get(owner, NOTHING), amount=None if found.amount is None else money.get(owner, NOTHING),
                owner=owner, base=found.base and amount and share(found.base, money.get(owner, NOTHING), amount),
            )
            for owner in sorted({*money, *tokens})
            if money.get(owner) or tokens.get(owner)
        ]  # fmt: skip
    return result


def _named(found: Finding, whose: Mapping[str, str | None], copies: Side) -> Shares:
    """Return what a finding itself knows of its owners; {}: nothing."""
    if found.cause == COPIES and found.tokens < 0 and None not in copies.counts:
        return {owner: count for owner, count in copies.counts.items() if owner and count}
    named: Shares = defaultdict(Decimal)
    for owner, part in found.shares:
        named[whose.get(owner) or ""] += abs(part)
    return dict(named) if "" not in named else {}


def _differences(billed: Mapping[str | None, Decimal], ours: Mapping[str | None, Decimal]) -> Shares | None:
    """Return owner -> billed - ours; None: the bill states no owner, or some calls of ours none that the bill has."""
    if set(billed) == {None} or (ours.get(None) and any(billed)):
        return None
    return {
        owner or UNATTRIBUTED: billed.get(owner, NOTHING) - ours.get(owner, NOTHING) for owner in {*billed, *ours}
    }


def _weights(
    found: Finding, gaps: Shares | None, left: Shares | None, billed: Side, ours: Side, paid: Shares
) -> Shares:  # fmt: skip
    """Return how a cause is dealt out, where that is not what is left of each owner's difference.

    Args:
        found: the cause.
        gaps: owner -> tokens that the bill has more.
        left: owner -> money that is still to be explained.
        billed: what the bill states.
        ours: what our charges are.
        paid: owner -> what our calls cost, and all that is explained of it so far.
    """
    amount = found.amount or NOTHING
    if found.tokens and (like := _gaps_like(found.tokens, gaps)):
        return like
    tiered = {owner: count for owner, count in billed.tiers.items() if owner and count}
    if found.cause == TIER and tiered:
        return tiered
    if left is not None:
        return {owner: abs(part) for owner, part in left.items() if part * amount > 0}
    costs = {owner: cost for owner, cost in paid.items() if cost > 0}
    if found.base is not None and found.cause != TIER:  # a factor is everybody's
        counts = {owner: count for owner, count in billed.counts.items() if owner and count}
        asked = {owner: abs(cost) for owner, cost in billed.amounts.items() if owner and cost}
        return costs if not ours.amounts.get(None) else counts or asked
    if len(costs) == 1 and amount < 0:
        return costs
    part = _PARTS.get(found.cause)
    whole = [owner for owner, cost in costs.items() if part and amount == quantized(cost * part)]
    return {whole[0]: Decimal(1)} if len(whole) == 1 else {}


def _gaps_like(tokens: Decimal, gaps: Shares | None) -> Shares:
    return {owner: abs(gap) for owner, gap in (gaps or {}).items() if gap * tokens > 0}


def _dealt(whole: Decimal, weights: Shares) -> Shares:
    """Deal out an amount by weights, to the last place; without weights it is nobody's."""
    total = sum(weights.values(), NOTHING)
    if not total:
        return {UNATTRIBUTED: whole}
    owners: Sequence[str] = sorted(weights, key=lambda owner: (weights[owner], owner))
    parts = {owner: quantized(share(whole, weights[owner], total)) for owner in owners[:-1]}
    return parts | {owners[-1]: whole - sum(parts.values(), NOTHING)}


def _exact(whole: Decimal, parts: Shares) -> Shares:
    """Return parts that add up to a whole, as they are; what another currency's rounding leaves is nobody's."""
    rest = whole - sum(parts.values(), NOTHING)
    return parts | {UNATTRIBUTED: parts.get(UNATTRIBUTED, NOTHING) + rest} if rest else dict(parts)
