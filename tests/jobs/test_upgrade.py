"""A state outlives the callcost that wrote it: what was read of logs that are gone counts, and copies are known."""

from __future__ import annotations

import csv
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.errors import ConfigError
from callcost.stages.count.calibration_file import read_calibration
from callcost.stages.tables.layouts import describe_layout
from tests.command import Finished, assert_conserved, callcost, report, write_lines
from tests.states.logs import CLOSED, write_logs

RECORDED = sorted((Path(__file__).parents[1] / "states").glob("*.tar.gz"))
REPORTS = [path for path in RECORDED if path.name.endswith(".reports.tar.gz")]
STATES = [path for path in RECORDED if path not in REPORTS]


def run(folder: Path, *words: str, expect: int = 0) -> Finished:
    out = folder / "reports"
    done = callcost("report", folder / "logs", "--state", folder / "state", "--out", out, *words, out=out)
    assert done.code == expect, done.stderr
    return done


def _leave(folder: Path) -> None:
    """Leave one log of three, and a copy of a call of another."""
    for day in (1, 3):
        (folder / f"logs/day-{day}.jsonl").unlink()
    write_logs(folder / "again")
    rows = (folder / "again/day-1.jsonl").read_bytes().splitlines()
    write_lines(folder / "logs/copy.jsonl", [rows[1], rows[4]])


def _whole(folder: Path) -> Finished:
    return report([folder / "again"], folder / "whole")


@pytest.mark.parametrize("archive", STATES, ids=lambda path: path.name)
def test_the_state_of_each_release_is_opened(archive: Path, tmp_path: Path) -> None:
    write_logs(tmp_path / "logs")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    _leave(tmp_path)
    done = run(tmp_path)
    whole = _whole(tmp_path)
    assert done.spend == whole.spend
    assert (done.records["calls"], done.records["rejects"]) == (18, 3)
    assert done.records["duplicates"] == 2
    assert done.manifest["closed_days"] == [CLOSED]
    assert_conserved(done)
    before = (tmp_path / "reports/spend.parquet").read_bytes()
    assert "0 inputs read, 2 known" in run(tmp_path).stderr
    write_lines(tmp_path / "logs/more.jsonl", [b"{broken"])
    run(tmp_path)
    assert (tmp_path / "reports/spend.parquet").read_bytes() == before


@pytest.mark.parametrize("archive", STATES, ids=lambda path: path.name)
def test_what_is_damaged_in_the_state_of_a_release_is_refused_by_name(archive: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "logs/more.jsonl", [b"{broken"])
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    entry = tmp_path / "state/inputs/00000002/entry.json"
    entry.write_bytes(entry.read_bytes()[:-9])
    assert "inputs/00000002/entry.json is damaged" in run(tmp_path, expect=1).stderr


@pytest.fixture(params=REPORTS, ids=lambda path: path.name)
def reported(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder with what a release wrote beside a state."""
    with tarfile.open(request.param) as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path


def test_a_report_of_each_release_is_asked_or_refused_by_name(reported: Path) -> None:
    place = reported / "held"
    asked = callcost("report", place, "--by", "model,user", "--out", reported / "asked")
    if asked.code == 0:
        assert (reported / "asked/spend.csv").read_bytes() == (place / "spend.csv").read_bytes()
    else:
        assert json.loads((place / "manifest.json").read_bytes())["callcost"]["version"] == "0.1.0"
    for words in (("query", "SELECT SUM(total_cost) FROM calls"), ("explain", "--call", "call-1-1"),
                  ("compare", "2025-11-01..2025-11-02", "2025-11-02..2025-11-03")):  # fmt: skip
        done = callcost(words[0], place, *words[1:])
        assert done.code == asked.code
        if done.code:
            assert "held was written by callcost 0.1.0, which did not write down corrections" in done.stderr


def test_logs_that_each_release_filled_give_its_report(reported: Path) -> None:
    filled = report([reported / "filled"], reported / "again", "--by", "model,user")
    with (reported / "held/spend.csv").open(encoding="utf-8", newline="") as file:
        for before, now in zip(csv.DictReader(file), filled.spend, strict=True):
            assert {name: now[name] for name in before} == before


def test_the_calibration_of_each_release_is_read(reported: Path, tmp_path: Path) -> None:
    path = reported / "calibration.json"
    if path.exists():
        assert {ratio[-3:] for ratio in read_calibration(str(path))} == {(64, 64, 64)}
        document = json.loads(path.read_bytes())
        for other in ({"callcost_calibration": 2}, {"reasoning": [{**document["reasoning"][0], "later": 1}]}):
            path.write_text(json.dumps(document | other), encoding="utf-8")
            with pytest.raises(ConfigError, match=r"calibration\.json is"):
                read_calibration(str(path))


@pytest.mark.parametrize("change", [{"schema_version": 2}, {"options": {"prices": {"later": "x"}}}])
def test_a_report_of_a_newer_release_is_refused_by_name(tmp_path: Path, change: dict[str, Any]) -> None:
    write_lines(tmp_path / "logs/a.jsonl", [{"model": "gpt-4o", "usage": {"prompt_tokens": 9, "completion_tokens": 1}}])
    report([tmp_path / "logs"], tmp_path / "held", "--calls")
    path = tmp_path / "held/manifest.json"
    manifest = json.loads(path.read_bytes()) | {"callcost": {"version": "9.9"}}
    manifest["options"] |= change.pop("options", {})
    path.write_text(json.dumps(manifest | change), encoding="utf-8")
    done = callcost("report", tmp_path / "held")
    assert done.code == 1
    assert "held is of a newer callcost: callcost 9.9. Use that version" in done.stderr


def _as(patch: pytest.MonkeyPatch, layout: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Make what is read that of another callcost, of whose layout this is said."""
    for module in ("state.intake", "engine.fingerprint", "state.report", "state.carry_over"):
        patch.setattr(f"callcost.jobs.{module}.layout_of_facts", lambda: layout)
    words = json.loads(json.dumps(describe_layout()))
    change(words)
    patch.setattr("callcost.jobs.state.report.describe_layout", lambda: words)


def _recorded(folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], object]) -> None:
    write_logs(folder / "logs")
    with monkeypatch.context() as patch:
        _as(patch, "another", change)
        run(folder)
    _leave(folder)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda words: words["columns"].pop("speed"), id="it had a column less"),
        pytest.param(lambda words: words["columns"].update(status="int"), id="of another kind: published days"),
        pytest.param(lambda words: words.update(buckets=7), id="other buckets: published days"),
    ],
)
def test_logs_that_are_gone_are_carried_over(
    change: Callable[[dict[str, Any]], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _recorded(tmp_path, monkeypatch, change)
    done = run(tmp_path)
    assert done.spend == _whole(tmp_path).spend
    assert (done.records["calls"], done.records["duplicates"], done.records["rejects"]) == (18, 2, 3)
    assert len(done.rejects) == 3
    assert done.manifest["run"]["notes"]["carried over"] == [
        f"logs/day-{day}.jsonl (read by callcost {done.manifest['callcost']['version']})" for day in (1, 3)
    ]
    assert "carried over: logs/day-1.jsonl" in done.stderr
    assert_conserved(done)
    write_lines(tmp_path / "logs/more.jsonl", [b"{broken"])
    assert run(tmp_path).spend == done.spend
    calls = pl.read_parquet(tmp_path / "reports/day=2025-11-01/calls.parquet", hive_partitioning=False)
    assert calls["total_cost"].null_count() == 0


def test_calls_that_come_published_keep_their_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _recorded(tmp_path, monkeypatch, lambda words: words.update(buckets=7))
    (tmp_path / "logs/copy.jsonl").unlink()
    prices = tmp_path / "prices.json"
    rates = {"gpt-4o": {"input_cost_per_token": 0.001, "output_cost_per_token": 0.001}}
    prices.write_text(json.dumps({"rates": rates}), encoding="utf-8")
    done = run(tmp_path, "--prices-override", str(prices), "--by", "day")
    now, before = (
        {row["day"]: row["total_cost"] for row in each.spend if row["day"]}
        for each in (done, report([tmp_path / "again"], tmp_path / "days", "--by", "day"))
    )
    assert {day: now[day] == before[day] for day in before} == {
        "2025-11-01": True, "2025-11-02": False, "2025-11-03": True,
    }  # fmt: skip


def test_published_days_that_are_not_as_they_were_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _recorded(tmp_path, monkeypatch, lambda words: words.update(buckets=7))
    day = tmp_path / "reports/day=2025-11-01/calls.parquet"
    day.write_bytes(day.read_bytes()[:-1] + b"x")
    assert "day=2025-11-01/calls.parquet is not as it was published" in run(tmp_path, expect=1).stderr


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda words: words.update(key_rules=99), id="rules"),
        pytest.param(lambda words: words["columns"].update(later="int"), id="column"),
    ],
)
def test_what_a_newer_callcost_read_is_refused_with_its_version(
    change: Callable[[dict[str, Any]], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcost.runners.ledger.__version__", "9.9")
    _recorded(tmp_path, monkeypatch, change)
    monkeypatch.undo()
    assert "was read by callcost 9.9, this is" in run(tmp_path, expect=1).stderr
