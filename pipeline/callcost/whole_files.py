"""Files that are there whole or not at all, on the disks of every system.

Unix gives a file its name while others read the one that had it; Windows refuses that as long as one is open, and
waits for nobody. Unix has names in a folder written by opening the folder, which Windows does not.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

TEMPORARY_SUFFIX = ".callcost-tmp"
_PAUSES = (0.01, 0.05, 0.2, 0.5, 1.0, 2.0)  # seconds in which whoever reads a file on Windows may end


@contextlib.contextmanager
def open_whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write; it is there whole when the block ends, and not at all if it raises.

    Raises:
        OSError: the disk refuses.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        move(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def move(path: Path, target: Path) -> None:
    """Give a file or a folder another name of the same disk, in the place of a file that has it.

    Raises:
        OSError: the disk refuses; on Windows, somebody has it open for longer than a few seconds.
    """
    for pause in _PAUSES if sys.platform == "win32" else ():
        with contextlib.suppress(PermissionError):
            path.replace(target)
            return
        time.sleep(pause)
    path.replace(target)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        OSError: the disk refuses.
    """
    is_folder = path.is_dir()
    if is_folder and sys.platform == "win32":
        return  # which writes names at once, and opens no folder
    handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)  # Windows syncs what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
