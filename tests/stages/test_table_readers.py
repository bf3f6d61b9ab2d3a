"""What others read in the published days: Polars, DuckDB and Spark see the same exact rows."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.stages.report.days import plain_day
from callcost.stages.report.delta_table import DeltaDays
from tests.command import SAMPLES, callcost, write_lines
from tests.stages.test_delta import COST, FIRST, MOMENT, SECOND, calls

ROW = {"model": "gpt-4o", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
Rows = dict[str, tuple[int, Decimal]]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some days of the sample logs, as partitions and as a table."""
    folder = tmp_path_factory.mktemp("published")
    for table in ("parquet", "delta"):
        words = ["--state", str(folder / f"state-{table}"), "--out", str(folder / table), "--table", table]
        assert callcost("report", SAMPLES / "openai", *words).code == 0
    return folder


@pytest.fixture(scope="module")
def expected(published: Path) -> Rows:
    files = sorted((published / "parquet").glob("day=*/calls.parquet"))
    tables = {path.parent.name.removeprefix("day="): pl.read_parquet(path) for path in files}
    assert len(tables) > 3
    return {day: (table.height, sum(table["total_cost"].drop_nulls(), Decimal(0))) for day, table in tables.items()}


def _rows(found: list[Any]) -> Rows:
    return {plain_day(day): (count, cost or Decimal(0)) for day, count, cost in found}


@pytest.mark.parametrize("table", ["parquet", "delta"])
def test_polars_reads_every_day_exactly(published: Path, expected: Rows, table: str) -> None:
    place = published / table
    if table == "delta":
        scan = pl.scan_delta(str(place / "calls.delta"))
    else:
        scan = pl.scan_parquet(place / "day=*/*.parquet", hive_partitioning=True)
    days = scan.group_by("day").agg(pl.len(), pl.col("total_cost").sum()).collect()
    assert _rows(days.rows()) == expected


SQL = "SELECT day, count(*), sum(total_cost) FROM {} GROUP BY day"


@pytest.fixture(scope="module")
def duck() -> Iterator[Any]:
    duckdb = pytest.importorskip("duckdb", reason="pip install 'callcost[stores-test]'")
    with duckdb.connect() as connection:
        yield connection


def test_duckdb_reads_every_partition_exactly(published: Path, expected: Rows, duck: Any) -> None:
    files = f"read_parquet('{published}/parquet/day=*/*.parquet', hive_partitioning=true)"
    assert _rows(duck.execute(SQL.format(files)).fetchall()) == expected


def test_duckdb_looks_tags_up_in_a_map(tmp_path: Path, duck: Any) -> None:
    log = write_lines(tmp_path / "log.jsonl", [{**ROW, "tags": {"env": "prod", "team": "red"}}, ROW])
    assert callcost("report", log, "--out", tmp_path, "--calls").code == 0
    sql = f"SELECT tags['env'], count(*) FROM read_parquet('{tmp_path}/calls.parquet') GROUP BY 1 ORDER BY 1 NULLS LAST"
    assert duck.execute(sql).fetchall() == [("prod", 1), (None, 1)]


def test_duckdb_reads_the_table_exactly(published: Path, expected: Rows, duck: Any, tmp_path: Path) -> None:
    extension = pytest.importorskip("duckdb_extension_delta", reason="pip install 'callcost[stores-test]'")
    (binary,) = Path(extension.__file__).parent.rglob("*.duckdb_extension")
    duck.execute(f"LOAD '{binary}'")
    table = f"delta_scan('{published}/delta/calls.delta')"
    assert _rows(duck.execute(SQL.format(table)).fetchall()) == expected
    DeltaDays(str(tmp_path)).replace({FIRST: calls("a"), SECOND: calls("b")})
    rows = f"SELECT call_id, total_cost, epoch_us(started_at) FROM delta_scan('{tmp_path}/calls.delta')"
    moment = round(MOMENT.timestamp() * 1_000_000)
    found = duck.execute(f"{rows} WHERE total_cost = {COST} ORDER BY call_id").fetchall()
    assert found == [("a", COST, moment), ("b", COST, moment)]


# One process has one kind of Spark session, so each has a process of its own.
SPARK = """
import sys
from pyspark.sql import SparkSession
session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
reader = session.read.option("basePath", sys.argv[1])
reader.parquet(f"{sys.argv[1]}/day=*").createOrReplaceTempView("calls")
print([tuple(map(str, row)) for row in session.sql(sys.argv[2]).collect()])
"""
SAIL = """
import sys
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession
server = SparkConnectServer()
server.start()
session = SparkSession.builder.remote(f"sc://localhost:{server.listening_address[1]}").getOrCreate()
session.read.format("delta").load(sys.argv[1]).createOrReplaceTempView("calls")
print([tuple(map(str, row)) for row in session.sql(sys.argv[2]).collect()])
"""


def _rows_of_spark(script: str, place: Path) -> Rows:
    words = [sys.executable, "-c", script, str(place), SQL.format("calls")]
    done = subprocess.run(words, capture_output=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found = ast.literal_eval(done.stdout.decode().splitlines()[-1])
    nothing = {"None": None}
    return _rows([(nothing.get(day, day), int(n), Decimal(nothing.get(cost, cost) or 0)) for day, n, cost in found])


def test_spark_reads_every_partition_exactly(published: Path, expected: Rows, long_run: bool) -> None:
    """Its own reader of Delta tables is a jar that no package brings; Sail's, below, speaks Spark's protocol."""
    if find_spec("pyspark") is None or not long_run:
        pytest.skip("starting Spark takes long: CALLCOST_LONG=1 and pip install 'callcost[spark]'")
    assert _rows_of_spark(SPARK, published / "parquet") == expected


def test_a_spark_client_of_sail_reads_the_table_exactly(published: Path, expected: Rows) -> None:
    if find_spec("pysail") is None or find_spec("pyspark") is None:
        pytest.skip("no Sail here: pip install 'callcost[spark-test]'")
    assert _rows_of_spark(SAIL, published / "delta/calls.delta") == expected
