"""Decoded objects to columns: what stands at the leaves of many records, a column a leaf.

A leaf is read by the kind of what stands there (leaves.py); costs stay exact, and what a table cannot hold marks its
row for the record reader.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec
import polars as pl

from pipeline.logs.decode import Refusal
from pipeline.logs.paths import Path
from pipeline.logs.values import read_cost
from pipeline.stages.facts import MONEY, MONEY_TYPE, round_money, series_of
from pipeline.stages.leaves import ANSWERED, ASKED, COST, COUNT, EPOCH, FLAG, JSON, UNDECODABLE, Leaf, Node
from pipeline.stages.talks import read_answers

_NULL = b"null"


def flatten(node: Node) -> tuple[tuple[Leaf, ...], tuple[Path, ...]]:
    """Return all leaves of an object and of those below it, and the paths of those below it."""
    leaves, parts = list(node.leaves), []
    for _, part in node.parts:
        below, inner = flatten(part)
        leaves += below
        parts += [part.path, *inner]
    return tuple(leaves), tuple(parts)


@dataclasses.dataclass(slots=True)
class Table:
    """Columns of rows while they are made.

    Attributes:
        leaves: path -> column.
        parts: path of an object -> in which rows it is there.
        odd: positions of rows that are for the record reader.
        asked: of each row, where texts are read: the messages.
        answers: the text of a plain answer; "": there is none.
    """

    leaves: dict[Path, pl.Series] = dataclasses.field(default_factory=dict)
    parts: dict[Path, pl.Series] = dataclasses.field(default_factory=dict)
    odd: set[int] = dataclasses.field(default_factory=set)
    asked: list[msgspec.Raw] = dataclasses.field(default_factory=list)
    answers: list[str] = dataclasses.field(default_factory=list)


def take(table: Table, node: Node, objects: list[Any]) -> None:
    """Read the leaves below objects into columns."""
    for leaf in node.leaves:
        values = list(map(attrgetter(leaf.name), objects))
        if leaf.reading == ASKED:
            table.asked = values
            continue
        table.leaves[leaf.path] = _SERIES.get(leaf.reading, _texts)(values, table)
    for name, part in node.parts:
        below = list(map(attrgetter(name), objects))
        if set(map(type, below)) != {part.kind}:
            known: dict[str, Any] = {}
            below = [part_of(one, part, known, table, row) for row, one in enumerate(below)]
        there = presence_of(part, below)
        if any(there):
            table.parts[part.path] = pl.Series(there)
            take(table, part, below)


def presence_of(part: Node, objects: list[Any]) -> list[bool]:
    """Tell which objects are there; a blank one is as good as none, but where the dialect is told by it."""
    empty = part.empty
    return [one is not empty for one in objects] if part.told else [one != empty for one in objects]


def part_of(value: Any, part: Node, known: dict[str, Any], table: Table, row: int) -> Any:
    """Return an object: as it is, what stands for none, or what its JSON text holds."""
    if value is None or value == "":
        return part.empty
    if type(value) is not str:
        return value
    if value not in known:
        try:
            known[value] = part.decoder.decode(value)
        except UNDECODABLE:
            known[value] = None
    if known[value] is None:
        table.odd.add(row)
        return part.empty
    return known[value]


def _texts(values: list[Any], _: Table) -> pl.Series:
    return pl.Series(values, dtype=pl.String)


def _numbers(values: list[Any], _: Table) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64)


def _seconds(values: list[Any], _: Table) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)


def _presence(values: list[Any], _: Table) -> pl.Series:
    return pl.Series(["yes" if value is not msgspec.UNSET else None for value in values], dtype=pl.String)


def _answers(values: list[Any], table: Table) -> pl.Series:
    """Return which answers are there, and keep the texts of plain ones."""
    table.answers, odd = read_answers(values)
    table.odd.update(odd)
    return _presence(values, table)


def _json(values: list[Any], _: Table) -> pl.Series:
    """Return JSON values as text, each distinct one once: a cost map's entry is long, and the same on most lines."""
    known: dict[bytes, int] = {_NULL: 0}
    numbers, last, number = [], None, 0
    for value in values:
        if value != last:
            last, number = value, known.setdefault(bytes(value), len(known))
        numbers.append(number)
    texts = [None, *(str(text, "utf-8") for text in list(known)[1:])]
    return pl.Series(texts, dtype=pl.String).gather(pl.Series(numbers, dtype=pl.UInt32))


def _amounts(values: list[Any], table: Table) -> pl.Series:
    """Return costs, each exactly as it is written."""
    texts = [bytes(value) for value in values]
    amounts = {text: _amount(text) for text in set(texts)}
    wrong = [text for text, (_, fine) in amounts.items() if not fine]
    if wrong:
        table.odd.update(row for row, text in enumerate(texts) if text in wrong)
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


_SERIES: dict[str, Callable[[list[Any], Table], pl.Series]] = {
    COUNT: _numbers,
    EPOCH: _seconds,
    FLAG: _presence,
    ANSWERED: _answers,
    JSON: _json,
    COST: _amounts,
}
