"""Loaded into pytest where a mutant's tests run: notes which test runs what, and later runs only some of the tests.

What it should do is in the environment: ``SECONDS`` names a file for the seconds of each test, while coverage.py, which
`tests.mutants.reached` has begun before pytest, hears which test is running; ``CHOICE`` names a file of the tests to
run. With neither it does nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

SECONDS = "MUTANTS_SECONDS"
CHOICE = "MUTANTS_CHOICE"
RUNNING = "MUTANTS_RUNNING"  # the test that is running, for coverage.py in the commands that it starts
ALL = ""  # in its place: what each test of the file may rest on, as an import or a fixture of all of them

_seconds: dict[str, float] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Attribute what runs to one test, and note how long that takes."""
    _attribute_to(item.nodeid)
    begun = time.perf_counter()
    try:
        return (yield)
    finally:
        _seconds[item.nodeid] = _seconds.get(item.nodeid, 0.0) + time.perf_counter() - begun
        _attribute_to(ALL)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Attribute what is made for more than one test to all of them."""
    test = os.environ.get(RUNNING, ALL)
    begun = time.perf_counter()
    if fixturedef.scope != "function":
        _attribute_to(ALL)
    try:
        return (yield)
    finally:
        if fixturedef.scope != "function":
            _attribute_to(test)
            _seconds[test] = _seconds.get(test, 0.0) - time.perf_counter() + begun


def pytest_sessionfinish() -> None:
    """Write the seconds of each test."""
    if path := os.environ.get(SECONDS):
        Path(path).write_text(json.dumps(_seconds), encoding="utf-8")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the chosen tests in the order of the choice, and before them those that a mutant has made."""
    if path := os.environ.get(CHOICE):
        places: dict[str, int | None] = json.loads(Path(path).read_text(encoding="utf-8"))  # null: not chosen
        place_of = {item: places.get(item.nodeid, -1) for item in items}
        chosen = [(place, item) for item, place in place_of.items() if place is not None]
        config.hook.pytest_deselected(items=[item for item, place in place_of.items() if place is None])
        items[:] = [item for _, item in sorted(chosen, key=lambda each: each[0])]


def _attribute_to(test: str) -> None:
    if SECONDS in os.environ:
        os.environ[RUNNING] = test
        if running := coverage.Coverage.current():
            running.switch_context(test)
