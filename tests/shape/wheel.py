"""Whether a wheel holds what it should and no more: python tests/shape/wheel.py FOLDER VERSION."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

MOST_BYTES = 8_000_000
NEEDED = ("callcost/__main__.py", "callcost/py.typed", "callcost/_data/prices/index.jsonl",
          "callcost/_data/prices/corrections.csv", "callcost/_data/vocabularies/index.json")  # fmt: skip
_ALLOWED = re.compile(r"callcost/(.+\.(py|toml|css|js)|py\.typed|_data/.+)|callcost-[^/]+\.dist-info/.+")


def faults_of(wheel: Path, version: str) -> list[str]:
    """Return what is wrong with a wheel."""
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        stated = re.findall(r"^Version: (.+)$", packed.read(metadata).decode(), re.MULTILINE)
    return [
        *(f"{name} is not in it" for name in NEEDED if name not in names),
        *(f"{name} does not belong in it" for name in names if not _ALLOWED.fullmatch(name) or "__pycache__" in name),
        *([f"it has {wheel.stat().st_size:,} bytes"] if wheel.stat().st_size >= MOST_BYTES else []),
        *([f"it is version {stated[0]}, not {version}"] if stated != [version] else []),
    ]


if __name__ == "__main__":
    found = [fault for wheel in Path(sys.argv[1]).glob("*.whl") for fault in faults_of(wheel, sys.argv[2])]
    sys.exit("\n".join(found) or None)
