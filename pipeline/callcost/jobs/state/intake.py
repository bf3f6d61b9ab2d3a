"""What a report that remembers reads: the inputs that are new or changed, each kept as soon as it is whole."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec
import polars as pl
from msgspec import structs

from callcost.errors import ConfigError, RunError, UnfinishedError
from callcost.jobs.engine.fingerprint import made_of
from callcost.jobs.engine.isolate_crash import reject_task
from callcost.jobs.engine.map_reduce import Progress, found_anywhere, options_for_workers, survey_cut
from callcost.jobs.engine.recount import run_counting
from callcost.jobs.engine.work_dir import fetch_results, open_place_of_work
from callcost.jobs.state.log_rotation import (
    Overwritten,
    Standing,
    facts_of_entry,
    find_standing,
    keep_overwritten,
    latest_of,
    readable_again,
    result_of,
)
from callcost.logs.io.extents import Extent, extent_of
from callcost.logs.io.inputs import Input
from callcost.logs.io.object_store import is_url, stat_object
from callcost.logs.own_output import Skipped
from callcost.runners.entries import Entry, Known, Stamp, stamp_of
from callcost.runners.ledger import Ledger
from callcost.runners.packing import cluster_task_bytes, pack_pieces, worker_count
from callcost.settings import EXECUTORS, ReportOptions
from callcost.stages.read.batch_join import UNJOINED, holds_batch
from callcost.stages.read.splits import Piece, cut_inputs, survey
from callcost.stages.tables.facts import layout_of_facts, scan_facts
from callcost.stages.tasks import MapTask, Tick, map_inputs
from callcost.tables import MapResult, add_up

PIECES_PER_INPUT = 100_000  # pieces are numbered by their input's entry, so that facts of any two runs go together
_RETRIES = 2  # the third death of a worker puts its input aside
Event = Callable[..., None]


@dataclasses.dataclass(slots=True)
class Intake:
    """What there is to read, and what became of it.

    Attributes:
        found: all inputs of the run, with their stamps.
        fresh: those that are new or changed.
        forget: paths and names of logs of which only what they hold now is to count.
        notes: "vanished", "grew", "quarantined", "unreadable", "kept", "read again", "carried over" -> names of inputs.
        read_bytes: bytes of the inputs that were read.
        skipped: folders below the logs that were not read, and what they hold.
        present: paths of all inputs of the run.
        again: paths of those that are read again, since more of their batches has come.
        standing: what the logs that are read stand for.
    """

    found: list[tuple[Input, Stamp]]
    fresh: list[tuple[Input, Stamp]]
    forget: tuple[str, ...] = ()
    notes: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    read_bytes: int = 0
    skipped: tuple[Skipped, ...] = ()
    present: set[str] = dataclasses.field(default_factory=set)
    again: set[str] = dataclasses.field(default_factory=set)
    standing: Standing = dataclasses.field(default_factory=Standing)

    def note(self, word: str, name: str) -> None:
        """Remember something about an input."""
        names = self.notes.setdefault(word, [])
        if name not in names:
            names.append(name)


def plan_intake(ledger: Ledger, options: ReportOptions, forget: Sequence[str] = ()) -> Intake:
    """Tell new and changed inputs from those that are known.

    Args:
        ledger: opened ledger of the state.
        options: what the report was asked for.
        forget: paths and names of logs of which only what they hold now is to count.

    Raises:
        ConfigError: nothing was ever read of one to forget.
        LogError: an argument matches no file.
    """
    logs = found_anywhere(options.logs)
    wanted = _known_places(ledger, forget)
    latest = latest_of(ledger)
    made = made_of(options)
    intake = Intake(found=[], fresh=[], forget=wanted, skipped=logs.skipped)
    for source in logs.inputs:
        stamp = stamp_of(source.path, source.stored)
        if stamp is None:
            intake.note("vanished", source.name)
            continue
        intake.found.append((source, stamp))
        intake.present.add(stamp.path)
        known = latest.get(stamp.path)
        is_same = known is not None and (known.stamp, known.name, known.made) == (stamp, source.name, made)
        if known is None or not is_same or not known.sha256 or (known.holds_more and _is_among(wanted, known)):
            intake.fresh.append((source, stamp))
    _read_batches_again(intake, latest)
    return intake


def _read_batches_again(intake: Intake, latest: Mapping[str, Entry]) -> None:
    """Read known halves of batches again where more of a batch comes."""
    fresh = {stamp.path for _, stamp in intake.fresh}
    known = [(source, stamp) for source, stamp in intake.found if stamp.path not in fresh]
    halves = [one for one in known if result_of(latest[one[1].path]).total(UNJOINED)]
    if halves and any(holds_batch(source) for source, _ in intake.fresh):
        intake.fresh += halves
        intake.again = {stamp.path for _, stamp in halves}


def _known_places(ledger: Ledger, places: Sequence[str]) -> tuple[str, ...]:
    """Return places as the ledger spells them: a path is absolute, a name is as reports say it."""
    every: list[Known] = [*ledger.entries.values(), *ledger.lost.values()]
    spellings = {word for each in every for word in (each.name, each.stamp.path)}
    known = [place if place in spellings or is_url(place) else str(Path(place).resolve()) for place in places]
    for place, word in zip(places, known, strict=True):
        if word not in spellings:
            raise ConfigError(f"nothing was read from {place}", hint="Give its path, or its name as in manifest.json")
    return tuple(known)


def _is_among(places: Sequence[str], entry: Entry) -> bool:
    return not {entry.name, entry.stamp.path}.isdisjoint(places)


def read_fresh(
    ledger: Ledger, intake: Intake, options: ReportOptions, folder: Path, *, deadline: float | None, progress: Progress,
    event: Event,
) -> None:  # fmt: skip
    """Read what is new or changed; each input is in the ledger's folder as soon as it is whole.

    Raises:
        RunError: another run writes here.
        UnfinishedError: the time is over.
    """
    made = made_of(options)
    _compare(ledger, intake, made)
    total = sum(stamp.bytes for _, stamp in intake.fresh)
    is_here = options.work.executor == EXECUTORS[0]
    workers, size = (worker_count(options.work.workers, total), None) if is_here else (1, cluster_task_bytes())
    batches: dict[int, Batch] = {}
    tasks: list[MapTask] = []

    def plan(asked: ReportOptions) -> list[MapTask]:
        _take_back(ledger, batches)
        for number, (source, stamp) in enumerate(intake.fresh, ledger.next_number):
            batches[number] = Batch.of(number, source, stamp, folder)
        ledger.next_number += len(batches)
        asked = options_for_workers(asked)
        tasks[:] = [task for batch in batches.values() for task in batch.tasks(asked, workers, size)]
        return tasks

    def check_time() -> None:
        if deadline is not None and time.monotonic() > deadline:
            raise UnfinishedError("the time of --timeout is over", hint="What was read is kept; run the same again")

    def tick(read_bytes: int, calls: int) -> None:
        progress(read_bytes, calls)
        check_time()

    def done(task: int, result: ReadResult) -> None:
        batch = batches[tasks[task].pieces[0].input]
        fetch_results(result.files, batch.folder)
        batch.result, batch.wanted = batch.result + result, batch.wanted - 1
        if not batch.wanted:
            _keep(ledger, batch, intake, made)
            event("read", file=batch.source.name, bytes=batch.stamp.bytes, records=batch.result.total("records"))
            check_time()

    with open_place_of_work(options, is_needed=bool(intake.fresh)) as place:
        run_counting(
            read_inputs, plan, options, runner=place.runner, workers=workers, retries=_RETRIES, tick=tick, done=done,
            quarantine=_put_aside,
        )  # fmt: skip
        place.finish()


def _compare(ledger: Ledger, intake: Intake, made: str) -> None:
    """Find out what the inputs that are to be read stand for; those that were only touched are known."""
    latest = latest_of(ledger)
    intake.fresh = [
        (log, stamp) for log, stamp in intake.fresh
        if stamp.path in intake.again or not _is_only_touched(ledger, latest.get(stamp.path), log, stamp, made)
    ]  # fmt: skip
    for entry in list(ledger.entries.values()) if intake.forget else ():
        is_live = entry.stamp.path in intake.present and latest[entry.stamp.path] is entry
        if not is_live and _is_among(intake.forget, entry):
            ledger.forget(entry.number)
    for entry in [entry for entry in ledger.entries.values() if _is_open_again(entry, intake)]:
        ledger.forget(entry.number)
    intake.standing = find_standing(ledger, intake.fresh, intake.present)


def _is_open_again(entry: Entry, intake: Intake) -> bool:
    """Say whether an entry stands for a folder that could not be listed once, and now can be: its logs are read."""
    path = entry.stamp.path
    unread = not entry.sha256 and path not in intake.present and not is_url(path)
    return unread and Path(path).is_dir() and os.access(path, os.R_OK | os.X_OK)


class ReadResult(MapResult):
    """What reading some inputs gave, and how they are known again.

    Attributes:
        extents: number of an input read whole -> what was read of it; None: not known.
    """

    extents: dict[str, Extent | None] = msgspec.field(default_factory=dict)


def read_inputs(task: MapTask, tick: Tick) -> ReadResult:
    """Do a map task, and measure what was read of the inputs that it has whole."""
    extents = {str(piece.input): extent_of(piece.source) for piece in task.pieces if piece.whole}
    return ReadResult(**structs.asdict(map_inputs(task, tick)), extents=extents)


def _is_only_touched(ledger: Ledger, known: Entry | None, source: Input, stamp: Stamp, made: str) -> bool:
    """Say whether an input has a new time and its old bytes: a copy that kept no times, a checkout."""
    if known is None or not known.sha256 or known.stamp.bytes != stamp.bytes or known.holds_more:
        return False
    if (known.name, known.made) != (source.name, made) or survey(source.path).sha256 != known.sha256:
        return False
    ledger.restamp(known, stamp)
    return True


def settle_lost(ledger: Ledger, *, rebuild: bool) -> None:
    """Leave out entries whose results are lost and whose logs were not read again.

    Args:
        ledger: ledger in which every input is read.
        rebuild: whether they may be left out.

    Raises:
        RunError: they may not.
    """
    lost = sorted(ledger.lost.values(), key=lambda each: each.number)
    if lost and not rebuild:
        first, more = lost[0], f", and so are {len(lost) - 1:,} more" if lost[1:] else ""
        holds = f"the calls of {first.about} in {first.name}" if first.about else f"what {first.name} gave"
        message = f"{ledger.folder.place}/{first.file} is damaged or gone{more}; it held {holds}, which is not at hand"
        hint = "Put the log or this file back and run again, or run with --rebuild: it publishes without these calls"
        raise RunError(message, hint=hint)
    for each in lost:
        ledger.dropped.append(f"{each.name} ({each.about})" if each.about else each.name)
        ledger.forget(each.number)


def _take_back(ledger: Ledger, batches: dict[int, Batch]) -> None:
    """Take back what was kept of inputs that are to be read again."""
    for entry in [entry for entry in ledger.entries.values() if entry.number in batches]:
        ledger.discard(entry)  # at once: a run that is ended now must not find it
    batches.clear()


@dataclasses.dataclass(slots=True)
class Batch:
    """One input while it is read."""

    number: int
    source: Input
    stamp: Stamp
    pieces: list[Piece]
    folder: Path
    result: ReadResult = dataclasses.field(default_factory=ReadResult)
    wanted: int = 0

    @classmethod
    def of(cls, number: int, source: Input, stamp: Stamp, folder: Path) -> Self:
        """Return an input that is to be read, its results below a folder."""
        return cls(number, source, stamp, _pieces_of(source, number), folder / f"input-{number:08}")

    def tasks(self, options: ReportOptions, workers: int, size: int | None = None) -> list[MapTask]:
        """Cut the input into tasks, of some bytes each where these are given; none holds a piece of another one."""
        self.folder.mkdir()
        packed = pack_pieces(self.pieces, workers, size)
        self.wanted = len(packed)
        return [
            MapTask(
                number=number, pieces=pieces, folder=str(self.folder), options=options, by_columns=True,
                digested=True,
            )
            for number, pieces in enumerate(packed)
        ]  # fmt: skip


def _pieces_of(source: Input, number: int) -> list[Piece]:
    first = number * PIECES_PER_INPUT
    return [dataclasses.replace(p, number=first + n, input=number) for n, p in enumerate(cut_inputs([source]))]


def _put_aside(task: MapTask) -> ReadResult:
    """Stand for a task that ended its worker each time."""
    for kind in ("facts", "rejects"):
        for part in Path(task.folder).glob(f"{kind}-{task.number:06}-*"):
            part.unlink()
    rejected = reject_task(task, "reading it ended three workers")
    return ReadResult(**structs.asdict(rejected) | {"quarantined": True})


def _keep(ledger: Ledger, batch: Batch, intake: Intake, made: str) -> None:
    """Take an input into the ledger, unless it vanished while it was read."""
    name = batch.source.name
    path = batch.source.path
    now = stamp_of(path, stat_object(path) if is_url(path) else None)
    intake.read_bytes += batch.stamp.bytes
    if now is None:
        intake.note("vanished", name)
        return
    number, result = str(batch.number), structs.asdict(batch.result)
    extent = result.pop("extents").get(number) or extent_of(batch.source)
    read = MapResult(**result) + survey_cut(batch.pieces)
    sha256 = read.digests.get(number) or (survey(path).sha256 if read.quarantined else "")
    for word, holds in {"grew": now != batch.stamp, "quarantined": read.quarantined, "unreadable": not sha256}.items():
        if holds:
            intake.note(word, name)
    replaced, left = _overwritten_of(ledger, batch, intake, _replaced_by(ledger, batch, intake, now, sha256))
    entry = Entry(
        number=batch.number, stamp=batch.stamp, name=name, sha256=sha256, made=made, layout=layout_of_facts(),
        facts=facts_of_entry(add_up([read, *(each.taken for each in left)], read)),
        extent=extent if sha256 and now.bytes >= batch.stamp.bytes else None, about=_days_of(batch.folder),
        replaces=tuple(sorted(replaced)), holds_more=any(each.taken.kept_calls for each in left),
    )  # fmt: skip
    ledger.keep(entry, batch.folder)


def _overwritten_of(
    ledger: Ledger, batch: Batch, intake: Intake, replaced: set[int]
) -> tuple[set[int], list[Overwritten]]:
    """Return the numbers of the entries that an input replaces, and what it takes over of these."""
    own = intake.standing.overwritten.get(batch.stamp.path)
    held = [ledger.entries[number] for number in sorted(replaced & ledger.entries.keys())]
    olds = [entry for entry in held if entry.holds_more]
    if own is not None and own.number not in replaced:
        olds.append(own)
    found: list[Overwritten] = []
    for old in olds:
        forgotten = _is_among(intake.forget, old)
        left = Overwritten() if forgotten else keep_overwritten(ledger, old, batch.source, batch.number, batch.folder)
        replaced = replaced | {old.number} if left.is_replaced else replaced - {old.number}
        if left.calls:
            intake.note("kept", f"{batch.source.name} ({left.calls:,} calls that it does not hold any more)")
        found.append(left)
    return replaced, found


def _replaced_by(ledger: Ledger, batch: Batch, intake: Intake, now: Stamp, sha256: str) -> set[int]:
    """Return the numbers of the entries that an input stands for, now that it was read."""
    path = batch.stamp.path
    numbers = set(intake.standing.replaced.get(path, ()))
    if now != batch.stamp:  # it may have been emptied since it was compared
        numbers &= set(find_standing(ledger, [(batch.source, now)], set()).replaced.get(path, ()))
    known: list[Known] = [*ledger.entries.values(), *readable_again(ledger)]
    same = [each for each in known if sha256 and each.sha256 == sha256]
    return numbers | {each.number for each in same if each.stamp.path == path or each.stamp.path not in intake.present}


def _days_of(folder: Path) -> str:
    """Return the days, in UTC, of the calls in a folder of results."""
    facts = scan_facts(sorted(folder.glob("facts-*.parquet")))
    days = facts.select(pl.col("started_at").dt.date().alias("day")).unique().collect().to_series().sort()
    dated = [str(day) for day in days.drop_nulls()]
    words = [dated[0] if len(dated) == 1 else f"{dated[0]} to {dated[-1]}"] if dated else []
    return " and ".join([*words, *(["no day"] if days.null_count() else [])])

