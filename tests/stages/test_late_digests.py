"""Duplicates come out the same whether digests were made at once or when they were asked for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.io.inputs import Input
from callcost.settings import ReadOptions
from callcost.stages.columnar.stretches import read_by_columns
from callcost.stages.dedup import late_digests
from callcost.stages.dedup.late_digests import settle_digests
from callcost.stages.dedup.resolve import settle_duplicates
from callcost.stages.read.splits import cut_inputs
from callcost.stages.read.windows import read_windows
from callcost.stages.tables.facts import facts_of, widen_facts
from callcost.stages.tables.parquet_rows import read_some
from tests.conftest import examples
from tests.laws.test_litellm_columns import SPEND, ordinary, stated, written
from tests.laws.test_parquet_columns import ORDINARY

pytestmark = pytest.mark.usefixtures("columns_for_all")

COPY = st.fixed_dictionaries(
    {
        "request_id": st.sampled_from(["a", "b", "c"]),
        "messages": st.sampled_from([{}, [{"role": "user", "content": "x"}], [{"role": "user", "content": "y"}]]),
        "prompt_tokens": st.sampled_from([5, 6]),
        "startTime": st.sampled_from(["2025-01-24 09:20:46", "2025-01-24 09:20:47"]),
        "model": st.sampled_from(["gpt-4o", "gpt-4o", None]),
    }
)


def settled(path: Path, *, by_columns: bool) -> pl.DataFrame:
    pieces = cut_inputs([Input(path=str(path), name=path.name, bytes=path.stat().st_size)])
    lineage = [pl.lit(0, pl.Int64).alias(name) for name in ("input", "piece")]
    tables = []
    for window in read_windows(pieces[0], ReadOptions(), read_by_columns if by_columns else None):
        tables += [facts_of(window.calls, 0), *(widen_facts(one.with_columns(lineage)) for one in window.facts)]
    facts = settle_duplicates(settle_digests(pl.concat(tables), pieces, ReadOptions())).facts
    return facts.sort("record").drop("request_digest", "record_digest")


@examples(30)
@given(st.lists(COPY, min_size=1, max_size=12))
def test_copies_and_conflicts_come_out_the_same(copies: list[dict[str, Any]]) -> None:
    copies = [{**copy, "total_tokens": copy["prompt_tokens"] + 5} for copy in copies]
    with written([json.dumps(stated(ordinary(SPEND) | copy)).encode() for copy in copies]) as path:
        assert settled(path, by_columns=True).rows() == settled(path, by_columns=False).rows()


def _lines(names: str) -> bytes:
    rows = [ordinary(SPEND) | {"request_id": name.lower(), "user": name} for name in names]
    return b"".join(json.dumps(stated(row)).encode() + b"\n" for row in rows)


@pytest.mark.parametrize("packed", [False, True])
def test_copies_of_a_packed_log_are_found_where_they_stand(tmp_path: Path, *, packed: bool) -> None:
    path = tmp_path / ("log.jsonl.gz" if packed else "log.jsonl")
    for names in ("abacab", "aAbBba", "ab" + "c" * 3000 + "ab"):
        data = _lines(names)
        path.write_bytes(gzip.compress(data) if packed else data)
        assert settled(path, by_columns=True).rows() == settled(path, by_columns=False).rows()


def _table(folder: Path, names: str) -> Path:
    columns = {name: [value] * len(names) for name, value in ORDINARY.items()}
    columns |= {"request_id": list(names.lower()), "user": list(names)}
    path = folder / "log.parquet"
    pl.DataFrame(columns).write_parquet(path, row_group_size=2)
    return path


@pytest.mark.parametrize("names", ["abab", "abcaBA"])
@pytest.mark.parametrize("whole", [9, 3, 2, 1, 0])
def test_copies_in_a_table_stay_one_call_where_a_page_is_damaged_that_no_count_needed(
    names: str, whole: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _table(tmp_path, names)
    expected = settled(path, by_columns=False)

    def read_until(*words: Any) -> Iterator[Any]:
        for number, row in enumerate(read_some(*words)):
            if number == whole:
                raise OSError("damaged")
            yield row

    monkeypatch.setattr(late_digests, "read_some", read_until)
    found = settled(path, by_columns=True)
    same = ["call_id", "duplicates"]
    assert found.select(same).sort(same).rows() == expected.select(same).sort(same).rows()
    if whole > len(names):
        assert found.rows() == expected.rows()
