"""Which fields can be prices: what is refused, by which name, and that every listed version is sound."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from callcost.prices.book.archive import microseconds
from callcost.prices.book.catalog import load_catalog
from callcost.prices.book.cost_map import entry_of
from callcost.prices.book.faults import faults_in, first_fault
from callcost.prices.units import UNITS, is_cost_field, place_field, unit_of
from callcost.prices.upstream.checks import check_map

NO_PRICES = (float("nan"), float("inf"), float("-inf"), -1, -1e-9, "abc", "", True, False, 1e30, 1e300, 10**5000,
             Decimal("NaN"), Decimal("sNaN"), b"1", object(), 1j)  # fmt: skip


def test_every_entry_of_every_listed_version_is_sound() -> None:
    catalog = load_catalog()
    wrong = [
        (model, version.name, fault)
        for model in catalog.models
        for version, entry in catalog.history(model)
        for fault in faults_in(entry or {})
    ]
    assert wrong == []


@pytest.mark.parametrize("value", NO_PRICES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "path",
    [
        ("input_cost_per_token",),
        ("input_cost_per_image",),
        ("regional_endpoint_uplift_multiplier",),
        ("tiered_pricing", 0, "input_cost_per_token"),
        ("off_peak_pricing", "output_cost_per_token"),
        ("search_context_cost_per_query", "search_context_size_low"),
        ("guardrail_cost_per_unit", "topic"),
    ],
    ids=str,
)
def test_what_is_no_price_is_named_with_its_field_and_value(path: tuple[Any, ...], value: Any) -> None:
    fields: Any = value
    for name in reversed(path):
        fields = [fields] if name == 0 else {name: fields}

    fault = first_fault(fields, force=True)

    assert fault is not None
    assert fault.path == ".".join(map(str, path))
    assert fault.why.startswith("is no price")
    assert str(fault).startswith(fault.path)


@pytest.mark.parametrize("value", [0, 1e-6, "3e-7", Decimal("0.5"), 1, 0.0, "0", None])
def test_what_is_a_price_is_taken(value: Any) -> None:
    assert first_fault({"input_cost_per_token": value, "tiered_pricing": [{"output_cost_per_token": value}]}) is None


def test_over_a_dollar_is_dear_for_tokens_characters_and_pixels_and_for_nothing_else() -> None:
    """The limit follows the table of units, whatever the field is called."""
    catalog = load_catalog()
    fields = {field for model in catalog.models for _, entry in catalog.history(model) for field in entry or {}}
    placed = {field: place for field in fields if is_cost_field(field) and (place := place_field(field))}
    assert len(placed) > 50
    for field, place in placed.items():
        found = unit_of(place.unit)
        assert found is not None
        fault = first_fault({field: 1.5})
        assert (fault is not None) == (found[0].measure in {"token", "character", "pixel"}), field
        assert fault is None or (fault.dear and first_fault({field: 1.5}, force=True) is None)
    assert {unit.measure for unit in UNITS.values()} > {"token", "character", "pixel", "image", "second", "query"}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"max_tokens": float("nan")}, "max_tokens"),
        ({"max_tokens": 10**400}, "max_tokens"),
        ({"mode": 5}, "mode"),
        ({5: 1}, "5"),
        ({"tiered_pricing": [{"range": [None, 5]}]}, "tiered_pricing.0.range.0"),
        ({"tiered_pricing": [{"range": [{}]}]}, "tiered_pricing.0.range.0"),
        ({"provider_specific_entry": {"us": float("inf")}}, "provider_specific_entry.us"),
        ({"source": object()}, "source"),
        ({"input_cost_per_token": [1e-6]}, "input_cost_per_token"),
        ({"output_cost_per_token_priority": (1e-6,)}, "output_cost_per_token_priority"),
        ({"input_cost_per_image": {"a": 1e-6}}, "input_cost_per_image"),
        ({"tiered_pricing": [{"input_cost_per_token": [1e-6]}]}, "tiered_pricing.0.input_cost_per_token"),
    ],
)
def test_what_cannot_be_kept_beside_prices_is_named(fields: dict[Any, Any], path: str) -> None:
    fault = first_fault(fields, force=True)
    assert fault is not None
    assert fault.path == path


def test_a_maps_wrong_fields_are_reasons_to_refuse_it() -> None:
    sound: dict[str, dict[str, Any]] = {f"model-{number}": {"input_cost_per_token": 1e-6} for number in range(9)}
    wrong: dict[str, dict[str, Any]] = {
        "a": {"input_cost_per_token": -1e-6},
        "b": {"output_cost_per_token": "cheap"},
        "c": {"input_cost_per_token": 3},
    }
    new, old = ({name: entry_of(fields) for name, fields in content.items()} for content in (sound | wrong, sound))

    assert check_map(new, old, microseconds("2026-11-20")).refusals == [
        "1 models have a price below 0, such as a (input_cost_per_token: '-0.000001' is no price: a number of dollars, "
        "0 or more)",
        "1 fields are no price, such as b (output_cost_per_token: 'cheap' is no price: a number of dollars, 0 or more)",
        "1 rates are over 1 dollar a token, such as c (input_cost_per_token: '3' is over 1 dollar a token)",
    ]
