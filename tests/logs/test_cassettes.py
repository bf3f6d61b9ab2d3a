"""Interactions of a cassette are records: found by their dash, written as JSON, and nothing in them is obeyed."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.io import records as containers
from callcost.logs.io import yaml_cassettes as cassettes
from callcost.logs.io.records import BOM, Raw
from callcost.logs.io.yaml_cassettes import read_cassette
from callcost.tables import Reject

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | TEXTS | st.floats().filter(math.isfinite),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def _read(data: bytes, size: int = 1 << 20) -> list[Raw | Reject]:
    return list(read_cassette([data[at : at + size] for at in range(0, len(data), size)]))


def _values(found: list[Raw | Reject]) -> list[Any]:
    return [json.loads(one.data) if isinstance(one, Raw) else one.reason for one in found]


@given(st.lists(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3), max_size=4), st.integers(1, 80), st.booleans())
def test_what_was_recorded_is_read(interactions: list[Any], size: int, wide: bool) -> None:
    """As VCR writes it: PyYAML's dump; a fraction without a point is text there, as YAML 1.1 has it."""
    dump = yaml.dump({"interactions": interactions, "version": 1}, allow_unicode=wide).encode()
    found = _read(BOM + dump, size)
    assert _values(found) == interactions
    assert found == _read(BOM + dump)


def test_an_interaction_is_found_at_its_offset() -> None:
    data = b"---\nhttp_interactions:\n  - a: 1\n\n    # a note\n  - b:\n    - 2\n  -\n    c: 3\nrecorded_with: VCR 3\n"
    found = _read(data)
    assert _values(found) == [{"a": 1}, {"b": [2]}, {"c": 3}]
    assert [one.row for one in found if isinstance(one, Raw)] == [1, 2, 3]
    assert all(isinstance(one, Raw) and data[one.offset :].startswith(b"  -") for one in found)


@pytest.mark.parametrize("data", [b"interactions: []\nversion: 1\n", b"interactions:\n", b"version: 1\n", b""])
def test_a_cassette_may_be_empty(data: bytes) -> None:
    assert _read(data) == []


def test_a_broken_interaction_costs_itself() -> None:
    data = b'interactions:\n- a: "open\n  b: 1\n- a: [1\n- {? [k]: 1}\n- c: 3\n- d: \xff\n'
    found = _read(data)
    assert _values(found)[-2:] == [{"c": 3}, "invalid_utf8"]
    assert _values(found)[:-2] == ["broken_yaml"] * 3
    assert all("open" not in one.detail for one in found if isinstance(one, Reject))


def test_numbers_keep_their_digits_and_words_of_yaml_are_text() -> None:
    written = b"a: 0.10000000000000000001, b: yes, c: 012, d: '1', e: ~, f: True, g: 1.5e+3, h: 1e3"
    (found,) = _read(b"interactions:\n- {" + written + b"}\n")
    assert isinstance(found, Raw)
    expected = b'"a":0.10000000000000000001,"b":"yes","c":"012","d":"1","e":null,"f":true,"g":1.5e+3,"h":"1e3"'
    assert found.data == b"{" + expected + b"}"


def test_no_tag_is_obeyed() -> None:
    tagged = b"- a: !!python/object/apply:os.system ['true']\n- b: !!python/unicode 'x'\n- c: !Secret {d: 1}\n"
    data = b"interactions:\n" + tagged
    assert _values(_read(data)) == [{"a": ["true"]}, {"b": "x"}, {"c": {"d": 1}}]


def test_bytes_are_text_where_they_are() -> None:
    packed = base64.b64encode(b"\x1f\x8b\xff")
    data = b"interactions:\n- a: !!binary |\n    aGk=\n  b: !!binary |\n    %s\n  c: !!binary '!'\n" % packed
    assert _values(_read(data)) == [{"a": "hi", "b": {"base64": packed.decode()}, "c": None}]


def test_what_is_named_is_repeated_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _values(_read(b"interactions:\n- a: &h {b: 1}\n  c: *h\n- d: *h\n  e: *none\n")) == [
        {"a": {"b": 1}, "c": {"b": 1}},
        {"d": {"b": 1}, "e": None},
    ]
    monkeypatch.setattr(cassettes, "MAX_RECORD", 10_000)
    bomb = "".join(f"  k{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]\n" for n in range(9))
    assert _values(_read(b"interactions:\n- k: 1\n" + bomb.encode())) == ["line_too_long"]


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"- ", b"? "])
def test_what_nests_too_deeply_costs_itself(opening: bytes) -> None:
    data = b"interactions:\n- a:\n   " + opening * 100_000 + b"\n- b: 2\n"
    assert _values(_read(data)) in (["too_deep", {"b": 2}], ["broken_yaml", {"b": 2}])


@pytest.mark.parametrize("size", [7, 1000])
def test_an_interaction_that_is_too_long_costs_itself(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in (containers, cassettes):
        monkeypatch.setattr(module, "MAX_RECORD", 40)
    long = b"- b: " + b"x" * 100
    found = _read(b"interactions:\n- a: 1\n%s\n- c: 3\n%s- d: 4\n" % (long, b"- e: 5\n" + b"  f: 6\n" * 9), size)
    assert _values(found) == [{"a": 1}, "line_too_long", {"c": 3}, "line_too_long", {"d": 4}]


@given(st.binary(max_size=200), st.integers(1, 30))
def test_interactions_do_not_depend_on_the_pieces(data: bytes, size: int) -> None:
    assert _read(b"interactions:\n- " + data, size) == _read(b"interactions:\n- " + data)
