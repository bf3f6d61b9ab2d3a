"""Same input and options, same bytes: in another process, with other workers, from another place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import SAMPLES, Finished, callcost, report

SAME = ("spend.csv", "spend.parquet", "spend.json", "calls.parquet", "rejects.parquet")
EVERYTHING = ("--calls", "--format", "parquet,csv,json")


def assert_same(one: Finished, other: Finished) -> None:
    for name in SAME:
        assert (one.out / name).read_bytes() == (other.out / name).read_bytes(), name
    assert one.what == other.what


def test_a_second_run_writes_the_same_bytes(sample_report: Finished, out: Path) -> None:
    assert_same(sample_report, report([SAMPLES], out, *EVERYTHING, apart=True))


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_writes_the_same_bytes(sample_report: Finished, out: Path, workers: int) -> None:
    assert_same(sample_report, report([SAMPLES], out, *EVERYTHING, "--workers", str(workers), pool=True))


def test_threads_write_the_same_bytes(sample_report: Finished, out: Path) -> None:
    assert_same(sample_report, report([SAMPLES], out, *EVERYTHING, "--threads", "2", "--workers", "1"))


def test_a_second_run_into_the_same_folder_writes_the_same_bytes(sample_report: Finished, out: Path) -> None:
    report([SAMPLES], out, *EVERYTHING)
    assert_same(sample_report, report([SAMPLES], out, *EVERYTHING))


def test_a_relative_path_from_another_folder_writes_the_same_bytes(sample_report: Finished, out: Path) -> None:
    again = callcost("report", "sample_logs", "--out", out, *EVERYTHING, out=out, cwd=SAMPLES.parent)
    assert again.code == 0
    assert_same(sample_report, again)


def test_the_order_of_the_arguments_changes_no_total(out: Path, tmp_path: Path) -> None:
    names = [
        SAMPLES / "openai",
        SAMPLES / "litellm",
        SAMPLES / "mixed-2025-12.jsonl",
        SAMPLES / "awkward-2025-11.jsonl",
    ]
    one = report(names, out)
    other = report(names[::-1], tmp_path / "reversed")
    assert one.spend == other.spend
