"""The public door: what it names is there, described, and opens without work."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import callcost
from callcost import errors
from tests.command import ROOT

ERRORS = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.CallcostError)
]


@pytest.mark.parametrize("name", callcost.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(callcost, name)
    if callable(value):
        assert inspect.getdoc(value), f"{name} is not described"


def test_the_door_names_no_more_than_it_has() -> None:
    assert sorted(set(callcost.__all__)) == list(callcost.__all__) == dir(callcost)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        callcost.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_the_package_has_one_name_only() -> None:
    """From a checkout, the folder pipeline/ must not give a second copy of every module."""
    done = subprocess.run(
        [sys.executable, "-c", "import pipeline.callcost"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "ImportError: the package is imported as callcost, not as pipeline.callcost" in done.stderr
    old_name = re.compile(r"\b(import|from) pipeline\b|-m pipeline\b")
    for path in [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), ROOT / "README.md"]:
        if path != Path(__file__):
            assert not old_name.search(path.read_text(encoding="utf-8")), path


def test_every_error_is_in_the_tree_that_is_drawn() -> None:
    assert len(ERRORS) >= 8
    for error in ERRORS:
        assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
@pytest.mark.parametrize("hint", ["", "Do this"])
def test_an_error_survives_the_way_out_of_a_worker(error: type[errors.CallcostError], hint: str) -> None:
    """An exception that cannot be unpickled kills the whole pool of processes."""
    back = pickle.loads(pickle.dumps(error("the thing", hint=hint)))
    assert type(back) is error
    assert (back.message, back.hint, str(back)) == ("the thing", hint, str(error("the thing", hint=hint)))


def test_errors_have_a_slug_and_an_exit_code_each() -> None:
    assert len({error.slug for error in ERRORS}) == len(ERRORS)
    assert {error.exit_code for error in ERRORS} <= {1, 2, 4}


def test_type_checkers_see_the_names_that_load_on_first_use() -> None:
    source = ast.parse((ROOT / "pipeline" / "callcost" / "__init__.py").read_text(encoding="utf-8"))
    checked = [node for node in source.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for block in checked for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: (node.module or "").removeprefix("callcost.") for node in imports for alias in node.names}
    assert seen == callcost._HOME
    assert set(seen) <= set(callcost.__all__)


USER_PROGRAM = """
from datetime import date
from pathlib import Path
import callcost
from callcost import *
{lines}
options = callcost.ReportOptions(logs=Path("a"), by="model", since=date(2026, 11, 1), until="today", where="user=a*")
callcost.ReconcileOptions(logs=["a", Path("b")], bills="c", out=Path("d"))
reveal_type(options.logs)
reveal_type(options.since)
reveal_type(callcost.report_spend(options))
callcost.ReportOptions(logs=3)
callcost.nonsense
"""


def test_every_public_name_has_a_type_of_its_own(tmp_path: Path) -> None:
    names = [name for name in callcost.__all__ if not name.startswith("__")]
    lines = [f"reveal_type({name})\nreveal_type(callcost.{name})" for name in names]
    program = tmp_path / "program.py"
    program.write_text(USER_PROGRAM.format(lines="\n".join(lines)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", program],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    found = [line.partition('Revealed type is "')[2] for line in done.stdout.splitlines() if "Revealed" in line]
    assert len(found) == 2 * len(names) + 3, done.stdout + done.stderr
    for name, kinds in zip(names, zip(found[::2], found[1::2], strict=False), strict=False):
        assert not any(kind.startswith(("Any", "Unknown")) for kind in kinds), (name, kinds)
    assert found[-3:] == ['tuple[str, ...]"', 'datetime.datetime | None"', 'callcost.jobs.report.SpendReport"']
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 2, done.stdout
    assert 'Argument "logs"' in errors[0]
    assert 'Module has no attribute "nonsense"' in errors[1]
