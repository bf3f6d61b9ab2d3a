"""`callcost close`: freeze a day of a report that remembers; later runs say what would change it, and do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date
from typing import Any

from callcost.errors import ConfigError, RunError
from callcost.jobs.engine.fingerprint import prices_of
from callcost.jobs.engine.manifest import RunClock
from callcost.jobs.report import settle_options
from callcost.jobs.state.closed_days import ClosedDay, closed_days, remember_day
from callcost.jobs.state.fixed_ratios import fixed_ratios
from callcost.jobs.state.intake import settle_lost
from callcost.jobs.state.state_folder import open_state
from callcost.logs.io.temporary import temporary_folder
from callcost.settings import ReportOptions, StateOptions
from callcost.stages.tables.facts import layout_of_facts


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What closing came to.

    Attributes:
        closed: the day with its digest.
        again: whether it was closed before.
    """

    closed: ClosedDay
    again: bool


def close_day(day: date, options: ReportOptions, state: StateOptions) -> Closing:
    """Freeze a day as it is reported now.

    Args:
        day: date in the report's time zone.
        options: of the report: time zone, prices and cost source are those it is frozen with.
        state: the folder; with ``restate`` a closed day is closed anew.

    Raises:
        ConfigError: no call of the day was read, nothing was published yet, the report was published with other prices
            or in another time zone, or the day is closed.
        RunError: another run has the folder, or something in it is damaged or of another callcost.
    """
    options = settle_options(dataclasses.replace(options, logs=(state.folder,)))  # it has what the logs had
    with open_state(state, RunClock()) as ledger:
        settle_lost(ledger, rebuild=False)  # a day is closed with all its calls
        if any(entry.layout != layout_of_facts() for entry in ledger.entries.values()):
            message = f"another callcost read logs of {ledger.folder.place}"
            raise RunError(message, hint="Run the report first: it brings them up to date")
        known = closed_days(ledger)
        if day in known and not state.restate:
            raise ConfigError(f"{day} was closed at {known[day].closed_at}", hint="--restate closes it anew")
        if str(day) not in ledger.published.get("days", {}):
            raise ConfigError(f"no call of {day} was published", hint="Run the report with this --state first")
        _check_published_alike(ledger.published, options)
        with temporary_folder(ledger.folder.path) as work:
            return Closing(closed=remember_day(ledger, day, options, work, fixed_ratios(ledger)), again=day in known)


def _check_published_alike(published: Mapping[str, Any], options: ReportOptions) -> None:
    """Refuse to freeze other figures than those that people have seen.

    Raises:
        ConfigError: the report was published with other prices, or in another time zone.
    """
    given = {"prices": prices_of(options), "timezone": options.timezone, "cost_source": options.cost_source}
    other = [f"--{name.replace('_', '-')}" for name, value in given.items() if published.get(name, value) != value]
    if other:
        message = f"the report was published with other {' and '.join(other)}"
        raise ConfigError(message, hint="Give those of the report; where they are meant to change, run it first")
