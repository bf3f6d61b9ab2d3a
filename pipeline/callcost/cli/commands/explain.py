"""`callcost explain`: one call, line by line."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from callcost.cli.click_types import Verb
from callcost.cli.options import (
    cache_option,
    form_option,
    price_options,
    read_options,
    report_options_of,
    select_options,
    source_argument,
    work_options,
)
from callcost.cli.terminal.listing import plain
from callcost.cli.terminal.output import show, show_document

if TYPE_CHECKING:
    from callcost.jobs.explain import Explanation
    from callcost.stages.report.line_accounts import LineAccount, LineCharge


@click.command(cls=Verb)
@source_argument
@click.option("--call", "call_id", required=True, metavar="ID", help="call_id of calls.parquet, or the provider's id.")
@select_options
@read_options
@price_options
@form_option
@work_options
@cache_option
def explain(**words: Any) -> int:
    """Explain one call of SOURCE: usage found, how it was read, each rate and where it comes from.

    SOURCE is logs, the folder of a report made with --calls, or a --state; several such folders are one source.
    """
    from callcost.jobs.explain import explain_call  # noqa: PLC0415 - Polars loads when it runs

    found = explain_call(report_options_of(words), words["call_id"])
    if words["form"] == "json":
        show_document(json.dumps([dataclasses.asdict(one) for one in found], indent=2, default=_plain))
    else:
        pages = [["", *_page(one)] for one in found]
        show(*[line for page in pages for line in page][1:])
    return 0


def _plain(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _page(one: Explanation) -> list[str]:
    lines = _pairs("call", {name: _cell(value) for name, value in one.call.items()})
    lines += _pairs("usage as found", {path: str(value) for path, value in one.found.items()})
    for number, line in enumerate(one.lines):
        title = "priced" if len(one.lines) == 1 else f"charge line {number + 1}: {line.model}"
        lines += _account(title, line)
    return [*lines[1:], "", f"total  {_total(one.lines)}: {_verdict(one.lines)}"]


def _total(lines: list[LineAccount]) -> str:
    """Return what the lines come to, and why that is not all, or nothing."""
    priced = [line.total for line in lines if line.total is not None]
    status = _STATUS[min((line.status for line in lines), key=list(_STATUS).index)]
    reasons = ", ".join(dict.fromkeys(line.reason for line in lines if line.reason))
    why = f" ({reasons})" if reasons else ""
    if not priced:
        return f"unpriced{why}"
    if len(priced) < len(lines):
        status = "partly priced"
    return f"{plain(sum(priced, Decimal(0)))} USD" + (f", {status}{why}" if status else "")


# How a line's status reads in the total; the first that a line has is said of all.
_STATUS = {"unpriced": "unpriced", "partly_priced": "partly priced", "priced": "", "free": "free"}


def _verdict(lines: list[LineAccount]) -> str:
    if all(line.total == line.reported for line in lines):
        return "the report's figure" if any(line.total is not None for line in lines) else "in the report, too"
    reported = [line.reported for line in lines if line.reported is not None]
    return f"the report says {plain(sum(reported, Decimal(0)))}" if reported else "the report says unpriced"


def _cell(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    return ", ".join(value) or "-" if isinstance(value, list) else str(value)


def _pairs(title: str, pairs: dict[str, str]) -> list[str]:
    if not pairs:
        return []
    width = max(map(len, pairs))
    return ["", title, *(f"  {name:<{width}}  {text}" for name, text in pairs.items())]


def _account(title: str, line: LineAccount) -> list[str]:
    since = f" of {line.effective_from[:10]}" if line.effective_from else ""
    where = f"{line.key} in {line.version}{since} ({line.basis}, found by {line.rung})"
    where = where if line.key else "no map: none lists the model"
    status = f"{line.status}: {line.reason}" if line.reason else line.status
    read = ", ".join(f"{name} {_cell(value)}" for name, value in line.read.items()) or "nothing"
    head = ["", title, f"  read as  {read}", f"  rates of {where}", f"  status   {status}"]
    if line.named:
        head.append(f"  provider {line.named} by the model's name, where the log states another")
    if line.runner_up:
        head.append(f"  instead of {line.runner_up}, which was in force: the very name was listed soon after")
    head += [f"  corrected  {text}" for text in line.corrections]
    return head + [f"  {_charge(charge)}" for charge in line.charges]


def _charge(charge: LineCharge) -> str:
    factors = "".join(f" x {plain(factor)} ({field})" for field, factor in charge.factors)
    origin = f" [{charge.field}]" if charge.field else ""
    note = f"  ({charge.note})" if charge.note else ""
    rate = f"{plain(charge.listed)}{origin}{factors}"
    return f"{charge.unit:<18} {plain(charge.quantity):>12} x {rate} = {plain(charge.cost)}{note}"
