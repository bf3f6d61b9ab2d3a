"""The command as a process: it ends at once, with its code, its words and its registered ends all there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import callcost

AT_THE_END = """
import atexit, sys
from callcost import __main__
import callcost.cli.root as root
def run(arguments=None):
    atexit.register(print, "registered later, called before")
    sys.stdout.write("not flushed; ")
    {act}
root.run = run
__main__.command()
"""


def ended(act: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", AT_THE_END.format(act=act)]
    return subprocess.run(program, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("act", "code"),
    [("return 0", 0), ("return 3", 3), ("raise KeyboardInterrupt", 130), ("raise ValueError('odd')", 1)],
)
def test_it_ends_with_its_code_after_all_that_was_registered(act: str, code: int) -> None:
    done = ended(act)

    assert (done.returncode, done.stdout) == (code, "not flushed; registered later, called before\n")
    assert ("odd" in done.stderr) == ("odd" in act)


def test_words_that_cannot_be_written_are_a_failure() -> None:
    program = AT_THE_END.format(act="return 0").replace("atexit.register", "max")
    with Path("/dev/full").open("w") as full:
        assert subprocess.run([sys.executable, "-c", program], check=False, stdout=full).returncode == 1


@pytest.mark.parametrize(
    "odd", [EOFError("the other end is gone"), KeyboardInterrupt()], ids=lambda odd: type(odd).__name__
)
def test_an_end_of_data_is_no_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: BaseException) -> None:
    """Click takes both for Ctrl-C or Ctrl-D at a prompt, and there is none."""

    def fail(*_words: object, **_options: object) -> None:
        raise odd

    monkeypatch.setattr("callcost.jobs.explain.explain_call", fail)
    words = ("explain", tmp_path / "a.jsonl", "--call", "x")
    if isinstance(odd, KeyboardInterrupt):
        finished = callcost(*words)
        assert (finished.code, "interrupted" in finished.stderr) == (130, True)
    else:
        with pytest.raises(EOFError, match="the other end is gone"):
            callcost(*words)
