"""Decoded objects to columns: what stands at the leaves of many records, a column a leaf.

A leaf is read by the kind of what stands there (schema.py); costs stay exact, and what a table cannot hold marks its
row for the record reader.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import polars as pl

from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import Path
from callcost.logs.values.scalars import read_cost
from callcost.stages.columnar.chats import read_answers
from callcost.stages.columnar.schema import ANSWERED, ASKED, COST, COUNT, EPOCH, FLAG, JSON, UNDECODABLE, Leaf, Node
from callcost.stages.tables.facts import round_money, series_of
from callcost.stages.tables.schemas import MONEY, MONEY_TYPE

_NULL = b"null"


def flatten(node: Node) -> tuple[tuple[Leaf, ...], tuple[Path, ...]]:
    """Return all leaves of an object and of those below it, and the paths of those below it."""
    leaves, parts = list(node.leaves), []
    for _, part in node.parts:
        below, inner = flatten(part)
        leaves += below
        parts += [part.path, *inner]
    return tuple(leaves), tuple(parts)


class Columns(NamedTuple):
    """What stands at the leaves of some rows, as columns.

    Attributes:
        leaves: path -> column.
        parts: path of an object -> in which rows it is there; one that is in none has no column, nor have its leaves.
        asked: of each row, where texts are read: the messages.
        answers: the text of a plain answer; "": there is none.
    """

    leaves: dict[Path, pl.Series]
    parts: dict[Path, pl.Series]
    asked: list[msgspec.Raw]
    answers: list[str]


class Table:
    """What stands at the leaves of rows, gathered a block of rows at a time.

    Attributes:
        height: the number of rows.
        odd: positions of rows that are for the record reader.
    """

    def __init__(self) -> None:
        self.height = 0
        self.odd: set[int] = set()
        self._values: defaultdict[Path, list[Any]] = defaultdict(list)
        self._there: defaultdict[Path, list[bool]] = defaultdict(list)
        self._decoded: defaultdict[Path, dict[str, Any]] = defaultdict(dict)  # what JSON text holds

    def take(self, node: Node, objects: Sequence[Any]) -> None:
        """Put rows after those that are there.

        Args:
            node: their type; it has the leaves and parts of all rows of the table.
            objects: of each row the object.
        """
        for leaf in node.leaves:
            self._values[leaf.path] += map(attrgetter(leaf.name), objects)
        for name, part in node.parts:
            below = list(map(attrgetter(name), objects))
            if set(map(type, below)) != {part.kind}:
                below = [self.part_of(value, part, self.height + row) for row, value in enumerate(below)]
            self._there[part.path] += presence_of(part, below)
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
        found = Columns({}, {}, [], [])
        self._lay(node, found)
        return found

    def _lay(self, node: Node, found: Columns) -> None:
        for leaf in node.leaves:
            values = self._values[leaf.path]
            if leaf.reading == ASKED:
                found.asked.extend(values)
                continue
            if leaf.reading == ANSWERED:
                answers, odd = read_answers(values)
                found.answers.extend(answers)
                self.odd.update(odd)
            found.leaves[leaf.path] = _SERIES.get(leaf.reading, _texts)(values, self.odd)
        for _, part in node.parts:
            there = self._there[part.path]
            if any(there):
                found.parts[part.path] = pl.Series(there)
                self._lay(part, found)


def presence_of(part: Node, objects: list[Any]) -> list[bool]:
    """Tell which objects are there; a blank one is as good as none, but where the dialect is told by it."""
    empty = part.empty
    return [one is not empty for one in objects] if part.told else [one != empty for one in objects]


def _texts(values: list[Any], _: set[int]) -> pl.Series:
    if _is_one(values):
        return pl.Series(values[:1], dtype=pl.String).new_from_index(0, len(values))
    return pl.Series(values, dtype=pl.String)


def _is_one(values: list[Any]) -> bool:
    """Tell whether all values are the same; some of them tell at once where they differ."""
    first = values[0]
    return bool(values[-1] == first and values[len(values) // 2] == first and values.count(first) == len(values))


def _numbers(values: list[Any], _: set[int]) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64)


def _seconds(values: list[Any], _: set[int]) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)


def _presence(values: list[Any], _: set[int]) -> pl.Series:
    return pl.Series(["yes" if value is not msgspec.UNSET else None for value in values], dtype=pl.String)


def _json(values: list[Any], _: set[int]) -> pl.Series:
    """Return JSON values as text, each distinct one once: a cost map's entry is long, and the same on most lines."""
    known: dict[bytes, int] = {_NULL: 0}
    numbers, last, number = [], None, 0
    for value in values:
        if value != last:
            last, number = value, known.setdefault(bytes(value), len(known))
        numbers.append(number)
    texts = [None, *(str(text, "utf-8") for text in list(known)[1:])]
    return pl.Series(texts, dtype=pl.String).gather(pl.Series(numbers, dtype=pl.UInt32))


def _amounts(values: list[Any], odd: set[int]) -> pl.Series:
    """Return costs, each exactly as it is written."""
    texts = [bytes(value) for value in values]
    amounts = {text: _amount(text) for text in set(texts)}
    wrong = [text for text, (_, fine) in amounts.items() if not fine]
    if wrong:
        odd.update(row for row, text in enumerate(texts) if text in wrong)
    if len(amounts) == 1:
        return pl.Series([amounts[texts[0]][0]], dtype=MONEY).new_from_index(0, len(texts))
    return series_of([amounts[text][0] for text in texts], MONEY_TYPE).cast(MONEY)


def _amount(text: bytes) -> tuple[Decimal | None, bool]:
    if text[:1] in (b"t", b"f", b"{", b"["):
        return None, False
    try:
        return money_of(msgspec.json.decode(text) if text[:1] == b'"' or text == _NULL else text.decode())
    except UNDECODABLE:
        return None, False


def money_of(value: Any) -> tuple[Decimal | None, bool]:
    """Return a cost as a table holds it, and whether it is one."""
    try:
        return round_money(read_cost(value)), True
    except Refusal:
        return None, False


_SERIES: dict[str, Callable[[list[Any], set[int]], pl.Series]] = {
    COUNT: _numbers,
    EPOCH: _seconds,
    FLAG: _presence,
    ANSWERED: _presence,
    JSON: _json,
    COST: _amounts,
}
