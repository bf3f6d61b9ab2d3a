"""Decoded objects to columns: what stands at the places of many records, a column for each; their digests.

A place is read by the kind of what stands there (schema.py); costs stay exact, and what a table cannot hold marks its
row for the record reader.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import msgspec
import polars as pl

from callcost.logs.record.copy_digests import digests_of
from callcost.logs.record.dialect import FieldReader
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import Path
from callcost.logs.values.scalars import read_cost
from callcost.stages.columnar.chats import Raws
from callcost.stages.columnar.schema import (
    ABSENT_JSON,
    COST,
    COUNT,
    EPOCH,
    FLAG,
    JSON,
    NO_OBJECT,
    NULL_OBJECT,
    OBJECT,
    TEXTS,
    UNDECODABLE,
    Field,
    Node,
)
from callcost.stages.tables.dictionary import number_text
from callcost.stages.tables.facts import round_money, series_of
from callcost.stages.tables.schemas import MONEY, MONEY_TYPE
from callcost.tables import EXACT

_NULL = b"null"
DigestColumns = tuple[pl.Series, pl.Series]  # of the requests, of the records; of no record: for the record reader
Digest = Callable[[pl.Series], DigestColumns]
Records = Callable[[pl.Series], Iterator[Any]]


def flatten(node: Node) -> tuple[tuple[Field, ...], tuple[Path, ...]]:
    """Return all fields of an object and of those below it, and the paths of those below it."""
    fields, parts = list(node.fields), []
    for name, part in node.parts:
        below, inner = flatten(part)
        fields += below
        parts += [*([part.path] if type(name) is str else []), *inner]  # what is in a list of some length is there
    return tuple(fields), tuple(parts)


class Columns(NamedTuple):
    """What stands at the places of some rows, as columns.

    Attributes:
        fields: path -> column.
        parts: path of an object -> what each row has there (see schema.py); one that is in none has no column, nor
            have its fields.
        texts: path -> of each row the JSON that stands there, where its texts are read; UNSET: nothing.
    """

    fields: dict[Path, pl.Series]
    parts: dict[Path, pl.Series]
    texts: dict[Path, list[msgspec.Raw | msgspec.UnsetType]]


class Table:
    """What stands at the places of rows, gathered a block of rows at a time.

    Args:
        scale: US dollars in one unit of a cost.
        strict: whether null is not nothing, but a value.

    Attributes:
        height: the number of rows.
        odd: positions of rows that are for the record reader.
    """

    def __init__(self, scale: Decimal = Decimal(1), *, strict: bool = False) -> None:
        self.height = 0
        self.odd: set[int] = set()
        self._scale, self._strict = scale, strict
        self._values: defaultdict[Path, list[Any]] = defaultdict(list)
        self._there: defaultdict[Path, list[int]] = defaultdict(list)
        self._decoded: defaultdict[Path, dict[str, Any]] = defaultdict(dict)  # what JSON text holds

    def take(self, node: Node, objects: Sequence[Any]) -> None:
        """Put rows after those that are there.

        Args:
            node: their type; it has the fields and parts of all rows of the table.
            objects: of each row the object.
        """
        for field in node.fields:
            self._values[field.path] += map(attrgetter(field.name), objects)
        for name, part in node.parts:
            if type(name) is int:
                self.take(part, list(map(itemgetter(name), objects)))
                continue
            below = list(map(attrgetter(str(name)), objects))
            there = None
            if part.named and None in below:  # null is not nothing
                there = [
                    NULL_OBJECT if one is None else NO_OBJECT if one is part.empty else OBJECT for one in below
                ]
            if set(map(type, below)) != {type(part.empty)}:
                below = [self.part_of(value, part, self.height + row) for row, value in enumerate(below)]
            self._there[part.path] += there or presence_of(part, below)
            self.take(part, below)
        if not node.path:
            self.height += len(objects)

    def part_of(self, value: Any, part: Node, row: int) -> Any:
        """Return an object of a row: as it is, what stands for none, or what its JSON text holds."""
        if value is None or value == "":
            return part.empty
        if type(value) is not str:
            return value
        known = self._decoded[part.path]
        if value not in known:
            try:
                known[value] = part.decoder.decode(value)
            except UNDECODABLE:
                known[value] = None
        if known[value] is None:
            self.odd.add(row)
            return part.empty
        return known[value]

    def columns(self, node: Node) -> Columns:
        """Return all rows as columns; what a column cannot hold marks its row as odd."""
        found = Columns({}, {}, {})
        self._lay(node, found)
        return found

    def _lay(self, node: Node, found: Columns) -> None:
        for field in node.fields:
            values = self._values[field.path]
            if field.reading == TEXTS:
                found.texts[field.path] = values
            if field.reading == COST:
                if self._strict:
                    self.odd.update(row for row, value in enumerate(values) if bytes(value) == _NULL)
                found.fields[field.path] = _amounts(values, self.odd, self._scale)
            else:
                found.fields[field.path] = _SERIES.get(field.reading, _texts)(values)
        for name, part in node.parts:
            if type(name) is int:
                self._lay(part, found)
                continue
            there = self._there[part.path]
            if any(there):
                found.parts[part.path] = pl.Series(there, dtype=pl.UInt8)
                self._lay(part, found)


def presence_of(part: Node, objects: list[Any]) -> list[int]:
    """Tell which objects are there; a blank one is as good as none, but where the dialect is told by it."""
    empty = part.empty
    found = [one is not empty for one in objects] if part.named else [one != empty for one in objects]
    return list(map(int, found))


def _texts(values: list[Any]) -> pl.Series:
    if _is_one(values):
        return pl.Series(values[:1], dtype=pl.String).new_from_index(0, len(values))
    return pl.Series(values, dtype=pl.String)


def _is_one(values: list[Any]) -> bool:
    """Tell whether all values are the same; some of them tell at once where they differ."""
    first = values[0]
    return bool(values[-1] == first and values[len(values) // 2] == first and values.count(first) == len(values))


def _numbers(values: list[Any]) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64)


def _seconds(values: list[Any]) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)


def _presence(values: list[Any]) -> pl.Series:
    return pl.Series(["yes" if value is not msgspec.UNSET else None for value in values], dtype=pl.String)


def _json(values: list[Any]) -> pl.Series:
    """Return JSON values as text, each distinct one once: a cost map's entry is long, and the same on most lines."""
    known: dict[bytes, int] = {_NULL: 0}
    numbers, last, number = [], None, 0
    for value in values:
        if value != last:
            last, number = value, known.setdefault(bytes(value), len(known))
        numbers.append(number)
    texts = [None, *(str(text, "utf-8") for text in list(known)[1:])]
    return pl.Series(texts, dtype=pl.String).gather(pl.Series(numbers, dtype=pl.UInt32))


def _amounts(values: list[Any], odd: set[int], scale: Decimal) -> pl.Series:
    amounts, wrong = amounts_of(pl.Series([str(value, "utf-8") for value in values], dtype=pl.String), scale)
    if wrong is not None:
        odd.update(wrong.arg_true())
    return amounts


def amounts_of(texts: pl.Series, scale: Decimal) -> tuple[pl.Series, pl.Series | None]:
    """Return costs in dollars, each exactly as it is written, and which rows a column cannot hold; None: none.

    Args:
        texts: JSON; null, or empty, for nothing.
        scale: US dollars in one unit.
    """
    numbered = number_text(texts)
    found = [_amount((text or "").encode(), scale) for text in numbered.values]
    amounts = series_of([amount for amount, _ in found], MONEY_TYPE).cast(MONEY)
    wrong = None if all(fine for _, fine in found) else pl.Series([not fine for _, fine in found])
    height = len(texts)
    return numbered.to_rows(amounts, height), None if wrong is None else numbered.to_rows(wrong, height)


def _amount(text: bytes, scale: Decimal) -> tuple[Decimal | None, bool]:
    if text == ABSENT_JSON:
        return None, True
    if text[:1] in (b"t", b"f", b"{", b"["):
        return None, False
    try:
        return money_of(msgspec.json.decode(text) if text[:1] == b'"' or text == _NULL else text.decode(), scale)
    except UNDECODABLE:
        return None, False


def money_of(value: Any, scale: Decimal = Decimal(1)) -> tuple[Decimal | None, bool]:
    """Return a cost in dollars as a table holds it, and whether it is one."""
    try:
        cost = read_cost(value)
    except Refusal:
        return None, False
    return round_money(cost if cost is None or scale == 1 else EXACT.multiply(cost, scale)), True


_SERIES: dict[str, Callable[[list[Any]], pl.Series]] = {
    COUNT: _numbers,
    EPOCH: _seconds,
    FLAG: _presence,
    TEXTS: _presence,
    JSON: _json,
}


def digest_all(reader: FieldReader, records: Iterable[Any]) -> DigestColumns:
    """Return the digests of records of a dialect, in hex, as facts have them.

    Args:
        reader: of the dialect.
        records: decoded; one that is no object has none.
    """
    requests: list[str | None] = []
    digests: list[str | None] = []
    for record in records:
        request, digest = digests_of(reader, record) or (None, None)
        requests.append(None if request is None else request.hex())
        digests.append(None if digest is None else digest.hex())
    return pl.Series(requests, dtype=pl.String), pl.Series(digests, dtype=pl.String)


class Rows(NamedTuple):
    """Some records of one piece, as columns.

    Attributes:
        numbers: of the rows in the piece or file.
        offsets: of their first bytes; None: the file has none.
        fields: path -> column; a place without a column holds nothing anywhere.
        parts: path of an object -> what is there (see schema.py); an object without a column is in no row.
        odd: which rows are for the record reader.
        texts: path -> of each row the JSON that stands there, where texts are read.
        digest: what gives the digests of records at some positions; None: nobody asks for them.
        records: what decodes the records at some positions, which ascend; needed where there are texts.
    """

    numbers: pl.Series
    offsets: pl.Series | None
    fields: dict[Path, pl.Series]
    parts: dict[Path, pl.Series]
    odd: pl.Series
    texts: Raws
    digest: Digest | None = None
    records: Records | None = None

    @property
    def height(self) -> int:
        """The number of rows."""
        return len(self.numbers)


def join_rows(blocks: Sequence[Rows]) -> Rows:
    """Put the rows of several blocks, of the same places and parts, after each other, without what reads records."""
    if len(blocks) == 1:
        return blocks[0]
    fields = dict.fromkeys(path for block in blocks for path in block.fields)
    parts = dict.fromkeys(path for block in blocks for path in block.parts)
    offsets = [block.offsets for block in blocks if block.offsets is not None]
    texts = dict.fromkeys(path for block in blocks for path in block.texts)
    return Rows(
        pl.concat([block.numbers for block in blocks]),
        pl.concat(offsets) if offsets else None,
        {path: _joined([block.fields.get(path) for block in blocks], blocks, None) for path in fields},
        {path: _joined([block.parts.get(path) for block in blocks], blocks, NO_OBJECT) for path in parts},
        pl.concat([block.odd for block in blocks]),
        {path: [v for one in blocks for v in one.texts.get(path, [msgspec.UNSET] * one.height)] for path in texts},
    )


def _joined(columns: Sequence[pl.Series | None], blocks: Sequence[Rows], missing: Any) -> pl.Series:
    kind = next(column.dtype for column in columns if column is not None)
    none = pl.Series([missing], dtype=kind)
    return pl.concat(
        [
            none.new_from_index(0, block.height) if column is None else column
            for column, block in zip(columns, blocks, strict=True)
        ]
    )
