"""The guides: their commands in order, what each step prints on a terminal, and the pages made anew.

``python -m tests.shape.guides`` writes the guides with what the commands print now. A block of bash is one step; the
block of text after it is what it leaves on the screen, in which a line of "..." stands for more.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from callcost.cli.root import run
from tests.command import ROOT, SAMPLES

GUIDES = sorted((ROOT / "docs").glob("guide-*.md"))
MORE = "..."
_STEP = re.compile(r"^```bash\n(.*?\n)```\n(?:\n```text\n(.*?)```\n)?", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"((?:.*\\\n)*.*<<'(\w+)'\n(?:.*\n)*?\2|(?:.*\\\n)*.*)\n")
# A run and how long it took; a digest.
_OF_THE_CLOCK = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\dZ  +(\d+\.\d)?|\b[0-9a-f]{64}\b")


class _Screen(io.StringIO):
    """A terminal of 100 signs, without colours."""

    def isatty(self) -> bool:
        return True


class Walk:
    """A reader who does what a guide says, in a folder of their own.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        (folder / SAMPLES.name).symlink_to(SAMPLES)
        self.folder, self.code = folder, 0

    def do(self, step: str) -> list[str]:
        """Run the commands of a block of bash; return the lines that stay on the screen."""
        return [line for command, _ in _COMMAND.findall(step) for line in self._run(command)]

    def _run(self, command: str) -> list[str]:
        if command == "echo $?":
            return [str(self.code)]
        if command.startswith("callcost "):
            screen = _Screen()
            with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
                self.code = run(shlex.split(command.replace("\\\n", " "))[1:])
            left = screen.getvalue().rpartition("\x1b[2K")[2]  # what came before is the progress bar
            left = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", left)
        else:
            done = subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True, check=False, text=True)
            assert done.stderr == "", done.stderr
            self.code, left = done.returncode, done.stdout
        lines = [line.rstrip() for line in left.splitlines()]
        return "\n".join(lines).strip("\n").splitlines()


@contextlib.contextmanager
def walk(folder: Path) -> Iterator[Walk]:
    """Give a reader a folder and a terminal; afterwards all is as it was."""
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"NO_COLOR": "1", "COLUMNS": "100", "LINES": "60", "TERM": "xterm"}.items():
            patch.setenv(name, value)
        os.chdir(folder)
        try:
            yield Walk(folder)
        finally:
            os.chdir(before)


def steps(page: Path) -> list[tuple[str, list[str]]]:
    """Return the commands of each step of a guide, and what it shows."""
    return [(step, shown.splitlines()) for step, shown in _STEP.findall(page.read_text(encoding="utf-8"))]


def is_shown(seen: list[str], shown: list[str]) -> bool:
    """Say whether a page shows what was seen; times of runs, how long they took, and digests aside."""
    *parts, last = re.split(r"^\.\.\.\n", "".join(f"{line}\n" for line in shown), flags=re.MULTILINE)
    pattern = "(?:.*\n)+?".join(re.escape(_OF_THE_CLOCK.sub("@", part)) for part in [*parts, last])
    return re.fullmatch(pattern, _OF_THE_CLOCK.sub("@", "".join(f"{line}\n" for line in seen))) is not None


def _rewritten(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, walk(Path(folder)) as reader:
        for step, shown in steps(page):
            seen = reader.do(step)
            if not is_shown(seen, shown):
                head = f"```bash\n{step}```\n\n```text\n"
                before, after = (head + "".join(f"{line}\n" for line in lines) for lines in (shown, seen))
                text = text.replace(before, after)
    return text


if __name__ == "__main__":
    for guide in GUIDES:
        guide.write_text(_rewritten(guide), encoding="utf-8")
