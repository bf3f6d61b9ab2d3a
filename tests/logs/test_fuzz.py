"""Damaged records of every dialect: no crash, one outcome each, and never the net that catches what nobody foresaw."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.dialects import field_readers, unwrapper
from callcost.logs.io.records import Raw, read_lines, read_values
from callcost.logs.record_reader import Outcome, RecordReader
from callcost.logs.responses.chunk_rows import is_begun_answer
from callcost.settings import ReadOptions
from callcost.tables import REJECT_REASONS, USAGE_COUNTS, Call, Reject
from tests.logs.damages import CANARY, DAMAGES, FILES, RECORDS, VALUES, damage_file, retype
from tests.logs.outcomes import calls_of, read_file

# The parts of an answer of Gemini are one only where they stand in a sequence.
OBJECTS = [json.dumps(value).encode() for value in VALUES if not is_begun_answer(value)]


def _check(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Reject):
            assert outcome.reason in REJECT_REASONS
            assert outcome.reason != "unreadable_record", outcome
            assert CANARY not in outcome.detail
        elif isinstance(outcome, Call):
            _check_call(outcome)


def _check_call(call: Call) -> None:
    assert call.model
    assert call.status in {"success", "failure", "cache_hit"}
    assert len(call.record_digest) == 16
    assert call.flags == sorted(set(call.flags))
    for usage in [call.usage, *call.iterations] if call.usage else []:
        assert usage is not None
        counts = [getattr(usage, name) for name in USAGE_COUNTS]
        assert all(count is None or (type(count) is int and count >= 0) for count in counts)


def test_damaged_lines_have_one_outcome_each(long_run: bool) -> None:
    chance = random.Random(20_261_122)
    reader = RecordReader(ReadOptions())
    for _ in range(100_000 if long_run else 2_000):
        line = chance.choice(DAMAGES)(chance.choice(RECORDS), chance)
        outcomes = [one for raw in read_lines([line]) for one in reader.read(raw)]
        _check(outcomes)
    _check(reader.finish())


def test_retyped_records_have_one_outcome_each(long_run: bool) -> None:
    """A chunk's call comes later; all else is settled at once, one outcome a record."""
    chance = random.Random(7)
    reader = RecordReader(ReadOptions())
    records = outcomes = 0
    for _ in range(100_000 if long_run else 3_000):
        record = retype(chance.choice(VALUES), chance)
        rows = unwrapper().unwrap(record) if isinstance(record, dict) else None
        found = reader.read_value(record, 1)
        _check(found)
        records += 1 if rows is None else max(len(rows), 1)
        outcomes += len(found)
    rest = reader.finish()
    _check(rest)
    assert outcomes + len(rest) == records


def test_damaged_files_are_read_to_their_end(long_run: bool, tmp_path: Path) -> None:
    """Whatever contains the records: lines, arrays, events, CSV, cassettes, HAR, compressed or not."""
    chance = random.Random(11)
    path = tmp_path / "log"
    files = [file.read_bytes() for file in FILES if file.suffix != ".parquet"]
    for _ in range(20_000 if long_run else 500):
        path.write_bytes(damage_file(chance.choice(files), chance))
        _check(read_file(path))


def test_every_dialect_reads_every_record_without_a_crash(long_run: bool) -> None:
    """Forced on a record of another, a dialect gives a call or a reject too."""
    chance = random.Random(20_261_130)
    for reader in field_readers():
        forced = RecordReader(ReadOptions(dialect=reader.dialect.name))
        for record in VALUES if long_run else chance.sample(VALUES, 150):
            _check(forced.read_value(record, 1))
        _check(forced.finish())


def test_outcomes_do_not_depend_on_what_was_read_before() -> None:
    chance = random.Random(3)
    of_streams = (b"chunk", b'"type"', b'"text_completion"', b'"done"', b'"kind"')
    lines = [line for line in RECORDS if not any(mark in line for mark in of_streams)]
    alone = {line: _bare(RecordReader(ReadOptions()).read(Raw(1, 0, line))) for line in lines}
    chance.shuffle(lines)
    reader = RecordReader(ReadOptions())
    assert all(_bare(reader.read(Raw(1, 0, line))) == alone[line] for line in lines)


def _bare(outcomes: list[Outcome]) -> list[Any]:
    return [repr(outcome) for outcome in outcomes]


@given(st.lists(st.sampled_from(OBJECTS), max_size=8), st.integers(1, 500))
def test_an_array_and_lines_hold_the_same_calls(lines: list[bytes], size: int) -> None:
    array = b"[" + b",\n".join(lines) + b"]"
    pieces = [array[at : at + size] for at in range(0, len(array), size)]
    one, other = RecordReader(ReadOptions()), RecordReader(ReadOptions())
    from_array = [found for raw in read_values(pieces) for found in one.read(raw)] + one.finish()
    from_lines = [found for raw in read_lines([b"\n".join(lines)]) for found in other.read(raw)] + other.finish()
    assert len(from_array) == len(from_lines)
    assert [call.record_digest for call in calls_of(from_array)] == [
        call.record_digest for call in calls_of(from_lines)
    ]


@given(st.binary(max_size=300))
def test_noise_is_read_without_a_crash(noise: bytes) -> None:
    reader = RecordReader(ReadOptions())
    for raw in [*read_lines([noise]), *read_values([noise])]:
        _check(reader.read(raw))
    _check(reader.finish())
