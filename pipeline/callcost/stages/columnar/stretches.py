"""Pieces of inputs read by columns for as long as that is worth it, the rest record by record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice, repeat

from callcost.logs.io.compression import Damage, open_range
from callcost.logs.io.inputs import truncated, unreadable
from callcost.logs.io.object_store import open_input
from callcost.logs.io.records import Raw, read_lines
from callcost.logs.io.sniff import container_of
from callcost.settings import ReadOptions
from callcost.stages.columnar.decode import Rows, digest_all
from callcost.stages.columnar.jsonl import BlockReader, open_block_reader
from callcost.stages.columnar.line_blocks import LONGEST_LINE, LineBlocks
from callcost.stages.columnar.parquet import Flat, FlatTable, open_flat, read_flat
from callcost.stages.columnar.to_facts import Leave, lay_out
from callcost.stages.read.splits import Piece
from callcost.stages.read.windows import Records, Stretch, read_by_record, read_lines_of, read_row, read_table_rows
from callcost.stages.tables.parquet_pages import measure_group, refuse_group, refuse_table
from callcost.stages.tables.parquet_rows import UNREADABLE_TABLE, Row, holds_own_table, read_some
from callcost.tables import Reject

# Of the first block, unpacked, or of row groups:
COLUMN_BYTES = 32 << 10  # below it, laying out tables costs more than reading record by record
LEARN_BYTES = 400 << 10  # below it, to learn what is read of a dialect costs more


def read_by_columns(
    piece: Piece, records: Records, options: ReadOptions, *, counted: bool = True, leave: Leave | None = None,
    digested: bool = False,
) -> Iterator[Stretch]:  # fmt: skip
    """Read a piece: calls that need no counting, or are plain chats, come as facts.

    Args:
        piece: the piece of input.
        records: its others.
        options: how logs are read.
        counted: whether usage that is missing will be counted.
        leave: which calls are read record by record all the same; None: none.
        digested: whether facts have the digests that tell copies apart, as those of the record reader have.
    """
    container = container_of(piece.source.path) if _are_usual(options) else ""
    if container == "jsonl":
        yield from _read_blocks(piece, records, options, counted=counted, leave=leave, digested=digested)
    elif container == "parquet" and piece.bytes >= COLUMN_BYTES and not holds_own_table(piece.source.path):
        yield from _read_groups(piece, records, options, leave, digested=digested)
    else:
        yield from read_by_record(piece, records, options)


def _are_usual(options: ReadOptions) -> bool:
    """Say whether each line is read as its dialect has it, and may be as long as a block takes it."""
    return options.dialect is None and options.mapping is None and options.max_record << 20 >= LONGEST_LINE


def _read_blocks(
    piece: Piece, records: Records, options: ReadOptions, *, counted: bool, leave: Leave | None, digested: bool
) -> Iterator[Stretch]:
    """Read by the block for as long as that is worth it, the rest by the line."""
    try:
        with open_input(piece.source.path) as stream:
            begin, pieces = open_range(stream, piece.start, piece.end)
            blocks = LineBlocks(pieces, begin, 1 + (piece.rows_before or 0))
            opened = partial(open_block_reader, counted=counted, digested=digested)
            yield from _by_columns(blocks, records, opened, leave)
            if not blocks.ended:
                rest = read_lines(blocks.rest(), blocks.offset, blocks.row, longest=options.max_record << 20)
                yield from read_lines_of(rest, records)
    except Damage as damage:
        yield 0, [truncated(damage)], 0
    except OSError as error:
        yield 0, [unreadable(error)], 0


def _by_columns(
    blocks: LineBlocks, records: Records, opened: Callable[..., BlockReader | None], leave: Leave | None
) -> Iterator[Stretch]:
    found: BlockReader | None = None
    try:
        for block in blocks:
            size = len(block.data)
            if found is None and size >= COLUMN_BYTES:
                found = opened(block, learning=size >= LEARN_BYTES)
            if found is None:
                yield from read_lines_of(read_lines([block.data], block.offset, block.row), records)
                return
            left = found.read(block)
            yield block.row, [], size - sum(len(raw.data) for raw in left if isinstance(raw, Raw))
            yield from read_lines_of(left, records)
            if found.is_full:
                yield from _laid(found, records, leave)
            if not found.worthwhile:
                break
    except (Damage, OSError):
        if found is not None:
            yield from _laid(found, records, leave)
        raise
    if found is not None:
        yield from _laid(found, records, leave)


def _laid(found: BlockReader, records: Records, leave: Leave | None) -> Iterator[Stretch]:
    for rows, left in found.lay_out(leave):
        yield 0, rows, 0
        yield from read_lines_of(left, records)


def _read_groups(
    piece: Piece, records: Records, options: ReadOptions, leave: Leave | None, *, digested: bool
) -> Iterator[Stretch]:
    """Read Parquet by columns for as long as that is worth it, the rest row by row."""
    before = done = piece.rows_before or 0  # rows before the row group at hand, rows dealt with
    group, worthwhile, odd = piece.start, True, list[int]()
    try:
        with closing(FlatTable(piece.source.path)) as table:
            flat = None if refuse_table(table.metadata, options) else open_flat(table.schema)
            last = table.metadata.num_row_groups if piece.end is None else piece.end
            size = piece.bytes // max(1, last - piece.start)
            while flat is not None and worthwhile and group < last:
                measured, height = measure_group(piece.source.path, table.metadata, group), table.height_of(group)
                if refuse_group(measured, options):
                    break  # the record reader comes to the same place, and reports it
                whole = _all_rows(piece.source.path, group, height) if digested else None
                for rows in read_flat(table, flat, measured, done + 1):
                    laid = lay_out(rows if whole is None else _digested(rows, flat, whole), flat.judge, leave)
                    odd += rows.numbers[laid.left].to_list()
                    done += rows.height
                    yield 0, laid.rows, size * rows.height // height
                yield from _rows_at(piece, group, before, odd, records)
                worthwhile = 2 * len(odd) <= done - before
                group, before, odd = group + 1, done, []
    except UNREADABLE_TABLE:
        pass  # the record reader comes to the same place, and reports it
    yield from _rows_at(piece, group, before, odd, records)
    if piece.end is None or group < piece.end:
        rest = dataclasses.replace(piece, start=group, rows_before=before)
        yield from read_table_rows(rest, records, options, done)


def _all_rows(path: str, group: int, height: int) -> Iterator[Row | None]:
    """Yield the rows of a row group, None for each of those after one that cannot be read."""
    found = 0
    try:
        for _, record in read_some(path, group, group + 1, range(height)):
            yield record
            found += 1
    except UNREADABLE_TABLE:
        yield from repeat(None, height - found)


def _digested(rows: Rows, flat: Flat, whole: Iterator[Row | None]) -> Rows:
    """Return rows that know their digests, made of the next records of a row group."""
    requests, records = digest_all(flat.layout.reader, islice(whole, rows.height))
    return rows._replace(digest=lambda positions: (requests[positions], records[positions]))


def _rows_at(piece: Piece, group: int, before: int, wanted: list[int], records: Records) -> Iterator[Stretch]:
    """Read some rows of a row group one by one."""
    found = 0
    try:
        for place, record in read_some(piece.source.path, group, group + 1, [row - before - 1 for row in wanted]):
            yield *read_row(record, before + 1 + place, records), 0
            found += 1
    except UNREADABLE_TABLE:
        for row in wanted[found:]:
            yield row, [Reject(reason="unreadable_record", detail="not readable Parquet", source_row=row)], 0
