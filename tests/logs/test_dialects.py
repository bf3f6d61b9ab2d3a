"""Each dialect reads its cases as they are written down: tests/cases/<dialect>/<case>/{record.*, expected.json}."""

from __future__ import annotations

import json
import random
import sqlite3
import textwrap
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost.errors import ConfigError
from callcost.jobs.inspect import inspect_logs
from callcost.logs import dialects
from callcost.logs.dialects import field_reader, field_readers, recogniser
from callcost.logs.mapping.mapping_file import load_mapping
from callcost.logs.record.dialect import Dialect
from callcost.logs.record_reader import RecordReader
from callcost.logs.values.signatures import Recogniser, sign
from callcost.settings import ReadOptions, ReportOptions
from tests.logs.outcomes import calls_of, forget_dialects, plain, read_file, read_lines, with_dialect

CASES = sorted((Path(__file__).parents[1] / "cases").glob("*/*/record.*"))
NAMES = {reader.dialect.name for reader in field_readers()}
READ = {reader.dialect.name for reader in field_readers() if reader.dialect.refusal is None}


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parts[-3]}/{path.parts[-2]}")
def test_a_case_is_read_as_written_down(path: Path) -> None:
    expected = json.loads((path.parent / "expected.json").read_text())
    outcomes = read_file(path)
    assert [plain(outcome) for outcome in outcomes] == [
        _with_name(outcome, path) if "call" in outcome else outcome for outcome in expected["outcomes"]
    ]
    for name in ("request", "response"):
        if name in expected:
            assert [getattr(call, name) for call in calls_of(outcomes)] == expected[name]


def _with_name(outcome: dict[str, Any], path: Path) -> dict[str, Any]:
    dialect = path.parts[-3]
    return {"call": {"source_format": dialect} | outcome["call"]}


@pytest.mark.parametrize("name", sorted(READ))
def test_every_dialect_has_a_case(name: str) -> None:
    assert any(path.parts[-3] == name for path in CASES)


def test_a_case_is_of_a_dialect() -> None:
    assert {path.parts[-3] for path in CASES} <= READ | {"refused"}


def test_dialects_of_one_rank_never_claim_the_same_record() -> None:
    """Their order must decide nothing: shuffled within a rank, the same dialect recognises each record."""
    values = [json.loads(line) for path in CASES for line in _lines(path)]
    records = [value for value in values if isinstance(value, dict)]
    chance = random.Random(5)
    for _ in range(10):
        shuffled = list(field_readers())
        chance.shuffle(shuffled)
        shuffled.sort(key=lambda reader: reader.dialect.rank)
        found = Recogniser((reader, reader.dialect.signatures) for reader in shuffled)
        assert [found.find(record) for record in records] == [recogniser().find(record) for record in records]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.suffix == ".jsonl" else []


def test_a_dialect_is_one_table(tmp_path: Path) -> None:
    buoy = Dialect(
        name="buoy",
        rank=1,
        signatures=(sign("buoy"),),
        fields={"own_id": ("n",), "model": ("buoy.engine",), "user": ("buoy.keeper",)},
        counts={"prompt_tokens": ("heard",), "completion_tokens": ("said",)},
    )
    line = b'{"n": 7, "buoy": {"engine": "gpt-4o", "keeper": "ida"}, "heard": 5, "said": 2}'
    with with_dialect(buoy):
        (call,) = calls_of(read_lines(tmp_path / "log.jsonl", line))
    assert (call.source_format, call.family, call.own_id) == ("buoy", "buoy", "7")
    assert (call.model, call.user) == ("gpt-4o", "ida")
    assert call.usage is not None
    assert call.usage.total_tokens == 7


MODULE = """
from callcost.logs.record.dialect import Dialect
from callcost.logs.values.signatures import sign

DIALECTS = (
    Dialect(
        name="{name}",
        family="{name}",
        signatures=(sign("{name}"),),
        fields={{"own_id": ("n",), "duplicate_id": ("n",), "model": ("{name}.engine",), "started_at": ("at",)}},
        counts={{"prompt_tokens": ("heard",), "completion_tokens": ("said",)}},
    ),
)
"""
MAPPING = """
name = "{name}"
match = ["{name}"]
[columns]
own_id = "n"
model = "{name}.engine"
started_at = "at"
prompt_tokens = "heard"
completion_tokens = "said"
"""


@pytest.mark.parametrize(("name", "suffix", "text"), [("gull", "py", MODULE), ("tern", "toml", MAPPING)])
def test_a_new_dialect_is_one_file_and_one_case_folder(
    name: str, suffix: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, case = tmp_path / "dialects", tmp_path / "cases" / name / "heard_and_said"
    package.mkdir()
    case.mkdir(parents=True)
    (package / f"{name}.{suffix}").write_text(text.format(name=name))
    line = json.dumps({"n": 7, "at": "2025-01-24", name: {"engine": "gpt-4o"}, "heard": 5, "said": 2})
    (case / "record.jsonl").write_text(line + "\n")
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    call: dict[str, Any] = {"family": name, "own_id": "7", "started_at": "2025-01-24T00:00:00+00:00", "model": "gpt-4o"}
    call |= {"status": "success", "usage": usage, "usage_source": "reported", "text_missing": "no_text"}
    call |= {"duplicate_id": "7", "source_row": 1}
    (case / "expected.json").write_text(json.dumps({"outcomes": [{"call": call}]}))
    monkeypatch.setattr(dialects, "__path__", [*dialects.__path__, str(package)])
    forget_dialects()
    try:
        test_a_case_is_read_as_written_down(case / "record.jsonl")
        found = inspect_logs(ReportOptions(logs=(str(case / "record.jsonl"),)))
    finally:
        monkeypatch.undo()
        forget_dialects()
    assert found.dialects == {name: 1}
    assert found.usage == {"reported": 1}


def test_a_dialect_can_be_forced() -> None:
    outcome = RecordReader(ReadOptions(dialect="litellm_spend")).read_value({"model": "gpt-4o", "prompt_tokens": 3}, 1)
    assert calls_of(outcome)[0].source_format == "litellm_spend"


def test_an_unknown_dialect_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no dialect is called 'semaphore'.*litellm_spend"):
        field_reader("semaphore")


@pytest.mark.parametrize("reader", field_readers(), ids=lambda reader: reader.dialect.name)
def test_a_table_is_data(reader: Any) -> None:
    """Columns, paths and ranks of every dialect can be read without running it."""
    for table in (reader.dialect.fields, reader.dialect.counts):
        for column, paths in table.items():
            assert isinstance(column, str)
            assert isinstance(paths, tuple)
            assert all(isinstance(path, str) for path in paths)


def test_the_walk_of_contributing_makes_a_dialect_of_a_mapping_alone(tmp_path: Path) -> None:
    """Its table, as it stands there, is a dialect: lines and a database are read, nothing else changes."""
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    table = textwrap.dedent(text.partition("```toml\n")[2].partition("```")[0])
    assert 'name = "buoy"' in table
    assert len(table.splitlines()) <= 40
    (tmp_path / "buoy.toml").write_text(table)
    asked = {"buoy_version": 1, "type": "question", "who": "ida", "usage": {}}
    answer = {
        "buoy_version": 1, "type": "answer", "id": "a-1", "who": "ida", "at": "2026-03-01T10:00:00Z",
        "served": {"model": "gpt-4o"}, "usage": {"fresh": 10, "cached": 90, "out": 5, "usd": 0.5},
    }  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "buoy.db")) as store:
        columns = ", ".join(answer)
        store.execute(f"CREATE TABLE answers ({columns})")
        values = [json.dumps(value) if type(value) is dict else value for value in answer.values()]
        store.execute(f"INSERT INTO answers VALUES ({', '.join('?' * len(values))})", values)
        store.commit()
    with with_dialect(load_mapping(str(tmp_path / "buoy.toml")).dialect):
        read = read_lines(tmp_path / "log.jsonl", json.dumps(asked).encode(), json.dumps(answer).encode())
        kept = read_file(tmp_path / "buoy.db")
    assert read[0] == "context"
    for (call,) in (calls_of(read), calls_of(kept)):
        assert (call.source_format, call.model, call.user) == ("buoy", "gpt-4o", "ida")
        assert call.logged_cost == Decimal("0.5")
        assert call.usage is not None
        assert (call.usage.prompt_tokens, call.usage.cache_read_input_tokens) == (100, 90)
        assert call.usage.completion_tokens == 5
