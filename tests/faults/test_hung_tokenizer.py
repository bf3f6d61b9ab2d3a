"""A tokenizer that hangs costs its time limit and counts nothing; workers and threads count the rest, as asked for."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import ROOT, callcost, write_lines

LIMIT = 1  # second for each large text
# What every process of the run loads at its start: a tokenizer that hangs on some texts, and else notes who counts and
# waits until as many count as should at the same time.
SITE = """
import os, threading, time
from callcost.tokens.engines import encoders
whole = encoders.RanksEncoder.count
def count(self, texts):
    if any(text.startswith("hang") for text in texts):
        time.sleep(600)
    name = threading.current_thread().name
    if name.startswith(os.environ["NAMES"]):
        with open(os.environ["SEEN"], "a") as seen:
            seen.write(f"{os.getpid()} {name}\\n")
        ends = time.monotonic() + 30
        while len(set(open(os.environ["SEEN"]))) < int(os.environ["COUNTERS"]) and time.monotonic() < ends:
            time.sleep(0.05)
    return whole(self, texts)
encoders.RanksEncoder.count = count
"""


def calls(name: str) -> Iterator[bytes]:
    """Yield calls without usage: enough text for two threads, and one text that is over the size limit."""
    for number in range(30):
        text = f"{name} {number} " + "some words to be counted " * 800
        yield call(f"{name}-{number}", text)
    yield call(f"{name}-hung", "hang " * 300_000)


def call(name: str, text: str) -> bytes:
    record = {
        "id": name, "model": "gpt-4o", "timestamp": "2026-05-01T00:00:00Z",
        "messages": [{"role": "user", "content": text}], "response": "yes",
    }  # fmt: skip
    return json.dumps(record).encode()


SIZES = [(2, 2), pytest.param(1, 2, marks=pytest.mark.slow), pytest.param(2, 1, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("workers", "threads"), SIZES)
def test_workers_and_threads_count_and_a_hung_tokenizer_counts_nothing(
    tmp_path: Path, workers: int, threads: int
) -> None:
    logs = [write_lines(tmp_path / f"{name}.jsonl", calls(name)) for name in ("a", "b")]
    site, seen = tmp_path / "site", tmp_path / "seen"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    names = "count_" if threads > 1 else "MainThread"
    env = {
        "PYTHONPATH": f"{site}:{ROOT / 'pipeline'}", "CALLCOST_INLINE_BYTES": "0",
        "SEEN": str(seen), "NAMES": names, "COUNTERS": str(workers * threads),
    }  # fmt: skip
    out = tmp_path / "out"
    sizes = ("--workers", str(workers), "--threads", str(threads))
    started = time.monotonic()

    done = callcost("report", *logs, "--out", out, "--calls", "--item-timeout", str(LIMIT), *sizes, out=out, env=env)

    assert (done.code, time.monotonic() - started < 60) == (0, True), done.stderr
    hung = [row for row in done.calls if row["usage_source"] == "timed_out"]
    assert sorted(row["call_id"] for row in hung) == ["a-hung", "b-hung"]
    assert {row["count_method"] for row in hung} == {"timed_out"}
    assert {row["prompt_tokens"] for row in hung} == {7}  # what frames a message; nothing for its text
    assert done.manifest["usage_source"]["timed_out"] == len(done.manifest["timed_out"]) == 2
    assert "2 (timed out, first: a.jsonl:31)" in done.stderr
    assert min(row["prompt_tokens"] for row in done.calls if row not in hung) > 4000
    counted = Counter(line.split()[0] for line in set(seen.read_text(encoding="utf-8").splitlines()))
    assert list(counted.values()) == [threads] * workers  # of each process, its threads
