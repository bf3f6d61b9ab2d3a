"""Known calls and the bills for them, made without the pipeline: rates written down by hand, sums in decimals.

Everything that a test knows about who is right stands here. A call is a small record of classes and tokens; it becomes
a line of a log in its provider's own shape and a part of the provider's bill.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

# US dollars a token in November 2025, from the providers' price pages.
RATES: dict[str, dict[str, str]] = {
    "gpt-4o-2024-11-20": {"input": "0.0000025", "cache_read": "0.00000125", "output": "0.00001"},
    "gpt-4o-mini-2024-07-18": {"input": "0.00000015", "cache_read": "0.000000075", "output": "0.0000006"},
    "gpt-4.1-2025-04-14": {"input": "0.000002", "cache_read": "0.0000005", "output": "0.000008"},
    "o3-2025-04-16": {"input": "0.000002", "cache_read": "0.0000005", "output": "0.000008"},
    "claude-sonnet-4-5-20250929": {  # the map of that month has no rate for an hour's cache: no such calls here
        "input": "0.000003", "cache_read": "0.0000003", "cache_write_5m": "0.00000375", "output": "0.000015",
    },
    "claude-haiku-4-5-20251001": {
        "input": "0.000001", "cache_read": "0.0000001", "cache_write_5m": "0.00000125", "cache_write_1h": "0.000002",
        "output": "0.000005",
    },
    "claude-opus-4-1-20250805": {
        "input": "0.000015", "cache_read": "0.0000015", "cache_write_5m": "0.00001875", "cache_write_1h": "0.00003",
        "output": "0.000075",
    },
}  # fmt: skip
SEARCH = Decimal("0.01")  # one web search of Anthropic's
FIRST_DAY = datetime(2025, 11, 3, tzinfo=UTC)
Classes = dict[str, int]


@dataclasses.dataclass
class MadeCall:
    """One call: who, when, what."""

    number: int
    model: str
    at: datetime
    classes: Classes
    searches: int = 0
    runs: list[Classes] = dataclasses.field(default_factory=list)  # further sampling runs, Anthropic's iterations

    @property
    def provider(self) -> str:
        return "anthropic" if self.model.startswith("claude") else "openai"

    @property
    def response_id(self) -> str:
        return f"{'msg' if self.provider == 'anthropic' else 'chatcmpl'}-{self.number:06}"

    @property
    def total(self) -> Classes:
        """All tokens, further runs included."""
        summed: Classes = defaultdict(int, self.classes)
        for run in self.runs:
            for name, tokens in run.items():
                summed[name] += tokens
        return dict(summed)


def make_calls(count: int = 120, days: int = 5, seed: int = 7) -> list[MadeCall]:
    """Make calls of every model on every day, at all hours but near midnight, with tokens that do not repeat."""
    random_ = random.Random(seed)
    calls = []
    for number in range(count):
        model = list(RATES)[number % len(RATES)]
        at = FIRST_DAY + timedelta(days=number // len(RATES) % days, seconds=random_.randrange(7_200, 79_200))
        classes = {"input": random_.randrange(900, 9_000), "output": random_.randrange(50, 2_000)}
        if number % 2:
            classes["cache_read"] = random_.randrange(100, 5_000)
        if model.startswith("claude"):
            classes["cache_write_5m"] = random_.randrange(10, 900)
        if "cache_write_1h" in RATES[model]:
            classes["cache_write_1h"] = random_.randrange(10, 900) if number % 3 else 0
        calls.append(MadeCall(number, model, at, classes))
    return calls


# --- Logs -------------------------------------------------------------------------------------------------------------


def record_of(call: MadeCall) -> dict[str, Any]:
    """Write a call as its provider's body in a pair."""
    body = _anthropic(call) if call.provider == "anthropic" else _openai(call)
    request = {"model": call.model, "messages": [{"role": "user", "content": f"question {call.number}"}]}
    return {"id": f"r{call.number:06}", "timestamp": call.at.isoformat(), "provider": call.provider,
            "request": request, "response": body}  # fmt: skip


def _openai(call: MadeCall) -> dict[str, Any]:
    cached, output = call.classes.get("cache_read", 0), call.classes["output"]
    prompt = call.classes["input"] + cached
    return {
        "id": call.response_id, "object": "chat.completion", "created": int(call.at.timestamp()), "model": call.model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output,
                  "prompt_tokens_details": {"cached_tokens": cached}},
    }  # fmt: skip


def _anthropic(call: MadeCall) -> dict[str, Any]:
    usage = _anthropic_usage(call.classes)
    if call.searches:
        usage["server_tool_use"] = {"web_search_requests": call.searches}
    if call.runs:
        usage["iterations"] = [
            {"type": "message", **_anthropic_usage(call.classes)},
            *({"type": "compaction", **_anthropic_usage(run)} for run in call.runs),
        ]
    return {
        "id": call.response_id, "type": "message", "role": "assistant", "model": call.model, "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "fine"}], "usage": usage,
    }  # fmt: skip


def _anthropic_usage(classes: Mapping[str, int]) -> dict[str, Any]:
    return {
        "input_tokens": classes.get("input", 0), "output_tokens": classes.get("output", 0),
        "cache_read_input_tokens": classes.get("cache_read", 0),
        "cache_creation_input_tokens": classes.get("cache_write_5m", 0) + classes.get("cache_write_1h", 0),
        "cache_creation": {"ephemeral_5m_input_tokens": classes.get("cache_write_5m", 0),
                           "ephemeral_1h_input_tokens": classes.get("cache_write_1h", 0)},
    }  # fmt: skip


def write_log(folder: Path, calls: Iterable[MadeCall]) -> Path:
    """Write calls as lines of JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "calls.jsonl"
    path.write_text("".join(json.dumps(record_of(call)) + "\n" for call in calls), encoding="utf-8")
    return path


# --- Bills ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Entry:
    """What a bill says of one day, model and class."""

    tokens: int = 0
    amount: Decimal = Decimal(0)
    batch: int = 0  # of the tokens, those that the bill says were in a batch


Key = tuple[str, str, str]  # day, model, class
Extra = tuple[str, str, str, Decimal]  # provider, day, label, amount


@dataclasses.dataclass
class MadeBill:
    """A bill while it is made: the truth, then whatever a test does to it."""

    entries: dict[Key, Entry]
    searches: dict[str, Entry] = dataclasses.field(default_factory=dict)
    extras: list[Extra] = dataclasses.field(default_factory=list)

    def each(self, wanted: Callable[[Key], bool]) -> list[tuple[Key, Entry]]:
        """Return the entries of some days, models and classes."""
        return [(key, entry) for key, entry in sorted(self.entries.items()) if wanted(key)]

    @property
    def total(self) -> Decimal:
        """All amounts."""
        amounts = [entry.amount for entry in (*self.entries.values(), *self.searches.values())]
        return sum(amounts, Decimal(0)) + sum((extra[3] for extra in self.extras), Decimal(0))


def charge(model: str, token_class: str, tokens: int) -> Decimal:
    """Return what tokens cost."""
    return Decimal(RATES[model][token_class]) * tokens


def make_bill(calls: Iterable[MadeCall]) -> MadeBill:
    """Add up what the providers would ask for calls."""
    bill = MadeBill({})
    for call in calls:
        day = call.at.date().isoformat()
        for token_class, tokens in call.total.items():
            if tokens:
                entry = bill.entries.setdefault((day, call.model, token_class), Entry())
                entry.tokens += tokens
                entry.amount += charge(call.model, token_class, tokens)
        if call.searches:
            entry = bill.searches.setdefault(day, Entry())
            entry.tokens += call.searches
            entry.amount += SEARCH * call.searches
    return bill


OPENAI_LABELS = {"input": "input", "cache_read": "cached input", "output": "output"}
_OPENAI_COUNTS = {"input": "input_uncached_tokens", "cache_read": "input_cached_tokens", "output": "output_tokens"}
ANTHROPIC_TYPES = {
    "input": "uncached_input_tokens", "cache_read": "cache_read_input_tokens", "output": "output_tokens",
    "cache_write_5m": "cache_creation.ephemeral_5m_input_tokens",
    "cache_write_1h": "cache_creation.ephemeral_1h_input_tokens",
}  # fmt: skip


def write_bill(folder: Path, bill: MadeBill, *, with_usage: bool = True) -> Path:
    """Write a bill as pages of both providers' cost and usage reports."""
    folder.mkdir(parents=True, exist_ok=True)
    days = sorted({key[0] for key in bill.entries} | {extra[1] for extra in bill.extras})
    pages = {
        "openai-costs": [_openai_costs(bill, day) for day in days],
        "anthropic-costs": [_anthropic_costs(bill, day) for day in days],
    }
    if with_usage:
        pages["openai-usage"] = [_openai_usage(bill, day) for day in days]
        pages["anthropic-usage"] = [_anthropic_counts(bill, day) for day in days]
    for name, buckets in pages.items():
        page = {"object": "page", "data": buckets, "has_more": False, "next_page": None}
        (folder / f"{name}.json").write_text(_dumps(page), encoding="utf-8")
    return folder


def _dumps(value: Any) -> str:
    """Write JSON with amounts as exact numbers."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_dumps, value)) + "]"
    return json.dumps(value)


def _of(bill: MadeBill, day: str, provider: str) -> list[tuple[str, str, Entry]]:
    return [
        (model, token_class, entry)
        for (at, model, token_class), entry in sorted(bill.entries.items())
        if at == day and model.startswith("claude") == (provider == "anthropic")
    ]


def openai_bucket(day: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    start = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": results}


def _openai_costs(bill: MadeBill, day: str) -> dict[str, Any]:
    lines = [(f"{model}, {OPENAI_LABELS[name]}", entry.amount) for model, name, entry in _of(bill, day, "openai")]
    lines += [(label, amount) for provider, at, label, amount in bill.extras if (provider, at) == ("openai", day)]
    return openai_bucket(day, [
        {"object": "organization.costs.result", "amount": {"value": amount, "currency": "usd"}, "line_item": label,
         "project_id": None, "api_key_id": None, "quantity": None, "quantity_unit": None}
        for label, amount in lines
    ])  # fmt: skip


def _openai_usage(bill: MadeBill, day: str) -> dict[str, Any]:
    models: dict[tuple[str, bool], dict[str, Any]] = {}
    for model, name, entry in _of(bill, day, "openai"):
        for batch, tokens in ((False, entry.tokens - entry.batch), (True, entry.batch)):
            if tokens or not batch:
                row = models.setdefault((model, batch), dict.fromkeys(_OPENAI_COUNTS.values(), 0))
                row[_OPENAI_COUNTS[name]] += tokens
    return openai_bucket(day, [
        {"object": "organization.usage.completions.result", **row, "num_model_requests": 1, "project_id": None,
         "input_tokens": row["input_uncached_tokens"] + row["input_cached_tokens"], "model": model, "batch": batch}
        for (model, batch), row in models.items()
    ])  # fmt: skip


def anthropic_bucket(day: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    end = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
    return {"starting_at": f"{day}T00:00:00Z", "ending_at": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "results": results}


def _anthropic_costs(bill: MadeBill, day: str) -> dict[str, Any]:
    def result(amount: Decimal, **more: Any) -> dict[str, Any]:
        return {
            "amount": f"{amount * 100:f}", "currency": "USD", "cost_type": "tokens", "token_type": None, "model": None,
            "description": None, "workspace_id": None, "service_tier": "standard", **more,
        }  # fmt: skip

    results = []
    for model, name, entry in _of(bill, day, "anthropic"):
        batch = (charge(model, name, entry.batch) / 2).quantize(entry.amount)  # as many places
        for tier, amount in (("batch", batch), ("standard", entry.amount - batch)):
            if amount or tier == "standard":
                about = {"token_type": ANTHROPIC_TYPES[name], "model": model, "description": f"{model} {name}"}
                results.append(result(amount, **about, service_tier=tier))
    if day in bill.searches:
        results.append(result(bill.searches[day].amount, cost_type="web_search", description="Web Search Usage"))
    extras = [extra for extra in bill.extras if extra[:2] == ("anthropic", day)]
    results += [result(amount, cost_type="other", description=label) for *_, label, amount in extras]
    return anthropic_bucket(day, results)


def _anthropic_counts(bill: MadeBill, day: str) -> dict[str, Any]:
    models: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for model, name, entry in _of(bill, day, "anthropic"):
        for tier, tokens in (("standard", entry.tokens - entry.batch), ("batch", entry.batch)):
            if tokens or tier == "standard":
                models[model, tier][name] += tokens
    results = [
        {
            "uncached_input_tokens": row["input"], "cache_read_input_tokens": row["cache_read"],
            "cache_creation": {"ephemeral_5m_input_tokens": row["cache_write_5m"],
                               "ephemeral_1h_input_tokens": row["cache_write_1h"]},
            "output_tokens": row["output"], "server_tool_use": {"web_search_requests": 0}, "model": model,
            "service_tier": tier, "workspace_id": None, "api_key_id": None,
        }
        for (model, tier), row in models.items()
    ]  # fmt: skip
    if results and day in bill.searches:
        results[0]["server_tool_use"] = {"web_search_requests": bill.searches[day].tokens}
    return anthropic_bucket(day, results)
