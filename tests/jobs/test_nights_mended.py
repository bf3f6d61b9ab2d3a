"""What a state does where something is damaged, gone or of another kind than it was."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.errors import ConfigError, LogError, ReportError, RunError, UnfinishedError
from callcost.jobs.report import report_spend
from callcost.jobs.state.close import close_day
from callcost.jobs.state.fixed_ratios import fix_ratios, fixed_ratios
from callcost.logs.io.folders import folder_at
from callcost.runners.entries import Stamp, stamp_of
from callcost.runners.ledger import Ledger
from callcost.settings import ReportOptions, StateOptions
from callcost.stages.count.hidden_reasoning import RATIOS
from tests.command import write_lines
from tests.jobs.test_nights_in_words import Nights, _rows

FIRST = date(2025, 11, 1)
UNDATED = "__HIVE_DEFAULT_PARTITION__"


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    """Logs of two days, read and published, the first of which is closed."""
    found = Nights(tmp_path)
    write_lines(found.logs / "a.jsonl", _rows(1, 2))
    write_lines(found.logs / "b.jsonl", _rows(2, 1))
    found.run()
    close_day(FIRST, found.options(), StateOptions(folder=str(found.state)))
    return found


def _lose_ledger(nights: Nights) -> None:
    for name in ("ledger.json", "ledger.copy.json"):
        (nights.state / name).unlink()


def _manifest(nights: Nights) -> dict[str, Any]:
    return dict(json.loads((nights.out / "manifest.json").read_bytes()))


def test_a_closed_day_that_is_damaged_is_refused_and_opened_by_rebuild(nights: Nights) -> None:
    (facts,) = (nights.state / "closed").glob("*.parquet")
    facts.write_bytes(b"x")
    write_lines(nights.logs / "c.jsonl", _rows(2, 1, id="c"))
    with pytest.raises(RunError, match=r"closed/2025-11-01-\w+\.parquet, the facts of the closed day 2025-11-01 are"):
        nights.run()
    assert nights.run(rebuild=True)["dropped"] == [f"closed/{facts.name}"]
    assert _manifest(nights)["closed_days"] == []
    assert not list(nights.state.glob("closed/*"))


def test_closed_days_are_known_by_their_copies_where_the_ledger_is_lost(nights: Nights) -> None:
    _lose_ledger(nights)
    nights.run(rebuild=True)
    assert _manifest(nights)["closed_days"] == ["2025-11-01"]


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"day": "x", "file": "a", "sha256": "b", "closed_at": "c"}'])
def test_a_copy_that_cannot_be_read_is_left_out_by_rebuild(nights: Nights, data: str) -> None:
    _lose_ledger(nights)
    (nights.state / "closed/2025-11-01.json").write_text(data, encoding="utf-8")
    assert "closed/2025-11-01.json" in nights.run(rebuild=True)["dropped"]
    assert _manifest(nights)["closed_days"] == []


def test_days_that_were_published_are_known_where_the_ledger_is_lost(nights: Nights) -> None:
    (nights.out / "day=2024-01-01").mkdir()
    (nights.out / "day=2024-01-01/calls.parquet").write_bytes(b"x")
    (nights.out / "day=none").mkdir()
    (nights.out / "day=none/calls.parquet").write_bytes(b"x")
    _lose_ledger(nights)
    found = nights.run(rebuild=True)
    assert found["days_removed"] == ["2024-01-01"]
    assert sorted(path.name for path in nights.out.glob("day=*")) == ["day=2025-11-01", "day=2025-11-02", "day=none"]


def test_days_are_of_one_kind_in_a_folder(nights: Nights) -> None:
    pytest.importorskip("deltalake")
    with pytest.raises(ConfigError, match="has its days as parquet"):
        nights.run({"table": "delta"})
    nights.run({"table": "delta", "out": f"{nights.out}-2"})


def test_a_log_that_vanishes_is_named_and_the_run_is_to_be_repeated(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stamp(path: str, *more: Any) -> Stamp | None:
        return None if path.endswith("a.jsonl") else stamp_of(path, *more)

    with monkeypatch.context() as patch:
        patch.setattr("callcost.jobs.state.intake.stamp_of", stamp)
        found = nights.run()
    assert (found["exit_code"], [Path(name).name for name in found["notes"]["vanished"]]) == (4, ["a.jsonl"])
    assert (found["inputs_read"], found["inputs_known"], found["inputs_gone"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left"), "No space left. Check the folder's permissions and free space"),
        (ReportError("no", hint="Wait, then run again"), "no. Wait"),
        (LogError("gone", hint="Look"), "gone. Look"),
    ],
)
@pytest.mark.parametrize("kept", [False, True])
def test_an_error_says_whether_what_was_read_is_kept(
    nights: Nights, error: Exception, words: str, *, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_words: Any) -> None:
        raise error

    if kept:
        write_lines(nights.logs / "c.jsonl", _rows(5, 1))
    monkeypatch.setattr("callcost.jobs.state.report.settle_night", fail)
    with pytest.raises(UnfinishedError if kept else RunError) as refused:
        nights.run(restate=True)
    message, _, hint = words.partition(". ")
    said = f"What was read is kept: {hint[0].lower()}{hint[1:]}, then run the same again" if kept else hint
    assert message in refused.value.message
    assert refused.value.hint == (said if kept else f"{hint}, then run again")


def test_a_report_over_a_state_is_its_report_closed_days_as_they_were_closed(nights: Nights) -> None:
    write_lines(nights.logs / "late.jsonl", _rows(1, 1, id="late"))
    nights.run()
    over = report_spend(ReportOptions(logs=(str(nights.state),), out=str(nights.out) + "-2", formats="focus-1.4"))
    assert over.manifest["totals"]["calls"] == 3
    assert over.spend["calls"].sum() == 3
    rows = (Path(f"{nights.out}-2") / "focus-1.4.csv").read_text(encoding="utf-8")
    assert rows.count(",Correction,") == 2  # input and output of the late call
    empty = nights.state.parent / "empty"
    Ledger(folder_at(str(empty))).save()
    with pytest.raises(LogError, match="holds no calls"):
        report_spend(ReportOptions(logs=(str(empty),)))


def test_what_stands_for_hidden_reasoning_is_fixed_when_a_day_is_published(tmp_path: Path) -> None:
    ledger = Ledger(folder_at(str(tmp_path)))
    second = date(2025, 11, 2)
    ratio = [(None, *_ratio(1)), (date(2025, 10, 1), *_ratio(9))]
    assert fix_ratios(ledger, (), [FIRST]) == {}
    ledger.published |= fix_ratios(ledger, tuple(ratio), [FIRST])
    assert fixed_ratios(ledger) == ((FIRST, *_ratio(1)),)
    again = fix_ratios(ledger, ((None, *_ratio(5)),), [FIRST, second])
    old, new = dict(ledger.published), again
    assert new != old
    ledger.published |= new
    assert fixed_ratios(ledger) == ((FIRST, *_ratio(1)), (second, *_ratio(5)))
    names = {path.name for path in (tmp_path / "reasoning").iterdir()}
    assert names == {f"{digest['reasoning'][:16]}.parquet" for digest in (old, new)}  # a run may end before it says so
    ledger.close(str(FIRST), {"closed_at": "x"})
    assert fixed_ratios(ledger) == ((second, *_ratio(5)),)
    (tmp_path / "reasoning" / f"{new['reasoning'][:16]}.parquet").write_bytes(b"x")
    assert fixed_ratios(ledger) == ()


def _ratio(number: int) -> tuple[Any, ...]:
    return tuple(str(number) if kind == pl.String else number for name, kind in RATIOS.items() if name != "day")
