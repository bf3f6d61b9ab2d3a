"""What has shipped of data/prices never changes: price_pins.tsv has the digests of the first lines of each file.

After lines were added, `python -m tests.shape.price_pins` pins them too; it never changes a row.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from callcost.data_folders import data_dir
from callcost.prices.book.archive import INDEX
from callcost.prices.book.corrections import FILE, OTHERS, SCHEDULED, SUSPICIONS

PINS = Path(__file__).with_name("price_pins.tsv")
FILES = (INDEX, FILE, OTHERS, SCHEDULED, SUSPICIONS)


def read_pins() -> dict[str, list[tuple[int, str]]]:
    """Return, by file, how many of its first lines are pinned, and their sha256; fewest first."""
    found: dict[str, list[tuple[int, str]]] = {file: [] for file in FILES}
    for row in PINS.read_text("utf-8").splitlines():
        file, lines, digest = row.split("\t")
        found[file].append((int(lines), digest))
    return found


def lines_of(file: str) -> list[bytes]:
    """Return the lines of a file, a header included."""
    return (data_dir() / "prices" / file).read_bytes().splitlines(keepends=True)


def digest_of(lines: list[bytes]) -> str:
    """Return the sha256 of lines, as hex."""
    return hashlib.sha256(b"".join(lines)).hexdigest()


def pin() -> None:
    """Append a row for each file that has grown."""
    for file, pinned in read_pins().items():
        lines = lines_of(file)
        if not pinned or len(lines) > pinned[-1][0]:
            with PINS.open("a", encoding="utf-8") as out:
                out.write(f"{file}\t{len(lines)}\t{digest_of(lines)}\n")


if __name__ == "__main__":
    pin()
