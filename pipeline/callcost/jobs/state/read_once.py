"""Logs that are asked again: what reading them gave is kept in a state of the user's own cache folder.

It is a state as any (runners/ledger.py), with its checks: one for the logs that a command line names, as one version of
the code reads them in one way. A log is known again by path, size, times, inode and the digests of its first and last
block. What may still change, changed while it was read, or had a call that timed out, is read again each time. Small
logs share an entry: where one has changed, what the others gave is still good, unless they were counted or joined
together. Which calls are copies is kept beside, as long as the logs are the same. Where the state cannot be used
(another process has it, the disk is full), logs are read as without one; where it is damaged, it is made anew. Answers
are the same in any case.
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
from itertools import islice
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
from callcost.logs.io.object_store import is_url
from callcost.logs.io.temporary import temporary_folder
from callcost.runners.entries import Entry, Stamp, digest_of_file, digest_of_value, stamp_of
from callcost.runners.leases import LOCK
from callcost.runners.ledger import Ledger
from callcost.runners.local import run_tasks
from callcost.runners.locks import hold_lock
from callcost.runners.packing import pack_pieces, worker_count
from callcost.runners.protocol import Runner, ignore_progress
from callcost.settings import EXECUTORS, ReportOptions
from callcost.stages.read.splits import Piece
from callcost.stages.tables.facts import join_small, layout_of_facts
from callcost.stages.tasks import MapTask, map_inputs
from callcost.tables import Counting, MapResult, ReduceResult, add_up

PLACE = "answers"
MOST_BYTES = 2 << 30  # of all that is kept
_OWNER = 0o700
_YOUNG = 2_000_000_000  # nanoseconds: what was written so short ago may be written again within the same tick
_BLOCK = 64 << 10
_VERDICTS = "verdicts"  # what the ledger calls them, and how their files begin
_PACK_BYTES = 4 << 20  # of logs whose results are kept together
_LEAST_USE = 4  # where less than one part in so many of a pack is of use, all of it is read again
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """A log that was read, as an entry keeps it.

    Attributes:
        number: of its input in facts and sums.
        stamp: what it is known again by.
        name: in reports.
        pieces: parts that it was read in.
    """

    number: int
    stamp: Stamp
    name: str
    pieces: tuple[Piece, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Pack:
    """An entry, and those of its logs that are as they were."""

    entry: Entry
    logs: list[_Log]

    @property
    def is_whole(self) -> bool:
        return len(self.logs) == len(self.entry.facts["logs"])

    @property
    def pieces(self) -> list[int]:
        return [piece.number for log in self.logs for piece in log.pieces]

    def result(self) -> MapResult:
        """Return what reading its logs gave."""
        read = result_of(self.entry)
        if self.is_whole:
            return read
        numbers, pieces = {str(log.number) for log in self.logs}, {*self.pieces}
        return msgspec.structs.replace(
            read,
            inputs={number: tally for number, tally in read.inputs.items() if number in numbers},
            digests={number: digest for number, digest in read.digests.items() if number in numbers},
            rows_before=[one for one in read.rows_before if one[0] in pieces],
        )


def _map(
    ledger: Ledger, options: ReportOptions, folder: Path, progress: Progress, planned: Callable[[int], None]
) -> Settled:
    found = found_anywhere(options.logs)
    asked = [(source, _stamp_of(source.path)) for source in found.inputs]
    packs = _known_packs(ledger, asked, folder)
    known = {log.stamp.path for pack in packs for log in pack.logs}
    fresh = [(source, stamp) for source, stamp in asked if stamp.path not in known]
    total = sum(source.bytes for source, _ in fresh)
    planned(total)
    if fresh or ledger.lost or len(ledger.entries) > len(packs):
        kept = {pack.entry.number for pack in packs}
        for number in [*(ledger.entries.keys() - kept), *ledger.lost]:
            ledger.forget(number)
        with temporary_folder(ledger.folder.path) as work:
            workers = worker_count(options.work.workers, total)
            packs += _read(ledger, fresh, options, work, workers, progress)
        ledger.commit({})
    os.utime(ledger.folder.place)
    by_path = {log.stamp.path: log for pack in packs for log in pack.logs}
    logs = [by_path[stamp.path] for _, stamp in asked]
    settled = Settled(
        inputs=found.inputs, numbers=tuple(log.number for log in logs), mapped=_joined(ledger, packs, folder),
        workers=worker_count(options.work.workers, sum(source.bytes for source in found.inputs)),
        pieces=tuple(piece for log in logs for piece in log.pieces), folder=str(folder), skipped=found.skipped,
    )  # fmt: skip
    return dataclasses.replace(settled, verdicts=_verdicts(ledger, options, settled, Path(ledger.folder.place)))


def _joined(ledger: Ledger, packs: Sequence[_Pack], folder: Path) -> MapResult:
    """Return what all packs hold, their files in the working folder, without what is not of use any more."""
    entries = [pack.entry for pack in packs]
    wanted = {pack.entry.number: pack.pieces for pack in packs if not pack.is_whole}
    files = {kind: list(map(_own, ledger.local_files(entries, folder, kind))) for kind in ("facts", "rejects")}
    numbers = {path: int(path.name.split("-")[1]) for path in (*files["facts"], *files["rejects"])}
    only = {path: wanted[number] for path, number in numbers.items() if number in wanted}
    for path in files["rejects"]:
        if path in only:
            rejects = pl.read_parquet(path).filter(pl.col("piece").is_in(only[path]))
            path.unlink()
            rejects.write_parquet(path)
    read = add_up([pack.result() for pack in packs], MapResult())
    read.files = [str(path) for path in (*join_small(files["facts"], folder, only), *files["rejects"])]
    return read


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


def _known_packs(ledger: Ledger, asked: Iterable[tuple[Input, Stamp]], folder: Path) -> list[_Pack]:
    """Return what is of use: of logs that are as they were; what stood on others only where these are, too."""
    names = {stamp.path: (stamp, source.name) for source, stamp in asked}
    found: list[_Pack] = []
    before: set[str] = set()
    for entry in ledger.entries.values():
        logs = msgspec.convert(entry.facts["logs"], list[_Log])
        before |= {log.stamp.path for log in logs}
        same = [log for log in logs if (log.stamp, log.name) == names.get(log.stamp.path) and log.stamp.mtime_ns >= 0]
        used, whole = (sum(log.stamp.bytes for log in some) for some in (same, logs))
        few = len(same) < len(logs) and (entry.facts["together"] or _LEAST_USE * used < whole)
        if same and not few and entry.layout == layout_of_facts():
            found.append(_Pack(entry, same))
    ledger.check(folder, [pack.entry for pack in found])
    found = [pack for pack in found if pack.entry.number in ledger.entries]
    if before == names.keys() == {log.stamp.path for pack in found for log in pack.logs}:
        return found
    return [pack for pack in found if not pack.entry.facts["joined"]]


def _read(
    ledger: Ledger, fresh: Sequence[tuple[Input, Stamp]], options: ReportOptions, work: Path, workers: int,
    progress: Progress,
) -> Iterator[_Pack]:  # fmt: skip
    """Read logs, and keep what they gave."""
    began = time.time_ns()
    stamps = {source.path: stamp for source, stamp in fresh}
    packs: list[tuple[list[Batch], list[MapTask]]] = []

    def plan(asked: ReportOptions) -> list[MapTask]:
        packs.clear()
        for sources in pack_pieces([source for source, _ in fresh], 1, _PACK_BYTES):
            numbered = enumerate(sources, ledger.next_number)
            batches = [Batch.of(number, source, stamps[source.path], work) for number, source in numbered]
            ledger.next_number += len(batches)
            packs.append((batches, _tasks_of(batches, asked, workers)))
        return [task for _, tasks in packs for task in tasks]

    aside = partial(set_aside, map_inputs)
    results = iter(run_counting(map_inputs, plan, options, workers=workers, tick=progress, quarantine=aside))
    for batches, tasks in packs:
        cut = survey_cut([piece for batch in batches for piece in batch.pieces])
        yield _keep(ledger, batches, add_up([cut, *islice(results, len(tasks))], cut), began)


def _tasks_of(batches: Sequence[Batch], options: ReportOptions, workers: int) -> list[MapTask]:
    """Return the tasks of logs that share an entry: one, or those that a large one is cut into."""
    folder = batches[0].folder
    folder.mkdir()
    packed = pack_pieces([piece for batch in batches for piece in batch.pieces], workers if len(batches) == 1 else 1)
    return [
        MapTask(number=number, pieces=pieces, folder=str(folder), options=options, by_columns=True)
        for number, pieces in enumerate(packed)
    ]


def _keep(ledger: Ledger, batches: Sequence[Batch], read: MapResult, began: int) -> _Pack:
    late = {piece for piece, _, _ in read.timed_out}
    logs: list[_Log] = []
    for batch in batches:
        stamp = batch.stamp
        is_late = any(piece.number in late for piece in batch.pieces)
        if is_late or began - stamp.mtime_ns < _YOUNG or stamp != _stamp_of(batch.source.path):
            stamp = dataclasses.replace(stamp, mtime_ns=_NEVER)
        logs.append(_Log(number=batch.number, stamp=stamp, name=batch.source.name, pieces=tuple(batch.pieces)))
    more = {
        "logs": msgspec.to_builtins(logs), "joined": read.joined,
        "together": bool(read.joined or read.hidden or read.unread_usage or read.counting != Counting()),
    }  # fmt: skip
    first = batches[0]
    entry = Entry(
        number=batches[-1].number, stamp=first.stamp, name=first.source.name, sha256="", made="",
        layout=layout_of_facts(), facts=facts_of_entry(read) | more,
    )  # fmt: skip
    ledger.keep(entry, first.folder)
    return _Pack(ledger.entries[entry.number], logs)


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
