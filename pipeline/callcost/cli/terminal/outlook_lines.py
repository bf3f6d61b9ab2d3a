"""Lines of a summary on what a report says as of a moment: budgets, the forecast of the month, unusual days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from callcost.cli.terminal.events import counted
from callcost.cli.terminal.spend_table import label
from callcost.readable import dollars
from callcost.settings import MOST_NAMED
from callcost.stages.analysis.budgets import MAX_COST

_MOST_BUDGETS = 5  # the nearest to their ends


def outlook_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return what was spent of budgets, what the month will probably cost, and which days are unusual.

    Args:
        manifest: manifest of the run.
    """
    forecast, unusual = manifest["forecast"], manifest["unusual"]
    lines = _budget_lines(manifest["budgets"])
    if forecast:
        expected, low, high = (_estimate(forecast[name]) for name in ("expected", "low", "high"))
        line = f"{forecast['month']}: {_dollars(forecast['to_date'])} so far, about {expected} expected"
        lines.append(f"{line} (80 %: {low} to {high}; an estimate from {forecast['days']} days)")
    if unusual:
        dearest = sorted(unusual, key=lambda row: (-_size(row), row["day"]))
        more = len(unusual) - MOST_NAMED
        named = "; ".join(map(_day_words, dearest[:MOST_NAMED]))
        lines.append(f"unusual: {named}" + (f"; {counted(more, 'more day')} in manifest.json" if more > 0 else ""))
    return lines


def _dollars(amount: str) -> str:
    return dollars(Decimal(amount))


def _estimate(amount: str) -> str:
    """Return an amount with the digits that its estimate has."""
    return f"${Decimal(amount):,f}"


def _budget_lines(budgets: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [_budget_words(row) for row in sorted(budgets, key=_left_of)[:_MOST_BUDGETS]]
    more = len(budgets) - _MOST_BUDGETS
    return lines + [f"{counted(more, 'more budget')}: see manifest.json"] * (more > 0)


def _left_of(row: Mapping[str, Any]) -> Decimal:
    """Return the share of a budget that is left."""
    amount, left = Decimal(row["amount"]), Decimal(row["left"])
    return left / amount if amount else left - 1


def _budget_words(row: Mapping[str, Any]) -> str:
    name = MAX_COST if row["name"] == MAX_COST else f"budget {row['name']!r}"
    days = "" if row["first_day"] is None else f" {row['first_day']}"
    days += f" to {row['last_day']}" if row["last_day"] != row["first_day"] else ""
    left = Decimal(row["left"])
    words = [
        f"spent {_dollars(row['spent'])} of {_dollars(row['amount'])}",
        f"expected about {_estimate(row['expected'])}" if row["expected"] is not None else "",
        f"left {dollars(left)}" if left >= 0 else f"over by {dollars(-left)}",
        f"nothing before {row['since']} looked at (--since)" if row["since"] else "",
        f"without what {counted(row['unpriced'], 'call')} not fully priced cost" if row["unpriced"] else "",
    ]
    return f"{name}{days}: {', '.join(filter(None, words))}"


def _size(row: Mapping[str, Any]) -> Decimal:
    pairs = [(row["cost"], row["expected"])]
    pairs += [(row["driver"]["cost"], row["driver"]["expected"])] if row["driver"] else []
    return max(abs(Decimal(cost) - Decimal(expected)) for cost, expected in pairs)


def _day_words(row: Mapping[str, Any]) -> str:
    words = f"{row['day']} {_instead(row)}"
    driver = row["driver"]
    return words + (f" ({driver['column']} {label(driver['value'])}: {_instead(driver)})" if driver else "")


def _instead(row: Mapping[str, Any]) -> str:
    return f"{_dollars(row['cost'])}, usual {_dollars(row['expected'])}"
