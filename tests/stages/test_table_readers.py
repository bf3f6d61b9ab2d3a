"""What others read in the published days: Polars, DuckDB and Spark see the same exact rows."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.stages.days import plain_day
from pipeline.stages.delta import DeltaDays
from tests.command import SAMPLES, callcost
from tests.stages.test_delta import COST, FIRST, MOMENT, SECOND, calls

Rows = dict[str, tuple[int, Decimal]]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The days of the sample logs, as partitions and as a table."""
    folder = tmp_path_factory.mktemp("published")
    for table in ("parquet", "delta"):
        words = ["--state", str(folder / f"state-{table}"), "--out", str(folder / table), "--table", table]
        assert callcost("report", SAMPLES, *words).code == 0
    return folder


@pytest.fixture(scope="module")
def expected(published: Path) -> Rows:
    files = sorted((published / "parquet").glob("day=*/calls.parquet"))
    tables = {path.parent.name.removeprefix("day="): pl.read_parquet(path) for path in files}
    assert len(tables) > 10
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


@pytest.fixture(scope="module")
def spark(long_run: bool) -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql", reason="pip install pyspark")
    if not long_run:
        pytest.skip("starting Spark takes long: CALLCOST_LONG=1")
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.shuffle.partitions", "1").getOrCreate()
    yield session
    session.stop()


def test_spark_reads_every_partition_exactly(published: Path, expected: Rows, spark: Any) -> None:
    """Its own reader of Delta tables is a jar that no package brings; Sail's, below, speaks Spark's protocol."""
    spark.read.parquet(f"{published}/parquet/").createOrReplaceTempView("calls")
    found = [tuple(row) for row in spark.sql(SQL.format("calls")).collect()]
    assert _rows(found) == expected


@pytest.fixture(scope="module")
def sail() -> Iterator[Any]:
    server_of = pytest.importorskip("pysail.spark", reason="pip install pysail").SparkConnectServer
    sql = pytest.importorskip("pyspark.sql", reason="pip install pyspark-client")
    server = server_of()
    server.start()
    session = sql.SparkSession.builder.remote(f"sc://localhost:{server.listening_address[1]}").getOrCreate()
    yield session
    session.stop()
    server.stop()


def test_a_spark_client_of_sail_reads_the_table_exactly(published: Path, expected: Rows, sail: Any) -> None:
    table = sail.read.format("delta").load(f"{published}/delta/calls.delta")
    table.createOrReplaceTempView("calls")
    assert _rows([tuple(row) for row in sail.sql(SQL.format("calls")).collect()]) == expected
