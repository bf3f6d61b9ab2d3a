"""The page of recipes: its commands, what each prints, and the page made anew.

``python -m tests.shape.recipes`` writes docs/recipes.md with what the commands print now.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.bench.month import write_month
from tests.command import ROOT, Finished, callcost

PAGE = ROOT / "docs/recipes.md"
CALLS = 3_000
KEY = "a key of the tests"
_BLOCK = re.compile(r"^## (\d+)\. [^\n]*\n\n```text\n\$ ((?:[^\n]*\\\n)*[^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MORE = "..."
BUDGETS = "".join(f'[[budget]]\namount = 10\ngroup = {{ team = "{team}" }}\n' for team in ("search", "support"))


class Recipe(NamedTuple):
    """One command of the page.

    Attributes:
        number: of the question.
        command: as it is printed, with its line ends.
        shown: lines that it prints; the last is "..." where there are more, the first where they are of its summary.
    """

    number: int
    command: str
    shown: list[str]


def recipes() -> list[Recipe]:
    """Return the commands of the page, in order."""
    text = PAGE.read_text(encoding="utf-8")
    return [Recipe(int(number), command, shown.splitlines()) for number, command, shown in _BLOCK.findall(text)]


def make_sources(folder: Path) -> dict[str, Path]:
    """Make what the commands ask: the name of a source on the page -> where it is."""
    logs = write_month(folder / "month/calls.jsonl", CALLS).parent
    os.environ["CALLCOST_FINGERPRINT_KEY"] = KEY
    try:
        made = callcost("report", logs, "--out", folder / "reports", "--calls", "--quiet")
    finally:
        del os.environ["CALLCOST_FINGERPRINT_KEY"]
    assert made.code == 0, made.stderr
    lines = (logs / "calls.jsonl").read_bytes().splitlines(keepends=True)
    for host, part in {"laptop": lines[: CALLS // 2], "server": lines[CALLS // 2 - 100 :]}.items():  # 100 are on both
        (folder / f"{host}.jsonl").write_bytes(b"".join(part))
        words = ("--host", host, "--out", folder / host, "--calls", "--quiet")
        assert callcost("report", folder / f"{host}.jsonl", *words).code == 0
    (folder / "budgets.toml").write_text(BUDGETS, encoding="utf-8")
    return {"month": logs, **{name: folder / name for name in ("reports", "laptop", "server", "deck", "budgets.toml")}}


def run_recipe(recipe: Recipe, sources: dict[str, Path], *flags: str) -> Finished:
    """Run a command of the page."""
    words = shlex.split(recipe.command.replace("\\\n", " "))[1:]
    return callcost(*(sources.get(word, word) for word in words), *flags)


def _rewritten(page: str, run: Callable[[Recipe], Finished]) -> str:
    for recipe in recipes():
        if recipe.shown[:1] == [_MORE]:
            continue
        finished = run(recipe)
        assert finished.code == 0, (recipe, finished.stderr)
        most = len(recipe.shown) - 1 if recipe.shown[-1:] == [_MORE] else 12
        lines = [line.rstrip() for line in finished.stdout.splitlines()]
        shown = lines if len(lines) <= most + 1 else [*lines[:most], _MORE]
        before, after = ("\n".join([f"$ {recipe.command}", *each, "```"]) for each in (recipe.shown, shown))
        page = page.replace(before, after)
    return page


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sources = make_sources(Path(temporary))
        PAGE.write_text(_rewritten(PAGE.read_text(encoding="utf-8"), lambda one: run_recipe(one, sources)), "utf-8")
