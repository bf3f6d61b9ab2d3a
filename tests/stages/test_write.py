"""Published files: whole or not at all, the same bytes each time, decimals as text."""

from __future__ import annotations

import io
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callcost.errors import ReportError
from callcost.logs.io.folders import folder_at
from callcost.stages.report import publish
from callcost.stages.report.publish import (
    as_maps,
    csv_bytes,
    document_bytes,
    json_bytes,
    parquet_bytes,
    parquet_of_parts,
    publish_file,
)
from callcost.stages.tables.schemas import Calls

MONEY = pl.Decimal(38, 18)


def test_money_in_csv_is_plain_decimal_text() -> None:
    table = pl.DataFrame({"cost": [Decimal("0.0000001"), Decimal(20), Decimal(0), None]}, schema={"cost": MONEY})
    assert csv_bytes(table) == b"cost\n0.0000001\n20\n0\n\n"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_run_is_guarded_in_csv_only(sign: str) -> None:
    table = pl.DataFrame({"user": [sign + "1", "ok"]})
    assert csv_bytes(table).decode().splitlines()[-1] == "ok"
    assert f"'{sign}1" in csv_bytes(table).decode()
    assert pl.read_parquet(parquet_bytes(table)).equals(table)


def test_json_keeps_money_exact() -> None:
    table = pl.DataFrame({"cost": [Decimal("0.1")]}, schema={"cost": MONEY})
    assert json_bytes(table) == b'{"cost":"0.1"}\n'


def test_parquet_bytes_do_not_depend_on_how_the_table_was_put_together() -> None:
    table = pl.DataFrame({"a": list(range(1000)), "b": ["x", None] * 500})
    pieces = pl.concat([table.head(10), table.tail(990)], rechunk=False)
    assert parquet_bytes(pieces) == parquet_bytes(table)


@given(
    cuts=st.lists(st.integers(0, 300), max_size=9), rows=st.integers(0, 300), group=st.sampled_from([64, 100, 131_072])
)
@example(cuts=[], rows=128, group=64)
@example(cuts=[], rows=0, group=64)
def test_a_table_in_parts_has_the_bytes_of_the_whole(cuts: list[int], rows: int, group: int) -> None:
    tags = [None, [], [{"key": "env", "value": "prod"}], [{"key": "a", "value": None}, {"key": "b", "value": "x"}]]
    table = pl.DataFrame(
        {
            "id": [f"c{n * 7919 % 311}" if n % 5 else None for n in range(rows)],
            "cost": [Decimal(n) / 8 if n % 3 else None for n in range(rows)],
            "tags": [tags[n // 40 % 4] for n in range(rows)],
            "flags": [["late"] * (n % 3) for n in range(rows)],
            "nothing": [None] * rows,
        },
        schema={"id": pl.String, "cost": MONEY, "tags": Calls.tags.dtype, "flags": pl.List(pl.String),
                "nothing": pl.Int64},
    )  # fmt: skip
    edges = [0, *sorted(min(cut, rows) for cut in cuts), rows]
    whole = io.BytesIO()
    as_maps(table).rechunk().write_parquet(
        whole, compression="zstd", compression_level=3, statistics=True, row_group_size=group
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "ROW_GROUP_ROWS", group)
        assert parquet_of_parts(table[first:end] for first, end in pairwise(edges)) == whole.getvalue()


def test_a_file_is_replaced_whole_and_leaves_no_temporary_name(tmp_path: Path) -> None:
    publish_file(folder_at(str(tmp_path)), "new/a.csv", b"one")
    publish_file(folder_at(str(tmp_path)), "new/a.csv", b"two")
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {"a.csv": b"two"}


def test_what_cannot_be_written_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(ReportError, match=r"cannot write .*a\.csv"):
        publish_file(folder_at(str(tmp_path)), "a.csv", b"one")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_documents_are_sorted_and_end_with_a_newline() -> None:
    assert document_bytes({"b": 1, "a": "ö"}) == '{\n  "a": "ö",\n  "b": 1\n}\n'.encode()
