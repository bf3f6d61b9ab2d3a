"""The scenarios of docs/reconcile.md are true: each command, on a month made for it, prints what the page shows."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.command import callcost
from tests.jobs.bill_faults import add_unknown_lines, make_world, write_world
from tests.jobs.bill_mixes import make_mix, write_mix
from tests.shape.pages import blocks

SHOWN = [text for text in blocks("text", page="reconcile.md") if text.startswith("$ ")]
FAULTS = [  # one scenario each, in the order of the page
    ("key_missing", "discount"), ("cheaper_model", "discount"), ("batch_key",), ("copies", "local_time"), None,
]  # fmt: skip


def make_month(folder: Path, faults: tuple[str, ...] | None) -> None:
    """Write ``log.jsonl``, ``keys.csv`` and the folder ``bill`` of a scenario."""
    if faults is None:
        world = make_world()
        add_unknown_lines(world)
        world.bill.extras.append(("openai", "2025-11-06", "promotional credit", -world.bill.total / 100))
        world.logged.remove(world.chosen("gpt-4.1-2025-04-14", 7)[0])
        log, _ = write_world(folder, world)
        log.rename(folder / "log.jsonl")
        return
    write_mix(folder, make_mix(frozenset(faults), seed=23, a_day=3))
    (folder / "bill").mkdir()
    for path in folder.glob("*.json"):
        path.rename(folder / "bill" / path.name)


def test_every_scenario_has_a_month() -> None:
    assert len(SHOWN) == len(FAULTS)


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_a_scenario_prints_what_the_page_shows(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_month(tmp_path, FAULTS[number])
    monkeypatch.chdir(tmp_path)
    command, *shown = SHOWN[number].replace("\\\n  ", "").splitlines()
    finished = callcost(*shlex.split(command)[2:])
    assert finished.stderr.splitlines() == shown
    assert finished.code == (3 if "--tolerance" in command else 0)
