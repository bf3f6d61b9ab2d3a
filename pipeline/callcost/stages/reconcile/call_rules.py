"""Rules that only a call by itself allows: its one amount is set against sums of its own charges.

What rows of a bill and calls have in common, and the order of all rules, is in ``rules.py``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

from callcost.logs.bills.labels import CACHE_READ, CACHE_WRITE_1H, CACHE_WRITE_5M
from callcost.stages.reconcile.case import Case
from callcost.stages.reconcile.cells import NOTHING, Part, share, sum_costs


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


def settle_call_caches(case: Case) -> None:
    """Take cached tokens that are not stated, stated twice, or at the price of input."""
    for cell in case.cells():
        reads = [part for part in cell.parts if part.token_class == CACHE_READ]
        writes = [part for part in cell.parts if part.token_class in {CACHE_WRITE_5M, CACHE_WRITE_1H}]
        plain = next((part for part in cell.parts if part.unit == "text_input" and part.cost), None)
        labels = (
            label
            for cached in ([*reads, *writes], reads, writes)
            for guess, label in _cache_guesses(cached, plain)
            if cell.is_off_by(guess)
        )
        if cell.rest and (label := next(labels, None)):
            cell.settle("cache", NOTHING, cell.rest, f"the stated cost has cached tokens {label}")


def _cache_guesses(cached: Sequence[Part], plain: Part | None) -> Iterator[tuple[Decimal, str]]:
    """Yield what a stated cost is off by if it counts cached tokens wrongly."""
    cost, tokens = sum_costs(cached), sum((part.quantity for part in cached), NOTHING)
    if not cost:
        return
    yield -cost, "not at all"
    yield cost, "twice"
    if plain is not None and plain.cost is not None:
        as_input = share(plain.cost, tokens, plain.quantity)
        yield as_input, "as input, too"
        yield as_input - cost, "at the price of input"
