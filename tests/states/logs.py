"""The logs that recorded states were made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.command import write_lines

CLOSED = "2025-11-02"


def _row(day: int, number: int, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1000 * day + number, "completion_tokens": 10 * number}
    moment = f"2025-11-{day:02}T08:00:{number:02}Z"
    return {"timestamp": moment, "model": "gpt-4o", "user": f"user-{number}", "usage": usage, **more}


def write_logs(folder: Path) -> None:
    """Write three days: calls with an id, without one, with a time below the second, without a time, and rejects."""
    for day in (1, 2, 3):
        rows: list[dict[str, Any] | bytes] = [_row(day, n, id=f"call-{day}-{n}") for n in range(3)]
        rows += [_row(day, 3), _row(day, 4, timestamp=f"2025-11-{day:02}T09:00:00.123456Z"), b"{broken"]
        rows += [_row(day, 5, id=f"undated-{day}", timestamp=None)]
        write_lines(folder / f"day-{day}.jsonl", rows)


def write_recordings(folder: Path) -> None:
    """Write calls that state what their reasoning took, as many as a kind of them needs to be known by."""
    usage = {"prompt_tokens": 10, "completion_tokens": 100, "completion_tokens_details": {"reasoning_tokens": 64}}
    rows = [_row(1, n, id=f"r-{n}", model="o3", messages=f"What is {n}?", response="A number.", usage=usage)
            for n in range(40)]  # fmt: skip
    write_lines(folder / "reasoned.jsonl", rows)
