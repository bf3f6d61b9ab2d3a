"""Settle duplicates over files of facts: a verdict for each record that has a copy, or a call in or around it.

Keys are compared over all facts, a range of buckets at a time; only of records whose key repeats is more looked at.
The verdicts go to files, too; facts are read file by file afterwards, each with the verdicts on its records, so that no
step holds more than one file of them. The rules are those of rules.py.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl

from callcost.settings import ReadOptions
from callcost.stages.dedup.late_digests import settle_digests
from callcost.stages.dedup.rules import (
    COPY_COLUMNS,
    EXPORT_COLUMNS,
    EXPORTER,
    IN_TRACE,
    NESTED,
    REPLAY_COLUMNS,
    Verdicts,
    apply_verdicts,
    judge_copies,
    judge_exports,
    judge_nested,
    judge_replays,
    lineages_of,
)
from callcost.stages.read.splits import Piece
from callcost.stages.tables.facts import UID, read_facts, read_tables, scan_facts, scan_tables
from callcost.stages.tables.schemas import VerdictRows
from callcost.tables import ReduceResult

MOST_HEADS = 500_000  # records that are compared at a time
_NESTED = (*UID, "span", "parent", "usage_source")
_FAMILY = pl.col("span", "parent")
_HEAD = pl.col("line") == 0
Tick = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SettleTask:
    """Buckets whose keys are compared.

    Attributes:
        number: position of the task in the plan, from 0.
        first: first bucket, inclusive.
        last: last bucket, inclusive.
        facts: files of facts of the run.
        spans: files of verdicts on the calls that lie in each other.
        folder: where verdicts go.
        read: how the logs were read.
        pieces: parts of inputs that the facts were read from; digests of what was read by columns are made late.
    """

    number: int
    first: int
    last: int
    facts: tuple[str, ...]
    folder: str
    read: ReadOptions
    spans: tuple[str, ...] = ()
    pieces: tuple[Piece, ...] = ()


def settle_spans(task: SettleTask, tick: Tick) -> ReduceResult:
    """Judge the calls that lie in each other and the copies at the heads of sessions, of all buckets."""
    facts = scan_facts(task.facts).filter(_HEAD)
    replays = _replays(facts)
    inner = facts.select(pl.col("parent").count()).collect().item()
    parts = -(-inner // MOST_HEADS)
    verdicts = [pl.DataFrame(schema=VerdictRows.types)]
    inside = pl.when(pl.col("parent").ne_missing(pl.col("span"))).then("parent").alias("parent")
    facts = facts.select(_NESTED).with_columns(inside)
    for part in range(parts):  # a family is who is around, and all that is right in it
        own = [pl.when(pl.col(name).hash() % parts == part).then(name).alias(name) for name in ("span", "parent")]
        found = judge_nested(facts.with_columns(own).filter(pl.any_horizontal(_FAMILY.is_not_null())).collect())
        verdicts.append(found.table)
    gone = pl.concat(verdicts).unique(UID)  # a call that is around one and in another is judged in two parts
    exports = _exports(scan_facts(task.facts).filter(_HEAD, IN_TRACE), gone)
    tick(0, 0)
    causes = Counter({NESTED: gone.height} if gone.height else {}) + replays.causes + exports.causes
    return _written(pl.concat([gone, exports.table, replays.table]), causes, task, "spans")


def _exports(traced: pl.LazyFrame, gone: pl.DataFrame) -> Verdicts:
    verdicts, causes = [pl.DataFrame(schema=VerdictRows.types)], Counter[str]()
    exporters, spans = traced.select(EXPORTER.n_unique(), pl.len().alias("spans")).collect().row(0)
    parts = -(-spans // MOST_HEADS) if exporters > 1 else 0
    for part in range(parts):
        heads = traced.filter(pl.col("span").hash() % parts == part).select(EXPORT_COLUMNS).collect()
        found = judge_exports(heads.join(gone, on=UID, how="anti"))
        verdicts.append(found.table)
        causes += found.causes
    return Verdicts(pl.concat(verdicts), causes)


def _replays(facts: pl.LazyFrame) -> Verdicts:
    asked = facts.filter(pl.col("ancestors").is_not_null()).select("session", "ancestors").collect()
    if asked.is_empty():
        return Verdicts(pl.DataFrame(schema=VerdictRows.types), Counter())
    sessions = pl.col("session").is_in(lineages_of(asked).implode())
    return judge_replays(facts.filter(sessions).select(REPLAY_COLUMNS).collect())


def settle_keys(task: SettleTask, tick: Tick) -> ReduceResult:
    """Find the records of some buckets that are the same call, and judge them; spans were settled before."""
    facts = scan_facts(task.facts).filter(_HEAD)
    verdicts, causes = [pl.DataFrame(schema=VerdictRows.types)], Counter[str]()
    for keys in _repeated(facts.filter(pl.col("bucket").is_between(task.first, task.last))):
        heads = facts.filter(pl.col("key").is_in(keys.implode())).select(*COPY_COLUMNS, "line", "byte_offset").collect()
        if task.spans:
            heads = heads.join(read_tables(task.spans), on=UID, how="anti")
        found = judge_copies(settle_digests(heads, task.pieces, task.read))
        verdicts.append(found.table)
        causes += found.causes
    tick(0, 0)
    return _written(pl.concat(verdicts), causes, task, f"{task.number:06}")


def _written(verdicts: pl.DataFrame, causes: Counter[str], task: SettleTask, name: str) -> ReduceResult:
    """Write verdicts, if there are any."""
    if verdicts.is_empty():
        return ReduceResult()
    path = Path(task.folder) / f"verdicts-{name}.parquet"
    verdicts.write_parquet(path, compression="lz4")
    return ReduceResult(duplicates=dict(causes), files=[str(path)])


def _repeated(heads: pl.LazyFrame) -> Iterator[pl.Series]:
    """Yield the keys that stand more than once, as many at a time as MOST_HEADS records have."""
    code = pl.col("key").hash()  # equal codes only make keys worth a look
    codes = heads.select(code).collect().to_series().sort()
    twice = codes.filter(codes == codes.shift(1)).rle().struct.unnest()
    shares = twice.with_columns(share=(pl.col("len") + 1).cum_sum() // MOST_HEADS)
    for share in shares.partition_by("share", maintain_order=True) if shares.height else ():
        yield heads.filter(code.is_in(share["value"].implode())).select("key").collect().to_series().unique()


def settled_facts(path: str | Path, verdicts: Sequence[str], *, keyed: bool = False) -> pl.DataFrame:
    """Read a file of facts as the verdicts in these files leave it; its keys only where they are asked for."""
    facts = read_facts(path, without=("bucket",) if keyed else ("key", "bucket"))
    if not verdicts:
        return apply_verdicts(facts, pl.DataFrame(schema=VerdictRows.types))
    own = pl.col("piece").is_in(facts["piece"].unique().implode())
    return apply_verdicts(facts, scan_tables(verdicts).filter(own).collect())
