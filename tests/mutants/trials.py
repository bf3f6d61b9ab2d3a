"""Try mutants: each in a copy of the project, against the tests of its room, until the first test fails.

A copy has an interpreter of its own, so that commands that tests start run the mutant, too. Nothing is changed in the
checkout.
"""

from __future__ import annotations

import compileall
import dataclasses
import os
import py_compile
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
import venv
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.mutate import Mutant, mutated_text

_NOT_COPIED = re.compile(r"\..*|reports|build|dist|.*\.egg-info")  # of the top level: what is made there
_QUIET = ("-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly")
_OUTPUT = "output.txt"  # of the last run of the tests in a copy
_FAILED = 1  # pytest's exit code where a test failed; 2 and more: it could not begin, which a mutant may cause, too


@dataclasses.dataclass(frozen=True, slots=True)
class Room:
    """Modules, and the tests that should notice what is wrong with them.

    Attributes:
        folders: of the modules, from the top of the project.
        tests: globs of files and folders of tests, those that end sooner first.
    """

    folders: tuple[str, ...]
    tests: tuple[str, ...]

    def modules(self, root: Path) -> list[str]:
        """Return the paths of the room's modules, from the top of the project."""
        found = (path for folder in self.folders for path in (root / folder).rglob("*.py"))
        return sorted(path.relative_to(root).as_posix() for path in found if path.name != "__init__.py")

    def test_files(self, root: Path) -> list[str]:
        """Return the paths of the room's tests, from the top of the project.

        Raises:
            FileNotFoundError: there is nothing where tests should be.
        """
        found = []
        for glob in self.tests:
            paths = sorted(path.relative_to(root).as_posix() for path in root.glob(glob))
            if not paths:
                raise FileNotFoundError(f"no test is called {glob}")
            found += paths
        return list(dict.fromkeys(found))


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """What became of a mutant.

    Attributes:
        mutant: which one.
        outcome: "failed" (a test did), "broken" (the tests could not begin), "timeout" or "survived".
        seconds: how long its tests ran.
    """

    mutant: Mutant
    outcome: str
    seconds: float

    @property
    def is_killed(self) -> bool:
        """Whether a test noticed it."""
        return self.outcome != "survived"


class Copies:
    """Copies of a project, each for one mutant at a time.

    Args:
        root: the top of the project.
        folders: empty folders, one a copy.
    """

    def __init__(self, root: Path, folders: Iterable[Path]) -> None:
        self._root = root
        self._free: SimpleQueue[Path] = SimpleQueue()
        for folder in folders:
            _copy(root, folder)
            self._free.put(folder)

    def measure(self, room: Room, *options: str) -> float:
        """Run the tests of a room as they are, with options of pytest, and return the seconds that they took.

        Raises:
            RuntimeError: a test fails without any mutant.
        """
        folder = self._free.get()
        try:
            outcome, seconds = _test(folder, room, 3600.0, *options)
            if outcome != "survived":
                output = (folder / _OUTPUT).read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"{outcome} without any mutant: {output[-2000:]}")
        finally:
            self._free.put(folder)
        return seconds

    def try_mutant(self, room: Room, mutant: Mutant, limit: float) -> Trial:
        """Run the tests of a room against a mutant, ``limit`` seconds at the most."""
        text = mutated_text(self._root, mutant)
        if text is None:
            raise ValueError(f"{mutant} changes nothing")
        folder = self._free.get()
        module = folder / mutant.module
        whole = module.read_text(encoding="utf-8")
        try:
            module.write_text(text, encoding="utf-8")
            return Trial(mutant, *_test(folder, room, limit))
        finally:
            module.write_text(whole, encoding="utf-8")
            self._free.put(folder)


@contextmanager
def open_copies(root: Path, count: int) -> Iterator[Copies]:
    """Make copies of a project that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        yield Copies(root, (Path(folder, str(number)) for number in range(count)))


def try_mutants(
    copies: Copies, room: Room, mutants: Iterable[Mutant], *, workers: int, limit: float, until: float
) -> Iterator[Trial]:
    """Yield what becomes of mutants, as their tests end.

    Args:
        copies: as many as workers.
        room: of the mutants.
        mutants: in the order in which they are tried.
        workers: mutants tried at a time.
        limit: seconds of one mutant's tests.
        until: moment of ``time.monotonic`` from which no further one begins.
    """
    with ThreadPoolExecutor(workers) as pool:
        coming = iter(mutants)
        first = islice(coming, workers)
        running = {pool.submit(copies.try_mutant, room, mutant, limit) for mutant in first}
        while running:
            done = next(as_completed(running))
            running.remove(done)
            mutant = next(coming, None) if time.monotonic() < until else None
            if mutant is not None:
                running.add(pool.submit(copies.try_mutant, room, mutant, limit))
            yield done.result()


def _copy(root: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in root.iterdir():
        if _NOT_COPIED.fullmatch(source.name):
            continue
        if source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__", "actual"))
        else:
            shutil.copy(source, folder)
    venv.create(folder / ".venv", symlinks=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(folder / ".venv")})
    lines = (str(folder / "pipeline"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    Path(packages, "project.pth").write_text("\n".join(lines), encoding="utf-8")
    # Compiled once; a module that is changed does not fit the hash of what was compiled, whatever its size and time.
    compileall.compile_dir(folder / "pipeline", quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def _test(folder: Path, room: Room, limit: float, *options: str) -> tuple[str, float]:
    """Run the tests of a room in a copy; return what became of them, and the seconds that they took."""
    begun = time.monotonic()
    ours = ("PYTEST_", "CALLCOST_LONG")  # no options of this run; a test that notices only at full size comes too late
    own = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment = {**own, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    words = [str(folder / ".venv/bin/python"), "-m", "pytest", *_QUIET, *options, *room.test_files(folder)]
    with (
        (folder / _OUTPUT).open("wb") as output,
        subprocess.Popen(
            words, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError):  # and whatever its tests started
                os.killpg(process.pid, signal.SIGKILL)
    outcome = "timeout" if code is None else "survived" if code == 0 else "failed" if code == _FAILED else "broken"
    return outcome, time.monotonic() - begun
