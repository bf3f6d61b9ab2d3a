"""Every mutant of a module: one small change each, as cosmic-ray's operators make them.

Left out is what no test can notice: changes of annotations, which are never evaluated, ``is`` for ``==``, which
says the same of small numbers and short texts, caches of functions, whether ``zip`` would see that lengths differ, and
how a class refuses what nobody does: ``frozen``, ``slots``, ``kw_only``.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

_SAME = ("_Is", "_IsNot")  # with which an operator's name ends
_CACHES = ("cache", "lru_cache")
_REFUSALS = ("frozen", "slots", "kw_only")


class Mutant(NamedTuple):
    """One small change of one module.

    Attributes:
        module: path of the module from the top of the project, with slashes.
        line: number of the changed line, from 1.
        column: where the change begins in that line, from 0.
        operator: name of the kind of change, as cosmic-ray has it.
        occurrence: how often the operator could have changed the module before this place.
    """

    module: str
    line: int
    column: int
    operator: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.module}:{self.line}:{self.column} {self.operator.rpartition('/')[2]}"


def find_mutants(root: Path, modules: Iterable[str]) -> list[Mutant]:
    """Return all mutants of some modules, in the order of the text."""
    found = []
    for module in modules:
        tree = get_ast((root / module).read_text(encoding="utf-8"))
        nodes = list(ast_nodes(tree))
        for name, operator in _operators().items():
            places = (place for node in nodes for place in operator.mutation_positions(node))
            found += [Mutant(module, line, column, name, number) for number, ((line, column), _) in enumerate(places)]
    return sorted(found)


def sample_mutants(root: Path, mutants: list[Mutant], seed: int) -> Iterator[Mutant]:
    """Yield mutants that tests can notice in a random order, one of each place.

    One of each place, since a sum has eleven operators that could stand in it, a number two, and a condition one.

    Args:
        root: the top of the project.
        mutants: sorted.
        seed: the same gives the same order.
    """
    chance = random.Random(seed)
    places = [list(group) for _, group in groupby(mutants, key=lambda mutant: mutant[:3])]
    chance.shuffle(places)
    for place in places:
        mutant = chance.choice(place)
        if mutated_text(root, mutant) is not None:
            yield mutant


def mutated_text(root: Path, mutant: Mutant) -> str | None:
    """Return the text of a module with a mutant in it; None where it cannot be made, is no Python or means
    the same.
    """
    text = (root / mutant.module).read_text(encoding="utf-8")
    try:
        changed = mutate_code(text, _operators()[mutant.operator], mutant.occurrence)
    except AttributeError:  # cosmic-ray cannot change ``module.Class`` among the classes of an ``except``
        return None
    try:
        return changed if changed and _meaning_of(changed) != _meaning_of(text) else None
    except SyntaxError:
        return None


def _meaning_of(text: str) -> str:
    """Return the syntax tree of a module without what no test can notice."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
            node.decorator_list = [each for each in node.decorator_list if _name_of(each) not in _CACHES]
        elif isinstance(node, ast.Call) and _name_of(node) == "zip":
            node.keywords = []
        elif isinstance(node, ast.ClassDef):
            calls = [each for each in node.decorator_list if isinstance(each, ast.Call)]
            for keywords in [node.keywords, *(call.keywords for call in calls)]:
                keywords[:] = [keyword for keyword in keywords if keyword.arg not in _REFUSALS]
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def _name_of(node: ast.expr) -> str | None:
    """Return the last name of what is called, or of what stands for itself."""
    called = node.func if isinstance(node, ast.Call) else node
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else None


@cache
def _operators() -> dict[str, Any]:
    kinds = {name: cosmic_ray.plugins.get_operator(name) for name in cosmic_ray.plugins.operator_names()}
    alone = {name: kind for name, kind in kinds.items() if not kind.arguments()}
    return {
        name: kind() for name, kind in alone.items() if not name.endswith(_SAME) or "_Is" in name.rpartition("_")[0]
    }
