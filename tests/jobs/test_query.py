"""A query that names few columns of calls reads few, and answers as one that reads all."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from callcost.jobs.analysis.compare import compare_spend
from callcost.jobs.analysis.query import query_calls
from callcost.jobs.analysis.what_if import what_if
from callcost.jobs.engine.held_calls import HeldCalls, open_report
from callcost.jobs.report import read_source, report_spend, settle_options
from callcost.settings import ReportOptions
from callcost.stages.analysis.sql import columns_in, run_sql
from callcost.stages.tables.schemas import Calls
from tests.command import report, write_lines

USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 200}}
ROWS: list[dict[str, Any]] = [
    {"id": f"c-{n}", "model": model, "timestamp": f"2025-03-0{n}T08:00:00Z", "user": user, "usage": USAGE}
    for n, (model, user) in enumerate([("gpt-4o", "ana"), ("gpt-4o", "bo"), ("o3", "ana"), ("nobody-knows", None)], 1)
]
NARROW = {
    "SELECT COUNT(*) FROM calls": [],
    "SELECT COUNT ( * ) AS n, SUM(total_cost) AS cost FROM calls": ["total_cost"],
    'SELECT "user", SUM(input_cost * 2) AS twice FROM calls GROUP BY "user" ORDER BY 1': ["user", "input_cost"],
    "WITH c AS (SELECT model, other_cost FROM calls) SELECT * FROM c ORDER BY 1, 2": ["model", "other_cost"],
}
WIDE = (
    "SELECT * FROM calls",
    "SELECT model, calls.* FROM calls",
    "SELECT DISTINCT * FROM calls ORDER BY call_id",
    "SELECT model, * FROM calls",
    "WITH c AS (FROM calls) SELECT model FROM c ORDER BY 1",
    "WITH c AS (SELECT model FROM calls) FROM c ORDER BY 1",
    "SELECT COLUMNS('.*_cost') FROM calls",
    "SELECT model FROM calls -- total_cost",
    "SELECT * FROM calls JOIN spend USING (model)",
)
OTHERS = (
    "SELECT call_id FROM calls LIMIT 2",
    "SELECT model, total_cost FROM spend ORDER BY model",
    "SELECT COUNT(*) AS n FROM rejects",
    "SELECT token_class, SUM(cost) AS cost FROM charges GROUP BY token_class ORDER BY 1",
    "SELECT calls.model, spend.calls FROM calls JOIN spend ON calls.model = spend.model ORDER BY 1, 2",
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Logs, and a report that holds their calls."""
    folder = tmp_path_factory.mktemp("asked")
    logs = write_lines(Path(folder, "a.jsonl"), [*ROWS, {"model": 7}])
    return str(logs), str(report([logs], folder / "report", "--calls").out)


@pytest.mark.parametrize(("sql", "columns"), NARROW.items())
def test_few_columns_are_read_where_a_query_names_few(sql: str, columns: list[str]) -> None:
    assert columns_in(sql, Calls.names) == [name for name in Calls.names if name in columns]


@pytest.mark.parametrize("sql", WIDE)
def test_all_columns_are_read_where_a_query_may_mean_all(sql: str) -> None:
    assert columns_in(sql, Calls.names) is None


def test_an_answer_does_not_tell_what_was_read(sources: tuple[str, str]) -> None:
    for source in sources:
        options = ReportOptions(logs=(source,), where=(("user", "*"),), by=("model",))
        found = read_source(settle_options(options), planned=lambda _bytes: None)
        tables = {"calls": found.calls, "spend": found.spend, "rejects": found.rejects}
        for sql in (*NARROW, *WIDE[:1], *OTHERS):
            if "charges" not in sql:
                assert query_calls(sql, options).equals(run_sql(sql, tables)), (source, sql)
    answers = [query_calls(OTHERS[3], ReportOptions(logs=(source,))) for source in sources]
    assert answers[0].equals(answers[1])


def test_sums_comparisons_and_other_prices_read_no_column_that_they_do_not_need(
    sources: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[set[str]] = []

    def spied(place: str, columns: Collection[str] | None = None) -> HeldCalls:
        read.append({*(Calls.names if columns is None else columns)})
        return open_report(place, columns)

    monkeypatch.setattr("callcost.jobs.report.open_report", spied)
    options = ReportOptions(logs=sources[1], by=("user", "tag:env"))
    report_spend(options)
    what_if(options, batch="*")
    compare_spend(options, options)
    query_calls("SELECT cache_savings_cost FROM spend", options)
    for columns in read:
        assert {"user", "tags", "total_cost", "prompt_tokens", "iterations"} <= columns
        assert not {"session", "first_turn_hash", "long_context_cost", "provider_response_id"} & columns
    assert len(read) == 4


def test_what_comes_priced_needs_no_price_book(sources: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("callcost.stages.pricing.rate_cards._book_of", fail)
    options = ReportOptions(logs=sources[1], by="model", where="model=gpt-4o")
    assert report_spend(options).spend["calls"].to_list() == [2]
    assert query_calls("SELECT COUNT(*) AS n FROM calls", options).item() == 2
    assert compare_spend(options, options).groups["difference_cost"].to_list() == [0]
