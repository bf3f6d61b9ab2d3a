"""Rows for reading: a table on a terminal, aligned text in a pipe, JSON for programs. Data goes to stdout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from callcost.cli.terminal.output import STDOUT, console_of, show, show_document, text_of
from callcost.readable import visible

_MILLION = 1_000_000
_MOST_NAMED = 5
_LEAST_TEXT = 12  # signs of a name that a table may fold


def show_rows(titles: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Iterable[str] = ()) -> None:
    """Print rows under their titles.

    Args:
        titles: one per column.
        rows: their cells; None is shown as "-".
        numbers: titles of the columns that are aligned to the right.
    """
    cells = [["-" if cell is None else visible(str(cell)) for cell in row] for row in rows]
    right = set(numbers)
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    folded = (width if title in right else min(width, _LEAST_TEXT) for title, width in zip(titles, widths, strict=True))
    least = sum(folded) + 2 * len(widths)
    if on_terminal() and least <= console_of(STDOUT).width:  # else figures would be cut
        _show_table(titles, cells, right)
        return
    lines = []
    for row in [list(titles), *cells]:
        words = (
            cell.rjust(width) if title in right else cell.ljust(width)
            for title, cell, width in zip(titles, row, widths, strict=True)
        )
        lines.append("  ".join(words).rstrip())
    show(*lines)


def show_block(
    title: str, titles: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[str] = ()
) -> None:
    """Print rows under a line that says what they are; nothing where there are none."""
    if rows:
        show("", f"{title}:")
        show_rows(titles, rows, numbers=numbers)


def on_terminal() -> bool:
    """Say whether a person reads along."""
    return STDOUT.isatty()


def show_json(content: Any) -> None:
    """Print a value as JSON; decimals are numbers with all their digits."""
    import msgspec  # noqa: PLC0415 - only with --format json

    encoder = msgspec.json.Encoder(decimal_format="number")
    show_document(msgspec.json.format(encoder.encode(content), indent=2).decode())


def plain(amount: Decimal | None) -> str:
    """Return an amount with all its digits and no exponent.

    >>> plain(Decimal("3E-7"))
    '0.0000003'
    """
    if amount is None:
        return "-"
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def per_million(field: str, amount: Decimal) -> str:
    """Return what a million units cost, for prices of tokens and the like, else nothing.

    >>> per_million("input_cost_per_token", Decimal("2.5E-6"))
    '2.5'
    """
    small = "token" in field or "character" in field or "pixel" in field
    return plain(amount * _MILLION) if small and "multiplier" not in field else ""


def _show_table(titles: Sequence[str], cells: list[list[str]], right: set[str]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - only where a person looks
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for title in titles:
        is_number = title in right
        table.add_column(text_of(title), justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in cells:
        table.add_row(*map(text_of, row))
    console_of(STDOUT).print(table)


def skipped_lines(skipped: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a line that names what was left out below the logs as it is no log; none, where there was nothing.

    Args:
        skipped: "path" and "what" of each.

    >>> skipped_lines([{"path": "logs/reports", "what": "a report"}])
    ['skipped, as no logs: logs/reports (a report)']
    """
    named = [f"{one['path']} ({one['what']})" for one in skipped[:_MOST_NAMED]]
    more = [f"and {len(skipped) - _MOST_NAMED:,} more"] if len(skipped) > _MOST_NAMED else []
    return [f"skipped, as no logs: {', '.join([*named, *more])}"] if named else []
