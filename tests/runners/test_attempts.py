"""One attempt of a task counts, whoever makes it and however many are made; the rest is garbage."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import pytest

from callcost.errors import RunError
from callcost.jobs.gc import collect_garbage
from callcost.logs.io.folders import Folder, folder_at
from callcost.runners.exactly_once import Attempts, Once, check_place, mark_published
from callcost.runners.local import run_tasks
from callcost.runners.protocol import Tick, ignore_progress
from callcost.tables import TaskResult


class Found(TaskResult):
    task: int = 0
    aside: bool = False


@dataclasses.dataclass(frozen=True)
class Task:
    number: int
    folder: str
    rival: Any = None


def write(task: Task, tick: Tick) -> Found:
    """Write a file that says who wrote it; meanwhile, a rival may do the whole task."""
    if task.rival is not None:
        task.rival()
    tick(10, 1)
    path = Path(task.folder, f"facts-{task.number:06}.parquet")
    path.write_text(task.folder)
    return Found(task=task.number, files=[str(path)])


def put_aside(task: Task) -> Found:
    path = Path(task.folder, "rejects.parquet")
    path.touch()
    return Found(task=task.number, files=[str(path)], aside=True)


def _run(tmp_path: Path, **more: Any) -> Attempts[Found]:
    return Attempts(function=write, folder=str(tmp_path / "run-1"), **more)


def test_a_task_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    ticks: list[tuple[int, int]] = []
    tick: Tick = lambda size, calls: ticks.append((size, calls))  # noqa: E731
    first, again = (_run(tmp_path)(Task(1, str(tmp_path)), tick) for _ in range(2))
    other = _run(tmp_path)(Task(2, str(tmp_path)), tick)
    assert first == again
    assert first.files != other.files
    assert len(list(tmp_path.rglob("facts-*"))) == 2
    assert ticks == [(10, 1)] * 3  # known work counts as done


class Rival:
    """Somebody else who does the same task."""

    def __init__(self, tmp_path: Path) -> None:
        self._path = tmp_path
        self.result = Found()

    def __repr__(self) -> str:
        return "the same task"

    def __call__(self) -> None:
        self.result = _run(self._path)(Task(1, "", Silent()), ignore_progress)


class Silent:
    def __repr__(self) -> str:
        return "the same task"

    def __call__(self) -> None:
        """Do nothing."""


def test_of_two_who_do_the_same_task_the_first_counts_and_the_other_leaves_nothing(tmp_path: Path) -> None:
    rival = Rival(tmp_path)
    result = _run(tmp_path)(Task(1, "", rival), ignore_progress)
    assert result == rival.result
    assert [str(path) for path in tmp_path.rglob("facts-*")] == result.files


def test_a_task_that_was_begun_three_times_is_put_aside_and_an_innocent_is_not(tmp_path: Path) -> None:
    run = _run(tmp_path, driver="me", aside=put_aside)
    task = Task(3, str(tmp_path))

    def die(_task: Task, _tick: Tick) -> Found:
        raise KeyboardInterrupt

    die.__name__ = write.__name__
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            dataclasses.replace(run, function=die)(task, ignore_progress)
    assert not dataclasses.replace(run, driver="another")(Task(4, str(tmp_path)), ignore_progress).aside
    assert run(task, ignore_progress).aside
    assert dataclasses.replace(run, driver="another")(task, ignore_progress).aside  # it is done


def test_an_executor_of_attempts_gives_one_line_per_task_in_order(tmp_path: Path) -> None:
    run = Once(runner=run_tasks, folder=str(tmp_path / "run-1"))
    results = run(write, [Task(n, "") for n in range(5)])
    assert [result.task for result in results] == list(range(5))


def _age(folder: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


def test_garbage_is_what_no_marker_names_once_it_is_old(tmp_path: Path) -> None:
    kept = _run(tmp_path)(Task(1, ""), ignore_progress).files
    lost = tmp_path / "run-1/tried/write-000001-0-0/facts-000001.parquet"
    lost.parent.mkdir()
    lost.touch()
    assert collect_garbage(str(tmp_path), older_hours=1).files == ()
    _age(tmp_path, 2)
    assert collect_garbage(str(tmp_path), older_hours=1, dry_run=True).files == (str(lost),)
    assert lost.exists()
    assert collect_garbage(str(tmp_path), older_hours=1).files == (str(lost),)
    assert not lost.parent.exists()
    assert [str(path) for path in tmp_path.rglob("facts-*")] == kept

    (tmp_path / "mine.txt").touch()
    mark_published(str(tmp_path / "run-1"))
    assert collect_garbage(str(tmp_path), older_hours=1).files == ()  # somebody was there a moment ago
    _age(tmp_path, 2)
    assert len(collect_garbage(str(tmp_path), older_hours=1).files) > 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unfinished_run_is_removed_only_where_that_is_asked(tmp_path: Path) -> None:
    _run(tmp_path)(Task(1, ""), ignore_progress)
    _age(tmp_path, 100)
    assert collect_garbage(str(tmp_path), older_hours=1).files == ()
    assert collect_garbage(str(tmp_path), older_hours=1, unfinished=True).files
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError, match="no folder"):
        collect_garbage(str(tmp_path / "none"), older_hours=1)


def test_a_place_where_two_can_create_the_same_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_place(str(tmp_path))
    assert list(tmp_path.iterdir()) == []

    def careless(folder: Folder, name: str, data: bytes) -> bool:
        folder.write(name, data)
        return True

    monkeypatch.setattr(Folder, "create", careless)
    with pytest.raises(RunError, match="lets two writers create the same file"):
        check_place(str(tmp_path))


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot work in"):
        check_place(str(tmp_path / "file" / "work"))


def test_a_file_that_is_created_is_there_whole_and_once(tmp_path: Path) -> None:
    folder = folder_at(str(tmp_path / "a"))
    assert folder.create("b", b"one") is True
    assert folder.create("b", b"two") is False
    assert folder.read("b") == b"one"
    assert [found.name for found in (tmp_path / "a").iterdir()] == ["b"]
