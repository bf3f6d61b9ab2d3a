"""A state outlives an upgrade: what an older callcost read of logs that are gone goes over into today's layout.

Its facts do, where the layout is known (stages/tables/layouts.py). Where it is not, the published days do, which the
ledger has the digests of: their calls, with the prices that they have. Either is checked, done once and named.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import structs

from callcost import __version__
from callcost.errors import RunError
from callcost.jobs.state.intake import PIECES_PER_INPUT
from callcost.jobs.state.log_rotation import facts_of_entry, result_of
from callcost.logs.io.folders import folder_at
from callcost.runners.entries import Entry, digest_of_bytes
from callcost.runners.ledger import Ledger
from callcost.stages.tables.facts import layout_of_facts, write_facts
from callcost.stages.tables.layouts import is_newer, renew_facts, rules_of
from callcost.stages.tables.published_calls import facts_of_published
from callcost.stages.tables.schemas import Rejects
from callcost.tables import MapResult


def carry_over(ledger: Ledger, work: Path, note: Callable[[str, str], None]) -> None:
    """Bring entries of another layout into today's; logs that are at hand were read anew.

    Args:
        ledger: ledger in which every input is read.
        work: working folder.
        note: called with (what became of an input, its name).

    Raises:
        RunError: a newer callcost made them, or neither their facts nor their published days can be used.
    """
    layout, described = layout_of_facts(), ledger.layouts
    strangers = [entry for _, entry in sorted(ledger.entries.items()) if entry.layout != layout]
    for entry in strangers:
        if is_newer(entry.layout, described):
            message = f"{entry.name} was read by callcost {entry.callcost or ledger.writer}, this is {__version__}"
            hint = "Use that version, or another --state folder"
            raise RunError(f"{message}, which does not know its facts", hint=hint)
    ledger.check(work, strangers)
    unknown: dict[str, list[Entry]] = {}
    for entry in (entry for entry in strangers if entry.number in ledger.entries):
        rules = rules_of(entry.layout, described)
        if rules is None:
            unknown.setdefault(entry.name, []).append(entry)
        else:
            _renew(ledger, entry, rules, work)
        note("carried over", f"{entry.name} (read by callcost {entry.callcost or ledger.writer or '0.1.0'})")
    if unknown:
        _take_published(ledger, unknown, work)


def _next_folder(ledger: Ledger, work: Path) -> tuple[int, Path]:
    number = ledger.next_number
    ledger.next_number += 1
    folder = work / f"input-{number:08}"
    folder.mkdir()
    return number, folder


def _renew(ledger: Ledger, entry: Entry, rules: int, work: Path) -> None:
    """Keep an entry anew, its facts in today's layout."""
    number, folder = _next_folder(ledger, work)
    for path in ledger.local_files([entry], work):
        kind, _, rest = path.name.split("-", 2)
        if kind == "facts":
            renew_facts(path, rules, number, folder / f"facts-{rest}")
        else:
            pl.read_parquet(path).write_parquet(folder / f"{kind}-{rest}")
    known = result_of(entry)
    result = structs.replace(known, inputs={str(number): tally for tally in known.inputs.values()})
    _keep(ledger, entry, number, folder, facts=facts_of_entry(result), replaces=(entry.number,))


def _keep(ledger: Ledger, entry: Entry, number: int, folder: Path, **more: Any) -> None:
    callcost = entry.callcost or ledger.writer
    ledger.keep(
        dataclasses.replace(entry, number=number, layout=layout_of_facts(), callcost=callcost, **more), folder
    )


# --- Published days ---------------------------------------------------------------------------------------------------


def _take_published(ledger: Ledger, unknown: dict[str, list[Entry]], work: Path) -> None:
    """Keep, of logs whose facts cannot be read, the calls that were published."""
    published = ledger.published
    calls: Counter[str] = Counter()
    made = {name: _next_folder(ledger, work) for name in sorted(unknown)}
    for place, file in enumerate(sorted(name for name in published.get("files", {}) if name.startswith("day="))):
        day = pl.read_parquet(_published_file(ledger, file)).filter(pl.col("source_file").is_in(list(unknown)))
        for (name,), rows in day.group_by("source_file", maintain_order=True):
            number, folder = made[str(name)]
            facts = facts_of_published(rows, number, number * PIECES_PER_INPUT + place)
            write_facts(facts, folder / f"facts-{place:06}-0000.parquet")
            calls[str(name)] += rows.height
    _check_whole(ledger, unknown, calls)
    rejected = pl.read_parquet(_published_file(ledger, "rejects.parquet")).select(Rejects.names)
    for name, entries in unknown.items():
        number, folder = made[name]
        rejects = rejected.filter(pl.col("source_file") == name)
        piece = pl.lit(number * PIECES_PER_INPUT, pl.Int64).alias("piece")
        rejects.with_columns(piece).write_parquet(folder / "rejects-000000.parquet")
        tally = {"records": calls[name] + rejects.height, "rejects": rejects.height}
        kept = facts_of_entry(MapResult(inputs={str(number): tally}, facts=calls[name]))
        replaces = tuple(entry.number for entry in entries)
        _keep(ledger, entries[-1], number, folder, facts=kept, replaces=replaces)


def _published_file(ledger: Ledger, file: str) -> bytes:
    out = folder_at(ledger.published["out"])
    data = out.read(file)
    if data is None or digest_of_bytes(data) != ledger.published["files"][file]["sha256"]:
        message = f"{out.place}/{file} is not as it was published, and only there are the calls of logs that are gone"
        raise RunError(message, hint="Put the file or the logs back, or begin a new --state folder")
    return data


def _check_whole(ledger: Ledger, unknown: dict[str, list[Entry]], calls: Counter[str]) -> None:
    """Refuse where the published days do not hold all calls of a log: an interval was asked for, or none are there."""
    manifest = json.loads(_published_file(ledger, "manifest.json")) if "out" in ledger.published else {"inputs": ()}
    read = Counter[str]()
    for line in manifest["inputs"]:
        read[line["path"]] += line["calls"] + line["filtered"]
    for name, entries in unknown.items():
        if name not in read or read[name] != calls[name]:
            writer = entries[0].callcost or ledger.writer or "another version"
            message = f"callcost {writer} read {name}, which is not at hand any more, in a way that this one cannot use"
            raise RunError(message, hint="Give this log once more, or begin a new --state folder")
