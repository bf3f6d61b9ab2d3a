"""The shipped vocabularies are the published ones, byte for byte, and nothing else is taken for one."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.data_folders import data_dir
from callcost.errors import TokenizerError
from callcost.tokens.engines import vocabularies
from callcost.tokens.engines.vocabularies import (
    bundled_folder,
    find_vocabulary,
    installed,
    pack,
    pack_ranks,
    ranks_of,
    read_file,
    read_index,
    read_tokens,
    unpack_tokens,
    user_folder,
)
from callcost.tokens.engines.vocabulary_packages import PACKAGES

# What the publishers give: tiktoken's own expected hashes, and the tokenizer.json of Claude 2.
PUBLISHED = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "p50k_base": "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    "r50k_base": "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    "claude2": "c241737df24b4e7f7c9af4fdcee29a0ca903dcb288a8b753bc346a3092911767",
    "tekken": PACKAGES["tekken"].sha256,
    "gemma3_ranks": PACKAGES["gemma3"].sha256,
}
RANKS = ["o200k_base", "cl100k_base", "p50k_base", "r50k_base"]


def published_form(ranks: dict[bytes, int]) -> bytes:
    """Write ranks as tiktoken's files have them: token in base64, a blank, its rank."""
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())


def test_the_index_pins_the_digests_that_the_publishers_give() -> None:
    rows = read_index(bundled_folder())

    assert {name: row.sha256 for name, row in rows.items()} == PUBLISHED
    assert all(row.licence in {"MIT", "Apache-2.0"} and row.source.startswith("https://") for row in rows.values())


@pytest.mark.parametrize("name", RANKS)
def test_ranks_written_out_again_are_the_published_file(name: str) -> None:
    ranks = ranks_of(read_tokens(find_vocabulary(name)))

    assert hashlib.sha256(published_form(ranks)).hexdigest() == PUBLISHED[name]


def test_the_tokenizer_json_of_claude_2_is_the_published_file() -> None:
    assert hashlib.sha256(read_file(find_vocabulary("claude2"))).hexdigest() == PUBLISHED["claude2"]


@pytest.mark.parametrize("name", RANKS)
def test_patterns_and_special_tokens_are_tiktokens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    openai_public = importlib.import_module("tiktoken_ext.openai_public")  # has no types
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
    theirs: dict[str, Any] = getattr(openai_public, name)()

    ours = find_vocabulary(name)

    assert (ours.pattern, ours.special) == (theirs["pat_str"], theirs["special_tokens"])


def test_the_vocabularies_stay_under_four_megabytes_in_the_wheel() -> None:
    files = [path for path in (data_dir() / "vocabularies").iterdir() if path.is_file()]

    assert sum(path.stat().st_size for path in files) < 4_000_000


def test_every_file_of_the_folder_is_named_by_the_index() -> None:
    named = {row.file for row in read_index(bundled_folder()).values()}

    assert {path.name for path in bundled_folder().iterdir()} == named | {"index.json", "NOTICE"}


@given(st.dictionaries(st.binary(min_size=1, max_size=255), st.integers(0, 2000), min_size=1))
def test_packed_ranks_read_back_as_they_were(tokens: dict[bytes, int]) -> None:
    ranks = {token: rank for rank, token in {rank: token for token, rank in tokens.items()}.items()}

    assert ranks_of(unpack_tokens(pack_ranks(ranks))) == ranks


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's folder of vocabularies, with one small tokenizer installed."""
    monkeypatch.setenv("CALLCOST_DATA_DIR", str(tmp_path))
    folder = user_folder()
    folder.mkdir()
    data = pack(pack_ranks({bytes([value]): value for value in range(256)}))
    (folder / "bytes.ranks.zst").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    row = {
        "name": "bytes",
        "engine": "tiktoken",
        "file": "bytes.ranks.zst",
        "file_sha256": digest,
        "sha256": digest,
        "licence": "MIT",
        "source": "test",
        "pattern": "(?s:.)",
    }
    (folder / "index.json").write_text(json.dumps({"vocabularies": [row]}), encoding="utf-8")
    read_index.cache_clear()
    yield folder
    read_index.cache_clear()


def test_a_vocabulary_in_the_users_folder_is_found(own_folder: Path) -> None:
    assert installed() == {"bytes"}
    assert find_vocabulary("bytes").place == own_folder
    assert len(ranks_of(read_tokens(find_vocabulary("bytes")))) == 256


def test_a_damaged_file_is_refused_by_its_digest(own_folder: Path) -> None:
    path = own_folder / "bytes.ranks.zst"
    path.write_bytes(path.read_bytes()[:-1] + b"?")

    with pytest.raises(TokenizerError, match="damaged"):
        read_file(find_vocabulary("bytes"))


def test_a_missing_file_is_named(own_folder: Path) -> None:
    (own_folder / "bytes.ranks.zst").unlink()

    with pytest.raises(TokenizerError, match=r"bytes\.ranks\.zst"):
        read_file(find_vocabulary("bytes"))


def test_a_broken_index_is_named(own_folder: Path) -> None:
    (own_folder / "index.json").write_text("{", encoding="utf-8")
    read_index.cache_clear()

    with pytest.raises(TokenizerError, match="index"):
        installed()


def test_a_vocabulary_that_is_nowhere_is_an_error_that_says_how_to_get_it() -> None:
    with pytest.raises(TokenizerError, match="tokens install"):
        find_vocabulary("gemma99")


def test_what_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabularies, "MAX_FILE_BYTES", 10)

    with pytest.raises(TokenizerError, match="more than"):
        vocabularies.unpack(pack(b"x" * 11))
