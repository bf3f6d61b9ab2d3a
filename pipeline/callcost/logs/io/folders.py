"""Folders that files are kept in, on a disk or in an object store: one face, so that nobody asks which it is.

Files of a folder are named by their path below it. What is written is there whole or not at all; on a disk under a
temporary name first. What the files are is for others to say. A disk's refusals are OSErrors, a store's LogErrors.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

from callcost.errors import RunError
from callcost.logs.io.object_store import (
    BLOCK,
    Stored,
    create_object,
    delete_objects,
    list_objects,
    open_input,
    open_output,
    put_object,
    read_object,
)
from callcost.logs.io.store_access import is_url

WORK_PREFIX = ".callcost-run-"  # of the folders that a run works in
TEMPORARY_SUFFIX = ".callcost-tmp"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_AT_ONCE = 16  # requests of one folder

Mark = list[int | str]  # what tells a changed file from an unchanged one: its size, and its time or its ETag


class Folder(Protocol):
    """A folder with files.

    Attributes:
        place: its absolute path, or its URL.
        path: of a folder on a disk; None: it is in a store.
    """

    place: str
    path: Path | None

    def names(self, below: str) -> list[str]:
        """Return the names of all files in a folder below, in order."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None where there is none."""
        ...

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the bytes of many files."""
        ...

    def write(self, name: str, data: bytes) -> Mark:
        """Write a file, whole or not at all, in the place of what is there; return its mark."""
        ...

    def marks(self, names: Iterable[str]) -> dict[str, Mark]:
        """Return the marks of those files that are there."""
        ...

    def take(self, made: Path, name: str, last: str) -> None:
        """Make a folder of files on the disk one below this; ``last`` is the file that is there only if all are.

        Raises:
            FileExistsError: there is one of this name.
        """
        ...

    def lend(self, names: dict[str, Path]) -> None:
        """Make files readable under these paths on the disk."""
        ...

    def remove(self, names: Sequence[str]) -> None:
        """Remove files that are there or not, and the folders that are empty without them."""
        ...

    def sweep(self) -> None:
        """Make the folder, and remove what a killed run left there under temporary names."""
        ...


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
        error: of a disk.
        places: the folders, on disks or not, beside the one for temporary files; the first where nothing tells.

    Returns:
        The folder that holds what the error names, or that file; or the folder that is full, which no error names.
    """
    local = [str(place) for place in places if not is_url(str(place))]
    with contextlib.suppress(RunError):
        local.append(temporary_place())
    named = getattr(error, "filename", None)
    if isinstance(named, str):
        whole = Path(named).absolute()
        holding = [place for place in local if Path(place).absolute() in [whole, *whole.parents]]
        return max(holding, key=len, default=named)
    if not _is_full(error):
        return str(places[0])
    room = {place: _room_of(place) for place in local}
    return min(room, key=lambda place: room[place], default=str(places[0]))


def _is_full(error: BaseException) -> bool:
    """Tell whether a disk has no room left; Polars says so in words only."""
    if getattr(error, "errno", None) in _FULL:
        return True
    return any(f"(os error {number})" in str(error) for number in _FULL)


def _room_of(place: str) -> int:
    """Return the bytes that can be written at a place."""
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return sys.maxsize


def folder_at(place: str) -> Folder:
    """Return the folder of a path or a URL; nothing is made."""
    return _StoredFolder(place) if is_url(place) else _DiskFolder(Path(place))


@contextlib.contextmanager
def open_whole(place: str) -> Iterator[BinaryIO]:
    """Open a file or an object to write; it is there whole when the block ends, and not at all if it raises.

    Raises:
        OSError: the disk refuses.
        LogError: the store refuses.
    """
    if is_url(place):
        with open_output(place) as stream:
            yield stream
        return
    path = Path(place)
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


class _DiskFolder:
    """A folder on a disk.

    Args:
        path: made as soon as something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path | None = path
        self._path = path
        self.place = str(path.resolve())

    def names(self, below: str) -> list[str]:
        found = [path for path in (self._path / below).rglob("*") if path.is_file()]
        return sorted(path.relative_to(self._path).as_posix() for path in found)

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        return [self.read(name) for name in names]

    def write(self, name: str, data: bytes) -> Mark:
        with open_whole(str(self._path / name)) as stream:
            stream.write(data)
        return self.marks([name])[name]

    def marks(self, names: Iterable[str]) -> dict[str, Mark]:
        found: dict[str, Mark] = {}
        for name in names:
            with contextlib.suppress(OSError):
                stat = (self._path / name).stat()
                found[name] = [stat.st_size, stat.st_mtime_ns]
        return found

    def take(self, made: Path, name: str, last: str) -> None:
        for path in made.iterdir():
            sync(path)
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        made.rename(target)
        sync(target.parent)

    def lend(self, names: dict[str, Path]) -> None:
        for name, path in names.items():
            path.symlink_to((self._path / name).resolve())

    def remove(self, names: Sequence[str]) -> None:
        for name in names:
            path = self._path / name
            path.unlink(missing_ok=True)
            for parent in path.parents[: len(Path(name).parts) - 1]:
                with contextlib.suppress(OSError):  # it is gone, or it is not empty
                    parent.rmdir()

    def sweep(self) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        for path in [*self._path.glob(f"{WORK_PREFIX}*"), *self._path.rglob(f"*{TEMPORARY_SUFFIX}")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


class _StoredFolder:
    """A folder in an object store.

    Args:
        url: of the folder.
    """

    def __init__(self, url: str) -> None:
        self.path: Path | None = None
        self.place = url.rstrip("/")

    def names(self, below: str) -> list[str]:
        return [each.url[len(self.place) + 1 :] for each in list_objects(self._url(below))]

    def read(self, name: str) -> bytes | None:
        return read_object(self._url(name))

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self.read, names))

    def write(self, name: str, data: bytes) -> Mark:
        return _mark_of(put_object(self._url(name), data))

    def marks(self, names: Iterable[str]) -> dict[str, Mark]:
        wanted = set(names)
        found = {each.url[len(self.place) + 1 :]: _mark_of(each) for each in list_objects(self.place)} if wanted else {}
        return {name: mark for name, mark in found.items() if name in wanted}

    def take(self, made: Path, name: str, last: str) -> None:
        files = sorted(made.iterdir(), key=lambda path: path.name == last)
        for path in files:
            url = self._url(f"{name}/{path.name}")
            if not create_object(url, path.read_bytes()):
                raise FileExistsError(url)

    def lend(self, names: dict[str, Path]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._fetch, names, names.values()))

    def _fetch(self, name: str, path: Path) -> None:
        with open_input(self._url(name)) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, BLOCK)

    def remove(self, names: Sequence[str]) -> None:
        delete_objects([self._url(name) for name in names])

    def sweep(self) -> None:
        """Do nothing: what a killed run did not end was never there."""

    def _url(self, name: str) -> str:
        return f"{self.place}/{name}"


def _mark_of(stored: Stored) -> Mark:
    return [stored.bytes, stored.etag or stored.changed_ns]


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
