"""The whole report of sample_logs, compared with one that a person has read.

On failure the actual files lie in tests/golden/actual; after reading the difference, copy them over expected/.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.prices.book.catalog import load_catalog
from tests.command import SAMPLES, Finished, report

HERE = Path(__file__).parent
NEWEST = "the newest version"  # which prices calls without a time, and has another name from day to day


def _table(path: Path) -> str:
    """Write a Parquet file as text: its schema, then a line per row without what is null."""
    table = pl.read_parquet(path)
    lines = [json.dumps({name: str(kind) for name, kind in table.schema.items()})]
    lines += [json.dumps(_stated(row), default=str, ensure_ascii=False) for row in table.to_dicts()]
    return "\n".join(lines).replace(load_catalog().newest.name, NEWEST) + "\n"


def _stated(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _manifest(finished: Finished) -> str:
    newest = load_catalog().newest
    used = [{**row, "sha256": ""} if row["name"] == newest.name else row for row in finished.what["price_versions"]]
    used.sort(key=lambda row: not row["sha256"])
    what = {**finished.what, "callcost": {}, "price_versions": used}
    text = json.dumps(what, indent=1, sort_keys=True, ensure_ascii=False)
    return text.replace(newest.name, NEWEST) + "\n"


GOLDEN: dict[str, Callable[[Finished], str]] = {
    "spend.csv": lambda finished: (finished.out / "spend.csv").read_bytes().decode(),
    "spend.parquet.txt": lambda finished: _table(finished.out / "spend.parquet"),
    "calls.parquet.txt": lambda finished: _table(finished.out / "calls.parquet"),
    "rejects.parquet.txt": lambda finished: _table(finished.out / "rejects.parquet"),
    "manifest.json": _manifest,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_report_of_the_samples_is_the_one_that_was_read(sample_report: Finished, name: str) -> None:
    actual = GOLDEN[name](sample_report)
    expected = HERE / "expected" / name
    if not expected.exists() or expected.read_bytes() != actual.encode():
        (HERE / "actual").mkdir(exist_ok=True)
        (HERE / "actual" / name).write_bytes(actual.encode())
    assert actual.splitlines() == expected.read_text(encoding="utf-8").splitlines()
    assert actual.encode() == expected.read_bytes()


@pytest.fixture(scope="module")
def report_by_columns(columns_for_all: None, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The report of sample_logs with each file read as a large one is."""
    out = tmp_path_factory.mktemp("columns") / "reports"
    return report([SAMPLES], out, "--calls", "--format", "parquet,csv,json", "--workers", "1")


@pytest.mark.parametrize("name", GOLDEN)
def test_the_samples_read_by_columns_have_the_same_report(report_by_columns: Finished, name: str) -> None:
    expected = (HERE / "expected" / name).read_text(encoding="utf-8")
    assert GOLDEN[name](report_by_columns).splitlines() == expected.splitlines()


@pytest.fixture(scope="module")
def report_scanned(scanned_for_all: None, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The report of sample_logs with each file scanned, where the scanner is installed."""
    out = tmp_path_factory.mktemp("scanned") / "reports"
    return report([SAMPLES], out, "--calls", "--format", "parquet,csv,json", "--workers", "1")


@pytest.mark.parametrize("name", GOLDEN)
def test_the_samples_scanned_have_the_same_report(report_scanned: Finished, name: str) -> None:
    expected = (HERE / "expected" / name).read_text(encoding="utf-8")
    assert GOLDEN[name](report_scanned).splitlines() == expected.splitlines()
