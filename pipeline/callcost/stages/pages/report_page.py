"""A report as one page of HTML: what calls cost, when, whose, where it changed, and how sure the figures are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import localcontext
from typing import Any

import polars as pl

from callcost.stages.pages.details import calls_section, hours_section, sessions_section
from callcost.stages.pages.figures import add_up
from callcost.stages.pages.group_sums import LISTED, Periods, day_name, periods_of, sum_groups
from callcost.stages.pages.group_views import MOST_GROUPINGS, days_section, groups_section
from callcost.stages.pages.kit import Child, Markup, document, element, name_of
from callcost.stages.pages.overview import budgets_section, cards, savings_section, unusual_section
from callcost.stages.pages.period_changes import Earlier, changes_section, find_change
from callcost.stages.pages.quality import quality_section
from callcost.tables import EXACT

MOST_BYTES = 300_000  # of a page of 60 days and 20 models
_STACKED = (9, 7, 5, 3)  # groups of a chart at the most; where a page gets too large, fewer


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReportSums:
    """What a page of a report is made of.

    Attributes:
        groups: column -> sums by (day, column), in the order in which they are shown; with LOCAL_COST where the report
            has another currency beside dollars.
        hours: sums by hour.
        sessions: sums by session.
        calls: the dearest calls: some columns of Calls.
        earlier: the time before the report's interval; None: nothing is known of it.
        savings: what could be saved, most a month first: how, model, calls, cost, saved_cost, month_cost.
    """

    groups: Mapping[str, pl.DataFrame]
    hours: pl.DataFrame
    sessions: pl.DataFrame
    calls: pl.DataFrame
    earlier: Earlier | None = None
    savings: Sequence[Mapping[str, Any]] = ()


def report_page(sums: ReportSums, manifest: Mapping[str, Any]) -> bytes:
    """Return a report as a page that fetches nothing; the same report gives the same bytes.

    Args:
        sums: what it is made of.
        manifest: record of the run.
    """
    with localcontext(EXACT):
        pages = (_page(sums, manifest, most) for most in _STACKED)
        return next((page for page in pages if len(page) <= MOST_BYTES), None) or _page(sums, manifest, _STACKED[-1])


def _page(sums: ReportSums, manifest: Mapping[str, Any], most: int) -> bytes:
    shown = {
        column: table
        for column, table in sums.groups.items()
        if column == next(iter(sums.groups)) or table[column].null_count() < table.height
    }
    first = next(iter(shown.values()))
    periods = periods_of(first["day"])
    days = {row["day"]: row for row in add_up(first, ("day",)).iter_rows(named=True)}
    change = find_change(shown, sums.earlier)
    charts = [sum_groups(table, column, periods, most) for column, table in shown.items()][:MOST_GROUPINGS]
    lists = [sum_groups(table, column, periods, LISTED + 1) for column, table in shown.items()][:MOST_GROUPINGS]
    budgets, unusual = manifest.get("budgets"), manifest.get("unusual")
    has_calls = first.height > 0
    body: list[Child] = [
        cards(manifest, days, change),
        budgets_section(budgets) if budgets else None,
        unusual_section(unusual) if unusual else None,
        days_section(charts, (manifest.get("currency") or {}).get("code")) if periods.starts else None,
        [groups_section(each) for each in lists] if has_calls else None,
        changes_section(change) if change else None,
        savings_section(sums.savings) if sums.savings else None,
        hours_section(sums.hours, manifest["options"]["timezone"]),
        calls_section(sums.calls),
        sessions_section(sums.sessions),
        quality_section(manifest),
    ]
    title = ", ".join(["LLM spend", *_span(periods)])
    return document(title, _header(manifest, periods), element("main", body), _footer(manifest))


def _span(periods: Periods) -> list[str]:
    if periods.days is None:
        return []
    first, last = (f"{day_name(day)} {day.year}" for day in periods.days)
    return [first if first == last else f"{first} to {last}"]


def _header(manifest: Mapping[str, Any], periods: Periods) -> Markup:
    options, inputs = manifest["options"], len(manifest["inputs"])
    facts: list[Child] = [
        *(f"{span}, {options['timezone']}" for span in _span(periods)),
        f"{inputs:,} log{'s' * (inputs != 1)}",
        *(["only ", name_of(f"{column}={glob}")] for column, glob in options["where"]),
    ]
    if options["cost_source"] != "computed":
        facts.append(f"costs: {options['cost_source']}")
    return element("header", element("h1", "LLM spend"), element("ul", [element("li", fact) for fact in facts]))


def _footer(manifest: Mapping[str, Any]) -> Markup:
    words = (
        f"callcost {manifest['callcost']['version']}. Amounts are US dollars, rounded for reading; the exact figure of "
        "each is its title. This page fetches nothing."
    )
    return element("footer", element("p", words))
