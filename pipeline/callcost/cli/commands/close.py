"""`callcost close`: freeze a day of a nightly report."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from callcost.cli.click_types import PathType, Verb, WordType
from callcost.cli.options import price_options, report_options_of, storage_option
from callcost.cli.terminal.output import show
from callcost.logs.io.object_store import is_url
from callcost.settings import COST_SOURCES, StateOptions


def _known_folder(_context: click.Context, _option: click.Parameter, place: str) -> str:
    if not is_url(place) and not Path(place).is_dir():
        raise click.BadParameter(f"there is no folder {place!r}")
    return place


@click.command(cls=Verb)
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY")
@click.option("--state", required=True, metavar="DIR", type=PathType(file_okay=False), callback=_known_folder,
              help="The folder of the report's --state.")  # fmt: skip
@click.option("--restate", is_flag=True, help="Close a closed day anew, with what is known now.")
@click.option("--timezone", default="UTC", show_default=True, metavar="IANA", help="The report's time zone.")
@click.option("--cost-source", type=WordType(COST_SOURCES), default=COST_SOURCES[0], show_default=True,
              help="The report's cost source.")  # fmt: skip
@price_options
@storage_option
def close(day: datetime, **words: Any) -> int:
    """Freeze DAY (as 2026-11-20) with a digest of its calls.

    Later runs of the report leave its partition and its share of the spend as they are. What would change them, late
    records, corrected prices or a recount, is listed in adjustments.csv with the old cost, the new one and the
    difference. Only --restate rewrites a closed day.
    """
    from callcost.jobs.state.close import close_day  # noqa: PLC0415 - Polars loads when it runs

    options = report_options_of({**words, "logs": ()})
    done = close_day(day.date(), options, StateOptions(folder=words["state"], restate=words["restate"]))
    show(f"{done.closed.day} {'closed anew' if done.again else 'closed'}: sha256 {done.closed.sha256}")
    return 0
