"""Copies are settled only where a change may concern them, and as they are over all records."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.jobs.engine.map_reduce import Settled, settle_found
from callcost.jobs.state.unchanged.kept_sums import KeptGroup, KeptSums, keep_sums, read_sums
from callcost.jobs.state.unchanged.log_groups import LogGroup
from callcost.jobs.state.unchanged.settle_copies import Copies, settle_copies
from callcost.logs.io.folders import folder_at
from callcost.runners.ledger import Ledger
from callcost.settings import ReportOptions
from callcost.stages.tables.facts import bucket_of, widen_facts, write_facts
from callcost.stages.tables.schemas import Facts, VerdictRows
from callcost.tables import TRACED, MapResult, ReduceResult

OPTIONS = ReportOptions(logs=("logs",))


def _group(rng: random.Random, number: int, folder: Path, *, own: str = "", is_forked: bool = False) -> LogGroup:
    """Return a log of ten calls whose keys and spans come from few; ``own`` tells them from those of others."""
    rows = []
    for record in range(10):
        tokens, exporter = rng.randrange(1, 9), rng.choice(("openai", "otel"))
        spans = [None if rng.random() < 0.7 else f"{TRACED} {own}{rng.randrange(150)}" for _ in range(2)]
        rows.append(
            {
                "piece": number, "record": record, "line": 0, "input": number, "source_file": f"log-{number}",
                "key": f"by id {exporter} {own}{rng.randrange(300)}", "key_kind": rng.choice(("id", "id", "none")),
                "span": spans[0], "parent": spans[1], "usage_source": rng.choice(("reported", "missing")),
                "request_digest": rng.choice((None, "a", "b")), "record_digest": f"{rng.randrange(2**40):x}",
                "started_at": datetime(2026, 1, 1 + rng.randrange(9), tzinfo=UTC), "total_tokens": tokens,
                "completion_tokens": tokens, "session": f"session {number}", "forked_at": None,
                "ancestors": [f"session {number - 1}"] if is_forked else None, "flags": [],
            }
        )  # fmt: skip
    types = {name: kind for name, kind in Facts.types.items() if name in rows[0]}
    narrow = pl.DataFrame(rows, schema=types).with_columns(bucket=bucket_of(pl.col("key")))
    write_facts(widen_facts(narrow), path := folder / f"facts-{number:08}-0.parquet")
    return LogGroup(name=f"group {number}", files=(str(path),), facts=10)


class State:
    """A state of logs that come and go.

    Args:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.kept = folder, KeptSums(recipe="")
        self.ledger = Ledger(folder_at(str(folder / "state")))
        self.ledger.folder.prepare()

    def settle(self, groups: Sequence[LogGroup]) -> Copies:
        """Settle logs with what was kept, keep what was found, and compare it with what all records give."""
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        mapped = MapResult(files=[path for group in groups for path in group.files], facts=10 * len(groups))
        found = Settled(inputs=[], mapped=mapped, workers=1, folder=str(work))
        copies = settle_copies(self.ledger, OPTIONS, found, groups, self.kept)
        rows, causes = _rows_of(copies.result), copies.result.duplicates
        whole = settle_found(OPTIONS, found)
        assert (rows, causes) == (_rows_of(whole), whole.duplicates)
        kept = {
            name: KeptGroup(link=link, settled="", result=ReduceResult(), days={})
            for name, link in copies.links.items()
        }
        tables = {"verdicts": copies.verdicts}
        self.ledger.published |= keep_sums(self.ledger, KeptSums(recipe="", groups=kept, tables=tables))
        self.kept = read_sums(self.ledger, "")
        return copies


def _rows_of(result: ReduceResult) -> list[tuple[Any, ...]]:
    order = list(VerdictRows.names)
    return pl.concat([pl.DataFrame(schema=VerdictRows.types), *map(pl.read_parquet, result.files)]).sort(order).rows()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files of facts copies were looked for in, each time."""
    counts: list[int] = []

    def counting(options: ReportOptions, found: Settled) -> ReduceResult:
        counts.append(len(found.mapped.files))
        return settle_found(options, found)

    monkeypatch.setattr("callcost.jobs.state.unchanged.settle_copies.settle_found", counting)
    return counts


@pytest.mark.parametrize("seed", range(4))
def test_copies_are_those_of_all_records(tmp_path: Path, seed: int, settled: list[int], long_run: bool) -> None:
    rng, state = random.Random(seed), State(tmp_path)
    groups: list[LogGroup] = []
    for number in range(60 if long_run else 12):
        if groups and rng.random() < 0.3:
            groups.remove(rng.choice(groups))
        groups.append(_group(rng, number, tmp_path))
        if rng.random() < 0.2:
            for path in (tmp_path / "state/sums").glob("*.links.parquet"):
                path.write_bytes(b"") if rng.random() < 0.5 else path.unlink()
        state.settle(groups)
    assert min(settled[4:]) < len(groups)


def test_only_logs_that_share_a_key_or_a_span_are_settled_again(tmp_path: Path, settled: list[int]) -> None:
    state, groups = State(tmp_path), []
    for number in range(5):
        groups.append(_group(random.Random(number), number, tmp_path, own=f"{number}-"))
        state.settle(groups)
    assert settled == [1] * 5
    groups.append(_group(random.Random(3), 9, tmp_path, own="3-"))  # the same calls as those of one of them
    assert state.settle(groups).result.duplicates
    assert settled[5:] == [2]
    state.settle(groups[:-1])
    assert settled[6:] == [1]


def test_forks_are_settled_over_all(tmp_path: Path, settled: list[int]) -> None:
    state = State(tmp_path)
    groups = [_group(random.Random(number), number, tmp_path, own=f"{number}-") for number in range(3)]
    state.settle(groups)
    forked = _group(random.Random(2), 7, tmp_path, is_forked=True)
    state.settle([*groups, forked])
    state.settle(groups)  # it is gone: records of others may count again
    state.settle(groups)
    assert settled == [3, 4, 3, 0]
