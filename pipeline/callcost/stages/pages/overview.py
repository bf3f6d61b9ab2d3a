"""The head of a report's page: what it cost, the month so far, how much is sure; budgets, savings, unusual days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from callcost.prices.charges import plain
from callcost.readable import error_percent, money
from callcost.stages.pages.charts import share_bar
from callcost.stages.pages.figures import NONE, USD, figure_cell, per, percent, shown
from callcost.stages.pages.group_sums import Row, month_name
from callcost.stages.pages.kit import Child, Markup, card, cell, element, name_of, row_name, section, table
from callcost.stages.pages.period_changes import Change, signed

Manifest = Mapping[str, Any]
_PERIODS = {"day": "a day", "week": "a week", "month": "a month", "report": "the whole report"}


def cards(manifest: Manifest, days: Mapping[date | None, Row], change: Change | None) -> Markup:
    """Return the first figures of a report.

    Args:
        manifest: record of the run.
        days: day -> sums; None: undated calls.
        change: the newest days against those before them.
    """
    totals = manifest["totals"]
    calls, cost = totals["calls"] or 0, _amount(totals["total_cost"])
    failed = totals["failed_calls"] or 0
    shown_cards = [
        card("Cost", _money(cost), [_local(manifest), _against(change)], class_="hero"),
        _month_card(manifest, days),
        card("Calls", f"{calls:,}", f"{per(cost, calls)} per call" + (f", {failed:,} failed" if failed else "")),
        card(
            "Tokens", shown(totals["total_tokens"]),
            f"{shown(totals['prompt_tokens'])} prompt, "
            f"{shown(totals['completion_tokens'])} completion",
        ),
        card(
            "Cache hits", percent(totals["cache_read_input_tokens"], totals["prompt_tokens"]) or NONE,
            _saved(_amount(totals["cache_savings_cost"])),
        ),
        card("Unpriced", percent(totals["unpriced_calls"], calls) or NONE, _not_priced(totals)),
        card("Counted here", percent(totals["counted_calls"], calls) or NONE, _counted(manifest)),
    ]  # fmt: skip
    return element("div", shown_cards, class_="cards")


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _money(amount: Decimal | None) -> Markup:
    return element("span", shown(amount, USD), title=None if amount is None else plain(amount))


def _local(manifest: Manifest) -> Child:
    """Return the cost in another currency, where one is asked for."""
    local = manifest.get("currency")
    if not local or local["total_cost"] is None:
        return None
    shown_cost = element("b", money(Decimal(local["total_cost"]), local["code"]), title=local["total_cost"])
    return [shown_cost, f" at the rates of each day, {local['first']} to {local['last']}; "]


def _against(change: Change | None) -> Child:
    if change is None or change.before is None or change.after is None:
        return "in US dollars"
    gap = change.after - change.before
    share = percent(abs(gap), change.before)
    direction = "up" if gap > 0 else "down" if gap < 0 else "same"
    words = f"{signed(gap)}" + (f" ({'+' if gap > 0 else '-'}{share})" if share and gap else "")
    return [element("b", words, class_=direction, title=plain(gap)), f", {change.words}"]


def _month_card(manifest: Manifest, days: Mapping[date | None, Row]) -> Markup | None:
    dated = [day for day in days if day is not None]
    if not dated:
        return None
    newest = max(dated)
    month = [days[day]["total_cost"] for day in dated if (day.year, day.month) == (newest.year, newest.month)]
    stated = [cost for cost in month if cost is not None]
    since = manifest["options"]["since"]
    first = min(day for day in dated if (day.year, day.month) == (newest.year, newest.month))
    is_whole = since is None or since[:10] <= f"{newest:%Y-%m}-01"
    words = f"{1 if is_whole else first.day} to {newest.day} {month_name(newest)}."
    forecast = manifest.get("forecast")
    if forecast and forecast["month"] == f"{newest:%Y-%m}":
        expected, low, high = (Decimal(forecast[name]) for name in ("expected", "low", "high"))
        words += (
            f" Expected by its end: {shown(expected, USD)}, 4 times in 5 between {shown(low, USD)} and "
            f"{shown(high, USD)}."
        )
    return card("Month to date", _money(sum(stated, Decimal(0)) if stated else None), words)


def _saved(amount: Decimal | None) -> Child:
    if amount is None:
        return "of prompt tokens"
    return [
        element("span", shown(abs(amount), USD), title=plain(amount)),
        " saved" if amount >= 0 else " lost",
        " net of writes",
    ]


def _not_priced(totals: Row) -> str:
    unpriced, partly = totals["unpriced_calls"] or 0, totals["partly_priced_calls"] or 0
    return f"{unpriced:,} calls without a price, {partly:,} partly priced"


def _counted(manifest: Manifest) -> str:
    within = manifest["counting"]["expected_within"]
    calls = manifest["totals"]["counted_calls"] or 0
    sure = "" if within is None else f", tokens expected within ±{error_percent(within)}%"
    return f"{calls:,} calls without full usage{sure}"


def budgets_section(budgets: Sequence[Row]) -> Markup:
    """Return what was spent of each budget, what is expected, and what is left."""
    rows = []
    for budget in budgets:
        amount, spent, expected, left = (_amount(budget.get(key)) for key in ("amount", "spent", "expected", "left"))
        over = spent is not None and amount is not None and spent > amount
        rows.append([
            row_name(name_of(budget["name"]), " ", element("small", _PERIODS[budget["period"]])),
            figure_cell(amount, USD), figure_cell(spent, USD),
            cell(share_bar(spent, amount), " ", percent(spent, amount) or NONE, class_="bar up" if over else "bar"),
            figure_cell(expected, USD), figure_cell(left, USD),
        ])  # fmt: skip
    head = ["budget", "amount", "spent", "share", "expected", "left"]
    return section("Budgets", "budgets", table("Budgets, US dollars", head, rows))


def unusual_section(unusual: Sequence[Row]) -> Markup:
    """Return the days that cost more or less than their weekday does, and the group that drove each."""
    rows = []
    for day in unusual:
        driver = day.get("driver")
        words: Child = NONE
        if driver:
            words = [
                element("small", str(driver["column"])), " ", name_of(driver["value"]),
                f": {shown(_amount(driver['cost']), USD)}, ",
                f"usually {shown(_amount(driver['expected']), USD)}",
            ]  # fmt: skip
        rows.append([
            row_name(str(day["day"])), cell(words), figure_cell(_amount(day["cost"]), USD),
            figure_cell(_amount(day["expected"]), USD),
        ])  # fmt: skip
    caption = "Unusual days, against their weekday's median"
    return section("Unusual days", "unusual", table(caption, ["day", "driven by", "cost", "usual"], rows, words=2))


def savings_section(savings: Sequence[Row]) -> Markup:
    """Return what could be saved, as what-if --suggest lists it."""
    rows = [
        [
            row_name(name_of(row["model"])), cell(row["how"], class_="wrap"), figure_cell(row["calls"]),
            *(figure_cell(row[name], USD) for name in ("cost", "saved_cost", "month_cost")),
        ]
        for row in savings
    ]  # fmt: skip
    caption = "What could be saved on the same calls, US dollars; suggestions overlap"
    head = ["model", "how", "calls", "of", "saved", "in 30 days"]
    note = element("p", "callcost what-if SOURCE --suggest lists all. Suggestions overlap.", class_="note")
    return section("Savings found", "savings", table(caption, head, rows, words=2), note)
