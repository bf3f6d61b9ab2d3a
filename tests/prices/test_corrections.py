"""Corrections lie over the maps in their window and nowhere else, by either reader of prices."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from callcost.data_folders import data_dir
from callcost.errors import PriceError
from callcost.helpers.costs import cost_per_token
from callcost.prices.book import catalog as catalogs
from callcost.prices.book.archive import microseconds
from callcost.prices.book.book import open_book
from callcost.prices.book.catalog import build_catalog, load_catalog
from callcost.prices.book.corrections import (
    SUSPICION,
    Correction,
    Corrections,
    describe,
    load_corrections,
    open_suspicions,
)
from callcost.prices.book.cost_map import split_map
from callcost.prices.calls import price_line
from callcost.prices.tariffs import Doubt
from callcost.settings import PriceOptions
from callcost.stages.pricing.price_facts import price_facts, tally_corrected
from callcost.stages.tables.facts import facts_of
from callcost.tables import Call, Usage

SECOND = 1_000_000
COUNTS = (1_000, 100)


def _usage(prompt: int, completion: int) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=completion)


def taken(which: str) -> list[Correction]:
    corrections = load_corrections(which, load_catalog())
    return [row for model in {row["model"] for row in rows_of_file()} for row in corrections.rows_of(model)]


def rows_of_file() -> list[dict[str, str]]:
    with (data_dir() / "prices" / "corrections.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cell(fields: Any, row: Correction) -> Any:
    table = (fields or {}).get("off_peak_pricing") or {} if row.condition else fields or {}
    return table.get(row.field)


def edges(row: Correction) -> list[int]:
    ends = [] if row.ends is None else [row.ends - SECOND, row.ends]
    return [row.begins - SECOND, row.begins, *ends]


def dropped_at(row: Correction) -> set[int]:
    """When the maps dropped a row's model: what held to that moment holds on, as a retired model keeps its rates."""
    return {version.effective_from for version, entry in load_catalog().history(row.model) if entry is None}


def expected(row: Correction, rows: list[Correction], moment: int) -> Decimal | None:
    """What corrections say of a row's cell at a moment; None: nothing."""
    of_cell = [other for other in rows if (other.model, other.place) == (row.model, row.place)]
    then = [other for other in of_cell if other.begins <= moment < (other.ends or 2**62)]
    then = then or [other for other in of_cell if other.ends == moment and moment in dropped_at(other)]
    return then[-1].value if then else None


BOTH = pytest.mark.parametrize("which", ["stated", "all"])


@BOTH
def test_each_row_holds_from_its_first_second_to_its_last(which: str) -> None:
    book, rows = open_book(PriceOptions(corrections=which)), taken(which)
    plain = open_book(PriceOptions(corrections="none"))
    assert len(rows) > 500
    for row in rows:
        for moment in edges(row):
            found, value = book.resolve(row.model, None, moment), expected(row, rows, moment)
            listed = cell(plain.resolve(row.model, None, moment).entry, row)
            if value is not None:
                assert cell(found.entry, row) == value, (row, moment)
            elif found.key == row.model and found.basis != "first_listed_later":
                assert cell(found.entry, row) == listed, (row, moment)


# What states one unit of the fields that LiteLLM's helpers take by themselves, and which of both costs it is.
BY_FIELD: dict[str, tuple[dict[str, Any], int]] = {
    "input_cost_per_token": ({"prompt_tokens": 1000}, 0),
    "output_cost_per_token": ({"completion_tokens": 1000}, 1),
    "cache_read_input_token_cost": ({"prompt_tokens": 1000, "cache_read_input_tokens": 1000}, 0),
    "cache_creation_input_token_cost": ({"prompt_tokens": 1000, "cache_creation_input_tokens": 1000}, 0),
}


@BOTH
def test_the_helpers_price_the_edges_of_each_row_by_it(which: str) -> None:
    rows, seen = taken(which), 0
    by_hours = {row.model for row in rows if row.condition}  # a second price, which another test knows
    for row in rows:
        if row.model in by_hours or row.field not in BY_FIELD:
            continue
        counts, side = BY_FIELD[row.field]
        for moment in edges(row):
            value = expected(row, rows, moment)
            if value is None:
                continue
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
            priced = cost_per_token(row.model, **counts, at=at, corrections=which)[side]
            assert priced == pytest.approx(float(value * 1000)), (row, at)
            seen += 1
    assert seen > 500


@pytest.mark.parametrize(
    ("model", "provider", "at", "rates"),
    [
        ("together_ai/Qwen/Qwen3-235B-A22B-Instruct-2507-tput", None, "2026-11-15", ("2e-7", "6e-7")),
        ("gemini-1.5-flash-8b", "gemini", "2026-11-15", ("3.75e-8", "1.5e-7")),
        ("claude-instant-1.2", None, "2024-02-15", ("1.63e-6", "5.51e-6")),
        ("claude-instant-1.2", None, "2026-11-15", ("8e-7", "2.4e-6")),
        ("claude-instant-1.2", None, None, ("8e-7", "2.4e-6")),
    ],
)
def test_a_retired_model_keeps_what_was_right_to_the_end(
    model: str, provider: str | None, at: str | None, rates: tuple[str, str]
) -> None:
    found = open_book(PriceOptions()).resolve(model, provider, microseconds(at) if at else None)
    assert found.entry is not None
    assert found.basis == "corrected"
    listed = tuple(found.entry[field] for field in ("input_cost_per_token", "output_cost_per_token"))
    assert listed == tuple(map(Decimal, rates))


def test_a_bare_name_of_claude_on_bedrock_says_that_its_region_may_cost_more() -> None:
    """The maps have the global profile's rate for it; older models cost the same everywhere."""
    book, usage = open_book(PriceOptions()), _usage(1_000, 0)
    verdicts = {}
    for model in (
        "anthropic.claude-opus-5", "global.anthropic.claude-opus-5", "us.anthropic.claude-opus-5",
        "anthropic.claude-3-haiku-20240307-v1:0", "anthropic.claude-sonnet-4-20250514-v1:0",
    ):  # fmt: skip
        call = Call(
            family="plain", source_format="plain", model=model, provider="bedrock", usage=usage,
            started_at=microseconds("2026-09-15"),
        )  # fmt: skip
        bill = price_line(book, call, usage)[1]
        verdicts[model] = (bill.status, bill.reason, bill.total_cost)
    assert list(verdicts.values()) == [
        ("partly_priced", "rate_fallback", Decimal("0.005")), ("priced", None, Decimal("0.005")),
        ("priced", None, Decimal("0.0055")), ("priced", None, Decimal("0.00025")), ("priced", None, Decimal("0.003")),
    ]  # fmt: skip


@BOTH
def test_both_readers_price_the_edges_of_each_row_the_same(which: str) -> None:
    book = open_book(PriceOptions(corrections=which))
    calls = [
        Call(family="plain", source_format="plain", model=row.model, usage=_usage(*COUNTS), usage_source="reported",
             started_at=moment, status="success", source_row=number)
        for number, row in enumerate(taken(which)) for moment in edges(row)
    ]  # fmt: skip

    priced = price_facts(facts_of(calls, 0, 0), book)

    for call, got in zip(calls, priced.iter_rows(named=True), strict=True):
        found, bill = price_line(book, call, msgspec.structs.replace(_usage(*COUNTS), model=call.model))
        basis = None if bill.status == "unpriced" else found.basis
        assert (got["price_basis"], got["price_status"], got["price_reason"]) == (basis, bill.status, bill.reason)
        assert got["total_cost"] == bill.total_cost


@pytest.mark.parametrize(
    ("model", "at", "rate", "basis"),
    [
        ("gpt-5.6-luna", "2026-07-29T23:59:59", "1e-6", "in_force"),
        ("gpt-5.6-luna", "2026-07-30", "2e-7", "corrected"),
        ("gpt-5.6-luna", "2026-08-09T01:36:53", "2e-7", "in_force"),
        ("novita/deepseek/deepseek-v3.2", "2026-01-05", "2.69e-7", "first_listed_later"),
        ("novita/deepseek/deepseek-v3.2", "2026-01-12", "2.69e-7", "corrected"),
    ],
)
def test_the_basis_says_what_priced(model: str, at: str, rate: str, basis: str) -> None:
    found = open_book(PriceOptions()).resolve(model, None, microseconds(at))
    assert found.entry is not None
    assert (found.entry["input_cost_per_token"], found.basis) == (Decimal(rate), basis)


def test_what_one_source_says_is_taken_only_where_it_is_asked_for() -> None:
    row = next(row for row in rows_of_file() if row["confidence"] == "one_source" and row["kind"] == "typo")
    at = microseconds(row["from"])
    taken = {
        which: open_book(PriceOptions(corrections=which)).resolve(row["model"], None, at).entry
        for which in ("none", "stated", "all")
    }
    fields = {which: (entry or {}).get(row["field"]) for which, entry in taken.items()}
    assert fields["none"] == fields["stated"] != fields["all"] == Decimal(row["value"])


def test_a_map_that_is_named_is_taken_as_it_is() -> None:
    for prices in ("litellm-1.93.0", "latest", "2026-07-31"):
        book = open_book(PriceOptions(prices=prices))
        entry = book.resolve("gpt-5.6-luna", None, microseconds("2026-07-31")).entry
        assert entry is not None
        expected = "1e-6" if prices == "litellm-1.93.0" else "2e-7"
        assert entry["input_cost_per_token"] == Decimal(expected)


def test_what_was_not_known_does_not_price() -> None:
    """Neither later versions nor later corrections change what a closed month was priced by."""
    at = microseconds("2026-10-20")
    entries = [
        open_book(PriceOptions(as_known=known)).resolve("gpt-5.6-luna", None, at)
        for known in ("2026-07-20", "2026-08-12", None)
    ]
    assert [found.entry["input_cost_per_token"] for found in entries if found.entry] == [
        Decimal("1e-6"), Decimal("2e-7"), Decimal("2e-7"),
    ]  # fmt: skip
    july = [
        open_book(PriceOptions(as_known=known)).resolve("gpt-5.6-luna", None, microseconds("2026-07-31"))
        for known in ("2026-08-12", "2026-11-30")
    ]
    assert [found.basis for found in july] == ["in_force", "corrected"]
    with pytest.raises(PriceError, match="no price version was known on 2020-01-01"):
        open_book(PriceOptions(as_known="2020-01-01"))


def test_an_open_row_ends_where_a_later_version_says_something_else(tmp_path: Path) -> None:
    for day, rate in (("2025-01-01", "1e-6"), ("2025-03-01", "1e-6"), ("2025-04-01", "3e-6")):
        text = b'{"m": {"input_cost_per_token": %s, "litellm_provider": "p"}}' % rate.encode()
        catalogs.add_map(
            split_map(text), name=f"map-{day}", effective_from=microseconds(day), source="", folder=tmp_path
        )
    catalog = build_catalog([("user", tmp_path)])
    row = Correction(
        "m", "p", "input_cost_per_token", Decimal("2e-6"), microseconds("2025-01-15"), None, "", "wrong", "URL",
        "stated", microseconds("2025-02-01"), "e",
    )  # fmt: skip
    corrections = Corrections([row], catalog)

    def rate_at(day: str) -> Decimal | None:
        moment = microseconds(day)
        laid = corrections.over("m", catalog.entry("m", catalog.version_at(moment)), moment)
        return None if laid is None else laid.entry["input_cost_per_token"]

    assert [rate_at(day) for day in ("2025-01-14", "2025-01-15", "2025-03-02", "2025-04-01")] == [
        None, Decimal("2e-6"), Decimal("2e-6"), None,
    ]  # fmt: skip
    assert describe(row, catalog) == (
        "input_cost_per_token 0.000002 since 2025-01-15, announced: URL; the map does not have it"
    )
    known = row._replace(recorded_on=microseconds("2025-05-01"))  # after that change: it knew of it
    laid = Corrections([known], catalog).over("m", catalog.entry("m", catalog.newest), microseconds("2025-06-01"))
    assert laid is not None
    assert laid.entry["input_cost_per_token"] == Decimal("2e-6")


def test_a_model_that_no_map_lists_yet_is_priced_by_its_corrections(tmp_path: Path) -> None:
    text = b'{"other": {"input_cost_per_token": 1e-6, "litellm_provider": "p"}}'
    catalogs.add_map(split_map(text), name="one", effective_from=microseconds("2025-01-01"), source="", folder=tmp_path)
    row = Correction(
        "new", "p", "input_cost_per_token", Decimal("2e-6"), microseconds("2025-01-15"), None, "", "missing", "URL",
        "stated", microseconds("2025-02-01"), "e",
    )  # fmt: skip
    laid = Corrections([row], build_catalog([("user", tmp_path)])).over("new", None, microseconds("2025-01-15"))
    assert laid is not None
    assert laid.entry["litellm_provider"] == "p"
    assert laid.rows == (row,)


def test_off_peak_hours_are_laid_over_as_the_maps_write_them() -> None:
    book = open_book(PriceOptions())
    usage = Usage(prompt_tokens=1_000_000, completion_tokens=0)
    costs = {}
    for at in ("2026-08-18T02:00:00", "2026-08-18T05:00:00", "2026-08-22T02:00:00", "2026-08-16T15:59:59"):
        call = Call(
            family="plain", source_format="plain", model="deepseek/deepseek-v4-pro", usage=usage,
            started_at=microseconds(at),
        )  # fmt: skip
        costs[at] = price_line(book, call, usage)[1].total_cost
    assert list(costs.values()) == [Decimal("1.32"), Decimal("0.66"), Decimal("0.66"), Decimal("0.435")]


def test_deepseek_charged_less_at_night_in_2025() -> None:
    """50 % off for chat, 75 % off what reasoner was told and answered at 55 cents a million: until September."""
    book, usage = open_book(PriceOptions()), Usage(prompt_tokens=1_000_000, completion_tokens=0)
    costs = {}
    for model in ("deepseek/deepseek-chat", "deepseek/deepseek-reasoner"):
        for at in ("2025-03-01T16:29:59", "2025-03-01T16:30:00", "2025-03-01T00:29:59", "2025-09-05T17:00:00"):
            call = Call(
                family="plain", source_format="plain", model=model, usage=usage, started_at=microseconds(at),
            )  # fmt: skip
            costs[model, at] = price_line(book, call, usage)[1].total_cost
    assert list(costs.values()) == [
        Decimal("0.27"), Decimal("0.135"), Decimal("0.135"), Decimal("0.56"),
        Decimal("0.55"), Decimal("0.135"), Decimal("0.135"), Decimal("0.56"),
    ]  # fmt: skip


def test_the_summary_knows_what_corrections_moved() -> None:
    calls = [
        Call(family="plain", source_format="plain", model=model, usage=_usage(*counts), usage_source="reported",
             started_at=microseconds("2026-07-31"), status="success", source_row=number)
        for number, (model, counts) in enumerate(
            [("gpt-5.6-luna", COUNTS), ("gpt-5.6-luna", (0, 0)), ("gpt-4o", COUNTS)]
        )
    ]  # fmt: skip
    facts = facts_of(calls, 0, 0).with_columns(pl.col("line").cast(pl.UInt16))
    moved = tally_corrected(facts, price_facts(facts, open_book(PriceOptions())), PriceOptions())
    before, after = (1_000 * rate + 100 * 6 * rate for rate in (10**12, 2 * 10**11))
    assert (moved.calls, moved.cost) == (1, after - before)


def test_a_rate_that_a_source_contradicts_by_a_power_of_ten_is_not_plainly_priced() -> None:
    """Only what it is charged for counts, and a row that is taken contradicts nothing any more."""

    def priced(which: str, at: str) -> tuple[str, str | None, Decimal | None]:
        usage = _usage(1_000, 100)
        call = Call(
            family="plain", source_format="plain", model="azure_ai/mistral-small-2503", usage=usage,
            started_at=microseconds(at),
        )  # fmt: skip
        _, bill = price_line(open_book(PriceOptions(corrections=which)), call, usage)
        return bill.status, bill.reason, bill.total_cost

    found = {which: priced(which, "2026-02-01") for which in ("none", "stated", "all")}
    assert found == {
        "none": ("priced", None, Decimal("0.0013")),  # the maps as they are
        "stated": ("partly_priced", "suspect_rate", Decimal("0.0013")),
        "all": ("priced", None, Decimal("0.00013")),
    }
    assert priced("stated", "2026-04-01") == ("priced", None, Decimal("0.00013"))


def test_a_price_is_suspicious_for_as_long_as_the_map_says_it(tmp_path: Path) -> None:
    """By whichever version, from the one on that brought it; another price, or a user's own, settles it."""
    for day, price in (("2025-01-01", "1e-6"), ("2025-02-01", "1e-5"), ("2025-04-01", "2e-6"), ("2025-06-01", "1e-5")):
        text = f'{{"m": {{"input_cost_per_token": {price}, "litellm_provider": "p"}}}}'.encode()
        moment = microseconds(day)
        catalogs.add_map(split_map(text), name=f"v{day}", effective_from=moment, source="", folder=tmp_path)
    begins = microseconds("2025-02-01")
    row = Correction("m", "p", "input_cost_per_token", Decimal("1E-5"), begins, None, "", SUSPICION, "ten times, x",
                     "one_source", microseconds("2025-02-02"), "v")  # fmt: skip
    catalog = build_catalog([("user", tmp_path)])
    corrections = Corrections([], catalog, [row])

    def doubts_on(day: str) -> object:
        entry = catalog.entry("m", catalog.version_at(microseconds(day)))
        laid = corrections.over("m", entry, microseconds(day))
        return laid.doubts if laid else None

    doubted = {"input_cost_per_token": Doubt("suspect", "suspicious: ten times, x")}
    days = ("2025-01-31", "2025-02-01", "2025-03-31", "2025-04-01", "2025-06-01")
    assert [doubts_on(day) or {} for day in days] == [{}, doubted, doubted, {}, doubted]


def test_the_bundled_suspicions_are_of_prices_that_maps_had() -> None:
    """Wandb's prices came a hundred thousand times too high, which no correction mends: nobody said the right ones."""
    catalog = load_catalog()
    rows = open_suspicions()
    assert len(rows) > 200
    for row in rows:
        entry = catalog.entry(row.model, catalog.version_at(row.begins))
        assert entry is not None
        assert (entry[row.field], row.kind, row.condition, row.ends) == (row.value, SUSPICION, "", None)

    def priced(at: str, **options: Any) -> tuple[str, str | None]:
        call = Call(
            family="plain", source_format="plain", model="wandb/zai-org/GLM-4.5", usage=_usage(1_000, 100),
            started_at=microseconds(at),
        )  # fmt: skip
        _, bill = price_line(open_book(PriceOptions(**options)), call, _usage(1_000, 100))
        return bill.status, bill.reason

    assert priced("2025-12-01") == priced("2025-12-01", corrections="all") == ("partly_priced", "suspect_rate")
    assert priced("2025-12-01", corrections="none") == ("priced", None)
    assert priced("2025-12-01", as_known="2026-01-01") == ("priced", None)  # nobody knew


@pytest.mark.parametrize(
    ("model", "provider", "at", "key", "basis"),
    [
        ("Qwen/Qwen3-32B-fast", "nebius", "2026-01-01", "nebius/Qwen/Qwen3-32B-fast", "other_table"),
        ("nebius/Qwen/Qwen3-32B-fast", None, None, "nebius/Qwen/Qwen3-32B-fast", "other_table"),
        ("Qwen/Qwen3-32B-fast", "nebius", "2025-01-01", None, None),  # before any table had it
        ("Qwen/Qwen3-32B-fast", "together_ai", "2026-01-01", None, None),  # another's price
    ],
)
def test_a_model_that_no_map_lists_is_priced_by_two_tables_that_agree(
    model: str, provider: str | None, at: str | None, key: str | None, basis: str | None
) -> None:
    found = open_book(PriceOptions()).resolve(model, provider, microseconds(at) if at else None)
    assert (found.key, found.basis) == (key, basis)
    assert open_book(PriceOptions(corrections="none")).resolve(model, provider).key is None


def test_a_date_that_is_asked_for_prices_other_tables_models_too() -> None:
    call_of_2024 = microseconds("2024-01-01")
    bases = {
        prices: open_book(PriceOptions(prices=prices)).resolve("Qwen/Qwen3-32B-fast", "nebius", call_of_2024).basis
        for prices in ("as-of", "2025-01-01", "2026-06-01", "latest")
    }
    assert bases == {"as-of": None, "2025-01-01": None, "2026-06-01": "other_table", "latest": "other_table"}


def test_what_is_confirmed_later_was_not_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of one source counts with a stated one of its event, but not before that one was recorded."""
    head = "model,provider,field,value,from,to,condition,kind,source,confidence,recorded_on,event"
    row = "gpt-4o,openai,{},0.000009,2025-01-01,2025-02-01,,lag,URL,{},{},e"
    rows = [
        row.format("input_cost_per_token", "one_source", "2026-01-01"),
        row.format("output_cost_per_token", "stated", "2026-03-01"),
    ]
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "corrections.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    (tmp_path / "prices" / "scheduled.csv").write_text("model,field,value,from,source,recorded_on,event\n")
    monkeypatch.setattr("callcost.prices.book.corrections.data_dir", lambda: tmp_path)
    taken = {
        known: [
            each.field
            for each in load_corrections("stated", load_catalog(), microseconds(known)).rows_of("gpt-4o")
        ]
        for known in ("2026-02-01", "2026-03-01")
    }
    assert taken == {"2026-02-01": [], "2026-03-01": ["input_cost_per_token", "output_cost_per_token"]}


def test_other_tables_never_go_before_an_entry_of_the_maps() -> None:
    book = open_book(PriceOptions())
    found = book.resolve("openai.gpt-oss-20b", "bedrock", microseconds("2026-08-01"))
    assert found.basis != "other_table"  # the maps list it with its version, openai.gpt-oss-20b-1:0


@pytest.mark.parametrize("damage", ["value", "from", "header"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    lines = (data_dir() / "prices" / "corrections.csv").read_text(encoding="utf-8").splitlines()[:3]
    broken = {
        "value": [lines[0], lines[1].replace("0.0000002", "abc")],
        "from": [lines[0], lines[1].replace("2026-07-30T00:00:00Z", "yesterday")],
        "header": ["model,value", "m,1"],
    }[damage]
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "corrections.csv").write_text("\n".join(broken) + "\n", encoding="utf-8")
    monkeypatch.setattr("callcost.prices.book.corrections.data_dir", lambda: tmp_path)
    with pytest.raises(PriceError, match=r"cannot read the corrections of prices .*corrections\.csv"):
        load_corrections("stated", load_catalog())
