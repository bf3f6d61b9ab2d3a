"""The groups of a report for reading: the dearest, periods in their order, as a table or as aligned lines.

Numbers are only rounded here, where a person reads them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.table import Table

from callcost.cli.terminal.events import counted
from callcost.cli.terminal.listing import on_terminal, show_rows
from callcost.cli.terminal.output import STDOUT, Stream, console_of, text_of
from callcost.readable import dollars, money, visible
from callcost.settings import PERIODS, ReportOptions

_MEASURES = {
    "calls": "calls", "prompt_tokens": "prompt", "completion_tokens": "completion", "total_cost": "cost",
    "share": "share", "cost_per_call": "per call",
}  # fmt: skip
_LOCAL = "total_cost_"  # and the code of a currency
_MOST_SIGNS = 48  # of a name in a line


def dearest_groups(spend: pl.DataFrame, options: ReportOptions, top: int) -> list[dict[str, Any]]:
    """Return the first groups of a report, with their share of the whole cost and their cost per call.

    Without an order of its own (``--sort``), a report by periods shows these in their order.
    """
    rows = spend.head(top)
    periods = [name for name in options.by if name in PERIODS]
    if periods and options.sort is None:
        rows = rows.sort(periods, maintain_order=True, nulls_last=True)
    whole = Decimal(spend["total_cost"].sum())
    return [row | _ratios(row, whole) for row in rows.to_dicts()]


def _measures_of(spend: pl.DataFrame) -> dict[str, str]:
    """Return the columns that are shown, with their titles: costs in another currency after those in dollars."""
    local = {name: name.removeprefix(_LOCAL).upper() for name in spend.columns if name.startswith(_LOCAL)}
    shown_first = {name: title for name, title in _MEASURES.items() if name not in {"share", "cost_per_call"}}
    return shown_first | local | _MEASURES


def _ratios(row: dict[str, Any], whole: Decimal) -> dict[str, Any]:
    cost, calls = row["total_cost"], row["calls"]
    share = None if cost is None or not whole else f"{100 * cost / whole:.1f}%"
    return {"share": share, "cost_per_call": cost / calls if cost is not None and calls else None}


def show_table(spend: pl.DataFrame, options: ReportOptions, totals: dict[str, Any], top: int) -> int:
    """Print the first groups as data, on stdout; return how many there are more."""
    if on_terminal():
        draw_table(STDOUT, spend, options, totals, top)
    else:
        rows = dearest_groups(spend, options, top)
        names = [[label(row[name]) for name in options.by] for row in rows]
        measures = _measures_of(spend)
        cells = [[*own, *[shown(name, row[name]) for name in measures]] for own, row in zip(names, rows, strict=True)]
        show_rows([*options.by, *measures.values()], cells, numbers=measures.values())
    return max(spend.height - top, 0)


def draw_table(stream: Stream, spend: pl.DataFrame, options: ReportOptions, totals: dict[str, Any], top: int) -> None:
    """Draw the first groups as a table for people, with a line for the whole."""
    table = Table(show_footer=True, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)  # a name fits beside sums
    measures = _measures_of(spend)
    whole = totals | _ratios({"total_cost": None, "calls": 0}, Decimal(0))
    whole |= {name: spend[name].sum() for name in measures if name.startswith(_LOCAL)}
    if totals["total_cost"] is not None and totals["calls"]:
        cost = Decimal(totals["total_cost"])
        whole |= _ratios({"total_cost": cost, "calls": totals["calls"]}, cost)
    for number, name in enumerate(options.by):
        table.add_column(text_of(name), overflow="fold", footer="total" if number == 0 else "")
    for name, title in measures.items():
        table.add_column(title, justify="right", no_wrap=True, footer=shown(name, whole[name]))
    for row in dearest_groups(spend, options, top):
        names = [text_of(label(row[name])) for name in options.by]
        table.add_row(*names, *[shown(name, row[name]) for name in measures])
    console_of(stream).print(table)


def group_lines(spend: pl.DataFrame, options: ReportOptions, top: int) -> list[str]:
    """Return the first groups as aligned text, and a line on how many more there are."""
    if top < 1 or spend.is_empty():
        return []
    rows = dearest_groups(spend, options, top)
    cells = [
        [
            *[_cut(visible(label(row[name]))) for name in options.by],
            counted(row["calls"], "call"),
            shown("_cost", row["total_cost"]),
        ]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for *names, calls, cost in cells:
        words = [name.ljust(width) for name, width in zip(names, widths, strict=False)]
        lines.append("  ".join(["", *words, calls.rjust(widths[-2]), cost.rjust(widths[-1])]))
    left = spend.height - len(rows)
    return lines + [f"  {counted(left, 'more group')} in the report"] * (left > 0)


def _cut(name: str) -> str:
    return name if len(name) <= _MOST_SIGNS else f"{name[: _MOST_SIGNS - 3]}..."


def label(value: Any) -> str:
    """Return the name of a group; a dash where it is not known."""
    return "-" if value is None else str(value)


def shown(name: str, value: Any) -> str:
    """Return a figure for reading, by the name of its column."""
    if value is None or name == "share":
        return label(value)
    if name.startswith(_LOCAL):
        return money(Decimal(value), name.removeprefix(_LOCAL).upper())
    return dollars(Decimal(value)) if name.endswith(("_cost", "cost_per_call")) else f"{value:,}"
