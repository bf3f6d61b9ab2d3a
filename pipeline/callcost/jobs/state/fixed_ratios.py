"""What stands for hidden reasoning on the days that a state has published: fixed when a day is first published.

So a day does not move with every call that the log states later. A closed day stays as it was closed, whatever the log
tells now; what it would come to now is among its adjustments.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import date

import polars as pl

from callcost.runners.entries import digest_of_bytes
from callcost.runners.ledger import Ledger
from callcost.stages.count.hidden_reasoning import RATIOS, Ratios
from callcost.stages.report.publish import parquet_bytes

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


def fix_ratios(ledger: Ledger, ratios: Ratios, days: Iterable[date]) -> dict[str, str]:
    """Keep what stands for the hidden reasoning of days that have some and are published for the first time.

    Args:
        ledger: opened ledger of the state.
        ratios: what stands for hidden reasoning now.
        days: days on which some was filled in.

    Returns:
        What the ledger says of it.
    """
    table = pl.DataFrame(ratios, schema=RATIOS, orient="row")
    known = pl.DataFrame(fixed_ratios(ledger), schema=RATIOS, orient="row")
    filled = pl.DataFrame({"day": list(days) if ratios else []}, schema={"day": RATIOS["day"]})
    fresh = filled.join(known, on="day", how="anti")
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
