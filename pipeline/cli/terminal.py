"""What a person sees on the terminal: a progress bar while the work goes on, then a table and a few plain lines.

All of it goes to stderr and none of it into pipes; numbers are only rounded here, where a person reads them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from pipeline.jobs.report import SpendReport
from pipeline.settings import ReportOptions

_SHOWN = (
    ("calls", "calls"),
    ("prompt_tokens", "prompt"),
    ("completion_tokens", "completion"),
    ("total_cost", "cost"),
)


_NAMED = 3  # models that a summary line names


class Watcher:
    """A progress bar of bytes and calls, or nothing at all."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._calls, self._begun = 0, time.monotonic()
        self._task = bar.add_task("reading", total=None, calls="0 calls") if bar is not None else None

    def plan(self, total_bytes: int) -> None:
        """Say how many bytes there are to read."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=total_bytes)

    def advance(self, read_bytes: int, calls: int) -> None:
        """Move on by some bytes and calls."""
        self._calls += calls
        if self._bar is not None and self._task is not None:
            speed = self._calls / max(time.monotonic() - self._begun, 0.1)
            self._bar.update(self._task, advance=read_bytes, calls=f"{self._calls:,} calls, {speed:,.0f} calls/s")


@contextmanager
def watch(*, quiet: bool) -> Iterator[Watcher]:
    """Show a progress bar on stderr while the block runs, if a person is looking."""
    if quiet or not sys.stderr.isatty():
        yield Watcher(None)
        return
    with make_bar(Console(stderr=True)) as bar:
        yield Watcher(bar)


def make_bar(console: Console) -> Progress:
    """Return a progress bar: bytes and calls, how fast both are, and the time that is left."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TextColumn("{task.fields[calls]}"), TimeRemainingColumn(),
    )  # fmt: skip
    return Progress(*columns, console=console, transient=True)


def show_summary(report: SpendReport, options: ReportOptions, *, top: int) -> None:
    """Print the dearest groups, the totals, and a line each for what the totals leave out."""
    if not sys.stderr.isatty():
        return
    console = Console(stderr=True)
    rows = report.spend.head(top).to_dicts()
    console.print(_table(rows, options.by, report.manifest["totals"]))
    if report.spend.height > top:
        console.print(f"{report.spend.height - top:,} more groups; --top shows more", style="dim")
    for line in summary_lines(report.manifest, options):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _table(rows: Sequence[dict[str, Any]], by: Sequence[str], totals: dict[str, Any]) -> Table:
    table = Table(show_footer=True)
    for number, name in enumerate(by):
        table.add_column(name, overflow="fold", footer="total" if number == 0 else "")
    for name, title in _SHOWN:
        table.add_column(title, justify="right", no_wrap=True, footer=_shown(name, totals[name]))
    for row in rows:
        table.add_row(*[_label(row[name]) for name in by], *[_shown(name, row[name]) for name, _ in _SHOWN])
    return table


def _label(value: Any) -> str:
    return "-" if value is None else str(value).replace("[", r"\[")


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "-"
    return dollars(Decimal(value)) if name.endswith("_cost") else f"{value:,}"


def dollars(amount: Decimal) -> str:
    """Return an amount for reading: cents, or four figures of what is smaller than a dollar."""
    if amount == 0 or abs(amount) >= 1:
        return f"${amount:,.2f}"
    places = min(18, 3 - amount.adjusted())
    return f"${amount:,.{places}f}"


def _calls(count: int) -> str:
    return f"{count:,} call" if count == 1 else f"{count:,} calls"


def _unpriced_line(status: str, rows: list[dict[str, Any]]) -> str:
    dearest = sorted(rows, key=lambda row: (-row["calls"], row["model"]))
    named = [
        f"{row['model']!r} {row['calls']:,} ({row['price_reason'].replace('_', ' ')}, first: {row['first']})"
        for row in dearest[:_NAMED]
    ]
    more = [f"and {len(rows) - _NAMED:,} more in manifest.json"] if len(rows) > _NAMED else []
    line = f"{_calls(sum(row['calls'] for row in rows))} {status.replace('_', ' ')}: {', '.join([*named, *more])}"
    unknown = any(row["price_reason"] == "unknown_model" for row in rows)
    return line + (". Add a rate with --prices-override" if unknown else "")


def summary_lines(manifest: dict[str, Any], options: ReportOptions) -> list[str]:
    """Return a line each for rejects, counted, unpriced and other calls that a reader should know of."""
    records, sources, lines = manifest["records"], manifest["usage_source"], []
    if records["rejects"]:
        lines.append(f"{records['rejects']:,} of {records['records']:,} records rejected: see rejects.parquet")
    if records["duplicates"]:
        lines.append(f"{records['duplicates']:,} duplicates of calls counted once")
    counting = manifest["counting"]
    if counting["calls"]:
        tokens = counting["prompt_tokens"] + counting["completion_tokens"]
        share = f"expected within +-{100 * (counting['expected_within'] or 0):.2g} %"
        lines.append(f"{_calls(counting['calls'])} without full usage: {tokens:,} tokens counted here, {share}")
    if sources.get("timed_out"):
        lines.append(f"{_calls(sources['timed_out'])} with a text that took too long: counted 0 for it")
    for status in ("unpriced", "partly_priced"):
        rows = [row for row in manifest["unpriced"] if row["price_status"] == status]
        lines += [_unpriced_line(status, rows)] if rows else []
    if manifest["undated_calls"]:
        lines.append(f"{_calls(manifest['undated_calls'])} without a time: the newest rates apply")
    if options.out is not None:
        lines.append(f"report in {options.out}")
    return lines
