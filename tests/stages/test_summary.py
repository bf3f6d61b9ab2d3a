"""Filters and sums over facts built by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from callcost.settings import ReportOptions
from callcost.stages.pricing.priced_calls import gather_calls
from callcost.stages.report.spend import (
    charge_by_source,
    filter_calls,
    group_column,
    merge_spend,
    sort_spend,
    sum_spend,
)
from callcost.stages.tables.facts import facts_of
from callcost.tables import Call, Usage
from tests.stages.calls import DAY, make_call


def test_an_undated_call_is_outside_every_interval() -> None:
    facts = facts_of([make_call(1), make_call(2, started_at=None), make_call(3, started_at=DAY)], 0)
    options = ReportOptions(logs=(), since=datetime(1970, 1, 2, tzinfo=UTC))
    assert filter_calls(facts, options)["source_row"].to_list() == [3]


def test_the_interval_is_half_open() -> None:
    facts = facts_of([make_call(1), make_call(2, started_at=DAY)], 0)
    options = ReportOptions(
        logs=(), since=datetime(1970, 1, 1, tzinfo=UTC), until=datetime(1970, 1, 2, tzinfo=UTC)
    )
    assert filter_calls(facts, options)["source_row"].to_list() == [1]


def test_where_matches_globs_and_treats_other_signs_as_they_are() -> None:
    facts = facts_of([make_call(1, user="a.b"), make_call(2, user="axb"), make_call(3)], 0)
    keep = [filter_calls(facts, ReportOptions(logs=(), where=(("user", glob),))) for glob in ("a.?", "a*", "")]
    assert [table["source_row"].to_list() for table in keep] == [[1], [1, 2], [3]]


def test_tags_and_periods_are_group_columns() -> None:
    facts = facts_of([make_call(1, tags={"team": "blue", "env": "prod"}, started_at=4 * DAY)], 0)
    columns = ["tag:team", "tag:none", "hour", "day", "week", "month"]
    row = facts.select(group_column(name, "Asia/Kolkata") for name in columns).row(0)
    assert [str(value) for value in row] == [
        "blue", "None", "1970-01-05T05:00+0530", "1970-01-05", "1970-01-05", "1970-01",
    ]  # fmt: skip


def priced(*calls: Call) -> pl.DataFrame:
    one = pl.lit(1).cast(pl.Decimal(38, 18))
    return facts_of(calls, 0).with_columns(
        pl.lit("priced").alias("price_status"), one.alias("input_cost"), one.alias("total_cost")
    )


def spend_of(facts: pl.DataFrame, *by: str) -> list[dict[str, object]]:
    options = ReportOptions(logs=(), by=by)
    return sort_spend(sum_spend(facts, gather_calls(facts), options), by).to_dicts()


def test_iterations_are_charged_to_their_own_model_and_the_call_to_its_main_one() -> None:
    runs = [Usage(prompt_tokens=3), Usage(model="advisor", prompt_tokens=4)]
    rows = spend_of(priced(make_call(1, usage=Usage(prompt_tokens=7), iterations=runs)), "model")
    assert {row["model"]: (row["calls"], row["prompt_tokens"], row["total_cost"]) for row in rows} == {
        "gpt-4o": (1, 3, Decimal(1)),
        "advisor": (0, 4, Decimal(1)),
    }


def test_what_nobody_states_stays_null_and_a_stated_zero_is_zero() -> None:
    (row,) = spend_of(priced(make_call(1, usage=Usage(prompt_tokens=0))), "model")
    assert (row["prompt_tokens"], row["completion_tokens"], row["output_cost"]) == (0, None, None)


def test_a_logged_cost_takes_the_place_of_the_computed_one_where_asked() -> None:
    facts = priced(make_call(1, logged_cost=Decimal("0.5")), make_call(2))
    costs = {source: charge_by_source(facts, source)["total_cost"].to_list() for source in ("auto", "logged")}
    assert costs == {"auto": [Decimal("0.5"), Decimal(1)], "logged": [Decimal("0.5"), None]}
    assert charge_by_source(facts, "logged")["price_status"].to_list() == ["priced", "unpriced"]


def test_merging_partial_spends_commutes_and_adds_up() -> None:
    parts = [
        sum_spend(facts, gather_calls(facts), ReportOptions(logs=(), by=("user",)))
        for facts in (priced(make_call(1, user="a"), make_call(2)), priced(make_call(3, user="a")))
    ]
    forth, back = (sort_spend(merge_spend(order, ("user",)), ("user",)) for order in (parts, parts[::-1]))
    assert forth.equals(back)
    assert forth["total_cost"].to_list() == [Decimal(2), Decimal(1)]
