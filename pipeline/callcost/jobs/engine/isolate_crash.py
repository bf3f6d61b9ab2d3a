"""Set aside what ends its worker: narrow a task down to the record that does, and keep all the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial, reduce
from pathlib import Path
from typing import Any

from callcost.runners.local import run_tasks
from callcost.stages.read.splits import halve_piece, survey
from callcost.stages.tables.facts import rejects_of
from callcost.stages.tasks import MapTask, Tick
from callcost.tables import Reject

_MOST_TASKS = 10_000  # of a run; the numbers of halves follow, level by level
Result = dict[str, Any]


def set_aside(function: Callable[[MapTask, Tick], Result], task: MapTask) -> Result:
    """Do a task that ended its worker twice half by half, each in a process of its own.

    Args:
        function: of the task, see kernel.map_inputs.
        task: to narrow.

    Returns:
        Its manifest line. A record that ends its worker again is a reject; so is a file that cannot be cut.
    """
    middle = len(task.pieces) // 2
    parts = None if middle else halve_piece(task.pieces[0])
    halves = [task.pieces[:middle], task.pieces[middle:]] if middle else [(part,) for part in parts or ()]
    if not halves:
        line = _reject(task, is_record=parts is not None)
    else:
        first = 2 * task.number + _MOST_TASKS
        tasks = [dataclasses.replace(task, number=first + n, pieces=half) for n, half in enumerate(halves)]
        narrower = partial(set_aside, function)
        done = [run_tasks(function, [half], retries=0, spawned=True, quarantine=narrower)[0] for half in tasks]
        line = reduce(_added, done)
    whole = {str(piece.input): survey(piece.source.path).sha256 for piece in task.pieces if piece.whole}
    return {**line, "task": task.number, "digests": line["digests"] | whole}


def _reject(task: MapTask, *, is_record: bool) -> Result:
    """Stand for a piece that ends its worker: a record, or a file whose records cannot be told apart from outside."""
    (piece,) = task.pieces
    place = {"source_row": 1 + (piece.rows_before or 0), "byte_offset": piece.start} if is_record else {}
    name, detail = piece.source.name, "reading it ended its worker twice"
    reject = Reject(reason="worker_died", detail=detail, source_file=name, **place)
    path = Path(task.folder) / f"rejects-{task.number:06}.parquet"
    rejects_of([reject], piece.number).write_parquet(path)
    tally = {"records": 1, "rejects": 1}
    return {
        "inputs": {str(piece.input): tally}, "digests": {}, "facts": 0, "counting": {}, "timed_out": [],
        "files": [str(path)],
    }  # fmt: skip


def _added(one: Any, other: Any) -> Any:
    """Add what two halves say: counts add up, lists and names come together."""
    if isinstance(one, dict):
        return {name: _added(one[name], other[name]) if name in one and name in other else {**other, **one}[name]
                for name in {**one, **other}}  # fmt: skip
    if isinstance(one, list):
        return one + [item for item in other if item not in one]
    return one + other if isinstance(one, int) and not isinstance(one, bool) else one
