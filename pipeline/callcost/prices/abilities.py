"""What models take beside text, as LiteLLM's map says it: flags that price nothing, and so are in no dated version.

``data/prices/abilities.jsonl.zst`` has a line per set of abilities: ``takes``, and the ``models`` that the map says any
of it of. tests/prices/abilities.py writes it from a map.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import msgspec
import zstandard

from callcost.data_folders import data_dir

FILE = "abilities.jsonl.zst"
# What a request holds -> the field of a cost map that says whether a model takes it.
SUPPORTS = {
    "tools": "supports_function_calling",
    "image": "supports_vision",
    "audio": "supports_audio_input",
    "document": "supports_pdf_input",
}


def abilities_of(entry: Mapping[str, Any], model: str | None) -> frozenset[str] | None:
    """Return what a model takes; None: nobody says.

    Args:
        entry: the model's fields: those of a map of the user's own may say it.
        model: its name in the cost maps.
    """
    if any(field in entry for field in SUPPORTS.values()):
        return frozenset(ability for ability, field in SUPPORTS.items() if entry.get(field))
    return _bundled().get(model or "")


@functools.cache
def _bundled() -> dict[str, frozenset[str]]:
    data = zstandard.ZstdDecompressor().decompress((data_dir() / "prices" / FILE).read_bytes())
    rows = map(msgspec.json.decode, data.splitlines())
    return {model: frozenset(row["takes"]) for row in rows for model in row["models"]}
