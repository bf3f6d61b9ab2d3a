"""Prices that become known after a day was closed change it by adjustments alone, and these name what says so."""

from __future__ import annotations

import csv
import json
import random
from decimal import Decimal
from pathlib import Path

import pytest

from callcost.prices.book import catalog as catalogs
from callcost.prices.book import corrections as tables
from callcost.prices.book.archive import microseconds
from callcost.prices.book.catalog import add_map, user_prices
from callcost.prices.book.corrections import COLUMNS
from callcost.stages.pricing.rate_cards import _book_of
from tests.command import Finished, callcost, write_lines

DAY, KNOWN = "2025-11-01", "2026-01-01"
FIELDS = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-opus-5", "acme-1")
SOURCE = "https://example.com/prices"


class World:
    """Logs, a report that remembers, and a book that grows."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "reports"
        self.rows: dict[str, list[dict[str, str]]] = {tables.FILE: [], tables.OTHERS: [], tables.SCHEDULED: []}
        (folder / "data/prices").mkdir(parents=True)
        entries = {name: {field: Decimal("1e-6") for field in FIELDS} for name in MODELS[:3]}
        self.add_map("first", "2025-01-01", "2025-01-01", entries)
        self.settle()

    def add_map(self, name: str, effective: str, known: str, entries: dict[str, dict[str, Decimal]]) -> None:
        texts = {model: json.dumps(fields, default=float).encode() for model, fields in entries.items()}
        moments = {"effective_from": microseconds(effective), "known_from": microseconds(known)}
        add_map(texts, name=name, source=f"release {name}", folder=user_prices(), **moments)

    def correct(self, file: str, **cells: str) -> None:
        usual = {"provider": "openai", "kind": "wrong", "source": SOURCE, "confidence": "stated", "event": "e"}
        self.rows[file].append({**dict.fromkeys(COLUMNS, ""), **usual, **cells})

    def settle(self) -> None:
        """Write the tables, and forget what was read of them."""
        for file, rows in self.rows.items():
            with (self.folder / "data/prices" / file).open("w", encoding="utf-8", newline="") as out:
                writer = csv.DictWriter(out, COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
        tables._read.cache_clear()
        _book_of.cache_clear()

    def report(self, *words: str, state: str = "state", out: str = "reports") -> Finished:
        place = self.folder / out
        line: list[str | Path] = [
            "report",
            self.folder / "logs",
            "--state",
            self.folder / state,
            "--out",
            place,
            *words,
        ]
        done = callcost(*line, out=place)
        assert done.code == 0, done.stderr
        return done

    def published(self) -> list[bytes]:
        return [(self.out / name).read_bytes() for name in (f"day={DAY}/calls.parquet", "spend.csv")]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("CALLCOST_DATA_DIR", str(tmp_path / "own"))
    for module in (catalogs, tables):
        monkeypatch.setattr(module, "data_dir", lambda: tmp_path / "data")
    return World(tmp_path)


def write_calls(world: World, chance: random.Random) -> None:
    rows = [
        {
            "id": f"c{number}", "model": chance.choice(MODELS), "user": "ana",
            "timestamp": f"{DAY}T{chance.randrange(24):02}:30:00Z",
            "usage": {"prompt_tokens": 1000 + number, "completion_tokens": chance.randrange(50),
                      "prompt_tokens_details": {"cached_tokens": chance.randrange(900)}},
        }
        for number in range(12)
    ]  # fmt: skip
    write_lines(world.folder / "logs/a.jsonl", rows)


def add_anything(world: World, chance: random.Random) -> None:
    """Add a version, a correction or a name, all of it drawn, that was not known on KNOWN."""
    amount = Decimal(chance.randrange(1, 999)).scaleb(-8)
    begins = f"2025-{chance.randrange(9, 13):02}-{chance.randrange(1, 29):02}T{chance.randrange(24):02}:00:00Z"
    known = chance.choice(["2026-01-02", "2026-07-01", "2040-01-01"])
    if chance.random() < 0.3:
        models = chance.sample(MODELS, chance.randrange(1, 5))
        entries = {model: dict.fromkeys(chance.sample(FIELDS, 2), amount) for model in models}
        world.add_map(f"added-{chance.randrange(10**9)}", begins, known, entries)
        return
    ends = chance.choice(["", "2025-12-30"])
    cells = {"field": chance.choice(FIELDS), "value": f"{amount:f}", "from": begins, "to": ends, "recorded_on": known}
    world.correct(chance.choice([tables.FILE, tables.OTHERS]), model=chance.choice(MODELS), **cells)


def test_whatever_comes_into_the_book_later_changes_a_closed_day_by_adjustments_alone(
    world: World, long_run: bool
) -> None:
    chance = random.Random(7)
    write_calls(world, chance)
    before = world.report().total("total_cost")
    callcost("close", DAY, "--state", world.folder / "state")
    published = world.published()
    for turn in range(30 if long_run else 3):
        for _ in range(chance.randrange(1, 4)):
            add_anything(world, chance)
        world.settle()

        done = world.report()
        assert world.published() == published
        found = done.manifest["adjustments"]
        now = world.report(state=f"now-{turn}", out=f"now-{turn}").total("total_cost")
        assert before + sum((Decimal(row["difference"]) for row in found), Decimal(0)) == now
        sources = {source for row in found for source in (row["source"] or "").split(", ")}
        assert all(source == SOURCE or source.startswith("release added-") for source in sources)
        then = world.report("--as-known", KNOWN, state=f"then-{turn}", out=f"then-{turn}")
        assert then.total("total_cost") == before


def test_an_adjustment_names_the_correction_that_moved_its_calls(world: World) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 10}
    rows = [
        {"id": f"c{number}", "model": model, "timestamp": f"{DAY}T12:00:00Z", "usage": usage}
        for number, model in enumerate(["gpt-4o", "gpt-4o", "gpt-4o-mini", "claude-opus-5"])
    ]
    write_lines(world.folder / "logs/a.jsonl", rows)
    world.report()
    callcost("close", DAY, "--state", world.folder / "state")
    cells = {"to": "", "recorded_on": "2026-02-01"}
    world.correct(tables.FILE, model="gpt-4o", field=FIELDS[0], value="0.000002", **cells, **{"from": "2025-10-20"})
    world.correct(tables.FILE, model="gpt-4o", field=FIELDS[2], value="0.000002", **cells, **{"from": "2025-10-20"})
    newer = {"gpt-4o-mini": {FIELDS[0]: Decimal("3e-6")}, "claude-opus-5": {name: Decimal("1e-6") for name in FIELDS}}
    world.add_map("second", "2025-10-25", "2026-02-01", newer)
    world.settle()

    done = world.report()

    cause = ("calls", "model", "field", "source", "effective_from", "difference")
    found = [tuple(row[name] for name in cause) for row in done.manifest["adjustments"]]
    assert found == [
        (2, "gpt-4o", FIELDS[0], SOURCE, "2025-10-20T00:00:00Z", "0.002"),
        (1, "gpt-4o-mini", None, "release second", "2025-10-25T00:00:00Z", "0.00199"),
    ]
    assert (
        f"{DAY} is closed: 0.002 dollars of price correction (gpt-4o {FIELDS[0]} since 2025-10-20: "
        f"{SOURCE}) not in it (--restate)"
    ) in done.stderr
