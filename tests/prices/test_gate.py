"""What the gate of new maps stops, and what it lets pass: prices that no change of a price explains."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from callcost.data_folders import data_dir
from callcost.models import PROVIDERS
from callcost.prices.book.catalog import add_map, build_catalog
from callcost.prices.book.cost_map import Entry, entry_of, split_map
from callcost.prices.units import TOKEN_UNITS
from callcost.prices.upstream.gate import Suspicion, find_suspicions
from callcost.prices.upstream.other_tables import OtherTables, SeenRate, read_bundled
from callcost.prices.upstream.suspicions import add_suspicions, row_of
from tests.net.test_price_maps import as_json
from tests.prices.gate_replay import has_a_base, is_mended, merge, pack, read_seen, replay

DAY = "2026-06-01"
GIVEN, ANSWER, READ = "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"
NOTHING = OtherTables([])


def entry(host: str, given: float, answer: float | None = None, **more: Any) -> dict[str, Any]:
    prices = {GIVEN: given} if answer is None else {GIVEN: given, ANSWER: answer}
    return {"litellm_provider": host, "mode": "chat", **prices, **more}


def seen(table: str, host: str, model: str, value: str, since: str = "2026-05-01") -> SeenRate:
    return SeenRate(table, host, model, "text_input", Decimal(value), since, "2026-05-31")


def found(
    new: Mapping[str, dict[str, Any]], old: Mapping[str, dict[str, Any]], *rows: SeenRate
) -> list[tuple[str, str, str]]:
    said = judged(new, old, *rows)
    return [(each.model, each.field, each.kind) for each in said]


def judged(
    new: Mapping[str, dict[str, Any]], old: Mapping[str, dict[str, Any]], *rows: SeenRate
) -> list[Suspicion]:
    maps: list[dict[str, Entry]] = [{name: entry_of(fields) for name, fields in each.items()} for each in (new, old)]
    return find_suspicions(maps[0], maps[1], DAY, OtherTables(rows))


OTHER = {"a": entry("groq", 1e-6, 2e-6)}


@pytest.mark.parametrize("times", [10, 100, 0.1, 0.001, 10.04])
def test_a_price_that_moves_by_a_power_of_ten_is_suspicious(times: float) -> None:
    old = {"a": entry("groq", 1e-6, 2e-6)}
    assert found({"a": entry("groq", 1e-6 * times)}, old) == [("a", GIVEN, "power_of_ten")]


@pytest.mark.parametrize("times", [1, 2, 5, 9, 11, 0.2, 0.5, 25])
def test_a_price_that_moves_otherwise_is_not(times: float) -> None:
    assert found({"a": entry("groq", 1e-6 * times)}, {"a": entry("groq", 1e-6)}) == []


def test_what_another_table_says_too_is_no_error_and_neither_is_what_moves_with_it() -> None:
    old, new = {"a": entry("groq", 1e-6, 2e-6)}, {"a": entry("groq", 1e-5, 2e-5)}
    assert found(new, old, seen("x", "groq", "a", "0.00001")) == []
    assert len(found(new, old, seen("x", "groq", "a", "0.00001", since=DAY))) == 2  # not known before that day
    assert len(found(new, old, seen("x", "novita", "a", "0.00001"))) == 2  # another host


def test_a_new_price_is_held_against_other_tables() -> None:
    new = {**OTHER, "b": entry("groq", 3e-4, 6e-4)}
    (one, other) = judged(new, OTHER, seen("x", "groq", "b", "0.0000003"))
    assert (one.field, one.kind, one.expected) == (GIVEN, "power_of_ten", Decimal("3E-7"))
    assert (other.field, other.expected, other.evidence) == (ANSWER, Decimal("6E-7"), f"as {GIVEN}")
    assert one.words == "off by a power of ten (0.0000003: x (groq))"


def test_a_new_price_is_held_against_other_hosts_of_the_model() -> None:
    """Names are compared without host, maker, revision and date; hosts may differ, but not by so much."""
    old = {
        "us.acme.deep-1-20260101-v1:0": entry("bedrock_converse", 1e-6),
        "together_ai/acme/Deep-1": entry("together_ai", 2e-6),
    }
    assert found({**old, "novita/acme/deep-1": entry("novita", 1e-4)}, old) == [
        ("novita/acme/deep-1", GIVEN, "power_of_ten")
    ]
    assert found({**old, "novita/acme/deep-1": entry("novita", 1.2e-5)}, old) == []
    assert found({**old, "novita/acme/deep-2": entry("novita", 1e-4)}, old) == []


def test_a_token_of_text_over_a_thousandth_of_a_dollar_is_suspicious() -> None:
    new = {**OTHER, "b": entry("groq", 0.0011, 0.0009), "c": entry("groq", 0.0009)}
    assert found(new, OTHER) == [("b", GIVEN, "power_of_ten")]


def test_what_comes_back_to_the_usual_is_a_mend() -> None:
    models = {f"m{number}": entry("groq", 1e-6 * (1 + number)) for number in range(5)}
    wrong, right = {**models, "a": entry("groq", 0.0001)}, {**models, "a": entry("groq", 1e-6)}
    assert found(right, wrong) == []
    assert found(wrong, right) == [("a", GIVEN, "power_of_ten")]
    another = seen("x", "novita", "b", "0.0000021")
    assert found({"b": entry("groq", 2.1e-6)}, {"b": entry("groq", 2.1e-5)}, another) == []


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (entry("groq", 1e-6, 0), entry("groq", 1e-6, 2e-6), [(ANSWER, "zero")]),
        (entry("groq", 0, 0), entry("groq", 1e-6, 2e-6), [(GIVEN, "zero"), (ANSWER, "zero")]),
        (entry("groq", 0, 0), None, [(GIVEN, "zero"), (ANSWER, "zero")]),
        (entry("groq", 1e-6, 0), None, []),  # such as one that embeds
        (entry("groq", 1e-6, 0, mode="embedding"), entry("groq", 1e-6, 2e-6), []),
        (entry("ollama", 0, 0), entry("ollama", 1e-6, 2e-6), []),
        (entry("groq", 1e-6, 1e-8), None, [(ANSWER, "output_under_input")]),
        (entry("groq", 1e-6, 1.1e-8), None, []),
        (entry("groq", 1e-6, 2e-6, **{READ: 1.1e-6}), None, [(READ, "cache_read_over_input")]),
        (entry("groq", 1e-6, 2e-6, **{READ: 1e-6}), None, []),
        (entry("groq", 1e-6, 2e-6, input_cost_per_token_batches=1e-5), None,
         [("input_cost_per_token_batches", "power_of_ten")]),
        (entry("groq", 1e-6, 2e-6, input_cost_per_token_batches=5e-7), None, []),
    ],
)  # fmt: skip
def test_an_entry_is_held_against_itself(
    new: dict[str, Any], old: dict[str, Any] | None, expected: list[tuple[str, str]]
) -> None:
    before = OTHER if old is None else {**OTHER, "b": old}
    assert found({**OTHER, "b": new}, before) == [("b", *each) for each in expected]


def test_free_variants_are_free() -> None:
    assert found({**OTHER, "openrouter/x/y:free": entry("openrouter", 0, 0)}, OTHER) == []


TWO = (seen("x", "groq", "b", "0.000003"), seen("y", "groq", "b", "0.000003"))


@pytest.mark.parametrize(
    ("value", "before", "rows", "expected"),
    [
        (2e-6, None, TWO, True),
        (2e-6, None, TWO[:1], False),  # one is not enough
        (2e-6, None, (TWO[0], TWO[0]), False),
        (2e-6, None, (*TWO, seen("z", "groq", "b", "0.000002")), False),  # a third agrees with the map
        (3.3e-6, None, TWO, False),  # what a region costs more
        (2e-6, 3e-6, TWO, False),  # the tables are late
        (2e-6, 1e-6, TWO, False),  # nearer to theirs
        (5e-6, 4e-6, TWO, True),
        (2e-6, None, (TWO[0], seen("y", "groq", "b", "0.000004")), False),  # they differ
        (2e-6, None, tuple(row._replace(seen_until="2026-03-01") for row in TWO), False),  # long ago
        (2e-6, None, tuple(row._replace(model="b-20260101") for row in TWO), False),  # another name
    ],
)
def test_two_tables_that_agree_contradict_a_map(
    value: float, before: float | None, rows: tuple[SeenRate, ...], expected: bool
) -> None:
    old = OTHER if before is None else {**OTHER, "b": entry("groq", before)}
    assert found({**OTHER, "b": entry("groq", value)}, old, *rows) == [("b", GIVEN, "two_tables")] * expected


def test_routers_and_regions_are_not_set_against_tables_to_the_digit() -> None:
    rows = [row._replace(host=host, model="b") for host in ("openrouter", "bedrock") for row in TWO]
    new = {
        "openrouter/x/b": entry("openrouter", 2e-6), "bedrock/us-gov-east-1/b": entry("bedrock", 2e-6),
        "bedrock/b": entry("bedrock", 2e-6),
    }  # fmt: skip
    assert found({**OTHER, **new}, OTHER, *rows) == [("bedrock/b", GIVEN, "two_tables")]


def test_the_first_map_is_not_judged() -> None:
    assert found({"a": entry("groq", 0, 0)}, {}) == []


RATES = st.dictionaries(st.sampled_from("abcdef"), st.integers(50, 999), min_size=1)


def maps_of(rates: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Models of two hosts whose prices lie within twentyfold."""
    return {name: entry("groq" if name < "d" else "novita", parts * 1e-9) for name, parts in rates.items()}


@given(RATES, st.data(), st.sampled_from([-4, -3, -2, -1, 1, 2, 3]))
def test_of_any_map_a_power_of_ten_is_stopped(rates: dict[str, int], data: st.DataObject, shift: int) -> None:
    one, old = data.draw(st.sampled_from(sorted(rates))), maps_of(rates)
    changed = {**old, one: {**old[one], GIVEN: float(f"{rates[one]}e{shift - 9}")}}
    assert found(changed, old) == [(one, GIVEN, "power_of_ten")]


@given(RATES, st.data(), st.integers(50, 999))
def test_of_any_map_nothing_else_is_stopped(rates: dict[str, int], data: st.DataObject, parts: int) -> None:
    one, old = data.draw(st.sampled_from(sorted(rates))), maps_of(rates)
    changed = {**old, one: {**old[one], GIVEN: parts * 1e-9}}
    times = Decimal(parts) / rates[one]
    is_ten = any(abs(times - ten) <= ten / 100 for ten in (Decimal(10), Decimal("0.1")))
    assert found(old, old) == []
    assert found(changed, old) == [(one, GIVEN, "power_of_ten")] * is_ten


def test_a_replay_counts_what_arrives_and_what_is_mended(tmp_path: Path) -> None:
    sound = {f"m{number}": entry("groq", 1e-6 * (1 + number), 4e-6 * (1 + number)) for number in range(5)}
    maps = [
        sound,
        {**sound, "b": entry("novita", 3e-4), "c": entry("novita", 2e-6)},
        {**sound, "b": entry("novita", 3e-7), "c": entry("novita", 4e-6)},
    ]
    for number, content in enumerate(maps):
        add_map(split_map(as_json(content)), name=f"v{number}", effective_from=number * 86_400_000_000 * 200,
                source="a test", folder=tmp_path)  # fmt: skip
    catalog = build_catalog([("user", tmp_path)])
    tables = OtherTables([seen("x", "novita", "b", "0.0000003", since="1970-01-02")])

    arrivals = replay(catalog, tables)

    assert [(each.version.name, each.cell.model, each.suspicion is not None) for each in arrivals] == [
        ("v1", "b", True), ("v1", "c", False), ("v2", "b", False), ("v2", "c", False),
    ]  # fmt: skip
    assert [is_mended(each, catalog) for each in arrivals] == [True, False, False, False]
    bases = [has_a_base(each.cell, each.version, catalog, tables) for each in arrivals]
    assert bases == [True, False, True, True]


def test_what_stays_suspicious_is_on_record_with_its_reason(tmp_path: Path) -> None:
    fields = entry("groq", 0.0011)
    (found_one,) = judged({**OTHER, "b": fields}, OTHER)
    rows = [row_of(found_one, fields, version=f"v{number}", begins=0, now=86_400_000_000) for number in (1, 2)]
    for row in rows:
        add_suspicions([row], tmp_path)
    text = (tmp_path / "suspicions.csv").read_text(encoding="utf-8")
    assert list(csv.DictReader(text.splitlines())) == rows
    assert rows[0] == {
        "model": "b", "provider": "groq", "field": GIVEN, "value": "0.0011", "from": "1970-01-01T00:00:00Z", "to": "",
        "condition": "", "kind": "suspicion", "source": "off by a power of ten (over 0.001 dollars a token)",
        "confidence": "one_source", "recorded_on": "1970-01-02T00:00:00Z", "event": "v1",
    }  # fmt: skip


def test_rows_of_other_tables_are_packed_as_they_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = {"model": "x/GLM-9", "provider": "Novita-AI", "field": "input", "value": "0.00000030"}
    days = {"first_seen": "2026-01-01T10:00:00Z", "last_seen": "2026-02-01T10:00:00Z"}
    lines = [
        {**about, **days, "source": "models.dev"},
        {**about, "source": "badlogic/pi-mono", "first_seen": "2026-01-20", "last_seen": "2026-03-01"},
        {**about, **days, "source": "Portkey-AI/models", "field": "output"},
        {**about, **days, "source": "AgentOps-AI/tokencost"},  # made from the maps
        {**about, **days, "source": "models.dev", "condition": "above 200000 tokens"},
        {**about, **days, "source": "models.dev", "provider": "nobody"},
        {**about, **days, "source": "models.dev", "value": "0"},
        {**about, "source": "models.dev", "provider": "openrouter", **days, "last_seen": "2026-01-05"},
    ]  # fmt: skip
    rows = merge(read_seen(map(as_json, lines)))
    assert rows == [
        SeenRate("models.dev", "novita", "glm-9", "text_input", Decimal("3E-7"), "2026-01-01", "2026-03-01"),
        SeenRate("portkey", "novita", "glm-9", "text_output", Decimal("3E-7"), "2026-01-01", "2026-02-01"),
    ]
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "other_tables.csv.zst").write_bytes(pack(rows))
    monkeypatch.setattr("callcost.prices.upstream.other_tables.data_dir", lambda: tmp_path)
    assert list(read_bundled()) == rows


def test_the_bundled_rows_are_sorted_and_of_hosts_that_maps_know() -> None:
    rows = list(read_bundled())
    assert rows == merge(rows)
    assert {row.host for row in rows} <= {*PROVIDERS, ""}
    assert {row.unit for row in rows} <= TOKEN_UNITS.keys()
    assert all("2023" < row.seen_from <= row.seen_until < "2026-12" and row.value > 0 for row in rows)
    packed = (data_dir() / "prices" / "other_tables.csv.zst").read_bytes()
    assert zstandard.get_frame_parameters(packed).has_checksum
