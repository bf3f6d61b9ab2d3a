"""Facts cut into files are settled as one table, wherever they are cut and however few keys are compared at a time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callcost.settings import ReadOptions
from callcost.stages.dedup import resolve as settle
from callcost.stages.dedup.resolve import (
    SettleTask,
    Sifted,
    settle_duplicates,
    settle_keys,
    settle_spans,
    settled_facts,
)
from callcost.stages.tables.facts import BUCKETS, facts_of, join_small, read_facts, write_facts
from callcost.stages.tables.schemas import Facts
from tests.conftest import examples
from tests.stages.calls import make_call

SPANS = st.sampled_from([None, None, "a", "b", "c", "d"])
COPIES = st.lists(
    st.fixed_dictionaries(
        {
            "duplicate_id": st.sampled_from(["a", "b", "c", None]),
            "request_digest": st.sampled_from([None, b"r" * 16, b"s" * 16]),
            "record_digest": st.sampled_from([b"1" * 16, b"2" * 16]),
            "started_at": st.sampled_from([None, 0, 5]),
            "total": st.sampled_from([None, 3, 4]),
            "source_file": st.sampled_from(["a.jsonl", "b.jsonl", "c.jsonl"]),
            "span": SPANS,
            "parent": SPANS,
            "usage_source": st.sampled_from(["reported", "absent"]),
        }
    ),
    min_size=1,
    max_size=20,
)


CHAINS = [  # of each, the call in the middle goes twice over: it is around one, and in one that alone states usage
    {"span": f"{name} {depth}", "parent": f"{name} {depth - 1}" if depth else None,
     "usage_source": "absent" if depth else "reported"}
    for name in "abcdefgh" for depth in range(3)
]  # fmt: skip


def settle_files(tables: list[pl.DataFrame], steps: int) -> Sifted:
    with TemporaryDirectory() as folder:
        paths = [Path(folder, f"facts-000000-{number:04}.parquet") for number in range(len(tables))]
        for table, path in zip(tables, paths, strict=True):
            write_facts(table, path)
        causes, spans, verdicts = Counter[str](), list[str](), list[str]()
        ticks: list[tuple[int, int]] = []
        facts = tuple(map(str, paths))
        for step in range(steps):
            first, last = BUCKETS * step // steps, BUCKETS * (step + 1) // steps - 1
            for function in (settle_keys,) if step else (settle_spans, settle_keys):
                task = SettleTask(
                    number=step, first=first, last=last, facts=facts, folder=folder, read=ReadOptions(),
                    spans=tuple(spans),
                )  # fmt: skip
                result = function(task, lambda *done: ticks.append(done))
                causes.update(result.duplicates)
                verdicts += result.files
                spans = result.files if function is settle_spans else spans
        assert ticks == [(0, 0)] * (steps + 1)  # nothing is read of logs
        return Sifted(pl.concat([settled_facts(path, verdicts) for path in paths]), causes)


@examples(25)
@given(COPIES, st.lists(st.integers(0, 20), max_size=3), st.sampled_from([1, 3]), st.sampled_from([1, 2, 100]))
@example(CHAINS, [], 1, 1)
def test_where_facts_are_cut_changes_nothing(
    copies: list[dict[str, object]], cuts: list[int], steps: int, most: int
) -> None:
    whole = facts_of([make_call(row, **copy) for row, copy in enumerate(copies)], 0)
    whole = whole.with_columns(input=pl.col("source_file").rank("dense").cast(pl.Int64))
    edges = sorted({0, whole.height, *(min(cut, whole.height) for cut in cuts)})
    tables = [whole.slice(start, end - start) for start, end in pairwise(edges)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settle, "MOST_HEADS", most)
        found = settle_files(tables, steps)
    expected = settle_duplicates(whole)
    seen = pl.exclude("key", "bucket")  # asked by settling alone
    assert found.facts.select(seen).sort("record").rows() == expected.facts.select(seen).sort("record").rows()
    assert found.causes == expected.causes


def test_a_file_of_facts_gives_every_column_back(tmp_path: Path) -> None:
    facts = facts_of([make_call(1), make_call(2, user="ana")], 0)
    write_facts(facts, tmp_path / "facts.parquet")
    assert read_facts(tmp_path / "facts.parquet").equals(facts)
    assert read_facts(tmp_path / "facts.parquet").schema == Facts.types
    assert not {"team", "line_model"} & pl.read_parquet_schema(tmp_path / "facts.parquet").keys()


def test_small_files_of_facts_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [make_call(1), make_call(2, user="ana"), make_call(3, user="bo"), make_call(4)]
    paths = [tmp_path / f"facts-{number}.parquet" for number in range(len(calls))]
    for number, (call, path) in enumerate(zip(calls, paths, strict=True)):
        write_facts(facts_of([call], number), path)
    (joined,) = join_small(paths, tmp_path)
    assert read_facts(joined).equals(pl.concat(map(read_facts, paths)))
    monkeypatch.setattr("callcost.stages.tables.facts._SMALL_BYTES", sum(path.stat().st_size for path in paths[:2]))
    found = join_small(paths[:3], tmp_path)
    assert found[1:] == paths[2:3]
    assert read_facts(found[0]).equals(pl.concat(map(read_facts, paths[:2])))
    assert join_small([], tmp_path) == []


def test_what_a_table_has_beside_the_columns_of_facts_is_left_out(tmp_path: Path) -> None:
    facts = facts_of([make_call(1)], 0)
    write_facts(facts.with_columns(line_text_output_tokens=3, text_output_tokens=3), tmp_path / "facts.parquet")
    expected = facts.with_columns(pl.lit(3, dtype=pl.Int64).alias("line_text_output_tokens"))
    assert read_facts(tmp_path / "facts.parquet").equals(expected)
