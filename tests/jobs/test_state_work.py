"""A state whose logs are read in a --work-dir or on a cluster has the same files as one that reads them itself."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from callcost.errors import UnfinishedError
from callcost.stages.tasks import MapTask, Tick, map_inputs
from callcost.tables import MapResult
from tests.command import callcost, write_lines
from tests.jobs.test_nightly import Job, rows_of
from tests.runners.test_cluster import Session


def nights(folder: Path, *words: str | Path) -> Job:
    """Run two nights, the second of which has a copy, a broken line and another log; return the job."""
    logs = folder.parent / "logs"
    job = Job(logs, folder)
    for night in (1, 2):
        write_lines(logs / f"night-{night}.jsonl", [*rows_of(night), *rows_of(1, 2)])
        with (logs / f"night-{night}.jsonl").open("a") as stream:
            stream.write('{"id": \n')
        job.run(*words)
    for log in logs.iterdir():
        log.unlink()
    return job


def test_work_in_a_folder_of_its_own_gives_the_same_files(tmp_path: Path) -> None:
    work = tmp_path / "work"
    expected, job = nights(tmp_path / "plain"), nights(tmp_path / "kept", "--work-dir", work)
    assert job.files() == expected.files()
    assert len(list(work.glob("run-*"))) == 2
    assert callcost("gc", work, "--older-than", "0h").code == 0
    assert list(work.iterdir()) == []
    held = [json.loads(path.read_bytes())["files"] for path in job.state.glob("inputs/*/entry.json")]
    assert all(held)
    assert not any(path.is_symlink() for path in job.state.rglob("*"))


def on_stand_in(monkeypatch: pytest.MonkeyPatch) -> Session:
    """Let what is to be done on Spark be done by a stand-in for its session."""
    session = Session()

    @contextlib.contextmanager
    def opened(_remote: str | None) -> Iterator[Session]:
        yield session

    monkeypatch.setenv("POLARS_MAX_THREADS", "1")
    monkeypatch.setattr("callcost.jobs.engine.work_dir.open_session", opened)
    return session


def test_a_cluster_reads_the_logs_of_a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = on_stand_in(monkeypatch)
    expected = nights(tmp_path / "plain")
    assert session.jobs == 0
    spark = ("--executor", "spark", "--work-dir", tmp_path / "work")
    job = nights(tmp_path / "spark", *spark)
    assert session.jobs == 2
    assert job.files() == expected.files()
    (tmp_path / "logs/more").mkdir()
    write_lines(tmp_path / "logs/more/night-3.jsonl", rows_of(3))
    job.run(*spark)
    job.run(*spark)
    assert session.jobs == 3  # a night with nothing new asks no cluster


def test_a_run_that_was_ended_after_it_had_read_takes_up_what_its_work_dir_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for night in range(1, 6):
        write_lines(tmp_path / f"logs/night-{night}.jsonl", rows_of(night))
    plain, job = (Job(tmp_path / "logs", tmp_path / name) for name in ("plain", "kept"))
    plain.run()
    on_stand_in(monkeypatch)
    spark = ("--executor", "spark", "--work-dir", tmp_path / "work")
    read: list[MapTask] = []

    def spied(task: MapTask, tick: Tick) -> MapResult:
        read.append(task)
        return map_inputs(task, tick)

    def ended(*_: object) -> None:
        raise UnfinishedError("the machine is wanted elsewhere")

    monkeypatch.setattr("callcost.jobs.state.intake.map_inputs", spied)
    with monkeypatch.context() as patch:
        patch.setattr("callcost.jobs.state.intake._keep", ended)
        job.run(*spark, expect=4)
    assert len(read) == 5
    job.run(*spark)
    assert len(read) == 5
    assert job.files() == plain.files()
