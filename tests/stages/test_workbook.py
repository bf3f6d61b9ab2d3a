"""A report as a workbook: each figure in its cell as a number of its kind, and text as text."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from callcost.stages.report.workbook import sheets_bytes, table_bytes, workbook_bytes
from callcost.stages.tables.schemas import MONEY, SpendMeasures

pytest.importorskip("xlsxwriter")
GENERAL = "General"
Cell = tuple[str, str]  # its text, or its number to nine digits, and the format


class Sheet:
    """A sheet as its file has it."""

    def __init__(self, xml: str, texts: list[str], formats: list[str]) -> None:
        self.xml = xml
        columns = re.findall(r'<col min="(\d+)" max="(\d+)" width="([\d.]+)"', xml)
        self.widths = [int(float(width)) for first, last, width in columns for _ in range(int(first), int(last) + 1)]
        self.rows: list[list[Cell]] = []
        for row in re.findall(r"<row .*?</row>", xml):
            cells = re.findall(r"<c r=\"[A-Z]+\d+\"([^>]*?)(?:/>|>(?:<v>(.*?)</v>)?</c>)", row)
            self.rows.append([self._cell(words, value, texts, formats) for words, value in cells])

    @staticmethod
    def _cell(words: str, value: str, texts: list[str], formats: list[str]) -> Cell:
        style = re.search(r's="(\d+)"', words)
        text = texts[int(value)] if 't="s"' in words else value and f"{float(value):.9g}"
        return text, formats[int(style.group(1)) if style else 0]


def read_book(data: bytes) -> dict[str, Sheet]:
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        files = {name: book.read(name).decode() for name in book.namelist() if name.endswith(".xml")}
    texts = [re.sub(r"<[^>]*>", "", text) for text in re.findall(r"<si>(.*?)</si>", files["xl/sharedStrings.xml"])]
    styles = files["xl/styles.xml"]
    known = dict(re.findall(r'<numFmt numFmtId="(\d+)" formatCode="([^"]*)"', styles))
    known |= {"0": GENERAL, "3": "#,##0"}
    (cells,) = re.findall(r"<cellXfs.*?</cellXfs>", styles)
    formats = [known.get(number, number) for number in re.findall(r'<xf numFmtId="(\d+)"', cells)]
    names = re.findall(r'<sheet name="(\w+)"', files["xl/workbook.xml"])
    return {
        name: Sheet(files[f"xl/worksheets/sheet{number}.xml"], texts, formats) for number, name in enumerate(names, 1)
    }


def _filters(data: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        return sum(b"<autoFilter" in book.read(name) for name in book.namelist())


def test_a_column_has_the_format_of_its_kind_and_the_width_of_its_longest_cell() -> None:
    table = pl.DataFrame(
        {
            "count": [1234], "cost": [Decimal("-1.5")], "figure": [Decimal("2.5")], "hit_rate": [Decimal("0.5")],
            "share": [0.25], "text": ["x" * 20], "long": ["y" * 99], "day": [date(2025, 11, 2)],
            "at": [datetime(2025, 11, 2, 12, tzinfo=UTC)], "list": [["a", "b"]], "number": ["=1+1"],
        },
        schema_overrides={"cost": MONEY, "figure": MONEY, "hit_rate": MONEY},
    )  # fmt: skip
    sheet = read_book(sheets_bytes({"one": table}))["one"]
    head, row = sheet.rows
    assert [text for text, _ in head] == table.columns
    money = "#,##0.00####;[Red]-#,##0.00####"
    cells = dict(zip(table.columns, row, strict=True))
    assert cells["count"] == ("1234", "#,##0")
    assert cells["cost"] == ("-1.5", money)
    assert (cells["hit_rate"], cells["share"]) == (("0.5", "0.0%"), ("0.25", "0.0%"))
    assert cells["figure"][0] == "2.5"
    assert cells["figure"][1] != money
    assert (cells["number"][0], cells["list"][0]) == ("=1+1", '["a","b"]')
    assert (float(cells["day"][0]), float(cells["at"][0])) == (45963, 45963.5)
    longest = (14, 14, 14, 14, 14, 20, 37, 14, 14, 9, 6)  # signs of a cell or of the name; numbers are taken for 14
    assert sheet.widths == [signs + 3 for signs in longest]
    assert '<pane ySplit="1"' in sheet.xml
    assert _filters(sheets_bytes({"one": table})) == 1
    assert _filters(sheets_bytes({"one": table.clear(), "two": table})) == 1


def test_one_table_in_each_format() -> None:
    table = pl.DataFrame({"a": [1], "tags": [["x"]]})
    assert table_bytes("csv", table) == b'a,tags\n1,"[""x""]"\n'
    assert table_bytes("markdown", table) == b'| a | tags |\n| --: | --- |\n| 1 | \\["x"\\] |\n'
    assert table_bytes("json", table) == b'{"a":1,"tags":["x"]}\n'
    assert pl.read_parquet(table_bytes("parquet", table)).equals(table)
    assert list(read_book(table_bytes("xlsx", table))) == ["answer"]


MANIFEST: dict[str, Any] = {
    "price_versions": [{"name": "one"}, {"name": "two"}],
    "options": {"since": None, "until": "2025-12-01", "timezone": "UTC", "where": []},
    "totals": {"calls": 3, "prompt_tokens": None, "total_cost": "4.5"}, "currency": {"code": "EUR", "total": "4.00"},
    "first_at": "2025-11-01", "last_at": None, "callcost": {"version": "9"},
    "unpriced": [{"price_status": "unpriced", "model": "m", "price_reason": "r", "first": "a:1", "calls": 2}],
    "reject_reasons": [{"reason": "bad", "first": "a:2", "records": 5}],
    "usage_source": {"reported": 3}, "count_method": {}, "price_status": {"priced": 1}, "price_basis": {},
    "flags": {"late": 1}, "records": {"records": 8, "calls": 3}, "repeated_rows": {"calls": 0, "total_cost": None},
    "undated_calls": 1,
}  # fmt: skip


def test_the_sheets_of_a_report() -> None:
    first, second = date(2025, 11, 1), date(2025, 11, 2)
    rows = [(second, "a", 2, "3"), (first, "b", 1, "1"), (None, "b", 1, None), (first, "c", 0, "0.5")]
    spend = pl.DataFrame(
        [{"day": day, "model": model, "calls": calls, "total_cost": cost and Decimal(cost)}
         for day, model, calls, cost in rows],
        schema={"day": pl.Date, "model": pl.String, **SpendMeasures.types},
    )  # fmt: skip
    book = read_book(workbook_bytes(spend, spend, MANIFEST))
    assert list(book) == ["summary", "spend", "days", "models", "quality"]

    def cells(sheet: str) -> list[list[str]]:
        return [[text for text, _ in row if text] for row in book[sheet].rows[1:]]

    def columns(sheet: str, *names: str) -> list[tuple[str, ...]]:
        head = [text for text, _ in book[sheet].rows[0]]
        return [tuple(row[head.index(name)][0] for name in names) for row in book[sheet].rows[1:]]

    assert columns("spend", "model", "total_cost", "share", "cost_per_call") == [
        ("a", "3", "0.666666667", "1.5"), ("b", "1", "0.222222222", "1"), ("b", "", "", ""),
        ("c", "0.5", "0.111111111", ""),
    ]  # fmt: skip
    assert columns("days", "calls", "total_cost") == [("1", "1.5"), ("2", "3"), ("1", "")]
    assert columns("models", "model", "calls", "total_cost") == [("a", "2", "3"), ("b", "2", "1"), ("c", "0", "0.5")]
    assert cells("summary") == [
        ["calls", "3"], ["prompt_tokens"], ["total_cost", "4.5"], ["currency: code", "EUR"],
        ["currency: total", "4.00"], ["first call", "2025-11-01"], ["last call"], ["asked: until", "2025-12-01"],
        ["asked: timezone", "UTC"], ["price versions", "one, two"], ["callcost", "9"],
    ]  # fmt: skip
    assert cells("quality") == [
        ["records", "8"], ["calls", "3"], ["usage_source: reported", "3"], ["price_status: priced", "1"],
        ["flags: late", "1"], ["rejected: bad (first: a:2)", "5"], ["unpriced: m (r, first: a:1)", "2"],
        ["undated calls", "1"], ["repeated rows", "0"], ["cost of repeated rows", "0"],
    ]  # fmt: skip
