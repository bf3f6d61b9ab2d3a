"""The scalar reader of prices: one usage and one rate card become charges; and the rules that judge a price.

Charges are whole numbers of 10**-18 dollars until someone asks for decimals, so that sums are exact. What makes a call
priced, partly priced, free or unpriced is the table ``VERDICTS``; ``stages/pricing/price_facts.py`` reads the same one
for whole tables of calls.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from callcost.prices.rates import Line, RateCard
from callcost.prices.tariffs import MARKS
from callcost.prices.units import INSTEAD_OF, TOKEN_UNITS, TOKENS_ELSE, TOKENS_FIRST, is_measure, quantities, unit_of
from callcost.tables import ABORTED, EXACT, HIDDEN, INCOMPLETE, LAST_PLACE, MONEY_SCALE, NOT_CHARGED, Usage

DERIVED = "derived_rate"  # the reason of a price that a documented factor gave
SIDES = ("input", "output", "other")
Scaled = tuple[int | None, int | None, int | None, int | None]  # input, output, other, total in 10**-18 dollars


class Verdict(NamedTuple):
    """What a price is called, and when.

    Attributes:
        status: "priced", "free", "unpriced" or "partly_priced".
        reason: why it is not plainly priced; None: it is.
        costs: what the cost columns hold: the "charged" sums, "zero", or "none" (null).
        conditions: name -> whether it must hold, or must not.
    """

    status: str
    reason: str | None
    costs: str
    conditions: Mapping[str, bool]


def _verdicts(text: str) -> Iterator[Verdict]:
    for line in text.strip().splitlines():
        status, reason, costs, *words = line.partition("#")[0].split()
        conditions = {word.lstrip("!"): not word.startswith("!") for word in words}
        yield Verdict(status, None if reason == "-" else reason, costs, conditions)


# The first row whose conditions hold decides ("!": must not hold). Beside the conditions of CALL_CONDITIONS and
# CARD_CONDITIONS: aborted, incomplete, hidden_reasoning: the call is flagged so; no_input, no_output: these tokens are
# not stated; units: the usage states some beside tokens; measured: one of them measures what the model did, instead of
# tokens; missing: a part of what was used has no rate; rated: a part has one; weak: a part is charged at a rate that
# may be lower than its own; suspect: at one that a source contradicts; scheduled: after a change that is announced and
# not confirmed; derived: at what its provider documents, where the map has none; zero_charge: a part has a rate and
# costs 0; cost: the sum is not 0. What costs "zero" stands first, then what costs "none".
VERDICTS = (
    *_verdicts("""
    free           cache_hit         zero     cache_hit
    free           not_charged       zero     not_charged
    free           failed_call       zero     failed no_input no_output !units !aborted
    free           local             zero     local
    unpriced       aborted           none     no_input no_output !units aborted
    unpriced       no_usage          none     no_input no_output !units
    unpriced       no_usage          none     absent
    unpriced       unknown_model     none     unknown
    unpriced       provisioned       none     provisioned
    unpriced       placeholder_rate  none     placeholder
    unpriced       no_rate           none     lists_no_rate
    unpriced       no_rate           none     missing !rated
    partly_priced  missing_rate      charged  missing
    partly_priced  timed_out         charged  timed_out
    partly_priced  usage_incomplete  charged  incomplete
    partly_priced  usage_incomplete  charged  no_input input_costs !measured        # the other side is stated
    partly_priced  usage_incomplete  charged  no_output output_costs !measured
    free           free_model        charged  lists_zeros !cost
    partly_priced  hidden_reasoning  charged  hidden_reasoning
    partly_priced  suspect_rate      charged  suspect
    partly_priced  scheduled_change  charged  scheduled
    partly_priced  rate_fallback     charged  weak
    free           free_model        charged  zero_charge !cost
    priced         derived_rate      charged  derived
    priced         -                 charged
"""),
)
# Conditions on a call: the column and the word that it holds.
CALL_CONDITIONS = {
    "cache_hit": ("status", "cache_hit"),
    "failed": ("status", "failure"),
    "absent": ("usage_source", "absent"),
    "timed_out": ("usage_source", "timed_out"),
    "not_charged": ("billing", NOT_CHARGED),
}
FLAG_CONDITIONS = {ABORTED: ABORTED, "incomplete": INCOMPLETE, HIDDEN: HIDDEN}
_CALL_WORDS = {fact: name for name, fact in CALL_CONDITIONS.items()}
# Conditions on a rate card; None: no version that applies lists the model.
CARD_CONDITIONS: Mapping[str, Callable[[RateCard | None], bool]] = {
    "unknown": lambda card: card is None,
    "lists_no_rate": lambda card: card is not None and card.empty,
    "lists_zeros": lambda card: card is not None and card.free,
    "local": lambda card: card is not None and card.local,
    "placeholder": lambda card: card is not None and card.placeholder,
    "provisioned": lambda card: card is not None and card.provisioned,
    "input_costs": lambda card: _has_cost(card, "text_input"),
    "output_costs": lambda card: _has_cost(card, "text_output"),
}


def _has_cost(card: RateCard | None, unit: str) -> bool:
    """Say whether the model has a rate above 0 for a unit; one that stands in for it does not count."""
    line = card.line(unit) if card else None
    return line is not None and line.scaled > 0 and (not line.listed.note or line.listed.is_its_own)


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
            has a rate.
    """

    status: str
    reason: str | None
    charges: tuple[Charge, ...] = ()
    scaled: Scaled = (None, None, None, None)

    @property
    def costs(self) -> tuple[Decimal | None, ...]:
        """Input, output, other and total cost in US dollars; None: as in ``scaled``."""
        return tuple(None if scaled is None else money(scaled) for scaled in self.scaled)

    @property
    def total_cost(self) -> Decimal | None:
        """The last of them."""
        return self.costs[-1]


class UnitPlan(NamedTuple):
    """What stating units beside tokens changes.

    Attributes:
        charged: units to charge.
        replaced: token units that are not charged, as a unit is charged instead.
    """

    charged: tuple[str, ...] = ()
    replaced: frozenset[str] = frozenset()


NO_UNITS = UnitPlan()


def money(scaled: int) -> Decimal:
    """Return a whole number of 10**-18 dollars as dollars."""
    return EXACT.scaleb(Decimal(scaled), -MONEY_SCALE)


def quantized(amount: Decimal) -> Decimal:
    """Return an amount as money is kept: 18 places, half to even."""
    return amount.quantize(LAST_PLACE, context=EXACT)


def plain(amount: Decimal | int) -> str:
    """Return an amount with all its digits as plain decimal text, without zeros at its end.

    >>> plain(Decimal("12.300")), plain(Decimal("0E-18"))
    ('12.3', '0')
    """
    return f"{EXACT.normalize(Decimal(amount)):f}"


def charge_for(quantity: int | Decimal, line: Line) -> int:
    """Return what a quantity costs in units of 10**-18 dollars; a fraction is rounded once, half to even."""
    if line.once:
        quantity = min(quantity, 1)
    if isinstance(quantity, int):
        return quantity * line.scaled
    return int(quantized(EXACT.multiply(quantity, line.rate)).scaleb(MONEY_SCALE, EXACT))


def plan_units(names: Iterable[str], card: RateCard | None, *, prompt: bool, completion: bool) -> UnitPlan:
    """Settle which units are charged where a usage states some beside its tokens.

    Args:
        names: of the units that the usage states more than 0 of.
        card: the rates; None: the model is unknown.
        prompt: whether it states prompt tokens.
        completion: whether it states completion tokens.
    """

    def has_rate(unit: str) -> bool:
        line = card.line(unit) if card else None
        return line is not None and bool(line.listed.field or line.listed.rate or not line.listed.weak)

    tokens = {"input": prompt and has_rate("text_input"), "output": completion and has_rate("text_output")}
    tokens["other"] = tokens["input"] or tokens["output"]
    charged = []
    for name in names:
        found = unit_of(name)
        stem, side = (found[0].name, found[0].side) if found else ("", "")
        if not (tokens.get(side) and (stem in TOKENS_FIRST or (stem in TOKENS_ELSE and not has_rate(name)))):
            charged.append(name)
    rated = [name for name in charged if has_rate(name)]
    replaced = {INSTEAD_OF[name] for name in rated if name in INSTEAD_OF}
    if any(is_measure(name) for name in rated):  # of a model that is not charged by tokens
        replaced |= {unit for unit in TOKEN_UNITS if card and not has_rate(unit)}
    return UnitPlan(tuple(charged), frozenset(replaced))


def price_usage(
    usage: Usage,
    card: RateCard | None,
    *,
    status: str = "success",
    usage_source: str | None = None,
    billing: str | None = None,
    flags: Collection[str] = (),
) -> Bill:
    """Charge a usage at the rates of a card, and judge the price.

    Args:
        usage: canonical; what is not stated is None.
        card: as ``Book.rates`` gives it, for this usage's prompt; None: the model is unknown.
        status: of the call.
        usage_source: of the call.
        billing: of the call.
        flags: of the call.
    """
    units = {name: amount for name, amount in usage.billed_units.items() if amount > 0} if usage.billed_units else {}
    charges = tuple(_charges(usage, units, card)) if card else ()
    costs, conditions = _sum_charges(usage, charges)
    for fact in (("status", status), ("usage_source", usage_source), ("billing", billing)):
        if fact in _CALL_WORDS:
            conditions.add(_CALL_WORDS[fact])
    if units:
        conditions |= {"units", "measured"} if any(map(is_measure, units)) else {"units"}
    conditions.update(name for name, flag in FLAG_CONDITIONS.items() if flag in flags)
    verdict = _judge(conditions_of(card) | conditions)
    if verdict.costs == "zero":
        return Bill(verdict.status, verdict.reason, scaled=(0, 0, None, 0))
    return Bill(verdict.status, verdict.reason, charges, costs if verdict.costs == "charged" else (None,) * 4)


@functools.lru_cache
def conditions_of(card: RateCard | None) -> frozenset[str]:
    """Return the names of the conditions that hold of a rate card."""
    return frozenset(name for name, holds in CARD_CONDITIONS.items() if holds(card))


@functools.cache
def _judge(conditions: frozenset[str]) -> Verdict:
    return next(
        each for each in VERDICTS if all((name in conditions) == must for name, must in each.conditions.items())
    )


def _charges(usage: Usage, units: Mapping[str, Decimal], card: RateCard) -> Iterator[Charge]:
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    plan = plan_units(sorted(units), card, prompt=prompt > 0, completion=completion > 0) if units else NO_UNITS
    held: list[tuple[str, int | Decimal]] = [pair for pair in quantities(usage) if pair[0] not in plan.replaced]
    held += [(unit, units[unit]) for unit in plan.charged]
    for unit, quantity in held:
        line = card.line(unit)
        yield Charge(unit, side_of(unit), quantity, line, charge_for(quantity, line) if line else 0)


@functools.lru_cache(maxsize=4096)
def side_of(unit: str) -> str:
    """Return the cost column that a unit counts into; one that no row knows is neither input nor output."""
    found = unit_of(unit)
    return found[0].side if found else "other"


def _sum_charges(usage: Usage, charges: Iterable[Charge]) -> tuple[Scaled, set[str]]:
    """Return input, output, other and total cost, and the conditions that hold of the charges and the tokens."""
    sides: dict[str, int | None] = {}
    conditions: set[str] = set()
    for _, side, _, line, scaled in charges:
        if line is None:
            conditions.add("missing")
            sides.setdefault(side, None)
            continue
        sides[side] = (sides.get(side) or 0) + scaled
        conditions.add("rated")
        if line.listed.note:  # a rate that may be anything says why
            conditions.update(mark for mark in MARKS if getattr(line.listed, mark))
        if not scaled:
            conditions.add("zero_charge")
    total = sum(filter(None, sides.values()))
    if total:
        conditions.add("cost")
    for side, tokens in (("input", usage.prompt_tokens), ("output", usage.completion_tokens)):
        if tokens is None:
            conditions.add(f"no_{side}")
        else:
            sides.setdefault(side, 0)
    return (sides.get("input"), sides.get("output"), sides.get("other"), total), conditions
