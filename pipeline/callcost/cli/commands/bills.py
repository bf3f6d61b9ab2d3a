"""`callcost bills`: fetch the bill that reconcile reads."""

from __future__ import annotations

import os
from datetime import date
from typing import TYPE_CHECKING

import click

from callcost.arguments import read_moment
from callcost.cli.click_types import PathType, VerbGroup, WordType
from callcost.cli.options import further, storage_option
from callcost.cli.terminal.events import counted
from callcost.cli.terminal.output import say
from callcost.errors import EXIT_UNFINISHED
from callcost.net.bill_reports import PROVIDERS

if TYPE_CHECKING:
    from callcost.net.bill_pull import Pulled

_NAMED = 3  # days that a line names


@click.group(cls=VerbGroup)
def bills() -> None:
    """Fetch the bills of providers, for reconcile."""


@bills.command()
@click.argument("provider", type=WordType(list(PROVIDERS)))
@click.option("--since", required=True, metavar="TIME",
              help="First day (UTC): an ISO date, a month as 2026-11, 7d, last-month.")
@click.option("--until", metavar="TIME", help="Day after the last.  [default: today, which is not over]")
@click.option("--out", required=True, metavar="DIR", type=PathType(file_okay=False),
              help="Folder of the bill: what `reconcile --bill` takes.")
@click.option("--key-file", metavar="FILE", type=PathType(exists=True, dir_okay=False),
              help="File that holds the admin key.  [default: OPENAI_ADMIN_KEY, ANTHROPIC_ADMIN_API_KEY or "
              "OPENROUTER_MANAGEMENT_KEY of the environment]")
@click.option("--quiet", is_flag=True, help="Say only what went wrong.")
@further("--url", metavar="URL", help="Of the provider's reports, for a gateway before it.")
@storage_option
def pull(
    provider: str, since: str, until: str | None, out: str, key_file: str | None, quiet: bool, url: str | None
) -> int:  # fmt: skip
    """Fetch the usage and cost reports of PROVIDER into DIR: days that are not there, or that may have changed.

    The key is one of an administrator; it goes to the provider alone, and never on a command line. Run it again at any
    time: it asks only for what is not final. Ends with 4 where a part is missing.
    """
    from callcost.net.bill_pull import pull_bills, read_key  # noqa: PLC0415 - httpx loads when it runs

    key = read_key(PROVIDERS[provider].variable, os.environ, key_file)
    end = None if until is None else read_moment(until, "until")
    pulled = pull_bills(provider, out, key, since=read_moment(since, "since"), until=end, address=url)
    say(*([] if quiet else lines_of(pulled, out)), *_alarms(pulled))
    return EXIT_UNFINISHED if pulled.missing else 0


def lines_of(pulled: Pulled, out: str) -> list[str]:
    """Return what a pull did: one line where nothing changed."""
    what = f"{pulled.provider}, {_days([pulled.first, pulled.last])}"
    new, restated = ({day for days in found.values() for day in days} for found in (pulled.new, pulled.restated))
    if not new and not restated:
        return [f"{what}: nothing changed"]
    parts = [counted(len(new), "new day")] * bool(new) + [counted(len(restated), "restated day")] * bool(restated)
    lines = [f"{what}: {', '.join(parts)}, in {out}"]
    lines += [f"restated: {report} of {_days(days)}" for report, days in pulled.restated.items() if days]
    lines += [
        f"{report}: keys are named from {day} on; days before it have usage of no key"
        for report, day in pulled.keys_since.items()
    ]
    lines += [f"{_days(pulled.open)} may still change: pull again"] * bool(pulled.open)
    return lines


def _alarms(pulled: Pulled) -> list[str]:
    kept = PROVIDERS[pulled.provider].history
    old = f"{counted(pulled.too_old, 'day')} left out: {pulled.provider} keeps the last {kept} days"
    missing = [f"{report} says nothing of {_days(days)}: pull again" for report, days in pulled.missing.items()]
    return [*[old] * bool(pulled.too_old), *missing]


def _days(days: list[date] | set[date]) -> str:
    """Return days in words: all of a few, else the first and the last."""
    ordered = sorted({*days})
    if len(ordered) > _NAMED or (len(ordered) == 2 and ordered[1].toordinal() - ordered[0].toordinal() > 1):
        return f"{ordered[0]} to {ordered[-1]}"
    return ", ".join(map(str, ordered))
