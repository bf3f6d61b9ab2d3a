"""Outcomes of reading as plain JSON values, so that a test can say in full what it expects."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from callcost.logs import dialects
from callcost.logs.dialects import field_readers
from callcost.logs.io.inputs import find_inputs, read_raw
from callcost.logs.io.records import Raw
from callcost.logs.record.dialect import Dialect, FieldReader
from callcost.logs.record_reader import Outcome, RecordReader
from callcost.settings import ReadOptions
from callcost.tables import Call, Reject, Usage

APART = ("request", "response", "request_digest", "record_digest", "byte_offset", "record")  # tested on their own


@contextlib.contextmanager
def with_dialect(dialect: Dialect) -> Iterator[None]:
    """Let one more dialect be known for a while."""
    readers = sorted((*field_readers(), FieldReader(dialect)), key=lambda reader: reader.dialect.rank)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialects, "field_readers", lambda: tuple(readers))
        forget_dialects()
        yield
    forget_dialects()


def forget_dialects() -> None:
    """Let the dialects be looked for anew."""
    for known in (field_readers, dialects.recogniser, dialects.unwrapper, dialects.stores):
        known.cache_clear()


def read_all(raws: Iterable[Raw | Reject], options: ReadOptions) -> list[Outcome]:
    """Return the outcomes of all records of one input."""
    reader = RecordReader(options)
    outcomes = [one for raw in raws for one in reader.read(raw)]
    return outcomes + reader.finish()


def read_file(path: Path, options: ReadOptions | None = None) -> list[Outcome]:
    """Return the outcomes of all records of a file."""
    (source,) = find_inputs([str(path)])
    return read_all(read_raw(source), options or ReadOptions())


def read_lines(path: Path, *lines: bytes, options: ReadOptions | None = None) -> list[Outcome]:
    """Write lines to a file and return their outcomes."""
    path.write_bytes(b"\n".join(lines) + b"\n")
    return read_file(path, options)


def calls_of(outcomes: Iterable[Outcome]) -> list[Call]:
    """Return the calls among outcomes."""
    return [outcome for outcome in outcomes if isinstance(outcome, Call)]


def reasons_of(outcomes: Iterable[Outcome]) -> list[str]:
    """Return what each outcome is: "call", the reason of a reject, "context" or "fragment"."""
    return [
        "call" if isinstance(outcome, Call) else outcome.reason if isinstance(outcome, Reject) else outcome
        for outcome in outcomes
    ]


def plain(outcome: Outcome) -> Any:
    """Return an outcome as JSON values: of a call what it states, bodies and digests apart; times and money as text."""
    if isinstance(outcome, Reject):
        return {"reject": outcome.reason, "detail": outcome.detail, "row": outcome.source_row}
    if not isinstance(outcome, Call):
        return outcome
    stated = {
        name: _value(name, value)
        for name, value in msgspec.structs.asdict(outcome).items()
        if name not in APART and value is not None and value not in ([], "")
    }
    return {"call": stated}


def _value(name: str, value: Any) -> Any:
    if name.endswith("_at"):
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)).isoformat()
    if isinstance(value, Usage):
        return {key: _value(key, item) for key, item in msgspec.structs.asdict(value).items() if item is not None}
    if isinstance(value, list):
        return [_value(name, item) for item in value]
    if isinstance(value, dict):
        return {key: _value(key, item) for key, item in value.items()}
    return format(value, "f") if isinstance(value, Decimal) else value
