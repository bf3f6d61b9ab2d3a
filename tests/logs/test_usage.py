"""Any provider's counts become one meaning: prompt and completion whole, parts inside them, contradictions flagged."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.usage.arithmetic import AMBIGUOUS, INCONSISTENT, settle_counts
from callcost.logs.usage.spellings import SHAPES
from callcost.logs.usage.unread import unread_keys
from callcost.logs.usage.usage import add_usages, is_zero, read_count, read_usage, shape_of
from callcost.logs.values.json import Refusal
from callcost.tables import MAX_COUNT, USAGE_COUNTS, Usage

COUNTS = st.dictionaries(st.sampled_from(USAGE_COUNTS), st.integers(0, 2_000) | st.just(MAX_COUNT))


def _stated(usage: Usage | None) -> dict[str, Any]:
    return {name: getattr(usage, name) for name in USAGE_COUNTS if getattr(usage, name, None)}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"prompt_tokens": 9, "completion_tokens": 3, "reasoning_tokens": 2},
            {"prompt_tokens": 9, "completion_tokens": 3, "reasoning_tokens": 2, "total_tokens": 12},
        ),
        (
            {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100, "prompt_tokens_details": {  # Alibaba
             "cached_tokens": 0, "cache_creation_input_tokens": 60, "cache_type": "ephemeral",
             "cache_creation": {"ephemeral_5m_input_tokens": 60}}},
            {"prompt_tokens": 90, "completion_tokens": 10, "cache_creation_input_tokens": 60,
             "cache_write_5m_tokens": 60, "total_tokens": 100},
        ),
        (
            {"prompt_token_count": 40, "candidates_token_count": 5, "total_token_count": 45,  # Google's Python SDK
             "prompt_tokens_details": [{"modality": "TEXT", "token_count": 40}]},
            {"prompt_tokens": 40, "completion_tokens": 5, "total_tokens": 45, "text_input_tokens": 40},
        ),
        (
            {"input_tokens": 90, "output_tokens": 10, "total_tokens": 100, "input_token_details": {"cached_tokens": 64,
             "text_tokens": 60, "audio_tokens": 30, "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4}},
             "output_token_details": {"text_tokens": 4, "audio_tokens": 6}},
            {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100, "cache_read_input_tokens": 64,
             "text_input_tokens": 60, "audio_input_tokens": 30, "cache_read_text_tokens": 60,
             "cache_read_audio_tokens": 4, "text_output_tokens": 4, "audio_output_tokens": 6},
        ),
        (
            {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 100},
            {"prompt_tokens": 105, "completion_tokens": 7, "total_tokens": 112, "cache_read_input_tokens": 100},
        ),
        ({"total_input_tokens": 9, "total_output_tokens": 2, "total_thought_tokens": 5, "total_tokens": 16},
         {"prompt_tokens": 9, "completion_tokens": 7, "reasoning_tokens": 5, "total_tokens": 16}),
        ({"prompt_token_count": 9, "candidates_token_count": 2, "thoughts_token_count": 5, "total_token_count": 16},
         {"prompt_tokens": 9, "completion_tokens": 7, "reasoning_tokens": 5, "total_tokens": 16}),
        ({"promptTokenCount": 663, "totalTokenCount": 663}, {"prompt_tokens": 663, "total_tokens": 663}),
        ({"promptTokenCount": 9, "thoughtsTokenCount": 5, "totalTokenCount": 14},
         {"prompt_tokens": 9, "completion_tokens": 5, "reasoning_tokens": 5, "total_tokens": 14}),
        ({"inputTokenCount": 9, "outputTokenCount": 2, "cacheReadInputTokenCount": 3},
         {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14, "cache_read_input_tokens": 3}),
        ({"x-amzn-bedrock-input-token-count": "9", "x-amzn-bedrock-output-token-count": "2"},
         {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}),
        ({"generation_token_count": 4, "prompt_token_count": 9},
         {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}),
        ({"inputTokens": 9, "outputTokens": 4, "inputDetails": {"text": 1, "cacheRead": 5, "cacheWrite": 3},  # Mastra
          "outputDetails": {"text": 1, "reasoning": 3}},
         {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "cache_read_input_tokens": 5,
          "cache_creation_input_tokens": 3, "reasoning_tokens": 3}),
        ({"promptTokens": 9, "completionTokens": 4, "totalTokens": 13, "promptTokensDetails": {"cachedTokens": 5},
          "completionTokensDetails": {"reasoningTokens": 3}},  # OpenRouter's SDK
         {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "cache_read_input_tokens": 5,
          "reasoning_tokens": 3}),
        ({"inputTokens": 9, "outputTokens": 4, "thoughtsTokens": 3, "cachedContentTokens": 5, "totalTokens": 16},
         {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16, "cache_read_input_tokens": 5,
          "reasoning_tokens": 3}),  # Genkit
        ({"promptTokens": 9, "candidatesTokens": 4, "thoughtsTokens": 3},
         {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16, "reasoning_tokens": 3}),
        ({"inputTokens": 9, "outputTokens": 4, "cacheReadInputTokens": 5, "cacheCreationInputTokens": 3},
         {"prompt_tokens": 17, "completion_tokens": 4, "total_tokens": 21, "cache_read_input_tokens": 5,
          "cache_creation_input_tokens": 3}),  # Anthropic's Agent SDK
        ({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,  # Bifrost
          "prompt_tokens_details": {"cached_read_tokens": 5, "cached_write_tokens": 3}},
         {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "cache_read_input_tokens": 5,
          "cache_creation_input_tokens": 3}),
        ({"prompt_tokens": 9, "completion_tokens": 4, "cached_prompt_tokens": 5},  # CrewAI
         {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "cache_read_input_tokens": 5}),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_cached_tokens": 5},  # LiveKit
         {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "cache_read_input_tokens": 5}),
        ({"total_tokens": 9}, {"total_tokens": 9}),
        ({"prompt_tokens": 9, "total_tokens": 9}, {"prompt_tokens": 9, "total_tokens": 9}),
        ({"completion_tokens": 4, "total_tokens": 13},
         {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}),
    ],
    ids=str,
)  # fmt: skip
def test_a_spelling_is_read(body: dict[str, Any], expected: dict[str, int]) -> None:
    reading = read_usage(body)
    assert _stated(reading.usage) == expected
    assert not reading.flags


@pytest.mark.parametrize(
    "body", [None, {}, [], "usage", 7, {"prompt_tokens": None}, {"hello": 1}, {"completion_tokens": ""}]
)
def test_nothing_stated_is_no_usage(body: object) -> None:
    assert read_usage(body).usage is None


def test_a_stated_zero_is_a_zero() -> None:
    usage = read_usage({"prompt_tokens": 0, "completion_tokens": 0}).usage
    assert usage is not None
    assert is_zero(usage)
    assert usage.prompt_tokens == 0
    assert usage.cache_read_input_tokens is None


@pytest.mark.parametrize(
    ("value", "count"),
    [(3, 3), (3.0, 3), ("3", 3), (" 3.0 ", 3), ("+3", 3), (Decimal("3.00"), 3), (MAX_COUNT, MAX_COUNT), ("", None),
     (float("nan"), None)],
)  # fmt: skip
def test_a_count_is_a_whole_number(value: object, count: int | None) -> None:
    assert read_count(value, "n") == count


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (-1, "bad_count"), (1.5, "bad_count"), (True, "bad_count"), ("-1", "bad_count"), ("1.5", "bad_count"),
        ("1e3", "bad_count"), ("many", "bad_count"), ([], "bad_count"), (-float("inf"), "bad_count"),
        (b"3", "bad_count"),
        (Decimal("1.5"), "bad_count"), (-(10**400), "bad_count"), ("٣", "bad_count"),
        (MAX_COUNT + 1, "count_out_of_range"), (10**400, "count_out_of_range"), (float("inf"), "count_out_of_range"),
        ("9" * 50, "count_out_of_range"), (1e300, "count_out_of_range"), (Decimal("1e50"), "count_out_of_range"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_count_is_refused(value: object, reason: str) -> None:
    with pytest.raises(Refusal) as refusal:
        read_count(value, "prompt_tokens")
    assert refusal.value.reason == reason
    assert "prompt_tokens" in refusal.value.detail


@given(COUNTS, st.sampled_from(["inclusive", "exclusive"]), st.sampled_from(["inside", "beside"]))
def test_parts_fit_into_their_whole(counts: dict[str, int], prompt: str, reasoning: str) -> None:
    usage, flags = settle_counts(dict(counts), prompt=prompt, reasoning=reasoning)
    whole, answer = usage.prompt_tokens, usage.completion_tokens
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    if whole is not None:
        assert read + written <= whole
        assert max(usage.text_input_tokens or 0, usage.audio_input_tokens or 0, usage.image_input_tokens or 0) <= whole
    if answer is not None:
        assert (usage.reasoning_tokens or 0) <= answer
    if whole is not None and answer is not None:
        assert usage.total_tokens == whole + answer
    assert (usage.cache_write_5m_tokens or 0) + (usage.cache_write_1h_tokens or 0) <= written
    assert flags <= {INCONSISTENT, AMBIGUOUS}


@given(COUNTS, st.integers(0, 5_000), st.integers(0, 5_000))
def test_settled_counts_are_settled(counts: dict[str, int], prompt: int, completion: int) -> None:
    usage, _ = settle_counts(counts | {"prompt_tokens": prompt, "completion_tokens": completion})
    stated = {name: getattr(usage, name) for name in USAGE_COUNTS if getattr(usage, name) is not None}
    assert settle_counts(dict(stated)) == (usage, set())


@given(st.lists(COUNTS, max_size=4))
def test_a_sum_of_usages_is_the_sum_of_each_count(many: list[dict[str, int]]) -> None:
    total = add_usages(msgspec.convert(counts, Usage) for counts in many)
    for name in USAGE_COUNTS:
        stated = [counts[name] for counts in many if name in counts]
        assert getattr(total, name) == (sum(stated) if stated else None)


def test_iterations_replace_the_top_level() -> None:
    """Compactions and other models' runs are not in Anthropic's top level, and are billed."""
    runs = [
        {"type": "compaction", "input_tokens": 55_196, "output_tokens": 125},
        {"type": "message", "input_tokens": 220, "output_tokens": 8},
    ]
    reading = read_usage({"input_tokens": 220, "output_tokens": 8, "iterations": runs})
    assert reading.usage is not None
    assert (reading.usage.prompt_tokens, reading.usage.completion_tokens) == (55_416, 133)
    assert [run.prompt_tokens for run in reading.iterations] == [55_196, 220]


@pytest.mark.parametrize("entries", [[None], ["x"], [{}], {"a": 1}, "x", [{"type": "message"}]], ids=str)
def test_iterations_that_say_nothing_change_nothing(entries: object) -> None:
    reading = read_usage({"input_tokens": 220, "output_tokens": 8, "iterations": entries})
    assert reading.usage is not None
    assert reading.usage.total_tokens == 228
    assert not reading.iterations


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_each_mark_leads_to_one_shape(shape: Any) -> None:
    for mark in shape.marks:
        found = shape_of({mark: 1})
        assert found is not None
        assert mark in found.shape.marks


@given(
    st.dictionaries(
        st.sampled_from(sorted({mark for shape in SHAPES for mark in shape.marks} | {"iterations", "cacheDetails"})),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.lists(st.integers())
        | st.just({"a": 1}),
    )
)
def test_a_usage_of_any_types_is_read_or_refused(body: dict[str, Any]) -> None:
    with contextlib.suppress(Refusal):
        read_usage(body)


@pytest.mark.parametrize(
    ("body", "expected", "flags"),
    [
        # two places: the larger of a part (litellm issue 11789)
        ({"prompt_tokens": 90, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 0},
          "cache_read_input_tokens": 80}, {"prompt_tokens": 90, "cache_read_input_tokens": 80}, {AMBIGUOUS}),
        # LangChain: writes only by their lifetime
        ({"input_tokens": 406, "output_tokens": 3, "total_tokens": 409, "input_token_details": {"cache_read": 5,
          "cache_creation": 0, "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 400}},
         {"prompt_tokens": 406, "cache_creation_input_tokens": 400, "cache_write_1h_tokens": 400}, {AMBIGUOUS}),
        # the total decides, part by part: Bedrock counts the writes of OpenAI's models inside, reads beside
        ({"inputTokens": 100, "outputTokens": 5, "totalTokens": 155, "cacheReadInputTokens": 50,
          "cacheWriteInputTokens": 70}, {"prompt_tokens": 150, "cache_creation_input_tokens": 70}, set()),
        # what is larger than its side stands beside it: old LiteLLM's writes
        ({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "cache_read_input_tokens": 95,
          "cache_creation_input_tokens": 20}, {"prompt_tokens": 120, "cache_read_input_tokens": 95},
         {INCONSISTENT, AMBIGUOUS}),
        # two readings that the total allows
        ({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 160, "cache_read_input_tokens": 10,
          "completion_tokens_details": {"reasoning_tokens": 10}}, {"total_tokens": 160}, {AMBIGUOUS}),
        # Anthropic states no total: a writer's own may be of the sides alone
        ({"input_tokens": 100, "output_tokens": 5, "total_tokens": 105, "cache_read_input_tokens": 60},
         {"prompt_tokens": 160}, {AMBIGUOUS}),
        ({"input_tokens": 100, "output_tokens": 5, "total_tokens": 105, "cache_read_input_tokens": 600},
         {"prompt_tokens": 700}, set()),
        # Perplexity: reasoning beside the completion and the total
        ({"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10, "reasoning_tokens": 90,
          "num_search_queries": 2}, {"completion_tokens": 97, "reasoning_tokens": 90}, set()),
        # every modality of every part; DOCUMENT is billed as the rest
        ({"promptTokenCount": 30, "candidatesTokenCount": 2, "totalTokenCount": 32, "cachedContentTokenCount": 20,
          "cacheTokensDetails": [{"modality": "VIDEO", "tokenCount": 15}, {"modality": "DOCUMENT", "tokenCount": 5}]},
         {"prompt_tokens": 30, "cache_read_input_tokens": 20, "cache_read_video_tokens": 15}, set()),
        # the Vercel SDK before its version 6
        ({"inputTokens": 10, "outputTokens": 5, "totalTokens": 15, "cachedInputTokens": 90},
         {"prompt_tokens": 100, "cache_read_input_tokens": 90}, set()),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)  # fmt: skip
def test_what_stands_inside_what_is_told_by_the_identities(
    body: dict[str, Any], expected: dict[str, int], flags: set[str]
) -> None:
    reading = read_usage(body)
    assert _stated(reading.usage).items() >= expected.items()
    assert reading.flags == flags


@pytest.mark.parametrize(
    ("body", "unread"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 1, "foo_tokens": 3}, ["foo_tokens"]),
        ({"prompt_tokens": 1, "prompt_tokens_details": {"bar_tokens": 2, "cached_tokens": 1}},
         ["prompt_tokens_details.bar_tokens"]),
        ({"input_tokens": 1, "output_tokens": 1, "extra_usage": {"a": 5}}, ["extra_usage.a"]),
        ({"promptTokenCount": 3, "promptTokensDetails": [{"modality": "SMELL", "tokenCount": 3}]},
         ["promptTokensDetails.SMELL"]),
        ({"prompt_tokens": 1, "max_tokens": 9, "foo_tokens": 0, "tokens_per_second": 3.5, "queue_time": 0.1,
          "completion_tokens_details": {"rejected_prediction_tokens": 4}}, []),
        ({"prompt_tokens": 1, "prompt_tokens_details": {"smelled": 2}}, ["prompt_tokens_details.smelled"]),
        ({"prompt_tokens": 1, "smell_tokens": [{"kind": "SEA", "count": 2}]}, ["smell_tokens.0.count"]),
        ({"prompt_tokens_details": {"cached_tokens": 2}}, ["prompt_tokens_details.cached_tokens"]),
    ],
    ids=str,
)  # fmt: skip
def test_numbers_that_look_like_usage_and_are_not_read_are_named(body: dict[str, Any], unread: list[str]) -> None:
    assert read_usage(body).unread == unread


def test_an_object_that_is_called_usage_is_not_passed_over_for_its_spelling() -> None:
    assert read_usage({"heard": 4, "said": 2}, like=True).unread == ["heard", "said"]
    assert read_usage({"page": 4}).unread == []


def test_units_that_two_places_state_are_the_larger_and_flagged() -> None:
    body = {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 1},
            "prompt_tokens_details": {"web_search_requests": 3}}  # fmt: skip
    read = read_usage(body)
    assert read.usage is not None
    assert (read.usage.billed_units, read.flags) == ({"web_search_requests": Decimal(3)}, {AMBIGUOUS})


def test_a_number_that_compares_with_nothing_is_named_like_any_other() -> None:
    body = {"model": Decimal("sNaN"), "foo_tokens": Decimal("sNaN"), "bar_tokens": Decimal(0), "baz_tokens": 0.0}
    assert unread_keys(body, {}) == ["foo_tokens"]
