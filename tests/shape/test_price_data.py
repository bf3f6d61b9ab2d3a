"""The shipped price history: its digests, its size, and how fast one date is there."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from callcost.prices.book.archive import INDEX
from callcost.prices.book.catalog import build_catalog
from callcost.prices.book.corrections import FILE as CORRECTIONS
from callcost.prices.book.corrections import OTHERS
from callcost.settings import data_dir
from tests.command import ROOT

FOLDER = data_dir() / "prices"

# Versions are only ever appended: (how many lines of the index, their sha256). Add a row, change none. The index
# pins each map by its digest, and a test recomputes those from the files.
PINNED = [
    (103, "6fb21217a546329d44ec06d2279094f09b899c90afc085c0f29fc133febe10f0"),
]
# Corrections too: (how many lines of the file, its header included, their sha256).
PINNED_CORRECTIONS = [
    (748, "20bd6b7be2708b0ab47be213150985f2ac1d66344aae43124cea0a2cd0670f68"),
]
PINNED_OTHERS = [
    (299, "c8464ef6a574d6994af9cf9c916081e82182c91ee628beda6d73f780bfd611b7"),
]


@pytest.mark.parametrize(
    ("file", "pinned"), [(INDEX, PINNED), (CORRECTIONS, PINNED_CORRECTIONS), (OTHERS, PINNED_OTHERS)]
)
def test_what_has_shipped_never_changes(file: str, pinned: list[tuple[int, str]]) -> None:
    lines = (FOLDER / file).read_bytes().splitlines(keepends=True)
    for count, digest in pinned:
        assert hashlib.sha256(b"".join(lines[:count])).hexdigest() == digest
    assert len(lines) == pinned[-1][0], "pin the lines that were added"


def test_every_map_is_what_its_digest_says() -> None:
    catalog = build_catalog([("bundled", FOLDER)])
    damaged = [version.name for version in catalog.versions if catalog.digest_of(version) != version.sha256]
    assert not damaged
    assert len({version.name for version in catalog.versions}) == len(catalog.versions) == PINNED[-1][0]
    assert len(catalog.models) == 5720


def test_the_folder_holds_the_indexed_versions_and_nothing_else() -> None:
    versions = {f"{version.name}.jsonl.zst" for version in build_catalog([("bundled", FOLDER)]).versions}
    assert {path.name for path in FOLDER.iterdir()} == versions | {INDEX, CORRECTIONS, OTHERS, "README.md", "LICENSE"}


def test_the_whole_history_is_under_one_megabyte() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_000_000


def test_one_date_is_there_in_under_a_third_of_a_second() -> None:
    """Measured in a process of its own, imports included, as processor time: other work must not fail it."""
    script = """if True:
        import time
        from callcost.prices.book.catalog import load_catalog
        catalog = load_catalog()
        assert catalog.entry("gpt-4o", catalog.find("2024-06-01"))
        print(time.process_time())"""
    spent = [
        float(subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(spent) < 0.3
