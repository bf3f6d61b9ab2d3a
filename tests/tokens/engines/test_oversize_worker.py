"""The oversize worker counts what is in time, gives up what is not, and leaves no process behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from callcost.errors import TokenizerError
from callcost.tokens.engines import oversize_worker
from callcost.tokens.engines.encoders import load_encoder
from callcost.tokens.engines.oversize_worker import OversizeWorker, count_in_threads, is_oversize

PROSE = "It is a truth universally acknowledged. " * 30_000
ONE_WORD = "a" * 20_000_000  # a single pre-token: some fifteen seconds of merging


def is_alive(process_id: int) -> bool:
    """Say whether a process exists and is no zombie."""
    try:
        os.kill(process_id, 0)
        stat = Path(f"/proc/{process_id}/stat")
        return not stat.exists() or stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends_within(process_id: int, seconds: float) -> bool:
    """Wait for a process to end."""
    limit = time.monotonic() + seconds
    while is_alive(process_id):
        if time.monotonic() > limit:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def worker() -> Iterator[OversizeWorker]:
    """A worker, closed afterwards."""
    with contextlib.closing(OversizeWorker()) as made:
        yield made


def helper_of(worker: OversizeWorker) -> int:
    """Return the process id of a worker's helper."""
    assert worker.helper is not None
    return worker.helper.pid


@pytest.mark.parametrize(
    ("text", "limit", "over"),
    [("a" * 10, 10, False), ("a" * 11, 10, True), ("é" * 5, 10, False), ("é" * 6, 10, True), ("\ud800" * 4, 10, True)],
)
def test_the_limit_is_in_bytes_of_utf8(text: str, limit: int, over: bool) -> None:
    assert is_oversize(text, limit) is over


def test_an_item_in_time_has_the_count_of_the_encoder(worker: OversizeWorker) -> None:
    assert worker.count("cl100k_base", PROSE, 60) == load_encoder("cl100k_base").count([PROSE])[0]
    assert worker.count("claude2", "a\ud800 b", 60) == load_encoder("claude2").count(["a\ufffd b"])[0]


def test_one_helper_serves_item_after_item(worker: OversizeWorker) -> None:
    worker.count("r50k_base", "one", 60)
    first = helper_of(worker)
    worker.count("r50k_base", "two", 60)

    assert helper_of(worker) == first


def test_an_item_over_its_time_has_no_count_and_its_helper_is_replaced(worker: OversizeWorker) -> None:
    worker.count("cl100k_base", "warm", 60)
    first = helper_of(worker)
    started = time.monotonic()

    assert worker.count("cl100k_base", ONE_WORD, 0.3) is None

    assert time.monotonic() - started < 5
    assert not is_alive(first)
    assert worker.count("cl100k_base", "hello world", 60) == 2


def test_an_item_over_the_helpers_memory_has_no_count(worker: OversizeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    cap = "from callcost.tokens.engines import oversize_worker; oversize_worker.HELPER_MEMORY_BYTES = 400 * 2**20; "
    start = oversize_worker._START
    monkeypatch.setattr(oversize_worker, "_START", start.replace("from callcost", cap + "from callcost"))

    assert worker.count("cl100k_base", ONE_WORD, 0) is None
    assert worker.count("cl100k_base", "hello world", 60) == 2


def test_a_helper_that_was_killed_between_two_items_is_replaced(worker: OversizeWorker) -> None:
    worker.count("cl100k_base", "warm", 60)
    first = helper_of(worker)
    os.kill(first, signal.SIGKILL)
    assert ends_within(first, 5)

    assert worker.count("cl100k_base", "hello world", 60) == 2


def test_a_vocabulary_that_is_nowhere_is_a_named_error(worker: OversizeWorker) -> None:
    with pytest.raises(TokenizerError, match="gemma99"):
        worker.count("gemma99", "text", 60)


def test_a_helper_that_cannot_start_is_a_named_error(worker: OversizeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oversize_worker, "_START", "raise SystemExit")

    with pytest.raises(TokenizerError, match="helper"):
        worker.count("cl100k_base", PROSE, 60)


def test_closing_ends_the_helper_even_while_it_counts() -> None:
    worker = OversizeWorker()
    worker.count("cl100k_base", "warm", 60)
    helper = helper_of(worker)
    waiting = threading.Thread(target=worker.count, args=("cl100k_base", ONE_WORD, 60))
    waiting.start()
    time.sleep(0.3)

    worker.close()
    waiting.join(5)

    assert not waiting.is_alive()
    assert not is_alive(helper)


_PARENT = """
import sys, threading, time
from callcost.tokens.engines.oversize_worker import OversizeWorker
worker = OversizeWorker()
worker.count("r50k_base", "warm", 60)
print(worker.helper.pid, flush=True)
if "busy" in sys.argv:
    worker.count("r50k_base", "a" * 20_000_000, 60)
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT], ids=lambda end: end.name)
def test_the_helper_ends_with_its_parent_however_that_ends(end: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, "busy"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    helper = int(parent.stdout.readline())
    time.sleep(0.3)

    parent.send_signal(end)
    parent.wait(60)
    parent.stdout.close()

    assert ends_within(helper, 2)


def test_an_unclosed_worker_ends_its_helper_at_exit() -> None:
    done = subprocess.run([sys.executable, "-c", _PARENT], capture_output=True, text=True, check=True, timeout=60)

    assert ends_within(int(done.stdout), 2)
    assert done.stderr == ""


def test_texts_counted_in_threads_keep_their_order() -> None:
    encoder = load_encoder("cl100k_base")
    texts = [f"word {number} " * (number % 90) for number in range(3000)]

    with ThreadPoolExecutor(2) as threads:
        assert count_in_threads(encoder, texts, threads) == encoder.count(texts)
