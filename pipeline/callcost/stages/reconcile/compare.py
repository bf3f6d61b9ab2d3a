"""Our costs beside a bill or beside the logged costs: one row per day, provider, model and class, and every cause.

Lays the two sides out (``cells.py``), lets the rules explain what is between them (``rules.py``, ``per_call.py``), and
writes both down as tables. A row's causes add up to its difference, to the last decimal; days whose bill may still
change are marked open.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from callcost.logs.bills.lines import CONTROL, CREDIT, DAY, USAGE, BillLine, day_of
from callcost.prices.book.book import Book
from callcost.stages.reconcile.bill_tables import Billed, Rates, half_places
from callcost.stages.reconcile.call_evidence import Evidence
from callcost.stages.reconcile.cells import NOTHING, Cell, Finding, Fold, Part, Place, build_cells
from callcost.stages.reconcile.per_call import agrees, billed_calls, explain_pairs, logged_calls, without_noise
from callcost.stages.reconcile.rules import Case, explain, group_cells
from callcost.stages.tables.facts import TYPES
from callcost.tables import CAUSE_COLUMNS, RECONCILIATION_COLUMNS

BILL, LOG = "bill", "log"
FINAL, OPEN = "final", "open"
_KINDS = TYPES | {"date": pl.Date()}
RECONCILIATION_SCHEMA = {column.name: _KINDS[column.kind] for column in RECONCILIATION_COLUMNS}
CAUSE_SCHEMA = {column.name: _KINDS[column.kind] for column in CAUSE_COLUMNS}

# Hours after a UTC day until its bill no longer moves (formats.md 4 and 6.3).
LAGS = {"openai": 24, "anthropic": 24, "openrouter": 24, "bedrock": 72, "azure": 72, "google": 72}
_LAG = 72
_HOUR = DAY // 24
_PLACE = ("against", "day", "provider", "model", "token_class", "line_item", "status", "currency")


@dataclasses.dataclass(slots=True, kw_only=True)
class Comparison:
    """What came of a comparison.

    Attributes:
        rows: of the columns RECONCILIATION_COLUMNS.
        causes: of the columns CAUSE_COLUMNS.
        outside: what our calls cost on days and of providers that no bill covers, and how much they used.
        noise: calls whose logged cost is ours but for the noise of floats, and the sum of that noise.
    """

    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    causes: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    outside: dict[str, Decimal] = dataclasses.field(default_factory=dict)
    noise: tuple[int, Decimal] = (0, NOTHING)

    def table(self) -> pl.DataFrame:
        """Return the rows, sorted."""
        return _sorted(self.rows, RECONCILIATION_SCHEMA)

    def cause_table(self) -> pl.DataFrame:
        """Return the causes, sorted."""
        return _sorted(self.causes, CAUSE_SCHEMA)


def _sorted(rows: Sequence[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row").sort(list(schema), nulls_last=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """Our side: files of the run.

    Attributes:
        calls: one row per call.
        charges: one row per charge line and unit.
        book: that priced them.
        fx: what a dollar bought of the bill's currency.
    """

    calls: list[Path]
    charges: list[Path]
    book: Book
    fx: Rates


def compare_bill(billed: Billed, ours: Ours, as_of: datetime) -> Comparison:
    """Lay our charges beside the bill and explain every difference.

    Args:
        billed: the bills.
        ours: our side.
        as_of: the moment until which the bill was fetched; later than a day's lag it is final.
    """
    result = Comparison()
    until = int(as_of.astimezone(UTC).timestamp()) * 1_000_000
    single = [line for line in billed.lines if line.call_id and line.amount is not None]
    rest = [line for line in billed.lines if not (line.call_id and line.amount is not None)]
    joined, unmatched = billed_calls(ours.calls, ours.charges, single, ours.fx)
    _add_pairs(result, BILL, joined, explain_pairs(joined, ours.charges, ours.fx, ours.book), billed.currency, until)
    evidence = Evidence(ours.charges, ours.fx, joined if joined.height else None)
    used = [line for line in rest if line.kind in {USAGE, CONTROL}]
    fold = Fold([*used, *unmatched], evidence.names())
    parts = _covered(evidence.parts(), billed, fold, result)
    cells = build_cells(parts, used, fold, half_places(rest), {line.provider for line in single})
    case = Case(group_cells(cells), evidence, fold, ours.book)
    explain(case)
    for group in case.groups.values():
        for cell in group:
            _add_cell(result, cell, billed.currency, until)
    _add_loose(result, [line for line in rest if line.kind not in {USAGE, CONTROL}], billed.currency, until)
    _add_unmatched(result, unmatched, fold, billed.currency, until)
    result.rows = _merged(result.rows)
    return result


def _covered(parts: Iterable[Part], billed: Billed, fold: Fold, result: Comparison) -> list[Part]:
    """Keep our charges of providers and days that the bill is about; the sum of the others is told."""
    undated = {line.provider for line in billed.lines if line.start_at is None}
    kept = []
    for part in parts:
        span = billed.covered.get(part.paid)
        day = fold.place(part.day, part.paid, part.model, part.token_class).day
        inside = part.paid in undated if day is None else span is not None and day_of(span[0]) <= day < span[1]
        if inside:
            kept.append(part)
        else:
            result.outside[part.paid] = result.outside.get(part.paid, NOTHING) + (part.cost or NOTHING)
    return kept


def compare_logged(ours: Ours) -> Comparison:
    """Lay our costs beside those that the log states, call by call; one that is ours but for noise is ours."""
    result = Comparison()
    table, calls, amount = without_noise(logged_calls(ours.calls, ours.charges, Rates()))
    result.noise = (calls, amount)
    _add_pairs(result, LOG, table, explain_pairs(table, ours.charges, Rates(), ours.book), "USD", None)
    return result


# --- Rows and causes --------------------------------------------------------------------------------------------------


def _add_pairs(
    result: Comparison, against: str, table: pl.DataFrame, cells: Sequence[Cell], currency: str, until: int | None
) -> None:
    """Add the rows of calls that were compared one by one: a day and model each."""
    places = ["day", "provider", "model"]
    summed = table.group_by(places).agg(
        pl.col("stated").sum(), pl.col("total_tokens").sum(), pl.col("billed_tokens").sum(),
        pl.col("computed").sum(), noise=(pl.col("stated") - pl.col("computed")).filter(agrees()).sum(),
        priced=pl.col("priced").any(), counted=pl.col("billed_tokens").is_not_null().any(),
    )  # fmt: skip
    findings: dict[Place, list[Cell]] = defaultdict(list)
    for cell in cells:
        findings[cell.place].append(cell)
    for row in summed.iter_rows(named=True):
        place = Place(row["day"], row["provider"], row["model"], None)
        whole = Cell(place, ours=Decimal(row["total_tokens"] or 0), cost=row["computed"] if row["priced"] else None)
        whole.billed, whole.amount = row["billed_tokens"] if row["counted"] else None, row["stated"]
        whole.findings = [found for cell in findings.get(place, ()) for found in cell.findings]
        if row["noise"]:
            whole.findings.append(Finding("rounding", NOTHING, row["noise"], "less than a billionth of each cost"))
        _add_cell(result, whole, currency, until, against=against)


def _add_cell(
    result: Comparison, cell: Cell, currency: str, until: int | None, *, against: str = BILL, item: str | None = None
) -> None:
    """Write a cell down, and what was found in it, one line per cause and evidence."""
    place, stated = cell.place, cell.amount
    base = {
        "against": against, "day": _date(place.day), "provider": place.provider, "model": place.model,
        "token_class": place.token_class, "line_item": item, "status": _status(place, until), "currency": currency,
    }  # fmt: skip
    amounts: dict[tuple[str, str], list[Decimal]] = {}
    for found in cell.findings:
        held = amounts.setdefault((found.cause, found.evidence), [NOTHING, NOTHING])
        held[0] += found.tokens
        held[1] += found.amount or NOTHING
    for (cause, evidence), (tokens, amount) in amounts.items():
        money = None if stated is None else amount
        result.causes.append({**base, "cause": cause, "tokens": tokens, "amount": money, "evidence": evidence})
    left = sum((held[1] for (cause, _), held in amounts.items() if cause == "unexplained"), NOTHING)
    difference = None if stated is None else stated - (cell.cost or NOTHING)
    result.rows.append({
        **base,
        "computed_tokens": cell.ours,
        "billed_tokens": cell.billed,
        "token_difference": None if cell.billed is None else cell.billed - cell.ours,
        "computed_cost": cell.cost,
        "billed_cost": stated if against == BILL else None,
        "logged_cost": stated if against == LOG else None,
        "difference": difference,
        "explained": None if difference is None else difference - left,
        "unexplained": None if difference is None else left,
    })  # fmt: skip


def _add_loose(result: Comparison, lines: Sequence[BillLine], currency: str, until: int | None) -> None:
    """Add what stands on the bill and belongs to no call: credits, fees and what nobody knows, by its label."""
    cells: dict[tuple[Place, str | None, str], Cell] = {}
    for line in lines:
        if line.amount is None:
            continue
        day = None if line.start_at is None else day_of(line.start_at)
        place = Place(day, line.provider, line.model, line.kind)
        cell = cells.setdefault((place, line.line_item, line.kind), Cell(place, amount=NOTHING))
        cell.amount = (cell.amount or NOTHING) + line.amount
    for (_, item, kind), cell in cells.items():
        cell.open()
        cause = "discount" if kind == CREDIT else "unmapped_line_item"
        cell.settle(cause, NOTHING, cell.rest, {CREDIT: "a credit of the bill"}.get(kind, f"a line of its own: {kind}"))
        _add_cell(result, cell, currency, until, item=item)


def _add_unmatched(
    result: Comparison, lines: Sequence[BillLine], fold: Fold, currency: str, until: int | None
) -> None:
    """Add the calls of a bill per call that are in no log."""
    cells: dict[Place, Cell] = {}
    for line in lines:
        day = None if line.start_at is None else day_of(line.start_at)
        place = fold.place(day, line.provider, line.model, None)
        cell = cells.setdefault(place, Cell(place, billed=NOTHING, amount=NOTHING))
        cell.billed = (cell.billed or NOTHING) + (line.quantity or NOTHING)
        cell.amount = (cell.amount or NOTHING) + (line.amount or NOTHING)
    for cell in cells.values():
        cell.open()
        cell.settle("billed_not_logged", cell.gap or NOTHING, cell.rest, "no call in the logs has this id")
        _add_cell(result, cell, currency, until)


def _merged(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bring rows of one place together: calls of a bill per call that joined, and those that did not."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        known = found.setdefault(tuple(row[name] for name in _PLACE), row)
        if known is not row:
            figures = (name for name in row if name not in _PLACE)
            known |= {name: _added(known[name], row[name]) for name in figures}
    return list(found.values())


def _added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return other if one is None else one if other is None else one + other


def _date(day: int | None) -> date | None:
    return None if day is None else datetime.fromtimestamp(day // 1_000_000, UTC).date()


def _status(place: Place, until: int | None) -> str:
    """Say whether the bill of a day may still change."""
    if until is None or place.day is None:
        return FINAL
    return OPEN if place.day + DAY + LAGS.get(place.provider, _LAG) * _HOUR > until else FINAL
