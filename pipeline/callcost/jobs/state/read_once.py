"""Logs that are asked again: what reading them gave is kept in a state of the user's own cache folder.

It is a state as any (runners/ledger.py), with its checks: one for the logs that a command line names, as one version of
the code reads them in one way. A log is known again by path, size, times, inode and the digests of its first and last
block. What may still change, changed while it was read, or had a call that timed out, is read again each time. Which
calls are copies is kept beside, as long as the logs are the same. Where the state cannot be used (another process has
it, the disk is full), logs are read as without one; where it is damaged, it is made anew. Answers are the same in any
case.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path

import msgspec
import polars as pl

from callcost.data_folders import user_cache_dir
from callcost.errors import RunError
from callcost.jobs.engine.fingerprint import code_of, made_of
from callcost.jobs.engine.isolate_crash import set_aside
from callcost.jobs.engine.map_reduce import Progress, Settled, found_anywhere, map_logs, settle_found, survey_cut
from callcost.jobs.engine.recount import run_counting
from callcost.jobs.state.intake import Batch
from callcost.jobs.state.log_rotation import facts_of_entry, result_of
from callcost.logs.io.databases import logs_beside
from callcost.logs.io.folders import folder_at, link_or_copy
from callcost.logs.io.inputs import Input, is_read_once
from callcost.logs.io.store_access import is_url
from callcost.logs.io.temporary import temporary_folder
from callcost.runners.entries import Entry, Stamp, digest_of_file, digest_of_value, stamp_of
from callcost.runners.leases import LOCK
from callcost.runners.ledger import Ledger
from callcost.runners.local import run_tasks
from callcost.runners.locks import hold_lock
from callcost.runners.packing import worker_count
from callcost.runners.protocol import Runner, ignore_progress
from callcost.settings import EXECUTORS, ReportOptions
from callcost.stages.read.splits import Piece
from callcost.stages.tables.facts import join_small, layout_of_facts
from callcost.stages.tasks import MapTask, map_inputs
from callcost.tables import MapResult, ReduceResult

PLACE = "answers"
MOST_BYTES = 2 << 30  # of all that is kept
_OWNER = 0o700
_YOUNG = 2_000_000_000  # nanoseconds: what was written so short ago may be written again within the same tick
_BLOCK = 64 << 10
_VERDICTS = "verdicts"  # what the ledger calls them, and how their files begin
_NEVER = -1  # mtime_ns that no log has: what has it is read again
_DAMAGES = (RunError, OSError, pl.exceptions.PolarsError, msgspec.MsgspecError)


def map_once(
    options: ReportOptions,
    folder: Path | str,
    *,
    runner: Runner = run_tasks,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> Settled:
    """Do what map_logs does, but read what was read before from what is kept.

    Args:
        options: what the run was asked for.
        folder: working folder.
        runner: see map_logs.
        progress: see map_logs.
        planned: see map_logs.

    Raises:
        LogError: an argument matches no file.
    """
    place = place_of_answers(options)
    if place is not None:
        with contextlib.ExitStack() as stack:
            found = _map_kept(options, Path(folder), place, progress, planned) if _lock(place, stack) else None
        if found is not None:
            _make_room(place.parent)
            return found
    return map_logs(options, folder, runner=runner, progress=progress, planned=planned)


def place_of_answers(options: ReportOptions) -> Path | None:
    """Return the folder that keeps what reading these logs gave; None: nothing is kept of them."""
    root, work = user_cache_dir(), options.work
    if root is None or not work.cache or work.work_dir is not None or work.executor != EXECUTORS[0]:
        return None
    if any(is_url(log) or is_read_once(log) for log in options.logs):
        return None
    logs = [str(Path(log).absolute()) for log in options.logs]
    read = [code_of(), pl.__version__, made_of(options), options.count.item_timeout, logs]
    return root / PLACE / digest_of_value(read)[:32]


def _lock(place: Path, stack: contextlib.ExitStack) -> bool:
    """Take the folder, which nobody else may look into; say whether that was possible."""
    try:
        for folder in (place.parent, place):
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=_OWNER, exist_ok=True)
            if folder.stat().st_mode & 0o077:
                folder.chmod(_OWNER)
        stack.enter_context(hold_lock(folder_at(str(place)), uuid.uuid4().hex))
    except (RunError, OSError):
        return False
    return True


def _map_kept(
    options: ReportOptions, folder: Path, place: Path, progress: Progress, planned: Callable[[int], None]
) -> Settled | None:
    """Read what is new, take the rest from the folder; None: it cannot be used."""
    while True:
        is_empty = not any(place.glob("*.json"))
        for path in folder.iterdir():
            path.unlink()  # of an attempt that failed
        try:
            ledger = Ledger(folder_at(str(place)))
            ledger.folder.prepare()
            return _map(ledger, options, folder, progress, planned)
        except _DAMAGES:
            _clear(place)
            if is_empty:
                return None


def _clear(place: Path) -> None:
    """Remove all but the lock, which is held."""
    for path in place.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink(missing_ok=True)


def _map(
    ledger: Ledger, options: ReportOptions, folder: Path, progress: Progress, planned: Callable[[int], None]
) -> Settled:
    found = found_anywhere(options.logs)
    asked = [(source, _stamp_of(source.path)) for source in found.inputs]
    known = _known_entries(ledger, asked, folder)
    fresh = [(source, stamp) for source, stamp in asked if stamp.path not in known]
    total = sum(source.bytes for source, _ in fresh)
    planned(total)
    if fresh or ledger.lost or len(ledger.entries) > len(known):
        kept = {entry.number for entry in known.values()}
        for number in [*(ledger.entries.keys() - kept), *ledger.lost]:
            ledger.forget(number)
        with temporary_folder(ledger.folder.path) as work:
            for entry in _read(ledger, fresh, options, work, worker_count(options.work.workers, total), progress):
                known[entry.stamp.path] = entry
        ledger.commit({})
    os.utime(ledger.folder.place)
    entries = [known[stamp.path] for _, stamp in asked]
    mapped = result_of(*entries)
    files = {kind: list(map(_own, ledger.local_files(entries, folder, kind))) for kind in ("facts", "rejects")}
    mapped.files = [str(path) for path in (*join_small(files["facts"], folder), *files["rejects"])]
    settled = Settled(
        inputs=found.inputs, numbers=tuple(entry.number for entry in entries), mapped=mapped, folder=str(folder),
        workers=worker_count(options.work.workers, sum(source.bytes for source in found.inputs)),
        pieces=tuple(piece for entry in entries for piece in msgspec.convert(entry.facts["pieces"], list[Piece])),
        skipped=found.skipped,
    )  # fmt: skip
    return dataclasses.replace(settled, verdicts=_verdicts(ledger, options, settled, Path(ledger.folder.place)))


def _verdicts(ledger: Ledger, options: ReportOptions, settled: Settled, place: Path) -> ReduceResult:
    """Return which calls are copies; where the same logs were settled before, what came of it then."""
    kept = ledger.published.get(_VERDICTS, {})
    if kept.get("numbers") == list(settled.numbers):
        files = {Path(settled.folder, name): digest for name, digest in kept["files"].items()}
        for path in files:
            link_or_copy(place / path.name, path)
        if all(digest_of_file(path) == digest for path, digest in files.items()):
            return ReduceResult(duplicates=kept["duplicates"], files=[str(path) for path in files])
    for path in place.glob(f"{_VERDICTS}-*"):
        path.unlink()
    found = settle_found(options, settled)
    made = [Path(file) for file in found.files]
    for path in made:
        link_or_copy(path, place / path.name)
    digests = {path.name: digest_of_file(path) for path in made}
    numbers = list(settled.numbers)
    ledger.commit({_VERDICTS: {"numbers": numbers, "duplicates": found.duplicates, "files": digests}})
    return found


def _known_entries(ledger: Ledger, asked: Iterable[tuple[Input, Stamp]], folder: Path) -> dict[str, Entry]:
    """Return path -> entry of those logs that are as they were; what stood on others only where these are, too."""
    paths = {entry.stamp.path: entry for entry in ledger.entries.values()}
    names = {stamp.path: (stamp, source.name, layout_of_facts()) for source, stamp in asked}
    same = {
        path: entry
        for path, entry in paths.items()
        if (entry.stamp, entry.name, entry.layout) == names.get(path) and entry.stamp.mtime_ns != _NEVER
    }
    ledger.check(folder, same.values())
    whole = {path: entry for path, entry in same.items() if entry.number in ledger.entries}
    if len(whole) == len(names) == len(paths):
        return whole
    return {path: entry for path, entry in whole.items() if not entry.facts["joined"]}


def _read(
    ledger: Ledger, fresh: Sequence[tuple[Input, Stamp]], options: ReportOptions, work: Path, workers: int,
    progress: Progress,
) -> Iterator[Entry]:  # fmt: skip
    """Read logs, and keep what each gave."""
    began = time.time_ns()
    batches: dict[int, Batch] = {}
    tasks: list[MapTask] = []

    def plan(asked: ReportOptions) -> list[MapTask]:
        batches.clear()
        for number, (source, stamp) in enumerate(fresh, ledger.next_number):
            batches[number] = Batch.of(number, source, stamp, work)
        ledger.next_number += len(batches)
        tasks[:] = [task for batch in batches.values() for task in batch.tasks(asked, workers, digested=False)]
        return tasks

    aside = partial(set_aside, map_inputs)
    results = run_counting(map_inputs, plan, options, workers=workers, tick=progress, quarantine=aside)
    read = {number: survey_cut(batch.pieces) for number, batch in batches.items()}
    for task, result in zip(tasks, results, strict=True):
        read[task.pieces[0].input] += result
    for number, batch in batches.items():
        yield _keep(ledger, batch, read[number], began)


def _keep(ledger: Ledger, batch: Batch, read: MapResult, began: int) -> Entry:
    stamp = batch.stamp
    if read.timed_out or began - stamp.mtime_ns < _YOUNG or stamp != _stamp_of(batch.source.path):
        stamp = dataclasses.replace(stamp, mtime_ns=_NEVER)
    more = {"pieces": msgspec.to_builtins(batch.pieces), "joined": read.joined}
    entry = Entry(
        number=batch.number, stamp=stamp, name=batch.source.name, sha256=read.digests[str(batch.number)], made="",
        layout=layout_of_facts(), facts=facts_of_entry(read) | more,
    )  # fmt: skip
    ledger.keep(entry, batch.folder)
    return ledger.entries[entry.number]


def _stamp_of(path: str) -> Stamp:
    """Return what a log is known again by; one that cannot be looked at never is."""
    found = stamp_of(path)
    try:
        marks = [mark for each in (Path(path), *logs_beside(path)) for mark in _marks_of(each)]
    except OSError:
        found = None
    if found is None:
        return Stamp(path=str(Path(path).resolve()), bytes=0, mtime_ns=_NEVER)
    return dataclasses.replace(found, etag=" ".join(marks))


def _marks_of(path: Path) -> Iterator[str]:
    with path.open("rb") as stream:
        stat = os.fstat(stream.fileno())
        yield f"{stat.st_ino} {stat.st_ctime_ns}"
        for start in (0, max(0, stat.st_size - _BLOCK)):
            stream.seek(start)
            yield blake2b(stream.read(_BLOCK), digest_size=16).hexdigest()


def _own(path: Path) -> Path:
    """Put a file in the place of a link to it: what is kept may be removed once it is not locked any more."""
    if path.is_symlink():
        kept = path.resolve()
        path.unlink()
        link_or_copy(kept, path)
    return path


def _make_room(root: Path) -> None:
    """Remove what was asked for longest ago, as long as all of it is too much."""
    with contextlib.suppress(OSError):
        places = sorted((path for path in root.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime_ns)
        sizes = {place: sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) for place in places}
        for place in places:
            if sum(sizes.values()) <= MOST_BYTES:
                return
            with contextlib.ExitStack() as stack:
                if _lock(place, stack):
                    shutil.rmtree(place, ignore_errors=True)
                    del sizes[place]
