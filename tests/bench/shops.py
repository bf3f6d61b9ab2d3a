"""Shops whose days cost something, and back-tests of the forecast on them: does 80 % of what came lie in its interval?

``python -m tests.bench.shops`` prints it. A shop is a week, a course, noise and mishaps, each drawn by itself. The
forecast's constants were not chosen on these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from random import Random
from statistics import median
from typing import NamedTuple

import click

from callcost.stages.analysis import forecast
from callcost.stages.analysis.budgets import period_of
from callcost.stages.analysis.forecast import LEAST_DAYS, Forecast, forecast_days

FIRST = date(2025, 1, 1)
LONGEST = 150  # days of history
_AHEAD = 31
Course = Callable[[Random, int], list[float]]


def _flat(_random: Random, days: int) -> list[float]:
    return [1.0] * days


def _growth(random: Random, days: int) -> list[float]:
    """By so many percent a month, for ever."""
    by_month = random.uniform(0.05, 0.4)
    return [(1 + by_month) ** (day / 30) for day in range(days)]


def _decline(random: Random, days: int) -> list[float]:
    """To a half in one to six months."""
    half = random.uniform(30, 180)
    return [0.5 ** (day / half) for day in range(days)]


def _shift(random: Random, days: int) -> list[float]:
    """A new customer comes, or one goes, once in a hundred days."""
    level, levels = 1.0, []
    for _ in range(days):
        level *= random.choice([0.6, 0.75, 1.3, 1.6, 2.0]) if random.random() < 0.01 else 1.0
        levels.append(level)
    return levels


def _wandering(random: Random, days: int) -> list[float]:
    """A level that moves a little every day, drawn back to where it was."""
    away, levels = 0.0, []
    for _ in range(days):
        away = 0.98 * away + random.gauss(0, 0.03)
        levels.append(math.exp(away))
    return levels


def _launch(random: Random, days: int) -> list[float]:
    """Slow, then fast, then as much as there is."""
    middle, pace, more = random.uniform(20, 160), random.uniform(8, 30), random.uniform(0.5, 4)
    return [1 + more / (1 + math.exp((middle - day) / pace)) for day in range(days)]


COURSES: dict[str, Course] = {
    "flat": _flat, "growth": _growth, "decline": _decline, "shift": _shift, "wandering": _wandering, "launch": _launch,
}  # fmt: skip
WEEKS = (
    (1, 1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 0.2, 0.2), (1, 1.1, 1.2, 1.1, 0.8, 0, 0),
    (0.6, 0.6, 0.7, 0.8, 1.2, 1.6, 1.5), (1, 1, 3, 1, 1, 0.5, 0.5),
)  # fmt: skip


def _noise(random: Random, kind: str, size: float) -> float:
    """Return a factor of mean 1."""
    if kind == "gamma":
        return random.gammavariate(1 / size**2, size**2)
    if kind == "even":
        return random.uniform(1 - size, 1 + size)
    return sum(random.expovariate(1) for _ in range(max(1, round(1 / size**2)))) * size**2  # so many calls


class Shop(NamedTuple):
    """A shop.

    Attributes:
        course: one of COURSES.
        costs: of each day from FIRST on, in US dollars.
        hours: share of a day's cost that has come by the end of each hour.
    """

    course: str
    costs: list[float]
    hours: list[float]


def make_shop(seed: str, course: str, days: int) -> Shop:
    """Draw a shop; the same seed gives the same."""
    random = Random(seed)
    scale, week = 10 ** random.uniform(-1, 4), random.choice(WEEKS)
    kind, size = random.choice(["gamma", "even", "calls"]), random.uniform(0.05, 0.45)
    outages, spikes = random.choice([0, 0, 0.02]), random.choice([0, 0, 0.02])
    costs = []
    for number, level in enumerate(COURSES[course](random, days)):
        cost = scale * level * week[(FIRST + timedelta(days=number)).weekday()] * _noise(random, kind, size)
        if random.random() < outages:
            cost *= random.uniform(0, 0.4)
        if random.random() < spikes:
            cost *= random.uniform(2, 5)
        costs.append(cost)
    shape = random.choice([[1] * 24, [0] * 8 + [1] * 10 + [0] * 6, [1] * 8 + [3] * 10 + [1] * 6])
    hours = [sum(shape[: hour + 1]) / sum(shape) for hour in range(24)]
    return Shop(course, costs, hours)


class BackTest(NamedTuple):
    """A forecast of what was left of a month, and what came.

    Attributes:
        course: of the shop.
        forecast: made at some hour of the month.
        came: US dollars until its end.
    """

    course: str
    forecast: Forecast
    came: float

    @property
    def error(self) -> float:
        """Return how far off the expected cost was, as a share of what came."""
        return abs(self.forecast.expected - self.came) / self.came if self.came else 0.0

    @property
    def holds(self) -> bool:
        """Say whether it came as the interval says."""
        return self.forecast.low <= self.came <= self.forecast.high


def back_tests(count: int, seed: str = "shops") -> Iterator[BackTest]:
    """Yield so many back-tests, each of a shop of its own; the same seed gives the same."""
    number = made = 0
    while made < count:
        random, course = Random(f"{seed} {number}"), list(COURSES)[number % len(COURSES)]
        shop = make_shop(f"{seed} {number} shop", course, LONGEST + _AHEAD)
        start = random.randrange(LONGEST - LEAST_DAYS)
        today = random.randrange(start + LEAST_DAYS, LONGEST)
        hour = random.choice([0, 0, random.randrange(1, 24)])
        number += 1
        day = FIRST + timedelta(days=today)
        _, end = period_of(day, "month")
        ahead = [(day + timedelta(days=further), 1.0) for further in range((end - day).days)]
        ahead[0] = (day, 1 - hour / 24)
        found = forecast_days(shop.costs[start:today], day - timedelta(days=1), ahead)
        if found is None:
            continue  # too little to go by, and said so
        came = sum(shop.costs[today : today + len(ahead)])
        came -= shop.costs[today] * (shop.hours[hour - 1] if hour else 0)
        made += 1
        yield BackTest(course, found, came)


@contextmanager
def level_alone() -> Iterator[None]:
    """Forecast without growth."""
    damping, forecast._DAMPING = forecast._DAMPING, 0.0
    try:
        yield
    finally:
        forecast._DAMPING = damping


@click.command()
@click.argument("count", default=200)
def main(count: int) -> None:
    """Print how many of COUNT back-tests hold, by course, and how far off they are, with growth and without.

    The interval promises 80 %.
    """
    found = list(back_tests(count))
    with level_alone():
        without = list(back_tests(count))
    for course in ("all", *COURSES):
        own = [test for test in found if course in {"all", test.course}]
        held, above = (sum(tests) for tests in ([t.holds for t in own], [t.came > t.forecast.high for t in own]))
        errors = [median(t.error for t in tests if course in {"all", t.course}) for tests in (found, without)]
        click.echo(f"{course:10} {len(own):6} held {held / len(own):6.1%}, above {above / len(own):6.1%}, "
                   f"median error {errors[0]:6.2%}, of the level alone {errors[1]:6.2%}")  # fmt: skip


if __name__ == "__main__":
    main()
