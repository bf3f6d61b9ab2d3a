"""Cost fields are parsed, not listed; quantities are a partition of what the usage states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.prices.book.catalog import load_catalog
from callcost.prices.units import (
    BILLED_UNITS,
    COUNTS_READ,
    EXPLAINED,
    STRUCTURED,
    TOKEN_UNITS,
    UNITS,
    RateKey,
    is_cost_field,
    place_field,
    quantities,
    unit_of,
)
from callcost.tables import USAGE_COUNTS, Usage

COUNTS = st.none() | st.integers(0, 10**12) | st.integers(0, 50)
USAGES = st.builds(Usage, **dict.fromkeys(USAGE_COUNTS, COUNTS))


def test_every_cost_field_of_every_version_is_placed_or_explained() -> None:
    catalog = load_catalog()
    fields = {field for model in catalog.models for _, entry in catalog.history(model) for field in entry or ()}

    unplaced = {
        field
        for field in fields
        if is_cost_field(field) and not place_field(field) and field not in STRUCTURED and field not in EXPLAINED
    }

    assert unplaced == set()
    assert len([field for field in fields if place_field(field)]) > 150


@pytest.mark.parametrize(
    ("field", "placed"),
    [
        ("input_cost_per_token", RateKey("text_input")),
        ("input_cost_per_token_above_200k_tokens_priority", RateKey("text_input", "priority", 200_000)),
        ("cache_creation_input_token_cost_above_1hr_above_100k_tokens", RateKey("cache_write_1h", "", 100_000)),
        ("cache_creation_input_token_cost_above_12hr_batches", RateKey("cache_write_12h_tokens", "batches")),
        ("cache_read_input_audio_token_cost_flex", RateKey("cache_read_audio", "flex")),
        ("cache_read_input_token_cost_per_audio_token", RateKey("cache_read_audio")),
        ("input_cost_per_token_cache_hit", RateKey("cache_read")),
        ("input_cost_per_token_batch_requests", RateKey("text_input", "batches")),
        ("output_cost_per_video_token_ultrafast", RateKey("video_output", "ultrafast")),  # in no map so far
        ("output_cost_per_second_1080p", RateKey("output_seconds_1080p")),
        ("input_cost_per_video_per_second_above_8s_interval", RateKey("video_input_seconds_above_8s_interval")),
        ("cost_per_second", RateKey("seconds")),
        ("ocr_cost_per_page_batches", RateKey("pages", "batches")),
        ("input_cost_per_audio_token", RateKey("audio_input")),
        ("input_cost_per_image_token", RateKey("image_input")),
        ("input_cost_per_video_token", RateKey("video_input")),
        ("output_cost_per_audio_token", RateKey("audio_output")),
        ("output_cost_per_image_token", RateKey("image_output")),
        ("output_cost_per_reasoning_token", RateKey("reasoning")),
        ("output_cost_per_token", RateKey("text_output")),
        ("cache_read_input_token_cost", RateKey("cache_read")),
        ("cache_creation_input_token_cost", RateKey("cache_write_5m")),
        ("input_cost_per_second", RateKey("input_seconds")),
        ("input_cost_per_audio_per_second", RateKey("audio_input_seconds")),
        ("output_cost_per_audio_per_second", RateKey("audio_output_seconds")),
        ("output_cost_per_video_per_second", RateKey("video_output_seconds")),
        ("output_cost_per_image_above_512_and_512_pixels", RateKey("output_images_above_512_and_512_pixels")),
        ("output_cost_per_image_premium_image", RateKey("output_images_premium_image")),
        ("output_cost_per_image_above_512_and_512_pixels_and_premium_image",
         RateKey("output_images_above_512_and_512_pixels_premium_image")),
        ("cost_per_image", RateKey("output_images")),
        ("input_cost_per_blink", None),
        ("max_tokens", None),
        ("output_cost_per_token_cost", None),
    ],
)  # fmt: skip
def test_the_grammar_places_a_field_by_its_parts(field: str, placed: RateKey | None) -> None:
    assert place_field(field) == placed


def test_a_field_that_cannot_be_placed_is_about_money_all_the_same() -> None:
    assert is_cost_field("input_cost_per_blink")
    assert is_cost_field("regional_uplift_multiplier_mars")
    assert not is_cost_field("max_tokens")


@pytest.mark.parametrize("name", BILLED_UNITS)
def test_a_unit_is_known_by_its_name_and_with_a_size(name: str) -> None:
    assert unit_of(name) == (UNITS[name], "")
    assert unit_of(f"{name}_4k") == (UNITS[name], "4k")


def test_a_name_that_begins_like_no_unit_is_none() -> None:
    assert unit_of("bananas") is None
    assert unit_of("") is None


def test_each_part_of_a_usage_is_its_own_unit() -> None:
    usage = Usage(
        prompt_tokens=1000, cache_read_input_tokens=7, cache_read_audio_tokens=1, cache_read_image_tokens=2,
        cache_creation_input_tokens=24, cache_write_1h_tokens=8, cache_write_5m_tokens=11, audio_input_tokens=33,
        image_input_tokens=66, video_input_tokens=128, completion_tokens=31, reasoning_tokens=1,
        audio_output_tokens=2, image_output_tokens=4, video_output_tokens=8,
    )  # fmt: skip

    assert dict(quantities(usage)) == {
        "text_input": 1000 - 7 - 24 - 32 - 64 - 128, "audio_input": 32, "image_input": 64, "video_input": 128,
        "cache_read": 4, "cache_read_audio": 1, "cache_read_image": 2, "cache_write_5m": 16, "cache_write_1h": 8,
        "text_output": 16, "reasoning": 1, "audio_output": 2, "image_output": 4, "video_output": 8,
    }  # fmt: skip


@given(USAGES)
def test_quantities_are_a_partition_of_prompt_and_completion(usage: Usage) -> None:
    found = dict(quantities(usage))

    assert all(count > 0 for count in found.values())
    for side, whole in (("input", usage.prompt_tokens), ("output", usage.completion_tokens)):
        assert sum(count for unit, count in found.items() if TOKEN_UNITS[unit].side == side) == (whole or 0)


@given(USAGES)
def test_no_part_is_larger_than_stated(usage: Usage) -> None:
    found = dict(quantities(usage))

    read = sum(found.get(unit, 0) for unit in ("cache_read", "cache_read_audio", "cache_read_image"))
    assert read <= (usage.cache_read_input_tokens or 0)
    assert found.get("cache_write_1h", 0) <= (usage.cache_write_1h_tokens or 0)
    for unit in ("audio_input", "image_input", "video_input", "audio_output", "image_output", "video_output"):
        assert found.get(unit, 0) <= (getattr(usage, f"{unit}_tokens") or 0)
    assert found.get("reasoning", 0) <= (usage.reasoning_tokens or 0)


def test_the_formulas_read_columns_of_the_usage() -> None:
    assert set(COUNTS_READ) <= set(USAGE_COUNTS)
