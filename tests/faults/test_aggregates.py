"""A row that is many calls is never priced as one: it is a reject, and its tokens are said."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcost.logs.io.records import Raw
from callcost.logs.record_reader import RecordReader
from callcost.settings import ReadOptions
from callcost.tables import Call, Reject
from tests.command import assert_conserved, callcost, report, write_lines

NAMES = ("calls", "requests", "num_requests", "n_requests", "count", "request_count", "requestCount", "api_requests")
DAY = {"date": "2026-11-10", "model": "gpt-5.5", "input_tokens": 9_400_000, "output_tokens": 310_000}
SINGLE = {"id": "c-1", "model": "gpt-4o", "timestamp": "2025-05-01", "prompt_tokens": 100, "completion_tokens": 10}
VERCEL = {
    "day": "2026-11-10", "model": "anthropic/claude-sonnet-4.6", "total_cost": 41.2, "market_cost": 41.2,
    "input_tokens": 9_000_000, "output_tokens": 400_000, "cached_input_tokens": 2_000_000,
    "cache_creation_input_tokens": 0, "reasoning_tokens": 0, "request_count": 812,
}  # fmt: skip
CLOUDFLARE = {
    "count": 196, "dimensions": {"model": "gpt-5", "provider": "openai"},
    "sum": {"cost": 2.9, "uncachedTokensIn": 1_000_000, "uncachedTokensOut": 50_000, "cachedTokensIn": 7,
            "cachedTokensOut": 3, "cachedRequests": 4},
}  # fmt: skip


def outcomes(record: dict[str, Any], **options: Any) -> list[Any]:
    return RecordReader(ReadOptions(**options)).read(Raw(1, 0, json.dumps(record).encode()))


whole = st.integers(0, 10**9)


@settings(max_examples=100)
@given(st.sampled_from(NAMES), st.integers(0, 10**6), whole, whole, st.sampled_from([str, int, float, "{:,}".format]))
def test_a_count_of_calls_beside_tokens_makes_a_sum_unless_it_is_one(
    name: str, count: int, prompt: int, completion: int, written: Any
) -> None:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    (found,) = outcomes({"model": "gpt-4o", **counts, name: written(count)})
    if count > 1 or not (count or prompt or completion):
        assert isinstance(found, Reject)
        assert (found.reason, found.calls, found.tokens) == ("aggregate", count, prompt + completion)
        assert name in found.detail
    else:
        assert isinstance(found, Call)
        assert found.usage is not None
        assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (prompt, completion)


NESTED_NAMES = ("requests", "calls", "num_requests", "n_requests", "request_count", "call_count", "invocations",
                "requestCount", "total_calls")  # fmt: skip


@settings(max_examples=100)
@given(
    st.sampled_from(NESTED_NAMES), st.sampled_from(["{}", " {}", "{} ", "\u00a0{}\t"]),
    st.sampled_from([str, str.upper, str.title]), st.integers(0, 10**6), whole, whole,
    st.sampled_from([None, "usage", "metrics", "stats", "totals", "Usage_Stats", "summary"]),
)  # fmt: skip
def test_a_count_of_calls_is_found_in_the_usage_and_in_what_measures_the_row(
    name: str, padded: str, cased: Any, count: int, prompt: int, completion: int, place: str | None
) -> None:
    record: dict[str, Any] = {"model": "gpt-4o", "date": "2026-11-10"}
    record["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion}
    (record if place is None else record.setdefault(place, {}))[padded.format(cased(name))] = count
    (found,) = outcomes(record)
    if count > 1 or not (count or prompt or completion):
        assert isinstance(found, Reject)
        assert (found.reason, found.calls, found.tokens) == ("aggregate", count, prompt + completion)
    else:
        assert isinstance(found, Call)


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"by_day": {"requests": 5, "input_tokens": 100, "output_tokens": 10}}, True),
        ({"by_day": {"count": 5, "input_tokens": 100, "output_tokens": 10}}, True),
        ({"session": {"requests": 5, "input_tokens": 900, "output_tokens": 10}}, False),
        ({"rate_limit": {"requests": 500, "tokens": 30_000}}, False),
        ({"limits": {"requests": 500, "input_tokens": 30_000, "output_tokens": 8_000}}, False),
        ({"metrics": {"count": 5}}, False),
        ({"metrics": {"tool_calls": 5, "web_search_requests": 3, "cached_requests": 2, "retries": 4}}, False),
        ({"metadata": {"requests": 5}}, False),
        ({"tags": {"calls": "5"}}, False),
        ({"request": {"requests": 5, "calls": 5}}, False),
        ({"response": {"requests": 5, "invocations": 5}}, False),
        ({"messages": [{"role": "user", "content": "Hi", "requests": 5}]}, False),
        ({"metrics": {"inner": {"requests": 5}}}, False),
    ],
    ids=str,
)
def test_a_count_in_an_object_is_of_the_tokens_beside_it(more: dict[str, Any], *, refused: bool) -> None:
    (found,) = outcomes(SINGLE | more)
    assert isinstance(found, Reject) == refused


@pytest.mark.parametrize(
    "usage",
    [
        {"requests": 1, "tool_calls": 4, "input_tokens": 100, "output_tokens": 10, "details": {"requests": 9}},
        {"input_tokens": 100, "output_tokens": 10, "server_tool_use": {"web_search_requests": 3, "requests": 3}},
        {"prompt_tokens": 100, "completion_tokens": 10, "num_search_queries": 4, "num_sources_used": 7},
        {"prompt_eval_count": 100, "eval_count": 10},
        {"promptTokenCount": 100, "candidatesTokenCount": 10, "toolUsePromptTokenCount": 0},
        {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110},
    ],
    ids=str,
)
def test_the_usage_of_one_call_stays_one(usage: dict[str, Any]) -> None:
    (found,) = outcomes({"id": "c-1", "model": "gpt-4o", "date": "2026-11-10", "usage": usage})
    assert isinstance(found, Call)
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (100, 10)


def test_a_count_in_usage_written_as_text_and_in_an_object_that_a_mapping_names_is_found(tmp_path: Path) -> None:
    usage = {"requests": 7, "prompt_tokens": 100, "completion_tokens": 10}
    (found,) = outcomes({"model": "gpt-4o", "usage": json.dumps(usage)})
    assert (found.reason, found.calls) == ("aggregate", 7)
    columns = '[columns]\nmodel = "m"\nprompt_tokens = "u.in"\ncompletion_tokens = "u.out"\n'
    (tmp_path / "a.toml").write_text(columns, encoding="utf-8")
    (tmp_path / "b.toml").write_text(f'{columns}[tags]\nretries = "u.requests"\n', encoding="utf-8")
    row = {"m": "gpt-4o", "u": {"in": 70, "out": 7, "requests": 3}}
    assert outcomes(row, mapping=str(tmp_path / "a.toml"))[0].reason == "aggregate"
    assert isinstance(outcomes(row, mapping=str(tmp_path / "b.toml"))[0], Call)


@pytest.mark.parametrize(
    "more",
    [{"count": "many"}, {"calls": [1, 2]}, {"requests": None}, {"tool_calls": 7}, {"web_search_requests": 3},
     {"count": True}, {"request": 12}, {"calls": -4}, {"discount": 5}, {"completions": 3}],
    ids=str,
)  # fmt: skip
def test_what_is_no_count_of_calls_makes_no_sum(more: dict[str, Any]) -> None:
    assert isinstance(outcomes(SINGLE | more)[0], Call)


def test_a_count_beside_text_or_nothing_makes_no_sum() -> None:
    said = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "response": "Hi", "count": 7}
    assert isinstance(outcomes(said)[0], Call)
    assert outcomes({"model": "gpt-4o", "text": "", "requests": 7, "cost": 0.5})[0].reason == "aggregate"


def test_flat_spans_that_were_summed_are_refused() -> None:
    summed = {"gen_ai.request.model": "gpt-4o", "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 90,
              "gen_ai.usage.output_tokens": 9, "count": 4}  # fmt: skip
    (found,) = outcomes(summed)
    assert (found.reason, found.calls, found.tokens) == ("aggregate", 4, 99)
    assert isinstance(outcomes(summed | {"count": 1})[0], Call)


def test_a_mapping_refuses_sums_too_unless_it_says_what_the_count_is(tmp_path: Path) -> None:
    columns = '[columns]\nmodel = "m"\nprompt_tokens = "in"\ncompletion_tokens = "out"\n'
    (tmp_path / "a.toml").write_text(columns, encoding="utf-8")
    (tmp_path / "b.toml").write_text(f'{columns}[tags]\nretries = "requests"\n', encoding="utf-8")
    row = {"m": "gpt-4o", "in": 70, "out": 7, "requests": 3}
    (refused,) = outcomes(row, mapping=str(tmp_path / "a.toml"))
    assert (refused.reason, refused.calls, refused.tokens) == ("aggregate", 3, 77)
    assert isinstance(outcomes(row, mapping=str(tmp_path / "b.toml"))[0], Call)


@pytest.mark.parametrize(
    ("document", "rows", "calls", "tokens"),
    [
        ({"results": [VERCEL, VERCEL | {"request_count": 1}]}, 2, 813, 2 * 9_400_000),
        ({"data": {"viewer": {"accounts": [{"aiGatewayRequestsAdaptiveGroups": [CLOUDFLARE]}]}}}, 1, 196, 1_050_010),
        (CLOUDFLARE, 1, 196, 1_050_010),
        (DAY | {"requests": 512}, 1, 512, 9_710_000),
    ],
    ids=["vercel", "cloudflare", "cloudflare row", "opencode"],
)
def test_usage_exports_are_sums_and_say_what_they_hold(
    document: dict[str, Any], rows: int, calls: int, tokens: int, tmp_path: Path
) -> None:
    write_lines(tmp_path / "logs/export.json", [document])
    write_lines(tmp_path / "logs/log.jsonl", [SINGLE])
    found = report([tmp_path / "logs"], tmp_path / "out")
    assert_conserved(found)
    assert (found.records["calls"], found.records["rejects"]) == (1, rows)
    assert {reject["reason"] for reject in found.rejects} == {"aggregate"}
    assert found.manifest["aggregates"] == {"records": rows, "calls": calls, "tokens": tokens}


def test_sums_in_csv_and_parquet_are_refused_row_by_row_and_one_line_says_so(tmp_path: Path) -> None:
    rows = [DAY | {"requests": requests} for requests in (1, 40, 2_000)]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/usage.csv").write_text(text.getvalue(), encoding="utf-8")
    pl.DataFrame(rows).write_parquet(tmp_path / "logs/usage.parquet")
    found = report([tmp_path / "logs"], tmp_path / "out")
    assert found.manifest["aggregates"] == {"records": 4, "calls": 4_080, "tokens": 4 * 9_710_000}
    assert sum(reject["reason"] == "aggregate" for reject in found.rejects) == 4
    line = "4 rows that sum many calls (4,080 calls, 38,840,000 tokens) are not priced: give the log of single calls"
    assert line in callcost("report", tmp_path / "logs", "--out", tmp_path / "out").stderr
    for _ in range(2):
        states = report([tmp_path / "logs"], tmp_path / "nightly", "--state", tmp_path / "state")
        assert states.manifest["aggregates"] == found.manifest["aggregates"]
