"""Delta tables: whole days are replaced, exactly, again and again, and by several at once."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.errors import ConfigError
from callcost.stages.report.delta_table import DeltaDays
from callcost.stages.tables.schemas import TAG_MAP, Calls, columns_of_calls
from tests.command import ROOT, callcost, write_lines

deltalake = pytest.importorskip("deltalake", reason="pip install 'callcost[delta]'")
FIRST, SECOND = date(2025, 11, 1), date(2025, 11, 2)
COST = Decimal("12345678901234567890.123456789012345678")
KINDS = {name: Calls.types[name] for name in columns_of_calls(hashed=False)}
MOMENT = datetime(2025, 11, 1, 23, 59, 59, 999999, tzinfo=UTC)


def calls(*names: str, cost: Decimal = COST) -> pl.DataFrame:
    rows = [{"call_id": name, "started_at": MOMENT, "total_cost": cost, "flags": ["a", "b"]} for name in names]
    return pl.DataFrame(rows, schema=KINDS)


def held(out: Path) -> dict[Any, list[str]]:
    """Return the ids of each day."""
    table = pl.read_delta(str(out / "calls.delta")).sort("day", "call_id")
    return {day: part["call_id"].to_list() for (day,), part in table.group_by("day", maintain_order=True)}


def test_a_day_is_replaced_as_a_whole_and_no_other_is_touched(tmp_path: Path) -> None:
    table = DeltaDays(str(tmp_path))
    table.replace({FIRST: calls("a", "b")})
    table.replace({SECOND: calls("c")})
    table.replace({None: calls("undated", "too")})
    table.replace({FIRST: calls("d")})
    table.replace({None: calls("undated")})
    assert held(tmp_path) == {None: ["undated"], FIRST: ["d"], SECOND: ["c"]}
    table.remove([None, FIRST])
    table.remove([])
    assert held(tmp_path) == {SECOND: ["c"]}


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = calls("a").with_columns(pl.lit([{"key": "team", "value": None}]).cast(Calls.types["tags"]).alias("tags"))
    DeltaDays(str(tmp_path)).replace({FIRST: written})
    read = pl.read_delta(str(tmp_path / "calls.delta"))
    assert read.schema["tags"] == TAG_MAP
    read = read.with_columns(pl.col("tags").cast(Calls.types["tags"]))
    assert read.select(*KINDS).equals(written)
    assert dict(read.select(*KINDS).schema) == KINDS
    assert read["day"].to_list() == [FIRST]


def test_a_table_whose_tags_are_lists_keeps_them_so(tmp_path: Path) -> None:
    written = calls("a").with_columns(pl.lit([{"key": "team", "value": "x"}]).cast(Calls.types["tags"]).alias("tags"))
    dated = written.select(pl.lit(SECOND).alias("day"), pl.all())
    deltalake.write_deltalake(str(tmp_path / "calls.delta"), dated, partition_by=["day"])
    DeltaDays(str(tmp_path)).replace({FIRST: written})
    read = pl.read_delta(str(tmp_path / "calls.delta"))
    assert read.schema["tags"] == Calls.types["tags"]
    assert held(tmp_path) == {FIRST: ["a"], SECOND: ["a"]}


def test_what_is_said_of_a_file_never_hides_an_exact_cost(tmp_path: Path) -> None:
    DeltaDays(str(tmp_path)).replace({FIRST: calls("a", "b")})
    said = deltalake.DeltaTable(str(tmp_path / "calls.delta")).get_add_actions(flatten=True).column_names
    assert "min.call_id" in said
    assert "min.total_cost" not in said
    found = pl.scan_delta(str(tmp_path / "calls.delta")).filter(pl.col("total_cost") == COST).collect()
    assert found.height == 2


def test_the_mark_of_a_day_changes_when_the_day_does(tmp_path: Path) -> None:
    table = DeltaDays(str(tmp_path))
    assert table.versions() == {}
    table.add(FIRST, calls("a"))
    table.add(SECOND, calls("b"))
    table.flush()
    before = table.versions()
    assert sorted(before) == ["calls.delta/day=2025-11-01", "calls.delta/day=2025-11-02"]
    table.replace({FIRST: calls("a")})
    after = table.versions()
    assert [after[name] == before[name] for name in sorted(before)] == [False, True]


WRITE = """
import sys
from tests.stages.test_delta import FIRST, SECOND, DeltaDays, calls
for turn in range(int(sys.argv[3])):
    for day in (FIRST, SECOND):
        DeltaDays(sys.argv[1]).replace({day: calls(*(f"{sys.argv[2]}-{n}" for n in range(3)))})
"""


def test_of_two_that_write_the_same_day_at_once_one_is_there_whole(tmp_path: Path, long_run: bool) -> None:
    turns = "40" if long_run else "2"
    words = [[sys.executable, "-c", WRITE, str(tmp_path), name, turns] for name in ("one", "two")]
    runs = [subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE) for line in words]
    said = [run.communicate(timeout=300)[1].decode() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    days = held(tmp_path)
    assert set(days) == {FIRST, SECOND}
    for ids in days.values():
        assert ids in ([f"one-{n}" for n in range(3)], [f"two-{n}" for n in range(3)])


def _logs(folder: Path, *days: int, count: int = 3) -> Path:
    for day in days:
        rows = (
            {"id": f"{day}-{n}", "timestamp": f"2025-11-{day:02}T08:00:00Z", "model": "gpt-4o", "messages": f"{n}?",
             "response": "A number."}
            for n in range(count)
        )  # fmt: skip
        write_lines(folder / f"day-{day}.jsonl", rows)
    return folder


def test_a_report_without_a_state_replaces_the_days_that_it_has_calls_of(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for folder in (_logs(tmp_path / "a", 1, 2), _logs(tmp_path / "b", 2, count=5), _logs(tmp_path / "b", 2, count=5)):
        assert callcost("report", folder, "--out", out, "--table", "delta").code == 0
    assert {day: len(ids) for day, ids in held(out).items()} == {FIRST: 3, SECOND: 5}
    assert not (out / "calls.parquet").exists()


def test_a_report_with_a_state_writes_only_the_days_that_changed_and_the_same_rows(tmp_path: Path) -> None:
    logs, out, plain = tmp_path / "logs", tmp_path / "out", tmp_path / "plain"

    def run(*words: Path | str) -> int:
        done = callcost("report", logs, "--state", tmp_path / "state", "--out", out, "--table", "delta", *words)
        assert done.code == 0, done.stderr
        assert callcost("report", logs, "--state", tmp_path / "state-of-plain", "--out", plain, *words).code == 0
        published = pl.read_parquet(plain / "*/*.parquet", hive_partitioning=False).sort("call_id")
        assert pl.read_delta(str(out / "calls.delta")).drop("day").sort("call_id").equals(published)
        for name in ("spend.csv", "spend.parquet", "rejects.parquet"):
            assert (out / name).read_bytes() == (plain / name).read_bytes()
        return int(deltalake.DeltaTable(str(out / "calls.delta")).version())

    _logs(logs, 1, 2, 3)
    first = run()
    assert run() == first
    _logs(logs, 2, count=4)
    assert run() == first + 1
    assert not list(out.glob("day=*"))
    DeltaDays(str(out)).replace({FIRST: calls("someone else's")})
    assert run() == first + 3  # what others changed is put right
    (logs / "day-3.jsonl").write_bytes(b"")
    _logs(logs, 1, count=2)
    assert run() == first + 4  # what an earlier content of a log gave stays; two of its calls have a copy now
    forgotten = [word for number in (1, 3) for word in ("--forget", logs / f"day-{number}.jsonl")]
    assert run(*forgotten) == first + 6  # one commit writes, one leaves the day out that has no call any more
    assert set(held(out)) == {FIRST, SECOND}
    said = callcost("report", logs, "--state", tmp_path / "state", "--out", out)
    assert said.code == 2
    assert "has its days as delta" in said.stderr


@pytest.mark.parametrize("more", [["--where", "model=x"], ["--since", "2025-11-01T10:00:00"]])
def test_a_part_of_a_day_is_never_published_as_the_day(more: list[str], tmp_path: Path) -> None:
    said = callcost("report", _logs(tmp_path / "a", 1), "--out", tmp_path / "out", "--table", "delta", *more)
    assert said.code == 2
    assert "--table delta" in said.stderr


def test_without_the_extra_the_command_to_install_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    monkeypatch.setitem(sys.modules, "deltalake.exceptions", None)
    with pytest.raises(ConfigError, match="needs an extra"):
        DeltaDays(str(tmp_path))
    said = callcost("report", _logs(tmp_path / "a", 1), "--out", tmp_path / "out", "--table", "delta")
    assert said.code == 2
    assert "pip install 'callcost[delta]'" in said.stderr
