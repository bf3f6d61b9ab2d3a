"""Where to look next: the hours of a week, the dearest calls, the dearest sessions."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from callcost.stages.pages.charts import heat_map
from callcost.stages.pages.figures import NONE, USD, Figure, add_up, figure_cell, shown
from callcost.stages.pages.kit import Markup, cell, element, name_of, row_name, section, table

DEAREST = 20  # calls and sessions that are listed
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = 24


def hours_section(hours: pl.DataFrame, timezone: str) -> Markup | None:
    """Return a map of what each hour of a week costs; None where no call has a time.

    Args:
        hours: sums by hour, as ``--by hour`` names them.
        timezone: of these hours.
    """
    moments = [None if hour is None else datetime.fromisoformat(hour) for hour in hours["hour"]]
    places = [None if moment is None else moment.weekday() * _HOURS + moment.hour for moment in moments]
    placed = hours.with_columns(pl.Series("place", places, pl.Int64)).filter(pl.col("place").is_not_null())
    if placed.is_empty():
        return None
    cells = {row["place"]: row["total_cost"] for row in add_up(placed, ("place",)).iter_rows(named=True)}
    rows: list[list[Figure]] = [[cells.get(day * _HOURS + hour) for hour in range(_HOURS)] for day in range(7)]
    caption = f"Cost by weekday and hour ({timezone}), US dollars"
    words = f"{caption}: a map, with the same figures in the table below"
    labels = element("ul", [element("li", day) for day in _WEEKDAYS], class_="weekdays", aria_hidden="true")
    scale = element(
        "ul", [element("li", f"{hour:02}") for hour in range(0, _HOURS, 6)], class_="hours", aria_hidden="true"
    )
    chart = element("div", labels, heat_map(rows, words=words), scale, class_="week")
    body = [
        [row_name(day), *(cell() if figure is None else figure_cell(figure, USD) for figure in row)]
        for day, row in zip(_WEEKDAYS, rows, strict=True)
    ]
    details = element(
        "details", element("summary", "Table"), table(caption, ["", *(f"{hour:02}" for hour in range(_HOURS))], body)
    )
    highest = shown(max((cost for cost in cells.values() if cost is not None), default=None), USD)
    title = element("figcaption", f"Cost by weekday and hour, {timezone}: at most {highest}")
    figure = element("figure", title, chart, details)
    return section("When", "hours", figure)


def calls_section(calls: pl.DataFrame) -> Markup | None:
    """Return the dearest calls; None where nothing has a cost."""
    if calls.is_empty():
        return None
    rows = [
        [
            row_name(name_of(row["call_id"])),
            cell(NONE if row["started_at"] is None else f"{row['started_at']:%Y-%m-%d %H:%M}Z"),
            cell(name_of(row["model"])),
            cell(name_of(row["user"])),
            figure_cell(row["total_tokens"]),
            figure_cell(row["total_cost"], USD),
        ]
        for row in calls.iter_rows(named=True)
    ]
    head = ["call", "time", "model", "user", "tokens", "cost"]
    return section(
        "Dearest calls", "calls", table("The dearest calls", head, rows, class_="sortable", words=4),
        element("p", "callcost explain LOGS --call ID shows one line by line.", class_="note"),
    )  # fmt: skip


def sessions_section(sessions: pl.DataFrame) -> Markup | None:
    """Return the dearest sessions; None where no call states one.

    Args:
        sessions: sums by session.
    """
    known = sessions.filter(pl.col("session").is_not_null() & pl.col("total_cost").is_not_null())
    if known.is_empty():
        return None
    dearest = known.sort("total_cost", "session", descending=[True, False]).head(DEAREST)
    rows = [
        [
            row_name(name_of(row["session"])),
            figure_cell(row["calls"]),
            figure_cell(row["total_tokens"]),
            figure_cell(row["total_cost"], USD),
        ]
        for row in dearest.iter_rows(named=True)
    ]
    title = f"Dearest sessions of {known.height:,}" if known.height > DEAREST else "Dearest sessions"
    return section(
        "Dearest sessions", "sessions",
        table(title, ["session", "calls", "tokens", "cost"], rows, class_="sortable"),
    )  # fmt: skip
