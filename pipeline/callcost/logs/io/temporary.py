"""Folders that live no longer than what made them: locked while they are used, else swept by the next run.

The operating system drops a lock with its process, however that ends; so a folder that nobody holds is nobody's.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from callcost.errors import RunError
from callcost.logs.io.store_access import is_url

WORK_PREFIX = ".callcost-run-"  # of the names of folders that a run works in
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def _lock(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder while the block runs, at the latest until the process ends.

    Args:
        folder: folder that exists; nothing is written into it.
        wait: False gives up at once where another holds it.

    Raises:
        BlockingIOError: another holds it, and ``wait`` is False.
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder for the block that runs, and remove those of runs that were killed, there and among the system's.

    Args:
        parent: folder to make it in, which exists; None: the system's folder for temporary files.

    Raises:
        OSError: it cannot be made.
        RunError: there is no folder for temporary files.
    """
    with contextlib.ExitStack() as stack:
        parent = parent or Path(temporary_place())
        with contextlib.suppress(OSError, RunError):  # unless another run is about to
            temporary = Path(temporary_place())
            with _lock(temporary, wait=False):
                _remove_dead(temporary)
        with _lock(parent):  # nobody takes a folder for dead that is only being made
            _remove_dead(parent)
            folder = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=parent))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            stack.enter_context(_lock(folder))
        yield folder


def _remove_dead(parent: Path) -> None:
    """Remove the folders that nobody holds any more; another user's are left alone."""
    for folder in parent.glob(f"{WORK_PREFIX}*"):
        with contextlib.suppress(OSError):
            if not folder.is_symlink() and folder.stat().st_uid == os.getuid():
                with _lock(folder, wait=False):
                    shutil.rmtree(folder, ignore_errors=True)


def folder_of_process() -> Path:
    """Make a folder that is removed when the process ends.

    Raises:
        OSError: it cannot be made.
    """
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(temporary_folder())


def temporary_place() -> str:
    """Return the folder for temporary files.

    Raises:
        RunError: there is none that can be written.
    """
    try:
        return tempfile.gettempdir()
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"no folder for temporary files: {reason}", hint="Set TMPDIR to one with room") from error


def refused_place(error: BaseException, places: Sequence[str | Path]) -> str:
    """Return which of the folders that were written to an error is about.

    Args:
        error: what a disk refused, or Polars said of it.
        places: folders on disks or in stores that were written to, beside the one for temporary files.

    Returns:
        The folder that holds what the error names, or that file; or the folder that is full, which no error names; or
        the first.
    """
    local = [str(place) for place in places if not is_url(str(place))]
    with contextlib.suppress(RunError):
        local.append(temporary_place())
    named = getattr(error, "filename", None)
    if isinstance(named, str):
        whole = Path(named).absolute()
        holding = [place for place in local if Path(place).absolute() in [whole, *whole.parents]]
        return max(holding, key=len, default=named)
    # Polars says in words only that a disk has no room left
    is_full = getattr(error, "errno", None) in _FULL or any(f"(os error {number})" in str(error) for number in _FULL)
    return min(local, key=_room_of, default=str(places[0])) if is_full else str(places[0])


def _room_of(place: str) -> int:
    """Return the bytes that can be written at a place."""
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return sys.maxsize
