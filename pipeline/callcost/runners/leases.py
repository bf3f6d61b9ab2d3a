"""Locks of folders in object stores: a chain of leases, each made where there is none, of which the highest counts.

The one thing asked of a store is that it makes an object only where there is none; one that ignores this is refused.
Who holds a folder makes the next lease every third of its time, and a last one that says it is released. Who finds a
lease waits for the next: if none comes in the time that it names, its run is dead and the next lease is free to be
made. So no clock is ever compared with another's. Two that make the same lease are told apart by the store; one that
makes a lease again which was there before, and removed, sees a higher one and gives way.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from callcost.errors import CallcostError, RunError
from callcost.logs.io.folders import Folder

LOCK = ".lock"
SECONDS = 60.0  # after which a run that has not renewed its lease is dead
SECONDS_VARIABLE = "CALLCOST_LEASE_SECONDS"

logger = logging.getLogger("callcost")


def owner_words(run_id: str) -> dict[str, Any]:
    """Return what a lock says of its owner."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"run_id": run_id, "process": os.getpid(), "host": socket.gethostname(), "since": since}


def owner_line(words: Any) -> str:
    """Return what owner_words says, for people."""
    try:
        return f"run {words['run_id']}, process {words['process']} on {words['host']}, since {words['since']}"
    except (KeyError, TypeError):
        return "an unnamed process"


@contextlib.contextmanager
def hold_lease(folder: Folder, run_id: str) -> Iterator[Callable[[], None]]:
    """Hold a folder while the block runs.

    Args:
        folder: folder in a store.
        run_id: id of the run that takes it.

    Yields:
        What raises a RunError if another run has it now.

    Raises:
        RunError: another run has it, or the store ignores that there is a lease.
        LogError: the store refuses or cannot be reached.
    """
    lease = _Lease(folder, run_id)
    lease.acquire()
    thread = threading.Thread(target=lease.renew_until_released, name="lease", daemon=True)
    thread.start()
    try:
        yield lease.assure
    finally:
        lease.released.set()
        thread.join(timeout=10)  # it may be waiting for a store that does not answer
        with contextlib.suppress(CallcostError):  # the next run waits until it is over, then
            lease.release()


class _Lease:
    """The leases of one run.

    Args:
        folder: folder in a store.
        run_id: id of the run.
    """

    def __init__(self, folder: Folder, run_id: str) -> None:
        self._folder = folder
        self._seconds = float(os.environ.get(SECONDS_VARIABLE, SECONDS))
        # "of": tells this run's leases from those of another one that was given the same name
        self._words = {**owner_words(run_id), "seconds": self._seconds, "of": uuid.uuid4().hex}
        self._number = 0
        self._made_at = 0.0
        self._lost = False
        self._turn = threading.Lock()  # of the two threads that make leases
        self.released = threading.Event()

    def acquire(self) -> None:
        """Make the next lease as soon as the last one is released or dead.

        Raises:
            RunError: another run is alive, or the store makes objects where there is one.
        """
        while True:
            if last := self._highest():
                self._await_end(last)
            if self._make(last + 1):
                break
        if self._folder.create(_lease_name(self._number), b"{}"):
            self._folder.remove([_lease_name(self._number)])
            message = f"the store of {self._folder.place} replaces objects where it was told to make new ones"
            raise RunError(message, hint="Two runs could not be kept apart there: keep the state somewhere else")

    def assure(self) -> None:
        """Raise a RunError if another run has the folder; a lease that was not renewed in time is renewed now."""
        with self._turn:
            if not self._lost and time.monotonic() - self._made_at > self._seconds / 2:
                self._lost = not self._make(self._number + 1)
        if self._lost:
            message = f"another run took {self._folder.place}: this one did not answer for {self._seconds:g} seconds"
            raise RunError(message, hint="Run the same again")

    def renew_until_released(self) -> None:
        """Make the next lease again and again."""
        while not (self._lost or self.released.wait(self._seconds / 3)):
            with self._turn, contextlib.suppress(CallcostError, OSError):  # the store may be back for the next one
                self._lost = not self._make(self._number + 1)

    def release(self) -> None:
        """Say that the folder is free."""
        if not self._lost:
            self._make(self._number + 1, released=True)

    def _make(self, number: int, **more: Any) -> bool:
        """Make a lease and remove the one before; False: another run has made this one, or a higher one."""
        started = time.monotonic()
        words = json.dumps({**self._words, **more}, sort_keys=True)
        if not self._folder.create(_lease_name(number), words.encode()):
            return False
        leases = self._numbers()
        if max(leases) != number:
            self._folder.remove([_lease_name(number)])
            return False
        self._number, self._made_at = number, started
        self._folder.remove([_lease_name(old) for old in leases if old < number])
        return True

    def _await_end(self, number: int) -> None:
        words = self._read(number)
        seconds = float(words.get("seconds", self._seconds)) if words else 0.0
        if words.get("released"):
            return
        logger.info("waiting up to %g seconds for %s", seconds, owner_line(words))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(min(1.0, seconds / 10))
            highest = self._highest()
            if highest != number:
                now = self._read(highest)
                if now.get("released"):
                    return
                message = f"another run works in {self._folder.place}: {owner_line(now)}"
                raise RunError(message, hint="Wait until it ends, then run again")

    def _read(self, number: int) -> dict[str, Any]:
        """Return what a lease says; nothing where it is gone meanwhile."""
        try:
            words = json.loads(self._folder.read(_lease_name(number)) or b"{}")
        except ValueError:
            return {}
        return words if isinstance(words, dict) else {}

    def _highest(self) -> int:
        return max(self._numbers(), default=0)

    def _numbers(self) -> list[int]:
        ends = [name.rpartition("/")[2] for name in self._folder.names(LOCK)]
        return [int(end) for end in ends if end.isdecimal()]


def _lease_name(number: int) -> str:
    return f"{LOCK}/{number:010}"
