"""No import does work: no network, no process, no file but modules, and nothing heavy before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT, callcost
from tests.conftest import LONG

HEAVY = (
    "polars",
    "pyarrow",
    "tiktoken",
    "tokenizers",
    "httpx",
    "rich",
    "msgspec",
    "zstandard",
    "asyncio",
    "multiprocessing",
)
UNNEEDED = ("pyarrow.compute",)  # for a report of few calls
MODULES = sorted(
    ".".join(path.relative_to(ROOT / "pipeline").with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "pipeline" / "callcost").rglob("*.py")
)

# Imports all modules once, so that third parties are there and only our own doings are watched; then those of each word
# anew in a process of its own, which begins as this one stands.
WATCH = """
import importlib, json, os, sys
groups = [word.split() for word in sys.argv[1:]]
for module in sum(groups, []):
    importlib.import_module(module)
WORK = {"open", "os.mkdir", "os.remove", "os.rename", "tempfile.mkstemp", "_thread.start_new_thread",
        "socket.__new__", "socket.connect", "socket.getaddrinfo",
        "subprocess.Popen", "os.system", "os.fork", "os.posix_spawn"}
def doings_of(modules):
    seen = []
    def watch(event, arguments):
        if event in WORK and not (event == "open" and str(arguments[0]).endswith((".py", ".pyc"))):
            seen.append([event, str(arguments[:1])])
    for name in [name for name in sys.modules if name.split(".")[0] == "callcost"]:
        del sys.modules[name]
    sys.addaudithook(watch)
    for module in modules:
        importlib.import_module(module)
    return seen
found = []
for modules in groups:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            words = json.dumps(doings_of(modules))
        except BaseException as error:
            words = json.dumps([["failed", repr(error)]])
        os.write(writing, words.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as words:
        found += json.loads(words.read())
    os.waitpid(child, 0)
sys.stdout.write(json.dumps(found))
"""


def _python(code: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_import_does_no_work() -> None:
    """In the nightly run each module is also the first that is imported."""
    watched = [name for name in MODULES if name != "callcost.__main__"]
    groups = len(watched) if LONG else 4
    assert json.loads(_python(WATCH, *(" ".join(watched[start::groups]) for start in range(groups)))) == []


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from callcost.cli.root import run; run(['--help']); sys.stdout.write(str(sorted(sys.modules)))"
    loaded = _python(code)
    assert "report" in loaded
    for name in HEAVY:
        assert f"'{name}'" not in loaded, name


@pytest.mark.parametrize(
    "words", [("--help",), ("report", "--help"), ("inspect", "--help"), ("prices", "--help"), ("--version",)]
)
def test_help_is_there_for_every_verb(words: tuple[str, ...]) -> None:
    finished = callcost(*words, apart=True)
    assert (finished.code, finished.stderr) == (0, "")
    assert finished.stdout


def test_a_report_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    code = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
# As where pandas is not installed: Arrow loads it to make an array of a list, and it loads what is asked for here.
PathFinder.find_spec = lambda name, *where: None if name == "pandas" else find(name, *where)
from callcost.cli.root import run
run(["report", "sample_logs", "--quiet", "--out", sys.argv[1]])
sys.stdout.write(str(sorted(sys.modules)))
"""
    loaded = _python(code, str(tmp_path / "out"))
    assert "'callcost.stages.pricing.price_facts'" in loaded
    assert [name for name in UNNEEDED if f"'{name}'" in loaded] == []


@pytest.mark.parametrize("room", ["logs", "tokens", "prices", "helpers", "models", "tables", "settings"])
def test_the_lower_rooms_never_load_polars(room: str) -> None:
    """Even indirectly: asked of a running interpreter, not of the import statements."""
    code = """
import importlib, sys
for module in sys.argv[1:]:
    importlib.import_module(module)
sys.stdout.write(str([name for name in ("polars", "pyarrow") if name in sys.modules]))
"""
    assert _python(code, *[name for name in MODULES if name.split(".")[1:2] == [room]]) == "[]"
