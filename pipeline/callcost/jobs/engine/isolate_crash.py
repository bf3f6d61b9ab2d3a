"""Set aside what ends its worker: narrow a task down to the record that does, and keep all the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

from callcost.runners.local import run_tasks
from callcost.stages.read.splits import halve_piece, survey
from callcost.stages.tables.facts import rejects_of
from callcost.stages.tasks import MapTask, Tick
from callcost.tables import MapResult, Reject, add_up

_MOST_TASKS = 10_000  # of a run; the numbers of halves follow, level by level


def set_aside(function: Callable[[MapTask, Tick], MapResult], task: MapTask) -> MapResult:
    """Do a task that ended its worker twice half by half, each in a process of its own.

    Args:
        function: function of (task, tick), as tasks.map_inputs.
        task: task to narrow.

    Returns:
        Its result. A record that ends its worker again is a reject; so is a file that cannot be cut.
    """
    middle = len(task.pieces) // 2
    parts = None if middle else halve_piece(task.pieces[0])
    halves = [task.pieces[:middle], task.pieces[middle:]] if middle else [(part,) for part in parts or ()]
    if not halves:
        result = reject_task(task, "reading it ended its worker twice", is_record=parts is not None)
    else:
        first = 2 * task.number + _MOST_TASKS
        tasks = [dataclasses.replace(task, number=first + n, pieces=half) for n, half in enumerate(halves)]
        narrower = partial(set_aside, function)
        done = [run_tasks(function, [half], retries=0, spawned=True, quarantine=narrower)[0] for half in tasks]
        result = add_up(done, MapResult())
    result.digests |= {str(piece.input): survey(piece.source.path).sha256 for piece in task.pieces if piece.whole}
    return result


def reject_task(task: MapTask, detail: str, *, is_record: bool = False) -> MapResult:
    """Stand for a task that ends its worker: one reject, of its first piece.

    Args:
        task: task that cannot be done.
        detail: detail of the reject.
        is_record: whether the task is one record; else it is a file whose records cannot be told apart from outside.
    """
    piece = task.pieces[0]
    place = {"source_row": 1 + (piece.rows_before or 0), "byte_offset": piece.start} if is_record else {}
    reject = Reject(reason="worker_died", detail=detail, source_file=piece.source.name, **place)
    path = Path(task.folder) / f"rejects-{task.number:06}.parquet"
    rejects_of([reject], piece.number).write_parquet(path)
    return MapResult(inputs={str(piece.input): {"records": 1, "rejects": 1}}, files=[str(path)])
