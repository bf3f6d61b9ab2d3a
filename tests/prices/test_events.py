"""Events in which prices really changed, or the maps were wrong: what public sources say that was charged, and when.

events.tsv has some cells of each event with their window; the book is asked at its first and its last second.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from callcost.prices.book.archive import microseconds
from callcost.prices.book.book import Book, open_book
from callcost.settings import PriceOptions

SECOND = 1_000_000
UNTIL = microseconds("2026-11-13")  # a window without an end was open at the last map that was compared
# Where the book says something else, and why.
OTHERWISE = {
    "azure-2026-08-01": "a call of 2026-08-06 was still charged the old price (litellm issue 36094), and Azure's own "
    "price list had it on 2026-08-07: the day is not known, so that the map's stands",
    "deepseek-peak": "sources name two days for the cut of deepseek-v4-flash in September: the later one stands, which "
    "the map has; the event's other models are right",
    "anthropic-instant": "right until 2024-02-16, when a table has the later cut to 0.80 and 2.40 dollars a million",
}


def wrong_cells(book: Book) -> Iterator[tuple[str, str, str]]:
    with Path(__file__).with_name("events.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            last = UNTIL if row["to"] == "-" else microseconds(row["to"]) - SECOND
            for moment in (microseconds(row["from"]), last):
                entry = book.resolve(row["model"], None, moment).entry or {}
                fields = entry.get("off_peak_pricing") or {} if row["hours"] == "off" else entry
                if fields.get(row["field"]) != Decimal(row["value"]):
                    yield row["event"], row["model"], row["field"]


def events() -> set[str]:
    lines = Path(__file__).with_name("events.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {line.split("\t")[0] for line in lines}


def test_the_events_are_priced_as_they_were_charged() -> None:
    wrong = {event for event, *_ in wrong_cells(open_book(PriceOptions(corrections="all")))}
    assert len(events()) == 72
    assert wrong <= OTHERWISE.keys()


def test_what_one_source_alone_says_is_left_out_where_nothing_else_is_asked_for() -> None:
    """The others rest on one source: they are known, and need --corrections all."""
    found = {}
    for which in ("none", "stated"):
        wrong = {event for event, *_ in wrong_cells(open_book(PriceOptions(corrections=which)))}
        found[which] = 72 - len(wrong)
    assert found["none"] < 5
    assert found["stated"] >= 45
