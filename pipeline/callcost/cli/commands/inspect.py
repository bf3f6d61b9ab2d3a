"""`callcost inspect`: one screen on what is in the logs."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from callcost.cli.click_types import PathType, Verb
from callcost.cli.options import form_option, logs_argument, read_options, report_options_of, work_options
from callcost.cli.terminal.events import no_call_line
from callcost.cli.terminal.listing import show_rows, skipped_lines
from callcost.cli.terminal.output import say, show, show_document

if TYPE_CHECKING:
    from callcost.jobs.inspect import Inspection

_SHOWN_ROWS = 12
_CAUSES = {
    "same_id": "same id and request, in the same file",
    "same_id_elsewhere": "same id and request, in another file",
    "same_bytes": "equal record without an id, with a time below the second",
    "same_row_elsewhere": "equal record without an id or a time below the second, in another file",
    "nested": "made around or inside another call that has its usage",
    "replayed": "copied from the session that its own was forked from",
}
_FIGURES = ("calls", "exact", "median error", "90 % within", "error of the sum")


@click.command(cls=Verb)
@logs_argument
@read_options
@click.option("--calibrate", is_flag=True,
              help="Count the calls that state their tokens, too, and say how far off our counts are, per model.")
@click.option("--write", metavar="FILE", type=PathType(dir_okay=False),
              help="With --calibrate: keep what reasoning takes, per kind of call, for report --calibration.")
@form_option
@click.option("--infer-mapping", is_flag=True, help="Draft a mapping file for records of no dialect, to stdout.")
@work_options  # fmt: skip
def inspect(**words: Any) -> int:
    """Say what is in LOGS: dialects, calls, dates, models, usage missing, duplicates, rejects. Prices nothing."""
    if words["write"] and not words["calibrate"]:
        raise click.UsageError("--write goes with --calibrate.")
    if words.pop("infer_mapping"):
        return _draft(words["logs"])
    from callcost.cli.terminal.summary import watched  # noqa: PLC0415 - rich and Polars load when it runs
    from callcost.jobs.inspect import inspect_logs  # noqa: PLC0415

    options = report_options_of({**words, "by": "model"})
    found = watched(inspect_logs, options, calibrate=words["calibrate"], write=words["write"], quiet=words["quiet"])
    if words["form"] == "json":
        show_document(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        show(*screen_of(found))
        _show_counting(found.counting)
        _show_reasoning(found.reasoning)
    if any(row["calls"] for row in found.inputs):
        return 0
    say(no_call_line(found.inputs, _reasons_of(found)))
    return 1


def _draft(logs: tuple[str, ...]) -> int:
    from callcost.jobs.infer_mapping import draft_for  # noqa: PLC0415

    draft = draft_for(logs)
    show_document(draft.text)
    if not draft.complete:
        say("no field looks like the name of a model: write it into the draft")
    return 0 if draft.complete else 1


def screen_of(found: Inspection) -> list[str]:
    """Return the lines of one screen."""
    sums = {name: sum(row[name] for row in found.inputs) for name in found.inputs[0] if name not in {"path", "sha256"}}
    parts = ("calls", "duplicates", "rejects", "context", "fragments")
    fates = ", ".join(f"{sums[name]:,} {name}" for name in parts if sums[name])
    days = list(found.days)
    lines = [
        f"{len(found.inputs):,} files, {sums['bytes']:,} bytes, {sums['records']:,} records: {fates}",
        f"from {days[0]} to {days[-1]}" if days else "no call has a time",
    ]
    if found.undated and days:
        lines[1] += f"; {found.undated:,} calls without a time"
    lines += skipped_lines(found.skipped)
    for title, counts in (
        ("dialects", found.dialects),
        ("models", found.models),
        ("usage", found.usage),
        ("flags", found.flags),
        ("unread usage keys", found.unread_usage),
        ("duplicates", {_CAUSES.get(cause, cause): count for cause, count in found.duplicates.items()}),
        ("ids with different requests, kept apart", {_named(row): row["calls"] for row in found.conflicts}),
        ("rejects", {f"{row['reason']} (first: {row['first']})": row["records"] for row in _reasons_of(found)}),
    ):
        lines += _block(title, counts)
    return lines + _vocabulary_lines(found.vocabularies)


def _vocabulary_lines(needs: list[dict[str, Any]]) -> list[str]:
    """Say what counts would gain by vocabularies that are not installed."""
    lines = []
    for need in needs:
        now, then = (_worth(need[f"exact_{time}"], need[f"error_{time}"]) for time in ("now", "then"))
        lines.append(f"  {need['vocabulary']}  {need['calls']:,} calls: {now} without it, {then} with it")
    return ["", "vocabularies to install (callcost tokens install --for LOGS)", *lines] if lines else []


def _worth(exact: float | None, error: float | None) -> str:
    if exact is None or error is None:
        return "unknown"
    return f"{exact:.0%} of counts exact, 90 % within {error:.0%}"


def _reasons_of(found: Inspection) -> list[dict[str, Any]]:
    return [
        {"reason": reason, "records": count, "first": found.first_rejects[reason]}
        for reason, count in found.rejects.items()
    ]


def _named(conflict: dict[str, Any]) -> str:
    return f"{conflict['id']} (first: {conflict['first']})"


def _show_counting(rows: list[dict[str, Any]] | None) -> None:
    """Print how far our counts are from the stated ones."""
    if rows is None:
        return
    show("", "counted here, against what the calls state")
    if not rows:
        show("  no call has both its text and its tokens")
        return
    show_rows(
        ("model", "side", *_FIGURES),
        ([row["model"], row["side"].removesuffix("_tokens"), *_figures(row)] for row in rows),
        numbers=_FIGURES,
    )


def _show_reasoning(rows: list[dict[str, Any]] | None) -> None:
    """Print what reasoning takes, where enough calls state it."""
    if rows:
        show("", "reasoning tokens a call, as calls state them; nine of ten calls are within the range")
        figures = ("mean", "low", "high")
        shown = ([row["model"], row["endpoint"] or "", *(f"{row[name]:,}" for name in figures)] for row in rows)
        show_rows(("model", "endpoint", *figures), shown, numbers=figures)


def _figures(row: dict[str, Any]) -> list[str]:
    exact, median, p90, total = (f"{100 * row[name]:.1f} %" for name in ("exact", "median", "p90", "sum"))
    return [f"{row['calls']:,}", exact, median, p90, total if total.startswith("-") else f"+{total}"]


def _block(title: str, counts: dict[str, int]) -> list[str]:
    if not counts:
        return []
    rows = [f"  {count:>10,}  {name}" for name, count in list(counts.items())[:_SHOWN_ROWS]]
    more = len(counts) - _SHOWN_ROWS
    return ["", title, *rows, *([f"  {'':>10}  and {more:,} more"] if more > 0 else [])]
