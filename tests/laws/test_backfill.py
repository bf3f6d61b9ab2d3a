"""Backfill adds what is missing and nothing else: the same totals, the same bytes the second time."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.record.origin import ORIGIN
from tests.command import SAMPLES, Finished, callcost, report, write_lines
from tests.conftest import examples

LOGS = sorted(path.relative_to(SAMPLES) for path in SAMPLES.rglob("*") if path.is_file())
BY = ("--by", "provider,model,user,team,day,source_format", "--calls")
SAME = ("spend.csv", "spend.parquet", "calls.parquet")


def backfill(logs: Path, out: Path) -> Path:
    """Fill logs, and return where the copies are."""
    assert callcost("backfill", logs, "--out", out).code == 0
    return out / logs.name


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sample_logs, filled."""
    return backfill(SAMPLES, tmp_path_factory.mktemp("filled"))


def _values(path: Path) -> Iterator[Any]:
    """Yield the records of a log; a line that is none as its bytes."""
    if path.suffix == ".parquet":
        yield from pq.read_table(path).to_pylist()
        return
    data = path.read_bytes()
    if path.suffix == ".gz" and "damaged" not in path.name:
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    for line in [data] if path.suffix == ".json" else data.split(b"\n"):
        try:
            yield json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            yield line


def assert_only_added(before: Any, after: Any, place: str = "") -> None:
    """Check that everything stated before still is, and that only absent or null things are there now."""
    if before is None:
        return
    if isinstance(before, str) and before.startswith("{") and before != after:
        before, after = json.loads(before), json.loads(after)
    assert type(before) is type(after), place
    if isinstance(before, dict):
        assert before.keys() <= after.keys(), place
        for key, value in before.items():
            assert_only_added(value, after[key], f"{place}.{key}")
    elif isinstance(before, list):
        assert len(before) == len(after), place
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            assert_only_added(one, other, f"{place}[{number}]")
    else:
        assert before == after, place


@pytest.mark.parametrize("log", LOGS, ids=str)
def test_only_what_was_missing_is_added(filled: Path, log: Path) -> None:
    before, after = list(_values(SAMPLES / log)), list(_values(filled / log))
    assert len(before) == len(after)
    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        assert_only_added(one, other, f"{log}:{number + 1}")


def test_a_second_run_changes_nothing(filled: Path, tmp_path: Path) -> None:
    again = backfill(filled, tmp_path)
    for log in LOGS:
        assert (again / log).read_bytes() == (filled / log).read_bytes(), log


def test_a_filled_log_reports_the_totals_of_its_original(filled: Path, tmp_path: Path) -> None:
    one, other = report([SAMPLES], tmp_path / "one", *BY), report([filled], tmp_path / "other", *BY)
    for name in SAME:
        assert (one.out / name).read_bytes() == (other.out / name).read_bytes(), name
    assert one.records == other.records


def test_calls_without_usage_have_it_now(filled: Path) -> None:
    rows = [row for row in _values(filled / "no-usage-2025-05.jsonl") if isinstance(row, dict) and row["messages"]]
    assert all(row["usage"]["prompt_tokens"] for row in rows)
    assert {row[ORIGIN]["usage_source"] for row in rows if "usage_source" in row[ORIGIN]} == {"counted"}
    assert {row["model"] for row in rows if "total_cost" not in row[ORIGIN]} == {"acme-llm-9"}


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
USAGES = st.none() | st.fixed_dictionaries(
    {},
    optional={
        name: st.none() | st.integers(0, 5000)
        for name in ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "input_tokens")
    },
)
CALLS = st.fixed_dictionaries(
    {"model": st.sampled_from(["gpt-4o", "claude-3-5-haiku-20241022", "acme-llm-9"]), "response": TEXTS},
    optional={
        "messages": st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": TEXTS}), max_size=2),
        "usage": USAGES,
        "timestamp": st.sampled_from(["2025-05-01T08:00:00Z", 1746086400]),
        "id": st.sampled_from(["a", "b", "c"]),
        "cost": st.none() | st.sampled_from([0, 0.25]),
        "status": st.sampled_from(["success", "failure"]),
        "prompt_tokens": st.none() | st.integers(0, 9),
    },
)
PAIRS = st.fixed_dictionaries(
    {
        "request": st.fixed_dictionaries(
            {"model": st.just("gpt-4o"), "messages": CALLS.map(lambda c: c.get("messages"))}
        )
    },
    optional={
        "response": st.fixed_dictionaries(
            {"choices": TEXTS.map(lambda text: [{"message": {"role": "assistant", "content": text}}])},
            optional={"usage": USAGES},
        ),
        "endpoint": st.sampled_from(["chat", "responses", "anthropic", "gemini", "embeddings", "ollama", "cohere"]),
        "id": st.sampled_from(["a", "b"]),
    },
)


@examples(15, 200)
@given(rows=st.lists(CALLS | PAIRS, min_size=1, max_size=8), ending=st.sampled_from([b"\n", b"\r\n"]))
def test_any_log_has_the_same_totals_filled_and_stays_as_it_is_the_second_time(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], ending: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    log = folder / "log.jsonl"
    log.write_bytes(ending.join(json.dumps(row).encode() for row in rows))
    once = backfill(log, folder / "once")
    assert backfill(once, folder / "twice").read_bytes() == once.read_bytes()
    for before, after in zip(_values(log), _values(once), strict=True):
        assert_only_added(before, after)
    totals = [
        callcost("report", path, "--out", folder / f"r{n}", out=folder / f"r{n}") for n, path in enumerate((log, once))
    ]
    assert _totals(totals[0]) == _totals(totals[1])


def _totals(finished: Finished) -> Any:
    return finished.code, finished.spend, finished.records


def test_a_filled_copy_beside_its_original_is_one_call(filled: Path, tmp_path: Path) -> None:
    row = {"timestamp": "2025-05-01T08:00:00Z", "model": "gpt-4o", "messages": "Hello?", "response": "Yes."}
    log = write_lines(tmp_path / "log.jsonl", [row])
    both = report([log, backfill(log, tmp_path / "filled")], tmp_path / "both")
    assert both.records["calls"] == both.records["duplicates"] == 1
