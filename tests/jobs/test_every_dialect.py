"""A folder with a file of every dialect and bill, packed and plain, and with what else lies in folders, in one run."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import zstandard

from callcost.jobs.report import report_spend
from callcost.logs.bills import bill_dialects
from callcost.logs.dialects import field_readers
from callcost.settings import ReportOptions
from tests.logs.outcomes import calls_of, read_file

CASES = Path(__file__).parents[1] / "cases"
PACKERS = (None, (".gz", gzip.compress), (".zst", zstandard.ZstdCompressor().compress))
SUMS = ("prompt_tokens", "completion_tokens", "logged_cost", "total_cost")
MESSAGE = """{"role": "assistant", "modelID": "gpt-4o", "providerID": "openai", "time": {"created": 1772359200000,
 "completed": 1772359201000}, "tokens": {"input": 10, "output": 5, "reasoning": 0, "cache": {"read": 0, "write": 0}}}"""


def _files() -> dict[str, Path]:
    """Return a file with calls of each dialect that is read, the files that are refused, and of each kind of bill."""
    read = sorted(reader.dialect.name for reader in field_readers() if reader.dialect.refusal is None)
    cases = {name: sorted(CASES.glob(f"{name}/*/record.*")) for name in read}
    files = {name: next(filter(_holds_calls, paths), paths[0]) for name, paths in cases.items()}
    files |= {f"refused-{path.parent.name}": path for path in CASES.glob("refused/*/record.*")}
    return files | {f"bill-{path.parent.name}": path for path in CASES.glob("bills/*/bill.*")}


def _holds_calls(path: Path) -> bool:
    return bool(calls_of(read_file(path)))


def _report(folder: Path) -> tuple[dict[str, int], dict[str, Any], list[dict[str, Any]]]:
    manifest = report_spend(ReportOptions(logs=(str(folder),), out=str(folder.with_suffix(".out")))).manifest
    return manifest["records"], manifest["totals"], manifest["inputs"]


def test_all_of_a_folder_of_everything_is_accounted_for_and_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", [tmp_path / "part-0", tmp_path / "part-1"]
    for folder in (whole, *parts):
        folder.mkdir()
    families = {reader.dialect.name: reader.dialect.family for reader in field_readers()}
    for number, (name, path) in enumerate(sorted(_files().items())):
        suffix, pack = PACKERS[number % len(PACKERS)] or ("", bytes)
        data = pack(path.read_bytes())
        part = parts[len(families.get(name, "provider")) % len(parts)]  # files of one family may hold the same call
        for folder in (whole, part):
            (folder / f"{name}{path.suffix}{suffix}").write_bytes(data)
    for folder in (whole, parts[0]):
        (folder / "settings.json").write_text('{"theme": "dark", "model": "gpt-4o"}')
        (folder / "tides.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    with closing(sqlite3.connect(whole / "agent.db")) as store:
        store.execute("PRAGMA journal_mode = wal")
        store.executescript("CREATE TABLE session (id, directory); CREATE TABLE message (id, session_id, data TEXT)")
        store.execute("INSERT INTO message VALUES ('m', 's', ?)", [MESSAGE])
        store.commit()
        assert (whole / "agent.db-wal").stat().st_size
        for path in whole.glob("agent.db*"):
            shutil.copy(path, parts[1])
        records, totals, inputs = _report(whole)
    halves = [_report(folder) for folder in parts]

    named = {Path(entry["path"]).name.partition(".")[0]: entry for entry in inputs}
    assert _files().keys() | {"settings", "agent"} <= named.keys()
    assert {f"bill-{bill.name}" for bill in bill_dialects()} <= named.keys()
    silent = {name for name in families.keys() & named.keys() if not named[name]["calls"] + named[name]["duplicates"]}
    assert silent <= {"bedrock_converse"}  # whose bodies name no model
    for name, entry in named.items():
        kinds = ("calls", "duplicates", "rejects", "context", "fragments", "filtered")
        assert entry["records"] == sum(entry[kind] for kind in kinds), name
        assert entry["records"] or name == "tides", name
    assert named["agent"]["calls"] == 1
    assert {key: sum(half[0][key] for half in halves) for key in records} == records
    assert {key: sum(Decimal(half[1][key]) for half in halves) for key in SUMS} == {
        key: Decimal(totals[key]) for key in SUMS
    }
