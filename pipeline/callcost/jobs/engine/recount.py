"""What a job owes to its counts: they are the reference engine's, whatever engine counted.

A fast engine is checked while it counts (tokens/engines/verified_fast.py). Found to differ, it may have miscounted
before, in any worker; so the whole job is done again by the reference alone, and the manifest says how many texts
differed.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from callcost.runners.local import run_tasks
from callcost.runners.protocol import Done, R, Runner, Tick, ignore_result
from callcost.settings import ReportOptions

T = TypeVar("T")

logger = logging.getLogger("callcost")


class _DoubtError(Exception):
    """A fast engine that has counted was found to differ on so many texts."""


def run_counting(
    function: Callable[[T, Tick], R],
    plan: Callable[[ReportOptions], Sequence[T]],
    options: ReportOptions,
    *,
    runner: Runner = run_tasks,
    done: Done[R] = ignore_result,
    **how: Any,
) -> list[R]:
    """Run tasks that count; all of them again, without fast engines, where one of these is found to differ.

    Args:
        function: module-level function of (task, tick).
        plan: function that makes the tasks of the options, and takes back what an earlier plan's tasks left behind.
        options: options of the run.
        runner: executor that runs them.
        done: called with (number of the task, its result) as tasks end.
        how: further keyword arguments for the runner.

    Returns:
        One result per task.
    """

    def check(number: int, result: R) -> None:
        if result.counting.doubtful:
            raise _DoubtError(result.counting.mismatches)
        done(number, result)

    try:
        return runner(function, plan(options), done=check, **how)
    except _DoubtError as doubt:
        logger.warning("a fast counting engine differs from the reference: everything is counted again without it")
        mismatches = doubt.args[0]
    trusted = dataclasses.replace(options, work=dataclasses.replace(options.work, fast=False))
    results = runner(function, plan(trusted), done=done, **how)
    results[0].counting.mismatches = mismatches
    return results
