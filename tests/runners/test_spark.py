"""The same bytes from Spark as from this machine: Spark on a local cluster of two executors, and Sail.

Needs ``pip install -e '.[test,spark-test]'``, and Java for Spark itself; .ci/nightly has both.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import ROOT, Finished, report, write_lines
from tests.faults.test_work_dir import assert_same, make_logs

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None, reason="pyspark is not installed: pip install -e '.[test,spark-test]'"
)
NEEDS_SPARK = pytest.mark.skipif(
    shutil.which("java") is None or importlib.util.find_spec("py4j") is None,
    reason="Spark itself needs Java and the whole pyspark",
)
NEEDS_SAIL = pytest.mark.skipif(importlib.util.find_spec("pysail") is None, reason="pysail is not installed")
_CLUSTER = "--master local-cluster[2,1,1024] --conf spark.ui.enabled=false pyspark-shell"
_SERVER = """
import time
from pysail.spark import SparkConnectServer
server = SparkConnectServer(port=0)
server.start(background=True)
print(server.listening_address[1], flush=True)
time.sleep(3600)
"""
_DEADLY = """
from callcost.jobs.engine import map_reduce as run
from tests.faults.test_deadly_records import die_of_a_word
run.map_inputs = die_of_a_word
from callcost.__main__ import main
main()
"""
_ACTIVE = """
import sys
from pyspark.sql import SparkSession
from callcost import report_spend
from callcost.settings import ReportOptions, WorkOptions
session = SparkSession.builder.remote(sys.argv[1]).getOrCreate()
work = WorkOptions(executor="spark", work_dir=sys.argv[3])
report_spend(ReportOptions(logs=(sys.argv[2],), out=sys.argv[4], calls=True, work=work))
assert session.range(3).count() == 3
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_logs(tmp_path_factory.mktemp("cluster") / "logs")


@pytest.fixture(scope="module")
def local(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return report([logs], tmp_path_factory.mktemp("local") / "reports", "--calls")


@pytest.fixture(scope="module")
def sail() -> Iterator[str]:
    """The address of a Spark Connect server written in Rust."""
    words = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()) as server:
        assert server.stdout is not None
        yield f"sc://127.0.0.1:{int(server.stdout.readline())}"
        server.kill()


def _environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {"PYTHONPATH": path, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    return {**os.environ, **own, "CALLCOST_TASK_BYTES": "60000", **more}


def _start(code: list[str], logs: Path, out: Path, work: Path, *words: str) -> subprocess.Popen[str]:
    line = ["report", str(logs), "--out", str(out), "--calls", "--work-dir", str(work), "--executor", "spark", *words]
    return subprocess.Popen(
        [sys.executable, *code, *line], env=_environment(PYSPARK_SUBMIT_ARGS=_CLUSTER), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT.parent,
    )  # fmt: skip


def _finish(process: subprocess.Popen[str], expected: int = 0) -> None:
    _, stderr = process.communicate(timeout=500)
    assert process.returncode == expected, stderr[-3000:]


def _executors(driver: int) -> list[int]:
    """Return the executors' Java processes below a driver."""
    family = [driver]
    for member in family:
        for listing in Path(f"/proc/{member}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                family += map(int, listing.read_text().split())
    words = {pid: Path(f"/proc/{pid}/cmdline") for pid in family}
    kind = b"CoarseGrainedExecutorBackend"
    return [pid for pid, path in words.items() if path.exists() and kind in path.read_bytes()]


@NEEDS_SAIL
def test_sail_gives_the_same_bytes_as_this_machine(sail: str, logs: Path, local: Finished, tmp_path: Path) -> None:
    out, work = tmp_path / "out", tmp_path / "work"
    _finish(_start(["-m", "callcost"], logs, out, work, "--spark-remote", sail))
    assert_same(out, local)
    assert len(list(work.glob("run-*/done/map_inputs-*"))) > 3


@NEEDS_SAIL
def test_a_session_that_is_there_is_used_and_stays(sail: str, logs: Path, local: Finished, tmp_path: Path) -> None:
    words = [sys.executable, "-c", _ACTIVE, sail, str(logs), str(tmp_path / "work"), str(tmp_path / "out")]
    done = subprocess.run(words, env=_environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same(tmp_path / "out", local)


@NEEDS_SPARK
def test_two_executors_give_the_same_bytes_also_when_one_of_them_is_killed(
    logs: Path, local: Finished, tmp_path: Path
) -> None:
    out, work = tmp_path / "out", tmp_path / "work"
    process = _start(["-m", "callcost"], logs, out, work)
    while not list(work.glob("run-*/tried/*")) and process.poll() is None:
        time.sleep(0.05)
    executors = _executors(process.pid)
    assert len(executors) == 2, process.poll()
    os.kill(executors[0], signal.SIGKILL)
    _finish(process)
    assert_same(out, local)


@NEEDS_SPARK
def test_a_record_that_ends_its_worker_is_set_aside_and_named(tmp_path: Path) -> None:
    rows = [{"id": f"r-{n}", "model": "gpt-4o", "messages": f"{n}?", "response": "x"} for n in range(9)]
    rows[5]["user"] = "deadly"
    write_lines(tmp_path / "logs/1.jsonl", rows)
    write_lines(tmp_path / "logs/2.jsonl", [{**row, "id": f"s-{n}", "user": "u"} for n, row in enumerate(rows)])
    out, work = tmp_path / "out", tmp_path / "work"
    _finish(_start(["-c", _DEADLY], tmp_path / "logs", out, work))
    done = Finished((), 0, "", "", out)
    assert [(row["source_file"], row["source_row"], row["reason"]) for row in done.rejects] == [
        ("logs/1.jsonl", 6, "worker_died")
    ]
    assert done.records["calls"] == 17
    begun = [len(list(task.iterdir())) for task in work.glob("run-*/begun/*/die_of_a_word-*")]
    assert max(begun) == 4  # three attempts, and the one that set it aside
