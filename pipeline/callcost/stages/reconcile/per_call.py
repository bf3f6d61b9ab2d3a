"""Call by call: what a log or a bill says one call cost, beside what we say.

Used for costs that gateways and providers write into the log, and for bills that have a row per call. Calls on which
both agree never leave the table; only the others become cells, for the rules of ``rules.py``. What the sums of floats
leave behind the ninth digit is no difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from callcost.logs.bills.lines import BillLine
from callcost.logs.bills.names import paid_provider
from callcost.prices.book.book import Book
from callcost.stages.pricing.exchange_rates import ExchangeRates
from callcost.stages.reconcile.bill_tables import half_places
from callcost.stages.reconcile.call_evidence import Evidence, day_of_time, part_of
from callcost.stages.reconcile.case import Case
from callcost.stages.reconcile.cells import NOTHING, Cell, CellKey, Part
from callcost.stages.reconcile.grain import BillGrain
from callcost.stages.reconcile.rules import explain
from callcost.stages.tables.facts import UID
from callcost.stages.tables.schemas import MONEY

_NOISE = 10**9  # a cost that was summed in floats is good to this part of it
_BILL_SCHEMA: dict[str, Any] = {
    "provider_response_id": pl.String, "stated": MONEY, "billed_tokens": MONEY, "tools_billed": MONEY,
    "own_key": MONEY, "biller": pl.String,
}  # fmt: skip
_SCHEMA: dict[str, Any] = {
    **dict.fromkeys(UID, pl.Int64), **_BILL_SCHEMA, "day": pl.Int64, "provider": pl.String, "model": pl.String,
    "computed": MONEY, "total_tokens": pl.Int64, "source_format": pl.String,
}  # fmt: skip


def logged_calls(calls: list[Path], charges: list[Path], fx: ExchangeRates) -> pl.DataFrame:
    """Return the calls that carry a logged cost.

    Args:
        calls: files with one row per call.
        charges: files with the columns of ``charge_lines.charge_classes``.
        fx: what a US dollar bought of the currency in which costs are stated.

    Returns:
        Columns: UID, ``day`` (microseconds), ``provider``, ``model``, ``provider_response_id``, ``computed`` (our
        cost), ``stated`` (theirs), ``total_tokens``, ``billed_tokens``, ``tools_billed``, ``own_key``, ``biller``,
        ``source_format``.
    """
    if not calls:
        return pl.DataFrame(schema=_SCHEMA)
    rows = pl.scan_parquet(calls).filter(pl.col("logged_cost").is_not_null())
    return _compared(rows.with_columns(stated=pl.col("logged_cost")), charges, fx)


def billed_calls(
    calls: list[Path], charges: list[Path], lines: Sequence[BillLine], fx: ExchangeRates
) -> tuple[pl.DataFrame, list[BillLine]]:
    """Join a bill's rows to calls on the provider's response id.

    Returns:
        Columns as of ``logged_calls``, and the lines that no call has.
    """
    if not calls or not lines:
        return pl.DataFrame(schema=_SCHEMA), list(lines)
    rows = [
        (line.call_id, line.amount, line.quantity, line.tool_amount, line.own_key_amount, line.provider)
        for line in lines
    ]  # fmt: skip
    bill = pl.LazyFrame(rows, schema=_BILL_SCHEMA, orient="row")
    found = pl.scan_parquet(calls).sort("call_id", *UID)
    found = found.unique("provider_response_id", keep="first", maintain_order=True)
    table = _compared(found.join(bill, on="provider_response_id", how="inner"), charges, fx)
    known = set(table["provider_response_id"])
    return table, [line for line in lines if line.call_id not in known]


def _compared(rows: pl.LazyFrame, charges: list[Path], fx: ExchangeRates) -> pl.DataFrame:
    """Add the day and the provider as bills have them, and our cost in the bill's currency."""
    present = rows.collect_schema().names()
    rows = rows.with_columns(
        *(pl.lit(None, dtype=kind).alias(name) for name, kind in _BILL_SCHEMA.items() if name not in present),
        day=pl.coalesce(day_of_time("ended_at"), day_of_time("started_at")),
        computed=pl.col("total_cost"),
    )
    names = ["biller", "stated provider"]
    found = rows.collect()
    if charges:
        charged = pl.scan_parquet(charges).join(found.lazy().select(UID), on=UID, how="semi")
        paid = charged.group_by(UID).agg(pl.col("paid").first()).collect()
        found = found.join(paid, on=UID, how="left", maintain_order="left")
        names.insert(1, "paid")
    stated = pl.Series("stated provider", [paid_provider(name) for name in found["provider"]], dtype=pl.String)
    found = found.with_columns(stated).with_columns(pl.coalesce(names).alias("provider"))
    if fx.since:
        pairs = found.select("computed", "day").iter_rows()
        costs = [None if cost is None else fx.convert(cost, day) for cost, day in pairs]
        found = found.with_columns(pl.Series("computed", costs, dtype=MONEY))
    return found.select(pl.col(name).cast(kind) for name, kind in _SCHEMA.items())


def costs_agree() -> pl.Expr:
    """Return whether the stated cost of a call is ours, to a billionth of it: exactly, in units of 10**-18 dollars."""
    ours, stated = (pl.col(name).to_physical() for name in ("computed", "stated"))
    return ((stated - ours).abs() <= ours.abs() // _NOISE).fill_null(value=False)


def without_noise(table: pl.DataFrame) -> tuple[pl.DataFrame, int, Decimal]:
    """Read stated costs that agree with ours as ours.

    Returns:
        The table, the number of calls that state something else, and what these state above ours, in sum.
    """
    noisy = costs_agree() & (pl.col("computed") != pl.col("stated"))
    off = table.filter(noisy).select(calls=pl.len(), amount=(pl.col("stated") - pl.col("computed")).sum())
    agreed = table.with_columns(pl.when(noisy).then("computed").otherwise("stated").alias("stated"))
    return agreed, int(off["calls"][0]), off["amount"][0] or NOTHING


def explain_calls(
    table: pl.DataFrame, charges: list[Path], fx: ExchangeRates, book: Book, *, by_owner: bool = False
) -> list[Cell]:
    """Return a cell per call on which the stated cost is not ours, explained.

    Args:
        table: columns as of ``logged_calls``.
        charges: files of the run's charges.
        fx: what a US dollar bought of the currency of the stated costs.
        book: prices of the calls.
        by_owner: say whose each call is; charges have a column ``owner``.
    """
    apart = table.filter(~costs_agree() & (pl.col("computed").is_not_null() | (pl.col("stated") != 0)))
    if apart.is_empty():
        return []
    parts = _parts_of(apart, charges, fx)
    slack: dict[str | None, Decimal] = half_places(apart.select("source_format", "stated").iter_rows(), least=0)
    cells = [_cell(row, parts, slack) for row in apart.sort(*UID).iter_rows(named=True)]
    groups = [(cell.key, [cell]) for cell in cells]
    explain(Case(groups, Evidence([], fx), BillGrain([], []), book, per_call=True))
    if by_owner and charges:
        owned = pl.scan_parquet(charges).group_by(UID).agg(pl.col("owner").first())
        rows = apart.select(UID).lazy().join(owned, on=UID, how="left").sort(UID).collect()
        for cell, owner in zip(cells, rows["owner"], strict=True):
            cell.findings = [found._replace(owner=owner) for found in cell.findings]
    return cells


def _parts_of(apart: pl.DataFrame, charges: list[Path], fx: ExchangeRates) -> dict[tuple[int, int], list[Part]]:
    """Return UID -> charges of each call."""
    found: dict[tuple[int, int], list[Part]] = defaultdict(list)
    if not charges:
        return found
    rows = pl.scan_parquet(charges).join(apart.lazy().select(UID), on=UID, how="semi")
    rows = rows.with_columns(
        day=day_of_time("at"), moment=pl.col("started_at").dt.epoch("us"), priced=pl.col("cost").is_not_null()
    )
    for row in rows.sort(*UID, "line", "unit").collect().iter_rows(named=True):
        found[row["piece"], row["record"]].append(part_of(row, fx))
    return found


def _cell(
    row: Mapping[str, Any], parts: Mapping[tuple[int, int], list[Part]], slack: Mapping[str | None, Decimal]
) -> Cell:
    cell = Cell(
        CellKey(row["day"], row["provider"], row["model"], None), ours=Decimal(row["total_tokens"] or 0),
        cost=row["computed"], amount=row["stated"], tool_amount=row["tools_billed"],
        own_key_amount=row["own_key"] or NOTHING, slack=slack[row["source_format"]],
        parts=parts.get((row["piece"], row["record"]), []),
    )  # fmt: skip
    cell.start()
    return cell
