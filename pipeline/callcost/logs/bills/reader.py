"""A bill's file to what it states: JSON pages, lines of JSON and CSV; which dialect, which lines, which rejects.

A file that is no bill, or only a part of one, is an error: half a bill must never look like a small one. A single row
that cannot be read is a reject. Parquet is opened in stages/ and its rows come in through ``read_rows``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NoReturn

import msgspec

from callcost.errors import LogError
from callcost.logs.bills import dialect_of
from callcost.logs.bills.cost_explorer import LONG_KEYS, is_wide, long_rows
from callcost.logs.bills.lines import DAY, BadLine, BillDialect, BillLine, read_moment
from callcost.logs.bills.owners import owners_of
from callcost.logs.io.compression import Damage
from callcost.logs.io.inputs import Input, blocks_of
from callcost.logs.values.json import MAX_DEPTH, depth_of
from callcost.logs.values.signatures import plain_key
from callcost.tables import Reject

_PAGES, _RESULTS = ("data", "ResultsByTime"), ("results", "Groups")  # of buckets, and of what a bucket holds
_BUCKETS = (
    ("start_time", "end_time", "openai"),
    ("starting_at", "ending_at", "anthropic"),
    ("date", "end", "openrouter"),  # as `bills pull` keeps its days
)
_CANONICAL = json.JSONEncoder(default=str, sort_keys=True).encode
_KNOWN = (
    "Give the provider's own: OpenAI's or Anthropic's usage and cost reports or console exports, OpenRouter's "
    "activity, DeepSeek's amount and cost, AWS's CUR 2.0 (Data Exports), Azure's cost export, Google's billing export, "
    "or FOCUS; for an invoice a CSV of period, provider, amount, currency"
)


class BillRecord(msgspec.Struct, kw_only=True):
    """What one record of a bill states.

    Attributes:
        key: digest of what it is about: equal keys state the same thing; None: records of this dialect add.
        signature: digest of all that it says.
        page: number of its page in the file, from 0.
        lines: amounts and quantities that it states.
    """

    key: str | None
    signature: str
    page: int
    lines: list[BillLine]


class BillFile(msgspec.Struct, kw_only=True):
    """One file of a bill, read.

    Attributes:
        name: name of the file.
        records: what its records state.
        rejects: rows that cannot be read.
        periods: (provider, start, end) of buckets, also of those that hold nothing, in microseconds since 1970.
        dialects: names of the dialects of its records.
        more: whether its last page says that more follow.
    """

    name: str
    records: list[BillRecord] = msgspec.field(default_factory=list)
    rejects: list[Reject] = msgspec.field(default_factory=list)
    periods: list[tuple[str, int, int]] = msgspec.field(default_factory=list)
    dialects: set[str] = msgspec.field(default_factory=set)
    more: bool = False


def read_bill(source: Input) -> BillFile:
    """Read one file of a bill, JSON or CSV, plain or compressed.

    Raises:
        LogError: it cannot be read whole, or no bill looks like it.
    """
    try:
        data = b"".join(blocks_of(source))
        text = data.decode("utf-8-sig")
    except (OSError, Damage, UnicodeDecodeError) as error:
        _refuse(source, f"cannot be read: {type(error).__name__}", "A bill is UTF-8 text or Parquet; export it again")
    if depth_of(data) > MAX_DEPTH:
        _refuse(source, "nests too deeply", "Give the bill as it was exported")
    if text.lstrip()[:1] in {"{", "["}:
        return _read_json(source, text)
    return _read_csv(source, text)


def read_rows(source: Input, rows: Iterable[Mapping[str, Any]]) -> BillFile:
    """Read rows that are already apart, such as those of a Parquet file.

    Raises:
        LogError: no bill looks like them.
    """
    found = BillFile(name=source.name)
    for row, record in enumerate(rows, 1):
        _read_record(source, found, _plain_keys(record), row, 0)
    return found


# --- JSON -------------------------------------------------------------------------------------------------------------


def _read_json(source: Input, text: str) -> BillFile:
    found, row = BillFile(name=source.name), 0
    for page, value in enumerate(_values(source, text)):
        if isinstance(value, Mapping):
            found.more = value.get("has_more") is True
        for record in _records(value, found):
            row += 1
            _read_record(source, found, _plain_keys(record), row, page)
    return found


def _values(source: Input, text: str) -> Iterator[Any]:
    """Yield the JSON values of a text, one after the other; numbers with a point stay exact."""
    decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_constant)
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            _refuse(source, f"is cut off or is no JSON from character {position} on", "Fetch the whole page again")
        yield value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _records(value: Any, found: BillFile) -> Iterator[Mapping[str, Any]]:
    """Yield the records of a page: the results of its buckets with the bucket's own fields, or plain rows."""
    if isinstance(value, list):
        for item in value:
            yield from _records(item, found)
    elif isinstance(value, Mapping):
        pages, results = (next((name for name in names if isinstance(value.get(name), list)), None)
                          for names in (_PAGES, _RESULTS))  # fmt: skip
        if pages is not None:
            yield from _records(value[pages], found)
        elif results is None:
            yield value
        else:
            _add_period(value, found)
            own = {name: item for name, item in value.items() if name not in {results, "object"}}
            inner = value[results]
            yield from ({**own, **result} for result in inner if isinstance(result, Mapping))
    else:
        yield {}


def _add_period(bucket: Mapping[str, Any], found: BillFile) -> None:
    for first, last, provider in _BUCKETS:
        try:
            start, end = read_moment(bucket.get(first), first), read_moment(bucket.get(last), last)
        except BadLine:
            continue
        if start is not None:
            found.periods.append((provider, start, end or start + DAY))


# --- CSV --------------------------------------------------------------------------------------------------------------


def _read_csv(source: Input, text: str) -> BillFile:
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first and "," not in first else ",")
    found = BillFile(name=source.name)
    try:
        names = next(reader, [])
        header, wide = [plain_key(name) for name in names], is_wide(names)
        dialect = dialect_of(LONG_KEYS if wide else header)
        if dialect is None:
            _refuse_unknown(source)
        found.dialects.add(dialect.name)
        for row, cells in enumerate(reader, 2):
            if len(cells) == len(header):
                records = long_rows(names, cells) if wide else [dict(zip(header, cells, strict=True))]
                for record in records:
                    _read_record(source, found, record, row, 0)
            elif any(cells):
                found.rejects.append(_reject(source, row, "bad_row", f"{len(cells)} cells, not {len(header)}"))
    except csv.Error:
        _refuse(source, f"is no CSV from line {reader.line_num} on", "Export it again")
    return found


def _plain_keys(record: Mapping[str, Any]) -> dict[str, Any]:
    return {plain_key(name): value for name, value in record.items()}


# --- One record -------------------------------------------------------------------------------------------------------


def _read_record(source: Input, found: BillFile, record: Mapping[str, Any], row: int, page: int) -> None:
    dialect = dialect_of(record)
    if dialect is None:
        _refuse_unknown(source)
    try:
        lines = [line for line in dialect.read(record) if line.amount is not None or line.quantity is not None]
    except BadLine as bad:
        found.rejects.append(_reject(source, row, bad.reason, bad.detail))
        return
    found.dialects.add(dialect.name)
    owners = owners_of(record)
    for line in lines:
        line.dialect, line.owners = dialect.name, owners
        if line.end_at is None and line.start_at is not None:
            line.end_at = line.start_at + DAY
    key = _key(dialect, record)
    found.records.append(BillRecord(key=key, signature=_digest(dialect.name, record), page=page, lines=lines))


def _key(dialect: BillDialect, record: Mapping[str, Any]) -> str | None:
    names = dialect.identity
    if dialect.measures:
        return _digest(dialect.name, {name: value for name, value in record.items() if name not in dialect.measures})
    return _digest(dialect.name, {name: record.get(name) for name in names}) if names and record.get(names[0]) else None


def _digest(name: str, record: Mapping[str, Any]) -> str:
    text = _CANONICAL([name, record])
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _reject(source: Input, row: int, reason: str, detail: str) -> Reject:
    return Reject(reason=reason, detail=detail, source_file=source.name, source_row=row)


def _refuse_unknown(source: Input) -> NoReturn:
    _refuse(source, "looks like no bill: its columns or keys fit none", _KNOWN)


def _refuse(source: Input, what: str, hint: str) -> NoReturn:
    raise LogError(f"the bill {source.name} {what}", hint=hint)
