"""Settle copies where a change may concern them: among new logs, those that are gone, and those that share a key."""

from __future__ import annotations

import dataclasses
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from msgspec import structs

from callcost.jobs.engine.map_reduce import Settled, settle_found
from callcost.jobs.state.unchanged.kept_sums import GROUP, KeptSums, Link, keep_link, read_links
from callcost.jobs.state.unchanged.log_groups import LogGroup, links_of
from callcost.runners.ledger import Ledger
from callcost.settings import ReportOptions
from callcost.stages.tables.facts import read_tables
from callcost.stages.tables.schemas import VerdictRows
from callcost.tables import ReduceResult, add_up


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """What was found out about records that are copies, or calls in or around others.

    Attributes:
        result: what settle_found gives of all facts.
        links: name of a group -> what ties its records to others.
        verdicts: columns of VerdictRows, and GROUP.
    """

    result: ReduceResult
    links: Mapping[str, Link]
    verdicts: pl.DataFrame


def settle_copies(
    ledger: Ledger, options: ReportOptions, found: Settled, groups: Sequence[LogGroup], before: KeptSums
) -> Copies:
    """Do what settle_found does, with what the last run found out.

    Args:
        ledger: ledger of the state.
        options: what the report was asked for.
        found: facts of all groups.
        groups: groups of all logs.
        before: what the last run kept.
    """
    names, links = {group.name for group in groups}, dict[str, Link]()
    hashes = {name: None if data is None else _hashes(data) for name, data in read_links(ledger, before).items()}
    for group in groups:
        if hashes.get(group.name) is None:
            data, decided_by = links_of(group)
            hashes[group.name] = _hashes(data)
            links[group.name] = Link(sha256=keep_link(ledger, data), pieces=group.pieces, **decided_by)
        else:
            links[group.name] = before.groups[group.name].link
    gone = {name: kept.link for name, kept in before.groups.items() if name not in names}
    pieces = [piece for link in links.values() for piece in link.pieces]
    is_apart = len(pieces) == len(set(pieces))  # so that a verdict is one on a record of one group
    is_forked = any(link.is_forked for link in (*links.values(), *gone.values()))
    judged = _concerned(names ^ before.groups.keys(), hashes) if is_apart and not is_forked else None
    anew = [group for group in groups if judged is None or group.name in judged]
    asked = [path for group in anew for path in group.files]
    mapped = structs.replace(found.mapped, files=asked, facts=sum(group.facts for group in anew))
    result = settle_found(options, dataclasses.replace(found, mapped=mapped))
    owners = [(piece, group.name) for group in anew for piece in links[group.name].pieces]
    stays = list(names - {group.name for group in anew})
    held = _verdict_rows(before.tables).filter(pl.col(GROUP).is_in(stays))
    made = pl.concat([pl.DataFrame(schema=VerdictRows.types), *(read_tables([path]) for path in result.files)])
    owned = pl.DataFrame(owners, schema={"piece": pl.Int64(), GROUP: pl.String()}, orient="row")
    kept = _written(held.drop(GROUP), Path(found.folder))
    return Copies(
        result=add_up([result, kept], ReduceResult()), links=links,
        verdicts=pl.concat([held, made.join(owned, on="piece", how="left")]),
    )  # fmt: skip


def _concerned(changed: set[str], hashes: Mapping[str, pl.Series | None]) -> set[str] | None:
    """Return the names of the groups that a change may concern; None: maybe of all.

    Args:
        changed: names of the groups that are new or gone.
        hashes: name of a group -> what ties its records to others, also of those that are gone; None: it is not known.
    """
    known = {name: series for name, series in hashes.items() if series is not None}
    if known.keys() != hashes.keys():
        return None
    concerned, fresh = set(changed), set(changed)
    while fresh:
        wanted = pl.concat([known[name] for name in fresh]).unique().implode()
        fresh = {name for name in known.keys() - concerned if known[name].is_in(wanted).any()}
        concerned |= fresh
    return concerned


def _hashes(data: bytes) -> pl.Series:
    return pl.read_parquet(io.BytesIO(data)).to_series()


def _verdict_rows(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    return tables.get("verdicts", pl.DataFrame(schema={**VerdictRows.types, GROUP: pl.String()}))


def _written(verdicts: pl.DataFrame, folder: Path) -> ReduceResult:
    """Write the verdicts that stay beside the new ones."""
    if verdicts.is_empty():
        return ReduceResult()
    path = folder / "verdicts-kept.parquet"
    verdicts.write_parquet(path, compression="lz4")
    return ReduceResult(duplicates=dict(Counter(verdicts["cause"].drop_nulls().to_list())), files=[str(path)])
