"""Both readers give the same facts of every dialect that is read by columns, whatever its records hold."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.laws.chat_records import CHATS
from tests.laws.records import WRITERS, Draw, Record, lines, ordinary
from tests.laws.test_litellm_columns import assert_same, read, written

MOST = 0.8
pytestmark = pytest.mark.usefixtures("columns_for_all", "few_samples")


@pytest.fixture(scope="module")
def few_samples() -> Iterator[None]:
    """Most lines of a log are others than those that its layout is learned from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("callcost.stages.columnar.jsonl._SAMPLED_LINES", 4)
        yield


@pytest.mark.parametrize("write", [*WRITERS, *CHATS], ids=lambda write: write.__name__)
@given(data=st.data())
@examples(20, 300)
def test_both_readers_say_the_same_of_any_record(write: Callable[[int, Draw], Record], data: st.DataObject) -> None:
    with written(data.draw(lines(write))) as path:
        assert_same(path)


@pytest.mark.parametrize("write", [*WRITERS, *CHATS], ids=lambda write: write.__name__)
def test_ordinary_records_are_read_by_columns(write: Callable[[int, Draw], Record]) -> None:
    assert share_by_columns(write) > MOST


def share_by_columns(write: Callable[[int, Draw], Record]) -> float:
    """Return how many of a dialect's ordinary records are read by columns, at the best draw; enough is enough."""
    shares: list[float] = []

    @seed(20261130)
    @given(data=st.data())
    @settings(max_examples=8, database=None, phases=[Phase.generate])
    def look(data: st.DataObject) -> None:
        records = data.draw(ordinary(write))
        if max(shares, default=0.0) > MOST:
            return
        with written(records) as path:
            (facts, _, _), found = read(path, by_columns=True)
            shares.append(found / facts.height if facts.height else 0.0)

    look()
    return max(shares)


@pytest.mark.parametrize("others", [1, 200])
def test_chats_that_are_no_calls_without_their_numbers_are_for_the_record_reader(others: int, tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Two."}]
    chat = {
        "id": "o", "trace_id": "t", "start_time": "2026-03-01T00:00:00Z", "provided_model_name": "gpt-4o",
        "input": json.dumps(messages[:1]), "output": json.dumps(messages[1]), "usage_details": {},
    }  # fmt: skip
    kinds: list[Any] = [{"requests": 7, "total_tokens": 9}, *["GENERATION"] * others]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(chat | {"id": str(n), "type": kind}) + "\n" for n, kind in enumerate(kinds)))
    assert_same(path)


@pytest.mark.parametrize(
    "lines_of", [b'{"nothing": "of use"}\n', b'{"request_id": "r", "call_type": "x", "metadata": 1}\n']
)
def test_a_packed_log_that_breaks_off_is_said_to_whatever_its_lines_are(tmp_path: Path, lines_of: bytes) -> None:
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(gzip.compress(lines_of * 500, 1)[:-12])

    assert_same(path)

    (_, rejects, _), _ = read(path, by_columns=True)
    assert [reject.reason for reject in rejects].count("truncated_file") == 1


@pytest.mark.parametrize("place", ["response", ""])
def test_a_count_that_no_table_reads_is_seen_where_the_record_reader_sees_it(place: str, tmp_path: Path) -> None:
    def record(number: int) -> dict[str, Any]:
        stated = {"cached_tokens": number} if number else {}
        model = {"model": "claude-sonnet-4-20250514"}
        request = {**model, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
        answer = {"role": "assistant", "content": [{"type": "text", "text": "Two."}], "stop_reason": "end_turn"}
        response = {"id": f"msg_{number}", "type": "message", **model, **answer, **(stated if place else {})}
        return {"id": f"call-{number}", "request": request, "response": response, **({} if place else stated)}

    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(record(number)) + "\n" for number in (0, 0, 7)))
    assert_same(path)


@pytest.mark.parametrize("key", ["total_tokens", "totalTokens", "input_tokens", "output_tokens", "foo_tokens", "usage"])
def test_a_count_on_a_record_that_is_no_call_is_seen_by_both(key: str, tmp_path: Path) -> None:
    def record(number: int) -> dict[str, Any]:
        line = {"sessionId": "s", "uuid": f"u{number}", "parentUuid": "p", "timestamp": "2026-03-01T00:00:00.000Z"}
        if number % 3:
            stated = {key: {"total_tokens": number} if key == "usage" else number} if number % 3 == 1 else {}
            return line | {"type": "user", "message": {"role": "user", "content": "Hi"}, **stated}
        usage = {"input_tokens": 3, "output_tokens": 2}
        model = {"model": "claude-sonnet-4-20250514", "role": "assistant", "content": [{"type": "text", "text": "Hi"}]}
        message = {"id": f"msg_{number}", "type": "message", **model, "stop_reason": "end_turn", "usage": usage}
        return line | {"type": "assistant", "requestId": f"r{number}", "message": message}

    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(record(number)) + "\n" for number in range(60)))
    assert_same(path)

    (_, rejects, _), _ = read(path, by_columns=True)
    assert {reject.reason for reject in rejects} == {"unread_usage"}
