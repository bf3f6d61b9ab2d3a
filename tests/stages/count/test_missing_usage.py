"""Which usage is counted, which stays as stated, and what each call says about where its usage is from."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcost.stages.count.missing_usage import count_missing
from callcost.stages.read import sides as frames_of_sides
from callcost.tables import Call, Usage
from callcost.tokens.engines.encoders import load_encoder
from callcost.tokens.engines.oversize_worker import OversizeWorker
from callcost.tokens.engines.text_counter import (
    CACHE_CHARS,
    CACHED_TEXT_SHARE,
    FrequentTexts,
    TextCounter,
    frequent_texts,
)
from callcost.tokens.frame import SMALL, UNIT, Frame
from callcost.tokens.model_families import Choice

WEAKER = {"exact": 0.01, "calibrated": 0.05, "estimated": 0.3}


def fake_frame(constant: int, side: Any) -> Frame | None:
    """Frame a list of texts, or {texts, method}: a constant beside each text's tokens; None for no texts."""
    if side is None:
        return None
    texts, method = (side["texts"], side["method"]) if isinstance(side, dict) else (side, "exact")
    return Frame(
        vocabulary="cl100k_base",
        texts=tuple(texts),
        weights=(UNIT,) * len(texts),
        constant=constant,
        method=method,
        error=WEAKER[method],
    )


@pytest.fixture(autouse=True)
def simple_framing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of framing have their own tests; here a prompt is 3 and its texts, a completion its texts."""

    def prompt(_choice: Choice, _endpoint: str | None, request: Any, *_: Any) -> Frame | None:
        return fake_frame(3000, request)

    def completion(_choice: Choice, _endpoint: str | None, response: Any, *_: Any, **_more: Any) -> Frame | None:
        return fake_frame(0, response)

    monkeypatch.setattr(frames_of_sides, "frame_prompt", prompt)
    monkeypatch.setattr(frames_of_sides, "frame_completion", completion)


@pytest.fixture(autouse=True)
def no_memory() -> None:
    """Nothing is remembered from other tests."""
    frequent_texts.cache_clear()


@pytest.fixture
def counter() -> Iterator[TextCounter]:
    """A counter of one worker."""
    with TextCounter() as made:
        yield made


def make_call(**fields: Any) -> Call:
    """Make a chat call; "hello world" is two tokens of cl100k_base, "yes" one."""
    defaults = {"model": "gpt-4", "endpoint": "chat", "request": ["hello world"], "response": ["yes"]}
    return Call(source_format="pair", family="pair", **{**defaults, **fields})


def outcome(call: Call) -> tuple[Any, ...]:
    """Reduce a settled call to what its usage came to and how."""
    usage = call.usage or Usage()
    sides = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    return (*sides, call.usage_source, call.count_method, call.count_error)


def settle(counter: TextCounter, **fields: Any) -> tuple[Any, ...]:
    """Settle one call and reduce it."""
    call = make_call(**fields)
    count_missing([call], counter)
    return outcome(call)


def test_usage_that_is_stated_is_not_counted(counter: TextCounter) -> None:
    stated = Usage(prompt_tokens=100, completion_tokens=50, total_tokens=150)

    assert settle(counter, usage=stated) == (100, 50, 150, "reported", None, None)
    assert counter.stats().texts == 0


def test_a_missing_total_is_the_sum_of_its_sides(counter: TextCounter) -> None:
    assert settle(counter, usage=Usage(prompt_tokens=100, completion_tokens=50))[2] == 150


def test_an_estimate_from_upstream_stays_one(counter: TextCounter) -> None:
    stated = Usage(prompt_tokens=100, completion_tokens=50)

    assert settle(counter, usage=stated, usage_source="estimated_upstream")[3] == "estimated_upstream"


@pytest.mark.parametrize(
    "zero", [Usage(prompt_tokens=0, completion_tokens=9), Usage(prompt_tokens=9, completion_tokens=0)]
)
def test_an_explicit_zero_is_not_missing(counter: TextCounter, zero: Usage) -> None:
    assert settle(counter, usage=zero)[3:] == ("reported", None, None)


def test_the_other_side_of_a_stated_total_is_the_difference(counter: TextCounter) -> None:
    assert settle(counter, usage=Usage(prompt_tokens=7, total_tokens=9)) == (7, 2, 9, "reported", None, None)
    assert settle(counter, usage=Usage(completion_tokens=2, total_tokens=9)) == (7, 2, 9, "reported", None, None)
    assert settle(counter, usage=Usage(prompt_tokens=9, total_tokens=9)) == (9, 0, 9, "reported", None, None)
    assert settle(counter, usage=Usage(completion_tokens=9, total_tokens=9)) == (0, 9, 9, "reported", None, None)


def test_a_total_smaller_than_its_side_says_nothing_about_the_other(counter: TextCounter) -> None:
    assert settle(counter, usage=Usage(prompt_tokens=9, total_tokens=7)) == (9, 1, 7, "partial", "exact", 0.01)


def test_an_embedding_has_no_completion(counter: TextCounter) -> None:
    embedding = {"endpoint": "embeddings", "response": None}

    assert settle(counter, usage=Usage(prompt_tokens=8), **embedding) == (8, 0, 8, "reported", None, None)
    assert settle(counter, usage=Usage(total_tokens=8), **embedding) == (8, 0, 8, "reported", None, None)
    assert settle(counter, usage=None, **embedding) == (5, 0, 5, "counted", "exact", 0.01)
    assert settle(counter, usage=None, endpoint="embeddings", request=None) == (None, None, None, "absent", None, None)


def test_without_usage_both_sides_are_counted(counter: TextCounter) -> None:
    assert settle(counter) == (5, 1, 6, "counted", "exact", 0.01)


def test_an_ordinary_chat_goes_the_short_way(counter: TextCounter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_of_sides, "frame_prompt", None)
    monkeypatch.setattr(frames_of_sides, "frame_completion", None)
    chat = {"messages": [{"role": "user", "content": "hello world"}]}

    assert settle(counter, request=chat, response="yes")[:4] == (9, 1, 10, "counted")


def test_a_call_without_usage_says_so_and_gets_none(counter: TextCounter) -> None:
    call = make_call(text_missing="redacted")

    count_missing([call], counter)

    assert (call.usage, call.usage_source) == (None, "absent")


def test_a_total_alone_is_no_usage(counter: TextCounter) -> None:
    assert settle(counter, usage=Usage(total_tokens=11)) == (5, 1, 11, "counted", "exact", 0.01)
    assert settle(counter, usage=Usage(total_tokens=11), text_missing="redacted")[3] == "absent"


def test_one_side_stated_and_the_other_counted_is_partial(counter: TextCounter) -> None:
    assert settle(counter, usage=Usage(prompt_tokens=100)) == (100, 1, 101, "partial", "exact", 0.01)
    assert settle(counter, usage=Usage(completion_tokens=100)) == (5, 100, 105, "partial", "exact", 0.01)


def test_the_other_fields_of_a_partial_usage_stay(counter: TextCounter) -> None:
    call = make_call(usage=Usage(prompt_tokens=100, cache_read_input_tokens=40, audio_input_tokens=2))

    count_missing([call], counter)

    assert call.usage is not None
    assert (call.usage.cache_read_input_tokens, call.usage.audio_input_tokens) == (40, 2)


def test_stated_reasoning_belongs_to_a_counted_completion(counter: TextCounter) -> None:
    assert settle(counter, usage=Usage(prompt_tokens=100, reasoning_tokens=30))[:2] == (100, 31)


def broken_off(
    monkeypatch: pytest.MonkeyPatch, limit: Any, text: str = "yes", ended: str = "length", **fields: Any
) -> Call:
    """Make a call of a model that reasons where nobody sees it, with bodies as they are; its frames are simple ones."""
    answered = fake_frame(0, [text] if text else None)
    monkeypatch.setattr(frames_of_sides, "frame_plain", lambda *_: None)
    monkeypatch.setattr(frames_of_sides, "frame_prompt", lambda *_: fake_frame(3000, ["hello world"]))
    monkeypatch.setattr(frames_of_sides, "frame_completion", lambda *_, **__: answered)
    request = {"messages": [{"role": "user", "content": "hello world"}], "max_completion_tokens": limit}
    answer = {"choices": [{"finish_reason": ended, "message": {"role": "assistant", "content": text}}]}
    return make_call(model="gpt-5-mini", request=request, response=answer, **fields)


@pytest.mark.parametrize("text", ["yes", ""], ids=["text", "nothing seen"])
def test_an_answer_that_broke_off_at_its_limit_has_spent_it(
    counter: TextCounter, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, visible = broken_off(monkeypatch, 500, text), bool(text)

    count_missing([call], counter)

    assert call.usage is not None
    assert (call.usage.completion_tokens, call.usage.reasoning_tokens) == (500, 500 - visible)
    assert (call.usage.prompt_tokens, call.usage.total_tokens) == (5, 505)
    assert (call.flags, call.count_method) == ([], "calibrated")


@pytest.mark.parametrize(
    ("limit", "more"),
    [(None, {}), (1, {}), (True, {}), ("500", {}), (-5, {}), (500, {"ended": "stop"}), (500, {"flags": ["aborted"]})],
    ids=["no limit", "seen whole", "no number", "a text", "negative", "ended by itself", "broke off elsewhere"],
)
def test_what_an_answer_spent_is_not_known_where_no_limit_tells(
    counter: TextCounter, limit: Any, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = broken_off(monkeypatch, limit, **more)

    count_missing([call], counter)

    assert call.usage is not None
    assert (call.usage.completion_tokens, call.usage.reasoning_tokens) == (1, None)
    assert "hidden_reasoning" in call.flags


def test_a_side_without_text_stays_null(counter: TextCounter) -> None:
    assert settle(counter, response=None) == (5, None, None, "counted", "exact", 0.01)
    assert settle(counter, request=None) == (None, 1, None, "counted", "exact", 0.01)
    assert settle(counter, usage=Usage(prompt_tokens=9), response=None) == (9, None, None, "reported", None, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"request": None, "response": None},
        {"text_missing": "redacted"},
        {"status": "failure", "response": None},
        {"status": "failure", "response": {"texts": [], "method": "exact"}},
        {"status": "cache_hit"},
        {"status": "failure", "usage": Usage(), "response": None},
    ],
    ids=["nothing", "redacted", "failure", "refusal", "cache hit", "empty usage"],
)
def test_where_nothing_may_be_counted_usage_is_absent(counter: TextCounter, fields: dict[str, Any]) -> None:
    assert settle(counter, **fields) == (None, None, None, "absent", None, None)


def test_the_stated_usage_of_a_failure_or_a_cache_hit_stays(counter: TextCounter) -> None:
    for status in ("failure", "cache_hit"):
        stated = Usage(prompt_tokens=9, completion_tokens=1)
        assert settle(counter, usage=stated, status=status) == (9, 1, 10, "reported", None, None)
        assert settle(counter, usage=Usage(prompt_tokens=9), status=status)[3] == "reported"


def test_what_was_received_of_a_failed_call_is_counted_with_its_prompt(counter: TextCounter) -> None:
    call = make_call(status="failure")

    count_missing([call], counter)

    assert call.usage is not None
    assert (call.usage.prompt_tokens, call.usage.completion_tokens) == (5, 1)
    assert (call.flags, call.usage_source, call.count_method) == (["aborted"], "counted", "estimated")


def test_an_answer_that_broke_off_is_counted_beside_the_prompt_that_its_stream_states(counter: TextCounter) -> None:
    for status in ("failure", "success"):
        found = settle(counter, status=status, usage=Usage(prompt_tokens=9), flags=["aborted"])
        assert found == (9, 1, 10, "partial", "estimated", 0.01)


def test_what_is_billed_in_other_units_or_per_iteration_is_not_counted(counter: TextCounter) -> None:
    seconds = Usage(billed_units={"audio_input_seconds": Decimal("1.5")})

    assert settle(counter, usage=seconds)[3:] == ("reported", None, None)
    assert settle(counter, iterations=[Usage(prompt_tokens=1, completion_tokens=1)])[3:] == ("reported", None, None)


def test_tools_are_billed_beside_the_tokens_which_are_counted(counter: TextCounter) -> None:
    searched = Usage(billed_units={"web_search_requests": Decimal(1)})
    assert settle(counter, usage=searched)[3] == "partial"


def test_a_call_is_counted_as_well_as_its_weaker_side(counter: TextCounter) -> None:
    weak = {"texts": ["yes"], "method": "estimated"}
    middling = {"texts": ["yes"], "method": "calibrated"}

    assert settle(counter, response=weak)[4:] == ("estimated", 1.0)  # of one token
    assert settle(counter, request=middling)[4:] == ("calibrated", pytest.approx(0.05 * (1 + SMALL / 4)))
    assert settle(counter, request=middling, response=weak)[4:] == ("estimated", 1.0)


def test_equal_texts_of_a_window_are_counted_once(counter: TextCounter) -> None:
    calls = [make_call(request=["hello world", f"{number}"]) for number in range(10)]

    count_missing(calls, counter)

    assert counter.stats().texts == 12
    assert {outcome(call) for call in calls} == {(6, 1, 7, "counted", "exact", 0.01)}


def test_frequent_texts_are_remembered_from_window_to_window(counter: TextCounter) -> None:
    for _ in range(3):
        count_missing([make_call(), make_call()], counter)

    assert counter.stats().texts == 2
    assert counter.stats().cache_hits == 4


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    a, b, c = ("a" * 4, "b" * 4, "c" * 4)
    frequent = FrequentTexts(limit=10 * CACHED_TEXT_SHARE)
    filling = {chr(0x4E00 + number) * 8: number for number in range(10 * CACHED_TEXT_SHARE // 8 - 1)}

    frequent.keep({a: 1, b: 2})
    frequent.keep(filling)
    assert frequent.find([a, "never seen"]) == {a: 1}
    frequent.keep({c: 3})

    assert frequent.find([a, b, c]) == {a: 1, c: 3}


def test_a_text_that_would_push_out_many_others_is_not_remembered() -> None:
    frequent = FrequentTexts(limit=10 * CACHED_TEXT_SHARE)

    frequent.keep({"x" * 10: 1, "x" * 11: 2})

    assert frequent.find(["x" * 10, "x" * 11]) == {"x" * 10: 1}


def test_what_one_task_of_a_worker_counted_the_next_one_knows() -> None:
    for hits in (0, 1):
        with TextCounter() as counter:
            assert counter.count("r50k_base", Counter({"hello world": 2})) == {"hello world": 2}
            assert counter.stats().cache_hits == hits


def test_the_statistics_name_engine_vocabulary_and_digest() -> None:
    with TextCounter(fast=False) as counter:
        settle(counter)
        stats = counter.stats()

    assert stats.engines == {load_encoder("cl100k_base").engine}
    assert list(stats.vocabularies) == ["cl100k_base"]
    assert len(stats.vocabularies["cl100k_base"]) == 64


def test_an_item_over_its_time_counts_nothing() -> None:
    slow = "a" * 8_000_000
    calls = [
        make_call(request=[slow, "hello world"]),
        make_call(),
        make_call(usage=Usage(prompt_tokens=9), response=[slow]),
    ]

    with TextCounter(item_timeout=0.2) as counter:
        count_missing(calls, counter)

    assert outcome(calls[0]) == (5, 1, 6, "timed_out", "timed_out", 1.0)
    assert outcome(calls[1]) == (5, 1, 6, "counted", "exact", 0.01)
    assert outcome(calls[2]) == (9, 0, 9, "timed_out", "timed_out", 1.0)


def test_what_was_over_its_time_is_not_tried_again_in_the_next_window(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def give_up(_worker: OversizeWorker, vocabulary: str, _text: str, _seconds: float) -> int | None:
        tried.append(vocabulary)
        return None

    monkeypatch.setattr(OversizeWorker, "count", give_up)
    with TextCounter() as counter:
        for _ in range(3):
            assert settle(counter, request=["a" * 1_000_001])[3] == "timed_out"

    assert tried == ["cl100k_base"]


def test_a_large_item_in_time_counts_as_a_small_one_would(counter: TextCounter) -> None:
    text = "to be or not to be " * 60_000

    assert settle(counter, request=[text])[0] == 3 + load_encoder("cl100k_base").count([text])[0]


def test_without_a_limit_large_items_are_counted_here() -> None:
    with TextCounter(item_timeout=0) as counter:
        assert settle(counter, request=["to be " * 200_000])[0] == 3 + 400_000 + 1
        assert counter._worker.helper is None


words = st.lists(st.sampled_from(["hello world", "yes", "no", "中文", "", "a\ud800"]), max_size=3)
sides = words | st.none() | st.builds(lambda texts: {"texts": texts, "method": "estimated"}, words)
usages = st.none() | st.builds(
    Usage,
    prompt_tokens=st.none() | st.integers(0, 9),
    completion_tokens=st.none() | st.integers(0, 9),
    total_tokens=st.none() | st.integers(0, 20),
)
records = st.lists(st.tuples(sides, sides, usages, st.sampled_from(["success", "failure"])), max_size=12)


@given(records, st.randoms(use_true_random=False), st.integers(1, 5), st.sampled_from([0, 12, CACHE_CHARS]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_windows_order_memory_and_threads_change_nothing(
    rows: list[tuple[Any, ...]], random: Any, window: int, memory: int
) -> None:
    made = [make_call(request=a, response=b, usage=copy.copy(u), status=status) for a, b, u, status in rows]
    again = copy.deepcopy(made)
    order = list(range(len(again)))
    random.shuffle(order)

    with TextCounter() as counter:
        count_missing(made, counter)
    with TextCounter(cache_chars=memory, threads=2) as counter:
        for start in range(0, len(order), window):
            count_missing([again[place] for place in order[start : start + window]], counter)

    assert [outcome(call) for call in made] == [outcome(call) for call in again]


def test_many_texts_in_threads_count_as_in_one(counter: TextCounter) -> None:
    texts = [f"{number} lines of text, some of them long " * 40 for number in range(400)]

    with TextCounter(threads=2) as threaded:
        assert settle(threaded, request=texts) == settle(counter, request=texts)
