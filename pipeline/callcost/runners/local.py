"""Run tasks on this machine: inline, or in a pool of spawned processes that survives the death of its workers.

A task is small picklable data, its result a small struct. A worker that dies takes the pool with it, so the
pool is made anew and what was under way is tried again, one task at a time, until the one that kills is known.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from callcost.errors import RunError
from callcost.runners.protocol import Done, R, Tick, ignore_progress, ignore_result
from callcost.settings import GC_THRESHOLDS, STOP_SIGNALS

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

T = TypeVar("T")
_POLL_SECONDS = 0.1

_progress: Any = None  # in a worker: the shared (bytes, calls) counters


def run_tasks(
    function: Callable[[T, Tick], R],
    tasks: Sequence[T],
    *,
    workers: int = 1,
    retries: int = 1,
    tick: Tick = ignore_progress,
    done: Done[R] = ignore_result,
    quarantine: Callable[[T], R] | None = None,
    spawned: bool = False,
) -> list[R]:
    """Run a function over tasks and return its results in the order of the tasks; see Runner.

    Args:
        function: picklable function of (task, tick).
        tasks: picklable tasks.
        workers: number of processes; 1 runs inline.
        retries: see Runner.
        tick: see Runner.
        done: see Runner.
        quarantine: see Runner.
        spawned: whether even one task has a process of its own.
    """
    results: dict[int, R] = {}

    def keep(number: int, result: R) -> None:
        results[number] = result
        done(number, result)

    if not spawned and (workers <= 1 or len(tasks) <= 1):
        for number, task in enumerate(tasks):
            keep(number, function(task, tick))
        return list(results.values())
    deaths = dict.fromkeys(range(len(tasks)), 0)
    while len(results) < len(tasks):
        left = [number for number in deaths if number not in results]
        suspects = [number for number in left if deaths[number]]
        batch, size = (suspects[:1], 1) if suspects else (left, workers)
        died = _run_pool(function, tasks, batch, size, keep, tick)
        under_way = [number for number in batch if number not in results][: 2 * size + 1] if died else ()
        for number in under_way:
            deaths[number] += 1
            if deaths[number] > retries and quarantine is not None:
                keep(number, quarantine(tasks[number]))
            elif deaths[number] > retries:
                message = f"a worker process died {deaths[number]} times on the same input"
                raise RunError(message, hint="Run again with --workers 1 to see which input it is")
    return [results[number] for number in range(len(tasks))]


class _Workers:
    """Processes of one size of pool, started when they are first asked for."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._size = 0
        self.counters: Any = None

    def pool(self, size: int, module: str = "") -> ProcessPoolExecutor:
        """Return a pool of so many processes: the one at hand, if it is that.

        Args:
            size: number of processes.
            module: name of a module that each imports before it has anything to do.
        """
        if self._pool is None or self._size != size:
            self.end()
            import multiprocessing  # noqa: PLC0415 - runs of one process need none of it
            from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

            context = multiprocessing.get_context("spawn")
            self._size, self.counters = size, context.Array("q", 2)
            self._pool = ProcessPoolExecutor(size, context, _start_worker, (self.counters, module))
        return self._pool

    def begin(self, size: int, module: str) -> None:
        """Start so many processes now, each of which imports a module while this one gets ready, too.

        Where they cannot be started, there are none: who wants them will try again, and be told.
        """
        try:
            pool = self.pool(size, module)
            with _uninterrupted():
                for _ in range(size):
                    pool.submit(os.getpid)  # a pool starts a process with each task that finds none idle
        except OSError:
            self.end(now=True)

    def end(self, *, now: bool = False) -> None:
        """End them; ``now``: with the work under way."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        for process in list((pool._processes or {}).values()) if now else ():  # the only way to end work under way
            process.kill()
        pool.shutdown(wait=True, cancel_futures=now)


_kept: ContextVar[_Workers | None] = ContextVar("workers kept", default=None)


@contextmanager
def keep_workers() -> Iterator[_Workers]:
    """Keep processes from one call of run_tasks to the next, until the end of the block."""
    outer = _kept.get()
    if outer is not None:
        yield outer
        return
    workers = _Workers()
    token = _kept.set(workers)
    try:
        yield workers
    except BaseException:
        workers.end(now=True)
        raise
    finally:
        _kept.reset(token)
        workers.end()


def end_workers() -> None:
    """End the processes that are kept: what is left to do is for one, and needs their memory."""
    workers = _kept.get()
    if workers is not None:
        workers.end()


def has_workers() -> bool:
    """Say whether processes are kept that need not be started."""
    workers = _kept.get()
    return workers is not None and workers._pool is not None


def _run_pool(
    function: Callable[[T, Tick], R], tasks: Sequence[T], batch: list[int], size: int, keep: Done[R], tick: Tick
) -> bool:
    """Run a batch in a pool; tell whether a worker died."""
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415 - as above

    with keep_workers() as workers:
        try:
            pool = workers.pool(size)
            seen = (workers.counters[0], workers.counters[1])  # kept workers have counted before
            with _uninterrupted():
                futures = {pool.submit(_run_one, function, tasks[number]): number for number in batch}
            _collect(futures, keep, workers.counters, seen, tick)
        except BrokenProcessPool:
            workers.end()
            return True
        except BaseException:
            workers.end(now=True)
            raise
    return False


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put Ctrl-C and its like off until the block ends: a process half started would say so, in its own words."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    handled = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handled:
        signal.signal(number, lambda number, _frame: heard.append(number))
    blocking = hasattr(signal, "pthread_sigmask")  # what is started now inherits that; its parent ends it
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if blocking else None
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handled.items():
            signal.signal(number, handler)
    if heard:
        handled[heard[0]](heard[0], None)


def _collect(
    futures: dict[Future[R], int], keep: Done[R], counters: Any, seen: tuple[int, int], tick: Tick
) -> None:
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        now = (counters[0], counters[1])
        tick(now[0] - seen[0], now[1] - seen[1])
        seen = now
        for future in done:
            keep(futures[future], future.result())
    tick(counters[0] - seen[0], counters[1] - seen[1])


def _start_worker(counters: Any, module: str) -> None:
    global _progress  # noqa: PLW0603 - a worker has one parent and one set of counters
    _progress = counters
    gc.set_threshold(*GC_THRESHOLDS)
    atexit.register(os._exit, 0)  # nothing is left to do then but to take the interpreter apart, which lasts
    os.environ["POLARS_MAX_THREADS"] = "1"  # before Polars is imported: one thread per process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if module:
        importlib.import_module(module)


def _end_with_parent() -> None:
    from multiprocessing import parent_process  # noqa: PLC0415 - as above

    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _run_one(function: Callable[[T, Tick], R], task: T) -> R:
    return function(task, _tick_parent)


def _tick_parent(read_bytes: int, calls: int) -> None:
    with _progress.get_lock():
        _progress[0] += read_bytes
        _progress[1] += calls
