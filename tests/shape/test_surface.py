"""What others lean on changes only where somebody meant it, and said so."""

from __future__ import annotations

import json

from tests.shape.surface import RECORDED, changes_of_newest, lost, surface

HINT = "see tests/shape/surface.py: a line in CHANGELOG.md, then python -m tests.shape.surface"


def test_what_was_recorded_is_as_it_was() -> None:
    assert lost(json.loads(RECORDED.read_bytes())["surface"], surface()) == [], HINT


def test_a_version_that_is_released_is_recorded_whole() -> None:
    title, _ = changes_of_newest()
    assert "(unreleased)" in title or json.loads(RECORDED.read_bytes())["surface"] == surface(), HINT


def test_what_is_gone_or_another_one_is_named() -> None:
    now = {"options": {"a": "text", "b": "text", "new": "flag"}}
    assert lost({"options": {"a": "text", "b": "integer"}, "columns": {"c": "Int64"}}, now) == [
        "options: b was 'integer', is 'text'",
        "columns: c was 'Int64', is None",
    ]
