"""Where a difference comes from: the rules, in the order in which they are asked.

Each rule measures one cause on evidence of its own and takes only what it measured; tokens come before money. What all
rules leave is called unexplained, so that no rule ever covers what another missed. ``RULES`` is the table for the rows
of a bill, ``CALL_RULES`` the one for calls that are compared one by one; what both ask is written once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from callcost.logs.bills.labels import OUTPUT
from callcost.prices.book.book import Book
from callcost.stages.reconcile.cache_rules import settle_caches, settle_call_caches, settle_lost_caches
from callcost.stages.reconcile.call_evidence import fits_in
from callcost.stages.reconcile.case import Case
from callcost.stages.reconcile.cells import NOTHING, Cell, CellKey, Part, Vector, are_counted, settle_vector, share
from callcost.stages.reconcile.day_shifts import settle_shifts
from callcost.stages.reconcile.rates.lots import lots_of, whole_tokens
from callcost.stages.reconcile.rates.price_hypotheses import (
    POWERS,
    UNIT,
    amounts_agree,
    settle_prices,
    settle_stated_rates,
)
from callcost.stages.reconcile.rates.price_steps import find_steps, settle_steps
from callcost.tables import EXACT

_OWN_KEY_FEE = Decimal("0.05")  # https://openrouter.ai/docs/guides/overview/auth/byok
_COUNT_TOLERANCE = Decimal("0.001")  # relative: counts in thousands are rounded


def explain(case: Case) -> None:
    """Apply every rule; afterwards no difference is left without a name."""
    for settle in CALL_RULES if case.per_call else RULES:
        settle(case)


# --- Tokens -----------------------------------------------------------------------------------------------------------


def settle_unpriced(case: Case) -> None:
    """Take what is asked for tokens that we have and cannot price; of more tokens, the share that is ours."""
    for _, cells in case.token_cells():
        for cell in cells:
            if cell.cost is None and cell.rest and (cell.unpriced or case.per_call):
                part = share(cell.rest, min(cell.ours, cell.billed), cell.billed) if cell.billed else cell.rest
                cell.settle("unpriced_model", NOTHING, part, case.words.unpriced)


def settle_units(case: Case) -> None:
    """Take counts that are all 100, 1,000 or 1,000,000 times ours, or that part of them."""
    for _, cells in case.token_cells():
        known = [cell for cell in cells if cell.ours > 0 and cell.billed]
        for power in POWERS if known else ():
            if all(_is_times(cell.billed, cell.ours, power) for cell in known):
                for cell in known:
                    wrong = cell.cost and _is_times(cell.amount, cell.cost, power)
                    amount, base = (cell.rest, cell.cost) if wrong else (NOTHING, None)
                    cell.settle(UNIT, cell.gap or NOTHING, amount, f"counts x {power:f}", base=base)
                break


def _is_times(billed: Decimal | None, ours: Decimal, power: Decimal) -> bool:
    return abs((billed or NOTHING) - ours * power) <= ours * power * _COUNT_TOLERANCE


def settle_implied(case: Case) -> None:
    """Read counts from amounts where the bill states none: whole tokens at the bill's prices, as far as they are known.

    Where our own tokens give every amount at some rates, they are the bill's.
    """
    for _, cells in case.token_cells():
        stated = [cell for cell in cells if cell.amount is not None and cell.cost and cell.ours > 0]
        lacking = [cell for cell in cells if cell.amount and not cell.parts and cell.gap is None]
        counted = any(cell.gap is not None or cell.key.token_class is None for cell in cells)
        if not stated or counted:
            continue
        named = any(lot.tier for cell in stated for lot in cell.lots)
        if not named and amounts_agree(stated, case.book):
            continue
        sample = next((part for cell in stated for part in cell.parts), None)
        counts = [_tokens_of(cell, sample, case.book) for cell in (*stated, *lacking)]
        if None in counts[: len(stated)]:
            continue
        for cell, found in zip((*stated, *lacking), counts, strict=True):
            if found is not None:
                cell.gap, cell.implied = sum(found.values(), NOTHING) - cell.ours, True
                cell.tiers = {tier: count for tier, count in found.items() if named and count}


def _tokens_of(cell: Cell, sample: Part | None, book: Book) -> dict[str | None, Decimal] | None:
    """Return tier -> whole tokens that the bill asks money for in it; None: an amount is of no whole number."""
    found: dict[str | None, Decimal] = defaultdict(Decimal)
    for lot in cell.lots or lots_of(cell, sample, book):
        lot.quantity = whole_tokens(lot, lot.price)
        if lot.quantity is None:
            return None
        found[lot.tier] += lot.quantity
    return dict(found) if found or not cell.amount else None


def settle_absent(case: Case) -> None:
    """Take the tokens of owners of whom the logs have no call, where all owners of the logs agree with others."""
    for _, cells in case.token_cells():
        for cell in cells:
            agreed = case.agreements.get(cell.key.provider)
            for owner in sorted(agreed.absent) if agreed is not None and cell.gap is not None else ():
                tokens = sum((count for (_, whose), count in cell.counted.items() if whose == owner), NOTHING)
                if tokens:
                    amount = cell.value(tokens)
                    words = f"of {owner} the logs have no call"
                    cell.settle("billed_not_logged", tokens, amount, words, ((owner, amount or NOTHING),))


def settle_copies(case: Case) -> None:
    """Take calls that are in the logs twice (by response id, or moment and counts), and what the bill has twice."""
    copies = case.evidence.copies(case.grain)
    verdicts = {name: agreed.copied for name, agreed in case.agreements.items() if agreed.copied is not None}
    common = next(iter(verdicts.values())) if len(set(verdicts.values())) == 1 else None  # a log has one writer
    for key, cells in case.token_cells():
        if not are_counted(cells):
            continue
        copied, billed = copies.get(key), verdicts.get(key.provider, common)
        if billed is None and copied:
            billed = not fits_in(copied, {cell.key.token_class: -(cell.gap or NOTHING) for cell in cells})
        if copied and not billed:
            words = f"calls logged twice under different names{case.evidence.odds}"
            settle_vector(cells, "duplicates", copied, -1, words)
        elif any((cell.gap or NOTHING) > 0 for cell in cells):
            _settle_billed_twice(case, key, cells)


def _settle_billed_twice(case: Case, key: CellKey, cells: Sequence[Cell]) -> None:
    """Take what the bill has again: every call, or exactly one. Where calls are all alike, no count can tell."""
    calls = case.evidence.calls_by_time(case.grain, key, late=True)
    counts = [{name: quantity for name, (quantity, _) in call.items()} for call in calls]
    if all(count == counts[0] for count in counts):
        return
    held = [cell for cell in cells if cell.ours > 0]
    times = {EXACT.divide(cell.gap or NOTHING, cell.ours) for cell in held}
    missing: dict[str | None, Decimal] = {cell.key.token_class: cell.gap for cell in cells if cell.gap}
    if len(held) > 1 and len(missing) == len(held) and len(times) == 1 and (ratio := times.pop()) == int(ratio):
        whole = {cell.key.token_class: (cell.gap or NOTHING, (cell.cost or NOTHING) * ratio) for cell in held}
        settle_vector(cells, "duplicates", whole, 1, f"the bill has every call {int(ratio) + 1} times")
    elif len(missing) > 1 and counts.count(missing) == 1:
        settle_vector(cells, "duplicates", calls[counts.index(missing)], 1, "the bill has just one logged call more")


def settle_runs(case: Case) -> None:
    """Take sampling runs of calls that only one side has: the gap is what they hold, in every class."""
    hidden = case.evidence.runs(case.grain)
    for key, cells in case.token_cells():
        if not are_counted(cells):
            continue
        for runs in hidden:
            vector: Vector = {name: pair for name, pair in runs.get(key, {}).items() if pair[0]}
            for sign, who in ((-1, "the bill lacks"), (1, "the bill has once more")):
                gaps = {cell.key.token_class: cell.gap or NOTHING for cell in cells}
                if vector and all(gaps.get(name) == quantity * sign for name, (quantity, _) in vector.items()):
                    settle_vector(cells, "missing_iterations", vector, sign, f"{who} further runs of our calls")


def settle_aborted(case: Case) -> None:
    """Take answers that broke off: the gap is what came of them in every class, or what they may have been."""
    broken, prompts = case.evidence.aborted(case.grain), case.evidence.aborted_prompts(case.grain)
    for key, cells in case.token_cells():
        if key not in broken or not are_counted(cells):
            continue
        vector: Vector = {name: pair for name, pair in broken[key].items() if pair[0]}
        gaps = {cell.key.token_class: cell.gap for cell in cells if cell.gap}
        if vector and gaps == {name: -quantity for name, (quantity, _) in vector.items()}:
            settle_vector(cells, "aborted_stream", vector, -1, "the bill lacks answers that broke off")
        elif len(cells) > 1 and _may_be_answers(gaps, vector, prompts.get(key, NOTHING)):
            for cell in cells:
                if cell.gap:
                    cell.settle("aborted_stream", cell.gap, cell.value(cell.gap), "more than came of broken answers")


def _may_be_answers(gaps: Mapping[str | None, Decimal], held: Vector, prompts: Decimal) -> bool:
    """Tell whether gaps are more output of answers that broke off, and of prompts whose size nobody stated.

    Args:
        gaps: class -> tokens that the bill has more.
        held: what came of the answers, as far as it was stated or counted.
        prompts: tokens that all their prompts may have had at the most.
    """
    more = dict(gaps)
    if more.pop(OUTPUT, NOTHING) <= 0 or None in gaps:
        return False
    whole = {name: held.get(name, (NOTHING, NOTHING))[0] + gap for name, gap in more.items()}
    return not more or (min(whole.values()) >= 0 and sum(whole.values()) <= prompts)


def settle_tools(case: Case) -> None:
    """Take what is charged beside tokens, wherever the two sides do not agree."""
    for cell in case.cells():
        fees = cell.fees
        if not cell.is_token and cell.unpriced and not cell.gap and cell.is_open:
            cell.settle("unpriced_model", NOTHING, cell.rest, "our price list names no fee")
        elif not cell.is_token and (cell.gap or cell.is_open):
            cell.settle("server_tools", cell.gap or NOTHING, cell.rest, "charged beside tokens")
        elif cell.tool_amount is not None and cell.tool_amount != fees:
            cell.settle("server_tools", NOTHING, cell.tool_amount - fees, "the bill states its server tools")
        elif cell.key.token_class is None and cell.is_open and fees and cell.is_off_by(-fees):
            cell.settle("server_tools", NOTHING, cell.rest, case.words.lacks_tools)


def settle_own_keys(case: Case) -> None:
    """Take what was paid to the model's provider with a key of one's own; of OpenRouter's price its fee is left."""
    for cell in case.cells():
        paid = cell.own_key_amount
        if paid and cell.is_open and (cell.rest or NOTHING) < 0:
            left = (cell.rest or NOTHING) + paid
            amount = cell.rest if 0 <= left <= EXACT.multiply(paid, _OWN_KEY_FEE) + cell.slack else -paid
            cell.settle("own_key", NOTHING, amount, "paid with a key of one's own: the model's provider bills it")


def settle_missing(case: Case) -> None:
    """Take tokens that only one side has, after all other rules of tokens."""
    for _, cells in case.token_cells():
        for cell in cells:
            if cell.gap:
                cause = "billed_not_logged" if cell.gap > 0 else "logged_not_billed"
                amount = cell.rest if _explains_rest(cell) else cell.value(cell.gap)
                cell.settle(cause, cell.gap, amount, _lacking_side(cell))
            elif cell.gap is None and cell.rest and not cell.ours:
                cell.settle("billed_not_logged", NOTHING, cell.rest, "no call in the logs")
            elif cell.gap is None and cell.rest and cell.amount == 0:
                cell.settle("logged_not_billed", NOTHING, cell.rest, "nothing on the bill")


def _explains_rest(cell: Cell) -> bool:
    """Tell whether a row of all classes together asks a price for its missing tokens that its model has."""
    if cell.key.token_class is not None or not cell.gap or cell.rest is None:
        return False
    rates = [part.cost / part.quantity for part in cell.parts if part.cost and part.quantity]
    return bool(rates) and min(rates) <= cell.rest / cell.gap <= max(rates)


def _lacking_side(cell: Cell) -> str:
    if not cell.ours:
        return "no call in the logs"
    if not cell.billed and not cell.implied:
        return "nothing on the bill"
    return "counted from the amount" if cell.implied else "the counts differ"


# --- Money ------------------------------------------------------------------------------------------------------------


def settle_rates(case: Case) -> None:
    """Take what other rates would ask for the same tokens, where one hypothesis gives all amounts of a model's day."""
    for _, cells in case.token_cells():
        for cell in cells:
            settle_steps(cell)
        settle_prices(cells, case.book)


def settle_rounding(case: Case) -> None:
    """Take what the last place of the other side's amounts can hide."""
    for cell in case.cells():
        if cell.rest and not cell.is_open:
            cell.settle("rounding", NOTHING, cell.rest, case.words.rounding)


def settle_leftovers(case: Case) -> None:
    """Take what is left of rows whose calls are in part unpriced, and call the rest unexplained."""
    for cell in case.cells():
        if cell.unpriced and cell.rest and cell.rest > 0:
            cell.settle("unpriced_model", NOTHING, cell.rest, "calls of the row have no price")
        if cell.rest or cell.gap:
            cell.settle("unexplained", cell.gap or NOTHING, cell.rest, "no rule gives this amount")


# --- Calls by themselves: one amount is set against sums of the call's own charges ------------------------------------


def settle_free_calls(case: Case) -> None:
    """Take calls that are stated to cost nothing."""
    for cell in case.cells():
        if cell.amount == 0 and cell.cost:
            cell.settle("logged_not_billed", NOTHING, cell.rest, "the stated cost is 0 and the call has tokens")


def settle_broken_calls(case: Case) -> None:
    """Take what answers that broke off cost more than what came of them."""
    for cell in case.cells():
        if cell.rest and cell.rest > 0 and any(part.aborted for part in cell.parts):
            cell.settle("aborted_stream", NOTHING, cell.rest, "the answer broke off: more of it was billed")


def settle_call_runs(case: Case) -> None:
    """Take all sampling runs of a call but one."""
    for cell in case.cells():
        runs: dict[int, Decimal] = defaultdict(Decimal)
        for part in cell.parts:
            runs[part.line] += part.cost or NOTHING
        whole = sum(runs.values())
        if len(runs) > 1 and any(cell.is_off_by(kept - whole) for kept in runs.values()):
            cell.settle("missing_iterations", NOTHING, cell.rest, "the stated cost is that of one of the call's runs")


_MONEY_RULES = (settle_rates, settle_rounding, settle_leftovers)
RULES = (
    settle_unpriced,
    settle_units,
    find_steps,
    settle_implied,
    settle_shifts,
    settle_absent,
    settle_copies,
    settle_runs,
    settle_aborted,
    settle_lost_caches,
    settle_caches,
    settle_tools,
    settle_own_keys,
    settle_missing,
    *_MONEY_RULES,
)
CALL_RULES = (
    settle_stated_rates,
    settle_broken_calls,
    settle_unpriced,
    settle_own_keys,
    settle_free_calls,
    settle_tools,
    settle_call_runs,
    settle_call_caches,
    find_steps,
    *_MONEY_RULES,
)
