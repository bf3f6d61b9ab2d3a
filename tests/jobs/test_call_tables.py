"""Tables of calls in memory: priced as their logs are, refused by name, and what a program has of a report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import callcost
from callcost import PriceOptions, ReportOptions, SpendReport, compare, compare_spend, price_calls, report_spend
from callcost.errors import ConfigError, LogError
from callcost.logs.usage.arithmetic import settle_counts
from callcost.prices.book import registered as registrations
from callcost.stages.tables.call_frames import CHARGED, read_frame
from callcost.tables import USAGE_COUNTS
from tests.command import SAMPLES, write_lines
from tests.conftest import examples

MAY = datetime(2025, 5, 1, 12, tzinfo=UTC)
PLAIN = {"model": "gpt-4o", "started_at": MAY, "prompt_tokens": 1000, "completion_tokens": 100}


def _table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([PLAIN | row for row in rows], infer_schema_length=None)


@pytest.fixture(scope="module")
def samples() -> SpendReport:
    return report_spend(ReportOptions(logs=SAMPLES, by="model,user"))


def test_a_table_is_priced_as_its_logs_are_to_the_last_digit(samples: SpendReport) -> None:
    """But for calls of several runs, and for terms that no column of published calls has."""
    calls = samples.calls.filter(pl.col("iterations").is_null()).drop("iterations")
    priced = price_calls(calls.drop(CHARGED))
    assert_frame_equal(priced.select("call_id", *CHARGED), calls.select("call_id", *CHARGED))
    assert priced["price_status"].n_unique() == 4


def test_a_report_on_the_calls_of_a_report_is_the_report(samples: SpendReport, tmp_path: Path) -> None:
    again = report_spend(samples.calls, ReportOptions(by="model,user", out=tmp_path / "out", calls=True))
    assert_frame_equal(again.spend, samples.spend)
    assert_frame_equal(again.calls, samples.calls)
    for name in ("price_status", "price_basis", "usage_source", "flags", "source_format"):
        assert again.manifest[name] == samples.manifest[name], name
    assert [(row["path"], row["calls"]) for row in again.manifest["inputs"]] == sorted(
        samples.calls["source_file"].value_counts().iter_rows()
    )
    once_more = report_spend(ReportOptions(logs=tmp_path / "out", by="model,user"))
    assert_frame_equal(once_more.spend, samples.spend)
    assert once_more.manifest["records"] == again.manifest["records"]


def test_calls_of_a_report_are_those_of_its_file_and_of_a_state(samples: SpendReport, tmp_path: Path) -> None:
    whole = report_spend(ReportOptions(logs=SAMPLES, out=tmp_path, calls=True))
    published = pl.read_parquet(tmp_path / "calls.parquet")  # tags as a map
    assert_frame_equal(published.cast({"tags": whole.calls.schema["tags"]}), whole.calls)
    assert_frame_equal(samples.calls, whole.calls)
    assert whole.charges["cost"].sum() == whole.calls["total_cost"].sum() == whole.spend["total_cost"].sum()


def test_logs_that_have_changed_give_no_calls_of_another_report(tmp_path: Path) -> None:
    row = {"id": "a", "model": "gpt-4o", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    log = write_lines(tmp_path / "a.jsonl", [row])
    report = report_spend(ReportOptions(logs=log))
    write_lines(log, [row, row | {"id": "b"}])
    with pytest.raises(LogError, match="changed since the report"):
        _ = report.calls


COUNTS = st.dictionaries(st.sampled_from(USAGE_COUNTS), st.one_of(st.integers(0, 9), st.integers(0, 10**7)), max_size=9)


@examples(12, 100)  # of many rows each: a table costs more than its rows
@given(rows=st.lists(st.tuples(COUNTS, st.sampled_from(["gpt-4o", "gemini-2.5-flash"])), min_size=1, max_size=40))
def test_counts_of_a_table_are_settled_as_those_of_a_log(rows: list[tuple[dict[str, int], str]]) -> None:
    table = pl.DataFrame(
        [{"model": model} | {name: counts.get(name) for name in USAGE_COUNTS} for counts, model in rows],
        schema={"model": pl.String} | dict.fromkeys(USAGE_COUNTS, pl.Int64),
    )
    found = read_frame(table).calls
    for row, (counts, model) in zip(found.iter_rows(named=True), rows, strict=True):
        usage, flags = settle_counts(dict(counts), model=model)
        assert {name: row[name] for name in USAGE_COUNTS} == {name: getattr(usage, name) for name in USAGE_COUNTS}
        assert set(row["flags"] or ()) == flags


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("input_tokens", ("'input_tokens'", "prompt_tokens", "including cache")),
        ("output_tokens", ("'output_tokens'", "completion_tokens")),
        ("cached_tokens", ("cache_read_input_tokens",)),
        ("inputTokens", ("prompt_tokens",)),
        ("promt_tokens", ("prompt_tokens",)),
        ("prompt_tokns", ("prompt_tokens",)),
        ("tokens_of_mine", ("'tokens_of_mine'",)),
        ("total_cost", ("total_cost", "price_status")),
    ],
)
def test_a_column_that_looks_like_a_count_and_is_none_is_refused(column: str, words: tuple[str, ...]) -> None:
    for job in (price_calls, report_spend):
        with pytest.raises(ConfigError) as refused:
            job(_table({column: 1}))
        assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop("model"), "no column 'model'"),
        (lambda table: table.rename({"started_at": "time"}), "no column 'started_at'.*'time'"),
        (lambda table: table.select("model", "started_at"), "no counts"),
        (lambda table: table.cast({"prompt_tokens": pl.String}), "prompt_tokens: String"),
        (lambda table: table.with_columns(started_at=pl.lit("2025-05-01")), "started_at: String"),
        (lambda table: table.with_columns(usage=pl.struct("prompt_tokens")), "no count 'usage'"),
        (lambda table: table.with_columns(flags=pl.lit(1)), "flags: "),
        (lambda _: 3, "int is no table"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(change: Callable[[pl.DataFrame], Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        price_calls(change(_table({})))


def test_columns_of_no_call_are_kept_beside_the_prices() -> None:
    table = _table({"latency_ms": 5, "max_tokens": 9, "token": "a", "note": ["x"]}, {"latency_ms": 6})
    priced = price_calls(table)
    assert priced.columns == [*table.columns, *CHARGED]
    assert_frame_equal(priced.select(table.columns), table)
    assert priced["total_cost"].to_list() == [Decimal("0.0035")] * 2
    assert priced.schema["total_cost"] == pl.Decimal(38, 18)
    assert_frame_equal(price_calls(priced), priced)
    with pytest.raises(ConfigError, match="priced already"):
        price_calls(priced, PriceOptions(prices="latest"))
    with pytest.raises(ConfigError, match="priced already"):
        report_spend(priced, ReportOptions(prices=PriceOptions(prices="latest")))


def test_a_row_that_is_no_call_is_a_reject_and_has_no_price() -> None:
    rows: list[dict[str, Any]] = [
        {}, {"model": None}, {"model": ""}, {"prompt_tokens": -1}, {"prompt_tokens": 2.5}, {"completion_tokens": 1e13},
        {"prompt_tokens": float("nan")},
    ]  # fmt: skip
    table = _table(*rows).cast({"prompt_tokens": pl.Float64, "completion_tokens": pl.Float64})
    wanted = [None, "no_model", "no_model", "bad_count", "bad_count", "count_out_of_range", "usage_incomplete"]
    assert price_calls(table)["price_reason"].to_list() == wanted
    report = report_spend(table)
    assert report.rejects.rows() == [
        ("frame", 2, None, "no_model", ""),
        ("frame", 3, None, "no_model", ""),
        ("frame", 4, None, "bad_count", "prompt_tokens is negative"),
        ("frame", 5, None, "bad_count", "prompt_tokens is not a whole number"),
        ("frame", 6, None, "count_out_of_range", "completion_tokens"),
    ]
    assert {name: report.manifest["records"][name] for name in ("records", "calls", "rejects")} == {
        "records": 7, "calls": 2, "rejects": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    "moments",
    [
        pl.Series([MAY]),
        pl.Series([MAY.replace(tzinfo=None)]),
        pl.Series([MAY]).cast(pl.Datetime("ns", "UTC")),
        pl.Series([MAY.astimezone(timezone(timedelta(hours=-9)))]).dt.convert_time_zone("Asia/Tokyo"),
    ],
)
def test_times_are_read_in_their_zone_else_as_utc(moments: pl.Series) -> None:
    table = _table({}).with_columns(moments.alias("started_at"))
    assert report_spend(table, ReportOptions(by="hour")).spend["hour"].to_list() == ["2025-05-01T12:00+00:00"]
    assert report_spend(table).calls["started_at"].to_list() == [MAY]


def test_a_day_is_its_first_moment_and_no_time_is_undated() -> None:
    report = report_spend(_table({}, {"started_at": None}).cast({"started_at": pl.Date}), ReportOptions(by="day"))
    assert report.spend["day"].to_list() == [date(2025, 5, 1), None]


def test_lazy_frames_and_tables_of_others_are_the_same(samples: SpendReport) -> None:
    table = _table({"user": "ana", "logged_cost": 0.1}, {"user": None, "cache_read_input_tokens": 500})
    whole = report_spend(table, ReportOptions(by="user")).spend
    assert whole["logged_cost"].to_list() == [Decimal("0.1"), None]
    for other in (table.lazy(), table.to_arrow()):
        assert_frame_equal(report_spend(other, ReportOptions(by="user")).spend, whole)
    pandas = pytest.importorskip("pandas", reason="pandas is not installed", exc_type=ImportError)
    assert_frame_equal(report_spend(pandas.DataFrame(table.to_dicts()), ReportOptions(by="user")).spend, whole)


def test_filters_intervals_and_gates_hold_for_tables() -> None:
    table = _table({"user": "ana"}, {"user": "bo"}, {"user": "bo", "started_at": MAY + timedelta(days=1)})
    report = report_spend(table, ReportOptions(by="user", since="2025-05-02", where="user=b*", strict=True))
    assert report.spend.select("user", "calls").rows() == [("bo", 1)]
    assert report.manifest["filtered_by"] == {"since": 2}
    assert report.calls.height == 1


def test_logs_and_a_table_do_not_go_together() -> None:
    both = [_table({}), ReportOptions(logs="a")]
    for words in (("logs", both), ("no logs are named", [ReportOptions()]), ("give", [])):
        with pytest.raises((ConfigError, LogError), match=words[0]):
            report_spend(*words[1])


def test_sets_of_calls_are_compared_alike_wherever_they_are(tmp_path: Path) -> None:
    days = [(MAY + timedelta(days=n)).isoformat() for n in range(9)]
    rows = [PLAIN | {"id": f"c-{day}", "user": "ana", "started_at": day} for day in days]
    log = write_lines(tmp_path / "a.jsonl", rows)
    early, late = (ReportOptions(logs=log, by="user", until=end) for end in ("2025-05-04", None))
    late = dataclasses.replace(late, since="2025-05-04")
    wanted = compare_spend(early, late).groups
    assert wanted["difference_cost"].to_list() == [Decimal("0.0105")]
    reports = [report_spend(each) for each in (early, late)]
    assert_frame_equal(reports[0].compare(reports[1]).groups, wanted)
    for pair in ((early, late), (reports[0], late), (reports[0].calls, reports[1].calls)):
        assert_frame_equal(compare(*pair, by="user").groups, wanted)
    week = compare(early, period="day", by="user").groups
    assert_frame_equal(compare(reports[0], period="day", by="user").groups, week)
    assert week["first_calls"].to_list() == [1]
    with pytest.raises(ConfigError, match="two sets"):
        compare(early)


def test_a_report_shows_itself_in_a_notebook() -> None:
    report = report_spend(_table({"user": "<b>"}, {"user": None}), ReportOptions(by="user"))
    shown = report._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<td>-</td>" in shown
    assert "$0.007000" in shown
    assert "<b>" not in shown


def test_a_report_is_the_page_that_the_command_writes(samples: SpendReport, tmp_path: Path) -> None:
    written = report_spend(ReportOptions(logs=SAMPLES, by="model,user", out=tmp_path, formats="html"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert written.to_html() == page
    assert samples.to_html() == page
    assert "gpt-4o" in report_spend(_table({}), ReportOptions(since="2025-05-01")).to_html()


def test_registered_models_price_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    for kept in ("_entries", "_options"):
        monkeypatch.setattr(registrations, kept, {})
    callcost.register_model({"acme-table": {"input_cost_per_token": 1e-3, "output_cost_per_token": 0}})
    assert price_calls(_table({"model": "acme-table"}))["total_cost"].to_list() == [Decimal(1)]
    assert json.dumps(report_spend(_table({"model": "acme-table"})).manifest)
