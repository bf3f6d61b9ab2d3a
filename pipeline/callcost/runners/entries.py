"""What a ledger knows of one input: what tells it, where its results are, and how each of these is checked.

An entry is a file beside its results. It never changes, names every file of them with its digest, and carries its own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from callcost.logs.io.databases import logs_beside
from callcost.logs.io.extents import Extent
from callcost.logs.io.object_store import Stored, is_url

RESULTS = "inputs"
ENTRY = "entry.json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What tells a changed file from an unchanged one without reading it.

    Attributes:
        path: absolute path, or URL.
        bytes: size, with that of a database's log beside it.
        mtime_ns: time of the last change, in nanoseconds since 1970 UTC; 0: the ``etag`` says whether it changed.
        etag: ETag of an object in a store that has one.
    """

    path: str
    bytes: int
    mtime_ns: int
    etag: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a ledger itself remembers of an input, whatever becomes of the entry.

    Attributes:
        number: number of the entry.
        stamp: stamp of the input when it was read.
        name: name of the input in reports.
        sha256: digest of the input's bytes as hex; "": it could not be read.
        extent: extent of the input that was read; None: not known.
        about: description of what the results hold, for people.
        holds_more: whether the results hold more than the input does now.
    """

    number: int
    stamp: Stamp
    name: str
    sha256: str
    extent: Extent | None = None
    about: str = ""
    holds_more: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Known):
    """One input that was read.

    Attributes:
        made: digest of what the results depend on beside the input's bytes.
        facts: whatever the run needs to know of the results.
        layout: layout of the results; those of another one do not go together with them. "": older than layouts.
        callcost: version that read the input; "": older than this field.
        replaces: numbers of the entries that this one stands for.
        files: name -> sha256 of every file of the results; {}: older than this field.
    """

    made: str
    facts: Mapping[str, Any]
    layout: str = ""
    callcost: str = ""
    replaces: tuple[int, ...] = ()
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def place(self) -> str:
        """The folder of its results."""
        return place_of(self.number)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Known):
    """An entry whose results cannot be used any more.

    Attributes:
        file: name in the state folder of the file that is damaged or gone.
    """

    file: str


def stamp_of(path: str, stored: Stored | None = None) -> Stamp | None:
    """Return the stamp of a file or an object; None where it is gone.

    Args:
        path: path or URL. A file that nobody may look at is there, and empty.
        stored: description of an object by its store; None: it is gone.
    """
    if is_url(path):
        changed_ns = 0 if stored is None or stored.etag else stored.changed_ns
        return stored and Stamp(path=path, bytes=stored.bytes, mtime_ns=changed_ns, etag=stored.etag)
    try:
        stats = [each.stat() for each in (Path(path), *logs_beside(path))]
    except PermissionError:
        return Stamp(path=str(Path(path).resolve()), bytes=0, mtime_ns=0)
    except OSError:
        return None
    size, changed_ns = sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)
    return Stamp(path=str(Path(path).resolve()), bytes=size, mtime_ns=changed_ns)


def place_of(number: int) -> str:
    """Return the folder of an entry's results."""
    return f"{RESULTS}/{number:08}"


def digest_of_bytes(data: bytes) -> str:
    """Return the sha256 of bytes as hex."""
    return hashlib.sha256(data).hexdigest()


def digest_of_value(value: Any) -> str:
    """Return the sha256 of a value's JSON as hex; what is no JSON is taken as its text."""
    return digest_of_bytes(json.dumps(value, sort_keys=True, default=str).encode())


def digest_of_file(path: Path) -> str | None:
    """Return the sha256 of a file as hex; None where there is none."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def digest_of_document(document: Mapping[str, Any]) -> str:
    """Return the sha256 of a JSON document as hex, the one it carries left out."""
    text = json.dumps({**document, "digest": None}, sort_keys=True, default=dataclasses.asdict)
    return digest_of_bytes(text.encode())


def entry_bytes(entry: Entry) -> bytes:
    """Return an entry as it is written, with its digest."""
    document = dataclasses.asdict(entry)
    return json.dumps({**document, "digest": digest_of_document(document)}, sort_keys=True).encode()


def typed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a document says of an input, its stamp and its extent as what they are."""
    extent = record.get("extent")
    return {**record, "stamp": Stamp(**record["stamp"]), "extent": Extent(**extent) if extent else None}


def entry_of(data: bytes | None, *, signed: bool = True) -> Entry | None:
    """Read an entry; None where it is damaged.

    Args:
        data: bytes of its file; None: there is none.
        signed: whether it must carry its digest: entries of ledgers of schema 1 have none.
    """
    try:
        words = json.loads(data or b"")
        digest = words.pop("digest", None)
        if digest != digest_of_document(words) if signed or digest is not None else False:
            return None
        return Entry(**{**typed(words), "replaces": tuple(words.get("replaces", ()))})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
