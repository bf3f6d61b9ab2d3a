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
    (743, "c473b75d418a3dd6ce6018ea5e62752dd064b41aca38f85e1380d6e698f0a4d3"),
    (744, "44a74d0ea47d104a96698381580142f117c6fa404fa67ae6031434fce2726383"),
    (748, "03dee5514f954094cc96ea40ed4957a313f1d36ce336e1e4e1089015fcfa89f3"),
]
PINNED_OTHERS = [
    (299, "d61c35d5d88e99c7c8a6f3b95a0ffd2c41c1350647f5d2886ab1d526fdbf4092"),
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
