"""What a run says for people: how far it is, and at its end the dearest groups, the totals and what they leave out.

All of it goes to stderr. A terminal gets a progress bar and a table, a file or a pipe plain lines, few enough for a
mail. Numbers are only rounded here, where a person reads them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from callcost.cli.terminal.events import counted, reason_words
from callcost.cli.terminal.listing import skipped_lines
from callcost.cli.terminal.outlook_lines import outlook_lines
from callcost.cli.terminal.output import STDERR, console_of, say
from callcost.cli.terminal.spend_table import draw_table, group_lines, shown
from callcost.jobs.report import SpendReport
from callcost.readable import dollars, error_percent, money
from callcost.settings import MOST_NAMED, ReportOptions

MOST_LINES = 20  # of a summary that no terminal shows
_MOST_GROUPS = 5  # of these, for the dearest groups
_PROGRESS_EVERY = 30.0  # seconds, where no terminal shows it
Result = TypeVar("Result")


class Watcher:
    """How far the reading is: a progress bar, a line now and then, or nothing at all.

    Args:
        bar: progress bar of a terminal; None: there is no terminal.
        say: function that writes a line, where there is no terminal; None: nothing is written.
    """

    def __init__(self, bar: Progress | None, say: Callable[[str], None] | None = None) -> None:
        self._bar, self._say = bar, say
        self._calls = self._read = self._total = 0
        self._begun = self._last = time.monotonic()
        self._task = bar.add_task("reading", total=None, calls="0 calls") if bar is not None else None

    def plan(self, total_bytes: int) -> None:
        """Say how many bytes there are to read."""
        self._total = total_bytes
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=total_bytes)

    def advance(self, read_bytes: int, calls: int) -> None:
        """Move on by some bytes and calls."""
        self._calls += calls
        self._read += read_bytes
        now = time.monotonic()
        if self._bar is not None and self._task is not None:
            speed = self._calls / max(now - self._begun, 0.1)
            self._bar.update(self._task, advance=read_bytes, calls=f"{self._calls:,} calls, {speed:,.0f} calls/s")
        elif self._say is not None and now - self._last >= _PROGRESS_EVERY:
            self._last = now
            self._say(f"read {self._read / 1e9:.1f} of {self._total / 1e9:.1f} GB, {_calls(self._calls)}")


@contextmanager
def watch(*, quiet: bool) -> Iterator[Watcher]:
    """Show on stderr how far the block is while it runs."""
    if quiet or not STDERR.isatty():
        yield Watcher(None, None if quiet else say)
        return
    with make_bar(console_of(STDERR)) as bar:
        yield Watcher(bar)


def watched(job: Callable[..., Result], *given: Any, quiet: bool, **more: Any) -> Result:
    """Run a job over logs, show how far it is, and return its result."""
    with watch(quiet=quiet) as progress:
        return job(*given, progress=progress.advance, planned=progress.plan, **more)


def make_bar(console: Console) -> Progress:
    """Return a progress bar: bytes and calls, how fast both are, and the time that is left."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TextColumn("{task.fields[calls]}"), TimeRemainingColumn(),
    )  # fmt: skip
    return Progress(*columns, console=console, transient=True)


def show_summary(
    report: SpendReport, options: ReportOptions, lines: Sequence[str], alarms: Sequence[str], *, top: int
) -> None:
    """Print the dearest groups, the totals, and a line each for what the totals leave out.

    Args:
        report: result of the run.
        options: options of the run.
        lines: lines of summary_lines, and lines on the run itself.
        alarms: lines that are written in any case, last.
        top: number of groups to show on a terminal.
    """
    if STDERR.isatty():
        draw_table(STDERR, report.spend, options, report.manifest["totals"], top)
        left = report.spend.height - top
        say(*[f"{counted(left, 'more group')}; --top shows more"] * (left > 0), *lines, *alarms)
        return
    room = MOST_LINES - len(lines) - len(alarms) - 1
    title, *rest = shorten(lines, alarms)
    say(title, *group_lines(report.spend, options, min(top, _MOST_GROUPS, room)), *rest)


def show_lines(lines: Sequence[str], alarms: Sequence[str]) -> None:
    """Print lines of a summary, and the alarms, where its table is printed elsewhere or not at all."""
    say(*shorten(lines, alarms))


def shorten(lines: Sequence[str], alarms: Sequence[str]) -> list[str]:
    """Return what fits into a mail or a log: the first lines, and all alarms."""
    room = MOST_LINES - len(alarms)
    if len(lines) > room and not STDERR.isatty():
        lines = [*lines[: room - 1], f"{counted(len(lines) - room + 1, 'more line')}: see manifest.json"]
    return [*lines, *alarms]


def _signed(amount: str) -> str:
    return f"{'-' if amount.startswith('-') else '+'}{dollars(abs(Decimal(amount)))}"


def _calls(count: int) -> str:
    return counted(count, "call")


def _unpriced_line(status: str, manifest: dict[str, Any]) -> str:
    rows = [row for row in manifest["unpriced"] if row["price_status"] == status]
    others = manifest["unpriced_not_listed"].get(status, {"groups": 0})["groups"]
    dearest = sorted(rows, key=lambda row: (-row["calls"], row["model"] or ""))
    named = [
        f"{row['model']!r} {row['calls']:,} ({row['price_reason'].replace('_', ' ')}, first: {row['first']}"
        f"{_meant(row, manifest)})"
        for row in dearest[:MOST_NAMED]
    ]
    listed = "in manifest.json" if not others else f"{len(rows) - len(named):,} of them in manifest.json"
    more = len(rows) - len(named) + others
    named += [f"and {more:,} more{',' if others else ''} {listed}"] if more else []
    line = f"{_calls(manifest['price_status'][status])} {status.replace('_', ' ')}: {', '.join(named)}"
    unknown = any(row["price_reason"] == "unknown_model" for row in rows)
    return line + (". Add a rate with --prices-override" if unknown else "")


def _newer_prices_lines(manifest: dict[str, Any]) -> list[str]:
    """Return why newer prices may be wanted, and what came of fetching them."""
    wanted, refreshed = manifest["newer_prices"], manifest["run"].get("prices_refresh")
    lines = []
    if refreshed and refreshed["added"]:
        lines.append(f"prices refreshed: {refreshed['added']} is in force from now on")
    elif refreshed:
        lines.append(f"prices not refreshed: {refreshed['why_not']}")
    elif wanted["hint"]:
        causes = [f"the last call is {wanted['days_behind']} days newer than all prices"] * bool(wanted["days_behind"])
        causes += [f"{_calls(wanted['unknown_calls'])} of unknown models"] * bool(wanted["unknown_calls"])
        lines.append(f"{', '.join(causes)}: `{wanted['hint']}` fetches the published prices")
    return lines


def _focus_lines(manifest: dict[str, Any]) -> list[str]:
    """Return what a bill in FOCUS holds, and what it cannot hold."""
    focus = manifest.get("focus")
    if not focus:
        return []
    words = {"unpriced_calls": "with units without a price left out", "undated_calls": "without a day on its last"}
    parts = [f"{_calls(focus[name])} {words[name]}" for name in words if focus[name]]
    if focus.get("adjustments"):
        adjustments = counted(focus["adjustments"], "adjustment")
        parts.append(f"{adjustments} of closed days left out: a bill of the --state folder has them")
    return [f"bill in FOCUS: {', '.join([counted(focus['rows'], 'row'), *parts])}"]


def _meant(row: dict[str, Any], manifest: dict[str, Any]) -> str:
    if row["price_reason"] != "unknown_model":
        return ""
    target, near = (manifest[key].get(row["model"]) for key in ("alias_targets", "near_names"))
    alias = f"; alias of {target!r}, which no version knows" if target else ""
    return alias + (f"; did you mean {near!r}?" if near else "")


def _title(manifest: dict[str, Any]) -> str:
    totals = manifest["totals"]
    tokens = [
        f"{totals[name]:,} {word} tokens"
        for name, word in (("prompt_tokens", "prompt"), ("completion_tokens", "completion"))
        if totals[name] is not None
    ]
    cost = "no cost" if totals["total_cost"] is None else shown("total_cost", totals["total_cost"])
    local = manifest.get("currency")
    cost += f" ({money(Decimal(local['total_cost']), local['code'])})" if local and local["total_cost"] else ""
    return ", ".join([f"{_calls(totals['calls'] or 0)}: {cost}", *tokens])


def _filtered_lines(manifest: dict[str, Any], options: ReportOptions) -> list[str]:
    """Return what filters left out and the time that the logs cover; of an empty result, the first is why."""
    first, last = manifest["first_at"], manifest["last_at"]
    span = f"the logs run from {_minute(first)} to {_minute(last)}" if first else "no call has a time"
    if manifest["records"]["calls"] + manifest["records"]["filtered"] == 0:
        return []  # there was none; an alarm says so, or which calls of closed days are published
    left = manifest["filtered_by"]
    if not left:
        return [span]
    words = {
        "undated": "without a time",
        "since": f"before --since {_moment(options.since, options.timezone)}",
        "until": f"not before --until {_moment(options.until, options.timezone)}",
    }
    causes = ", ".join(f"{count:,} {words.get(name, f'not --{name}')}" for name, count in _commonest(left))
    total = sum(left.values())
    if manifest["totals"]["calls"]:
        return [f"{_calls(total)} left out: {causes}", span]
    return [f"all {_calls(total)} are left out: {causes}; {span}"]


def _commonest(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _minute(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%MZ}"


def _moment(moment: datetime | None, timezone: str) -> str:
    """Return a limit as a person would write it: a date, where it is the start of a day there."""
    if moment is None:
        return ""
    here = moment.astimezone(ZoneInfo(timezone))
    return f"{here:%Y-%m-%d}" if here.time() == time_of_day.min else here.isoformat(timespec="minutes")


def _known_cost(total_cost: str | None) -> str:
    return "no known cost" if total_cost is None else dollars(Decimal(total_cost))


def _repeated_line(calls: int, total_cost: str | None, left_out: int) -> str:
    rows = f"{calls:,} rows equal" if calls > 1 else "1 row equals"
    line = f"{rows} another without an id or a time below the second: each counted, {_known_cost(total_cost)}"
    copies = "more is a copy in another file" if left_out == 1 else "more are copies in other files"
    return line + (f"; {left_out:,} {copies}: not counted" if left_out else "")


def _inconsistent_lines(calls: int) -> list[str]:
    words = "with counts that contradict each other: flagged inconsistent_usage, `--calls` lists them"
    return [f"{_calls(calls)} {words}"] * (calls > 0)


def _aborted_lines(calls: int, total_cost: str | None) -> list[str]:
    words = f"{_known_cost(total_cost)} for what was received; a bill may ask more"
    return [f"{_calls(calls)} broken off: {words}"] * (calls > 0)


def _filled_lines(calls: int, total_cost: str | None) -> list[str]:
    words = f"{_known_cost(total_cost)} of the total"
    return [f"{_calls(calls)} hide reasoning that other calls of their kind tell of: {words}"] * (calls > 0)


def _draft_lines(reasons: list[dict[str, Any]], records: int) -> list[str]:
    """Return what to do where most records are in no dialect."""
    unknown = sum(row["records"] for row in reasons if row["reason"] == "unknown_dialect")
    draft = "most are in no dialect: `callcost inspect LOGS --infer-mapping` drafts a mapping that reads them"
    return [draft] if unknown * 2 > records else []


def _derived_lines(calls: int, total_cost: str | None) -> list[str]:
    cost = dollars(Decimal(total_cost or 0))
    return [f"{_calls(calls)} at rates that their providers document and no map has: {cost}"] * (calls > 0)


def summary_lines(manifest: dict[str, Any], options: ReportOptions) -> list[str]:
    """Return what a run found as plain lines: the totals, then a line each for what a reader should know of.

    Args:
        manifest: manifest of the run.
        options: options of the run.
    """
    records, sources = manifest["records"], manifest["usage_source"]
    lines = [_title(manifest), *outlook_lines(manifest), *skipped_lines(manifest["run"].get("skipped", []))]
    lines += _filtered_lines(manifest, options)
    if records["rejects"]:
        reasons = reason_words(manifest["reject_reasons"], places=True)
        lines.append(f"{records['rejects']:,} of {counted(records['records'], 'record')} rejected: {reasons}")
        lines += _draft_lines(manifest["reject_reasons"], records["records"])
    sums = manifest["aggregates"]
    if sums["calls"] or sums["tokens"]:
        held = f"{counted(sums['calls'], 'call')}, {counted(sums['tokens'], 'token')}"
        many = f"{counted(sums['records'], 'row')} that sum many calls ({held})"
        lines.append(f"{many} are not priced: give the log of single calls")
    if records["duplicates"]:
        lines.append(f"{counted(records['duplicates'], 'duplicate')} of calls counted once")
    if manifest["repeated_rows"]["calls"]:
        lines.append(_repeated_line(**manifest["repeated_rows"]))
    counting = manifest["counting"]
    if counting["calls"]:
        tokens = counting["prompt_tokens"] + counting["completion_tokens"]
        within = counting["expected_within"]
        share = "" if within is None else f", expected within +-{error_percent(within)} %"
        lines.append(f"{_calls(counting['calls'])} without full usage: {tokens:,} tokens counted here{share}")
    lines += _filled_lines(**manifest["reasoning_from_log"])
    if sources.get("timed_out"):
        lines.append(f"{_calls(sources['timed_out'])} with a text that took too long: counted 0 for it")
    lines += _inconsistent_lines(manifest["flags"].get("inconsistent_usage", 0))
    lines += _aborted_lines(**manifest["aborted"])
    statuses = ("unpriced", "partly_priced")
    lines += [_unpriced_line(status, manifest) for status in statuses if manifest["price_status"].get(status)]
    lines += [*_newer_prices_lines(manifest), *_focus_lines(manifest)]
    corrected = manifest["corrections"]
    if corrected["calls"] and corrected["total_cost"] is not None:  # null: of some calls of a report nobody knows
        lines.append(f"corrections of prices moved {_calls(corrected['calls'])} by {_signed(corrected['total_cost'])}")
    lines += _derived_lines(**manifest["derived_rates"])
    if manifest["undated_calls"]:
        lines.append(f"{_calls(manifest['undated_calls'])} without a time: the newest rates apply")
    if options.out is not None:
        lines.append(f"report in {options.out}")
    return lines
