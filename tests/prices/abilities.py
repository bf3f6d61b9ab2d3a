"""``python -m tests.prices.abilities MAP``: write data/prices/abilities.jsonl.zst from a map or a wheel of LiteLLM."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import zstandard

from callcost.data_folders import data_dir
from callcost.prices.abilities import FILE, SUPPORTS, abilities_of
from callcost.prices.upstream.map_files import read_map_file


def pack(text: bytes) -> bytes:
    """Return the content of the file for a map, as JSON; a model of which it says nothing of the kind is left out."""
    sets: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for model, entry in json.loads(text).items():
        if model != "sample_spec" and any(field in entry for field in SUPPORTS.values()):
            sets[tuple(sorted(abilities_of(entry, None) or ()))].append(model)
    lines = [json.dumps({"takes": takes, "models": sorted(models)}) + "\n" for takes, models in sorted(sets.items())]
    return zstandard.ZstdCompressor(level=19).compress("".join(lines).encode())


if __name__ == "__main__":
    with Path(sys.argv[1]).open("rb") as file:
        (data_dir() / "prices" / FILE).write_bytes(pack(read_map_file(file, sys.argv[1]).text))
