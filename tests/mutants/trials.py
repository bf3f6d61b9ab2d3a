"""Try mutants: each in a copy of the project, against the tests of its room that run its line, until the first fails.

A copy has an interpreter of its own, so that commands that tests start run the mutant, too. Nothing is changed in the
checkout.
"""

from __future__ import annotations

import compileall
import dataclasses
import json
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
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from tests.mutants import plugin
from tests.mutants.mutate import Mutant, mutated_text
from tests.mutants.reached import FileRecord, choose_tests, read_lines

_NOT_COPIED = re.compile(r"\..*|reports|build|dist|.*\.egg-info")  # of the top level: what is made there
_PLUGIN = "plugin_of_mutants"  # what the plugin is called in a copy, beside the packages
_QUIET = ("-x", "-q", "--no-header", *(f"-p{name}" for name in (_PLUGIN, "no:cacheprovider", "no:randomly")))
_OUTPUT = "output.txt"  # of the last run of the tests in a copy
_FAILED = 1  # pytest's exit code where a test failed; 2 and more: it could not begin, which a mutant may cause, too
_NO_TEST = 5  # as where a mutant leaves no case to a test
_TIMES_SLOWER, _SECONDS_MORE = 3, 20  # than its tests take without it, a mutant may take: then it is killed, too
_FOLLOW = """\
[run]
context = ${MUTANTS_RUNNING-}
data_file = {folder}/lines/data
parallel = true
concurrency = thread, multiprocessing
patch = _exit
sigterm = true
include = {folder}/pipeline/*
disable_warnings = no-data-collected, module-not-measured, couldnt-parse, already-imported
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Room:
    """Modules, and the tests that should notice what is wrong with them.

    Attributes:
        folders: of the modules, from the top of the project.
        tests: globs of files and folders of tests.
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
            paths = sorted(root.glob(glob))
            if not paths:
                raise FileNotFoundError(f"no test is called {glob}")
            for path in paths:
                found += sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
        return list(dict.fromkeys(path.relative_to(root).as_posix() for path in found))


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """What became of a mutant.

    Attributes:
        mutant: which one.
        outcome: "failed" (a test did), "broken" (the tests could not begin), "timeout", "survived", or "not run": no
            test runs its line.
        seconds: how long its tests ran.
    """

    mutant: Mutant
    outcome: str
    seconds: float

    @property
    def is_killed(self) -> bool:
        """Whether a test noticed it."""
        return self.outcome not in ("survived", "not run")


class Copies:
    """Copies of a project, each for one mutant at a time.

    Args:
        root: the top of the project.
        folders: empty folders, one a copy.
    """

    def __init__(self, root: Path, folders: Iterable[Path]) -> None:
        self.root = root
        self._free: SimpleQueue[Path] = SimpleQueue()
        for folder in folders:
            _copy(root, folder)
            self._free.put(folder)

    def record(self, tests: str) -> FileRecord:
        """Run the tests of one file as they are, and return which lines of the package they run.

        Raises:
            RuntimeError: a test fails without any mutant.
        """
        with self._take() as folder:
            lines = folder / "lines"
            shutil.rmtree(lines, ignore_errors=True)
            lines.mkdir()
            (folder / "follow").write_text(_FOLLOW.replace("{folder}", str(folder)), encoding="utf-8")
            environment = {"COVERAGE_PROCESS_START": str(folder / "follow"), plugin.SECONDS: str(folder / "seconds")}
            outcome, alone = _test(folder, [tests], 3600.0, environment)
            if outcome != "survived":
                output = (folder / _OUTPUT).read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"{tests}: {outcome} without any mutant: {output[-2000:]}")
            seconds = json.loads((folder / "seconds").read_text(encoding="utf-8"))
            return FileRecord(seconds, read_lines(folder, lines.iterdir()), alone)

    def try_mutant(self, records: Mapping[str, FileRecord], mutant: Mutant) -> Trial:
        """Run the tests that run a mutant's line against it.

        Args:
            records: of each file of tests that may notice it.
            mutant: which.
        """
        text = mutated_text(self.root, mutant)
        if text is None:
            raise ValueError(f"{mutant} changes nothing")
        choice = choose_tests(self.root, records, mutant.module, mutant.line)
        if not choice.files:
            return Trial(mutant, "not run", 0.0)
        with self._take() as folder:
            module = folder / mutant.module
            whole = module.read_text(encoding="utf-8")
            (folder / "choice").write_text(json.dumps(choice.places), encoding="utf-8")
            limit = choice.seconds * _TIMES_SLOWER + _SECONDS_MORE
            try:
                module.write_text(text, encoding="utf-8")
                return Trial(mutant, *_test(folder, choice.files, limit, {plugin.CHOICE: str(folder / "choice")}))
            finally:
                module.write_text(whole, encoding="utf-8")

    @contextmanager
    def _take(self) -> Iterator[Path]:
        """Take a copy that nobody else uses."""
        folder = self._free.get()
        try:
            yield folder
        finally:
            self._free.put(folder)


@contextmanager
def open_copies(root: Path, count: int) -> Iterator[Copies]:
    """Make copies of a project that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        yield Copies(root, (Path(folder, str(number)) for number in range(count)))


def record_tests(copies: Copies, files: Iterable[str], *, workers: int) -> Iterator[tuple[str, FileRecord]]:
    """Yield files of tests and which lines these run."""
    names = list(files)
    with ThreadPoolExecutor(workers) as pool:
        yield from zip(names, pool.map(copies.record, names), strict=True)


def try_mutants(
    copies: Copies, records: Mapping[str, FileRecord], mutants: Iterable[Mutant], *, workers: int, until: float
) -> Iterator[Trial]:
    """Yield what becomes of mutants, as their tests end.

    Args:
        copies: as many as workers.
        records: of the files of tests that should notice them.
        mutants: in the order in which they are tried.
        workers: mutants tried at a time.
        until: moment of ``time.monotonic`` from which no further one begins.
    """
    with ThreadPoolExecutor(workers) as pool:
        coming = iter(mutants)
        first = islice(coming, workers)
        running = {pool.submit(copies.try_mutant, records, mutant) for mutant in first}
        while running:
            done = next(as_completed(running))
            running.remove(done)
            mutant = next(coming, None) if time.monotonic() < until else None
            if mutant is not None:
                running.add(pool.submit(copies.try_mutant, records, mutant))
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
    shutil.copy(plugin.__file__, Path(packages, f"{_PLUGIN}.py"))
    follow = "import os; 'COVERAGE_PROCESS_START' in os.environ and __import__('coverage').process_startup()"
    lines = (str(folder / "pipeline"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), follow)
    Path(packages, "project.pth").write_text("\n".join(lines), encoding="utf-8")
    # Compiled once; a module that is changed does not fit the hash of what was compiled, whatever its size and time.
    compileall.compile_dir(folder / "pipeline", quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def _test(folder: Path, files: Iterable[str], limit: float, environment: Mapping[str, str]) -> tuple[str, float]:
    """Run files of tests in a copy; return what became of them, and the seconds that they took."""
    begun = time.monotonic()
    # No options of this run, and bytecode: a test that notices only at full size, or late, comes too late.
    ours = ("PYTEST_", "CALLCOST_LONG", "PYTHONDONTWRITEBYTECODE")
    own = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    own |= {"PYTHONPATH": str(folder), **environment}
    words = [str(folder / ".venv/bin/python"), "-m", "pytest", *_QUIET, *files]
    with (
        (folder / _OUTPUT).open("wb") as output,
        subprocess.Popen(
            words, cwd=folder, env=own, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError):  # and whatever its tests started
                os.killpg(process.pid, signal.SIGKILL)
    kinds = {None: "timeout", 0: "survived", _NO_TEST: "survived", _FAILED: "failed"}
    return kinds.get(code, "broken"), time.monotonic() - begun
