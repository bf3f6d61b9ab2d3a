"""Start the processes of a run before anything heavy is imported here: they and this one import at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from callcost.errors import LogError
from callcost.logs.io.inputs import find_inputs, is_read_once
from callcost.logs.io.store_access import is_url
from callcost.runners.local import keep_workers
from callcost.runners.packing import worker_count
from callcost.settings import EXECUTORS, ReportOptions

_WORK = "callcost.stages.tasks"  # what a worker needs


@contextmanager
def workers_begun(options: ReportOptions) -> Iterator[None]:
    """Start as many processes as the run of these options will have, where there will be more than one.

    They end with the block. What is wrong with the options is for the run to say.
    """
    with keep_workers() as workers:
        size = _workers_of(options)
        if size > 1:
            workers.begin(size, _WORK)
        yield


def _workers_of(options: ReportOptions) -> int:
    if options.work.executor != EXECUTORS[0] or any(is_url(log) or is_read_once(log) for log in options.logs):
        return 1
    try:
        return worker_count(options.work.workers, sum(source.bytes for source in find_inputs(options.logs)))
    except LogError:
        return 1
