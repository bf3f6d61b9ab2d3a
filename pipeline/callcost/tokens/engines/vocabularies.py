"""The vocabularies: which are there, and their files, read and verified.

Two places hold vocabularies, each with an ``index.json``: the bundled ones in data/vocabularies, and the user's own in
the user's data folder (``callcost tokens install`` puts them there). A row of an index names the file as shipped with
its digest, and the published file it was made from with the digest that the publisher gives, so that what is shipped
can be proved to be what was published. Nothing here reaches the network. Counting with a vocabulary is left to
encoders.py.

Byte-pair ranks are shipped packed (a third of the published base64 text, and four times as fast to read): as a
MessagePack array of their tokens in the order of the ranks (empty: the rank has no token), zstd-compressed.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from callcost.data_folders import data_dir, user_data_dir
from callcost.errors import TokenizerError

ALIASES = {"gpt2": "r50k_base", "p50k_edit": "p50k_base", "o200k_harmony": "o200k_base"}  # alike on ordinary text
MAX_FILE_BYTES = 512 * 2**20  # no vocabulary unpacks to more than this


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """One row of an index.

    Attributes:
        name: name of the vocabulary in model_families.py.
        engine: "tiktoken" (packed ranks) or "tokenizers" (a tokenizer.json).
        file: name of the file beside the index.
        file_sha256: digest of the file as it lies there, in hex.
        sha256: digest of the published file, in hex; the identity that reports carry.
        licence: SPDX identifier.
        source: where the published file comes from.
        pattern: tiktoken only: the expression that cuts text into pre-tokens.
        special: tiktoken only: the ids of special tokens.
        ranks: tiktoken only: how many ranks of the file belong to it; None: all.
        cuttable: whether a text may be cut before a blank that follows a letter or digit without changing its tokens.
        place: folder that holds the index and the file.
    """

    name: str
    engine: Literal["tiktoken", "tokenizers"]
    file: str
    file_sha256: str
    sha256: str
    licence: str
    source: str
    pattern: str = ""
    special: dict[str, int] = dataclasses.field(default_factory=dict)
    ranks: int | None = None
    cuttable: bool = False
    place: Path = Path()


def bundled_folder() -> Path:
    """Return the folder of the vocabularies that come with the package."""
    return data_dir() / "vocabularies"


def user_folder() -> Path:
    """Return the folder of the vocabularies that the user installed."""
    return user_data_dir() / "vocabularies"


@functools.lru_cache(maxsize=8)
def read_index(folder: Path) -> Mapping[str, Vocabulary]:
    """Read a folder's index; a folder without one holds no vocabulary.

    Raises:
        TokenizerError: the index cannot be read.
    """
    path = folder / "index.json"
    if not path.is_file():
        return {}
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_bytes())["vocabularies"]
        return {row["name"]: Vocabulary(**row, place=folder) for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"the index of vocabularies {path} cannot be read ({type(error).__name__})"
        raise TokenizerError(message, hint="Remove the file and install its vocabularies again") from error


def installed() -> frozenset[str]:
    """Return the names of the vocabularies that the user installed beside the bundled ones."""
    return frozenset(read_index(user_folder()))


def find_vocabulary(name: str) -> Vocabulary:
    """Return the row of a vocabulary, bundled or installed.

    Raises:
        TokenizerError: there is none of that name.
    """
    own = ALIASES.get(name, name)
    row = read_index(bundled_folder()).get(own) or read_index(user_folder()).get(own)
    if row is None:
        message = f"there is no vocabulary {name!r} here"
        raise TokenizerError(message, hint="See which can be had with: callcost tokens install --help")
    return row


def read_file(vocabulary: Vocabulary) -> bytes:
    """Read a vocabulary's file, verify its digest and unpack it.

    Raises:
        TokenizerError: the file is not there, or is not the one that the index names.
    """
    path = vocabulary.place / vocabulary.file
    hint = "Install callcost again, or the vocabulary with: callcost tokens install"
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"the file {path} of vocabulary {vocabulary.name!r} cannot be read"
        raise TokenizerError(message, hint=hint) from error
    if hashlib.sha256(data).hexdigest() != vocabulary.file_sha256:
        message = f"the file {path} of vocabulary {vocabulary.name!r} is damaged: its digest is not the index's"
        raise TokenizerError(message, hint=hint)
    return unpack(data) if path.suffix == ".zst" else data


def read_tokens(vocabulary: Vocabulary) -> list[bytes]:
    """Return the tokens of a tiktoken vocabulary by their rank; b"" where no token has it."""
    return unpack_tokens(read_file(vocabulary))[: vocabulary.ranks]


def ranks_of(tokens: Sequence[bytes]) -> dict[bytes, int]:
    """Return token -> its rank, of tokens by their rank."""
    ranks = dict(zip(tokens, range(len(tokens)), strict=True))
    ranks.pop(b"", None)
    return ranks


def pack_ranks(ranks: Mapping[bytes, int]) -> bytes:
    """Lay ranks out as they are shipped, before compression: the bytes that ``unpack_tokens`` reads."""
    tokens = {rank: token for token, rank in ranks.items()}
    return msgspec.msgpack.encode([tokens.get(rank, b"") for rank in range(max(tokens) + 1)])


def unpack_tokens(data: bytes) -> list[bytes]:
    """Read packed ranks: the tokens by their rank.

    >>> ranks_of(unpack_tokens(pack_ranks({b"a": 0, b"ab": 2})))
    {b'a': 0, b'ab': 2}
    """
    return msgspec.msgpack.decode(data, type=list[bytes])


def pack(data: bytes) -> bytes:
    """Compress a vocabulary's file as it is shipped."""
    import zstandard  # noqa: PLC0415 - only who loads a vocabulary pays for it

    return zstandard.ZstdCompressor(level=22).compress(data)


def unpack(data: bytes) -> bytes:
    """Decompress a vocabulary's file.

    Raises:
        TokenizerError: it unpacks to more than any vocabulary holds.
    """
    import zstandard  # noqa: PLC0415 - only who loads a vocabulary pays for it

    if zstandard.frame_content_size(data) > MAX_FILE_BYTES:
        message = f"a vocabulary may not unpack to more than {MAX_FILE_BYTES} bytes"
        raise TokenizerError(message)
    return zstandard.ZstdDecompressor().decompress(data)
