"""What callcost writes and shows, output by output: texts, tools and their ids of every dialect's logs are in none."""

from __future__ import annotations

import gzip
import json
import os
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from callcost.jobs.report import report_spend
from callcost.settings import ReportOptions
from tests.command import SAMPLES, callcost
from tests.jobs.test_agents import CANARY, PLANTS

TEXTS = {
    "messages", "input", "output", "content", "contents", "parts", "text", "choices", "tools", "functions", "prompt",
    "tool_calls", "instructions", "system", "query", "note", "summary", "arguments", "error_str", "traceback",
}  # fmt: skip
KEPT = {"role", "type", "model", "object", "status", "finish_reason", "stop_reason", "stop_sequence"}  # beside them
RUNS: dict[str, tuple[str, ...]] = {
    "report": ("report", "LOGS", "--out", "OUT", "--calls", "--format",
               "parquet,csv,json,markdown,html,xlsx,focus-1.2,focus-1.4,corrections-litellm,corrections-langfuse"),
    "terminal": ("report", "REPORT", "--by", "model,user,tag:env,session"),
    "events": ("report", "REPORT", "--log-format", "json", "--max-cost", "0.01"),
    "csv": ("report", "REPORT", "--out", "-", "--format", "csv"),
    "json": ("report", "REPORT", "--out", "-", "--format", "json"),
    "markdown": ("report", "REPORT", "--out", "-", "--format", "markdown"),
    "strict": ("report", "REPORT", "--strict", "--max-rejected", "0"),
    "work dir": ("report", "LOGS", "--out", "OUT/out", "--work-dir", "OUT/work"),
    "nightly": ("report", "LOGS/no-usage-2025-05.jsonl", "LOGS/litellm", "--state", "OUT/state", "--out", "OUT/days",
                "--metrics", "OUT/callcost.prom"),
    "close": ("close", "2025-05-01", "--state", "NIGHTLY/state"),
    "nightly again": ("report", "LOGS/no-usage-2025-05.jsonl", "--state", "NIGHTLY/state", "--out", "NIGHTLY/days",
                      "--corrections", "none"),
    "plan": ("report", "LOGS", "--state", "NIGHTLY/state", "--out", "NIGHTLY/days", "--plan"),
    "status": ("status", "NIGHTLY/state"),
    "status json": ("status", "NIGHTLY/state", "--json"),
    "report of reports": ("report", "REPORT", "REPORT", "--out", "OUT", "--calls", "--format", "json"),
    "query": ("query", "LOGS", "SELECT * FROM calls"),
    "query csv": ("query", "REPORT", "SELECT * FROM calls", "--format", "csv"),
    "query charges": ("query", "REPORT", "SELECT * FROM charges", "--format", "json"),
    "query rejects": ("query", "REPORT", "SELECT * FROM rejects", "--format", "markdown"),
    "query parquet": ("query", "REPORT", "SELECT * FROM calls", "--format", "parquet", "--out", "OUT/calls.parquet"),
    "query xlsx": ("query", "REPORT", "SELECT * FROM spend", "--format", "xlsx", "--out", "OUT/spend.xlsx"),
    "query error": ("query", "REPORT", "SELECT CAST(call_id AS INTEGER) FROM nothing"),
    "compare": ("compare", "REPORT", "2025-01..2025-04", "2025-04..2025-12"),
    "compare json": ("compare", "REPORT", "--period", "month", "--format", "json"),
    "what-if": ("what-if", "LOGS", "--model", "*=gpt-4o-mini"),
    "what-if report": ("what-if", "REPORT", "--model", "*=claude-haiku-4-5", "--format", "csv"),
    "suggest": ("what-if", "REPORT", "--suggest"),
    "reconcile": ("reconcile", "LOGS", "--out", "OUT", "--format", "parquet,csv,html,xlsx"),
    "inspect": ("inspect", "LOGS", "--calibrate"),
    "backfilled": ("backfill", "LOGS", "--out", "OUT"),
    "prices diff": ("prices", "diff", "--logs", "LOGS", "2025-01-01", "2025-06-01"),
    "agents": ("agents", "--by", "session,project"),
    "agents json": ("agents", "--json"),
    "no option": ("report", "LOGS", "--by", "kind"),
}  # fmt: skip


def mark(value: Any, *, told: bool = False) -> Any:
    """Put the canary into every string that is text of a conversation, a tool or an id in them, at any depth."""
    if isinstance(value, dict):
        return {
            key: [{"role": "user", "content": CANARY}] if key == "messages" and not item
            else item if told and key in KEPT else mark(item, told=told or key in TEXTS or is_answer(key, item))
            for key, item in value.items()
        }  # fmt: skip
    if isinstance(value, list):
        return [mark(item, told=told) for item in value]
    if not isinstance(value, str):
        return value
    if value[:1] in {"{", "["}:
        return json.dumps(mark(json.loads(value), told=told))
    return f"{CANARY}{value}" if told else value


def is_answer(key: str, item: Any) -> bool:
    return key in {"response", "request"} and isinstance(item, str) and item[:1] not in {"{", "["}


def mark_lines(data: bytes) -> bytes:
    lines = []
    for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        try:
            lines.append(json.dumps(mark(json.loads(line)), ensure_ascii=False).encode())
        except (ValueError, RecursionError):
            lines.append(line + CANARY.encode() if line.strip() else line)
    return b"\n".join(lines)


def mark_samples(folder: Path) -> Path:
    """Write the sample logs anew with canaries in all of them."""
    for path in sorted(path for path in SAMPLES.rglob("*") if path.is_file()):
        made = folder / path.relative_to(SAMPLES)
        made.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            for name in ("messages", "response"):
                told = [json.dumps([{"role": "user", "content": CANARY}])] * table.num_rows
                table = table.set_column(table.schema.get_field_index(name), name, pa.array(told))
            pq.write_table(table, made)
        elif path.suffix == ".json":
            made.write_text(json.dumps(mark(json.loads(data))), encoding="utf-8")
        elif path.suffix == ".yaml":
            made.write_bytes(data.replace(b'"content":"', f'"content":"{CANARY} '.encode()))
        elif path.suffix == ".zst":
            made.write_bytes(zstandard.compress(mark_lines(zstandard.ZstdDecompressor().stream_reader(data).read())))
        elif path.suffix == ".gz" and "damaged" not in path.name:
            made.write_bytes(gzip.compress(mark_lines(gzip.decompress(data))))
        else:
            made.write_bytes(mark_lines(data) if path.suffix == ".jsonl" else data)
        os.utime(made, (1_700_000_000, 1_700_000_000))  # of a log that is younger, the cache keeps nothing
    return folder


def text_of(path: Path) -> str:
    """Return what a file holds, unpacked."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pydict())
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as book:
            return "".join(book.read(name).decode() for name in book.namelist())
    return data.decode("utf-8", "replace")


def read_files(folder: Path, *, hidden_only: bool) -> Iterator[tuple[str, str]]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.stat().st_size and (path.name.startswith(".") or not hidden_only):
            yield str(path.relative_to(folder)), text_of(path)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Run -> output -> what it holds: all that the commands print and write over logs full of canaries."""
    folder = tmp_path_factory.mktemp("outputs")
    logs = mark_samples(folder / "logs")
    places = {"LOGS": logs, "REPORT": folder / "report", "NIGHTLY": folder / "nightly"}
    found: dict[str, dict[str, str]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CALLCOST_NO_CACHE")
        patch.setenv("CALLCOST_CACHE_DIR", str(folder / "cache"))
        patch.setenv("HOME", str(folder / "home"))
        for name, plant in PLANTS.items():
            plant(folder / "home" / name)
        for name, words in RUNS.items():
            ran = callcost(*(_placed(word, places | {"OUT": folder / name}) for word in words))
            found[name] = {"stdout": ran.stdout, "stderr": ran.stderr}
        calls = pl.read_parquet(folder / "report/calls.parquet")
        for dialect, call in calls.group_by("source_format").agg(pl.col("call_id").first()).iter_rows():
            ran = callcost("explain", logs, "--call", call)
            found[f"explain {dialect}"] = {"stdout": ran.stdout, "stderr": ran.stderr}
        made = report_spend(ReportOptions(logs=folder / "report"))
        found["python"] = {"repr": repr(made), "notebook": made._repr_html_(), "page": made.to_html()}
        patch.setattr("callcost.stages.tasks.gather_calls", _fail)
        try:
            callcost("report", logs, "--no-cache")
        except RuntimeError:
            found["failure"] = {"traceback": traceback.format_exc()}
    for name in (*RUNS, "cache"):
        found[name] = found.get(name, {}) | dict(read_files(folder / name, hidden_only=name == "backfilled"))
    return {name: {output: text for output, text in each.items() if text} for name, each in found.items()}


def _fail(*_: object) -> None:
    raise RuntimeError


def _placed(word: str, places: dict[str, Path]) -> str:
    first, slash, rest = word.partition("/")
    return f"{places[first]}{slash}{rest}" if first in places else word


@pytest.mark.parametrize("name", [*RUNS, "explain", "cache", "python", "failure"])
def test_no_text_of_a_log_is_in_what_is_written_or_shown(name: str, outputs: dict[str, dict[str, str]]) -> None:
    runs = [each for run, each in outputs.items() if run == name or (name == "explain" and run.startswith(name))]
    assert all(runs)
    assert [output for each in runs for output, text in each.items() if CANARY in text.lower()] == []


def test_these_are_sixty_outputs_and_more_and_canaries_would_be_found(
    outputs: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    assert sum(map(len, outputs.values())) >= 60
    assert len([name for name in outputs if name.startswith("explain ")]) >= 8
    plain = [path for path in mark_samples(tmp_path).rglob("*.*") if path.suffix not in {".gz", ".zst", ".csv"}]
    texts = [text_of(path) for path in plain]
    assert len(texts) > 10
    assert all(CANARY in text for text in texts)
