"""What a job says of itself: one JSON event a line for machines, a few plain lines for people."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from callcost.cli.terminal.output import say, say_document
from callcost.errors import EXIT_INTERRUPTED, EXIT_USAGE, CallcostError
from callcost.readable import named
from callcost.settings import MOST_NAMED

if TYPE_CHECKING:
    from callcost.jobs.report import SpendReport
    from callcost.settings import ReportOptions, StateOptions


_ALARMS = ("quarantined", "vanished")  # notes for which a run exits 4
_SHOWN_NAMES = 5  # of days, logs and the like that a line names
# What became of records, if there is no call at all.
_FATES = {"rejects": "rejected", "context": "context", "fragments": "fragments", "filtered": "filtered"}
_SHARES = {  # gate -> what is a share, and of what
    "--max-unpriced": ("unpriced", "calls"),
    "--max-rejected": ("rejected", "records"),
    "--max-late": ("late", "new calls"),
}
_RESUMED = "what was done is kept, and the same command goes on from there"
RESUME = "nothing is half published, run the same command again"


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

    def warn(self, problem: str) -> None:
        """Write what could not be done, and is no reason to fail."""
        if self.is_json:
            self.tell("warning", text=problem)
        else:
            say(f"callcost: {problem}")

    def tell_end(self, result: SpendReport, summary: Sequence[str]) -> None:
        """Write the last event: the exit code, what it is about, the totals, and the summary that people get."""
        manifest = result.manifest
        self.tell(
            "done", exit_code=result.exit_code, records=manifest["records"],
            calls=manifest["totals"]["calls"] or 0, total_cost=manifest["totals"]["total_cost"],
            **{name: manifest[name] for name in ("first_at", "last_at", "filtered_by", "reject_reasons")},
            crossed=[gate["gate"] for gate in crossed_gates(manifest)], notes=manifest["run"].get("notes", {}),
            summary=[*summary, *alarm_lines(manifest)],
        )  # fmt: skip

    @contextmanager
    def telling_failures(self, *, keeps: bool) -> Iterator[None]:
        """Say what ended the run: as an event, where these are all that is written.

        Args:
            keeps: whether what was done is kept for the next run.

        Raises:
            click.exceptions.Exit: the failure is written; it has the code to end with.
        """
        try:
            yield
        except (CallcostError, click.ClickException) as error:
            if not self.is_json:
                raise
            if isinstance(error, CallcostError):
                code, text, hint = error.exit_code, error.message, error.hint
            else:
                code, text, hint = EXIT_USAGE, error.format_message(), ""
            self.tell("failed", exit_code=code, error=text, hint=hint)
            raise click.exceptions.Exit(code) from error
        except KeyboardInterrupt as interrupt:
            hint = _RESUMED if keeps else RESUME
            if self.is_json:
                self.tell("interrupted", exit_code=EXIT_INTERRUPTED, hint=hint)
            else:
                say(interrupted_line(interrupt, hint))
            raise click.exceptions.Exit(EXIT_INTERRUPTED) from None


def interrupted_line(interrupt: BaseException | None, hint: str) -> str:
    """Return what a command says that a signal ended: which, where it was not Ctrl-C, and what to do next."""
    by = f" by {interrupt.args[0]}" if interrupt is not None and interrupt.args else ""
    return f"callcost: interrupted{by}; {hint}"


def plan_lines(options: ReportOptions, state: StateOptions) -> list[str]:
    """Return what a run would read and replace, for people."""
    from callcost.jobs.state.plan import plan_report  # noqa: PLC0415 - Polars loads when it runs

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
    from callcost.jobs.state.state_folder import restated_lines  # noqa: PLC0415 - Polars loads when it runs

    run = manifest["run"]
    lines = [f"{counted(run['inputs_read'], 'input')} read, {run['inputs_known']:,} known"]
    for words in ("replaced", "removed", "added"):
        days = run[f"days_{words}"]
        if days:
            lines.append(f"{words}: {named(days)}")
    if run["late_calls"]:
        lines.append(counted(run["late_calls"], "late call"))
    if run.get("dropped"):
        lines.append(f"left out, since they are damaged: {named(run['dropped'])}")
    notes = sorted((word, names) for word, names in run["notes"].items() if word not in _ALARMS)
    lines += [f"{word}: {named(names)}" for word, names in notes]
    lines += restated_lines(run["day_changes"])
    adjustments = manifest.get("adjustments", [])
    for row in adjustments[:_SHOWN_NAMES]:
        what = f"{row['difference']} dollars of {row['reason']}{_cause_of(row)}"
        lines.append(f"{row['day']} is closed: {what} not in it (--restate)")
    more = len(adjustments) - _SHOWN_NAMES
    return lines + [f"{more:,} more differences of closed days: see adjustments.csv"] * (more > 0)


def _cause_of(row: Mapping[str, Any]) -> str:
    """Return what says another price of a closed day; "": nobody knows."""
    if not row["source"]:
        return ""
    since = f" since {row['effective_from'].replace('T00:00:00Z', '')}" if row["effective_from"] else ""
    return f" ({' '.join(filter(None, (row['model'], row['field'])))}{since}: {row['source']})"


def alarm_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return why a run ends with another code than 0, for people; these lines are printed with --quiet, too."""
    from callcost.jobs.engine.manifest import has_calls  # noqa: PLC0415 - Polars loads when it runs

    notes = manifest["run"].get("notes", {})
    lines = [f"{word}: {named(notes[word])}" for word in _ALARMS if word in notes]
    if not has_calls(manifest):
        lines.append(no_call_line(manifest["inputs"], manifest["reject_reasons"]))
    return lines + gate_lines(manifest)


def no_call_line(inputs: Sequence[Mapping[str, Any]], reasons: Sequence[Mapping[str, Any]]) -> str:
    """Return why there is no call at all.

    Args:
        inputs: rows of the manifest, one per input: what became of its records.
        reasons: reasons of the rejects, the commonest first.
    """
    records, *fates = (sum(row[name] for row in inputs) for name in ("records", *_FATES))
    parts = [counted(records, "record") + (f" in {counted(len(inputs), 'file')}" if not records else "")]
    for count, (name, word) in zip(fates, _FATES.items(), strict=True):
        why = f" ({reason_words(reasons)})" if name == "rejects" else ""
        parts += [f"{count:,} {word}{why}"] * (count > 0)
    first = [f"first {reasons[0]['first']}"] if reasons else []
    return f"no call at all: {', '.join([*parts, *first])}"


def counted(count: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "call"), counted(2000, "call")
    ('1 call', '2,000 calls')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def reason_words(reasons: Sequence[Mapping[str, Any]], *, places: bool = False) -> str:
    """Return the commonest reasons of rejects with their number, and with a place each where that is wanted."""
    named = [
        f"{row['reason']} {row['records']:,}" + (f" (first: {row['first']})" if places else "")
        for row in reasons[:MOST_NAMED]
    ]
    more = [f"and {counted(len(reasons) - MOST_NAMED, 'more reason')}"] if len(reasons) > MOST_NAMED else []
    return ", ".join([*named, *more])


def gate_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return a line for each gate that was crossed: what was found and what the limit is, with their units."""
    gates = crossed_gates(manifest)
    budgets = [gate["gate"] for gate in gates if gate["gate"].startswith("--budget")]
    left_out, more = set(budgets[_SHOWN_NAMES:]), len(budgets) - _SHOWN_NAMES
    lines = [f"{gate['gate']} crossed: {_gate_words(gate)}" for gate in gates if gate["gate"] not in left_out]
    return lines + [f"--budget crossed: {more:,} more, see manifest.json"] * (more > 0)


def crossed_gates(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the gates of the input and of the run that were crossed."""
    return [gate for gate in [*manifest["gates"], *manifest["run"].get("gates", [])] if gate["crossed"]]


def _gate_words(gate: Mapping[str, Any]) -> str:
    name, found, limit = gate["gate"], gate["found"], gate["limit"]
    if name in _SHARES:
        word, whole = _SHARES[name]
        share = f"{word} {_percent(found, limit)} % of {whole} ({gate['part']:,} of {gate['whole']:,})"
        return f"{share}, limit {limit:g} %"
    if name == "--fresh-within":
        if found is None:
            return f"no call has a time, limit {limit:g} h"
        newest = datetime.fromisoformat(gate["newest_at"])
        return f"newest call {newest.astimezone(UTC):%Y-%m-%d %H:%MZ}, {found:.0f} h old, limit {limit:g} h"
    if isinstance(limit, str) and "unit" not in gate:
        spent, most = Decimal(found), Decimal(limit)
        shown = next((cut for places in (2, 6) if (cut := round(spent, places)) > most), spent)
        return f"spent ${shown:,f} of ${most:,f}"
    if name.startswith("--strict"):
        return f"{found:,}, limit {limit:g}"
    return f"difference {found} {gate['unit']}, limit {limit}"


def _percent(found: float, limit: float) -> str:
    """Return a share with as many digits as show that it is more than its limit."""
    rounded = (Decimal(f"{found:.{digits}g}") for digits in (2, 3, 6))
    return f"{next((share for share in rounded if share > Decimal(limit)), Decimal(found)):f}"

