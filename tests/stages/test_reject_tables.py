"""Rejects are published in one order, however many there are and whatever task found them."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callcost.stages.report import rejects
from callcost.stages.report.rejects import RejectFiles, RejectTable, count_rows
from callcost.stages.tables.schemas import Rejects
from callcost.tables import Reject
from tests.conftest import examples

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a.jsonl", "b.jsonl", "c.jsonl"]), st.none() | st.integers(1, 9),
        st.sampled_from(["bad_count", "no_model"]), st.integers(0, 2),
    ),
    max_size=40,
)  # fmt: skip


def _read(data: bytes) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(data))


@examples(60)
@given(rows=ROWS, file_rows=st.integers(1, 50), group=st.integers(1, 9))
@example(rows=[("a.jsonl", 2, "no_model", 0), ("a.jsonl", 1, "no_model", 1), ("b.jsonl", 1, "no_model", 0)],
         file_rows=9, group=3)  # fmt: skip
def test_what_goes_through_in_stretches_comes_out_as_all_at_once(
    rows: list[tuple[str, int | None, str, int]], file_rows: int, group: int
) -> None:
    made = [
        (Reject(reason=reason, source_file=file, source_row=row, byte_offset=row), task)
        for file, row, reason, task in rows
    ]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(rejects, "FILE_ROWS", file_rows)
        patch.setattr(rejects, "ROW_GROUP_ROWS", group)
        paths: list[str] = []
        for task in range(3):
            files = RejectFiles(task, folder)
            own = [reject for reject, number in made if number == task]
            for first in range(0, len(own), 3):
                files.add(own[first : first + 3], task)
            found = files.finish()
            assert sum(pl.read_parquet(path).height for path in found) == len(own)
            assert len(found) <= len(own) // file_rows + 1
            paths += found
        assert sorted(paths) == sorted(str(path) for path in Path(folder).iterdir())
        table = RejectTable(paths, ((1, 100),), len(rows))
        whole = table.parquet()
        patch.setattr(rejects, "MOST_HELD", len(rows) - 1)
        parts = table.parquet() if rows else whole
    expected = sorted(
        ((file, row is None, row and row + 100 * (task == 1), row or 0, reason) for file, row, reason, task in rows),
        key=lambda row: (row[0], row[1], row[2] or 0, row[3], row[4]),
    )
    for data in (whole, parts):
        assert _read(data).columns == list(Rejects.names)
        assert count_rows(data) == len(rows)
        found_rows = _read(data).select("source_file", "source_row", "byte_offset", "reason").rows()
        assert found_rows == [(file, row, at or None, reason) for file, _, row, at, reason in expected]


def test_a_task_without_rejects_writes_no_file(tmp_path: Path) -> None:
    files = RejectFiles(3, str(tmp_path))
    files.add([], 0)
    assert files.finish() == []
    files.add([Reject(reason="no_model")], 0)
    (path,) = files.finish()
    assert Path(path).name == "rejects-000003.parquet"
    assert _read(RejectTable([], (), 0).parquet()).columns == list(Rejects.names)
