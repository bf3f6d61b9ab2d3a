"""The published files of a report that remembers: only those whose bytes changed are written, the manifest last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property
from io import BytesIO
from typing import Any

import polars as pl

from callcost import __version__
from callcost.errors import ConfigError, ReportError
from callcost.jobs.engine.manifest import SCHEMA_VERSION
from callcost.logs.io.folders import FileVersion, folder_at
from callcost.logs.own_output import UNFINISHED
from callcost.prices.charges import plain
from callcost.runners.entries import digest_of_bytes
from callcost.runners.ledger import Ledger
from callcost.settings import TABLES, ReportOptions
from callcost.stages.report.adjustments import COMPARED, changes_of_day, cost_of
from callcost.stages.report.days import day_of, plain_day
from callcost.stages.report.delta_table import DeltaDays, name_of
from callcost.stages.report.publish import MANIFEST, document_bytes, parquet_of_parts, publish_file
from callcost.stages.report.spend import group_column
from callcost.stages.tables.schemas import Calls


class Partitions:
    """The folder of a report, as the ledger knows it.

    Args:
        options: what the report was asked for.
        ledger: opened ledger of the state.

    Attributes:
        added: days published for the first time.
        replaced: days whose bytes changed.
        removed: days of the asked interval that have no call any more; known after end_days.
        late: calls added to days before the newest day that was published.
        fresh: calls added to any day.
        changes: what the money of days that changed did, by reason; see changes_of_day.
    """

    def __init__(self, options: ReportOptions, ledger: Ledger) -> None:
        self.out = folder_at(options.out or ".")
        self._delta = DeltaDays(self.out.place) if options.table == "delta" else None
        self._ledger = ledger
        same = ledger.published.get("out") == self.out.place
        self._before: dict[str, Any] = ledger.published.get("files", {}) if same else {}
        self._days: dict[str, int] = ledger.published.get("days", {}) if same else {}
        self._costs: dict[str, str] = ledger.published.get("costs", {}) if same else {}
        if same and ledger.published.get("table", TABLES[0]) != options.table:
            message = f"{self.out.place} has its days as {ledger.published.get('table', TABLES[0])}"
            raise ConfigError(message, hint=f"Give another --out for --table {options.table}")
        self._files = dict(self._before)
        self._options = options
        self._made: set[str] = set()
        self._calls_before = self._calls_in_this_zone()
        self._newest_before = max((label for label in self._calls_before if day_of(label)), default="")
        self.now: dict[str, int] = {}
        self.changes: list[dict[str, Any]] = []
        self.added: list[date | None] = []
        self.replaced: list[date | None] = []
        self.removed: list[date | None] = []
        self.late = self.fresh = 0

    def are_untouched(self) -> bool:
        """Say whether every published file is as it was left."""
        known = {name: file["mark"] for name, file in self._before.items()}
        return bool(known) and self._versions == known

    @cached_property
    def _versions(self) -> dict[str, FileVersion]:
        """What is there now of the files that were published before."""
        days = self._delta.versions() if self._delta else {}
        return self.out.versions(self._before) | {name: days[name] for name in days.keys() & self._before.keys()}

    def publish(self, day: date | None, parts: Iterable[pl.DataFrame]) -> None:
        """Write a day's partition, if it changed.

        Args:
            day: date in the report's time zone; None: the calls without a time.
            parts: its calls in order; there is at least one part.
        """
        label, calls, cost = plain_day(day), 0, Decimal(0)

        def counted() -> Iterator[pl.DataFrame]:
            nonlocal calls, cost
            for part in parts:
                calls, cost = calls + part.height, cost + cost_of(part)
                yield part

        held = list(counted()) if self._delta else []
        data = parquet_of_parts(held or counted())
        self.now[label], self._costs[label] = calls, plain(cost)
        new = max(calls - self._calls_before.get(label, 0), 0)
        self.fresh += new
        if label < self._newest_before:
            self.late += new
        if self._write(self._name_of(day), data, lambda data: self._put(day, held, data)):
            (self.replaced if label in self._days else self.added).append(day)

    def holds(self, label: str) -> bool:
        """Say whether a day, as partitions spell it, is there as it was published last."""
        name = self._name_of(day_of(label))
        known = self._before.get(name)
        return known is not None and label in self._days and self._versions.get(name) == known["mark"]

    def hold(self, label: str) -> None:
        """Leave a day as it was published last."""
        self.now[label] = self._days[label]
        self._made.add(self._name_of(day_of(label)))

    def _name_of(self, day: date | None) -> str:
        return name_of(day) if self._delta else f"day={plain_day(day)}/calls.parquet"

    def _put(self, day: date | None, held: Sequence[pl.DataFrame], data: bytes) -> FileVersion:
        if self._before.get(self._name_of(day), {}).get("sha256") != digest_of_bytes(data):
            self._note_changes(day, data)
        if self._delta is None:
            return publish_file(self.out, self._name_of(day), data)
        self._delta.add(day, pl.concat(held))
        return []  # known when it is written

    def _note_changes(self, day: date | None, data: bytes | None) -> None:
        """Note why a day, as Parquet, costs something else than when it was published; None: no call is left.

        In another time zone, calls move from day to day, and nothing is noted.
        """
        if self._calls_before is not self._days:
            return
        tables = (self._held(day), None if data is None else _columns_of(data, tuple(COMPARED)))
        before, now = (pl.LazyFrame(schema=COMPARED) if table is None else table for table in tables)
        self.changes += [{"day": plain_day(day), **row} for row in changes_of_day(before, now)]

    def _held(self, day: date | None, columns: Sequence[str] = tuple(COMPARED)) -> pl.LazyFrame | None:
        """Return a day as it was published; None where it was not, or is not there as it was left."""
        if self._delta:
            return self._delta.read(day, columns) if plain_day(day) in self._days else None
        data = self.read(self._name_of(day))
        return None if data is None else _columns_of(data, columns)

    def _calls_in_this_zone(self) -> dict[str, int]:
        """Return label -> calls of the days that were published; in another zone, as this one would have had them."""
        if self._ledger.published.get("timezone", self._options.timezone) == self._options.timezone:
            return self._days
        tables = [found for day in map(day_of, self._days) if (found := self._held(day, ["started_at"])) is not None]
        times = pl.concat([pl.LazyFrame(schema={"started_at": Calls.types["started_at"]}), *tables])
        days = times.group_by(group_column("day", self._options.timezone)).len().collect()
        return {plain_day(day): calls for day, calls in days.iter_rows()}

    def _end_table(self, gone: list[date | None]) -> None:
        """Write the days of the table that wait, and leave out those that are gone."""
        if self._delta:
            self._ledger.assure()
            self._delta.flush()
            self._delta.remove(gone)
            for name, version in self._delta.versions().items():
                if name in self._made:
                    self._files[name]["mark"] = version

    def end_days(self) -> None:
        """Find the days of the asked interval that were published before and now are not; finish removes them."""
        empty = [label for label in sorted(self._days.keys() - self.now.keys()) if self._asks_for(label)]
        self.removed = [day_of(label) for label in empty]
        for day in self.removed:
            self._note_changes(day, None)
        self.now = {label: calls for label, calls in self._days.items() if label not in empty} | self.now

    def finish(self) -> None:
        """Remove the partitions of days that have no call any more, and reports that were not made."""
        gone = [name for name in self._files if "/" not in name and name not in self._made | {MANIFEST}]
        names = [self._name_of(day) for day in self.removed]
        self._end_table(self.removed)
        self.out.remove(gone if self._delta else [*gone, *names])
        for name in (*gone, *names):
            self._files.pop(name, None)

    def covers(self, day: date | None) -> bool:
        """Say whether a day is of the asked interval."""
        return self._asks_for(plain_day(day))

    def _asks_for(self, label: str) -> bool:
        bounded = self._options.since is not None or self._options.until is not None
        if label.startswith("_") or not bounded:
            return not bounded
        moment = pl.Series([date.fromisoformat(label)]).cast(pl.Datetime("us"))
        start = moment.dt.replace_time_zone(self._options.timezone, ambiguous="earliest", non_existent="null")[0]
        since, until = self._options.since, self._options.until
        return (since is None or start >= since) and (until is None or start < until)

    def write(self, name: str, data: bytes) -> None:
        """Publish a file, if it is not there with these bytes.

        Raises:
            ReportError: it cannot be written.
        """
        self._write(name, data, lambda data: publish_file(self.out, name, data))
        if name == MANIFEST:
            self.out.remove([UNFINISHED])

    def _write(self, name: str, data: bytes, put: Callable[[bytes], FileVersion]) -> bool:
        self._made.add(name)
        digest = digest_of_bytes(data)
        known = self._before.get(name)
        if known is None or known["sha256"] != digest or self._versions.get(name) != known["mark"]:
            self._ledger.assure()
            if not self._files and name != MANIFEST:
                self._begin()
            self._files[name] = {"sha256": digest, "mark": put(data)}
            return known is None or known["sha256"] != digest
        return False

    def _begin(self) -> None:
        """Write down what the first files of a folder are, until its manifest says so."""
        options = {"formats": self._options.formats, "table": self._options.table}
        known = {"schema_version": SCHEMA_VERSION, "callcost": {"version": __version__}, "options": options}
        nothing: dict[str, Any] = {"inputs": [], "records": {}, "price_versions": [], "closed_days": [], "run": {}}
        publish_file(self.out, UNFINISHED, document_bytes({**known, **nothing}))

    def record(self) -> dict[str, Any]:
        """Return what the ledger keeps."""
        words = {"out": self.out.place, "table": self._options.table, "timezone": self._options.timezone}
        costs = {label: cost for label, cost in self._costs.items() if label in self.now}
        return {**words, "files": self._files, "days": self.now, "costs": costs}

    def read(self, name: str) -> bytes | None:
        """Return a file as it was published; None where it is gone or another one."""
        data, known = self.out.read(name), self._before.get(name)
        return data if data is not None and known and known["sha256"] == digest_of_bytes(data) else None

    def prepare(self, *, rebuild: bool = False) -> None:
        """Make the folder, and remove what a killed run left there under temporary names.

        Args:
            rebuild: take days that are there for published where the ledger does not know any.

        Raises:
            ReportError: the folder cannot be written.
        """
        try:
            self.out.prepare()
            if rebuild and not self._ledger.published:
                labels = [name.partition("/")[0].removeprefix("day=") for name in self.out.names("")]
                known = {"out": self.out.place, "table": self._options.table, "files": {}}
                self._ledger.published = known | {"days": {label: 0 for label in labels if _is_day(label)}}
        except OSError as error:
            message = f"cannot write to {self.out.place}: {error.strerror or error}"
            raise ReportError(message, hint="Check its permissions") from error


def _columns_of(data: bytes, columns: Sequence[str]) -> pl.LazyFrame:
    return pl.scan_parquet(BytesIO(data)).select(columns)


def _is_day(label: str) -> bool:
    try:
        return label == plain_day(None) or bool(date.fromisoformat(label))
    except ValueError:
        return False
