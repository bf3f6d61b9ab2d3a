"""A report as a notebook shows it: the dearest groups as a plain table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any

import polars as pl

from callcost.readable import dollars, visible

_MEASURES = ("calls", "prompt_tokens", "completion_tokens", "total_cost")
_MOST_ROWS = 20


def spend_html(spend: pl.DataFrame, by: Sequence[str], totals: Mapping[str, Any]) -> str:
    """Return the first groups of a report as an HTML table, with a line for all of them.

    Args:
        spend: columns of ``by`` and SpendMeasures, in their order.
        by: columns of the groups.
        totals: of the manifest.
    """
    head = _row("th", [*by, *_MEASURES])
    rows = [
        _row("td", [*(group[name] for name in by), *(_shown(name, group[name]) for name in _MEASURES)])
        for group in spend.head(_MOST_ROWS).iter_rows(named=True)
    ]
    left = spend.height - len(rows)
    rows += [_row("td", [f"{left:,} more groups"])] * (left > 0)
    whole = _row("th", ["total", *[""] * (len(by) - 1), *(_shown(name, totals[name]) for name in _MEASURES)])
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody><tfoot>{whole}</tfoot></table>"


def _row(tag: str, cells: Sequence[Any]) -> str:
    shown = ("-" if cell is None else escape(visible(str(cell))) for cell in cells)
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in shown)}</tr>"


def _shown(name: str, value: Any) -> str | None:
    if value is None:
        return None
    return dollars(Decimal(value)) if name.endswith("_cost") else f"{value:,}"
