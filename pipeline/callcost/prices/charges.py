"""The scalar reader of prices: one usage and one rate card become charges.

Charges are whole numbers of 10**-18 dollars until someone asks for decimals, so that sums are exact. The rules of what
makes a call priced, partly priced, free or unpriced stand here; ``stages/pricing/price_facts.py`` applies the same ones
to tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from callcost.prices.rates import EXACT, LAST_PLACE, Line, RateCard
from callcost.prices.units import INSTEAD_OF, TOKEN_UNITS, TOKENS_FIRST, quantities, unit_of
from callcost.tables import MONEY_SCALE, Usage

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


class Bill(NamedTuple):
    """All charges of one usage.

    Attributes:
        status: "priced", "free", "unpriced" or "partly_priced".
        reason: why, where it is not "priced".
        charges: of every unit of which there is any.
        scaled: input, output, other and total cost in units of 10**-18 dollars; None: not stated, or nothing of it
            could be priced.
    """

    status: str
    reason: str | None
    charges: tuple[Charge, ...] = ()
    scaled: tuple[int | None, int | None, int | None, int | None] = (None, None, None, None)

    @property
    def input_cost(self) -> Decimal | None:
        """US dollars for the prompt and its caches."""
        return _money_if_stated(self.scaled[0])

    @property
    def output_cost(self) -> Decimal | None:
        """US dollars for the completion."""
        return _money_if_stated(self.scaled[1])

    @property
    def other_cost(self) -> Decimal | None:
        """US dollars for what is neither."""
        return _money_if_stated(self.scaled[2])

    @property
    def total_cost(self) -> Decimal | None:
        """The sum of the three."""
        return _money_if_stated(self.scaled[3])


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


def _money_if_stated(scaled: int | None) -> Decimal | None:
    return None if scaled is None else money(scaled)


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
        "input": prompt and card.line("text_input") is not None,
        "output": completion and card.line("text_output") is not None,
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
    units = {name: amount for name, amount in usage.billed_units.items() if amount > 0} if usage.billed_units else {}
    if usage.prompt_tokens is None and usage.completion_tokens is None and not units:
        return Bill("unpriced", NO_USAGE)
    charges = _token_charges(usage, card)
    if units:
        charges = _with_units(charges, usage, units, card)
    return _settled(usage, card, tuple(charges), half=not units and _lacks_a_side(usage, card), timed_out=timed_out)


def _token_charges(usage: Usage, card: RateCard) -> list[Charge]:
    charges = []
    for unit, count in quantities(usage):
        line = card.line(unit)
        charges.append(Charge(unit, TOKEN_UNITS[unit].side, count, line, count * line.scaled if line else 0))
    return charges


def _with_units(charges: list[Charge], usage: Usage, units: dict[str, Decimal], card: RateCard) -> list[Charge]:
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    plan = plan_units(sorted(units), card, prompt=prompt > 0, completion=completion > 0)
    kept = [charge for charge in charges if charge.unit not in plan.replaced]
    for unit in plan.charged:
        line = card.line(unit)
        kept.append(Charge(unit, side_of(unit), units[unit], line, charge_for(units[unit], line) if line else 0))
    return kept


def side_of(unit: str) -> str:
    """Return the cost column that a unit counts into; one that no row knows is neither input nor output."""
    found = unit_of(unit)
    return found[0].side if found else "other"


def _settled(usage: Usage, card: RateCard, charges: tuple[Charge, ...], *, half: bool, timed_out: bool) -> Bill:
    costs: dict[str, int | None] = {
        "input": None if usage.prompt_tokens is None else 0,
        "output": None if usage.completion_tokens is None else 0,
        "other": None,
    }
    total, weak = 0, False
    missing = [charge for charge in charges if charge.line is None]
    for charge in missing:
        costs[charge.side] = None
    for charge in charges:
        if charge.line is not None:
            total += charge.scaled
            costs[charge.side] = (costs[charge.side] or 0) + charge.scaled
            weak = weak or charge.line.listed.weak
    if card.empty or (missing and len(missing) == len(charges)):
        return Bill("unpriced", NO_RATE, charges)
    status, reason = "priced", None
    if missing:
        status, reason = "partly_priced", MISSING_RATE
    elif timed_out:
        status, reason = "partly_priced", TIMED_OUT
    elif half:
        status, reason = "partly_priced", HALF_USAGE
    elif weak:
        status, reason = "partly_priced", RATE_FALLBACK
    elif total == 0 and (charges or card.free):
        status, reason = "free", FREE_MODEL
    return Bill(status, reason, charges, (costs["input"], costs["output"], costs["other"], total))


def _lacks_a_side(usage: Usage, card: RateCard) -> bool:
    """Say whether only one side's tokens are stated, while the other side's cost something."""
    if (usage.prompt_tokens is None) == (usage.completion_tokens is None):
        return False
    return bool(lacking_rate(card, "input" if usage.prompt_tokens is None else "output"))


def lacking_rate(card: RateCard, side: str) -> int:
    """Return what a token of a side that is not stated would cost, in units of 10**-18 dollars."""
    line = card.line(f"text_{side}")
    return line.scaled if line and not line.listed.note else 0
