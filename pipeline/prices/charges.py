"""The scalar reader of prices: one usage and one rate card become charges.

Charges are whole numbers of 10**-18 dollars until someone asks for decimals, so that sums are exact. The rules of what
makes a call priced, partly priced, free or unpriced stand here; ``stages/price.py`` applies the same ones to tables.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from pipeline.prices.rates import EXACT, LAST_PLACE, Line, RateCard
from pipeline.prices.units import COUNTS_READ, INSTEAD_OF, TOKEN_UNITS, TOKENS_FIRST, quantities, unit_of
from pipeline.tables import MONEY_SCALE, Usage

SIDES = ("input", "output", "other")

# Why a call is not plainly priced.
UNKNOWN_MODEL = "unknown_model"  # no version that applies lists the model
NO_RATE = "no_rate"  # the model is listed, but nothing prices what the call used
MISSING_RATE = "missing_rate"  # a part of what the call used has no rate
RATE_FALLBACK = "rate_fallback"  # a part is charged at a rate that may be lower than its own
NO_USAGE = "no_usage"
HALF_USAGE = "usage_incomplete"  # one side's tokens are not stated, and they are not free
TIMED_OUT = "timed_out"
# Why it costs nothing.
CACHE_HIT = "cache_hit"
FAILED_CALL = "failed_call"
FREE_MODEL = "free_model"


class Charge(NamedTuple):
    """One unit's quantity at its rate.

    Attributes:
        unit: name of prices/units.py.
        side: "input", "output" or "other".
        quantity: how many.
        line: of the rate card; None: nothing prices it.
        scaled: cost in units of 10**-18 dollars.
    """

    unit: str
    side: str
    quantity: int | Decimal
    line: Line | None
    scaled: int

    @property
    def cost(self) -> Decimal:
        """The charge in US dollars."""
        return money(self.scaled)


@dataclasses.dataclass(frozen=True, slots=True)
class Bill:
    """All charges of one usage.

    Attributes:
        status: "priced", "free", "unpriced" or "partly_priced".
        reason: why, where it is not "priced".
        charges: of every unit of which there is any.
        input_cost: US dollars; None: not stated, or nothing of it could be priced.
        output_cost: the same.
        other_cost: the same.
        total_cost: their sum; None where nothing could be priced.
    """

    status: str
    reason: str | None
    charges: tuple[Charge, ...] = ()
    input_cost: Decimal | None = None
    output_cost: Decimal | None = None
    other_cost: Decimal | None = None
    total_cost: Decimal | None = None


class UnitPlan(NamedTuple):
    """What stating units beside tokens changes.

    Attributes:
        charged: units to charge.
        replaced: token units that are not charged, as a unit is charged instead.
    """

    charged: tuple[str, ...] = ()
    replaced: frozenset[str] = frozenset()


def money(scaled: int) -> Decimal:
    """Return a whole number of 10**-18 dollars as dollars."""
    return EXACT.scaleb(Decimal(scaled), -MONEY_SCALE)


def charge_for(quantity: int | Decimal, line: Line) -> int:
    """Return what a quantity costs in units of 10**-18 dollars; a fraction is rounded once, half to even."""
    if line.once:
        quantity = min(quantity, 1)
    if isinstance(quantity, int):
        return quantity * line.scaled
    return int(EXACT.multiply(quantity, line.rate).quantize(LAST_PLACE, context=EXACT).scaleb(MONEY_SCALE, EXACT))


def plan_units(names: Iterable[str], card: RateCard, *, prompt: bool, completion: bool) -> UnitPlan:
    """Settle which units are charged where a usage states some beside its tokens.

    Args:
        names: of the units that the usage states more than 0 of.
        card: the rates.
        prompt: whether it states prompt tokens.
        completion: whether it states completion tokens.
    """
    priced_tokens = {
        "input": prompt and "text_input" in card.lines,
        "output": completion and "text_output" in card.lines,
    }
    priced_tokens["other"] = priced_tokens["input"] or priced_tokens["output"]
    charged, replaced = [], set()
    for name in names:
        found = unit_of(name)
        if found and found[0].name in TOKENS_FIRST and priced_tokens[found[0].side]:
            continue
        charged.append(name)
        if name in INSTEAD_OF and card.line(name) is not None:
            replaced.add(INSTEAD_OF[name])
    return UnitPlan(tuple(charged), frozenset(replaced))


def price_usage(usage: Usage, card: RateCard, *, timed_out: bool = False) -> Bill:
    """Charge a usage at the rates of a card.

    Args:
        usage: canonical; what is not stated is None.
        card: as ``Book.rates`` gives it, for this usage's prompt.
        timed_out: whether counting a part of it took too long.
    """
    if not _states_anything(usage):
        return Bill("unpriced", NO_USAGE)
    charges = tuple(_charges(usage, card))
    return _settled(usage, card, charges, timed_out=timed_out)


def _states_anything(usage: Usage) -> bool:
    return usage.prompt_tokens is not None or usage.completion_tokens is not None or bool(_units(usage))


def _units(usage: Usage) -> dict[str, Decimal]:
    return {name: amount for name, amount in (usage.billed_units or {}).items() if amount > 0}


def _charges(usage: Usage, card: RateCard) -> Iterator[Charge]:
    counts = {name: getattr(usage, name) or 0 for name in COUNTS_READ}
    units = _units(usage)
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    plan = plan_units(sorted(units), card, prompt=prompt > 0, completion=completion > 0)
    for unit, count in quantities(counts).items():
        if count and unit not in plan.replaced:
            line = card.lines.get(unit)
            yield Charge(unit, TOKEN_UNITS[unit].side, count, line, count * line.scaled if line else 0)
    for unit in plan.charged:
        line = card.line(unit)
        yield Charge(unit, side_of(unit), units[unit], line, charge_for(units[unit], line) if line else 0)


def side_of(unit: str) -> str:
    """Return the cost column that a unit counts into; one that no row knows is neither input nor output."""
    found = unit_of(unit)
    return found[0].side if found else "other"


def _settled(usage: Usage, card: RateCard, charges: tuple[Charge, ...], *, timed_out: bool) -> Bill:
    costs = {side: _side_cost(side, usage, charges) for side in SIDES}
    missing = any(charge.line is None for charge in charges)
    if card.empty or (missing and all(charge.line is None for charge in charges)):
        return Bill("unpriced", NO_RATE, charges)
    total = sum(cost for cost in costs.values() if cost is not None)
    weak = any(charge.line.listed.weak for charge in charges if charge.line)
    status, reason = "priced", None
    if missing:
        status, reason = "partly_priced", MISSING_RATE
    elif timed_out:
        status, reason = "partly_priced", TIMED_OUT
    elif _lacks_a_side(usage, card):
        status, reason = "partly_priced", HALF_USAGE
    elif weak:
        status, reason = "partly_priced", RATE_FALLBACK
    elif total == 0 and (charges or card.free):
        status, reason = "free", FREE_MODEL
    inputs, outputs, others = (None if cost is None else money(cost) for cost in costs.values())
    return Bill(status, reason, charges, inputs, outputs, others, money(total))


def _side_cost(side: str, usage: Usage, charges: Iterable[Charge]) -> int | None:
    """Return the cost of a side; None where nothing of it is stated, or nothing of what is stated has a rate."""
    own = [charge for charge in charges if charge.side == side]
    if own:
        return sum(charge.scaled for charge in own) if any(charge.line for charge in own) else None
    stated = {"input": usage.prompt_tokens, "output": usage.completion_tokens}.get(side)
    return None if stated is None else 0


def _lacks_a_side(usage: Usage, card: RateCard) -> bool:
    """Say whether only one side's tokens are stated, while the other side's cost something."""
    if _units(usage) or (usage.prompt_tokens is None) == (usage.completion_tokens is None):
        return False
    return bool(lacking_rate(card, "input" if usage.prompt_tokens is None else "output"))


def lacking_rate(card: RateCard, side: str) -> int:
    """Return what a token of a side that is not stated would cost, in units of 10**-18 dollars."""
    line = card.lines.get(f"text_{side}")
    return line.scaled if line and not line.listed.note else 0


