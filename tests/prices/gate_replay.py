"""``python -m tests.prices.gate_replay``: send every bundled version through the gate, as if each had just been pulled.

Each map is compared with the one before it and with what other tables had before its day; corrections are not looked
at. ``--seen`` takes the rows that the bundled ones were made of, ``--pack`` writes the bundled file from them,
``--decades`` says which prices proved wrong by a power of ten, so that the gate's catches can be counted.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import click
import zstandard

from callcost.models import PROVIDERS
from callcost.prices.book.archive import microseconds
from callcost.prices.book.catalog import Catalog, Version, load_catalog
from callcost.prices.book.corrections import Corrections, load_corrections
from callcost.prices.book.cost_map import Entry, rate
from callcost.prices.units import place_field
from callcost.prices.upstream.gate import ZERO, Cell, Suspicion, changed_cells, find_suspicions
from callcost.prices.upstream.other_tables import (
    OtherTables,
    SeenRate,
    host_of,
    plain_name,
    read_bundled,
    spelled,
    undated,
)
from callcost.prices.upstream.suspicions import add_suspicions, row_of
from callcost.settings import CORRECTIONS

# Names of a table's column, by our own.
_UNITS = {
    "input": "text_input", "output": "text_output", "cache_read": "cache_read",
    "cache_write_5m": "cache_write_5m", "cache_write_1h": "cache_write_1h",
}  # fmt: skip
# Tables, and whose word they are: those made from each other are one.
_TABLES = {
    "pydantic/genai-prices": "genai-prices", "pydantic/genai-prices (PyPI)": "genai-prices", "models.dev": "models.dev",
    "badlogic/pi-mono": "models.dev", "@earendil-works/pi-ai (npm)": "models.dev", "crmne/ruby_llm": "models.dev",
    "langwatch/langwatch": "openrouter", "Portkey-AI/models": "portkey", "langfuse/langfuse": "langfuse",
    "langfuse/langfuse (migrations)": "langfuse", "openlit/openlit": "openlit", "charmbracelet/catwalk": "catwalk",
    "cline/cline": "cline", "RooCodeInc/Roo-Code": "cline", "Aider-AI/aider": "aider",
}  # fmt: skip
# Hosts that tables spell in ways that no log does.
_HOSTS = {
    "azure-cognitive-services": "azure", "azure-openai-responses": "azure", "bedrock-europe": "bedrock",
    "cloudflare-workers-ai": "cloudflare", "copilot": "github_copilot", "github-copilot": "github_copilot",
    "internationalqwen": "dashscope", "internationalzai": "zai", "alibaba-singapore": "dashscope",
    "lambda": "lambda_ai", "meta": "meta_llama", "meta-llama": "meta_llama", "novita-ai": "novita",
    "openainative": "openai", "opencode-go": "opencode_go", "vercel-ai-gateway": "vercel_ai_gateway",
    "workers-ai": "cloudflare", "xiaomi": "xiaomi_mimo",
}  # fmt: skip
_BRIEF = 7  # days: a router's price that was gone earlier tells nothing


class Arrival(NamedTuple):
    """A price that a version brought, and what the gate says of it; None: nothing."""

    version: Version
    cell: Cell
    suspicion: Suspicion | None


def read_seen(lines: Iterable[bytes]) -> Iterator[SeenRate]:
    """Yield the plain rates of hosts that cost maps know, from rows {"source", "provider", "model", "field", ...}."""
    for line in lines:
        row = json.loads(line)
        unit, table = _UNITS.get(row["field"]), _TABLES.get(row["source"])
        named = row["provider"].lower()
        host = host_of(_HOSTS.get(named, named))
        if unit is None or table is None or row.get("condition") or Decimal(row["value"]) <= 0:
            continue
        if not host or host in PROVIDERS:
            days = (row["first_seen"][:10], row["last_seen"][:10])
            yield SeenRate(table, host, spelled(row["model"]), unit, rate(row["value"]), *days)


def merge(rows: Iterable[SeenRate]) -> list[SeenRate]:
    """Join spans of one word that touch or overlap, and leave out a router's brief ones; sorted."""
    merged: list[SeenRate] = []
    for row in sorted(rows, key=lambda row: (row.host, row.model, row.unit, row.table, row.value, row.seen_from)):
        last = merged[-1] if merged else None
        if last and last[:5] == row[:5] and row.seen_from <= last.seen_until:
            merged[-1] = last._replace(seen_until=max(last.seen_until, row.seen_until))
        else:
            merged.append(row)
    return [row for row in merged if row.host != "openrouter" or _days(row) >= _BRIEF]


def _days(row: SeenRate) -> int:
    return (date.fromisoformat(row.seen_until) - date.fromisoformat(row.seen_from)).days


def pack(rows: Iterable[SeenRate]) -> bytes:
    """Return rows as the bundled file has them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("host", "model", "unit", "value", "seen_from", "seen_until", "table"))
    for row in rows:
        days = (row.seen_from, row.seen_until)
        writer.writerow((row.host, row.model, row.unit, f"{row.value.normalize():f}", *days, row.table))
    return zstandard.ZstdCompressor(level=19, write_checksum=True).compress(text.getvalue().encode())


def replay(catalog: Catalog, tables: OtherTables) -> list[Arrival]:
    """Return every price that a version brought, with what the gate says of it."""
    found: list[Arrival] = []
    old: dict[str, Entry] = {}
    for version in catalog.versions:
        new = catalog.map_of(version)
        said = {each[:2]: each for each in find_suspicions(new, old, version.effective_text[:10], tables)}
        for model in new if old else ():
            if new[model] != old.get(model):
                cells = changed_cells(model, new[model], old.get(model))
                found += [Arrival(version, cell, said.get((cell.model, cell.field))) for cell in cells]
        old = new
    return found


def is_mended(arrival: Arrival, catalog: Catalog) -> bool:
    """Say whether a later version moved a price at least fivefold the way that the gate said, or dropped the field."""
    suspicion, cell = arrival.suspicion, arrival.cell
    for version, entry in catalog.history(cell.model):
        if suspicion and version > arrival.version and entry is not None:
            later = {each.field: each.new for each in changed_cells(cell.model, entry, None)}.get(cell.field)
            if later != cell.new:
                return later is None or (cell.new and not 1 < 5 * later / cell.new < 25) or not cell.new
    return False


def open_rows(
    arrivals: Iterable[Arrival], catalog: Catalog, rows: Iterable[SeenRate], now: int
) -> list[Mapping[str, str]]:
    """Return what stays suspicious when all that came later is known, as rows of the bundled file.

    Settled is what a correction lies over, what any table ever had for that host, and a jump that only the last map
    spoke against and no later one took back; and what was suspicious with such a price. Of zeros the book knows by
    itself.
    """
    had: dict[tuple[str, str], list[SeenRate]] = {}
    for row in rows:
        had.setdefault((undated(plain_name(row.model)), row.unit), []).append(row)
    corrections = load_corrections(CORRECTIONS[1], catalog)
    stopped = {(each.version, *each.cell[:2]): each for each in arrivals if each.suspicion}
    found = []
    for version, cell, suspicion in stopped.values():
        if suspicion is None or suspicion.kind == ZERO:
            continue
        root = stopped.get((version, cell.model, suspicion.evidence.removeprefix("as ")))
        if any(_is_settled(each, catalog, corrections, had) for each in (root, stopped[version, *cell[:2]]) if each):
            continue
        entry = catalog.entry(cell.model, version) or {}
        found.append(row_of(suspicion, entry, version=version.name, begins=version.effective_from, now=now))
    return found


def _is_settled(
    arrival: Arrival, catalog: Catalog, corrections: Corrections, had: Mapping[tuple[str, str], list[SeenRate]]
) -> bool:
    version, cell, suspicion = arrival
    entry = catalog.entry(cell.model, version)
    laid = corrections.over(cell.model, entry, version.effective_from)
    if laid and laid.entry.get(cell.field) != cell.new:
        return True
    host = host_of(str((entry or {}).get("litellm_provider") or ""))
    words = had.get((undated(plain_name(cell.model)), cell.unit), ())
    if any(row.host == host and abs(row.value - cell.new) * 100 <= row.value for row in words):
        return True
    alone = suspicion is not None and suspicion.evidence == "the last map"
    return alone and not is_mended(arrival, catalog)


def has_a_base(cell: Cell, version: Version, catalog: Catalog, tables: OtherTables) -> bool:
    """Say whether anything could tell that a price is wrong: an earlier value, or another table's row by then."""
    earlier = (entry for listed, entry in catalog.history(cell.model) if listed < version and entry)
    placed = place_field(cell.field)
    known = tables.known(undated(plain_name(cell.model)), placed.unit if placed else "", version.effective_text[:10])
    return bool(known) or any(entry.get(cell.field) for entry in earlier)


def _parity(version: Version) -> str:
    return "odd" if version.index % 2 else "even"


@click.command()
@click.option("--seen", type=click.Path(exists=True, path_type=Path), help="Rows of other tables: JSON lines, .zst.")
@click.option("--pack", "packed", type=click.Path(path_type=Path), help="Write the rows of --seen as a bundled file.")
@click.option("--decades", type=click.Path(exists=True, path_type=Path), help="CSV: model, field, wrong_from, verdict.")
@click.option("--suspicions", type=click.Path(path_type=Path), help="Write what stays suspicious to this new folder.")
@click.option("--list", "listed", is_flag=True, help="List every price that was stopped.")
def main(
    seen: Path | None, packed: Path | None, decades: Path | None, suspicions: Path | None, listed: bool
) -> None:
    """Replay every version through the gate, and count."""
    if seen:
        text = zstandard.ZstdDecompressor().decompress(seen.read_bytes(), max_output_size=1 << 30)
        rows = merge(read_seen(text.splitlines()))
    else:
        rows = list(read_bundled())
    if packed:
        packed.write_bytes(pack(rows))
        click.echo(f"{len(rows):,} rows, {packed.stat().st_size:,} bytes in {packed}")
    catalog, tables = load_catalog(), OtherTables(rows)
    arrivals = replay(catalog, tables)
    if suspicions:
        today = microseconds(datetime.now(UTC).date().isoformat())
        add_suspicions(open_rows(arrivals, catalog, rows, today), suspicions)
    judged = _judge(decades, arrivals, catalog, tables) if decades else set()
    _count(arrivals, judged, catalog, listed)


def _judge(
    decades: Path, arrivals: list[Arrival], catalog: Catalog, tables: OtherTables
) -> set[tuple[str, str, Version]]:
    """Count what was caught of the judged prices; return those that are wrong, or may be."""
    by_cell = {(each.cell.model, each.cell.field, each.version.effective_from): each for each in arrivals}
    caught: Counter[tuple[str, str]] = Counter()
    wrong = set()
    with decades.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            arrival = by_cell.get((row["model"], row["field"], microseconds(row["wrong_from"])))
            verdict = row["verdict"].partition(",")[0]
            if arrival is None:
                caught[verdict, "of the first version"] += 1
                continue
            wrong |= {(*arrival.cell[:2], arrival.version)} if re.match("typo|no table", verdict) else set()
            based = has_a_base(arrival.cell, arrival.version, catalog, tables)
            group = f"{'some' if based else 'no'} earlier value or row"
            for part in (group, f"{group}, {_parity(arrival.version)} versions"):
                caught[verdict, part] += 1
                caught[verdict, f"{part}: caught"] += arrival.suspicion is not None
    for (verdict, group), count in sorted(caught.items()):
        click.echo(f"{verdict}; {group}: {count}")
    return wrong


def _count(arrivals: list[Arrival], wrong: set[tuple[str, str, Version]], catalog: Catalog, listed: bool) -> None:
    groups: dict[str, Counter[str]] = {}
    for each in arrivals:
        if (*each.cell[:2], each.version) in wrong:
            continue
        news = "new" if each.cell.old is None else "changed"
        count = groups.setdefault(f"{news}, {_parity(each.version)}", Counter())
        count["prices"] += 1
        if each.suspicion is None:
            continue
        mended = is_mended(each, catalog)
        word = "zeros" if each.suspicion.kind == ZERO else "wrong, as later versions say" if mended else "stopped"
        count[word] += 1
        if listed and word == "stopped":
            _, field, old, new, kind, expected, evidence = each.suspicion
            said = f"{expected:f}" if expected else "?"
            before = "-" if old is None else f"{old:f}"
            click.echo(f"{each.version.effective_text[:10]} {each.cell.model} {field}: {before} -> {new:f}, {kind}: "
                       f"{said} ({evidence})")  # fmt: skip
    for group, count in sorted(groups.items()):
        share = 100 * count["stopped"] / count["prices"]
        click.echo(f"{group}: {dict(count)}, {share:.2f} % stopped")


if __name__ == "__main__":
    main()
