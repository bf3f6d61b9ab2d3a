"""What a job says of itself: one JSON event a line for machines, a few plain lines for people."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.cli.output import say_document

if TYPE_CHECKING:
    from pipeline.jobs.report import SpendReport
    from pipeline.settings import ReportOptions, StateOptions


_ALARMS = ("quarantined", "vanished")  # notes for which a run exits 4


class EventLog:
    """Events on stderr, or nothing.

    Args:
        form: "json" or "text"; text has the progress bar and the summary instead.
        run_id: None: a random one.
    """

    def __init__(self, form: str, run_id: str | None) -> None:
        self.is_json = form == "json"
        self.run_id = run_id or uuid.uuid4().hex
        self._started = time.monotonic()

    def tell(self, event: str, **fields: Any) -> None:
        """Write one event: its name, the run, the seconds since the start, and what happened."""
        if self.is_json:
            seconds = round(time.monotonic() - self._started, 3)
            line = {"event": event, "run_id": self.run_id, "seconds": seconds, **fields}
            say_document(json.dumps(line, ensure_ascii=False))

    def tell_end(self, result: SpendReport) -> None:
        """Write the last event: the exit code, what it is about, and the totals."""
        records, totals = result.manifest["records"], result.manifest["totals"]
        self.tell(
            "done", exit_code=result.exit_code, records=records, total_cost=totals["total_cost"],
            crossed=[gate["gate"] for gate in _crossed_gates(result.manifest)],
            notes=result.manifest["run"].get("notes", {}),
        )  # fmt: skip


def plan_lines(options: ReportOptions, state: StateOptions) -> list[str]:
    """Return what a run would read and replace, for people."""
    from pipeline.jobs.plan import plan_report  # noqa: PLC0415 - Polars loads when it runs

    plan = plan_report(options, state)
    size = sum(read for _, read in plan.read)
    lines = [f"read {len(plan.read):,} inputs, {size:,} bytes; {plan.known:,} are known"]
    lines += [f"  {read:>15,}  {name}" for name, read in plan.read]
    if plan.days:
        lines.append(f"replace at least {', '.join(plan.days)}")
    lines.append(f"prices up to {plan.prices}" + ("; stored calls are priced again" if plan.repriced else ""))
    return lines


def state_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return what this run did beside the report, for people."""
    run = manifest["run"]
    lines = [f"{run['inputs_read']:,} inputs read, {run['inputs_known']:,} known"]
    for words, days in (("replaced", run["days_replaced"]), ("added", run["days_added"])):
        if days:
            named = ", ".join(days[:5]) + (f" and {len(days) - 5:,} more" if len(days) > 5 else "")
            lines.append(f"{words}: {named}")
    if run["late_calls"]:
        lines.append(f"{run['late_calls']:,} late calls")
    notes = sorted((word, names) for word, names in run["notes"].items() if word not in _ALARMS)
    lines += [f"{word}: {', '.join(names)}" for word, names in notes]
    for row in manifest.get("adjustments", []):
        lines.append(f"{row['day']} is closed: {row['difference']} dollars of {row['reason']} not in it (--restate)")
    return lines


def alarm_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return what an exit code is about, for people: it is said however quiet the rest is to be."""
    notes = manifest["run"].get("notes", {})
    lines = [f"{word}: {', '.join(notes[word])}" for word in _ALARMS if word in notes]
    return lines + [
        f"{gate['gate']} crossed: {gate['found']:g}, limit {gate['limit']:g}" for gate in _crossed_gates(manifest)
    ]


def _crossed_gates(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [gate for gate in [*manifest["gates"], *manifest["run"].get("gates", [])] if gate["crossed"]]
