"""The local runner: same results inline and in processes, and it survives what kills a worker."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from callcost.errors import RunError
from callcost.runners.local import has_workers, keep_workers, run_tasks
from callcost.runners.packing import pack_pieces, worker_count
from callcost.runners.protocol import Tick
from callcost.tables import TaskResult


class Found(TaskResult):
    task: int = 0
    twice: int = 0
    pid: int = 0


class Piece:
    """A stand-in for an input."""

    def __init__(self, size: int) -> None:
        self.bytes = size


def double(task: int, tick: Tick) -> Found:
    tick(task, 1)
    return Found(task=task, twice=2 * task)


def die_once(task: tuple[int, str], tick: Tick) -> Found:
    number, marker = task
    tick(1, 0)
    if number == 3 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Found(task=number)


def die_always(task: int, tick: Tick) -> Found:
    tick(1, 0)
    if task == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return Found(task=task, pid=os.getpid())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pid_of(_task: int, _tick: Tick) -> Found:
    time.sleep(0.05)
    return Found(pid=os.getpid())


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    ticks: list[tuple[int, int]] = []
    results = run_tasks(double, range(9), workers=workers, tick=lambda size, calls: ticks.append((size, calls)))
    assert [result.twice for result in results] == [2 * n for n in range(9)]
    assert (sum(size for size, _ in ticks), sum(calls for _, calls in ticks)) == (36, 9)


def test_a_worker_that_is_killed_is_replaced_and_its_task_tried_again(tmp_path: Path) -> None:
    tasks = [(number, str(tmp_path / "died")) for number in range(8)]
    assert [result.task for result in run_tasks(die_once, tasks, workers=2)] == list(range(8))
    assert (tmp_path / "died").exists()


def test_a_task_that_kills_its_worker_twice_ends_the_run_with_an_error() -> None:
    with pytest.raises(RunError, match="died 2 times on the same input"):
        run_tasks(die_always, range(4), workers=2, retries=1)


def test_no_process_is_left_behind() -> None:
    pids = {result.pid for result in run_tasks(pid_of, range(6), workers=2)}
    assert os.getpid() not in pids
    assert not [pid for pid in pids if alive(pid)]


def test_kept_workers_do_the_next_tasks_and_end_with_the_block(tmp_path: Path) -> None:
    ticks: list[int] = []
    with keep_workers():
        first = {result.pid for _ in range(3) for result in run_tasks(pid_of, range(6), workers=2)}
        assert len(first) <= 2  # new ones for each of three runs would be three at least
        assert has_workers()
        run_tasks(double, range(4), workers=2, tick=lambda _, calls: ticks.append(calls))
        tasks = [(number, str(tmp_path / "died")) for number in range(8)]
        assert [result.task for result in run_tasks(die_once, tasks, workers=2)] == list(range(8))
        last = {result.pid for result in run_tasks(pid_of, range(6), workers=2)}
    assert sum(ticks) == 4
    assert not has_workers()
    assert not [pid for pid in first | last if alive(pid)]


def test_little_input_is_not_worth_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALLCOST_INLINE_BYTES", raising=False)
    assert worker_count(2, 1000) == 1
    assert 1 <= worker_count(64, 1 << 40) <= (os.cpu_count() or 1)
    assert worker_count(1, 1 << 40) == 1


def test_every_piece_is_in_exactly_one_task_and_order_is_kept() -> None:
    pieces = [Piece(size) for size in (5, 0, 90, 3, 3, 3, 200, 1)]
    packed = pack_pieces(pieces, 2)
    assert [piece for task in packed for piece in task] == pieces
    assert len(packed) > 2
    assert pack_pieces([], 2) == []
