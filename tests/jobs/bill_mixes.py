"""A fortnight of calls by three keys, and its bills with several faults at once; what each fault moves, by hand.

A fault is in the bill or in the log, so that what it moves is the difference that comes of it. Where two act on one
amount (half of 88 %), what each moves depends on which comes first, and any order is right.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.jobs.bill_maker import (
    ANTHROPIC_TYPES,
    FIRST_DAY,
    OPENAI_LABELS,
    RATES,
    SEARCH,
    MadeCall,
    anthropic_bucket,
    openai_bucket,
    record_of,
)

DAYS, CHEAPER_SINCE = 14, (FIRST_DAY + timedelta(days=6)).date().isoformat()
MODELS = ("gpt-4o-2024-11-20", "gpt-4o-mini-2024-07-18", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001")
KEYS = {"key_web": "web", "key_batch": "night", "key_search": "search"}  # id on the bill -> user in the log
CAUSES = {
    "key_missing": "billed_not_logged", "copies": "duplicates", "cheaper_model": "price_version",
    "local_time": "day_shift", "batch_key": "tier_or_batch", "cache_lost": "cache", "cache_as_input": "cache",
    "searches": "server_tools", "discount": "discount", "batch_unlabelled": "tier_or_batch",
}  # fmt: skip
Cell = tuple[str, str | None, str]  # day, model, class


@dataclasses.dataclass
class Mix:
    """Calls, and what is wrong with their log and their bills.

    Attributes:
        faults: names of ``CAUSES``.
        calls: with the id of the key of each.
        copied: numbers of calls that are in the log twice.
    """

    faults: frozenset[str]
    calls: list[tuple[MadeCall, str]]
    copied: frozenset[int]

    def asked(self, faults: frozenset[str]) -> Iterator[tuple[Cell, str | None, str, int, Decimal]]:
        """Yield cell, tier, key, quantity and amount of what the bill asks under some faults."""
        for call, key in self.calls:
            day = call.at.date().isoformat()
            off = Decimal("0.88") if "discount" in faults else Decimal(1)
            halved = key == "key_batch" and faults & {"batch_key", "batch_unlabelled"}
            tier = "batch" if halved and "batch_key" in faults else None
            for name, tokens in call.classes.items():
                as_input = "cache_as_input" in faults and name == "cache_read"
                rate = Decimal(RATES[call.model]["input" if as_input else name]) * (Decimal("0.5") if halved else 1)
                if "cheaper_model" in faults and call.model == MODELS[0] and day >= CHEAPER_SINCE:
                    rate *= Decimal("0.8")
                if tokens:
                    yield (day, call.model, name), tier, key, tokens, rate * tokens * off
            if call.searches and "searches" in faults:
                yield (day, None, "searches"), None, key, call.searches, SEARCH * call.searches * off

    def logged(self, faults: frozenset[str]) -> Iterator[tuple[MadeCall, str, bool]]:
        """Yield the calls as the log has them under some faults, and whether each is a copy."""
        for call, key in self.calls:
            if "key_missing" in faults and key == "key_batch":
                continue
            classes = dict(call.classes)
            if "cache_lost" in faults:
                classes["input"] += classes.pop("cache_read", 0)
            at = call.at + timedelta(hours=2) if "local_time" in faults else call.at
            for copy in range(1 + ("copies" in faults and call.number in self.copied)):
                yield MadeCall(call.number, call.model, at, classes), key, bool(copy)

    def difference(self, faults: frozenset[str]) -> dict[Cell, Decimal]:
        """Return what the bill asks above our rates, cell by cell, of the days that it covers."""
        found: dict[Cell, Decimal] = defaultdict(Decimal)
        for cell, _, _, _, amount in self.asked(faults):
            found[cell] += amount
        days = {day for day, _, _ in found}
        for call, _, _ in self.logged(faults):
            day = call.at.date().isoformat()
            for name, tokens in call.classes.items() if day in days else ():
                found[day, call.model, name] -= Decimal(RATES[call.model][name]) * tokens
        return found

    def injected(self, cause: str) -> tuple[Decimal, Decimal]:
        """Return the least and the most that the faults of a cause move, in any order of the faults.

        Signed, or of a shift of days the gross.
        """
        own = frozenset(fault for fault in self.faults if CAUSES[fault] == cause)
        rest = sorted(self.faults - own)
        moved = []
        for others in (frozenset(some) for n in range(len(rest) + 1) for some in itertools.combinations(rest, n)):
            one, other = self.difference(others), self.difference(others | own)
            parts = [other.get(cell, Decimal(0)) - one.get(cell, Decimal(0)) for cell in {*one, *other}]
            moved.append(sum(map(abs, parts), Decimal(0)) if cause == "day_shift" else sum(parts, Decimal(0)))
        return min(moved), max(moved)


def make_mix(faults: frozenset[str], seed: int, a_day: int = 9) -> Mix:
    """Make so many calls of each model a day, at all hours, by keys of 55, 25 and 20 %."""
    random_ = random.Random(seed)
    calls = []
    for number in range(DAYS * len(MODELS) * a_day):
        model = MODELS[number % len(MODELS)]
        at = FIRST_DAY + timedelta(days=number // len(MODELS) // a_day, seconds=random_.randrange(86_400))
        prompt = random_.randrange(500, 9_000)
        cached = random_.choice((0, prompt * random_.randrange(20, 80) // 100))
        classes = {"input": prompt - cached, "cache_read": cached, "output": random_.randrange(50, 1_200)}
        if model.startswith("claude"):
            classes["cache_write_5m"] = random_.choice((0, 1_500))
        key = random_.choices(list(KEYS), (55, 25, 20))[0]
        searches = random_.choice((0, 1, 2)) if model.startswith("claude") and key == "key_search" else 0
        calls.append((MadeCall(number, model, at, classes, searches), key))
    return Mix(faults, calls, frozenset(random_.sample(range(len(calls)), len(calls) // 10)))


def write_mix(folder: Path, mix: Mix) -> Path:
    """Write the log, the bills ``openai.json``, ``anthropic.json`` and ``anthropic-usage.json``, and ``keys.csv``."""
    records = []
    for call, key, is_copy in mix.logged(mix.faults):
        record = record_of(call) | {"user": KEYS[key]}
        if is_copy:
            record["id"] += "-copy"
            record["response"] = record["response"] | {"id": f"{call.response_id}-copy"}
        records.append(record)
    (folder / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    (folder / "keys.csv").write_text("id,user\n" + "".join(f"{key},{user}\n" for key, user in KEYS.items()), "utf-8")
    sums: dict[tuple[str, str | None, str, str | None, str | None], list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    counts: dict[tuple[str, str | None, str | None, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (day, model, name), tier, key, quantity, amount in mix.asked(mix.faults):
        theirs = model is None or model.startswith("claude")
        entry = sums[day, model, name, tier, None if theirs else key]
        entry[0], entry[1] = entry[0] + quantity, entry[1] + amount
        if theirs and model:
            counts[day, model, tier, key][name] += quantity
    days = sorted({day for day, *_ in sums})
    pages = {
        "openai": [openai_bucket(day, [_openai(key, *entry) for key, entry in sums.items()
                                        if key[0] == day and key[4]]) for day in days],
        "anthropic": [anthropic_bucket(day, [_anthropic(key, *entry) for key, entry in sums.items()
                                              if key[0] == day and not key[4]]) for day in days],
        "anthropic-usage": [anthropic_bucket(day, [_usage(key, row) for key, row in counts.items() if key[0] == day])
                            for day in days],
    }  # fmt: skip
    for name, buckets in pages.items():
        page = {"object": "page", "data": buckets, "has_more": False, "next_page": None}
        (folder / f"{name}.json").write_text(json.dumps(page), encoding="utf-8")
    return folder / "log.jsonl"


def _openai(key: tuple[Any, ...], quantity: int, amount: Decimal) -> dict[str, Any]:
    _, model, name, tier, owner = key
    return {
        "object": "organization.costs.result", "amount": {"value": f"{amount:f}", "currency": "usd"},
        "line_item": f"{model}, {f'{tier} ' if tier else ''}{OPENAI_LABELS[name]}", "project_id": "proj_1",
        "api_key_id": owner, "quantity": quantity, "quantity_unit": "tokens",
    }  # fmt: skip


def _anthropic(key: tuple[Any, ...], quantity: int, amount: Decimal) -> dict[str, Any]:
    _, model, name, tier, _ = key
    about: dict[str, Any] = {"cost_type": "web_search", "description": "Web Search Usage"}
    if model:
        about = {"cost_type": "tokens", "description": f"{model} Usage - {name}", "model": model,
                 "token_type": ANTHROPIC_TYPES[name], "service_tier": tier or "standard",
                 "context_window": "0-200k"}  # fmt: skip
    return {"amount": f"{amount * 100:f}", "currency": "USD", "token_type": None, "model": None, **about}


def _usage(key: tuple[Any, ...], row: dict[str, int]) -> dict[str, Any]:
    return {
        "uncached_input_tokens": row["input"], "cache_read_input_tokens": row["cache_read"],
        "cache_creation": {"ephemeral_5m_input_tokens": row["cache_write_5m"], "ephemeral_1h_input_tokens": 0},
        "output_tokens": row["output"], "server_tool_use": {"web_search_requests": 0}, "model": key[1],
        "service_tier": key[2] or "standard", "api_key_id": key[3], "workspace_id": None,
    }  # fmt: skip
