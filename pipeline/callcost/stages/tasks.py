"""The kernel: map a task of inputs to facts in files, reduce some of these files to results in files.

Both are pure functions of their task and the options; a task names paths and its result is a small manifest line, so
the same functions run inline, in a pool of processes and on a cluster, and give the same bytes.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from callcost.settings import ReportOptions
from callcost.stages.columnar.chats import count_facts
from callcost.stages.count.missing_usage import TIMED_OUT, count_missing, open_counter
from callcost.stages.dedup.resolve import settled_facts
from callcost.stages.dedup.rules import REPEATED
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.pricing.priced_calls import gather_calls
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.read.batch_join import Batches
from callcost.stages.read.splits import Piece, survey
from callcost.stages.read.windows import read_windows
from callcost.stages.report.rejects import RejectFiles
from callcost.stages.report.spend import (
    charge_by_source,
    filter_calls,
    merge_spend,
    merge_unpriced,
    span_of,
    sum_spend,
    tally_filtered,
    unpriced_groups,
)
from callcost.stages.tables.facts import facts_of, number_rows, scan_facts, write_facts

FLUSH_ROWS = 100_000  # facts held before they go to a file
FLUSH_BYTES = 256 << 20  # of them: names may be long
MOST_GROUPS = 200_000  # of a partial spend
_FEW_WORDS = 3  # of a column, that are counted one by one
Tick = Callable[[int, int], None]  # (bytes read, calls read) since the last tick


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MapTask:
    """Inputs to read, count and lay out as facts.

    Attributes:
        number: of the task.
        pieces: of inputs.
        folder: where fact files go.
        options: of the run.
        counted: False leaves missing usage missing.
        lanes: whether calls that need no counting, or are plain chats, are read by columns; their facts have no
            digests.
    """

    number: int
    pieces: tuple[Piece, ...]
    folder: str
    options: ReportOptions
    counted: bool = True
    lanes: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReduceTask:
    """Files of facts to filter, price and sum, once the keys are settled.

    Attributes:
        number: of the task.
        files: of facts.
        verdicts: files of verdicts on records of the run.
        folder: where results go.
        options: of the run.
        rows_before: number of a piece -> rows of its file before it, where the facts do not know it.
        priced: False for what only wants to know what is there.
        listed: whether the calls are written too.
    """

    number: int
    files: tuple[str, ...]
    verdicts: tuple[str, ...]
    folder: str
    options: ReportOptions
    rows_before: tuple[tuple[int, int], ...] = ()
    priced: bool = True
    listed: bool = True


def map_inputs(task: MapTask, tick: Tick) -> dict[str, Any]:
    """Read and count the calls of a task's inputs and write them as facts.

    Returns:
        A manifest line: ``inputs`` (number -> tally), ``digests`` (of inputs read whole: number -> sha256), ``facts``
        (rows written), ``counting`` (statistics), ``timed_out`` ([piece, source_file, row in it] of each call of which
        an item timed out), ``files`` (that were written).
    """
    tallies: dict[str, Counter[str]] = {}
    digests: dict[str, str] = {}
    held: list[pl.DataFrame] = []
    rejected = RejectFiles(task.number, task.folder)
    timed_out: list[list[Any]] = []
    files: list[str] = []
    rows = 0
    batches = Batches(task.options.logs)
    with open_counter(task.options, sum(piece.bytes for piece in task.pieces)) as counter:
        for piece in task.pieces:
            lineage = [pl.lit(piece.input, pl.Int64).alias("input"), pl.lit(piece.number, pl.Int64).alias("piece")]
            tally = tallies.setdefault(str(piece.input), Counter())
            for window in read_windows(piece, task.options.read, lanes=task.lanes, counted=task.counted):
                batches.join(window, piece.source)
                if task.counted:
                    count_missing(window.calls, counter)
                    window.facts = count_facts(window.facts, window.talks, counter)
                    late = [call for call in window.calls if call.usage_source == TIMED_OUT]
                    timed_out += [[piece.number, call.source_file, call.source_row] for call in late]
                held += [of_lane.with_columns(*lineage) for of_lane in window.facts]
                if window.calls:
                    held.append(facts_of(window.calls, piece.input, piece.number))
                rejected.add(window.rejects, piece.number)
                tally.update(window.tally)
                tally["rejects"] += len(window.rejects)
                tick(window.seen_bytes, window.found)
                if sum(map(len, held)) >= FLUSH_ROWS or sum(table.estimated_size() for table in held) >= FLUSH_BYTES:
                    rows += _flush(held, task, files)
            if piece.whole:
                digests[str(piece.input)] = survey(piece.source.path).sha256
        rows += _flush(held, task, files)
        inputs = {number: dict(tally) for number, tally in tallies.items()}
        counting = counter.stats()
    return {
        "task": task.number, "inputs": inputs, "digests": digests, "facts": rows, "counting": counting,
        "timed_out": timed_out, "files": [*files, *rejected.finish()],
    }  # fmt: skip


def _flush(held: list[pl.DataFrame], task: MapTask, files: list[str]) -> int:
    facts = pl.concat(held, how="diagonal") if held else pl.DataFrame()
    held.clear()
    if facts.height:
        path = Path(task.folder) / f"facts-{task.number:06}-{len(files):04}.parquet"
        write_facts(facts, path)
        files.append(str(path))
    return facts.height


def reduce_files(task: ReduceTask, tick: Tick) -> dict[str, Any]:
    """Filter, price and sum files of facts, one at a time.

    Returns:
        A manifest line: tallies that add up over tasks, and ``files``: the partial spend, the groups of calls without
        a full price, the calls where asked for.
    """
    tallies: dict[str, Any] = {}
    partials: list[pl.DataFrame] = []
    unpriced: list[pl.DataFrame] = []
    listings, spends = list[str](), list[str]()
    for place, path in enumerate(task.files):
        listing = Path(task.folder) / f"calls-{task.number:06}-{place:04}.parquet"
        partial, without_price, tally = _reduce_file(path, task, listing)
        listings += [str(listing)] if task.listed else []
        unpriced += [without_price] if without_price.height else []
        partials, tallies = [*partials, partial], add_tallies(tallies, tally)
        if sum(map(len, partials)) > MOST_GROUPS or place == len(task.files) - 1:
            spend = Path(task.folder) / f"spend-{task.number:06}-{len(spends):04}.parquet"
            merge_spend(partials, task.options.by).write_parquet(spend)
            partials, spends = [], [*spends, str(spend)]
        tick(0, 0)
    if unpriced:
        groups = Path(task.folder) / f"unpriced-{task.number:06}.parquet"
        merge_unpriced(unpriced).write_parquet(groups)
        listings.append(str(groups))
    return {"task": task.number, **tallies, "files": listings + spends}


def _reduce_file(path: str, task: ReduceTask, listing: Path) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    per_input = {"read": _heads(scan_facts([path]).select("line", "input").collect())}
    facts = number_rows(settled_facts(path, task.verdicts), task.rows_before)
    per_input["kept"] = _heads(facts)
    before: dict[str, Any] = {"filtered_by": tally_filtered(facts, task.options), "spans": span_of(facts)}
    facts = filter_calls(facts, task.options)
    per_input["calls"] = _heads(facts)
    if task.priced:
        facts = charge_by_source(price_facts(facts, book_of(task.options.prices)), task.options.cost_source)
    calls = gather_calls(facts)
    if task.listed:
        calls.write_parquet(listing, compression="lz4")
    tally = {"per_input": per_input, **before, **tally_calls(calls, named=not task.priced)}
    return sum_spend(facts, calls, task.options), unpriced_groups(calls), tally


def add_tallies(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Add two manifest lines: counts add up by name, lists follow each other."""
    if not one:
        return other
    added = dict(one)
    for name, value in other.items():
        if isinstance(value, dict):
            added[name] = add_tallies(added.get(name, {}), value)
        else:
            added[name] = added[name] + value if name in added else value
    return added


def _heads(facts: pl.DataFrame) -> dict[str, int]:
    return _counts(facts if facts["line"].max() == 0 else facts.filter(pl.col("line") == 0), "input")


def tally_calls(calls: pl.DataFrame, *, named: bool) -> dict[str, Any]:
    """Count calls by what a reader of the manifest asks first; every figure adds over tasks.

    Args:
        calls: one row per call.
        named: also count them by model, of which there may be very many, and by day.
    """
    flags = _counts(calls.select(pl.col("flags").explode(empty_as_null=False)), "flags")
    return {
        "usage_source": _counts(calls, "usage_source"),
        "count_method": _counts(calls, "count_method"),
        "price_status": _counts(calls, "price_status"),
        "price_basis": _counts(calls, "price_basis"),
        "price_version": _counts(calls, "price_version"),
        "source_format": _counts(calls, "source_format"),
        "model": _counts(calls, "model") if named else {},
        "day": _counts(calls.select(day=pl.col("started_at").dt.date()), "day") if named else {},
        "flags": flags,
        "repeated_rows": _sums_of(calls.filter(pl.col("flags").list.contains(REPEATED))) if REPEATED in flags else {},
        "undated": {"calls": calls["started_at"].null_count()},
        "counting": _counted(calls),
    }


def _sums_of(calls: pl.DataFrame) -> dict[str, int]:
    """Return how many calls there are, how many have a cost, and all costs in the last place of money, so exactly."""
    costs = calls["total_cost"].to_physical()
    return {"calls": calls.height, "with_cost": costs.count(), "cost": int(costs.sum())}


def _counted(calls: pl.DataFrame) -> dict[str, int]:
    """Sum what was counted, and by how much it may be off: in millionths of tokens, so that sums are exact."""
    tokens = pl.sum_horizontal(pl.col("prompt_tokens", "completion_tokens").fill_null(0))
    millionths = (pl.col("count_error") * 1_000_000).round().cast(pl.Int64)
    counted = calls.filter(pl.col("count_method").is_not_null())
    sums = counted.select(
        calls=pl.len(),
        prompt_tokens=pl.col("prompt_tokens").sum(),
        completion_tokens=pl.col("completion_tokens").sum(),
        millionths=(tokens * millionths).sum(),
    )
    return {name: int(value or 0) for name, value in sums.row(0, named=True).items()}


def _counts(table: pl.DataFrame, column: str) -> dict[str, int]:
    values, counts = table[column].drop_nulls(), dict[str, int]()
    while len(values) and len(counts) < _FEW_WORDS:  # most columns have few, and asking for one is quick
        same = values == values[0]
        counts[str(values[0])] = int(same.sum())
        values = values.filter(~same)
    return counts | {str(value): count for value, count in values.value_counts().iter_rows()}
