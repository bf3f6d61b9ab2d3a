"""async_token_counter: large inputs beside the event loop, small ones on it, dead work let go."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import callcost
from callcost.errors import TokenizerError
from callcost.helpers import counting
from callcost.helpers.counting import async_token_counter, counting_threads, token_counter
from callcost.tokens.engines.async_counting import CountingThreads
from callcost.tokens.engines.encoders import Encoder, load_encoder

PROSE = "It is a truth universally acknowledged. " * 2_000  # 80 kB
ONE_WORD = "a" * 1_000_000  # cannot be sliced: half a second in any thread


class Gate:
    """An encoder that waits until it is let go on; counts characters and the threads that counted."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.threads: list[str] = []
        self.inner = load_encoder("r50k_base")
        self.vocabulary = self.inner.vocabulary

    def slices(self, text: str, size: int) -> Iterator[str]:
        return self.inner.slices(text, size)

    def count(self, texts: list[str]) -> list[int]:
        self.threads.append(threading.current_thread().name)
        if self.threads[-1].startswith("callcost"):
            self.open.wait(20)
        return [len(text) for text in texts]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small thresholds, two threads, and threads of the test's own."""
    monkeypatch.setattr(callcost, "async_tokenizer_threshold_bytes", 1000)
    monkeypatch.setattr(callcost, "tokenizer_threadpool_max_workers", 2)
    monkeypatch.setattr(callcost, "tokenizer_timeout_seconds", 30.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(counting, "_threads", None)
    yield
    if counting._threads is not None:
        counting._threads.retire()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gated encoder in the place of every model's."""
    made = Gate()
    monkeypatch.setattr(counting, "encoder_of", lambda *_: made)
    yield made
    made.open.set()


def count(**arguments: Any) -> int:
    """Run one asynchronous count to its end."""
    return asyncio.run(async_token_counter(model="gpt-4o", **arguments))


@pytest.mark.parametrize("text", ["", "hello world", PROSE, "中文。" * 60_000, ONE_WORD[:100_000]])
def test_the_count_is_the_synchronous_one(text: str) -> None:
    assert count(text=text) == token_counter(model="gpt-4o", text=text)


def test_messages_count_as_the_synchronous_ones() -> None:
    messages = [{"role": "user", "content": PROSE}, {"role": "assistant", "content": "yes"}]

    assert count(messages=messages) == token_counter(model="gpt-4o", messages=messages)


@pytest.mark.parametrize(("length", "inline"), [(999, True), (1000, False), (1001, False)])
def test_the_threshold_itself_goes_to_a_thread(gate: Gate, length: int, inline: bool) -> None:
    gate.open.set()

    assert count(text="a" * length) == length

    assert [name == "MainThread" for name in gate.threads] == [inline]


def test_the_size_is_in_bytes_of_utf8(gate: Gate) -> None:
    gate.open.set()

    count(text="é" * 500)

    assert gate.threads != ["MainThread"]


def test_the_size_is_that_of_what_is_counted(gate: Gate) -> None:
    gate.open.set()

    count(messages=[{"role": "user", "content": "hi", "unknown_field": "x" * 5000}])

    assert set(gate.threads) == {"MainThread"}


def test_without_a_threshold_everything_is_counted_here(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callcost, "async_tokenizer_threshold_bytes", None)

    count(text=PROSE)

    assert gate.threads == ["MainThread"]
    assert counting._threads is None


def test_when_every_thread_is_busy_the_next_is_counted_here(gate: Gate) -> None:
    async def three() -> list[int]:
        busy = [asyncio.create_task(async_token_counter(model="gpt-4o", text="a" * 2000)) for _ in range(2)]
        while len(gate.threads) < 2:
            await asyncio.sleep(0.01)
        here = await async_token_counter(model="gpt-4o", text="a" * 3000)
        gate.open.set()
        return [here, *await asyncio.gather(*busy)]

    assert asyncio.run(three()) == [3000, 2000, 2000]
    assert gate.threads[2] == "MainThread"


def test_after_the_timeout_it_is_zero_and_an_error_is_logged(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(callcost, "tokenizer_timeout_seconds", 0.05)

    assert count(text="secret " * 500) == 0

    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "3500 bytes" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("never", [None, 0, 0.0])
def test_without_a_timeout_it_waits(gate: Gate, monkeypatch: pytest.MonkeyPatch, never: float | None) -> None:
    monkeypatch.setattr(callcost, "tokenizer_timeout_seconds", never)
    threading.Timer(0.2, gate.open.set).start()

    assert count(text="a" * 2000) == 2000


def test_a_count_that_nobody_waits_for_stops_at_the_next_slice(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callcost, "tokenizer_timeout_seconds", 0.05)
    assert count(text=PROSE * 10) == 0
    running = len(gate.threads)

    gate.open.set()
    counting_threads()._threads.shutdown(wait=True)

    assert len(gate.threads) == running == 1


def test_after_a_hundred_timed_out_inputs_the_next_small_one_is_answered_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load_encoder("o200k_base")
    monkeypatch.setattr(callcost, "tokenizer_timeout_seconds", 0.001)

    large = PROSE * 13

    async def flood() -> tuple[list[int], int, float]:
        results = [await async_token_counter(model="gpt-4o", text=large) for _ in range(100)]
        started = time.monotonic()
        small = await async_token_counter(model="gpt-4o", text="hello world")
        return results, small, time.monotonic() - started

    results, small, seconds = asyncio.run(flood())

    assert results.count(0) > 90
    assert set(results) <= {0, token_counter(model="gpt-4o", text=large)}
    assert small == 2
    assert seconds < 0.25


def test_an_input_that_cannot_be_sliced_holds_no_thread_past_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    load_encoder("o200k_base")
    monkeypatch.setattr(callcost, "tokenizer_timeout_seconds", 0.3)

    assert count(text=ONE_WORD * 20) == 0

    started = time.monotonic()
    counting_threads()._threads.shutdown(wait=True)
    assert time.monotonic() - started < 5
    assert counting_threads()._worker.helper is None


def test_a_cancelled_caller_drops_its_count(gate: Gate) -> None:
    async def cancelled() -> None:
        task = asyncio.create_task(async_token_counter(model="gpt-4o", text=PROSE * 10))
        while not gate.threads:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    gate.open.set()
    time.sleep(0.1)

    assert len(gate.threads) == 1


@pytest.mark.parametrize(("wanted", "cores", "size"), [(4, 8, 4), (16, 8, 8), (4, 1, 1), (0, 8, 1), (4, None, 1)])
def test_there_are_as_many_threads_as_set_and_no_more_than_cores(
    monkeypatch: pytest.MonkeyPatch, wanted: int, cores: int | None, size: int
) -> None:
    monkeypatch.setattr(callcost, "tokenizer_threadpool_max_workers", wanted)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)

    assert counting_threads().size == size


def test_the_threads_are_made_anew_when_the_setting_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = counting_threads()
    assert counting_threads() is first

    monkeypatch.setattr(callcost, "tokenizer_threadpool_max_workers", 3)

    assert counting_threads().size == 3


def test_an_error_in_a_thread_reaches_the_caller_or_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Encoder:
        raise TokenizerError("there is no such vocabulary")

    monkeypatch.setattr(counting, "encoder_of", refuse)

    with pytest.raises(TokenizerError):
        count(text=PROSE)
    assert count(text=PROSE, default_token_count=5) == 5
    assert counting_threads()._busy == 0


def test_counting_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callcost, "disable_token_counter", True)

    assert count(text=PROSE) == 0


def test_the_other_tasks_of_the_loop_go_on_while_it_counts() -> None:
    async def ticks() -> int:
        await async_token_counter(model="gpt-4o", text="warm " * 1000)
        beats = 0
        task = asyncio.create_task(async_token_counter(model="gpt-4o", text=PROSE * 60))
        while not task.done():
            await asyncio.sleep(0.005)
            beats += 1
        return beats

    assert asyncio.run(ticks()) >= 5


def test_nothing_is_left_at_exit() -> None:
    script = (
        "import asyncio, callcost, threading;"
        "from callcost.helpers.counting import async_token_counter, counting_threads;"
        "callcost.async_tokenizer_threshold_bytes = 1000; callcost.tokenizer_timeout_seconds = 20.0;"
        "print(asyncio.run(async_token_counter(model='gpt-4', text='a' * 1_100_000)));"
        "print(counting_threads()._worker.helper.pid)"
    )
    started = time.monotonic()

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)

    tokens, helper = done.stdout.split()
    assert (done.returncode, done.stderr) == (0, "")
    assert tokens == "137500"
    assert not os.path.exists(f"/proc/{helper}")  # noqa: PTH110 - a process, not a file
    assert time.monotonic() - started < 30


def test_threads_say_when_all_are_busy(gate: Gate) -> None:
    threads = CountingThreads(1)
    first = threads.start(lambda: gate, ["a"], 0)  # type: ignore[arg-type,return-value]  # has what counting needs

    assert first is not None
    assert threads.start(lambda: gate, ["b"], 0) is None  # type: ignore[arg-type,return-value]

    gate.open.set()
    assert first.result.result(5) == [1]
    threads.drop(first)
    assert threads._busy == 0
    threads.retire()


def test_a_dropped_count_takes_no_place_and_one_that_has_not_begun_never_does(gate: Gate) -> None:
    threads = CountingThreads(1)
    for _ in range(100):
        job = threads.start(lambda: gate, ["a"], 0)  # type: ignore[arg-type,return-value]
        assert job is not None
        threads.drop(job)

    gate.open.set()
    last = threads.start(lambda: gate, ["bb"], 0)  # type: ignore[arg-type,return-value]

    assert last is not None
    assert last.result.result(5) == [2]
    assert len(gate.threads) <= 2
    threads.retire()
