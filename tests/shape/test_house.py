"""The house stays as it was drawn: small modules, small functions, rooms that lean only downwards."""

from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import ROOT

MODULES = sorted((ROOT / "pipeline" / "callcost").rglob("*.py"))
VAGUE = {"utils", "util", "helper", "common", "misc", "manager", "handler", "base", "core"}
NAMES = [path.relative_to(ROOT).as_posix() for path in MODULES]


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_is_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_function_is_at_most_50_lines(path: Path) -> None:
    for function in _functions(path):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        assert lines <= 50, f"{path.name}:{function.lineno} {function.name} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_what_is_public_is_described(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path.name} does not say what it knows"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            text = ast.get_docstring(node) or ""
            assert text, f"{path.name}:{node.lineno} {node.name}"
            assert text.splitlines()[0].endswith((".", ":")), f"{path.name}:{node.lineno} {node.name}"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_is_named_for_what_it_knows(path: Path) -> None:
    assert path.stem not in VAGUE


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_nothing_is_left_to_do(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for word in ("TODO", "FIXME", "XXX", "NotImplementedError"):
        assert word not in text


def test_functions_are_small() -> None:
    lengths = sorted(
        (function.end_lineno or 0) - function.lineno + 1 for path in MODULES for function in _functions(path)
    )
    assert lengths[len(lengths) // 2] <= 12


def test_rooms_lean_only_downwards() -> None:
    linter = Path(sysconfig.get_path("scripts")) / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_names_a_place_outside_the_project() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yml", ".jsonl", ".json", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            for place in ("/" + "root/", "/" + "work/"):
                assert place not in text, f"{name} names {place}"


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def test_python_is_one_that_is_supported() -> None:
    assert sys.version_info >= (3, 11)
