"""Settle all calls of a state; what the last run made of logs and verdicts that are the same stays as it is.

Copies are found over all facts. Logs are then priced and summed group by group, and a group whose facts and verdicts
are those of the last run has its sums. So has a day that was published from the same groups its file: only the calls of
other days are made.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import polars as pl
from msgspec import structs

from callcost.jobs.engine.map_reduce import Settled, ratios_found, reduce_facts, reduce_parts
from callcost.jobs.state.fixed_ratios import fixed_ratios
from callcost.jobs.state.log_rotation import result_of
from callcost.jobs.state.unchanged.kept_sums import GROUP, TABLES, KeptGroup, KeptSums
from callcost.jobs.state.unchanged.log_groups import LogGroup, groups_of
from callcost.jobs.state.unchanged.settle_copies import Copies, settle_copies
from callcost.logs.io.inputs import Input
from callcost.runners.entries import digest_of_value
from callcost.runners.ledger import Ledger
from callcost.runners.packing import worker_count
from callcost.settings import ReportOptions
from callcost.stages.report.days import day_of, plain_day
from callcost.stages.report.spend import group_column
from callcost.stages.tables.facts import read_tables
from callcost.stages.tables.schemas import VerdictRows
from callcost.tables import FROM_LOG, ReduceResult, add_up

_FACT_BYTES = 100  # of input that settling one fact is worth, when processes are counted


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """All calls of a state, settled.

    Attributes:
        settled: all sums; of the calls those of the days to publish, and maybe some of others.
        kept: what the next run can use; it lacks the days to publish.
        days: day to publish, as partitions spell it -> digest of the groups that have calls on it.
    """

    settled: Settled
    kept: KeptSums
    days: Mapping[str, str]

    @property
    def filled_days(self) -> set[date]:
        """The days of calls whose hidden reasoning was filled in."""
        labels = {label for group in self.kept.groups.values() for label, is_filled in group.days.items() if is_filled}
        return {day for label in labels if (day := day_of(label)) is not None}


def settle_entries(ledger: Ledger, options: ReportOptions, work: Path) -> Settled:
    """Settle, price and sum all calls of the ledger from their facts.

    Args:
        ledger: ledger in which every input is read.
        options: what the report was asked for.
        work: working folder; calls and partial spends per day are left there.
    """
    return reduce_facts(_by_day(options), _found_in(ledger, options, work), fixed=fixed_ratios(ledger))


def settle_night(
    ledger: Ledger, options: ReportOptions, work: Path, before: KeptSums, holds: Callable[[str], bool]
) -> Night:
    """Do what settle_entries does, with what the last run kept.

    Args:
        ledger: ledger in which every input is read.
        options: what the report was asked for.
        work: working folder.
        before: what the last run kept.
        holds: says whether a day is as that run published it, and may stay so.
    """
    asked, found = _by_day(options), _found_in(ledger, options, work)
    groups = groups_of(ledger, found)
    copies = settle_copies(ledger, asked, found, groups, before)
    found = dataclasses.replace(found, verdicts=copies.result)
    found = dataclasses.replace(found, ratios=ratios_found(asked, found, fixed_ratios(ledger)))
    settled = _digests_of(copies, found)
    same = {name: kept for name, kept in before.groups.items() if kept.settled == settled.get(name)}
    fresh = [group for group in groups if group.name not in same]
    made = dict(zip(fresh, _reduce(asked, found, fresh), strict=True))
    now = same | {
        group.name: KeptGroup(
            link=copies.links[group.name], settled=settled[group.name], result=structs.replace(result, files=[]),
            days=_filled(result, options.timezone),
        )
        for group, result in made.items()
    }  # fmt: skip
    made_of = _days_of(now)
    stays = {label: day for label, day in before.days.items() if day.made_of == made_of.get(label) and holds(label)}
    days = {label: digest for label, digest in made_of.items() if label not in stays}
    again = [group for group in groups if group.name in same and not days.keys().isdisjoint(now[group.name].days)]
    listed = [path for result in _reduce(asked, found, again, len(fresh)) for path in result.files_of("calls")]
    sums = {kind: before.tables[kind] for kind in TABLES if kind in before.tables}
    sums = {kind: table.filter(pl.col(GROUP).is_in(list(same))) for kind, table in sums.items()}
    taken = ReduceResult(files=[*listed, *_written(sums, work)])
    reduced = add_up([copies.result, taken, *made.values(), *(each.result for each in same.values())], ReduceResult())
    tables = _with_sums(sums, made) | {"verdicts": copies.verdicts}
    kept = KeptSums(recipe=before.recipe, groups=now, days=stays, tables=tables)
    return Night(settled=dataclasses.replace(found, reduced=reduced), kept=kept, days=days)


def _by_day(options: ReportOptions) -> ReportOptions:
    by_day = options.by if "day" in options.by else (*options.by, "day")
    return dataclasses.replace(options, by=by_day)


def _found_in(ledger: Ledger, options: ReportOptions, work: Path) -> Settled:
    entries = sorted(ledger.entries.values(), key=lambda entry: entry.name)
    mapped = result_of(*entries)
    mapped.files = [str(path) for path in ledger.local_files(entries, work)]
    mapped.digests = {str(entry.number): entry.sha256 for entry in entries}
    return Settled(
        inputs=[Input(path=entry.stamp.path, name=entry.name, bytes=entry.stamp.bytes) for entry in entries],
        numbers=tuple(entry.number for entry in entries),
        mapped=mapped,
        workers=worker_count(options.work.workers, mapped.facts * _FACT_BYTES),
        folder=str(work),
    )


# --- Groups -----------------------------------------------------------------------------------------------------------


def _reduce(options: ReportOptions, found: Settled, groups: Sequence[LogGroup], first: int = 0) -> list[ReduceResult]:
    """Price and sum groups, each by itself."""
    mapped = structs.replace(found.mapped, facts=sum(group.facts for group in groups))
    parts = [group.files for group in groups]
    return reduce_parts(options, dataclasses.replace(found, mapped=mapped), parts, first=first)


def _digests_of(copies: Copies, found: Settled) -> dict[str, str]:
    """Return name of a group -> digest of the verdicts on its records, and of what stands for hidden reasoning."""
    order = [GROUP, *VerdictRows.names]
    rows = copies.verdicts.select(order).sort(order).select(pl.all().to_physical())
    texts = {str(key[0]): part.write_csv() for key, part in rows.partition_by(GROUP, as_dict=True).items()}
    return {
        name: digest_of_value([texts.get(name, ""), found.ratios if link.is_hidden else ()])
        for name, link in copies.links.items()
    }


def _filled(result: ReduceResult, timezone: str) -> dict[str, bool]:
    """Return day as partitions spell it -> whether hidden reasoning was filled in on it."""
    day, filled = group_column("day", timezone), pl.col("flags").list.contains(FROM_LOG).any()
    days: dict[str, bool] = {}
    for path in result.files_of("calls"):
        for moment, is_filled in read_tables([path], ["started_at", "flags"]).group_by(day).agg(filled).iter_rows():
            days[plain_day(moment)] = days.get(plain_day(moment), False) or bool(is_filled)
    return days


def _days_of(groups: Mapping[str, KeptGroup]) -> dict[str, str]:
    """Return day -> digest of the groups that have calls on it."""
    found = defaultdict[str, list[tuple[str, str]]](list)
    for name, group in sorted(groups.items()):
        for label in group.days:
            found[label].append((name, group.settled))
    return {label: digest_of_value(names) for label, names in found.items()}


# --- Tables of sums ---------------------------------------------------------------------------------------------------


def _written(sums: Mapping[str, pl.DataFrame], work: Path) -> list[str]:
    """Write the sums that stay beside those of the tasks; return their paths."""
    paths = []
    for kind, table in sums.items():
        if table.height:
            paths.append(str(work / f"{kind}-kept.parquet"))
            table.drop(GROUP).write_parquet(paths[-1], compression="lz4")
    return paths


def _with_sums(sums: Mapping[str, pl.DataFrame], made: Mapping[LogGroup, ReduceResult]) -> dict[str, pl.DataFrame]:
    """Add the sums of groups to those that stay."""
    tables = {kind: [table] for kind, table in sums.items()}
    for group, result in made.items():
        for kind in TABLES:
            for path in result.files_of(kind):
                rows = read_tables([path]).with_columns(pl.lit(group.name).alias(GROUP))
                tables.setdefault(kind, []).append(rows)
    return {kind: pl.concat(parts) for kind, parts in tables.items()}
