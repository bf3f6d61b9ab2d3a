"""Locks that a dead owner cannot keep: of a file that names its owner, one run at a time, and of a folder as it is.

The operating system holds a lock and drops it with its process, however that ends; the file only says whose it is.
Locks of folders in object stores, where nobody notices the end of a process, are in leases.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from pipeline.errors import RunError
from pipeline.logs.folders import Folder
from pipeline.runners.leases import LOCK, hold_lease, owner_line, owner_words


@contextlib.contextmanager
def hold_lock(folder: Folder, run_id: str) -> Iterator[Callable[[], None]]:
    """Hold a folder while the block runs, for one run at a time.

    Args:
        folder: made if it is missing.
        run_id: of the run that takes it.

    Yields:
        What raises a RunError if the lock is lost, to be called before something is written.

    Raises:
        RunError: another run has it, or the folder cannot be written.
        LogError: its store refuses or cannot be reached.
    """
    if folder.path is None:
        with hold_lease(folder.place, run_id) as assure:
            yield assure
        return
    path = folder.path / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = _take(path)
        _sign(stream, run_id)
    except OSError as error:
        message = f"cannot lock {path.parent}: {error.strerror or error}"
        raise RunError(message, hint="Check the folder's permissions and free space") from error
    try:
        yield lambda: None
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        stream.close()


def lock_folder(folder: Path, *, wait: bool = True) -> int:
    """Hold a folder until the descriptor that is returned is closed, at the latest when the process ends.

    Args:
        folder: it must exist; nothing is written into it.
        wait: False gives up at once where another holds it.

    Raises:
        BlockingIOError: another holds it, and ``wait`` is False.
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold a folder while the block runs, waiting for whoever holds it."""
    descriptor = lock_folder(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def _take(path: Path) -> IO[str]:
    """Open and lock the file; one that its last owner removed meanwhile is opened anew."""
    while True:
        stream = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner_of(stream)
            stream.close()
            message = f"another run works in {path.parent}: {owner}"
            raise RunError(message, hint="Wait until it ends, then run again") from None
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(stream.fileno()).st_ino:
                return stream
        stream.close()


def _sign(stream: IO[str], run_id: str) -> None:
    stream.truncate(0)
    stream.write(json.dumps(owner_words(run_id)))
    stream.flush()


def _owner_of(stream: IO[str]) -> str:
    stream.seek(0)
    try:
        return owner_line(json.loads(stream.read()))
    except ValueError:
        return owner_line(None)
