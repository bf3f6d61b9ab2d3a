"""`callcost agents`: what the coding agents on this machine used, from where they keep their logs."""

from __future__ import annotations

import dataclasses
import platform
from typing import TYPE_CHECKING, Any

import click

from callcost.cli import options as shared
from callcost.cli.click_types import Verb
from callcost.cli.terminal.events import alarm_lines, counted
from callcost.cli.terminal.output import say
from callcost.errors import EXIT_FAILED
from callcost.readable import dollars

if TYPE_CHECKING:
    from callcost.jobs.analysis.agents import AgentSpend
    from callcost.settings import ReportOptions

_EQUIVALENT = "API-equivalent"
_NO_ZONE = "nothing names this machine's time zone: days are those of UTC"
_WORDS = {  # how calls are paid -> how their cost is called
    "api": "",
    "plan": f" {_EQUIVALENT}",
    "credits": f" {_EQUIVALENT}",
    "unknown": f" at API prices: {_EQUIVALENT}, if the account is a plan (--plan NAME=USD says so)",
}


@click.command(cls=Verb)
@click.option("--since", metavar="TIME", help="Only calls from then on: an ISO date or time, 7d, today, this-month ...")
@click.option("--until", metavar="TIME", help="Only calls made before then.")
@click.option("--timezone", metavar="IANA", help="Zone of days and of --since and --until.  [default: the machine's]")
@click.option("--by", default="day,model", show_default=True, metavar="LIST",
              help="Group by project, session, branch, agent, host, or any column of report --by.")  # fmt: skip
@click.option("--where", multiple=True, metavar="COLUMN=VALUE",
              help="Only calls whose column matches (globs). Repeatable.")  # fmt: skip
@click.option("--plan", "plans", multiple=True, metavar="NAME=USD",
              help="What a plan is paid a month, as claude-max=200; shown beside what its calls would have cost. "
              "Repeatable.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One document with every group, for programs.")
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="Rows of the table.")
@click.option("--host", metavar="NAME", help="What this machine is called in the column host.  [default: its name]")
@shared.price_options
@shared.work_options
def agents(**words: Any) -> int:
    """Say what coding agents on this machine used, by day and model.

    Reads the transcripts of Claude Code, Codex, Gemini CLI, OpenCode, Copilot CLI, Cursor and others where these keep
    them, and nothing else of theirs: no settings, no credentials. Groups are also told apart by how calls are paid, as
    far as the logs say: by use (api), by a plan, with credits, or unknown. Of a plan the cost is API-equivalent: what
    its calls would have cost at the API's prices.
    """
    from callcost.cli.terminal.summary import watched  # noqa: PLC0415 - loads rich and Polars
    from callcost.jobs.analysis.agents import document_of, find_places, local_zone, read_plan, report_agents  # noqa: PLC0415

    plans = [read_plan(text) for text in words.pop("plans")]
    places, looked_at = find_places()
    if not places:
        say("callcost: no logs of coding agents here. Looked at:", *_places_by_agent(looked_at))
        return EXIT_FAILED
    zone = words["timezone"] or local_zone()
    words |= {"timezone": zone or "UTC", "host": words["host"] or platform.node() or None}
    options = shared.report_options_of(words | {"logs": tuple(path for _, path in places)})
    found = watched(report_agents, options, plans, quiet=words["quiet"])
    if words["as_json"]:
        from callcost.cli.terminal.listing import show_json  # noqa: PLC0415 - loads rich

        show_json(document_of(found, options, places))
    else:
        _show(found, options, words["top"], quiet=words["quiet"])
        say(*[_NO_ZONE] * (not zone and not words["quiet"]))
    say(*alarm_lines(found.report.manifest))
    if not found.report.manifest["records"]["calls"]:
        say("read:", *_places_by_agent(places))
    return found.report.exit_code


def _show(found: AgentSpend, options: ReportOptions, top: int, *, quiet: bool) -> None:
    """Print the table on stdout, and below it, on stderr, what its costs mean."""
    from callcost.cli.terminal.spend_table import show_table, shown  # noqa: PLC0415 - loads rich and Polars
    from callcost.cli.terminal.summary import summary_lines  # noqa: PLC0415

    manifest = found.report.manifest
    left = show_table(found.spend, dataclasses.replace(options, by=found.by), manifest["totals"], top)
    if quiet:
        return
    lines = [f"{counted(left, 'more group')}; --top shows more"] * (left > 0)
    manifest |= {"run": manifest["run"] | {"skipped": ()}}  # what lies beside transcripts in a home is no news
    title, *rest = summary_lines(manifest, options)
    lines.append(title)
    for row in found.billing.to_dicts():
        cost = shown("total_cost", row["total_cost"]) if row["total_cost"] is not None else "no cost"
        lines.append(f"{row['billing']}: {counted(row['calls'], 'call')}, {cost}{_WORDS[row['billing']]}")
    for plan in found.plans:
        cost = dollars(plan["total_cost"]) if plan["total_cost"] is not None else "no known cost"
        days = f"for {plan['since']} to {plan['until']}"
        paid = "" if plan["paid_cost"] is None else f", {dollars(plan['paid_cost'])} {days}"
        calls = f"its {counted(plan['calls'], 'call')}: {cost} {_EQUIVALENT}"
        lines.append(f"{plan['plan']}: {dollars(plan['monthly_cost'])} a month{paid}; {calls}")
    say(*lines, *rest)


def _places_by_agent(places: list[tuple[str, str]]) -> list[str]:
    """Return a line for each agent: its places."""
    found: dict[str, list[str]] = {}
    for agent, path in places:
        found.setdefault(agent, []).append(path)
    return [f"  {agent}: {', '.join(paths)}" for agent, paths in found.items()]
