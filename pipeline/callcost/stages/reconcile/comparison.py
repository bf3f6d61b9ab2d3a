"""Our costs beside a bill or beside the logged costs: one row per day, provider, model and class, and every cause.

Lays the two sides out (``cells.py``, ``per_call.py``), lets the rules explain what is between them (``rules.py``), and
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

from callcost.logs.bills.lines import DAY, BillLine, Kind, day_of
from callcost.logs.bills.restate import lag_of
from callcost.prices.book.book import Book
from callcost.prices.charges import quantized
from callcost.stages.pricing.exchange_rates import DOLLARS, ExchangeRates
from callcost.stages.reconcile.attribution import (
    OwnerNames,
    attribute,
    bill_by_owner,
    ours_by_owner,
)
from callcost.stages.reconcile.bill_tables import Bills, half_places
from callcost.stages.reconcile.call_evidence import Evidence
from callcost.stages.reconcile.case import Case
from callcost.stages.reconcile.cells import NOTHING, Cell, CellKey, Finding, Part, owner_key
from callcost.stages.reconcile.grain import BillGrain, build_cells, group_cells, names_by_price
from callcost.stages.reconcile.per_call import billed_calls, costs_agree, explain_calls, logged_calls, without_noise
from callcost.stages.reconcile.rules import explain
from callcost.stages.tables.schemas import Causes, Reconciliation
from callcost.tables import UNATTRIBUTED

BILL, LOG = "bill", "log"
FINAL, OPEN = "final", "open"

_KEY = ("against", "day", "provider", "model", "token_class", "line_item", "status", "currency")


@dataclasses.dataclass(slots=True, kw_only=True)
class Comparison:
    """What came of a comparison.

    Attributes:
        against: side beside ours, ``BILL`` or ``LOG``.
        currency: code of every amount.
        until: moment until which the bill was fetched, in microseconds since 1970; None: every day is final.
        rows: one per cell; columns of schemas.Reconciliation.
        causes: one per cell, cause and evidence; columns of schemas.Causes.
        outside: provider -> cost of our calls on days that no bill covers; None: nothing of it is priced.
        noise: number of calls whose logged cost is ours but for the noise of floats, and the sum of that noise.
        by_owner: whether causes are split by owner.
    """

    against: str
    currency: str = DOLLARS
    until: int | None = None
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    causes: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    outside: dict[str, Decimal | None] = dataclasses.field(default_factory=dict)
    noise: tuple[int, Decimal] = (0, NOTHING)
    by_owner: bool = False


def tables_of(comparisons: Sequence[Comparison]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows and the causes of comparisons, each sorted by all its columns."""
    rows = [row for one in comparisons for row in one.rows]
    causes = [row for one in comparisons for row in one.causes]
    return _sorted(rows, Reconciliation.types), _sorted(causes, Causes.types)


def _sorted(rows: Sequence[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row").sort(list(schema), nulls_last=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """Our side: files of the run.

    Attributes:
        calls: files with one row per call.
        charges: files with one row per charge line and unit.
        book: prices of the run.
        fx: what a US dollar bought of the bill's currency.
        names: by what causes are split.
    """

    calls: list[Path]
    charges: list[Path]
    book: Book
    fx: ExchangeRates
    names: OwnerNames = dataclasses.field(default_factory=OwnerNames)


def compare_bill(bills: Bills, ours: Ours, as_of: datetime) -> Comparison:
    """Lay our charges beside the bill and explain every difference.

    Args:
        bills: what the bills say.
        ours: our side.
        as_of: moment until which the bill was fetched; a day whose lag was over then is final.
    """
    until = int(as_of.astimezone(UTC).timestamp()) * 1_000_000
    names = ours.names
    result = Comparison(against=BILL, currency=bills.currency, until=until, by_owner=bool(names.by))
    single = [line for line in bills.lines if line.call_id and line.amount is not None]
    rest = [line for line in bills.lines if not (line.call_id and line.amount is not None)]
    joined, unmatched = billed_calls(ours.calls, ours.charges, single, ours.fx)
    _add_calls(result, joined, explain_calls(joined, ours.charges, ours.fx, ours.book, by_owner=result.by_owner))
    evidence = Evidence(ours.charges, ours.fx, joined, ours.calls)
    used = [line for line in rest if line.kind in {Kind.USAGE, Kind.CONTROL}]
    slack = half_places((line.dialect, line.amount) for line in rest)
    charged = evidence.parts()
    same = names_by_price(used, charged, slack)
    grain = BillGrain([*used, *unmatched], {(part.paid, part.model) for part in charged if part.model}, same)
    parts = _covered(charged, bills, grain, result)
    cells = build_cells(parts, used, grain, slack, {line.provider for line in single})
    case = Case(group_cells(cells), evidence, grain, ours.book)
    explain(case)
    if names.by:
        mine, copied = (ours_by_owner(evidence.by_owner(grain, copies=copies)) for copies in (False, True))
        whose = {owner_key(line): names.of(line) for line in used}
        parts_of = {owner for cell in case.cells() for found in cell.findings for owner, _ in found.shares}
        whose |= evidence.owners_of(parts_of - whose.keys())
        attribute(case.cells(), bill_by_owner(used, grain, names), mine, whose, copied)
    for cell in case.cells():
        _add_cell(result, cell)
    _add_loose(result, [line for line in rest if line.kind not in {Kind.USAGE, Kind.CONTROL}], names)
    _add_unmatched(result, unmatched, grain, names)
    result.rows = _merged(result.rows)
    return result


def _covered(parts: Iterable[Part], bills: Bills, grain: BillGrain, result: Comparison) -> list[Part]:
    """Keep our charges of providers and days that the bill is about; the others are only added up."""
    undated = {line.provider for line in bills.lines if line.start_at is None}
    kept = []
    for part in parts:
        span = bills.periods.get(part.paid)
        day = grain.key(part.day, part.paid, part.model, part.token_class).day
        inside = part.paid in undated if day is None else span is not None and day_of(span[0]) <= day < span[1]
        if inside:
            kept.append(part)
        else:
            known = result.outside.setdefault(part.paid, None)
            result.outside[part.paid] = known if part.cost is None else (known or NOTHING) + part.cost
    return kept


def compare_logged(ours: Ours) -> Comparison:
    """Lay our costs beside those that the log states, call by call; one that is ours but for noise is ours."""
    table, calls, amount = without_noise(logged_calls(ours.calls, ours.charges, ExchangeRates()))
    result = Comparison(against=LOG, noise=(calls, amount), by_owner=bool(ours.names.by))
    _add_calls(result, table, explain_calls(table, ours.charges, ExchangeRates(), ours.book, by_owner=result.by_owner))
    return result


# --- Rows and causes --------------------------------------------------------------------------------------------------


def _add_calls(result: Comparison, table: pl.DataFrame, cells: Sequence[Cell]) -> None:
    """Add the rows of calls that were compared one by one: a day, provider and model each."""
    summed = table.group_by("day", "provider", "model").agg(
        pl.col("stated", "total_tokens", "billed_tokens", "computed").sum(),
        noise=(pl.col("stated") - pl.col("computed")).filter(costs_agree()).sum(),
        priced=pl.col("computed").is_not_null().any(), counted=pl.col("billed_tokens").is_not_null().any(),
    )  # fmt: skip
    findings: dict[CellKey, list[Finding]] = defaultdict(list)
    for cell in cells:
        findings[cell.key] += cell.findings
    for row in summed.iter_rows(named=True):
        key = CellKey(row["day"], row["provider"], row["model"], None)
        whole = Cell(
            key, ours=Decimal(row["total_tokens"] or 0), cost=row["computed"] if row["priced"] else None,
            billed=row["billed_tokens"] if row["counted"] else None, amount=row["stated"], findings=findings[key],
        )  # fmt: skip
        if row["noise"]:
            whole.findings.append(Finding("rounding", NOTHING, row["noise"], "less than a billionth of each cost"))
        _add_cell(result, whole)


def _add_cell(result: Comparison, cell: Cell, *, item: str | None = None) -> None:
    """Write a cell down, and its findings, one line per cause and evidence."""
    key, stated = cell.key, cell.amount
    base = {
        "against": result.against, "day": _date(key.day), "provider": key.provider, "model": key.model,
        "token_class": key.token_class, "line_item": item, "status": _status(key, result.until),
        "currency": result.currency,
    }  # fmt: skip
    causes: dict[tuple[str, str, str | None], dict[str, Any]] = {}
    for found in cell.findings:
        owner = (found.owner or UNATTRIBUTED) if result.by_owner else None
        row = causes.setdefault((found.cause, found.evidence, owner), {
            **base, "cause": found.cause, "tokens": NOTHING, "amount": None if stated is None else NOTHING,
            "base": None, "evidence": found.evidence, "owner": owner,
        })  # fmt: skip
        row["tokens"] += found.tokens
        if stated is not None:
            row["amount"] += found.amount or NOTHING
        if found.base is not None:
            row["base"] = quantized((row["base"] or NOTHING) + found.base)
    result.causes += causes.values()
    left = sum((row["amount"] or NOTHING for row in causes.values() if row["cause"] == "unexplained"), NOTHING)
    difference = None if stated is None else stated - (cell.cost or NOTHING)
    result.rows.append({
        **base,
        "computed_tokens": cell.ours,
        "billed_tokens": cell.billed,
        "token_difference": None if cell.billed is None else cell.billed - cell.ours,
        "computed_cost": cell.cost,
        "billed_cost": stated if result.against == BILL else None,
        "logged_cost": stated if result.against == LOG else None,
        "difference": difference,
        "explained": None if difference is None else difference - left,
        "unexplained": None if difference is None else left,
    })  # fmt: skip


def _add_loose(result: Comparison, lines: Sequence[BillLine], names: OwnerNames) -> None:
    """Add what stands on the bill and belongs to no call: credits, fees and what nobody knows, by its label."""
    cells: dict[tuple[CellKey, str | None], Cell] = {}
    owned: dict[tuple[CellKey, str | None], dict[str | None, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for line in lines:
        if line.amount is not None:
            key = CellKey(line.day, line.provider, line.model, line.kind)
            cell = cells.setdefault((key, line.line_item), Cell(key, amount=NOTHING))
            cell.amount = (cell.amount or NOTHING) + line.amount
            owned[key, line.line_item][names.of(line)] += line.amount
    for (key, item), cell in cells.items():
        cell.start()
        if key.token_class == Kind.CREDIT:
            cell.settle("discount", NOTHING, cell.rest, "a credit of the bill")
        elif key.token_class == Kind.FEE:
            cell.settle("fee", NOTHING, cell.rest, "capacity, tax or another fee: no call has it")
        else:
            cell.settle("unmapped_line_item", NOTHING, cell.rest, f"a line of its own: {key.token_class}")
        cell.findings = [
            found._replace(amount=amount, owner=owner)
            for found in cell.findings
            for owner, amount in owned[key, item].items()
        ]
        _add_cell(result, cell, item=item)


def _add_unmatched(result: Comparison, lines: Sequence[BillLine], grain: BillGrain, names: OwnerNames) -> None:
    """Add the calls of a bill per call that are in no log."""
    cells: dict[CellKey, Cell] = {}
    for line in lines:
        key = grain.key(line.day, line.provider, line.model, None)
        cells.setdefault(key, Cell(key, billed=NOTHING, amount=NOTHING)).add_line(line)
    for cell in cells.values():
        cell.start()
        cell.settle("billed_not_logged", cell.gap or NOTHING, cell.rest, "no call in the logs has this id")
    if names.by:
        attribute(cells.values(), bill_by_owner(lines, grain, names), {})
    for cell in cells.values():
        _add_cell(result, cell)


def _merged(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bring rows under one key together: calls of a bill per call that joined, and those that did not."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        known = found.setdefault(tuple(row[name] for name in _KEY), row)
        if known is not row:
            known |= {name: _sum(known[name], row[name]) for name in row if name not in _KEY}
    return list(found.values())


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return other if one is None else one if other is None else one + other


def _date(day: int | None) -> date | None:
    return None if day is None else datetime.fromtimestamp(day // 1_000_000, UTC).date()


def _status(key: CellKey, until: int | None) -> str:
    """Tell whether the bill of a day may still change."""
    if until is None or key.day is None:
        return FINAL
    return OPEN if key.day + DAY + lag_of(key.provider) > until else FINAL
