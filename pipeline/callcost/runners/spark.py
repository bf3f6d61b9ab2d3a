"""Run tasks on Spark: one row per task in, one result per task out; the data is in files all along.

Only calls that Spark Connect has, too: createDataFrame, coalesce, repartition, mapInArrow, collect. The workers need
the same callcost and the same data beside it, and reach the logs and the run's folder by themselves. A session that is
there already is used, as on Databricks, EMR and Dataproc. What a worker raises comes back as a value and is raised
here, without a trace of the records it was at.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from callcost import __version__
from callcost.arguments import needs_extra
from callcost.errors import RunError
from callcost.logs.io.object_store import is_url, stat_object
from callcost.logs.io.store_access import OPTIONS_VARIABLE
from callcost.logs.io.temporary import temporary_place
from callcost.runners.protocol import Done, R, Tick, ignore_progress, ignore_result

T = TypeVar("T")
ROUNDS = 10  # jobs that may fail before the run does; where Spark retries tasks itself, as on a cluster, one is much
_COLUMNS = "number long, data binary"
_NO_CALLCOST = "No module named 'callcost'"


@contextlib.contextmanager
def open_session(remote: str | None) -> Iterator[Any]:
    """Use the Spark session that is there; else open one and stop it at the end.

    Args:
        remote: "sc://host:port" of a Spark Connect server; None: what is there, or what Spark's own configuration says.

    Raises:
        ConfigError: Spark is not installed.
        RunError: there is no session to be had.
    """
    log = Path(temporary_place()) / f"callcost-spark-{os.getpid()}.log"
    try:
        kind = importlib.import_module("pyspark.sql").SparkSession
    except ImportError:
        raise needs_extra("--executor spark", "spark") from None
    try:
        active = None if remote else kind.getActiveSession()
        builder = kind.builder.appName("callcost")
        builder = builder.remote(remote) if remote else builder.config("spark.ui.showConsoleProgress", "false")
        session = active or (builder.getOrCreate() if remote else _own_session(builder, log))
    except Exception as error:  # noqa: BLE001 - Spark's own tree, and what its Java side raises
        message = f"no Spark session{f' at {remote}' if remote else ''}: {_reason(error)}"
        raise RunError(message, hint=f"Name a server with --spark-remote, or see Spark's own log in {log}") from None
    try:
        yield session
    finally:
        if active is None:
            session.stop()
    log.unlink(missing_ok=True)


def _own_session(builder: Any, log: Path) -> Any:
    """Start Spark with its log in a file, and workers on this machine that run this interpreter.

    Spark would write over the terminal, and start the `python3` of the PATH, which need not have callcost.
    """
    with log.open("ab") as file, _stderr_into(file.fileno()):
        session = builder.getOrCreate()
    context: Any = getattr(session, "sparkContext", None)  # a server that the configuration names has none
    is_here = context is not None and context.master.startswith("local")
    if is_here and "PYSPARK_PYTHON" not in os.environ and context.getConf().get("spark.pyspark.python") is None:
        context.pythonExec = sys.executable
    return session


@contextlib.contextmanager
def _stderr_into(file: int) -> Iterator[None]:
    """Let processes that are started meanwhile write to a file what they would to stderr."""
    kept = os.dup(2)
    try:
        os.dup2(file, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Spark as an executor; every task has to count once however often it is run, see exactly_once.py.

    Attributes:
        session: session of Spark.
        seen: paths and URLs that all workers must be able to read.
        identity: picklable function that gives what results depend on beside the tasks, by name: the same here and at
            the workers.
    """

    session: Any
    seen: tuple[str, ...]
    identity: Callable[[], Mapping[str, str]]

    def __call__(
        self,
        function: Callable[[T, Tick], R],
        tasks: Sequence[T],
        *,
        tick: Tick = ignore_progress,
        done: Done[R] = ignore_result,
        **_how: Any,
    ) -> list[R]:
        """Run the tasks; see Runner. Spark has its own workers and retries; exactly_once.py counts attempts there."""
        if not tasks:
            return []
        rows = [(number, pickle.dumps((function, task))) for number, task in enumerate(tasks)]
        results: dict[int, R] = {}
        for number, outcome in sorted(self._outcomes(rows).items()):
            if isinstance(outcome, BaseException):
                raise outcome
            results[number] = outcome
            tick(outcome.read_bytes, outcome.read_calls)
            done(number, outcome)
        return list(results.values())

    def _outcomes(self, rows: list[tuple[int, bytes]]) -> dict[int, Any]:
        variables = {OPTIONS_VARIABLE: os.environ[OPTIONS_VARIABLE]} if OPTIONS_VARIABLE in os.environ else {}
        worker = Worker(seen=self.seen, identity=self.identity, expected=dict(self.identity()), variables=variables)
        for failed in range(1, ROUNDS + 1):
            # from one partition to one row in each
            frame = self.session.createDataFrame(rows, _COLUMNS).coalesce(1).repartition(len(rows))
            try:
                found = frame.mapInArrow(worker.run, _COLUMNS).collect()
            except Exception as error:  # noqa: BLE001 - Spark's own tree
                if _NO_CALLCOST in str(error):
                    hint = f"pip install 'callcost[spark]=={__version__}' on every worker"
                    raise RunError("Spark's workers have no callcost", hint=hint) from None
                if failed == ROUNDS:
                    raise RunError(f"Spark failed {ROUNDS} times: {_reason(error)}", hint="See Spark's log") from None
            else:
                return {int(row[0]): pickle.loads(bytes(row[1])) for row in found}  # noqa: S301 - our own workers'
        raise AssertionError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a worker of Spark does with its rows.

    Attributes:
        seen: paths and URLs that this worker must be able to read.
        identity: function that gives what results depend on beside the tasks, by name.
        expected: what ``identity`` gives at the driver.
        variables: variables of the environment: the options of object stores, which no task names.
    """

    seen: tuple[str, ...]
    identity: Callable[[], Mapping[str, str]]
    expected: Mapping[str, str]
    variables: Mapping[str, str]

    def run(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Turn batches of (number, task) into batches of (number, result or what was raised)."""
        os.environ.setdefault("POLARS_MAX_THREADS", "1")  # before Polars is imported: one task, one thread
        os.environ.update(self.variables)
        pyarrow = importlib.import_module("pyarrow")
        for batch in batches:
            for number, data in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
                outcome = pyarrow.array([self._outcome(data)], pyarrow.binary())
                numbers = pyarrow.array([number], pyarrow.int64())
                yield pyarrow.RecordBatch.from_arrays([numbers, outcome], names=["number", "data"])

    def _outcome(self, data: bytes) -> bytes:
        try:
            self._check()
            function, task = pickle.loads(data)  # noqa: S301 - from our own driver
            return pickle.dumps(function(task, ignore_progress))
        except Exception as error:  # noqa: BLE001 - the driver raises it
            return _pickled(error)

    def _check(self) -> None:
        """Refuse to work beside a driver that would come to other results.

        Raises:
            RunError: this worker has another callcost, other prices, or no access to the files of the run.
        """
        for path in self.seen:
            if not (stat_object(path) if is_url(path) else Path(path).exists()):
                hint = "Logs, options' files and --work-dir must be where every machine reaches them, under one path"
                raise RunError(f"a worker does not see {path}", hint=hint)
        found = self.identity()
        for name, value in self.expected.items():
            if found[name] != value:
                message = f"{name} of a worker is not that of this process: {found[name]}, not {value}"
                raise RunError(message, hint="Install the same on every machine")


def _pickled(error: Exception) -> bytes:
    try:
        data = pickle.dumps(error)
        pickle.loads(data)  # noqa: S301 - what was just written
    except Exception:  # noqa: BLE001 - whatever it holds
        return pickle.dumps(RunError(f"a worker raised {type(error).__name__}"))
    return data


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300] if lines else ''}"
