"""Costs of a report in another currency beside its dollars: the dollars of each day at the day's own rate, exactly."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from callcost.errors import ConfigError
from callcost.prices.charges import plain
from callcost.settings import FOCUS_FORMATS, ReportOptions
from callcost.stages.pricing.exchange_rates import ExchangeRates
from callcost.stages.pricing.price_facts import sum_stated
from callcost.stages.tables.schemas import MONEY

_HINT = "Give dated rates with --fx FILE (CSV: date, currency, rate: what one US dollar buys)"


def check_currency(options: ReportOptions) -> None:
    """Refuse a currency without rates, rates without a currency, and what is written in dollars alone.

    Raises:
        ConfigError: one of these is asked for.
    """
    if (options.currency is None) != (options.fx is None):
        raise ConfigError("--currency and --fx go together", hint=_HINT)
    if options.currency is not None and not re.fullmatch("(?!USD)[A-Z]{3}", options.currency):
        raise ConfigError(f"--currency {options.currency!r} is no other currency", hint="Write a code such as EUR")
    asked = [kind for kind in options.formats if kind in FOCUS_FORMATS]
    if options.currency is not None and asked:
        raise ConfigError(f"--format {asked[0]} is in US dollars", hint="Leave out --currency")


def column_of(currency: str) -> str:
    """Return the column of spend that costs in a currency stand in."""
    return f"total_cost_{currency.lower()}"


def add_local_costs(
    spend: pl.DataFrame, whole: pl.DataFrame, options: ReportOptions, fx: ExchangeRates
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Put total_cost in a currency after that in dollars.

    Args:
        spend: rows of a report.
        whole: partial spend, by the report's columns and by day.
        options: what the report was asked for; ``currency`` and ``fx`` are given.
        fx: rates; one holds until the next. Calls without a day have the newest.

    Returns:
        The rows, and what the manifest says of the currency.

    Raises:
        ConfigError: calls are older than the first rate.
    """
    code, name = options.currency or "", column_of(options.currency or "")
    first, last = (datetime.fromtimestamp(fx.since[at] // 1_000_000, UTC).date() for at in (0, -1))
    earliest = whole["day"].min()
    if isinstance(earliest, date) and earliest < first:
        message = f"{options.fx} has no rate of {code} for {earliest}: the first is of {first}"
        raise ConfigError(message, hint="Add earlier rates, or leave out earlier calls with --since")
    summed = _sum_by(whole.with_columns(local_costs(whole, fx).alias(name)), options.by, name)
    joined = (
        spend.join(summed, on=list(options.by), how="left", nulls_equal=True, maintain_order="left")
        if options.by else pl.concat([spend, summed], how="horizontal")
    )  # fmt: skip
    at = spend.columns.index("total_cost") + 1
    total = summed[name].sum() if summed[name].count() else None
    about = {
        "code": code, "sha256": hashlib.sha256(Path(options.fx or "").read_bytes()).hexdigest(), "rates": len(fx.since),
        "first": str(first), "last": str(last), "total_cost": None if total is None else plain(Decimal(total)),
    }  # fmt: skip
    return joined.select(*spend.columns[:at], name, *spend.columns[at:]), about


def local_costs(sums: pl.DataFrame, fx: ExchangeRates) -> pl.Series:
    """Return total_cost in a currency, row by row.

    Args:
        sums: day and total_cost; without a day, the newest rate holds.
        fx: rates; one holds until the next.
    """
    rows = sums.select("day", "total_cost").rows()
    costs = [None if cost is None else fx.convert(cost, _moment(day)) for day, cost in rows]
    return pl.Series(costs, dtype=MONEY)


def _sum_by(rows: pl.DataFrame, by: Sequence[str], name: str) -> pl.DataFrame:
    return rows.group_by(by).agg(sum_stated(name)) if by else rows.select(sum_stated(name))


def _moment(day: date | None) -> int | None:
    return None if day is None else int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
