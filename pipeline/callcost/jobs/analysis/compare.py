"""`callcost compare`: what two sets of calls cost, and why the second cost more or less."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from callcost.arguments import Names
from callcost.errors import ConfigError
from callcost.jobs.engine.held_calls import columns_of_groups
from callcost.jobs.engine.map_reduce import Progress
from callcost.jobs.report import SpendReport, read_source, report_spend, settle_options
from callcost.runners.protocol import ignore_progress
from callcost.settings import ReportOptions
from callcost.stages.analysis.differences import COLUMNS, compare_calls
from callcost.stages.report.spend import filter_calls, group_column
from callcost.stages.tables.call_frames import Frame

LENGTHS = ("day", "week", "month")
Source = ReportOptions | SpendReport | Frame


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSpend:
    """Two sets of calls, compared.

    Attributes:
        groups: a row per group: the columns of ``by`` and those of schemas.Comparison.
        first: options of the first set, its interval settled.
        second: options of the second set, likewise.
    """

    groups: pl.DataFrame
    first: ReportOptions
    second: ReportOptions


def compare(
    first: Source, second: Source | None = None, *, by: Names | None = None, period: str | None = None
) -> ComparedSpend:
    """Say why one set of calls cost more than another.

    Args:
        first: a report, options of logs (or of another source), or a table of calls.
        second: the same, of what ``first`` is compared with; None: ``period`` is given.
        by: columns of the groups; None: those of ``second``.
        period: "day", "week" or "month": compare that of the newest call of ``first`` with the one before.

    Raises:
        ConfigError: an option makes no sense.
        LogError: a source matches no file, or holds no calls.

    Example:
        >>> compare(ReportOptions(logs="sample_logs"), period="month", by="model").groups.columns[:2]
        ['model', 'first_calls']
    """
    if (second is None) == (period is None):
        raise ConfigError("compare: give two sets of calls, or one and a period")
    given = [
        each if isinstance(each, ReportOptions | SpendReport) else report_spend(each)
        for each in (first, second)
        if each is not None
    ]
    options = [each.source if isinstance(each, SpendReport) else settle_options(each) for each in given]
    if by is not None:
        options = [dataclasses.replace(each, by=by) for each in options]
    if period is not None:
        return _compare_newest(_calls_of(given[0]), options[0], period)
    if all(isinstance(each, ReportOptions) for each in given):
        return compare_spend(*options)
    return _compare([_calls_of(each) for each in given], *options)


def _calls_of(source: ReportOptions | SpendReport) -> pl.DataFrame:
    if isinstance(source, SpendReport):
        return source.calls
    return _read(settle_options(dataclasses.replace(source, since=None)), planned=lambda _bytes: None)


def _read(options: ReportOptions, **run: Any) -> pl.DataFrame:
    """Return of the calls of a source what is compared, with ``progress`` and ``planned``; see report_spend."""
    columns = {*COLUMNS, *columns_of_groups(options).values()}
    return read_source(options, columns=columns, summed=False, **run).calls


def compare_spend(
    first: ReportOptions,
    second: ReportOptions,
    *,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> ComparedSpend:
    """Compare what two sets of calls cost: two sources, or two intervals of one, which is read once.

    Args:
        first: what the difference starts from.
        second: what it leads to; its ``by`` and ``timezone`` group both.
        progress: see report_spend.
        planned: see report_spend.

    Raises:
        ConfigError: an option makes no sense.
        LogError: a source matches no file, or holds no calls.

    Example:
        >>> early, late = (ReportOptions(logs="sample_logs", since=day) for day in ("2024-01-01", "2025-01-01"))
        >>> compare_spend(early, late).groups.columns[:4]
        ['model', 'user', 'first_calls', 'second_calls']
    """
    first, second = settle_options(first), settle_options(second)
    whole = [dataclasses.replace(each, since=None, until=None, by=second.by) for each in (first, second)]
    if whole[0] == dataclasses.replace(whole[1], timezone=first.timezone):
        calls = [_read(whole[0], progress=progress, planned=planned)] * 2
    else:
        calls = [_read(each, progress=progress, planned=planned) for each in whole]
    return _compare(calls, first, second)


def compare_periods(
    options: ReportOptions,
    length: str,
    *,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> ComparedSpend:
    """Compare the period of the newest call with the one before.

    Args:
        options: the source; ``until`` ends it earlier than with its newest call.
        length: one of LENGTHS, in the options' time zone; a week begins on Monday.
        progress: see report_spend.
        planned: see report_spend.

    Raises:
        ConfigError: no call has a time, or there is no such length.
        LogError: see compare_spend.
    """
    options = settle_options(options)
    calls = _read(dataclasses.replace(options, since=None), progress=progress, planned=planned)
    return _compare_newest(calls, options, length)


def _compare_newest(calls: pl.DataFrame, options: ReportOptions, length: str) -> ComparedSpend:
    if length not in LENGTHS:
        raise ConfigError(f"no period {length!r}", hint=f"One of {', '.join(LENGTHS)}")
    newest = calls["started_at"].max()
    if not isinstance(newest, datetime):
        raise ConfigError("no call has a time, so there are no periods", hint="Compare two sources instead")
    edges = period_edges(newest, length, options.timezone)
    first, second = (dataclasses.replace(options, since=since, until=until) for since, until in pairwise(edges))
    return _compare([calls] * 2, first, second)


def _compare(calls: list[pl.DataFrame], first: ReportOptions, second: ReportOptions) -> ComparedSpend:
    before, after = (filter_calls(table, each) for table, each in zip(calls, (first, second), strict=True))
    columns = {name: group_column(name, second.timezone) for name in second.by}
    return ComparedSpend(groups=compare_calls(before, after, columns), first=first, second=second)


def period_edges(moment: datetime, length: str, timezone: str) -> list[datetime]:
    """Return the first moments of the period before, of that which a moment lies in, and of the one after.

    >>> [f"{edge:%m-%d}" for edge in period_edges(datetime.fromisoformat("2026-10-20T12:00Z"), "week", "UTC")]
    ['10-12', '10-19', '10-26']
    """
    zone = ZoneInfo(timezone)
    day = moment.astimezone(zone).date()
    if length == "month":
        start = day.replace(day=1)
        days = [(start - timedelta(days=1)).replace(day=1), start, (start + timedelta(days=32)).replace(day=1)]
    else:
        step = timedelta(days=7 if length == "week" else 1)
        start = day - timedelta(days=day.weekday()) if length == "week" else day
        days = [start - step, start, start + step]
    return [datetime(each.year, each.month, each.day, tzinfo=zone) for each in days]
