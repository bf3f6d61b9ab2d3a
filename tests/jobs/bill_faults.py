"""One fault each: what a bill or a log gets wrong, where, and how much money that is. Made without the pipeline.

Each fault works on models and days of its own, so that all of them can be made at once and still be told apart.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.jobs.bill_maker import (
    FIRST_DAY,
    RATES,
    SEARCH,
    Entry,
    MadeBill,
    MadeCall,
    charge,
    make_bill,
    make_calls,
    record_of,
    write_bill,
)

DAYS = 8
LAST_PLACES = Decimal("1e-6")


@dataclasses.dataclass
class World:
    """What the providers know, what the log says, and what the bill asks.

    Attributes:
        calls: that were made.
        logged: of them, what the log holds.
        bill: what is asked.
        more: lines of the log beside the calls.
        injected: cause -> money that was moved, signs apart.
    """

    calls: list[MadeCall]
    logged: list[MadeCall]
    bill: MadeBill
    more: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    injected: dict[str, Decimal] = dataclasses.field(default_factory=dict)

    def inject(self, cause: str, amount: Decimal) -> None:
        self.injected[cause] = self.injected.get(cause, Decimal(0)) + abs(amount)

    def chosen(self, model: str, day: int) -> list[MadeCall]:
        """Return the calls of a model on the n-th day."""
        return [call for call in self.calls if call.model == model and (call.at - FIRST_DAY).days == day]

    def entry(self, call: MadeCall, token_class: str, days: int = 0) -> Entry:
        day = (call.at + timedelta(days=days)).date().isoformat()
        return self.bill.entries.setdefault((day, call.model, token_class), Entry())

    def take(self, call: MadeCall, sign: int, days: int = 0) -> Decimal:
        """Put a call's charges on the bill, or take them off; return what they cost."""
        total = Decimal(0)
        for token_class, tokens in call.total.items():
            entry, amount = self.entry(call, token_class, days), charge(call.model, token_class, tokens)
            entry.tokens += sign * tokens
            entry.amount += sign * amount
            total += amount
        return total


def make_world() -> World:
    """Make calls, some with searches, some with further runs, all logged and billed as they should be."""
    calls = make_calls(count=len(RATES) * DAYS * 4, days=DAYS)
    for call in calls:
        if call.model.startswith("claude-opus") and call.number % 3 == 0:  # a fee that the map names
            call.searches = 1 + call.number % 3
        if call.model.startswith("claude-opus") and call.number % 2:
            call.runs = [{"input": 3_000 + call.number, "output": 40 + call.number, "cache_read": 70 + call.number}]
    late = [call for call in calls if call.model == "gpt-4.1-2025-04-14" and (call.at - FIRST_DAY).days == 2][:2]
    for minutes, call in enumerate(late, 3):
        call.at = FIRST_DAY + timedelta(days=3) - timedelta(minutes=minutes)
    return World(calls, list(calls), make_bill(calls))


def _key(day: int, model: str) -> tuple[str, str]:
    return (FIRST_DAY + timedelta(days=day)).date().isoformat(), model


def _scale(world: World, model: str, day: int, factor: str, cause: str) -> None:
    for _, entry in world.bill.each(lambda key: key[:2] == _key(day, model)):
        world.inject(cause, entry.amount * (Decimal(factor) - 1))
        entry.amount *= Decimal(factor)


# --- The faults -------------------------------------------------------------------------------------------------------


def lose_calls(world: World) -> None:
    """Two calls never reach the log."""
    for call in world.chosen("gpt-4o-2024-11-20", 0)[:2]:
        world.logged.remove(call)
        world.inject("billed_not_logged", make_bill([call]).total)


def forgive_calls(world: World) -> None:
    """Two calls are never billed."""
    for call in world.chosen("gpt-4o-2024-11-20", 1)[1:3]:
        world.inject("logged_not_billed", world.take(call, -1))


def log_twice(world: World) -> None:
    """Two calls are in the log again as the bare body that a second writer kept."""
    for call in world.chosen("gpt-4o-2024-11-20", 2)[:2]:
        world.more.append(record_of(call)["response"])
        world.inject("duplicates", make_bill([call]).total)


def bill_twice(world: World) -> None:
    """One call is billed twice."""
    world.inject("duplicates", world.take(world.chosen("o3-2025-04-16", 6)[1], 1))


def shift_days(world: World) -> None:
    """Two calls shortly before midnight are billed on the day after."""
    for call in world.chosen("gpt-4.1-2025-04-14", 2)[:2]:
        world.inject("day_shift", 2 * world.take(call, -1))
        world.take(call, 1, days=1)


def ask_in_cents(world: World) -> None:
    """A day's amounts are a hundred times too high."""
    _scale(world, "claude-haiku-4-5-20251001", 0, "100", "unit_error")


def double_cache(world: World) -> None:
    """Cached tokens are billed as input, too."""
    for call in world.chosen("claude-haiku-4-5-20251001", 1):
        cached = call.classes.get("cache_read", 0)
        entry, amount = world.entry(call, "input"), charge(call.model, "input", cached)
        entry.tokens += cached
        entry.amount += amount
        world.inject("cache", amount)


def ignore_cache(world: World) -> None:
    """Cached tokens are billed as input instead."""
    for call in world.chosen("gpt-4.1-2025-04-14", 5):
        cached = call.classes.get("cache_read", 0)
        plain, reads = world.entry(call, "input"), world.entry(call, "cache_read")
        for entry, token_class, sign in ((plain, "input", 1), (reads, "cache_read", -1)):
            amount = charge(call.model, token_class, cached)
            entry.tokens += sign * cached
            entry.amount += sign * amount
            world.inject("cache", amount)


def forget_runs(world: World) -> None:
    """Further runs of calls are not billed."""
    for call in world.chosen("claude-opus-4-1-20250805", 1):
        for token_class, tokens in ((name, count) for run in call.runs for name, count in run.items()):
            entry, amount = world.entry(call, token_class), charge(call.model, token_class, tokens)
            entry.tokens -= tokens
            entry.amount -= amount
            world.inject("missing_iterations", amount)


def search_more(world: World) -> None:
    """Thirty searches that no log has."""
    day = _key(4, "")[0]
    entry = world.bill.searches.setdefault(day, Entry())
    entry.tokens += 30
    entry.amount += 30 * SEARCH
    world.inject("server_tools", 30 * SEARCH)


def ask_batch(world: World) -> None:
    """A day is billed as a batch."""
    _scale(world, "gpt-4.1-2025-04-14", 0, "0.5", "tier_or_batch")


def ask_batch_for_some(world: World) -> None:
    """One call of a day was in a batch, and the usage report says so; the log does not."""
    call = world.chosen("gpt-4.1-2025-04-14", 7)[0]
    half = dict.fromkeys(("input", "output", "cache_read"), Decimal("0.5"))  # as documented: the map has none
    for token_class, tokens in call.classes.items():
        entry, amount = world.entry(call, token_class), charge(call.model, token_class, tokens)
        entry.batch += tokens
        entry.amount += amount * (half[token_class] - 1)
        world.inject("tier_or_batch", amount * (half[token_class] - 1))


def ask_batch_by_tier(world: World) -> None:
    """One call of a day was in a batch, and the cost report says so; the log does not."""
    call = world.chosen("claude-haiku-4-5-20251001", 5)[0]
    for token_class, tokens in call.classes.items():
        entry, amount = world.entry(call, token_class), charge(call.model, token_class, tokens)
        entry.batch += tokens
        entry.amount -= amount / 2
        world.inject("tier_or_batch", amount / 2)


def ask_input_for_cache(world: World) -> None:
    """A day's cached tokens are billed at the rate of input."""
    for (_, model, _), entry in world.bill.each(lambda key: key == (*_key(3, "o3-2025-04-16"), "cache_read")):
        amount = charge(model, "input", entry.tokens)
        world.inject("cache", amount - entry.amount)
        entry.amount = amount


def add_uplift(world: World) -> None:
    """A day is billed with a regional uplift."""
    _scale(world, "claude-haiku-4-5-20251001", 3, "1.1", "region_uplift")


def ask_old_prices(world: World) -> None:
    """Two days are billed with the prices of May 2025."""
    old = {"input": "0.00001", "cache_read": "0.0000025", "output": "0.00004"}
    days = {_key(day, "o3-2025-04-16") for day in (0, 1)}
    for (_, _, token_class), entry in world.bill.each(lambda key: key[:2] in days):
        amount = Decimal(old[token_class]) * entry.tokens
        world.inject("price_version", amount - entry.amount)
        entry.amount = amount


def grant_discount(world: World) -> None:
    """A model is 12 % cheaper all the time, and there is a credit."""
    for day in range(DAYS):
        _scale(world, "gpt-4o-mini-2024-07-18", day, "0.88", "discount")
    world.bill.extras.append(("openai", _key(3, "")[0], "promotional credit", Decimal("-0.25")))
    world.inject("discount", Decimal("0.25"))


def bill_new_model(world: World) -> None:
    """A model without a price is used and billed."""
    call = MadeCall(900_001, "gpt-zeta-9", FIRST_DAY + timedelta(days=2, hours=9), {"input": 4_321, "output": 987})
    world.logged.append(call)
    for token_class, tokens in call.classes.items():
        amount = Decimal("0.00002") * tokens
        world.bill.entries[call.at.date().isoformat(), call.model, token_class] = Entry(tokens, amount)
        world.inject("unpriced_model", amount)


def add_unknown_lines(world: World) -> None:
    """Two lines that no table knows."""
    for provider, label, amount in (("openai", "evals | external grader", "0.75"), ("anthropic", "Concierge", "0.4")):
        world.bill.extras.append((provider, _key(5, "")[0], label, Decimal(amount)))
        world.inject("unmapped_line_item", Decimal(amount))


def ask_at_random(world: World) -> None:
    """An amount is wrong for no reason that anyone knows."""
    _, entry = world.bill.each(lambda key: key == (*_key(6, "claude-haiku-4-5-20251001"), "output"))[0]
    entry.amount += Decimal("0.0123457")
    world.inject("unexplained", Decimal("0.0123457"))


def round_amounts(world: World) -> None:
    """Every amount is rounded."""
    for entry in (*world.bill.entries.values(), *world.bill.searches.values()):
        rounded = entry.amount.quantize(LAST_PLACES)
        world.inject("rounding", rounded - entry.amount)
        entry.amount = rounded


FAULTS: dict[str, Callable[[World], None]] = {
    fault.__name__: fault
    for fault in (
        lose_calls, forgive_calls, log_twice, bill_twice, shift_days, ask_in_cents, double_cache, ignore_cache,
        forget_runs, search_more, ask_batch, ask_batch_for_some, ask_batch_by_tier, ask_input_for_cache, add_uplift,
        ask_old_prices, grant_discount, bill_new_model, add_unknown_lines, ask_at_random, round_amounts,
    )
}  # fmt: skip


def write_world(folder: Path, world: World, *, with_usage: bool = True) -> tuple[Path, Path]:
    """Write the log and the bill of a world."""
    log = folder / "log.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    records = [*map(record_of, world.logged), *world.more]
    log.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return log, write_bill(folder / "bill", world.bill, with_usage=with_usage)
