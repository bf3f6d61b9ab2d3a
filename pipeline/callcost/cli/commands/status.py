"""`callcost status`: how a nightly report stands, and what its last runs did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import click

from callcost.cli.click_types import PathType, Verb
from callcost.cli.options import storage_option
from callcost.cli.terminal.listing import show_block, show_json, show_rows
from callcost.cli.terminal.output import STDOUT, show
from callcost.readable import dollars, named, signed_dollars

_BARS = "▁▂▃▄▅▆▇█"
_DAYS = 60  # that a trend shows


@click.command(cls=Verb)
@click.argument("state", metavar="STATE", type=PathType(file_okay=False))
@click.option("--runs", type=click.IntRange(1, 100), default=20, show_default=True, help="How many of the last runs.")
@click.option("--json", "as_json", is_flag=True, help="Write all that is known of them as JSON.")
@storage_option
def status(state: str, runs: int, *, as_json: bool) -> int:
    """Say how the nightly report of STATE stands: its last runs, and what days cost.

    STATE is the folder of a report's --state. Of each run: when, how long, how it ended, how many calls were new, and
    the money that moved on each day and why: new calls, calls that are gone, a recount, other prices.
    """
    from callcost.jobs.state.state_folder import status_of  # noqa: PLC0415 - Polars loads when it runs

    found = status_of(state, runs)
    if as_json:
        show_json(found)
        return 0
    rows = [_cells(run) for run in found["runs"]]
    show_rows(("run", "seconds", "exit", "new calls", "cost", "what"), rows, numbers=("seconds", "new calls", "cost"))
    show_block("money that moved", ("run", "why", "calls", "difference", "days"), [*_moved(found["runs"])],
               numbers=("calls", "difference"))  # fmt: skip
    show(*_lines(found))
    return 0


def _cells(run: Mapping[str, Any]) -> list[object]:
    when = _when(run)
    if "exit_code" not in run:
        return [when, None, None, None, None, "did not end: it was killed, or is still at work"]
    if "total_cost" not in run:
        return [when, run["seconds"], run["exit_code"], None, None, run["error"]]
    cost = dollars(Decimal(run["total_cost"] or 0))
    return [when, run["seconds"], run["exit_code"], f"{run['new_calls']:,}", cost, "; ".join(_remarks(run))]


def _when(run: Mapping[str, Any]) -> str:
    return f"{run['started_at'][:16].replace('T', ' ')}Z"


def _remarks(run: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is to be known of a run that ended."""
    counts = ("late_calls", "rejects", "unpriced", "partly_priced", "dropped")
    yield from (f"{run[name]:,} {name.replace('_', ' ')}" for name in counts if run[name])
    yield from (f"{gate} crossed" for gate in run["gates"])
    yield from (f"{word}: {named(names)}" for word, (_, *names) in run["notes"].items())
    if "history" in run:
        yield "the history before it was damaged"


def _moved(runs: Sequence[Mapping[str, Any]]) -> Iterator[list[object]]:
    """Yield why money moved: a row per run and reason, with the days that moved most."""
    for run in runs:
        reasons: dict[str, list[Mapping[str, Any]]] = {}
        for row in run.get("changes", ()):
            reasons.setdefault(f"prices {row['because']}" if row["because"] else row["reason"], []).append(row)
        for why, rows in reasons.items():
            rows.sort(key=lambda row: (-abs(Decimal(row["difference"])), row["day"]))
            days = [f"{row['day']} {signed_dollars(row['difference'])}" for row in rows]
            calls, difference = (sum(Decimal(row[name]) for row in rows) for name in ("calls", "difference"))
            yield [_when(run), why, f"{calls:,}", signed_dollars(str(difference)), named(days, 3)]


def _lines(found: Mapping[str, Any]) -> list[str]:
    days = [row for row in found["days"] if row["total_cost"] is not None and row["day"][0].isdigit()][-_DAYS:]
    lines = [""]
    if days and STDOUT.encoding.lower().startswith("utf"):
        span = f"{days[0]['day']} to {days[-1]['day']}"
        lines.append(f"cost by day   {_trend([Decimal(row['total_cost']) for row in days])}  {span}")
        lines.append(f"calls by day  {_trend([Decimal(row['calls']) for row in days])}")
    closed, quarantined = [*found["closed"]], found["quarantined"]
    lines.append(f"closed days: {named(closed) if closed else 'none'}")
    lines += [f"quarantined: {named(quarantined)}"] * bool(quarantined)
    lines += ["the history of the runs is damaged; the next one begins it anew"] * (found["history"] != "whole")
    return lines


def _trend(figures: Sequence[Decimal]) -> str:
    """Return figures as bars, the largest as high as a line.

    >>> _trend([Decimal(0), Decimal(4), Decimal(8)])
    '▁▅█'
    """
    most = max(figures) or Decimal(1)
    return "".join(_BARS[max(0, min(7, int(figure * 8 / most)))] for figure in figures)
