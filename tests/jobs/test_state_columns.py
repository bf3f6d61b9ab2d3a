"""A state reads by columns what it would read record by record; facts of either kind go together, whatever is gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.logs.record_reader import RecordReader
from tests.bench.logs import lean
from tests.jobs.test_nightly import Job
from tests.laws.test_litellm_columns import STANDARD, ordinary, stated

_ASKED, _OTHERWISE = ([{"role": "user", "content": text}] for text in ("What is two?", "What is three?"))
Row = dict[str, Any]


def chats(count: int, **more: Any) -> list[Row]:
    """Return calls of LiteLLM's callback that state their usage beside their text."""
    times = {"startTime": 1764500000.25, "endTime": 1764500001.5}
    own = times | {"messages": _ASKED} | more
    return [stated(ordinary(STANDARD, id=f"c-{number}", **own)) for number in range(count)]


def plain(count: int, **more: Any) -> list[Row]:
    """Return rows of one's own making that state their usage beside their text."""
    usage = {"prompt_tokens": 90, "completion_tokens": 8}
    own = {"model": "gpt-4o", "messages": _ASKED, "response": "A number.", "usage": usage}
    moment = "2026-03-01T08:00:00.5Z"
    return [{"id": f"p-{number}", "timestamp": moment, **own, **more} for number in range(count)]


LOGS: dict[str, Callable[..., list[Row]]] = {
    "litellm_standard": chats, "plain": plain,
    "litellm_spend": lambda count, **more: [row | more for row in lean(count)],
}  # fmt: skip


def _copies(rows: list[Row]) -> list[Row]:
    """Return each row once more: some as they were, in another order, with null, with another text, with a trace."""
    changes: list[Callable[[Row], Row]] = [
        dict, lambda row: dict(reversed(row.items())), lambda row: row | {"nothing": None},
        lambda row: row | {"messages": _OTHERWISE}, lambda row: row | {"note": "again"},
    ]  # fmt: skip
    return [change(row) for number, row in enumerate(rows) for change in (changes[number % len(changes)],)]


class _Nights:
    """Two nights of a job; the first log is gone in the second, which holds copies of its calls."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, rows: list[Row]) -> None:
        self._folder, self._patch, self._rows = folder, patch, rows
        self.one_by_one = 0
        read = RecordReader.read

        def spied(reader: RecordReader, raw: Any) -> Any:
            self.one_by_one += 1
            return read(reader, raw)

        patch.setattr(RecordReader, "read", spied)

    def publish(self, *by_columns: bool, workers: int = 1) -> tuple[dict[str, str], pl.DataFrame, list[int]]:
        """Return what is published after nights that are read by columns or not, its calls, and who was read singly."""
        name = f"{'-'.join(map(str, by_columns))}-{workers}"
        logs = self._folder / "logs"
        job = Job(logs, self._folder / name)
        logs.mkdir(exist_ok=True)
        singly = []
        for night, columns in enumerate(by_columns):
            for log in logs.iterdir():
                log.unlink()
            rows = _copies(self._rows) if night else self._rows
            (logs / f"night-{night}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            for limit in ("COLUMN_BYTES", "LEARN_BYTES"):
                self._patch.setattr(f"callcost.stages.columnar.stretches.{limit}", 0 if columns else 1 << 40)
            self.one_by_one = 0
            job.run("--workers", str(workers))
            singly.append(self.one_by_one)
        calls = pl.read_parquet(sorted(job.out.glob("day=*/calls.parquet")), hive_partitioning=False)
        return job.files(), calls, singly


@pytest.mark.parametrize("name", LOGS)
def test_facts_of_columns_and_of_records_settle_each_other(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 40
    nights = _Nights(tmp_path, monkeypatch, LOGS[name](count))
    expected, calls, singly = nights.publish(False, False)
    conflicts = calls.filter(pl.col("flags").list.contains("id_conflict")).height
    assert (calls.height, conflicts) == {"litellm_spend": (count, 0)}.get(name, (count + count // 5, 2 * count // 5))
    assert singly == [count, count]
    for kinds in ((True, False), (False, True), (True, True)):
        files, _, singly = nights.publish(*kinds)
        assert files == expected, kinds
        assert (singly[0] == 0) == kinds[0]
        assert singly[1] < count or not kinds[1]


def test_two_workers_read_the_same_by_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = _Nights(tmp_path, monkeypatch, chats(40))
    assert nights.publish(True, True)[0] == nights.publish(True, True, workers=2)[0]
