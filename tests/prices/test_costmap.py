"""How a foreign map becomes exact entries, and when two maps are the same."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.errors import PriceError
from callcost.prices.book.cost_map import entry_of, map_digest, parse_entry, parse_map, rate, split_map


def one(fields: dict[str, Any]) -> Any:
    """Parse a map of one model, as JSON text."""
    return parse_map(json.dumps({"m": fields}).encode())["m"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("3e-06", "0.000003"),
        ("2.0000000000000002e-07", "2E-7"),
        ("3.3333333333333335e-05", "0.0000333333333333333"),
        ("0.1", "0.1"),
        ("0", "0"),
        ('"3e-7"', "3E-7"),
        ('" 0.5 "', "0.5"),
    ],
)
def test_a_rate_is_the_maps_own_text_without_float_noise(text: str, meant: str) -> None:
    entry = parse_map(b'{"m": {"input_cost_per_token": %b}}' % text.encode())["m"]
    assert type(entry["input_cost_per_token"]) is Decimal
    assert entry["input_cost_per_token"] == Decimal(meant)


@given(st.decimals(min_value=Decimal("1e-12"), max_value=1000, places=15))
def test_a_rate_of_at_most_15_digits_is_never_touched(number: Decimal) -> None:
    digits = number.normalize().as_tuple().digits
    if len(digits) <= 15:
        assert rate(str(number)) == number


@given(st.floats(min_value=1e-12, max_value=1e6))
def test_a_float_and_its_text_are_the_same_rate(number: float) -> None:
    assert rate(number) == rate(repr(number))
    assert abs(rate(number) - Decimal(number)) <= Decimal(number) * Decimal("1e-14")


def test_limits_stay_whole_numbers_however_they_are_written() -> None:
    entry = one({"max_tokens": 8192.0, "max_input_tokens": 2e6, "max_audio_length_hours": 8.5, "mode": "chat"})
    assert dict(entry) == {
        "max_tokens": 8192,
        "max_input_tokens": 2000000,
        "max_audio_length_hours": Decimal("8.5"),
        "mode": "chat",
    }
    assert type(entry["max_tokens"]) is int


def test_nested_prices_are_exact_and_their_scales_whole() -> None:
    entry = one(
        {
            "tiered_pricing": [{"range": [0, 32000.0], "input_cost_per_token": 1e-6}],
            "off_peak_pricing": {"windows": [{"weekdays": [1, 2]}], "input_cost_per_token": "5e-7"},
            "search_context_cost_per_query": {"search_context_size_low": 0.03},
            "provider_specific_entry": {"us": 1.1, "fast": 2, "frames": {"720p": "1280x720"}},
            "regional_endpoint_uplift_multiplier": 1.1,
        }
    )
    assert dict(entry) == {
        "tiered_pricing": [{"range": [0, 32000], "input_cost_per_token": Decimal("0.000001")}],
        "off_peak_pricing": {"windows": [{"weekdays": [1, 2]}], "input_cost_per_token": Decimal("5E-7")},
        "search_context_cost_per_query": {"search_context_size_low": Decimal("0.03")},
        "provider_specific_entry": {"us": Decimal("1.1"), "fast": Decimal(2), "frames": {"720p": "1280x720"}},
        "regional_endpoint_uplift_multiplier": Decimal("1.1"),
    }
    assert type(entry["tiered_pricing"][0]["range"][1]) is int
    assert type(entry["provider_specific_entry"]["fast"]) is Decimal


def test_what_is_no_number_is_left_as_it_is() -> None:
    entry = one({"input_cost_per_token": "ask us", "output_cost_per_token": True, "cost_per_image": None})
    assert dict(entry) == {"input_cost_per_token": "ask us", "output_cost_per_token": True}


def test_rows_about_the_map_and_capabilities_are_left_out() -> None:
    text = b"""{"sample_spec": {"input_cost_per_token": 0.1}, "fallback_generalizations": {"rules": []},
                "note": "text", "m": {"supports_vision": true, "supported_regions": ["eu"], "mode": "chat"}}"""
    assert {model: dict(entry) for model, entry in parse_map(text).items()} == {"m": {"mode": "chat"}}


def test_a_mapping_with_floats_reads_like_its_text() -> None:
    fields = {"input_cost_per_token": 2.0000000000000002e-07, "max_tokens": 4096, "cost_per_second": "0.1"}
    assert dict(entry_of(fields)) == dict(one(fields))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>not found</html>",
        b"[1, 2]",
        b'{"m": {"input_cost_per_token": 1e999}}',
        b'{"m": {"input_cost_per_token": 1e-999}}',
        b'{"m": {"input_cost_per_token": ' + b"9" * 150 + b"}}",
        b'{"m": {"input_cost_per_token": "' + b"9" * 150 + b'"}}',
        b'{"m": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        b'{"m": {"mode": "\xff"}}',
        b'{"m": {"input_cost_per_token": NaN}}',
        b'{"m": {"mode": "chat"}',
    ],
)
def test_what_is_no_cost_map_is_a_price_error(text: bytes) -> None:
    with pytest.raises(PriceError):
        parse_map(text)


def test_equal_maps_have_equal_digests_however_they_are_written() -> None:
    first = b'{"a": {"input_cost_per_token": 3e-06, "max_tokens": 1, "supports_x": true}, "b": {"mode": "chat"}}'
    second = b'{ "b": {"mode":"chat"},\n "a": {"max_tokens": 1, "input_cost_per_token": 0.0000030} }'
    third = second.replace(b"30}", b"31}")
    assert map_digest(split_map(first).items()) == map_digest(split_map(second).items())
    assert map_digest(split_map(first).items()) != map_digest(split_map(third).items())


def test_an_entry_cannot_be_changed() -> None:
    entry = parse_entry(b'{"mode": "chat"}')
    with pytest.raises(TypeError):
        entry["mode"] = "embedding"  # type: ignore[index]


def test_rates_survive_pickling() -> None:
    assert pickle.loads(pickle.dumps(rate("3e-7"))) == Decimal("3E-7")
