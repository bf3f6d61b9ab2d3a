"""Nothing is published that does not add up: every record of every input is exactly one thing, and so in total."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from callcost.errors import RunError
from callcost.jobs.engine.manifest import FATES


def check_conservation(
    manifest: dict[str, Any], rejects: int, spend: pl.DataFrame, closed: Mapping[str, int]
) -> None:
    """Compare what was read with what came of it.

    Args:
        manifest: record of the run.
        rejects: rows of the table of rejects.
        spend: table of spend.
        closed: how many calls of closed days were "read", and in their place are "published".

    Raises:
        RunError: something does not add up; nothing is to be published.
    """
    records = manifest["records"]
    for line in (*manifest["inputs"], {"path": "all inputs", **records}):
        parts = {fate: line[fate] for fate in FATES}
        if min(parts.values()) < 0 or sum(parts.values()) != line["records"]:
            _refuse(f"{line['records']:,} records of {line['path']}", str(parts))
    if rejects != records["rejects"]:
        _refuse(f"{records['rejects']:,} rejects", f"{rejects:,} in the table of rejects")
    calls = int(spend["calls"].sum())
    expected = records["calls"] + closed["published"] - closed["read"]
    if calls != expected:
        _refuse(f"{expected:,} calls", f"{calls:,} in the sums")


def _refuse(what: str, other: str) -> None:
    message = f"what was read does not add up: {what}, {other}"
    hint = "Nothing was published. Begin a new --state folder from the logs; a report of this is welcome"
    raise RunError(message, hint=hint)
