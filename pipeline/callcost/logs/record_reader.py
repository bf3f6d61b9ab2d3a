"""Records to outcomes: decode, unwrap, recognise the dialect, read; bring chunk rows together.

Every record has exactly one outcome: a ``Call``, a ``Reject``, CONTEXT (recognised, but no call) or FRAGMENT (joined
into a call that is counted elsewhere). No record raises, and no text of a record reaches a reject.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from callcost.errors import ConfigError
from callcost.logs.dialects import field_reader, recogniser, unwrapper
from callcost.logs.io.records import Raw, split_values
from callcost.logs.mapping.mapping_file import load_mapping
from callcost.logs.own_output import DETAIL, OWN_TABLES, REASON
from callcost.logs.record import dialect as fields
from callcost.logs.record.dialect import FieldReader, Notes
from callcost.logs.record.envelopes import Row
from callcost.logs.record.origin import ORIGIN, read_origin
from callcost.logs.record.summed_rows import Sum
from callcost.logs.responses.chunk_rows import Gatherer, Stream, is_begun_answer, is_chunk
from callcost.logs.usage.unread import UNREAD, stated_tokens
from callcost.logs.usage.usage import states_both_sides
from callcost.logs.values.json import UNFORESEEN, Refusal, decode
from callcost.settings import ReadOptions
from callcost.tables import CHUNK_ORDER, Call, Reject

CONTEXT: Literal["context"] = "context"
FRAGMENT: Literal["fragment"] = "fragment"
Outcome = Call | Reject | Literal["context", "fragment"]

_NO_CALLS: dict[str, Literal["context", "fragment"]] = {
    fields.CONTEXT: CONTEXT, fields.UNBILLED: CONTEXT, fields.COUNTED_ELSEWHERE: FRAGMENT,
}  # fmt: skip


class RecordReader:
    """Read the records of one input, in order.

    Args:
        options: a forced dialect or a mapping file, if any.

    Raises:
        ConfigError: the dialect is unknown, or the mapping file is wrong.
    """

    def __init__(self, options: ReadOptions) -> None:
        self._forced = field_reader(options.dialect) if options.dialect else None
        self._mapping = load_mapping(options.mapping) if options.mapping else None
        if self._mapping and self._mapping.dialect.stores:
            hint = "Make a view in the database, and let match name its columns"
            raise ConfigError(f"mapping {options.mapping}: [[sqlite]] is for the dialects that come along", hint=hint)
        self._room = options.max_record << 22  # four times as much as its text
        self._recogniser = recogniser()
        self._unwrapper = unwrapper()
        self._gatherer = Gatherer()
        self._in_order = False  # whether the last record was of an event stream
        self._in_sequence = False  # or of an array
        self._notes: dict[str, Notes] = {}  # of each dialect whose records lean on earlier ones

    def read(self, raw: Raw | Reject) -> list[Outcome]:
        """Read one record as bytes; an envelope of many has an outcome for each of them.

        Args:
            raw: the record, or the reject that stands in its place, which is handed on.
        """
        if isinstance(raw, Reject):
            return [raw]
        self._in_order, self._in_sequence = raw.is_event, raw.is_event or raw.is_element
        try:
            value = decode(raw.data, self._room)
        except Refusal as refusal:
            parts = split_values(raw) if refusal.reason == "broken_json" else []
            return [one for part in parts for one in self.read(part)] or [_reject(refusal, raw.row, raw.offset)]
        return self._read_decoded(value, raw.row, raw.offset, raw.data)

    def read_value(self, record: dict[str, Any], row: int) -> list[Outcome]:
        """Read one record that is decoded already (a row of Parquet)."""
        return self._read_decoded(record, row, None, b"")

    def finish(self) -> list[Outcome]:
        """Return the calls of the streams that had no end yet, and forget them."""
        return [self._read_stream(stream) for stream in self._gatherer.finish()]

    def _read_decoded(self, value: Any, row: int, offset: int | None, data: bytes) -> list[Outcome]:
        rows = self._unwrapper.unwrap(value) if type(value) is dict else None
        if rows is None:
            return self._read_one(value, row, offset, data)
        found = [one for item in rows for one in self._read_one(item.value, row, offset, data)]
        if len(found) < len(rows) or any(one != CONTEXT for one in found):  # a call, or one that is still to come
            return found
        return [_read_beside(value, rows, row, offset), *found[1:]]  # for each record one outcome

    def _read_one(self, value: Any, row: int, offset: int | None, data: bytes) -> list[Outcome]:
        if type(value) is not dict:
            return [_reject(Refusal("not_an_object"), row, offset)]
        if not self._mapping and self._gatherer.takes(value, in_sequence=self._in_sequence):
            return self._add_chunk(value, row, offset)
        return [self._read_record(value, row, offset, data)]

    def _add_chunk(self, chunk: dict[str, Any], row: int, offset: int | None) -> list[Outcome]:
        """Take a chunk: the first of a stream stands for the call, which comes when the stream is complete."""
        first, done = self._gatherer.add(chunk, row, offset)
        outcomes: list[Outcome] = [] if first else [FRAGMENT]
        return outcomes + [self._read_stream(stream) for stream in done]

    def _read_stream(self, stream: Stream) -> Outcome:
        try:
            if stream.fault is not None:
                raise stream.fault
            body = stream.joiner.result()
        except UNFORESEEN as error:
            return _unforeseen(error, stream.row, stream.offset)
        outcome = self._read_record(body, stream.row, stream.offset, b"")
        in_order = self._in_order or stream.is_numbered
        if isinstance(outcome, Call) and not in_order and not states_both_sides(outcome.usage):
            outcome.flags = sorted({*outcome.flags, CHUNK_ORDER})
        return outcome

    def _read_record(self, record: dict[str, Any], row: int, offset: int | None, data: bytes) -> Outcome:
        try:
            reader = self._reader_of(record)
            notes = self._notes.setdefault(reader.dialect.name, {}) if reader.dialect.carry else None
            call = reader.read(record, data, notes)
        except Refusal as refusal:
            outcome = _NO_CALLS.get(refusal.reason)
            return outcome or _reject(refusal, row, offset)
        except UNFORESEEN as error:
            return _unforeseen(error, row, offset)
        if ORIGIN in record:
            read_origin(call, record[ORIGIN])
        call.source_row, call.byte_offset = row, offset
        return call

    def _reader_of(self, record: dict[str, Any]) -> FieldReader:
        if (self._mapping or self._forced) and OWN_TABLES.find(record):
            raise Refusal(REASON, DETAIL)
        if self._mapping and self._mapping.recognises(record):
            return self._mapping
        if self._forced:
            return self._forced
        reader = self._recogniser.find(record)
        if reader is None:
            raise Refusal("unknown_dialect", "no dialect has these keys")
        return reader


def objects_of(raws: Iterable[Raw | Reject]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the records that are JSON objects, each with the offset of its first byte."""
    for raw in raws:
        if isinstance(raw, Raw):
            with contextlib.suppress(Refusal):
                value = decode(raw.data)
                if type(value) is dict:
                    yield raw.offset, value


def needs_other_records(value: dict[str, Any]) -> bool:
    """Tell whether a record cannot be read without others of its file: a chunk, or one that carries from earlier."""
    rows = unwrapper().unwrap(value)
    return any(_needs_others(row.value) for row in rows) if rows is not None else _needs_others(value)


def _needs_others(record: Any) -> bool:
    if type(record) is not dict or is_chunk(record) or is_begun_answer(record):
        return type(record) is dict
    reader = recogniser().find(record)
    return reader is not None and reader.dialect.carry is not None


def _unforeseen(error: Exception, row: int, offset: int | None) -> Reject:
    return _reject(Refusal("unreadable_record", type(error).__name__), row, offset)


def _read_beside(envelope: dict[str, Any], rows: list[Row], row: int, offset: int | None) -> Outcome:
    """Return what an envelope is that holds no call: a reject where it states tokens beside its records."""
    held = {item.location[0] for item in rows}
    stated = stated_tokens({key: value for key, value in envelope.items() if key not in held}, deep=True)
    return _reject(Refusal(UNREAD, f"{stated} beside no call"), row, offset) if stated else CONTEXT


def _reject(refusal: Refusal, row: int, offset: int | None) -> Reject:
    calls, tokens = (refusal.calls, refusal.tokens) if isinstance(refusal, Sum) else (0, 0)
    return Reject(
        reason=refusal.reason, detail=refusal.detail, source_row=row, byte_offset=offset, calls=calls, tokens=tokens
    )
