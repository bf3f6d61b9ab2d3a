"""`callcost agents`: what the coding agents on this machine used: a report over where they keep their logs.

Its groups are told apart by how calls are paid, too: of a plan, a call costs nothing by itself, and what it would have
cost at the API's prices stands beside what the plan was paid.
"""

from __future__ import annotations

import dataclasses
import os
from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from callcost.arguments import read_zone, unknown
from callcost.errors import ConfigError
from callcost.jobs.engine.map_reduce import Progress
from callcost.jobs.report import SpendReport, report_spend
from callcost.logs.agent_homes import homes_here, log_places
from callcost.logs.coding_agents import AGENTS
from callcost.logs.io.object_store import written_name
from callcost.logs.record.billing import PLAN
from callcost.runners.protocol import ignore_progress
from callcost.settings import ReportOptions
from callcost.stages.report.publish import plain_decimals
from callcost.stages.report.spend import merge_spend, sort_spend
from callcost.tables import EXACT, LAST_PLACE

BILLING, UNKNOWN = "billing", "unknown"
_DIALECT = "source_format"
_ZONE_FILES = (Path("/etc/localtime"), Path("/etc/timezone"))
_ZONES = "zoneinfo/"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan that calls of an agent are paid by.

    Attributes:
        name: as the user gave it.
        monthly_cost: US dollars a month.
        dialects: those of its agents' logs.
    """

    name: str
    monthly_cost: Decimal
    dialects: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpend:
    """What agents used.

    Attributes:
        spend: one row per group of ``by``; columns of these and of SpendMeasures.
        by: columns of the groups, ``billing`` among them.
        billing: one row per way of paying; columns ``billing`` and of SpendMeasures.
        plans: of each plan ``plan``, ``monthly_cost``, the days ``since`` and ``until`` (the last one) that are
            reported, ``paid_cost`` (its part of the months), ``calls`` and their ``total_cost`` at the API's prices.
        report: the report that all this is from.
    """

    spend: pl.DataFrame
    by: tuple[str, ...]
    billing: pl.DataFrame
    plans: list[dict[str, Any]]
    report: SpendReport


def find_places() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return where agents have logs on this machine, and all homes that were looked at: (agent, path) each."""
    homes = homes_here()
    found = [(home.agent.name, place) for home in homes for place in log_places(home)]
    return found, [(home.agent.name, home.path) for home in homes]


def local_zone() -> str | None:
    """Return the IANA name of this machine's time zone: TZ, or what the system's files say; None: nothing names it."""
    stated = os.environ.get("TZ")
    if stated is not None:
        return _zone_of(stated.removeprefix(":") or "UTC")
    link, text = _ZONE_FILES
    named = [str(link.resolve())] + ([text.read_text(encoding="utf-8", errors="replace")] if text.is_file() else [])
    return next(filter(None, map(_zone_of, named)), None)


def _zone_of(text: str) -> str | None:
    try:
        return read_zone(text.strip().rpartition(_ZONES)[2], "timezone")
    except ConfigError:
        return None


def read_plan(text: str) -> Plan:
    """Read NAME=USD, what a plan is paid a month; how its name begins says whose it is.

    Raises:
        ConfigError: it is no such thing, or no agent has plans of that name.
    """
    name, _, amount = text.partition("=")
    try:
        monthly = Decimal(amount.strip().removeprefix("$"))
    except InvalidOperation:
        monthly = Decimal(-1)
    if not name or not (monthly.is_finite() and 0 <= monthly < 10**9):
        raise ConfigError(f"plan: {text!r} is not NAME=USD", hint="Write what it costs a month, as claude-max=200")
    owners = [agent for agent in AGENTS if name.lower().startswith(agent.plans)]
    if not owners:
        raise unknown("plan: no agent has one called", name, sorted({word for agent in AGENTS for word in agent.plans}))
    return Plan(
        name=name, monthly_cost=monthly, dialects=frozenset(dialect for agent in owners for dialect in agent.dialects)
    )


def report_agents(
    options: ReportOptions,
    plans: Sequence[Plan] = (),
    *,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> AgentSpend:
    """Report on agents' logs, with how their calls are paid.

    Args:
        options: what to report; ``logs`` are the places of find_places.
        plans: what the user says of plans; calls of their agents are of a plan where the logs do not say how they are
            paid.
        progress: see report_spend.
        planned: see report_spend.

    Raises:
        CallcostError: see report_spend; two plans are of one agent.
    """
    dialects = [dialect for plan in plans for dialect in plan.dialects]
    if len({*dialects}) < len(dialects):
        names = " and ".join(plan.name for plan in plans)
        raise ConfigError(f"plan: {names} are of one agent", hint="Name one of them")
    groups = tuple(dict.fromkeys((*options.by, _DIALECT, BILLING)))
    report = report_spend(dataclasses.replace(options, by=groups), progress=progress, planned=planned)
    planned_too = pl.when(pl.col(_DIALECT).is_in(sorted(dialects))).then(pl.lit(PLAN))
    spend = report.spend.with_columns(pl.coalesce(BILLING, planned_too, pl.lit(UNKNOWN)).alias(BILLING))
    by = tuple(dict.fromkeys((*options.by, BILLING)))
    days = _days_of(options, report.manifest)
    return AgentSpend(
        spend=sort_spend(merge_spend([spend], by), by),
        by=by,
        billing=sort_spend(merge_spend([spend], (BILLING,)), (BILLING,)),
        plans=[_plan_row(plan, spend, days) for plan in plans],
        report=report,
    )


def _days_of(options: ReportOptions, manifest: Mapping[str, Any]) -> tuple[date, date] | None:
    """Return the first and the last day that are reported: those asked for, else those of the calls."""
    zone = ZoneInfo(options.timezone)
    first, last = (manifest[name] and datetime.fromisoformat(manifest[name]) for name in ("first_at", "last_at"))
    since, until = options.since or first, options.until - timedelta(microseconds=1) if options.until else last
    return (since.astimezone(zone).date(), until.astimezone(zone).date()) if since and until else None


def _plan_row(plan: Plan, spend: pl.DataFrame, days: tuple[date, date] | None) -> dict[str, Any]:
    rows = spend.filter(pl.col(_DIALECT).is_in(sorted(plan.dialects)) & (pl.col(BILLING) == PLAN))
    sums = merge_spend([rows], ()).row(0, named=True)
    since, until = days or (None, None)
    return {
        "plan": plan.name, "monthly_cost": plan.monthly_cost, "since": since, "until": until,
        "paid_cost": paid_for(plan.monthly_cost, since, until) if since and until else None,
        "calls": sums["calls"], "total_cost": sums["total_cost"],
    }  # fmt: skip


def paid_for(monthly: Decimal, since: date, until: date) -> Decimal:
    """Return what a plan was paid for some days, each a part of its month, to 18 digits.

    >>> paid_for(Decimal(60), date(2026, 11, 16), date(2026, 12, 31))
    Decimal('90.000000000000000000')
    """
    paid, day = Decimal(0), since
    while day <= until:
        length = monthrange(day.year, day.month)[1]
        last = min(until, day.replace(day=length))
        share = EXACT.divide(Decimal((last - day).days + 1), Decimal(length))
        paid = EXACT.add(paid, EXACT.multiply(monthly, share))
        day = last + timedelta(days=1)
    return EXACT.quantize(paid, LAST_PLACE)


def document_of(found: AgentSpend, options: ReportOptions, places: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return all that was found as one document for programs: every group, money as plain decimal text.

    Args:
        found: what report_agents returned.
        options: those that it was given.
        places: (agent, path) of the logs.
    """
    manifest = found.report.manifest
    names = ("records", "reject_reasons", "unpriced", "price_status", "undated_calls", "first_at", "last_at")
    return {
        "schema_version": 1,
        "callcost": manifest["callcost"],
        "host": options.read.host,
        "timezone": options.timezone,
        "since": options.since,
        "until": options.until,
        "by": found.by,
        "places": [{"agent": agent, "path": written_name(path)} for agent, path in places],
        "groups": _plain_rows(found.spend),
        "billing": _plain_rows(found.billing),
        "plans": _plain_rows(pl.DataFrame(found.plans, schema_overrides=_PLAN_MONEY)) if found.plans else [],
        "totals": manifest["totals"],
        **{name: manifest[name] for name in names},
    }


_PLAN_MONEY = dict.fromkeys(("monthly_cost", "paid_cost", "total_cost"), pl.Decimal(38, 18))


def _plain_rows(table: pl.DataFrame) -> list[dict[str, Any]]:
    return plain_decimals(table).to_dicts()
