"""The process in which something is measured: prepare, warm up, wait for the others, then do the timed work.

``python -m tests.bench.process WORK JSON`` prints one line of JSON: units of work done, seconds by the clock from the
first start to the last end, and seconds of the processors. Getting ready (imports, caches, a first few units) is not
in it, so that a peer is measured at its best. What the works are is in peers.py and ours.py.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.bench import ours, peers
from tests.bench.jobs import Job, Work

WORKS: dict[str, Callable[[Job], Work]] = {**peers.WORKS, **ours.WORKS}


def run_job(name: str, job: Job, gate: Any = None) -> tuple[int, float, float, float]:
    """Prepare a work, wait at the gate, do it.

    Returns:
        Units done, when it began and ended, and seconds of the processors.
    """
    work = WORKS[name](job)
    gc.collect()
    if gate is not None:
        gate.wait()
    before, begun = _processor_seconds(), time.perf_counter()
    units = work()
    return units, begun, time.perf_counter(), _processor_seconds() - before


def _processor_seconds() -> float:
    whose = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in whose)


def _run_part(name: str, job: Job, gate: Any, results: Any) -> None:
    results.put(run_job(name, job, gate))


def run_all(name: str, job: Job) -> dict[str, float]:
    """Run a work in as many processes as the job has parts."""
    if job.parts == 1:
        done = [run_job(name, job)]
    else:
        context = multiprocessing.get_context("spawn")
        gate, results = context.Barrier(job.parts), context.Queue()
        shares = [dataclasses.replace(job, part=part) for part in range(job.parts)]
        processes = [context.Process(target=_run_part, args=(name, share, gate, results)) for share in shares]
        for process in processes:
            process.start()
        done = [results.get() for _ in processes]
        for process in processes:
            process.join()
    units, starts, ends, seconds = zip(*done, strict=True)
    return {"units": sum(units), "wall": max(ends) - min(starts), "cpu": sum(seconds)}


def main() -> None:
    """Run the job that the command line describes."""
    name, described = sys.argv[1:]
    print(json.dumps(run_all(name, Job(**json.loads(described)))))  # noqa: T201 - this is how it answers


if __name__ == "__main__":
    main()
