"""`callcost report --state --plan`: what a run would read and replace; nothing is read or written."""

from __future__ import annotations

import dataclasses

import polars as pl

from callcost.jobs.engine.fingerprint import prices_of
from callcost.jobs.engine.manifest import RunClock
from callcost.jobs.state.intake import plan_intake
from callcost.jobs.state.log_rotation import latest_of
from callcost.jobs.state.report import settle_state
from callcost.jobs.state.state_folder import open_state
from callcost.logs.io.temporary import temporary_folder
from callcost.settings import ReportOptions, StateOptions
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.days import plain_day
from callcost.stages.tables.facts import scan_facts


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would do.

    Attributes:
        read: inputs that are new or changed, with their bytes.
        known: inputs that are not read again.
        days: days of the calls of changed inputs, as read last; these are replaced.
        prices: the newest price version.
        repriced: whether the stored calls would be priced again.
    """

    read: list[tuple[str, int]]
    known: int
    days: list[str]
    prices: str
    repriced: bool


def plan_report(options: ReportOptions, state: StateOptions) -> Plan:
    """Say what a run would read and replace, and do none of it.

    Raises:
        CallcostError: see report_incremental.
    """
    options = settle_state(options)
    with open_state(state, RunClock()) as ledger:
        intake = plan_intake(ledger, options, state.forget)
        latest = latest_of(ledger)
        changed = [latest[stamp.path] for _, stamp in intake.fresh if stamp.path in latest]
        with temporary_folder(ledger.folder.path) as work:
            facts = scan_facts(ledger.local_files(changed, work, "facts"))
            days = facts.select(pl.col("started_at").dt.convert_time_zone(options.timezone)).collect()
        return Plan(
            read=[(source.name, stamp.bytes) for source, stamp in intake.fresh],
            known=len(intake.found) - len(intake.fresh),
            days=sorted({plain_day(day) for day in days.to_series().dt.date().unique()}),
            prices=book_of(options.prices).catalog.newest.name,
            repriced=bool(ledger.published) and ledger.published.get("prices") != prices_of(options),
        )
