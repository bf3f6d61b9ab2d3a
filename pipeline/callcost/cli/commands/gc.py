"""`callcost gc`: remove what nobody reads any more from a folder of work, and say how much that was."""

from __future__ import annotations

import click

from callcost.cli.click_types import PathType, Verb
from callcost.cli.options import hours, storage_option
from callcost.cli.terminal.output import say, show


@click.command(cls=Verb)
@click.argument("work_dir", metavar="WORK_DIR", type=PathType(file_okay=False))
@click.option("--older-than", default="24h", show_default=True, metavar="AGE", callback=hours,
              help="Only what is older than this, as 26h or 2d: a run may be at the rest.")  # fmt: skip
@click.option("--unfinished", is_flag=True, help="Also what unfinished runs would go on from.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@storage_option
def gc(work_dir: str, older_than: float, *, unfinished: bool, dry_run: bool) -> int:
    """Remove what runs left in WORK_DIR and nobody reads any more.

    That is what attempts left that were killed, or were second, and all files of runs whose report is published. A run
    that was not published is kept, so that its command can go on with it.
    """
    from callcost.jobs.gc import collect_garbage  # noqa: PLC0415 - Polars loads when it runs

    found = collect_garbage(work_dir, older_hours=older_than, unfinished=unfinished, dry_run=dry_run)
    if dry_run:
        show(*found.files)
    verb = "would be removed" if dry_run else "removed"
    say(f"{len(found.files):,} files, {found.bytes:,} bytes {verb}")
    return 0
