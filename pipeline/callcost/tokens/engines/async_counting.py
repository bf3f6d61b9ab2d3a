"""Counting beside an event loop: a few threads that take no more work than they can do, and let go of dead work.

At most one count per thread is waited for; when there are as many, ``start`` says so and the caller counts by itself.
A count that was dropped no longer takes a place: one that has not begun never does, one under way stops at the next
slice of its text, some milliseconds later, and a text that cannot be sliced and is over the size limit goes to a
helper process that is killed at its deadline. So dead work does not pile up, however many counts time out. When and
whether to count in a thread is left to the caller.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from callcost.tokens.engines.encoders import Encoder, ForeignEncoder
from callcost.tokens.engines.oversize_worker import OversizeWorker, is_oversize

SLICE_CHARS = 50_000  # some five milliseconds of counting between two looks at the clock
_NICENESS = 10  # how far these threads stand behind the one that runs the event loop


class Job:
    """One count that somebody waits for.

    Attributes:
        result: future of the tokens of each text.
        waited: whether somebody still waits for it.
    """

    def __init__(self) -> None:
        self.result: Future[list[int]]
        self.waited = True


class CountingThreads:
    """Counts in up to ``size`` threads; each starts when it is needed, all end with the interpreter.

    Attributes:
        size: the most threads that count at a time.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._busy = 0
        self._counting = threading.Lock()
        self._threads = ThreadPoolExecutor(size, "callcost-count", _lower_priority)
        self._worker = OversizeWorker()

    def start(self, load: Callable[[], Encoder], texts: Sequence[str], seconds: float) -> Job | None:
        """Begin to count texts in a free thread.

        Args:
            load: returns what counts; called in the thread, where reading a vocabulary holds nobody up.
            texts: the texts.
            seconds: after which nobody will wait for the result; 0: no limit.

        Returns:
            The job, to be handed to ``drop`` when nobody waits for it any more; None if every thread is busy.
        """
        with self._counting:
            if self._busy >= self.size:
                return None
            job = Job()
            job.result = self._threads.submit(self._run, job, load, texts, seconds)
            self._busy += 1
        return job

    def drop(self, job: Job) -> None:
        """Let go of a count, done or not: its place is free."""
        with self._counting:
            self._busy -= job.waited
            job.waited = False
        job.result.cancel()  # if it has not begun

    def retire(self) -> None:
        """Take no more work; threads and helper end with what they are at."""
        self._threads.shutdown(wait=False)

    def _run(self, job: Job, load: Callable[[], Encoder], texts: Sequence[str], seconds: float) -> list[int]:
        ends = time.monotonic() + seconds if seconds else 0.0
        encoder = load()
        return [self._count(job, encoder, text, ends) for text in texts]

    def _count(self, job: Job, encoder: Encoder, text: str, ends: float) -> int:
        tokens = 0
        for piece in encoder.slices(text, SLICE_CHARS):
            left = ends - time.monotonic() if ends else 0.0
            if not job.waited or left < 0:
                raise TimeoutError
            if left and is_oversize(piece) and not isinstance(encoder, ForeignEncoder):
                count = self._worker.count(encoder.vocabulary.name, piece, left)
                if count is None:
                    raise TimeoutError
                tokens += count
            else:
                tokens += encoder.count([piece])[0]
        return tokens


def _lower_priority() -> None:
    """Let the event loop's thread go first where cores are scarce."""
    if sys.platform == "linux":  # elsewhere a priority is the whole process's
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
