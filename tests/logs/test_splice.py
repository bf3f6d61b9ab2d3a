"""Splicing adds what is absent or null and leaves every other byte where it was."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.backfill.json_splice import splice
from callcost.logs.values.json import Refusal

KEYS = st.sampled_from(["a", "b", "usage", 'q"\\', "é", "\n"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
RECORDS = st.dictionaries(KEYS, VALUES, max_size=5)
ADDITIONS = st.dictionaries(KEYS, st.integers() | st.dictionaries(KEYS, st.integers(), min_size=1, max_size=2))


def merged(record: Any, additions: Any) -> Any:
    """What splicing means, on decoded values."""
    both = dict(record)
    for key, value in additions.items():
        if both.get(key) is None:
            both[key] = value
        elif isinstance(value, dict) and isinstance(both[key], dict):
            both[key] = merged(both[key], value)
    return both


@given(RECORDS, ADDITIONS, st.sampled_from([None, 2]), st.booleans())
def test_what_is_absent_or_null_is_put_in_and_nothing_else_changes(
    record: Any, additions: Any, indent: int | None, ascii_only: bool
) -> None:
    data = json.dumps(record, indent=indent, ensure_ascii=ascii_only).encode()
    assert json.loads(splice(data, additions)) == merged(record, additions)


@given(RECORDS, ADDITIONS, st.booleans())
def test_json_kept_as_text_is_spliced_inside_its_quotes(record: Any, additions: Any, ascii_only: bool) -> None:
    text = json.dumps(record, ensure_ascii=ascii_only)
    data = json.dumps({"metadata": text, "after": 1}, ensure_ascii=ascii_only).encode()
    spliced = json.loads(splice(data, {"metadata": additions or {"n": 1}}))
    assert spliced["after"] == 1
    assert json.loads(spliced["metadata"]) == merged(record, additions or {"n": 1})


@given(RECORDS, ADDITIONS)
def test_twice_is_once(record: Any, additions: Any) -> None:
    once = splice(json.dumps(record).encode(), additions)
    assert splice(once, additions) == once


@pytest.mark.parametrize(
    ("data", "spliced"),
    [
        (b"{}", b'{"n":1}'),
        (b'{"a":1}', b'{"a":1,"n":1}'),
        (b'{"a": 1 }', b'{"a": 1, "n": 1 }'),
        (b'{"n" :\tnull , "a":1}', b'{"n" :\t1 , "a":1}'),
        (b'{"n":0}', b'{"n":0}'),
        (b'{"a":"}\\"{","n":null}', b'{"a":"}\\"{","n":1}'),
    ],
)
def test_the_rest_of_the_line_stays_byte_for_byte(data: bytes, spliced: bytes) -> None:
    assert splice(data, {"n": 1}) == spliced


def test_an_element_of_a_list_is_reached_by_its_position() -> None:
    data = b'{"data": [1, {"a": 1}, {"a": 2}]}'
    assert splice(data, {"data": {1: {"b": 2}, 7: {"b": 3}}}) == b'{"data": [1, {"a": 1, "b": 2}, {"a": 2}]}'


def test_a_cost_keeps_its_digits_and_has_no_exponent() -> None:
    assert splice(b"{}", {"cost": Decimal("1.50E-8")}) == b'{"cost":0.000000015}'


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(Refusal):
        splice(b'{"usage": null, "usage": null}', {"usage": 1})
