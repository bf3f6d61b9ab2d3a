"""What is remembered and said of a run: each figure in its place, names and changes cut at their limits."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from callcost.errors import ConfigError, LogError, RunError
from callcost.jobs.engine.manifest import RunClock
from callcost.jobs.state import state_folder
from callcost.jobs.state.state_folder import (
    HISTORY,
    MOST_RUNS,
    record_run,
    restated_lines,
    status_of,
    summary_of,
    tell_others,
    told_run,
    words_of_run,
)
from callcost.logs.io.folders import folder_at
from callcost.runners.ledger import Ledger

CROSSED, HELD = {"gate": "--max-late", "crossed": True}, {"gate": "--strict", "crossed": False}
MANIFEST: dict[str, Any] = {
    "run": {
        "inputs_read": 2, "inputs_known": 3, "bytes_read": 4, "new_calls": 1500, "late_calls": 6, "day_changes": [],
        "gates": [CROSSED], "notes": {"grew": list("abcdefg"), "vanished": ["x"]}, "dropped": ["a", "b"],
    },
    "totals": {"calls": 2000, "total_cost": "1.25"},
    "records": {"rejects": 1200}, "price_status": {"priced": 9, "partly_priced": 8}, "last_at": "2025-11-02",
    "gates": [HELD],
}  # fmt: skip
WORDS: dict[str, Any] = {
    "exit_code": 3, "inputs_read": 2, "inputs_known": 3, "bytes_read": 4, "new_calls": 1500, "late_calls": 6,
    "calls": 2000, "total_cost": "1.25", "rejects": 1200, "unpriced": 0, "partly_priced": 8, "last_at": "2025-11-02",
    "changes": [], "changes_more": 0, "gates": ["--max-late"],
    "notes": {"grew": [7, "a", "b", "c", "d", "e"], "vanished": [1, "x"]}, "dropped": 2,
}  # fmt: skip


def _change(day: int, **more: Any) -> dict[str, Any]:
    return {"day": f"2025-11-{day:02}", "reason": "price correction", "because": "own-1", "difference": "3.2"} | more


def test_words_of_a_run_are_its_figures() -> None:
    assert words_of_run(MANIFEST, 3) == WORDS
    assert words_of_run(MANIFEST | {"totals": {"calls": None, "total_cost": None}}, 1)["calls"] == 0


@pytest.mark.parametrize(("count", "more"), [(50, 0), (53, 3)])
def test_of_very_many_changes_the_first_are_kept_and_the_others_counted(count: int, more: int) -> None:
    changes = [_change(day) for day in range(count)]
    words = words_of_run(MANIFEST | {"run": MANIFEST["run"] | {"day_changes": changes}}, 0)
    assert (words["changes"], words["changes_more"]) == (changes[:50], more)


def test_a_run_in_one_line() -> None:
    changes = [_change(1), _change(2, because=None, difference="-0.5"), _change(3, reason="recount")]
    assert summary_of(WORDS | {"changes": changes}) == (
        "callcost: exit 3; 1,500 new calls; $1.25 in all; prices own-1: 2025-11-01 +$3.20;"
        " corrected or own prices: 2025-11-02 -$0.5000; 1,200 rejects; 8 partly priced; --max-late crossed;"
        " grew: a, b, c, d, e; vanished: x"
    )
    nothing: dict[str, Any] = {"total_cost": None, "rejects": 0, "partly_priced": 0, "gates": [], "notes": {}}
    assert summary_of(WORDS | nothing) == "callcost: exit 3; 1,500 new calls; $0.00 in all"
    assert summary_of({"exit_code": 1, "error": "no file matches"}) == "callcost: exit 1: no file matches"


def test_days_that_one_price_version_restated_are_one_line() -> None:
    assert restated_lines([_change(1), _change(2), _change(3, because="own-2")]) == [
        "prices own-1: 2025-11-01 +$3.20, 2025-11-02 +$3.20",
        "prices own-2: 2025-11-03 +$3.20",
    ]


def test_figures_are_one_gauge_each(tmp_path: Path) -> None:
    file = tmp_path / "callcost.prom"

    def figures(record: dict[str, Any]) -> dict[str, str]:
        whole = {"started_at": "1970-01-02T00:00:00.9+00:00", "seconds": 1.5} | record
        assert tell_others(whole, None, str(file)) == []
        lines = file.read_text(encoding="utf-8").splitlines()
        found = dict(line.removeprefix("callcost_").split() for line in lines[1::2])
        assert lines[::2] == [f"# TYPE callcost_{name} gauge" for name in found]
        return found

    failed = {"run_started_timestamp_seconds": "86400", "run_duration_seconds": "1.5", "run_exit_code": "4"}
    assert figures({"exit_code": 4, "error": "time"}) == failed
    assert figures(WORDS) == failed | {
        "run_exit_code": "3", "cost_dollars": "1.25", "gates_crossed": "1", "calls": "2000", "new_calls": "1500",
        "late_calls": "6", "inputs_read": "2", "rejects": "1200", "unpriced": "0", "partly_priced": "8",
    }  # fmt: skip
    assert figures(WORDS | {"total_cost": None})["cost_dollars"] == "0"
    (problem,) = tell_others({"started_at": "1970-01-02", "seconds": 1, "exit_code": 0}, None, str(file / "x"))
    assert problem.startswith("--metrics: ")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConfigError("no"), {"exit_code": 2, "error": "no"}),
        (KeyboardInterrupt(), {"exit_code": 130, "error": "KeyboardInterrupt"}),
        (SystemExit(3), {"exit_code": 1, "error": "SystemExit"}),
        (None, {}),
    ],
)
def test_a_record_says_how_its_run_ended(error: BaseException | None, words: dict[str, Any]) -> None:
    ended: list[dict[str, Any]] = []
    began = datetime.now(UTC) - timedelta(seconds=60)
    clock = RunClock(run_id="one", started_at=began)
    with pytest.raises(type(error)) if error else nullcontext(), told_run(clock, ended.append) as record:
        record["more"] = 1
        if error:
            raise error
    (found,) = ended
    assert 60 <= found.pop("seconds") < 600
    assert found.pop("callcost")
    assert found == {"id": "one", "started_at": began.isoformat(timespec="seconds"), "more": 1, **words}


def _remember(state: Path, runs: int) -> None:
    ledger = Ledger(folder_at(str(state)))
    ledger.save()
    for number in range(runs):
        record: dict[str, Any] = {"id": str(number)}
        with record_run(ledger, record, RunClock()):
            begun = json.loads((state / HISTORY).read_bytes())["runs"][-1]
            assert (begun["id"], "exit_code" in begun) == (str(number), False)
            record |= {"exit_code": 0, "notes": {"quarantined": [2, f"a{number}", "b"]}}


def test_the_last_runs_are_remembered_the_oldest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_RUNS == 100
    monkeypatch.setattr(state_folder, "MOST_RUNS", 3)
    _remember(tmp_path, 5)
    found = status_of(str(tmp_path), 2)
    assert [run["id"] for run in status_of(str(tmp_path), 9)["runs"]] == ["2", "3", "4"]
    assert [run["id"] for run in found["runs"]] == ["3", "4"]
    assert all("seconds" in run for run in found["runs"])
    assert found["quarantined"] == ["a4", "b"]
    assert (found["days"], found["closed"], found["history"]) == ([], {}, "whole")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"runs": []}', b'{"runs": 3, "digest": "x"}', b"\xff"])
def test_a_history_that_is_none_is_damaged(tmp_path: Path, data: bytes) -> None:
    _remember(tmp_path, 1)
    (tmp_path / HISTORY).write_bytes(data)
    found = status_of(str(tmp_path), 9)
    assert (found["runs"], found["quarantined"], found["history"]) == ([], [], "damaged")
    _remember(tmp_path, 1)
    (run,) = status_of(str(tmp_path), 9)["runs"]
    assert run["history"] == "was damaged"


def test_status_says_days_and_what_is_closed_in_order(tmp_path: Path) -> None:
    ledger = Ledger(folder_at(str(tmp_path)))
    for day in ("2025-11-02", "2025-11-01"):
        ledger.close(day, {"closed_at": f"{day}T01"})
    ledger.commit({"days": {"2025-11-02": 4, "2025-11-01": 3}, "costs": {"2025-11-01": "1.5"}})
    found = status_of(str(tmp_path), 9)
    assert found["days"] == [
        {"day": "2025-11-01", "calls": 3, "total_cost": "1.5"}, {"day": "2025-11-02", "calls": 4, "total_cost": None},
    ]  # fmt: skip
    assert [*found["closed"].items()] == [(f"2025-11-0{day}", f"2025-11-0{day}T01") for day in (1, 2)]
    assert (found["runs"], found["quarantined"]) == ([], [])


def test_what_is_no_state_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="is no state"):
        status_of(str(tmp_path), 9)
    _remember(tmp_path, 1)
    for name in ("ledger.json", "ledger.copy.json"):
        if (path := tmp_path / name).exists():
            path.write_bytes(b"{")
    with pytest.raises(RunError, match="is damaged"):
        status_of(str(tmp_path), 9)
