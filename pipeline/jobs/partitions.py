"""The published files of a report that remembers: only those whose bytes changed are written, the manifest last."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.errors import ReportError
from pipeline.runners.ledger import Ledger, sweep
from pipeline.settings import ReportOptions
from pipeline.stages.days import plain_day
from pipeline.stages.write import parquet_bytes, publish_bytes

MANIFEST = "manifest.json"


def file_mark(path: Path) -> list[int] | None:
    """Return a published file's size and time; None where it is gone."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


class Partitions:
    """The folder of a report, as the ledger knows it.

    Args:
        options: of the report.
        ledger: opened.

    Attributes:
        added: days published for the first time.
        replaced: days whose bytes changed.
        late: calls added to days before the newest that was published.
    """

    def __init__(self, options: ReportOptions, ledger: Ledger) -> None:
        self.out = Path(options.out or ".")
        same = ledger.published.get("out") == str(self.out.resolve())
        self._before: dict[str, Any] = ledger.published.get("files", {}) if same else {}
        self._days: dict[str, int] = ledger.published.get("days", {}) if same else {}
        self._files = dict(self._before)
        self._options = options
        self._made: set[str] = set()
        self.now: dict[str, int] = {}
        self.added: list[date | None] = []
        self.replaced: list[date | None] = []
        self.late = self._fresh = 0

    def are_untouched(self) -> bool:
        """Say whether every published file is as it was left."""
        return bool(self._before) and all(
            file_mark(self.out / name) == known["mark"] for name, known in self._before.items()
        )

    def publish(self, day: date | None, calls: pl.DataFrame) -> None:
        """Write a day's partition, if it changed."""
        label = plain_day(day)
        self.now[label] = calls.height
        new = max(calls.height - self._days.get(label, 0), 0)
        self._fresh += new
        if self._days and label < max(self._days):
            self.late += new
        if self.write(f"day={label}/calls.parquet", parquet_bytes(calls)):
            (self.replaced if label in self._days else self.added).append(day)

    def finish(self) -> None:
        """Remove the partitions of days inside the asked interval that have no call any more, and reports not made."""
        for name in [name for name in self._files if "/" not in name and name not in self._made | {MANIFEST}]:
            (self.out / name).unlink(missing_ok=True)
            del self._files[name]
        for label in sorted(self._days.keys() - self.now.keys()):
            if self._inside(label):
                path = self.out / f"day={label}" / "calls.parquet"
                path.unlink(missing_ok=True)
                self._files.pop(f"day={label}/calls.parquet", None)
                if path.parent.is_dir() and not any(path.parent.iterdir()):
                    path.parent.rmdir()
                self.replaced.append(None if label.startswith("_") else date.fromisoformat(label))
            else:
                self.now[label] = self._days[label]

    def _inside(self, label: str) -> bool:
        bounded = self._options.since is not None or self._options.until is not None
        if label.startswith("_") or not bounded:
            return not bounded
        moment = pl.Series([date.fromisoformat(label)]).cast(pl.Datetime("us"))
        start = moment.dt.replace_time_zone(self._options.timezone, ambiguous="earliest", non_existent="null")[0]
        since, until = self._options.since, self._options.until
        return (since is None or start >= since) and (until is None or start < until)

    def write(self, name: str, data: bytes) -> bool:
        """Publish a file, if it is not there with these bytes; say whether it was written.

        Raises:
            ReportError: it cannot be written.
        """
        self._made.add(name)
        path, digest = self.out / name, hashlib.sha256(data).hexdigest()
        known = self._before.get(name)
        if known is None or known["sha256"] != digest or file_mark(path) != known["mark"]:
            publish_bytes(path, data)
            self._files[name] = {"sha256": digest, "mark": file_mark(path)}
            return known is None or known["sha256"] != digest
        return False

    def late_percent(self) -> float:
        """Return how many of the new calls are late, in percent."""
        return 100 * self.late / self._fresh if self._fresh else 0.0

    def record(self) -> dict[str, Any]:
        """Return what the ledger keeps."""
        return {"out": str(self.out.resolve()), "files": self._files, "days": self.now}

    def prepare(self) -> None:
        """Make the folder, and remove what a killed run left there under temporary names.

        Raises:
            ReportError: the folder cannot be written.
        """
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            sweep(self.out)
        except OSError as error:
            message = f"cannot write to {self.out}: {error.strerror or error}"
            raise ReportError(message, hint="Check its permissions") from error
