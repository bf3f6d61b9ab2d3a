"""What of callcost is measured inside one process: a warm report, the batch pricing, the scalar helpers.

Everything else is measured as its user runs it: the command, start-up included (runs.py).
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.jobs import Job, Work

if TYPE_CHECKING:
    import polars as pl

    from callcost.prices.book.book import Book

SEED = 20261123
PRICED_MODELS = 300
WARM_LINES = 500
PRICED_VERSION = "litellm-1.106.0"  # whose models the LiteLLM of the bench extra knows, too
FIRST_MOMENT, LAST_MOMENT = 1_790_812_800_000_000, 1_793_491_200_000_000  # October 2026, in microseconds
TICKED_CHARS = 1_000_000
_PROSE = """the of and to a in is that for it as was with be by on not he this are or his from at which
""".split()  # noqa: SIM905 - prose is easier to read than a list
# The counts that the calls state, and the fields of LiteLLM's map that price them one by one.
UNIT_COLUMNS = {
    "line_prompt_tokens": "input_cost_per_token",
    "line_cache_read_input_tokens": "cache_read_input_token_cost",
    "line_completion_tokens": "output_cost_per_token",
    "line_reasoning_tokens": "output_cost_per_reasoning_token",
}


def report_warm(job: Job) -> Work:
    """Report a log in this one process, after a report of its first lines; the timed work has no start-up in it."""
    from callcost.jobs.report import report_spend
    from callcost.settings import ReportOptions, WorkOptions

    def work(path: str = job.path) -> int:
        with tempfile.TemporaryDirectory() as folder:
            options = ReportOptions(logs=(path,), out=str(Path(folder, "out")), work=WorkOptions(workers=1))
            return int(report_spend(options).manifest["records"]["calls"])

    with tempfile.NamedTemporaryFile(suffix=".jsonl") as head:
        with Path(job.path).open("rb") as stream:
            head.writelines(islice(stream, WARM_LINES))
        head.flush()
        work(head.name)
    return work


def map_log(by_columns: bool, job: Job) -> Work:
    """Read a log to facts in a file, as one task of a report, by columns or record by record; nothing is priced."""
    from callcost.logs.io.inputs import Input
    from callcost.settings import ReportOptions, WorkOptions
    from callcost.stages.read.splits import cut_inputs
    from callcost.stages.tasks import MapTask, map_inputs

    path = Path(job.path)
    pieces = tuple(cut_inputs([Input(path=job.path, name=path.name, bytes=path.stat().st_size)]))
    options = ReportOptions(logs=(job.path,), work=WorkOptions(workers=1))

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            task = MapTask(number=0, pieces=pieces, folder=folder, options=options, by_columns=by_columns)
            return sum(tally["records"] for tally in map_inputs(task, lambda *_: None).inputs.values())

    return work


def unpack_log(job: Job) -> Work:
    """Unpack a log to nowhere, as reading it does."""
    from callcost.logs.io.compression import open_range
    from callcost.logs.io.object_store import open_input

    def work() -> int:
        with open_input(job.path) as stream:
            return max(1, sum(map(len, open_range(stream, 0, None)[1])))

    return work


# --- Prices -----------------------------------------------------------------------------------------------------------


def _open_book() -> Book:
    from callcost.prices.book.book import open_book
    from callcost.settings import PriceOptions

    return open_book(PriceOptions())


@lru_cache(maxsize=1)
def priced_models() -> list[str]:
    """Return chat models with rates for prompt and completion, spread over all providers of a map."""
    catalog = _open_book().catalog
    version = catalog.find(PRICED_VERSION)
    entries = ((name, catalog.entry(name, version)) for name in sorted(catalog.names(version)))
    plain = [
        name
        for name, entry in entries
        if entry and entry.get("mode") == "chat" and "tiered_pricing" not in entry
        and not name.startswith("openrouter/")  # that provider's list is not in every build of the map
        and entry.get("input_cost_per_token") and entry.get("output_cost_per_token")
    ]  # fmt: skip
    return [plain[len(plain) * number // PRICED_MODELS] for number in range(PRICED_MODELS)]


def priced_calls(rows: int) -> list[tuple[str, dict[str, int]]]:
    """Return (model, usage) of calls: the prompt with a cached part, the completion with reasoning in it."""
    rng = random.Random(SEED)
    models = priced_models()
    calls = []
    for _ in range(rows):
        prompt, completion = rng.randint(20, 4_000), rng.randint(1, 900)
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        calls.append((models[int(rng.random() * len(models))], usage))
    return calls


def priced_facts(rows: int) -> pl.DataFrame:
    """Return the same calls as facts, a part of them cached and a part reasoning."""
    import polars as pl

    from callcost.stages.tables.schemas import Facts

    rng = random.Random(SEED + 1)
    calls = priced_calls(rows)
    models = [model for model, _ in calls]
    prompts = [usage["prompt_tokens"] for _, usage in calls]
    completions = [usage["completion_tokens"] for _, usage in calls]
    columns = {
        "model": models,
        "line_model": models,
        "started_at": [rng.randint(FIRST_MOMENT, LAST_MOMENT) for _ in calls],
        "line_prompt_tokens": prompts,
        "line_cache_read_input_tokens": [prompt * rng.randint(0, 3) // 4 for prompt in prompts],
        "line_completion_tokens": completions,
        "line_reasoning_tokens": [completion // 3 for completion in completions],
    }
    moment = pl.col("started_at").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    stated = pl.DataFrame(columns).with_columns(moment)
    fixed = {"status": "success", "usage_source": "reported", "line": 0, "lines": 1}
    words = [pl.lit(value, dtype=Facts.types[name]).alias(name) for name, value in fixed.items()]
    rest = [
        pl.lit(None, dtype=kind).alias(name)
        for name, kind in Facts.types.items()
        if name not in columns and name not in fixed
    ]
    return stated.with_columns(*words, *rest).select(Facts.names).rechunk()


def float_rates() -> pl.DataFrame:
    """Return each model's rates of that map as Float64, one column per count."""
    import polars as pl

    catalog = _open_book().catalog
    entries = [catalog.entry(model, catalog.find(PRICED_VERSION)) or {} for model in priced_models()]
    rates = {
        f"rate {column}": [float(str(entry.get(field) or 0)) for entry in entries]
        for column, field in UNIT_COLUMNS.items()
    }
    return pl.DataFrame({"line_model": priced_models(), **rates}).unique("line_model", maintain_order=True)


def price_batch(job: Job) -> Work:
    """Price facts: the names resolved, the rates of each day, exact decimals, and what is said of every row."""
    from callcost.stages.pricing.price_facts import price_facts

    facts, book = priced_facts(job.rows), _open_book()
    price_facts(facts, book)  # as the peer: once before
    return lambda: price_facts(facts, book).height


def cost_helper(name: str, job: Job) -> Work:
    """Call a scalar helper again and again, as the same-named work of LiteLLM does; each model once before."""
    from callcost.helpers import costs

    once = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    warm, calls = [(model, once) for model in priced_models()], priced_calls(job.rows)
    if name == "cost_per_token":
        _cost_tokens(costs.cost_per_token, _counts_of(warm))
        return partial(_cost_tokens, costs.cost_per_token, _counts_of(calls))
    _cost_answers(costs.completion_cost, _answers_of(warm))
    return partial(_cost_answers, costs.completion_cost, _answers_of(calls))


def _counts_of(calls: list[tuple[str, dict[str, int]]]) -> list[tuple[str, int, int]]:
    return [(model, usage["prompt_tokens"], usage["completion_tokens"]) for model, usage in calls]


def _answers_of(calls: list[tuple[str, dict[str, int]]]) -> list[dict[str, object]]:
    return [{"object": "chat.completion", "model": model, "choices": [], "usage": usage} for model, usage in calls]


def _cost_tokens(cost_per_token: Callable[..., object], calls: list[tuple[str, int, int]]) -> int:
    for model, prompt, completion in calls:
        cost_per_token(model=model, prompt_tokens=prompt, completion_tokens=completion)
    return len(calls)


def _cost_answers(completion_cost: Callable[..., object], answers: list[dict[str, object]]) -> int:
    for answer in answers:
        completion_cost(completion_response=answer, model=answer["model"])
    return len(answers)


def tick_beside_counts(job: Job) -> Work:
    """Await counts of as many megabyte inputs as the job has rows, beside a ticker that sleeps 10 ms at a time.

    Its units are the ticks that came within 20 ms, per thousand.
    """
    import callcost
    from callcost.helpers.counting import async_token_counter

    callcost.async_tokenizer_threshold_bytes, callcost.tokenizer_timeout_seconds = TICKED_CHARS // 2, 0.0
    words = random.Random(SEED).choices(_PROSE, k=TICKED_CHARS)
    text = " ".join(words)[:TICKED_CHARS]

    async def tick() -> int:
        counts = [asyncio.create_task(async_token_counter("gpt-4o", text=text)) for _ in range(job.rows)]
        late = []
        while not all(count.done() for count in counts):
            begun = time.perf_counter()
            await asyncio.sleep(0.010)
            late.append(time.perf_counter() - begun)
        return round(1000 * sum(seconds <= 0.020 for seconds in late) / len(late))

    asyncio.run(async_token_counter("gpt-4o", text="the vocabulary is read before"))
    return lambda: asyncio.run(tick())


WORKS: dict[str, Callable[[Job], Work]] = {
    "report warm": report_warm,
    "unpack": unpack_log,
    "map by columns": partial(map_log, True),
    "map by record": partial(map_log, False),
    "price batch": price_batch,
    "cost_per_token": partial(cost_helper, "cost_per_token"),
    "ticker": tick_beside_counts,
    "completion_cost": partial(cost_helper, "completion_cost"),
}
