"""Closed days: the priced facts that a day was closed with, and what is said of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from pipeline.errors import ConfigError, RunError
from pipeline.runners.ledger import Ledger, write_whole
from pipeline.settings import ReportOptions
from pipeline.stages.days import facts_of_day
from pipeline.stages.facts import FACT_SCHEMA
from pipeline.stages.write import parquet_bytes

FOLDER = "closed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClosedDay:
    """A day that only --restate changes.

    Attributes:
        day: in the report's time zone.
        file: its facts.
        sha256: of the file.
        closed_at: when it was closed, or restated.
    """

    day: date
    file: Path
    sha256: str
    closed_at: str

    def facts(self) -> pl.DataFrame:
        """Return its priced facts.

        Raises:
            RunError: they are not those that it was closed with.
        """
        try:
            data = self.file.read_bytes()
        except OSError as error:
            raise self._damaged() from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise self._damaged()
        facts = pl.read_parquet(data)
        missing = [pl.lit(None, kind).alias(name) for name, kind in FACT_SCHEMA.items() if name not in facts.columns]
        return facts.with_columns(missing)  # closed by an older callcost: columns that it did not have

    def _damaged(self) -> RunError:
        return RunError(f"the facts of the closed day {self.day} are damaged", hint="Close it again with --restate")


def closed_days(folder: Path) -> dict[date, ClosedDay]:
    """Return the closed days of a state folder.

    Raises:
        RunError: what is written of one cannot be read.
    """
    found = {}
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            words = json.loads(path.read_bytes())
            day = date.fromisoformat(words["day"])
            found[day] = ClosedDay(
                day=day, file=folder / FOLDER / words["file"], sha256=words["sha256"], closed_at=words["closed_at"]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} cannot be read", hint="Remove it and close the day again") from error
    return found


def remember_day(ledger: Ledger, day: date, options: ReportOptions) -> ClosedDay:
    """Write down the facts of a day as they are now; the last thing written is what says so.

    Raises:
        ConfigError: the day has no call.
        OSError: it cannot be written.
    """
    entries = sorted(ledger.entries.values(), key=lambda entry: entry.number)
    paths = [path for entry in entries for path in sorted(ledger.place_of(entry).glob("facts-*.parquet"))]
    rows_before = tuple((int(piece), int(rows)) for e in entries for piece, rows in e.facts["rows_before"])
    facts = facts_of_day(paths, rows_before, day, options)
    if facts.is_empty():
        raise ConfigError(f"no call of {day} was read", hint="Run the report first")
    data = parquet_bytes(facts)
    sha256 = hashlib.sha256(data).hexdigest()
    folder = ledger.folder / FOLDER
    folder.mkdir(exist_ok=True)
    name = f"{day}-{sha256[:16]}.parquet"
    write_whole(folder / name, data)
    closed_at = datetime.now(UTC).isoformat(timespec="seconds")
    words = {"day": str(day), "file": name, "sha256": sha256, "closed_at": closed_at, "calls": facts["record"].len()}
    write_whole(folder / f"{day}.json", json.dumps(words, indent=1, sort_keys=True).encode())
    for old in folder.glob(f"{day}-*.parquet"):
        if old.name != name:
            old.unlink()
    return ClosedDay(day=day, file=folder / name, sha256=sha256, closed_at=closed_at)
