"""More sums of a report's calls than the report itself has: what a page shows, each the figure that spend would have.

Calls come as they are published, file by file, in any order; only sums and the dearest calls are held.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

import polars as pl

from callcost.settings import ReportOptions
from callcost.stages.pricing.price_facts import GATHERED, gather_calls
from callcost.stages.report.spend import CALL_ORDER, merge_spend, sum_spend
from callcost.stages.tables.facts import read_tables
from callcost.stages.tables.published_calls import priced_lines
from callcost.stages.tables.schemas import Calls, Facts

By = tuple[str, ...]
OF_CALLS = tuple(name for name in CALL_ORDER if name in Calls.names)  # what orders published calls
OF_DEAREST = (*OF_CALLS, "model", "user", "total_tokens", "total_cost")  # columns of the dearest calls


class ViewSums:
    """Sums of calls by several sets of columns, and the dearest of them.

    Args:
        options: what the report was asked for: its time zone.
        views: sets of columns of ``--by``.
        dearest: calls that are kept.
    """

    def __init__(self, options: ReportOptions, views: Iterable[By], *, dearest: int) -> None:
        self._options, self._most = options, dearest
        self._sums: dict[By, pl.DataFrame | None] = dict.fromkeys(views)
        self.dearest = pl.DataFrame(schema={name: Calls.types[name] for name in OF_DEAREST})

    def add(self, calls: pl.DataFrame) -> None:
        """Add calls: columns of Calls."""
        lines = priced_lines(calls, {})
        heads = gather_calls(lines) if lines.height else lines.select(GATHERED.keys())
        for by, held in self._sums.items():
            own = self._sum(lines, heads, by)
            self._sums[by] = own if held is None else merge_spend([held, own], by)
        edge = calls["total_cost"].top_k(self._most).min()  # to sort all calls would take longer than all sums
        known = calls.filter(pl.col("total_cost") >= pl.lit(edge, Calls.total_cost.dtype)).select(OF_DEAREST)
        order = ["total_cost", *OF_CALLS]
        both = pl.concat([self.dearest, known]).sort(order, descending=[name == "total_cost" for name in order])
        self.dearest = both.head(self._most)

    def _sum(self, lines: pl.DataFrame, heads: pl.DataFrame, by: By) -> pl.DataFrame:
        return sum_spend(lines, heads, dataclasses.replace(self._options, by=by))

    def table(self, *by: str) -> pl.DataFrame:
        """Return the sums by one of the sets of columns, or by some columns of one, in no order."""
        wider = by if by in self._sums else next(columns for columns in self._sums if set(by) <= set(columns))
        found = self._sums[wider]
        if found is None:  # no call was added
            nothing = pl.DataFrame(schema=Facts.types)
            found = self._sum(nothing, nothing.select(GATHERED.keys()), wider)
        return found if wider == by else merge_spend([found], by)


def commonest_tags(paths: Sequence[str], most: int) -> list[str]:
    """Return the keys of tags that most calls have, as columns of ``--by``.

    Args:
        paths: tables of calls.
        most: keys that are wanted.
    """
    counts = Counter[str]()
    for path in paths:
        keys = read_tables([path], ["tags"])["tags"].explode(empty_as_null=False).struct.field("key")
        counts.update({str(key): count for key, count in keys.drop_nulls().value_counts().iter_rows()})
    return [f"tag:{key}" for key in sorted(counts, key=lambda key: (-counts[key], key))[:most]]
