"""What is done: the inputs that were read, each with a folder of results that never changes, and what was published.

A folder of results is made elsewhere and taken over when it is whole, its entry last: what a killed run finished is
there for the next one. ``ledger.json`` is written last of all and says what the published files were made of; it
carries its own digest, so that a damaged one is known as such. What the results are is for others to say.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import RunError
from pipeline.logs.folders import Folder

SCHEMA_VERSION = 1
RESULTS = "inputs"
_LEDGER, _ENTRY = "ledger.json", "entry.json"


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
    """Return a file's stamp; None where it is gone. One that nobody may look at is there, and empty."""
    try:
        stat = Path(path).stat()
    except PermissionError:
        return Stamp(path=str(Path(path).resolve()), bytes=0, mtime_ns=0)
    except OSError:
        return None
    return Stamp(path=str(Path(path).resolve()), bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)


class Ledger:
    """The state folder of one job.

    Args:
        folder: its lock must be held.
        assure: raises where the lock is lost; called before anything is written.

    Raises:
        RunError: the ledger is damaged, or a newer callcost wrote it.
    """

    def __init__(self, folder: Folder, assure: Callable[[], None] = lambda: None) -> None:
        self.folder = folder
        self.assure = assure
        self.published: dict[str, Any] = _load(folder)
        self.entries: dict[str, Entry] = {}
        self._stale: set[str] = set()
        places = sorted({_place_in(name) for name in folder.names(RESULTS)})
        for place, data in zip(places, folder.read_all([f"{place}/{_ENTRY}" for place in places]), strict=True):
            self._adopt(place, _entry_of(data))
        self.next_number = 1 + max((int(place[-8:]) for place in places if place[-8:].isdecimal()), default=0)

    def _adopt(self, place: str, entry: Entry | None) -> None:
        if entry is None:
            self._stale.add(place)
            return
        known = self.entries.get(entry.stamp.path)
        if known is not None:
            self._stale.add(_place_of(known))
        self.entries[entry.stamp.path] = entry

    def keep(self, entry: Entry, made: Path) -> None:
        """Take over a folder of results that is whole; its entry is there only if all else is.

        Raises:
            RunError: another run writes here.
        """
        self.assure()
        (made / _ENTRY).write_bytes(_entry_bytes(entry))
        try:
            self.folder.take(made, _place_of(entry), last=_ENTRY)
        except FileExistsError as error:
            message = f"another run writes to {self.folder.place}: {error} is there already"
            raise RunError(message, hint="Wait until it ends, then run again") from error
        self._adopt(_place_of(entry), entry)

    def lend(self, entries: Iterable[Entry], work: Path, *kinds: str) -> list[Path]:
        """Put the results of entries into a folder on the disk, as KIND-NUMBER-REST.parquet; what is there stays.

        Args:
            entries: of this ledger.
            work: the folder.
            kinds: of files: the word before the first hyphen of their names; none: all.

        Returns:
            Their paths, in order.
        """
        wanted = {_place_of(entry): f"{entry.number:08}" for entry in entries}
        lent: dict[str, Path] = {}
        for name in self.folder.names(RESULTS) if wanted else ():
            kind, _, rest = name.rpartition("/")[2].partition("-")
            if rest.endswith(".parquet") and _place_in(name) in wanted and (not kinds or kind in kinds):
                lent[name] = work / f"{kind}-{wanted[_place_in(name)]}-{rest}"
        self.folder.lend({name: path for name, path in lent.items() if not path.exists()})
        return sorted(lent.values())

    def restamp(self, entry: Entry, stamp: Stamp) -> None:
        """Give an entry the new stamp of an input whose bytes are the same."""
        self.assure()
        known = dataclasses.replace(entry, stamp=stamp)
        self.folder.write(f"{_place_of(entry)}/{_ENTRY}", _entry_bytes(known))
        self.entries[stamp.path] = known

    def forget(self, entry: Entry) -> None:
        """Leave an entry out from the next commit on."""
        del self.entries[entry.stamp.path]
        self._stale.add(_place_of(entry))

    def discard(self, entry: Entry) -> None:
        """Remove an entry at once."""
        del self.entries[entry.stamp.path]
        self._remove({_place_of(entry)})

    def commit(self, published: Mapping[str, Any]) -> None:
        """Write down what was published, then remove the results that nothing needs any more."""
        self.assure()
        self.published = dict(published)
        body = json.dumps(self.published, sort_keys=True)
        document = {"schema_version": SCHEMA_VERSION, "sha256": _digest(body), "published": self.published}
        self.folder.write(_LEDGER, json.dumps(document, indent=1, sort_keys=True).encode())
        self._remove(self._stale)
        self._stale = set()

    def _remove(self, places: set[str]) -> None:
        """Remove folders of results, each one's entry first: what is left of a removal that is ended is no entry."""
        if places:
            names = [name for name in self.folder.names(RESULTS) if _place_in(name) in places]
            self.folder.remove([name for name in names if name.endswith(_ENTRY)])
            self.folder.remove([name for name in names if not name.endswith(_ENTRY)])


def _place_of(entry: Entry) -> str:
    return f"{RESULTS}/{entry.number:08}"


def _place_in(name: str) -> str:
    return "/".join(name.split("/")[:2])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _entry_bytes(entry: Entry) -> bytes:
    return json.dumps(dataclasses.asdict(entry), sort_keys=True).encode()


def _entry_of(data: bytes | None) -> Entry | None:
    try:
        words = json.loads(data or b"")
        return Entry(**{**words, "stamp": Stamp(**words["stamp"])})
    except (ValueError, TypeError, KeyError):
        return None


def _load(folder: Folder) -> dict[str, Any]:
    data, path = folder.read(_LEDGER), f"{folder.place}/{_LEDGER}"
    if data is None:
        return {}
    try:
        document = json.loads(data)
        version, published = document["schema_version"], document["published"]
        whole = version != SCHEMA_VERSION or document["sha256"] == _digest(json.dumps(published, sort_keys=True))
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error
    if isinstance(version, int) and version > SCHEMA_VERSION:
        message = f"the ledger {path} is from a newer callcost (schema {version}, known {SCHEMA_VERSION})"
        raise RunError(message, hint="Install that version, or give another --state folder")
    if not whole or not isinstance(published, dict):
        raise _damaged(path)
    return dict(published)


def _damaged(path: str) -> RunError:
    return RunError(
        f"the ledger {path} is damaged",
        hint="Remove it: the next run takes up what was read, publishes anew, and reads nothing twice",
    )
