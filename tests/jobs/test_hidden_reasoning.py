"""Answers that hide their reasoning: flagged, and filled in where the log's own calls tell what it is."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost import PriceOptions, ReportOptions, WorkOptions, report_spend
from callcost.errors import ConfigError
from callcost.jobs.explain import explain_call
from callcost.settings import CountOptions
from callcost.stages.count import missing_usage
from tests.command import Finished, callcost, write_lines

STATED = 40
MEAN = 96  # of 0, 64, 128 and 192
OUTPUT = Decimal("0.00001")  # dollars a token of gpt-5


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs elsewhere sweep the system's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("temporary")))


def _row(number: int, *, reasoning: int | None, day: int = 1, user: str = "ana", **request: Any) -> dict[str, Any]:
    usage = {
        "prompt_tokens": 20, "completion_tokens": 10 + (reasoning or 0), "total_tokens": 30 + (reasoning or 0),
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }  # fmt: skip
    asked = {"messages": [{"role": "user", "content": f"Is {number} even?"}], **request}
    answer = {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "Yes, it is."}}]}
    return {
        "id": f"c{number}", "provider": "openai", "endpoint": "chat", "model": "gpt-5", "user": user,
        "started_at": f"2025-11-{day:02}T10:00:00Z", "request": asked,
        "response": answer if reasoning is None else answer | {"usage": usage},
    }  # fmt: skip


def _log(*more: dict[str, Any], scale: int = 64, stated: int = STATED) -> list[dict[str, Any]]:
    return [*(_row(n, reasoning=scale * (n % 4), user="eve") for n in range(stated)), *more]


def _report(log: str | Path, **more: Any) -> Any:
    work, prices = WorkOptions(workers=1), PriceOptions(prices="2025-11-20")
    return report_spend(ReportOptions(logs=(str(log),), by=("user",), calls=False, work=work, prices=prices, **more))


def _call(found: Any, number: int) -> dict[str, Any]:
    return dict(found.calls.filter(pl.col("call_id") == f"c{number}").row(0, named=True))


def test_the_log_tells_what_is_hidden(tmp_path: Path) -> None:
    rows = _log(_row(100, reasoning=None), _row(101, reasoning=None, reasoning_effort="none"))
    log = write_lines(tmp_path / "a.jsonl", rows)
    found = _report(log)
    filled, plain = _call(found, 100), _call(found, 101)
    assert (filled["reasoning_tokens"], filled["completion_tokens"]) == (MEAN, plain["completion_tokens"] + MEAN)
    assert (filled["price_status"], filled["count_method"]) == ("priced", "estimated")
    assert filled["total_cost"] - plain["total_cost"] == MEAN * OUTPUT
    assert filled["flags"] == ["reasoning_from_log"]
    assert plain["price_status"] == "priced"
    assert found.manifest["reasoning_from_log"] == {"calls": 1, "total_cost": "0.00096"}
    filtered = _report(log, where=("user=ana",))  # what others state tells, whatever is asked for
    assert _call(filtered, 100) == filled
    (explained,) = explain_call(ReportOptions(logs=(log,), prices=PriceOptions(prices="2025-11-20")), "c100")
    assert [line.total for line in explained.lines] == [filled["total_cost"]]


@pytest.mark.parametrize("more", [{"count": CountOptions(reasoning="none")}, {}])
def test_what_nobody_tells_is_partly_priced(tmp_path: Path, more: dict[str, Any]) -> None:
    stated = STATED if more else 29
    log = write_lines(tmp_path / "a.jsonl", _log(_row(100, reasoning=None), stated=stated))
    call = _call(_report(log, **more), 100)
    assert (call["price_status"], call["price_reason"]) == ("partly_priced", "hidden_reasoning")
    assert (call["count_method"], call["flags"]) == ("estimated", ["hidden_reasoning"])
    assert call["reasoning_tokens"] is None
    assert call["total_cost"] > 0


def test_it_is_the_same_by_columns_and_in_any_order(tmp_path: Path, columns_for_all: None) -> None:
    rows = _log(*(_row(n, reasoning=None, reasoning_effort=("low", "none", None)[n % 3]) for n in range(100, 160)))
    logs = [write_lines(tmp_path / "a.jsonl", rows), tmp_path / "b"]
    random.Random(1).shuffle(rows)
    for number in range(3):
        write_lines(tmp_path / "b" / f"{number}.jsonl", rows[number::3])
    one, other = (_report(log) for log in logs)
    assert one.spend.equals(other.spend)
    assert one.manifest["reasoning_from_log"] == other.manifest["reasoning_from_log"]
    assert one.manifest["reasoning_from_log"]["calls"] == 40  # also of a low effort, of which nobody states more


def test_a_text_that_timed_out_is_not_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = missing_usage.SideCount(0, missing_usage.TIMED_OUT, 1.0)
    monkeypatch.setattr(missing_usage, "_add_up", lambda *_: late)
    monkeypatch.setattr("callcost.stages.columnar.stretches.COLUMN_BYTES", 1 << 30)
    log = write_lines(tmp_path / "a.jsonl", _log(_row(100, reasoning=None)))
    call = _call(_report(log), 100)
    assert (call["price_reason"], call["flags"]) == ("timed_out", [])


def test_own_recordings_tell_what_a_log_does_not(tmp_path: Path) -> None:
    recorded, file = write_lines(tmp_path / "recorded.jsonl", _log()), tmp_path / "calibration.json"
    assert "gpt-5" in callcost("inspect", recorded, "--calibrate", "--write", file).stdout
    assert not {"eve", "even", "Yes"} & set(file.read_text().replace('"', " ").split())
    log = write_lines(tmp_path / "a.jsonl", [_row(100, reasoning=None)])
    found = _report(log, count=CountOptions(calibration=file))
    assert _call(found, 100)["reasoning_tokens"] == MEAN
    assert found.manifest["calibration"]["file"] == "calibration.json"
    more = write_lines(tmp_path / "b.jsonl", _log(_row(100, reasoning=None), scale=128))
    told = _call(_report(more, count=CountOptions(calibration=file)), 100)
    assert told["reasoning_tokens"] == 2 * MEAN  # the log itself comes first
    with pytest.raises(ConfigError, match="no calibration file"):
        _report(log, count=CountOptions(calibration=log))


def test_a_picture_that_an_answer_holds_has_its_own_rate(tmp_path: Path) -> None:
    parts = [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]
    row = {
        "id": "c1", "endpoint": "gemini", "model": "gemini-2.5-flash-image", "started_at": "2026-06-01T10:00:00Z",
        "request": {"contents": [{"role": "user", "parts": [{"text": "Draw a cat."}]}]},
        "response": {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]},
    }  # fmt: skip
    call = _call(report_spend(ReportOptions(logs=(str(write_lines(tmp_path / "a.jsonl", [row])),))), 1)
    assert (call["completion_tokens"], call["image_output_tokens"], call["price_status"]) == (1290, 1290, "priced")
    assert call["output_cost"] == 1290 * Decimal("0.00003")  # https://ai.google.dev/gemini-api/docs/pricing


# --- A report that remembers ------------------------------------------------------------------------------------------


def _nightly(folder: Path, *words: str | Path) -> Finished:
    out = folder / "out"
    words = ("report", folder / "logs", "--state", folder / "state", "--out", out, "--prices", "2025-11-20", *words)
    done = callcost(*words, out=out)
    assert done.code == 0, done.stderr
    return done


def _published(folder: Path, day: int) -> list[int]:
    calls = pl.read_parquet(folder / f"out/day=2025-11-{day:02}/calls.parquet", hive_partitioning=False)
    return calls.filter(pl.col("flags").list.contains("reasoning_from_log"))["reasoning_tokens"].to_list()


def test_a_day_keeps_the_ratio_that_it_was_published_with(tmp_path: Path) -> None:
    write_lines(tmp_path / "logs/a.jsonl", _log(_row(100, reasoning=None)))
    _nightly(tmp_path)
    assert _published(tmp_path, 1) == [MEAN]
    more = [_row(n, reasoning=1000, day=2) for n in range(200, 200 + 9 * STATED)]
    write_lines(tmp_path / "logs/b.jsonl", [*more, _row(101, reasoning=None), _row(102, reasoning=None, day=2)])
    _nightly(tmp_path)
    assert _published(tmp_path, 1) == [MEAN, MEAN]
    assert _published(tmp_path, 2) == [(MEAN + 9 * 1000 + 5) // 10]


def test_what_a_closed_day_would_be_now_is_an_adjustment(tmp_path: Path) -> None:
    write_lines(tmp_path / "logs/a.jsonl", _log(_row(100, reasoning=None)))
    _nightly(tmp_path)
    closing = callcost("close", "2025-11-01", "--state", tmp_path / "state", "--prices", "2025-11-20")
    assert closing.code == 0, closing.stderr
    write_lines(tmp_path / "logs/b.jsonl", [_row(n, reasoning=1000, day=2) for n in range(200, 200 + 9 * STATED)])
    done = _nightly(tmp_path)
    assert _published(tmp_path, 1) == [MEAN]
    (row,) = done.manifest["adjustments"]
    assert (row["reason"], row["calls"]) == ("recount", 1)
    assert Decimal(row["difference"]) == ((MEAN + 9 * 1000 + 5) // 10 - MEAN) * OUTPUT
