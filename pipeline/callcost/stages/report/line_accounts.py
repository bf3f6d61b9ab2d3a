"""One call, line by line: the scalar reader's account of the charges that the batch reader summed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import polars as pl

from callcost.prices.book.book import Book
from callcost.prices.book.corrections import describe
from callcost.prices.calls import price_line
from callcost.prices.charges import Charge
from callcost.tables import USAGE_COUNTS, Call, Usage

_TERMS = (
    "source_format", "started_at", "provider", "model", "model_requested", "region", "service_tier", "data_residency",
    "inference_geo", "speed", "status", "usage_source", "billing",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LineCharge:
    """One unit of a charge line.

    Attributes:
        unit: name of the unit.
        quantity: how many.
        listed: the rate as the cost map has it; None: there is none.
        field: of the cost map; "": the rate is not from the map.
        factors: (field, multiplier) pairs.
        rate: effective: listed x factors, rounded once.
        cost: quantity x rate, US dollars; None: not priced.
        note: what stands in for a missing rate, or "".
    """

    unit: str
    quantity: Decimal
    listed: Decimal | None
    field: str
    factors: tuple[tuple[str, Decimal], ...]
    rate: Decimal | None
    cost: Decimal | None
    note: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LineAccount:
    """One charge line: which rates it gets and what each unit costs.

    Attributes:
        model: of the line.
        read: the counts as they are charged, null left out.
        key: the model's name in the cost map; None: unknown.
        rung: the step of the name ladder that found it.
        named: the provider that the name says, where the log states another; None: they agree.
        runner_up: key of a like name that was in force, where the very name was listed soon after.
        basis: in_force | corrected | retired | first_listed_later | newest.
        version: name of the cost map.
        corrections: what was laid over it and charged, in words: since when, who says so, when the map had it.
        effective_from: when that version came into force (ISO 8601, UTC).
        status: priced | free | unpriced | partly_priced.
        reason: why, where it is not plainly priced.
        charges: of each unit.
        total: their sum, US dollars; None: nothing could be priced.
        reported: the report's figure for the line.
    """

    model: str
    read: dict[str, int | Decimal]
    key: str | None
    rung: str | None
    named: str | None
    runner_up: str | None
    basis: str | None
    version: str | None
    corrections: tuple[str, ...]
    effective_from: str | None
    status: str
    reason: str | None
    charges: tuple[LineCharge, ...]
    total: Decimal | None
    reported: Decimal | None


def account_lines(facts: pl.DataFrame, book: Book) -> list[LineAccount]:
    """Account for the charge lines of one call.

    Args:
        facts: priced facts of the call.
        book: opened with the options of the run.
    """
    rows = facts.sort("line").with_columns(pl.col("started_at").to_physical())
    return [_account(row, book) for row in rows.iter_rows(named=True)]


def _account(row: dict[str, Any], book: Book) -> LineAccount:
    counts = {name: row[f"line_{name}"] for name in USAGE_COUNTS if row[f"line_{name}"] is not None}
    units = {unit["unit"]: unit["quantity"] for unit in row["line_units"] or ()}
    call = Call(family="", **{name: row[name] for name in _TERMS})
    found, bill = price_line(book, call, Usage(model=row["line_model"], **counts, billed_units=units or None))
    versions = {version.name: version.effective_text for version in book.catalog.versions}
    return LineAccount(
        model=row["line_model"],
        read=counts | units,
        key=found.key,
        rung=found.rung,
        named=found.named,
        runner_up=found.runner_up,
        basis=found.basis,
        version=found.version,
        corrections=tuple(
            describe(row, book.catalog)
            for row in found.corrections
            if any(charge.line and charge.line.listed.field == row.place for charge in bill.charges)
        ),
        effective_from=versions.get(found.version or ""),
        status=bill.status,
        reason=bill.reason,
        charges=tuple(_charges(bill.charges)),
        total=bill.total_cost,
        reported=row["total_cost"],
    )


def _charges(charges: tuple[Charge, ...]) -> Iterator[LineCharge]:
    for charge in charges:
        line = charge.line
        yield LineCharge(
            unit=charge.unit,
            quantity=Decimal(charge.quantity),
            listed=line.listed.rate if line else None,
            field=line.listed.field if line else "",
            factors=line.factors if line else (),
            rate=line.rate if line else None,
            cost=charge.cost if line else None,
            note=line.listed.note if line else "no rate",
        )
