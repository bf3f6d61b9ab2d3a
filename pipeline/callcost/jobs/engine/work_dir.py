"""Where a run works: in a folder that it leaves with nothing, or in one that keeps what is done for the next run.

The name of a kept run is a digest of what it reads, of its options and of all else that its results depend on; so the
same command, given again, goes on with the same run, wherever it is given.
"""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from callcost.errors import ConfigError, RunError, reason_of
from callcost.jobs.engine.fingerprint import identity_of
from callcost.jobs.engine.manifest import plain_options
from callcost.jobs.engine.map_reduce import options_for_workers, working_folder
from callcost.logs.io.folders import folder_at
from callcost.logs.io.inputs import STDIN, Input, find_inputs
from callcost.logs.io.object_store import is_url
from callcost.logs.io.temporary import refused_place
from callcost.runners.entries import digest_of_value, stamp_of
from callcost.runners.exactly_once import RUN_PREFIX, Once, check_place, mark_published
from callcost.runners.local import run_tasks
from callcost.runners.protocol import Runner
from callcost.runners.spark import Cluster, open_session
from callcost.settings import EXECUTORS, ReportOptions
from callcost.stages.report.publish import document_bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where a run works, and who does its work.

    Attributes:
        folder: path or URL of the folder for files that pass between the steps.
        runner: executor of the tasks.
        finish: function to call when the results are published.
    """

    folder: str
    runner: Runner
    finish: Callable[[], None] = lambda: None


@contextlib.contextmanager
def open_workplace(options: ReportOptions) -> Iterator[Workplace]:
    """Make or find the folder that a run works in, and who does its work.

    Raises:
        ConfigError: the options of the work do not go together, or an extra is missing.
        LogError: an argument matches no file.
        ReportError: the folder cannot be made or written.
        RunError: the place lets two writers create the same file, or there is no Spark session.
    """
    work = options.work
    check_work(options)
    if work.work_dir is None:
        with working_folder(options.out) as temporary:
            yield Workplace(folder=str(temporary), runner=run_tasks)
        return
    folder = folder_at(work.work_dir)
    place = folder.place
    driver = uuid.uuid4().hex
    try:
        with contextlib.ExitStack() as stack:
            spark = stack.enter_context(open_session(work.spark_remote)) if work.executor == "spark" else None
            check_place(place)
            inputs = find_inputs(options.logs)
            how = ("out", "work", "prices_refresh")
            asked = {name: value for name, value in plain_options(options).items() if name not in how}
            document = {"identity": identity_of(options), "options": asked, "inputs": [*map(_stamp, inputs)]}
            run = f"{RUN_PREFIX}{digest_of_value(document)[:32]}"
            folder.create(f"{run}/run.json", document_bytes(document))
            folder.create(f"{run}/drivers/{driver}.json", b"{}")  # a sign of life
            kept = f"{place}/{run}"
            finish = partial(mark_published, kept)
            if spark is None:
                yield Workplace(folder=kept, runner=Once(runner=run_tasks, folder=kept), finish=finish)
                return
            plain = options_for_workers(options)
            files = [str(Path(source.path).absolute()) for source in inputs[:1] if not is_url(source.path)]
            files += [path for path in (plain.prices.override, plain.read.mapping) if path]
            seen = (f"{kept}/run.json", *files)
            cluster = Cluster(session=spark, seen=seen, identity=partial(identity_of, plain))
            yield Workplace(folder=kept, runner=Once(runner=cluster, folder=kept, driver=driver), finish=finish)
    except (OSError, pl.exceptions.ComputeError) as error:
        refused = refused_place(error, [place, *([options.out] if options.out else [])])
        message = f"cannot work in {refused}: {reason_of(error)}"
        raise RunError(message, hint="Check its permissions and free space; the same command goes on") from error


@contextlib.contextmanager
def open_place_of_work(options: ReportOptions, *, is_needed: bool) -> Iterator[Workplace]:
    """Open the --work-dir of a run that has a folder of its own for what it reads.

    Args:
        options: of the run.
        is_needed: whether there is any work.

    Yields:
        That place; without one, or work, none, and this machine does what there is.

    Raises:
        ConfigError: see open_workplace.
        RunError: see open_workplace.
    """
    if options.work.work_dir is None or not is_needed:
        yield Workplace(folder="", runner=run_tasks)
        return
    with open_workplace(options) as place:
        yield place


def fetch_results(files: Sequence[str], folder: Path) -> None:
    """Copy the files of a task that was done in another place, as in a --work-dir, into a folder.

    Raises:
        RunError: one is gone.
    """
    for file in files:
        place, name = file.rsplit("/", 1) if is_url(file) else (str(Path(file).parent), Path(file).name)
        if place != str(folder):
            data = folder_at(place).read(name)
            if data is None:
                raise RunError(f"{file} is gone", hint="Run again, with another --work-dir")
            (folder / name).write_bytes(data)


def check_work(options: ReportOptions) -> None:
    """Refuse options of the work that do not go together.

    Raises:
        ConfigError: so it is.
    """
    work = options.work
    if work.executor not in EXECUTORS:
        raise ConfigError(f"no executor {work.executor!r}", hint=f"One of {', '.join(EXECUTORS)}")
    if work.spark_remote is not None and work.executor != "spark":
        raise ConfigError("--spark-remote goes with --executor spark")
    if work.spark_remote is not None and not work.spark_remote.startswith("sc://"):
        raise ConfigError(f"--spark-remote {work.spark_remote!r} is no sc:// address", hint="As sc://spark.example:15002")
    if work.executor == "spark" and work.work_dir is None:
        hint = "A folder or URL that this machine and all workers reach, as s3://bucket/callcost"
        raise ConfigError("--executor spark needs --work-dir", hint=hint)
    if work.work_dir is not None and STDIN in options.logs:
        raise ConfigError("- cannot go with --work-dir: what came from there cannot be read again")


def _stamp(source: Input) -> list[object]:
    """Return what tells an input from others, without reading it."""
    stamp = stamp_of(source.path, source.stored)
    return [source.name, source.path, source.bytes, stamp and (stamp.etag or stamp.mtime_ns)]
