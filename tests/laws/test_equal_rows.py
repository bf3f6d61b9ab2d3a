"""Rows without an id: copies add nothing, order and pieces change nothing, and of equal rows each of a file counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.io.records import Raw
from callcost.settings import ReadOptions
from callcost.stages.dedup.resolve import Sifted, settle_duplicates
from callcost.stages.dedup.rules import REPEATED, SAME_BYTES, SAME_ID, SAME_ROW
from callcost.stages.tables.facts import facts_of
from callcost.tables import Call
from tests.conftest import examples
from tests.logs.outcomes import read_all

COUNTS = st.integers(0, 10**6)
USAGES = st.fixed_dictionaries({"prompt_tokens": COUNTS, "completion_tokens": COUNTS})
SECONDS = st.datetimes().map(lambda moment: moment.replace(microsecond=0)).filter(lambda moment: moment.year > 1970)
TIMES = st.one_of(
    st.none(),  # undated
    SECONDS.map(lambda moment: moment.isoformat()),
    SECONDS.map(lambda moment: f"{moment.isoformat()}.000Z"),
    st.tuples(SECONDS, st.integers(1, 999_999)).map(lambda pair: pair[0].replace(microsecond=pair[1]).isoformat()),
)
RECORDS = st.fixed_dictionaries(
    {"model": st.sampled_from(["gpt-4o", "o3"]), "usage": USAGES},
    optional={"timestamp": TIMES, "user": st.text(), "note": st.text()},
)
FEW = examples(20, 400)  # a table is made for each file
Pool = list[dict[str, Any]]
Files = list[list[int]]  # of each file, which records of the pool it has


@st.composite
def logs(draw: st.DrawFn) -> tuple[Pool, Files]:
    """Make some records, a few of them with an id, and files that have each of them never, once or more often."""
    pool = draw(st.lists(RECORDS, min_size=1, max_size=4, unique_by=json.dumps))
    named = draw(st.sets(st.integers(0, len(pool) - 1), max_size=2))
    pool = [record | ({"id": f"call {n}"} if n in named else {}) for n, record in enumerate(pool)]
    return pool, draw(st.lists(st.lists(st.integers(0, len(pool) - 1), max_size=8), min_size=1, max_size=4))


def settle(pool: Pool, files: Files, pieces: Sequence[Sequence[int]] = ()) -> Sifted:
    """Settle the records of some files; ``pieces``: before which records each is cut."""
    tables = []
    for number, file in enumerate(files):
        lines = [Raw(row, row, json.dumps(pool[one]).encode()) for row, one in enumerate(file, 1)]
        calls = [call for call in read_all(lines, ReadOptions()) if isinstance(call, Call)]
        assert len(calls) == len(file)
        cuts = pieces[number] if number < len(pieces) else ()
        for row, call in enumerate(calls):
            call.source_file, call.record = f"{number:03}.jsonl", row
        edges = sorted({0, *cuts, len(calls)})
        for nth, (start, end) in enumerate(pairwise(edges)):
            tables.append(facts_of(calls[start:end], number, 100 * number + nth))
    return settle_duplicates(pl.concat(tables or [facts_of([], 0)]))


def totals(sifted: Sifted) -> list[tuple[Any, ...]]:
    """Return the calls without where they stand, and what is only said of them."""
    seen = sifted.facts.select("model", "user", "started_at", "prompt_tokens", "completion_tokens", "call_id")
    return sorted(seen.rows(), key=repr)


def expected(pool: Pool, files: Files) -> Counter[int]:
    """Return how often each record counts: by the words of the law alone."""
    found: Counter[int] = Counter()
    for one, record in enumerate(pool):
        counts = [file.count(one) for file in files]
        below_second = "." in (record.get("timestamp") or "") and not record["timestamp"].endswith(".000Z")
        found[one] = min(1, sum(counts)) if "id" in record or below_second else max(counts)
    return +found


@FEW
@given(logs())
def test_each_row_counts_as_often_as_the_file_that_has_it_most_often(log: tuple[Pool, Files]) -> None:
    pool, files = log
    sifted, counted = settle(pool, files), expected(pool, files)
    tokens = sum(pool[one]["usage"]["prompt_tokens"] * times for one, times in counted.items())
    assert (sifted.facts.height, sifted.facts["prompt_tokens"].sum()) == (counted.total(), tokens)
    assert sifted.causes.total() == sum(map(len, files)) - counted.total()
    assert set(sifted.causes) <= {SAME_ID, "same_id_elsewhere", SAME_BYTES, SAME_ROW}
    assert sifted.facts["call_id"].n_unique() == sifted.facts.height


@FEW
@given(logs())
def test_just_the_rows_that_equal_another_and_that_nothing_tells_apart_are_flagged(log: tuple[Pool, Files]) -> None:
    pool, files = log
    flagged = settle(pool, files).facts.filter(pl.col("flags").list.contains(REPEATED))
    kinds = settle(pool, [list(range(len(pool)))]).facts.sort("source_row")["key_kind"]
    rows = {one: times for one, times in expected(pool, files).items() if kinds[one] == "none"}
    assert flagged.height == sum(times for one, times in rows.items() if sum(file.count(one) for file in files) > 1)


@FEW
@given(logs(), st.data())
def test_a_copy_of_any_file_changes_nothing(log: tuple[Pool, Files], data: st.DataObject) -> None:
    pool, files = log
    copied = data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=2))
    places = data.draw(st.permutations([*files, *copied]))
    assert totals(settle(pool, places)) == totals(settle(pool, files))


@FEW
@given(logs(), st.data())
def test_neither_the_order_of_rows_nor_the_pieces_that_are_read_change_anything(
    log: tuple[Pool, Files], data: st.DataObject
) -> None:
    pool, files = log
    shuffled = [data.draw(st.permutations(file)) for file in data.draw(st.permutations(files))]
    pieces = [data.draw(st.lists(st.integers(0, len(file)), max_size=3)) for file in shuffled]
    found, before = settle(pool, shuffled, pieces), settle(pool, files)
    assert totals(found) == totals(before)
    assert (found.causes[SAME_ROW], found.causes[SAME_BYTES]) == (before.causes[SAME_ROW], before.causes[SAME_BYTES])


@FEW
@given(logs(), st.data())
def test_splitting_a_file_changes_nothing_for_rows_with_an_id_or_a_time_below_the_second(
    log: tuple[Pool, Files], data: st.DataObject
) -> None:
    pool, files = log
    kinds = settle(pool, [list(range(len(pool)))]).facts.sort("source_row")["key_kind"]
    files = [[one for one in file if kinds[one] != "none"] for file in files]
    cuts = [data.draw(st.integers(0, len(file))) for file in files]
    parts = [part for file, cut in zip(files, cuts, strict=True) for part in (file[:cut], file[cut:])]
    assert totals(settle(pool, parts)) == totals(settle(pool, files))
