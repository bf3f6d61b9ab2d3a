"""What stands for hidden reasoning on the days that a state has published: fixed when a day is first published.

So a day does not move with every call that the log states later. A closed day stays as it was closed, whatever the log
tells now; what it would come to now is among its adjustments.
"""

from __future__ import annotations

import io
from datetime import date

import polars as pl

from callcost.jobs.engine.map_reduce import Settled
from callcost.runners.entries import digest_of_bytes
from callcost.runners.ledger import Ledger
from callcost.stages.count.hidden_reasoning import RATIOS, Ratios
from callcost.stages.report.publish import parquet_bytes
from callcost.stages.report.spend import group_column
from callcost.stages.tables.facts import read_tables
from callcost.tables import FROM_LOG

_KEY = "reasoning"  # of what the ledger has published: the digest of the ratios; the folder of their file


def _name(sha256: str) -> str:
    return f"{_KEY}/{sha256[:16]}.parquet"


def fixed_ratios(ledger: Ledger) -> Ratios:
    """Return the rows of RATIOS of the days that are published and not closed; none where they are damaged or older."""
    sha256 = ledger.published.get(_KEY, "")
    data = ledger.folder.read(_name(sha256)) if sha256 else None
    if data is None or digest_of_bytes(data) != sha256:
        return ()
    kept = pl.read_parquet(io.BytesIO(data))
    closed = [date.fromisoformat(day) for day in ledger.closed]
    return tuple(kept.filter(~pl.col("day").is_in(closed)).rows()) if kept.schema == pl.Schema(RATIOS) else ()


def fix_ratios(ledger: Ledger, settled: Settled, timezone: str) -> dict[str, str]:
    """Keep what stands for the hidden reasoning of days that have some and are published for the first time.

    Returns:
        What the ledger says of it.
    """
    table = pl.DataFrame(settled.ratios, schema=RATIOS, orient="row")
    known = pl.DataFrame(fixed_ratios(ledger), schema=RATIOS, orient="row")
    some, day = pl.col("flags").list.contains(FROM_LOG), group_column("day", timezone)
    paths = settled.tables("calls") if settled.ratios else []  # without ratios there is nothing to fix
    calls = [read_tables([path], ["started_at", "flags"]) for path in paths]
    days = pl.concat([known.select("day").clear(), *(rows.filter(some).select(day) for rows in calls)])
    fresh = days.unique().drop_nulls().join(known, on="day", how="anti")
    rows = table.filter(pl.col("day").is_null()).drop("day").join(fresh, how="cross").select(RATIOS.keys())
    kept = pl.concat([known, rows]).sort(*RATIOS)
    if kept.is_empty():
        return {}
    data = parquet_bytes(kept)
    sha256 = digest_of_bytes(data)
    named = {_name(sha256), _name(ledger.published.get(_KEY, ""))}
    ledger.folder.write(_name(sha256), data)
    ledger.folder.remove([name for name in ledger.folder.names(_KEY) if name not in named])
    return {_KEY: sha256}
