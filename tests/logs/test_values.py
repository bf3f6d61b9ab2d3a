"""Single values: names, tags and money as logs write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.values.json import Refusal
from callcost.logs.values.scalars import read_cost, read_tags, read_text


@pytest.mark.parametrize(
    ("value", "text"),
    [("ana", "ana"), ("", None), (None, None), (42, "42"), (42.0, "42"), (1.5, "1.5"), (True, None), ({}, None)],
)
def test_a_name_is_text_and_empty_is_nothing(value: object, text: str | None) -> None:
    assert read_text(value) == text


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (["team:red", "env=prod", "nightly"], {"team": "red", "env": "prod", "nightly": "true"}),
        (["a:1", "a:2", "a=1"], {"a": "1|2"}),
        (["url=https://x.example:8080"], {"url": "https://x.example:8080"}),
        ('["team:red"]', {"team": "red"}),
        ('{"team": "red", "n": 3}', {"team": "red", "n": "3"}),
        ({"b": True, "a": [2, 1], "c": None, "d": {"e": 1}, "f": ""}, {"a": "1|2", "b": "true"}),
        ("nightly", {"nightly": "true"}),
        ([("team", "red"), {"key": "env", "value": "prod"}], {"team": "red", "env": "prod"}),
        ([], None), ({}, None), (None, None), ("[]", None), (7, None), ([":red", 5, None], None),
    ],
)  # fmt: skip
def test_tags_are_a_map(value: object, tags: dict[str, str] | None) -> None:
    found = read_tags(value)
    assert found == tags
    assert list(found or ()) == sorted(found or ())


@pytest.mark.parametrize(
    ("value", "cost"),
    [
        (0.00022500000000000002, "0.00022500000000000002"), (1.35e-05, "0.0000135"), ("1.35e-05", "0.0000135"),
        (0, "0"), (-0.5, "-0.5"), (" 0.10 ", "0.10"), (Decimal("12.345678901234567890123"), "12.345678901234567890123"),
        (None, None), ("", None), (float("nan"), None), ({"total": 1}, None), (1e-300, "0"),
    ],
)  # fmt: skip
def test_money_is_exact(value: object, cost: str | None) -> None:
    assert read_cost(value) == (None if cost is None else Decimal(cost))


def test_money_keeps_the_digits_that_a_float_loses() -> None:
    data = b'{"hidden": {"response_cost": 0.5}, "response_cost" : 0.1000000000000000055511}'
    assert read_cost(0.1, data, ["response_cost"]) == Decimal("0.1000000000000000055511")
    assert read_cost(0.5, data, ["response_cost"]) == Decimal("0.5")
    assert read_cost(0.25, data, ["response_cost"]) == Decimal("0.25")
    inside_text = rb'{"metadata": "{\"response_cost\": 0.1000000000000000055511}"}'
    assert read_cost(0.1, inside_text, ["response_cost"]) == Decimal("0.1000000000000000055511")


@pytest.mark.parametrize(
    "value", ["n/a", "$1", "1,5", True, float("inf"), "NaN", "Infinity", 1e300, 10**10, 10**400, "1e99999999"]
)
def test_what_is_no_money_is_refused(value: object) -> None:
    with pytest.raises(Refusal) as refusal:
        read_cost(value)
    assert refusal.value.reason == "bad_cost"


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=18))
def test_money_as_text_comes_back(cost: Decimal) -> None:
    assert read_cost(format(cost, "f")) == cost
