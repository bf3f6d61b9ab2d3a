"""The page of recipes is true: its commands print what it shows, and DuckDB finds the same over the logs themselves."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost import ReportOptions, token_counter, what_if
from tests.bench.answers import ANSWERS, open_month
from tests.bench.month import FIRST, ODD_DAY, month_rows
from tests.bench.questions import figure
from tests.command import report
from tests.shape.recipes import CALLS, Recipe, make_sources, recipes, run_recipe

CLAUDES_ANSWER = 3  # tokens around the text of an answer

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


def test_budgets_the_month_and_the_odd_day_are_as_duckdb_sums(
    sources: dict[str, Path], duck: Any, tmp_path: Path
) -> None:
    """Questions 10, 11, 18 and 20: of what a run says beside its table, and of its other formats."""
    words = ("--by", "team,model", "--budget", sources["budgets.toml"], "--format", "csv,markdown")
    made = report([sources["reports"]], tmp_path / "made", *words)
    newest = "timestamp >= '2025-10-01'"
    ((so_far,),) = duck.execute(f"SELECT SUM(cost) FROM calls WHERE {newest}").fetchall()
    assert Decimal(made.manifest["forecast"]["to_date"]) == so_far
    teams = duck.execute(f"SELECT team, SUM(cost) FROM calls WHERE {newest} GROUP BY team").fetchall()
    spent = {each["name"].rpartition("=")[2]: Decimal(each["spent"]) for each in made.manifest["budgets"]}
    assert spent == {team: cost for team, cost in teams if team in spent}
    odd, costs = str((FIRST + timedelta(ODD_DAY)).date()), dict[str, str]()
    for day in made.manifest["unusual"]:
        costs[day["day"]] = day["cost"]
        driver = day["driver"]
        own = f"SUM(cost) FILTER (\"{driver['column']}\" = '{driver['value']}')"
        sums = f"SELECT SUM(cost), {own} FROM calls WHERE CAST(timestamp AS DATE) = '{day['day']}'"
        found = duck.execute(sums).fetchone()
        assert found == (Decimal(day["cost"]), Decimal(driver["cost"]))
    assert max(costs, key=lambda day: Decimal(costs[day])) == odd
    rows = [line.strip("| ").split(" | ") for line in (made.out / "spend.md").read_text("utf-8").splitlines()]
    cost = rows[0].index("total_cost")
    groups = duck.execute("SELECT team, model, SUM(cost) FROM calls GROUP BY ALL").fetchall()
    assert {(row[0], row[1], Decimal(row[cost])) for row in rows[2:]} == set(groups)


def test_another_model_counts_what_token_counter_counts(sources: dict[str, Path]) -> None:
    """Question 5: the texts of the renamed logs."""
    found = what_if(ReportOptions(logs=sources["month"], where="model=gpt-4o"), models="gpt-4o=claude-haiku-4-5")
    rows = {row.get("id", n): row for n, row in enumerate(month_rows(CALLS)) if row["model"] == "gpt-4o"}.values()
    prompts = sum(token_counter(model="claude-haiku-4-5", messages=row["messages"]) for row in rows)
    answers = sum(token_counter(model="claude-haiku-4-5", text=row["response"]) + CLAUDES_ANSWER for row in rows)
    assert found.groups["new_tokens"].sum() == prompts + answers
    assert found.groups["changed_calls"].sum() == len(rows)
