"""Calls that were settled and priced before, as a source: what a report with --calls or a state holds, asked again.

They are laid out as facts that come priced, so that filters, sums, gates and the manifest are made as for logs. What
their logs say beside them (records that are no calls, rejects, vocabularies) comes from the manifest of that run. What
calls.parquet cannot give is refused by name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from callcost import __version__
from callcost.errors import ConfigError, LogError
from callcost.jobs.engine.manifest import SCHEMA_VERSION
from callcost.jobs.engine.map_reduce import Settled, reduce_facts
from callcost.logs.io.folders import folder_at
from callcost.logs.io.inputs import Input, free_name, own_kind
from callcost.prices.book.archive import microseconds
from callcost.runners.local import run_tasks
from callcost.settings import COST_SOURCES, PERIODS, PriceOptions, ReadOptions, ReportOptions
from callcost.stages.analysis.alternative_calls import Alternative
from callcost.stages.dedup.published_copies import join_published
from callcost.stages.dedup.rules import SAME_ROW
from callcost.stages.report.publish import parquet_bytes
from callcost.stages.tables.call_frames import FRAME, bad_rows, read_frame
from callcost.stages.tables.facts import write_facts
from callcost.stages.tables.published_calls import priced_lines
from callcost.stages.tables.schemas import FINGERPRINTS, Calls, Rejects, RejectsOfPieces
from callcost.tables import MONEY_SCALE, CorrectedCalls, Counting, MapResult

REPORT, STATE, TABLE = "a report", "a state", "a table"
_TALLIED = ("records", "rejects", "context", "fragments")
_RECORDED = ("prices", "read", "count", "cost_source")  # options that were settled when the calls were priced
_OF_LOGS = ("dialect", "mapping", "host")  # options of reading
_TABLES, _LISTED = ("calls", "rejects"), ("inputs", "timed_out", "price_versions")
_NEEDED = (*_LISTED, "corrections", "filtered_by", "first_at", "last_at", "records", "repeated_rows", "totals",
           "vocabularies")  # fmt: skip
_NUMBER = re.compile(r"#\d+$")  # at the end of a name that others have too
_OLDER = "An older callcost wrote it: run report --calls again"
_MADE_OF = {"tag": "tags", "agent": "source_format", **dict.fromkeys(PERIODS, "started_at")}  # group -> column
_LAID_OUT = ("model", "billed_units", "iterations", "price_status")  # columns of calls that make lines of them
_ONLY_LISTED = (
    "provider_response_id", "ended_at", "session", "branch", "tags", "price_rung", "cache_read_cost",
    "cache_write_cost", "uncached_input_cost", "visible_output_cost", "long_context_cost", "copy_key", *FINGERPRINTS,
)  # fmt: skip
SUMMED = tuple(name for name in Calls.names if name not in _ONLY_LISTED)  # that sums and other prices are made of
PLAIN_SOURCE = COST_SOURCES[0]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HeldCalls:
    """What a report or a state holds.

    Attributes:
        place: folder or URL.
        kind: REPORT, STATE or TABLE (of a program, in memory).
        manifest: record of the run that priced them.
        calls: columns of Calls, as far as there are any.
        rejects: columns of Rejects.
        restated: calls of closed days as they were closed, and as they are now; None: there are none, or not asked for.
    """

    place: str
    kind: str
    manifest: dict[str, Any]
    calls: pl.DataFrame
    rejects: pl.DataFrame
    restated: tuple[pl.DataFrame, pl.DataFrame] | None = None


def kinds_of_source(logs: Sequence[str]) -> list[str]:
    """Return what each of the LOGS of a command is, REPORT or STATE; []: they are logs."""
    kinds: list[str] = []
    for log in logs:
        kind = own_kind(log)
        if kind not in {REPORT, STATE}:
            return []
        kinds.append(kind)
    return kinds


def join_held(parts: Sequence[HeldCalls]) -> HeldCalls:
    """Take what several reports or states hold for one: what one run over all of their logs would have found.

    Raises:
        ConfigError: they were read or priced in other ways, or only their logs tell which copy of a call counts.
    """
    if len(parts) == 1:
        return parts[0]
    for part in parts:
        _check_alike(parts[0], part)
    if any(part.restated for part in parts):
        raise ConfigError("closed days of several states cannot be on one bill", hint="Make a bill of each state")
    named = _name_inputs(parts)
    return HeldCalls(
        place=" ".join(part.place for part in parts),
        kind=STATE if all(part.kind == STATE for part in parts) else REPORT,
        manifest=_join_manifests([part.manifest for part in named]),
        calls=join_published([(part.place, part.calls) for part in named]),
        rejects=pl.concat([part.rejects.select(Rejects.names) for part in named]),
    )


def _check_alike(first: HeldCalls, other: HeldCalls) -> None:
    one, two = (part.manifest["options"] for part in (first, other))
    for name in (*_RECORDED, "pseudonyms"):
        if _plain(one.get(name)) != _plain(two.get(name)):
            message = f"{first.place} and {other.place} were made with other options: {name}"
            raise ConfigError(message, hint="Make them alike, or give the logs of all")
    if "copy_key" not in other.calls.columns:
        raise ConfigError(f"nothing tells which calls of {other.place} are copies of others", hint=_OLDER)


def _plain(option: Any) -> str:
    """Return an option as text, without the machine that logs were read on: each call names its own."""
    return json.dumps({**option, "host": None} if isinstance(option, dict) else option, sort_keys=True, default=str)


def _name_inputs(parts: Sequence[HeldCalls]) -> list[HeldCalls]:
    """Give the inputs the names that they would have in one run: of roots with one name, the second is NAME#2."""
    roots: Counter[str] = Counter()
    named = []
    for part in parts:
        rows = part.manifest["inputs"]
        paths = {row["path"]: row["path"].split("/", 1) for row in rows}
        own = sorted({root for root, *_ in paths.values()}, key=lambda root: (len(root), root))
        plain = {root: start if (start := _NUMBER.sub("", root)) in own else root for root in own}
        new = {root: free_name(plain[root], roots) for root in own}
        names = {path: "/".join((new[root], *below)) for path, (root, *below) in paths.items()}
        manifest = part.manifest | {
            "inputs": [row | {"path": names[row["path"]]} for row in rows],
            "timed_out": [(names[name], row) for name, row in part.manifest["timed_out"]],
        }
        tables = {kind: getattr(part, kind).with_columns(pl.col("source_file").replace(names)) for kind in _TABLES}
        named.append(dataclasses.replace(part, manifest=manifest, **tables))
    return named


def _join_manifests(manifests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what is asked of the manifest of held calls, of all."""
    options = manifests[0]["options"]
    hosts = {each["options"]["read"].get("host") for each in manifests}
    read = options["read"] | {"host": hosts.pop() if len(hosts) == 1 else None}
    moments = [each[name] for each in manifests for name in ("first_at", "last_at") if each[name]]
    moved = [each["corrections"]["total_cost"] for each in manifests]
    sums: dict[str, Counter[str]] = {
        name: sum((Counter(each.get(name) or {}) for each in manifests), Counter())
        for name in ("aggregates", "filtered_by")
    }
    lists = {name: [row for each in manifests for row in each[name]] for name in _LISTED}
    return {
        **lists, **sums, "options": options | {"read": read},
        "vocabularies": {name: digest for each in manifests for name, digest in each["vocabularies"].items()},
        "first_at": min(moments, default=None), "last_at": max(moments, default=None),
        "repeated_rows": {"left_out": sum(each["repeated_rows"]["left_out"] for each in manifests)},
        "totals": {"calls": sum(each["totals"]["calls"] or 0 for each in manifests)},
        "corrections": {
            "calls": sum(each["corrections"]["calls"] for each in manifests),
            "total_cost": None if None in moved else str(sum(map(Decimal, moved))),
        },
    }  # fmt: skip


def asked_columns(options: ReportOptions, columns: Collection[str] | None) -> Collection[str] | None:
    """Return the columns of calls without which options cannot be followed where only some are wanted; None: all."""
    if columns is None or options.pseudonyms is not None or options.cost_source != PLAIN_SOURCE:
        return None
    return {*columns, *_LAID_OUT, *columns_of_groups(options).values()}


def columns_of_groups(options: ReportOptions) -> dict[str, str]:
    """Return what options group and filter by -> the column of calls that tells it."""
    budgets = options.budget if isinstance(options.budget, tuple) else ()
    filters = [*options.where, *(pair for budget in budgets for pair in budget.group)]
    names = [*options.by, *(column for column, _ in filters)]
    return {name: _MADE_OF.get(name.partition(":")[0], name) for name in names}


def open_report(place: str, columns: Collection[str] | None = None) -> HeldCalls:
    """Read the calls of a report.

    Args:
        place: folder or URL.
        columns: of the calls that are read, as far as there are any; None: all.

    Raises:
        LogError: it holds no calls, or not those that its manifest speaks of, or not its rejects; or another callcost
            wrote it, and this one cannot ask it.
    """
    folder = folder_at(place)
    manifest = json.loads(folder.read("manifest.json") or b"{}")
    _check_writer(place, manifest)
    if manifest["options"].get("calls"):
        names = ["calls.parquet"]
    else:
        names = [name for name in folder.names("") if name.startswith("day=") and name.endswith("/calls.parquet")]
    found = [data for data in folder.read_all(names) if data is not None]
    if not found:
        hint = "Run report --calls into it, or give the logs that it was made of to callcost report"
        raise LogError(f"{place} is a report that holds no calls", hint=hint)
    held = [[name for name in pl.read_parquet_schema(data) if columns is None or name in columns] for data in found]
    tables = [pl.read_parquet(data, columns=names) for data, names in zip(found, held, strict=True)]
    calls = pl.concat(tables, how="diagonal_relaxed")
    data = folder.read("rejects.parquet")
    rejects = pl.read_parquet(data) if data is not None else pl.DataFrame(schema=Rejects.types)
    wanted = {"calls": manifest["totals"]["calls"] or 0, "rejects": manifest["records"]["rejects"]}
    for name, table in (("calls", calls), ("rejects", rejects)):
        if table.height != wanted[name]:
            message = f"{place}: {name}.parquet is not of the run that manifest.json speaks of"
            raise LogError(message, hint="Run the report again")
    return HeldCalls(place=place, kind=REPORT, manifest=manifest, calls=calls, rejects=rejects)


def _check_writer(place: str, manifest: dict[str, Any]) -> None:
    """Refuse by name what another version of callcost wrote otherwise.

    Raises:
        LogError: an older one did not write down what is asked of a report, or a newer one wrote more.
    """
    writer = f"callcost {manifest['callcost']['version']}"
    unknown = manifest["options"].get("prices", {}).keys() - {field.name for field in dataclasses.fields(PriceOptions)}
    if manifest["schema_version"] > SCHEMA_VERSION or unknown:
        raise LogError(f"{place} is of a newer callcost: {writer}", hint=f"Use that version; this is {__version__}")
    missing = [name for name in _NEEDED if name not in manifest]
    if missing:
        message = f"{place} was written by {writer}, which did not write down {', '.join(missing)}"
        raise LogError(message, hint="Run report --calls again over its logs")


def hold_table(table: pl.DataFrame) -> HeldCalls:
    """Take a table of calls, of which each row is one; rows with a price_status come priced.

    Raises:
        ConfigError: its columns cannot be meant.
    """
    frame = read_frame(table)
    calls, rejects = frame.calls.filter(frame.faults["reason"].is_null()), bad_rows(frame)
    digest = hashlib.sha256(parquet_bytes(frame.calls)).hexdigest()
    rows = {name: dict(each["source_file"].value_counts().iter_rows()) for name, each in
            (("records", frame.calls), ("rejects", rejects))}  # fmt: skip
    nothing = dict.fromkeys(("bytes", "context", "fragments", "duplicates", "filtered"), 0)
    inputs = [
        {**nothing, "path": name, "sha256": digest, "records": count, "rejects": rows["rejects"].get(name, 0)}
        for name, count in sorted(rows["records"].items())
    ]
    manifest = {
        "inputs": inputs, "options": {"cost_source": PLAIN_SOURCE, "read": {}}, "filtered_by": {}, "first_at": None,
        "timed_out": [], "vocabularies": {}, "repeated_rows": {"left_out": 0}, "totals": {"calls": None},
    }  # fmt: skip
    return HeldCalls(place=FRAME, kind=TABLE, manifest=manifest, calls=calls, rejects=rejects)


def settle_held(
    held: HeldCalls,
    options: ReportOptions,
    folder: Path | str,
    *,
    listed: bool | tuple[str, ...],
    alternative: Alternative | None = None,
) -> Settled:
    """Filter and sum held calls as a run over their logs does.

    Args:
        held: the calls.
        options: what is asked.
        folder: working folder.
        listed: whether the calls are wanted beside their sums, or which columns of theirs.
        alternative: what may be otherwise in them.

    Raises:
        ConfigError: an option asks for what they cannot give.
    """
    asked = check_held(held, options)
    rows = held.manifest["inputs"]
    numbers = {row["path"]: number for number, row in enumerate(rows)}
    facts, rejects = Path(folder) / "facts-000000-0000.parquet", Path(folder) / "rejects-000000.parquet"
    lines = priced_lines(held.calls, numbers)
    write_facts(lines, facts)
    held.rejects.with_columns(pl.lit(0, pl.Int64).alias("piece")).select(RejectsOfPieces.names).write_parquet(rejects)
    tallies = {str(number): {name: row[name] for name in _TALLIED} for number, row in enumerate(rows)}
    aggregates = held.manifest.get("aggregates", {})
    if rows:
        names = {"records": "aggregates", "calls": "aggregate_calls", "tokens": "aggregate_tokens"}
        tallies["0"] |= {names[name]: count for name, count in aggregates.items()}
    mapped = MapResult(
        inputs=tallies,
        digests={str(number): row["sha256"] for number, row in enumerate(rows)},
        facts=lines.height,
        timed_out=[(0, name, row) for name, row in held.manifest["timed_out"]],
        files=[*([str(facts)] if lines.height else []), str(rejects)],
        counting=Counting(vocabularies=held.manifest["vocabularies"]),
    )
    inputs = [Input(path=held.place, name=row["path"], bytes=row["bytes"]) for row in rows]
    found = Settled(inputs=inputs, mapped=mapped, workers=1, folder=str(folder), runner=run_tasks)
    settled = reduce_facts(asked, found, listed=listed, alternative=alternative)
    _add_former(settled, held)
    return settled


def _add_former(settled: Settled, held: HeldCalls) -> None:
    """Add what the run that priced the calls left out: duplicates, and calls that its own filters did not pass."""
    reduced, former = settled.reduced, held.manifest
    for number, row in enumerate(former["inputs"]):
        for fate, more in (("read", row["duplicates"] + row["filtered"]), ("kept", row["filtered"])):
            counts = reduced.per_input.setdefault(fate, {})
            counts[str(number)] = counts.get(str(number), 0) + more
    for name, calls in former["filtered_by"].items():
        reduced.filtered_by[name] = reduced.filtered_by.get(name, 0) + calls
    if former["first_at"]:
        reduced.spans.append((microseconds(former["first_at"]), microseconds(former["last_at"])))
    rows = former["repeated_rows"]["left_out"]
    reduced.duplicates[SAME_ROW] = reduced.duplicates.get(SAME_ROW, 0) + rows
    if held.kind != TABLE and sum(reduced.price_status.values()) == (former["totals"]["calls"] or 0):
        cost = int(Decimal(former["corrections"]["total_cost"] or 0).scaleb(MONEY_SCALE))
        reduced.corrected = CorrectedCalls(calls=former["corrections"]["calls"], cost=cost)


def amend_manifest(manifest: dict[str, Any], held: HeldCalls) -> dict[str, Any]:
    """Say in the manifest of held calls what was settled when they were priced; of a table nobody knows."""
    former = held.manifest
    if held.kind == TABLE:
        return manifest
    digests = {version["name"]: version["sha256"] for version in former["price_versions"]}
    for version in manifest["price_versions"]:
        version["sha256"] = digests.get(version["name"], version["sha256"])
    recorded = {name: former["options"][name] for name in _RECORDED if name in former["options"]}
    if manifest["options"]["cost_source"] != PLAIN_SOURCE:
        recorded["cost_source"] = manifest["options"]["cost_source"]
    manifest["options"] |= recorded
    manifest["options"]["pseudonyms"] = former["options"].get("pseudonyms") or manifest["options"]["pseudonyms"]
    moved = former["corrections"]["total_cost"]
    # Of some of the calls nobody wrote down how much corrections moved.
    if moved is None or manifest["totals"]["calls"] != former["totals"]["calls"]:
        corrected = manifest["price_basis"].get("corrected", 0)
        manifest["corrections"] = {"calls": corrected, "total_cost": None if corrected else "0"}
    return manifest


def prices_of_held(held: HeldCalls, options: ReportOptions) -> PriceOptions:
    """Return what the calls of a source are priced by: those of a report, by what it was made with."""
    if held.kind != REPORT:
        return options.prices
    recorded = held.manifest["options"]["prices"]
    return PriceOptions(**recorded | {"registered": tuple(map(tuple, recorded.get("registered", ())))})


def check_held(held: HeldCalls, options: ReportOptions) -> ReportOptions:
    """Refuse what held calls cannot give.

    Returns:
        The options that are left to be followed.

    Raises:
        ConfigError: an option asks for what they cannot give.
    """
    former = held.manifest["options"]
    is_priced = held.kind == REPORT or (held.kind == TABLE and held.calls["price_status"].count() > 0)
    asked_prices = dataclasses.replace(options.prices, registered=())  # what a program registered, it does not ask for
    if is_priced and (asked_prices != PriceOptions() or options.prices_refresh):
        hint = "Give the logs, or a --state, to price" if held.kind == REPORT else "Drop price_status and the costs"
        raise ConfigError(f"the calls of {held.place} are priced already", hint=hint)
    if any(getattr(options.read, name) is not None for name in _OF_LOGS):
        hint = "--dialect, --mapping and --host go with logs"
        raise ConfigError(f"the calls of {held.place} are read already", hint=hint)
    if options.cost_source not in {PLAIN_SOURCE, former["cost_source"]} and former["cost_source"] != PLAIN_SOURCE:
        message = f"the costs of {held.place} are --cost-source {former['cost_source']}"
        raise ConfigError(message, hint="Give the logs for other costs")
    if options.work.work_dir is not None or options.work.executor != "local":
        raise ConfigError(f"{held.place} is no log: --work-dir and --executor do not go with it")
    for name, column in columns_of_groups(options).items():
        if column not in held.calls.columns:
            raise ConfigError(f"the calls of {held.place} have no column {name!r}", hint=_OLDER)
    if "iterations" in held.calls.columns and _lack_lines(held.calls):
        raise ConfigError(f"the calls of {held.place} lack what each model of a call cost (iterations)", hint=_OLDER)
    hidden = former.get("pseudonyms")
    if hidden is not None and options.pseudonyms is not None and hidden != options.pseudonyms.id:
        raise ConfigError(f"the calls of {held.place} have pseudonyms of another key", hint="Give the logs for others")
    key = options.pseudonyms if hidden is None else None
    return dataclasses.replace(options, read=ReadOptions(), pseudonyms=key)


def _lack_lines(calls: pl.DataFrame) -> bool:
    kind = calls.schema["iterations"]
    inner = kind.inner if isinstance(kind, pl.List) else None
    names = {field.name for field in inner.fields} if isinstance(inner, pl.Struct) else set()
    return "input_cost" not in names and calls["iterations"].null_count() < calls.height

