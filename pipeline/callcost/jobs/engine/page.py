"""What a report's page is made of: its calls, summed in more ways than the report itself asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from callcost.jobs.engine.manifest import limits_of
from callcost.jobs.engine.map_reduce import Settled, reduce_facts
from callcost.settings import COST_SOURCES, PERIODS, ReportOptions
from callcost.stages.analysis.local_costs import local_costs
from callcost.stages.pricing.exchange_rates import read_fx
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.views import OF_CALLS, ViewSums, commonest_tags
from callcost.stages.report.workbook import workbook_bytes
from callcost.stages.tables.facts import read_tables
from callcost.tables import ReduceResult

if TYPE_CHECKING:
    from callcost.stages.pages.period_changes import Earlier

PAGE, WORKBOOK = "report.html", "spend.xlsx"
_GROUPINGS = ("model", "user", "team")  # of every page, where calls state them
_MOST_HELD = 200_000  # calls that are looked at together for what could be saved
_MOST_SAVINGS = 10
_TAGS = 1  # keys of tags that a page groups by unasked


class PageSums:
    """Sums of a report's calls for its page; of a report that no page is asked of, nothing.

    Args:
        options: what the report was asked for; its columns of ``--by`` group the page, too.
        paths: tables of its calls.
    """

    def __init__(self, options: ReportOptions, paths: Sequence[str]) -> None:
        self._is_asked = "html" in options.formats
        if not self._is_asked:
            return
        from callcost.stages.pages.details import DEAREST  # noqa: PLC0415 - only where a page is asked for

        asked = [name for name in options.by if name not in PERIODS]
        tags = [] if any(name.startswith("tag:") for name in asked) else commonest_tags(paths, _TAGS)
        self._columns = list(dict.fromkeys([*_GROUPINGS, *asked, *tags]))
        views = [("day", column) for column in self._columns]
        self._options, self._earlier = options, ViewSums(options, views, dearest=0)
        self._sums = ViewSums(options, [*views, ("hour",), ("session",)], dearest=DEAREST)
        self._held: list[pl.DataFrame] | None = []

    def add(self, calls: pl.DataFrame) -> None:
        """Add calls: columns of Calls."""
        if not self._is_asked:
            return
        self._sums.add(calls)
        if self._held is not None:
            self._held.append(calls)
            self._held = self._held if sum(map(len, self._held)) <= _MOST_HELD else None

    def add_files(self, paths: Sequence[str]) -> None:
        """Add all calls of some tables."""
        for path in paths if self._is_asked else ():
            self.add(read_tables([path]))

    def add_earlier(self, paths: Sequence[str]) -> None:
        """Add all calls that were made before the report's interval."""
        for path in paths:
            self._earlier.add(read_tables([path]))

    def documents(self, manifest: Mapping[str, Any]) -> dict[str, bytes]:
        """Return the page of a report by the name of its file; nothing where none is asked for.

        Args:
            manifest: record of the run.
        """
        if not self._is_asked:
            return {}
        from callcost.stages.pages.figures import LOCAL_COST  # noqa: PLC0415 - only where a page is asked for
        from callcost.stages.pages.report_page import ReportSums, report_page  # noqa: PLC0415

        table = self._sums.table
        groups = {column: table("day", column) for column in self._columns}
        if self._options.currency is not None:
            fx = read_fx(self._options.fx, self._options.currency)
            groups = {name: sums.with_columns(local_costs(sums, fx).alias(LOCAL_COST)) for name, sums in groups.items()}
        hours, sessions, dearest = table("hour"), table("session"), self._sums.dearest
        earlier = self._before(manifest["last_at"])
        sums = ReportSums(
            groups=groups, hours=hours, sessions=sessions, calls=dearest, earlier=earlier,
            savings=self._savings(manifest["options"]),
        )  # fmt: skip
        return {PAGE: report_page(sums, manifest)}

    def _savings(self, recorded: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what could be saved, where the calls are few enough to be looked at together."""
        if not self._held or recorded["cost_source"] != COST_SOURCES[0]:
            return []
        from callcost.stages.analysis.suggestions import SUGGESTIONS, suggest  # noqa: PLC0415 - only where a page is asked for

        calls = pl.concat(self._held, how="diagonal_relaxed").sort(*OF_CALLS, nulls_last=True)
        days = calls["started_at"].drop_nulls().dt.date()
        span = (days.max() - days.min()).days + 1 if len(days) else 1  # type: ignore[operator,union-attr]
        prices = {name: recorded["prices"][name] for name in ("prices", "corrections", "as_known")}
        book = book_of(dataclasses.replace(self._options.prices, **prices))
        found = suggest(calls, book, span).head(_MOST_SAVINGS)
        return [row | {"how": SUGGESTIONS[row["kind"]]} for row in found.iter_rows(named=True)]

    def _before(self, last_at: str | None) -> Earlier | None:
        groups = {column: self._earlier.table("day", column) for column in self._columns}
        span = earlier_span(self._options, last_at)
        if span is None or all(table.is_empty() for table in groups.values()):
            return None
        from callcost.stages.pages.period_changes import Earlier  # noqa: PLC0415 - only where a page is asked for

        zone = ZoneInfo(self._options.timezone)
        start, since = (moment.astimezone(zone).date() for moment in span[:2])
        before, last = ((moment - timedelta(microseconds=1)).astimezone(zone).date() for moment in span[1:])
        return Earlier(groups=groups, first=(start, before), second=(since, last))


def documents_of(
    spend: pl.DataFrame, whole: pl.DataFrame, options: ReportOptions, manifest: dict[str, Any], page: PageSums
) -> dict[str, bytes]:
    """Return a report as a workbook and as a page, where these were asked for: name of a file -> content.

    Args:
        spend: the rows in their order.
        whole: sums by with_views.
        options: what the report was asked for.
        manifest: record of the run.
        page: sums of all its calls.
    """
    book = {WORKBOOK: workbook_bytes(spend, whole, manifest)} if "xlsx" in options.formats else {}
    return book | page.documents(manifest)


def settle_earlier(options: ReportOptions, settled: Settled) -> list[str]:
    """Settle the calls that were made before a report's interval, for its page: as many months, or as long.

    Args:
        options: what the report was asked for.
        settled: the report's own calls, and the facts of all.

    Returns:
        Tables of calls; none where no page is asked for, or there is no such call, or the work is kept elsewhere.
    """
    span = earlier_span(options, limits_of(settled)["last_at"])
    if "html" not in options.formats or span is None or not settled.reduced.filtered_by.get("since"):
        return []
    if options.work.work_dir is not None:  # it knows tasks by their numbers
        return []
    place = Path(settled.folder) / "earlier"
    place.mkdir()
    asked = dataclasses.replace(options, since=span[0], until=span[1])
    return reduce_facts(asked, dataclasses.replace(settled, reduced=ReduceResult(), folder=str(place))).tables("calls")


def earlier_span(options: ReportOptions, last_at: str | None) -> tuple[datetime, datetime, datetime] | None:
    """Return the first moment of the time before an interval, and the interval's first and last.

    The time before whole months is as many months, else it is as long as the interval.

    Args:
        options: what the report was asked for.
        last_at: time of the newest call, ISO 8601; it ends an interval that is open.

    Returns:
        None where the interval has no beginning.
    """
    end = options.until or (datetime.fromisoformat(last_at) if last_at else None)
    if options.since is None or end is None or end <= options.since:
        return None
    zone = ZoneInfo(options.timezone)
    first, last = (moment.astimezone(zone) for moment in (options.since, end))
    months = (last.year - first.year) * 12 + last.month - first.month
    if all((moment.day, moment.time()) == (1, time.min) for moment in (first, last)) and months:
        start = first.year * 12 + first.month - 1 - months
        return datetime(start // 12, start % 12 + 1, 1, tzinfo=zone), options.since, end
    return options.since - (end - options.since), options.since, end
