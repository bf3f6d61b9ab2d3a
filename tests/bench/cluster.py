"""What Spark costs beside this machine's own processes: calls in many files of very different size, reported by both.

``python -m tests.bench.cluster CALLS FILES`` makes lean rows, every 50th of them once more in another file, reports
them with two local processes and on a local cluster of two executors, and says what each took, per task and in total,
and how much memory a worker held. Both must find every copy and write the same bytes. Needs the extra ``spark-test``.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import tempfile
import threading
from itertools import islice
from pathlib import Path
from typing import Any

import click

from tests.bench import logs
from tests.bench.measure import Taken, family, take
from tests.bench.runs import MIB, ROOT

COPIES = 50  # one row of so many stands in two files
_MASTER = "--master local-cluster[2,1,1024] --conf spark.ui.enabled=false pyspark-shell"


def write_logs(folder: Path, calls: int, files: int) -> int:
    """Write calls to files whose sizes differ by a thousand; return how many copies there are."""
    chance = random.Random(logs.SEED)
    weights = [10 ** chance.uniform(0, 3) for _ in range(files)]
    folder.mkdir(parents=True)
    rows = logs.lean(calls)
    copied: list[dict[str, Any]] = []
    copies = 0
    for number, weight in enumerate(weights):
        share = None if number == files - 1 else int(calls * weight / sum(weights))
        own = list(islice(rows, share))
        copies += len(copied)
        logs.write_jsonl(folder / f"part-{number:05}.jsonl", iter([*copied, *own]))
        copied = own[::COPIES]
    return copies


class _Watch(threading.Thread):
    """Looks at all processes below this one, again and again: what processor time they took, what a worker held.

    Spark's Java processes are waited for by nobody, so that the system does not add their time to their parent's.
    """

    def __init__(self, word: bytes) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._word, self._ticks, self._ended = word, dict[int, int](), threading.Event()

    @property
    def cpu(self) -> float:
        """Seconds of all processors."""
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    def run(self) -> None:
        """Sample until told to stop."""
        while not self._ended.wait(0.1):
            for pid in family(os.getpid())[1:]:
                with contextlib.suppress(OSError):
                    self._look(pid, Path(f"/proc/{pid}"))

    def _look(self, pid: int, place: Path) -> None:
        user, system = (place / "stat").read_text().rpartition(")")[2].split()[11:13]
        self._ticks[pid] = int(user) + int(system)
        if self._word in (place / "cmdline").read_bytes():
            self.peak = max(self.peak, int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))

    def stop(self) -> None:
        """End sampling."""
        self._ended.set()
        self.join()


def _report(source: Path, out: Path, word: bytes, *words: str) -> tuple[Taken, _Watch, dict[str, Any]]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": path, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    env |= {"PYSPARK_SUBMIT_ARGS": _MASTER}
    watch = _Watch(word)
    watch.start()
    line = ["report", str(source), "--out", str(out), "--quiet", *words]
    taken = take([sys.executable, "-W", "ignore", "-m", "callcost", *line], env)
    watch.stop()
    return taken, watch, json.loads((out / "manifest.json").read_bytes())


@click.command()
@click.argument("calls", type=int)
@click.argument("files", type=int)
def main(calls: int, files: int) -> None:
    """Report CALLS calls in FILES files by both executors."""
    with tempfile.TemporaryDirectory(prefix="callcost-bench-") as name:
        folder = Path(name)
        copies = write_logs(folder / "logs", calls, files)
        size = sum(path.stat().st_size for path in (folder / "logs").iterdir())
        click.echo(f"{calls:,} calls and {copies:,} copies in {files:,} files, {size / MIB:,.0f} MiB")
        found: dict[str, bytes] = {}
        took: dict[str, float] = {}
        ways: dict[str, tuple[bytes, tuple[str, ...]]] = {
            "local": (b"spawn_main", ("--workers", "2")),
            "local, kept": (b"spawn_main", ("--workers", "2", "--work-dir", str(folder / "kept"))),
            "spark": (b"pyspark.daemon", ("--executor", "spark", "--work-dir", str(folder / "work"))),
        }
        for title, (word, words) in ways.items():
            out = folder / title
            taken, watch, manifest = _report(folder / "logs", out, word, *words)
            records = manifest["records"]
            if (records["calls"], records["duplicates"]) != (calls, copies):
                raise click.ClickException(f"{title}: {records}")
            found[title] = (out / "spend.parquet").read_bytes()
            took[title] = watch.cpu
            whole = f"{taken.wall:.1f} s, CPU {watch.cpu:.1f} s, all processes {(taken.peak or 0) / MIB:,.0f} MiB"
            click.echo(f"{title:12} {whole}, largest worker {watch.peak / MIB:,.0f} MiB")
        tasks = len(list((folder / "work").glob("run-*/done/*")))
        more = took["spark"] - took["local"]
        click.echo(f"spark: {tasks} tasks, {more:.1f} s more CPU, {more / tasks:.2f} s a task")
        click.echo(f"the same bytes: {len(set(found.values())) == 1}")


if __name__ == "__main__":
    main()
