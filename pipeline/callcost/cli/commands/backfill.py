"""`callcost backfill`: write the same logs again, and print a line on what was added to each."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
from msgspec import to_builtins

from callcost.cli.click_types import PathType, Verb
from callcost.cli.options import (
    form_option,
    logs_argument,
    price_options,
    read_options,
    report_options_of,
    work_options,
)
from callcost.cli.terminal.events import counted
from callcost.cli.terminal.listing import skipped_lines
from callcost.cli.terminal.output import say, show, show_document
from callcost.readable import dollars

if TYPE_CHECKING:
    from callcost.jobs.backfill import BackfillReport


@click.command(cls=Verb)
@logs_argument
@click.option("--out", metavar="DIR", type=PathType(file_okay=False), help="Folder for the filled logs.")
@click.option("--dry-run", is_flag=True, help="Write nothing; say how many records, tokens and dollars would be added.")
@form_option
@read_options
@price_options
@work_options
def backfill(**words: Any) -> int:
    """Write LOGS again with the usage and cost that they lack.

    The same records in the same order, dialect and compression. What is stated stays byte for byte; what is added is
    named in the record's `callcost` object, so that the filled logs report the same totals.
    """
    from callcost.cli.terminal.summary import shorten, watched  # noqa: PLC0415 - rich and Polars load when it runs
    from callcost.jobs.backfill import backfill_usage  # noqa: PLC0415

    if words["out"] is None and not words["dry_run"]:
        raise click.UsageError("Give --out DIR, or --dry-run to see what would be added.")
    options = report_options_of({**words, "by": "model"})
    found = watched(backfill_usage, options, dry_run=words["dry_run"], quiet=words["quiet"])
    if words["form"] == "json":
        show_document(json.dumps({"inputs": found.inputs, "totals": found.totals}, indent=2))
    elif not words["quiet"]:
        lines = lines_of(found, dry_run=words["dry_run"], out=words["out"])
        show(*lines) if words["dry_run"] else say(*shorten(lines[:-2], lines[-2:]))
    if not all(row["left_out"] for row in found.inputs):
        return 0
    first = found.inputs[0]
    say(f"no log can be read: {counted(len(found.inputs), 'log')}, first {first['path']}: {first['left_out']}")
    return 1


def lines_of(found: BackfillReport, *, dry_run: bool, out: str | None) -> list[str]:
    """Return what was added, or would be, a line per log that lacks something, one for all, and where it is."""
    lines = skipped_lines(to_builtins(found.skipped))
    lines += [
        f"{row['path']}: {words}: {row[name]}"
        for name, words in (("kept", "copied as it is"), ("left_out", "left out, it cannot be read"))
        for row in found.inputs
        if row[name]
    ]
    for row in [*(row for row in found.inputs if row["records"] or row["left"]), {"path": "in all", **found.totals}]:
        tokens = row["prompt_tokens"] + row["completion_tokens"]
        line = (
            f"{row['path']}: {row['records']:,} records, {row['usage']:,} with usage ({tokens:,} tokens), "
            f"{row['cost']:,} with cost ({dollars(Decimal(row['added_cost']))})"
        )
        lines.append(line + (f", {row['left']:,} left as they are" if row["left"] else ""))
    return [*lines, "nothing was written" if dry_run else f"all else is as it was; filled logs in {out}"]
