"""A reconciliation as one page of HTML: the bill, the logs, what lies between them and why, and what to do next."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from callcost.prices.charges import plain
from callcost.readable import money
from callcost.stages.pages.charts import share_bar
from callcost.stages.pages.figures import NONE, percent
from callcost.stages.pages.kit import Child, Markup, card, cell, document, element, name_of, row_name, section, table

_MOST_ROWS = 200  # of a table; the workbook and causes.csv have all
_MOST_STEPS = 12
_SIDES = {"bill": "the bill", "log": "the cost in the log"}
_NO_AMOUNT = Decimal(0)
Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GapTables:
    """What a page of a reconciliation is made of.

    Attributes:
        causes: columns of GapCauses.
        days: columns of GapDays.
        lines: lines of the bill that no call has.
        steps: what to do next.
    """

    causes: pl.DataFrame
    days: pl.DataFrame
    lines: pl.DataFrame
    steps: Sequence[Row]


def reconcile_page(gap: GapTables, manifest: Mapping[str, Any]) -> bytes:
    """Return a reconciliation as a page that fetches nothing; the same one gives the same bytes.

    Args:
        gap: what it is made of.
        manifest: record of the run.
    """
    body: list[Child] = []
    for side, words in _SIDES.items():
        if (totals := manifest[side]) is None:
            continue
        is_first = not body
        body += [
            _cards(totals, words) if totals["states_amounts"] else None,
            _steps_section(gap.steps, totals["currency"]) if is_first and gap.steps and side == "bill" else None,
            _causes_section(side, words, gap.causes.filter(pl.col("against") == side), totals["currency"]),
            _days_section(side, words, gap.days.filter(pl.col("against") == side), totals["currency"]),
            _lines_section(gap.lines) if side == "bill" and gap.lines.height else None,
        ]
    notes = [element("li", note) for note in manifest["notes"]]
    body.append(section("Notes", "notes", element("ul", notes)) if notes else None)
    return document("Bill and logs", _header(gap, manifest), element("main", body), _footer(manifest))


def _header(gap: GapTables, manifest: Mapping[str, Any]) -> Markup:
    days = gap.days.filter(pl.col("against") == ("bill" if manifest["bill"] else "log"))["day"].drop_nulls()
    calls = manifest["calls"]
    facts: list[Child] = [
        f"{days.sort()[0]} to {days.sort()[-1]}, UTC" if len(days) else "no day",
        f"{calls:,} call{'s' * (calls != 1)} compared",
        f"the bill as of {manifest['options']['as_of'][:16].replace('T', ' ')} UTC" if manifest["bill"] else None,
        *(["only ", name_of(f"{column}={glob}")] for column, glob in manifest["options"]["where"]),
    ]
    items = [element("li", fact) for fact in facts if fact is not None]
    return element("header", element("h1", "Bill and logs"), element("ul", items))


def _footer(manifest: Mapping[str, Any]) -> Markup:
    words = (
        f"callcost {manifest['callcost']['version']}. Amounts are rounded for reading; the exact figure of each is its "
        "title, and the causes of a difference add up to it exactly. This page fetches nothing."
    )
    return element("footer", element("p", words))


def _cards(totals: Row, words: str) -> Markup:
    currency = totals["currency"]
    stated, computed, difference, unexplained, still_open = (
        Decimal(totals[name]) for name in ("stated", "computed", "difference", "unexplained", "open_difference")
    )
    share, of_bill = totals["explained_percent"], f"{percent(abs(difference), stated) or NONE} of {words}"
    may_change = f"; {money(still_open, currency)} of it may still change" if still_open else ""
    cards = [
        _amount_card(words.capitalize(), stated, currency, f"in {currency}"),
        _amount_card("The logs", computed, currency, "what their calls cost at the rates of their day"),
        _amount_card("Difference", difference, currency, of_bill + may_change, signed=True),
        _amount_card("Unexplained", unexplained, currency, f"{share}% explained" if share is not None else ""),
    ]
    return element("div", cards, class_="cards")


def _amount_card(title: str, amount: Decimal, currency: str, words: str, *, signed: bool = False) -> Markup:
    return card(title, element("span", _shown(amount, currency, signed=signed), title=plain(amount)), words)


def _shown(amount: Decimal, currency: str, *, signed: bool) -> str:
    return f"{'+' if signed and amount > 0 else ''}{money(amount, currency)}"


def _amount_cell(amount: Decimal | None, currency: str, *, signed: bool = False) -> Markup:
    if amount is None:
        return cell(NONE)
    return cell(_shown(amount, currency, signed=signed), title=plain(amount))


def _causes_section(side: str, words: str, causes: pl.DataFrame, currency: str) -> Markup:
    has_owners = causes["owner"].null_count() < causes.height
    head = ["provider", "model", "cause", *["owner"] * has_owners, f"of {words}", "amount", "factor", "first day",
            "last day", "days"]  # fmt: skip
    largest = max((abs(amount) for amount in causes["amount"].drop_nulls()), default=_NO_AMOUNT)
    rows = []
    for row in causes.head(_MOST_ROWS).iter_rows(named=True):
        amount, factor = row["amount"], row["factor"]
        bar = share_bar(abs(amount), largest) if amount is not None else None
        share = percent(abs(row["share"]), 1) if row["share"] is not None else None
        several = element("i", "several")
        tokens = f"{row['tokens']:,f} tokens" if row["tokens"] else None
        rows.append([
            row_name(name_of(row["provider"]) if row["provider"] else several),
            cell(name_of(row["model"], "all") if row["provider"] else several),
            cell(row["words"], " ", element("small", row["evidence"]), class_="wrap"),
            *[cell(name_of(row["owner"]))] * has_owners,
            cell(bar, " ", share or NONE, class_="bar" if amount is None else "bar up" if amount > 0 else "bar down"),
            cell(tokens or NONE) if amount is None else _amount_cell(amount, currency, signed=True),
            cell(NONE if factor is None else f"{factor.normalize():f}"),
            *(cell(NONE if row[name] is None else str(row[name])) for name in ("first_day", "last_day")),
            cell(f"{row['days']:,}"),
        ])  # fmt: skip
    left = causes.height - len(rows)
    more = element("p", f"{left:,} smaller ones: see causes.csv", class_="note") if left > 0 else None
    caption = f"Causes of the difference to {words}, in {currency}; above 0: more than our calls cost"
    title = f"Where the difference to {words} comes from"
    none = element("p", "There is no difference.")
    shown = table(caption, head, rows, words=4 if has_owners else 3) if rows else none
    return section(title, f"causes-{side}", shown, more)


def _steps_section(steps: Sequence[Row], currency: str) -> Markup:
    rows = [
        [
            row_name(name_of(step["provider"]) if step["provider"] else element("i", "several")),
            cell(step["what"], class_="wrap"),
            cell(", ".join(step["models"][:3]) + (" …" if len(step["models"]) > 3 else "") or NONE, class_="wrap"),
            _amount_cell(step["amount"], currency, signed=True),
        ]
        for step in steps[:_MOST_STEPS]
    ]
    head = ["provider", "what to do", "models", "it is about"]
    return section("What to do next", "next", table("What to do next", head, rows, words=3))


def _days_section(side: str, words: str, days: pl.DataFrame, currency: str) -> Markup:
    largest = max((abs(amount) for amount in days["difference"].drop_nulls()), default=_NO_AMOUNT)
    rows = []
    for row in days.iter_rows(named=True):
        gap = row["difference"] or _NO_AMOUNT
        rows.append([
            row_name(str(row["day"]) if row["day"] else element("i", "no day")),
            *(_amount_cell(row[name], currency) for name in ("stated", "computed")),
            cell(share_bar(abs(gap), largest), class_="bar up" if gap > 0 else "bar down"),
            _amount_cell(row["difference"], currency, signed=True),
            cell(percent(abs(gap), row["stated"]) or NONE),
            _amount_cell(row["unexplained"], currency), cell("may change" if row["status"] == "open" else "final"),
        ])  # fmt: skip
    head = ["day", words, "logs", "", "difference", "share", "unexplained", "status"]
    return section("Day by day", f"days-{side}", table(f"Days, in {currency}", head, rows))


def _lines_section(lines: pl.DataFrame) -> Markup:
    rows = [
        [
            row_name(name_of(row["provider"])), cell(name_of(row["line_item"], "without a label"), class_="wrap"),
            cell(row["kind"]), _amount_cell(row["amount"], row["currency"]),
            *(cell(NONE if row[name] is None else str(row[name])) for name in ("first_day", "last_day")),
        ]
        for row in lines.head(_MOST_ROWS).iter_rows(named=True)
    ]  # fmt: skip
    head = ["provider", "line", "kind", "amount", "first day", "last day"]
    return section("Lines of the bill that no call has", "lines", table("Lines", head, rows, words=3))
