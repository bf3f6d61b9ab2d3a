"""What a US dollar buys of another currency, by date, and amounts in it."""

from __future__ import annotations

import csv
import dataclasses
import io
from bisect import bisect_right
from decimal import Decimal, InvalidOperation
from pathlib import Path

from callcost.errors import ConfigError
from callcost.logs.values.times import read_time
from callcost.prices.charges import quantized
from callcost.tables import EXACT

DOLLARS = "USD"


@dataclasses.dataclass(frozen=True, slots=True)
class ExchangeRates:
    """What a US dollar buys of one currency, by date; a rate holds until the next.

    Attributes:
        since: moments from which each rate holds, in microseconds since 1970 UTC, ascending.
        rates: units of the currency that a US dollar buys, one per moment.
    """

    since: tuple[int, ...] = ()
    rates: tuple[Decimal, ...] = (Decimal(1),)

    def at(self, moment: int | None) -> Decimal:
        """Return the rate of a moment; of one before all, the first."""
        if not self.since:
            return self.rates[0]
        return self.rates[max(0, bisect_right(self.since, self.since[-1] if moment is None else moment) - 1)]

    def convert(self, cost: Decimal, moment: int | None) -> Decimal:
        """Return US dollars in the currency, at the rate of a moment."""
        return converted(cost, self.at(moment))


def read_fx(path: str | None, currency: str) -> ExchangeRates:
    """Read the rates that a bill's currency needs.

    Args:
        path: path of a CSV with the columns date, currency, rate (what one US dollar buys); None: there is none.
        currency: code of the bill's currency.

    Raises:
        ConfigError: the bill is not in dollars and there is no file, or the file lacks its currency.
    """
    if currency == DOLLARS:
        return ExchangeRates()
    if path is None:
        message = f"the bill is in {currency}, the calls are priced in {DOLLARS}"
        raise ConfigError(message, hint="Give dated rates with --fx FILE (CSV: date, currency, rate)")
    found: dict[int, Decimal] = {}
    try:
        for row in csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8-sig"))):
            if row["currency"].strip().upper() == currency:
                found[_moment(row["date"])] = _rate(row["rate"])
    except (OSError, KeyError, AttributeError, ValueError, InvalidOperation) as error:
        message = f"the rates in {path} cannot be read"
        raise ConfigError(message, hint="A CSV with the columns date (2026-11-01), currency, rate") from error
    if not found:
        message = f"{path} has no rate of {currency}"
        raise ConfigError(message, hint="Add rows: date, currency, what one US dollar buys of it")
    return ExchangeRates(tuple(sorted(found)), tuple(found[moment] for moment in sorted(found)))


def _moment(text: str) -> int:
    moment = read_time(text)
    if moment is None:
        raise ValueError
    return moment


def _rate(text: str) -> Decimal:
    rate = Decimal(text)
    if not (rate.is_finite() and rate > 0):
        raise ValueError
    return rate


def converted(cost: Decimal, fx: Decimal) -> Decimal:
    """Return US dollars in another currency, as money is kept."""
    return cost if fx == 1 else quantized(EXACT.multiply(cost, fx))
