"""What every verb over logs does first and last: plan, map, reduce, in a working folder that never outlives the run."""

from __future__ import annotations

import dataclasses
from collections import Counter
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
from callcost.logs.io.store_access import is_url
from callcost.logs.io.temporary import refused_place, temporary_folder, temporary_place
from callcost.logs.own_output import Skipped
from callcost.runners.local import end_workers, has_workers, keep_workers, run_tasks
from callcost.runners.packing import TASKS_PER_WORKER, cluster_task_bytes, pack_pieces, worker_count
from callcost.runners.protocol import Runner
from callcost.settings import ReportOptions, WorkOptions
from callcost.stages.dedup.resolve import SettleTask, settle_keys, settle_spans
from callcost.stages.pricing.priced_calls import GATHERED
from callcost.stages.read.splits import Piece, SurveyTask, cut_inputs, survey_input
from callcost.stages.report.rejects import RejectTable, rejects_in
from callcost.stages.report.spend import merge_spend, sort_spend, sum_spend
from callcost.stages.tables.facts import BUCKETS, FACT_SCHEMA, read_tables, scan_tables
from callcost.stages.tasks import MOST_GROUPS, MapTask, ReduceTask, map_inputs, reduce_files

SETTLE_ROWS = 8_000_000  # keys compared at a time: 16 bytes each
MOST_FILES = 8  # of facts in a task
_KEYS_WORTH, _FACTS_WORTH = 32_000_000, 3_000_000  # facts from which starting processes pays, to settle and to sum
_FACTS_WORTH_KEPT = 800_000  # from which those that are there already are worth opening the price book once more
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What map left behind: facts in the working folder, and tallies.

    Attributes:
        inputs: of the run, in order.
        digests: number of an input -> sha256 of its bytes.
        rows_before: (number of a piece, rows of its file before it) where its rejects do not know it.
        workers: processes that did the work.
        mapped: manifest lines of the map tasks.
        folder: where files of the run go.
        pieces: of the inputs, in order.
        runner: did the work.
        skipped: what callcost itself wrote below the logs.
    """

    inputs: Sequence[Input]
    digests: dict[str, str]
    rows_before: tuple[tuple[int, int], ...]
    workers: int
    mapped: list[dict[str, Any]]
    folder: str
    pieces: tuple[Piece, ...] = ()
    runner: Runner = run_tasks
    skipped: tuple[Skipped, ...] = ()

    def lines(self) -> list[dict[str, Any]]:
        """Return the manifest lines of all tasks."""
        return self.mapped

    def tables(self, kind: str) -> list[str]:
        """Return the files of a kind ("facts", "verdicts", "spend", "calls", "rejects") in the order of their tasks."""
        return files_of(self.lines(), kind)

    def rejects(self) -> RejectTable:
        """Return the rejects of all inputs."""
        return RejectTable(self.tables("rejects"), self.rows_before, rejects_in(self.lines()))

    def table(self, kind: str, empty: dict[str, Any]) -> pl.DataFrame:
        """Read the files of a kind as one table; ``empty`` is its schema where there are none."""
        paths = self.tables(kind)
        return pl.concat([read_tables([path]) for path in paths]) if paths else pl.DataFrame(schema=empty)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Mapped):
    """What map and reduce left behind: beside the facts, partial spends and calls.

    Attributes:
        reduced: manifest lines of the reduce tasks.
    """

    reduced: list[dict[str, Any]]

    def lines(self) -> list[dict[str, Any]]:
        """Return the manifest lines of all tasks."""
        return [*self.mapped, *self.reduced]

    def total(self, name: str) -> Counter[str]:
        """Add up a tally over all reduce tasks."""
        counts: Counter[str] = Counter()
        for line in self.reduced:
            counts.update(line.get(name, {}))
        return counts


def files_of(lines: Sequence[dict[str, Any]], kind: str) -> list[str]:
    """Return the files of a kind that manifest lines name, in the order of their names."""
    paths = (path for line in lines for path in line["files"])
    return sorted(path for path in paths if path.rpartition("/")[2].startswith(f"{kind}-"))


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
    lanes: bool = False,
    runner: Runner = run_tasks,
    progress: Progress = lambda _bytes, _calls: None,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> Mapped:
    """Read the logs, count what their calls do not state, and write facts.

    Args:
        options: of the run.
        folder: the working folder.
        counted: False leaves missing usage missing.
        lanes: see MapTask.
        runner: does the work.
        progress: see report_spend.
        planned: see report_spend.

    Raises:
        LogError: an argument matches no file.
    """
    inputs, skipped = _found_anywhere(options.logs)
    planned(total := sum(source.bytes for source in inputs))
    workers, size = _share_of(options.work, total)
    pieces = cut_inputs(inputs)

    def plan(asked: ReportOptions) -> list[MapTask]:
        asked = dataclasses.replace(options_for_workers(asked), logs=read_again(asked.logs, inputs))
        return [
            MapTask(number=n, pieces=packed, folder=str(folder), options=asked, counted=counted, lanes=lanes)
            for n, packed in enumerate(pack_pieces(pieces, workers, size))
        ]

    with ThreadPoolExecutor(1) as aside:  # surveyed beside it: what the workers read in pieces
        surveys = aside.submit(survey_cut, pieces, str(folder), runner)
        aside_of = partial(set_aside, map_inputs)
        mapped = run_counting(
            map_inputs, plan, options, runner=runner, workers=workers, tick=progress, quarantine=aside_of
        )
        digests, rows_before = surveys.result()
    for line in mapped:
        digests |= line["digests"]
    _number_late(mapped, dict(rows_before))
    return Mapped(
        inputs=inputs, pieces=tuple(pieces), digests=digests, rows_before=rows_before, workers=workers, mapped=mapped,
        folder=str(folder), runner=runner, skipped=skipped,
    )  # fmt: skip


def _share_of(work: WorkOptions, total: int) -> tuple[int, int | None]:
    """Return the processes of this machine, and the bytes of a task where they do not decide that."""
    if work.executor == "spark":
        return 1, cluster_task_bytes()
    return worker_count(work.workers, total), None


def _number_late(mapped: list[dict[str, Any]], before: dict[int, int]) -> None:
    """Give the calls of which an item timed out their row in the file."""
    for line in mapped:
        timed_out = sorted([name, row + before.get(piece, 0)] for piece, name, row in line["timed_out"])
        line["counting"]["timed_out"] = timed_out


def _found_anywhere(logs: Sequence[str]) -> Found:
    """Return what the arguments name, with paths that do not depend on where a process works."""
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
    progress: Progress = lambda _bytes, _calls: None,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> Settled:
    """Read, count, settle and (where asked) price the calls of the logs.

    Args:
        options: of the run.
        folder: the working folder.
        priced: False counts and prices nothing.
        listed: whether the calls are wanted beside their sums.
        runner: see map_logs.
        progress: see map_logs.
        planned: see map_logs.

    Raises:
        LogError: an argument matches no file.
    """
    found = map_logs(options, folder, counted=priced, lanes=True, runner=runner, progress=progress, planned=planned)
    return reduce_facts(options, found, priced=priced, listed=listed)


def reduce_facts(options: ReportOptions, found: Mapped, *, priced: bool = True, listed: bool = True) -> Settled:
    """Settle, price and sum what map left behind; done again with other options, it replaces what it wrote.

    Args:
        options: of the run.
        found: what map left behind.
        priced: see settle_logs.
        listed: see settle_logs.
    """
    reduced = reduce_folder(
        options, found.folder, found.mapped, workers=found.workers, rows_before=found.rows_before, pieces=found.pieces,
        priced=priced, listed=listed, runner=found.runner,
    )  # fmt: skip
    return Settled(
        inputs=found.inputs, pieces=found.pieces, digests=found.digests, rows_before=found.rows_before,
        workers=found.workers, mapped=found.mapped, folder=found.folder, runner=found.runner, reduced=reduced,
        skipped=found.skipped,
    )  # fmt: skip


def reduce_folder(
    options: ReportOptions,
    folder: Path | str,
    mapped: Sequence[dict[str, Any]],
    *,
    workers: int,
    rows_before: tuple[tuple[int, int], ...],
    pieces: tuple[Piece, ...] = (),
    priced: bool = True,
    listed: bool = True,
    runner: Runner = run_tasks,
) -> list[dict[str, Any]]:
    """Settle, price and sum facts.

    Args:
        options: of the run.
        folder: where verdicts, calls and partial spends go.
        mapped: manifest lines of the tasks that wrote the facts.
        workers: processes.
        rows_before: see ReduceTask.
        pieces: see SettleTask.
        priced: see ReduceTask.
        listed: see ReduceTask.
        runner: does the work.

    Returns:
        Manifest lines of all these tasks.
    """
    files = tuple(files_of(mapped, "facts"))
    rows = sum(line["facts"] for line in mapped)
    facts_worth = _FACTS_WORTH_KEPT if has_workers() else _FACTS_WORTH
    comparing, summing = (workers if rows >= worth else 1 for worth in (_KEYS_WORTH, facts_worth))
    asked, where = options_for_workers(options), str(folder)
    compared = [
        SettleTask(number=n, first=first, last=last, facts=files, folder=where, read=asked.read, pieces=pieces)
        for n, (first, last) in enumerate(settle_steps(rows) if files else [])
    ]
    settled = _settle(compared, runner, comparing)
    verdicts = tuple(files_of(settled, "verdicts"))
    size = max(1, min(MOST_FILES, -(-len(files) // (workers * TASKS_PER_WORKER))))
    tasks = [
        ReduceTask(
            number=number, files=files[number * size : (number + 1) * size], verdicts=verdicts, folder=where,
            options=asked, rows_before=rows_before, priced=priced, listed=listed,
        )
        for number in range(-(-len(files) // size))
    ]  # fmt: skip
    return [*settled, *runner(reduce_files, tasks, workers=summing)]


def _settle(tasks: Sequence[SettleTask], runner: Runner, workers: int) -> list[dict[str, Any]]:
    """Judge calls that lie in each other, then copies."""
    nested = runner(settle_spans, tasks[:1])
    spans = tuple(files_of(nested, "verdicts"))
    return [*nested, *runner(settle_keys, [dataclasses.replace(task, spans=spans) for task in tasks], workers=workers)]


def merged_spend(settled: Settled, options: ReportOptions) -> pl.DataFrame:
    """Return the spend of all reduce tasks: one row per group, sorted.

    Very many groups are merged a share of them at a time, so that merging takes no more memory than the result does.
    """
    end_workers()
    paths = settled.tables("spend")
    if not paths:
        nothing = pl.DataFrame(schema=FACT_SCHEMA)
        return sort_spend(sum_spend(nothing, nothing.select(GATHERED.keys()), options), options.by)
    rows = scan_tables(paths).select(pl.len()).collect().item()
    shares = max(1, -(-rows // MOST_GROUPS))
    share = pl.struct(options.by).hash() % shares
    merged = [
        merge_spend([read_tables([path]).filter(share == number) for path in paths], options.by)
        for number in range(shares)
    ]
    return sort_spend(pl.concat(merged), options.by)


def survey_cut(
    pieces: Sequence[Piece], folder: str = "", runner: Runner = run_tasks
) -> tuple[dict[str, str], tuple[tuple[int, int], ...]]:
    """Return what the inputs cut into pieces need: number of the input -> sha256; (piece, rows before it)."""
    cut = [piece for piece in pieces if not piece.whole]
    tasks: list[SurveyTask] = []
    for number, group in groupby(cut, key=lambda piece: piece.input):
        parts = list(group)
        edges = tuple((piece.number, piece.start) for piece in parts if piece.rows_before is None)
        task = SurveyTask(number=len(tasks), input=number, path=parts[0].source.path, edges=edges, folder=folder)
        tasks.append(task)
    lines = runner(survey_input, tasks)
    digests = {number: digest for line in lines for number, digest in line["digests"].items()}
    return digests, tuple((piece, rows) for line in lines for piece, rows in line["rows_before"])


def settle_steps(rows: int) -> list[tuple[int, int]]:
    """Return the ranges of buckets, first and last, that the keys of so many facts are compared in."""
    count = min(BUCKETS, -(-rows // SETTLE_ROWS) or 1)
    edges = [BUCKETS * n // count for n in range(count + 1)]
    return [(first, last - 1) for first, last in pairwise(edges)]
