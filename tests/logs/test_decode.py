"""JSON as RFC 8259 has it, and nothing else; what is wrong is said without showing it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.values.json import MAX_DEPTH, Refusal, canonical, decode, decode_text, digest

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "broken_json"), (b'{"a": NaN}', "broken_json"), (b"[Infinity]", "broken_json"),
        (b"{} {}", "broken_json"),
        (b"{'a': 1}", "broken_json"), (b'{"a": 01}', "broken_json"), (b'"\x01"', "broken_json"), (b"", "broken_json"),
        (b'{"a": "\xff"}', "invalid_utf8"), (b"\xff\xfe{}", "invalid_utf8"), (b'"\xed\xa0\x80"', "invalid_utf8"),
        (b'{"a": "\x00"}', "nul_bytes"), (b"{}\x00", "nul_bytes"),
        (_nested(MAX_DEPTH + 1), "too_deep"), (_nested(100_000), "too_deep"), (b"[" * 100_000, "too_deep"),
        (b'{"a":' * 100_000, "too_deep"),
    ],
    ids=lambda value: repr(value[:12]),
)  # fmt: skip
def test_what_is_no_json_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Refusal) as refusal:
        decode(data)
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'"\\ud800x"', "\ufffdx"),
        (b'{"\\udfff": ["\\ud83d\\ude00", "\\ud83d"]}', {"\ufffd": ["\U0001f600", "\ufffd"]}),
        (b"1" + b"0" * 40, 10**40), (b"9" * 5000, float("inf")), (b"-" + b"9" * 5000, -float("inf")),
        (b"1e400", float("inf")),
        (_nested(MAX_DEPTH), json.loads(_nested(MAX_DEPTH))),
        (b'"' + b"[" * 10_000 + b'"', "[" * 10_000), (b'["\\"' + b"{" * 10_000 + b'"]', ['"' + "{" * 10_000]),
        (b"[" * 150 + b"]" * 150, json.loads(_nested(150))), (b"[" + b"[]," * 500 + b"[]]", [[]] * 501),
    ],
    ids=lambda value: repr(value)[:16],
)  # fmt: skip
def test_what_is_json_is_read(data: bytes, value: Any) -> None:
    assert decode(data) == value


def test_depth_is_counted_and_not_left_to_the_stack() -> None:
    """The same record has the same fate however deep its reader already is."""

    def reach(depth: int) -> Any:
        return reach(depth - 1) if depth else decode(_nested(MAX_DEPTH))

    assert reach(300) == decode(_nested(MAX_DEPTH))


def test_a_refusal_shows_no_content() -> None:
    for data in (b'{"a": "kanarienvogel', b'{"kanarienvogel": \xff}', b"[NaN, kanarienvogel]", b"kanarienvogel"):
        with pytest.raises(Refusal) as refusal:
            decode(data)
        assert "kanarienvogel" not in repr(refusal.value) + refusal.value.detail


@given(JSON)
def test_decoding_is_what_the_standard_library_does(value: Any) -> None:
    data = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert decode(data) == json.loads(data)


@given(st.dictionaries(st.text(), JSON, max_size=6))
def test_the_canonical_form_forgets_order_and_space(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))
    assert canonical(value) == canonical(backwards)
    assert digest(value) == digest(json.loads(json.dumps(value, indent=3)))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Refusal):
        canonical(decode(data))


def test_the_canonical_form_takes_what_tables_hold() -> None:
    value = {"n": 10**400, "f": float("inf"), 3: b"x", "k": {None: "\ud800"}, "o": object}
    assert canonical(value)


@pytest.mark.parametrize(
    ("text", "value"), [('{"a": 1}', {"a": 1}), ("[1]", [1]), ("12", "12"), ("{x", "{x"), ("", "")]
)
def test_json_kept_as_text_is_decoded(text: str, value: Any) -> None:
    assert decode_text(text) == value
