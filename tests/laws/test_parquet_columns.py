"""Parquet read by columns and row by row gives the same facts, whatever the types and the holes of its columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.command import SAMPLES
from tests.conftest import examples
from tests.laws.test_litellm_columns import assert_same

pytestmark = pytest.mark.usefixtures("columns_for_all")

DAY = datetime(2025, 1, 24, 9, 20, 46)  # noqa: DTZ001 - as a database exports it
METADATA = {"user_api_key_alias": "k", "usage_object": None}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}
BODY = {"id": "r", "object": "chat.completion", "model": "gpt-4o", "choices": [{"message": {"content": "Hi"}}]}
ORDINARY: Mapping[str, Any] = {
    "request_id": "r", "call_type": "acompletion", "api_key": "k", "spend": 0.0, "total_tokens": 9, "prompt_tokens": 5,
    "completion_tokens": 4, "startTime": DAY, "endTime": "2025-01-24 09:20:47.5", "model": "gpt-4o", "user": "u",
    "custom_llm_provider": "openai", "cache_hit": "None", "status": "success", "metadata": "{}", "response": "{}",
}  # fmt: skip
# For a column: what the values of the whole file are taken from; each list is of one type.
CHANGES: Mapping[str, list[list[Any]]] = {
    "request_id": [["a", "b", "", None], [1, 2]],
    "call_type": [["acompletion", None, "mcp_call", "aresponses"]],
    "spend": [[0.0, 0.25, 1e-7, None, 0.1 + 0.2], [0, 1, None], ["0.5", "", "no"], [float("nan"), 1e18, -1.0]],
    "total_tokens": [[9, 8, 0, None], [9.0, 8.0]],
    "prompt_tokens": [[5, 0, -1, None, 10**13], [5.0, None]],
    "startTime": [
        [DAY, None, datetime(1960, 1, 1), datetime(2025, 1, 24, 9, 20, 46, 846_123)],  # noqa: DTZ001
        ["2025-01-24 09:20:46", "2025-01-24T09:20:46Z", "yesterday", "", None],
        ["2025-01-24 09:20:46 PM", "9999-12-31T23:59:59-05:00", "9999-12-31 23:59:59", "2025-01-24 09:20:46+x"],
        [DAY, datetime(9999, 12, 31, 5), datetime(9999, 12, 30, 5), None],  # noqa: DTZ001
        [1737710446.25, None, 0.0, 20250124.0, float("nan"), float("inf")], [1737710446, 20250124, 20250124092046],
    ],
    "endTime": [["2025-01-24 09:20:47+01:00", "2025-01-24 09:20:47-05:00"], [DAY]],
    "user": [["u", "v", "", None], [7, 8]],
    "cache_hit": [[True, False, None], ["True", "None", ""]],
    "request_tags": [['["a"]', "[]", "", None, "x"], [["a"], []]],
    "metadata": [["{}", json.dumps(METADATA), json.dumps({"usage_object": USAGE}), "x", "", None, "[]"]],
    "response": [["{}", json.dumps(BODY), json.dumps(BODY | {"usage": USAGE}), "", None, '{"x": 1}', "text"]],
    "object": [["batch", None]],
    "organization_id": [["o", None]],
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.parquet")), ids=lambda path: path.name)
def test_samples_give_the_same_facts(path: Path) -> None:
    assert_same(path)


def write(folder: str, columns: Mapping[str, list[Any]]) -> Path:
    path = Path(folder, "log.parquet")
    pl.DataFrame(columns, strict=True).write_parquet(path, row_group_size=7)
    return path


@examples(30)
@given(st.data())
def test_made_tables_give_the_same_facts(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 20))
    columns = {name: [value] * rows for name, value in ORDINARY.items()}
    for name in data.draw(st.lists(st.sampled_from(sorted(CHANGES)), max_size=3, unique=True)):
        values = st.sampled_from(data.draw(st.sampled_from(CHANGES[name])))
        columns[name] = data.draw(st.lists(values, min_size=rows, max_size=rows))
    with TemporaryDirectory() as folder:
        assert_same(write(folder, columns))


def test_flat_rows_are_read_by_columns() -> None:
    columns = {name: [value] * 30 for name, value in ORDINARY.items()}
    columns["request_id"] = [f"r-{number}" for number in range(30)]
    with TemporaryDirectory() as folder:
        assert assert_same(write(folder, columns)) == 30
