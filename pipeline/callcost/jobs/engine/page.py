"""What a report's page is made of: its calls, summed in more ways than the report itself asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from callcost.settings import PERIODS, ReportOptions
from callcost.stages.pages.details import DEAREST
from callcost.stages.pages.report_page import ReportSums, report_page
from callcost.stages.report.views import ViewSums, commonest_tags
from callcost.stages.tables.facts import read_tables

PAGE = "report.html"
_GROUPINGS = ("model", "user", "team")  # of every page, where calls state them
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
        asked = [name for name in options.by if name not in PERIODS]
        tags = [] if any(name.startswith("tag:") for name in asked) else commonest_tags(paths, _TAGS)
        self._columns = list(dict.fromkeys([*_GROUPINGS, *asked, *tags]))
        views = [("day", column) for column in self._columns]
        self._sums = ViewSums(options, [*views, ("hour",), ("session",)], dearest=DEAREST)

    def add(self, calls: pl.DataFrame) -> None:
        """Add calls: columns of Calls."""
        if self._is_asked:
            self._sums.add(calls)

    def add_files(self, paths: Sequence[str]) -> None:
        """Add all calls of some tables."""
        for path in paths if self._is_asked else ():
            self.add(read_tables([path]))

    def documents(self, manifest: Mapping[str, Any]) -> dict[str, bytes]:
        """Return the page of a report by the name of its file; nothing where none is asked for.

        Args:
            manifest: record of the run.
        """
        if not self._is_asked:
            return {}
        table = self._sums.table
        groups = {column: table("day", column) for column in self._columns}
        hours, sessions, dearest = table("hour"), table("session"), self._sums.dearest
        sums = ReportSums(groups=groups, hours=hours, sessions=sessions, calls=dearest)
        return {PAGE: report_page(sums, manifest)}
