"""Folders that live no longer than what made them: locked while they are used, else swept by the next run.

The operating system drops a lock with its process, however that ends; so a folder that nobody holds is nobody's.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from callcost.errors import RunError
from callcost.logs.io.object_store import is_url

# Of the names of folders that a run works in. Where the way of locking changes, so must the name: versions that run at
# the same time would take each other's folders for those of dead runs.
WORK_PREFIX = ".callcost-work-"
_LOCK_SUFFIX = ".lock"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def locked_file(path: Path) -> Iterator[IO[str]]:
    """Hold a file while the block runs, at the latest until the process ends; it is there as long as somebody does.

    Yields:
        The file, to read and write. On Windows its first byte is nobody else's to read.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it cannot be opened.
    """
    stream = _open_locked(path)
    try:
        yield stream
    finally:
        _remove(path)  # before another can hold it; Windows removes nothing that is open, so that there, once it is not
        stream.close()
        if sys.platform == "win32":
            _remove(path)


def _open_locked(path: Path) -> IO[str]:
    """Open and lock a file; one that its last owner removed meanwhile is opened anew."""
    from filelock import lock_descriptor  # noqa: PLC0415 - takes 40 ms

    while True:
        stream = path.open("a+", encoding="utf-8")
        try:
            is_free = lock_descriptor(stream.fileno(), blocking=False)
            if is_free and _is_at(path, stream):
                return stream
        except BaseException:
            stream.close()
            raise
        stream.close()
        if not is_free:
            raise BlockingIOError(errno.EAGAIN, "another process holds it", str(path))


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _is_at(path: Path, stream: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder for the block that runs, and remove those of runs that were killed, there and among the system's.

    Args:
        parent: folder to make it in, which exists; None: the system's folder for temporary files.

    Raises:
        OSError: it cannot be made.
        RunError: there is no folder for temporary files.
    """
    parent = parent or Path(temporary_place())
    _remove_dead(parent)
    with contextlib.suppress(RunError):
        _remove_dead(Path(temporary_place()))
    folder = parent / f"{WORK_PREFIX}{uuid.uuid4().hex}"
    with locked_file(_lock_of(folder)):  # before the folder is there, or another run would take it for a dead one's
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _lock_of(folder: Path) -> Path:
    """Return the file beside a folder that is locked while it is used: Windows opens no folder."""
    return folder.with_name(f"{folder.name.removesuffix(_LOCK_SUFFIX)}{_LOCK_SUFFIX}")


def _remove_dead(parent: Path) -> None:
    """Remove the folders that nobody holds any more, and what locked them; another user's are left alone."""
    for path in parent.glob(f"{WORK_PREFIX}*"):
        with contextlib.suppress(OSError):
            if not path.is_symlink() and (not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()):
                with locked_file(_lock_of(path)):
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)


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
