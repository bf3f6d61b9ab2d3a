"""The record of a run: what was asked, what was read, what came of every record, which rates and vocabularies.

Everything outside ``run`` is a function of the input and the options alone; ``run`` says how this one run went.
"""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import to_builtins

from callcost import __version__
from callcost.jobs.engine.fresh_prices import newer_prices_wanted
from callcost.jobs.engine.map_reduce import Settled
from callcost.prices.book.book import catalog_of
from callcost.prices.charges import money, plain
from callcost.settings import MOST_NAMED, FingerprintKey, PriceOptions, ReportOptions
from callcost.stages.analysis.budgets import MAX_COST, judge_interval
from callcost.stages.analysis.outlook import DaySums, outlook_of
from callcost.stages.count.calibration_file import digest_of_calibration
from callcost.stages.dedup.rules import SAME_ROW
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.days import ALL, DRIVERS, item_of_budget, merge_days
from callcost.stages.report.pseudonyms import hidden_filters
from callcost.stages.report.publish import plain_decimals
from callcost.stages.report.spend import UNPRICED, merge_spend, merge_unpriced
from callcost.stages.tables.facts import number_rows, read_tables
from callcost.tables import SESSION_SUM, CountedTokens, FlaggedCalls

SCHEMA_VERSION = 1
MOST_LISTED = 1_000  # groups of calls without a full price
_HOW = ("logs", "out", "work", "prices_refresh")  # options that never change a result
FATES = ("calls", "duplicates", "rejects", "context", "fragments", "filtered")  # of a record, one of these
_AGGREGATES = {"records": "aggregates", "calls": "aggregate_calls", "tokens": "aggregate_tokens"}
_SUMMED = {"derived_rates": "derived", "reasoning_from_log": "filled", "aborted": "aborted"}
_TALLIES = ("usage_source", "count_method", "price_status", "price_basis", "source_format", "flags")


@dataclasses.dataclass(frozen=True, slots=True)
class RunClock:
    """When the run began, and its name."""

    run_id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)
    started_at: datetime = dataclasses.field(default_factory=lambda: datetime.now(UTC))


def manifest_of(
    options: ReportOptions, settled: Settled, spend: pl.DataFrame, clock: RunClock, days: pl.DataFrame | None = None
) -> dict[str, Any]:
    """Write the record of a run.

    Args:
        options: what the run was asked for.
        settled: what map and reduce left.
        spend: the merged spend.
        clock: name of the run, and when it began.
        days: what each day cost, by merge_days; None: as the reduce tasks have it.

    Returns:
        A JSON-able document; without its ``run`` it is the same for the same input and options.
    """
    inputs = inputs_of(settled)
    records = {name: sum(row[name] for row in inputs) for name in ("records", *FATES)}
    counts = {name: dict(sorted(getattr(settled.reduced, name).items())) for name in _TALLIES}
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "callcost": {"version": __version__},
        "options": {name: value for name, value in plain_options(options).items() if name not in _HOW},
        "inputs": inputs,
        "records": records,
        "aggregates": {name: settled.mapped.total(tallied) for name, tallied in _AGGREGATES.items()},
        "totals": totals_of(spend),
        **counts,
        "counting": _counting_of(settled.reduced.counted),
        "calibration": _calibration_of(options),
        "repeated_rows": _repeated_rows(settled),
        "corrections": {
            "calls": settled.reduced.corrected.calls,
            "total_cost": _dollars(settled.reduced.corrected.cost),
        },
        **{name: _calls_and_cost(getattr(settled.reduced, rows)) for name, rows in _SUMMED.items()},
        "undated_calls": settled.reduced.undated,
        **limits_of(settled),
        "reject_reasons": reject_reasons(settled),
        "price_versions": _versions_of(settled, options.prices),
        "vocabularies": dict(sorted(settled.mapped.counting.vocabularies.items())),
        "timed_out": [list(item) for item in settled.timed_out],
        **_unpriced(settled),
    }
    _hide_filters(document, options)
    document |= _guess_models(document["unpriced"], options.prices)
    document["newer_prices"] = newer_prices_for(options, settled)
    document |= _outlook(options, document, merge_days(settled.tables("days")) if days is None else days)
    document["gates"] = _gates(options, document)
    document["run"] = _run(options, settled, clock)
    return document


def _outlook(options: ReportOptions, document: dict[str, Any], days: pl.DataFrame) -> dict[str, Any]:
    """Return what is told as of a moment: budgets, the forecast, unusual days."""
    items = tuple(item_of_budget(number) for number in range(len(options.budget)))
    sums = DaySums(rows=days.iter_rows(), whole=ALL, budgets=items, drivers=DRIVERS)
    found = outlook_of(sums, options, document["last_at"])
    if options.max_cost is not None:
        status = document["price_status"]
        unpriced = status.get("unpriced", 0) + status.get("partly_priced", 0)
        found["budgets"].append(judge_interval(options.max_cost, document["totals"]["total_cost"], unpriced))
    return found


def newer_prices_for(options: ReportOptions, settled: Settled) -> dict[str, Any]:
    """Return what newer prices may be wanted for: see newer_prices_wanted."""
    newest = catalog_of(options.prices).newest
    return newer_prices_wanted(_unpriced(settled)["unpriced"], limits_of(settled)["last_at"], newest, options)


def inputs_of(settled: Settled) -> list[dict[str, Any]]:
    """Return the fate of every record, per input; the parts of each add up to its records."""
    rows = []
    for key, source in ((str(number), source) for number, source in settled.by_number.items()):
        tally = settled.mapped.inputs[key]
        read, kept, calls = (settled.reduced.per_input.get(fate, {}).get(key, 0) for fate in ("read", "kept", "calls"))
        fates = {"calls": calls, "duplicates": read - kept, "filtered": kept - calls}
        parts = {fate: fates.get(fate, tally.get(fate, 0)) for fate in ("records", *FATES)}
        rows.append({"path": source.name, "bytes": source.bytes, "sha256": settled.mapped.digests[key], **parts})
    return sorted(rows, key=lambda row: str(row["path"]))


def totals_of(spend: pl.DataFrame) -> dict[str, Any]:
    """Return the sums over all groups; money as plain decimal text, null where nothing is stated."""
    return plain_decimals(merge_spend([spend], ())).row(0, named=True)


def _versions_of(settled: Settled, options: PriceOptions) -> list[dict[str, Any]]:
    used = settled.reduced.price_version
    digests = {version.name: version.sha256 for version in catalog_of(options).versions}
    return [{"name": name, "sha256": digests.get(name), "calls": used[name]} for name in sorted(used)]


def _counting_of(counted: CountedTokens) -> dict[str, Any]:
    """Return the tokens of calls with a side counted here, and within what share of them the truth is expected."""
    tokens = counted.prompt_tokens + counted.completion_tokens
    share = -(-counted.millionths // tokens) / 1_000_000 if tokens else None
    sums = {"prompt_tokens": counted.prompt_tokens, "completion_tokens": counted.completion_tokens}
    return {"calls": counted.calls, **sums, "expected_within": share}


def _calibration_of(options: ReportOptions) -> dict[str, Any] | None:
    """Return the name and the digest of the calibration file; None: there is none."""
    path = options.count.calibration
    return None if path is None else {"file": Path(path).name, "sha256": digest_of_calibration(path)}


def _repeated_rows(settled: Settled) -> dict[str, Any]:
    """Return the calls that equal another and have nothing that tells them apart, and how many of other files went."""
    left_out = settled.reduced.duplicates.get(SAME_ROW, 0)
    return _calls_and_cost(settled.reduced.repeated_rows) | {"left_out": left_out}


def _calls_and_cost(rows: FlaggedCalls) -> dict[str, Any]:
    return {"calls": rows.calls, "total_cost": _dollars(rows.cost) if rows.with_cost else None}


def _dollars(cost: int) -> str:
    """Return 10**-18 dollars as plain decimal text of dollars."""
    return plain(money(cost))


def _unpriced(settled: Settled) -> dict[str, Any]:
    """Return the calls without a full price, grouped by model, status and reason.

    Returns:
        ``unpriced``: the groups, sorted; of more than MOST_LISTED those with most calls.
        ``unpriced_not_listed``: price_status -> how many other groups there are, and their calls; {}: there are none.
    """
    parts = [read_tables([path]) for path in settled.tables("unpriced")]
    if not parts:
        return {"unpriced": [], "unpriced_not_listed": {}}
    groups = merge_unpriced(parts).sort("calls", *UNPRICED, descending=[True, *[False] * len(UNPRICED)])
    listed, others = groups.head(MOST_LISTED).sort(UNPRICED), groups.slice(MOST_LISTED)
    sums = others.group_by("price_status").agg(groups=pl.len(), calls=pl.col("calls").sum()).sort("price_status")
    rest = {status: {"groups": count, "calls": calls} for status, count, calls in sums.iter_rows()}
    return {"unpriced": listed.to_dicts(), "unpriced_not_listed": rest}


def _guess_models(unpriced: list[dict[str, Any]], prices: PriceOptions) -> dict[str, dict[str, str]]:
    """Return what the most frequent unknown models probably mean.

    Returns:
        ``near_names``: what they are probably misspellings of, where there is such a name.
        ``alias_targets``: what those of them stand for that are aliases.
    """
    calls: Counter[str] = Counter()
    for row in unpriced:
        if row["price_reason"] == "unknown_model" and row["model"]:
            calls[row["model"]] += row["calls"]
    names = sorted(sorted(calls, key=lambda name: (-calls[name], name))[:MOST_NAMED])
    if not names:  # no book is opened for nothing
        return {"near_names": {}, "alias_targets": {}}
    book = book_of(prices)
    found = {"near_names": book.guess, "alias_targets": book.target_of}
    return {key: {name: meant for name in names if (meant := find(name))} for key, find in found.items()}


def limits_of(settled: Settled) -> dict[str, Any]:
    """Return what left calls out, and the times of the first and the last call of the logs, filtered ones included."""
    spans = settled.reduced.spans
    return {
        "filtered_by": dict(sorted(settled.reduced.filtered_by.items())),
        "first_at": _time_of(min(first for first, _ in spans)) if spans else None,
        "last_at": _time_of(max(last for _, last in spans)) if spans else None,
    }


def _time_of(microseconds: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat()


def reject_reasons(settled: Settled) -> list[dict[str, Any]]:
    """Return why records were rejected, the commonest first: "reason", "records", "first" (file:row, or file)."""
    counts: Counter[str] = Counter()
    firsts: dict[str, tuple[str, int]] = {}
    rows = pl.col("source_row").fill_null(0)  # none: the file as a whole
    for path in settled.tables("rejects"):  # one at a time: there may be very many
        table = number_rows(read_tables([path]), settled.rows_before)
        groups = table.group_by("reason", "source_file").agg(pl.len(), rows.min())
        for reason, file, count, row in groups.iter_rows():
            counts[reason] += count
            firsts[reason] = min(firsts.get(reason, (file, row)), (file, row))
    return [
        {"reason": reason, "records": counts[reason], "first": ":".join(map(str, filter(None, firsts[reason])))}
        for reason in sorted(counts, key=lambda reason: (-counts[reason], reason))
    ]


def result_options(options: ReportOptions) -> dict[str, Any]:
    """Return the options that may change a result, by name."""
    return {name: value for name, value in dataclasses.asdict(options).items() if name not in _HOW}


def plain_options(options: ReportOptions | PriceOptions) -> dict[str, Any]:
    """Return options by name as JSON has them: moments as text, also in options within options."""
    return dataclasses.asdict(options, dict_factory=lambda pairs: {name: _plain(value) for name, value in pairs})


def _hide_filters(document: dict[str, Any], options: ReportOptions) -> None:
    """Put pseudonyms in the place of names that the run was filtered by."""
    hidden = hidden_filters(options.where, options.pseudonyms)
    if hidden:
        document["options"]["where"] = [(column, hidden.get((column, glob), glob)) for column, glob in options.where]
        names = {f"where {column}={glob}": f"where {column}={name}" for (column, glob), name in hidden.items()}
        document["filtered_by"] = {names.get(name, name): calls for name, calls in document["filtered_by"].items()}


def _plain(value: Any) -> Any:
    if isinstance(value, FingerprintKey):
        return value.id
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, datetime) else value


def _gates(options: ReportOptions, document: dict[str, Any]) -> list[dict[str, Any]]:
    records, status = document["records"], document["price_status"]
    bad = {
        "rejected records": records["rejects"],
        "unpriced calls": status.get("unpriced", 0),
        "partly priced calls": status.get("partly_priced", 0),
        "timed-out calls": document["usage_source"].get("timed_out", 0),
        "inconsistent calls": document["flags"].get("inconsistent_usage", 0),
    }
    if SESSION_SUM in document["flags"]:
        bad["sums of sessions"] = document["flags"][SESSION_SUM]
    gates = [
        gate_of_share("--max-unpriced", options.max_unpriced, bad["unpriced calls"], records["calls"]),
        gate_of_share("--max-rejected", options.max_rejected, records["rejects"], records["records"]),
    ]
    if options.strict:
        gates += [gate_of(f"--strict: {name}", 0, count) for name, count in bad.items()]
    gates += map(_gate_of_budget, document["budgets"])
    return [gate for gate in gates if gate is not None]


def gate_of(name: str, limit: float, found: float | None) -> dict[str, Any]:
    """Return a gate, crossed by what is more than its limit or is not known."""
    return {"gate": name, "limit": limit, "found": found, "crossed": found is None or found > limit}


def _gate_of_budget(row: dict[str, Any]) -> dict[str, Any]:
    name = row["name"] if row["name"] == MAX_COST else f"--budget: {row['name']}"
    return {"gate": name, "limit": row["amount"], "found": row["spent"], "crossed": Decimal(row["left"]) < 0}


def gate_of_share(name: str, limit: float | None, part: int, whole: int) -> dict[str, Any] | None:
    """Return a gate on a share, in percent, with what it is a share of; None: the user set none."""
    if limit is None:
        return None
    return gate_of(name, limit, 100 * part / whole if whole else 0.0) | {"part": part, "whole": whole}


def verdicts_of(manifest: dict[str, Any]) -> int:
    """Return the exit code: 1 where there was no call at all, 3 where a gate was crossed, else 0."""
    if not has_calls(manifest):
        return 1
    return 3 if any(gate["crossed"] for gate in manifest["gates"]) else 0


def has_calls(manifest: Mapping[str, Any]) -> bool:
    """Say whether a call is published, be it one that only a closed day holds, or left out by a filter."""
    return bool(manifest["totals"]["calls"] or manifest["records"]["filtered"])


def _run(options: ReportOptions, settled: Settled, clock: RunClock) -> dict[str, Any]:
    ended = datetime.now(UTC)
    counting = settled.mapped.counting
    return {
        "id": clock.run_id,
        "started_at": clock.started_at.isoformat(),
        "ended_at": ended.isoformat(),
        "seconds": round((ended - clock.started_at).total_seconds(), 3),
        "logs": list(options.logs),
        "skipped": to_builtins(settled.skipped),
        "out": options.out,
        "executor": options.work.executor,
        "spark_remote": options.work.spark_remote,
        "work_dir": options.work.work_dir,
        "workers": settled.workers if options.work.executor == "local" else None,
        "threads": options.work.threads,
        "process": os.getpid(),
        "engines": sorted(counting.engines),
        "cache_hits": counting.cache_hits,
        "mismatches": counting.mismatches,
    }
