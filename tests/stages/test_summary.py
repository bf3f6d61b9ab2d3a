"""Duplicates, filters and sums over facts built by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings import ReportOptions
from pipeline.stages.facts import facts_of
from pipeline.stages.summary import (
    charge_by_source,
    filter_calls,
    gather_calls,
    group_column,
    merge_spend,
    settle_duplicates,
    sort_spend,
    sum_spend,
)
from pipeline.tables import Call, Usage

DAY = 86_400_000_000


def make_call(row: int, **fields: object) -> Call:
    total = fields.pop("total", 10)
    defaults: dict[str, object] = {
        "source_format": "plain",
        "family": "plain",
        "model": "gpt-4o",
        "started_at": 0,
        "source_file": "a.jsonl",
        "source_row": row,
        "record": row,
        "record_digest": row.to_bytes(16, "big"),
        "usage": Usage(prompt_tokens=total, completion_tokens=0, total_tokens=total),  # type: ignore[arg-type]
    }
    return Call(**(defaults | fields))  # type: ignore[arg-type]


def settle(*calls: Call) -> list[dict[str, object]]:
    return settle_duplicates(facts_of(calls, 0)).sort("source_row").to_dicts()


def test_equal_ids_with_equal_requests_are_one_call_the_one_with_the_most_usage() -> None:
    kept = settle(
        make_call(1, duplicate_id="x", request_digest=b"r" * 16, total=5),
        make_call(2, duplicate_id="x", request_digest=b"r" * 16, total=9),
    )
    assert [row["source_row"] for row in kept] == [2]


def test_the_earliest_time_of_the_copies_is_kept() -> None:
    kept = settle(
        make_call(1, duplicate_id="x", started_at=5 * DAY, total=9),
        make_call(2, duplicate_id="x", started_at=2 * DAY, total=5),
        make_call(3, duplicate_id="x", started_at=None, total=5),
    )
    assert kept[0]["started_at"] == datetime(1970, 1, 3, tzinfo=UTC)


def test_equal_ids_with_different_requests_stay_apart_and_are_flagged() -> None:
    kept = settle(
        make_call(1, duplicate_id="x", request_digest=b"r" * 16, flags=["bad_time"]),
        make_call(2, duplicate_id="x", request_digest=b"s" * 16),
    )
    assert [row["flags"] for row in kept] == [["bad_time", "id_conflict"], ["id_conflict"]]


def test_a_copy_without_its_request_joins_the_one_that_has_it() -> None:
    kept = settle(make_call(1, duplicate_id="x", request_digest=b"r" * 16), make_call(2, duplicate_id="x"))
    assert len(kept) == 1


def test_without_an_id_only_equal_bytes_are_a_duplicate() -> None:
    kept = settle(make_call(1, record_digest=b"a" * 16), make_call(2, record_digest=b"a" * 16), make_call(3))
    assert [row["source_row"] for row in kept] == [1, 3]


def test_with_neither_id_nor_time_nothing_is_a_duplicate_and_occurrences_are_numbered() -> None:
    same = {"started_at": None, "record_digest": b"a" * 16}
    kept = settle(make_call(1, **same), make_call(2, **same))
    assert [str(row["call_id"])[-2:] for row in kept] == ["-1", "-2"]
    assert str(kept[0]["call_id"]).startswith("x-" + (b"a" * 16).hex())


@given(st.permutations(range(6)))
def test_the_order_of_records_never_changes_what_is_kept(order: list[int]) -> None:
    calls = [
        make_call(row, duplicate_id="xyx"[row % 3], request_digest=[None, b"r" * 16][row % 2], total=7)
        for row in range(6)
    ]
    kept = settle_duplicates(facts_of([calls[n] for n in order], 0)).sort("source_row")
    assert kept["source_row"].to_list() == settle_duplicates(facts_of(calls, 0))["source_row"].sort().to_list()


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
