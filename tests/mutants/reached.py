"""Which tests run which lines, so that a mutant is tried by the tests that could notice it and by no other.

Each file of tests runs once in a process of its own, followed by coverage.py; so do the commands that it starts. What
is kept in a cache within that process counts for the first test that needed it alone: a mutant may be said to survive
that another test of the file would kill, never the reverse.
"""

from __future__ import annotations

import ast
import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from coverage import CoverageData

from tests.mutants.plugin import ALL

_PER_STEP = 4.0  # tests that take up to so many times as long run file by file, so that no fixture is made often


@dataclasses.dataclass(frozen=True, slots=True)
class FileRecord:
    """What the tests of one file run.

    Attributes:
        seconds: of each test by its id, without fixtures that it shares.
        lines: the tests by module and line, from 1; `ALL` among them stands for each test of the file.
        alone: seconds of the whole file in a process of its own.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]
    alone: float

    def tests_of(self, module: str, statement: range | None) -> set[str]:
        """Return the tests that run a statement; where it is none of a function, those whose file loads the module."""
        lines = self.lines.get(module, {})
        found = {test for line in lines if statement is None or line in statement for test in lines[line]}
        return set(self.seconds) if ALL in found or (found and statement is None) else found & set(self.seconds)


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """The tests to try a mutant with.

    Attributes:
        files: where they are, from the top of the project.
        places: the place of each in the order of trial, by id; None for the other tests of those files.
        seconds: that they take without a mutant, about.
    """

    files: list[str]
    places: dict[str, int | None]
    seconds: float


def choose_tests(root: Path, records: Mapping[str, FileRecord], module: str, line: int) -> Choice:
    """Choose the tests that run a line of a module, quick ones first.

    Args:
        root: the top of the project.
        records: of the files of tests that may be chosen.
        module: path from the top of the project.
        line: from 1.
    """
    statement = _statement_of(root / module, line)
    chosen = {name: tests for name, record in records.items() if (tests := record.tests_of(module, statement))}
    entered = {name: _entering(root, record, module) for name, record in records.items() if name in chosen}
    order = sorted(
        (test not in entered[name] if statement is None else False, _step(records[name].seconds[test]), name, test)
        for name, tests in chosen.items()
        for test in tests
    )
    places: dict[str, int | None] = {test: None for name in chosen for test in records[name].seconds}
    places |= {test: place for place, (*_, test) in enumerate(order)}
    shared = sum(max(0.0, records[name].alone - sum(records[name].seconds.values())) for name in chosen)
    return Choice(list(chosen), places, shared + sum(records[name].seconds[test] for *_, name, test in order))


def read_lines(root: Path, files: Iterable[Path]) -> dict[str, dict[int, list[str]]]:
    """Read what coverage.py has written, as `FileRecord.lines`.

    Args:
        root: the top of the project that was followed.
        files: one a process.
    """
    tests: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for file in files:
        data = CoverageData(str(file))
        data.read()
        for measured in data.measured_files():
            module = Path(measured).resolve().relative_to(root.resolve()).as_posix()
            for line, contexts in data.contexts_by_lineno(measured).items():
                tests[module][line].update(contexts)
    return {module: {line: sorted(tests) for line, tests in lines.items()} for module, lines in tests.items()}


def _step(seconds: float) -> int:
    return round(math.log(max(seconds, 0.01), _PER_STEP))


def _entering(root: Path, record: FileRecord, module: str) -> set[str]:
    """Return the tests of one file that run any function of a module."""
    inside = _statements(root / module)
    lines = record.lines.get(module, {})
    found = {test for line, tests in lines.items() if inside.get(line) is not None for test in tests}
    return set(record.seconds) if ALL in found else found


def _statement_of(module: Path, line: int) -> range | None:
    """Return the lines of the statement that holds a line; None where that is no statement of a function."""
    return _statements(module).get(line)


@cache
def _statements(module: Path) -> dict[int, range | None]:
    """Return the lines of the innermost statement by line; None outside of functions."""
    found: dict[int, range | None] = {}

    def enter(nodes: Iterable[ast.AST], *, in_function: bool) -> None:
        for node in nodes:
            if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
                _note(found, node, in_function=in_function)
            inner = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            enter(ast.iter_child_nodes(node), in_function=inner)

    enter(ast.parse(module.read_text(encoding="utf-8")).body, in_function=False)
    return found


def _note(found: dict[int, range | None], node: Any, *, in_function: bool) -> None:
    """Note the lines of a statement; of one with a body, its head only."""
    body = getattr(node, "body", None)
    first = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
    head = isinstance(body, list) and body
    lines = range(first, max(first, body[0].lineno - 1) + 1 if head and body else node.end_lineno + 1)
    found |= dict.fromkeys(lines, lines if in_function else None)
