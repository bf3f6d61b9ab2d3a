"""Every record has one outcome; what it is does not depend on the records around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callcost.logs.io.records import Raw
from callcost.logs.record_reader import CONTEXT, FRAGMENT, RecordReader
from callcost.logs.responses.stream_joiners import Chat
from callcost.settings import ReadOptions
from callcost.tables import REJECT_REASONS, Call, Reject
from tests.logs.outcomes import calls_of, read_lines, reasons_of

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_720_000_000,
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Two."}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
REQUEST = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Any tide tables?"}]}


def _reader() -> RecordReader:
    return RecordReader(ReadOptions())


def _raw(value: Any, row: int = 1, offset: int = 0) -> Raw:
    return Raw(row, offset, value if isinstance(value, bytes) else json.dumps(value).encode())


def _call(value: Any) -> Call:
    (call,) = calls_of(_reader().read(_raw(value)))
    return call


@pytest.mark.parametrize("gap", ["add", "result"])
def test_a_gap_in_what_joins_chunks_is_one_reject_and_ends_no_run(gap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("gap")

    monkeypatch.setattr(Chat, gap, fail)
    reader = RecordReader(ReadOptions())
    chunk = {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": []}
    outcomes = [one for row in (1, 2) for one in reader.read_value(dict(chunk), row)]
    (reject,) = reader.finish()
    assert outcomes == [FRAGMENT]  # the first chunk stands for the call, which comes at the end
    assert isinstance(reject, Reject)
    assert (reject.reason, reject.detail, reject.source_row) == ("unreadable_record", "KeyError", 1)


def test_lineage_is_kept() -> None:
    (call,) = calls_of(_reader().read(_raw(CHAT, 7, 700)))
    assert (call.source_row, call.byte_offset) == (7, 700)
    (reject,) = _reader().read(_raw(b"{", 8, 800))
    assert isinstance(reject, Reject)
    assert (reject.source_row, reject.byte_offset) == (8, 800)
    (call,) = calls_of(_reader().read_value(CHAT, 9))
    assert (call.source_row, call.byte_offset) == (9, None)


def test_a_reject_is_handed_on() -> None:
    reject = Reject(reason="line_too_long", source_row=3)
    assert _reader().read(reject) == [reject]


def test_dialects_may_take_turns(tmp_path: Path) -> None:
    plain = {"model": "gpt-4o", "messages": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    lines = [json.dumps(record).encode() for record in (CHAT, {"request": REQUEST, "response": CHAT}, plain, 5)]
    outcomes = read_lines(tmp_path / "log", *lines)
    assert [call.source_format for call in calls_of(outcomes)] == ["openai_chat", "pair", "plain"]
    assert reasons_of(outcomes) == ["call", "call", "call", "not_an_object"]


def test_objects_joined_on_one_line_are_records_of_their_own() -> None:
    line = json.dumps(CHAT).encode() + json.dumps({**CHAT, "id": "chatcmpl-2"}).encode() + b'{"model": 1, "usage": {}}'
    outcomes = _reader().read(_raw(line, 4, 40))
    assert reasons_of(outcomes) == ["call", "call", "call"]
    assert {call.source_row for call in calls_of(outcomes)} == {4}
    assert len({call.byte_offset for call in calls_of(outcomes)}) == 3


def test_a_page_of_an_api_is_its_rows() -> None:
    page = {"object": "list", "data": [CHAT, 5, {**CHAT, "usage": {"prompt_tokens": -1}}], "has_more": False}
    assert reasons_of(_reader().read(_raw(page))) == ["call", "not_an_object", "bad_count"]
    assert reasons_of(_reader().read(_raw({"data": [], "total": 0}))) == [CONTEXT]
    assert _reader().read(_raw({"object": "list", "data": 5, "has_more": False})) != []


def test_a_record_counts_once_however_many_chunks_it_has() -> None:
    reader = _reader()
    chunk = {**CHAT, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "T"}}]}
    outcomes = [one for row in range(5) for one in reader.read(_raw({**chunk, "usage": None}, row + 1, 10 * row))]
    assert outcomes == [FRAGMENT] * 4
    (call,) = calls_of(reader.finish())
    assert (call.source_row, call.byte_offset, call.response["choices"][0]["message"]["content"]) == (1, 0, "TTTTT")
    assert call.usage is None
    assert reader.finish() == []


def test_what_is_recognised_and_no_call_is_context() -> None:
    assert _reader().read(_raw({"endpoint": "count_tokens", "request": REQUEST, "response": {"input_tokens": 3}})) == [
        CONTEXT
    ]


def test_the_request_tells_calls_of_one_id_apart() -> None:
    one = _call({"id": "a", "request": REQUEST, "response": CHAT})
    same = _call({"response": {**CHAT, "created": 5}, "request": dict(reversed(REQUEST.items())), "id": "a"})
    other = _call({"id": "a", "request": {**REQUEST, "n": 2}, "response": CHAT})
    none = _call({"id": "a", "response": CHAT})
    assert one.request_digest == same.request_digest != other.request_digest
    assert one.record_digest != same.record_digest
    assert none.request_digest is None
    assert _call({"id": "a", "request": {}, "response": CHAT}).request_digest is None


def test_the_record_digest_forgets_spelling_only() -> None:
    record = {"model": "gpt-4o", "time": "2025-01-01", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    spaced = json.dumps(dict(reversed(record.items())), indent=1).encode()
    assert _call(record).record_digest == _call(spaced).record_digest == _call({**record, "note": None}).record_digest
    assert _call(record).record_digest != _call({**record, "note": ""}).record_digest
    assert len(_call(record).record_digest) == 16


def test_the_two_forms_of_litellm_share_a_key() -> None:
    """The same call in the logging payload and in the spend table is one call, and so needs one family and id."""
    standard = _call({
        "id": "chatcmpl-1", "call_type": "acompletion", "startTime": 1.0, "response_cost": 0.1, "hidden_params": {},
        "model": "gpt-4o", "messages": REQUEST["messages"], "response": CHAT, "model_parameters": {"temperature": 1},
    })  # fmt: skip
    spend = _call({
        "request_id": "chatcmpl-1", "call_type": "acompletion", "startTime": "2025-01-01", "spend": 0.1,
        "model": "gpt-4o", "messages": "{}", "response": "{}",
    })  # fmt: skip
    stored = _call({
        "request_id": "chatcmpl-1", "call_type": "acompletion", "startTime": "2025-01-01", "spend": 0.1,
        "model": "gpt-4o", "messages": "{}", "proxy_server_request": json.dumps({**REQUEST, "stream": True}),
    })  # fmt: skip
    assert (standard.family, standard.duplicate_id) == (spend.family, spend.duplicate_id)
    assert spend.request_digest is None
    assert standard.request_digest == stored.request_digest


def test_a_pair_without_an_id_shares_the_key_of_the_bare_body() -> None:
    bare, pair = _call(CHAT), _call({"request": REQUEST, "response": CHAT})
    named = _call({"id": "mine", "request": REQUEST, "response": CHAT})
    assert (bare.family, bare.duplicate_id) == (pair.family, pair.duplicate_id) == ("provider", "chatcmpl-1")
    assert (named.family, named.duplicate_id) == ("pair", "mine")


def test_no_content_reaches_a_reject() -> None:
    canary = "kanarienvogel"
    awkward: list[Any] = [
        canary.encode(), json.dumps(CHAT)[:-40].encode() + canary.encode(), {canary: canary}, [canary],
        {"model": {canary: 1}, "messages": [canary]},
        {"model": "gpt-4o", "usage": {"prompt_tokens": canary}},
        {"model": "gpt-4o", "usage": {"prompt_tokens": {canary: 1}}},
        {"custom_id": canary, "method": canary, "url": canary, "body": canary},
        {"startTime": canary, "spend": 1, "users": {canary: 1}, "models": {canary: 1}},
        b'{"a": "' + canary.encode() + b'\xff"}', b'{"' + canary.encode() + b'\x00": 1}',
    ]  # fmt: skip
    for value in awkward:
        for outcome in _reader().read(_raw(value)):
            assert isinstance(outcome, Reject), value
            assert outcome.reason in REJECT_REASONS
            assert canary not in repr(outcome)


def test_no_content_reaches_a_call_by_its_cost() -> None:
    canary = "kanarienvogel"

    call = _call({"model": "gpt-4o", "usage": {"prompt_tokens": 1}, "cost": canary})

    assert (call.logged_cost, call.flags) == (None, ["bad_logged_cost"])
    assert canary not in repr(call)


def test_a_gap_in_a_dialect_does_not_end_the_run(monkeypatch: Any) -> None:
    def break_down(*_: object) -> None:
        raise KeyError("kanarienvogel")

    monkeypatch.setattr("callcost.logs.record.dialect.FieldReader.open", break_down)
    (reject,) = _reader().read(_raw(CHAT))
    assert isinstance(reject, Reject)
    assert (reject.reason, reject.detail) == ("unreadable_record", "KeyError")


ANTHROPIC = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []}
GEMINI = {"modelVersion": "gemini-2.5-flash", "candidates": [], "responseId": "r1"}
PICTURE = {"created": 1_767_170_804, "model": "gpt-image-1.5", "data": [{"b64_json": "iVBO"}]}
EMBEDDING = {"object": "list", "model": "text-embedding-3-small", "data": [{"object": "embedding", "embedding": [0.5]}]}
SPEND = {
    "request_id": "r1", "call_type": "acompletion", "startTime": "2025-01-01", "spend": 0.1, "model": "gpt-4o",
    "metadata": {},
}  # fmt: skip


def _counts(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


@pytest.mark.parametrize(
    ("record", "flagged"),
    [
        (CHAT | {"usage": _counts(0, 12)}, True),
        (CHAT | {"usage": _counts(12, 0)}, True),
        (CHAT | {"usage": _counts(12, 0), "choices": []}, False),
        (ANTHROPIC | {"usage": {"input_tokens": 0, "output_tokens": 12}}, True),
        (ANTHROPIC | {"usage": {"input_tokens": 0, "cache_read_input_tokens": 7, "output_tokens": 12}}, False),
        (ANTHROPIC | {"usage": {"input_tokens": 9, "output_tokens": 0}}, False),
        (GEMINI | {"usageMetadata": {"promptTokenCount": 0, "candidatesTokenCount": 12, "totalTokenCount": 12}}, True),
        (SPEND | _counts(0, 12), True),
        (SPEND | _counts(12, 0), False),
        (SPEND | _counts(12, 0) | {"response": {"choices": [{"message": {"content": "Two."}}]}}, True),
        (SPEND | _counts(0, 12) | {"call_type": "aimage_generation"}, False),
        (SPEND | _counts(0, 12) | {"cache_hit": "True"}, False),
        (PICTURE | {"usage": {"input_tokens": 0, "output_tokens": 12, "total_tokens": 12}}, False),
        (EMBEDDING | {"usage": _counts(9, 0)}, False),
    ],
)
def test_a_side_of_0_that_cannot_be_stays_and_is_flagged(record: dict[str, Any], flagged: bool) -> None:
    call = _call(record)
    assert ("inconsistent_usage" in call.flags) is flagged
    assert call.usage is not None
    assert 0 in (call.usage.prompt_tokens, call.usage.completion_tokens) or call.usage.cache_read_input_tokens
