"""`callcost backfill`: the same logs again, missing usage and cost filled in, all else byte for byte."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import zstandard

from callcost import __version__
from callcost.errors import ConfigError, ReportError, reason_of
from callcost.jobs.engine.manifest import SCHEMA_VERSION
from callcost.jobs.engine.map_reduce import Progress
from callcost.jobs.engine.recount import run_counting
from callcost.jobs.report import settle_options
from callcost.logs.backfill.json_splice import encode
from callcost.logs.io.compression import SQLITE, Damage, packing_of
from callcost.logs.io.folders import folder_at, open_whole
from callcost.logs.io.inputs import STDIN, Input, blocks_of, find_logs
from callcost.logs.io.object_store import BLOCK, is_url, open_input
from callcost.logs.io.sniff import REFUSALS, container_of
from callcost.logs.own_output import BACKFILLED, Skipped
from callcost.runners.packing import worker_count
from callcost.runners.protocol import Tick, ignore_progress
from callcost.settings import ReportOptions
from callcost.stages.backfill.fill import FilledWindow, copy_table, fill_text
from callcost.stages.count.missing_usage import open_counter
from callcost.stages.report.publish import document_bytes, publish_file
from callcost.tables import TaskResult
from callcost.tokens.engines.text_counter import TextCounter

TALLIES = ("records", "usage", "cost", "prompt_tokens", "completion_tokens", "left")
# Containers that are read and not filled: where a count could go is not certain there.
_KEPT = {"csv": "a CSV has no place for what is missing", "yaml": "a cassette has no place for what is missing"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BackfillTask:
    """One log to fill.

    Attributes:
        source: the log.
        target: where its copy goes; None: nowhere, only say what would be added.
        options: the options of the run.
    """

    source: Input
    target: str | None
    options: ReportOptions


class FillResult(TaskResult):
    """What filling one log gave.

    Attributes:
        line: what BackfillReport lists of the log in ``inputs``.
    """

    line: dict[str, Any] = msgspec.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BackfillReport:
    """What was filled in, or would be.

    Attributes:
        inputs: per log: path, TALLIES, "added_cost" as decimal text, "kept": why it is copied as it is, or None, and
            "left_out": why it cannot be read and has no copy, or None.
        totals: the sums of these.
        skipped: folders below the logs that were not read, and what they hold.
    """

    inputs: list[dict[str, Any]]
    totals: dict[str, Any]
    skipped: tuple[Skipped, ...] = ()


def backfill_usage(
    options: ReportOptions,
    *,
    dry_run: bool = False,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> BackfillReport:
    """Write the logs again with the usage and cost that they lack.

    Args:
        options: ``logs``, ``out``, ``prices``, ``read``, ``count`` and ``work`` matter.
        dry_run: write nothing, only say what would be added.
        progress: called with (bytes, records) as the work goes on.
        planned: called once with the bytes to read.

    Raises:
        ConfigError: an option makes no sense, or a copy would take the place of its original.
        LogError: an argument matches no file.
        ReportError: the folder cannot be written.
    """
    options = settle_options(options)
    inputs, skipped = find_logs(options.logs)
    targets = [_target_of(source, options) if not dry_run else None for source in inputs]
    originals = {_place_of(source.path) for source in inputs}
    for target in targets:
        if target is not None and _place_of(target) in originals:
            raise ConfigError(f"--out {options.out} would overwrite {target}", hint="Give another folder")
    if not dry_run:  # a run that is ended early leaves copies, too
        nothing = {**dict.fromkeys(TALLIES, 0), "added_cost": "0"}
        _publish_record(options, BackfillReport(inputs=[{"path": source.name} for source in inputs], totals=nothing))
    total = sum(source.bytes for source in inputs)
    planned(total)

    def plan(asked: ReportOptions) -> list[BackfillTask]:
        return [BackfillTask(source=s, target=t, options=asked) for s, t in zip(inputs, targets, strict=True)]

    results = run_counting(fill_log, plan, options, workers=worker_count(options.work.workers, total), tick=progress)
    lines = [result.line for result in results]
    totals: dict[str, Any] = {name: sum(line[name] for line in lines) for name in TALLIES}
    totals["added_cost"] = encode(sum((Decimal(line["added_cost"]) for line in lines), Decimal(0))).decode()
    found = BackfillReport(inputs=lines, totals=totals, skipped=skipped)
    if not dry_run:
        _publish_record(options, found)
    return found


def _publish_record(options: ReportOptions, found: BackfillReport) -> None:
    """Write down which files of the folder are copies, so that nobody reads them beside their originals."""
    document = {
        "schema_version": SCHEMA_VERSION, "callcost": {"version": __version__}, "inputs": found.inputs,
        "totals": found.totals,
    }  # fmt: skip
    publish_file(folder_at(options.out or "."), BACKFILLED, document_bytes(document))


def _target_of(source: Input, options: ReportOptions) -> str:
    name = "stdin" if source.name == STDIN else source.name
    out = options.out or "."
    return f"{out.rstrip('/')}/{name}" if is_url(out) else str(Path(out, source.disk_name or name))


def _place_of(path: str) -> str:
    return path if is_url(path) else str(Path(path).resolve())


def fill_log(task: BackfillTask, tick: Tick) -> FillResult:
    """Fill one log; a function of the task alone, so that it can run in any process.

    Raises:
        ReportError: its copy cannot be written.
    """
    tally: Counter[str] = Counter()
    cost = Decimal(0)
    windows: list[FilledWindow] = []
    kept = left_out = None
    with open_counter(task.options) as counter:
        try:
            windows, kept = _publish(task, counter)
        except _Unreadable as reason:
            left_out = str(reason)
        counting = counter.stats()
    for filled in windows:
        tally += filled.tally
        cost += filled.cost
        tick(0, filled.tally["records"])
    tick(task.source.bytes, 0)
    tallies = {**{name: tally[name] for name in TALLIES}, "added_cost": encode(cost).decode()}
    line = {"path": task.source.name, **tallies, "kept": kept, "left_out": left_out}
    return FillResult(counting=counting, line=line)


class _Unreadable(Exception):  # noqa: N818 - how a log says that it can not even be copied
    """A log cannot be read; the argument says why."""


class _Unchanged(Exception):  # noqa: N818 - how a log to which nothing is added gives its copy up
    """Nothing is added."""


def _publish(task: BackfillTask, counter: TextCounter) -> tuple[list[FilledWindow], str | None]:
    """Write the copy, whole or not at all; a log to which nothing is added is copied as it is."""
    with contextlib.closing(_read_or_say_why(_stored_blocks(task.source, 1))) as blocks:
        next(blocks, b"")
    try:
        with contextlib.suppress(_Unchanged), _open_copy(task) as copy:
            held, kept = _fill_copy(task, copy, counter)
            if task.target is None or any(filled.tally["records"] for filled in held):
                return held, kept
            raise _Unchanged
        with _open_copy(task) as copy:
            for block in _read_or_say_why(_stored_blocks(task.source)):
                copy.write(block)
    except OSError as error:
        message = f"cannot write the copy of {task.source.name}: {error.strerror or error}"
        raise ReportError(message, hint="Check the folder's permissions and free space, then run again") from error
    return held, kept


def _stored_blocks(source: Input, size: int = BLOCK) -> Iterator[bytes]:
    with open_input(source.path) as original:
        while block := original.read(size):
            yield block


def _read_or_say_why(blocks: Iterator[bytes]) -> Generator[bytes]:
    """Pass on what is read, and tell what cannot be read from what cannot be written."""
    try:
        yield from blocks
    except OSError as error:
        raise _Unreadable(reason_of(error)) from error


def _open_copy(task: BackfillTask) -> AbstractContextManager[BinaryIO]:
    return open_whole(task.target) if task.target is not None else Path(os.devnull).open("wb")


def _fill_copy(task: BackfillTask, copy: BinaryIO, counter: TextCounter) -> tuple[list[FilledWindow], str | None]:
    """Write the filled log; return what was filled, or why nothing can be."""
    try:
        container = container_of(task.source.path)
        if container in _KEPT or container in REFUSALS:
            return [], _KEPT.get(container) or REFUSALS[container].detail or container
        if _packing_of(task.source.path) == SQLITE:
            return [], "a database is only read"
        if container == "parquet":
            return list(copy_table(task.source.path, copy, task.options, counter)), None
        with _sink(task.source.path, copy) as sink:
            return list(_splice_log(task.source, fill_text(task.source, task.options, counter), sink)), None
    except Damage:
        return [], "it is damaged"
    except pa.ArrowException:
        if container_of(task.source.path) != "parquet":
            raise
        return [], "it is no readable table, or has a column callcost of its own"


def _splice_log(source: Input, windows: Iterable[FilledWindow], sink: BinaryIO) -> Iterator[FilledWindow]:
    """Copy the log's plain bytes, a window behind the reading, with the edits made."""
    blocks = _read_or_say_why(blocks_of(source))
    held, position = b"", 0  # bytes read and not written yet, and where they begin
    for window in windows:
        for edit in window.edits:
            while position + len(held) < edit.end:
                keep = max(edit.start - position, 0)
                if keep >= len(held):
                    sink.write(held)
                    position += len(held)
                    held = b""
                held += next(blocks)
            sink.write(held[: edit.start - position])
            sink.write(edit.text)
            held, position = held[edit.end - position :], edit.end
        window.edits = []
        yield window
    sink.write(held)
    for block in blocks:  # noqa: FURB122 - zstandard's writer has no writelines
        sink.write(block)


def _packing_of(source: str) -> str | None:
    try:
        with open_input(source) as stream:
            return packing_of(stream)
    except OSError as error:
        raise _Unreadable(reason_of(error)) from error


@contextlib.contextmanager
def _sink(source: str, copy: BinaryIO) -> Iterator[BinaryIO]:
    """Compress what is written to the copy as the original is."""
    packing = _packing_of(source)
    if packing == "gzip":
        with gzip.GzipFile(filename="", mode="wb", fileobj=copy, mtime=0) as packed:
            yield packed  # type: ignore[misc]
    elif packing == "zstd":
        with zstandard.ZstdCompressor().stream_writer(copy, closefd=False) as packed:
            yield packed
    else:
        yield copy
