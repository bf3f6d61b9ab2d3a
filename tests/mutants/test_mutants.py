"""The tool that counts surviving mutants works: it finds what can be changed, and sees which tests notice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.command import ROOT
from tests.mutants.__main__ import ROOMS, score_of
from tests.mutants.mutate import Mutant, find_mutants, mutated_text, sample_mutants
from tests.mutants.trials import Room, open_copies, try_mutants

MODULE = "pipeline/sums/adding.py"
TEXT = """\
from __future__ import annotations


def add(first: int | float, second: int = 3) -> int | float:
    return first + second


def count_down(number: int) -> int:
    while number > 0:
        number = number - 1
    return number


def never_tested(number: int) -> bool:
    return number < 5
"""
TESTS = """\
from sums.adding import add, count_down


def test_sums() -> None:
    assert add(1, 1) == 2
    assert add(2) == 5


def test_end() -> None:
    assert count_down(2) == 0
"""
SUMS = Room(("pipeline/sums",), ("tests",))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one module with a test, and nothing else."""
    for name, text in (
        (MODULE, TEXT),
        ("pipeline/sums/__init__.py", ""),
        ("tests/test_adding.py", TESTS),
        ("pyproject.toml", '[tool.pytest.ini_options]\npythonpath = ["pipeline"]\n'),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def _mutants_with(project: Path, change: str) -> Mutant:
    """Return the one mutant in whose text a line stands that the module does not have."""
    texts = {mutant: mutated_text(project, mutant) for mutant in find_mutants(project, SUMS.modules(project))}
    (found,) = [mutant for mutant, text in texts.items() if text and change in text]
    return found


def test_mutants_are_killed_time_out_or_survive_as_the_tests_have_it(project: Path) -> None:
    expected = {
        _mutants_with(project, "return first - second"): "failed",
        _mutants_with(project, "second: int = 4"): "failed",
        _mutants_with(project, "number = number + 1"): "timeout",
        _mutants_with(project, "return number <= 5"): "survived",
    }
    with open_copies(project, 2) as copies:
        limit = copies.measure(SUMS) * 6 + 5
        trials = list(try_mutants(copies, SUMS, expected, workers=2, limit=limit, until=time.monotonic() + 300))

    assert {trial.mutant: trial.outcome for trial in trials} == expected
    assert score_of(trials) == 75
    assert (project / MODULE).read_text(encoding="utf-8") == TEXT


def test_a_room_whose_tests_fail_without_a_mutant_is_refused(project: Path) -> None:
    (project / "tests/test_adding.py").write_text(TESTS.replace("== 2", "== 3"), encoding="utf-8")
    reason = r"failed without any mutant: (?s:.*)assert 2 == 3"
    with open_copies(project, 1) as copies, pytest.raises(RuntimeError, match=reason):
        copies.measure(SUMS)


def test_after_the_time_is_up_no_further_mutant_begins(project: Path) -> None:
    mutants = list(sample_mutants(project, find_mutants(project, SUMS.modules(project)), 0))
    with open_copies(project, 1) as copies:
        assert len(list(try_mutants(copies, SUMS, mutants, workers=1, limit=8, until=0))) == 1


def test_a_sample_has_one_mutant_of_each_place_and_depends_on_its_seed(project: Path) -> None:
    mutants = find_mutants(project, SUMS.modules(project))
    samples = [list(sample_mutants(project, mutants, seed)) for seed in (1, 1, 2)]

    assert samples[0] == samples[1] != samples[2]
    assert len({mutant[:3] for mutant in samples[0]}) == len(samples[0])
    assert {mutant.line for mutant in samples[0]} == {4, 5, 9, 10, 15}


def test_no_mutant_of_a_sample_is_one_of_annotations(project: Path) -> None:
    mutants = find_mutants(project, SUMS.modules(project))
    assert [mutant for mutant in mutants if "BitOr" in mutant.operator]
    assert not [mutant for mutant in sample_mutants(project, mutants, 3) if "BitOr" in mutant.operator]


def test_no_mutant_of_a_sample_is_one_that_no_test_can_notice(project: Path) -> None:
    text = "from functools import cache\n\n\n@cache\ndef pairs(a, b):\n    return [*zip(a, b, strict=True)]\n"
    (project / MODULE).write_text(text, encoding="utf-8")
    mutants = find_mutants(project, [MODULE])
    assert {mutant.line for mutant in mutants} == {4, 6}
    assert not list(sample_mutants(project, mutants, 1))


def test_a_mutant_that_cannot_be_made_is_no_mutant_of_a_sample(project: Path) -> None:
    text = "import os\ntry:\n    os.stat('')\nexcept (os.error, os.error):\n    pass\n"
    (project / MODULE).write_text(text, encoding="utf-8")
    mutants = find_mutants(project, [MODULE])
    assert any("Exception" in mutant.operator for mutant in mutants)
    assert all("Exception" not in mutant.operator for mutant in sample_mutants(project, mutants, 1))


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS)
def test_a_room_has_modules_and_tests(room: Room) -> None:
    assert room.modules(ROOT)
    assert room.test_files(ROOT)


def test_the_tests_of_every_room_can_begin_in_a_copy() -> None:
    tests = tuple(dict.fromkeys(glob for room in ROOMS.values() for glob in room.tests))
    with open_copies(ROOT, 1) as copies:
        assert copies.measure(Room((), tests), "--collect-only") > 0
