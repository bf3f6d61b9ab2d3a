"""A change that is announced holds once a map has seen it; until then calls after its day are not plainly priced."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from callcost.data_folders import data_dir
from callcost.errors import PriceError
from callcost.prices.book import catalog as catalogs
from callcost.prices.book.archive import microseconds
from callcost.prices.book.book import open_book
from callcost.prices.book.catalog import Catalog, build_catalog, load_catalog
from callcost.prices.book.changes import Announcement
from callcost.prices.book.corrections import Correction, Corrections, load_corrections
from callcost.prices.book.cost_map import split_map
from callcost.prices.calls import price_line
from callcost.settings import PriceOptions
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.tables.facts import facts_of
from callcost.tables import Call, Usage

IN, OUT = "input_cost_per_token", "output_cost_per_token"
DAY, RECORDED = "2025-06-01", "2025-02-01"


def maps(tmp_path: Path, *steps: tuple[str, str]) -> Catalog:
    """Versions by day, each with the model's input rate."""
    for day, rate in steps:
        fields = f'{{"{IN}": {rate}, "{OUT}": 9e-6, "litellm_provider": "p"}}'
        text = f'{{"other": {{"{IN}": 1e-6}}{"" if rate == "gone" else f""", "m": {fields}"""}}}'
        catalogs.add_map(
            split_map(text.encode()), name=f"map-{day}", effective_from=microseconds(day), source="", folder=tmp_path
        )
    return build_catalog([("user", tmp_path)])


def announced(field: str = IN, value: str | None = "2e-6", recorded: str = RECORDED) -> Announcement:
    price = None if value is None else Decimal(value)
    return Announcement("m", field, price, microseconds(DAY), None, "https://a", microseconds(recorded), "e")


def told(catalog: Catalog, row: Announcement, *days: str) -> list[tuple[Decimal, str]]:
    """By day the model's input rate, and what is said of it: in force, corrected, or a doubt's mark."""
    corrections, found = Corrections([], catalog, announced=[row]), []
    for day in days:
        moment = microseconds(day)
        entry = catalog.entry("m", catalog.version_at(moment))
        assert entry is not None
        laid = corrections.over("m", entry, moment)
        doubt = laid and (laid.doubts.get(IN) or laid.doubts.get("*"))
        word = doubt.mark if doubt else "corrected" if laid and laid.rows else "in force"
        found.append(((laid.entry if laid else entry)[IN], word))
    return found


OLD, NEW, THIRD = Decimal("1e-6"), Decimal("2e-6"), Decimal("3e-6")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], [(OLD, "in force"), (OLD, "scheduled"), (OLD, "scheduled")]),
        ([("2025-07-01", "1e-6")], [(OLD, "in force"), (OLD, "scheduled"), (OLD, "scheduled")]),  # it says nothing new
        ([("2025-07-01", "2e-6")], [(OLD, "in force"), (NEW, "corrected"), (NEW, "in force")]),
        ([("2025-07-01", "3e-6")], [(OLD, "in force"), (OLD, "scheduled"), (THIRD, "in force")]),
        ([("2025-05-15", "2e-6")], [(NEW, "in force"), (NEW, "in force"), (NEW, "in force")]),  # a map was early
    ],
)
def test_a_map_confirms_an_announcement_or_overtakes_it(
    tmp_path: Path, steps: list[tuple[str, str]], expected: list[tuple[Decimal, str]]
) -> None:
    catalog = maps(tmp_path, ("2025-01-01", "1e-6"), *steps)
    assert told(catalog, announced(), "2025-05-31", DAY, "2025-07-01") == expected


def test_a_version_between_the_day_and_its_row_decides_too(tmp_path: Path) -> None:
    catalog = maps(tmp_path, ("2025-01-01", "1e-6"), ("2025-07-01", "2e-6"))
    late = announced(recorded="2025-09-01")
    assert told(catalog, late, "2025-06-15", "2025-08-01") == [(NEW, "corrected"), (NEW, "in force")]


def test_an_introductory_price_without_a_successor_holds_until_a_map_says_what_does(tmp_path: Path) -> None:
    catalog = maps(tmp_path, ("2025-01-01", "1e-6"), ("2025-07-01", "1e-6"), ("2025-08-01", "3e-6"))
    row = announced("*", None)
    assert told(catalog, row, "2025-05-31", DAY, "2025-07-15", "2025-08-01") == [
        (OLD, "in force"), (OLD, "scheduled"), (OLD, "scheduled"), (THIRD, "in force"),
    ]  # fmt: skip


def test_a_correction_of_that_day_goes_before_what_was_announced(tmp_path: Path) -> None:
    catalog = maps(tmp_path, ("2025-01-01", "1e-6"))
    row = Correction(
        "m", "p", IN, THIRD, microseconds(DAY), None, "", "lag", "URL", "stated", microseconds("2025-06-10"), "f"
    )
    entry = catalog.entry("m", catalog.newest)
    laid = Corrections([row], catalog, announced=[announced()]).over("m", entry, microseconds(DAY))
    assert laid is not None
    assert (laid.entry[IN], dict(laid.doubts)) == (THIRD, {})


def test_both_readers_call_it_a_scheduled_change_and_tell_both_prices() -> None:
    book, usage = open_book(PriceOptions()), Usage(prompt_tokens=1_000_000, completion_tokens=0)
    asked = {
        ("gemini/gemini-3.6-flash", "2026-12-31T23:59:59"): ("priced", None, "0.75"),
        ("gemini/gemini-3.6-flash", "2027-01-01"): ("partly_priced", "scheduled_change", "0.75"),
        ("gpt-5.6-sol", "2026-11-21T23:59:59"): ("priced", None, "8"),
        ("gpt-5.6-sol", "2026-11-22"): ("partly_priced", "scheduled_change", "8"),
        ("azure/gpt-5.6", "2026-11-30"): ("priced", None, "8"),
        ("azure/gpt-5.6", "2026-12-01"): ("partly_priced", "scheduled_change", "8"),
    }  # fmt: skip
    calls = [
        Call(family="plain", source_format="plain", model=model, usage=usage, usage_source="reported", status="success",
             started_at=microseconds(at), source_row=number)
        for number, (model, at) in enumerate(asked)
    ]  # fmt: skip
    rows = price_facts(facts_of(calls, 0, 0), book)
    for call, row, (status, reason, cost) in zip(calls, rows.iter_rows(named=True), asked.values(), strict=True):
        _, bill = price_line(book, call, usage)
        assert (row["price_status"], row["price_reason"]) == (bill.status, bill.reason) == (status, reason)
        assert row["total_cost"] == bill.total_cost == Decimal(cost)
    _, bill = price_line(book, calls[1], usage)
    line = bill.charges[0].line
    assert line is not None
    assert line.listed.rate == Decimal("7.5e-7")
    assert line.listed.note == (
        "0.0000015 announced since 2027-01-01, which no second source has yet: "
        "https://github.com/NousResearch/hermes-agent/pull/104179"
    )


def test_what_nobody_corrects_and_what_was_not_known_schedules_nothing() -> None:
    at = microseconds("2027-01-05")
    early, latest = PriceOptions(as_known="2026-11-20"), PriceOptions(prices="latest")
    for options in (PriceOptions(corrections="none"), early, latest):
        tariff = open_book(options).resolve("gemini/gemini-3.6-flash", None, at).tariff
        assert tariff is not None
        assert not any(listed.scheduled for listed in tariff.rates.values())


def test_a_damaged_row_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "corrections.csv").write_bytes((data_dir() / "prices" / "corrections.csv").read_bytes())
    rows = "model,field,value,from,source,recorded_on,event\nm,*,,soon,u,,e\n"
    (tmp_path / "prices" / "scheduled.csv").write_text(rows, encoding="utf-8")
    monkeypatch.setattr("callcost.prices.book.corrections.data_dir", lambda: tmp_path)
    with pytest.raises(PriceError, match=r"cannot read the corrections of prices .*scheduled\.csv"):
        load_corrections("all", load_catalog())


def test_every_row_names_a_model_of_the_maps_and_a_source() -> None:
    with (data_dir() / "prices" / "scheduled.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    for row in rows:
        assert row["model"] in load_catalog().models
        assert row["source"].startswith("https://")
        assert bool(row["value"]) == (row["field"] != "*")
