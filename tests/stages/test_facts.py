"""Facts are kept between runs: what makes their keys is pinned to the number that a state knows it by."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from callcost.logs.io.records import Raw
from callcost.settings import ReadOptions
from callcost.stages.tables import facts
from callcost.stages.tables.schemas import Facts
from callcost.tables import HIDDEN, Call
from tests.logs.outcomes import read_all
from tests.stages.calls import make_call

CALLS = (
    {"id": "a", "timestamp": "2025-05-01T08:00:00Z", "model": "gpt-4o", "messages": "Hello?", "response": "Yes."},
    {"timestamp": "2025-05-01T08:00:00Z", "model": "gpt-4o", "messages": "Hello?", "response": "Yes."},
    {"model": "gpt-4o", "messages": "Hello?", "response": "Yes."},
    {"timestamp": "2025-05-01T08:00:00.250Z", "model": "gpt-4o", "messages": "Hello?", "response": "Yes."},
)
KEYS = {
    2: [
        ["by id plain a", "id", 23,
         "b18ff8f6331607a40faaebc577042b1f", "5b4b05d5fe4a69248a9a9d56dd4d6e97"],
        ["by bytes plain e18d5fd6ce3e7da75e6a5ccc7c1dc86f", "none", 16,
         "b18ff8f6331607a40faaebc577042b1f", "e18d5fd6ce3e7da75e6a5ccc7c1dc86f"],
        ["by bytes plain 4625c645534378764af7af1e91ad7322", "none", 60,
         "b18ff8f6331607a40faaebc577042b1f", "4625c645534378764af7af1e91ad7322"],
        ["by bytes plain 3cd7812537cac6db5bed5c688879b465", "bytes", 37,
         "b18ff8f6331607a40faaebc577042b1f", "3cd7812537cac6db5bed5c688879b465"],
    ],
}  # fmt: skip


def test_keys_digests_and_buckets_are_those_of_their_rules() -> None:
    """Where this fails, facts of an older state no longer meet their duplicates: raise KEY_RULES and add its keys."""
    outcomes = read_all([Raw(n, 0, json.dumps(call).encode()) for n, call in enumerate(CALLS)], ReadOptions())
    calls = [outcome for outcome in outcomes if isinstance(outcome, Call)]
    table = facts.facts_of(calls, 0).select("key", "key_kind", "bucket", "request_digest", "record_digest")
    assert [list(row) for row in table.iter_rows()] == KEYS[facts.KEY_RULES]


def test_the_layout_changes_with_the_columns_and_with_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    layouts = {facts.layout_of_facts()}
    monkeypatch.setattr(facts, "KEY_RULES", facts.KEY_RULES + 1)
    layouts.add(facts.layout_of_facts())
    monkeypatch.setattr(Facts, "columns", Facts.columns[1:])
    layouts.add(facts.layout_of_facts())
    assert len(layouts) == 3


def test_calls_of_several_pieces_are_laid_out_as_each_piece_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [make_call(number, flags=[HIDDEN] * (number == 2)) for number in range(5)]
    pieces = [(calls[:2], 3, 30), (calls[2:3], 3, 31), ([], 4, 40), (calls[3:], 5, 50)]
    each = pl.concat(facts.facts_of(*piece) for piece in pieces)
    assert facts.facts_of_pieces(pieces).equals(each)
    monkeypatch.setattr(facts, "FLUSH_ROWS", 2)
    monkeypatch.setattr(facts, "_LAID_CALLS", 2)
    files = facts.FactFiles(7, str(tmp_path), None)
    for piece in pieces:
        files.add([], *piece)
    paths = files.finish()
    assert [Path(path).name for path in paths] == ["facts-000007-0000.parquet", "facts-000007-0001.parquet"]
    assert pl.concat(map(facts.read_facts, paths)).equals(each)
    assert (files.rows, files.hidden) == (5, 1)
