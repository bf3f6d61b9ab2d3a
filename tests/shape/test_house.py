"""The house stays as it was drawn: small modules, small functions, rooms that lean only downwards."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import Context

from callcost.cli.root import callcost
from tests.command import ROOT
from tests.command import callcost as run_command

PACKAGE = ROOT / "pipeline" / "callcost"
MODULES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})
MAY_GROW = {"dialects", "bills"}  # one small module per way that others write
KINDS = (  # folders whose modules may share a name, since it means the same in each
    r"logs/(dialects|bills)",
    r"cli/commands|cli/commands/analysis|jobs|jobs/(analysis|state)",  # a verb
    r"stages/\w+",  # a step
    r"logs/responses|tokens/requests",  # the two sides of a call
)
OLD_NAMES = {"told", "talks", "deal", "said", "rivals", "leaves", "lend", "but_not"}
TOP_LEVEL = {
    *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("pipeline", "tests", "data", "sample_logs", "docs", ".ci", ".github", ".gitignore"),
}
VAGUE = {"utils", "util", "helper", "common", "misc", "manager", "handler", "base", "core"}


def _name_of(folder: Path) -> str:
    return folder.relative_to(PACKAGE.parent).as_posix()


@functools.cache
def _tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _tracked_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.split("\0") if name]


def test_a_module_is_at_most_400_lines() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: count for path, count in lines.items() if count > 400} == {}


def test_a_function_is_at_most_50_lines() -> None:
    found = [
        f"{path}:{function.lineno} {function.name}"
        for path in MODULES
        for function in _functions(path)
        if (function.end_lineno or function.lineno) - function.lineno >= 50
    ]
    assert found == []


def test_what_is_public_is_described() -> None:
    """The first line is a sentence."""
    found: list[str] = []
    for path in MODULES:
        tree = _tree_of(path)
        found += [] if ast.get_docstring(tree) else [str(path)]
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name[0] != "_":
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                found += [] if first.endswith((".", ":")) else [f"{path}:{node.lineno} {node.name}"]
    assert found == []


def test_a_module_is_named_for_what_it_knows() -> None:
    assert [path for path in MODULES if path.stem in VAGUE] == []


def test_nothing_is_left_to_do() -> None:
    words = re.compile("TODO|FIXME|XXX|NotImplementedError")
    assert [path for path in MODULES if words.search(path.read_text(encoding="utf-8"))] == []


def test_the_top_level_holds_what_the_plan_names() -> None:
    assert {name.split("/")[0] for name in _tracked_files()} == TOP_LEVEL


@pytest.mark.parametrize("folder", FOLDERS, ids=_name_of)
def test_a_folder_holds_at_most_12_modules(folder: Path) -> None:
    modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= 12 or folder.name in MAY_GROW, sorted(path.name for path in modules)


@pytest.mark.parametrize("folder", FOLDERS, ids=_name_of)
def test_a_folder_says_what_comes_in_what_goes_out_and_what_to_open(folder: Path) -> None:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert text.splitlines()[0].endswith("."), text
    assert re.search(r"^In: .+\. Out: .+\.$", text, flags=re.MULTILINE | re.DOTALL), text
    (first,) = re.findall(r"^Open (\S+) first\.", text, flags=re.MULTILINE)
    assert (folder / first).is_file()


def test_nothing_bears_a_name_that_a_stranger_must_guess() -> None:
    named = ((path, *found) for path in MODULES for found in _defined_names(path))
    assert [each for each in named if each[2].strip("_").lower() in OLD_NAMES] == []


def _defined_names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of all that a module defines: functions, classes, parameters, variables, fields."""
    for node in ast.walk(_tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def test_modules_of_one_name_lie_in_folders_of_one_kind() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        if not path.name.startswith("__"):
            places.setdefault(path.stem, []).append(path.parent.relative_to(PACKAGE).as_posix())
    mixed = {
        stem: folders
        for stem, folders in places.items()
        if len(folders) > 1 and not any(all(re.fullmatch(kind, folder) for folder in folders) for kind in KINDS)
    }
    assert mixed == {}


def test_there_are_at_most_15_commands() -> None:
    assert 0 < len(callcost.list_commands(Context(callcost))) <= 15


def test_the_help_of_a_report_shows_at_most_24_options() -> None:
    report = callcost.get_command(Context(callcost), "report")
    assert report is not None
    lines = [
        re.findall(r"^  (-\S+)", run_command("report", flag).stdout, flags=re.MULTILINE)
        for flag in ("--help", "--help-all")
    ]
    assert 0 < len(lines[0]) <= 24 < len(lines[1])
    assert {*lines[0]} < {*lines[1]}
    options = {max(option.opts, key=len) for option in report.params if option.opts[0].startswith("-")}
    assert options <= {*lines[1]}
    for path in (PACKAGE / "cli/commands").rglob("[!_]*.py"):
        assert path.stem.replace("_", "-") in callcost.list_commands(Context(callcost))


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
    for name in _tracked_files():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yml", ".jsonl", ".json", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            for place in ("/" + "root/", "/" + "work/"):
                assert place not in text, f"{name} names {place}"


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(_tree_of(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def test_python_is_one_that_is_supported() -> None:
    assert sys.version_info >= (3, 11)
