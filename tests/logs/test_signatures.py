"""Records are recognised by keys and what stands in them; remembering keys changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.values import signatures
from callcost.logs.values.json_path import compile_table, follow, parse_path, read_paths
from callcost.logs.values.signatures import Recogniser, sign

WORDS = st.sampled_from(["a", "b", "c", "d"])
RECORDS = st.dictionaries(
    WORDS, st.none() | WORDS | st.lists(WORDS, max_size=2) | st.dictionaries(WORDS, WORDS, max_size=2)
)
SIGNATURES = st.builds(
    lambda keys, some, none, value, kind: sign(
        " ".join(keys), some=" ".join(some), none=" ".join(none), values=value, kinds=kind
    ),
    st.sets(WORDS, max_size=2), st.sets(WORDS, max_size=2), st.sets(WORDS, max_size=1),
    st.dictionaries(st.sampled_from(["a", "b.a", "c.0"]), WORDS, max_size=1),
    st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["object", "array text"]), max_size=1),
)  # fmt: skip


@given(st.lists(SIGNATURES, max_size=6), st.lists(RECORDS, max_size=8))
def test_the_first_signature_that_matches_decides(asked: list[Any], records: list[dict[str, Any]]) -> None:
    found = Recogniser((number, [signature]) for number, signature in enumerate(asked))
    for record in records:
        expected = next((number for number, signature in enumerate(asked) if signature.matches(record)), None)
        assert found.find(record) == expected
        assert found.find(record) == expected


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "_MAX_SHAPES", 3)
    found = Recogniser([("it", [sign("k1")])])
    assert [found.find({f"k{number}": 1}) for number in (0, 1, 2, 3, 4, 1)] == [None, "it", None, None, None, "it"]


@pytest.mark.parametrize(
    ("text", "path"),
    [("a.b", ("a", "b")), (r"a\.b.c", ("a.b", "c")), ("", ()), ("@model", ("@", "model")), ("a.0", ("a", "0"))],
)
def test_a_path_is_text(text: str, path: tuple[str, ...]) -> None:
    assert parse_path(text) == path


def test_a_path_is_followed_through_objects_and_lists() -> None:
    record = {"a": [{"b": 1}], "x.y": 2}
    assert [follow(record, parse_path(text)) for text in ("a.0.b", r"x\.y", "a.1.b", "a.b", "z", "")] == [
        1, 2, None, None, None, record,
    ]  # fmt: skip


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, "", 0, "v", {"a": 1, "b": "w"}, [{"a": 2}]])))
def test_the_first_path_that_is_something_wins(record: dict[str, Any]) -> None:
    table = {"one": ("a.b", "b", "c.0.a"), "two": ("c", "@a", "a.a"), "three": ("b",)}
    facts = {"a": "fact"}
    expected = {}
    for column, paths in table.items():
        values = [facts["a"] if text == "@a" else follow(record, parse_path(text)) for text in paths]
        something = [value for value in values if value is not None and value != ""]
        if something:
            expected[column] = something[0]
    assert read_paths(record, compile_table(table), facts) == expected
