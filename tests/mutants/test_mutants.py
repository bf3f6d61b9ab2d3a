"""The tool that counts surviving mutants works: it finds what can be changed, and sees which tests notice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.command import ROOT
from tests.mutants.__main__ import ROOMS, score_of
from tests.mutants.mutate import Mutant, find_mutants, mutated_text, sample_mutants
from tests.mutants.reached import FileRecord, choose_tests
from tests.mutants.records import load_records
from tests.mutants.trials import Room, open_copies, record_tests, try_mutants

MODULE = "pipeline/sums/adding.py"
TEXT = """\
from __future__ import annotations


def add(first: int | float, second: int = 3) -> int | float:
    return first + second


def count_down(number: int) -> int:
    while number > 0:
        number = number - 1
    return number


def compare(number: int) -> bool:
    return number < LIMIT


def never_tested(number: int) -> bool:
    return number > 7


LIMIT = 5
"""
TESTS = """\
import subprocess
import sys

import pytest

from sums.adding import add, compare, count_down


@pytest.fixture(scope="module")
def sums():
    return [add(1, 1), add(2)]


@pytest.mark.parametrize("place, value", [(0, 2), (1, 5)])
def test_sums(sums, place, value):
    assert sums[place] == value


def test_end() -> None:
    assert count_down(2) == 0


def test_a_command_compares() -> None:
    words = [sys.executable, "-c", "from sums.adding import compare; print(compare(6))"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "False\\n"


def test_nothing() -> None:
    assert not compare(8)
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


def _records(project: Path) -> dict[str, FileRecord]:
    with open_copies(project, 1) as copies:
        return dict(record_tests(copies, SUMS.test_files(project), workers=1))


def test_mutants_are_killed_time_out_or_survive_as_the_tests_have_it(project: Path) -> None:
    expected = {
        _mutants_with(project, "return first - second"): "failed",
        _mutants_with(project, "second: int = 4"): "failed",
        _mutants_with(project, "number = number + 1"): "timeout",
        _mutants_with(project, "return number <= LIMIT"): "survived",
        _mutants_with(project, "return number != LIMIT"): "failed",
        _mutants_with(project, "LIMIT = 6"): "survived",
        _mutants_with(project, "return number >= 7"): "not run",
    }
    with open_copies(project, 2) as copies:
        records = dict(record_tests(copies, SUMS.test_files(project), workers=2))
        trials = list(try_mutants(copies, records, expected, workers=2, until=time.monotonic() + 300))

    assert {trial.mutant: trial.outcome for trial in trials} == expected
    assert score_of(trials) == 100 * 4 / 7
    assert (project / MODULE).read_text(encoding="utf-8") == TEXT


def test_a_mutant_is_tried_by_the_tests_that_run_its_line(project: Path) -> None:
    (project / "tests/test_other.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
    records = _records(project)
    lines = {text.strip(): number for number, text in enumerate(TEXT.splitlines(), 1)}

    def tests_of(line: str) -> set[str]:
        choice = choose_tests(project, records, MODULE, lines[line])
        assert choice.files in ([], ["tests/test_adding.py"])
        return {test.partition("::")[2] for test, place in choice.places.items() if place is not None}

    sums = {"test_sums[0-2]", "test_sums[1-5]"}
    compare = {"test_a_command_compares", "test_nothing"}
    assert tests_of("number = number - 1") == {"test_end"}
    assert tests_of("return number < LIMIT") == compare
    assert tests_of("return first + second") == sums | compare | {"test_end"}  # a fixture may serve any test
    assert tests_of("LIMIT = 5") == sums | compare | {"test_end"}
    assert tests_of("return number > 7") == set()


def test_a_room_whose_tests_fail_without_a_mutant_is_refused(project: Path) -> None:
    (project / "tests/test_adding.py").write_text(TESTS.replace("(0, 2)", "(0, 3)"), encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"failed without any mutant: (?s:.*)assert 2 == 3"):
        _records(project)


def test_after_the_time_is_up_no_further_mutant_begins(project: Path) -> None:
    mutants = list(sample_mutants(project, find_mutants(project, SUMS.modules(project)), 0))
    with open_copies(project, 1) as copies:
        assert len(list(try_mutants(copies, {}, mutants, workers=1, until=0))) == 1


def test_what_tests_run_is_kept_until_code_or_tests_change(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = project / "records"
    files = SUMS.test_files(project)
    with open_copies(project, 1) as copies:
        records = load_records(copies, files, 1, kept)
        again: list[str] = []

        def record_again(file: str) -> FileRecord:
            again.append(file)
            return records[file]

        monkeypatch.setattr(copies, "record", record_again)
        assert load_records(copies, files, 1, kept) == records
        assert not again
        for changed in (MODULE, *files):
            with (project / changed).open("a", encoding="utf-8") as file:
                file.write("# more\n")
            load_records(copies, files, 1, kept)
            assert again == files
            again.clear()


def test_a_sample_has_one_mutant_of_each_place_and_depends_on_its_seed(project: Path) -> None:
    mutants = find_mutants(project, SUMS.modules(project))
    samples = [list(sample_mutants(project, mutants, seed)) for seed in (1, 1, 2)]

    assert samples[0] == samples[1] != samples[2]
    assert len({mutant[:3] for mutant in samples[0]}) == len(samples[0])
    assert {mutant.line for mutant in samples[0]} == {4, 5, 9, 10, 15, 19, 22}


def test_no_mutant_of_a_sample_is_one_of_annotations(project: Path) -> None:
    mutants = find_mutants(project, SUMS.modules(project))
    assert [mutant for mutant in mutants if "BitOr" in mutant.operator]
    assert not [mutant for mutant in sample_mutants(project, mutants, 3) if "BitOr" in mutant.operator]


def test_no_mutant_of_a_sample_is_one_that_no_test_can_notice(project: Path) -> None:
    text = (
        "from functools import cache\n\n\n@cache\ndef pairs(a, b):\n    return [*zip(a, b, strict=True)]\n"
        "from dataclasses import dataclass\n\n\n@dataclass(frozen=True, slots=True)\nclass Pair:\n    a: int\n"
    )
    (project / MODULE).write_text(text, encoding="utf-8")
    mutants = [mutant for mutant in find_mutants(project, [MODULE]) if not mutant.operator.endswith("RemoveDecorator")]
    assert {mutant.line for mutant in mutants} == {6, 10}
    assert not [mutant for seed in range(9) for mutant in sample_mutants(project, mutants, seed)]


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
