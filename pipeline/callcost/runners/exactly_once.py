"""Exactly once: whoever runs a task, how often, and wherever it is killed, one attempt counts.

Every attempt writes into a folder of its own. The one that is whole first creates the task's marker, which holds its
result; only the files that a marker names are read on. A task that has a marker is not run again, so a run that
was killed goes on where it was, and two drivers of one run share the work. What the others left is garbage that
``find_garbage`` finds. A task is known by its function and all that it says, but for where its files go.
"""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, get_type_hints

import msgspec
from msgspec import structs

from callcost.errors import CallcostError, RunError, reason_of
from callcost.logs.io.folders import Folder, folder_at
from callcost.logs.io.object_store import Stored
from callcost.runners.entries import digest_of_value
from callcost.runners.protocol import R, Runner, Tick, ignore_progress

RUN_PREFIX = "run-"
_DONE, _TRIED, _BEGUN, _PUBLISHED = "done", "tried", "begun", "published.json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempts(Generic[R]):
    """A function each of whose calls is an attempt, of which one counts.

    Attributes:
        function: of (task, tick), which is annotated with what it returns; the task is a dataclass with a ``number``
            and a ``folder``.
        folder: path or URL of the run's folder.
        aside: function whose result stands for a task that was begun too often; None: nothing does.
        driver: id of the driver whose attempts are counted; "": none are.
        most: number of attempts that may begin.
    """

    function: Callable[[Any, Tick], R]
    folder: str
    aside: Callable[[Any], R] | None = None
    driver: str = ""
    most: int = 3

    def __call__(self, task: Any, tick: Tick) -> R:
        """Return the result of the attempt that counts, which may be an earlier one."""
        key = key_of(self.function, task)
        known = folder_at(self.folder).read(_marker(key))
        if known is None:
            if self.driver and self._begin(key) >= self.most and self.aside is not None:
                return self.stand_in(self.aside, task)
            return self._attempt(self.function, key, task, tick)
        result = self._decode(known)
        tick(result.read_bytes, result.read_calls)
        return result

    def stand_in(self, aside: Callable[[Any], R], task: Any) -> R:
        """Return the result of what stands for a task that ends its workers."""
        return self._attempt(lambda own, _tick: aside(own), key_of(self.function, task), task, ignore_progress)

    def _attempt(self, function: Callable[[Any, Tick], R], key: str, task: Any, tick: Tick) -> R:
        totals = [0, 0]

        def count(read_bytes: int, calls: int) -> None:
            totals[0] += read_bytes
            totals[1] += calls
            tick(read_bytes, calls)

        folder, own = folder_at(self.folder), f"{_TRIED}/{key}-{uuid.uuid4().hex[:12]}"
        with folder.open_local(own) as here:
            result = function(dataclasses.replace(task, folder=str(here)), count)
            files = [folder.keep(Path(path), own) for path in result.files]
        result = structs.replace(result, files=files, read_bytes=totals[0], read_calls=totals[1])
        if folder.create(_marker(key), msgspec.json.encode(result)):
            return result
        folder.remove(f"{own}/{Path(path).name}" for path in files)
        known = folder.read(_marker(key))
        return result if known is None else self._decode(known)

    def _decode(self, data: bytes) -> R:
        """Return a result as its function says what that is."""
        kind: type[R] = get_type_hints(self.function)["return"]
        return msgspec.json.decode(data, type=kind)

    def _begin(self, key: str) -> int:
        """Write down that an attempt begins; return how many did before it."""
        folder, begun = folder_at(self.folder), f"{_BEGUN}/{self.driver}/{key}"
        before = len(folder.names(begun))
        folder.create(f"{begun}/{uuid.uuid4().hex}", b"-")
        return before


def _marker(key: str) -> str:
    return f"{_DONE}/{key}.json"


def key_of(function: Callable[..., Any], task: Any) -> str:
    """Return a name for a task: what is done, its number, and a digest of all that it says."""
    fields = {field.name: repr(getattr(task, field.name)) for field in dataclasses.fields(task)}
    fields.pop("folder", None)
    step = getattr(function, "__name__", type(function).__name__)
    return f"{step}-{task.number:06}-{digest_of_value([step, fields])[:20]}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """An executor whose tasks count once, whoever runs them.

    Attributes:
        runner: executor that runs them.
        folder: path or URL of the run's folder.
        driver: id of the driver whose attempts are counted; "": none are.
    """

    runner: Runner
    folder: str
    driver: str = ""

    def __call__(
        self,
        function: Callable[[Any, Tick], R],
        tasks: Sequence[Any],
        *,
        quarantine: Callable[[Any], R] | None = None,
        **how: Any,
    ) -> list[R]:
        """Run the tasks; see Runner."""
        attempts = Attempts(function=function, folder=self.folder, aside=quarantine, driver=self.driver)
        stand_in = None if quarantine is None else partial(attempts.stand_in, quarantine)
        return self.runner(attempts, tasks, quarantine=stand_in, **how)


def mark_published(folder: str) -> None:
    """Say that a run's results are published: nobody needs its files any more."""
    folder_at(folder).create(_PUBLISHED, b"{}")


def check_place(place: str) -> None:
    """Find out whether of two who create the same file in a folder, one does.

    Args:
        place: path or URL of the folder.

    Raises:
        RunError: it cannot be written, or both do.
    """
    folder, probe = folder_at(place), f"probe-{uuid.uuid4().hex}"
    try:
        first, second = folder.create(probe, b"first"), folder.create(probe, b"second")
        held = folder.read(probe)
        folder.remove([probe])
    except (OSError, CallcostError) as error:
        raise RunError(f"cannot work in {place}: {reason_of(error)}", hint="Name another --work-dir") from error
    if (first, second, held) != (True, False, b"first"):
        message = f"{place} lets two writers create the same file, so no run there could be counted once"
        raise RunError(message, hint="Name a --work-dir on another file system or in another store")


def find_garbage(folder: Folder, *, older: float, unfinished: bool = False) -> dict[str, Stored]:
    """Return the files of runs that no one needs, to be removed: name -> what is known of it.

    Args:
        folder: the --work-dir, with the folders of runs.
        older: seconds since the last change of a file, and the last sign of its run's life, at least.
        unfinished: whether to take the runs, too, that could be resumed.
    """
    limit = time.time_ns() - int(older * 1e9)
    runs: dict[str, dict[str, Stored]] = {}
    for name, file in folder.files().items():
        run, _, below = name.partition("/")
        if run.startswith(RUN_PREFIX) and below:
            runs.setdefault(run, {})[name] = file
    garbage: dict[str, Stored] = {}
    for run, files in runs.items():
        is_over = unfinished or f"{run}/{_PUBLISHED}" in files
        if is_over and max(file.changed_ns for file in files.values()) < limit:
            garbage |= files
        else:
            unused = _unused_files(folder, run, files)
            garbage |= {name: files[name] for name in unused if files[name].changed_ns < limit}
    return garbage


def _unused_files(folder: Folder, run: str, names: Iterable[str]) -> list[str]:
    """Return what attempts that do not count have left in a run."""
    needed: set[str] = set()
    for marker in names:
        if marker.startswith(f"{run}/{_DONE}/") and (data := folder.read(marker)) is not None:
            needed |= {"/".join(path.rsplit("/", 2)[-2:]) for path in json.loads(data)["files"]}
    tried = f"{run}/{_TRIED}/"
    return [name for name in names if name.startswith(tried) and name.removeprefix(tried) not in needed]
