"""`callcost reconcile`: our costs beside a bill and beside the logged costs, and where every difference comes from."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import to_builtins

from callcost import __version__
from callcost.errors import ConfigError
from callcost.jobs.engine.manifest import SCHEMA_VERSION, RunClock, inputs_of, limits_of, plain_options, reject_reasons
from callcost.jobs.engine.map_reduce import Progress, Settled, settle_logs, working_folder
from callcost.jobs.report import settle_options
from callcost.logs.bills.lines import BillLine, Kind
from callcost.logs.bills.owners import read_keys
from callcost.prices.book.book import Book
from callcost.runners.protocol import ignore_progress
from callcost.settings import ReconcileOptions, ReportOptions
from callcost.stages.analysis.bill_gap import group_causes, next_steps, sum_days, unmapped_lines
from callcost.stages.pages.reconcile_page import GapTables, reconcile_page
from callcost.stages.pricing.charge_lines import charge_classes
from callcost.stages.pricing.exchange_rates import read_fx
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.reconcile.attribution import OwnerNames
from callcost.stages.reconcile.bill_tables import Bills, cut_bill, open_bills
from callcost.stages.reconcile.comparison import BILL, OPEN, Comparison, Ours, compare_bill, compare_logged, tables_of
from callcost.stages.report.publish import csv_bytes, document_bytes, parquet_bytes, publish_files
from callcost.stages.report.spend import filter_calls, group_column
from callcost.stages.report.workbook import excel_module, listed_figures, sheets_bytes
from callcost.stages.tables.facts import UID

_NOTHING = Decimal(0)
_FIGURES = ("stated", "computed", "difference", "explained_percent", "unexplained", "open_difference")
_OUR_NAMES = {"workspace": "project"}  # a dimension -> its column in the logs
_FILTERED = "--where leaves out calls, but not lines of the bill"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What a reconciliation found.

    Attributes:
        rows: one per day, provider, model and class; columns of schemas.Reconciliation.
        causes: what each difference is made of; columns of schemas.Causes.
        gap: the same for reading: by provider, model, cause and owner, by day, and what to do next.
        manifest: the record of the run.
        exit_code: 0 done, 1 no call at all, 3 the tolerance was crossed.
    """

    rows: pl.DataFrame
    causes: pl.DataFrame
    gap: GapTables
    manifest: dict[str, Any]
    exit_code: int


def reconcile_costs(
    options: ReconcileOptions,
    *,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> Reconciliation:
    """Compare what the calls in the logs cost with the bill and with what the log says they cost.

    Args:
        options: logs, bills and what is tolerated; with ``out`` the files are written there, the manifest last.
        progress: called with (bytes, calls) read since the last call.
        planned: called once with the bytes to read.

    Returns:
        The rows and their causes; causes of a row add up to its difference exactly.

    Raises:
        ConfigError: an option makes no sense, or bills are in a currency without rates.
        LogError: an argument matches no file, or a bill cannot be read whole.
        ReportError: the folder cannot be written.

    Example:
        >>> from callcost import ReconcileOptions
        >>> reconcile_costs(ReconcileOptions(logs=("sample_logs",))).rows["against"].unique().to_list()
        ['log']
    """
    report = settle_options(_report_options(options))
    clock, tolerance = RunClock(), read_tolerance(options.tolerance)
    if "xlsx" in options.formats:
        excel_module()
    as_of = options.as_of or clock.started_at.replace(minute=0, second=0, microsecond=0)
    bills = open_bills(options.bills) if options.bills else Bills()
    cut_bill(bills, options.since, options.until)
    fx, book = read_fx(options.fx, bills.currency), book_of(report.prices)
    names = OwnerNames(by=options.by or (), keys=read_keys(options.keys))
    with working_folder(options.out) as folder:
        settled = settle_logs(report, folder, progress=progress, planned=planned)
        charges = _charge_by_class(report, settled, book, names)
        calls = [Path(path) for path in settled.tables("calls")]
        ours = Ours(calls=calls, charges=charges, book=book, fx=fx, names=names)
        comparisons = [compare_logged(ours), *([compare_bill(bills, ours, as_of)] if options.bills else [])]
        rows, causes = tables_of(comparisons)
        manifest = _manifest(options, report, settled, bills, comparisons, as_of, clock)
        manifest["gates"] = _gates(tolerance, manifest)
        gap = _gap_of(rows, causes, names)
        manifest["next"] = [{**step, "amount": _text(step["amount"])} for step in gap.steps]
        result = Reconciliation(rows=rows, causes=causes, gap=gap, manifest=manifest, exit_code=_exit_code(manifest))
        if options.out is not None:
            publish_files(options.out, _files(result, options.formats))
    return result


def _gap_of(rows: pl.DataFrame, causes: pl.DataFrame, names: OwnerNames) -> GapTables:
    grouped = group_causes(rows, causes)
    steps = next_steps(grouped, rows, bool(names.by))
    return GapTables(causes=grouped, days=sum_days(rows), lines=unmapped_lines(rows), steps=steps)


def _report_options(options: ReconcileOptions) -> ReportOptions:
    shared = ("logs", "since", "until", "where", "prices", "read", "count", "work")
    return ReportOptions(by=("model",), **{name: getattr(options, name) for name in shared})


def _charge_by_class(report: ReportOptions, settled: Settled, book: Book, names: OwnerNames) -> list[Path]:
    """Price the settled facts of the run once more, class by class, a file at a time; return the files."""
    found = list[Path]()
    for number, facts in enumerate(settled.tables("facts")):
        rows = filter_calls(settled.facts(facts, report.timezone), report)
        if not rows.is_empty():
            path = Path(settled.folder, f"charges-{number:06}.parquet")
            charges = charge_classes(price_facts(rows, book), book)
            if names.by:
                owned = rows.group_by(UID).agg(_owner(names).first())
                charges = charges.join(owned, on=UID, how="left", maintain_order="left")
            charges.write_parquet(path, compression="lz4")
            found.append(path)
    return found


def _owner(names: OwnerNames) -> pl.Expr:
    """Return whose a row of facts is; null: a column of ``by`` is not stated."""
    columns = []
    for name in names.by:
        renamed = {known: own for known, more in names.keys.items() if (own := more.get(name) or more.get(""))}
        column = group_column(_OUR_NAMES.get(name, name), "UTC")
        columns.append(column.replace(renamed) if renamed else column)
    return pl.concat_str(columns, separator=" / ").alias("owner")


# --- The record of the run --------------------------------------------------------------------------------------------


def _manifest(
    options: ReconcileOptions, report: ReportOptions, settled: Settled, bills: Bills,
    comparisons: Sequence[Comparison], as_of: datetime, clock: RunClock,
) -> dict[str, Any]:  # fmt: skip
    inputs, logged = inputs_of(settled), comparisons[0]
    bill = comparisons[-1] if options.bills else Comparison(against=BILL)
    return {
        "schema_version": SCHEMA_VERSION,
        "callcost": {"version": __version__},
        "options": {
            "as_of": as_of.astimezone(UTC).isoformat(),
            "prices": plain_options(report.prices),
            "since": options.since and options.since.isoformat(),
            "until": options.until and options.until.isoformat(),
            "where": [list(pair) for pair in options.where],
            "tolerance": options.tolerance,
            "by": list(options.by or ()),
        },
        "inputs": inputs,
        **limits_of(settled),
        "reject_reasons": reject_reasons(settled),
        "bills": bills.inputs,
        "bill_rejects": [
            {"path": reject.source_file, "row": reject.source_row, "reason": reject.reason, "detail": reject.detail}
            for reject in bills.rejects
        ],
        "calls": sum(row["calls"] for row in inputs),
        "price_status": dict(sorted(settled.reduced.price_status.items())),
        "bill": _totals(bill) if options.bills else None,
        "log": _totals(logged) if logged.rows else None,
        "float_noise": {"calls": logged.noise[0], "amount": _text(logged.noise[1])},
        "not_compared": {
            "calls_outside_the_bill": {
                name: None if cost is None else _text(cost) for name, cost in sorted(bill.outside.items())
            },
            "second_bills": [
                {"dialect": dialect, "provider": provider, "amount": _text(amount)}
                for (dialect, provider), amount in sorted(bills.second_bills.items())
            ],
            "other_services": {"amount": _text(bills.other_services[0]), "lines": bills.other_services[1]},
        },
        "invoices": [_invoice(line, bill) for line in bills.invoices],
        "notes": bills.notes + _overlap(bill) + [_FILTERED] * bool(options.where and options.bills),
        "run": {
            "id": clock.run_id, "started_at": clock.started_at.isoformat(), "logs": list(options.logs),
            "skipped": to_builtins(settled.skipped),
            "bills": list(options.bills), "out": options.out, "workers": settled.workers,
        },
    }  # fmt: skip


def _totals(compared: Comparison) -> dict[str, Any]:
    """Return sums over all rows and over days that may still change; amounts as plain text."""
    stated = f"{'billed' if compared.against == BILL else 'logged'}_cost"
    causes: dict[str, Decimal] = defaultdict(Decimal)
    owners: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in compared.causes:
        if row["amount"] is not None:
            causes[row["cause"]] += row["amount"]
            owners[row["cause"]][row["owner"] or ""] += row["amount"]
    rows = [row for row in compared.rows if row[stated] is not None]
    figures = {
        "stated": _sum(rows, stated),
        "computed": _sum(rows, "computed_cost"),
        "difference": _sum(rows, "difference"),
        "open_difference": _sum((row for row in rows if row["status"] == OPEN), "difference"),
        "unexplained": sum((abs(row["unexplained"]) for row in rows), _NOTHING),
    }
    whole = figures["stated"]
    return {
        "currency": compared.currency,
        "states_amounts": bool(rows),
        "states_counts": any(row["billed_tokens"] is not None for row in compared.rows),
        **{name: _text(amount) for name, amount in figures.items()},
        "explained_percent": _text(100 - 100 * figures["unexplained"] / abs(whole), 2) if whole else None,
        "causes": [
            {"cause": name, "amount": _text(amount), **(_owners(owners[name]) if compared.by_owner else {})}
            for name, amount in sorted(causes.items(), key=lambda one: (-abs(one[1]), one[0]))
        ],
        "unmapped": _lines_of(rows, Kind.UNMAPPED, stated),
        "fees": _lines_of(rows, Kind.FEE, stated),
    }  # fmt: skip


def _owners(amounts: dict[str, Decimal]) -> dict[str, Any]:
    """Return whose a cause is, largest first."""
    ordered = sorted(amounts.items(), key=lambda one: (-abs(one[1]), one[0]))
    return {"owners": [{"owner": owner, "amount": _text(amount)} for owner, amount in ordered]}


def _lines_of(rows: Iterable[dict[str, Any]], kind: str, stated: str) -> list[dict[str, Any]]:
    """Return the amounts of a bill's lines that no call has, by provider and label."""
    sums: dict[tuple[str, str | None], Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["token_class"] == kind:
            sums[row["provider"], row["line_item"]] += row[stated]
    return [
        {"provider": provider, "line_item": item, "amount": _text(amount)}
        for (provider, item), amount in sorted(sums.items(), key=lambda one: (one[0][0], one[0][1] or ""))
    ]


def _sum(rows: Iterable[dict[str, Any]], name: str) -> Decimal:
    return sum((row[name] for row in rows if row[name] is not None), _NOTHING)


def _text(amount: Decimal, places: int = 18) -> str:
    return f"{round(amount, places).normalize() + 0:f}"


def _invoice(line: BillLine, bill: Comparison) -> dict[str, str]:
    """Return an invoice's sum beside what the detailed bill of its period comes to."""
    first, last = (datetime.fromtimestamp((moment or 0) // 1_000_000, UTC).date()
                   for moment in (line.start_at, line.end_at))  # fmt: skip
    rows = [row for row in bill.rows if row["provider"] == line.provider and row["day"] is not None]
    total, amount = _sum((row for row in rows if first <= row["day"] < last), "billed_cost"), line.amount or _NOTHING
    return {
        "provider": line.provider, "from": first.isoformat(),
        "invoice": _text(amount), "bill": _text(total), "difference": _text(amount - total),
    }  # fmt: skip


def _overlap(bill: Comparison) -> list[str]:
    """Say so where the logs and the bill have no day in common: it is the bill of other days."""
    days = sorted(row["day"] for row in bill.rows if row["day"] is not None)
    if not days or any(row["computed_tokens"] for row in bill.rows if row["day"] is not None):
        return []
    return [f"no call of the logs falls in the days of the bill, {days[0]} to {days[-1]}"]


# --- Verdict ----------------------------------------------------------------------------------------------------------


def read_tolerance(text: str | None) -> tuple[Decimal, bool] | None:
    """Return a tolerance and whether it is a percentage; None: there is none.

    Raises:
        ConfigError: it is neither a percentage nor an amount.
    """
    if text is None:
        return None
    plain = text.strip().removeprefix("$").replace(",", "")
    percent = plain.endswith("%")
    try:
        amount = Decimal(plain.removesuffix("%"))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        message = f"--tolerance {text!r} is neither a percentage nor an amount"
        raise ConfigError(message, hint="Write 0.5% or 10.00")
    return amount, percent


def _gates(tolerance: tuple[Decimal, bool] | None, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Judge the difference of final days; those that may still change are marked, not alarmed."""
    totals = manifest["bill"] or manifest["log"]
    if tolerance is None or totals is None:
        return []
    limit, percent = tolerance
    found = abs(Decimal(totals["difference"]) - Decimal(totals["open_difference"]))
    whole = abs(Decimal(totals["stated"]))
    if percent:
        found = 100 * found / whole if whole else Decimal(100 if found else 0)
    of_what = "% of the bill" if manifest["bill"] else "% of the logged cost"
    return [
        {
            "gate": "--tolerance", "limit": f"{limit}{'%' * percent}", "found": _text(found, 6),
            "unit": of_what if percent else totals["currency"], "crossed": found > limit,
        }
    ]  # fmt: skip


def _exit_code(manifest: dict[str, Any]) -> int:
    if not manifest["calls"]:
        return 1
    return 3 if any(gate["crossed"] for gate in manifest["gates"]) else 0


def _files(result: Reconciliation, formats: Sequence[str]) -> dict[str, bytes]:
    makers: dict[str, dict[str, Callable[[], bytes]]] = {
        "parquet": {"reconciliation.parquet": lambda: parquet_bytes(result.rows)},
        "csv": {
            "reconciliation.csv": lambda: csv_bytes(result.rows), "causes.csv": lambda: csv_bytes(result.causes),
        },
        "html": {"reconcile.html": lambda: reconcile_page(result.gap, result.manifest)},
        "xlsx": {"reconcile.xlsx": lambda: _workbook(result)},
    }  # fmt: skip
    files = {name: make() for kind in makers if kind in formats for name, make in makers[kind].items()}
    return files | {"manifest.json": document_bytes(result.manifest)}


def _workbook(result: Reconciliation) -> bytes:
    """Return a reconciliation as a workbook: summary, causes, days, and lines of the bill that no call has."""
    summary = [("calls", result.manifest["calls"])]
    for side in ("bill", "log"):
        totals = result.manifest[side] or {}
        summary += [(f"{side}: {name}", Decimal(totals[name])) for name in _FIGURES if totals.get(name) is not None]
        summary += [(f"{side}: currency", totals["currency"])] if totals else []
    summary += [(f"next: {step['provider'] or 'several'}", step["what"]) for step in result.gap.steps]
    sheets = {"summary": listed_figures(summary), "causes": result.gap.causes, "days": result.gap.days}
    return sheets_bytes(sheets | {"unmapped lines": result.gap.lines})
