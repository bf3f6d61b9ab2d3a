"""How data/vocabularies/gemma3_ranks was made: ``python -m tests.tokens.engines.gemma_ranks TOKENIZER_JSON OUT``.

Gemma's tokenizer.json merges characters, tiktoken bytes. The two give the same counts where the bytes of a character
are merged first and every other token in the order in which the tokenizer makes it. It takes a third of the
time and of the memory so. The ids are not the published ones, so it stands in and never is the family's own.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from callcost.tokens.engines.vocabularies import pack, pack_ranks

_BYTE = re.compile("<0x([0-9A-F]{2})>")
_RESERVED = re.compile(r"<(unused\d+|mask)>|\[multimodal\]")
_RUN = 31  # blanks, or line ends, of the longest token of them


def ranks_of(document: dict[str, Any]) -> dict[bytes, int]:
    """Return the bytes of each token in the order in which they are merged."""
    vocabulary = document["model"]["vocab"]
    pairs = (pair if isinstance(pair, list) else pair.split(" ") for pair in document["model"]["merges"])
    merged = dict.fromkeys(map("".join, pairs))
    added = (token["content"] for token in document["added_tokens"] if not token["special"])
    characters = (_bytes_of(token) for token in vocabulary if len(token) == 1)
    parts = (data[:size] for data in characters for size in range(2, len(data) + 1))
    tokens = (_bytes_of(token) for token in (*merged, *added) if not _RESERVED.fullmatch(token))
    return {data: rank for rank, data in enumerate(dict.fromkeys((*map(_byte, range(256)), *parts, *tokens)))}


def pattern_of(document: dict[str, Any]) -> str:
    """Return the expression that cuts a text where no token goes on: runs of blanks and lines, HTML's tags, words."""
    added = [token["content"] for token in document["added_tokens"] if not token["special"]]
    tags = (re.fullmatch(r"</?((?!unused|mask)[a-z][a-z0-9]*)>", token) for token in added)
    names = "|".join(sorted({found[1] for found in tags if found}))
    word = rf" ?(?:[^ \n\t<]++|<(?!<|/?(?:{names})>)){{1,999}}+"  # bounded: the engine's stack is
    return rf" {{2,{_RUN}}}|\n{{1,{_RUN}}}|\t+|</?(?:{names})>|{word}| ?<<++| |<"


def _byte(value: int) -> bytes:
    return bytes([value])


def _bytes_of(token: str) -> bytes:
    byte = _BYTE.fullmatch(token)
    return _byte(int(byte[1], 16)) if byte else token.replace("\u2581", " ").encode()


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    read = json.loads(source.read_bytes())
    target.write_bytes(pack(pack_ranks(ranks_of(read))))
    sys.stdout.write(pattern_of(read) + "\n")
