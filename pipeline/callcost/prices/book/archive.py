"""Price versions on disk: one folder, one index line and one file of changes per version, append only.

    index.jsonl                  {"name", "effective_from", "source", "sha256", "base", "known_from"}
    litellm-1.106.4.jsonl.zst    {"model", "entry"} per model that differs from the base; entry null: dropped

A version without a base is written whole. The bundled folder and the user's have the same form; neither a
line nor a file is ever changed once it is there. Which version applies when is left to ``catalog.py``.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import zstandard

from callcost.errors import PriceError
from callcost.whole_files import open_whole_file

INDEX = "index.jsonl"
DROPPED = msgspec.Raw(b"null")
_LOCK = "index.lock"
_LOCK_SECONDS = 60  # adding takes milliseconds: an older lock was left by a process that died
RESERVED = ("as-of", "latest")  # what --prices takes beside names and dates
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_MAX_BYTES = 256 << 20  # of one version's changes, unpacked
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class IndexLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the index says of one version."""

    name: str
    effective_from: str  # ISO 8601, UTC
    source: str
    sha256: str  # of the whole map's canonical text
    base: str | None  # the version of the same folder that the changes start from; None: written whole
    known_from: str | None = None  # when the folder came to have it, ISO 8601, UTC; None: when it came into force


class Change(msgspec.Struct, frozen=True):
    """A model's entry from a version on, or ``DROPPED``."""

    model: str
    entry: msgspec.Raw


def read_index(folder: Path) -> list[IndexLine]:
    """Return the folder's versions in the order in which they were added; a missing folder has none.

    Raises:
        PriceError: the index is damaged.
    """
    try:
        text = (folder / INDEX).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        return _INDEX_DECODER.decode_lines(text)
    except msgspec.DecodeError as error:
        message = f"damaged index of price versions {folder / INDEX} ({error})"
        raise PriceError(message, hint=REPAIR) from error


def read_changes(folder: Path, name: str) -> list[Change]:
    """Return what the version changes against its base.

    Raises:
        PriceError: the file is missing or damaged.
    """
    path = folder / f"{name}.jsonl.zst"
    try:
        packed = path.read_bytes()
        text = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_BYTES)
        return _CHANGE_DECODER.decode_lines(text)
    except (OSError, zstandard.ZstdError, msgspec.DecodeError, MemoryError) as error:
        message = f"cannot read the price version {name} ({path}: {error})"
        raise PriceError(message, hint=REPAIR) from error


def _says_when(name: str) -> bool:
    """Say whether a name is a word or a date that stands for whatever version was in force then."""
    try:
        microseconds(name)
    except ValueError:
        return name.lower() in RESERVED
    return True


def add_version(folder: Path, line: IndexLine, changes: Mapping[str, bytes]) -> None:
    """Add a version: whole or not at all, and never over another.

    Args:
        folder: made if missing.
        line: its line of the index.
        changes: model name -> canonical entry text, or b"null" where the base's model is dropped.

    Raises:
        PriceError: the name is taken or is no file name, or the folder cannot be written.
    """
    if not _NAME.fullmatch(line.name):
        message = f"{line.name!r} cannot name a price version"
        raise PriceError(message, hint="Use letters, digits and . _ + - only")
    if _says_when(line.name):
        message = f"{line.name!r} cannot name a price version: it says which version --prices means"
        raise PriceError(message, hint="Give it another --name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            known = read_index(folder)
            if any(other.name == line.name for other in known):
                message = f"there is a price version {line.name} already"
                raise PriceError(message, hint="Give it another name")
            write_file(folder / f"{line.name}.jsonl.zst", _pack(changes))
            write_file(folder / INDEX, b"".join(msgspec.json.encode(item) + b"\n" for item in [*known, line]))
    except OSError as error:
        message = f"cannot write to {folder} ({error.strerror or error})"
        raise PriceError(message) from error


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with open_whole_file(path) as file:
        file.write(content)


def microseconds(moment: str) -> int:
    """Return an ISO 8601 date or date and time as microseconds since 1970; without a zone it is UTC.

    Raises:
        ValueError: it is neither.

    >>> microseconds("2024-06-01")
    1717200000000000
    """
    parsed = datetime.fromisoformat(moment)
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def isoformat(moment: int) -> str:
    """Return microseconds since 1970 as ISO 8601 text, UTC.

    >>> isoformat(1717200000000000)
    '2024-06-01T00:00:00Z'
    """
    return (_EPOCH + timedelta(microseconds=moment)).replace(tzinfo=None).isoformat() + "Z"


def _pack(changes: Mapping[str, bytes]) -> bytes:
    lines = (b'{"model":%b,"entry":%b}\n' % (msgspec.json.encode(name), changes[name]) for name in sorted(changes))
    return zstandard.ZstdCompressor(level=12, write_checksum=True).compress(b"".join(lines))


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep others from adding to the folder at the same time."""
    lock = folder / _LOCK
    with contextlib.suppress(FileNotFoundError):
        if time.time() - lock.stat().st_mtime > _LOCK_SECONDS:
            lock.unlink()
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError as error:
        message = f"another process is adding a price version to {folder}"
        raise PriceError(message, hint="Try again in a minute") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


REPAIR = "Remove that version from the folder and its index, or install callcost again"
_INDEX_DECODER = msgspec.json.Decoder(IndexLine)
_CHANGE_DECODER = msgspec.json.Decoder(Change)
