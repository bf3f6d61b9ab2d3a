"""`callcost reconcile` as a script and a finance person meet it."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

from tests.command import callcost
from tests.jobs.bill_faults import FAULTS, make_world, write_world


def test_the_summary_is_one_screen_of_plain_words(tmp_path: Path, out: Path) -> None:
    world = make_world()
    for fault in FAULTS.values():
        fault(world)
    log, bill = write_world(tmp_path, world)
    finished = callcost("reconcile", log, "--bill", bill, "--out", out, "--as-of", "2026-01-01", out=out)
    lines = finished.stderr.splitlines()
    assert finished.code == 0
    assert lines[0].startswith("bill $")
    assert "% explained" in lines[0]
    assert any("billed, but not in the logs" in line or "smaller causes" in line for line in lines)
    assert any("evals | external grader" in line for line in lines)
    assert len(lines) <= 24
    assert finished.stdout == ""


def test_the_causes_file_adds_up_to_the_rows_file(tmp_path: Path, out: Path) -> None:
    world = make_world()
    FAULTS["lose_calls"](world)
    log, bill = write_world(tmp_path, world)
    callcost("reconcile", log, "--bill", bill, "--out", out, "--as-of", "2026-01-01", "--quiet", out=out)
    sums = {}
    for name, column in (("causes", "amount"), ("reconciliation", "difference")):
        with (out / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            sums[name] = sum(Decimal(row[column]) for row in csv.DictReader(file))
    assert sums["causes"] == sums["reconciliation"] == world.injected["billed_not_logged"]


def test_a_crossed_tolerance_exits_3_and_the_files_are_there(tmp_path: Path, out: Path) -> None:
    world = make_world()
    FAULTS["lose_calls"](world)
    log, bill = write_world(tmp_path, world)
    words = ("reconcile", log, "--bill", bill, "--out", out, "--as-of", "2026-01-01", "--tolerance")
    assert callcost(*words, "1").code == 0
    assert callcost(*words, "50%").code == 0
    finished = callcost(*words, "0.1%")
    assert finished.code == 3
    assert "--tolerance crossed" in finished.stderr
    assert (out / "reconciliation.parquet").exists()


def test_wrong_words_are_usage_errors(tmp_path: Path, out: Path) -> None:
    log, bill = write_world(tmp_path, make_world())
    words = ("reconcile", log, "--bill", bill, "--out", out)
    assert callcost(*words, "--tolerance", "much").code == 2
    assert callcost(*words, "--as-of", "soon").code == 2
    assert callcost(*words, "--fx", tmp_path / "none.csv").code == 2


def test_a_bill_that_is_none_fails_and_writes_nothing(tmp_path: Path, out: Path) -> None:
    log, _ = write_world(tmp_path, make_world())
    (tmp_path / "bill.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    finished = callcost("reconcile", log, "--bill", tmp_path / "bill.csv", "--out", out)
    assert finished.code == 1
    assert "looks like no bill" in finished.stderr
    assert not out.exists()


def test_logs_without_a_bill_are_compared_with_their_own_costs(out: Path) -> None:
    finished = callcost("reconcile", "sample_logs", "--out", out)
    assert finished.code == 0
    assert finished.stderr.startswith("logged $")
