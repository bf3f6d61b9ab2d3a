"""What every executor is to those who give it work: one function that runs another over tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from callcost.tables import TaskResult

T = TypeVar("T")
R = TypeVar("R", bound=TaskResult)
Tick = Callable[[int, int], None]
Done = Callable[[int, R], None]


def ignore_progress(_bytes: int, _calls: int) -> None:
    """Tell nobody."""


def ignore_result(_number: int, _result: TaskResult) -> None:
    """Tell nobody."""


class Runner(Protocol):
    """Run a function over tasks and return its results in the order of the tasks.

    A task is small picklable data, its result a small struct; what is made of the data goes to files.
    """

    def __call__(
        self,
        function: Callable[[T, Tick], R],
        tasks: Sequence[T],
        *,
        workers: int = 1,
        retries: int = 1,
        tick: Tick = ignore_progress,
        done: Done[R] = ignore_result,
        quarantine: Callable[[T], R] | None = None,
    ) -> list[R]:
        """Run the tasks.

        Args:
            function: picklable, of (task, tick).
            tasks: picklable.
            workers: processes of this machine; an executor that has machines of its own does not look at it.
            retries: number of times that a task whose worker died is tried again.
            tick: called with (bytes, calls) as the work goes on.
            done: called here with (number of the task, its result) as tasks end; what it raises ends the run.
            quarantine: function of a task that went beyond its retries, to stand for its result; None: it ends the run.

        Returns:
            One result per task.

        Raises:
            RunError: a task ended its worker more than ``retries`` times.
        """
        ...
