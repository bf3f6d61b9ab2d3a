"""Rows of CSV are records: whatever parts the cells, whatever stands in quotes, whatever pieces they come in."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.io import csv_rows as rows
from callcost.logs.io import records as containers
from callcost.logs.io.csv_rows import delimiter_of, read_rows
from callcost.logs.io.records import BOM, Raw
from callcost.tables import Reject

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8).map(str.lstrip)


def _rows(data: bytes, size: int = 1 << 20) -> list[Raw | Reject]:
    return list(read_rows([data[at : at + size] for at in range(0, len(data), size)]))


def _values(found: list[Raw | Reject]) -> list[Any]:
    return [json.loads(one.data) if isinstance(one, Raw) else one.reason for one in found]


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3).filter(any), max_size=5), st.integers(1, 60),
       st.sampled_from(",;\t|"))  # fmt: skip
def test_what_was_written_is_read(table: list[list[str]], size: int, delimiter: str) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([["model", "user name", "text"], *table])
    data = BOM + text.getvalue().encode()

    found = _rows(data, size)

    expected = [dict(zip(["model", "user name", "text"], (cell or None for cell in row), strict=True)) for row in table]
    assert _values(found) == expected
    assert [one.row for one in found if isinstance(one, Raw)] == list(range(2, 2 + len(table)))


def test_a_row_is_found_at_its_offset() -> None:
    data = BOM + b'model,text\r\ngpt-4o,"two\r\nlines, one cell"\r\n\r\ngpt-4o,"a ""word"""\r\n'
    found = _rows(data)
    assert _values(found) == [
        {"model": "gpt-4o", "text": "two\r\nlines, one cell"},
        {"model": "gpt-4o", "text": 'a "word"'},
    ]
    assert all(isinstance(one, Raw) and data[one.offset :].startswith(b"gpt-4o,") for one in found)


def test_a_row_with_too_few_or_too_many_cells_costs_itself() -> None:
    found = _rows(b"model,user,text\ngpt-4o,ida\na,b,c,d\na,b,c,\na,b,c\n")
    assert _values(found) == ["bad_row", "bad_row", *[{"model": "a", "user": "b", "text": "c"}] * 2]
    assert [one.detail for one in found if isinstance(one, Reject)] == ["2 cells, not 3", "4 cells, not 3"]


def test_a_row_that_is_no_text_costs_itself() -> None:
    assert _values(_rows(b"model,user\ngpt-4o,\xff\ngpt-4o,ida\n")) == [
        "invalid_utf8",
        {"model": "gpt-4o", "user": "ida"},
    ]


@pytest.mark.parametrize("size", [7, 1000])
def test_a_row_that_is_too_long_costs_itself(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in (containers, rows):
        monkeypatch.setattr(module, "MAX_RECORD", 40)
    long = b"x" * 100
    quoted = b'"' + b"x\n" * 30 + b'"'
    found = _rows(b"model,text\na,b\na,%s\nc,d\na,%s\n" % (long, quoted), size)
    assert _values(found)[:3] == [{"model": "a", "text": "b"}, "line_too_long", {"model": "c", "text": "d"}]
    assert _values(found)[3] == "line_too_long"
    assert all(isinstance(one, Reject) for one in found[4:])


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        (b"model,user,prompt_tokens\r", ","), (b'"model";"user"', ";"), (b"a\tb c\td [UTC]", "\t"),
        (b",model,cost", ","),
        (b"lineItem/UsageType|cost (USD)|#", "|"), (b"model, user, tokens", ","),
        (b"model,tokens,calls ", ","), (b"model ;tokens ;\"calls \"", ";"), (b"hello ,world", None),
        (b"a;b,c;d", None), (b"hello, world", None), (b"Dear Ida, it rains here.", None), (b"one", None),
        (b"", None), (b"1,2,3", None), (b"a,b\rc,d", None),
        (b"2025-01-01,gpt-4o", None), (b"It rains, so we stay; more follows", None),
    ],
)  # fmt: skip
def test_a_header_says_what_parts_its_cells(header: bytes, delimiter: str | None) -> None:
    assert delimiter_of(header) == delimiter


@given(st.binary(max_size=200), st.integers(1, 30))
def test_rows_do_not_depend_on_the_pieces(data: bytes, size: int) -> None:
    assert _rows(b"a,b\n" + data, size) == _rows(b"a,b\n" + data)
