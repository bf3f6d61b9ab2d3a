"""Fill what records lack: count, price, put it where the dialect keeps it, and read it again before it is believed.

A record is only filled where the filled one reads exactly as a report read the original; otherwise it stays as it is,
so that a filled log has the totals of its original by construction. Text logs are spliced
(logs/backfill/json_splice.py); Parquet keeps its schema and row groups, nulls of its own columns are filled and one
column is added.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from callcost.logs.backfill.json_splice import Additions, Edit, splice
from callcost.logs.backfill.places import COST_FIELDS, Target, flat_places, put_below, targets_of, usage_places
from callcost.logs.io.inputs import Input, read_raw
from callcost.logs.io.object_store import as_source
from callcost.logs.io.records import Raw
from callcost.logs.record.origin import COST_IN, COUNT_ERROR, COUNT_METHOD, FILLED, ORIGIN, RECORD, SIDES, USAGE_SOURCE
from callcost.logs.record_reader import RecordReader
from callcost.logs.responses.chunk_rows import is_chunk
from callcost.logs.values.json import Refusal
from callcost.settings import ReadOptions, ReportOptions
from callcost.stages.count.missing_usage import count_missing
from callcost.stages.pricing.price_facts import gather_calls, price_facts
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.read.batch_join import Batches
from callcost.stages.tables.facts import facts_of
from callcost.tables import MONEY_SCALE, Call
from callcost.tokens.engines.text_counter import TextCounter

Columns = Mapping[str, pa.DataType]  # of a table; None stands for a text log
WINDOW_BYTES = 16 << 20
_COUNTS = (*SIDES, "total_tokens")
# All but the bodies, which hold the usage, and the number of the record.
_SETTLED = tuple(name for name in Call.__struct_fields__ if name not in {"request", "response", "record"})
_ORIGIN_TYPE = pa.struct(
    [
        (USAGE_SOURCE, pa.string()),
        (COUNT_METHOD, pa.string()),
        (COUNT_ERROR, pa.float64()),
        ("usage", pa.struct([(name, pa.int64()) for name in _COUNTS])),
        ("total_cost", pa.decimal128(38, MONEY_SCALE)),
        (COST_IN, pa.string()),
        ("price_status", pa.string()),
        ("price_version", pa.string()),
        (RECORD, pa.string()),
    ]
)


@dataclasses.dataclass(slots=True)
class FilledWindow:
    """What filling came to.

    Attributes:
        edits: edits of the file's uncompressed bytes, in order.
        rows: row of a table -> its additions.
        tally: "records" (filled), "usage" and "cost" (of these), "prompt_tokens", "completion_tokens", "left" (calls
            that lack something no place takes).
        cost: US dollars added.
    """

    edits: list[Edit] = dataclasses.field(default_factory=list)
    rows: dict[int, Additions] = dataclasses.field(default_factory=dict)
    tally: Counter[str] = dataclasses.field(default_factory=Counter)
    cost: Decimal = Decimal(0)


@dataclasses.dataclass(slots=True)
class _Gap:
    """A call that lacks something."""

    target: Target
    counted: dict[str, int]  # what was counted, by canonical name
    beside: dict[str | int, Any]  # cost, and the callcost object
    cost: Decimal

    def places(self, columns: Columns | None) -> list[dict[str | int, Any]]:
        """Return what may be added, the best place first."""
        if not self.counted:
            return [self.beside]
        offered = (usage_places if columns is None else flat_places)(self.target.record, self.target.call, self.counted)
        return [_merge(place, self.beside) for place in offered if _fits(place, columns)]


def fill_text(source: Input, options: ReportOptions, counter: TextCounter) -> Iterator[FilledWindow]:
    """Find what the records of a text log lack, window by window, in the order of the file."""
    batches = Batches(options.logs)
    for window in _windows_of(source, options.read):
        targets = [one for one in window if isinstance(one, Target)]
        batches.attach_requests((target.call for target in targets), source)
        filled = _fill(targets, options, counter, None)
        others = (one for one in window if isinstance(one, Call))
        filled.tally["left"] += sum(call.usage_source is None and call.status != "cache_hit" for call in others)
        yield filled


def _windows_of(source: Input, options: ReadOptions) -> Iterator[list[Target | Call]]:
    """Yield the calls of a text log, about WINDOW_BYTES of records at a time."""
    reader, size = RecordReader(options), 0
    window: list[Target | Call] = []
    for raw in read_raw(source):
        if isinstance(raw, Raw):
            window += targets_of(raw, reader)
            size += len(raw.data)
        if size >= WINDOW_BYTES:
            yield window
            window, size = [], 0
    yield [*window, *(one for one in reader.finish() if isinstance(one, Call))]


def fill_table(
    records: Sequence[dict[str, Any]], columns: Columns, options: ReportOptions, counter: TextCounter
) -> FilledWindow:
    """Find what the rows of a table lack; rows are numbered from 0."""
    reader = RecordReader(options.read)
    targets = []
    for number, row in enumerate(records):
        record = {name: value for name, value in row.items() if value is not None}
        outcomes = reader.read_value(record, number) if ORIGIN not in record and not is_chunk(record) else []
        if len(outcomes) == 1 and isinstance(outcomes[0], Call):
            targets.append(Target(Raw(number, 0, b""), (), 0, row, outcomes[0]))
    return _fill(targets, options, counter, columns)


def _fill(targets: list[Target], options: ReportOptions, counter: TextCounter, columns: Columns | None) -> FilledWindow:
    filled = FilledWindow()
    gaps = _gaps_of(targets, options, counter, columns)
    offers = [gap.places(columns) for gap in gaps]
    accepted: dict[int, Additions] = {}
    for attempt in range(max(map(len, offers), default=0)):
        tried = [n for n, offer in enumerate(offers) if n not in accepted and attempt < len(offer)]
        copies = {n: _read_filled(gaps[n].target, offers[n][attempt], options.read) for n in tried}
        again = {n: copy for n, copy in copies.items() if copy is not None}
        count_missing(list(again.values()), counter)
        accepted |= {n: offers[n][attempt] for n, call in again.items() if _reads_the_same(gaps[n].target.call, call)}
    filled.tally["left"] = len(gaps) - len(accepted)
    done = [(gaps[n], accepted[n]) for n in sorted(accepted)]
    for gap, additions in done:
        filled.tally.update(records=1, usage=bool(gap.counted), cost=bool(gap.cost))
        filled.tally.update({side: gap.counted.get(side, 0) for side in SIDES})
        filled.cost += gap.cost
        filled.rows[gap.target.raw.row] = additions
    if columns is None:
        filled.edits = _edits_of([(gap.target, additions) for gap, additions in done])
    return filled


def _edits_of(accepted: list[tuple[Target, Additions]]) -> list[Edit]:
    """Return one edit per stretch of bytes; calls of one page share theirs."""
    stretches: dict[int, tuple[Raw, dict[str | int, Any]]] = {}
    for target, additions in accepted:
        raw, known = stretches.get(target.raw.offset, (target.raw, {}))
        stretches[raw.offset] = raw, _merge(known, put_below(target.location, dict(additions)))
    return [Edit(raw.offset, raw.offset + len(raw.data), splice(raw.data, more)) for raw, more in stretches.values()]


def _gaps_of(
    targets: list[Target], options: ReportOptions, counter: TextCounter, columns: Columns | None
) -> list[_Gap]:
    """Count and price calls; return those that lack something that is known now."""
    calls = [target.call for target in targets]
    stated = [{name: getattr(call.usage, name, None) for name in _COUNTS} for call in calls]
    count_missing(calls, counter)
    for number, call in enumerate(calls):
        call.record = number
    priced = gather_calls(price_facts(facts_of(calls, 0), book_of(options.prices)))
    by_call = {row["record"]: row for row in priced.select(*_PRICED).iter_rows(named=True)}
    gaps = []
    for number, (target, before) in enumerate(zip(targets, stated, strict=True)):
        counted = _count_of(target.call, before)
        fields, origin, cost = _cost_of(target, by_call[number], columns)
        if target.call.usage_source == "timed_out" or not (counted or fields or origin):
            continue
        if counted:
            origin = {name: getattr(target.call, name) for name in (USAGE_SOURCE, COUNT_METHOD, COUNT_ERROR)} | origin
        origin[RECORD] = target.call.record_digest.hex()
        gaps.append(_Gap(target, counted, {**fields, ORIGIN: origin}, cost))
    return gaps


_PRICED = ("record", "total_cost", "price_status", "price_reason", "price_version")


def _count_of(call: Call, before: Mapping[str, int | None]) -> dict[str, int]:
    if call.count_method is None or call.usage_source not in FILLED:
        return {}
    now = {name: getattr(call.usage, name) for name in _COUNTS}
    return {name: now[name] for name in _COUNTS if before[name] is None and now[name] is not None}


def _cost_of(
    target: Target, priced: Mapping[str, Any], columns: Columns | None
) -> tuple[dict[str | int, Any], dict[str, Any], Decimal]:
    """Return what goes into the record's own field, what into the callcost object, and the dollars that are new."""
    cost, status, version = priced["total_cost"], priced["price_status"], priced["price_version"]
    logged = target.call.logged_cost
    if cost is None or version is None or (logged is not None and (logged != 0 or cost == 0)):
        return {}, {}, Decimal(0)
    field = COST_FIELDS.get(target.call.source_format)
    origin = {"price_version": version} | ({"price_status": status} if status == "partly_priced" else {})
    free = field and logged is None and target.record.get(field) is None and _fits({field: cost}, columns)
    if field and free and status != "partly_priced":
        return {field: cost}, {COST_IN: field} | origin, cost
    return {}, {"total_cost": cost} | origin, cost


def _read_filled(target: Target, additions: Additions, options: ReadOptions) -> Call | None:
    """Read a record again with what would be added; None where nothing can be added there."""
    reader = RecordReader(options)
    raw = target.raw
    try:
        if raw.data:
            data = splice(raw.data, put_below(target.location, dict(additions)))
            outcomes = reader.read(Raw(raw.row, raw.offset, data))
        else:
            record = _merge({name: value for name, value in target.record.items() if value is not None}, additions)
            outcomes = reader.read_value({str(name): value for name, value in record.items()}, raw.row)
    except (Refusal, ValueError):
        return None
    call = outcomes[target.number] if target.number < len(outcomes) else None
    return call if isinstance(call, Call) else None


def _reads_the_same(one: Call, other: Call) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in _SETTLED)


def _merge(one: Mapping[str | int, Any], other: Mapping[str | int, Any]) -> dict[str | int, Any]:
    both = dict(one)
    for key, value in other.items():
        known = both.get(key)
        both[key] = _merge(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return both


# --- Parquet ----------------------------------------------------------------------------------------------------------


def copy_table(source: str, copy: BinaryIO, options: ReportOptions, counter: TextCounter) -> Iterator[FilledWindow]:
    """Write a Parquet file with what its rows lack: the same schema and row groups, and the callcost column.

    Args:
        source: path or URL of the file.
        copy: where its copy goes.
        options: the options of the run.
        counter: the token counter of this worker.

    Yields:
        What was filled, a row group at a time.

    Raises:
        OSError: a file cannot be read or written.
        pa.ArrowException: the file is no readable Parquet, or its callcost column is somebody else's.
    """
    with pq.ParquetFile(as_source(source)) as table:
        schema = table.schema_arrow
        own = schema.field(ORIGIN).type if ORIGIN in schema.names else None
        if own not in {None, _ORIGIN_TYPE}:
            raise pa.ArrowInvalid(ORIGIN)
        wider = schema if own is not None else schema.append(pa.field(ORIGIN, _ORIGIN_TYPE))
        columns = dict(zip(schema.names, schema.types, strict=True))
        with pq.ParquetWriter(copy, wider, compression=_codec_of(table.metadata)) as writer:
            for number in range(table.num_row_groups):
                rows = table.read_row_group(number)
                filled = fill_table(rows.to_pylist(), columns, options, counter)
                writer.write_table(_fill_rows(rows, filled.rows, wider), row_group_size=max(rows.num_rows, 1))
                filled.rows = {}
                yield filled


def _codec_of(metadata: pq.FileMetaData) -> Any:
    """Return what a file is compressed with, as a writer calls it."""
    codec = metadata.row_group(0).column(0).compression.lower() if metadata.num_row_groups else "snappy"
    return "none" if codec == "uncompressed" else codec


def _fill_rows(rows: pa.Table, additions: Mapping[int, Additions], schema: pa.Schema) -> pa.Table:
    if ORIGIN not in rows.schema.names:
        rows = rows.append_column(schema.field(ORIGIN), pa.nulls(rows.num_rows, _ORIGIN_TYPE))
    for name in sorted({ORIGIN, *(str(name) for below in additions.values() for name in below)}):
        field = schema.field(name)
        column = rows.column(name).to_pylist()
        for row, below in additions.items():
            column[row] = _cast(field.type, below[name]) if name in below else column[row]
        rows = rows.set_column(rows.schema.get_field_index(name), field, pa.array(column, field.type))
    return rows


def _fits(additions: Additions, columns: Columns | None) -> bool:
    """Say whether a table's own columns can hold what would go into them; text can hold anything."""
    try:
        for name, value in additions.items() if columns is not None else ():
            if columns is not None and name != ORIGIN:
                pa.array([_cast(columns[str(name)], value)], columns[str(name)])
    except (pa.ArrowException, TypeError, ValueError, KeyError):
        return False
    return True


def _cast(kind: pa.DataType, value: Any) -> Any:
    return float(value) if pa.types.is_floating(kind) else value
