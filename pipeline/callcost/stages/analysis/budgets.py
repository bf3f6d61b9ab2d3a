"""Budgets: what a file of them says, and what was spent of each, is left, and is expected by the end of its period."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from callcost.arguments import unknown
from callcost.errors import ConfigError
from callcost.prices.charges import plain
from callcost.settings import Budget
from callcost.tables import EXACT

_KEYS = ("name", "amount", "period", "group")
_DAYS = ("first_day", "last_day", "since")
MAX_COST = "--max-cost"
_SHOWN_DIGITS = 3  # of what is estimated


def settle_budgets(
    given: str | tuple[Budget, ...], hide: Callable[[Budget], Budget] = lambda budget: budget
) -> tuple[Budget, ...]:
    """Return budgets, each with a name of its own.

    Args:
        given: budgets, or the path of a TOML file: ``[[budget]]`` with amount, and where wanted period, group and name.
        hide: function that puts pseudonyms in the place of names.

    Raises:
        ConfigError: the file cannot be read, or says something that is unknown or no amount; two have the same name.
    """
    budgets = [_named(hide(budget)) for budget in (_read_file(given) if isinstance(given, str) else given)]
    names = [budget.name for budget in budgets]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"budget: two are called {name!r}", hint="Give each a name")
    return tuple(budgets)


def _named(budget: Budget) -> Budget:
    of = ", ".join(f"{column}={glob}" for column, glob in budget.group)
    return dataclasses.replace(budget, name=budget.name or (f"{budget.period} of {of}" if of else budget.period))


def _read_file(place: str) -> list[Budget]:
    try:
        document = tomllib.loads(Path(place).read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"budget: {place} cannot be read: {type(error).__name__}") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"budget: {place} is no TOML: {error}") from None
    for key in document:
        if key != "budget":
            raise unknown(f"budget: {place}: no table", key, ["budget"])
    rows = document.get("budget", [])
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"budget: {place} holds no budget", hint="Write [[budget]], and amount = 100 below it")
    return [_read_budget(row, f"budget: {place}: budget {number}") for number, row in enumerate(rows, 1)]


def _read_budget(row: dict[str, Any], where: str) -> Budget:
    for key in row:
        if key not in _KEYS:
            raise unknown(f"{where}: no key", key, _KEYS)
    if "amount" not in row:
        raise ConfigError(f"{where} has no amount", hint="Write amount = 100, in US dollars")
    if not isinstance(row.get("group", {}), dict):
        raise ConfigError(f"{where}: group is no table", hint='Write group = { team = "a" }')
    try:
        return Budget(**row)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", hint=error.hint) from None


def period_of(day: date, period: str) -> tuple[date, date]:
    """Return the first day of the period that a day lies in, and the first after it.

    >>> [str(edge) for edge in period_of(date(2026, 11, 20), "week")]
    ['2026-11-16', '2026-11-23']
    """
    if period == "month":
        first = day.replace(day=1)
        return first, (first + timedelta(days=32)).replace(day=1)
    first = day - timedelta(days=day.weekday()) if period == "week" else day
    return first, first + timedelta(days=7 if period == "week" else 1)


def estimated(spent: Decimal, more: float, scale: float | None = None) -> str:
    """Return what is spent and what is expected beside it, rounded to what can be known: never less than is spent.

    Args:
        spent: US dollars.
        more: what is expected beside.
        scale: the estimate that says how far to round; None: ``more`` itself.
    """
    scale = more if scale is None else scale
    if scale <= 0:
        return plain(spent)
    place = Decimal(1).scaleb(max(math.floor(math.log10(scale)) + 1 - _SHOWN_DIGITS, -18))
    whole = EXACT.add(spent, EXACT.create_decimal_from_float(more))
    return plain(max(spent, whole.quantize(place, ROUND_HALF_EVEN, context=EXACT)))


def judge_interval(amount: Decimal, spent: str | None, unpriced: int) -> dict[str, Any]:
    """Say of what a whole report may cost what was spent and is left.

    Args:
        amount: US dollars.
        spent: its sum; None: nothing has a price.
        unpriced: number of calls without a full price.
    """
    left = plain(EXACT.subtract(amount, Decimal(spent or 0)))
    row = {"name": MAX_COST, "period": "report", "group": {}, "amount": plain(amount), "spent": spent or "0"}
    return row | {"expected": None, "left": left, **dict.fromkeys(_DAYS), "unpriced": unpriced}


def judge_budgets(
    budgets: Sequence[Budget],
    day: date | None,
    sums: Callable[[int, date, date], tuple[Decimal, int]],
    rest: Callable[[int, date], float | None],
    since: date | None,
) -> list[dict[str, Any]]:
    """Say of each budget what was spent and is left of it in the period of a day, and what is expected by its end.

    Args:
        budgets: with their names.
        day: the last one that is looked at; None: no call has a time.
        sums: function of (position of a budget, first day, day after the last): what was spent, and how many charges
            among it have no full price.
        rest: function of (position of a budget, day after the last of its period): US dollars that are expected until
            then; None: nobody can tell.
        since: the first day of which there are calls, where an interval says so.
    """
    rows = []
    for number, budget in enumerate(budgets):
        row: dict[str, Any] = {
            "name": budget.name, "period": budget.period, "group": dict(budget.group), "amount": plain(budget.amount),
            "spent": "0", "expected": None, "left": plain(budget.amount), **dict.fromkeys(_DAYS), "unpriced": 0,
        }  # fmt: skip
        if day is not None:
            first, end = period_of(day, budget.period)
            spent, row["unpriced"] = sums(number, first, end)
            is_part = since is not None and since > first
            more = None if is_part else rest(number, end)
            row |= {
                "spent": plain(spent), "left": plain(EXACT.subtract(budget.amount, spent)),
                "expected": None if more is None else estimated(spent, more),
                "first_day": str(first), "last_day": str(end - timedelta(days=1)),
                "since": str(since) if is_part else None,
            }  # fmt: skip
        rows.append(row)
    return rows
