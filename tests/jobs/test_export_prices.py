"""The exported book: windows that do not overlap and say at every moment what the book says."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from callcost.errors import ConfigError
from callcost.jobs.export_prices import export_prices
from callcost.prices.book.book import open_book
from callcost.prices.book.changes import prices_of
from callcost.settings import PriceOptions
from tests.command import callcost
from tests.shape.pages import blocks


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    path = tmp_path_factory.mktemp("export") / "prices.parquet"
    export_prices(str(path), "stated")
    return pl.read_parquet(path)


def test_no_two_windows_of_a_price_overlap(table: pl.DataFrame) -> None:
    cell = ["model", "field"]
    after = table.sort(*cell, "effective_from").with_columns(next_from=pl.col("effective_from").shift(-1).over(cell))
    ends, next_from = pl.col("effective_to"), pl.col("next_from")
    overlapping = after.filter(next_from.is_not_null(), ends.is_null() | (ends > next_from))
    assert overlapping.is_empty()
    assert table.filter(pl.col("effective_to") <= pl.col("effective_from")).is_empty()


def test_the_windows_say_at_every_moment_what_the_book_says(table: pl.DataFrame) -> None:
    """200 models at random, and all that corrections name, each at the edges of its windows."""
    book = open_book(PriceOptions())
    models = random.Random(7).sample(sorted(set(table["model"])), 200)
    models += table.filter(basis="corrected")["model"].unique().to_list()
    for model, rows in table.filter(pl.col("model").is_in(models)).partition_by("model", as_dict=True).items():
        for at in sorted(set(rows["effective_from"])):
            found = book.resolve(str(model[0]), None, _microseconds(at))
            if found.key != model[0] or found.basis == "retired":
                continue  # one that took its name's place, see Catalog.last_entry
            then = rows.filter(
                pl.col("effective_from") <= at, pl.col("effective_to").is_null() | (pl.col("effective_to") > at)
            )
            assert dict(zip(then["field"], then["value"], strict=True)) == prices_of(found.entry), (model, at)


def _microseconds(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp()) * 1_000_000


def test_a_correction_says_who_and_since_when_the_book_knows(table: pl.DataFrame) -> None:
    rows = table.filter(model="gpt-5.6-luna", field="input_cost_per_token")
    assert rows["basis"].to_list() == ["in_force", "corrected", "in_force"]
    corrected = rows.row(1, named=True)
    assert corrected["effective_from"] == datetime(2026, 7, 30, tzinfo=UTC)
    assert corrected["known_from"] == datetime(2026, 11, 30, tzinfo=UTC)
    assert (corrected["source"][:8], corrected["confidence"]) == ("https://", "stated")
    hours = table.filter(pl.col("field").str.starts_with("off_peak_pricing"))
    assert hours["condition"].str.starts_with("off-peak ").all()


def test_the_page_shows_a_question_that_can_be_asked(table: pl.DataFrame, tmp_path: Path) -> None:
    table.write_parquet(tmp_path / "prices.parquet")
    (query,) = blocks("sql", page="price-book.md")
    rows = pl.sql(query.replace("prices.parquet", str(tmp_path / "prices.parquet")), eager=True)
    assert [(field, float(price)) for field, price, _ in rows.head(2).iter_rows()] == [
        ("input_cost_per_token", 5), ("output_cost_per_token", 15),
    ]  # fmt: skip


def test_the_command_writes_the_same_bytes_each_time_and_refuses_other_endings(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet", "c.json", "d.csv"):
        done = callcost("prices", "export", tmp_path / name)
        assert done.code == 0
        assert "prices in" in done.stderr
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert pl.read_ndjson(tmp_path / "c.json").height == pl.read_csv(tmp_path / "d.csv").height
    with pytest.raises(ConfigError, match="cannot tell from 'prices"):
        export_prices(str(tmp_path / "prices.xlsx"), "stated")
