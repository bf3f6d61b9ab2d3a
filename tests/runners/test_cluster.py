"""Spark as an executor, in front of a stand-in for its session: what goes there, and what its failures become.

Real sessions are in test_spark.py; they take minutes, and need Spark.
"""

from __future__ import annotations

import dataclasses
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from callcost.errors import LogError, RunError
from callcost.runners.protocol import Tick
from callcost.runners.spark import ROUNDS, Cluster, open_session
from callcost.tables import TaskResult


class Session:
    """Does in this process what Spark does with the few calls that are made; fails the first few times if asked."""

    def __init__(self, failures: int = 0, words: str = "Executor lost") -> None:
        self.jobs, self._failures, self._words = 0, failures, words
        self.is_stopped = False

    def createDataFrame(self, rows: list[tuple[int, bytes]], _columns: str) -> Session:  # noqa: N802
        self._rows = rows
        return self

    def coalesce(self, partitions: int) -> Session:
        assert partitions == 1
        return self

    def repartition(self, partitions: int) -> Session:
        assert partitions == len(self._rows)
        return self

    def mapInArrow(self, function: Callable[[Any], Iterator[Any]], _columns: str) -> Session:  # noqa: N802
        self._function = pickle.loads(pickle.dumps(function))
        return self

    def collect(self) -> list[tuple[int, bytes]]:
        self.jobs += 1
        if self.jobs <= self._failures:
            raise OSError(f"Job aborted: {self._words}\n\tat org.apache.spark")
        found: list[tuple[int, bytes]] = []
        for number, data in reversed(self._rows):
            batch = pa.RecordBatch.from_pydict({"number": [number], "data": [data]})
            for done in self._function(iter([batch])):
                found += zip(done.column(0).to_pylist(), done.column(1).to_pylist(), strict=True)
        return found

    def stop(self) -> None:
        self.is_stopped = True


class Found(TaskResult):
    task: int = 0


@dataclasses.dataclass(frozen=True)
class Task:
    number: int
    folder: str = ""


def work(task: Task, _tick: Tick) -> Found:
    if task.number == 13:
        raise LogError("the store denies access (403)", hint="Check")
    if task.number == 14:
        raise UnknownError(lambda: None)
    return Found(task=task.number, read_bytes=task.number, read_calls=1)


class UnknownError(Exception):
    """One that cannot be pickled."""


def identity() -> dict[str, str]:
    return {"callcost": "1"}


class Changing:
    """Another answer wherever it is unpickled."""

    def __call__(self) -> dict[str, str]:
        return {"callcost": "1"}

    def __reduce__(self) -> tuple[type[Changed], tuple[()]]:
        return Changed, ()


class Changed:
    def __call__(self) -> dict[str, str]:
        return {"callcost": "2"}


def _cluster(tmp_path: Path, session: Session, say: Callable[[], dict[str, str]] = identity) -> Cluster:
    (tmp_path / "seen").touch()
    return Cluster(session=session, seen=(str(tmp_path / "seen"),), identity=say)


def test_results_come_in_the_order_of_the_tasks_and_are_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    ticked: list[tuple[int, int]] = []
    results = _cluster(tmp_path, Session())(
        work, [Task(n) for n in range(5)], tick=lambda size, calls: ticked.append((size, calls)),
        done=lambda number, result: told.append((number, result.task)),
    )  # fmt: skip
    assert [result.task for result in results] == list(range(5))
    assert told == [(n, n) for n in range(5)]
    assert ticked == [(n, 1) for n in range(5)]
    assert _cluster(tmp_path, Session())(work, []) == []


def test_what_a_worker_raises_is_raised_here_without_its_trace(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="denies access") as caught:
        _cluster(tmp_path, Session())(work, [Task(1), Task(13)])
    assert caught.value.hint == "Check"
    with pytest.raises(RunError, match="a worker raised UnknownError"):
        _cluster(tmp_path, Session())(work, [Task(14)])


def test_a_job_that_fails_is_tried_again_and_not_forever(tmp_path: Path) -> None:
    session = Session(failures=2)
    assert len(_cluster(tmp_path, session)(work, [Task(1)])) == 1
    assert session.jobs == 3
    with pytest.raises(RunError, match=f"failed {ROUNDS} times: OSError: Job aborted: Executor lost"):
        _cluster(tmp_path, Session(failures=ROUNDS))(work, [Task(1)])


def test_workers_that_are_not_as_this_process_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="callcost of a worker is not that of this process: 2, not 1"):
        _cluster(tmp_path, Session(), Changing())(work, [Task(1)])
    with pytest.raises(RunError, match="a worker does not see"):
        Cluster(session=Session(), seen=(str(tmp_path / "none"),), identity=identity)(work, [Task(1)])
    session = Session(failures=1, words="ModuleNotFoundError: No module named 'callcost'")
    with pytest.raises(RunError, match="workers have no callcost"):
        _cluster(tmp_path, session)(work, [Task(1)])
    assert session.jobs == 1


def test_a_session_that_is_there_is_used_and_not_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    there, made = Session(), Session()
    asked: list[str] = []

    class Builder:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            asked.append(name)
            return lambda *_words: made if name == "getOrCreate" else self

    kind = types.SimpleNamespace(getActiveSession=lambda: there, builder=Builder())
    monkeypatch.setitem(sys.modules, "pyspark", types.ModuleType("pyspark"))
    monkeypatch.setitem(sys.modules, "pyspark.sql", types.SimpleNamespace(SparkSession=kind))
    with open_session(None) as session:
        assert session is there
    assert not there.is_stopped
    with open_session("sc://somewhere:1") as session:
        assert session is made
    assert made.is_stopped
    assert "remote" in asked

    def refuse() -> Session:
        raise ValueError("JAVA_GATEWAY_EXITED")

    kind.getActiveSession = refuse
    with pytest.raises(RunError, match="no Spark session: ValueError: JAVA_GATEWAY_EXITED"), open_session(None):
        pass
