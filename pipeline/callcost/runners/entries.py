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

from callcost.logs.io.extents import Extent

RESULTS = "inputs"
ENTRY = "entry.json"


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
        number: of the entry.
        stamp: of the input when it was read.
        name: how reports call it.
        sha256: of its bytes; "": it could not be read.
        made: what its results depend on beside its bytes.
        facts: whatever the run needs to know of its results.
        layout: of its results; those of another one do not go together with them. "": older than layouts.
        callcost: the version that read it; "": older than this field.
        extent: what was read of it; None: not known.
        about: what its results hold, for people.
        replaces: numbers of the entries that this one stands for.
        holds_more: whether its results hold more than the input does now.
        files: name -> sha256 of every file of its results; {}: older than this field.
    """

    number: int
    stamp: Stamp
    name: str
    sha256: str
    made: str
    facts: Mapping[str, Any]
    layout: str = ""
    callcost: str = ""
    extent: Extent | None = None
    about: str = ""
    replaces: tuple[int, ...] = ()
    holds_more: bool = False
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def place(self) -> str:
        """The folder of its results."""
        return place_of(self.number)


def stamp_of(path: str) -> Stamp | None:
    """Return a file's stamp; None where it is gone. One that nobody may look at is there, and empty."""
    try:
        stat = Path(path).stat()
    except PermissionError:
        return Stamp(path=str(Path(path).resolve()), bytes=0, mtime_ns=0)
    except OSError:
        return None
    return Stamp(path=str(Path(path).resolve()), bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)


def place_of(number: int) -> str:
    """Return the folder of an entry's results."""
    return f"{RESULTS}/{number:08}"


def digest_of_bytes(data: bytes) -> str:
    """Return the sha256 of bytes as hex."""
    return hashlib.sha256(data).hexdigest()


def digest_of_file(path: Path) -> str | None:
    """Return the sha256 of a file as hex; None where there is none."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def digest_of_document(document: Mapping[str, Any]) -> str:
    """Return the sha256 of a JSON document as hex, the one it carries left out."""
    return digest_of_bytes(json.dumps({**document, "digest": None}, sort_keys=True).encode())


def entry_bytes(entry: Entry) -> bytes:
    """Return an entry as it is written, with its digest."""
    document = dataclasses.asdict(entry)
    return json.dumps({**document, "digest": digest_of_document(document)}, sort_keys=True).encode()


def entry_of(data: bytes | None, *, signed: bool = True) -> Entry | None:
    """Read an entry; None where it is damaged.

    Args:
        data: of its file.
        signed: whether it must carry its digest; entries of ledgers of schema 1 have none.
    """
    try:
        words = json.loads(data or b"")
        digest = words.pop("digest", None)
        if digest != digest_of_document(words) if signed or digest is not None else False:
            return None
        extent = words.get("extent")
        words |= {"stamp": Stamp(**words["stamp"]), "extent": Extent(**extent) if extent else None}
        return Entry(**{**words, "replaces": tuple(words.get("replaces", ()))})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
