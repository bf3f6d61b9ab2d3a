"""A mapping drafted from records reads these records, and repeats nothing of them but the names of their fields."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost.logs.mapping.draft import Draft, draft_mapping
from callcost.logs.mapping.mapping_file import dialect_of
from callcost.logs.mapping.profile import profile_of
from callcost.logs.record_reader import RecordReader
from callcost.settings import ReadOptions
from callcost.tables import Call
from tests.logs.outcomes import calls_of


def _draft(records: list[dict[str, Any]]) -> Draft:
    return draft_mapping(profile_of(records), "mine")


def _calls(records: list[dict[str, Any]], folder: Path) -> list[Call]:
    path = folder / "mine.toml"
    path.write_text(_draft(records).text)
    reader = RecordReader(ReadOptions(mapping=str(path)))
    calls = calls_of(one for row, record in enumerate(records, 1) for one in reader.read_value(record, row))
    assert [call.source_format for call in calls] == ["mine"] * len(records)
    return calls


def test_plain_names_are_found(tmp_path: Path) -> None:
    records = [
        {
            "requestId": f"r-{number}", "modelName": "gpt-4o", "tokensIn": 100 + number, "tokensOut": 10,
            "totalTokens": 110 + number, "cachedTokens": 40, "createdAt": "2025-07-24 11:20:46",
            "userEmail": f"u{number % 3}@example.org",
            "costInCents": 0.5, "department": "pier", "retries": 0, "color": "red" if number % 2 else "blue",
            "question": "Any fog today? " * 30, "answer": "Some.",
        }
        for number in range(20)
    ]  # fmt: skip
    first = _calls(records, tmp_path)[0]
    assert first.usage is not None
    assert (first.usage.prompt_tokens, first.usage.completion_tokens) == (100, 10)
    assert (first.usage.cache_read_input_tokens, first.usage.total_tokens) == (40, 110)
    assert (first.own_id, first.model, first.user, first.team) == ("r-0", "gpt-4o", "u0@example.org", "pier")
    assert first.logged_cost == Decimal("0.005")
    assert first.request is not None
    assert first.response["choices"][0]["message"]["content"] == "Some."
    draft = _draft(records).text
    assert '# zone = "Europe/Berlin"' in draft
    assert '# "color" = "color"' in draft
    assert not any(word in draft for word in ("fog", "Some", "example.org", "r-0", "red"))


def test_objects_of_providers_are_found_wherever_they_stand(tmp_path: Path) -> None:
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-2024-08-06", "choices": []}
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Fog?"}]}
    rows: list[dict[str, Any]] = [{"n": 1, "io": {"sent": asked, "got": {**body, "usage": usage}}, "who": "ida"}]
    (call,) = _calls(rows, tmp_path)
    assert call.usage is not None
    assert (call.model, call.usage.prompt_tokens, call.request) == ("gpt-4o-2024-08-06", 7, asked)
    (call,) = _calls([{"llm": "gpt-4o", "stats": {"u": usage}}], tmp_path)
    assert call.usage is not None
    assert (call.model, call.usage.completion_tokens) == ("gpt-4o", 2)


def test_text_of_tables_is_read_as_what_it_holds(tmp_path: Path) -> None:
    """Cells of CSV are text: numbers, JSON, times."""
    rows = [{"Model": "gpt-4o", "Usage": '{"prompt_tokens": 7, "completion_tokens": 2}', "Cost (USD)": "0.25",
             "Time [UTC]": "2025-07-24T11:20:46Z"}]  # fmt: skip
    (call,) = _calls(rows, tmp_path)
    assert call.usage is not None
    assert (call.usage.prompt_tokens, call.logged_cost) == (7, Decimal("0.25"))
    assert call.started_at is not None
    assert tomllib.loads(_draft(rows).text)["json"] == ["Usage"]


@pytest.mark.parametrize(
    ("cached", "total", "prompt"),
    [(90, 105, "exclusive"), (90, None, "exclusive"), (5, 15, "inclusive"), (5, None, "inclusive")],
)
def test_the_sums_say_whether_cached_tokens_stand_beside_the_prompt(cached: int, total: int, prompt: str) -> None:
    counts = {"prompt_tokens": 10, "completion_tokens": 5, "cache_read_tokens": cached, "total_tokens": total}
    assert dialect_of(tomllib.loads(_draft([{"model": "m", **counts}]).text)).prompt == prompt


def test_a_draft_without_a_model_says_so() -> None:
    draft = _draft([{"prompt_tokens": 1, "shade": "blue"}])
    assert not draft.complete
    assert '# model = "..."' in draft.text
    assert tomllib.loads(draft.text)["columns"] == {"prompt_tokens": "prompt_tokens"}


def test_any_records_give_a_draft_that_is_toml() -> None:
    strange: list[dict[str, Any]] = [
        {}, {"": 1}, {'a"b\\c\n': "x"},
        {"a" * 200: 1}, {"model": {"model": {"model": ["x"]}}}, {"model": 5, "id": None},
        {"model": "é", "tags": ["a", 1], "messages": [1]}, {"x.y": {"model.name": "gpt"}}, {"created": 1e308, "ts": -1},
        {f"k{number}": number for number in range(5_000)},
    ]  # fmt: skip
    for records in ([], *([record] for record in strange), strange):
        tomllib.loads(_draft(records).text)


POSTHOG: list[dict[str, Any]] = [
    {
        "uuid": f"u-{number}", "event": "$ai_generation", "distinct_id": f"user_{number % 3}",
        "timestamp": "2026-10-03T10:00:00.000Z",
        "properties": {
            "$ai_model": "claude-haiku-4-5", "$ai_provider": "anthropic", "$ai_input_tokens": 1000,
            "$ai_output_tokens": 500 + number, "$ai_cache_read_input_tokens": 2000, "$ai_input_cost_usd": 0.0012,
            "$ai_total_cost_usd": 0.0037,
        },
    }
    for number in range(4)
]  # fmt: skip


def test_records_of_other_kinds_are_no_calls_of_a_draft(tmp_path: Path) -> None:
    other = {"uuid": "u-9", "event": "$pageview", "distinct_id": "user_1", "timestamp": "2026-10-03T10:00:00.000Z"}
    path = tmp_path / "mine.toml"
    path.write_text(_draft([*POSTHOG, other | {"properties": {"$current_url": "/"}}]).text)
    reader = RecordReader(ReadOptions(mapping=str(path)))
    outcomes = [one for record in (*POSTHOG, other) for one in reader.read_value(record, 1)]
    assert outcomes[-1] == "context" or getattr(outcomes[-1], "reason", "") == "unknown_dialect"
    first = calls_of(outcomes)[0]
    assert first.usage is not None
    assert (first.usage.prompt_tokens, first.usage.cache_read_input_tokens) == (3000, 2000)
    assert (first.model, first.user, first.logged_cost) == ("claude-haiku-4-5", "user_0", Decimal("0.0037"))


def test_counts_times_and_costs_are_found_at_any_depth(tmp_path: Path) -> None:
    inner = {
        "prompt_tokens": 12, "completion_tokens": 5, "tokens": 17, "prompt_cached_tokens": 3,
        "completion_reasoning_tokens": 2, "estimated_cost": 9.3e-06,
    }  # fmt: skip
    record: Any = {"who": {"model_name": "gpt-4o-mini"}, "start_ns": 1_707_763_310_981_223_236, "metrics": inner}
    for name in ("e", "d", "c", "b", "a"):
        record = {name: [record] if name == "c" else record}
    (call,) = _calls([record], tmp_path)
    assert call.usage is not None
    assert (call.usage.prompt_tokens, call.usage.cache_read_input_tokens, call.usage.reasoning_tokens) == (12, 3, 2)
    assert (call.model, call.logged_cost, call.started_at) == ("gpt-4o-mini", Decimal("0.0000093"), 1707763310981223)
