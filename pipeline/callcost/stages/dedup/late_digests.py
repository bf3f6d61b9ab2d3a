"""Digests of the few records that need them: those whose key stands more than once and that were read by columns.

Facts that were read by columns come without digests, since most keys stand once and to digest a record costs more than
to read it. Where a key repeats, its records are read again: copies that are equal byte by byte need no more than that,
others go through the ordinary reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import BinaryIO

import polars as pl

from callcost.logs.io.compression import decompress, packing_of
from callcost.logs.io.object_store import open_input
from callcost.logs.io.records import Raw, open_blocks, read_lines
from callcost.logs.record_reader import RecordReader
from callcost.settings import ReadOptions
from callcost.stages.read.splits import Piece
from callcost.stages.tables.parquet_rows import UNREADABLE_TABLE, Row, read_some
from callcost.tables import Call, Reject

_GONE = (None, "")  # a record that is not what it was: its log was changed under the run
Digests = tuple[str | None, str]


def settle_digests(facts: pl.DataFrame, pieces: Iterable[Piece], options: ReadOptions) -> pl.DataFrame:
    """Fill in the digests that settling duplicates asks for.

    Args:
        facts: all facts whose keys fall into the buckets at hand.
        pieces: that they were read from.
        options: how logs are read.

    Returns:
        The facts; a record whose key stands once may still lack its digests.
    """
    if not facts["record_digest"].null_count():
        return facts
    heads = facts.select("key", "line", "piece", "record", "byte_offset", "record_digest").with_row_index("position")
    copies = heads.filter(pl.col("line") == 0).filter(pl.col("key").is_duplicated())
    lacking = copies.filter(pl.col("record_digest").is_null())
    if lacking.is_empty():
        return facts
    sources = {piece.number: piece for piece in pieces}
    raw = _read(lacking, sources, _digest_raw)
    lacking = lacking.join(raw, on="position")
    known = copies.filter(pl.col("record_digest").is_not_null())["key"].unique()
    equal = (pl.col("digest").n_unique().over("key") == 1) & ~pl.col("key").is_in(known.implode())
    alike, apart = lacking.filter(equal), lacking.filter(~equal)
    found = pl.concat([alike.select(raw.columns), _read(apart, sources, _reader(options))])
    filled = facts.with_row_index("position").join(found, on="position", how="left", maintain_order="left")
    # not with Series.scatter: equal texts that it set count as different in Polars 2.1
    return filled.with_columns(
        pl.coalesce("request_digest", "request").alias("request_digest"),
        pl.coalesce("record_digest", "digest").alias("record_digest"),
    ).drop("position", "request", "digest")


def _reader(options: ReadOptions) -> Callable[[Raw | Row, int], Digests]:
    reader = RecordReader(options)

    def digest(record: Raw | Row, row: int) -> Digests:
        outcomes = reader.read_value(record, row) if isinstance(record, dict) else reader.read(record)
        for outcome in outcomes:
            if isinstance(outcome, Call):
                request = outcome.request_digest
                return request.hex() if request else None, outcome.record_digest.hex()
        return _GONE

    return digest


def _digest_raw(record: Raw | Row, _: int) -> Digests:
    """Return what tells copies apart: the bytes of a line, the values of a row."""
    data = record.data if isinstance(record, Raw) else repr(record).encode("utf-8", "replace")
    return None, blake2b(data, digest_size=16).hexdigest()


def _read(wanted: pl.DataFrame, sources: dict[int, Piece], digest: Callable[[Raw | Row, int], Digests]) -> pl.DataFrame:
    """Return position, request and digest of records that are read again."""
    rows: list[tuple[int, str | None, str]] = []
    for (number,), group in wanted.sort("piece", "record").group_by("piece", maintain_order=True):
        places = list(zip(group["position"], group["record"] // 2**20, group["byte_offset"], strict=True))
        rows += [(position, *digest(one, row)) for position, row, one in _records(sources[int(str(number))], places)]
    return pl.DataFrame(rows, schema={"position": pl.UInt32, "request": pl.String, "digest": pl.String}, orient="row")


def _records(piece: Piece, places: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, Raw | Row]]:
    if places[0][2] is None:
        first = 1 + (piece.rows_before or 0)
        positions = {row - first: position for position, row, _ in places}
        wanted = sorted(positions)
        found = 0
        try:
            for place, record in read_some(piece.source.path, piece.start, piece.end, wanted):
                yield positions[place], first + place, record
                found += 1
        except UNREADABLE_TABLE:  # a page is damaged in a column that the counts did not need
            for place in wanted[found:]:
                yield positions[place], first + place, Reject(reason="unreadable_record")
        return
    with open_input(piece.source.path) as stream:
        packed = packing_of(stream) is not None
        content, done = open_blocks(decompress(stream)) if packed else stream, 0
        for position, row, offset in places:
            if packed:
                _skip(content, offset - done)
            else:
                content.seek(offset)
            line = content.readline()
            done = offset + len(line)
            for raw in read_lines([line.rstrip(b"\n")], offset, row):
                if isinstance(raw, Raw):
                    yield position, row, raw


def _skip(content: BinaryIO, size: int) -> None:
    while size > 0 and (block := content.read(min(size, 1 << 20))):
        size -= len(block)
