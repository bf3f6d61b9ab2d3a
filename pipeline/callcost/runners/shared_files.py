"""Small files that several machines share: on a disk that all of them mount, or in an object store.

A file is there whole or not at all, and of many who create it one does. Stores have a conditional put for that, disks
have hard links; ``check_place`` finds out whether they keep to it.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

from callcost.errors import CallcostError, RunError, reason_of
from callcost.logs.io.folders import TEMPORARY_SUFFIX, sync
from callcost.logs.io.object_store import (
    Stored,
    create_object,
    delete_objects,
    list_objects,
    put_object,
    read_object,
    stat_object,
)
from callcost.logs.io.store_access import is_url
from callcost.logs.io.temporary import temporary_folder


def create_file(path: str, data: bytes) -> bool:
    """Create a file where there is none; False: there is one already.

    Raises:
        OSError: the disk refuses.
        LogError: the store refuses or cannot be reached.
    """
    if is_url(path):
        return create_object(path, data)
    own = Path(f"{path}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}")
    own.parent.mkdir(parents=True, exist_ok=True)
    try:
        own.write_bytes(data)
        sync(own)
        os.link(own, path)
    except FileExistsError:
        return False
    finally:
        own.unlink(missing_ok=True)
    sync(own.parent)
    return True


def read_file(path: str) -> bytes | None:
    """Return what is in a file; None where there is none.

    Raises:
        OSError: the disk refuses.
        LogError: the store refuses or cannot be reached.
    """
    if is_url(path):
        return read_object(path)
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None


def is_there(path: str) -> bool:
    """Tell whether there is such a file.

    Raises:
        LogError: the store refuses or cannot be reached.
    """
    return stat_object(path) is not None if is_url(path) else Path(path).exists()


def list_files(folder: str) -> list[Stored]:
    """Return all files below a folder, in order; what goes away meanwhile is left out.

    Raises:
        LogError: the store refuses or cannot be reached.
    """
    if is_url(folder):
        return list_objects(folder)
    found = []
    for path in sorted(Path(folder).rglob("*")):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            found.append(Stored(str(path), stat.st_size, stat.st_mtime_ns, None))
    return found


@contextlib.contextmanager
def open_folder(folder: str) -> Iterator[str]:
    """Make a folder on a disk to write into: this one, or for one in a store a temporary one on this machine."""
    if is_url(folder):
        with temporary_folder() as here:
            yield str(here)
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    yield folder
    with contextlib.suppress(OSError):
        Path(folder).rmdir()  # nothing was written


def keep_file(path: str, folder: str) -> str:
    """Bring a file that was written in an opened folder where it belongs; return where that is."""
    if not is_url(folder):
        sync(Path(path))
        return path
    url = f"{folder}/{Path(path).name}"
    put_object(url, Path(path).read_bytes())
    return url


def remove_files(paths: Iterable[str], *, within: str) -> None:
    """Remove files, and the folders within one that this leaves empty."""
    gone = list(paths)
    delete_objects([path for path in gone if is_url(path)])
    for path in (Path(path) for path in gone if not is_url(path)):
        path.unlink(missing_ok=True)
        for folder in takewhile(lambda parent: parent != Path(within), path.parents):
            try:
                folder.rmdir()
            except OSError:  # something is in it
                break


def check_place(folder: str) -> None:
    """Find out whether of two who create the same file here, one does.

    Raises:
        RunError: it cannot be written, or both do.
    """
    probe = f"{folder}/probe-{uuid.uuid4().hex}"
    try:
        first, second = create_file(probe, b"first"), create_file(probe, b"second")
        held = read_file(probe)
        remove_files([probe], within=folder)
    except (OSError, CallcostError) as error:
        reason = reason_of(error)
        raise RunError(f"cannot work in {folder}: {reason}", hint="Name another --work-dir") from error
    if (first, second, held) != (True, False, b"first"):
        message = f"{folder} lets two writers create the same file, so no run there could be counted once"
        raise RunError(message, hint="Name a --work-dir on another file system or in another store")
