"""How sure a report's figures are: what became of every record, how counts were made, which prices applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from callcost.stages.pages.figures import NONE, USD, figure_cell
from callcost.stages.pages.kit import Markup, cell, element, name_of, row_name, section, table

Manifest = Mapping[str, Any]
_FATES = {
    "records": "records read", "calls": "calls", "duplicates": "copies of calls, counted once", "rejects": "rejected",
    "context": "no calls (context)", "fragments": "parts of calls", "filtered": "left out by filters",
}  # fmt: skip
_TALLIES = {
    "usage_source": "whose counts", "count_method": "how counted here", "price_status": "price",
    "price_basis": "rates", "flags": "flag",
}  # fmt: skip
_MOST = 20  # rows of a list


def quality_section(manifest: Manifest) -> Markup:
    """Return what a reader must know before trusting the figures."""
    fates = [(words, manifest["records"][fate], None) for fate, words in _FATES.items()]
    tables = [
        _counts("Records", fates),
        _counts("Calls", _calls(manifest)),
        _rejects(manifest["reject_reasons"]),
        _unpriced(manifest["unpriced"]),
        _versions(manifest["price_versions"]),
        _gates(manifest["gates"]),
    ]
    return section("Data quality", "quality", element("div", tables, class_="columns"))


def _calls(manifest: Manifest) -> Iterable[tuple[str, int, str | None]]:
    """Yield what is said of calls: words, how many calls, and what they cost or cost more."""
    for name, words in _TALLIES.items():
        for value, count in sorted(manifest[name].items(), key=lambda pair: (-pair[1], pair[0])):
            yield f"{words}: {value.replace('_', ' ')}", count, None
    repeated, corrections, derived = (manifest[name] for name in ("repeated_rows", "corrections", "derived_rates"))
    more = (
        ("equal rows that nothing tells apart, each counted", repeated["calls"], repeated["total_cost"]),
        ("price moved by corrections, by", corrections["calls"], corrections["total_cost"]),
        ("at documented rates that no map has", derived["calls"], derived["total_cost"]),
        ("reasoning taken from other calls", *manifest["reasoning_from_log"].values()),
        ("broken off", manifest["aborted"]["calls"], manifest["aborted"]["total_cost"]),
        ("without a time, at the newest rates", manifest["undated_calls"], None),
    )
    yield from (row for row in more if row[1])


def _counts(title: str, rows: Iterable[tuple[str, int, str | None]]) -> Markup:
    found = list(rows)
    has_cost = any(cost is not None for _, _, cost in found)
    body = [
        [
            row_name(words), figure_cell(count),
            *([cell() if cost is None else figure_cell(Decimal(cost), USD)] if has_cost else []),
        ]
        for words, count, cost in found
    ]  # fmt: skip
    return table(title, ["", title.lower(), *(["cost"] if has_cost else [])], body)


def _rejects(reasons: Iterable[Mapping[str, Any]]) -> Markup | None:
    rows = [
        [
            row_name(row["reason"].replace("_", " ")), cell(name_of(row["first"])),
            figure_cell(row["records"]),
        ]
        for row in reasons
    ]  # fmt: skip
    return table("Why records were rejected", ["reason", "first", "records"], rows, words=2) if rows else None


def _unpriced(groups: Iterable[Mapping[str, Any]]) -> Markup | None:
    ordered = sorted(groups, key=lambda row: (-row["calls"], str(row["model"]), str(row["price_reason"])))
    rows = [
        [
            row_name(name_of(row["model"])), cell(f"{row['price_status']}, {row['price_reason']}".replace("_", " ")),
            cell(name_of(row["first"])), figure_cell(row["calls"]),
        ]
        for row in ordered[:_MOST]
    ]  # fmt: skip
    rows += _others(ordered, cell(), cell())
    return table("Calls without a full price", ["model", "why", "first", "calls"], rows, words=3) if rows else None


def _versions(versions: Iterable[Mapping[str, Any]]) -> Markup | None:
    ordered = sorted(versions, key=lambda row: (-row["calls"], row["name"]))
    rows = [[row_name(name_of(row["name"])), figure_cell(row["calls"])] for row in ordered[:_MOST]]
    rows += _others(ordered)
    return table("Versions of prices", ["version", "calls"], rows) if rows else None


def _others(ordered: Sequence[Mapping[str, Any]], *between: Markup) -> list[list[Markup]]:
    """Return the row of what a list has no room for, if there is any."""
    rest = ordered[_MOST:]
    calls = figure_cell(sum(row["calls"] for row in rest))
    return [[row_name(f"{len(rest):,} more"), *between, calls]] if rest else []


def _gates(gates: Iterable[Mapping[str, Any]]) -> Markup | None:
    rows = [
        [
            row_name(gate["gate"]),
            cell(_limit(gate["limit"])),
            cell(_limit(gate["found"])),
            cell("crossed" if gate["crossed"] else "held"),
        ]
        for gate in gates
    ]
    return table("Gates", ["gate", "limit", "found", ""], rows) if rows else None


def _limit(value: Any) -> str:
    return NONE if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)
