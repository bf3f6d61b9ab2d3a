"""Which remembered inputs a log stands for: what it held before it grew, or the same log under another name.

A path says little: logs are renamed, copied and emptied, packed. So a log is known by how it begins. One that begins
with all that was read of an entry holds its records and more, wherever it lies; the entry has done its work. A path
whose lines begin otherwise is another log, and what the first one gave is kept. Other files (documents, tables) are
written anew as a whole; of these, the calls are kept that would vanish.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from msgspec import structs

from callcost.logs.io.extents import LINES, Extent, begins_with
from callcost.logs.io.inputs import Input
from callcost.logs.io.sniff import container_of
from callcost.runners.entries import Entry, Known, Lost, Stamp
from callcost.runners.ledger import Ledger
from callcost.stages.dedup.overwritten import overwritten_facts
from callcost.stages.tables.facts import layout_of_facts, write_facts
from callcost.tables import MapResult, add_up

Fresh = Sequence[tuple[Input, Stamp]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the logs of a run stand for.

    Attributes:
        replaced: path -> numbers of the entries that it begins with.
        overwritten: path -> the entry that its log gave before it was another one.
    """

    replaced: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    overwritten: Mapping[str, Entry] = dataclasses.field(default_factory=dict)


def result_of(*entries: Entry) -> MapResult:
    """Return the sum of what reading some inputs gave, as their entries keep it."""
    lines = [msgspec.convert(line, MapResult) for entry in entries for line in entry.facts["lines"]]
    rows = [(int(piece), int(rows)) for entry in entries for piece, rows in entry.facts["rows_before"]]
    return structs.replace(add_up(lines, MapResult()), rows_before=rows)


def facts_of_entry(result: MapResult) -> dict[str, Any]:
    """Return what an entry keeps of a result, in plain values; the files that it names move."""
    line = msgspec.to_builtins(structs.replace(result, files=[], rows_before=[]))
    return {"lines": [line], "rows_before": result.rows_before}


def latest_of(ledger: Ledger) -> dict[str, Entry]:
    """Return the last entry of each path."""
    return {entry.stamp.path: entry for _, entry in sorted(ledger.entries.items())}


def find_standing(ledger: Ledger, fresh: Fresh, present: set[str]) -> Standing:
    """Compare logs with what was read before; each is read once as far as there is something to compare.

    Args:
        ledger: opened ledger of the state.
        fresh: the logs that are new or changed.
        present: paths of all logs of the run.
    """
    latest = latest_of(ledger)
    replaced: dict[str, tuple[int, ...]] = {}
    overwritten: dict[str, Entry] = {}
    for source, stamp in fresh:
        own = latest.get(stamp.path)
        if own is not None and _numbers_begun(source, stamp, [own]):
            replaced[stamp.path] = (own.number,)
        elif own is not None:
            overwritten[stamp.path] = own
    live = {entry.number for path, entry in latest.items() if path in present and path not in overwritten}
    idle: list[Known] = [entry for entry in ledger.entries.values() if entry.number not in live]
    idle += readable_again(ledger)
    for source, stamp in fresh if idle else ():
        if stamp.path not in replaced:
            replaced[stamp.path] = _numbers_begun(source, stamp, idle)
    return Standing(replaced=replaced, overwritten=overwritten)


def readable_again(ledger: Ledger) -> list[Lost]:
    """Return the lost entries of which a log, read again, would give all that they held."""
    return [lost for lost in ledger.lost.values() if not lost.holds_more]


def _numbers_begun(source: Input, stamp: Stamp, known: Sequence[Known]) -> tuple[int, ...]:
    """Return the numbers of the entries whose content a log begins with; one that could not be read had none."""
    extents = {each.number: _extent_of(each) for each in known}
    begun = begins_with(source, {extent for extent in extents.values() if extent is not None})
    unread = {each.number for each in known if not each.sha256 and each.stamp.path == stamp.path}
    return tuple(number for number, extent in extents.items() if extent in begun or number in unread)


def _extent_of(known: Known) -> Extent | None:
    """Return what was read; of an entry without extents, the file as it was, which is right if it was not packed."""
    if known.extent is not None or not known.sha256:
        return known.extent
    return Extent(bytes=known.stamp.bytes, sha256=known.sha256)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Overwritten:
    """What becomes of the calls that an entry holds beside those of a log that is read now.

    Attributes:
        calls: how many calls the log does not hold any more.
        is_replaced: whether the entry has done its work; else it stays as it is.
        taken: what the new entry takes over of it.
    """

    calls: int = 0
    is_replaced: bool = True
    taken: MapResult = dataclasses.field(default_factory=MapResult)


def keep_overwritten(ledger: Ledger, old: Entry, source: Input, number: int, folder: Path) -> Overwritten:
    """Find the calls that a log does not hold any more; of a document or a table, put them beside the new ones.

    Args:
        ledger: opened ledger of the state.
        old: an entry of what the log held.
        source: the log as it is now.
        number: number of its new entry.
        folder: folder of the new entry's results.
    """
    ledger.check(folder.parent, [old])
    if old.number not in ledger.entries or old.layout != layout_of_facts():
        return Overwritten(is_replaced=False)
    new = sorted(folder.glob("facts-[0-9]*.parquet"))
    left = overwritten_facts(ledger.local_files([old], folder.parent, "facts"), new)
    calls = left.filter(pl.col("line") == 0).height
    if not calls:
        return Overwritten()
    if container_of(source.path) in LINES:
        return Overwritten(calls=calls, is_replaced=False)
    path = folder / f"facts-leftovers-{old.number:08}.parquet"
    write_facts(left.with_columns(pl.lit(number, pl.Int64).alias("input")), path)
    rows_before = result_of(old).rows_before
    inputs = {str(number): {"records": calls}}
    return Overwritten(
        calls=calls, taken=MapResult(inputs=inputs, facts=left.height, kept_calls=calls, rows_before=rows_before)
    )
