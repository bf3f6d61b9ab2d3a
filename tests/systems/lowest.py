"""The lowest versions that pyproject.toml allows, as pip wants them: python tests/systems/lowest.py EXTRA ... > FILE.

`pip install -e . -r FILE` then has these, and whatever goes with them.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
_BOUND = re.compile(r"([A-Za-z0-9._-]+(?:\[[a-z0-9,]+\])?)(?:>=|==)([0-9.]+)[^;]*(;.*)?")


def lowest(*extras: str) -> list[str]:
    """Return the lowest version of each dependency, and of each of some extras."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(line for name in extras for line in project["optional-dependencies"][name])]
    bounds = [_BOUND.fullmatch(line) for line in asked]
    return sorted({f"{bound[1]}=={bound[2]}{bound[3] or ''}" for bound in bounds if bound is not None})


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest(*sys.argv[1:])) + "\n")
