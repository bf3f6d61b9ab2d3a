"""A page's views by group: charts by period with their tables, one for each grouping and measure, and tables of groups.

Which chart shows is chosen by radio buttons and style alone, so that the choice works without script, and by keyboard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from callcost.stages.pages.charts import share_bar, sparkline, stacked_bars
from callcost.stages.pages.figures import NONE, USD, Figure, Measure, figure_cell, measures_of, per, percent, shown
from callcost.stages.pages.group_sums import GroupSums, Row
from callcost.stages.pages.kit import Markup, cell, element, joined, row_name, section, table

MOST_GROUPINGS = 6  # page.css knows as many
_OTHERS = 8  # color of what is no group of its own; page.css has one for each place before it


def days_section(charts: Sequence[GroupSums], currency: str | None = None) -> Markup:
    """Return charts by period, stacked by each grouping, of each measure.

    Args:
        charts: sums of each grouping.
        currency: code of the one that costs are stated in beside dollars; None: there is none.
    """
    unit = charts[0].periods.unit
    groupings = _choice("Stacked by", "g", [chart.title for chart in charts])
    measures = measures_of(currency)
    views = [
        _view(chart, measure, f"view g{g} m{m}") for g, chart in enumerate(charts) for m, measure in enumerate(measures)
    ]
    names = [measure.name for measure in measures]
    choices = element("div", groupings, _choice("Measure", "m", names), class_="choices")
    return section(f"By {unit}", "days", choices, views, class_="card days")


def _choice(legend: str, name: str, words: Sequence[str]) -> Markup | None:
    if len(words) < 2:
        return None
    buttons = [
        element(
            "label", element("input", type="radio", name=name, id=f"{name}{n}", checked=n == 0), element("span", word)
        )
        for n, word in enumerate(words)
    ]
    return element("fieldset", element("legend", legend), buttons)


def _view(sums: GroupSums, measure: Measure, class_: str) -> Markup:
    column, currency = measure.column, measure.currency
    places = [*range(len(sums.groups)), *([len(sums.groups)] if sums.others else [])]
    colors = [_color(sums, place) for place in places]
    words = f"{measure.name[:1].upper()}{measure.name[1:]} by {sums.periods.unit}, stacked by {sums.title}"
    chart = stacked_bars(
        [sums.figures(place, column) for place in places], colors, sums.periods.labels,
        words=f"{words}: bars, with the same figures in the table below", currency=currency,
    )  # fmt: skip
    whole = sums.totals.get(column)
    legend = [
        element(
            "li", element("span", sums.name(place)), " ", element("b", shown(row[column], currency)), " ",
            percent(row[column], whole), class_=f"c{color}",
        )
        for place, color, row in zip(places, colors, [*sums.groups, sums.others], strict=False)
        if row is not None
    ]  # fmt: skip
    details = element(
        "details", element("summary", "Table"), _period_table(sums, measure, places, f"{words}, {measure.unit}")
    )
    undated = (sums.per_period.get(None) or {}).get(column)
    left = f"Calls without a time, {shown(undated, currency)}, are in no bar."
    note = None if undated is None else element("p", left, class_="note")
    title, names = element("figcaption", words), element("ul", legend, class_="legend")
    return element("figure", title, chart, names, note, details, class_=class_)


def _color(sums: GroupSums, place: int) -> int:
    return place if place < len(sums.groups) else _OTHERS


def _period_table(sums: GroupSums, measure: Measure, places: Sequence[int], caption: str) -> Markup:
    def cells(row: Row | None) -> Markup:
        return _short_cell(None if row is None else row[measure.column], measure.currency)

    rows = [
        [
            row_name(sums.periods.row_name(start)),
            cells(sums.per_period.get(start)),
            *(cells(sums.by_period.get((start, place))) for place in places),
        ]
        for start in sums.periods.keys
    ]
    whole = [row for row in [*sums.groups, sums.others] if row is not None]
    head = [
        sums.periods.unit,
        "total",
        *(element("span", sums.name(place), class_=f"c{_color(sums, place)}") for place in places),
    ]
    return table(caption, head, rows, [row_name("total"), cells(sums.totals), *map(cells, whole)], class_="periods")


def _short_cell(figure: Figure, currency: str | None) -> Markup:
    """Return a cell of a large table: empty where nothing is stated."""
    return cell() if figure is None else figure_cell(figure, currency)


def groups_section(sums: GroupSums) -> Markup:
    """Return the table of a grouping's groups: cost, share, cost of a unit, cache hit rate and trend."""
    title = f"{sums.title[:1].upper()}{sums.title[1:]}" + ("" if sums.column.startswith("tag:") else "s")
    head = [
        sums.title,
        "cost",
        "share",
        "calls",
        "per call",
        "tokens",
        "per 1M tokens",
        "cache hits",
        f"cost by {sums.periods.unit}",
    ]
    rows = list(_group_rows(sums))
    foot = _group_row(sums, row_name("total"), sums.totals, [_total(sums, start) for start in sums.periods.starts])
    name = "by-" + "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in sums.column)
    return section(title, name, table(f"{title}, the dearest first", head, rows, foot, class_="sortable"))


def _total(sums: GroupSums, start: date) -> Figure:
    row = sums.per_period.get(start)
    return None if row is None else row["total_cost"]


def _group_rows(sums: GroupSums) -> Iterator[list[Markup]]:
    for place, row in enumerate([*sums.groups, sums.others]):
        if row is not None:
            name = row_name(sums.name(place))
            yield _group_row(sums, name, row, sums.figures(place, "total_cost"))


def _group_row(sums: GroupSums, name: Markup, row: Row, trend: Sequence[Figure]) -> list[Markup]:
    cost, whole = row["total_cost"], sums.totals["total_cost"]
    share = joined(share_bar(cost, whole), " ", percent(cost, whole) or NONE)
    return [
        name,
        figure_cell(cost, USD),
        cell(share, class_="bar"),
        figure_cell(row["calls"]),
        cell(per(cost, row["calls"])),
        figure_cell(row["total_tokens"]),
        cell(per(cost, row["total_tokens"], 10**6)),
        cell(percent(row["cache_read_input_tokens"], row["prompt_tokens"]) or NONE),
        cell(sparkline(trend)),
    ]
