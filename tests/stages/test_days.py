"""Days of a report that remembers: each call is in one, undated ones too, and closed ones have adjustments."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.settings import PriceOptions, ReportOptions
from callcost.stages.pricing.price_facts import gather_calls
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report import days
from callcost.stages.report.adjustments import CAUSE, LATE, MISSING, RECOUNTED, REPRICED, adjustments_of
from callcost.stages.report.days import (
    facts_of_day,
    plain_day,
    split_days,
)
from callcost.stages.tables.facts import facts_of, write_facts
from callcost.tables import Call, Usage
from tests.stages.calls import DAY, make_call

FIRST = date(1970, 1, 1)
COUNTS = ("prompt_tokens", "completion_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def costing(*calls: Call, cost: str | None = "2") -> pl.DataFrame:
    money = pl.lit(cost).cast(pl.Decimal(38, 18))
    return facts_of(calls, 0).with_columns(total_cost=money, price_status=pl.lit("priced"))


@pytest.mark.parametrize("rows", [1, 3, 100_000])
def test_every_call_is_in_one_day_undated_ones_in_the_first(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "_BATCH_ROWS", rows)
    monkeypatch.setattr(days, "_PART_ROWS", rows)
    times = {1: 2 * DAY, 2: None, 3: DAY - 1, 4: 2 * DAY + 5, 5: 0, 6: None, 7: DAY}
    calls = [make_call(row, started_at=time, own_id=f"c{row}") for row, time in times.items()]
    paths = [str(tmp_path / f"{part}.parquet") for part in range(2)]
    for part, path in enumerate(paths):
        gather_calls(facts_of(calls[part::2], 0)).write_parquet(path)
    found = [(day, pl.concat(parts)["source_row"].to_list()) for day, parts in split_days(paths, "UTC")]
    dated = {FIRST: [5, 3], date(1970, 1, 2): [7], date(1970, 1, 3): [1, 4]}
    assert found == [(None, [2, 6]), *dated.items()]
    shifted = {day: pl.concat(parts) for day, parts in split_days(paths, "Asia/Tokyo")}  # nine hours ahead
    assert shifted[date(1970, 1, 2)]["source_row"].to_list() == [3, 7]
    assert list(split_days([], "UTC")) == []


@given(
    calls=st.lists(
        st.tuples(
            st.sampled_from([None, 0, 1, 5, DAY - 1, DAY]), st.sampled_from([None, "a", "b"]), st.integers(0, 2)
        ),
        min_size=1, max_size=60,
    ),
    rows=st.integers(1, 9),
)  # fmt: skip
def test_a_large_day_comes_in_small_parts_whose_rows_are_those_of_the_whole_in_its_order(
    calls: list[tuple[int | None, str | None, int]], rows: int
) -> None:
    made = [
        (make_call(row, started_at=time, own_id=own_id), number) for row, (time, own_id, number) in enumerate(calls, 1)
    ]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        paths = [f"{folder}/{number}.parquet" for number in range(3)]
        for number, path in enumerate(paths):
            own = [call for call, place in made if place == number]
            gather_calls(facts_of(own, 0)).write_parquet(path)
        whole = {day: pl.concat(parts) for day, parts in split_days(paths, "UTC")}
        patch.setattr(days, "_BATCH_ROWS", rows)
        patch.setattr(days, "_PART_ROWS", rows)
        found = {day: list(parts) for day, parts in split_days(paths, "UTC")}
    assert list(found) == list(whole)
    assert all(pl.concat(found[day]).equals(whole[day]) for day in whole)
    assert all(0 < part.height <= 2 * rows for parts in found.values() for part in parts)


def _now(**counts: int | None) -> Call:
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2}
    return make_call(1, own_id="c", usage=Usage(**{**usage, **counts}))  # type: ignore[arg-type]


def _reasons(frozen: pl.DataFrame, facts: pl.DataFrame) -> list[tuple[Any, ...]]:
    found = adjustments_of(FIRST, frozen, gather_calls(facts), book_of(PriceOptions()))
    assert found["day"].to_list() == [FIRST] * found.height
    return found.drop("day", *CAUSE).rows()


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("count", [0, None, 4])
def test_a_call_one_of_whose_counts_changed_is_a_recount(name: str, count: int | None) -> None:
    two, three = Decimal(2), Decimal(3)
    again = _reasons(costing(_now()), costing(_now(**{name: count}), cost="3"))
    assert again == [(RECOUNTED, 1, two, three, Decimal(1))]
    assert _reasons(costing(_now(**{name: count})), costing(_now(**{name: count}))) == []


def test_what_changes_a_closed_day_has_a_reason_and_its_difference() -> None:
    one, other, third = (make_call(row, own_id=f"c{row}") for row in (1, 2, 3))
    assert _reasons(costing(one), costing(one, other)) == [(LATE, 1, Decimal(0), Decimal(2), Decimal(2))]
    assert _reasons(costing(one, other), costing(other)) == [(MISSING, 1, Decimal(2), Decimal(0), Decimal(-2))]
    assert _reasons(costing(one), costing(one, cost="5")) == [(REPRICED, 1, Decimal(2), Decimal(5), Decimal(3))]
    assert _reasons(costing(one), costing(one, cost=None)) == [(REPRICED, 1, Decimal(2), Decimal(0), Decimal(-2))]
    assert _reasons(costing(one, cost=None), costing(one, cost=None)) == []
    mixed = _reasons(costing(one, other), costing(other, third, cost="7"))
    assert [row[:2] for row in mixed] == [(LATE, 1), (MISSING, 1), (REPRICED, 1)]


def test_calls_that_share_an_id_are_compared_one_by_one() -> None:
    calls = [make_call(row, own_id="c", total=total) for row, total in ((1, 4), (2, 6), (3, 8))]
    assert _reasons(costing(*calls), costing(*calls[::-1])) == []
    assert _reasons(costing(*calls), costing(*calls[:2])) == [(MISSING, 1, Decimal(2), Decimal(0), Decimal(-2))]


def test_the_facts_of_a_day_are_settled_with_their_copies_on_others(tmp_path: Path) -> None:
    calls = [
        make_call(1, duplicate_id="x", started_at=DAY, total=11), make_call(2, duplicate_id="x", started_at=5),
        make_call(3, duplicate_id="y", started_at=DAY), make_call(4, duplicate_id="z", started_at=None),
        make_call(5, duplicate_id="x", started_at=DAY, request_digest=b"r" * 16),
        make_call(6, duplicate_id="x", started_at=DAY, request_digest=b"s" * 16),
    ]  # fmt: skip
    write_facts(facts_of(calls, 0, 7), tmp_path / "facts.parquet")
    found = facts_of_day([tmp_path / "facts.parquet"], ((7, 100),), FIRST, ReportOptions(logs=()))
    assert found.select("source_row", "started_at").rows() == [(101, datetime(1970, 1, 1, 0, 0, 0, 5, tzinfo=UTC))]
    assert found["price_status"].null_count() == 0
    assert facts_of_day([], (), FIRST, ReportOptions(logs=())).height == 0


def test_an_undated_day_has_the_name_that_partitions_give_it() -> None:
    assert (plain_day(None), plain_day(FIRST)) == ("__HIVE_DEFAULT_PARTITION__", "1970-01-01")
