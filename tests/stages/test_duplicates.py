"""Which of the calls that are the same call stays, and why the others went."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.stages.dedup.overwritten import overwritten_facts
from callcost.stages.dedup.resolve import facts_beside, settle_duplicates
from callcost.stages.tables.facts import facts_of
from callcost.tables import Call, Usage
from tests.conftest import examples
from tests.stages.calls import DAY, make_call


def settle(*calls: Call) -> list[dict[str, Any]]:
    return settle_duplicates(facts_of(calls, 0)).facts.sort("source_row").to_dicts()


def test_equal_ids_with_equal_requests_are_one_call_the_one_with_the_most_usage() -> None:
    kept = settle(
        make_call(1, duplicate_id="x", request_digest=b"r" * 16, total=5),
        make_call(2, duplicate_id="x", request_digest=b"r" * 16, total=9),
    )
    assert [row["source_row"] for row in kept] == [2]


def usage(total: int | None, completion: int | None) -> Usage:
    return Usage(prompt_tokens=1, completion_tokens=completion, total_tokens=total)


FIRST, SECOND = b"1" * 16, b"2" * 16
# Of copies: what the first is chosen for, in the order of the rules.
PREFERRED: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "an original": ({"usage": usage(1, 1)}, {"usage": usage(9, 9), "replayed": True}),
    "a whole answer": ({"usage": usage(1, 1)}, {"usage": usage(9, 9), "replayed": False}),
    "an answer that had begun": ({"usage": usage(1, 1), "replayed": False}, {"usage": usage(9, 9), "replayed": True}),
    "the largest total": ({"usage": usage(9, 1)}, {"usage": usage(8, 7)}),
    "a total at all": ({"usage": usage(1, None)}, {"usage": usage(None, 7)}),
    "then the largest completion": ({"usage": usage(9, 8)}, {"usage": usage(9, 2), "record_digest": FIRST}),
    "a completion at all": ({"usage": usage(9, 0)}, {"usage": usage(9, None), "record_digest": FIRST}),
    "then the smallest bytes": (
        {"record_digest": FIRST, "source_file": "b.jsonl"}, {"record_digest": SECOND, "source_file": "a.jsonl"},
    ),
    "then the first file": (
        {"record_digest": FIRST, "source_file": "a.jsonl", "record": 8}, {"record_digest": FIRST, "record": 7,
                                                                         "source_file": "b.jsonl"},
    ),
    "then the first record": ({"record_digest": FIRST, "record": 7}, {"record_digest": FIRST, "record": 8}),
}  # fmt: skip


@pytest.mark.parametrize("preferred", PREFERRED.values(), ids=PREFERRED)
@pytest.mark.parametrize("swapped", [False, True])
def test_of_copies_the_one_with_the_most_usage_stays_then_the_smallest(
    preferred: tuple[dict[str, object], dict[str, object]], *, swapped: bool
) -> None:
    calls = [make_call(row, **{"duplicate_id": "x", "record_digest": SECOND, **fields})
             for row, fields in enumerate(preferred)]  # fmt: skip
    assert [row["source_row"] for row in settle(*(calls[::-1] if swapped else calls))] == [0]


def test_of_copies_that_differ_in_nothing_else_the_one_of_the_first_piece_stays() -> None:
    same = {"duplicate_id": "x", "record_digest": FIRST}
    tables = [facts_of([make_call(row, record=9 - row, **same)], 0, piece=row) for row in (1, 2)]
    assert settle_duplicates(pl.concat(tables[::-1])).facts["source_row"].to_list() == [1]


def test_calls_of_one_id_that_have_no_name_of_their_own_are_numbered_by_file() -> None:
    calls = [make_call(row, duplicate_id="x", request_digest=bytes([row]) * 16, record_digest=FIRST, total=row,
                       source_file=f"{row}.jsonl") for row in (1, 2)]  # fmt: skip
    assert [row["call_id"] for row in settle(*calls)] == [f"x-{FIRST.hex()}-1", f"x-{FIRST.hex()}-2"]


def test_a_copy_goes_with_all_its_charge_lines() -> None:
    runs = [Usage(prompt_tokens=3), Usage(model="advisor", prompt_tokens=4)]
    copies = [make_call(row, duplicate_id="x", record_digest=FIRST, iterations=runs) for row in (1, 2)]
    kept, causes = settle_duplicates(facts_of(copies, 0))
    assert kept.select("source_row", "line").rows() == [(1, 0), (1, 1)]
    assert causes == {"same_id": 1}


def test_an_id_is_elsewhere_only_where_it_stands_in_another_file_than_the_call_that_stays() -> None:
    files = [f"{name}.jsonl" for name in "abbcaad"]
    calls = [make_call(row, duplicate_id="x", source_file=file, total=9 - row) for row, file in enumerate(files)]
    assert settle_duplicates(facts_of(calls, 0)).causes == {"same_id": 2, "same_id_elsewhere": 4}


@pytest.mark.parametrize("swapped", [False, True])
def test_of_equal_rows_in_two_files_the_first_of_the_first_file_stays_and_is_number_one(*, swapped: bool) -> None:
    same = {"record_digest": b"a" * 16, "started_at": None}
    tables = [
        facts_of([make_call(row, source_file="z.jsonl", **same) for row in (1, 2)], 0, 0),
        facts_of([make_call(1, source_file="a.jsonl", **same)], 1, 1),
    ]
    facts = pl.concat(tables)
    kept = settle_duplicates(facts.reverse() if swapped else facts).facts.sort("call_id")
    name = f"x-{(b'a' * 16).hex()}"
    places = kept.select("source_file", "source_row", "call_id").rows()
    assert places == [("a.jsonl", 1, f"{name}-1"), ("z.jsonl", 2, f"{name}-2")]


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
    assert [row["flags"] for row in kept] == [[]]


def test_of_two_requests_a_copy_without_one_joins_the_smaller() -> None:
    kept = settle(
        make_call(1, duplicate_id="x", request_digest=b"s" * 16),
        make_call(2, duplicate_id="x", request_digest=b"r" * 16, total=5),
        make_call(3, duplicate_id="x", total=6),
    )
    assert [row["source_row"] for row in kept] == [1, 3]


def test_equal_bytes_whose_requests_were_logged_elsewhere_and_differ_are_no_conflict_of_ids() -> None:
    same = {"record_digest": b"a" * 16, "started_at": 5}
    kept = settle(make_call(1, request_digest=b"r" * 16, **same), make_call(2, request_digest=b"s" * 16, **same))
    assert [row["flags"] for row in kept] == [[], []]


def test_copies_of_a_key_that_differ_in_nothing_but_their_family_are_two_calls() -> None:
    assert len(settle(make_call(1, duplicate_id="x"), make_call(2, duplicate_id="x", family="pair"))) == 2


@pytest.mark.parametrize("times", [{"started_at": 5}, {"started_at": DAY, "ended_at": 2 * DAY + 500_000}])
def test_without_an_id_but_with_a_time_below_the_second_equal_bytes_are_one_call(times: dict[str, int]) -> None:
    same = {"record_digest": b"a" * 16, **times}
    kept = settle(make_call(1, **same), make_call(2, **same), make_call(3, **times))
    assert [row["source_row"] for row in kept] == [1, 3]
    assert not any(row["flags"] for row in kept)


@pytest.mark.parametrize("time", [None, 0, 7_000_000])
def test_with_neither_each_row_of_a_file_counts_and_occurrences_are_numbered(time: int | None) -> None:
    same = {"started_at": time, "record_digest": b"a" * 16, "flags": ["text_moved"]}
    kept = settle(make_call(1, **same), make_call(2, **same), make_call(3, started_at=time))
    assert [str(row["call_id"])[-2:] for row in kept] == ["-1", "-2", "-1"]
    assert str(kept[0]["call_id"]).startswith("x-" + (b"a" * 16).hex())
    assert [row["flags"] for row in kept] == [["repeated_row", "text_moved"]] * 2 + [[]]


@examples(30)
@given(st.permutations(range(6)))
def test_the_order_of_records_never_changes_what_is_kept(order: list[int]) -> None:
    calls = [
        make_call(row, duplicate_id="xyx"[row % 3], request_digest=[None, b"r" * 16][row % 2], total=7)
        for row in range(6)
    ]
    kept = settle_duplicates(facts_of([calls[n] for n in order], 0)).facts.sort("source_row")
    assert kept["source_row"].to_list() == settle_duplicates(facts_of(calls, 0)).facts["source_row"].sort().to_list()


def made_in(row: int, span: str, parent: str | None = None, *, total: int | None = 9, **fields: object) -> Call:
    usage = None if total is None else Usage(prompt_tokens=total, completion_tokens=0, total_tokens=total)
    source = "absent" if total is None else "reported"
    call = make_call(row, duplicate_id=f"{span} trace", span=span, parent=parent, usage_source=source, **fields)
    call.usage = usage
    return call


def rows_kept(*calls: Call) -> list[int]:
    return [row["source_row"] for row in settle(*calls)]


def test_of_calls_inside_each_other_the_innermost_stays() -> None:
    assert rows_kept(made_in(1, "a"), made_in(2, "b", "a"), made_in(3, "c", "b"), made_in(4, "d", "b")) == [3, 4]


def test_the_outer_call_stays_where_it_alone_states_usage() -> None:
    assert rows_kept(made_in(1, "a"), made_in(2, "b", "a", total=None), made_in(3, "c", "a", total=None)) == [1]
    assert rows_kept(made_in(1, "a"), made_in(2, "b", "a", total=None), made_in(3, "c", "a")) == [2, 3]
    assert rows_kept(made_in(1, "a", total=None), made_in(2, "b", "a", total=None)) == [2]


def test_a_call_between_two_goes_once_and_where_one_copy_states_usage_the_call_does() -> None:
    calls = [made_in(1, "a"), made_in(2, "b", "a", total=None), made_in(3, "c", "b", total=None)]
    kept, causes = settle_duplicates(facts_of(calls, 0))
    assert (kept["source_row"].to_list(), causes) == ([1, 3], {"nested": 1})
    outer = [made_in(1, "a"), made_in(2, "a", total=None, source_file="b.jsonl")]
    assert rows_kept(*outer, made_in(3, "b", "a", total=None)) == [1]


def test_calls_beside_each_other_and_in_what_is_no_call_stay() -> None:
    assert rows_kept(made_in(1, "b", "agent"), made_in(2, "c", "agent"), made_in(3, "d", "d")) == [1, 2, 3]


def test_copies_of_spans_change_nothing_about_what_lies_in_what() -> None:
    outer, inner = made_in(1, "a"), made_in(2, "b", "a")
    again = made_in(3, "a", source_file="b.jsonl"), made_in(4, "b", "a", source_file="b.jsonl")
    assert rows_kept(outer, inner, *again) == [2]
    shared = [make_call(row, duplicate_id="resp", span=span, parent=parent, usage_source="reported")
              for row, span, parent in ((1, "a", None), (2, "b", "a"), (3, "c", "b"))]  # fmt: skip
    assert len(rows_kept(*shared)) == 1


def test_every_duplicate_has_a_cause() -> None:
    same = {"duplicate_id": "x", "total": 5}
    calls = [
        make_call(1, **same), make_call(2, **same), make_call(3, source_file="b.jsonl", **same),
        make_call(4, record_digest=b"a" * 16), make_call(5, record_digest=b"a" * 16),
        made_in(6, "a"), made_in(7, "b", "a"),
        *(make_call(row, record_digest=b"b" * 16, started_at=5) for row in (10, 11)),
        *(make_call(row, duplicate_id="y", request_digest=bytes([row]) * 16) for row in (8, 9)),
    ]  # fmt: skip
    again = make_call(1, record_digest=b"a" * 16, source_file="c.jsonl")
    kept, causes = settle_duplicates(pl.concat([facts_of(calls, 0), facts_of([again], 1, 1)]))
    calls.append(again)
    assert causes == {"same_id": 1, "same_id_elsewhere": 1, "same_bytes": 1, "same_row_elsewhere": 1, "nested": 1}
    assert kept.height == len(calls) - causes.total()


@examples(30)
@given(st.permutations(range(6)), st.lists(st.sampled_from(["a.jsonl", "b.jsonl"]), min_size=6, max_size=6))
def test_neither_order_nor_files_change_which_spans_stay(order: list[int], files: list[str]) -> None:
    tree = [("a", None, 9), ("b", "a", 9), ("c", "b", None), ("d", "b", None), ("e", None, None), ("f", "e", 4)]
    calls = [
        made_in(row, span, parent, total=total, source_file=files[row])
        for row, (span, parent, total) in enumerate(tree)
    ]
    assert rows_kept(*[calls[n] for n in order]) == rows_kept(*calls) == [1, 5]


@pytest.mark.parametrize("wanted", range(1, 8))
def test_what_decides_about_one_call_is_found_beside_it(wanted: int, tmp_path: Path) -> None:
    """Settled with its like alone, a call fares as among all."""
    calls = [
        made_in(1, "a"), made_in(2, "b", "a", total=None), made_in(3, "c", "a", total=None), made_in(4, "a"),
        made_in(5, "d"), made_in(6, "e", "d"), make_call(7, duplicate_id="x"), make_call(8, duplicate_id="x"),
    ]  # fmt: skip
    path = tmp_path / "facts.parquet"
    facts_of(calls, 0).write_parquet(path)
    here = pl.col("source_row") == wanted
    few = facts_beside(pl.scan_parquet(path), here)
    assert few.height < len(calls)
    assert settle_duplicates(few).facts.filter(here).equals(settle_duplicates(pl.read_parquet(path)).facts.filter(here))


@pytest.mark.parametrize("made", [None, 0, 2 * DAY])
def test_a_copy_at_the_head_of_a_fork_goes_unless_its_original_was_made_after_the_fork(made: int | None) -> None:
    fork = {"session": "c", "ancestors": ["p"], "forked_at": DAY, "started_at": 3 * DAY}
    kept = settle(
        make_call(1, duplicate_id="p 10", session="p", started_at=made),
        make_call(2, duplicate_id="c 10", **fork),
        make_call(3, duplicate_id="c 20", **fork),
    )
    assert [row["source_row"] for row in kept] == ([1, 2, 3] if made == 2 * DAY else [1, 3])


def test_a_fork_that_nobody_knows_the_time_of_has_copies_of_what_its_parent_called() -> None:
    fork = {"session": "c", "ancestors": ["p"], "started_at": DAY}
    calls = [make_call(1, duplicate_id="p 10", session="p", started_at=0)]
    calls += [make_call(1 + copy, duplicate_id=f"c {copy}0", **fork) for copy in (1, 2)]
    assert [call["key"] for call in settle(*calls)] == ["by id plain p 10", "by id plain c 20"]


@pytest.mark.parametrize("field", ["total_tokens", "completion_tokens"])
def test_of_what_several_tools_exported_of_a_trace_that_of_the_most_tokens_stays(field: str) -> None:
    counts: dict[str, Any] = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 9}
    for exporters in (("a", "b"), ("b", "a")):
        calls = [
            make_call(row, duplicate_id=f"{exporter} 1", span="trace t 1", usage_source="reported", family=exporter,
                      usage=Usage(**counts | {field: 10 - row}))
            for row, exporter in enumerate(exporters)
        ]  # fmt: skip
        assert rows_kept(*calls) == [0]


def test_of_equal_rows_of_a_log_that_was_written_over_those_that_it_has_no_more_are_gone(tmp_path: Path) -> None:
    rows = [make_call(row, record_digest=FIRST) for row in (1, 2, 3)]
    for name, calls in (("old", rows), ("new", rows[:1])):
        facts_of(calls, 0).write_parquet(tmp_path / f"{name}.parquet")
    gone = overwritten_facts([tmp_path / "old.parquet"], [tmp_path / "new.parquet"])
    assert gone["source_row"].to_list() == [2, 3]
