"""What is done: the inputs that were read, each with a folder of results that never changes, and what was published.

A folder of results is made under a temporary name and renamed when it is whole, with its entry inside: what a killed
run finished is there for the next one. ``ledger.json`` is written last and says what the published files were made
of; it carries its own digest, so that a damaged one is known as such. What the results are is for others to say.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import RunError

SCHEMA_VERSION = 1
WORK_PREFIX = ".callcost-run-"
TEMPORARY_SUFFIX = ".callcost-tmp"
_ENTRY = "entry.json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What tells a changed file from an unchanged one without reading it.

    Attributes:
        path: absolute, or a URL.
        bytes: its size.
        mtime_ns: when it was last changed; 0: its ``etag`` says whether it was.
        etag: of an object in a store that has one.
    """

    path: str
    bytes: int
    mtime_ns: int
    etag: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One input that was read.

    Attributes:
        number: of the entry; the highest of a path is the one that counts.
        stamp: of the input when it was read.
        name: how reports call it.
        sha256: of its bytes; "": it could not be read.
        made: what its results depend on beside its bytes.
        facts: whatever the run needs to know of its results.
        layout: of its results; those of another one do not go together with them. "": older than layouts.
    """

    number: int
    stamp: Stamp
    name: str
    sha256: str
    made: str
    facts: Mapping[str, Any]
    layout: str = ""


def stamp_of(path: str) -> Stamp | None:
    """Return a file's stamp; None where it is gone."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return Stamp(path=str(Path(path).resolve()), bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)


class Ledger:
    """The state folder of one job.

    Args:
        folder: made if it is missing; its lock must be held.

    Raises:
        RunError: the ledger is damaged, or a newer callcost wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "inputs"
        self.published: dict[str, Any] = _load(folder / "ledger.json")
        self.results.mkdir(parents=True, exist_ok=True)
        self.entries: dict[str, Entry] = {}
        self._stale: list[Path] = []
        for place in sorted(self.results.iterdir()):
            self._adopt(place)
        self.next_number = 1 + max((entry.number for entry in self.entries.values()), default=0)

    def _adopt(self, place: Path) -> None:
        entry = _entry_of(place)
        if entry is None:
            self._stale.append(place)
            return
        known = self.entries.get(entry.stamp.path)
        if known is not None:
            self._stale.append(self.place_of(known))
        self.entries[entry.stamp.path] = entry

    def place_of(self, entry: Entry) -> Path:
        """Return the folder with an entry's results."""
        return self.results / f"{entry.number:08}"

    def keep(self, entry: Entry, made: Path) -> None:
        """Take over a folder of results that is whole; it is on the disk before it has its name."""
        (made / _ENTRY).write_bytes(_entry_bytes(entry))
        for path in made.iterdir():
            sync(path)
        made.rename(self.place_of(entry))
        sync(self.results)
        self._adopt(self.place_of(entry))

    def restamp(self, entry: Entry, stamp: Stamp) -> None:
        """Give an entry the new stamp of an input whose bytes are the same."""
        known = dataclasses.replace(entry, stamp=stamp)
        write_whole(self.place_of(entry) / _ENTRY, _entry_bytes(known))
        self.entries[stamp.path] = known

    def forget(self, entry: Entry) -> None:
        """Leave an entry out from the next commit on."""
        del self.entries[entry.stamp.path]
        self._stale.append(self.place_of(entry))

    def commit(self, published: Mapping[str, Any]) -> None:
        """Write down what was published, then remove the results that nothing needs any more."""
        self.published = dict(published)
        body = json.dumps(self.published, sort_keys=True)
        document = {"schema_version": SCHEMA_VERSION, "sha256": _digest(body), "published": self.published}
        write_whole(self.folder / "ledger.json", json.dumps(document, indent=1, sort_keys=True).encode())
        for place in self._stale:
            shutil.rmtree(place, ignore_errors=True)
        self._stale = []


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, sync it, and rename it.

    Raises:
        OSError: it cannot be written; nothing is left under either name.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        temporary.write_bytes(data)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """Remove what a killed run left behind: its working folders and files that never got their name."""
    for path in [*folder.glob(f"{WORK_PREFIX}*"), *folder.rglob(f"*{TEMPORARY_SUFFIX}")]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _entry_bytes(entry: Entry) -> bytes:
    return json.dumps(dataclasses.asdict(entry), sort_keys=True).encode()


def _entry_of(place: Path) -> Entry | None:
    try:
        words = json.loads((place / _ENTRY).read_bytes())
        return Entry(**{**words, "stamp": Stamp(**words["stamp"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _load(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_bytes())
        version, published = document["schema_version"], document["published"]
        whole = version != SCHEMA_VERSION or document["sha256"] == _digest(json.dumps(published, sort_keys=True))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error
    if isinstance(version, int) and version > SCHEMA_VERSION:
        message = f"the ledger {path} is from a newer callcost (schema {version}, known {SCHEMA_VERSION})"
        raise RunError(message, hint="Install that version, or give another --state folder")
    if not whole or not isinstance(published, dict):
        raise _damaged(path)
    return dict(published)


def _damaged(path: Path) -> RunError:
    return RunError(
        f"the ledger {path} is damaged",
        hint="Remove it: the next run takes up what was read, publishes anew, and reads nothing twice",
    )
