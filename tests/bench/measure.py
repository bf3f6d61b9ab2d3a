"""Run one command to its end and say what it took: time by the clock, time of the processors, memory.

Processor time is that of the process and of all it waited for. Memory is the peak of the summed proportional set size
(PSS) of the process and everything below it, so that pages shared between workers count once; it is sampled from
/proc, and None where there is no /proc. What the command does is its own affair.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SAMPLE_SECONDS = 0.1  # reading PSS costs the process some time: seldom enough not to show


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a command took.

    Attributes:
        wall: seconds by the clock.
        cpu: seconds of all processors, the children's included.
        peak: bytes of memory of the whole process tree at its largest; None: it cannot be told here.
        output: what the command wrote to stdout.
    """

    wall: float
    cpu: float
    peak: int | None
    output: str = ""


def take(command: Sequence[str], env: Mapping[str, str]) -> Taken:
    """Run a command.

    Args:
        command: its words.
        env: its whole environment.

    Raises:
        RuntimeError: it failed; the end of what it wrote to stderr is the message.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        process = subprocess.Popen(command, env=dict(env), stdout=output, stderr=errors)
        gauge = _Gauge(process.pid)
        gauge.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        gauge.stop()
        for stream in (output, errors):
            stream.seek(0)
        if process.returncode:
            words = errors.read().decode(errors="replace")[-2_000:]
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {words}")
        text = output.read().decode(errors="replace")
    return Taken(wall=wall, cpu=used.ru_utime + used.ru_stime, peak=gauge.peak, output=text)


class _Gauge(threading.Thread):
    """Looks at the memory of a process tree again and again."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak: int | None = None
        self._pid = pid
        self._ended = threading.Event()

    def run(self) -> None:
        """Sample until told to stop."""
        while not self._ended.wait(SAMPLE_SECONDS):
            held = [size for size in map(_proportional_size, family(self._pid)) if size is not None]
            if held:
                self.peak = max(self.peak or 0, sum(held))

    def stop(self) -> None:
        """End sampling."""
        self._ended.set()
        self.join()


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for member in found:
        for listing in Path(f"/proc/{member}/task").glob("*/children"):
            found += map(int, _read(listing).split())
    return found


def _proportional_size(pid: int) -> int | None:
    """Return a process's PSS in bytes; None where it cannot be read, or the process is gone."""
    for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:  # the process ended between two looks
        return ""
