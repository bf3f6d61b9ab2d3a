"""Cutting inputs into pieces changes nothing: rows, offsets and results are those of the whole file."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.errors import ConfigError
from callcost.jobs.report import report_spend
from callcost.logs.io.inputs import find_inputs
from callcost.settings import ReadOptions, ReportOptions
from callcost.stages.read import splits as pieces
from callcost.stages.read.splits import cut_inputs, survey


def line_of(number: int) -> str:
    if number % 7 == 3:
        return '{"broken": '
    if number % 11 == 5:
        return ""
    usage = {"prompt_tokens": number, "completion_tokens": 1}
    record = {"model": "gpt-4o", "user": f"u{number % 3}", "messages": [], "usage": usage, "id": f"call-{number}"}
    return json.dumps(record)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(line_of(number) for number in range(300)))
    return path


@pytest.mark.parametrize("size", [64, 1_000, 5_000])
def test_a_cut_file_gives_the_report_of_the_whole(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    report_spend(ReportOptions(logs=(str(log),), out=str(whole), calls=True))
    monkeypatch.setattr(pieces, "PIECE_BYTES", size)
    assert len(cut_inputs(find_inputs([str(log)]))) > 2
    report_spend(ReportOptions(logs=(str(log),), out=str(cut), calls=True))
    for name in ("spend.csv", "spend.parquet", "rejects.parquet", "calls.parquet"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name
    documents = [json.loads((out / "manifest.json").read_text()) for out in (whole, cut)]
    assert documents[0]["inputs"] == documents[1]["inputs"]


def test_a_cut_parquet_file_gives_the_report_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"model": "gpt-4o", "prompt_tokens": n, "completion_tokens": 1, "id": f"c{n}"} for n in range(1_000)]
    usages = [{"model": r["model"], "id": r["id"], "messages": "[]", "usage": json.dumps(r)} for r in rows]
    log, reports = tmp_path / "calls.parquet", []
    pl.DataFrame(usages).write_parquet(log, row_group_size=100)
    for size in (1 << 25, 100):
        monkeypatch.setattr(pieces, "PIECE_BYTES", size)
        reports.append(report_spend(ReportOptions(logs=(str(log),), out=str(tmp_path / str(size)), calls=True)))
    tables = [pl.read_parquet(tmp_path / str(size) / "calls.parquet") for size in (1 << 25, 100)]
    assert tables[0].equals(tables[1])
    assert sorted(tables[1]["source_row"]) == list(range(1, 1_001))
    assert reports[0].manifest["inputs"] == reports[1].manifest["inputs"]


def test_rows_of_chunks_are_never_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": []}
    log = tmp_path / "stream.jsonl"
    log.write_text("\n".join([json.dumps(chunk)] * 50))
    monkeypatch.setattr(pieces, "PIECE_BYTES", 100)
    assert [piece.whole for piece in cut_inputs(find_inputs([str(log)]))] == [True]


def codex_session(name: str, calls: int) -> list[dict[str, Any]]:
    counts = [{"input_tokens": 100 * n, "output_tokens": n, "total_tokens": 101 * n} for n in range(1, calls + 1)]
    events = [{"type": "token_count", "info": {"total_token_usage": sums}} for sums in counts]
    return [
        {"type": "session_meta", "timestamp": "2026-01-01T10:00:00Z", "payload": {"id": name}},
        {"type": "turn_context", "timestamp": "2026-01-01T10:00:00Z", "payload": {"model": "gpt-5"}},
        *({"type": "event_msg", "timestamp": "2026-01-01T10:00:09Z", "payload": event} for event in events),
    ]


@pytest.mark.parametrize("before", [0, 60, 300])
def test_lines_that_lean_on_earlier_ones_give_the_same_wherever_a_cut_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    log, reports = tmp_path / "joined.jsonl", []
    others = [line_of(number) for number in range(before)]
    log.write_text("\n".join([*others, *map(json.dumps, codex_session("s-1", 40) + codex_session("s-2", 40))]))
    for size in (1 << 25, 2_000, 500):
        monkeypatch.setattr(pieces, "PIECE_BYTES", size)
        reports.append(report_spend(ReportOptions(logs=(str(log),), out=str(tmp_path / str(size)), calls=True)))
    tables = [pl.read_parquet(tmp_path / str(size) / "calls.parquet") for size in (1 << 25, 2_000, 500)]
    codex = tables[0].filter(pl.col("source_format") == "codex")
    assert codex.group_by("session").agg(pl.col("prompt_tokens").sum()).sort("session").rows() == [
        ("s-1", 4_000), ("s-2", 4_000),
    ]  # fmt: skip
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_rows_of_a_table_that_lean_on_earlier_ones_are_never_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "rollout.parquet"
    rows = [row | {"payload": json.dumps(row["payload"])} for row in codex_session("s-1", 40)]
    pl.DataFrame(rows).with_columns(pl.col("payload").str.json_decode(pl.Struct({"type": pl.String}))).write_parquet(
        log, row_group_size=4
    )
    monkeypatch.setattr(pieces, "PIECE_BYTES", 100)
    assert [piece.whole for piece in cut_inputs(find_inputs([str(log)]))] == [True]


@pytest.mark.parametrize("data", [b"", b"\n", b"a\nb\nc", b"a\n\n\nb\n", b"abc"])
def test_a_survey_counts_the_lines_that_begin_before_an_offset(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    offsets = list(range(1, len(data) + 1))
    begins = [0, *(n + 1 for n, byte in enumerate(data) if byte == 10)]
    found = survey(str(path), offsets)
    assert found.sha256 == sha256(data).hexdigest()
    assert list(found.rows_before) == [sum(begin < offset for begin in begins) for offset in offsets]


def test_a_wrong_mapping_is_said_also_where_no_record_is(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    options = ReportOptions(logs=tmp_path, read=ReadOptions(mapping=tmp_path / "none.toml"))
    with pytest.raises(ConfigError):
        report_spend(options)
