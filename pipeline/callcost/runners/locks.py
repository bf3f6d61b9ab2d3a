"""Locks that a dead owner cannot keep, of a file that names its owner: one run at a time.

The operating system holds a lock and drops it with its process, however that ends; the file only says whose it is.
Locks of folders in object stores, where nobody notices the end of a process, are in leases.py, those of folders that
live no longer than their process in logs/io/temporary.py.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from callcost.errors import RunError
from callcost.logs.io.folders import Folder
from callcost.logs.io.temporary import locked_file
from callcost.runners.leases import LOCK, hold_lease, owner_line, owner_words


@contextlib.contextmanager
def hold_lock(folder: Folder, run_id: str) -> Iterator[Callable[[], None]]:
    """Hold a folder while the block runs, for one run at a time.

    Args:
        folder: folder to lock, made if it is missing.
        run_id: id of the run that takes it.

    Yields:
        What raises a RunError if the lock is lost, to be called before something is written.

    Raises:
        RunError: another run has it, or the folder cannot be written.
        LogError: its store refuses or cannot be reached.
    """
    if folder.path is None:
        with hold_lease(folder, run_id) as assure:
            yield assure
        return
    path = folder.path / LOCK
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = stack.enter_context(locked_file(path))
            stream.truncate(0)
            stream.write(" " + json.dumps(owner_words(run_id)))  # the first byte may be nobody else's to read
            stream.flush()
        except BlockingIOError:
            message = f"another run works in {path.parent}: {_owner_in(path)}"
            raise RunError(message, hint="Wait until it ends, then run again") from None
        except OSError as error:
            message = f"cannot lock {path.parent}: {error.strerror or error}"
            raise RunError(message, hint="Check the folder's permissions and free space") from error
        yield lambda: None


def _owner_in(path: Path) -> str:
    try:
        with path.open("rb", buffering=0) as stream:
            stream.seek(1)
            return owner_line(json.loads(stream.read()))
    except (OSError, ValueError):
        return owner_line(None)
