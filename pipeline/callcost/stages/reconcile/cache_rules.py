"""Cached tokens that the two sides count differently: in the rows of a bill, and in single calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from callcost.logs.bills.labels import CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H, CACHE_WRITE_5M, INPUT, OUTPUT
from callcost.stages.reconcile.case import Case
from callcost.stages.reconcile.cells import NOTHING, Cell, Part, are_counted, share, sum_costs

_CACHES = (CACHE_READ, CACHE_WRITE, CACHE_WRITE_5M, CACHE_WRITE_1H)


def settle_lost_caches(case: Case) -> None:
    """Take cached tokens that the logs of a provider never state: they hold them as plain input.

    Where prompts agree, these are all that the bill has; where the logs lack calls, too, a part as large as theirs.
    """
    stated = {cell.key.provider for cell in case.cells() if cell.key.token_class == CACHE_READ and cell.ours}
    for key, cells in case.token_cells():
        by_class = {cell.key.token_class: cell for cell in cells}
        read, plain = by_class.get(CACHE_READ), by_class.get(INPUT)
        if key.provider in stated or read is None or plain is None or not plain.ours or (read.gap or NOTHING) <= 0:
            continue
        gap, prompts = read.gap or NOTHING, plain.ours + (plain.gap or NOTHING) + (read.gap or NOTHING)
        lost = gap if prompts <= plain.ours else Decimal(round(share(gap, plain.ours, prompts)))
        words = "the logs state no cached tokens" + (", in proportion to the prompts" if lost < gap else "")
        for cell, tokens in ((read, lost), (plain, -lost)):
            cell.settle("cache", tokens, cell.value(tokens), words)


def settle_caches(case: Case) -> None:
    """Take cached tokens that one side counts twice, as plain input, or not at all: the answers agree."""
    for _, cells in case.token_cells():
        by_class = {cell.key.token_class: cell for cell in cells}
        gaps = {name: cell.gap or NOTHING for name, cell in by_class.items()}
        caches = [name for name in _CACHES if gaps.get(name)]
        if not are_counted(cells) or not (caches or gaps.get(INPUT)):
            continue
        twice = not caches and abs(gaps[INPUT]) in _cached_totals(by_class)
        output = by_class.get(OUTPUT)
        if twice or (caches and output is not None and output.ours and not output.gap):
            label = "cached tokens counted as input, too" if twice else "answers agree, cached tokens do not"
            for name in (INPUT, *caches):
                if gaps.get(name):
                    by_class[name].settle("cache", gaps[name], by_class[name].value(gaps[name]), label)


def _cached_totals(cells: dict[str | None, Cell]) -> Iterator[Decimal]:
    """Yield what of the prompt was cached, on either side: reads, writes, both."""
    known = [(name, cells[name]) for name in _CACHES if name in cells]
    for figures in ({name: cell.ours for name, cell in known}, {name: cell.billed or NOTHING for name, cell in known}):
        read = figures.pop(CACHE_READ, NOTHING)
        written = sum(figures.values(), NOTHING)
        yield from (read, written, read + written)


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
