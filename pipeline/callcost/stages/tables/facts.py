"""Calls laid out as facts: one row per charge line, every column of Facts, no text of any message.

This file knows how a call's identity becomes a key. Reading, counting and
pricing are its neighbours' work.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from callcost.logs.io.object_store import storage_options
from callcost.logs.own_output import FACTS_METADATA
from callcost.stages.tables.dictionary import is_constant
from callcost.stages.tables.schemas import Column, Facts, Rejects
from callcost.tables import HIDDEN, LAST_PLACE, USAGE_COUNTS, Call, Reject, Usage

_NOTHING = Usage()
KEY_RULES = 2  # to be raised when a key, a digest or a bucket is made otherwise: facts are kept between runs
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: multiplying by it spreads numbers over the high bits
ROW_GROUP = 100_000
FLUSH_ROWS = 100_000  # facts held before they go to a file
FLUSH_BYTES = 256 << 20  # of them: names may be long
_LAID_CALLS = 4_000  # calls that are laid out together: for a few, that takes as long as for some hundred
_SMALL_BYTES = 4 << 20  # of files that are put together: some ten thousand rows
_SECOND = 1_000_000  # microseconds
# In the metadata of a file of facts: column -> what it says of every row, column -> the one that says the same.
_CONSTANTS, _COPIES = FACTS_METADATA, "callcost.echoes"
_ALWAYS_WRITTEN = ("key", "record")  # columns that are always written
BUCKETS = 64  # = 2**6; every fact names its bucket; a small run compares the keys of all in one step


UID = ("piece", "record")  # names one record, so one call

_CALL_FIELDS = tuple(
    name for name in Facts.names if name in Call.__struct_fields__ and name not in {"tags", "iterations", "flags"}
)
_USAGE_FIELDS = tuple(name for name in USAGE_COUNTS if name in Facts.names)


def layout_of_facts() -> str:
    """Return a name for the columns of facts and the rules of their keys; only facts of one layout go together."""
    columns = [f"{column.name} {column.kind}" for column in Facts.columns]
    return digest_of(f"{KEY_RULES} {BUCKETS}".encode(), *map(str.encode, columns))


def digest_of(*parts: bytes) -> str:
    """Return the blake2b-128 of the parts as hex; a length before each keeps ("ab", "c") apart from ("a", "bc")."""
    framed = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    return blake2b(framed, digest_size=16).hexdigest()


def key_of(call: Call) -> tuple[str, str]:
    """Return (key, key_kind): which equal keys are duplicates, depends on their kind (design.md section 5)."""
    if call.duplicate_id:
        return f"{_id_prefix(call.family)}{call.duplicate_id}", "id"
    times = (call.started_at, call.ended_at)
    below_second = any(moment is not None and moment % _SECOND for moment in times)
    return f"by bytes {call.family} {call.record_digest.hex()}", "bytes" if below_second else "none"


def key_columns(family: str, ids: pl.Expr) -> dict[str, pl.Expr]:
    """Return the key and the bucket of calls that have an id."""
    keys = pl.lit(_id_prefix(family)) + ids
    return {"key": keys, "bucket": bucket_of(keys)}


def bucket_of(key: pl.Expr) -> pl.Expr:
    """Return which reduce step settles a key: a hash of its last eight bytes, the same on every machine."""
    end = key.cast(pl.Binary).bin.tail(8).bin.reinterpret(dtype=pl.UInt64, endianness="little")
    return ((end * pl.lit(_GOLDEN, pl.UInt64)) // pl.lit(2**58, pl.UInt64)).cast(pl.Int64)


def _id_prefix(family: str) -> str:
    return f"by id {family} "


def facts_of(calls: Sequence[Call], input_number: int, piece: int = 0) -> pl.DataFrame:
    """Lay out calls of one piece of input as facts; see facts_of_pieces."""
    return facts_of_pieces([(calls, input_number, piece)])


def facts_of_pieces(pieces: Iterable[tuple[Sequence[Call], int, int]]) -> pl.DataFrame:
    """Lay out calls as facts.

    Args:
        pieces: (counted calls of a piece of input, number of the input among the run's inputs, number of the piece);
            the calls' requests and responses are not looked at.

    Returns:
        One row per charge line, columns of Facts; prices are null.
    """
    rows = [
        (call, n, line, input_number, piece)
        for calls, input_number, piece in pieces
        for call in calls
        for n, line in enumerate(_lines(call))
    ]
    owners, numbers, lines, inputs, places = map(list, zip(*rows, strict=True)) if rows else ([], [], [], [], [])
    calls_by_field = _transposed(Call, owners)
    usages_by_field = _transposed(Usage, [call.usage or _NOTHING for call in owners])
    lines_by_field = _transposed(Usage, lines) if any(call.iterations for call in owners) else usages_by_field
    columns: dict[str, Sequence[Any]] = {name: calls_by_field[name] for name in _CALL_FIELDS}
    columns |= {name: usages_by_field[name] for name in _USAGE_FIELDS}
    columns |= {f"line_{name}": lines_by_field[name] for name in USAGE_COUNTS}
    keys = [key_of(call) for call in owners]
    columns["key"] = [key for key, _ in keys]
    columns["key_kind"] = [kind for _, kind in keys]
    columns["call_id"] = [call.own_id or call.provider_response_id for call in owners]
    columns["logged_cost"] = [round_money(call.logged_cost) for call in owners]
    columns["request_digest"] = [call.request_digest.hex() if call.request_digest else None for call in owners]
    columns["record_digest"] = [call.record_digest.hex() for call in owners]
    columns["flags"] = [sorted(set(call.flags)) if call.flags else () for call in owners]
    columns["tags"] = [_pairs_of(call.tags, "key", "value") for call in owners]
    columns["billed_units"] = [_units_of(call.usage) for call in owners]
    columns["line_units"] = [_units_of(line) for line in lines]
    columns["lines"] = [max(1, len(call.iterations)) for call in owners]
    columns["line_model"] = [line.model or call.model for call, line in zip(owners, lines, strict=True)]
    columns |= {"line": numbers, "input": inputs, "piece": places}
    frame = pl.DataFrame([_series(column, columns.get(column.name), len(rows)) for column in Facts.columns])
    return frame.with_columns(bucket=bucket_of(pl.col("key")))


def widen_facts(narrow: pl.DataFrame) -> pl.DataFrame:
    """Return facts with every column of Facts; what is not there is null."""
    there = {*narrow.columns}
    return narrow.select(  # a literal takes no room until somebody looks into its column
        pl.col(name).cast(kind) if name in there else pl.lit(None, kind).alias(name)
        for name, kind in Facts.types.items()
    )


def write_facts(facts: pl.DataFrame, path: Path) -> None:
    """Write facts to a file of a run: what says the same of every row, or what another column says, only once."""
    stated = [name for name in Facts.names if name in facts.columns and facts[name].null_count() < facts.height]
    plain = [name for name in stated if name not in _ALWAYS_WRITTEN and facts[name].dtype in (pl.String, pl.Int64)]
    constants = {name: facts[name][0] for name in plain if is_constant(facts[name])}
    varied = [name for name in stated if name not in constants]
    pairs = [(name, name.removeprefix("line_")) for name in varied if name.startswith("line_")]
    copies = {name: call for name, call in pairs if call in stated and facts[name].equals(facts[call])}
    columns = [facts[name].cast(Facts.types[name]) for name in varied if name not in copies]
    tables = {_CONSTANTS: constants, _COPIES: copies}
    metadata = {name: msgspec.json.encode(table).decode() for name, table in tables.items()}
    # not compressed: words that repeat are numbered anyway, and ids would take long for little
    pl.DataFrame(columns).write_parquet(
        path, compression="uncompressed", statistics=False, row_group_size=ROW_GROUP, metadata=metadata
    )


class FactFiles:
    """Write the facts of one task, file by file.

    Args:
        task: number of the task.
        folder: where the files go.
        host: machine that calls were made on, where their log names none.

    Attributes:
        rows: facts so far, one a charge line.
        hidden: facts of calls whose reasoning is hidden.
    """

    def __init__(self, task: int, folder: str, host: str | None) -> None:
        self._stem, self._host = str(Path(folder) / f"facts-{task:06}"), host
        self._tables: list[pl.DataFrame] = []
        self._calls: list[tuple[list[Call], int, int]] = []
        self._waiting = self._held = self._bytes = 0
        self._paths: list[str] = []
        self.rows = self.hidden = 0

    def add(self, tables: Sequence[pl.DataFrame], calls: list[Call], number: int, piece: int) -> None:
        """Take what a window of a piece holds.

        Args:
            tables: facts, without their input and piece.
            calls: counted calls, whose requests and responses are not needed any more.
            number: of the input.
            piece: number of the piece.
        """
        lineage = [pl.lit(number, pl.Int64).alias("input"), pl.lit(piece, pl.Int64).alias("piece")]
        for table in tables:
            self._hold(table.with_columns(*lineage))
        for call in calls:
            call.request = call.response = None
        if calls:
            self._calls.append((calls, number, piece))
            self._waiting += len(calls)
        if self._waiting >= _LAID_CALLS:
            self._lay_out()
        if self._held >= FLUSH_ROWS or self._bytes >= FLUSH_BYTES:
            self._write()

    def finish(self) -> list[str]:
        """Write what is left, and return the paths of all files."""
        self._write()
        return self._paths

    def _hold(self, table: pl.DataFrame) -> None:
        self._tables.append(table)
        self._held += table.height
        self._bytes += int(table.estimated_size())

    def _lay_out(self) -> None:
        if self._calls:
            self._hold(facts_of_pieces(self._calls))
            self._calls, self._waiting = [], 0

    def _write(self) -> None:
        self._lay_out()
        facts = pl.concat(self._tables, how="diagonal") if self._tables else pl.DataFrame()
        self._tables, self._held, self._bytes = [], 0, 0
        if facts.height:
            facts = name_host(facts, self._host)
            path = f"{self._stem}-{len(self._paths):04}.parquet"
            write_facts(facts, Path(path))
            self._paths.append(path)
            self.rows += facts.height
            if "flags" in facts.columns:
                self.hidden += int(facts["flags"].list.contains(HIDDEN).sum())


def read_facts(path: str | Path, *, without: Sequence[str] = ()) -> pl.DataFrame:
    """Read a file of facts.

    Args:
        path: path or URL of the file.
        without: columns that nobody will look at; they are null.
    """
    return widen_facts(_read_stated(path, without))


def _read_stated(path: str | Path, without: Sequence[str] = ()) -> pl.DataFrame:
    """Read those columns of a file of facts that say something."""
    place = str(path)
    columns = [name for name in scan_tables([place]).collect_schema() if name not in without]
    return read_tables([place], columns).with_columns(_stated_once(place))


def join_small(paths: Sequence[Path], folder: Path, only: Mapping[Path, Sequence[int]] | None = None) -> list[Path]:
    """Put small files of facts together: each step over a file takes as long as over some thousand rows.

    Args:
        paths: files of facts on the disk, which stay.
        folder: where those that are put together go.
        only: path -> numbers of the pieces of which its facts are wanted, where others are not.

    Returns:
        The files that hold what is wanted of the given ones, in the same order.
    """
    only = only or {}
    groups: list[list[Path]] = []
    room = 0
    for path in paths:
        room -= path.stat().st_size
        if room < 0:
            groups.append([])
            room = _SMALL_BYTES - path.stat().st_size
        groups[-1].append(path)
    joined: list[Path] = []
    for number, group in enumerate(groups):
        if len(group) == 1 and group[0] not in only:
            joined += group
            continue
        tables = [_read_stated(path) for path in group]
        for place, path in enumerate(group):
            if path in only:
                tables[place] = tables[place].filter(pl.col("piece").is_in(list(only[path])))
        facts = pl.concat(tables, how="diagonal")
        if facts.height:
            write_facts(facts, target := folder / f"facts-joined-{number:04}.parquet")
            joined.append(target)
    return joined


def scan_facts(paths: Sequence[str | Path]) -> pl.LazyFrame:
    """Read files of facts as one table, lazily."""
    if not paths:
        return pl.LazyFrame(schema=Facts.types)
    places = list(map(str, paths))
    scans = (scan_tables([place], schema=Facts.types, missing_columns="insert") for place in places)
    return pl.concat(scan.with_columns(_stated_once(place)) for scan, place in zip(scans, places, strict=True))


def _stated_once(path: str) -> list[pl.Expr]:
    """Return the columns of a file of facts that only its metadata tells of."""
    metadata = pl.read_parquet_metadata(path, storage_options=storage_options(path))
    tables = (metadata.get(name, "{}") for name in (_CONSTANTS, _COPIES))
    constants, copies = (msgspec.json.decode(table, type=dict[str, Any]) for table in tables)
    stated = [pl.lit(word, dtype=Facts.types[name]).alias(name) for name, word in constants.items()]
    return [*stated, *(pl.col(call).alias(name) for name, call in copies.items())]


def round_money(amount: Decimal | None) -> Decimal | None:
    """Return an amount with as many digits as a table holds."""
    return None if amount is None else amount.quantize(LAST_PLACE, ROUND_HALF_EVEN)


class Exported:
    """An Arrow array as any library hands one over: pyarrow's own makes Polars import pyarrow.compute, 0.1 s long."""

    def __init__(self, array: pa.Array[Any]) -> None:
        self.__arrow_c_array__ = array.__arrow_c_array__


def series_of(values: Sequence[Any], kind: pa.DataType) -> pl.Series:
    """Return Python values as a column, by way of Arrow: exact decimals and nested values are quicker so."""
    return pl.Series(Exported(pa.array(values, kind)))


def _lines(call: Call) -> list[Usage]:
    return call.iterations or [call.usage or _NOTHING]


def _transposed(kind: type[msgspec.Struct], structs: Sequence[Any]) -> dict[str, Sequence[Any]]:
    names = kind.__struct_fields__
    values = zip(*map(msgspec.structs.astuple, structs), strict=True) if structs else [()] * len(names)
    return dict(zip(names, values, strict=True))


def _pairs_of(mapping: dict[str, Any] | None, key: str, value: str) -> list[dict[str, Any]] | None:
    if not mapping:
        return None
    return [{key: name, value: mapping[name]} for name in sorted(mapping)]


def _units_of(usage: Usage | None) -> list[dict[str, Any]] | None:
    return _pairs_of(usage.billed_units, "unit", "quantity") if usage is not None else None


def _series(column: Column, values: Sequence[Any] | None, height: int) -> pl.Series:
    if values is None or values.count(None) == height:
        return _null_of(column.name).new_from_index(0, height)
    if column.kind == "time":
        moments = pl.Series(column.name, values, dtype=pl.Int64)
        return moments.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if column.arrow is not None:  # Polars takes 20 us a cell for nested Python values, pyarrow under 1
        return series_of(values, column.arrow).cast(column.dtype).alias(column.name)
    return pl.Series(column.name, values, dtype=column.dtype)


@functools.cache  # to make one takes longer than to repeat it
def _null_of(name: str) -> pl.Series:
    """Return a column of Facts with one cell, which is null."""
    return pl.Series(name, [None], dtype=Facts.types[name])


def rejects_of(rejects: Sequence[Reject], piece: int) -> pl.DataFrame:
    """Lay out rejects as a table with the columns of Rejects, and the number of their piece."""
    rows = {name: [getattr(reject, name) for reject in rejects] for name in Rejects.names}
    return pl.DataFrame(rows, schema=Rejects.types).with_columns(pl.lit(piece, pl.Int64).alias("piece"))


def name_host(facts: pl.DataFrame, host: str | None) -> pl.DataFrame:
    """Return facts with the machine that calls were made on, where their log names none."""
    if host is None:
        return facts
    named = pl.col("host").fill_null(host) if "host" in facts.columns else pl.lit(host, Facts.types["host"])
    return facts.with_columns(named.alias("host"))


def number_rows(table: pl.DataFrame, rows_before: tuple[tuple[int, int], ...]) -> pl.DataFrame:
    """Give rows their number in the file where they have that in their piece."""
    if not rows_before:
        return table
    before = pl.col("piece").replace_strict(dict(rows_before), default=0, return_dtype=pl.Int64)
    return table.with_columns(pl.col("source_row") + before)


def scan_tables(paths: Sequence[str], **how: Any) -> pl.LazyFrame:
    """Read tables as one, lazily; there is at least one."""
    return pl.scan_parquet(list(paths), storage_options=storage_options(paths[0]), **how)


def read_tables(paths: Sequence[str], columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read tables as one; there is at least one."""
    wanted = None if columns is None else list(columns)
    return pl.read_parquet(list(paths), columns=wanted, storage_options=storage_options(paths[0]))
