"""A closed day stays as it is; what would change it is an adjustment, until someone restates it."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.prices.book.catalog import add_map
from tests.command import Finished, callcost, write_lines

DAY = "2025-11-03"
PARTITION = f"day={DAY}/calls.parquet"


def row(name: str, day: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "id": name, "timestamp": f"2025-11-{day:02}T08:00:00Z", "model": "gpt-4o", "user": "ana",
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100}, **more,
    }  # fmt: skip


class Job:
    """A report of three days that remembers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "reports"
        for day in (2, 3, 4):
            write_lines(folder / f"logs/day-{day}.jsonl", [row(f"{day}-{n}", day) for n in range(5)])

    def run(self, *words: str, expect: int = 0) -> Finished:
        words = (str(self.folder / "logs"), "--out", str(self.out), "--state", str(self.folder / "state"), *words)
        done = callcost("report", *words, out=self.out)
        assert done.code == expect, done.stderr
        return done

    def close(self, *words: str, expect: int = 0) -> Finished:
        done = callcost("close", *words, "--state", self.folder / "state")
        assert done.code == expect, done.stderr
        return done

    def add(self, *rows: dict[str, Any]) -> None:
        write_lines(self.folder / "logs/late.jsonl", rows)

    def adjustments(self) -> list[dict[str, str]]:
        with (self.out / "adjustments.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setenv("CALLCOST_DATA_DIR", str(tmp_path / "own"))
    job = Job(tmp_path)
    job.run()
    assert "closed: sha256" in job.close(DAY).stdout
    return job


def test_a_late_record_of_a_closed_day_is_an_adjustment(job: Job) -> None:
    before, spend = (job.out / PARTITION).read_bytes(), (job.out / "spend.csv").read_bytes()
    job.add(row("late"))
    done = job.run()
    assert (job.out / PARTITION).read_bytes() == before
    assert (job.out / "spend.csv").read_bytes() == spend
    assert [(line["day"], line["reason"], line["calls"]) for line in job.adjustments()] == [(DAY, "late records", "1")]
    assert Decimal(job.adjustments()[0]["difference"]) == Decimal("0.0035")
    assert done.manifest["adjustments"][0]["new_cost"] == "0.0035"
    assert "2025-11-03 is closed: 0.0035 dollars of late records not in it" in done.stderr


def test_an_open_day_beside_it_changes_as_ever(job: Job) -> None:
    job.add(row("late", 4), row("later", 3))
    done = job.run()
    assert done.manifest["run"]["days_replaced"] == ["2025-11-04"]
    assert done.total("calls") == 16


def test_restate_is_the_only_way_to_rewrite_it(job: Job) -> None:
    job.add(row("late"))
    job.run()
    done = job.run("--restate")
    assert not (job.out / "adjustments.csv").exists()
    assert pl.read_parquet(job.out / PARTITION, hive_partitioning=False).height == 6
    assert done.total("calls") == 16
    assert done.manifest["closed_days"] == [DAY]
    job.add(row("late"), row("later"))
    job.run()
    assert [line["calls"] for line in job.adjustments()] == ["1"]


def test_a_corrected_price_is_an_adjustment_whose_differences_add_up(job: Job) -> None:
    entry = b'{"input_cost_per_token":0.001,"litellm_provider":"openai","mode":"chat","output_cost_per_token":0.001}'
    moment = 1_762_128_000_000_000  # 2025-11-03
    prices = job.folder / "own/prices"
    add_map({"gpt-4o": entry}, name="own-1", effective_from=moment, source="test", folder=prices)
    before = (job.out / PARTITION).read_bytes()
    job.add(row("late"))
    job.run()
    assert (job.out / PARTITION).read_bytes() == before
    lines = {line["reason"]: line for line in job.adjustments()}
    assert {name: line["calls"] for name, line in lines.items()} == {"late records": "1", "price correction": "5"}
    gained = sum(Decimal(line["difference"]) for line in lines.values())
    job.run("--restate")
    after: list[Decimal] = pl.read_parquet(job.out / PARTITION, hive_partitioning=False)["total_cost"].to_list()
    assert gained == sum(after) - Decimal("0.0175")


def test_counts_that_changed_are_a_recount(job: Job) -> None:
    log = job.folder / "logs/day-3.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"completion_tokens": 100', b'"completion_tokens": 200', 2))
    job.run()
    assert [(line["reason"], line["calls"]) for line in job.adjustments()] == [("recount", "2")]


def test_a_day_is_closed_once_and_only_if_it_was_published(job: Job) -> None:
    assert "was closed at" in job.close(DAY, expect=2).stderr
    assert "closed anew" in job.close(DAY, "--restate").stdout
    assert "no call of 2025-12-24 was published" in job.close("2025-12-24", expect=2).stderr
    job.close("yesterday", expect=2)


@pytest.mark.parametrize(
    ("option", "value"), [("--prices-override", "own.toml"), ("--timezone", "Asia/Tokyo"), ("--cost-source", "logged")]
)
def test_a_day_is_closed_with_what_it_was_published_with(job: Job, option: str, value: str) -> None:
    own = job.folder / "own.toml"
    own.write_text('[rates."gpt-4o"]\ninput_cost_per_token = 0.001\noutput_cost_per_token = 0\n', encoding="utf-8")
    words = (option, str(own) if value == own.name else value)
    for given in (("2025-11-04", *words), (DAY, "--restate", *words)):
        error = job.close(*given, expect=2).stderr
        assert f"the report was published with other {words[0].replace('-override', '')}" in error
    job.run(*words)
    assert "the report was published with other" in job.close("2025-11-04", expect=2).stderr
    assert "closed: sha256" in job.close("2025-11-04", *words).stdout


def test_facts_of_a_closed_day_that_were_changed_are_refused(job: Job) -> None:
    path = next((job.folder / "state/closed").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-9])
    job.add(row("late"))
    assert "facts of the closed day 2025-11-03 are damaged" in job.run(expect=1).stderr


@pytest.mark.parametrize("file", ["entry.json", "facts-000000-0000.parquet"])
def test_a_day_is_not_closed_without_the_calls_of_what_is_damaged(job: Job, file: str) -> None:
    path = job.folder / "state/inputs/00000003" / file
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert f"inputs/00000003/{file} is damaged" in job.close("2025-11-04", expect=1).stderr
    job.run("--restate")
    job.close("2025-11-04")


def test_the_copy_of_what_is_written_of_a_closed_day_is_made_again(job: Job) -> None:
    copy = job.folder / f"state/closed/{DAY}.json"
    words = copy.read_bytes()
    copy.unlink()
    assert job.run().manifest["closed_days"] == [DAY]
    assert copy.read_bytes() == words


def test_what_is_written_of_a_closed_day_names_its_digest(job: Job) -> None:
    words = json.loads((job.folder / f"state/closed/{DAY}.json").read_bytes())
    assert (words["day"], words["calls"], len(words["sha256"])) == (DAY, 5, 64)
