"""Filters and sums over facts built by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from callcost.settings import ReportOptions
from callcost.stages.pricing.price_facts import gather_calls
from callcost.stages.report.spend import (
    charge_by_source,
    filter_calls,
    group_column,
    merge_spend,
    merge_unpriced,
    sort_spend,
    span_of,
    sum_spend,
    tally_filtered,
    unpriced_groups,
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
        "blue", "None", "1970-01-05T05:00+05:30", "1970-01-05", "1970-01-05", "1970-01",
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


def test_a_call_is_tallied_by_the_first_filter_that_leaves_it_out_whatever_its_lines() -> None:
    runs = [Usage(prompt_tokens=3), Usage(model="advisor", prompt_tokens=4)]
    calls = [
        make_call(1, started_at=None, user="b", iterations=runs), make_call(2, started_at=0, user="b"),
        make_call(3, started_at=2 * DAY, iterations=runs), make_call(4, started_at=3 * DAY, user="a"),
        make_call(5, started_at=DAY, user="b"), make_call(6, started_at=DAY, user="a", iterations=runs),
    ]  # fmt: skip
    since, until = (datetime(1970, 1, day, tzinfo=UTC) for day in (2, 3))
    options = ReportOptions(logs=(), since=since, until=until, where=(("user", "a"),))
    facts = facts_of(calls, 0)
    assert tally_filtered(facts, options) == {"undated": 1, "since": 1, "until": 2, "where user=a": 1}
    assert filter_calls(facts, options)["source_row"].to_list() == [6, 6]
    assert tally_filtered(facts, ReportOptions(logs=(), until=until)) == {"undated": 1, "until": 2}
    assert tally_filtered(facts, ReportOptions(logs=(), where=(("user", "a"),))) == {"where user=a": 4}
    assert tally_filtered(facts, ReportOptions(logs=())) == {}


def test_the_span_of_facts_is_that_of_the_dated_calls() -> None:
    assert span_of(facts_of([make_call(1, started_at=7), make_call(2, started_at=None), make_call(3)], 0)) == [(0, 7)]
    assert span_of(facts_of([make_call(1, started_at=None)], 0)) == []


def test_each_call_is_counted_where_it_belongs() -> None:
    statuses = ["unpriced", "partly_priced", "free", "priced", "priced", "priced"]
    sources = ["reported", "counted", "partial", "timed_out", "absent", None]
    facts = facts_of(
        [make_call(row, status="failure" if row < 2 else "success", usage_source=source,
                   logged_cost=Decimal(row) if row > 2 else None) for row, source in enumerate(sources)], 0,
    ).with_columns(pl.Series("price_status", statuses))  # fmt: skip
    (row,) = spend_of(facts, "model")
    assert {name: row[name] for name in row if name.endswith("calls")} == {
        "calls": 6, "failed_calls": 2, "counted_calls": 3, "unpriced_calls": 1, "partly_priced_calls": 1,
        "free_calls": 1, "logged_calls": 3,
    }  # fmt: skip
    assert (row["logged_cost"], row["total_cost"], row["prompt_tokens"]) == (Decimal(12), None, 60)


def test_a_logged_cost_stands_once_for_all_lines_of_a_call_and_its_parts_are_not_stated() -> None:
    runs = [Usage(prompt_tokens=3), Usage(model="advisor", prompt_tokens=4)]
    facts = charge_by_source(priced(make_call(1, logged_cost=Decimal("0.5"), iterations=runs), make_call(2)), "auto")
    assert facts["total_cost"].to_list() == [Decimal("0.5"), None, Decimal(1)]
    assert facts["input_cost"].to_list() == [None, None, Decimal(1)]
    unpriced = charge_by_source(priced(make_call(1, logged_cost=Decimal("0.5")), make_call(2)), "logged")
    assert unpriced.select("price_status", "price_reason", "input_cost").rows() == [
        ("priced", None, None), ("unpriced", "no_logged_cost", None),
    ]  # fmt: skip
    assert charge_by_source(unpriced, "computed") is unpriced


def test_calls_without_a_full_price_are_grouped_with_the_first_place_and_groups_add() -> None:
    statuses = ["unpriced", "unpriced", "partly_priced", "priced", "free"]
    calls = gather_calls(
        facts_of([make_call(row) for row in (5, 3, 7, 1, 2)], 0).with_columns(
            pl.Series("price_status", statuses), price_reason=pl.lit("no_rate")
        )
    )
    found = merge_unpriced([unpriced_groups(calls), unpriced_groups(calls.head(1))]).sort("price_status")
    assert found.rows() == [
        ("gpt-4o", "partly_priced", "no_rate", 1, "a.jsonl:7"), ("gpt-4o", "unpriced", "no_rate", 3, "a.jsonl:3"),
    ]  # fmt: skip


def test_a_report_is_ordered_dearest_first_unpriced_last_then_by_group() -> None:
    costs = pl.Series("total_cost", ["1", None, "2", "1"]).cast(pl.Decimal(38, 18))
    table = pl.DataFrame({"user": ["b", "d", "c", "a"]}).with_columns(costs)
    assert sort_spend(table, ("user",))["user"].to_list() == ["c", "a", "b", "d"]
