"""Start the processes of a run before anything heavy is imported here: they and this one import at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from callcost.errors import LogError
from callcost.logs.io.inputs import find_inputs, is_read_once
from callcost.logs.io.object_store import is_url
from callcost.runners.local import keep_workers
from callcost.runners.packing import worker_count
from callcost.settings import EXECUTORS, ReportOptions

_WORK = "callcost.stages.tasks"  # the module that a worker needs


@contextmanager
def start_workers(options: ReportOptions) -> Iterator[None]:
    """Start as many processes as the run of these options will have, where there will be more than one.

    They end with the block. What is wrong with the options is for the run to say.
    """
    logs, size = options.logs, 1
    if options.work.executor == EXECUTORS[0] and not any(is_url(log) or is_read_once(log) for log in logs):
        with suppress(LogError):
            size = worker_count(options.work.workers, sum(source.bytes for source in find_inputs(logs)))
    with keep_workers() as workers:
        if size > 1:
            workers.begin(size, _WORK)
        yield
