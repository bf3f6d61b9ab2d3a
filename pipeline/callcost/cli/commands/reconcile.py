"""`callcost reconcile`: write the comparison, and print a summary that a finance person understands."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click

from callcost.cli import options as shared
from callcost.cli.click_types import LogType, PathType, Verb
from callcost.cli.terminal.events import counted, gate_lines, no_call_line, reason_words
from callcost.cli.terminal.listing import skipped_lines
from callcost.cli.terminal.output import say
from callcost.settings import ReconcileOptions

_SHOWN_CAUSES, _SHOWN_OWNERS = 8, 3
_SHOWN = Decimal("0.0001")  # of the currency: what is less is in causes.csv
_WORDS = {
    "billed_not_logged": "billed, but not in the logs",
    "logged_not_billed": "in the logs, but not billed",
    "duplicates": "calls counted twice",
    "day_shift": "on another day of the bill",
    "unit_error": "in another unit",
    "cache": "cached tokens counted differently",
    "missing_iterations": "further runs of a call missing",
    "aborted_stream": "answers that broke off",
    "own_key": "paid with a key of one's own",
    "server_tools": "server tools",
    "tier_or_batch": "another service tier, or batch",
    "region_uplift": "regional uplift",
    "price_version": "prices of another date",
    "discount": "discounts and credits",
    "unpriced_model": "models without a price",
    "fee": "capacity, taxes and other fees",
    "unmapped_line_item": "lines of the bill that nobody knows",
    "rounding": "rounding",
    "unexplained": "unexplained",
}


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
@shared.select_options
@shared.read_options
@shared.price_options
@shared.work_options  # fmt: skip
def reconcile(**words: Any) -> int:
    """Compare what the calls in LOGS cost with the bill, and with what the log itself says, and explain the gap.

    Writes reconciliation.parquet, reconciliation.csv, causes.csv and manifest.json to DIR; the causes of a difference
    add up to it exactly.
    """
    from callcost.cli.terminal.summary import shorten, watched  # noqa: PLC0415 - rich and Polars load when it runs
    from callcost.jobs.reconcile import reconcile_costs  # noqa: PLC0415

    result = watched(reconcile_costs, _options_of(words), quiet=words["quiet"])
    summary = [] if words["quiet"] else summary_lines(result.manifest)
    say(*shorten(summary, alarm_lines(result.manifest)))
    return result.exit_code


def _options_of(words: dict[str, Any]) -> ReconcileOptions:
    same = shared.report_options_of({**words, "by": "model"})
    return ReconcileOptions(
        logs=same.logs, bills=words["bills"], out=words["out"], fx=words["fx"], tolerance=words["tolerance"],
        as_of=words["as_of"], since=same.since, until=same.until, where=same.where, prices=same.prices,
        read=same.read, count=same.count, work=same.work, by=words["by"], keys=words["keys"],
    )  # fmt: skip


def summary_lines(manifest: dict[str, Any]) -> list[str]:
    """Return one screen: what was asked, what we find, how much of it is explained, and by what."""
    lines = skipped_lines(manifest["run"]["skipped"])
    for name, totals in (("bill", manifest["bill"]), ("logged", manifest["log"])):
        if totals is not None:
            lines += _side(name, totals)
    lines.append(_counts_line(manifest))
    lines += [f"bill: {len(manifest['bill_rejects']):,} rows cannot be read: see manifest.json"] * bool(
        manifest["bill_rejects"]
    )
    outside = manifest["not_compared"]["calls_outside_the_bill"]
    lines += [f"not on any bill: {provider} calls of {_money(cost, 'USD')}" for provider, cost in outside.items()]
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


def _side(name: str, totals: dict[str, Any]) -> list[str]:
    currency = totals["currency"]
    if not totals["states_amounts"]:
        return [] if not totals["states_counts"] else [f"{name} states counts and no amounts: see reconciliation.csv"]
    share = totals["explained_percent"]
    explained = f", {Decimal(share):.1f} % explained" if share is not None else ""
    stated, computed = (_money(totals[figure], currency) for figure in ("stated", "computed"))
    lines = [f"{name} {stated}, {'logs' if name == 'bill' else 'computed'} {computed}{explained}"]
    causes = [row for row in totals["causes"] if abs(Decimal(row["amount"])) >= _SHOWN]
    width = max((len(_money(row["amount"], currency)) for row in causes), default=0) + 1
    for row in causes[:_SHOWN_CAUSES]:
        signed = ("+" if Decimal(row["amount"]) > 0 else "") + _money(row["amount"], currency)
        lines.append(f"  {signed:>{width}}  {_WORDS[row['cause']]}{_whose(row.get('owners', []), currency)}")
    if len(causes) > _SHOWN_CAUSES:
        lines.append(f"  {len(causes) - _SHOWN_CAUSES} smaller causes: see causes.csv")
    lines += [
        f"  {words}: {row['provider']} {row['line_item'] or 'without a label'}: {_money(row['amount'], currency)}"
        for name, words in (("unmapped", "not known"), ("fees", "fee"))
        for row in totals[name][:_SHOWN_CAUSES]
    ]
    if Decimal(totals["open_difference"]):
        lines.append(f"  {_money(totals['open_difference'], currency)} of it on days whose bill may still change")
    return lines


def _whose(owners: list[dict[str, str]], currency: str) -> str:
    """Return who has a cause: one alone by name, else the largest with their amounts."""
    named = [row for row in owners if Decimal(row["amount"])]
    if len(named) == 1:
        return f": all of {named[0]['owner']}" if named[0]["owner"] != "unattributed" else ""
    shown = [f"{row['owner']} {_money(row['amount'], currency)}" for row in named[:_SHOWN_OWNERS]]
    return ": " + ", ".join([*shown, *(["..."] if len(named) > _SHOWN_OWNERS else [])]) if shown else ""


def _money(text: str, currency: str) -> str:
    amount = Decimal(text)
    places = 2 if amount == 0 or abs(amount) >= 1 else min(18, 3 - amount.adjusted())
    sign = "-" if amount < 0 else ""
    return f"{sign}${abs(amount):,.{places}f}" if currency == "USD" else f"{amount:,.{places}f} {currency}"
