"""Folders that files are kept in, on a disk or in an object store, with the same methods for both.

Files of a folder are named by their path below it. A file is there whole or not at all, and of many who create one
file one does: disks have hard links for that, stores a conditional put. What the files are is for others to say. A
disk's refusals are OSErrors, a store's LogErrors.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from callcost.logs.io.object_store import BLOCK, Stored, is_url, list_objects, open_input, open_output, plain_etag
from callcost.logs.io.store_access import obstore_module, open_bucket, split_url, store_errors
from callcost.logs.io.temporary import WORK_PREFIX, temporary_folder
from callcost.whole_files import TEMPORARY_SUFFIX, move, open_whole_file, sync

_AT_ONCE = 16  # requests of one folder

FileVersion = list[int | str]  # what tells a changed file from an unchanged one: its size, and its time or its ETag


def folder_at(place: str) -> Folder:
    """Return the folder of a path or a URL; nothing is made."""
    return _StoredFolder(place) if is_url(place) else Folder(place)


@contextlib.contextmanager
def open_whole(place: str) -> Iterator[BinaryIO]:
    """Open a file or an object to write; it is there whole when the block ends, and not at all if it raises.

    Raises:
        OSError: the disk refuses.
        LogError: the store refuses or cannot be reached.
    """
    if is_url(place):
        with open_output(place) as stream:
            yield stream
        return
    with open_whole_file(Path(place)) as stream:
        yield stream


class Folder:
    """A folder on a disk, made as soon as something is written.

    Args:
        place: path of the folder.

    Attributes:
        place: absolute path of the folder; the URL of one in a store.
        path: path of the folder; None: it is in a store.
    """

    def __init__(self, place: str) -> None:
        self._path = Path(place)
        self.path: Path | None = self._path
        self.place = str(self._path.resolve())

    def files(self, below: str = "") -> dict[str, Stored]:
        """Return name -> what is known of all files in a folder below, in order; what goes meanwhile is left out."""
        found = {}
        for path in (self._path / below).rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    found[path.relative_to(self._path).as_posix()] = _stored(path)
        return dict(sorted(found.items()))

    def names(self, below: str) -> list[str]:
        """Return the names of all files in a folder below, in order."""
        return list(self.files(below))

    def versions(self, names: Iterable[str]) -> dict[str, FileVersion]:
        """Return name -> version of those files that are there."""
        found = {}
        for name in names:
            with contextlib.suppress(OSError):
                found[name] = _version_of(_stored(self._path / name))
        return found

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None where there is none."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the bytes of many files, None for each that is not there."""
        return list(map(self.read, names))

    def write(self, name: str, data: bytes) -> FileVersion:
        """Write a file, whole or not at all, in the place of what is there; return its version."""
        with open_whole(str(self._path / name)) as stream:
            stream.write(data)
        return self.versions([name])[name]

    def create(self, name: str, data: bytes) -> bool:
        """Write a file where there is none; False: there is one already, in a store one with other bytes.

        A request to a store that was done although its answer was lost is made again, and finds the bytes of its own.
        """
        path = self._path / name
        own = path.with_name(f"{path.name}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}")
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

    @contextlib.contextmanager
    def open_local(self, name: str) -> Iterator[Path]:
        """Make a folder on this machine's disk for files that belong into one below; ``keep`` brings each there."""
        path = self._path / name
        path.mkdir(parents=True, exist_ok=True)
        yield path
        with contextlib.suppress(OSError):
            path.rmdir()  # nothing was written

    def keep(self, path: Path, name: str) -> str:
        """Bring a file from the folder that open_local made to the one below; return its path or URL there."""
        sync(path)
        return str(path)

    def add_folder(self, made: Path, name: str, last: str) -> None:
        """Make a folder of files on this machine's disk one below; ``last`` is the file that is there only if all are.

        Raises:
            OSError: there is one of this name; in a store, where another run may have made it, a FileExistsError.
        """
        for path in made.iterdir():
            sync(path)
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        move(made, target)
        sync(target.parent)

    def make_local(self, paths: Mapping[str, Path]) -> None:
        """Make files readable on this machine's disk: name -> the path where."""
        for name, path in paths.items():
            kept = (self._path / name).resolve()
            try:
                path.symlink_to(kept)
            except OSError:  # Windows lets few users make one
                link_or_copy(kept, path)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that are there or not, and the folders that are empty without them."""
        for name in names:
            path = self._path / name
            path.unlink(missing_ok=True)
            for parent in path.parents[: len(Path(name).parts) - 1]:
                with contextlib.suppress(OSError):  # it is gone, or it is not empty
                    parent.rmdir()

    def prepare(self) -> None:
        """Make the folder, and remove what a killed run left there under temporary names."""
        self._path.mkdir(parents=True, exist_ok=True)
        for path in [*self._path.glob(f"{WORK_PREFIX}*"), *self._path.rglob(f"*{TEMPORARY_SUFFIX}")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


class _StoredFolder(Folder):
    """A folder in an object store.

    Args:
        url: URL of the folder.
    """

    def __init__(self, url: str) -> None:
        self.path, self.place = None, url.rstrip("/")

    def files(self, below: str = "") -> dict[str, Stored]:
        return {each.url[len(self.place) + 1 :]: each for each in list_objects(f"{self.place}/{below}")}

    def versions(self, names: Iterable[str]) -> dict[str, FileVersion]:
        wanted = set(names)
        files = self.files() if wanted else {}
        return {name: _version_of(file) for name, file in files.items() if name in wanted}

    def read(self, name: str) -> bytes | None:
        url, bucket, key = self._object(name)
        with store_errors(url):
            try:
                return bytes(obstore_module().get(bucket, key).bytes())
            except FileNotFoundError:
                return None

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self.read, names))

    def write(self, name: str, data: bytes) -> FileVersion:
        url, bucket, key = self._object(name)
        with store_errors(url, writing=True):
            done = obstore_module().put(bucket, key, data)
        return [len(data), plain_etag(done["e_tag"]) or 0]

    def create(self, name: str, data: bytes) -> bool:
        url, bucket, key = self._object(name)
        obstore = obstore_module()
        with store_errors(url, writing=True):
            try:
                obstore.put(bucket, key, data, mode="create")
            except obstore.exceptions.AlreadyExistsError:
                return self.read(name) == data
        return True

    @contextlib.contextmanager
    def open_local(self, name: str) -> Iterator[Path]:
        with temporary_folder() as path:
            yield path

    def keep(self, path: Path, name: str) -> str:
        self.write(f"{name}/{path.name}", path.read_bytes())
        return f"{self.place}/{name}/{path.name}"

    def add_folder(self, made: Path, name: str, last: str) -> None:
        for path in sorted(made.iterdir(), key=lambda path: path.name == last):
            if not self.create(f"{name}/{path.name}", path.read_bytes()):
                raise FileExistsError(f"{self.place}/{name}/{path.name}")

    def make_local(self, paths: Mapping[str, Path]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._fetch, paths, paths.values()))

    def _fetch(self, name: str, path: Path) -> None:
        with open_input(f"{self.place}/{name}") as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, BLOCK)

    def remove(self, names: Iterable[str]) -> None:
        objects = [self._object(name) for name in names]
        if objects:
            url, bucket, _ = objects[0]
            with store_errors(url, writing=True), contextlib.suppress(FileNotFoundError):
                obstore_module().delete(bucket, [key for _, _, key in objects])

    def prepare(self) -> None:
        """Do nothing: what a killed run did not end was never there."""

    def _object(self, name: str) -> tuple[str, Any, str]:
        """Return the URL of a file, its bucket, and the key there."""
        url = f"{self.place}/{name}"
        root, key = split_url(url)
        return url, open_bucket(root), key


def _stored(path: Path) -> Stored:
    found = path.stat()
    return Stored(str(path), found.st_size, found.st_mtime_ns, None)


def _version_of(file: Stored) -> FileVersion:
    return [file.bytes, file.etag or file.changed_ns]


def link_or_copy(kept: Path, path: Path) -> None:
    """Make a file that never changes readable at another place, also once its own is gone.

    Raises:
        OSError: the disk refuses.
    """
    try:
        os.link(kept, path)
    except OSError:  # another file system, or one without links
        shutil.copyfile(kept, path)
