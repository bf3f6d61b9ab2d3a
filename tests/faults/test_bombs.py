"""Inputs that unpack to far more than they seem end as rejects, or are refused by a limit that can be raised.

The ordinary size goes with lowered limits; the full one (CALLCOST_LONG=1) with the usual ones, and its memory is that
of the whole process tree.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callcost.settings import ReadOptions
from callcost.stages.report import rejects as rejects_module
from callcost.stages.tables.parquet_pages import measure_group, refuse_group
from callcost.stages.tables.parquet_rows import read_rows
from tests.bench.measure import take
from tests.command import ROOT, report, write_lines
from tests.faults.bombs import BOMBS

LOWERED = ("--max-record", "1", "--max-rows", "10000")
MOST_BYTES = 1_200 << 20  # of a run with two workers


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_as_rejects_that_name_their_limit(name: str, tmp_path: Path) -> None:
    bomb = BOMBS[name]
    path = bomb.write(tmp_path, bomb.small)
    finished = report([path], tmp_path / "reports", *LOWERED, expect=1 if bomb.reasons else 0)
    assert {row["reason"] for row in finished.rejects} == set(bomb.reasons)
    assert finished.records["rejects"] == len(finished.rejects)
    for row in finished.rejects[:100]:
        assert row["reason"] != "too_large" or "raise --max-r" in row["detail"]
    if bomb.reasons == ("too_large",):
        assert len(finished.rejects) == 1
    elif bomb.reasons:
        assert len(finished.rejects) == bomb.small
        assert [row["source_row"] for row in finished.rejects] == list(range(1, bomb.small + 1))
    else:
        assert finished.records["calls"] == 1


@pytest.mark.parametrize("name", BOMBS)
def test_a_whole_bomb_ends_within_the_memory_of_a_run(name: str, tmp_path: Path, long_run: bool) -> None:
    if not long_run:
        pytest.skip("the long checks do: CALLCOST_LONG=1")
    path = BOMBS[name].write(tmp_path, BOMBS[name].size)
    words = [sys.executable, "-m", "callcost", "report", path, "--out", tmp_path / "reports", "--workers", "2"]
    taken = take(
        ["sh", "-c", '"$@"; test $? -le 1', "sh", *map(str, words)], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    print(f"{name}: {(taken.peak or 0) >> 20} MB, {taken.wall:.0f} s, {taken.cpu:.0f} s of the processor")  # noqa: T201 - to be noted
    assert taken.peak is None or taken.peak < MOST_BYTES


def _many_groups(column: str, count: int, path: Path) -> Path:
    """Write calls of which each has a model or a user of its own."""
    call = {"model": "gpt-4o", "started_at": "2025-06-01", "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    lines = (json.dumps({"id": f"c{n}", **call, column: f"acme-{n * 11 % count}"}) for n in range(count))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(("column", "count"), [("user", 1_000_000), ("model", 300_000)])
def test_very_many_groups_stay_within_the_memory_of_a_run(
    column: str, count: int, tmp_path: Path, long_run: bool
) -> None:
    if not long_run:
        pytest.skip("the long checks do: CALLCOST_LONG=1")
    path = _many_groups(column, count, tmp_path / "log.jsonl")
    words = [sys.executable, "-m", "callcost", "report", path, "--out", tmp_path / "reports", "--workers", "2"]
    taken = take([*map(str, words)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    print(f"{count:,} {column}s: {(taken.peak or 0) >> 20} MB, {taken.wall:.0f} s")  # noqa: T201 - to be noted
    assert pl.read_parquet(tmp_path / "reports" / "spend.parquet").height == count
    assert taken.peak is None or taken.peak < 1_000 << 20


@pytest.mark.parametrize("column", ["user", "model"])
def test_many_groups_are_summed_and_written_as_few_are(
    column: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _many_groups(column, 700, tmp_path / "log.jsonl")
    whole = report([path], tmp_path / "whole")
    monkeypatch.setattr("callcost.stages.tasks.MOST_GROUPS", 90)
    monkeypatch.setattr("callcost.jobs.engine.map_reduce.MOST_GROUPS", 90)
    monkeypatch.setattr("callcost.jobs.engine.manifest.MOST_LISTED", 40)
    monkeypatch.setattr("callcost.stages.read.windows.WINDOW_CALLS", 60)
    monkeypatch.setattr("callcost.stages.report.publish.ROW_GROUP_ROWS", 64)
    parts = report([path], tmp_path / "parts", "--format", "parquet,csv,json")
    assert (parts.out / "spend.csv").read_bytes() == (whole.out / "spend.csv").read_bytes()
    assert parts.spend == whole.spend
    assert (parts.out / "spend.json").read_bytes().count(b"\n") == 700
    listed, rest = parts.manifest["unpriced"], parts.manifest["unpriced_not_listed"]
    if column == "user":
        assert (listed, rest, parts.manifest["price_status"]) == ([], {}, {"priced": 700})
    else:
        assert listed == whole.manifest["unpriced"][:40]
        assert rest == {"unpriced": {"groups": 660, "calls": 660}}
        assert "'acme-1' 1" in parts.stderr
        assert "and 697 more, 37 of them in manifest.json" in parts.stderr


def test_raising_the_limit_reads_what_was_refused(tmp_path: Path) -> None:
    path = BOMBS["lists"].write(tmp_path, 200_000)
    finished = report([path], tmp_path / "reports", "--max-record", "64", expect=1)
    assert [row["reason"] for row in finished.rejects] != ["too_large"]


def test_many_rejects_are_in_the_order_of_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [b"{}" if n % 3 else b'{"a": ' for n in range(2_000)]
    for name in ("b", "a", "c"):
        write_lines(tmp_path / "logs" / f"{name}.jsonl", lines)
    whole = report([tmp_path / "logs"], tmp_path / "whole", expect=1).out / "rejects.parquet"
    monkeypatch.setattr(rejects_module, "FILE_ROWS", 150)
    monkeypatch.setattr(rejects_module, "MOST_HELD", 10)
    monkeypatch.setattr(rejects_module, "ROW_GROUP_ROWS", 1_000)
    monkeypatch.setattr("callcost.stages.read.windows.WINDOW_REJECTS", 40)
    parts = report([tmp_path / "logs"], tmp_path / "parts", expect=1).out / "rejects.parquet"
    assert pl.read_parquet(parts).equals(pl.read_parquet(whole))
    assert pq.read_metadata(parts).num_row_groups == 6
    assert pl.read_parquet_schema(parts) == pl.read_parquet_schema(whole)


def test_rows_are_unpacked_so_many_at_a_time_as_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcost.stages.tables.parquet_rows.BATCH_BYTES", 1 << 20)
    words = pa.array(["a" * (64 << 10), "b"])
    numbers = pa.array([n & 1 for n in range(1_000)], pa.int32())
    repeated = pa.DictionaryArray.from_arrays(numbers, words)
    nested = pa.ListArray.from_arrays(pa.array(range(1_001), pa.int32()), repeated)
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"texts": nested, "n": range(1_000)}), path, compression="zstd")
    batches = list(read_rows(str(path), 0, None))
    assert sum(len(batch.rows) for batch in batches) == 1_000
    assert max(batch.bytes for batch in batches) < 2 << 20
    assert [row["n"] for batch in batches for row in batch.rows if isinstance(row, dict)] == list(range(1_000))


def test_pages_tell_what_the_footer_conceals(tmp_path: Path) -> None:
    path = tmp_path / "cell.parquet"
    pq.write_table(pa.table({"a": ["x" * (8 << 20)]}), path, compression="zstd", use_dictionary=False)
    metadata = pq.read_metadata(path)
    group = measure_group(str(path), metadata, 0)
    assert 8 << 20 <= group.least_bytes < 9 << 20
    assert refuse_group(group, ReadOptions(max_record=1))
    assert not refuse_group(group, ReadOptions(max_record=3))


_WRONG = st.dictionaries(st.integers(4, 60), st.integers(0, 255), min_size=1, max_size=6)


@given(wrong=_WRONG | st.integers(1, 2_000).map(lambda n: dict.fromkeys(range(4, 4 + n), 0x19)))  # lists in lists
@example(wrong={4: 0})  # a header that holds nothing
def test_a_damaged_page_is_measured_by_its_footer(wrong: dict[int, int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        pq.write_table(pa.table({"a": [f"word {n}" for n in range(900)], "b": range(900)}), path, compression="zstd")
        metadata, data = pq.read_metadata(path), bytearray(path.read_bytes())
        for place, byte in wrong.items():
            data[place] = byte
        path.write_bytes(data)
        columns = measure_group(str(path), metadata, 0).columns
    assert set(columns) == {"a", "b"}
    assert all(0 <= figure < 1 << 63 for width in columns.values() for figure in width)
