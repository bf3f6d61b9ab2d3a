"""Exactly once: whoever runs a task, how often, and wherever it is killed, one attempt counts.

Every attempt writes into a folder of its own. The one that is whole first creates the task's marker, which holds its
manifest line; only the files that a marker names are read on. A task that has a marker is not run again, so a run that
was killed goes on where it was, and two drivers of one run share the work. What the others left is garbage that
``sweep_place`` removes. A task is known by its function and all that it says, but for where its files go.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from callcost.logs.io.object_store import Stored
from callcost.runners.protocol import Result, Runner, Tick, silent
from callcost.runners.shared_files import create_file, keep_file, list_files, open_folder, read_file, remove_files

RUN_PREFIX = "run-"
_DONE, _TRIED, _BEGUN, _PUBLISHED = "done", "tried", "begun", "published.json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """A function each of whose calls is an attempt, of which one counts.

    Attributes:
        function: of (task, tick); the task is a dataclass with a ``number`` and a ``folder``.
        folder: of the run.
        aside: stands for a task that was begun too often; None: nothing does.
        driver: whose attempts are counted; "": nobody's.
        most: attempts.
    """

    function: Callable[[Any, Tick], Result]
    folder: str
    aside: Callable[[Any], Result] | None = None
    driver: str = ""
    most: int = 3

    def __call__(self, task: Any, tick: Tick) -> Result:
        """Return the line of the attempt that counts, which may be an earlier one."""
        key = key_of(self.function, task)
        known = read_file(self._marker(key))
        if known is None:
            if self.driver and self._begin(key) >= self.most and self.aside is not None:
                return self.stand_in(self.aside, task)
            return self._attempt(self.function, key, task, tick)
        line: Result = json.loads(known)
        tick(*line["ticked"])
        return line

    def stand_in(self, aside: Callable[[Any], Result], task: Any) -> Result:
        """Return the line of what stands for a task that ends its workers."""
        return self._attempt(lambda own, _tick: aside(own), key_of(self.function, task), task, silent)

    def _attempt(self, function: Callable[[Any, Tick], Result], key: str, task: Any, tick: Tick) -> Result:
        ticked = [0, 0]

        def counted(read_bytes: int, calls: int) -> None:
            ticked[0] += read_bytes
            ticked[1] += calls
            tick(read_bytes, calls)

        own = f"{self.folder}/{_TRIED}/{key}-{uuid.uuid4().hex[:12]}"
        with open_folder(own) as here:
            line = function(dataclasses.replace(task, folder=here), counted)
            files = [keep_file(path, own) for path in line["files"]]
        data = json.dumps({**line, "ticked": ticked, "files": files}).encode()
        if not create_file(self._marker(key), data):
            remove_files(files, within=self.folder)
            data = read_file(self._marker(key)) or data
        return dict(json.loads(data))

    def _marker(self, key: str) -> str:
        return f"{self.folder}/{_DONE}/{key}.json"

    def _begin(self, key: str) -> int:
        """Write down that an attempt begins; return how many did before it."""
        begun = f"{self.folder}/{_BEGUN}/{self.driver}/{key}"
        before = len(list_files(begun))
        create_file(f"{begun}/{uuid.uuid4().hex}", b"-")
        return before


def key_of(function: Callable[..., Any], task: Any) -> str:
    """Return a name for a task: what is done, its number, and a digest of all that it says."""
    said = {name: value for name, value in _plain(task).items() if name != "folder"}
    step = getattr(function, "__name__", type(function).__name__)
    digest = hashlib.sha256(json.dumps([step, said], sort_keys=True, default=str).encode()).hexdigest()
    return f"{step}-{task.number:06}-{digest[:20]}"


def _plain(task: Any) -> dict[str, Any]:
    return {field.name: repr(getattr(task, field.name)) for field in dataclasses.fields(task)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """An executor whose tasks count once, whoever runs them.

    Attributes:
        runner: runs them.
        folder: of the run.
        driver: see Attempts.
    """

    runner: Runner
    folder: str
    driver: str = ""

    def __call__(
        self,
        function: Callable[[Any, Tick], Result],
        tasks: Sequence[Any],
        *,
        quarantine: Callable[[Any], Result] | None = None,
        **how: Any,
    ) -> list[Result]:
        """Run the tasks; see Runner."""
        attempts = Attempts(function=function, folder=self.folder, aside=quarantine, driver=self.driver)
        stand_in = None if quarantine is None else partial(attempts.stand_in, quarantine)
        return self.runner(attempts, tasks, quarantine=stand_in, **how)


def mark_published(folder: str) -> None:
    """Say that a run's results are published: nobody needs its files any more."""
    create_file(f"{folder}/{_PUBLISHED}", b"{}")


def sweep_place(place: str, *, older: float, unfinished: bool = False) -> list[Stored]:
    """Return the files below a place of runs that no one needs, to be removed.

    Args:
        place: with the folders of runs.
        older: seconds that a file, and the last sign of its run's life, has to be old.
        unfinished: also take the runs that could be resumed.
    """
    limit = time.time_ns() - int(older * 1e9)
    runs: dict[str, list[Stored]] = {}
    for file in list_files(place.rstrip("/")):
        name, _, below = file.url[len(place.rstrip("/")) + 1 :].partition("/")
        if name.startswith(RUN_PREFIX) and below:
            runs.setdefault(name, []).append(file)
    gone: list[Stored] = []
    for name, files in runs.items():
        root = f"{place.rstrip('/')}/{name}"
        whole = unfinished or any(file.url == f"{root}/{_PUBLISHED}" for file in files)
        if whole and max(file.changed_ns for file in files) < limit:
            gone += files
        else:
            gone += [file for file in _garbage(root, files) if file.changed_ns < limit]
    return gone


def _garbage(root: str, files: Sequence[Stored]) -> list[Stored]:
    """Return what attempts that do not count have left in a run."""
    needed: set[str] = set()
    for file in files:
        if file.url.startswith(f"{root}/{_DONE}/") and (data := read_file(file.url)) is not None:
            needed |= {"/".join(path.rsplit("/", 2)[-2:]) for path in json.loads(data)["files"]}
    tried = [file for file in files if file.url.startswith(f"{root}/{_TRIED}/")]
    return [file for file in tried if "/".join(file.url.rsplit("/", 2)[-2:]) not in needed]
