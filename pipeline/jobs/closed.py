"""Closed days: the priced facts that a day was closed with, and what is said of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from pipeline.errors import ConfigError, RunError
from pipeline.logs.folders import Folder
from pipeline.runners.ledger import Ledger
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
        folder: of the state.
        file: its facts, there.
        sha256: of the file.
        closed_at: when it was closed, or restated.
    """

    day: date
    folder: Folder
    file: str
    sha256: str
    closed_at: str

    def facts(self) -> pl.DataFrame:
        """Return its priced facts.

        Raises:
            RunError: they are not those that it was closed with.
        """
        data = self.folder.read(self.file)
        if data is None or hashlib.sha256(data).hexdigest() != self.sha256:
            raise RunError(f"the facts of the closed day {self.day} are damaged", hint="Close it again with --restate")
        facts = pl.read_parquet(data)
        missing = [pl.lit(None, kind).alias(name) for name, kind in FACT_SCHEMA.items() if name not in facts.columns]
        return facts.with_columns(missing)  # closed by an older callcost: columns that it did not have


def closed_days(folder: Folder) -> dict[date, ClosedDay]:
    """Return the closed days of a state folder.

    Raises:
        RunError: what is written of one cannot be read.
    """
    found = {}
    names = [name for name in folder.names(FOLDER) if name.endswith(".json")]
    for name, data in zip(names, folder.read_all(names), strict=True):
        try:
            words = json.loads(data or b"")
            day, file = date.fromisoformat(words["day"]), f"{FOLDER}/{words['file']}"
            found[day] = ClosedDay(
                day=day, folder=folder, file=file, sha256=words["sha256"], closed_at=words["closed_at"]
            )
        except (ValueError, KeyError, TypeError) as error:
            message = f"{folder.place}/{name} cannot be read"
            raise RunError(message, hint="Remove it and close the day again") from error
    return found


def remember_day(ledger: Ledger, day: date, options: ReportOptions, work: Path) -> ClosedDay:
    """Write down the facts of a day as they are now; the last thing written is what says so.

    Args:
        ledger: with every input read.
        day: in the report's time zone.
        options: of the report.
        work: a working folder.

    Raises:
        ConfigError: the day has no call.
        OSError: it cannot be written.
    """
    entries = sorted(ledger.entries.values(), key=lambda entry: entry.number)
    rows_before = tuple((int(piece), int(rows)) for e in entries for piece, rows in e.facts["rows_before"])
    facts = facts_of_day(ledger.lend(entries, work, "facts"), rows_before, day, options)
    if facts.is_empty():
        raise ConfigError(f"no call of {day} was read", hint="Run the report first")
    data = parquet_bytes(facts)
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"{day}-{sha256[:16]}.parquet"
    ledger.assure()
    folder = ledger.folder
    folder.write(f"{FOLDER}/{name}", data)
    closed_at = datetime.now(UTC).isoformat(timespec="seconds")
    words = {"day": str(day), "file": name, "sha256": sha256, "closed_at": closed_at, "calls": facts["record"].len()}
    folder.write(f"{FOLDER}/{day}.json", json.dumps(words, indent=1, sort_keys=True).encode())
    kept = {f"{FOLDER}/{name}", f"{FOLDER}/{day}.json"}
    folder.remove([old for old in folder.names(FOLDER) if old.startswith(f"{FOLDER}/{day}-") and old not in kept])
    return ClosedDay(day=day, folder=folder, file=f"{FOLDER}/{name}", sha256=sha256, closed_at=closed_at)
