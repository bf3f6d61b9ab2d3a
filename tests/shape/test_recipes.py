"""The page of recipes is true: its commands print what it shows, and DuckDB finds the same over the logs themselves."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.answers import ANSWERS, open_month
from tests.bench.questions import figure
from tests.shape.recipes import Recipe, make_sources, recipes, run_recipe

RECIPES = {recipe.number: recipe for recipe in recipes()}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_sources(tmp_path_factory.mktemp("recipes"))


@pytest.fixture(scope="module")
def duck(sources: dict[str, Path]) -> Iterator[Any]:
    pytest.importorskip("duckdb", reason="DuckDB is not installed")
    with open_month(sources["month"] / "calls.jsonl") as month:
        yield month


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: str(recipe.number))
def test_a_recipe_prints_what_the_page_shows(recipe: Recipe, sources: dict[str, Path]) -> None:
    finished = run_recipe(recipe, sources)
    assert finished.code == 0, finished.stderr
    lines = [line.rstrip() for line in finished.stdout.splitlines()]
    if recipe.shown[:1] == ["..."]:
        assert set(recipe.shown[1:]) <= set(finished.stderr.splitlines())
    elif recipe.shown[-1:] == ["..."]:
        assert lines[: len(recipe.shown) - 1] == recipe.shown[:-1]
        assert len(lines) > len(recipe.shown)
    else:
        assert lines == recipe.shown
    if recipe.number == 20:
        assert {"spend.xlsx", "spend.md", "report.html"} <= {path.name for path in sources["deck"].iterdir()}


@pytest.mark.parametrize("number", ANSWERS)
def test_a_recipe_finds_what_duckdb_finds(number: int, sources: dict[str, Path], duck: Any) -> None:
    answer = ANSWERS[number]
    finished = run_recipe(RECIPES[number], sources, *answer.flags)
    rows = list(csv.DictReader(io.StringIO(finished.stdout)))
    found = sorted(tuple(figure(row[column]) for column in answer.columns) for row in rows)
    wanted = sorted(tuple(figure(value) for value in row) for row in duck.execute(answer.sql).fetchall())
    assert found == wanted
    assert found
