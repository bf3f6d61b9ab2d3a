"""What a log held that was written over: the calls whose keys its new content has not, or not so often."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from callcost.stages.tables.facts import UID, scan_facts

_HEAD = pl.col("line") == 0

def overwritten_facts(old: Sequence[Path], new: Sequence[Path]) -> pl.DataFrame:
    """Return the facts of calls that a log does not hold any more; those that share a key are counted against it.

    Args:
        old: files of facts of what it held.
        new: files of facts of what it holds.
    """
    facts = scan_facts(old)
    now = scan_facts(new).filter(_HEAD).group_by("key").agg(pl.len().alias("now"))
    heads = facts.filter(_HEAD).select(*UID, "key", "key_kind").join(now, on="key", how="left").collect()
    place = pl.int_range(pl.len()).over("key")
    counted = (pl.col("key_kind") == "none") & (place >= pl.col("now"))
    gone = heads.sort(UID).filter(pl.col("now").is_null() | counted)
    return facts.join(gone.select(UID).lazy(), on=list(UID), how="semi").collect()
