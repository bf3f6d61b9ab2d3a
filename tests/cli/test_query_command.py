"""`callcost query` and `callcost compare` as a script meets them: exact answers, clear errors, every format."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.errors import ConfigError
from callcost.jobs.analysis.query import query_calls
from callcost.settings import ReportOptions
from callcost.stages.analysis.sql import run_sql
from tests.command import SAMPLES, Finished, callcost, report, write_lines


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("held")
    return report([SAMPLES], folder / "report", "--calls")


def _rows(finished: Finished) -> list[dict[str, str]]:
    assert finished.code == 0, finished.stderr
    return list(csv.DictReader(io.StringIO(finished.stdout)))


def test_sums_are_exact_and_those_of_the_report(held: Finished) -> None:
    sql = "SELECT model, SUM(total_cost) AS cost, COUNT(*) AS calls FROM calls GROUP BY model ORDER BY model"
    rows = _rows(callcost("query", held.out, sql, "--format", "csv"))
    wanted = pl.read_parquet(held.out / "calls.parquet").group_by("model").agg(pl.col("total_cost").sum()).sort("model")
    assert [Decimal(row["cost"] or 0) for row in rows] == wanted["total_cost"].to_list()
    (whole,) = _rows(callcost("query", held.out, "SELECT SUM(cost) AS cost FROM charges", "--format", "csv"))
    assert Decimal(whole["cost"]) == held.total("total_cost")
    spend = _rows(callcost("query", held.out, "SELECT * FROM spend", "--format", "csv", "--by", "model"))
    assert sum(Decimal(row["total_cost"] or 0) for row in spend) == held.total("total_cost")
    rejects = _rows(callcost("query", held.out, "SELECT COUNT(*) AS n FROM rejects", "--format", "csv"))
    assert int(rejects[0]["n"]) == held.records["rejects"]


def test_logs_and_their_report_give_the_same_answer(held: Finished) -> None:
    sql = "SELECT token_class, SUM(tokens) AS tokens, SUM(cost) AS cost FROM charges GROUP BY token_class ORDER BY 1"
    flags = ("--since", "2025-01", "--where", "model=gpt*", "--format", "json")
    answers = [callcost("query", source, sql, *flags).stdout for source in (SAMPLES, held.out)]
    assert answers[0] == answers[1]
    assert answers[0]


@pytest.mark.parametrize("kind", ["table", "csv", "json", "markdown", "parquet", "xlsx"])
def test_an_answer_is_written_in_every_format(held: Finished, tmp_path: Path, kind: str) -> None:
    sql = "SELECT call_id, tags, started_at, total_cost FROM calls WHERE tags IS NOT NULL LIMIT 2"
    done = callcost("query", held.out, sql, "--format", kind, "--out", tmp_path / "deep/answer")
    assert (done.code, done.stdout) == (0, ""), done.stderr
    data = (tmp_path / "deep/answer").read_bytes()
    if kind == "parquet":
        assert pl.read_parquet(data).height == 2
    elif kind == "xlsx":
        assert data.startswith(b"PK")
    else:
        shown = callcost("query", held.out, sql, "--format", kind).stdout
        assert shown.splitlines()[0].startswith(("call_id", "| call_id", '{"call_id"'))


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT total_cots FROM calls", ("no column 'total_cots'", "did you mean", "total_cost")),
        ("SELECT * FROM cals", ("no table 'cals'", "calls, ")),
        ("SELEC 1", ("not a query", "SELECT")),
        ("DROP TABLE calls", ("not a query",)),
        ("SELECT SUM(total_cost FROM calls", ("cannot be run", "Expected: )")),
        ("SELECT model, COUNT(*) FROM calls", ("cannot be run", "GROUP BY")),
        ("", ("not a query",)),
        ("SELECT 1 AS a; SELECT 2 AS b", ("cannot be run", "only one")),
        ("SELECT users FROM calls", ("no column 'users'", "'user' of calls")),
        ("SELECT tag:env, SUM(total_cost) FROM calls GROUP BY 1", ('"tag:env"', "--by tag:env")),
    ],
)
def test_a_query_that_is_wrong_is_told_in_a_line(held: Finished, sql: str, words: tuple[str, ...]) -> None:
    done = callcost("query", held.out, sql)
    assert (done.code, done.stdout) == (2, "")
    assert all(word.lower() in done.stderr.lower() for word in words), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "sql",
    ["FROM calls", "DELETE FROM calls", "EXPLAIN SELECT * FROM calls", "SHOW TABLES", "VALUES (1)",
     "CREATE TABLE a AS SELECT * FROM calls"],
)  # fmt: skip
def test_what_is_no_select_is_no_query(sql: str) -> None:
    with pytest.raises(ConfigError, match=r"not a query: .* Write one SELECT over calls"):
        run_sql(sql, {"calls": pl.DataFrame({"model": ["a"]})})


READERS = ("read_csv", "read_parquet", "read_json", "read_ndjson", "read_ipc", "scan_csv", "READ_CSV", '"read_csv"')


@pytest.mark.parametrize("reader", [*READERS, "`read_csv`", "read_csv ", "read_csv /* ( */", "read_csv -- (\n"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM {}",
        "SELECT '--' AS a, '/*' AS b FROM {}",
        "SELECT model FROM calls WHERE model IN (SELECT a FROM {})",
        "WITH other AS (SELECT * FROM {}) SELECT * FROM other JOIN calls ON TRUE",
        "/* a */ -- b\n (SELECT a FROM calls JOIN {} ON TRUE)",
    ],
)
def test_a_query_reads_no_file(tmp_path: Path, sql: str, reader: str) -> None:
    """It is refused by name, also where the file is there, and where a comment stands between name and bracket."""
    (tmp_path / "a.csv").write_text("a\nsecret\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"reads no files: (?i:read|scan)_") as refused:
        run_sql(sql.format(f"{reader}('{tmp_path}/a.csv')"), {"calls": pl.DataFrame({"model": ["a"]})})
    assert "secret" not in str(refused.value)


def test_a_query_finds_no_table_but_those_of_the_source(held: Finished) -> None:
    for name in ("table", f"'{held.out}/calls.parquet'", f'"{held.out}/calls.parquet"', "pl"):
        with pytest.raises(ConfigError):
            run_sql(f"SELECT * FROM {name}", {"calls": pl.DataFrame({"model": ["a"]})})


def test_a_user_needs_no_quotes_and_texts_keep_theirs() -> None:
    """SQL has a function of that name, which Polars has not."""
    tables = {"calls": pl.DataFrame({"user": ["a user", "bo"], "cost": [1, 2]})}
    sql = "SELECT calls.user, user AS who, SUM(cost) FROM calls /* user */ WHERE user = 'a user' GROUP BY user -- user"
    assert run_sql(sql, tables).rows() == [("a user", "a user", 1)]
    assert run_sql("SELECT USER FROM calls ORDER BY cost DESC LIMIT 1", tables).rows() == [("bo",)]


def test_what_is_no_query_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a query"):
        query_calls("DELETE FROM calls", ReportOptions(logs=tmp_path / "not there"))


def test_a_bracket_or_a_comment_may_stand_before_a_query() -> None:
    for before in ("(", "/* a\nb */ ", "-- a\nWITH b AS (SELECT a FROM t) "):
        sql = f"{before}SELECT a FROM t{')' if before == '(' else ';'}"
        assert run_sql(sql, {"t": pl.DataFrame({"a": [1]})}).rows() == [(1,)]


def _row(number: int, day: str, user: str = "ana", model: str = "gpt-4o", tokens: int = 1000) -> dict[str, Any]:
    usage = {"prompt_tokens": tokens, "completion_tokens": 100}
    return {"id": f"c-{number}", "timestamp": f"{day}T08:00:00Z", "model": model, "user": user, "usage": usage}


@pytest.fixture
def weeks(tmp_path: Path) -> Path:
    """Two weeks: ana makes one call, then two, bo only calls in the second."""
    rows = [_row(1, "2026-10-14"), _row(2, "2026-10-19"), _row(3, "2026-10-22"), _row(4, "2026-10-20", "bo")]
    return write_lines(tmp_path / "weeks.jsonl", rows)


def test_two_weeks_two_intervals_and_two_sources_are_compared_alike(weeks: Path, tmp_path: Path) -> None:
    flags = ("--by", "user", "--format", "csv")
    by_period = callcost("compare", weeks, "--period", "week", *flags)
    rows = {row["user"]: row for row in _rows(by_period)}
    assert (rows["ana"]["first_calls"], rows["ana"]["second_calls"]) == ("1", "2")
    assert Decimal(rows["ana"]["volume_cost"]) == Decimal(rows["ana"]["difference_cost"]) == Decimal("0.0035")
    assert rows["bo"]["new_cost"] == rows["bo"]["difference_cost"] == "0.0035"
    by_interval = callcost("compare", weeks, "2026-10-12..2026-10-19", "2026-10-19..2026-10-26", *flags)
    assert by_interval.stdout == by_period.stdout
    lines = weeks.read_bytes().splitlines()
    pair = write_lines(tmp_path / "a.jsonl", lines[:1]), write_lines(tmp_path / "b.jsonl", lines[1:])
    assert callcost("compare", *pair, *flags).stdout == by_period.stdout
    held = report([weeks], tmp_path / "held", "--calls")
    assert callcost("compare", held.out, "--period", "week", *flags).stdout == by_period.stdout
    shown = callcost("compare", weeks, "--period", "week", "--by", "user").stdout.splitlines()
    assert shown[0].split()[:5] == ["user", "first_calls", "second_calls", "first", "second"]
    assert shown[-1].split()[0] == "total"


def test_a_comparison_that_makes_no_sense_is_refused(weeks: Path) -> None:
    for words in ([weeks], [weeks, "x", "y"], [weeks, weeks, "--period", "week"], [weeks, "--period", "year"]):
        assert callcost("compare", *words).code == 2
    assert callcost("compare", weeks, "nowhere").code == 1
    assert "is one interval; give two" in callcost("compare", weeks, "2026-10-12..2026-10-19").stderr


def test_an_answer_as_json_keeps_every_digit(weeks: Path) -> None:
    done = callcost("query", weeks, "SELECT SUM(total_cost) / 3 AS third FROM calls", "--format", "json")
    assert json.loads(done.stdout)["third"] == "0.004666666666666667"
