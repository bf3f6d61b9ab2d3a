"""What Spark costs beside this machine's own processes: calls in many files of very different size, reported by both.

``python -m tests.bench.cluster CALLS FILES`` makes lean rows, every 50th of them once more in another file, reports
them with two local processes and on a local cluster of two executors, and says what each took, per task and in total,
and how much memory a worker held. Both must find every copy and write the same bytes. Needs the extra ``spark-test``.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click

from tests.bench import logs
from tests.bench.measure import Taken, take
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


class _Workers(threading.Thread):
    """Looks at the memory of every Python worker of this user, again and again: the largest that one of them held."""

    def __init__(self, word: bytes) -> None:
        super().__init__(daemon=True)
        self.peak, self._word, self._ended = 0, word, threading.Event()

    def run(self) -> None:
        """Sample until told to stop."""
        while not self._ended.wait(0.2):
            self.peak = max([self.peak, *_held(self._word)])

    def stop(self) -> None:
        """End sampling."""
        self._ended.set()
        self.join()


def _held(word: bytes) -> Iterator[int]:
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if word in (place / "cmdline").read_bytes():
                yield int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue


def _report(source: Path, out: Path, word: bytes, *words: str) -> tuple[Taken, int, dict[str, Any]]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": path, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    env |= {"PYSPARK_SUBMIT_ARGS": _MASTER}
    workers = _Workers(word)
    workers.start()
    line = ["report", str(source), "--out", str(out), "--quiet", *words]
    taken = take([sys.executable, "-W", "ignore", "-m", "pipeline", *line], env)
    workers.stop()
    return taken, workers.peak, json.loads((out / "manifest.json").read_bytes())


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
        found = {}
        ways: dict[str, tuple[bytes, tuple[str, ...]]] = {
            "local": (b"spawn_main", ("--workers", "2")),
            "local, kept": (b"spawn_main", ("--workers", "2", "--work-dir", str(folder / "kept"))),
            "spark": (b"pyspark.daemon", ("--executor", "spark", "--work-dir", str(folder / "work"))),
        }
        for title, (word, words) in ways.items():
            out = folder / title
            taken, held, manifest = _report(folder / "logs", out, word, *words)
            records = manifest["records"]
            if (records["calls"], records["duplicates"]) != (calls, copies):
                raise click.ClickException(f"{title}: {records}")
            found[title] = (out / "spend.parquet").read_bytes()
            whole = f"{taken.wall:.1f} s, CPU {taken.cpu:.1f} s, all processes {(taken.peak or 0) / MIB:,.0f} MiB"
            click.echo(f"{title:12} {whole}, largest worker {held / MIB:,.0f} MiB")
        tasks = len(list((folder / "work").glob("run-*/done/*")))
        click.echo(f"spark: {tasks} tasks; the same bytes: {len(set(found.values())) == 1}")


if __name__ == "__main__":
    main()
