"""`callcost backfill`: where copies go, what is refused, what it says."""

from __future__ import annotations

import gzip
import io
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command import SAMPLES, callcost, write_lines

CALL = {"timestamp": "2025-05-01T08:00:00Z", "model": "gpt-4o", "messages": "Hello?", "response": "Yes."}
LINE = json.dumps(CALL, separators=(",", ":")).encode()
SPEND = {
    "request_id": "r1", "call_type": "acompletion", "api_key": "", "startTime": "2025-02-06 09:30:00.000",
    "model": "gpt-4o-mini", "user": "ana", "messages": [{"role": "user", "content": "Where to?"}],
    "response": {"choices": [{"index": 0, "message": {"role": "assistant", "content": "To the office."}}]},
    "prompt_tokens": None, "completion_tokens": None, "total_tokens": None, "spend": None,
}  # fmt: skip


def _fill(log: Path, out: Path, *words: str) -> bytes:
    finished = callcost("backfill", log, "--out", out, *words)
    assert finished.code == 0, finished.stderr
    return (out / log.name).read_bytes()


def test_everything_but_the_call_stays_byte_for_byte(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    around = (b'\xef\xbb\xbf{"broken": \r\n\r\n  \t\n', b'  \r\n"text"\n{"hello":"\xff"}\r\n\x00', b"")
    log.write_bytes(around[0] + LINE + around[1])
    filled = _fill(log, tmp_path / "out")
    assert filled.startswith(around[0] + LINE[:-1] + b',"usage":{"prompt_tokens":')
    assert filled.endswith(b"}" + around[1])


@pytest.mark.parametrize(
    "text", [b"[\n  %s,\n  %s\n]\n", b"%s%s", b'{"data": [%s, %s], "has_more": false}\n', b"\n\n%s\n%s"]
)
def test_arrays_joined_objects_and_pages_are_filled_in_place(tmp_path: Path, text: bytes) -> None:
    log = tmp_path / "log.json"
    log.write_bytes(text % (LINE, LINE))
    filled = _fill(log, tmp_path / "out")
    addition = filled[filled.index(b',"usage"') : filled.index(b"}}") + 1]
    assert filled == text % (LINE[:-1] + addition + b"}", LINE[:-1] + addition + b"}")


SPAN = {
    "traceId": "7d1f", "spanId": "01", "startTimeUnixNano": "1752570000000000000",
    "attributes": [
        {"key": key, "value": {"stringValue": text}}
        for key, text in (
            ("gen_ai.operation.name", "chat"), ("gen_ai.system", "openai"), ("gen_ai.request.model", "gpt-4o"),
            ("gen_ai.prompt.0.role", "user"), ("gen_ai.prompt.0.content", "Where to?"),
            ("gen_ai.completion.0.content", "To the office."),
        )
    ],
}  # fmt: skip
OBSERVATION = {
    "id": "o1", "traceId": "t1", "type": "GENERATION", "startTime": "2025-07-15T09:00:00Z", "model": "gpt-4o",
    "usageDetails": {}, "input": "Where to?", "output": "To the office.",
}  # fmt: skip


@pytest.mark.parametrize(
    ("log", "path"),
    [
        ({"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}, ("resourceSpans", 0, "scopeSpans", 0, "spans", 0)),
        ({"data": [{"id": "t1", "observations": [OBSERVATION]}], "meta": {}}, ("data", 0, "observations", 0)),
    ],
)
def test_what_stands_in_envelopes_is_filled_where_it_stands_and_read_from_there(
    log: dict[str, Any], path: tuple[str | int, ...], tmp_path: Path
) -> None:
    (tmp_path / "log.json").write_text(json.dumps(log))
    filled: Any = json.loads(_fill(tmp_path / "log.json", tmp_path / "out"))
    for key in path:
        filled = filled[key]
    mark = filled.pop("callcost")
    assert filled in (SPAN, OBSERVATION)
    found = json.loads(callcost("inspect", tmp_path / "out" / "log.json", "--format", "json").stdout)
    assert found["usage"] == {"reported": 1}
    assert mark["usage"]["completion_tokens"] == 4


def test_compression_stays(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl.gz"
    log.write_bytes(gzip.compress(LINE + b"\n") + gzip.compress(LINE))
    filled = gzip.decompress(_fill(log, tmp_path / "out"))
    assert [json.loads(line)["usage"]["completion_tokens"] for line in filled.split(b"\n")] == [3, 3]


def test_a_null_cost_is_filled_in_its_own_field_and_is_not_taken_for_a_logged_one(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [SPEND])
    row = json.loads(_fill(log, tmp_path / "out"))
    assert row["spend"] > 0
    assert row["callcost"]["cost_in"] == "spend"
    assert row["prompt_tokens"] == row["total_tokens"] - row["completion_tokens"]
    assert row["response"]["usage"] == {name: row[name] for name in row["response"]["usage"]}
    for name, path in (("one", log), ("other", tmp_path / "out" / log.name)):
        finished = callcost("report", path, "--out", tmp_path / name, out=tmp_path / name)
        assert finished.spend[0]["logged_calls"] == "0"


def test_json_columns_kept_as_text_are_filled_inside_the_text(tmp_path: Path) -> None:
    metadata = json.dumps({"usage_object": None, "note": "é\n"})
    log = write_lines(tmp_path / "log.jsonl", [{**SPEND, "metadata": metadata}])
    row = json.loads(_fill(log, tmp_path / "out"))
    assert json.loads(row["metadata"])["usage_object"]["completion_tokens"] > 0


def test_parquet_keeps_schema_and_row_groups_and_gains_one_column(tmp_path: Path) -> None:
    types: dict[str, pa.DataType] = {
        "prompt_tokens": pa.int32(),
        "completion_tokens": pa.int64(),
        "total_tokens": pa.float64(),
        "spend": pa.float64(),
    }
    schema = pa.schema([(name, types.get(name, pa.string())) for name in SPEND])
    texts = {name: json.dumps(SPEND[name]) for name in ("messages", "response")}
    rows = [{**SPEND, **texts, "request_id": f"r{n}", "spend": None if n else 0.5} for n in range(5)]
    log = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema), log, row_group_size=2, compression="zstd")
    _fill(log, tmp_path / "out")
    filled = pq.ParquetFile(tmp_path / "out/rows.parquet")
    assert filled.schema_arrow.names == [*schema.names, "callcost"]
    assert [filled.schema_arrow.field(name).type for name in schema.names] == schema.types
    assert [filled.metadata.row_group(n).num_rows for n in range(3)] == [2, 2, 1]
    assert filled.metadata.row_group(0).column(0).compression == "ZSTD"
    table = filled.read().to_pylist()
    assert all(row["prompt_tokens"] and row["total_tokens"] for row in table)
    assert [row["spend"] for row in table] == [0.5, *[table[1]["spend"]] * 4]
    assert [row["callcost"]["cost_in"] for row in table] == [None, *["spend"] * 4]
    assert _fill(tmp_path / "out/rows.parquet", tmp_path / "again") == (tmp_path / "out/rows.parquet").read_bytes()


def test_a_log_that_lacks_nothing_or_cannot_be_read_is_copied(tmp_path: Path) -> None:
    for name in ("damaged-2025-11.jsonl.gz", "openai/chat-stream-2024-08.jsonl"):
        assert _fill(SAMPLES / name, tmp_path / "out") == (SAMPLES / name).read_bytes()


def test_what_cannot_be_filled_is_named(tmp_path: Path) -> None:
    """A CSV, a damaged log, a table with a column of that name; a stream's call is left, as no one line holds it."""
    csv = tmp_path / "logs/calls.csv"
    chunks = [
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "model": "gpt-4o",
            "created": 1746086400,
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
        }
        for text in ("He", "y")
    ]
    write_lines(tmp_path / "logs/stream.jsonl", [*chunks, CALL])
    csv.write_text("model,messages,response,timestamp\ngpt-4o,Hello?,Yes.,2025-05-01T08:00:00Z\n", encoding="utf-8")
    pq.write_table(pa.table({"model": ["gpt-4o"], "callcost": [7]}), tmp_path / "logs/own.parquet")
    shutil.copy(SAMPLES / "damaged-2025-11.jsonl.gz", tmp_path / "logs")

    finished = callcost("backfill", tmp_path / "logs", "--out", tmp_path / "out")

    said = finished.stderr.splitlines()
    assert "logs/calls.csv: copied as it is: a CSV has no place for what is missing" in said
    assert "logs/damaged-2025-11.jsonl.gz: copied as it is: it is damaged" in said
    assert any(line.startswith("logs/own.parquet: copied as it is: ") for line in said)
    assert any(line.startswith("logs/stream.jsonl: 1 records") and line.endswith("1 left as they are") for line in said)
    inputs = json.loads((tmp_path / "out/.callcost-backfill.json").read_bytes())["inputs"]
    assert {row["path"].split("/")[-1] for row in inputs if row["kept"]} == {
        "calls.csv", "damaged-2025-11.jsonl.gz", "own.parquet",
    }  # fmt: skip
    for name in ("calls.csv", "own.parquet", "damaged-2025-11.jsonl.gz"):
        assert (tmp_path / "out/logs" / name).read_bytes() == (tmp_path / "logs" / name).read_bytes()


def test_a_dry_run_writes_nothing_and_says_what_would_be_added(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [CALL])
    before = sorted(tmp_path.rglob("*"))
    finished = callcost("backfill", log, "--dry-run", "--format", "json")
    assert finished.code == 0
    totals = json.loads(finished.stdout)["totals"]
    assert (totals["records"], totals["usage"], totals["completion_tokens"]) == (1, 1, 3)
    assert Decimal(totals["added_cost"]) > 0
    assert sorted(tmp_path.rglob("*")) == before
    assert "1 records, 1 with usage" in callcost("backfill", log, "--dry-run").stdout


def test_a_copy_never_takes_the_place_of_its_original(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [CALL])
    finished = callcost("backfill", log, "--out", tmp_path)
    assert finished.code == 2
    assert "would overwrite" in finished.stderr
    assert callcost("backfill", log).code == 2
    assert log.read_bytes() == json.dumps(CALL).encode() + b"\n"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [CALL])
    (tmp_path / "file").touch()
    finished = callcost("backfill", log, "--out", tmp_path / "file/below")
    assert finished.code == 1
    assert "cannot write" in finished.stderr


def test_workers_write_the_same_copies(tmp_path: Path) -> None:
    one = callcost("backfill", SAMPLES, "--out", tmp_path / "one")
    env = {"CALLCOST_INLINE_BYTES": "0"}
    other = callcost("backfill", SAMPLES, "--out", tmp_path / "two", "--workers", "2", env=env)
    assert (one.code, other.code) == (0, 0)
    for path in (path for path in (tmp_path / "one").rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


class Failing(io.RawIOBase):
    """A file whose disk fails after some bytes."""

    def __init__(self, good: bytes) -> None:
        self._good = io.BytesIO(good)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        read = self._good.readinto(target)
        if not read:
            raise OSError(5, "Input/output error")
        return read

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._good.seek(offset, whence)

    def tell(self) -> int:
        return self._good.tell()


@pytest.mark.parametrize("good", [0, 1, 100])
def test_a_log_that_cannot_be_read_is_left_out_and_the_others_are_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: int
) -> None:
    """Whether it cannot be opened or its disk fails later: nothing half-written stays, and no folder is blamed."""
    row = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Well?"}], "response": "Fine."}
    first, second = write_lines(tmp_path / "logs/a.jsonl", [row] * 3), write_lines(tmp_path / "logs/b.jsonl", [row])
    opened = io.open

    def open_input(path: str) -> Any:
        if Path(path) != first:
            return opened(path, "rb")
        if not good:
            raise PermissionError(13, "Permission denied", path)
        return io.BufferedReader(Failing(first.read_bytes()[:good]), 16)

    for module in ("callcost.jobs.backfill", "callcost.logs.io.inputs", "callcost.stages.read.splits"):
        monkeypatch.setattr(f"{module}.open_input", open_input)
    done = callcost("backfill", tmp_path / "logs", "--out", tmp_path / "out", "--workers", "1")
    reason = "Input/output error" if good else "Permission denied"
    assert done.code == 0, done.stderr
    assert f"logs/a.jsonl: left out, it cannot be read: {reason}" in done.stderr
    assert not list((tmp_path / "out").rglob("a.jsonl*"))
    filled = json.loads((tmp_path / "out/logs/b.jsonl").read_text(encoding="utf-8"))
    assert filled["callcost"]["usage_source"] == "counted"

    alone = callcost("backfill", first, "--out", tmp_path / "out", "--format", "json", "--workers", "1")
    assert alone.code == 1
    assert json.loads(alone.stdout)["inputs"][0]["left_out"] == reason
    assert second.exists()
