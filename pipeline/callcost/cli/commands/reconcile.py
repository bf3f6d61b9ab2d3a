"""`callcost reconcile`: write the comparison, and print a summary that a finance person understands."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from callcost.cli import options as shared
from callcost.cli.click_types import LogType, PathType, Verb
from callcost.cli.terminal.events import counted, gate_lines, no_call_line, reason_words
from callcost.cli.terminal.listing import skipped_lines
from callcost.cli.terminal.output import say
from callcost.readable import money
from callcost.settings import ReconcileOptions

if TYPE_CHECKING:
    from callcost.jobs.reconcile import Reconciliation

_SHOWN_CAUSES, _SHOWN_LINES, _SHOWN_STEPS = 8, 8, 3


@click.command(cls=Verb)
@shared.logs_argument
@click.option("--bill", "bills", multiple=True, metavar="FILE", type=LogType(),
              help="A bill: file, folder or glob. Repeatable; later ones restate earlier ones.")
@click.option("--out", required=True, metavar="DIR", type=PathType(file_okay=False), help="Folder for the results.")
@click.option("--fx", metavar="FILE", type=PathType(exists=True, dir_okay=False),
              help="CSV of date, currency, rate (what one US dollar buys), for a bill in another currency.")
@click.option("--tolerance", metavar="PCT|AMOUNT",
              help="Exit 3 when final days differ by more: 0.5% of the bill, or an amount in its currency.")
@click.option("--as-of", "as_of", metavar="TIME",
              help="When the bill was fetched; days within the provider's lag are marked open.  [default: now]")
@click.option("--by", metavar="COLUMNS",
              help="Whose each cause is: api_key, project, team, user, workspace or tag:NAME, of bill and logs.")
@click.option("--keys", metavar="FILE", type=PathType(exists=True, dir_okay=False),
              help="CSV of id, and name or columns such as user, that joins ids of a bill to names of the logs.")
@click.option("--format", "formats", default="parquet,csv,html", show_default=True, metavar="LIST",
              help="Write it as parquet, csv, html (a page), xlsx (a workbook).")
@shared.select_options
@shared.read_options
@shared.price_options
@shared.work_options  # fmt: skip
def reconcile(**words: Any) -> int:
    """Compare what the calls in LOGS cost with the bill, and with what the log itself says, and explain the gap.

    Writes reconcile.html, reconciliation.parquet, reconciliation.csv, causes.csv and manifest.json to DIR; the causes
    of a difference add up to it exactly.
    """
    from callcost.cli.terminal.summary import shorten, watched  # noqa: PLC0415 - rich and Polars load when it runs
    from callcost.jobs.reconcile import reconcile_costs  # noqa: PLC0415

    result = watched(reconcile_costs, _options_of(words), quiet=words["quiet"])
    summary = [] if words["quiet"] else summary_lines(result)
    say(*shorten(summary, alarm_lines(result.manifest)))
    return result.exit_code


def _options_of(words: dict[str, Any]) -> ReconcileOptions:
    same = shared.report_options_of({**words, "by": "model"})
    return ReconcileOptions(
        logs=same.logs, bills=words["bills"], out=words["out"], fx=words["fx"], tolerance=words["tolerance"],
        as_of=words["as_of"], since=same.since, until=same.until, where=same.where, prices=same.prices,
        read=same.read, count=same.count, work=same.work, by=words["by"], keys=words["keys"],
        formats=words["formats"],
    )  # fmt: skip


def summary_lines(result: Reconciliation) -> list[str]:
    """Return one screen: what was asked, what we find, how much of it is explained, by what, and what to do next."""
    manifest = result.manifest
    lines = skipped_lines(manifest["run"]["skipped"])
    causes = result.gap.causes.to_dicts()
    for name, side in (("bill", "bill"), ("logged", "log")):
        if manifest[side] is not None:
            lines += _side(name, manifest[side], [row for row in causes if row["against"] == side])
    lines += [
        f"next: {step['provider'] or 'all'}, {money(step['amount'], manifest['bill']['currency'])}: {step['what']}"
        for step in result.gap.steps[:_SHOWN_STEPS]
    ]
    lines.append(_counts_line(manifest))
    lines += [f"bill: {len(manifest['bill_rejects']):,} rows cannot be read: see manifest.json"] * bool(
        manifest["bill_rejects"]
    )
    outside = manifest["not_compared"]["calls_outside_the_bill"]
    for provider, cost in outside.items():
        worth = "without a price" if cost is None else f"of {_money(cost, 'USD')}"
        lines.append(f"not on any bill: {provider} calls {worth}")
    lines += [
        f"invoice of {row['provider']} from {row['from']}: {row['invoice']}, its bill comes to {row['bill']}"
        for row in manifest["invoices"]
    ]
    lines += manifest["notes"]
    return [*lines, f"results in {manifest['run']['out']}"]


def alarm_lines(manifest: dict[str, Any]) -> list[str]:
    """Return why a run ends with another code than 0; these lines are printed with --quiet, too."""
    none = [] if manifest["calls"] else [no_call_line(manifest["inputs"], manifest["reject_reasons"])]
    return [*none, *gate_lines(manifest)]


def _counts_line(manifest: dict[str, Any]) -> str:
    sums = {name: sum(row[name] for row in manifest["inputs"]) for name in ("rejects", "filtered")}
    reasons = reason_words(manifest["reject_reasons"], places=True)
    parts = [f"{counted(manifest['calls'], 'call')} compared"]
    parts += [f"{counted(sums['filtered'], 'call')} left out by filters"] * bool(sums["filtered"])
    parts += [f"{counted(sums['rejects'], 'record')} rejected: {reasons}"] * bool(sums["rejects"])
    return ", ".join(parts)


def _side(name: str, totals: dict[str, Any], causes: list[dict[str, Any]]) -> list[str]:
    currency = totals["currency"]
    if not totals["states_amounts"]:
        return [] if not totals["states_counts"] else [f"{name} states counts and no amounts: see reconciliation.csv"]
    share = totals["explained_percent"]
    explained = f", {Decimal(share):.1f} % explained" if share is not None else ""
    stated, computed, difference = (_money(totals[figure], currency) for figure in ("stated", "computed", "difference"))
    ours = "logs" if name == "bill" else "computed"
    lines = [f"{name} {stated}, {ours} {computed}, difference {difference}{explained}"]
    rows = [row for row in causes if row["amount"] is not None]
    amounts = [("+" if row["amount"] > 0 else "") + money(row["amount"], currency) for row in rows[:_SHOWN_CAUSES]]
    width = max(map(len, amounts), default=0) + 1
    lines += [f"  {amount:>{width}} {_cause_words(row)}" for amount, row in zip(amounts, rows, strict=False)]
    if len(rows) > _SHOWN_CAUSES:
        rest = money(sum((row["amount"] for row in rows[_SHOWN_CAUSES:]), Decimal(0)), currency)
        lines.append(f"  {len(rows) - _SHOWN_CAUSES} smaller causes, {rest} together: see reconcile.html")
    lines += [
        f"  {words}: {row['provider']} {row['line_item'] or 'without a label'}: {_money(row['amount'], currency)}"
        for name, words in (("unmapped", "not known"), ("fees", "fee"))
        for row in totals[name][:_SHOWN_LINES]
    ]
    if Decimal(totals["open_difference"]):
        lines.append(f"  {_money(totals['open_difference'], currency)} of it on days whose bill may still change")
    return lines


def _cause_words(row: dict[str, Any]) -> str:
    """Return a cause in one line: share of the bill, factor, of what, why, when, whose."""
    share = f"{100 * row['share']:6.1f} %" if row["share"] is not None else ""
    where = " ".join(filter(None, (row["provider"], row["model"])))
    factor = f" x {row['factor'].normalize():f}" if row["factor"] is not None else ""
    first, last = row["first_day"], row["last_day"]
    when = "" if first is None else f", {first}" if first == last else f", {first} to {last}"
    whose = f", of {row['owner']}" if row["owner"] is not None else ""
    return f"{share}  {where}: {row['words']}{factor}{when}{whose}".replace("  : ", "  ")


def _money(text: str, currency: str) -> str:
    return money(Decimal(text), currency)
