"""Rows of Parquet are the calls that the same records are as JSON, whatever a column's maps became."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from callcost.logs.io.inputs import find_inputs
from callcost.settings import ReadOptions
from callcost.stages.read.splits import cut_inputs
from callcost.stages.read.windows import read_windows
from callcost.tables import Call

ATTRIBUTES = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": "120", "gen_ai.usage.output_tokens": "8", "gen_ai.usage.cache_read.input_tokens": "64",
}  # fmt: skip
IDS = {"trace_id": "t1", "span_id": "s1", "start_time": "2025-07-15T09:00:00Z"}
MAP = pa.map_(pa.string(), pa.string())
SPANS: dict[str, dict[str, tuple[Any, pa.DataType | None]]] = {
    "a map": {"attributes": (list(ATTRIBUTES.items()), MAP)},
    "a struct": {"attributes": ({"gen_ai.request.seed": None} | ATTRIBUTES, None)},
    "text": {"attributes": (json.dumps(ATTRIBUTES), None)},
    "columns": {f"attributes.{name}": (value, None) for name, value in ATTRIBUTES.items()},
    "bare columns": {name: (value, None) for name, value in ATTRIBUTES.items()},
}
COUNTS = {"input": 56, "input_cached_tokens": 64, "output": 8, "total": 128}
OBSERVATION = {
    "id": "o1", "trace_id": "t1", "type": "GENERATION", "provided_model_name": "gpt-4o",
    "start_time": "2025-07-15 09:00:00.000",
}  # fmt: skip
OBSERVATIONS: dict[str, dict[str, tuple[Any, pa.DataType | None]]] = {
    "a map": {"usage_details": (list(COUNTS.items()), pa.map_(pa.string(), pa.int64()))},
    "a struct": {"usage_details": (COUNTS | {"output_audio": None}, None)},
    "text": {"usage_details": (json.dumps(COUNTS), None)},
}


def read_row(path: Path, columns: dict[str, tuple[Any, pa.DataType | None]]) -> Call:
    table = pa.table({name: pa.array([value], kind) for name, (value, kind) in columns.items()})
    pq.write_table(table, path)
    (piece,) = cut_inputs(find_inputs([str(path)]))
    (window,) = read_windows(piece, ReadOptions())
    (call,) = window.calls
    return call


@pytest.mark.parametrize("form", SPANS)
def test_a_span_reads_the_same_from_any_column(form: str, tmp_path: Path) -> None:
    ids: dict[str, tuple[Any, pa.DataType | None]] = {name: (value, None) for name, value in IDS.items()}
    call = read_row(tmp_path / "spans.parquet", ids | SPANS[form])
    assert (call.source_format, call.model, call.duplicate_id) == ("otel", "gpt-4o", "s1 t1")
    assert call.usage is not None
    assert (call.usage.prompt_tokens, call.usage.cache_read_input_tokens, call.usage.completion_tokens) == (120, 64, 8)


@pytest.mark.parametrize("form", OBSERVATIONS)
def test_an_observation_reads_the_same_from_any_column(form: str, tmp_path: Path) -> None:
    plain: dict[str, tuple[Any, pa.DataType | None]] = {name: (value, None) for name, value in OBSERVATION.items()}
    call = read_row(tmp_path / "observations.parquet", plain | OBSERVATIONS[form])
    assert (call.source_format, call.model, call.duplicate_id) == ("langfuse", "gpt-4o", "o1 t1")
    assert call.usage is not None
    assert (call.usage.prompt_tokens, call.usage.cache_read_input_tokens, call.usage.completion_tokens) == (120, 64, 8)


def test_a_time_of_parquet_is_the_span_s_time(tmp_path: Path) -> None:
    columns: dict[str, tuple[Any, pa.DataType | None]] = {name: (value, None) for name, value in IDS.items()}
    began = {"start_time": (1_752_570_000_000_000_000, pa.timestamp("ns", "UTC"))}
    assert read_row(tmp_path / "spans.parquet", columns | began | SPANS["a map"]).started_at == 1_752_570_000_000_000
