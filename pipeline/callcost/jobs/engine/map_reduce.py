"""What every verb over logs does first and last: plan, map, reduce, in a working folder that never outlives the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from callcost.errors import ReportError, reason_of
from callcost.jobs.engine.isolate_crash import set_aside
from callcost.jobs.engine.recount import run_counting
from callcost.logs.io.inputs import Found, Input, find_logs, read_again
from callcost.logs.io.object_store import is_url
from callcost.logs.io.temporary import refused_place, temporary_folder, temporary_place
from callcost.logs.own_output import Skipped
from callcost.runners.local import end_workers, has_workers, keep_workers, run_tasks
from callcost.runners.packing import TASKS_PER_WORKER, cluster_task_bytes, pack_pieces, worker_count
from callcost.runners.protocol import Runner, ignore_progress
from callcost.settings import REASONINGS, ReportOptions, WorkOptions
from callcost.stages.analysis.alternative_calls import Alternative
from callcost.stages.count.calibration_file import with_calibration
from callcost.stages.count.hidden_reasoning import Ratios, fill_reasoning, ratios_of
from callcost.stages.dedup.resolve import SettleTask, settle_keys, settle_spans, settled_facts
from callcost.stages.pricing.price_facts import GATHERED
from callcost.stages.read.splits import Piece, SurveyTask, cut_inputs, survey_input
from callcost.stages.report.rejects import RejectTable
from callcost.stages.report.spend import merge_spend, order_of_spend, sort_spend, sum_spend
from callcost.stages.tables.facts import BUCKETS, read_tables, scan_tables
from callcost.stages.tables.schemas import Facts
from callcost.stages.tasks import MOST_GROUPS, MapTask, ReduceTask, TallyTask, map_inputs, reduce_files, tally_reasoning
from callcost.tables import MapResult, ReduceResult, add_up

SETTLE_ROWS = 8_000_000  # keys compared at a time: 16 bytes each
MOST_FILES = 8  # of facts in a task
_KEYS_WORTH, _FACTS_WORTH = 32_000_000, 3_000_000  # facts from which starting processes pays, to settle and to sum
_FACTS_WORTH_KEPT = 800_000  # from which those that are there already are worth opening the price book once more
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What the steps of a run left behind so far: files in the working folder, and the sums of what tasks say.

    Attributes:
        inputs: logs of the run, in order.
        mapped: sum of the map tasks, and of what was surveyed beside them.
        reduced: sum of the settle and reduce tasks; nothing before these.
        workers: processes that did the work.
        folder: where files of the run go.
        pieces: parts of the inputs, in order.
        runner: function that runs the tasks.
        skipped: folders below the logs that were not read, and what they hold.
        numbers: number of each input in facts and sums; (): its position.
        ratios: what stands for reasoning that is hidden.
        verdicts: what settle_found gave, where it was asked before; None: it was not.
    """

    inputs: Sequence[Input]
    mapped: MapResult
    workers: int
    folder: str
    reduced: ReduceResult = dataclasses.field(default_factory=ReduceResult)
    pieces: tuple[Piece, ...] = ()
    runner: Runner = run_tasks
    skipped: tuple[Skipped, ...] = ()
    numbers: tuple[int, ...] = ()
    ratios: Ratios = ()
    verdicts: ReduceResult | None = None

    @property
    def by_number(self) -> dict[int, Input]:
        """Number of an input -> the input, in order."""
        return dict(zip(self.numbers or range(len(self.inputs)), self.inputs, strict=True))

    @property
    def rows_before(self) -> tuple[tuple[int, int], ...]:
        """(Number of a piece, rows of its file before it) where its facts and rejects do not know it."""
        return tuple(self.mapped.rows_before)

    @property
    def timed_out(self) -> list[tuple[str, int]]:
        """(source_file, source_row) of each call of which an item timed out, sorted."""
        before = dict(self.rows_before)
        return sorted((name, row + before.get(piece, 0)) for piece, name, row in self.mapped.timed_out)

    def tables(self, kind: str) -> list[str]:
        """Return the files of a kind ("facts", "verdicts", "spend", "calls", "rejects") in the order of their tasks."""
        return [*self.mapped.files_of(kind), *self.reduced.files_of(kind)]

    def facts(self, path: str, timezone: str) -> pl.DataFrame:
        """Read a file of facts as settling it and filling in hidden reasoning leave it; see fill_reasoning."""
        return fill_reasoning(settled_facts(path, self.tables("verdicts")), self.ratios, timezone)

    def rejects(self) -> RejectTable:
        """Return the rejects of all inputs."""
        return RejectTable(self.tables("rejects"), self.rows_before, self.mapped.total("rejects"))

    def table(self, kind: str, empty: dict[str, Any]) -> pl.DataFrame:
        """Read the files of a kind as one table; ``empty`` is its schema where there are none."""
        paths = self.tables(kind)
        return pl.concat([read_tables([path]) for path in paths]) if paths else pl.DataFrame(schema=empty)


@contextmanager
def working_folder(out: str | None) -> Iterator[Path]:
    """Make a folder for what the run passes between its steps: beside the results on disk, removed at the end.

    Raises:
        ReportError: the folder for the results cannot be made or written.
        RunError: there is no folder for temporary files.
    """
    if out is not None and is_url(out):
        out = None
    made: list[Path] = []
    parent = Path(out if out is not None else temporary_place())
    try:
        made = [path for path in (parent, *parent.parents) if not path.exists()]
        parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(parent) as folder, keep_workers():
            yield folder
    except (OSError, pl.exceptions.ComputeError) as error:
        place = refused_place(error, [parent])
        message = f"cannot write to {place}: {reason_of(error)}"
        elsewhere = ", or set TMPDIR to another" if out is None or place != str(parent) else ""
        hint = f"Check the folder's permissions and free space{elsewhere}, then run again"
        raise ReportError(message, hint=hint) from error
    finally:
        for path in made:  # a run that failed before it wrote anything leaves no empty folders
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def map_logs(
    options: ReportOptions,
    folder: Path | str,
    *,
    counted: bool = True,
    alternative: Alternative | None = None,
    runner: Runner = run_tasks,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> Settled:
    """Read the logs, count what their calls do not state, and write facts.

    Args:
        options: what the run was asked for.
        folder: working folder.
        counted: False leaves missing usage missing.
        alternative: what may be otherwise in the calls.
        runner: function that runs the tasks.
        progress: see report_spend.
        planned: see report_spend.

    Raises:
        LogError: an argument matches no file.
    """
    inputs, skipped = found_anywhere(options.logs)
    planned(total := sum(source.bytes for source in inputs))
    is_here = options.work.executor == "local"  # else the bytes of a task decide how many there are
    workers, size = (worker_count(options.work.workers, total), None) if is_here else (1, cluster_task_bytes())
    pieces = cut_inputs(inputs)

    def plan(asked: ReportOptions) -> list[MapTask]:
        asked = dataclasses.replace(options_for_workers(asked), logs=read_again(asked.logs, inputs))
        task = partial(MapTask, folder=str(folder), counted=counted, by_columns=True, alternative=alternative)
        packs = pack_pieces(pieces, workers, size)
        return [task(number=n, pieces=packed, options=asked) for n, packed in enumerate(packs)]

    with ThreadPoolExecutor(1) as aside:  # surveyed beside it: what the workers read in pieces
        surveys = aside.submit(survey_cut, pieces, str(folder), runner)
        aside_of = partial(set_aside, map_inputs)
        mapped = run_counting(
            map_inputs, plan, options, runner=runner, workers=workers, tick=progress, quarantine=aside_of
        )
        whole = add_up([*mapped, surveys.result()], MapResult())
    return Settled(
        inputs=inputs, pieces=tuple(pieces), workers=workers, mapped=whole, folder=str(folder), runner=runner,
        skipped=skipped,
    )  # fmt: skip


def found_anywhere(logs: Sequence[str]) -> Found:
    """Return what the arguments name, with paths that do not depend on where a process works.

    Raises:
        LogError: an argument matches no file.
    """
    found = find_logs(logs)
    places = [source.path if is_url(source.path) else str(Path(source.path).absolute()) for source in found.inputs]
    inputs = [msgspec.structs.replace(source, path=path) for source, path in zip(found.inputs, places, strict=True)]
    return Found(inputs, found.skipped)


def options_for_workers(options: ReportOptions) -> ReportOptions:
    """Return the options as tasks get them: with absolute paths, without where they run and where results go."""
    work = WorkOptions(threads=options.work.threads, fast=options.work.fast)
    paths = (options.prices.override, options.read.mapping)
    override, mapping = (path and str(Path(path).absolute()) for path in paths)
    prices = dataclasses.replace(options.prices, override=override)
    read = dataclasses.replace(options.read, mapping=mapping)
    return dataclasses.replace(options, out=None, work=work, prices=prices, read=read)


def settle_logs(
    options: ReportOptions,
    folder: Path | str,
    *,
    priced: bool = True,
    listed: bool = True,
    runner: Runner = run_tasks,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> Settled:
    """Read, count, settle and (where asked) price the calls of the logs.

    Args:
        options: what the run was asked for.
        folder: working folder.
        priced: False counts and prices nothing.
        listed: whether the calls are wanted beside their sums.
        runner: see map_logs.
        progress: see map_logs.
        planned: see map_logs.

    Raises:
        LogError: an argument matches no file.
    """
    found = map_logs(options, folder, counted=priced, runner=runner, progress=progress, planned=planned)
    return reduce_facts(options, found, priced=priced, listed=listed)


def reduce_facts(
    options: ReportOptions,
    found: Settled,
    *,
    priced: bool = True,
    listed: bool | tuple[str, ...] = True,
    alternative: Alternative | None = None,
    fixed: Ratios = (),
) -> Settled:
    """Settle, price and sum what map left behind; done again with other options, it replaces what it wrote.

    Args:
        options: what the run was asked for.
        found: what map left behind.
        priced: see settle_logs.
        listed: see settle_logs; or the columns of the calls that are wanted, beside those of their order.
        alternative: what may be otherwise in the calls.
        fixed: what stands for hidden reasoning on some days, whatever the log says now.
    """
    found = dataclasses.replace(found, verdicts=(verdicts := settle_found(options, found)))
    found = dataclasses.replace(found, ratios=ratios_found(options, found, fixed) if priced else ())
    parted = reduce_parts(options, found, _parts_to_sum(found), priced=priced, listed=listed, alternative=alternative)
    return dataclasses.replace(found, reduced=add_up([verdicts, *parted], ReduceResult()))


def reduce_parts(
    options: ReportOptions,
    found: Settled,
    parts: Sequence[tuple[str, ...]],
    *,
    first: int = 0,
    priced: bool = True,
    listed: bool | tuple[str, ...] = True,
    alternative: Alternative | None = None,
) -> list[ReduceResult]:
    """Price and sum files of facts, a part a task; what each part gave, in order.

    Args:
        options: see reduce_facts.
        found: what map left behind, with its verdicts and what stands for hidden reasoning.
        parts: files of facts.
        first: number of the first task, which the names of its files have.
        priced: see settle_logs.
        listed: see reduce_facts.
        alternative: see reduce_facts.
    """
    task = partial(
        ReduceTask, verdicts=tuple(settle_found(options, found).files_of("verdicts")), rows_before=found.rows_before,
        folder=found.folder, options=options_for_workers(options), ratios=found.ratios if found.mapped.hidden else None,
        priced=priced, listed=listed, alternative=alternative, moved=tuple(found.mapped.files_of("moved")),
    )  # fmt: skip
    tasks = [task(number=number, files=part) for number, part in enumerate(parts, first)]
    return found.runner(reduce_files, tasks, workers=_workers_to_sum(found))


def ratios_found(options: ReportOptions, found: Settled, fixed: Ratios = ()) -> Ratios:
    """Return what stands for hidden reasoning in what map left behind; (): none is hidden, or none is to be filled in.

    Args:
        options: what the run was asked for; how reasoning is counted, and how logs are read, matter.
        found: what map left behind.
        fixed: see reduce_facts.
    """
    if not found.mapped.hidden or options.count.reasoning != REASONINGS[0]:
        return ()
    verdicts = tuple(settle_found(options, found).files_of("verdicts"))
    parts = _parts_to_sum(found)
    found_here = tally_facts(parts, verdicts, found.folder, found.runner, workers=_workers_to_sum(found))
    return (*with_calibration(found_here, options.count.calibration), *fixed)


def _parts_to_sum(found: Settled) -> list[tuple[str, ...]]:
    """Return the files of facts, a part a task."""
    files = tuple(found.tables("facts"))
    size = max(1, min(MOST_FILES, -(-len(files) // (found.workers * TASKS_PER_WORKER))))
    return [files[first : first + size] for first in range(0, len(files), size)]


def _workers_to_sum(found: Settled) -> int:
    """Return the processes that are worth starting to sum all facts."""
    return found.workers if found.mapped.facts >= (_FACTS_WORTH_KEPT if has_workers() else _FACTS_WORTH) else 1


def tally_facts(
    parts: Sequence[tuple[str, ...]],
    verdicts: tuple[str, ...],
    folder: str,
    runner: Runner = run_tasks,
    *,
    workers: int = 1,
) -> Ratios:
    """Return what the settled calls of files of facts, a part a task, state of their reasoning."""
    tally = partial(TallyTask, verdicts=verdicts, folder=folder)
    tasks = [tally(number=number, files=part) for number, part in enumerate(parts)]
    return ratios_of(add_up(runner(tally_reasoning, tasks, workers=workers), ReduceResult()).files_of("reasoning"))


def settle_found(options: ReportOptions, found: Settled) -> ReduceResult:
    """Judge calls that lie in each other, then copies, of all that map left behind; once, where found keeps verdicts.

    Args:
        options: what the run was asked for; only how logs are read matters.
        found: what map left behind.

    Returns:
        What went and why; its files are the verdicts.
    """
    if found.verdicts is not None:
        return found.verdicts
    files, rows, runner = tuple(found.tables("facts")), found.mapped.facts, found.runner
    read, workers = options_for_workers(options).read, found.workers if rows >= _KEYS_WORTH else 1
    tasks = [
        SettleTask(number=n, first=first, last=last, facts=files, folder=found.folder, read=read, pieces=found.pieces)
        for n, (first, last) in enumerate(settle_steps(rows) if files else [])
    ]
    nested = add_up(runner(settle_spans, tasks[:1]), ReduceResult())
    spans = tuple(nested.files_of("verdicts"))
    copies = runner(settle_keys, [dataclasses.replace(task, spans=spans) for task in tasks], workers=workers)
    return add_up([nested, *copies], ReduceResult())


def merged_spend(settled: Settled, options: ReportOptions) -> pl.DataFrame:
    """Return the spend of all reduce tasks: one row per group, sorted.

    Very many groups are merged a share of them at a time, so that merging takes no more memory than the result does.
    """
    end_workers()
    paths = settled.tables("spend")
    if not paths:
        nothing = pl.DataFrame(schema=Facts.types)
        return sort_spend(sum_spend(nothing, nothing.select(GATHERED.keys()), options), options.by)
    rows = scan_tables(paths).select(pl.len()).collect().item()
    shares = max(1, -(-rows // MOST_GROUPS))
    share = pl.struct(options.by).hash() % shares
    merged = [
        merge_spend([read_tables([path]).filter(share == number) for path in paths], options.by)
        for number in range(shares)
    ]
    whole = pl.concat(merged)
    merged.clear()
    order = order_of_spend(whole, options.by, options.sort)
    return pl.DataFrame([whole.drop_in_place(name).gather(order) for name in whole.columns])  # never all columns twice


def survey_cut(pieces: Sequence[Piece], folder: str = "", runner: Runner = run_tasks) -> MapResult:
    """Return what the inputs cut into pieces need: their digests, and the rows before each piece."""
    cut = [piece for piece in pieces if not piece.whole]
    tasks: list[SurveyTask] = []
    for number, group in groupby(cut, key=lambda piece: piece.input):
        parts = list(group)
        edges = tuple((piece.number, piece.start) for piece in parts if piece.rows_before is None)
        task = SurveyTask(number=len(tasks), input=number, path=parts[0].source.path, edges=edges, folder=folder)
        tasks.append(task)
    return add_up(runner(survey_input, tasks), MapResult())


def settle_steps(rows: int) -> list[tuple[int, int]]:
    """Return the ranges of buckets, first and last, that the keys of so many facts are compared in."""
    count = min(BUCKETS, -(-rows // SETTLE_ROWS) or 1)
    edges = [BUCKETS * n // count for n in range(count + 1)]
    return [(first, last - 1) for first, last in pairwise(edges)]
