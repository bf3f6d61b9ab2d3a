"""Texts that take too long cost their time limit each, and nothing else: every other call is counted as ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import ROOT, Finished, assert_no_process_left, write_lines
from tests.conftest import LONG

LETTERS = 20_000_000 if LONG else 8_000_000  # of one pre-token: some fifteen or six seconds of merging
MOST_SECONDS = 30  # of the processors, whoever else uses them, more than without the large texts
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "CALLCOST_INLINE_BYTES": "0"}


def call(name: str, text: str) -> bytes:
    """Return a call without usage."""
    record = {
        "id": name, "model": "gpt-4o", "timestamp": "2026-05-01T00:00:00Z",
        "messages": [{"role": "user", "content": text}], "response": "yes",
    }  # fmt: skip
    return json.dumps(record).encode()


def calls(normal: int, large: int) -> Iterator[bytes]:
    """Yield calls with short texts, among them some with one endless word each."""
    for number in range(normal):
        if large and number % (normal // large) == 0:
            yield call(f"large-{number}", chr(ord("a") + number // (normal // large)) * LETTERS)
        yield call(f"normal-{number}", f"What is {number} times {number}?")


def counted(done: Finished) -> dict[str, tuple[str, int, int]]:
    """Return what each call with a short text came to."""
    rows = (row for row in done.calls if row["call_id"].startswith("normal"))
    return {row["call_id"]: (row["usage_source"], row["prompt_tokens"], row["completion_tokens"]) for row in rows}


def run(log: Path, out: Path) -> tuple[Finished, float]:
    """Report with a limit of a second for each large item; return the processors' seconds, too."""
    words = ["report", str(log), "--out", str(out), "--calls", "--item-timeout", "1", "--workers", "2"]
    before = os.times()
    done = subprocess.Popen(
        [sys.executable, "-m", "callcost", *words], env=ENVIRONMENT, start_new_session=True, stderr=subprocess.PIPE
    )
    _, said = done.communicate()
    after = os.times()
    assert_no_process_left(done.pid)
    seconds = sum(after[2:4]) - sum(before[2:4])
    return Finished(tuple(words), done.returncode, "", said.decode(), out), seconds


@pytest.mark.slow
def test_endless_words_cost_their_time_limit_and_nothing_else(tmp_path: Path, long_run: bool) -> None:
    normal, large = (10_000, 10) if long_run else (100, 2)
    plain, seconds = run(write_lines(tmp_path / "plain.jsonl", calls(normal, 0)), tmp_path / "plain")
    log = write_lines(tmp_path / "large.jsonl", calls(normal, large))

    done, longer = run(log, tmp_path / "large")

    assert (plain.code, done.code) == (0, 0)
    late = [row for row in done.calls if row["call_id"].startswith("large")]
    assert {(row["usage_source"], row["count_method"], row["price_status"]) for row in late} == {
        ("timed_out", "timed_out", "partly_priced")
    }
    assert len(late) == large == done.manifest["usage_source"]["timed_out"]
    assert [row for _, row in done.manifest["timed_out"]] == sorted(row["source_row"] for row in late)
    assert counted(done) == counted(plain)
    assert len(counted(done)) == normal
    assert longer < seconds + MOST_SECONDS
