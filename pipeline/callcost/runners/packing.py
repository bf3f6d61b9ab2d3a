"""What is one piece of work: pieces packed into tasks of a worthwhile size. Knows nothing of what is in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol, TypeVar

INLINE_BYTES = 24 << 20  # below this, starting processes costs more than it saves
TASKS_PER_WORKER = 4  # so that one slow task does not hold up the end
MAX_TASK_BYTES = 256 << 20
CLUSTER_TASK_BYTES = 1 << 30  # there, starting a task costs more, and there are workers enough


class Sized(Protocol):
    """Anything with a size in bytes."""

    @property
    def bytes(self) -> int:
        """Return the size as stored."""
        ...


T = TypeVar("T", bound=Sized)


def worker_count(asked: int | None, total_bytes: int) -> int:
    """Return how many processes the work is worth: 1 (inline) for little input, never more than the cores.

    Args:
        asked: most processes that the user wants; None: as many as cores.
        total_bytes: size of all inputs.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threshold = int(os.environ.get("CALLCOST_INLINE_BYTES", INLINE_BYTES))
    return 1 if total_bytes < threshold else max(1, min(asked or cores, cores))


def cluster_task_bytes() -> int:
    """Return how much a task of a cluster reads."""
    return int(os.environ.get("CALLCOST_TASK_BYTES", CLUSTER_TASK_BYTES))


def pack_pieces(pieces: Sequence[T], workers: int, size: int | None = None) -> list[tuple[T, ...]]:
    """Pack pieces, in order, into tasks of about equal size.

    Args:
        pieces: all pieces, in the order of the run.
        workers: number of processes that will share the tasks.
        size: bytes of a task; None: what suits so many processes.

    Returns:
        Tasks; every piece is in exactly one.
    """
    total = sum(piece.bytes for piece in pieces)
    share = max(1, min(total // (workers * TASKS_PER_WORKER), MAX_TASK_BYTES)) if workers > 1 else MAX_TASK_BYTES
    target = share if size is None else size
    tasks: list[tuple[T, ...]] = []
    held: list[T] = []
    full = 0
    for piece in pieces:
        if held and full + piece.bytes > target:
            tasks.append(tuple(held))
            held, full = [], 0
        held.append(piece)
        full += piece.bytes
    return [*tasks, tuple(held)] if held else tasks
