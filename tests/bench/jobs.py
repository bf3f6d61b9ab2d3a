"""What one process of a measurement does: a work's name, and this process's share of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

Work = Callable[[], int]  # does the timed work, returns units done


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one process does.

    Attributes:
        path: of the log.
        rows: units of work of all processes together; 0: all of the file.
        part: which share of them is this process's.
        parts: how many shares there are.
    """

    path: str = ""
    rows: int = 0
    part: int = 0
    parts: int = 1

    def share(self, whole: int) -> tuple[int, int]:
        """Return first and end of this process's part of a range."""
        return whole * self.part // self.parts, whole * (self.part + 1) // self.parts
