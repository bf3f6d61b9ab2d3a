"""The history of a model is one timeline of maps and corrections, and its chart a picture that stands alone."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from callcost.jobs.price_chart import draw_prices
from callcost.jobs.price_history import draw_history, price_history
from callcost.prices.book.archive import isoformat
from callcost.prices.book.book import Book, open_book
from callcost.prices.book.catalog import load_catalog
from callcost.prices.book.price_windows import Origin, PriceWindow
from callcost.settings import PriceOptions

SVG = "{http://www.w3.org/2000/svg}"
DAY = 86_400_000_000


@pytest.fixture(scope="module")
def book() -> Book:
    return open_book(PriceOptions())


def test_maps_and_corrections_are_one_timeline_with_both_dates(book: Book) -> None:
    events = [event for event in price_history("gpt-5.6-luna", book) if event.field == "input_cost_per_token"]
    found = [(isoformat(one.effective_from), isoformat(one.known_from), one.event, one.after) for one in events[:3]]
    assert found == [
        ("2026-07-19T03:01:21Z", "2026-07-19T03:01:21Z", "listed", Decimal("1e-6")),
        ("2026-07-30T00:00:00Z", "2026-11-30T00:00:00Z", "corrected", Decimal("2e-7")),
        ("2026-08-09T01:36:53Z", "2026-08-09T01:36:53Z", "changed", Decimal("2e-7")),
    ]
    correction = events[1]
    assert (correction.before, correction.confidence) == (Decimal("1e-6"), "stated")
    assert correction.source.startswith("https://")
    assert events[0].source == "litellm-1.93.0"


def test_the_timeline_is_in_the_order_in_which_prices_were_charged(book: Book) -> None:
    for model in sorted(book.catalog.models)[::97]:
        moments = [event.effective_from for event in price_history(model, book)]
        assert moments == sorted(moments)
        assert moments


@pytest.mark.parametrize("model", ["gpt-4o", "novita/deepseek/deepseek-v3.2", "claude-opus-4-20250514", "dall-e-3"])
def test_a_chart_stands_alone_and_is_the_same_each_time(model: str, book: Book, tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    draw_history(model, book, str(path))
    first = path.read_bytes()
    draw_history(model, open_book(PriceOptions()), str(path))
    assert path.read_bytes() == first
    root = ET.fromstring(first.decode())
    assert root.find(f"{SVG}title") is not None
    assert (root.findtext(f"{SVG}desc") or "").startswith("US dollars for a million tokens.")
    assert {part.tag.removeprefix(SVG) for part in root.iter()} <= {
        "svg", "title", "desc", "style", "text", "tspan", "line", "path",
    }  # fmt: skip
    text = first.decode().replace(SVG[1:-1], "")
    assert not re.search(r"https?:|url\(|href|@import|on\w+=", text)
    assert "prefers-color-scheme:dark" in text


def test_every_part_of_every_chart_lies_inside_it(book: Book) -> None:
    for model in sorted(load_catalog().models)[::151]:
        root = ET.fromstring(draw(model, book))
        _, _, width, height = map(int, root.attrib["viewBox"].split())
        for part in root.iter():
            for name, edge in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height)):
                assert 0 <= float(part.attrib.get(name, "0")) <= edge, (model, part.attrib)
            steps = re.findall(r"([MVH])([\d.]+)(?: ([\d.]+))?", part.attrib.get("d", ""))
            for kind, one, other in steps:
                assert 0 <= float(one) <= (height if kind == "V" else width)
                assert not other or 0 <= float(other) <= height


def draw(model: str, book: Book) -> str:
    from callcost.prices.book.corrections import Corrections
    from callcost.prices.book.price_windows import windows_of

    tables = (book.rules.corrections or Corrections((), book.catalog), Corrections((), book.catalog))
    charged, listed = (windows_of(model, book.catalog, table) for table in tables)
    return draw_prices(model, charged, listed, until=book.catalog.newest.effective_from)


def window(value: str, begins: int, ends: int | None) -> PriceWindow:
    origin = Origin("in_force", "map", "", "", begins * DAY)
    last = None if ends is None else ends * DAY
    return PriceWindow("a<b", "", "input_cost_per_token", Decimal(value), begins * DAY, last, origin)


def test_what_the_maps_said_is_dashed_where_something_else_was_charged() -> None:
    charged = [window("1e-6", 0, 100), window("5e-7", 100, None)]
    root = ET.fromstring(
        draw_prices("a<b", charged, [window("1e-6", 0, 150), window("5e-7", 150, None)], until=200 * DAY)
    )
    paths = {part.attrib["class"]: part.attrib["d"] for part in root.iter(f"{SVG}path")}
    assert paths == {"s0": "M58 40H311.5V160H565", "s0 listed": "M311.5 40H438.2"}
    assert root.findtext(f"{SVG}title") == "Prices of a<b"
    words = [part.text for part in root.iter(f"{SVG}text")]
    assert "input 0.5" in words
    assert "1 since 1970-01-01, 0.5 since 1970-04-11" in (root.findtext(f"{SVG}desc") or "")
