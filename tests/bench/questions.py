"""``python -m tests.bench.questions``: the recipes on a large month, right by DuckDB, and what each takes.

Needs DuckDB. Prints, per command, seconds of the processors, and whether its figures are DuckDB's; gates nothing.
"""

from __future__ import annotations

import csv
import io
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from tests.bench.answers import ANSWERS, open_month
from tests.bench.measure import Taken, take
from tests.bench.month import write_month
from tests.shape.recipes import BUDGETS, KEY, recipes

_MOST_CPU = 2.0  # seconds of an answer over a report


@click.command()
@click.option("--calls", type=click.IntRange(1), default=300_000, show_default=True, help="Calls of the month.")
def main(calls: int) -> None:
    """Ask every question of the page of recipes over a month of so many calls."""
    with tempfile.TemporaryDirectory() as folder:
        logs = write_month(Path(folder, "month/calls.jsonl"), calls)
        places = {name: str(Path(folder, name)) for name in ("month", "reports", "deck", "budgets.toml")}
        Path(places["budgets.toml"]).write_text(BUDGETS.replace("10", "1000000"), encoding="utf-8")
        env = {**os.environ, "CALLCOST_FINGERPRINT_KEY": KEY}
        first = _run(["report", places["month"], "--out", places["reports"], "--calls", "--quiet"], env)
        click.echo(f"{calls:,} calls, the first read: {first.cpu:.2f} s of CPU")
        with open_month(logs) as month:
            for recipe in recipes()[:20]:  # the analyst's questions; what comes after them asks other sources
                words = [places.get(word, word) for word in shlex.split(recipe.command.replace("\\\n", " "))[1:]]
                taken = _run(words, os.environ)
                most = 2 * first.cpu if places["month"] in words else _MOST_CPU
                late = "" if taken.cpu <= most else f"  MISSED: at most {most:.2f}"
                verdict = _verdict(recipe.number, words, month)
                click.echo(f"{recipe.number:>3} {taken.cpu:6.2f} s of CPU{late}  {verdict}")


def _run(words: list[str], env: Mapping[str, str]) -> Taken:
    return take([sys.executable, "-m", "callcost", *words], env)


def _verdict(number: int, words: list[str], month: Any) -> str:
    """Return whether a command's figures are those of DuckDB; "": it was not asked."""
    answer = ANSWERS.get(number)
    if answer is None:
        return ""
    rows = csv.DictReader(io.StringIO(_run([*words, *answer.flags], os.environ).output))
    found = sorted(tuple(figure(row[column]) for column in answer.columns) for row in rows)
    wanted = sorted(tuple(map(figure, row)) for row in month.execute(answer.sql).fetchall())
    return "as DuckDB" if found == wanted else "NOT as DuckDB"


def figure(value: Any) -> str:
    """Return a cell as text that two programs agree on: numbers to 12 digits after the point."""
    try:
        return f"{Decimal(str(value or 0)):.12f}"
    except ArithmeticError:
        return str(value)


if __name__ == "__main__":
    main()
