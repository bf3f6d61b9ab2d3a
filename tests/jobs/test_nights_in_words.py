"""What a run with a state says of itself: what it would do, what it does, what it did, what it cannot."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from callcost.errors import ConfigError, RunError, UnfinishedError
from callcost.jobs.state.plan import Plan, plan_report
from callcost.jobs.state.report import report_incremental
from callcost.jobs.state.state_folder import status_of
from callcost.logs.io.folders import folder_at
from callcost.runners.ledger import Ledger
from callcost.settings import ReportOptions, StateOptions, WorkOptions
from tests.command import write_lines

USAGE = {"prompt_tokens": 100, "completion_tokens": 10}


def _rows(day: int | None, count: int, **more: Any) -> list[dict[str, Any]]:
    """Return calls of a day of November 2025, one a minute from nine in the morning."""
    return [
        {"id": f"{day}-{number}", "model": "gpt-4o", "usage": USAGE,
         "timestamp": day and f"2025-11-{day:02}T09:{number:02}:00Z"} | more for number in range(count)
    ]  # fmt: skip


class Nights:
    """A folder of logs, its state and its report."""

    def __init__(self, folder: Path) -> None:
        self.logs, self.state, self.out = folder / "logs", folder / "state", folder / "reports"
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.planned: list[int] = []

    def options(self, **more: Any) -> ReportOptions:
        given: dict[str, Any] = {"logs": (str(self.logs),), "out": str(self.out), "work": WorkOptions(workers=1)}
        return ReportOptions(**given | more)

    def run(self, options: dict[str, Any] | None = None, **state: Any) -> dict[str, Any]:
        self.events.clear()
        found = report_incremental(
            self.options(**options or {}), StateOptions(folder=str(self.state), **state),
            event=lambda word, **fields: self.events.append((word, fields)), planned=self.planned.append,
        )  # fmt: skip
        return {**found.manifest["run"], "exit_code": found.exit_code}

    def plan(self, **more: Any) -> Plan:
        return plan_report(self.options(**more), StateOptions(folder=str(self.state)))

    def ledger(self) -> Ledger:
        return Ledger(folder_at(str(self.state)))


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    """Logs of one day, of three, with calls without a time, of these alone, and one without any call."""
    found = Nights(tmp_path)
    write_lines(found.logs / "a.jsonl", _rows(1, 2))
    write_lines(found.logs / "b.jsonl", [*_rows(2, 2), *_rows(4, 1)])
    write_lines(found.logs / "c.jsonl", [*_rows(3, 1), *_rows(None, 1)])
    write_lines(found.logs / "d.jsonl", _rows(None, 1, id="undated"))
    write_lines(found.logs / "e.jsonl", [b"[]"])
    return found


def _bytes(nights: Nights, names: str = "abcde") -> int:
    return sum((nights.logs / f"{name}.jsonl").stat().st_size for name in names)


def test_what_the_results_of_a_log_hold_is_known_by_days(nights: Nights) -> None:
    nights.run()
    assert {entry.name.removesuffix(".jsonl")[-1]: entry.about for entry in nights.ledger().entries.values()} == {
        "a": "2025-11-01", "b": "2025-11-02 to 2025-11-04", "c": "2025-11-03 and no day", "d": "no day", "e": "",
    }  # fmt: skip


def test_a_run_says_what_it_does_and_what_it_did(nights: Nights) -> None:
    size = _bytes(nights)
    first = nights.run()
    assert nights.planned == [size]
    days = ["2025-11-01", "2025-11-02", "2025-11-03", "2025-11-04"]
    undated = "__HIVE_DEFAULT_PARTITION__"
    wanted = {
        "inputs_read": 5, "inputs_known": 0, "bytes_read": size, "inputs_gone": 0, "new_calls": 8, "late_calls": 0,
        "days_added": [undated, *days], "days_replaced": [], "days_removed": [], "dropped": [], "kept": {},
        "notes": {}, "exit_code": 0,
    }  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    words = [word for word, _ in nights.events]
    assert words == ["plan", *["read"] * 5, "settled", "published"]
    assert nights.events[0][1] == {"read": 5, "bytes": size, "known": 0}
    assert sorted(fields["records"] for word, fields in nights.events if word == "read") == [0, 1, 2, 2, 3]
    assert nights.events[-2][1] == {"inputs": 5, "calls": 8}
    assert nights.events[-1][1] == {"days": 0, "added": 5, "removed": 0, "late": 0}

    nights.run()
    assert nights.events == [("plan", {"read": 0, "bytes": 0, "known": 5}), ("unchanged", {"inputs": 5})]

    (nights.logs / "a.jsonl").unlink()
    write_lines(nights.logs / "f.jsonl", [*_rows(1, 3, user="f"), *_rows(4, 2, user="f"), *_rows(5, 1)])
    for number, row in enumerate(lines := [*_rows(1, 3), *_rows(4, 2), *_rows(5, 1)]):
        row["id"] = f"f-{number}"
    write_lines(nights.logs / "f.jsonl", lines)
    second = nights.run()
    wanted = {
        "inputs_read": 1, "inputs_known": 4, "bytes_read": _bytes(nights, "f"), "inputs_gone": 1, "new_calls": 6,
        "late_calls": 3, "days_added": ["2025-11-05"], "days_replaced": ["2025-11-01", "2025-11-04"],
        "days_removed": [],
    }  # fmt: skip
    assert {name: second[name] for name in wanted} == wanted
    assert [(row["day"], row["reason"], row["calls"]) for row in second["day_changes"]] == [
        ("2025-11-01", "new calls", 3), ("2025-11-04", "new calls", 2), ("2025-11-05", "new calls", 1),
    ]  # fmt: skip
    assert nights.events[-1][1] == {"days": 2, "added": 1, "removed": 0, "late": 3}
    assert {day["day"]: day["calls"] for day in status_of(str(nights.state), 9)["days"]} == {
        undated: 2, "2025-11-01": 5, "2025-11-02": 2, "2025-11-03": 1, "2025-11-04": 3, "2025-11-05": 1,
    }  # fmt: skip


def test_a_plan_says_what_a_run_would_read_and_replace(nights: Nights) -> None:
    names = {f"{name}.jsonl": _bytes(nights, name) for name in "abcde"}
    fresh = nights.plan()
    assert {Path(name).name: size for name, size in fresh.read} == names
    assert (fresh.known, fresh.days, fresh.repriced) == (0, [], False)
    nights.run()
    assert nights.plan() == Plan(read=[], known=5, days=[], prices=fresh.prices, repriced=False)
    with (nights.logs / "b.jsonl").open("ab") as log:
        log.write(b"\n")
    with (nights.logs / "c.jsonl").open("ab") as log:
        log.write(b"\n")
    plan = nights.plan()
    assert sorted(Path(name).name for name, _ in plan.read) == ["b.jsonl", "c.jsonl"]
    assert (plan.known, plan.days) == (3, ["2025-11-02", "2025-11-03", "2025-11-04", "__HIVE_DEFAULT_PARTITION__"])
    west = nights.plan(timezone="Pacific/Honolulu")  # ten hours behind
    assert west.days == ["2025-11-01", "2025-11-02", "2025-11-03", "__HIVE_DEFAULT_PARTITION__"]


def _damage(nights: Nights, *names: str) -> list[str]:
    """Damage what was read of some logs, and take the logs away."""
    damaged = []
    for number, entry in nights.ledger().entries.items():
        if entry.name.removesuffix(".jsonl")[-1] in names:
            (folder,) = (nights.state / "inputs").glob(f"*{number}")
            for path in folder.glob("facts-*"):
                path.write_bytes(b"x")
            (nights.logs / f"{entry.name.removesuffix('.jsonl')[-1]}.jsonl").unlink()
            damaged.append(entry.name)
    return damaged


@pytest.mark.parametrize(("names", "more"), [("a", ""), ("ab", ", and so are 1 more"), ("abc", ", and so are 2 more")])
def test_results_that_are_lost_are_refused_by_the_days_of_their_calls(nights: Nights, names: str, more: str) -> None:
    nights.run()
    damaged = _damage(nights, *names)
    write_lines(nights.logs / "f.jsonl", _rows(9, 1))
    with pytest.raises(RunError) as refused:
        nights.run()
    assert f"is damaged or gone{more}; it held the calls of 2025-11-01 in {damaged[0]}" in str(refused.value)
    found = nights.run(rebuild=True)
    about = {"a": "2025-11-01", "b": "2025-11-02 to 2025-11-04", "c": "2025-11-03 and no day"}
    assert found["dropped"] == [f"{name} ({about[name.removesuffix('.jsonl')[-1]]})" for name in damaged]


def test_what_nothing_was_read_from_cannot_be_forgotten(nights: Nights) -> None:
    nights.run()
    with pytest.raises(ConfigError, match=r"nothing was read from .*none\.jsonl"):
        nights.run(forget=(str(nights.logs / "none.jsonl"),))
    assert nights.run(forget=(str(nights.logs / "a.jsonl"),))["exit_code"] == 0


def test_how_old_the_newest_call_is_counts_in_hours(nights: Nights) -> None:
    as_of = {"as_of": datetime(2025, 11, 4, 21, 30, tzinfo=UTC)}
    crossed = nights.run(as_of, fresh_within=12)
    gate = {"gate": "--fresh-within", "limit": 12, "found": 12.5, "crossed": True,
            "newest_at": "2025-11-04T09:00:00+00:00"}  # fmt: skip
    assert crossed["exit_code"] == 3
    assert [{name: found.get(name) for name in gate} for found in crossed["gates"]] == [gate]
    assert nights.run(as_of, fresh_within=13)["exit_code"] == 0


def test_a_late_share_above_the_limit_is_a_gate(nights: Nights) -> None:
    nights.run()
    write_lines(nights.logs / "f.jsonl", [*_rows(1, 1, id="f"), *_rows(5, 3)])
    found = nights.run(max_late=24)
    assert found["exit_code"] == 3
    assert [(gate["gate"], gate["found"], gate["crossed"]) for gate in found["gates"]] == [("--max-late", 25.0, True)]


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock says, one after another; the last one from then on."""
    times = [0.0]
    monkeypatch.setattr("callcost.jobs.state.intake.time.monotonic", lambda: times.pop(0) if times[1:] else times[0])
    return times


def test_a_run_ends_when_its_time_is_over_and_says_so(nights: Nights, ticks: list[float]) -> None:
    ticks[:] = [100.0, 110.0]
    assert nights.run(timeout=10)["exit_code"] == 0
    write_lines(nights.logs / "f.jsonl", _rows(9, 1))
    ticks[:] = [100.0, 110.5]
    with pytest.raises(UnfinishedError, match="the time of --timeout is over"):
        nights.run(timeout=10)
