"""`callcost backfill`: the same logs again, missing usage and cost filled in, all else byte for byte."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import zstandard

from pipeline.errors import ConfigError, LogError, ReportError
from pipeline.jobs.counting import run_counting
from pipeline.jobs.report import settle_options
from pipeline.jobs.run import Progress
from pipeline.logs.compression import Damage
from pipeline.logs.files import STDIN, Input, blocks_of, container_of, find_inputs
from pipeline.logs.sniff import REFUSALS
from pipeline.logs.stores import is_url
from pipeline.runners.local import Tick
from pipeline.runners.shards import worker_count
from pipeline.settings import ReportOptions
from pipeline.stages.backfill import Filled, copy_table, fill_text
from pipeline.stages.count import open_counter
from pipeline.stages.write import TEMPORARY_SUFFIX, document_bytes, publish_bytes
from pipeline.tokens.counter import TextCounter

MANIFEST = ".callcost-backfill.json"  # hidden, so that the folder can be reported on as it is
TALLIES = ("records", "usage", "cost", "prompt_tokens", "completion_tokens", "left")
# Containers that are read and not filled: where a count could go is not certain there.
_KEPT = {"csv": "a CSV has no place for what is missing", "yaml": "a cassette has no place for what is missing"}
_MAGICS = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BackfillTask:
    """One log to fill.

    Attributes:
        source: the log.
        target: where its copy goes; None: nowhere, only say what would be added.
        options: of the run.
    """

    source: Input
    target: str | None
    options: ReportOptions


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backfilled:
    """What was filled in, or would be.

    Attributes:
        inputs: per log: path, TALLIES, "added_cost" as decimal text, and "kept": why it is copied as it is, or None.
        totals: the sums of these.
    """

    inputs: list[dict[str, Any]]
    totals: dict[str, Any]


def backfill_usage(
    options: ReportOptions,
    *,
    dry_run: bool = False,
    progress: Progress = lambda _bytes, _calls: None,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> Backfilled:
    """Write the logs again with the usage and cost that they lack.

    Args:
        options: ``logs``, ``out``, ``prices``, ``read``, ``count`` and ``work`` matter.
        dry_run: write nothing, only say what would be added.
        progress: called with (bytes, records) as the work goes on.
        planned: called once with the bytes to read.

    Raises:
        ConfigError: an option makes no sense, or a copy would take the place of its original.
        LogError: an argument matches no file, or a log vanished.
        ReportError: the folder cannot be written.
    """
    options = settle_options(options)
    for path in (*options.logs, options.out or "."):
        if is_url(path):
            raise ConfigError(f"backfill works on folders: {path} is none", hint="Copy the logs to a disk first")
    inputs = find_inputs(options.logs)
    targets = [_target_of(source, options) if not dry_run else None for source in inputs]
    originals = {Path(source.path).resolve() for source in inputs}
    for target in targets:
        if target is not None and Path(target).resolve() in originals:
            raise ConfigError(f"--out {options.out} would overwrite {target}", hint="Give another folder")
    total = sum(source.bytes for source in inputs)
    planned(total)

    def plan(asked: ReportOptions) -> list[BackfillTask]:
        return [BackfillTask(source=s, target=t, options=asked) for s, t in zip(inputs, targets, strict=True)]

    lines = run_counting(fill_log, plan, options, workers=worker_count(options.work.workers, total), tick=progress)
    for line in lines:
        del line["counting"]  # how it was counted is no part of the result
    totals: dict[str, Any] = {name: sum(line[name] for line in lines) for name in TALLIES}
    totals["added_cost"] = _plain(sum((Decimal(line["added_cost"]) for line in lines), Decimal(0)))
    found = Backfilled(inputs=lines, totals=totals)
    if not dry_run:
        document = {"inputs": found.inputs, "totals": found.totals}
        publish_bytes(Path(options.out or ".") / MANIFEST, document_bytes(document))
    return found


def _target_of(source: Input, options: ReportOptions) -> str:
    name = "stdin" if source.name == STDIN else source.name
    return str(Path(options.out or ".", name))


def fill_log(task: BackfillTask, tick: Tick) -> dict[str, Any]:
    """Fill one log; a function of the task alone, so that it can run in any process.

    Raises:
        LogError: the log cannot be read.
        ReportError: its copy cannot be written.
    """
    tally: Counter[str] = Counter()
    cost = Decimal(0)
    with open_counter(task.options) as counter:
        windows, kept = _publish(task, counter)
        counting = counter.stats()
    for filled in windows:
        tally += filled.tally
        cost += filled.cost
        tick(0, filled.tally["records"])
    tick(task.source.bytes, 0)
    tallies = {name: tally[name] for name in TALLIES}
    return {
        "path": task.source.name, **tallies, "added_cost": _plain(cost), "kept": kept, "counting": counting,
    }  # fmt: skip


class _Unfilled(Exception):  # noqa: N818 - how a log says that it can only be copied
    """A log is copied as it is; the argument says why."""


def _publish(task: BackfillTask, counter: TextCounter) -> tuple[list[Filled], str | None]:
    """Write the copy under a temporary name and rename it; a log to which nothing is added is copied as it is."""
    target = Path(task.target) if task.target is not None else None
    temporary = Path(os.devnull) if target is None else target.with_name(target.name + TEMPORARY_SUFFIX)
    try:
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        held, kept = _filled(task, temporary, counter)
        if target is not None:
            if not any(filled.tally["records"] for filled in held):
                _copy(Path(task.source.path), temporary)
            _sync(temporary)
            temporary.replace(target)
    except FileNotFoundError as error:
        raise LogError(f"the log {task.source.path} is gone", hint="Run again") from error
    except OSError as error:
        message = f"cannot write the copy of {task.source.name}: {error.strerror or error}"
        raise ReportError(message, hint="Check the folder's permissions and free space, then run again") from error
    finally:
        if target is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    return held, kept


def _filled(task: BackfillTask, temporary: Path, counter: TextCounter) -> tuple[list[Filled], str | None]:
    """Write the filled log; return what was filled, or why nothing can be."""
    try:
        return list(_write(task, temporary, counter)), None
    except Damage:
        return [], "it is damaged"
    except _Unfilled as reason:
        return [], str(reason)


def _write(task: BackfillTask, temporary: Path, counter: TextCounter) -> Iterator[Filled]:
    container = container_of(task.source)
    if container in _KEPT or container in REFUSALS:
        raise _Unfilled(_KEPT.get(container) or REFUSALS[container].detail or container)
    if container == "parquet":
        try:
            yield from copy_table(Path(task.source.path), temporary, task.options, counter)
        except pa.ArrowException as error:
            raise _Unfilled("it is no readable table, or has a column callcost of its own") from error
        return
    with _sink(Path(task.source.path), temporary) as sink:
        yield from _spliced(task.source, fill_text(task.source, task.options, counter), sink)


def _spliced(source: Input, windows: Iterable[Filled], sink: BinaryIO) -> Iterator[Filled]:
    """Copy the log's plain bytes, a window behind the reading, with the edits made."""
    blocks = blocks_of(source)
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


@contextlib.contextmanager
def _sink(source: Path, temporary: Path) -> Iterator[BinaryIO]:
    """Open the copy for writing with the compression of the original."""
    with source.open("rb") as stream:
        magic = stream.read(4)
    kind = next((kind for start, kind in _MAGICS if magic.startswith(start)), None)
    with temporary.open("wb") as raw:
        if kind == "gzip":
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                yield packed  # type: ignore[misc]
        elif kind == "zstd":
            with zstandard.ZstdCompressor().stream_writer(raw, closefd=False) as packed:
                yield packed
        else:
            yield raw


def _copy(source: Path, temporary: Path) -> None:
    shutil.copyfile(source, temporary)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _plain(amount: Decimal) -> str:
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
