"""Call by call: what a log or a bill says one call cost, beside what we say, and the rules that tell the two apart.

Used for costs that gateways and providers write into the log, and for bills that have a row per call. Calls on which
both agree never leave the table; only the others are looked at one by one. What the sums of floats leave behind the
ninth digit is no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from callcost.logs.bills.labels import CACHE_READ, CACHE_WRITE_1H, CACHE_WRITE_5M
from callcost.logs.bills.lines import DAY, BillLine
from callcost.logs.bills.names import paid_provider
from callcost.prices.book.book import Book
from callcost.stages.reconcile.bill_tables import Rates
from callcost.stages.reconcile.call_evidence import part_of
from callcost.stages.reconcile.cells import EXACT, NOTHING, Cell, Part, Place, quantized
from callcost.stages.reconcile.price_hypotheses import factors_of, settle_prices, settle_stated
from callcost.stages.tables.facts import UID

_NOISE = 10**9  # a cost that was summed in floats is good to this part of it

Lines = Mapping[tuple[Any, ...], list[tuple[int, Part]]]


def logged_calls(calls: list[Path], charges: list[Path], fx: Rates) -> pl.DataFrame:
    """Return the calls that carry a logged cost: UID, day, provider, model, computed and stated cost, tokens."""
    if not calls:
        return pl.DataFrame(schema=_SCHEMA)
    rows = pl.scan_parquet(calls).filter(pl.col("logged_cost").is_not_null())
    return _with_paid(rows.with_columns(stated=pl.col("logged_cost")), charges, fx)


def billed_calls(
    calls: list[Path], charges: list[Path], lines: Sequence[BillLine], fx: Rates
) -> tuple[pl.DataFrame, list[BillLine]]:
    """Join a bill's rows to calls on the provider's response id.

    Returns:
        As ``logged_calls``, and the lines that no call has.
    """
    if not calls or not lines:
        return pl.DataFrame(schema=_SCHEMA), list(lines)
    per_call = pl.DataFrame(
        {
            "provider_response_id": [line.call_id for line in lines],
            "stated": [line.amount for line in lines],
            "billed_tokens": [line.quantity for line in lines],
            "tools_billed": [line.tool_amount for line in lines],
            "biller": [line.provider for line in lines],
        },
        schema={
            "provider_response_id": pl.String, "stated": pl.Decimal(38, 18), "billed_tokens": pl.Decimal(38, 18),
            "tools_billed": pl.Decimal(38, 18), "biller": pl.String,
        },
    )  # fmt: skip
    found = pl.scan_parquet(calls).sort("call_id", *UID)
    found = found.unique("provider_response_id", keep="first", maintain_order=True)
    table = _with_paid(found.join(per_call.lazy(), on="provider_response_id", how="inner"), charges, fx)
    known = set(table["provider_response_id"])
    return table, [line for line in lines if line.call_id not in known]


_SCHEMA: dict[str, Any] = {
    **dict.fromkeys(UID, pl.Int64), "day": pl.Int64, "provider": pl.String, "model": pl.String,
    "provider_response_id": pl.String, "computed": pl.Decimal(38, 18), "stated": pl.Decimal(38, 18),
    "total_tokens": pl.Int64, "billed_tokens": pl.Decimal(38, 18), "tools_billed": pl.Decimal(38, 18),
    "biller": pl.String, "priced": pl.Boolean, "source_format": pl.String,
}  # fmt: skip


def _with_paid(rows: pl.LazyFrame, charges: list[Path], fx: Rates) -> pl.DataFrame:
    paid = pl.scan_parquet(charges).group_by(UID).agg(pl.col("paid").first()) if charges else None
    table = rows.with_columns(
        day=pl.coalesce("ended_at", "started_at").dt.epoch("us") // DAY * DAY,
        computed=pl.col("total_cost"),
        priced=pl.col("total_cost").is_not_null(),
    )
    if paid is not None:
        table = table.join(paid, on=UID, how="left")
    found = table.collect()
    empty = [pl.lit(None, dtype=kind).alias(name) for name, kind in _SCHEMA.items() if name not in found.columns]
    found = found.with_columns(empty)
    stated = pl.Series("provider", [paid_provider(name) for name in found["provider"]], dtype=pl.String)
    found = found.with_columns(pl.coalesce("biller", "paid", stated).alias("provider"))
    if fx.since:
        costs = [
            None if cost is None else quantized(EXACT.multiply(cost, fx.at(day)))
            for cost, day in found.select("computed", "day").iter_rows()
        ]
        found = found.with_columns(pl.Series("computed", costs, dtype=pl.Decimal(38, 18)))
    return found.select(pl.col(name).cast(kind) for name, kind in _SCHEMA.items())


def agrees() -> pl.Expr:
    """Return whether the stated cost of a call is ours, to a billionth of it: exactly, in units of 10**-18 dollars."""
    ours, stated = (pl.col(name).to_physical() for name in ("computed", "stated"))
    return ((stated - ours).abs() <= ours.abs() // _NOISE).fill_null(value=False)


def without_noise(table: pl.DataFrame) -> tuple[pl.DataFrame, int, Decimal]:
    """Read stated costs that agree with ours as ours.

    Returns:
        The table, the calls that stated something else, and what these stated above ours, in sum.
    """
    noisy = agrees() & (pl.col("computed") != pl.col("stated"))
    off = table.filter(noisy).select(calls=pl.len(), amount=(pl.col("stated") - pl.col("computed")).sum())
    settled = table.with_columns(pl.when(noisy).then("computed").otherwise("stated").alias("stated"))
    return settled, int(off["calls"][0]), off["amount"][0] or NOTHING


# --- Calls on which the two do not agree ------------------------------------------------------------------------------


def explain_pairs(table: pl.DataFrame, charges: list[Path], fx: Rates, book: Book) -> list[Cell]:
    """Return a cell per call on which the stated cost is not ours, explained.

    Args:
        table: as ``logged_calls`` gives it.
        charges: files of the run's charges.
        fx: what a dollar bought.
        book: that priced the calls.
    """
    apart = table.filter(~agrees())
    apart = apart.filter(pl.col("computed").is_not_null() | (pl.col("stated") != 0))
    if apart.is_empty():
        return []
    lines = _lines_of(apart, charges, fx)
    slack = _slack(apart)
    pairs = [_cell(row, lines, slack) for row in apart.sort(*UID).iter_rows(named=True)]
    for cell, row in pairs:
        settle_stated(cell, book)
        for rule in _RULES:
            rule(cell, row, lines)
    factors = factors_of((cell.place.provider, [cell]) for cell, _ in pairs)
    for cell, _ in pairs:
        settle_prices([cell], book, factors.get(cell.place.provider, ()))
        if cell.rest:
            cause, label = _LEFT if cell.is_open else _ROUNDED
            cell.settle(cause, NOTHING, cell.rest, label)
    return [cell for cell, _ in pairs]


_ROUNDED = ("rounding", "less than the last place of the stated cost")
_LEFT = ("unexplained", "no rule gives this amount")


def _lines_of(apart: pl.DataFrame, charges: list[Path], fx: Rates) -> dict[tuple[Any, ...], list[tuple[int, Part]]]:
    found: dict[tuple[Any, ...], list[tuple[int, Part]]] = {}
    if not charges:
        return found
    rows = pl.scan_parquet(charges).join(apart.lazy().select(UID), on=UID, how="semi")
    rows = rows.with_columns(day=pl.col("at").dt.epoch("us") // DAY * DAY, moment=pl.col("started_at").dt.epoch("us"))
    for row in rows.sort(*UID, "line", "unit").collect().iter_rows(named=True):
        part = part_of({**row, "priced": row["cost"] is not None}, fx)
        found.setdefault(tuple(row[name] for name in UID), []).append((row["line"], part))
    return found


def _slack(apart: pl.DataFrame) -> dict[str | None, Decimal]:
    """Return half a unit of the last place in which each kind of log states costs."""
    places: dict[str | None, int] = {}
    for source, stated in apart.select("source_format", "stated").iter_rows():
        exponent = stated.normalize().as_tuple().exponent
        places[source] = max(places.get(source, 0), -exponent)
    return {source: Decimal(5).scaleb(-count - 1) for source, count in places.items()}


def _cell(row: dict[str, Any], lines: Lines, slack: Mapping[str | None, Decimal]) -> tuple[Cell, dict[str, Any]]:
    cell = Cell(Place(row["day"], row["provider"], row["model"], None))
    cell.cost, cell.amount, cell.slack = row["computed"], row["stated"], slack[row["source_format"]]
    cell.ours = Decimal(row["total_tokens"] or 0)
    cell.parts = [part for _, part in lines.get(tuple(row[name] for name in UID), [])]
    cell.open()
    return cell, row


def _unpriced(cell: Cell, row: dict[str, Any], lines: Lines) -> None:
    if cell.cost is None:
        cell.settle("unpriced_model", NOTHING, cell.rest, "our call has no price")


def _not_charged(cell: Cell, row: dict[str, Any], lines: Lines) -> None:
    if cell.amount == 0 and cell.cost:
        cell.settle("logged_not_billed", NOTHING, cell.rest, "the stated cost is 0 and the call has tokens")


def _tools(cell: Cell, row: dict[str, Any], lines: Lines) -> None:
    fees = _sum(part for part in cell.parts if _is_tool(part))
    stated = row["tools_billed"]
    if stated is not None and stated != fees:
        cell.settle("server_tools", NOTHING, stated - fees, "the bill states its server tools")
    elif fees and cell.rest is not None and abs(cell.rest + fees) <= cell.slack:
        cell.settle("server_tools", NOTHING, cell.rest, "the stated cost lacks server tools")


def _is_tool(part: Part) -> bool:
    return part.token_class.endswith(("requests", "sessions", "queries"))


def _runs(cell: Cell, row: dict[str, Any], lines: Lines) -> None:
    charged = lines.get(tuple(row[name] for name in UID), [])
    if not cell.rest or len({line for line, _ in charged}) < 2:
        return
    runs = {line: _sum(part for at, part in charged if at == line) for line, _ in charged}
    hidden = [sum((cost for line, cost in runs.items() if line != kept), NOTHING) for kept in runs]
    if any(abs(cell.rest + cost) <= cell.slack for cost in hidden):
        cell.settle("missing_iterations", NOTHING, cell.rest, "the stated cost is that of one of the call's runs")


def _caches(cell: Cell, row: dict[str, Any], lines: Lines) -> None:
    reads = [part for part in cell.parts if part.token_class == CACHE_READ]
    writes = [part for part in cell.parts if part.token_class in {CACHE_WRITE_5M, CACHE_WRITE_1H}]
    plain = next((part for part in cell.parts if part.unit == "text_input" and part.cost), None)
    for cached in ([*reads, *writes], reads, writes) if cell.rest else ():
        for guess, label in _cache_guesses(cached, plain):
            if cell.rest and abs(cell.rest - guess) <= cell.slack:
                cell.settle("cache", NOTHING, cell.rest, f"the stated cost has cached tokens {label}")
                return


def _cache_guesses(cached: Sequence[Part], plain: Part | None) -> Iterator[tuple[Decimal, str]]:
    """Yield what a stated cost is off by if it counts cached tokens wrongly."""
    paid, tokens = _sum(cached), sum((part.quantity for part in cached), NOTHING)
    if not paid:
        return
    yield -paid, "not at all"
    yield paid, "twice"
    if plain is not None and plain.cost is not None:
        as_input = EXACT.divide(EXACT.multiply(plain.cost, tokens), plain.quantity)
        yield as_input, "as input, too"
        yield as_input - paid, "at the price of input"


def _sum(parts: Iterable[Part]) -> Decimal:
    return sum((part.cost or NOTHING for part in parts), NOTHING)


_RULES: tuple[Callable[[Cell, dict[str, Any], Lines], None], ...] = (_unpriced, _not_charged, _tools, _runs, _caches)
