"""Object stores: what lies under a URL, and its bytes, read as if they were a file on disk.

obstore speaks to the stores. Credentials, regions and endpoints are found where each cloud's own tools look for them
(environment, instance and web identity; profiles through boto3 where that is installed); what --storage-option says
goes before. Options travel to worker processes in the environment, so that no secret gets into a task or a manifest.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pipeline.errors import ConfigError, LogError

SCHEMES = frozenset(("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl"))
BLOCK = 8 << 20  # bytes of one request
OPTIONS_VARIABLE = "CALLCOST_STORAGE_OPTIONS"
_CLIENT = frozenset(("allow_http", "allow_invalid_certificates", "connect_timeout", "timeout", "proxy_url"))
_GLOB = re.compile(r"[*?\[]")


class Stored(NamedTuple):
    """An object.

    Attributes:
        url: where it is.
        bytes: its size.
        changed_ns: when it was last written, in nanoseconds since 1970.
        etag: what its store says tells its content; None: it says nothing.
    """

    url: str
    bytes: int
    changed_ns: int
    etag: str | None


def is_url(path: str) -> bool:
    """Tell whether a path is in an object store."""
    scheme, separator, _ = path.partition("://")
    return bool(separator) and scheme.lower() in SCHEMES


def use_storage_options(pairs: Iterable[str]) -> None:
    """Set the options of all stores, for this process and those it starts.

    Args:
        pairs: "key=value", as obstore names them: endpoint, region, access_key_id, allow_http ...

    Raises:
        ConfigError: one is no pair.
    """
    options = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise ConfigError(f"--storage-option {key!r} has no value", hint="Write endpoint=https://store.example")
        options[key] = value
    if options:
        os.environ[OPTIONS_VARIABLE] = json.dumps(options)


def find_objects(url: str) -> Iterator[tuple[str, list[Stored]]]:
    """Yield (root, the objects at or below it) of each root that a URL names, in order.

    Args:
        url: of an object, of a folder, or a glob; hidden entries below a folder are left out.

    Raises:
        LogError: the store refuses or cannot be reached.
    """
    root, key = _split(url)
    with _Explained(url):
        glob = _GLOB.search(key)
        if glob is None:
            one = _head(root, key) if key and not key.endswith("/") else None
            found = [one] if one else [each for each in _list(root, key) if not _is_hidden(each.url[len(url) :])]
            if found:
                yield url.rstrip("/"), found
            return
        pattern = re.compile(f"({_regex_of(key.rstrip('/'))})(/.*)?", re.DOTALL)
        folder = key[: glob.start()].rpartition("/")[0]
        roots: dict[str, list[Stored]] = {}
        for each in _list(root, folder):
            match = pattern.fullmatch(each.url[len(root) + 1 :])
            if match and not _is_hidden(match[0][len(folder) :]):
                roots.setdefault(f"{root}/{match[1]}", []).append(each)
    yield from roots.items()


def stat_object(url: str) -> Stored | None:
    """Return what is known of an object; None where it is gone.

    Raises:
        LogError: the store refuses or cannot be reached.
    """
    with _Explained(url):
        return _head(*_split(url))


def open_input(path: str) -> BinaryIO:
    """Open a file or an object for reading; it can be sought in.

    Raises:
        OSError: there is none, or it changes while it is read.
        LogError: the store refuses or cannot be reached.
    """
    return io.BufferedReader(_Object(path), BLOCK) if is_url(path) else Path(path).open("rb")


def put_object(url: str, data: bytes) -> None:
    """Write an object; it is there whole or not at all.

    Raises:
        LogError: the store refuses or cannot be reached.
    """
    root, key = _split(url)
    with _Explained(url):
        _obstore().put(_store(root, _options()), key, data)


def as_source(path: str) -> str | BinaryIO:
    """Return what libraries that take paths or files read a path from."""
    return open_input(path) if is_url(path) else path


class _Object(io.RawIOBase):
    """An object's bytes, range by range, all of one version of it."""

    def __init__(self, url: str) -> None:
        found = stat_object(url)
        if found is None:
            raise FileNotFoundError(url)
        self._stored = found
        self._root, self._key = _split(url)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

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
            options["if_match"] = self._stored.etag
        with _Explained(self._stored.url):
            data = _obstore().get(_store(self._root, _options()), self._key, options=options).bytes()
        buffer[:size] = memoryview(data)[:size]
        self._position = end
        return size


class _Explained:
    """What obstore raises inside, as an error that names the object and the next step."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if kind is None or not kind.__module__.startswith("obstore"):
            return
        name = kind.__name__.removesuffix("Error")
        if name in {"NotFound", "Precondition"}:
            raise OSError(f"{self._url}: {'gone' if name == 'NotFound' else 'changed while it was read'}") from None
        status = _STATUS.search(str(error))
        said = _REFUSALS.get(name) or _REFUSALS.get(status[1] if status else "")
        reason = said or str(error).strip().splitlines()[0][:200]
        raise LogError(f"{self._url}: {reason}", hint=_HINT) from None


_STATUS = re.compile(r"status code: (\d+)")
_DENIED, _UNKNOWN = "the store denies access (403)", "the store does not accept the credentials (401)"
_REFUSALS = {
    "PermissionDenied": _DENIED,
    "403": _DENIED,
    "Unauthenticated": _UNKNOWN,
    "401": _UNKNOWN,
    "404": "there is no such bucket (404)",
}
_HINT = "Check the credentials (are they expired?), the region and the endpoint; see --storage-option"


def _split(url: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key


def _head(root: str, key: str) -> Stored | None:
    obstore = _obstore()
    try:
        return _stored(root, obstore.head(_store(root, _options()), key))
    except FileNotFoundError:
        return None


def _list(root: str, folder: str) -> list[Stored]:
    batches = _obstore().list(_store(root, _options()), prefix=folder.strip("/") or None)
    found = [_stored(root, meta) for batch in batches for meta in batch]
    return sorted(each for each in found if not each.url.endswith("/"))  # "/": a folder's own marker


def _stored(root: str, meta: Any) -> Stored:
    changed = int(meta["last_modified"].timestamp() * 1_000_000) * 1_000
    return Stored(f"{root}/{meta['path']}", meta["size"], changed, meta["e_tag"])


def _is_hidden(below: str) -> bool:
    return any(part.startswith(".") for part in below.split("/"))


def _regex_of(glob: str) -> str:
    parts = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        parts.get(part) or (part if part.startswith("[") else re.escape(part))
        for part in re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|[^*?\[]+|\[", glob)
    )


def _options() -> str:
    return os.environ.get(OPTIONS_VARIABLE, "{}")


@lru_cache(maxsize=64)
def _store(root: str, options: str) -> Any:
    obstore = _obstore()
    stated: dict[str, str] = json.loads(options)
    client: dict[str, Any] = {key: value for key, value in stated.items() if key in _CLIENT}
    config = {key: value for key, value in stated.items() if key not in _CLIENT}
    if "allow_http" in client:
        client["allow_http"] = client["allow_http"].lower() in {"1", "true", "yes"}
    try:
        return obstore.store.from_url(
            root,
            config=config or None,
            client_options=client or None,
            **({"credential_provider": profile} if (profile := _profile(root, config)) else {}),
        )
    except (ValueError, obstore.exceptions.BaseError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ConfigError(f"{root} cannot be opened: {reason}", hint=_HINT) from None


def _profile(root: str, config: dict[str, str]) -> Any:
    """Return what finds the keys of an AWS profile, SSO and assumed roles included; None: nobody uses profiles."""
    places = [("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), ("AWS_CONFIG_FILE", "~/.aws/config")]
    files = [Path(os.environ.get(name, usual)).expanduser() for name, usual in places]
    stated = "AWS_ACCESS_KEY_ID" in os.environ or any(key.endswith("access_key_id") for key in config)
    if not root.startswith("s3") or stated or not ("AWS_PROFILE" in os.environ or any(map(Path.is_file, files))):
        return None
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 - an extra

        botocore: Any = importlib.import_module("botocore.exceptions")
    except ImportError:
        raise ConfigError("AWS profiles need an extra", hint="pip install 'callcost[cloud]'") from None
    try:
        return Boto3CredentialProvider()
    except botocore.BotoCoreError as error:
        raise ConfigError(f"AWS profile: {error}", hint="See aws configure list-profiles") from None
    except ValueError:
        return None  # files without keys: the store looks further


def _obstore() -> Any:
    try:
        import obstore.store  # noqa: PLC0415 - an extra, and only where a path is a URL
    except ImportError:
        message = "reading object stores needs an extra"
        raise ConfigError(message, hint="pip install 'callcost[cloud]'") from None
    return obstore
