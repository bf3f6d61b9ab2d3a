"""calls.parquet: classes of cost, copies that were left out, tags as a map, and hashes where there is a key alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command import callcost, report, write_lines

MESSAGES = [{"role": "system", "content": "canary system"}, {"role": "user", "content": "canary user"}]


def row(name: str, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 300_000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 100_000}}
    return {"id": name, "model": "gemini-2.5-pro", "timestamp": "2025-09-01T00:00:00Z", "usage": usage, **more}


def test_a_long_context_and_copies_are_told(tmp_path: Path) -> None:
    logs = [write_lines(tmp_path / name, [row("a"), row("b")]) for name in ("one.jsonl", "two.jsonl")]
    logs.append(write_lines(tmp_path / "three.jsonl", [row("a")]))
    first = report(logs, tmp_path / "out", "--calls")
    calls = pl.read_parquet(first.out / "calls.parquet").sort("call_id")
    assert calls["duplicates"].to_list() == [2, 1]
    assert calls["duplicates"].sum() == first.records["duplicates"]
    costs = calls.row(0, named=True)
    parts = ("uncached_input_cost", "cache_read_cost", "visible_output_cost")
    assert sum(costs[name] for name in parts) == costs["total_cost"]
    assert 0 < costs["long_context_cost"] < costs["total_cost"]
    again = report([first.out], tmp_path / "again", "--calls")
    assert (again.out / "calls.parquet").read_bytes() == (first.out / "calls.parquet").read_bytes()


def test_tags_are_a_map(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [row("a", tags={"env": "prod"}), row("b")])
    report([log], tmp_path / "out", "--calls")
    kind = pq.read_schema(tmp_path / "out" / "calls.parquet").field("tags").type
    assert pa.types.is_map(kind)
    shown = callcost("report", tmp_path / "out", "--by", "tag:env", "--out", "-").stdout
    assert [line.split(",")[0] for line in shown.splitlines()[1:]] == ["prod", ""]


def test_hashes_need_a_key_and_nobody_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write_lines(
        tmp_path / "log.jsonl",
        [row("a", messages=MESSAGES), row("b", messages=MESSAGES), row("c", messages=MESSAGES[1:]), row("d")],
    )
    plain = report([log], tmp_path / "plain", "--calls")
    assert not any(name.endswith("_hash") for name in pl.read_parquet(plain.out / "calls.parquet").columns)
    monkeypatch.setenv("CALLCOST_FINGERPRINT_KEY", "canary key")
    keyed = report([log], tmp_path / "keyed", "--calls")
    calls = pl.read_parquet(keyed.out / "calls.parquet").sort("call_id")
    assert calls["system_hash"].is_null().to_list() == [False, False, True, True]
    assert calls["system_hash"].n_unique() == calls["first_turn_hash"].n_unique() == 2
    assert calls["first_turn_hash"].is_null().to_list() == [False, False, False, True]
    assert len(keyed.manifest["options"]["read"]["fingerprint_key"]) == 8
    written = b"".join(path.read_bytes() for path in keyed.out.iterdir())
    assert b"canary" not in written
    assert keyed.spend == plain.spend
    state = report([log], tmp_path / "nightly", "--state", tmp_path / "state")
    day = pl.read_parquet(next(state.out.glob("day=*/calls.parquet"))).sort("call_id")
    assert day.equals(calls)
    monkeypatch.delenv("CALLCOST_FINGERPRINT_KEY")
    again = report([keyed.out], tmp_path / "again", "--calls")
    assert (again.out / "calls.parquet").read_bytes() == (keyed.out / "calls.parquet").read_bytes()
    assert again.what == keyed.what
    found = callcost("query", keyed.out, "SELECT COUNT(DISTINCT system_hash) AS n FROM calls", "--format", "csv")
    assert found.stdout.split() == ["n", "1"]
