"""Lines read by the block: JSONL decoded many lines at a time, rows without an object per field.

A block of lines is decoded at once into a type that holds only what a dialect's table reads. What does not decode, or
is not ordinary, goes to the record reader with its bytes, so that nothing is lost and nothing is decided here: this is
an order of work, not another reading. Where most lines are like that, the rest of the text is the record reader's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import polars as pl

from callcost.logs.dialects import field_reader, recogniser
from callcost.logs.dialects.litellm import CUT_MARKS
from callcost.logs.io.records import Raw
from callcost.logs.record.dialect import FieldReader
from callcost.logs.values.json import UNFORESEEN, Refusal, decode
from callcost.logs.values.json_path import Path, follow
from callcost.stages.columnar.chats import misfits
from callcost.stages.columnar.decode import DigestColumns, Rows, Table, digest_all, flatten, join_rows
from callcost.stages.columnar.learn import learn_layout
from callcost.stages.columnar.line_blocks import Block, Lines
from callcost.stages.columnar.probe import Judge
from callcost.stages.columnar.scanner.columns import MOST_BYTES, Scanner
from callcost.stages.columnar.scanner.machine import Fault, WasmMachine, is_installed
from callcost.stages.columnar.scanner.scan_plan import plan_of
from callcost.stages.columnar.schema import LITELLM, Layout, Node, litellm_layout, node_of, observe
from callcost.stages.columnar.to_facts import Leave, lay_out
from callcost.stages.read.windows import FactRows
from callcost.tables import Reject

MAX_CLASSES = 4_000  # of a piece
_ROWS_BYTES, _ROWS = 8 << 20, 4_096  # lines of which columns are made: by then lists cost no more than few long columns
_HELD_BYTES, _HELD_ROWS = 48 << 20, 64_000  # of lines that are laid out together
_SAMPLED_LINES, _FEW_LINES = 64, 8
# What is decoded before the scanner starts, which takes some milliseconds a text, and a tenth of a second a process:
DECODED_LINES = 1  # of a text: its first block
SCANNED_FROM = 16 << 20  # bytes, of all texts of the process
_MOST_ODD = 0.5  # of the lines; more of them, and columns are no gain
_FEW_ODD = 100  # lines that tell nothing of the rest


class _Read:
    """What this process read."""

    size = 0  # bytes of texts


_READ = _Read()


class BlockReader:
    """Read the blocks of one text, for as long as that is worth it.

    Args:
        layouts: of the dialects of the first lines.

    Attributes:
        worthwhile: False where most lines had to be left.
    """

    def __init__(self, layouts: Sequence[DialectLines]) -> None:
        self._layouts: Sequence[HeldLines] = layouts
        self._first = layouts[0]
        self._scanning = False
        self._read = self._left = 0
        self.worthwhile = True

    @property
    def is_full(self) -> bool:
        """Whether it is time to lay out what was read."""
        return any(layout.is_full for layout in self._layouts)

    def read(self, block: Block) -> list[Raw | Reject]:
        """Read a block of whole lines.

        Returns:
            The lines that do not decode, which are for the record reader.
        """
        lines = Lines(block)
        if not self._scanning and self._read >= DECODED_LINES and _READ.size >= SCANNED_FROM:
            self._scanning = True
            self._layouts = [*self._first.scanned(), *self._layouts]
        _READ.size += lines.size
        left: Sequence[int] | None = None
        for layout in self._layouts:
            left = layout.take(lines, left)
            if left is not None and not left:
                break
        self._read += lines.count
        self._left += len(left or ())
        self.worthwhile = self._left <= max(_FEW_ODD, _MOST_ODD * self._read)
        return [raw for number in left or () for raw in lines.raw(number)]

    def lay_out(self, leave: Leave | None = None) -> Iterator[tuple[FactRows, list[Raw | Reject]]]:
        """Yield what was read: facts of ordinary rows, and the other lines, which are for the record reader."""
        height = odd = 0
        for layout in self._layouts:
            found = layout.lay_out(leave)
            if found is None:
                continue
            rows, left = found
            height += rows.facts.height + len(left)
            odd += len(left)
            self.worthwhile &= len(layout.judge) <= MAX_CLASSES
            yield rows, left
        self.worthwhile &= odd <= _MOST_ODD * height


class HeldLines(ABC):
    """Lines of one dialect that are not laid out yet.

    Args:
        judge: of the classes of the lines.
        digested: whether facts have digests.

    Attributes:
        judge: of the classes of the lines.
    """

    def __init__(self, judge: Judge, *, digested: bool) -> None:
        self.judge = judge
        self._digested = digested
        self._held: list[Rows] = []
        self._lines: list[tuple[int, Lines, Sequence[int]]] = []  # (rows before, block, numbers of its lines)
        self._rows = self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether it is time to lay out what was read."""
        return self._rows >= _HELD_ROWS or self._bytes >= _HELD_BYTES

    @abstractmethod
    def take(self, lines: Lines, numbers: Sequence[int] | None) -> Sequence[int] | None:
        """Read lines and hold them.

        Args:
            lines: of a block.
            numbers: which of them; None: all.

        Returns:
            The numbers of those that cannot be read; None: of all.
        """

    @abstractmethod
    def _make_rows(self) -> None:
        """Hold what is read as rows."""

    def _add(self, lines: Lines, rows: Sequence[int]) -> None:
        self._lines.append((self._rows, lines, rows))
        self._rows += len(rows)
        self._bytes += lines.size

    def lay_out(self, leave: Leave | None = None) -> tuple[FactRows, list[Raw | Reject]] | None:
        """Hand out what was read: facts, and the lines that are not ordinary; None: nothing was."""
        self._make_rows()
        if not self._held:
            return None
        digest = self._digests if self._digested else None
        rows = join_rows(self._held)._replace(digest=digest, records=self._records)
        laid = lay_out(rows, self.judge, leave)
        left = [raw for lines, number in self._places(laid.left) for raw in lines.raw(number)]
        self._held, self._lines, self._rows, self._bytes = [], [], 0, 0
        return laid.rows, left

    def _digests(self, positions: pl.Series) -> DigestColumns:
        return digest_all(self.judge.layout.reader, self._records(positions))

    def _records(self, positions: pl.Series) -> Iterator[Any]:
        return (lines.value(number) for lines, number in self._places(positions))

    def _places(self, positions: pl.Series) -> Iterator[tuple[Lines, int]]:
        """Yield the block and the number of the line of each position; they ascend."""
        blocks, after = iter(self._lines), 0
        for position in positions.to_list():
            while position >= after:
                before, lines, numbers = next(blocks)
                after = before + len(numbers)
            yield lines, numbers[position - before]


class ScannedLines(HeldLines):
    """Those lines of one dialect that the scanner is sure of.

    Args:
        judge: of the classes of the lines.
        scanner: of their type.
        digested: whether facts have digests.
    """

    def __init__(self, judge: Judge, scanner: Scanner, *, digested: bool) -> None:
        super().__init__(judge, digested=digested)
        self._scanner: Scanner | None = scanner
        self._scanned = self._seen = self._odd = 0  # bytes that are not rows yet; lines

    def take(self, lines: Lines, numbers: Sequence[int] | None) -> Sequence[int] | None:
        """Scan the lines of a block (see HeldLines); a fault, or many odd lines, and nothing is scanned any more."""
        if self._scanner is None or numbers is not None or lines.size > MOST_BYTES or not lines.is_text:
            return numbers
        if self._scanned + lines.size > MOST_BYTES:
            self._make_rows()
        try:
            count, odd = self._scanner.scan(lines.data, lines.first_row, lines.offset)
        except Fault:
            self._make_rows()
            self._scanner = None
            return None
        self._seen, self._odd, self._scanned = self._seen + count, self._odd + len(odd), self._scanned + lines.size
        self._add(lines, sorted({*range(count)} - {*odd}) if odd else range(count))
        if self._scanned >= _ROWS_BYTES or self._scanner.height >= _ROWS:
            self._make_rows()
        if self._odd > max(_FEW_ODD, _MOST_ODD * self._seen):
            self._make_rows()
            self._scanner = None
        return odd

    def _make_rows(self) -> None:
        if self._scanner is not None and self._scanner.height:
            self._held.append(self._scanner.take())
        self._scanned = 0


class DialectLines(HeldLines):
    """The lines of one dialect, decoded.

    The layout may take in the texts of chats whose usage is missing; then these are counted, not left.

    Args:
        layout: of the dialect.
        sample: some of its records.
        digested: whether facts have digests.
    """

    def __init__(self, layout: Layout, sample: list[dict[str, Any]], *, digested: bool = False) -> None:
        self._layout, self._seen = layout, tuple(observe(sample, layout).items())
        self._node, judge = _type_of(layout, self._seen, wide=False)
        super().__init__(judge, digested=digested)
        self._wide = False
        self._gathered = self._gather()
        self._cut_mark = CUT_MARKS.get(layout.reader.dialect.name, b"") if layout.chats else b""

    def scanned(self) -> list[ScannedLines]:
        """Return what scans the lines before they are decoded here, by the places seen; none where that cannot be."""
        node, judge = _type_of(self._layout, self._seen, wide=False)
        plan = plan_of(node, strict=self._layout.strict) if is_installed() else None
        if plan is None:
            return []
        try:
            scanner = Scanner(plan, WasmMachine(MOST_BYTES), self._layout.reader.dialect.cost_scale)
        except Fault:
            return []
        return [ScannedLines(judge, scanner, digested=self._digested)]

    def take(self, lines: Lines, numbers: Sequence[int] | None) -> Sequence[int]:
        """Decode lines (see HeldLines)."""
        rows, objects, left = self._decode(lines, numbers)
        if objects:
            self._add(lines, rows)
            self._gathered.add(lines, rows, self._node, objects, self._cut_mark)
            if self._gathered.bytes >= _ROWS_BYTES or self._gathered.table.height >= _ROWS:
                self._make_rows()
        return left

    def _decode(self, lines: Lines, numbers: Sequence[int] | None) -> tuple[Sequence[int], list[Any], Sequence[int]]:
        """Return which lines were decoded, what they hold, and the lines that were not."""
        objects = lines.decode_all(self._node.decoder) if numbers is None else None
        if objects is None and not self._wide and not self._rows and not self._layout.strict:
            self._wide = True
            self._node, self.judge = _type_of(self._layout, self._seen, wide=True)
            objects = lines.decode_all(self._node.decoder) if numbers is None else None
        if objects is not None:
            return range(len(objects)), objects, []
        return lines.decode_each(self._node.decoder, range(lines.count) if numbers is None else numbers)

    def _make_rows(self) -> None:
        if self._gathered.table.height:
            self._held.append(self._gathered.rows(self._node, self._layout.shells))
        self._gathered = self._gather()

    def _gather(self) -> _Gathered:
        return _Gathered(Table(self._layout.reader.dialect.cost_scale, strict=self._layout.strict))


@lru_cache(maxsize=16)
def _type_of(layout: Layout, seen: tuple[tuple[Path, frozenset[type]], ...], *, wide: bool) -> tuple[Node, Judge]:
    node = node_of(layout, dict(seen), wide=wide)
    return node, Judge(layout, *flatten(node))


class _Gathered:
    """Lines of one block after another, of which no columns are made yet.

    Attributes:
        table: what the decoded ones hold.
        bytes: of all of them.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.bytes = 0
        self._numbers: list[int] = []
        self._offsets: list[int] = []

    def add(self, lines: Lines, rows: Sequence[int], node: Node, objects: list[Any], cut_mark: bytes) -> None:
        """Gather the lines of a block.

        Args:
            lines: of the block.
            rows: which of them are decoded.
            node: their type.
            objects: what they hold.
            cut_mark: a line that holds it is for the record reader; empty: none is.
        """
        if cut_mark and (cut := lines.holding(cut_mark)):
            self.table.odd.update(self.table.height + place for place, number in enumerate(rows) if number in cut)
        starts = lines.starts if len(rows) == lines.count else [lines.starts[number] for number in rows]
        self._numbers += map(lines.first_row.__add__, rows)
        self._offsets += map(lines.offset.__add__, starts)
        self.bytes += lines.size
        self.table.take(node, objects)

    def rows(self, node: Node, shells: Mapping[Path, Any]) -> Rows:
        """Return the decoded lines as columns; a line whose texts are not of the types given for them is odd."""
        fields, parts, texts = self.table.columns(node)
        for path, values in texts.items():
            if shells[path] is not msgspec.Raw:
                self.table.odd.update(misfits(values, shells[path]))
        height = self.table.height
        odd = pl.Series([False]).new_from_index(0, height)
        if self.table.odd:
            odd = odd.scatter(sorted(self.table.odd), values=True)
        numbers, offsets = (pl.Series(values, dtype=pl.Int64) for values in (self._numbers, self._offsets))
        return Rows(numbers, offsets, fields, parts, odd, texts)


def open_block_reader(
    first: Block, *, counted: bool, learning: bool, digested: bool = False
) -> BlockReader | None:
    """Return the reader of a text's blocks; None where its first lines are of no dialect that is read by columns.

    Args:
        first: the first block.
        counted: whether usage that is missing will be counted.
        learning: whether there is so much text that it is worth while to learn what is read of a dialect.
        digested: whether facts have digests.
    """
    few = first.data.split(b"\n", _FEW_LINES)[:_FEW_LINES]
    if not learning and not any(reader.dialect.name in LITELLM for reader, _ in _recognised(few)):
        return None  # without a look at more lines, which takes as long as reading most of so little text
    sample: dict[str, list[dict[str, Any]]] = {}
    chatty: set[str] = set()  # dialects whose texts are to be counted
    for reader, value in _recognised(first.data.split(b"\n", _SAMPLED_LINES)[:_SAMPLED_LINES]):
        name = reader.dialect.name
        if name in LITELLM or (learning and reader.dialect.alone):
            sample.setdefault(name, []).append(value)
            if counted and name not in chatty and _is_to_count(reader, value):
                chatty.add(name)
    found: list[DialectLines] = []
    for name, records in sample.items():
        if name in LITELLM:
            found.append(DialectLines(litellm_layout(name, chats=name in chatty), records, digested=digested))
        elif (layout := learn_layout(field_reader(name), records, chats=name in chatty)) is not None:
            found.append(DialectLines(layout, records, digested=digested))
    return BlockReader(found) if found else None


def _recognised(lines: Iterable[bytes]) -> Iterator[tuple[FieldReader, dict[str, Any]]]:
    """Yield the records on some lines that are of a dialect, with its reader."""
    for line in lines:
        try:
            value = decode(line)
        except Refusal:
            continue
        reader = recogniser().find(value) if isinstance(value, dict) else None
        if reader is not None:
            yield reader, value


def _is_to_count(reader: FieldReader, record: Any) -> bool:
    name = reader.dialect.name
    if name in LITELLM and any(follow(record, path) for path in litellm_layout(name).counts):
        return False
    try:
        call = reader.read(record)
    except (Refusal, *UNFORESEEN):
        return False
    return call.usage is None and call.text_missing is None
