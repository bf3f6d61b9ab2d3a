"""The calls of a report as a Delta table, partitioned by day: whole days are replaced, none in two commits.

A commit is an object made where there is none, so writers on any of the stores need no lock; of two that change the
same day at once one is refused, and writes again what it has. Source: Delta's transaction log protocol,
https://github.com/delta-io/delta/blob/master/PROTOCOL.md.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from callcost.arguments import needs_extra
from callcost.errors import ReportError
from callcost.logs.io.folders import FileVersion, folder_at
from callcost.logs.io.object_store import storage_options
from callcost.stages.report.days import plain_day
from callcost.stages.report.publish import as_maps
from callcost.stages.tables.schemas import Calls

TABLE = "calls.delta"
ATTEMPTS = 12
ROWS_AT_ONCE = 500_000  # of a commit: days of fewer rows are replaced together
# Smallest and largest values are kept of these alone: those of decimals go through a float, so that a reader which
# looks for an exact cost would leave files out that have it.
_COUNTED = [name for name, kind in Calls.types.items() if not isinstance(kind, pl.Decimal | pl.List)]


class DeltaDays:
    """The days in a table.

    Args:
        out: folder or URL of the report; the table is the folder TABLE in it.

    Raises:
        ConfigError: the library that writes it is not installed.
    """

    def __init__(self, out: str) -> None:
        self._library = deltalake_module()
        self._place = f"{folder_at(out).place}/{TABLE}"
        self._options = storage_options(out)
        self._held: Any = None  # the table as it was seen last
        self._waiting: dict[date | None, pl.DataFrame] = {}

    def add(self, day: date | None, calls: pl.DataFrame) -> None:
        """Replace a day soon, at the latest with flush; see replace."""
        self._waiting[day] = calls
        if sum(rows.height for rows in self._waiting.values()) >= ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Replace the days that were added and still wait; see replace."""
        if self._waiting:
            self.replace(self._waiting)
            self._waiting = {}

    def replace(self, days: Mapping[date | None, pl.DataFrame]) -> None:
        """Write days in the place of what the table has of them, in one commit.

        Args:
            days: the calls of each, in their published columns; None: of those without a time.

        Raises:
            ReportError: the table cannot be written, or others never cease to change these days.
        """
        rows = pl.concat(
            calls.select(pl.lit(day, pl.Date()).alias("day"), pl.all()) for day, calls in days.items()
        )
        rows = as_maps(rows) if self._has_maps() else rows
        counted = [name for name in rows.columns if name in _COUNTED]

        def write() -> None:
            self._library.write_deltalake(
                self._table or self._place, rows, mode="overwrite", partition_by=["day"], predicate=_where([*days]),
                schema_mode="merge", storage_options=self._options,
                configuration={"delta.dataSkippingStatsColumns": ",".join(counted)},
            )  # fmt: skip

        self._commit(write)

    def remove(self, days: Sequence[date | None]) -> None:
        """Leave days out.

        Raises:
            ReportError: see replace.
        """
        if days:
            self._commit(lambda: self._table.delete(_where(days)))

    def versions(self) -> dict[str, FileVersion]:
        """Return name of a day -> its version: the paths of its files, which no two commits give the same name."""
        table = self._table
        found: dict[str, FileVersion] = {}
        for row in pl.DataFrame(table.get_add_actions(flatten=True)).iter_rows(named=True) if table else ():
            found.setdefault(name_of(row["partition.day"]), []).append(row["path"])
        return {name: sorted(files, key=str) for name, files in found.items()}

    def read(self, day: date | None, columns: Sequence[str]) -> pl.LazyFrame | None:
        """Return some columns of a day as the table has it; None: there is no table."""
        if self._table is None:
            return None
        return pl.scan_delta(self._table).filter(pl.col("day").eq_missing(day)).select(columns)

    def _has_maps(self) -> bool:
        """Say whether tags are maps in the table: in one that an older callcost made they are lists."""
        fields = {field.name: field.type.type for field in self._table.schema().fields} if self._table else {}
        return bool(fields.get(Calls.tags.name, "map") == "map")

    @property
    def _table(self) -> Any:
        """Return the table; None: there is none yet."""
        if self._held is None:
            with contextlib.suppress(self._library.exceptions.TableNotFoundError):
                self._held = self._library.DeltaTable(self._place, storage_options=self._options)
        return self._held

    def _commit(self, write: Callable[[], None]) -> None:
        reason = ""
        for attempt in range(ATTEMPTS):
            try:
                return write()
            except self._library.exceptions.CommitFailedError as error:
                reason = str(error)
            except (OSError, self._library.exceptions.DeltaError) as error:
                reason = str(error)
                if "already exists" not in reason:  # another writer made the table
                    break
            self._held = None
            time.sleep(random.uniform(0.5, 1) * min(0.05 * 2**attempt, 5))  # noqa: S311 - so that two get out of step
        message = f"cannot write the table {self._place}: {reason.strip().splitlines()[0][:200]}"
        raise ReportError(message, hint="See whether others write it at this time, then run again")


def name_of(day: date | None) -> str:
    """Return how a ledger calls a day of a table."""
    return f"{TABLE}/day={plain_day(day)}"


def _where(days: Sequence[date | None]) -> str:
    dated = [f"'{day}'" for day in days if day is not None]
    parts = [f"day IN ({', '.join(dated)})"] if dated else []
    return " OR ".join([*parts, *(["day IS NULL"] if None in days else [])])


def deltalake_module() -> Any:
    """Return the library that writes Delta tables.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import deltalake.exceptions  # noqa: PLC0415 - an extra, and only where it is asked for
    except ImportError:
        raise needs_extra("--table delta", "delta") from None
    return deltalake
