"""What a report that remembers reads: the inputs that are new or changed, each kept as soon as it is whole."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pipeline.errors import LogError, RunError, UnfinishedError
from pipeline.jobs.counting import run_counting
from pipeline.jobs.identity import made_of
from pipeline.jobs.run import Progress, survey_cut
from pipeline.logs.buckets import is_url
from pipeline.logs.files import Found, Input, find_logs
from pipeline.logs.own_output import Skipped
from pipeline.logs.stores import Stored, stat_object
from pipeline.runners.ledger import Entry, Ledger, Stamp, stamp_of
from pipeline.runners.shards import pack_pieces, worker_count
from pipeline.settings import ReportOptions
from pipeline.stages.facts import layout_of_facts, rejects_of
from pipeline.stages.kernel import MapTask, map_inputs
from pipeline.stages.pieces import Piece, cut_inputs, survey
from pipeline.tables import Reject

PIECES_PER_INPUT = 100_000  # pieces are numbered by their input's entry, so that facts of any two runs go together
_RETRIES = 2  # the third death of a worker puts its input aside
Event = Callable[..., None]


@dataclasses.dataclass(slots=True)
class Intake:
    """What there is to read, and what became of it.

    Attributes:
        found: all inputs of the run, with their stamps.
        fresh: those that are new or changed.
        notes: "vanished", "grew", "quarantined", "unreadable" -> names of inputs.
        read_bytes: of the inputs that were read.
        skipped: what callcost itself wrote below the logs.
    """

    found: list[tuple[Input, Stamp]]
    fresh: list[tuple[Input, Stamp]]
    notes: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    read_bytes: int = 0
    skipped: tuple[Skipped, ...] = ()

    def note(self, word: str, name: str) -> None:
        """Remember something about an input."""
        names = self.notes.setdefault(word, [])
        if name not in names:
            names.append(name)


def plan_intake(ledger: Ledger, options: ReportOptions) -> Intake:
    """Tell new and changed inputs from those that are known.

    Raises:
        LogError: an argument matches no file, and nothing of it was ever read.
    """
    try:
        logs = find_logs(options.logs)
    except LogError:
        if not ledger.entries:
            raise
        logs = Found([], ())  # logs that were rotated away; what they held is known
    made = made_of(options)
    intake = Intake(found=[], fresh=[], skipped=logs.skipped)
    for source in logs.inputs:
        stamp = _stamp_of(source, source.stored)
        if stamp is None:
            intake.note("vanished", source.name)
            continue
        intake.found.append((source, stamp))
        known = ledger.entries.get(stamp.path)
        if known is None or (known.stamp, known.name, known.made) != (stamp, source.name, made) or not known.sha256:
            intake.fresh.append((source, stamp))
    return intake


def _stamp_of(source: Input, stored: Stored | None) -> Stamp | None:
    """Return the stamp of a file, or of an object of which its store says this; None where it is gone."""
    if not is_url(source.path):
        return stamp_of(source.path)
    if stored is None:
        return None
    mtime_ns = 0 if stored.etag else stored.changed_ns
    return Stamp(path=source.path, bytes=stored.bytes, mtime_ns=mtime_ns, etag=stored.etag)


def read_fresh(
    ledger: Ledger, intake: Intake, options: ReportOptions, folder: Path, *, deadline: float | None, progress: Progress,
    event: Event,
) -> None:  # fmt: skip
    """Read what is new or changed; each input is in the ledger's folder as soon as it is whole.

    Raises:
        RunError: what another callcost read of logs that are gone does not go together with the rest.
        UnfinishedError: the time is over.
    """
    made = made_of(options)
    intake.fresh = [(log, stamp) for log, stamp in intake.fresh if not _is_only_touched(ledger, log, stamp, made)]
    total = sum(stamp.bytes for _, stamp in intake.fresh)
    workers = worker_count(options.work.workers, total)
    batches: dict[int, _Batch] = {}
    tasks: list[MapTask] = []

    def plan(asked: ReportOptions) -> list[MapTask]:
        _take_back(ledger, batches)
        for number, (source, stamp) in enumerate(intake.fresh, ledger.next_number):
            batches[number] = _Batch(number, source, stamp, _pieces_of(source, number), folder / f"input-{number:08}")
        ledger.next_number += len(batches)
        tasks[:] = [task for batch in batches.values() for task in batch.tasks(asked, workers)]
        return tasks

    def check_time() -> None:
        if deadline is not None and time.monotonic() > deadline:
            raise UnfinishedError("the time of --timeout is over", hint="What was read is kept; run the same again")

    def tick(read_bytes: int, calls: int) -> None:
        progress(read_bytes, calls)
        check_time()

    def done(task: int, line: dict[str, Any]) -> None:
        batch = batches[tasks[task].pieces[0].input]
        batch.lines.append(line)
        if len(batch.lines) == batch.wanted:
            _keep(ledger, batch, intake, made)
            event("read", file=batch.source.name, bytes=batch.stamp.bytes, records=_records(batch.lines))
            check_time()

    run_counting(
        map_inputs, plan, options, workers=workers, retries=_RETRIES, tick=tick, done=done, quarantine=_put_aside
    )
    _refuse_strangers(ledger)


def _is_only_touched(ledger: Ledger, source: Input, stamp: Stamp, made: str) -> bool:
    """Say whether an input has a new time and its old bytes: a copy that kept no times, a checkout."""
    known = ledger.entries.get(stamp.path)
    if known is None or not known.sha256 or known.stamp.bytes != stamp.bytes:
        return False
    if (known.name, known.made) != (source.name, made) or survey(source.path).sha256 != known.sha256:
        return False
    ledger.restamp(known, stamp)
    return True


def _refuse_strangers(ledger: Ledger) -> None:
    """Refuse facts of another layout, among which duplicates would not be found; logs that are there were read anew."""
    layout = layout_of_facts()
    names = sorted(entry.name for entry in ledger.entries.values() if entry.layout != layout)
    if names:
        message = f"another callcost read {len(names):,} logs that are not at hand any more, as {names[0]}"
        raise RunError(message, hint="Give these logs once more, or begin a new --state folder")


def _take_back(ledger: Ledger, batches: dict[int, _Batch]) -> None:
    """Take back what was kept of inputs that are to be read again."""
    for entry in [entry for entry in ledger.entries.values() if entry.number in batches]:
        ledger.discard(entry)  # at once: a run that is ended now must not find it
    batches.clear()


@dataclasses.dataclass(slots=True)
class _Batch:
    """One input while it is read."""

    number: int
    source: Input
    stamp: Stamp
    pieces: list[Piece]
    folder: Path
    lines: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    wanted: int = 0

    def tasks(self, options: ReportOptions, workers: int) -> list[MapTask]:
        """Cut the input into tasks; none holds a piece of another one."""
        self.folder.mkdir()
        packed = pack_pieces(self.pieces, workers)
        self.wanted = len(packed)
        return [
            MapTask(number=number, pieces=pieces, folder=str(self.folder), options=options)
            for number, pieces in enumerate(packed)
        ]


def _pieces_of(source: Input, number: int) -> list[Piece]:
    first = number * PIECES_PER_INPUT
    return [dataclasses.replace(p, number=first + n, input=number) for n, p in enumerate(cut_inputs([source]))]


def _put_aside(task: MapTask) -> dict[str, Any]:
    """Stand for a task that ended its worker each time: one reject that names the input."""
    piece = task.pieces[0]
    for part in Path(task.folder).glob(f"facts-{task.number:06}-*"):
        part.unlink()
    reject = Reject(reason="worker_died", detail="reading it ended three workers", source_file=piece.source.name)
    table = rejects_of([reject], piece.number)
    table.write_parquet(Path(task.folder) / f"rejects-{task.number:06}.parquet")
    tally = {"records": 1, "rejects": 1}
    return {
        "task": task.number, "inputs": {str(piece.input): tally}, "digests": {}, "facts": 0, "counting": {},
        "quarantined": True,
    }  # fmt: skip


def _keep(ledger: Ledger, batch: _Batch, intake: Intake, made: str) -> None:
    """Take an input into the ledger, unless it vanished while it was read."""
    name = batch.source.name
    path = batch.source.path
    now = _stamp_of(batch.source, stat_object(path) if is_url(path) else None)
    intake.read_bytes += batch.stamp.bytes
    if now is None:
        intake.note("vanished", name)
        return
    digests, rows_before = survey_cut(batch.pieces)
    for line in batch.lines:
        digests |= line["digests"]
    quarantined = any(line.get("quarantined") for line in batch.lines)
    sha256 = digests.get(str(batch.number)) or (survey(batch.source.path).sha256 if quarantined else "")
    for word, holds in (
        ("grew", now != batch.stamp),
        ("quarantined", quarantined),
        ("unreadable", not sha256),
    ):
        if holds:
            intake.note(word, name)
    lines = sorted(batch.lines, key=lambda line: int(line["task"]))
    lines = [{name: value for name, value in line.items() if name != "files"} for line in lines]  # they move
    facts = {"lines": lines, "rows_before": rows_before}
    entry = Entry(
        number=batch.number, stamp=batch.stamp, name=name, sha256=sha256, made=made, facts=facts,
        layout=layout_of_facts(),
    )  # fmt: skip
    _drop_moved(ledger, entry)
    ledger.keep(entry, batch.folder)


def _drop_moved(ledger: Ledger, entry: Entry) -> None:
    """Forget the same bytes under a name that is gone: the log was rotated."""
    for other in list(ledger.entries.values()):
        if entry.sha256 and other.sha256 == entry.sha256 and _is_gone(other.stamp.path):
            ledger.forget(other)


def _is_gone(path: str) -> bool:
    return stat_object(path) is None if is_url(path) else not Path(path).exists()


def _records(lines: Iterable[dict[str, Any]]) -> int:
    return sum(tally.get("records", 0) for line in lines for tally in line["inputs"].values())
