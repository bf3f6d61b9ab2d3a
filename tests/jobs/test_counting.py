"""A job whose fast engine is found to differ is counted again, whole, by the reference."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from callcost.jobs.engine.recount import run_counting
from callcost.runners.protocol import Tick
from callcost.settings import ReportOptions, WorkOptions
from callcost.stages.count.missing_usage import open_counter
from callcost.tables import TaskResult
from callcost.tokens.engines import text_counter as counters
from callcost.tokens.engines import verified_fast as fast
from callcost.tokens.engines.encoders import load_encoder
from callcost.tokens.engines.text_counter import TextCounter
from callcost.tokens.engines.verified_fast import awkward_strings, sample_of
from tests.command import Finished, callcost, report, write_lines

AWKWARD = frozenset(awkward_strings())
SAMPLED = sample_of([f"a checked text {number}" for number in range(100_000)])[0]


class WrongEngine:
    """An engine that counts one too many in every text but the awkward ones that it is tried with."""

    name = "wrong 1.0"

    def count(self, texts: Sequence[str]) -> list[int]:
        right = load_encoder("o200k_base").count(texts)
        return [count + (text not in AWKWARD) for text, count in zip(texts, right, strict=True)]


@pytest.fixture(autouse=True)
def wrong_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong engine is installed, and nothing is loaded or remembered yet."""
    monkeypatch.setattr(fast, "_loaded", {})
    monkeypatch.setattr(fast, "_ENGINES", [("wrong", lambda row: row.name == "o200k_base", lambda _row: WrongEngine())])
    monkeypatch.setattr(fast, "_is_installed", lambda _module: True)
    monkeypatch.setattr(fast, "WORTH_CHARS", 1)
    counters.frequent_texts.cache_clear()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two logs without usage; only the second holds a text that is checked."""
    for name, text in (("a", "not checked"), ("b", SAMPLED), ("c", "nor this one")):
        record = {
            "id": f"call-{name}", "model": "gpt-4o", "timestamp": "2026-05-01T00:00:00Z",
            "messages": [{"role": "user", "content": text}], "response": "yes",
        }  # fmt: skip
        write_lines(tmp_path / "logs" / f"{name}.jsonl", [json.dumps(record).encode()])
    return tmp_path / "logs"


def without_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "_loaded", {})
    monkeypatch.setattr(fast, "_is_installed", lambda _module: False)


def test_counts_made_before_the_difference_was_found_are_made_again(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = report([logs], tmp_path / "found", "--calls")
    without_fast(monkeypatch)
    right = report([logs], tmp_path / "right", "--calls")

    assert found.calls == right.calls
    assert found.what == right.what
    assert (found.manifest["run"]["mismatches"], right.manifest["run"]["mismatches"]) == (1, 0)
    assert "counted again" in caplog.text
    assert "wrong 1.0" not in found.manifest["run"]["engines"]


def test_an_engine_known_to_differ_is_not_asked_again(logs: Path, tmp_path: Path) -> None:
    first = report([logs], tmp_path / "first", "--calls")
    runs: list[WorkOptions] = []

    def plan(options: ReportOptions) -> list[ReportOptions]:
        runs.append(options.work)
        return [options]

    [result] = run_counting(_count_here, plan, ReportOptions(logs=()), workers=1)

    assert first.manifest["run"]["mismatches"] == 1
    assert (len(runs), result.counting.doubtful) == (1, 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_wrong_engine_counted_is_not_remembered_for_the_right_one(threads: int) -> None:
    texts = [f"no. {number}" for number in range(200)]
    for seen in (texts, [*texts, SAMPLED]):
        with TextCounter(threads=threads) as counter:
            counter.count("o200k_base", seen)
    with TextCounter(fast=False) as counter:
        assert list(counter.count("o200k_base", texts).values()) == load_encoder("o200k_base").count(texts)


def _count_here(options: ReportOptions, _tick: Tick) -> TaskResult:
    with open_counter(options) as counter:
        counter.count("o200k_base", Counter([SAMPLED]))
        return TaskResult(counting=counter.stats())


def test_what_a_state_kept_of_a_doubted_run_is_made_again(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(name: str) -> Finished:
        flags = ("--state", tmp_path / name / "state", "--calls")
        return report([logs], tmp_path / name / "out", *flags)

    found = state("found")
    known = state("found")
    without_fast(monkeypatch)
    right = state("right")

    assert found.what == right.what
    assert found.manifest["run"]["inputs_read"] == 3
    assert "0 inputs read, 3 known" in known.stderr
    assert {entry.name for entry in (tmp_path / "found/state/inputs").iterdir()} == {"00000004", "00000005", "00000006"}


def test_a_backfill_fills_in_what_the_reference_counts(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callcost("backfill", logs, "--out", tmp_path / "found").code == 0
    without_fast(monkeypatch)
    assert callcost("backfill", logs, "--out", tmp_path / "right").code == 0

    for name in ("a", "b", "c"):
        path = Path("logs", f"{name}.jsonl")
        assert (tmp_path / "found" / path).read_bytes() == (tmp_path / "right" / path).read_bytes()
