"""What a report says beside its sums: budgets, the forecast of the month, unusual days, all as of one moment.

The moment is a function of the options and the logs, never the wall clock. What was spent is exact; what is expected is
an estimate and rounded as such.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from callcost.prices.charges import plain
from callcost.settings import ReportOptions
from callcost.stages.analysis.budgets import estimated, judge_budgets, period_of
from callcost.stages.analysis.forecast import Forecast, forecast_days
from callcost.stages.analysis.unusual_days import Group, UnusualDay, find_unusual
from callcost.tables import EXACT

Row = tuple[date, str, str | None, Decimal, int]
_INSTANT = timedelta(microseconds=1)
_LAST_YEAR = 9_998  # beyond it there are days without a next week: nothing is said of them


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DaySums:
    """Rows of day costs, and what their items are called.

    Attributes:
        rows: (day, item, value, cost, charges without a full price).
        whole: item of all calls.
        budgets: items of the budgets, in their order.
        drivers: items that are columns of groups.
    """

    rows: Iterable[Row]
    whole: str
    budgets: tuple[str, ...]
    drivers: tuple[str, ...]


def outlook_of(sums: DaySums, options: ReportOptions, last_at: str | None) -> dict[str, Any]:
    """Return ``as_of``, ``budgets``, ``forecast`` and ``unusual`` of the manifest.

    Args:
        sums: what each day cost.
        options: what the run was asked for.
        last_at: time of the newest call of the logs, as ISO 8601; None: none has a time.
    """
    asked = options.as_of or options.until
    moment = asked or (None if last_at is None else datetime.fromisoformat(last_at) + _INSTANT)
    outlook = _Outlook(sums, options, None if moment is None or moment.year >= _LAST_YEAR else moment)
    return {"as_of": asked.isoformat() if asked else last_at, **outlook.document()}


class _Outlook:
    def __init__(self, sums: DaySums, options: ReportOptions, moment: datetime | None) -> None:
        self._sums, self._options, self._moment = sums, options, moment
        self._zone = ZoneInfo(options.timezone)
        self._costs: dict[tuple[str, str | None], dict[date, Decimal]] = defaultdict(dict)
        self._unpriced: dict[str, dict[date, int]] = defaultdict(dict)
        for day, item, value, cost, unpriced in sums.rows:
            self._costs[item, value][day] = cost
            self._unpriced[item][day] = unpriced
        since = None if options.since is None else options.since.astimezone(self._zone)
        self._since = None if since is None else since.date() + timedelta(days=since.time() != time())
        days = [day for day in self._costs[sums.whole, None] if self._since is None or day >= self._since]
        self._first = min(days, default=None)

    def document(self) -> dict[str, Any]:
        budgets = self._options.budget if isinstance(self._options.budget, tuple) else ()
        last = None if self._moment is None else (self._moment - _INSTANT).astimezone(self._zone).date()
        return {
            "budgets": judge_budgets(budgets, last, self._spent, self._rest, self._since),
            "forecast": None if last is None else self._forecast_of_month(last),
            "unusual": [] if last is None else self._unusual(last),
        }

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self._zone)

    def _spent(self, number: int, first: date, end: date) -> tuple[Decimal, int]:
        item = self._sums.budgets[number]
        return self._sum((item, None), first, end), _within(self._unpriced[item], first, end)

    def _sum(self, key: tuple[str, str | None], first: date, end: date) -> Decimal:
        total = Decimal(0)
        for day, cost in self._costs[key].items():
            total = EXACT.add(total, cost) if first <= day < end else total
        return total

    def _ahead(self, end: date) -> list[tuple[date, float]]:
        """Return the days before an end that are to come, with the share of them that is."""
        assert self._moment is not None  # noqa: S101
        day = self._moment.astimezone(self._zone).date()
        whole = self._midnight(day + timedelta(days=1)).timestamp() - self._midnight(day).timestamp()
        left = (self._midnight(day + timedelta(days=1)).timestamp() - self._moment.timestamp()) / whole
        days = [(day + timedelta(days=number), 1.0) for number in range((end - day).days)]
        return [(day, left), *days[1:]] if days else []

    def _forecast(self, key: tuple[str, str | None], end: date) -> Forecast | None:
        """Return what is to come before an end; None: it is over, or nobody can tell."""
        ahead = self._ahead(end)
        if not ahead or self._first is None:
            return None
        newest = ahead[0][0] - timedelta(days=1)
        days = [self._first + timedelta(days=number) for number in range((newest - self._first).days + 1)]
        costs = [float(self._costs[key].get(day, 0)) for day in days]
        return forecast_days(costs, newest, ahead)

    def _rest(self, number: int, end: date) -> float | None:
        if not self._ahead(end):
            return 0.0
        found = self._forecast((self._sums.budgets[number], None), end)
        return None if found is None else found.expected

    def _forecast_of_month(self, last: date) -> dict[str, Any] | None:
        first, end = period_of(last, "month")
        whole = (self._sums.whole, None)
        found = self._forecast(whole, end)
        if found is None or (self._since is not None and self._since > first):
            return None
        spent = self._sum(whole, first, end)
        low, expected, high = (
            estimated(spent, more, found.expected) for more in (found.low, found.expected, found.high)
        )
        return {
            "month": f"{first:%Y-%m}", "to_date": plain(spent), "expected": expected, "low": low, "high": high,
            "days": found.days,
        }  # fmt: skip

    def _unusual(self, last: date) -> list[dict[str, Any]]:
        if self._first is None or self._moment is None or self._first > last:
            return []
        is_whole = self._midnight(last + timedelta(days=1)) <= self._moment
        groups = {
            (item, value): costs
            for (item, value), costs in self._costs.items()
            if item in self._sums.drivers and value is not None
        }
        total = self._costs[self._sums.whole, None]
        end = last + timedelta(days=1)
        return [_plain(each) for each in find_unusual(total, groups, self._first, end, None if is_whole else last)]


def _within(counts: dict[date, int], first: date, end: date) -> int:
    return sum(count for day, count in counts.items() if first <= day < end)


def _plain(found: UnusualDay) -> dict[str, Any]:
    driver = found.driver and _plain_group(found.driver)
    return {"day": str(found.day), "cost": plain(found.cost), "expected": plain(found.expected), "driver": driver}


def _plain_group(group: Group) -> dict[str, str]:
    cost, expected = plain(group.cost), plain(group.expected)
    return {"column": group.column, "value": group.value, "cost": cost, "expected": expected}
