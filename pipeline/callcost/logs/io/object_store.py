"""Object stores: what lies under a URL, read as if it were a file on disk, and written whole or not at all.

How a store is reached and what its refusals mean is in store_access.py.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from callcost.arguments import STORE_SCHEMES
from callcost.logs.io.store_access import OPTIONS_VARIABLE, obstore_module, open_bucket, split_url, store_errors

BLOCK = 8 << 20  # bytes of one request
_GLOB = re.compile(r"[*?\[]")
_RAW_BYTES = re.compile("[\udc80-\udcff]")  # of file names, as Python has them


class Stored(NamedTuple):
    """An object.

    Attributes:
        url: URL of the object; of a file on a disk its path.
        bytes: size.
        changed_ns: time of the last change, in nanoseconds since 1970 UTC.
        etag: ETag without quotes; None: the store gives none.
    """

    url: str
    bytes: int
    changed_ns: int
    etag: str | None


def find_objects(url: str, shown: Collection[str] = ()) -> Iterator[tuple[str, list[Stored]]]:
    """Yield (root, the objects at or below it) of each root that a URL names, in order.

    Args:
        url: URL of an object or a folder, or a glob; hidden entries below a folder are left out.
        shown: names of hidden objects that are not left out.

    Raises:
        LogError: the store refuses or cannot be reached.
    """
    root, key = split_url(url)
    with store_errors(url):
        glob = _GLOB.search(key)
        if glob is None:
            one = _head(root, key) if key and not key.endswith("/") else None
            found = [one] if one else [each for each in _list(root, key) if not _is_hidden(each.url[len(url) :], shown)]
            if found:
                yield url.rstrip("/"), found
            return
        pattern = re.compile(f"({_regex_of(key.rstrip('/'))})(/.*)?", re.DOTALL)
        folder = key[: glob.start()].rpartition("/")[0]
        roots: dict[str, list[Stored]] = {}
        for each in _list(root, folder):
            match = pattern.fullmatch(each.url[len(root) + 1 :])
            if match and not _is_hidden(match[0][len(folder) :], shown):
                roots.setdefault(f"{root}/{match[1]}", []).append(each)
    yield from roots.items()


def stat_object(url: str) -> Stored | None:
    """Return what is known of an object; None where it is gone.

    Raises:
        LogError: the store refuses or cannot be reached.
    """
    with store_errors(url):
        return _head(*split_url(url))


def is_url(path: str) -> bool:
    """Tell whether a path is in an object store."""
    scheme, separator, _ = path.partition("://")
    return bool(separator) and scheme.lower() in STORE_SCHEMES


def open_input(path: str) -> BinaryIO:
    """Open a file or an object for reading; it can be sought in.

    Raises:
        OSError: there is none, or it changes while it is read.
        LogError: the store refuses or cannot be reached.
    """
    return io.BufferedReader(_Object(path), BLOCK) if is_url(path) else Path(path).open("rb")


def list_objects(url: str) -> list[Stored]:
    """Return all objects below the URL of a folder, hidden ones too, in order.

    Raises:
        LogError: the store refuses or cannot be reached.
    """
    with store_errors(url, writing=True):
        return _list(*split_url(url))


@contextlib.contextmanager
def open_output(url: str) -> Iterator[BinaryIO]:
    """Open an object to write, in parts; it is there whole when the block ends, and not at all if it raises.

    Raises:
        LogError: the store refuses or cannot be reached.
    """
    root, key = split_url(url)
    with store_errors(url, writing=True):
        writer = obstore_module().open_writer(open_bucket(root), key, buffer_size=BLOCK, max_concurrency=2)
    try:
        yield _Upload(url, writer)  # type: ignore[misc]
    except BaseException:
        with contextlib.suppress(obstore_module().exceptions.BaseError):
            writer.__exit__(*sys.exc_info())  # gives up what was sent
        raise
    with store_errors(url, writing=True):
        writer.close()


def as_source(path: str) -> str | BinaryIO:
    """Return what libraries that take paths or files read a path from; a path must be UTF-8 for them."""
    if is_url(path):
        return open_input(path)
    return path if written_name(path) == path else io.BufferedReader(_FileLeftOpen(path), BLOCK)


def storage_options(path: str) -> dict[str, str] | None:
    """Return the options of use_storage_options, here or in the process that started this one; None: of no store."""
    return json.loads(os.environ.get(OPTIONS_VARIABLE, "{}")) if is_url(path) else None


def written_name(name: str) -> str:
    r"""Return a file's name as it is written into tables and documents: bytes that are not UTF-8 as %FF.

    >>> written_name("caf\udce9.jsonl")
    'caf%E9.jsonl'
    """
    return _RAW_BYTES.sub(lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", name)


class _Seekable(io.RawIOBase):
    """A file that is read, and sought in."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


class _FileLeftOpen(_Seekable):
    """A file on a disk for libraries that leave it open: it closes with the last that holds it."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - see close

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer) or 0

    def close(self) -> None:
        self._file.close()
        super().close()


class _Object(_Seekable):
    """An object's bytes, range by range, all of one version of it."""

    def __init__(self, url: str) -> None:
        found = stat_object(url)
        if found is None:
            raise FileNotFoundError(url)
        self._stored = found
        self._root, self._key = split_url(url)
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._stored.bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._stored.bytes)
        size = end - self._position
        if size <= 0:
            return 0
        options: dict[str, Any] = {"range": (self._position, end)}
        if self._stored.etag:
            options["if_match"] = f'"{self._stored.etag}"'
        with store_errors(self._stored.url):
            data = obstore_module().get(open_bucket(self._root), self._key, options=options).bytes()
        buffer[:size] = memoryview(data)[:size]
        self._position = end
        return size


class _Upload(io.RawIOBase):
    """The writing end of an object; who opened it ends it."""

    def __init__(self, url: str, writer: Any) -> None:
        self._url, self._writer = url, writer

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        with store_errors(self._url, writing=True):
            self._writer.write(part)
        return len(part)


def _head(root: str, key: str) -> Stored | None:
    obstore = obstore_module()
    try:
        return _stored(root, obstore.head(open_bucket(root), key))
    except FileNotFoundError:
        return None


def _list(root: str, folder: str) -> list[Stored]:
    batches = obstore_module().list(open_bucket(root), prefix=folder.strip("/") or None)
    found = [_stored(root, meta) for batch in batches for meta in batch]
    return sorted(each for each in found if not each.url.endswith("/"))  # "/": a folder's own marker


def _stored(root: str, meta: Any) -> Stored:
    changed = int(meta["last_modified"].timestamp() * 1_000_000) * 1_000
    return Stored(f"{root}/{meta['path']}", meta["size"], changed, plain_etag(meta["e_tag"]))


def plain_etag(etag: str | None) -> str | None:
    """Return an ETag without its quotes, which some listings leave out."""
    return etag.strip('"') if etag else None


def _is_hidden(below: str, shown: Collection[str]) -> bool:
    *folders, name = below.split("/")
    return any(part.startswith(".") for part in (folders if name in shown else [*folders, name]))


def _regex_of(glob: str) -> str:
    parts = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        parts.get(part) or (part if part.startswith("[") else re.escape(part))
        for part in re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|[^*?\[]+|\[", glob)
    )
