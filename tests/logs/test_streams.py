"""Chunks of one answer become the body that would have been sent at once, usage from wherever it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.responses.bodies import api_of
from callcost.logs.responses.chunk_rows import MAX_OPEN, Gatherer, is_chunk
from callcost.logs.responses.stream_joiners import CUT_OFF
from callcost.logs.responses.streams import join_body, join_chunks, kind_of
from callcost.logs.usage.usage import read_usage
from tests.logs.outcomes import calls_of, read_file

CHUNK: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o"}
CHAT: list[dict[str, Any]] = [
    CHUNK | {"choices": [{"index": 0, "delta": {"role": "assistant"}}]},
    CHUNK | {"choices": [{"index": 1, "delta": {"content": "B"}}], "usage": None},
    CHUNK | {"choices": [{"index": 0, "delta": {"content": "A", "reasoning_content": "h"}}]},
    CHUNK
    | {
        "choices": [{"index": 0, "delta": {"reasoning_content": "m"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6},
    },
]
CONVERSE: list[dict[str, Any]] = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"delta": {"text": "Tw"}, "contentBlockIndex": 0}},
    {"contentBlockDelta": {"delta": {"text": "o."}, "contentBlockIndex": 0}},
    {"messageStop": {"stopReason": "end_turn"}},
    {"metadata": {"usage": {"inputTokens": 4, "outputTokens": 2, "totalTokens": 6}}},
]
OLLAMA: list[dict[str, Any]] = [
    {"model": "llama3.2", "done": False, "message": {"role": "assistant", "content": "Tw"}},
    {
        "model": "llama3.2",
        "done": True,
        "message": {"role": "assistant", "content": "o."},
        "prompt_eval_count": 4,
        "eval_count": 2,
    },
]
COMPLETIONS: list[dict[str, Any]] = [
    {"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": "Tw"}]},
    {"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": "o."}],
     "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}},
]  # fmt: skip
TITAN: list[dict[str, Any]] = [
    {"outputText": "Tw", "index": 0, "inputTextTokenCount": 4},
    {"outputText": "o.", "index": 0, "totalOutputTextTokenCount": 2, "completionReason": "FINISH"},
]
COHERE: list[dict[str, Any]] = [
    {"id": "c", "type": "message-start", "delta": {"message": {"role": "assistant"}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": "Tw"}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "o."}}}},
    {"type": "content-end", "index": 0},
    {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {
        "billed_units": {"input_tokens": 4, "output_tokens": 2}, "tokens": {"input_tokens": 70, "output_tokens": 2}}}},
]  # fmt: skip
COHERE_1: list[dict[str, Any]] = [
    {"is_finished": False, "event_type": "stream-start", "generation_id": "g"},
    {"is_finished": False, "event_type": "text-generation", "text": "Two."},
    {"is_finished": True, "event_type": "stream-end", "finish_reason": "COMPLETE", "response": {
        "text": "Two.", "generation_id": "g", "meta": {"billed_units": {"input_tokens": 4, "output_tokens": 2}}}},
]  # fmt: skip
STREAMS: dict[str, list[dict[str, Any]]] = {
    "chat": CHAT, "bedrock_converse": CONVERSE, "ollama": OLLAMA, "completions": COMPLETIONS, "bedrock_invoke": TITAN,
    "cohere": COHERE, "cohere 1": COHERE_1,
}  # fmt: skip


@pytest.mark.parametrize("stream", STREAMS)
def test_a_joined_stream_is_a_body_of_its_api_with_its_usage(stream: str) -> None:
    body = join_body(STREAMS[stream])
    api = api_of(body)
    assert api is not None
    assert api.endpoint == stream.partition(" ")[0]
    usage = next(read_usage(body if path == "" else body.get(path)).usage for path in api.usage if path in ("", *body))
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (4, 2)


START = {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 9, "output_tokens": 1}}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Tw"}}
MESSAGE: list[dict[str, Any]] = [START, DELTA, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}]
RESPONSE: list[dict[str, Any]] = [
    {"type": "response.created", "response": {"id": "r", "status": "in_progress"}},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "Tw"},
    {"type": "response.completed", "response": {"id": "r", "status": "completed"}},
]
GEMINI: list[dict[str, Any]] = [
    {"candidates": [{"content": {"parts": [{"text": "Tw"}]}}]},
    {"candidates": [{"content": {"parts": [{"text": "o."}]}, "finishReason": "STOP"}]},
]


@pytest.mark.parametrize(
    "chunks", [CHAT, CONVERSE[:4], OLLAMA, COMPLETIONS, MESSAGE, RESPONSE, GEMINI, COHERE, COHERE_1]
)
def test_a_stream_without_its_last_chunk_broke_off(chunks: list[dict[str, Any]]) -> None:
    assert CUT_OFF not in join_body(chunks)
    assert join_body(chunks[:-1])[CUT_OFF] is True


def test_the_output_count_that_an_anthropic_stream_begins_with_is_none() -> None:
    body = join_body([START, DELTA, {"type": "error", "error": {"type": "overloaded_error"}}])
    assert body["usage"] == {"input_tokens": 9}


def test_what_came_of_a_broken_stream_of_cohere_is_a_body_of_its_api() -> None:
    body = join_body(COHERE[:3])
    api = api_of(body)
    assert api is not None
    assert api.endpoint == "cohere"
    assert body["message"]["content"] == [{"type": "text", "text": "Two."}]


def test_choices_and_reasoning_are_joined_apart() -> None:
    body = join_chunks(CHAT)
    assert body is not None
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "A", "reasoning_content": "hm"},
            "finish_reason": "stop",
        },
        {"index": 1, "message": {"role": "assistant", "content": "B"}},
    ]


@pytest.mark.parametrize("endpoint", STREAMS)
def test_event_text_and_a_list_are_the_same_stream(endpoint: str) -> None:
    chunks = STREAMS[endpoint]
    text = "".join(f"event: x\ndata: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    assert join_body(text) == join_body(chunks) == join_body(json.dumps(chunks))


def test_text_that_is_no_stream_stays() -> None:
    assert join_body("Two.") == "Two."
    assert join_body("data: nothing") == "data: nothing"
    assert join_body({"a": 1}) == {"a": 1}
    assert join_body([]) is None
    assert join_body(["Two."]) is None


def test_parts_of_a_tool_call_are_joined() -> None:
    deltas: list[dict[str, Any]] = [
        {"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "tide", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"at"'}}]},
        {"tool_calls": [{"index": 1, "id": "u", "function": {"name": "wind", "arguments": "{}"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 9}"}}]},
    ]
    body = join_chunks(
        {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]} for delta in deltas
    )
    assert body is not None
    calls = body["choices"][0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [("t", '{"at": 9}'), ("u", "{}")]


def test_an_anthropic_stream_keeps_the_largest_of_each_count() -> None:
    """Later events repeat counts or leave them out; some gateways repeat them as 0."""
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "msg_1", "type": "message", "model": "claude-sonnet-4-5", "usage": {
            "input_tokens": 25, "output_tokens": 1, "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "name": "tide", "input": {}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"at"'}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ": 9}"}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {
            "input_tokens": 0, "output_tokens": 15, "cache_creation_input_tokens": 45}},
    ]  # fmt: skip
    body = join_chunks(events)
    assert body is not None
    assert body["content"][0]["input"] == {"at": 9}
    usage = read_usage(body["usage"]).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (70, 15)
    assert (usage.cache_creation_input_tokens, usage.cache_write_5m_tokens) == (45, 10)


def test_a_long_stream_is_joined_in_linear_time() -> None:
    chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "x" * 20}}]}
    body = join_chunks(chunk for _ in range(100_000))
    assert body is not None
    assert len(body["choices"][0]["message"]["content"]) == 2_000_000


def test_chunks_are_gathered_by_id_in_any_order() -> None:
    gatherer = Gatherer()
    assert [gatherer.add({**CHAT[n % 4], "id": f"s{n % 3}"}, n, None)[0] for n in range(12)] == [
        n < 3 for n in range(12)
    ]
    streams = sorted((stream.joiner.result()["id"], stream.row) for stream in gatherer.finish())
    assert streams == [("s0", 0), ("s1", 1), ("s2", 2)]


def test_events_without_an_id_belong_to_the_stream_that_is_open() -> None:
    gatherer = Gatherer()
    done = []
    for answer in ("msg_1", "msg_2"):
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": {"id": answer, "model": "m", "usage": {"input_tokens": 1}}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": answer}},
            {"type": "message_stop"},
        ]
        done += [joined for event in events for joined in gatherer.add(event, 1, None)[1]]
    assert [stream.joiner.result()["content"][0]["text"] for stream in done] == ["msg_1", "msg_2"]
    assert list(gatherer.finish()) == []


def test_a_stream_that_rests_is_closed_when_too_many_are_open() -> None:
    gatherer = Gatherer()
    done = [joined for n in range(MAX_OPEN + 5) for joined in gatherer.add({**CHAT[0], "id": f"s{n}"}, n, None)[1]]
    assert [joined.row for joined in done] == list(range(5))


@pytest.mark.parametrize(
    "record",
    [{"type": "assistant", "message": {}}, {"type": "message", "id": "m"}, {"object": "chat.completion"}, {"type": 5},
     {"type": "response.x", "a": 1}, {}],
)  # fmt: skip
def test_a_whole_record_is_no_chunk(record: dict[str, Any]) -> None:
    assert not is_chunk(record)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    "id", "object", "type", "choices", "delta", "message", "usage", "index", "content_block", "response", "item",
    "output_index", "candidates", "usageMetadata", "done", "model", "metadata", "messageStop", "contentBlockDelta",
    "content", "text", "function", "tool_calls", "parts", "partial_json", "arguments", "event_type", "finish_reason",
]  # fmt: skip
ODD = st.recursive(
    ANYTHING | st.sampled_from(["chat.completion.chunk", "message_start", "message_delta", "content_block_delta",
                                "response.output_text.delta", "response.output_item.done", "response.created",
                                "content-delta", "stream-end"]),
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=25,
)  # fmt: skip


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), ODD, max_size=6), max_size=5))
def test_chunks_of_any_types_are_joined(chunks: list[dict[str, Any]]) -> None:
    gatherer = Gatherer()
    firsts = 0
    done = 0
    for chunk in chunks:
        kind_of(chunk)
        join_chunks([chunk, *chunks])
        first, joined = gatherer.add(chunk, 1, None)
        firsts += first
        done += len(joined)
    assert done + len(list(gatherer.finish())) == firsts


def test_a_body_is_part_of_a_stream_only_where_one_of_its_kind_is_open() -> None:
    """The last chunk of a legacy completion, and of Ollama, looks like a body."""
    for unfinished, last in (
        (COMPLETIONS[0] | {"choices": [{"index": 0, "text": "Tw", "finish_reason": None}]}, COMPLETIONS[1]),
        (OLLAMA[0] | {"created_at": "2025-01-01"}, OLLAMA[1]),
    ):
        gatherer = Gatherer()
        assert not gatherer.takes(last)
        assert gatherer.takes(unfinished)
        assert gatherer.add(unfinished, 1, 0) == (True, [])
        assert gatherer.takes(last)
        assert not gatherer.takes(last | {"id": "other", "model": "other"})
        first, done = gatherer.add(last, 2, 9)
        (joined,) = [*done, *gatherer.finish()]
        assert (first, joined.row) == (False, 1)
        assert not gatherer.takes(last)


def test_events_of_cohere_one_a_row_are_one_answer() -> None:
    """Those after the first name no answer; other tools' events of like names are none of them."""
    gatherer, done = Gatherer(), []
    for event in [*COHERE, *(event | {"id": "d"} if "id" in event else event for event in COHERE)]:
        assert is_chunk(event)
        done += gatherer.add(event, 1, None)[1]
    body = join_chunks(COHERE)
    assert body is not None
    assert [stream.joiner.result() for stream in done] == [body, body | {"id": "d"}]
    assert not is_chunk({"type": "tool-call-delta", "toolCallId": "t", "argsTextDelta": "{"})


GEMINI = [
    {"candidates": [{"content": {"parts": [{"text": "Two"}]}}], "usageMetadata": {"promptTokenCount": 10}},
    {
        "candidates": [{"content": {"parts": [{"text": "."}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 9, "totalTokenCount": 19},
    },
]


@pytest.mark.parametrize("ids", [("", ""), ("r-1", "r-1"), ("r-1", "r-2")], ids=lambda ids: " ".join(ids) or "none")
@pytest.mark.parametrize("events", [True, False], ids=["events", "array"])
def test_an_answer_of_gemini_is_one_call_in_whatever_sequence_its_parts_stand(
    tmp_path: Path, ids: tuple[str, str], *, events: bool
) -> None:
    """Their usage is the sum so far; those of two ids are of two answers."""
    model = {"modelVersion": "gemini-2.5-flash"}
    parts = [one | model | ({"responseId": own} if own else {}) for one, own in zip(GEMINI, ids, strict=True)]
    path = tmp_path / "log.json"
    path.write_text("\n".join(f"data: {json.dumps(one)}\n" for one in parts) if events else json.dumps(parts))
    calls = calls_of(read_file(path))
    assert len(calls) == len({*ids})
    usage = next(call.usage for call in calls if call.usage is not None and call.usage.completion_tokens == 9)
    assert (usage.prompt_tokens, usage.total_tokens) == (10, 19)


USAGES = [{"promptTokenCount": 10, "totalTokenCount": 12}, {"promptTokenCount": 10, "totalTokenCount": 19}]
CUT = [{"candidates": [{"content": {"parts": [{"text": "Two"}]}}], "usageMetadata": usage} for usage in USAGES]
LAST = {"usageMetadata": USAGES[1] | {"candidatesTokenCount": 9}}


@pytest.mark.parametrize(
    ("parts", "totals"),
    [
        (CUT, [19]),  # one answer that was cut: its usage grew
        (CUT[::-1], [19, 12]),  # two: a usage never shrinks
        ([CUT[1], CUT[1] | {"usageMetadata": {"promptTokenCount": 11, "totalTokenCount": 20}}], [19, 20]),  # prompts
        ([*GEMINI, LAST], [19]),
        ([GEMINI[0], {"candidates": [{"finishReason": "STOP"}]}, LAST], [19]),
        ([{"candidates": [{"finishReason": "STOP"}]}, LAST], [19]),
        ([*GEMINI, LAST, *GEMINI], [19, 19]),
        ([GEMINI[1], GEMINI[1]], [19, 19]),
    ],
)
@pytest.mark.parametrize("own", ["", "r-1"])
def test_the_usage_tells_answers_of_gemini_apart_and_may_come_last(
    tmp_path: Path, parts: list[dict[str, Any]], totals: list[int], own: str
) -> None:
    named = {"modelVersion": "gemini-2.5-flash"} | ({"responseId": own} if own else {})
    path = tmp_path / "log.json"
    path.write_text(json.dumps([one | named for one in parts]))
    calls = calls_of(read_file(path))
    found = [call.usage.total_tokens for call in calls if call.usage is not None]
    one_answer = own and len(totals) == 2 and parts[0] in CUT  # an id says so
    assert found == ([parts[1]["usageMetadata"]["totalTokenCount"]] if one_answer else totals)
