"""What the rest of a period will probably cost: the pattern of the week, and the level that the cost has reached.

The pattern is the median share of each weekday in the weeks before. The level follows the newest days, each put right
by its weekday, as fast as weeks moved among themselves (a local level model: Harvey, Forecasting, Structural Time
Series Models and the Kalman Filter, 1989). It goes on as weeks went up or down on average, as far as that stands out
from how they scatter, and dies down (a damped trend: Gardner and McKenzie, 1985). The interval is drawn so that 80 of
100 lie in it. On shops that it was not made with, tests/bench holds that, and that the trend makes it closer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from statistics import median
from typing import NamedTuple

LEAST_DAYS, MOST_DAYS = 14, 56  # that a forecast stands on
_QUANTILE = 1.2816  # of the normal distribution: 80 % lie between it and its negative
_USUAL_MOVE, _USUAL_WEIGHT = 0.12, 2  # of a level in a week, and how many weeks that counts as, where little is known
_MOST_GROWTH, _DAMPING = 0.1, 0.93  # of the level, and of that growth, a day
_FARTHEST = 3.0  # deviations from which a day counts as that far away
_LEAST_FACTOR = 0.05  # of a weekday that says something of the level


class Forecast(NamedTuple):
    """What days to come will probably cost, in US dollars.

    Attributes:
        expected: in the middle.
        low: one of ten lies below.
        high: one of ten lies above.
        days: number of days that it stands on.
    """

    expected: float
    low: float
    high: float
    days: int


def forecast_days(costs: Sequence[float], newest: date, ahead: Sequence[tuple[date, float]]) -> Forecast | None:
    """Forecast what some days will cost.

    Args:
        costs: of days one after the other, each whole, the newest last.
        newest: the last of these days.
        ahead: (day, share of it that is to come).

    Returns:
        None: fewer than LEAST_DAYS of the days looked at cost anything, or nothing is to come.
    """
    costs = [max(cost, 0.0) for cost in costs[-MOST_DAYS:]]
    if sum(cost > 0 for cost in costs) < LEAST_DAYS or not ahead:
        return None
    last = newest.weekday()
    factors = _factors_of(costs, last)
    noise, move, trend = _variances_of(costs, factors, last)
    level, doubt = _level_of(costs, factors, last, noise, move)
    growth = _growth_of(_weeks_of(costs))
    courses = [math.exp(growth * _DAMPING * (1 - _DAMPING**n) / (1 - _DAMPING)) for n in range(1, len(ahead) + 1)]
    weights = [factors[day.weekday()] * share * course for (day, share), course in zip(ahead, courses, strict=True)]
    whole = sum(weights)
    if level <= 0 or whole <= 0:
        return None
    left, moved, away = 0.0, 0.0, 0.0
    shares = [weight / whole for weight in weights]
    for share in reversed(shares):
        left += share
        moved += left * left
        away += left
    variance = doubt + move * moved + trend * away * away + noise * sum(share * share for share in shares)
    expected, width = level * whole, math.exp(_QUANTILE * math.sqrt(math.log1p(variance)))
    return Forecast(expected, expected / width, expected * width, len(costs))


def _weeks_of(costs: Sequence[float]) -> list[Sequence[float]]:
    """Return the whole weeks that end with the newest day, the oldest first."""
    first = len(costs) % 7
    return [costs[start : start + 7] for start in range(first, len(costs), 7)]


def _factors_of(costs: Sequence[float], last: int) -> list[float]:
    """Return by weekday how much of an average day it costs."""
    weeks = [week for week in _weeks_of(costs) if sum(week) > 0]
    found = [median(7 * week[place] / sum(week) for week in weeks) for place in range(7)]
    whole = sum(found) or 1.0
    return [7 * found[(weekday - last - 1) % 7] / whole for weekday in range(7)]


def _moves_of(levels: Sequence[float]) -> list[float]:
    """Return by what share of itself each week differs from the one before."""
    return [2 * (b - a) / (a + b) for a, b in pairwise(levels) if a + b > 0]


def _growth_of(weeks: Sequence[Sequence[float]]) -> float:
    """Return by what share the level moves a day: less, the less it stands out from noise (James and Stein, 1961)."""
    moves = _moves_of([sum(week) / 7 for week in weeks])
    if len(moves) < 2 or not any(moves):
        return 0.0
    mean = sum(moves) / len(moves)
    scatter = sum((move - mean) ** 2 for move in moves) / (len(moves) - 1) / len(moves)
    growth = max(0.0, 1 - scatter / (mean * mean)) * mean / 7 if mean else 0.0
    return max(-_MOST_GROWTH, min(growth, _MOST_GROWTH))


def _variances_of(costs: Sequence[float], factors: Sequence[float], last: int) -> tuple[float, float, float]:
    """Return, in shares of the level, the variance of a day around it, of its move a day, and of a steady one."""
    weeks = _weeks_of(costs)
    levels = [sum(week) / 7 for week in weeks]
    squares, weights = 0.0, 0.0
    for week, level in zip(weeks, levels, strict=True):
        for place, cost in enumerate(week):
            factor = factors[(last + 1 + place) % 7]
            most = _FARTHEST * max(factor, 0.3)
            if level > 0:
                squares += min(abs(cost / level - factor), most) ** 2
                weights += factor * factor
    noise = max(squares / weights * 7 / 6, 1e-6) if weights else 1.0
    moves = _moves_of(levels)
    by_noise = 2 * noise * sum(factor * factor for factor in factors) / 49  # of one move
    usual = _USUAL_WEIGHT * _USUAL_MOVE**2
    squared = sum(each * each for each in moves)
    move = (usual + max(0.0, squared - len(moves) * by_noise)) / (_USUAL_WEIGHT + len(moves)) / 7
    mean = sum(moves) / len(moves) if moves else 0.0
    steady = max(0.0, mean * mean - by_noise / max(len(moves), 1) ** 2)
    return noise, move, steady / 49


def _level_of(
    costs: Sequence[float], factors: Sequence[float], last: int, noise: float, move: float
) -> tuple[float, float]:
    """Return the cost of an average day now, and the variance of how much of it is in doubt."""
    first = len(costs) % 7
    level = sum(costs[first : first + 7]) / 7 or sum(costs) / len(costs)
    doubt = noise / 7
    for place in range(first + 7, len(costs)):
        factor = factors[(last + 1 + place - len(costs)) % 7]
        doubt += move
        if factor < _LEAST_FACTOR or level <= 0:
            continue
        gain = doubt / (doubt + noise)
        most = _FARTHEST * math.sqrt(noise) * level
        level += gain * min(max(costs[place] / factor - level, -most), most)
        doubt *= 1 - gain
    return level, doubt
