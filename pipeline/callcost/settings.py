"""Options and places: the frozen option objects, their defaults, the environment's prefix, and where data/ lives.

Precedence is defaults < environment (``CALLCOST_*``, read by the command line) < flags. What an option means is
written beside it, and so is what may be given for it (arguments.kept), so that the library and the command take the
same things and refuse the same with the same sentence.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import signal
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

from callcost import arguments
from callcost.arguments import Accepts, Filters, Moment, Names, Place, Places, kept
from callcost.errors import ConfigError

ENVIRONMENT_PREFIX = "CALLCOST"

GROUP_COLUMNS = (
    "hour", "day", "week", "month", "provider", "model", "model_group", "user", "end_user", "team", "api_key", "org",
    "project", "session", "branch", "host", "billing", "service_tier", "region", "status", "agent", "source_format",
    "source_file",
)  # fmt: skip
OWNER_COLUMNS = ("api_key", "project", "team", "user", "workspace")
PERIODS, BUDGET_PERIODS = ("hour", "day", "week", "month"), ("month", "week", "day")
FORMATS = ("parquet", "csv", "json", "markdown", "xlsx")  # of any table
FOCUS_FORMATS, CORRECTION_FORMATS = ("focus-1.2", "focus-1.4"), ("corrections-litellm", "corrections-langfuse")
REPORT_FORMATS = (*FORMATS, "html", *FOCUS_FORMATS, *CORRECTION_FORMATS)
BINARY_FORMATS, RECONCILE_FORMATS = ("parquet", "xlsx"), ("parquet", "csv", "xlsx", "html")
EXTENSIONS = {"markdown": "md"}  # of the files of a format, where they are not its name
CORRECTIONS, COST_SOURCES = ("none", "stated", "all"), ("computed", "logged", "auto")
TABLES, REASONINGS = ("parquet", "delta"), ("log", "none")
CACHES, TIERS, EXECUTORS = ("none", "all"), ("default", "flex", "priority"), ("local", "spark")
LEAST_KEY = 16  # characters of a key that pseudonyms are made with
MOST_NAMED = 3  # reasons, models and the like that a line of a summary names
# What ends a command as Ctrl-C does: SIGTERM, and where there are terminals that close, SIGHUP.
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
# Of our own processes: what is read goes by its count of references, and looking for cycles in it takes 5 to 10 %.
GC_THRESHOLDS = (250_000, 20, 20)

Moves = str | Mapping[str, str] | Iterable[str | tuple[str, str]]
_optional = arguments.or_none
_PERCENT, _MOMENT = _optional(arguments.number(0, 100)), _optional(arguments.read_moment)
_PLACE, _TEXT = _optional(arguments.read_place), _optional(arguments.read_text)
_EXACT, _LAST_PLACE = Context(prec=60), Decimal(1).scaleb(-18)  # of money
_read_group = arguments.filters_of([column for column in GROUP_COLUMNS if column not in PERIODS])


def _read_amount(value: Any, name: str, _zone: str = "UTC") -> Decimal:
    """Read US dollars: a number, not text; what is kept has no exponent and no zeros at its end."""
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    amount = Decimal(str(value)) if number else Decimal("NaN")
    if not (amount.is_finite() and 0 <= amount < 10**18 and amount == amount.quantize(_LAST_PLACE, context=_EXACT)):
        raise ConfigError(f"{name}: {value if number else repr(value)} is not an amount of dollars", hint="Write 99.50")
    return Decimal(f"{amount.normalize(_EXACT):f}")


class _Options:
    """Options, each of which its reader reads: see arguments.kept."""

    __slots__ = ()

    def __post_init__(self) -> None:
        arguments.settle(self)


class FingerprintKey:
    """A secret that prompts are hashed with; wherever it is written, its id stands for it.

    Args:
        secret: the key, any text.

    Attributes:
        id: digest of the key, eight hexadecimal digits.
    """

    __slots__ = ("_secret", "id")

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self.id = hashlib.sha256(b"callcost fingerprint key " + self._secret).hexdigest()[:8]

    def digest(self, data: bytes) -> str:
        """Return the HMAC-SHA256 of bytes, as 32 hexadecimal digits."""
        return hmac.digest(self._secret, data, "sha256").hex()[:32]

    def __repr__(self) -> str:
        """Return the id."""
        return self.id

    def __eq__(self, other: object) -> bool:
        """Say whether another key is the same."""
        return isinstance(other, FingerprintKey) and other._secret == self._secret

    def __hash__(self) -> int:
        """Return the same number for the same key."""
        return hash(self._secret)


def _read_key(value: object, name: str, _zone: str = "UTC") -> FingerprintKey:
    return value if isinstance(value, FingerprintKey) else FingerprintKey(arguments.read_text(value, name))


def _read_key_file(value: object, name: str, _zone: str = "UTC") -> FingerprintKey:
    if isinstance(value, FingerprintKey):
        return value
    place = arguments.read_place(value, name)
    try:
        secret = Path(place).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name}: {place} cannot be read as a text") from error
    if len(secret) < LEAST_KEY:
        hint = "Make one with: openssl rand -hex 32 > FILE"
        raise ConfigError(f"{name}: the key in {place} has fewer than {LEAST_KEY} characters", hint=hint)
    return FingerprintKey(secret)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PriceOptions(_Options):
    """Which rates apply.

    Attributes:
        prices: "as-of" (each call with the version in force when it was made), "latest", a version's name or a date.
        override: path of a TOML or JSON file with rates, discounts and aliases of the user's own; None: none.
        registered: models that the calling program registered: (name, fields as JSON), see prices/book/registered.py.
        force: take rates of ``override`` above one dollar a token.
        corrections: which corrections lie over the cost maps: "none", "stated" (what a source states or two independent
            ones say) or "all"; none lies over a map that is named.
        as_known: use only versions and corrections that were known at this moment (UTC); None: all.
    """

    prices: Accepts[str | date, str] = kept("as-of", arguments.read_version)
    corrections: str = kept(CORRECTIONS[1], arguments.one_of(CORRECTIONS))
    as_known: Accepts[Moment, datetime | None] = kept(None, _MOMENT)
    override: Accepts[Place | None, str | None] = kept(None, _PLACE)
    registered: tuple[tuple[str, str], ...] = kept((), arguments.read_pairs)
    force: bool = kept(False, arguments.read_switch)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions(_Options):
    """How logs are read.

    Attributes:
        dialect: force one dialect by name; None: recognise each record.
        mapping: path of a mapping file for logs of the user's own; None: none.
        host: machine that the logs are of, where they name none; None: not known.
        max_record: MiB that one record may take; unpacked or decoded, four times that.
        max_rows: rows that one Parquet file may have.
        fingerprint_key: key that prompts are hashed with, for calls.parquet; None: they are not.
    """

    dialect: str | None = kept(None, _TEXT)
    mapping: Accepts[Place | None, str | None] = kept(None, _PLACE)
    host: str | None = kept(None, _TEXT)
    max_record: int = kept(64, arguments.whole_number(1))
    max_rows: int = kept(100_000_000, arguments.whole_number(1))
    fingerprint_key: Accepts[str | FingerprintKey | None, FingerprintKey | None] = kept(None, _optional(_read_key))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CountOptions(_Options):
    """How tokens are counted.

    Attributes:
        item_timeout: seconds one large item may take before it counts 0 and is flagged timed_out; 0: no limit.
        reasoning: what stands for reasoning that answers hide: "log" (what its calls of the same kind state), "none".
        calibration: path of a file that inspect wrote of your own recordings: what the log does not tell.
    """

    item_timeout: float = kept(5.0, arguments.number(0))
    reasoning: str = kept(REASONINGS[0], arguments.one_of(REASONINGS))
    calibration: Accepts[Place | None, str | None] = kept(None, _PLACE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkOptions(_Options):
    """Where work runs; never changes a result.

    Attributes:
        workers: processes; None: one per core.
        threads: threads per process.
        fast: count with a faster engine where one is installed; a job that finds it wrong does without.
        executor: "local" (processes of this machine) or "spark".
        spark_remote: "sc://host:port" of a Spark Connect server; None: the session that is there, or a new one.
        work_dir: folder or URL that keeps what is done, so that the same run goes on after a kill; None: nothing does.
        cache: keep what reading logs gave for the next question, where a command only answers one.
    """

    workers: int | None = kept(None, _optional(arguments.whole_number(1)))
    threads: int = kept(1, arguments.whole_number(1))
    fast: bool = kept(True, arguments.read_switch)
    executor: str = kept(EXECUTORS[0], arguments.one_of(EXECUTORS))
    spark_remote: str | None = kept(None, _TEXT)
    work_dir: Accepts[Place | None, str | None] = kept(None, _PLACE)
    cache: bool = kept(True, arguments.read_switch)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Budget(_Options):
    """What some calls may cost in a period.

    Attributes:
        amount: US dollars.
        period: one of BUDGET_PERIODS, in the report's time zone; a week begins on Monday.
        group: (column, glob) pairs that the calls match; (): all calls.
        name: "": made of the period and the group.
    """

    amount: Accepts[int | float | Decimal, Decimal] = kept(dataclasses.MISSING, _read_amount)  # it must be given
    period: str = kept(BUDGET_PERIODS[0], arguments.one_of(BUDGET_PERIODS))
    group: Accepts[Filters | Mapping[str, str], tuple[tuple[str, str], ...]] = kept((), _read_group)
    name: str = kept("", arguments.read_text)


def _read_budgets(value: Any, name: str, zone: str = "UTC") -> str | tuple[Budget, ...]:
    """Read budgets, or the path of a file that holds some."""
    if value is None or (isinstance(value, tuple | list) and all(isinstance(each, Budget) for each in value)):
        return tuple(value or ())
    return arguments.read_place(value, name, zone)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions(_Options):
    """Everything that says what `report` does.

    Attributes:
        logs: files, folders, globs or "-"; (): none, where a table of calls is reported on.
        out: folder for the reports; None: nothing is written.
        by: group columns in order; see GROUP_COLUMNS, and "tag:NAME".
        since: first moment of the interval, inclusive (UTC); None: open.
        until: end of the interval, exclusive (UTC); None: open.
        timezone: IANA name for hour, day, week and month.
        where: (column, glob) pairs; calls that do not match are filtered.
        cost_source: "computed", "logged" or "auto" (logged where there is one).
        sort: column that orders the groups: a measure, largest first, or one of ``by``; None: by total_cost.
        formats: how spend is written, of REPORT_FORMATS; a bill in FOCUS is CSV and, beside "parquet", Parquet.
        calls: also write calls.parquet.
        table: what calls by day are: "parquet" (files in folders, where the report remembers), "delta" (a table).
        max_unpriced: percent of calls that may be unpriced before the gate is crossed; None: no gate.
        max_rejected: percent of records that may be rejected before the gate is crossed; None: no gate.
        max_cost: US dollars that all calls of the report may cost before the gate is crossed; None: no gate.
        budget: what groups may cost in a period, each a gate, or the path of a TOML file that says so.
        as_of: moment (UTC) that budgets, forecast and unusual days are told for; None: ``until``, else the newest call.
        prices_refresh: fetch published prices, once, where a model is unknown or calls are 7 days newer; read again.
        strict: any reject, unpriced, partly priced, timed-out or inconsistent call, or sum of a session, crosses.
        pseudonyms: file with the key of pseudonyms for users, end users, API keys and sessions; None: their names.
        sub_account: column that is the sub account of a bill in FOCUS; None: it has none.
        billing_account: id of who is billed in FOCUS; None: not known.
        currency: ISO code of a currency that costs are shown in beside dollars; None: dollars alone.
        fx: path of its rates, a CSV (date, currency, rate: what one US dollar buys); None: there are none.
    """

    logs: Accepts[Places, tuple[str, ...]] = kept((), arguments.read_logs)
    out: Accepts[Place | None, str | None] = kept(None, _PLACE)
    by: Accepts[Names, tuple[str, ...]] = kept(("model", "user"), arguments.columns_of(GROUP_COLUMNS))
    since: Accepts[Moment, datetime | None] = kept(None, _MOMENT)
    until: Accepts[Moment, datetime | None] = kept(None, _MOMENT)
    timezone: str = kept("UTC", arguments.read_zone)
    where: Accepts[Filters, tuple[tuple[str, str], ...]] = kept((), arguments.filters_of(GROUP_COLUMNS))
    cost_source: str = kept("computed", arguments.one_of(COST_SOURCES))
    sort: str | None = kept(None, _TEXT)
    formats: Accepts[Names, tuple[str, ...]] = kept(("parquet", "csv"), arguments.several_of(REPORT_FORMATS))
    calls: bool = kept(False, arguments.read_switch)
    table: str = kept(TABLES[0], arguments.one_of(TABLES))
    max_unpriced: float | None = kept(None, _PERCENT)
    max_rejected: float | None = kept(None, _PERCENT)
    max_cost: Accepts[int | float | Decimal | None, Decimal | None] = kept(None, _optional(_read_amount))
    budget: Accepts[Place | Iterable[Budget] | None, str | tuple[Budget, ...]] = kept((), _read_budgets)
    as_of: Accepts[Moment, datetime | None] = kept(None, _MOMENT)
    prices_refresh: bool = kept(False, arguments.read_switch)
    strict: bool = kept(False, arguments.read_switch)
    pseudonyms: Accepts[Place | FingerprintKey | None, FingerprintKey | None] = kept(None, _optional(_read_key_file))
    currency: str | None = kept(None, _TEXT)
    fx: Accepts[Place | None, str | None] = kept(None, _PLACE)
    sub_account: str | None = kept(None, _optional(arguments.one_of(GROUP_COLUMNS)))
    billing_account: str | None = kept(None, _TEXT)
    prices: PriceOptions = kept(PriceOptions(), arguments.instance_of(PriceOptions))
    read: ReadOptions = kept(ReadOptions(), arguments.instance_of(ReadOptions))
    count: CountOptions = kept(CountOptions(), arguments.instance_of(CountOptions))
    work: WorkOptions = kept(WorkOptions(), arguments.instance_of(WorkOptions))


def _read_moves(value: Any, name: str, _zone: str = "UTC") -> tuple[tuple[str, str], ...]:
    """Read which models others answer for: {"A": "B"}, "A=B" or (A, B), one or several; A is a glob."""
    words = tuple(value.items()) if isinstance(value, Mapping) else (value,) if isinstance(value, str) else value
    if isinstance(words, Iterable):
        words = tuple(tuple(word.split("=", 1)) if isinstance(word, str) else word for word in words)
        if odd := [word for word in words if isinstance(word, tuple) and (len(word) != 2 or not all(word))]:
            raise ConfigError(f"{name}: {'='.join(map(str, odd[0]))!r} is not A=B", hint="Write gpt-4o=gpt-4o-mini")
    return arguments.read_pairs(words, name)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WhatIfOptions(_Options):
    """What would be otherwise in calls that are else the same.

    Attributes:
        models: (glob of models, the one that answers instead); the first that matches holds.
        batch: globs of models, after ``models``, whose calls go by batch.
        cache: "none" (no caches) or "all" (prompts that are long enough are read from one whole); None: as stated.
        tier: "default", "flex" or "priority" for all calls but those by batch; None: as stated.
        prices: which rates apply, as in PriceOptions; None: those of the run.
    """

    models: Accepts[Moves, tuple[tuple[str, str], ...]] = kept((), _read_moves)
    batch: Accepts[str | Iterable[str], tuple[str, ...]] = kept((), arguments.read_words)
    cache: str | None = kept(None, _optional(arguments.one_of(CACHES)))
    tier: str | None = kept(None, _optional(arguments.one_of(TIERS)))
    prices: Accepts[str | date | None, str | None] = kept(None, _optional(arguments.read_version))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileOptions(_Options):
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
        by: whose each cause is: columns of OWNER_COLUMNS, and "tag:NAME"; None: it is not asked.
        keys: path of a CSV that says what ids of a bill stand for (id, and name or columns of the logs).
        formats: how it is written: "parquet", "csv", "html" (a page), "xlsx" (a workbook; extra "excel").
    """

    logs: Accepts[Places, tuple[str, ...]] = kept(dataclasses.MISSING, arguments.read_logs)  # it must be given
    bills: Accepts[Places, tuple[str, ...]] = kept((), arguments.read_logs)
    out: Accepts[Place | None, str | None] = kept(None, _PLACE)
    fx: Accepts[Place | None, str | None] = kept(None, _PLACE)
    tolerance: str | None = kept(None, _TEXT)
    as_of: Accepts[Moment, datetime | None] = kept(None, _MOMENT)
    since: Accepts[Moment, datetime | None] = kept(None, _MOMENT)
    until: Accepts[Moment, datetime | None] = kept(None, _MOMENT)
    where: Accepts[Filters, tuple[tuple[str, str], ...]] = kept((), arguments.filters_of(GROUP_COLUMNS))
    by: Accepts[Names | None, tuple[str, ...] | None] = kept(None, _optional(arguments.columns_of(OWNER_COLUMNS)))
    keys: Accepts[Place | None, str | None] = kept(None, _PLACE)
    formats: Accepts[Names, tuple[str, ...]] = kept(("parquet", "csv", "html"), arguments.several_of(RECONCILE_FORMATS))
    prices: PriceOptions = kept(PriceOptions(), arguments.instance_of(PriceOptions))
    read: ReadOptions = kept(ReadOptions(), arguments.instance_of(ReadOptions))
    count: CountOptions = kept(CountOptions(), arguments.instance_of(CountOptions))
    work: WorkOptions = kept(WorkOptions(), arguments.instance_of(WorkOptions))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StateOptions(_Options):
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

    folder: Accepts[Place, str] = kept(dataclasses.MISSING, arguments.read_place)  # it must be given
    run_id: str | None = kept(None, _TEXT)
    timeout: float | None = kept(None, _optional(arguments.number(0)))
    restate: bool = kept(False, arguments.read_switch)
    rebuild: bool = kept(False, arguments.read_switch)
    forget: Accepts[Places, tuple[str, ...]] = kept((), arguments.read_logs)
    max_late: float | None = kept(None, _PERCENT)
    fresh_within: float | None = kept(None, _optional(arguments.number(0)))
