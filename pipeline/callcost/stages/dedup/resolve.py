"""Settle duplicates over files of facts: a verdict for each record that has a copy, or a call in or around it.

Keys are compared over all facts, a range of buckets at a time; only of records whose key repeats is more looked at.
The verdicts go to files, too; facts are read file by file afterwards, each with the verdicts on its records, so that no
step holds more than one file of them. What fits into memory is settled there at once. The rules are those of rules.py.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from callcost.settings import ReadOptions
from callcost.stages.dedup.late_digests import settle_digests
from callcost.stages.dedup.rules import (
    CONFLICT,
    COPY_COLUMNS,
    EXPORT_COLUMNS,
    EXPORTER,
    IN_TRACE,
    NESTED,
    REPEATED,
    REPLAY_COLUMNS,
    Verdicts,
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


def apply_verdicts(facts: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return facts as verdicts on some of their records leave them; see settle_duplicates."""
    if verdicts.is_empty():
        facts = facts.with_columns(_duplicates(pl.lit(0)))
        return facts.with_columns(_call_id(pl.lit(1))) if facts["call_id"].null_count() else facts
    gone = verdicts.filter(pl.col("occurrence").is_null())
    return (
        facts.join(gone, on=UID, how="anti", maintain_order="left")
        .join(verdicts, on=UID, how="left", maintain_order="left")
        .with_columns(
            _call_id(pl.col("occurrence").fill_null(1)),
            _duplicates(pl.col("copies").fill_null(0)),
            pl.coalesce("first_at", "started_at").alias("started_at"),
            pl.when("conflict").then(_flagged(CONFLICT)).when("repeated").then(_flagged(REPEATED)).otherwise("flags"),
        )
        .drop("first_at", "conflict", "copies", "repeated", "occurrence", "cause", strict=False)
    )


def _duplicates(copies: pl.Expr) -> pl.Expr:
    """Add copies to those that a call was published with; one of an older callcost does not say how many it had."""
    known = pl.col("price_status").is_null() | pl.col("duplicates").is_not_null()
    return pl.when(known).then(pl.col("duplicates").fill_null(0) + copies).cast(pl.Int64).alias("duplicates")


def _flagged(flag: str) -> pl.Expr:
    return pl.concat_list("flags", pl.lit(flag)).list.unique().list.sort()


def _call_id(occurrence: pl.Expr) -> pl.Expr:
    made = pl.concat_str(pl.lit("x-"), "record_digest", pl.lit("-"), occurrence)
    return pl.coalesce("call_id", made).alias("call_id")


class Sifted(NamedTuple):
    """Facts without duplicates.

    Attributes:
        facts: facts of the calls that stay.
        causes: why a call went -> how many did.
    """

    facts: pl.DataFrame
    causes: Counter[str]


def settle_duplicates(facts: pl.DataFrame) -> Sifted:
    """Keep one call of those that are the same call.

    Args:
        facts: all facts of some keys, and of the calls around and inside theirs.

    Returns:
        The facts of the calls that stay, with the earliest time of their copies and how many these are, ``id_conflict``
        flagged where equal ids came with different requests, ``repeated_row`` where rows are equal that nothing tells
        apart, and ``call_id`` filled for every call.
    """
    heads = facts.filter(pl.col("line") == 0)
    nested = judge_nested(heads)  # before copies: of those that share an id, each has its own span
    replays = judge_replays(heads)
    exported = judge_exports(heads.join(nested.table, on=UID, how="anti"))
    gone = pl.concat([nested.table, exported.table, replays.table])
    copies = judge_copies(heads.join(gone, on=UID, how="anti"))
    causes = nested.causes + exported.causes + replays.causes + copies.causes
    return Sifted(apply_verdicts(facts, pl.concat([gone, copies.table])), causes)


def facts_beside(scan: pl.LazyFrame, wanted: pl.Expr) -> pl.DataFrame:
    """Return the facts of the calls that meet a condition, and of all that decide whether these stay.

    Args:
        scan: all facts.
        wanted: the condition.
    """
    found = scan.filter(wanted).select("key", "span", "parent", "session", "ancestors").collect()
    keys = found["key"].drop_nulls().implode()
    families = pl.concat([found["span"], found["parent"]]).drop_nulls().implode()
    family = pl.col("parent").is_in(families) | pl.col("span").is_in(families)
    sessions = pl.col("session").is_in(lineages_of(found).implode())
    return scan.filter(pl.col("key").is_in(keys) | family | sessions).collect()
