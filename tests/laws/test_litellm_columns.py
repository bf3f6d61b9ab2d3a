"""Both readers give the same facts of LiteLLM's logs: of the samples, and of records that differ in every way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.io.inputs import Input
from callcost.settings import ReadOptions
from callcost.stages.columnar.stretches import read_by_columns
from callcost.stages.count.chat_counts import count_facts
from callcost.stages.count.missing_usage import count_missing
from callcost.stages.read.splits import cut_inputs
from callcost.stages.read.windows import read_windows
from callcost.stages.tables.facts import facts_of, widen_facts
from callcost.stages.tables.schemas import Facts
from callcost.tables import Reject
from callcost.tokens.engines.text_counter import TextCounter
from tests.bench.dialect_logs import LOGS
from tests.bench.logs import write_jsonl
from tests.command import SAMPLES
from tests.conftest import examples

pytestmark = pytest.mark.usefixtures("columns_for_all")

DIGESTS = ("request_digest", "record_digest")  # by columns, of those who ask for them

Read = tuple[pl.DataFrame, list[Reject], Counter[str]]


def read(path: Path, *, by_columns: bool, digested: bool = False) -> tuple[Read, int]:
    """Return what a file holds, and how many calls of it were read by columns."""
    columns = partial(read_by_columns, digested=digested) if by_columns else None
    tables, rejects, tally = [pl.DataFrame(schema=Facts.types)], [], Counter[str]()
    of_columns = 0
    with TextCounter() as counter:
        for piece in cut_inputs([Input(path=str(path), name=path.name, bytes=path.stat().st_size)]):
            for window in read_windows(piece, ReadOptions(), columns):
                count_missing(window.calls, counter)
                lineage = [pl.lit(number, pl.Int64).alias(name) for name, number in (("input", 0), ("piece", 0))]
                of_table = count_facts(window.facts, window.chats, counter)
                tables += [facts_of(window.calls, 0), *(widen_facts(one.with_columns(lineage)) for one in of_table)]
                of_columns += sum(map(len, window.facts))
                rejects += window.rejects
                tally.update(window.tally)
    facts = pl.concat(tables).sort("record", "line")
    return (facts, sorted(rejects, key=lambda one: (one.source_row or 0, one.reason)), tally), of_columns


def assert_same(path: Path) -> int:
    """Check that both give the same, digests too where they are asked for; return how many calls columns gave."""
    (facts, *others), _ = read(path, by_columns=False)
    found = []
    for digested in (True, False):
        (of_columns, *rest), calls = read(path, by_columns=True, digested=digested)
        assert rest == others
        unknown = () if digested else DIGESTS
        assert of_columns.drop(unknown).rows(named=True) == facts.drop(unknown).rows(named=True)
        found.append(calls)
    return min(found)


def written_of(record: dict[str, Any]) -> bytes:
    """Return a record as a line; a lone surrogate as an escape."""
    text = json.dumps(stated(record), ensure_ascii=False)
    return (text if "\ud800" not in text else json.dumps(stated(record))).encode()


@contextmanager
def written(lines: list[bytes]) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "log.jsonl")
        path.write_bytes(b"\n".join(lines) + b"\n")
        yield path


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.jsonl")), ids=lambda path: path.name)
def test_samples_give_the_same_facts(path: Path) -> None:
    assert_same(path)


# Each key's values: mostly the ordinary one, and what else a writer might put there.
def mostly(ordinary: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([*[ordinary] * 12, *others])


MISSING = object()
NAMES = st.sampled_from(["a", "b", "", None, MISSING, "Zoë", 7])
COUNT = mostly(5, 0, 1, None, MISSING, "5", 5.0, -1, 1.5, 10**13, True)
WHOLE = mostly("sum", 0, None, MISSING, 4, "9")
TIMES = st.sampled_from(
    [
        *["2025-01-24 09:20:46.846"] * 5, "2025-01-24T09:20:46Z", "2025-01-24 09:20:46+02:00", "2025-01-24",
        "2025-02-30 09:20:46", "2025-01-24 24:00:00", "2025-01-24 09:20:60", "1969-01-01 00:00:00", " 2025-01-24 09:20",
        "20250124T092046", "2025-01-24 09:20:46.8461234", "yesterday", "", None, MISSING, 1737710446, 1737710446.5,
        1737710446123, -1, 0, 1e300, "1737710446.25",
        "Nov 10, 2026 3:04 PM", "2025-01-24 09:20 XM", "2025-01-24 09:20:46 PM", "9999-12-31T23:59:59-05:00",
        "9999-12-31 23:59:59", "9999-12-30 23:59:59.999999", "0001-01-01T00:00:00+05:00", "2025-01-24 09:59:60",
        "2025-01-24x09:20:46", 20250124, 20250124.0, 99999999.5, 20250124092046, "20250124092046",
        2026, "2026", 5, 1.5, "1.5", 202611, 202501240920, "202501240920", 100_000_000, 99_999_999,
    ]
)  # fmt: skip
COSTS = mostly(0.0, 0.25, 1e-7, "0.5", "", None, True, "no", 5, 1e17, -0.5, 0.1234567890123456789)
RESPONSES = st.sampled_from(
    [
        *[{"id": "r-1", "object": "chat.completion", "created": 1_737_710_446, "model": "gpt-4o-2024-08-06",
           "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}] * 6,
        {}, None, MISSING, "", "{}", "text", [], {"object": "chat.completion", "choices": []}, {"choices": None},
        {"id": "r-2", "choices": [{"message": {"content": "x", "annotations": [{"type": "url_citation"}]}}]},
        {"id": "r-3", "object": "response", "output": [{"type": "web_search_call"}], "usage": {"input_tokens": 3}},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [], "usage": {"output_tokens": 2}},
        json.dumps({"id": "r-4", "choices": [{"message": {"content": "redacted-by-litellm"}}]}),
    ]
)  # fmt: skip
USAGES = st.sampled_from(
    [
        *[{"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}] * 5, MISSING, MISSING, None, {}, "x",
        {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}},
        {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 0, "x": None},
         "completion_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 13},
        {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 50}},
        {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 20, "completion_tokens_details": None},
        {"prompt_tokens": 9, "completion_tokens": 4, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 4},
        {"prompt_tokens": 9, "completion_tokens": 4, "cache_creation": {"ephemeral_5m_input_tokens": 4}},
        {"prompt_tokens": 9, "completion_tokens": 4, "server_tool_use": {"web_search_requests": 2}},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, {"input_tokens": 3, "output_tokens": 4},
        {"prompt_tokens": 9}, {"prompt_tokens": 9, "completion_tokens": 4, "iterations": [{"input_tokens": 3}]},
    ]
)  # fmt: skip
METADATA = st.fixed_dictionaries(
    {
        "user_api_key_user_id": NAMES, "user_api_key_team_id": NAMES, "user_api_key_team_alias": NAMES,
        "user_api_key_alias": NAMES, "status": mostly(MISSING, "failure", "success"), "usage_object": USAGES,
        "additional_usage_values": mostly(MISSING, {"cache_read_input_tokens": 2}, {"cache_read_input_tokens": 0}),
        "batch_models": mostly(MISSING, ["gpt-4o"], []),
    }
)  # fmt: skip
_RATES = {"input_cost_per_token": 2.5e-06, "cache_read_input_token_cost": 1.25e-06, "mode": "chat"}
MAPS: list[Any] = [
    *[{"model_map_key": "gpt-4o", "model_map_value": _RATES | {"tool_use_system_prompt_tokens": 346}}] * 8,
    {"model_map_key": "gpt-4o", "model_map_value": {"input_cost_per_token": 3e-06, "max_tokens": None}},
    {"model_map_key": "gpt-4o"}, {"model_map_value": '{"input_cost_per_token": "1e-6"}'}, {"model_map_value": []},
    json.dumps({"model_map_value": {"output_cost_per_token": 1e-05}}), "x", MISSING, None,
]  # fmt: skip
SHARED = {
    "call_type": mostly("acompletion", "aresponses", "aembedding", "pass_through", "mcp_call", None, "acreate_batch"),
    "startTime": TIMES,
    "endTime": TIMES,
    "model": mostly("gpt-4o", "gpt-4o-mini", "", None, MISSING, "azure/mine"),
    "model_group": mostly("chat", MISSING, None),
    "custom_llm_provider": mostly("openai", "azure", None, MISSING, "anthropic"),
    "status": mostly("success", "failure", MISSING, None),
    "cache_hit": mostly("None", None, True, "True", False, "", MISSING),
    "request_tags": mostly(["prod"], [], "{}", '["a", "b:c"]', None, MISSING, {"a": 1}),
    "session_id": NAMES,
    "trace_id": NAMES,
    "end_user": NAMES,
    "api_base": mostly("https://api.openai.com/v1", "https://eu.api.openai.com/v1", MISSING),
    "prompt_tokens": COUNT,
    "completion_tokens": COUNT,
    "total_tokens": WHOLE,
    "response": RESPONSES,
    "messages": mostly(MISSING, {}, [{"role": "user", "content": "Hello"}], "redacted-by-litellm"),
    "object": mostly(MISSING, MISSING, MISSING, "batch", "chat.completion.chunk", None),
    "data": mostly(MISSING, MISSING, MISSING, [], None),
    "callcost": mostly(MISSING, MISSING, MISSING, {"usage_source": "counted", "count_method": "exact"}),
}
SPEND = SHARED | {
    "request_id": mostly("r-1", "r-2", "", None, MISSING, 7, "r-3_cache_hit1737", "é" * 200),
    "spend": COSTS,
    "user": NAMES,
    "team_id": NAMES,
    "api_key": NAMES,
    "metadata": METADATA | METADATA.map(lambda held: json.dumps(stated(held))) | st.sampled_from(["", None, "x", "[]"]),
}
STANDARD = SHARED | {
    "id": mostly("r-1", "r-2", "", None, MISSING, 7),
    "response_cost": COSTS,
    "metadata": METADATA,
    "hidden_params": mostly({"litellm_model_name": "gpt-4o-2024-08-06"}, {}, None, MISSING, {"batch_models": ["x"]}),
    "model_map_information": st.sampled_from(MAPS),
    "model_parameters": mostly({"temperature": 1}, {"service_tier": "flex"}, MISSING, {"user": "x"}),
}
ODD = (
    "redacted-by-litellm", "see [BASE64_REDACTED]", "a (litellm_truncated 9 chars) b", "é\ud800", "中 <|im_end|> 24",
    "<think>hm</think> Two.",
)  # fmt: skip
SAID = {"role": "user", "content": "How many?"}
ANSWER = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Two.", "tool_calls": None}}
# What a chat whose usage is missing may hold instead of plain messages and a plain answer.
CHATS = {
    "prompt_tokens": mostly(0, None, MISSING, 7),
    "completion_tokens": mostly(0, None, MISSING, 3),
    "total_tokens": mostly(0, None, MISSING, 12),
    "messages": mostly(
        [{"role": "system", "content": "Be brief."}, SAID],
        [], None, MISSING, "text", json.dumps([SAID]), "[{", [{"role": "tool", "content": "5"}], [SAID, "x"],
        [SAID | {"name": "me"}],
        [{"role": "user", "content": ""}], [{"role": "user", "content": None}], [{"role": "user"}],
        [{"role": "user", "content": [{"type": "text", "text": "Look"}]}], [{"role": "user", "content": []}],
        *[[SAID, {"role": "user", "content": text}] for text in ODD],
        *[[{"role": "user", "content": text}] for text in ODD],
        *[[SAID, {"role": "assistant", "content": text}, SAID] for text in ODD],
    ),
    "response": mostly(
        {"id": "r-1", "object": "chat.completion", "model": "gpt-4o-2024-08-06", "choices": [ANSWER]},
        MISSING, None, {}, "Two.", {"choices": [ANSWER]}, {"choices": [ANSWER, ANSWER]}, {"choices": []},
        {"choices": "x"}, {"choices": [ANSWER], "status": "incomplete"}, {"choices": [ANSWER], "status": None},
        json.dumps({"choices": [ANSWER]}), {"choices": [ANSWER | {"finish_reason": "length"}]},
        {"choices": [ANSWER | {"message": {"role": "assistant", "content": ""}}]},
        {"choices": [{"message": {"role": "assistant", "content": "redacted-by-litellm"}}]},
        {"choices": [{"message": {"role": "assistant", "content": "x", "tool_calls": [{"type": "function"}]}}]},
        {"choices": [{"message": {"role": "assistant", "content": "x", "reasoning_content": "hm"}}]},
        {"choices": [{"message": {"role": "assistant", "content": "x", "annotations": [{"type": "url_citation"}]}}]},
        {"choices": [{"message": {"role": "assistant", "content": "(truncated 7 chars"}}], "system_fingerprint": "f"},
        {"choices": [ANSWER], "system_fingerprint": "(truncated 7 chars"},
        {"choices": [ANSWER], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    ),
    "model_parameters": mostly(
        {"temperature": 1, "stream": False}, MISSING, None, {}, {"tools": [{"type": "function"}]}, {"tools": []},
        {"response_format": {"type": "json_object"}}, {"contents": "x"}, {"user": "u"}, "{}", {"service_tier": "flex"},
    ),
    "model": mostly(
        "gpt-4o", "gpt-3.5-turbo", "claude-3-5-sonnet-20240620", "gemini-2.5-pro", "qwen3-8b", "o3", "", "gpt-oss-20b",
        "llama-3.1-8b", "deepseek-r1", "glm-4.7", "kimi-k2", "grok-3",
    ),
}  # fmt: skip
BYTES = st.sampled_from([b"", b"{", b"[1]", b'{"a": 1}{"b": 2}', b'{"call_type": "\xff"}', b"\xef\xbb\xbf{}", b"  "])


def stated(record: Any) -> Any:
    """Return a record without what is missing; a total that is the sum says so."""
    if not isinstance(record, dict):
        return record
    held = {key: stated(value) for key, value in record.items() if value is not MISSING}
    if held.get("total_tokens") == "sum":
        sides = (held.get("prompt_tokens"), held.get("completion_tokens"))
        held["total_tokens"] = sum(side for side in sides if type(side) is int)
    return held


def firsts(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the ordinary value of each key."""
    return {name: next(iter(getattr(values, "elements", [MISSING]))) for name, values in fields.items()}


def ordinary(fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the record that the columnar reader is for."""
    plain = firsts(fields)
    names = dict.fromkeys(("user", "end_user", "session_id", "team_id", "api_key"), "a")
    metadata = {"user_api_key_user_id": "u", "user_api_key_alias": "k"}
    return plain | {"metadata": metadata} | {name: text for name, text in names.items() if name in fields} | more


def lines_of(fields: dict[str, Any], base: dict[str, Any]) -> st.SearchStrategy[list[bytes]]:
    """Make lines: ordinary ones, ones in which a few keys differ, and a few that are no records."""
    changes = st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: fields[name] for name in names})
    )
    record = changes.map(lambda changed: written_of(base | changed))
    return st.lists(st.one_of(*[record] * 12, BYTES), min_size=1, max_size=30)


def test_a_call_that_a_cache_answered_may_say_so_by_its_id_alone() -> None:
    names = {"request_id": "r", "call_type": "acompletion", "model": "gpt-4o", "custom_llm_provider": "openai"}
    counts = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10, "spend": 0.0}
    record = names | counts | {"startTime": "2025-01-24 09:20:46.846000", "endTime": "2025-01-24 09:20:47", "user": "a"}
    hits = [record | {"request_id": f"r-{number}_cache_hit17377.{number}"} for number in range(3)]
    with written([written_of(record), *map(written_of, hits)]) as path:
        assert assert_same(path) == 1


@examples(40)
@given(st.one_of(lines_of(SPEND, ordinary(SPEND)), lines_of(STANDARD, ordinary(STANDARD))))
def test_made_records_give_the_same_facts(lines: list[bytes]) -> None:
    with written(lines) as path:
        assert_same(path)


def test_a_time_that_is_none_is_none_by_columns_too() -> None:
    records = [
        ordinary(SPEND, request_id=f"r-{second}", endTime=f"2025-01-24 09:20:{second}") for second in range(58, 62)
    ]
    with written([written_of(record) for record in records]) as path:
        assert_same(path)


def chat(fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a chat whose usage is missing, as it is counted by columns."""
    return ordinary(fields) | firsts(CHATS) | more


@examples(25)
@given(st.one_of(*(lines_of(fields | CHATS, chat(fields)) for fields in (SPEND, STANDARD))))
def test_chats_without_usage_come_to_the_same_counts(lines: list[bytes]) -> None:
    with written(lines) as path:
        assert_same(path)


@pytest.mark.parametrize(("fields", "name"), [(SPEND, "request_id"), (STANDARD, "id")])
def test_plain_chats_without_usage_are_read_by_columns(fields: dict[str, Any], name: str) -> None:
    chats = [chat(fields, **{name: f"r-{number}"}) for number in range(30)]
    stating = [ordinary(fields, **{name: f"s-{number}"}) for number in range(20)]
    with written([written_of(record) for record in [*chats, *stating]]) as path:
        assert assert_same(path) == 50


ELSEWHERE: list[dict[str, Any]] = [  # counts of tokens at places that no table knows
    {"foo_tokens": 7}, {"usage_of_us": {"all": 7}}, {"metadata": {"foo_tokens": "7"}},
    {"metadata": {"other": {"deep": {"foo_tokens": 0.5}}}}, {"hidden_params": {"foo_tokens": 7}},
    {"response": {"id": "r-1", "choices": [ANSWER], "foo_tokens": 7}},
    {"model_map_information": {"model_map_key": "gpt-4o", "foo_tokens": 7}},
]  # fmt: skip


@pytest.mark.parametrize("fields", [SPEND, STANDARD], ids=["spend", "standard"])
@pytest.mark.parametrize("more", ELSEWHERE, ids=lambda more: json.dumps(more)[:40])
def test_a_chat_that_states_tokens_where_nobody_looks_says_so_by_columns_too(
    fields: dict[str, Any], more: dict[str, Any]
) -> None:
    with written([written_of(chat(fields)), written_of(chat(fields, **more))] * 20) as path:
        assert_same(path)
        (facts, _, _), of_columns = read(path, by_columns=True)
        assert facts["flags"].list.contains("unread_usage").sum() == 20 == of_columns


@pytest.mark.parametrize("fields", [SPEND, STANDARD], ids=["spend", "standard"])
def test_a_log_whose_chats_all_state_tokens_where_nobody_looks_is_read(fields: dict[str, Any]) -> None:
    with written([written_of(chat(fields, foo_tokens=7))] * 20) as path:
        assert assert_same(path) == 0


INSIDE: list[Any] = [[{"foo_tokens": 7}], [[{"foo_tokens": 7}]], [{"usage": {"input": 7}}], {"foo_tokens": 7}]


@pytest.mark.parametrize(("fields", "name"), [(SPEND, "request_id"), (STANDARD, "id")])
@pytest.mark.parametrize(
    ("place", "inside"),
    [*(("usage", inside) for inside in INSIDE), *(("details", inside) for inside in [*INSIDE, 7, "7", 0.5, [7]])],
)
def test_counts_inside_of_what_no_table_reads_of_a_usage_are_seen(
    fields: dict[str, Any], name: str, inside: Any, place: str
) -> None:
    def record(number: int) -> dict[str, Any]:
        held: dict[str, Any] = {"x": inside if number > 64 else ["a", None] if place == "usage" else 0}
        usage: dict[str, Any] = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
        usage |= held if place == "usage" else {"prompt_tokens_details": held}
        return ordinary(fields, **{name: f"r-{number}"}, metadata={"usage_object": usage})

    with written([written_of(record(number)) for number in range(80)]) as path:
        assert assert_same(path) == 65
        (facts, _, _), _ = read(path, by_columns=True)
        assert facts["flags"].list.contains("unread_usage").sum() == 15


def test_headers_of_rate_limits_are_no_usage() -> None:
    headers = {"x-ratelimit-reset-tokens": 6, "anthropic-ratelimit-tokens-remaining": 7, "x-ratelimit-limit-tokens": 8}
    hidden = {"litellm_model_name": "gpt-4o-2024-08-06", "additional_headers": headers}
    with written([written_of(chat(STANDARD, hidden_params=hidden))] * 30) as path:
        assert assert_same(path) == 30


@pytest.mark.parametrize(("fields", "name"), [(SPEND, "request_id"), (STANDARD, "id")])
def test_ordinary_records_are_read_by_columns(fields: dict[str, Any], name: str) -> None:
    records = [ordinary(fields, **{name: f"r-{number}", "user": f"u-{number}"}) for number in range(50)]
    with written([json.dumps(stated(record)).encode() for record in records]) as path:
        assert assert_same(path) == 50


def test_one_line_that_does_not_decode_costs_only_itself() -> None:
    lines = [json.dumps(stated(ordinary(SPEND, request_id=f"r-{number}"))).encode() for number in range(50)]
    with written([*lines[:30], b'{"request_id": ', *lines[30:]]) as path:
        assert assert_same(path) == 50


@pytest.mark.parametrize("dialect", [name for name in LOGS if name != "claude_code"])  # of which it is a part
def test_what_a_dialect_writes_every_day_is_read_by_columns(dialect: str, tmp_path: Path) -> None:
    log = write_jsonl(tmp_path / "log.jsonl", LOGS[dialect](80))
    (facts, rejects, _), of_columns = read(log, by_columns=True)
    assert of_columns == len(facts) > 30
    assert not rejects
