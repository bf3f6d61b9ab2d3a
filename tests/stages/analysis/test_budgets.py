"""Budgets: what their file may say, which days a period has, and that an estimate is never less than what is spent."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost import Budget, ConfigError
from callcost.prices.charges import plain
from callcost.settings import BUDGET_PERIODS
from callcost.stages.analysis.budgets import estimated, period_of, settle_budgets

MONEY = st.decimals(0, 10**9, places=18)


def _file(folder: Path, text: str) -> str:
    path = folder / "budgets.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_says_amounts_periods_groups_and_names(tmp_path: Path) -> None:
    place = _file(
        tmp_path,
        """
        [[budget]]
        amount = 99.10
        [[budget]]
        amount = 5
        period = "day"
        group = { team = "a", "tag:env" = "prod*" }
        [[budget]]
        name = "models of one maker"
        amount = 1e3
        period = "week"
        group = { model = "gpt-*" }
        """,
    )
    month, day, week = settle_budgets(place)
    assert (month.amount, month.period, month.group, month.name) == (Decimal("99.1"), "month", (), "month")
    assert (day.name, day.group) == ("day of team=a, tag:env=prod*", (("team", "a"), ("tag:env", "prod*")))
    assert (str(week.amount), week.name) == ("1000", "models of one maker")
    assert settle_budgets((month, day, week)) == (month, day, week)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[budget]]\namount = -1", "budget 1: amount: -1 is not an amount"),
        ('[[budget]]\namount = "100"', "budget 1: amount: '100' is not an amount"),
        ("[[budget]]\namount = inf", "is not an amount"),
        ("[[budget]]\namount = true", "is not an amount"),
        ("[[budget]]\namount = 0.0000000000000000001", "is not an amount"),
        ('[[budget]]\namount = 1\n[[budget]]\nperiod = "day"', "budget 2 has no amount"),
        ('[[budget]]\namount = 1\ngroup = { tem = "a" }', "group: no column 'tem'; did you mean 'team'?"),
        ('[[budget]]\namount = 1\ngroup = { day = "2026-11-20" }', "group: no column 'day'"),
        ('[[budget]]\namount = 1\ngroup = { "tag:" = "a" }', "names no tag"),
        ("[[budget]]\namount = 1\ngroup = { team = 1 }", "group: 1 is int, not text"),
        ('[[budget]]\namount = 1\ngroup = "team=a"', "group is no table"),
        ('[[budget]]\namount = 1\nperiod = "weak"', "did you mean 'week'?"),
        ("[[budget]]\namonut = 1", "no key 'amonut'; did you mean 'amount'?"),
        ("[[budgets]]\namount = 1", "no table 'budgets'; did you mean 'budget'?"),
        ("budget = 1", "holds no budget"),
        ("", "holds no budget"),
        ("[[budget]\n", "is no TOML"),
        ("[[budget]]\namount = 1\n[[budget]]\namount = 2", "two are called 'month'"),
    ],
)
def test_a_wrong_file_is_refused_by_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settle_budgets(_file(tmp_path, text))
    assert words in str(refused.value)
    assert str(refused.value).startswith("budget: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        settle_budgets(str(tmp_path / "none.toml"))


@given(day=st.dates(date(1999, 1, 1), date(2100, 1, 1)), period=st.sampled_from(BUDGET_PERIODS))
def test_periods_lie_beside_each_other(day: date, period: str) -> None:
    first, end = period_of(day, period)
    assert first <= day < end
    assert period_of(end, period)[0] == end
    assert period_of(end - timedelta(days=1), period) == (first, end)
    assert {"month": first.day, "week": first.isoweekday(), "day": 1}[period] == 1


@given(spent=MONEY, more=st.floats(0, 1e9))
def test_an_estimate_has_three_figures_of_what_it_adds_or_ends_with_the_last_place_of_money(
    spent: Decimal, more: float
) -> None:
    found = Decimal(estimated(spent, more))
    assert spent <= found
    assert abs(float(found) - float(spent) - more) <= 0.0051 * more + 1e-9 * float(spent) + 1e-18


@given(amount=st.decimals(0, 10**17, places=18))
def test_an_amount_is_kept_exactly(amount: Decimal) -> None:
    assert Budget(amount=amount).amount == amount
    assert Decimal(plain(amount)) == amount
    assert "E" not in plain(amount)
