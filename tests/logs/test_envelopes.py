"""An envelope is no record, each record in it is one; where a record stands in it is known."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from callcost.logs.dialects import unwrapper
from callcost.logs.io.records import Raw
from callcost.logs.record.dialect import Dialect
from callcost.logs.record.envelopes import MAX_DEPTH, Envelope, Unwrapper
from callcost.logs.record_reader import CONTEXT, FRAGMENT, RecordReader
from callcost.logs.values.json import MAX_DEPTH as DEEPEST
from callcost.logs.values.json_path import follow
from callcost.logs.values.signatures import sign
from callcost.settings import ReadOptions
from tests.logs.outcomes import calls_of, reasons_of, with_dialect

PLAIN = {"model": "gpt-4o", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
TEXT = json.dumps(PLAIN)
WRAPPED: list[Any] = [
    {"data": [PLAIN, PLAIN], "has_more": False},
    {"data": [PLAIN, PLAIN], "meta": {"page": 1}},
    {"data": [PLAIN, PLAIN]},
    {"Items": [PLAIN, PLAIN], "Count": 2},
    {"records": [PLAIN, PLAIN]},
    {"logEvents": [{"id": "1", "timestamp": 5, "message": TEXT}, {"id": "2", "timestamp": 6, "message": TEXT}]},
    {"data": [{"jsonPayload": PLAIN, "insertId": "a"}, {"@message": TEXT}], "total": 2},
]


def _read(value: Any) -> list[Any]:
    return RecordReader(ReadOptions()).read(Raw(3, 30, json.dumps(value).encode()))


@pytest.mark.parametrize("value", WRAPPED, ids=lambda value: next(iter(value)))
def test_each_record_of_an_envelope_is_read_as_if_it_stood_alone(value: Any) -> None:
    (alone,) = calls_of(_read(PLAIN))
    found = _read(value)
    assert [(call.model, call.usage, call.record_digest, call.source_row) for call in calls_of(found)] == [
        (alone.model, alone.usage, alone.record_digest, 3)
    ] * 2
    assert len(found) == 2


@pytest.mark.parametrize("value", WRAPPED[:5], ids=lambda value: next(iter(value)))
def test_a_place_leads_to_its_record(value: Any) -> None:
    rows = unwrapper().unwrap(value)
    assert rows is not None
    assert [follow(value, tuple(map(str, row.location))) for row in rows] == [row.value for row in rows] == [PLAIN] * 2


def test_an_empty_envelope_is_context() -> None:
    assert _read({"data": [], "total": 0}) == [CONTEXT]


def test_what_only_looks_like_an_envelope_is_a_record() -> None:
    for value in (
        {"message": "GET / 200", "timestamp": 5},
        {"message": "{broken", "timestamp": 5},
        {"message": TEXT},
        {"data": {"a": 1}, "total": 1},
        {"data": [1, 2]},
        {"Items": [1, 2]},
        {"jsonPayload": "text"},
    ):
        assert reasons_of(_read(value)) == ["unknown_dialect"], value


def test_what_stands_in_an_envelope_and_is_no_object_is_a_reject() -> None:
    assert reasons_of(_read({"data": [PLAIN, 5, None, "a"], "total": 4})) == ["call", *["not_an_object"] * 3]


def test_records_get_what_their_envelope_shares_where_they_lack_it() -> None:
    tide = Envelope(signatures=(sign("tides"),), rows=("tides", "heights"), inherits=("port", "day"))
    value = {"port": "Lerwick", "tides": [{"day": 1, "heights": [{"h": 3}, {"h": 1, "day": 9}]}, {"heights": {"h": 2}}]}
    rows = Unwrapper([tide]).unwrap(value)
    assert rows is not None
    assert [row.value for row in rows] == [
        {"port": "Lerwick", "day": 1, "h": 3},
        {"port": "Lerwick", "day": 9, "h": 1},
        {"port": "Lerwick", "h": 2},
    ]
    assert [row.location for row in rows] == [
        ("tides", 0, "heights", 0), ("tides", 0, "heights", 1), ("tides", 1, "heights"),
    ]  # fmt: skip


def test_a_dialect_brings_its_own_envelope() -> None:
    buoys = Envelope(signatures=(sign("buoys"),), rows=("buoys",), inherits=("keeper",))
    fields = {"model": ("engine",), "user": ("keeper",)}
    counts = {"prompt_tokens": ("heard",), "completion_tokens": ("said",)}
    signatures = (sign("engine heard"),)
    with with_dialect(Dialect(name="buoy", signatures=signatures, envelopes=(buoys,), fields=fields, counts=counts)):
        found = calls_of(_read({"keeper": "ida", "buoys": [{"engine": "gpt-4o", "heard": 5, "said": 2}] * 2}))
    assert [(call.source_format, call.user) for call in found] == [("buoy", "ida")] * 2


def test_envelopes_in_envelopes_have_an_end() -> None:
    value: Any = PLAIN
    for _ in range(min(DEEPEST, 40) // 2):
        value = {"data": [value], "total": 1}
    rows = unwrapper().unwrap(value)
    assert rows is not None
    assert [len(row.location) for row in rows] == [2 * MAX_DEPTH]


def test_costs_are_exact_in_large_pages_too() -> None:
    """Each is looked up in the bytes that all share: a page of 20,000 takes no longer than that many lines."""
    costs = [f"0.{number:06}{'3' * 14}" for number in range(20_000)]
    rows = ",".join(f'{{"model": "gpt-4o", "prompt_tokens": 1, "cost": {cost}}}' for cost in costs)
    page = f'{{"data": [{rows}], "total": 1}}'.encode()
    began = time.process_time()
    calls = calls_of(RecordReader(ReadOptions()).read(Raw(1, 0, page)))
    assert time.process_time() - began < 20
    assert [format(call.logged_cost, "f") for call in calls if call.logged_cost is not None] == costs


def test_an_envelope_of_the_first_chunk_of_a_stream_is_that_alone() -> None:
    """Its call comes when the stream ends; the envelope is no record beside it."""
    chunk = {"object": "chat.completion.chunk", "id": "c-1", "model": "gpt-4o", "choices": [{"index": 0, "delta": {}}]}
    usage = chunk | {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}
    reader = RecordReader(ReadOptions())
    first, second = (reader.read_value({"timestamp": 1, "message": json.dumps(one)}, 1) for one in (usage, chunk))
    assert (first, second) == ([], [FRAGMENT])
    (call,) = calls_of(reader.finish())
    assert call.usage is not None
    assert call.usage.total_tokens == 15
