"""One call, line by line: the scalar reader's account of the charges that the batch reader summed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import polars as pl

from pipeline.prices.book import Book
from pipeline.prices.charges import Charge, price_usage
from pipeline.prices.rates import Terms
from pipeline.stages.cards import BATCH_ENDPOINT
from pipeline.tables import USAGE_COUNTS, Usage


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
        basis: in_force | retired | first_listed_later | newest.
        version: name of the cost map.
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
    basis: str | None
    version: str | None
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
    return [_account(row, book) for row in facts.sort("line").iter_rows(named=True)]


def _account(row: dict[str, Any], book: Book) -> LineAccount:
    counts = {name: row[f"line_{name}"] for name in USAGE_COUNTS if row[f"line_{name}"] is not None}
    units = {unit["unit"]: unit["quantity"] for unit in row["line_units"] or ()}
    moment = None if row["started_at"] is None else int(row["started_at"].timestamp() * 1_000_000)
    requested = row["model_requested"] if row["line_model"] == row["model"] else None
    found = book.resolve(
        row["line_model"], row["provider"], moment, region=row["region"], requested=requested
    )
    terms = Terms(
        tier=row["service_tier"],
        batch=row["endpoint"] == BATCH_ENDPOINT,
        prompt_tokens=counts.get("prompt_tokens", 0),
        region=row["region"],
        data_residency=row["data_residency"],
        geo=row["inference_geo"],
        speed=row["speed"],
        moment=moment,
    )
    card = book.rates(found, terms)
    timed_out = row["usage_source"] == "timed_out"
    bill = price_usage(Usage(**counts, billed_units=units or None), card, timed_out=timed_out) if card else None
    exempt = row["price_status"] == "free" and row["price_reason"] in {"cache_hit", "failed_call"}
    return LineAccount(
        model=row["line_model"],
        read=counts | units,
        key=found.key,
        rung=found.rung,
        basis=found.basis,
        version=found.version,
        effective_from=next((v.effective_text for v in book.catalog.versions if v.name == found.version), None),
        status=row["price_status"],
        reason=row["price_reason"],
        charges=() if bill is None or exempt else tuple(_charges(bill.charges)),
        total=Decimal(0) if exempt else None if bill is None else bill.total_cost,
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
