"""What is done: the inputs that were read, each with a folder of results that never changes, and what was published.

A folder of results is made elsewhere and taken over when it is whole, its entry last: what a killed run finished is
there for the next one. ``ledger.json`` is written last of all and says what the published files were made of.

What is read is checked before it is used: the ledger carries its own digest and has a second copy, it holds the digest
of every entry, each entry those of its files. What is lost or damaged is known by what the ledger says of it, so that
the caller can read the input again, or refuse by name. What the results are is for others to say.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from callcost import __version__
from callcost.errors import RunError
from callcost.logs.io.folders import Folder
from callcost.runners.entries import (
    ENTRY,
    RESULTS,
    Entry,
    Known,
    Lost,
    Stamp,
    digest_of_bytes,
    digest_of_document,
    digest_of_file,
    entry_bytes,
    entry_of,
    place_of,
    typed,
)

SCHEMA_VERSION = 2
LEDGER, COPY = "ledger.json", "ledger.copy.json"
_KEPT_BESIDE = (RESULTS, "closed")  # folders of a state that only a ledger makes sense of
_AT_ONCE = 4  # files that are digested


class Ledger:
    """The state folder of one job.

    Args:
        folder: the state folder, whose lock is held.
        assure: raises where the lock is lost; called before anything is written.
        rebuild: go on with what is whole where the ledger or an entry is not; ``dropped`` says what that was.

    Attributes:
        entries: number -> entry, of all that count.
        lost: number -> entry that the ledger knows and that cannot be used.
        layouts: layout of results -> what is to be known of it later.
        writer: the version that wrote the ledger last.
        closed: day -> what is written down of it when it is closed.
        published: record of what was published last.
        dropped: names of files that were left out because they cannot be used.

    Raises:
        RunError: the ledger is gone or damaged, or a newer callcost wrote it.
    """

    def __init__(
        self, folder: Folder, assure: Callable[[], None] = lambda: None, *, rebuild: bool = False
    ) -> None:
        self.folder = folder
        self.assure = assure
        self.dropped: list[str] = []
        self._rebuild = rebuild
        document = self._load()
        self.is_new = document is None
        document = document or {}
        self.version: int = document.get("schema_version", SCHEMA_VERSION)
        self.published: dict[str, Any] = document.get("published", {})
        self.closed: dict[str, Any] = document.get("closed", {})
        self.layouts: dict[str, Any] = document.get("layouts", {})
        self.writer: str = document.get("callcost") or self.published.get("callcost", "")
        self._first: int = document.get("next", 1)  # number that an entry which no ledger knows yet may have
        self.entries: dict[int, Entry] = {}
        self.lost: dict[int, Lost] = {}
        self._stale: dict[int, Entry | None] = {}
        self._digests: dict[int, str | None] = {}
        self._local: dict[str, Path] = {}
        self._adopt(document)

    # --- Open -----------------------------------------------------------------------------------------------------

    def _load(self) -> dict[str, Any] | None:
        """Return the ledger as it was written last; None: there is none yet."""
        data = {name: self.folder.read(name) for name in (LEDGER, COPY)}
        self._saved = data[LEDGER] is not None and data[LEDGER] == data[COPY]
        whole = [_document_of(found, f"{self.folder.place}/{name}") for name, found in data.items() if found]
        for document in whole:
            if document is not None:
                return document
        damaged = any(found is not None for found in data.values())
        path = f"{self.folder.place}/{LEDGER}"
        if not damaged and not any(self.folder.names(below) for below in _KEPT_BESIDE):
            return None
        if not self._rebuild:
            hint = "Put it back from a backup, or run with --rebuild: it publishes anew from what is whole"
            raise RunError(f"the ledger {path} is {'damaged' if damaged else 'not there'}", hint=hint)
        self.dropped.append(LEDGER)
        return None

    def _adopt(self, document: Mapping[str, Any]) -> None:
        """Take up the entries that the ledger names, and those that were kept after it was written."""
        known, numbers = _records_of(document), self._numbers()
        self._stale |= dict.fromkeys(numbers)
        files = [f"{place_of(number)}/{ENTRY}" for number in numbers]
        found = dict(zip(numbers, self.folder.read_all(files), strict=True))
        latest: dict[str, int] = {}  # of a time when the highest of a path was the one that counts
        for number in sorted(known.keys() | found.keys()):
            data, record = found.get(number), known.get(number)
            if record is None and (data is None or number < self._first):
                continue  # what a removal or a store's copy left that was ended
            entry = self._checked(number, data, record)
            if entry is not None:
                if not entry.files and entry.stamp.path in latest:
                    entry = dataclasses.replace(entry, replaces=(latest[entry.stamp.path],))
                latest[entry.stamp.path] = number
                self._hold(entry, digest_of_bytes(data or b""))
        self.next_number = max([self._first, *(number + 1 for number in known.keys() | found.keys())])

    def _numbers(self) -> list[int]:
        """Return the numbers of the folders of results that are there."""
        places = {_place_in(name)[-8:] for name in self.folder.names(RESULTS)}
        return sorted(int(number) for number in places if number.isdecimal())

    def _checked(self, number: int, data: bytes | None, record: dict[str, Any] | None) -> Entry | None:
        """Return an entry that is as the ledger knows it, or whole where the ledger does not know it yet."""
        entry = entry_of(data, signed=self.version > 1 and not self.is_new)
        file = f"{place_of(number)}/{ENTRY}"
        if record is not None:
            digest = record.pop("entry", None)
            if entry is None or digest not in {None, digest_of_bytes(data or b"")}:
                self.lost[number] = Lost(number=number, file=file, **record)
                return None
            return dataclasses.replace(entry, stamp=record["stamp"]) if digest else entry
        if entry is None:
            if not self._rebuild:
                message = f"{self.folder.place}/{file} is damaged, and no ledger says what it was"
                raise RunError(message, hint="Run with --rebuild: it drops this file and reads what is at hand")
            self.dropped.append(file)
        return entry

    def _hold(self, entry: Entry, digest: str) -> None:
        self.entries[entry.number] = entry
        self._digests[entry.number] = digest
        self._stale.pop(entry.number, None)
        for number in entry.replaces:
            self._stale[number] = self.entries.pop(number, None)
            self.lost.pop(number, None)

    # --- Change ---------------------------------------------------------------------------------------------------

    def keep(self, entry: Entry, made: Path) -> None:
        """Take over a folder of results that is whole; its entry is there only if all else is.

        Raises:
            RunError: another run writes here.
        """
        self.assure()
        if self.is_new:  # from now on, a folder without a ledger is one that lost it
            self.save()
        files = {path.name: digest_of_file(path) or "" for path in sorted(made.iterdir())}
        entry = dataclasses.replace(entry, files=files, callcost=entry.callcost or __version__)
        data = entry_bytes(entry)
        (made / ENTRY).write_bytes(data)
        try:
            self.folder.add_folder(made, entry.place, last=ENTRY)
        except FileExistsError as error:
            message = f"another run writes to {self.folder.place}: {error} is there already"
            raise RunError(message, hint="Wait until it ends, then run again") from error
        self._hold(entry, digest_of_bytes(data))

    def restamp(self, entry: Entry, stamp: Stamp) -> None:
        """Give an entry the new stamp of an input whose bytes are the same."""
        self.entries[entry.number] = dataclasses.replace(entry, stamp=stamp)
        self._saved = False

    def describe(self, layout: str, words: Mapping[str, Any]) -> None:
        """Remember what is to be known of a layout of results."""
        if self.layouts.get(layout) != words:
            self.layouts[layout], self._saved = dict(words), False

    def close(self, day: str, words: Mapping[str, Any]) -> None:
        """Remember what is written down of a closed day."""
        self.closed[day] = dict(words)
        self._saved = False

    def reopen(self, day: str) -> None:
        """Keep nothing of a closed day."""
        del self.closed[day]
        self._saved = False

    def forget(self, number: int) -> None:
        """Leave an entry out from the next commit on."""
        self._stale[number] = self.entries.pop(number, None)
        self.lost.pop(number, None)
        self._saved = False

    def discard(self, entry: Entry) -> None:
        """Remove an entry at once; those that it stood for count again."""
        del self.entries[entry.number]
        for number in entry.replaces:
            known = self._stale.pop(number, None)
            if known is not None:
                self.entries[number] = known
        self._remove({entry.number})

    def commit(self, published: Mapping[str, Any]) -> None:
        """Write down what was published, then remove the results that nothing needs any more."""
        self.published, self._first, self._saved = dict(published), self.next_number, False
        self.save()
        self._remove(set(self._stale))
        self._stale = {}

    def save(self) -> None:
        """Write the ledger where it is not as it was last written, its copy first."""
        if self._saved:
            return
        self.assure()
        for entry in map(self._with_digests, list(self.entries.values())):
            if self._digests[entry.number] is None:
                data = entry_bytes(entry)
                self.folder.write(f"{entry.place}/{ENTRY}", data)
                self._digests[entry.number] = digest_of_bytes(data)
        document = {
            "schema_version": SCHEMA_VERSION, "callcost": __version__, "next": self._first,
            "entries": {
                f"{n:08}": {"entry": self._digests[n], **_record_of(entry)} for n, entry in sorted(self.entries.items())
            },
            "closed": self.closed, "published": self.published, "layouts": self.layouts,
        }  # fmt: skip
        document["digest"] = digest_of_document(document)
        data = json.dumps(document, indent=1, sort_keys=True, default=dataclasses.asdict).encode()
        for name in (COPY, LEDGER):
            self.folder.write(name, data)
        self._saved, self.is_new, self.version = True, False, SCHEMA_VERSION

    def _remove(self, numbers: set[int]) -> None:
        """Remove folders of results, each one's entry first: what is left of a removal that is ended is no entry."""
        places = set(map(place_of, numbers))
        if places:
            names = [name for name in self.folder.names(RESULTS) if _place_in(name) in places]
            self.folder.remove([name for name in names if name.endswith(ENTRY)])
            self.folder.remove([name for name in names if not name.endswith(ENTRY)])

    # --- Read -----------------------------------------------------------------------------------------------------

    def check(self, work: Path, entries: Iterable[Entry] | None = None) -> None:
        """Check the results of entries, and make them readable; an entry of which a file is not as it was made is lost.

        Args:
            work: folder on the disk to make them readable in.
            entries: None: all.
        """
        for entry, file in self._make_local(list(self.entries.values() if entries is None else entries), work):
            self.lost[entry.number] = Lost(number=entry.number, file=file, **_record_of(entry))
            self._stale[entry.number] = self.entries.pop(entry.number, None)

    def local_files(self, entries: Iterable[Entry], work: Path, *kinds: str) -> list[Path]:
        """Make results of entries readable in a folder on the disk, as KIND-NUMBER-REST.parquet.

        Args:
            entries: entries of this ledger.
            work: folder on the disk.
            kinds: kinds of files: the word before the first hyphen of their names; none: all.

        Returns:
            Their paths, in order.

        Raises:
            RunError: a file is not as it was made.
        """
        wanted = list(entries)
        for entry, file in self._make_local(wanted, work, *kinds):
            message = f"{self.folder.place}/{file} is damaged or gone: it holds what {entry.name} gave"
            raise RunError(message, hint="Run the report again: it says what can be done")
        places = {entry.place for entry in wanted}
        found = ((name, path) for name, path in self._local.items() if _place_in(name) in places)
        return sorted(path for name, path in found if not kinds or _kind_of(name) in kinds)

    def _make_local(self, entries: list[Entry], work: Path, *kinds: str) -> list[tuple[Entry, str]]:
        """Make files local that are not yet; return those that are not as they were made, each with its entry."""
        self._local = {name: path for name, path in self._local.items() if path.parent == work}
        wanted = {
            f"{entry.place}/{file}": (entry, digest)
            for entry in map(self._with_digests, entries)
            for file, digest in entry.files.items()
            if file.endswith(".parquet") and (not kinds or _kind_of(file) in kinds)
        }
        paths = {
            name: work / f"{_kind_of(name)}-{entry.number:08}-{name.rpartition('/')[2].partition('-')[2]}"
            for name, (entry, _) in wanted.items()
            if name not in self._local
        }
        there = set(self.folder.names(RESULTS)) if paths else set()
        self.folder.make_local({name: path for name, path in paths.items() if name in there})
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            digests = dict(zip(paths, pool.map(digest_of_file, paths.values()), strict=True))
        bad = [name for name, digest in digests.items() if digest != wanted[name][1]]
        self._local |= {name: path for name, path in paths.items() if name not in bad}
        return [(wanted[name][0], name) for name in bad]

    def _with_digests(self, entry: Entry) -> Entry:
        """Return an entry with the digests of its files; one of a ledger of schema 1 gets them now."""
        if entry.files:
            return entry
        names = [name for name in self.folder.names(entry.place) if not name.endswith(ENTRY)]
        digests = [digest_of_bytes(data or b"") for data in self.folder.read_all(names)]
        files = {name.rpartition("/")[2]: digest for name, digest in zip(names, digests, strict=True)}
        complete = dataclasses.replace(entry, files=files)
        self.entries[entry.number], self._digests[entry.number], self._saved = complete, None, False
        return complete


def _record_of(entry: Entry) -> dict[str, Any]:
    """Return what a ledger says of an entry, to be known once it is lost."""
    return {field.name: getattr(entry, field.name) for field in dataclasses.fields(Known) if field.name != "number"}


def _place_in(name: str) -> str:
    return "/".join(name.split("/")[:2])


def _kind_of(name: str) -> str:
    return name.rpartition("/")[2].partition("-")[0]


def _records_of(document: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Return what a ledger says of its entries, by number."""
    records = {int(number): typed(record) for number, record in document.get("entries", {}).items()}
    for line in document.get("published", {}).get("inputs", ()) if document.get("schema_version") == 1 else ():
        stamp = Stamp(path=line["path"], bytes=line["bytes"], mtime_ns=0)
        records[int(line["entry"])] = {"stamp": stamp, "name": line["name"], "sha256": line["sha256"]}
    return records


def read_ledger(folder: Folder) -> dict[str, Any] | None:
    """Return what is written in a state's ledger, without its lock; None: there is none.

    Raises:
        RunError: it is damaged, or a newer callcost wrote it.
    """
    found = {name: data for name in (LEDGER, COPY) if (data := folder.read(name)) is not None}
    whole = [_document_of(data, f"{folder.place}/{name}") for name, data in found.items()]
    if found and not any(whole):
        hint = "callcost report --state says what can be done"
        raise RunError(f"the ledger {folder.place}/{LEDGER} is damaged", hint=hint)
    return next(filter(None, whole), None)


def _document_of(data: bytes, path: str) -> dict[str, Any] | None:
    """Read a ledger; None where it is damaged.

    Raises:
        RunError: a newer callcost wrote it.
    """
    try:
        document = json.loads(data)
        version = document["schema_version"]
        if isinstance(version, int) and version > SCHEMA_VERSION:
            writer = document.get("callcost", "?")
            message = f"the ledger {path} is from a newer callcost: {writer}, schema {version}"
            message += f"; this is {__version__}, schema {SCHEMA_VERSION}"
            raise RunError(message, hint="Use that version, or give another --state folder")
        if version == 1:  # that of callcost 0.1.0 before it had digests of entries
            body = json.dumps(document["published"], sort_keys=True)
            whole = document["sha256"] == digest_of_bytes(body.encode())
        else:
            whole = document.pop("digest") == digest_of_document(document)
        return dict(document) if whole and version in {1, SCHEMA_VERSION} else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
