"""What was known at a day stays: no version, correction or name that comes later changes a price under it."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from callcost.prices.book import catalog as catalogs
from callcost.prices.book import corrections as tables
from callcost.prices.book.archive import isoformat
from callcost.prices.book.book import Book, open_book
from callcost.prices.book.catalog import add_map
from callcost.prices.book.corrections import COLUMNS
from callcost.prices.charges import price_usage
from callcost.prices.rates import Terms
from callcost.settings import PriceOptions
from callcost.tables import Usage
from tests.conftest import examples

DAY = 86_400_000_000
BEGUN = 19_700 * DAY  # 2023-12-09
DAYS = st.integers(0, 500)  # after that
MODELS = ("gpt-4o", "gpt-4o-2024-08-06", "azure/gpt-4o", "openai/gpt-4o", "GPT-4o", "claude-opus-5", "xai/grok-9")
FIELDS = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
FILES = (tables.FILE, tables.OTHERS, tables.SCHEDULED, tables.SUSPICIONS)
FIRST = "0.000005"
PROVIDERS = ("openai", "azure", "anthropic", "xai")
ENCODER = msgspec.json.Encoder(decimal_format="number", order="sorted")
RATES = st.integers(0, 999).map(lambda parts: Decimal(parts).scaleb(-8))


class Addition(NamedTuple):
    """A map: what it says, since when, and the day on which the book came to have it."""

    effective: int
    known: int
    entries: dict[str, dict[str, Any]]


class Row(NamedTuple):
    """A row of one of the tables of corrections, and the day on which the book came to have it."""

    file: str
    known: int
    cells: dict[str, str]


def additions(known: st.SearchStrategy[int]) -> st.SearchStrategy[Addition]:
    """Draw a whole map, for any time, which the book has from a day on."""
    rates = st.dictionaries(st.sampled_from(FIELDS), RATES)
    entries = st.builds(lambda found, who: {**found, "litellm_provider": who}, rates, st.sampled_from(PROVIDERS))
    return st.builds(Addition, DAYS, known, st.dictionaries(st.sampled_from(MODELS), entries))


@st.composite
def rows(draw: st.DrawFn, known: st.SearchStrategy[int]) -> Row:
    """Draw a correction, the price of a model that no map lists, or an announcement, of any window and trust."""
    begins, length, day = draw(DAYS), draw(st.none() | st.integers(1, 300)), draw(known)
    cells = {
        "model": draw(st.sampled_from(MODELS)), "provider": draw(st.sampled_from(PROVIDERS)),
        "field": draw(st.sampled_from(FIELDS)), "value": f"{draw(RATES):f}", "from": day_of(begins),
        "to": "" if length is None else day_of(begins + length),
        "condition": draw(st.sampled_from(["", "off-peak 16:30-00:30 on 1-7"])), "kind": "wrong",
        "source": "https://example.com/prices", "event": draw(st.sampled_from("ab")),
        "confidence": draw(st.sampled_from(["stated", "two_sources", "one_source"])), "recorded_on": day_of(day),
    }  # fmt: skip
    file = draw(st.sampled_from(FILES))
    if file == tables.SUSPICIONS:  # often one of the first map
        value = draw(st.sampled_from([FIRST, f"{draw(RATES):f}"]))
        cells |= {"value": value, "condition": "", "to": "", "kind": tables.SUSPICION}
    if file == tables.SCHEDULED and draw(st.booleans()):
        cells |= {"field": "*", "value": ""}
    return Row(file, day, cells)


def day_of(number: int) -> str:
    return isoformat(BEGUN + number * DAY)


def book_of(maps: Iterable[Addition], laid: Iterable[Row], options: PriceOptions) -> Book:
    """Open the book of a folder that holds nothing but these, in the order in which they came."""
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "prices"
        for number, one in enumerate(maps):
            entries = {model: ENCODER.encode(fields) for model, fields in one.entries.items()}
            add_map(
                entries, name=f"map-{number}", effective_from=BEGUN + one.effective * DAY, source="a test",
                known_from=BEGUN + one.known * DAY, folder=folder,
            )  # fmt: skip
        for file in FILES:
            with (folder / file).open("w", encoding="utf-8", newline="") as out:
                writer = csv.DictWriter(out, COLUMNS)
                writer.writeheader()
                writer.writerows(row.cells for row in laid if row.file == file)
        place = mock.Mock(return_value=Path(top))
        with mock.patch.object(catalogs, "data_dir", place), mock.patch.object(tables, "data_dir", place):
            return open_book(options)


def price(book: Book, model: str, provider: str | None, moment: int) -> tuple[Any, ...]:
    """Return all that says what a call costs, and why."""
    usage = Usage(prompt_tokens=1000, completion_tokens=100, cache_read_input_tokens=300)
    found = book.resolve(model, provider, moment)
    card = book.rates(found, Terms(prompt_tokens=1000, moment=moment))
    said = (found.key, found.basis, found.version, found.reason, found.rung, found.runner_up, found.corrections)
    return (*said, price_usage(usage, card) if card else None)


@examples(20)
@given(st.data(), st.integers(0, 400))
def test_what_comes_later_changes_no_price_that_was_known(data: st.DataObject, known: int) -> None:
    before, after = st.integers(0, known), st.integers(known + 1, 600)
    first = Addition(0, 0, {"gpt-4o": {"input_cost_per_token": Decimal(FIRST), "litellm_provider": "openai"}})
    maps = [first, *data.draw(st.lists(additions(before), max_size=4))]
    laid = data.draw(st.lists(rows(before), max_size=4))
    later = data.draw(st.lists(additions(after), max_size=4))
    places = [data.draw(st.integers(1, len(maps))) for _ in later]
    more = data.draw(st.lists(rows(after), max_size=4))
    which = data.draw(st.sampled_from(["none", "stated", "all"]))
    options = PriceOptions(as_known=day_of(known), corrections=which)
    whole = list(maps)
    for place, one in zip(places, later, strict=True):
        whole.insert(place, one)

    then, now = book_of(maps, laid, options), book_of(whole, [*laid, *more], options)

    for model in MODELS:
        for provider in (None, "azure"):
            moment = BEGUN + data.draw(st.integers(0, 600 * DAY))
            before_it, after_it = (price(book, model, provider, moment) for book in (then, now))
            assert named(after_it, whole) == named(before_it, maps)


def named(found: tuple[Any, ...], maps: list[Addition]) -> tuple[Any, ...]:
    """Say which map was meant instead of its number in its folder."""
    return tuple(maps[int(part[4:])] if isinstance(part, str) and part.startswith("map-") else part for part in found)
