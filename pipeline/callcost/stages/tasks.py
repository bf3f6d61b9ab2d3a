"""The kernel: map a task of inputs to facts in files, reduce some of these files to results in files.

Both are pure functions of their task and the options; a task names paths and its result is a small struct, so
the same functions run inline, in a pool of processes and on a cluster, and give the same bytes.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import msgspec
import polars as pl

from callcost.prices.charges import DERIVED
from callcost.settings import ReportOptions
from callcost.stages.analysis.alternative_calls import Alternative, alternative_spend
from callcost.stages.analysis.target_models import COUNTS, TargetModels, count_moved
from callcost.stages.count.chat_counts import count_facts
from callcost.stages.count.hidden_reasoning import Ratios, fill_reasoning, histogram_of, merge_histograms
from callcost.stages.count.missing_usage import TIMED_OUT, count_missing, open_counter
from callcost.stages.dedup.resolve import settled_facts
from callcost.stages.dedup.rules import REPEATED
from callcost.stages.pricing.price_facts import gather_calls, price_facts, tally_corrected
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.read.batch_join import Batches
from callcost.stages.read.splits import Piece, survey
from callcost.stages.read.windows import Window, read_windows
from callcost.stages.report.days import sum_days
from callcost.stages.report.pseudonyms import hide_names
from callcost.stages.report.rejects import RejectFiles
from callcost.stages.report.spend import (
    charge_by_source,
    filter_calls,
    group_column,
    merge_spend,
    merge_unpriced,
    span_of,
    sum_spend,
    tally_filtered,
    unpriced_groups,
)
from callcost.stages.tables.facts import FactFiles, number_rows, scan_facts, scan_tables
from callcost.stages.tables.published_calls import copy_key
from callcost.tables import (
    ABORTED,
    FROM_LOG,
    CorrectedCalls,
    CountedTokens,
    FlaggedCalls,
    MapResult,
    ReduceResult,
)
from callcost.tokens.engines.text_counter import TextCounter
from callcost.tokens.requests.fingerprints import fingerprints

MOST_GROUPS = 100_000  # of a partial spend
_FEW_VALUES = 3  # of a column, that are counted one by one
_TALLIED = ("usage_source", "count_method", "price_status", "price_basis", "price_version", "source_format")
Tick = Callable[[int, int], None]  # (bytes read, calls read) since the last tick


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MapTask:
    """Inputs to read, count and lay out as facts.

    Attributes:
        number: position of the task in the plan, from 0.
        pieces: parts of inputs to read.
        folder: folder for files of facts.
        options: what the run was asked for.
        counted: False leaves missing usage missing.
        by_columns: whether calls that need no counting, or are plain chats, are read by columns.
        digested: whether their facts have the digests that tell copies apart: a state may need them when its logs are
            gone; else these are made late, of the few that have copies.
        alternative: what may be otherwise, so that the texts of calls that move are counted for other models too.
    """

    number: int
    pieces: tuple[Piece, ...]
    folder: str
    options: ReportOptions
    counted: bool = True
    by_columns: bool = False
    digested: bool = False
    alternative: Alternative | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReduceTask:
    """Files of facts to filter, price and sum, once the keys are settled.

    Attributes:
        number: position of the task in the plan, from 0.
        files: paths of files of facts.
        verdicts: files of verdicts on records of the run.
        folder: folder for the results.
        options: what the run was asked for.
        rows_before: number of a piece -> rows of its file before it, where the facts do not know it.
        priced: False for what only wants to know what is there.
        listed: whether the calls are written too; or the columns of theirs that are.
        alternative: what may be otherwise; what calls would cost then is summed too.
        moved: files of the counts of calls that move.
        ratios: what stands for hidden reasoning; None: no call hides any.
    """

    number: int
    files: tuple[str, ...]
    verdicts: tuple[str, ...]
    folder: str
    options: ReportOptions
    rows_before: tuple[tuple[int, int], ...] = ()
    priced: bool = True
    listed: bool | tuple[str, ...] = True
    alternative: Alternative | None = None
    moved: tuple[str, ...] = ()
    ratios: Ratios | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TallyTask:
    """Files of facts whose stated reasoning is counted, once the keys are settled.

    Attributes:
        number: position of the task in the plan, from 0.
        files: paths of files of facts.
        verdicts: files of verdicts on records of the run.
        folder: folder for the results.
    """

    number: int
    files: tuple[str, ...]
    verdicts: tuple[str, ...]
    folder: str


class _Workshop:
    """What some windows of a task need, made for the first that does; a context manager that leaves nothing open."""

    def __init__(self, task: MapTask) -> None:
        self._task = task

    @cached_property
    def counter(self) -> TextCounter:
        return open_counter(self._task.options, sum(piece.bytes for piece in self._task.pieces))

    @cached_property
    def batches(self) -> Batches:
        return Batches(self._task.options.logs, texts=self._task.options.read.fingerprint_key is not None)

    @cached_property
    def targets(self) -> TargetModels | None:
        alternative = self._task.alternative
        return alternative.targets if alternative and alternative.what.models else None

    @cached_property
    def rejected(self) -> RejectFiles:
        return RejectFiles(self._task.number, self._task.folder)

    def __enter__(self) -> _Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        if "counter" in self.__dict__:
            self.counter.close()

    def settle(self, window: Window, piece: Piece) -> None:
        """Count what a window does not state, and put its rejects into files."""
        if window.calls or window.rejects:
            self.batches.join(window, piece.source)
        if (key := self._task.options.read.fingerprint_key) is not None:
            for call in window.calls:
                call.system_hash, call.first_turn_hash = fingerprints(call.endpoint, call.request, key)
        if self._task.counted and window.calls:
            count_missing(window.calls, self.counter)
        if self._task.counted and any(window.chats):
            window.facts = count_facts(window.facts, window.chats, self.counter)
        if window.rejects:
            self.rejected.add(window.rejects, piece.number)

    def finish(self, done: MapResult) -> None:
        """Say what was counted, and in which files the rejects are."""
        if "counter" in self.__dict__:
            done.counting = self.counter.stats()
        done.joined = "batches" in self.__dict__ and self.batches.were_asked
        if "rejected" in self.__dict__:
            done.files += self.rejected.finish()


def map_inputs(task: MapTask, tick: Tick) -> MapResult:
    """Read and count the calls of a task's inputs and write them as facts."""
    from callcost.stages.columnar.stretches import read_by_columns  # noqa: PLC0415 - what is held needs no reader

    tallies: dict[str, Counter[str]] = {}
    done, unread = MapResult(), Counter[str]()
    facts = FactFiles(task.number, task.folder, task.options.read.host)
    moved: list[pl.DataFrame] = []
    with _Workshop(task) as workshop:
        stretches = None
        if task.by_columns and task.options.read.fingerprint_key is None:  # texts are hashed call by call
            leave = workshop.targets.moving if workshop.targets else None  # and counted so for another model
            stretches = partial(read_by_columns, counted=task.counted, leave=leave, digested=task.digested)
        for piece in task.pieces:
            tally = tallies.setdefault(str(piece.input), Counter())
            for window in read_windows(piece, task.options.read, stretches):
                workshop.settle(window, piece)
                late = [call for call in window.calls if call.usage_source == TIMED_OUT]
                done.timed_out += [(piece.number, call.source_file, call.source_row) for call in late]
                if window.calls and workshop.targets:
                    moved.append(count_moved(window.calls, workshop.targets, workshop.counter, piece.number))
                unread.update(key for call in window.calls for key in {*call.unread_usage})
                tally.update(window.tally)
                tally["rejects"] += len(window.rejects)
                tick(window.seen_bytes, window.found)
                facts.add(window.facts, window.calls, piece.input, piece.number)
            if piece.whole:
                done.digests[str(piece.input)] = survey(piece.source.path).sha256
        done.files += facts.finish()
        if any(map(len, moved)):
            pl.concat(moved).write_parquet(path := Path(task.folder) / f"moved-{task.number:06}.parquet")
            done.files.append(str(path))
        workshop.finish(done)
    done.facts, done.hidden = facts.rows, facts.hidden
    done.inputs, done.unread_usage = {number: dict(tally) for number, tally in tallies.items()}, dict(unread)
    return done


def tally_reasoning(task: TallyTask, tick: Tick) -> ReduceResult:
    """Write a histogram of the reasoning that the calls of files of facts state."""
    histograms = []
    for path in task.files:
        histograms.append(histogram_of(settled_facts(path, task.verdicts)))
        tick(0, 0)
    file = Path(task.folder) / f"reasoning-{task.number:06}.parquet"
    merge_histograms(histograms).write_parquet(file)
    return ReduceResult(files=[str(file)])


def reduce_files(task: ReduceTask, tick: Tick) -> ReduceResult:
    """Filter, price and sum files of facts, one at a time.

    Returns:
        The sum of all; its files are partial spends, sums by day, groups of calls without a full price, and calls where
        asked for.
    """
    done = ReduceResult()
    partials: list[pl.DataFrame] = []
    unpriced: list[pl.DataFrame] = []
    for place, path in enumerate(task.files):
        listing = Path(task.folder) / f"calls-{task.number:06}-{place:04}.parquet"
        partial, without_price, found = _reduce_file(path, task, listing)
        unpriced.append(without_price)
        partials, done = [*partials, partial], done + found
        if sum(map(len, partials)) > MOST_GROUPS or place == len(task.files) - 1:
            spend = Path(task.folder) / f"spend-{task.number:06}-{place:04}.parquet"
            merge_spend(partials, task.options.by).write_parquet(spend)
            partials, done.files = [], [*done.files, str(spend)]
        tick(0, 0)
    if any(map(len, unpriced)):
        groups = Path(task.folder) / f"unpriced-{task.number:06}.parquet"
        merge_unpriced(unpriced).write_parquet(groups)
        done.files.append(str(groups))
    return done


def _reduce_file(path: str, task: ReduceTask, listing: Path) -> tuple[pl.DataFrame, pl.DataFrame, ReduceResult]:
    per_input = {"read": _count_calls(scan_facts([path]).select("line", "input").collect())}
    keyed = task.listed is True or (task.listed and "copy_key" in task.listed)
    facts = number_rows(settled_facts(path, task.verdicts, keyed=bool(keyed)), task.rows_before)
    lacks_price = facts["price_status"].null_count() > 0  # what comes priced was published, with its copy_key
    facts = facts.with_columns(copy_key()) if keyed and lacks_price else facts
    if task.ratios is not None:
        facts = fill_reasoning(facts, task.ratios, task.options.timezone)
    per_input["kept"] = _count_calls(facts)
    filtered_by, spans = tally_filtered(facts, task.options), span_of(facts)
    facts = filter_calls(facts, task.options)
    if task.options.pseudonyms is not None:
        facts = hide_names(facts, task.options.pseudonyms)
    per_input["calls"] = _count_calls(facts)
    corrected = CorrectedCalls()
    if task.priced:
        priced = price_facts(facts, book_of(task.options.prices)) if lacks_price else facts
        corrected = tally_corrected(facts, priced, task.options.prices)
        facts = charge_by_source(priced, task.options.cost_source)
    calls = gather_calls(facts)
    found = tally_calls(calls, named=not task.priced)
    found.corrected = corrected
    found.per_input, found.filtered_by, found.spans = per_input, filtered_by, spans
    if task.alternative is not None:
        name = listing.name.replace("calls-", "alternative-")
        found.files.append(_sum_alternative(facts, task, task.alternative, name))
    if task.listed:
        wanted = calls if task.listed is True else calls.select(task.listed)
        wanted.write_parquet(listing, compression="uncompressed", statistics=False)  # read once, soon
        found.files.append(str(listing))
    if task.priced:
        days = listing.with_name(listing.name.replace("calls-", "days-", 1))
        sum_days(facts, task.options).write_parquet(days)
        found.files.append(str(days))
    return sum_spend(facts, calls, task.options), unpriced_groups(calls), found


def _sum_alternative(facts: pl.DataFrame, task: ReduceTask, alternative: Alternative, name: str) -> str:
    own = pl.col("piece").is_in(facts["piece"].unique().implode())
    counts = scan_tables(task.moved).filter(own).collect() if task.moved else pl.DataFrame(schema=COUNTS)
    groups = {by: group_column(by, task.options.timezone) for by in task.options.by}
    path = Path(task.folder) / name
    alternative_spend(facts, counts, alternative, groups).write_parquet(path)
    return str(path)


def _count_calls(facts: pl.DataFrame) -> dict[str, int]:
    return _counts((facts if facts["line"].max() == 0 else facts.filter(pl.col("line") == 0))["input"])


def tally_calls(calls: pl.DataFrame, *, named: bool) -> ReduceResult:
    """Count calls by what a reader of the manifest asks first.

    Args:
        calls: one row per call.
        named: also count them by model, of which there may be very many, and by day.
    """
    columns = [*_TALLIED, "model"] if named else _TALLIED
    found = msgspec.convert({name: _counts(calls[name]) for name in columns}, ReduceResult)
    found.flags = _counts(calls["flags"].explode(empty_as_null=False))
    found.undated = calls["started_at"].null_count()
    found.counted = _counted(calls)
    if named:
        found.day = _counts(calls["started_at"].dt.date())
    found.repeated_rows, found.aborted = _flagged(calls, found, REPEATED), _flagged(calls, found, ABORTED)
    found.derived = _sum_calls(calls.filter(pl.col("price_reason") == DERIVED))
    found.filled = _flagged(calls, found, FROM_LOG, "reasoning_cost")
    return found


def _flagged(calls: pl.DataFrame, found: ReduceResult, name: str, cost: str = "total_cost") -> FlaggedCalls:
    if name not in found.flags:
        return FlaggedCalls()
    return _sum_calls(calls.filter(pl.col("flags").list.contains(name)), cost)


def _sum_calls(calls: pl.DataFrame, cost: str = "total_cost") -> FlaggedCalls:
    costs = calls[cost].to_physical()
    return FlaggedCalls(calls=len(costs), with_cost=costs.count(), cost=int(costs.sum()))


def _counted(calls: pl.DataFrame) -> CountedTokens:
    tokens = pl.sum_horizontal(pl.col("prompt_tokens", "completion_tokens").fill_null(0))
    millionths = (pl.col("count_error") * 1_000_000).round().cast(pl.Int64)
    counted = calls.filter(pl.col("count_method").is_not_null())
    sums = counted.select(
        calls=pl.len(),
        prompt_tokens=pl.col("prompt_tokens").sum(),
        completion_tokens=pl.col("completion_tokens").sum(),
        millionths=(tokens * millionths).sum(),
    )
    return CountedTokens(**{name: int(value or 0) for name, value in sums.row(0, named=True).items()})


def _counts(column: pl.Series) -> dict[str, int]:
    values, counts = column.drop_nulls(), dict[str, int]()
    while len(values) and len(counts) < _FEW_VALUES:  # most columns have few, and asking for one is quick
        same = values == values[0]
        counts[str(values[0])] = int(same.sum())
        values = values.filter(~same)
    return counts | {str(value): count for value, count in values.value_counts().iter_rows()}
