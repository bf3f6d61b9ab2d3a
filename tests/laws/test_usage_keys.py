"""No usage key is read in silence: another number there changes the call, or flags it; and no tokens are context."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from callcost.logs.dialects import field_readers
from callcost.logs.record_reader import CONTEXT, FRAGMENT, RecordReader
from callcost.logs.usage.arithmetic import SIDES
from callcost.logs.usage.spellings import SHAPES, Shape
from callcost.logs.usage.unread import UNREAD
from callcost.logs.usage.usage import read_usage
from callcost.logs.values.json_path import parse_path
from callcost.settings import ReadOptions
from callcost.tables import Call, Reject
from tests.conftest import examples
from tests.laws.usage_records import Keys, as_written, consistent_usages, put_at, templates_of, whole_records

READ = sorted(reader.dialect.name for reader in field_readers() if reader.dialect.refusal is None)
LAW = examples(15, 200)
LARGE = st.integers(10**7, 10**8)  # so that no sum comes about by chance
_OTHERS: st.SearchStrategy[Any] = st.sampled_from((None, "", "x", "other", 0, 1, True, [], {}))


def _keys_of_sides() -> frozenset[str]:
    tables = [shape.counts for shape in SHAPES] + [reader.dialect.counts for reader in field_readers()]
    sides = (path for table in tables for side in SIDES for path in table.get(side, ()))
    return frozenset((*(parse_path(path)[-1] for path in sides), *(key for one in SHAPES for key in one.extra_prompt)))


OF_SIDES = _keys_of_sides()


def _read(record: Any) -> list[Any]:
    reader = RecordReader(ReadOptions())
    return [*reader.read_value(as_written(record), 1), *reader.finish()]


def _said(outcomes: list[Any]) -> Any:
    return [
        (one.usage, one.iterations, one.flags, one.unread_usage) if isinstance(one, Call) else one for one in outcomes
    ]


@pytest.mark.parametrize("dialect", READ)
def test_every_dialect_has_records(dialect: str) -> None:
    assert templates_of(dialect)


@pytest.mark.parametrize("dialect", READ)
@given(data=st.data())
@LAW
def test_another_number_changes_the_call_or_flags_it(dialect: str, data: st.DataObject) -> None:
    """A side of 0 is left out: parts that do not fit into it stand beside it, as if it were as large as they are.

    So is the total of a fragment: alone, it is the size of a context (Codex, after a compaction).
    """
    record, places = data.draw(whole_records(dialect))
    path = data.draw(st.sampled_from(places))
    number = data.draw(LARGE if path[-1] in OF_SIDES else LARGE | st.just(0))
    before, other = _read(record), copy.deepcopy(record)
    assume(put_at(other, path, number))
    assume(number or any(isinstance(one, Call) and one.usage is not None for one in before))
    assume(before != [FRAGMENT] or path[-1] != "total_tokens")
    after = _read(other)
    named = any(isinstance(one, Reject) or (isinstance(one, Call) and one.flags) for one in after)
    assert named or _said(after) != _said(before)


@pytest.mark.parametrize("dialect", READ)
@given(data=st.data())
@LAW
def test_a_record_that_states_tokens_is_never_context(dialect: str, data: st.DataObject) -> None:
    """Whatever else of it is otherwise."""
    record, places = data.draw(whole_records(dialect))
    assume(any(_is_stated(record, path) for path in places))
    path = data.draw(st.sampled_from([path for path in _paths(record) if not _is_usage(path, places)]))
    holder: Any = record
    for key in path[:-1]:
        holder = holder[key]
    if data.draw(st.booleans()):
        holder[path[-1]] = data.draw(_OTHERS)
    elif isinstance(holder, dict):
        del holder[path[-1]]
    assert CONTEXT not in _read(record)


_USER = {"sessionId": "s", "type": "user", "uuid": "u", "message": {"role": "user", "content": "Hi"}}
_SPAN = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "x", "startTimeUnixNano": "1772000000000000000"}
_CHAT = {"request_id": "r", "call_type": "acompletion", "model": "gpt-4o", "messages": [{"content": "x"}]}
_STATED: list[dict[str, Any]] = [
    *(_USER | {"total_tokens": number} for number in (7, 7.0, "7", "7" * 50, "7.0", " 7 ", "7e0")),
    *(_USER | {"total_tokens": number} for number in ("1,234", "1_234", "1 234")),
    _USER | {"usage": [{"total_tokens": 7}]},
    _USER | {"usage": {"by_model": [{"model": "x", "input": 7}]}},
    _SPAN | {"attributes": {"a.foo_tokens": 7}},
    _SPAN | {"attributes": json.dumps({"a.foo_tokens": 7})},
    _SPAN | {"attributes": [{"key": "a.foo_tokens", "value": {"intValue": "7"}}]},
    {"timestamp": "2026-03-01T00:00:00Z", "message": json.dumps(_USER), "total_tokens": 7},
    {"data": [_USER], "has_more": False, "usage": {"total_tokens": 7}},
    _CHAT | {"metadata": {"foo_tokens": 7}},
    _CHAT | {"metadata": json.dumps({"foo_tokens": 7})},
]


@pytest.mark.parametrize("record", _STATED, ids=lambda record: json.dumps(record)[-60:])
def test_tokens_are_seen_however_they_are_written(record: dict[str, Any]) -> None:
    found = _read(record)
    assert any(isinstance(one, Reject) or UNREAD in one.flags for one in found if isinstance(one, Reject | Call))


@pytest.mark.parametrize(
    "number", ["0", "0,000", "0.0", "0e5", "", "x", "7 of 9", "2026-03-01", "7" * 500, None, True, [7]]
)
def test_what_is_no_number_states_no_tokens(number: Any) -> None:
    assert _read(_USER | {"total_tokens": number}) == [CONTEXT]


@pytest.mark.parametrize("beside", [{}, {"nextToken": "7"}, {"usage": {"total_tokens": 0}}])
def test_what_stands_beside_records_that_are_no_calls_may_be_nothing(beside: dict[str, Any]) -> None:
    assert _read({"data": [_USER, _USER], "has_more": False} | beside) == [CONTEXT, CONTEXT]


@pytest.mark.parametrize("shape", [one for one in SHAPES if "prompt_tokens" in one.counts], ids=lambda one: one.name)
@given(data=st.data())
@LAW
def test_counts_that_go_together_are_read_as_they_are_meant(shape: Shape, data: st.DataObject) -> None:
    usage, meant = data.draw(consistent_usages(shape))
    read = read_usage(usage)
    found = {name: getattr(read.usage, name) or 0 for name in meant if name != "total_tokens"}
    assert read.flags or read.unread or found == {name: meant[name] for name in found}  # unread: flagged in the call


def _is_stated(record: Any, path: Keys) -> bool:
    for key in path:
        try:
            record = record[key]
        except (KeyError, TypeError):
            return False  # nothing is there, or another place has its count where this one has an object
    return record not in (0, "0")


def _paths(value: Any, path: Keys = ()) -> Iterator[Keys]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from _paths(below, (*path, key))


def _is_usage(path: Keys, places: list[Keys]) -> bool:
    """Tell whether tokens stand at or below a path."""
    return any(place[: len(path)] == path or path[: len(place)] == place for place in places)
