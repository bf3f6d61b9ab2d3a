"""Options and places: the frozen option objects, their defaults, the environment's prefix, and where data/ lives.

Precedence is defaults < environment (``CALLCOST_*``, read by the command line) < flags. What an option means is
written beside it, and what may be given for it in READERS, so that the library and the command take the same things
and refuse the same with the same sentence.
"""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

from callcost import arguments
from callcost.arguments import Accepts, Filters, Moment, Names, Place, Places, kept
from callcost.errors import ConfigError

ENVIRONMENT_PREFIX = "CALLCOST"

GROUP_COLUMNS = (
    "hour", "day", "week", "month", "provider", "model", "model_group", "user", "end_user", "team", "api_key", "org",
    "project", "session", "service_tier", "region", "status", "source_format", "source_file",
)  # fmt: skip
FORMATS = ("parquet", "csv", "json")
COST_SOURCES = ("computed", "logged", "auto")
TABLES = ("parquet", "delta")
EXECUTORS = ("local", "spark")
MOST_NAMED = 3  # reasons, models and the like that a line of a summary names
# What ends a command as Ctrl-C does: SIGTERM, and where there are terminals that close, SIGHUP.
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# Of our own processes: what is read goes by its count of references, and looking for cycles in it takes 5 to 10 %.
GC_THRESHOLDS = (100_000, 20, 20)


_optional = arguments.or_none
_PERCENT = _optional(arguments.number(0, 100))
_PLACE = _optional(arguments.read_place)
_TEXT = _optional(arguments.read_text)
_MOMENT = _optional(arguments.read_moment)
# Of each class of options, field by field: what may be given, and what is kept of it.
READERS: dict[str, Mapping[str, arguments.Reader]] = {
    "PriceOptions": {
        "prices": arguments.read_version,
        "override": _PLACE,
        "registered": arguments.read_pairs,
        "force": arguments.read_switch,
    },
    "ReadOptions": {
        "dialect": _TEXT,
        "mapping": _PLACE,
        "max_record": arguments.whole_number(1),
        "max_rows": arguments.whole_number(1),
    },
    "CountOptions": {"item_timeout": arguments.number(0)},
    "WorkOptions": {
        "workers": _optional(arguments.whole_number(1)),
        "threads": arguments.whole_number(1),
        "fast": arguments.read_switch,
        "executor": arguments.one_of(EXECUTORS),
        "spark_remote": _TEXT,
        "work_dir": _PLACE,
    },
    "StateOptions": {
        "folder": arguments.read_place,
        "run_id": _TEXT,
        "timeout": _optional(arguments.number(0)),
        "restate": arguments.read_switch,
        "rebuild": arguments.read_switch,
        "forget": arguments.read_logs,
        "max_late": _PERCENT,
        "fresh_within": _optional(arguments.number(0)),
    },
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PriceOptions:
    """Which rates apply.

    Attributes:
        prices: "as-of" (each call with the version in force when it was made), "latest", a version's name or a date.
        override: path of a TOML or JSON file with rates, discounts and aliases of the user's own; None: none.
        registered: models that the calling program registered: (name, fields as JSON), see prices/book/registered.py.
        force: take rates of ``override`` above one dollar a token.
    """

    prices: Accepts[str | date, str] = kept("as-of")
    override: Accepts[Place | None, str | None] = kept(None)
    registered: tuple[tuple[str, str], ...] = ()
    force: bool = False

    def __post_init__(self) -> None:
        arguments.settle(self, READERS["PriceOptions"])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How logs are read.

    Attributes:
        dialect: force one dialect by name; None: recognise each record.
        mapping: path of a mapping file for logs of the user's own; None: none.
        max_record: MiB that one record may take; unpacked or decoded, four times that.
        max_rows: rows that one Parquet file may have.
    """

    dialect: str | None = None
    mapping: Accepts[Place | None, str | None] = kept(None)
    max_record: int = 64
    max_rows: int = 100_000_000

    def __post_init__(self) -> None:
        arguments.settle(self, READERS["ReadOptions"])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CountOptions:
    """How tokens are counted.

    Attributes:
        item_timeout: seconds one large item may take before it counts 0 and is flagged timed_out; 0: no limit.
    """

    item_timeout: float = 5.0

    def __post_init__(self) -> None:
        arguments.settle(self, READERS["CountOptions"])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkOptions:
    """Where work runs; never changes a result.

    Attributes:
        workers: processes; None: one per core.
        threads: threads per process.
        fast: count with a faster engine where one is installed; a job that finds it wrong does without.
        executor: "local" (processes of this machine) or "spark".
        spark_remote: "sc://host:port" of a Spark Connect server; None: the session that is there, or a new one.
        work_dir: folder or URL that keeps what is done, so that the same run goes on after a kill; None: nothing does.
    """

    workers: int | None = None
    threads: int = 1
    fast: bool = True
    executor: str = EXECUTORS[0]
    spark_remote: str | None = None
    work_dir: Accepts[Place | None, str | None] = kept(None)

    def __post_init__(self) -> None:
        arguments.settle(self, READERS["WorkOptions"])


_SELECTED: dict[str, arguments.Reader] = {
    "logs": arguments.read_logs,
    "out": _PLACE,
    "since": _MOMENT,
    "until": _MOMENT,
    "where": arguments.filters_of(GROUP_COLUMNS),
    "prices": arguments.instance_of(PriceOptions),
    "read": arguments.instance_of(ReadOptions),
    "count": arguments.instance_of(CountOptions),
    "work": arguments.instance_of(WorkOptions),
}
READERS["ReportOptions"] = {
    "timezone": arguments.read_zone,  # before the moments, which it is the zone of
    **_SELECTED,
    "by": arguments.columns_of(GROUP_COLUMNS),
    "cost_source": arguments.one_of(COST_SOURCES),
    "formats": arguments.several_of(FORMATS),
    "calls": arguments.read_switch,
    "table": arguments.one_of(TABLES),
    "max_unpriced": _PERCENT,
    "max_rejected": _PERCENT,
    "strict": arguments.read_switch,
}
READERS["ReconcileOptions"] = {
    **_SELECTED,
    "bills": arguments.read_logs,
    "fx": _PLACE,
    "tolerance": _TEXT,
    "as_of": _MOMENT,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """Everything that says what `report` does.

    Attributes:
        logs: files, folders, globs or "-".
        out: folder for the reports; None: nothing is written.
        by: group columns in order; see GROUP_COLUMNS, and "tag:NAME".
        since: first moment of the interval, inclusive (UTC); None: open.
        until: end of the interval, exclusive (UTC); None: open.
        timezone: IANA name for hour, day, week and month.
        where: (column, glob) pairs; calls that do not match are filtered.
        cost_source: "computed", "logged" or "auto" (logged where there is one).
        formats: of spend: "parquet", "csv", "json".
        calls: also write calls.parquet.
        table: what calls by day are: "parquet" (files in folders, where the report remembers), "delta" (a table).
        max_unpriced: percent of calls that may be unpriced before the gate is crossed; None: no gate.
        max_rejected: percent of records that may be rejected before the gate is crossed; None: no gate.
        strict: any reject, unpriced, partly priced, timed-out or inconsistent call crosses.
    """

    logs: Accepts[Places, tuple[str, ...]] = kept(dataclasses.MISSING)  # it must be given
    out: Accepts[Place | None, str | None] = kept(None)
    by: Accepts[Names, tuple[str, ...]] = kept(("model", "user"))
    since: Accepts[Moment, datetime | None] = kept(None)
    until: Accepts[Moment, datetime | None] = kept(None)
    timezone: str = "UTC"
    where: Accepts[Filters, tuple[tuple[str, str], ...]] = kept(())
    cost_source: str = "computed"
    formats: Accepts[Names, tuple[str, ...]] = kept(("parquet", "csv"))
    calls: bool = False
    table: str = TABLES[0]
    max_unpriced: float | None = None
    max_rejected: float | None = None
    strict: bool = False
    prices: PriceOptions = PriceOptions()
    read: ReadOptions = ReadOptions()
    count: CountOptions = CountOptions()
    work: WorkOptions = WorkOptions()

    def __post_init__(self) -> None:
        arguments.settle(self, READERS["ReportOptions"])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileOptions:
    """Everything that says what `reconcile` does.

    Attributes:
        logs: files, folders, globs or "-".
        bills: files, folders or globs of bills; later ones restate earlier ones; (): compare with logged costs only.
        out: folder for the results; None: nothing is written.
        fx: path of a CSV (date, currency, rate: what one US dollar buys), for a bill in another currency.
        tolerance: "0.5%" of the bill or "10.00" of its currency; None: no gate.
        as_of: when the bill was fetched, which decides what days may still change; None: the full hour now.
        since: first moment of the interval, inclusive (UTC); None: open.
        until: end of the interval, exclusive (UTC); None: open.
        where: (column, glob) pairs; calls that do not match are filtered.
    """

    logs: Accepts[Places, tuple[str, ...]] = kept(dataclasses.MISSING)  # it must be given
    bills: Accepts[Places, tuple[str, ...]] = kept(())
    out: Accepts[Place | None, str | None] = kept(None)
    fx: Accepts[Place | None, str | None] = kept(None)
    tolerance: str | None = None
    as_of: Accepts[Moment, datetime | None] = kept(None)
    since: Accepts[Moment, datetime | None] = kept(None)
    until: Accepts[Moment, datetime | None] = kept(None)
    where: Accepts[Filters, tuple[tuple[str, str], ...]] = kept(())
    prices: PriceOptions = PriceOptions()
    read: ReadOptions = ReadOptions()
    count: CountOptions = CountOptions()
    work: WorkOptions = WorkOptions()

    def __post_init__(self) -> None:
        arguments.settle(self, READERS["ReconcileOptions"])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StateOptions:
    """How a report that remembers what it read goes on from its last run.

    Attributes:
        folder: the ledger and the facts of every input.
        run_id: name of the run; None: a random one.
        timeout: seconds after which the run ends, resumable; None: no limit.
        restate: rewrite closed days too.
        forget: paths or names of logs of which only what they hold now counts.
        rebuild: leave out what is damaged and not at hand, and publish the rest.
        max_late: percent of the new calls that may fall on days published before; None: no gate.
        fresh_within: hours that the newest call may be old; None: no gate.
    """

    folder: Accepts[Place, str] = kept(dataclasses.MISSING)  # it must be given
    run_id: str | None = None
    timeout: float | None = None
    restate: bool = False
    rebuild: bool = False
    forget: Accepts[Places, tuple[str, ...]] = kept(())
    max_late: float | None = None
    fresh_within: float | None = None

    def __post_init__(self) -> None:
        arguments.settle(self, READERS["StateOptions"])


def data_dir() -> Path:
    """Return the folder with the bundled prices and vocabularies: the wheel's, else the checkout's.

    Raises:
        ConfigError: neither exists; the installation is broken.
    """
    here = Path(__file__).resolve().parent
    for place in (here / "_data", here.parents[1] / "data"):
        if (place / "prices").is_dir():
            return place
    raise ConfigError(f"no data folder beside {here}", hint="Install callcost again")


def user_data_dir() -> Path:
    """Return the folder for the user's own price versions and vocabularies (``CALLCOST_DATA_DIR`` moves it)."""
    import platformdirs  # noqa: PLC0415 - only commands that touch user data pay for it

    return Path(os.environ.get(f"{ENVIRONMENT_PREFIX}_DATA_DIR") or platformdirs.user_data_path("callcost"))
