"""Closed days: the priced facts that a day was closed with, and what is said of it.

The ledger says which days are closed, since a day that is lost would be open again; ``closed/DAY.json`` is a copy for
people, and for a state that lost its ledger.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from callcost.errors import ConfigError, RunError
from callcost.jobs.engine.map_reduce import Settled
from callcost.jobs.state.log_rotation import result_of
from callcost.logs.io.folders import Folder
from callcost.runners.entries import digest_of_bytes
from callcost.runners.ledger import Ledger
from callcost.settings import FingerprintKey, ReportOptions
from callcost.stages.count.hidden_reasoning import Ratios
from callcost.stages.pricing.price_facts import GATHERED, gather_calls
from callcost.stages.report.days import facts_of_day, merge_days, split_days, sum_days
from callcost.stages.report.pseudonyms import hide_names
from callcost.stages.report.publish import parquet_bytes
from callcost.stages.report.spend import merge_spend, sum_spend
from callcost.stages.tables.facts import widen_facts
from callcost.stages.tables.schemas import Facts

FOLDER = "closed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClosedDay:
    """A day that only --restate changes.

    Attributes:
        day: date in the report's time zone.
        folder: folder of the state.
        file: name of the file of its facts, there.
        sha256: digest of the file, as hex.
        closed_at: when it was closed, or restated.
    """

    day: date
    folder: Folder
    file: str
    sha256: str
    closed_at: str

    def facts(self, key: FingerprintKey | None = None) -> pl.DataFrame:
        """Return its priced facts, with pseudonyms where there is a key for them.

        Raises:
            RunError: they are not those that it was closed with.
        """
        data = self._data()
        if data is None:
            message = f"{self.folder.place}/{self.file}, the facts of the closed day {self.day} are damaged"
            hint = "Run with --restate to close all days with what is known now, or with --rebuild to open this one"
            raise RunError(message, hint=hint)
        facts = pl.read_parquet(data)
        return hide_names(widen_facts(facts), key)  # closed by an older callcost: columns that it did not have

    def is_whole(self) -> bool:
        """Say whether its facts are those that it was closed with."""
        return self._data() is not None

    def _data(self) -> bytes | None:
        data = self.folder.read(self.file)
        return data if data is not None and digest_of_bytes(data) == self.sha256 else None


def closed_days(ledger: Ledger) -> dict[date, ClosedDay]:
    """Return the closed days of a state folder."""
    return {date.fromisoformat(day): _closed_day(ledger.folder, words) for day, words in ledger.closed.items()}


def _closed_day(folder: Folder, words: Mapping[str, Any]) -> ClosedDay:
    return ClosedDay(
        day=date.fromisoformat(words["day"]), folder=folder, file=f"{FOLDER}/{words['file']}", sha256=words["sha256"],
        closed_at=words["closed_at"],
    )  # fmt: skip


def take_up_days(ledger: Ledger, *, rebuild: bool) -> None:
    """Make the ledger know the closed days of a state that has no ledger which does.

    Args:
        ledger: opened ledger of the state.
        rebuild: leave out, by name, the days of which something is damaged.

    Raises:
        RunError: what is written of a day cannot be read.
    """
    folder = ledger.folder
    if ledger.version == 1 or ledger.is_new:
        names = [name for name in folder.names(FOLDER) if name.endswith(".json")]
        for name, data in zip(names, folder.read_all(names), strict=True):
            try:
                words = json.loads(data or b"")
                ledger.closed[str(_closed_day(folder, words).day)] = words
            except (ValueError, KeyError, TypeError) as error:
                if not rebuild:
                    message = f"{folder.place}/{name} cannot be read"
                    raise RunError(message, hint="Run with --rebuild: it opens this day") from error
                ledger.dropped.append(name)
    if rebuild:
        for day, closed in closed_days(ledger).items():
            if not closed.is_whole():
                del ledger.closed[str(day)]
                ledger.dropped.append(closed.file)


def save_days(ledger: Ledger) -> None:
    """Save the ledger, then the copies of what it says of closed days; what it does not name any more is removed."""
    ledger.save()
    folder = ledger.folder
    kept = {f"{FOLDER}/{words['file']}" for words in ledger.closed.values()}
    for day, words in ledger.closed.items():
        name, data = f"{FOLDER}/{day}.json", json.dumps(words, indent=1, sort_keys=True).encode()
        kept.add(name)
        if folder.read(name) != data:
            folder.write(name, data)
    folder.remove([name for name in folder.names(FOLDER) if name not in kept])


def remember_day(ledger: Ledger, day: date, options: ReportOptions, work: Path, ratios: Ratios) -> ClosedDay:
    """Write down the facts of a day as they are now; the last thing written is what says so.

    Args:
        ledger: ledger in which every input is read.
        day: date in the report's time zone.
        options: what the report was asked for.
        work: working folder.
        ratios: what stands for hidden reasoning.

    Raises:
        ConfigError: the day has no call.
        OSError: it cannot be written.
    """
    entries = [entry for _, entry in sorted(ledger.entries.items())]
    rows_before = tuple(result_of(*entries).rows_before)
    facts = facts_of_day(ledger.local_files(entries, work, "facts"), rows_before, day, options, ratios)
    if facts.is_empty():
        raise ConfigError(f"no call of {day} was read", hint="Run the report first")
    data = parquet_bytes(facts)
    sha256 = digest_of_bytes(data)
    name = f"{day}-{sha256[:16]}.parquet"
    ledger.assure()
    folder = ledger.folder
    folder.write(f"{FOLDER}/{name}", data)
    closed_at = datetime.now(UTC).isoformat(timespec="seconds")
    words = {"day": str(day), "file": name, "sha256": sha256, "closed_at": closed_at, "calls": facts["record"].len()}
    ledger.close(str(day), words)
    save_days(ledger)
    return _closed_day(folder, words)


def merge_with_closed(
    settled: Settled, options: ReportOptions, closed: Mapping[date, ClosedDay]
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """Merge partial spends by day; a closed day's is that of the facts it was closed with.

    Args:
        settled: what the run left; its partial spends are by day.
        options: what the report was asked for.
        closed: the days that stay as they are.

    Returns:
        The spend, what each day cost, and how many calls of the closed days were "read" and are "published".
    """
    nothing = pl.DataFrame(schema=Facts.types)
    partials = [sum_spend(nothing, nothing.select(GATHERED.keys()), options)]
    calls, costs = {"read": 0, "published": 0}, []
    is_closed = pl.col("day").is_in(list(closed)).fill_null(value=False) if closed else pl.lit(value=False)
    for partial in map(pl.read_parquet, settled.tables("spend")):
        partials.append(partial.filter(~is_closed))
        calls["read"] += int(partial.filter(is_closed)["calls"].sum())
    for day in closed.values():
        facts = day.facts(options.pseudonyms)
        partials.append(sum_spend(facts, gather_calls(facts), options))
        calls["published"] += int(partials[-1]["calls"].sum())
        costs.append(sum_days(facts, options))
    return merge_spend(partials, options.by), merge_days(settled.tables("days"), closed, costs), calls


def split_with_closed(
    paths: Sequence[str], timezone: str, closed: Mapping[date, ClosedDay], only: Collection[date | None] | None = None
) -> Iterator[tuple[date | None, Iterable[pl.DataFrame]]]:
    """Yield (day, parts of its calls) as split_days does, and among them the closed days that no call is left of.

    Args:
        paths: tables of calls.
        timezone: IANA name.
        closed: the closed days.
        only: see split_days; closed days are among what is yielded in any case.
    """
    nothing = pl.DataFrame(schema=Facts.types).select(GATHERED.keys())
    left = sorted(closed)
    for day, parts in split_days(paths, timezone, only):
        while day is not None and left and left[0] < day:
            yield left.pop(0), [nothing]
        left = [other for other in left if other != day]
        yield day, parts
    yield from ((day, [nothing]) for day in left)
