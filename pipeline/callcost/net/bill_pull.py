"""Fetch a provider's usage and cost reports into the folder that reconcile reads: whole UTC days, month by month.

A file holds the days of one report in one month, as the provider sent them, and says which of them may still change:
those are asked for again, and only those. Each answer is kept before the next is asked for, so that a run that was
interrupted goes on where it ended. An answer that is not what was asked for is refused whole. Which reports there are
is for bill_reports.py.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from callcost.errors import ConfigError, ReportError, RunError, UnfinishedError
from callcost.logs.bills import bill_dialects
from callcost.logs.bills.lines import DAY, BadLine, read_moment
from callcost.logs.bills.restate import lag_of
from callcost.logs.io.folders import Folder, folder_at
from callcost.logs.values.signatures import plain_key
from callcost.net.bill_reports import PROVIDERS, Provider, Report, report_url
from callcost.net.http import Patience, Purpose, fetch, public_url

PATIENT = Patience(read=60, total=600, pause=1, attempts=8)  # reports are slow, and rate limits are of a minute
_ONE_DAY = timedelta(days=1)
_KEY = "api_key_id"


class _Page(msgspec.Struct):
    """One answer: buckets, of OpenRouter the rows of one day."""

    data: list[msgspec.Raw]
    has_more: bool = False
    next_page: str | None = None


class _Stored(msgspec.Struct):
    """What a file holds: buckets, and the days among them that may still change."""

    data: list[msgspec.Raw]
    open: list[date] = []


@dataclasses.dataclass(slots=True, kw_only=True)
class Pulled:
    """What a pull did.

    Attributes:
        provider: whose bill it is.
        first: first day that was asked for.
        last: last day.
        new: days that were not there, by report.
        restated: days that say something else than before, by report.
        open: days that may still change.
        missing: days that the provider says nothing of, by report.
        keys_since: report -> first day that names a key, where days before it have usage of no key.
        too_old: days that the provider does not keep any more.
    """

    provider: str
    first: date
    last: date
    new: dict[str, list[date]] = dataclasses.field(default_factory=dict)
    restated: dict[str, list[date]] = dataclasses.field(default_factory=dict)
    open: set[date] = dataclasses.field(default_factory=set)
    missing: dict[str, list[date]] = dataclasses.field(default_factory=dict)
    keys_since: dict[str, date] = dataclasses.field(default_factory=dict)
    too_old: int = 0


def pull_bills(
    name: str, out: str, key: str, *, since: datetime, until: datetime | None = None, now: datetime | None = None,
    address: str | None = None, patience: Patience = PATIENT,
) -> Pulled:  # fmt: skip
    """Fetch the days of a bill that are not there, or that may have changed since.

    Args:
        name: of PROVIDERS.
        out: folder or URL that the files are kept in.
        key: admin key; it is sent to the provider and kept nowhere.
        since: its UTC day is the first.
        until: its UTC day is the first that is not asked for any more; None: today, which is not over yet.
        now: None: the clock's.
        address: of the provider's reports; None: its own.
        patience: how long to wait for an answer.

    Raises:
        ConfigError: there is no such day, or the key would be seen on the way.
        RunError: the first report cannot be had, or is not what was asked for.
        UnfinishedError: a later one; what came before it is kept.
        ReportError: the folder cannot be written.
    """
    provider, now = PROVIDERS[name], (now or datetime.now(UTC)).astimezone(UTC)
    days = _days_of(since, min(until or now, now))
    pulled = Pulled(provider=name, first=days[0], last=days[-1])
    if provider.history is not None:
        kept = [day for day in days if day >= now.date() - timedelta(days=provider.history)]
        pulled.too_old, days = len(days) - len(kept), kept
    source = _Source(name, provider, key, _checked(address or provider.address), patience)
    for report in provider.reports:
        try:
            _pull_report(source, report, _Months(folder_at(out), f"{name}-{report.name}"), days, now, pulled)
        except RunError as error:
            if report is provider.reports[0] and not pulled.new:
                raise
            hint = f"{error.hint}. What came before it is kept: the same command goes on".removeprefix(". ")
            raise UnfinishedError(error.message, hint=hint) from None
    return pulled


def _days_of(since: datetime, until: datetime) -> list[date]:
    first, end = since.astimezone(UTC).date(), until.astimezone(UTC).date()
    if first >= end:
        hint = "A day can be had when it is over, in UTC"
        raise ConfigError(f"--since {first}: there is no whole day from then to {end}", hint=hint)
    return [first + _ONE_DAY * number for number in range((end - first).days)]


def _checked(address: str) -> str:
    """Return an address that a key may be sent to: TLS, or this machine."""
    parts = urlsplit(address)
    try:
        is_here = ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = parts.hostname == "localhost"
    if parts.scheme != "https" and not is_here:
        raise ConfigError(f"--url {public_url(address)}: a key goes over https only")
    return address.rstrip("/")


def read_key(variable: str, environment: Mapping[str, str], file: str | None) -> str:
    """Return an admin key; no error shows any of it.

    Args:
        variable: of the environment, that holds it.
        environment: variables.
        file: path of the file that holds it; None: the environment does.

    Raises:
        ConfigError: there is none, or it is none.
    """
    if file is None:
        key = environment.get(variable, "")
        if not key:
            raise ConfigError(f"no admin key: {variable} is not set", hint="Set it, or give --key-file FILE")
        return _sound_key(key, variable)
    try:
        return _sound_key(Path(file).read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"the key in {file} cannot be read") from None


def _sound_key(text: str, place: str) -> str:
    key = text.strip()
    if not (key.isascii() and key.isprintable() and key and " " not in key):
        raise ConfigError(f"what {place} holds is no key", hint="One line, as the provider shows it once")
    return key


# --- What the provider says -------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class _Source:
    """A provider, and how it is asked."""

    name: str
    provider: Provider
    key: str = dataclasses.field(repr=False)
    address: str
    patience: Patience

    def buckets(self, report: Report, first: date, until: date) -> Iterator[dict[date, msgspec.Raw]]:
        """Yield what each answer says of days; an interval is asked for page by page.

        Raises:
            RunError: an answer cannot be had, or is not what was asked for.
        """
        page, seen, found = None, set[str | None](), dict[date, msgspec.Raw]()
        while page not in seen:
            seen.add(page)
            answer = self._ask(report, first, until, page)
            read = dict[date, msgspec.Raw]()
            for raw in answer.data:
                day = self._day_of(report, raw, first, until)
                if _canonical(found.setdefault(day, raw)) != _canonical(raw):
                    raise self._lie(report, f"it states {day} twice, and not the same")
                read[day] = raw
            yield read
            if not answer.has_more:
                return
            page = answer.next_page
        raise self._lie(report, "its pages have no end")

    def _ask(self, report: Report, first: date, until: date, page: str | None) -> _Page:
        purpose = Purpose(
            RunError, "a bill", "Check the network, then run again",
            f"It must be an admin key ({self.provider.variable}), which may read usage and costs",
        )  # fmt: skip
        url = report_url(self.provider, report, first, until, page, self.address)
        content = fetch(url, secret=self.provider.headers(self.key), purpose=purpose, patience=self.patience).content
        try:
            answer = msgspec.json.decode(content or b"", type=_Page)
        except (msgspec.MsgspecError, RecursionError):
            raise self._lie(report, "it is no page of a report") from None
        if report.most == 1:  # rows of one day
            rows = b",".join(bytes(row) for row in answer.data)
            bucket = b'{"%s":"%s","results":[%s]}' % (self.provider.bucket[0].encode(), str(first).encode(), rows)
            return _Page(data=[msgspec.Raw(bucket)])
        return answer

    def _day_of(self, report: Report, raw: msgspec.Raw, first: date, until: date) -> date:
        """Return the day of a bucket.

        Raises:
            RunError: it is no day of those that were asked for, or logs/bills/ could not read it.
        """
        try:
            bucket = json.loads(bytes(raw), parse_float=Decimal)
            start, end = (read_moment(bucket.get(name), name) for name in self.provider.bucket)
            results = [dict(result) for result in bucket["results"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, BadLine):
            raise self._lie(report, "it holds what is no bucket") from None
        if start is None or start % DAY or (end or start + DAY) != start + DAY:
            raise self._lie(report, "a bucket is no UTC day")
        day = datetime.fromtimestamp(start // 1_000_000, UTC).date()
        if not first <= day < until:
            raise self._lie(report, f"it states {day}, which was not asked for")
        own = {name: value for name, value in bucket.items() if name not in {"results", "object"}}
        for result in results:
            self._check(report, day, {**own, **result})
        return day

    def _check(self, report: Report, day: date, result: Mapping[str, Any]) -> None:
        """Refuse a result that logs/bills/ would read otherwise than the report's results, or not at all."""
        dialect = next(each for each in bill_dialects() if each.name == report.dialect)
        record = {plain_key(name): value for name, value in result.items()}
        is_known = dialect.recognises(frozenset(record))
        if not is_known or (report.amount is not None and not isinstance(record["amount"], report.amount)):
            raise self._lie(report, f"a result of {day} has not the form that is documented")
        if str(record.get("date", day))[:10] != str(day):  # of a row of OpenRouter
            raise self._lie(report, f"a row of {day} is of another day")
        try:
            list(dialect.read(record))
        except BadLine as bad:
            raise self._lie(report, f"a result of {day} cannot be read: {bad.reason} {bad.detail}") from None

    def _lie(self, report: Report, what: str) -> RunError:
        return RunError(f"the report {report.name} of {self.name} is not kept: {what}", hint="Run again later")


def _canonical(raw: msgspec.Raw) -> str:
    """Return what a bucket says, without the order of its results and keys."""
    bucket = json.loads(bytes(raw), parse_float=str, parse_int=str)
    results = sorted(json.dumps(result, sort_keys=True) for result in bucket["results"])
    return json.dumps({**bucket, "results": results}, sort_keys=True)


# --- What is kept -----------------------------------------------------------------------------------------------------


class _Months:
    """The files of one report in a folder.

    Args:
        folder: where they are.
        stem: of their names, before the month.
    """

    def __init__(self, folder: Folder, stem: str) -> None:
        self._folder, self._stem = folder, stem
        self._files: dict[str, dict[date, msgspec.Raw]] = {}
        self.open: set[date] = set()

    def read(self, provider: Provider, days: Iterable[date]) -> dict[date, msgspec.Raw]:
        """Return what is known of the months of some days; a file that is damaged says nothing."""
        for month in sorted({f"{day:%Y-%m}" for day in days}):
            try:
                stored = msgspec.json.decode(self._folder.read(self._name(month)) or b'{"data":[]}', type=_Stored)
                buckets = ((json.loads(bytes(raw)), raw) for raw in stored.data)
                self._files[month] = {_stored_day(bucket[provider.bucket[0]]): raw for bucket, raw in buckets}
            except (msgspec.MsgspecError, ValueError, KeyError, TypeError, BadLine):
                self._files[month] = {}
                continue
            self.open |= {*stored.open}
        return {day: raw for known in self._files.values() for day, raw in known.items()}

    def write(self, buckets: Mapping[date, msgspec.Raw], still_open: Iterable[date]) -> None:
        """Put days in the place of what was known of them; a file is written where it says something else then."""
        before, self.open = {*self.open}, (self.open - {*buckets}) | {*still_open}
        for month in sorted({f"{day:%Y-%m}" for day in buckets}):
            known = self._files[month]
            changed = {day: raw for day, raw in buckets.items() if f"{day:%Y-%m}" == month}
            is_same = all(day in known and _canonical(known[day]) == _canonical(raw) for day, raw in changed.items())
            if is_same and self.open == before:
                continue
            known |= changed
            days = ",\n".join(bytes(known[day]).decode() for day in sorted(known))
            may_change = json.dumps([str(day) for day in sorted(self.open & {*known})])
            text = f'{{"object":"page","open":{may_change},"has_more":false,"next_page":null,"data":[\n{days}\n]}}\n'
            try:
                self._folder.write(self._name(month), text.encode())
            except OSError as error:
                message = f"cannot write {self._folder.place}/{self._name(month)}: {error.strerror or error}"
                raise ReportError(message, hint="Check the folder's permissions and free space") from error

    def _name(self, month: str) -> str:
        return f"{self._stem}-{month}.json"


def _stored_day(value: Any) -> date:
    moment = read_moment(value, "bucket")
    return datetime.fromtimestamp((moment or 0) // 1_000_000, UTC).date()


def _pull_report(
    source: _Source, report: Report, months: _Months, days: list[date], now: datetime, pulled: Pulled
) -> None:
    """Fetch what is not known for sure of some days, and keep it answer by answer."""
    known = months.read(source.provider, days)
    wanted = [day for day in days if day not in known or day in months.open]
    lag, named, unnamed = timedelta(microseconds=lag_of(source.name)), set[date](), set[date]()
    spans = [(day, day) for day in wanted] if report.most == 1 else [(wanted[0], wanted[-1])] if wanted else []
    for first, until in ((first, last + _ONE_DAY) for first, last in spans):
        for buckets in source.buckets(report, first, until):
            open_days = {day for day in buckets if datetime.combine(day + _ONE_DAY, time(), UTC) + lag > now}
            pulled.new.setdefault(report.name, []).extend(day for day in buckets if day not in known)
            pulled.restated.setdefault(report.name, []).extend(
                day for day in buckets if day in known and _canonical(known[day]) != _canonical(buckets[day])
            )
            months.write(buckets, open_days)
            known |= buckets
            for day, raw in buckets.items():
                keys = {bool(result.get(_KEY)) for result in json.loads(bytes(raw))["results"]}
                named |= {day} if True in keys else set()
                unnamed |= {day} if False in keys else set()
    pulled.open |= months.open & {*days}
    pulled.missing |= {report.name: gone} if (gone := [day for day in days if day not in known]) else {}
    if _KEY in report.groups and named and unnamed and min(unnamed) < min(named):
        pulled.keys_since[report.name] = min(named)
