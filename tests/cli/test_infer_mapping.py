"""`inspect --infer-mapping` drafts a mapping that `report` then reads the same log with, from JSONL, CSV or Parquet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.command import callcost, report

ROWS: list[dict[str, Any]] = [
    {"CallRef": f"c-{number}", "Engine": "gpt-4o", "In": {"toks": 1000}, "tokens_out": 100, "Caller": "ida",
     "loggedAt": "2025-07-24T11:20:46Z"}
    for number in range(4)
]  # fmt: skip
FLAT = [{key: json.dumps(value) if isinstance(value, dict) else value for key, value in row.items()} for row in ROWS]


def _write(folder: Path, suffix: str) -> Path:
    path = folder / f"gate way.{suffix}"
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif suffix == "parquet":
        pl.DataFrame(ROWS).write_parquet(path)
    else:
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(FLAT[0]))
            writer.writeheader()
            writer.writerows(FLAT)
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_drafted_mapping_reads_the_log(suffix: str, tmp_path: Path, out: Path) -> None:
    log = _write(tmp_path, suffix)
    drafted = callcost("inspect", log, "--infer-mapping")
    mapping = tmp_path / "mine.toml"
    mapping.write_text(drafted.stdout)

    done = report([log], out, "--mapping", str(mapping))

    assert drafted.code == 0
    assert done.records["calls"] == 4
    assert [(row["prompt_tokens"], row["user"]) for row in done.spend] == [("4000", "ida")]
    assert "ida" not in drafted.stdout


def test_a_log_of_a_known_dialect_needs_none(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"object": "chat.completion", "id": "chatcmpl-1", "model": "gpt-4o", "choices": []}\n')
    refused = callcost("inspect", log, "--infer-mapping")
    assert refused.code == 1
    assert "every record is in a dialect that callcost knows" in refused.stderr


def test_a_draft_that_names_no_model_is_printed_and_fails(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"shade": "blue", "heard": 4}\n')
    drafted = callcost("inspect", log, "--infer-mapping")
    assert drafted.code == 1
    assert "# model" in drafted.stdout
