"""A disk that fails in the middle of a log: what was read before stays, and what was not is a reject."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pyarrow.parquet as pq
import pytest

from callcost.logs.io.compression import BLOCK
from callcost.logs.io.inputs import Input
from callcost.settings import ReadOptions
from callcost.stages.columnar.stretches import read_by_columns
from callcost.stages.read.splits import cut_inputs
from callcost.stages.read.windows import read_windows
from tests.laws.test_litellm_columns import SPEND, ordinary, stated
from tests.laws.test_parquet_columns import ORDINARY

ROWS = 40_000


class Failing(io.RawIOBase):
    """A file of which no more than some bytes can be read."""

    def __init__(self, path: str, good: int) -> None:
        self._file, self._good = Path(path).open("rb"), good  # noqa: SIM115 - closed with this one

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        place = self._file.tell()
        if place + len(buffer) > self._good:
            if place >= self._good:
                raise OSError(5, "Input/output error")
            buffer = buffer[: self._good - place]
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def failing(good: int) -> Callable[[str], BinaryIO]:
    return lambda path: io.BufferedReader(Failing(path, good))


def records_of(path: Path) -> tuple[int, int, list[tuple[str, int | None]]]:
    """Return how many records a log has, how many of them are calls, and its rejects."""
    piece = cut_inputs([Input(path=str(path), name=path.name, bytes=path.stat().st_size)])[0]
    windows = list(read_windows(piece, ReadOptions(), read_by_columns))
    rejects = [(reject.reason, reject.source_row) for window in windows for reject in window.rejects]
    return sum(window.tally["records"] for window in windows), sum(window.found for window in windows), rejects


@pytest.mark.parametrize("odd", [0, 7])
def test_lines_before_the_fault_are_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: int) -> None:
    path = tmp_path / "log.jsonl"
    base = json.dumps(stated(ordinary(SPEND)))
    lines = [base.replace('"r-1"', f'"r-{number}"') for number in range(ROWS)]
    if odd:  # a line that decodes and is not ordinary: it is read again, from a place that may not be there any more
        lines[odd] = json.dumps(stated(ordinary(SPEND) | {"call_type": "pass_through"}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    good = path.stat().st_size // 2
    for module in ("callcost.stages.columnar.stretches", "callcost.logs.io.inputs"):
        monkeypatch.setattr(f"{module}.open_input", failing(good))
    whole = path.read_bytes()[:good].count(b"\n")
    records, calls, rejects = records_of(path)
    assert rejects[-1] == ("unreadable_file", None)
    assert records == calls + len(rejects)
    assert whole - calls < BLOCK // (len(base) - 10)  # of a block, the record reader learns nothing before its end


def test_rows_before_a_damaged_page_are_calls(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    table = pl.DataFrame({name: [value] * ROWS for name, value in ORDINARY.items()})
    ids = pl.Series("request_id", [f"r-{number:032}" for number in range(ROWS)])
    table.with_columns(ids).write_parquet(path, row_group_size=ROWS // 4)
    place = pq.read_metadata(path).row_group(2).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[place : place + 400] = bytes(400)
    path.write_bytes(data)
    records, calls, rejects = records_of(path)
    assert rejects == [("unreadable_file", None)]
    assert (records, calls) == (ROWS // 2 + 1, ROWS // 2)
