"""Logs that are settled together: a large one by itself, and of the small ones some whose entries have near numbers."""

from __future__ import annotations

import dataclasses
import io
from collections import defaultdict
from pathlib import Path

import polars as pl

from callcost.jobs.engine.map_reduce import Settled
from callcost.jobs.state.log_rotation import result_of
from callcost.runners.entries import Entry, digest_of_value
from callcost.runners.ledger import Ledger
from callcost.stages.tables.facts import scan_facts
from callcost.tables import HIDDEN

ALONE = 2_000  # facts of a log that is a group by itself
TOGETHER = 32  # numbers of entries from which the smaller logs are a group
_PROBE = pl.Series(["", "by id openai 1", "by bytes litellm 0123456789abcdef0123456789abcdef"])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LogGroup:
    """Logs that are settled together.

    Attributes:
        name: digest of their facts, and of all that these need to be read.
        files: files of their facts.
        facts: how many of these there are.
    """

    name: str
    files: tuple[str, ...]
    facts: int

    @property
    def pieces(self) -> list[int]:
        """Numbers of the pieces that the facts are of."""
        return scan_facts(self.files).select(pl.col("piece").unique()).collect().to_series().sort().to_list()


def groups_of(ledger: Ledger, found: Settled) -> list[LogGroup]:
    """Return the groups of all logs that have facts.

    Args:
        ledger: ledger in which every input is read.
        found: its facts, in files that Ledger.local_files names.
    """
    files = defaultdict[int, list[str]](list)
    for path in found.tables("facts"):
        files[int(Path(path).name.split("-")[1])].append(path)
    members = defaultdict[int, list[tuple[Entry, int]]](list)
    for number, entry in sorted(ledger.entries.items()):
        facts = result_of(entry).facts
        members[number if facts >= ALONE else -number // TOGETHER].append((entry, facts))
    groups = []
    for entries in members.values():
        words = [[entry.number, dict(entry.files), entry.facts["rows_before"]] for entry, _ in entries]
        own = tuple(path for entry, _ in entries for path in files[entry.number])
        groups.append(LogGroup(name=digest_of_value(words)[:32], files=own, facts=sum(facts for _, facts in entries)))
    return [group for group in groups if group.files]


# --- What ties records together ---------------------------------------------------------------------------------------


def hashes_here() -> list[int]:
    """Return what tells whether this Polars, on this machine, hashes as another one did."""
    return _PROBE.hash().to_list()


def links_of(group: LogGroup) -> tuple[bytes, dict[str, bool]]:
    """Return what ties records of a group to any other.

    A verdict on a record is a function of those that share its key or a span with it. Only of copies at the heads of
    sessions, other sessions decide.

    Returns:
        Hashes of keys and spans as Parquet, sorted; and whether more than these decides: ``is_forked`` and
        ``is_hidden``, as Link has them.
    """
    facts = scan_facts(group.files)
    heads = facts.filter(pl.col("line") == 0)
    columns = [pl.col("key").hash(0), *(pl.col(name).drop_nulls().hash(1) for name in ("span", "parent"))]
    hashes = pl.concat([heads.select(column.alias("link")).collect() for column in columns]).unique().sort("link")
    sink = io.BytesIO()
    hashes.write_parquet(sink, compression="uncompressed", statistics=False)
    is_forked, is_hidden = pl.col("ancestors").is_not_null().any(), pl.col("flags").list.contains(HIDDEN).any()
    return sink.getvalue(), facts.select(is_forked=is_forked, is_hidden=is_hidden).collect().row(0, named=True)
