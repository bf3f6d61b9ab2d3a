"""Which version is in force when, and what it says: the shipped history, and folders in any order."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcost.errors import PriceError
from callcost.prices.book.archive import IndexLine, add_version, microseconds
from callcost.prices.book.catalog import BUNDLED_ONLY, Catalog, add_map, build_catalog, load_catalog, user_prices
from callcost.prices.book.cost_map import parse_map, split_map

DAY = 86_400_000_000


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    return load_catalog()


@pytest.mark.parametrize(
    ("model", "day", "prices"),
    [
        ("gpt-4o", "2024-06-01", ("0.000005", "0.000015")),
        ("gpt-4o", "2025-01-01", ("0.0000025", "0.00001")),
        ("o3", "2025-06-01", ("0.00001", "0.00004")),
        ("o3", "2025-07-01", ("0.000002", "0.000008")),
        ("claude-opus-4-20250514", "2025-06-01", ("0.000015", "0.000075")),
    ],
)
def test_a_date_has_the_rates_of_its_day(shipped: Catalog, model: str, day: str, prices: tuple[str, str]) -> None:
    entry = shipped.entry(model, shipped.find(day))
    assert entry is not None
    assert (entry["input_cost_per_token"], entry["output_cost_per_token"]) == tuple(map(Decimal, prices))


def test_a_retired_model_has_its_last_entry(shipped: Catalog) -> None:
    version = shipped.find("2026-11-20")
    assert shipped.entry("claude-3-5-sonnet-20241022", version) is None
    found = shipped.last_entry("claude-3-5-sonnet-20241022", version)
    assert found is not None
    entry, listed_by = found
    assert (entry["input_cost_per_token"], entry["output_cost_per_token"]) == (
        Decimal("3e-6"),
        Decimal("15e-6"),
    )
    assert shipped.entry("claude-3-5-sonnet-20241022", listed_by) == entry
    assert shipped.entry("claude-3-5-sonnet-20241022", shipped.versions[listed_by.index + 1]) is None


def test_a_version_starts_at_its_first_moment(shipped: Catalog) -> None:
    second = shipped.versions[1]
    assert shipped.version_at(second.effective_from) == second
    assert shipped.version_at(second.effective_from - 1) == shipped.versions[0]
    assert shipped.version_at(shipped.versions[0].effective_from - 1) is None


def test_a_version_is_found_by_name_date_or_as_the_latest(shipped: Catalog) -> None:
    assert shipped.find("litellm-1.106.4").source == "litellm 1.106.4"
    assert shipped.find("tokencost-0.1.12").effective_text == "2024-07-25T22:57:00Z"
    assert shipped.find("latest") == shipped.newest == shipped.versions[-1]
    assert shipped.find("2024-07-25").name == "tokencost-0.1.11"
    assert shipped.find("2024-07-26").name == "tokencost-0.1.12"
    with pytest.raises(PriceError, match="no price version 'litellm-9'"):
        shipped.find("litellm-9")
    with pytest.raises(PriceError, match="was in force on 2023-01-01"):
        shipped.find("2023-01-01")


def test_spelling_differs_in_case_only(shipped: Catalog) -> None:
    assert sorted(shipped.spellings("TOGETHER_AI/openai/gpt-oss-20b")) == [
        "together_ai/OpenAI/gpt-oss-20B",
        "together_ai/openai/gpt-oss-20b",
    ]
    assert shipped.spellings("gpt-9") == []


def test_an_unknown_model_has_no_past_and_no_future(shipped: Catalog) -> None:
    version = shipped.newest
    assert "gpt-9" not in shipped.models
    assert shipped.entry("gpt-9", version) is None
    assert shipped.last_entry("gpt-9", version) is None
    assert shipped.history("gpt-9") == []


def test_a_map_is_the_entries_that_the_version_lists(shipped: Catalog) -> None:
    version = shipped.find("2024-06-01")
    whole = shipped.map_of(version)
    assert set(whole) == set(shipped.names(version))
    assert all(shipped.entry(model, version) == entry for model, entry in whole.items())


def test_the_catalog_is_loaded_once_and_again_after_an_addition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLCOST_DATA_DIR", str(tmp_path))
    bundled = load_catalog()
    assert load_catalog() is bundled
    entries = split_map(b'{"mine": {"input_cost_per_token": 1}}')
    add_map(entries, name="own", effective_from=microseconds("2030-01-01"), source="me", folder=user_prices())
    assert (load_catalog().newest.name, load_catalog().newest.origin) == ("own", "user")
    assert list(load_catalog().names(load_catalog().newest)) == ["mine"]
    assert load_catalog().versions[:-1] == bundled.versions
    monkeypatch.setenv(BUNDLED_ONLY, "True")
    assert load_catalog().newest == bundled.newest


def test_a_version_without_its_base_is_a_price_error(tmp_path: Path) -> None:
    lost = IndexLine(name="b", effective_from="2025-01-01", source="", sha256="", base="a")
    add_version(tmp_path, lost, {})
    with pytest.raises(PriceError, match="builds on a, which is not in"):
        build_catalog([("user", tmp_path)])


MAPS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["bundled", "user"]), st.integers(0, 5), MAPS), min_size=1, max_size=7))
def test_any_folders_in_any_order_say_what_was_added(added: list[tuple[str, int, dict[str, int]]]) -> None:
    """Whatever comes between two versions of a folder, each version is the map that was added, word for word."""
    with tempfile.TemporaryDirectory() as top:
        folders = {origin: Path(top) / origin for origin in ("bundled", "user")}
        for number, (origin, day, prices) in enumerate(added):
            add_map(
                split_map(as_text(prices)),
                name=f"v{number}",
                effective_from=day * DAY,
                source="",
                folder=folders[origin],
            )
        catalog = build_catalog(folders.items())
    order = sorted(range(len(added)), key=lambda n: (added[n][1], added[n][0], n))
    assert [version.name for version in catalog.versions] == [f"v{n}" for n in order]
    maps = [parse_map(as_text(added[n][2])) for n in order]
    for version, expected in zip(catalog.versions, maps, strict=True):
        assert catalog.map_of(version) == expected
        assert catalog.digest_of(version) == version.sha256
    for model in "abcd":
        assert_timeline(catalog, model, [entries.get(model) for entries in maps])


def as_text(prices: dict[str, int]) -> bytes:
    """Write a map of one price per model."""
    rows = ", ".join(f'"{model}": {{"cost_per_image": {price}}}' for model, price in prices.items())
    return f"{{{rows}}}".encode()


def assert_timeline(catalog: Catalog, model: str, entries: list[Any]) -> None:
    """Compare every question about a model with the answer by hand."""
    listed = [n for n, entry in enumerate(entries) if entry is not None]
    assert (model in catalog.models) == bool(listed)
    for n, version in enumerate(catalog.versions):
        assert catalog.entry(model, version) == entries[n]
        past = [k for k in listed if k <= n]
        expected = (entries[past[-1]], catalog.versions[past[-1]]) if past else None
        assert catalog.last_entry(model, version) == expected
    steps = [n for n, entry in enumerate(entries) if entry != (entries[n - 1] if n else None)]
    assert catalog.history(model) == [(catalog.versions[n], entries[n]) for n in steps]
