"""Published files: whole or not at all, the same bytes each time, decimals as text."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from callcost.errors import ReportError
from callcost.logs.io.folders import folder_at
from callcost.stages.report.publish import csv_bytes, document_bytes, json_bytes, parquet_bytes, publish_file

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
