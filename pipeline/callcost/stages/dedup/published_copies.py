"""Calls of several reports laid beside each other, so that the copies among them are settled as those in logs are.

Of published calls, nothing but what is published tells copies apart: equal ones are one call, whichever of them stays.
Where they differ, or nothing but an id that a provider did not give says that they are one, only the logs tell, and
nobody guesses.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from callcost.errors import ConfigError
from callcost.stages.dedup.rules import REPEATED
from callcost.stages.tables.published_calls import keyed_calls
from callcost.stages.tables.schemas import Calls

_LINEAGE = ("source_file", "source_row", "host", "duplicates", "flags")  # what copies of one call may differ in
_SAME = ("content", "nth")
_BY_PROVIDER = pl.col("key").str.starts_with("by id provider ")
_IS_DATED = pl.any_horizontal(pl.col("started_at", "ended_at").is_not_null())


def join_published(parts: Sequence[tuple[str, pl.DataFrame]]) -> pl.DataFrame:
    """Join tables of calls, each of which was settled by itself.

    Args:
        parts: (name of the source, its calls), each with copy_key.

    Returns:
        All calls, with ``key``, ``key_kind`` and ``record_digest``: of those that share a key, one is to stay.

    Raises:
        ConfigError: nothing tells whether some are copies, or which of them counts.
    """
    tables = [keyed_calls(calls).with_columns(part=pl.lit(number)) for number, (_, calls) in enumerate(parts)]
    calls = pl.concat(tables, how="diagonal").with_columns(parts=pl.col("part").n_unique().over("key"))
    flags = pl.col("flags").list.set_difference([REPEATED]).list.sort()
    figures = [name for name in Calls.names if name in calls.columns and name not in _LINEAGE]
    copies = calls.filter(pl.col("parts") > 1).sort("source_file", "source_row")
    copies = copies.with_columns(content=pl.struct("key", *figures, flags).hash())
    copies = copies.with_columns(nth=pl.int_range(pl.len()).over("content", "part"))  # of equal rows, as of one file's
    is_known = (pl.len().over(_SAME) == pl.col("parts")) & (_IS_DATED | _BY_PROVIDER)
    odd = copies.filter(pl.col("key_kind") == "id", ~is_known)
    if odd.height:
        name = odd["call_id"].sort()[0]
        places = odd.filter(pl.col("call_id") == name)["part"].unique().sort()
        message = f"what {' and '.join(parts[number][0] for number in places)} say of call {name} does not go together"
        raise ConfigError(message, hint="Only the logs tell what counts: give the logs of all")
    copies = copies.with_columns(
        key=pl.concat_str("key", *_SAME, separator=" "), duplicates=pl.col("duplicates").fill_null(0).sum().over(_SAME)
    )
    apart = calls.filter(pl.col("parts") == 1).with_columns(key=pl.int_range(pl.len()).cast(pl.String))
    joined = pl.concat([apart, copies.drop(_SAME)]).drop("part", "parts")
    return joined.with_columns(record_digest=pl.lit(""))
