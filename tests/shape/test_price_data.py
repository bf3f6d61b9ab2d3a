"""The shipped price history: its digests, its size, and how fast one date is there."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost.data_folders import data_dir
from callcost.prices.abilities import FILE as ABILITIES
from callcost.prices.book.archive import INDEX
from callcost.prices.book.catalog import build_catalog
from callcost.prices.upstream.other_tables import FILE as OTHER_TABLES
from tests.command import ROOT
from tests.shape.price_pins import FILES, digest_of, lines_of, read_pins

FOLDER = data_dir() / "prices"


@pytest.mark.parametrize("file", FILES)
def test_what_has_shipped_never_changes(file: str) -> None:
    pinned, lines = read_pins()[file], lines_of(file)
    for count, digest in pinned:
        assert digest_of(lines[:count]) == digest
    assert len(lines) == pinned[-1][0], "pin the lines that were added: python -m tests.shape.price_pins"


def test_the_readme_says_how_to_extend_each_file(tmp_path: Path) -> None:
    """What it prints is run as it stands, in a copy, but for what needs a network or is about the checkout."""
    shutil.copytree(FOLDER, tmp_path / "data/prices")
    catalog = build_catalog([("bundled", FOLDER)])
    entries = {**catalog.map_of(catalog.newest), "acme-2": {"input_cost_per_token": 1e-6}}
    with zipfile.ZipFile(tmp_path / "litellm-1.111.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("litellm/model_prices_and_context_window_backup.json", json.dumps(entries, default=_plain))
        wheel.writestr("litellm-1.111.0.dist-info/METADATA", "")
    block = (FOLDER / "README.md").read_text("utf-8").split("```sh\n")[1].split("```")[0]
    left_out = re.compile(r"(pip|callcost prices (pull|verify)|python) .*\n")
    script = left_out.sub("", block).replace("callcost ", f"{sys.executable} -m callcost ")

    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True, capture_output=True)

    grown = {file: (tmp_path / "data/prices" / file).read_bytes() for file in FILES}
    for file, content in grown.items():
        assert content.startswith((FOLDER / file).read_bytes())
        assert len(content.splitlines()) == len(lines_of(file)) + 1
        assert file == INDEX or len({len(row) for row in csv.reader(content.decode().splitlines())}) == 1
    newest = build_catalog([("bundled", tmp_path / "data/prices")]).newest
    assert (newest.name, newest.source) == ("litellm-1.111.0", "litellm 1.111.0")


def _plain(value: Any) -> Any:
    """Write what json cannot: amounts, and tables that do not change."""
    return float(value) if isinstance(value, Decimal) else dict(value)


def test_every_map_is_what_its_digest_says() -> None:
    catalog = build_catalog([("bundled", FOLDER)])
    damaged = [version.name for version in catalog.versions if catalog.digest_of(version) != version.sha256]
    assert not damaged
    assert len({version.name for version in catalog.versions}) == len(catalog.versions) == read_pins()[INDEX][-1][0]


def test_the_folder_holds_the_indexed_versions_and_nothing_else() -> None:
    versions = {f"{version.name}.jsonl.zst" for version in build_catalog([("bundled", FOLDER)]).versions}
    others = {OTHER_TABLES, ABILITIES, "README.md", "LICENSE"}
    assert {path.name for path in FOLDER.iterdir()} == versions | {*FILES} | others


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
