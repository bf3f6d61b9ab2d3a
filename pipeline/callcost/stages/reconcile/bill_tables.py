"""Bills as tables: files opened, one source chosen per provider and day, currencies put in order.

What bills say is read by ``logs/bills``; Parquet is opened here. Where two bills state the same day of a provider, the
more detailed one is believed and the other is only listed, so that nothing is ever added twice.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from callcost.errors import ConfigError, LogError
from callcost.logs.bills import bill_dialects
from callcost.logs.bills.lines import CONTROL, OTHER, USAGE, BillLine, day_of
from callcost.logs.bills.reader import BillFile, read_bill, read_rows
from callcost.logs.bills.restate import natural, settle_bill
from callcost.logs.io.inputs import Input, container_of, find_inputs
from callcost.logs.io.object_store import as_source
from callcost.logs.values.times import read_time
from callcost.stages.read.splits import survey
from callcost.tables import Reject

DOLLARS = "USD"
_CENTS = 2


@dataclasses.dataclass(slots=True, kw_only=True)
class Billed:
    """What the bills say in the end.

    Attributes:
        lines: that are compared: of one source per provider and day.
        controls: sums of invoices beside a bill that says more.
        listed: (dialect, provider) -> amount of bills for days that a better one states.
        other: amount and lines of services that are no business of ours.
        covered: provider -> [start, end) in microseconds.
        currency: of every amount.
        inputs: path, bytes and sha256 of each file, and what came of its records.
        rejects: rows that cannot be read.
        notes: what a reader should know.
    """

    lines: list[BillLine] = dataclasses.field(default_factory=list)
    controls: list[BillLine] = dataclasses.field(default_factory=list)
    listed: dict[tuple[str, str], Decimal] = dataclasses.field(default_factory=dict)
    other: tuple[Decimal, int] = (Decimal(0), 0)
    covered: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    currency: str = DOLLARS
    inputs: list[dict[str, object]] = dataclasses.field(default_factory=list)
    rejects: list[Reject] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


def open_bills(paths: Sequence[str]) -> Billed:
    """Read the bills that the arguments name; later arguments restate earlier ones, files of a folder in their order.

    Raises:
        LogError: an argument matches nothing, or a file is no bill or only a part of one.
        ConfigError: amounts are in more than one currency.
    """
    sources = [source for path in paths for source in sorted(find_inputs([path]), key=lambda one: natural(one.name))]
    files = [_open(source) for source in sources]
    lines, fates = settle_bill(files)
    billed = _choose(lines)
    billed.currency = _one_currency(lines)
    for file in files:
        for provider, start, end in file.covered:
            _cover(billed, provider, start, end)
    billed.rejects = [reject for file in files for reject in file.rejects]
    billed.inputs = [_entry(source, file) for source, file in zip(sources, files, strict=True)]
    billed.notes += _notes(files, fates)
    return billed


def _open(source: Input) -> BillFile:
    if container_of(source) != "parquet":
        return read_bill(source)
    try:
        with pq.ParquetFile(as_source(source.path)) as table:
            rows = (record for batch in table.iter_batches(batch_size=10_000) for record in batch.to_pylist())
            return read_rows(source, rows)
    except (OSError, pa.ArrowException) as error:
        message = f"the bill {source.name} is no readable Parquet file"
        raise LogError(message, hint="Export it again") from error


def _entry(source: Input, file: BillFile) -> dict[str, object]:
    return {
        "path": source.name,
        "bytes": source.bytes,
        "sha256": survey(source.path).sha256,
        "dialects": sorted(file.dialects),
        "records": len(file.stated) + len(file.rejects),
        "rejects": len(file.rejects),
    }


def _notes(files: Sequence[BillFile], fates: Counter[str]) -> list[str]:
    notes = []
    paged = [file for file in files if file.dialects and any(stated.key for stated in file.stated)]
    for dialect in sorted({name for file in paged for name in file.dialects}):
        pages = [file for file in paged if dialect in file.dialects]
        if all(file.more for file in pages):
            notes.append(f"{dialect}: every page says that more follow: the bill may not be whole")
    if fates["repeated"]:
        notes.append(f"{fates['repeated']:,} records given more than once count once")
    if fates["replaced"]:
        notes.append(f"{fates['replaced']:,} records restated: the later version holds")
    return notes


# --- Which bill is believed -------------------------------------------------------------------------------------------


def _choose(lines: Sequence[BillLine]) -> Billed:
    """Keep one source of amounts and one of quantities per provider and day."""
    billed, ranks = Billed(), {dialect.name: dialect.rank for dialect in bill_dialects()}
    spared = [line.amount for line in lines if line.kind == OTHER and line.amount is not None]
    billed.other = (sum(spared, Decimal(0)), len(spared))
    ordered = sorted((line for line in lines if line.kind != OTHER), key=_place)
    for _, group in groupby(ordered, key=_place):
        of_day = list(group)
        details = [line for line in of_day if line.kind != CONTROL]
        billed.controls += [line for line in of_day if line.kind == CONTROL]
        money = _best(ranks, (line for line in details if line.amount is not None))
        counts = _best(ranks, (line for line in details if line.quantity is not None))
        asked = [line for line in details if line.dialect == money and line.kind == USAGE and line.amount]
        if asked and all(line.quantity is not None for line in asked):
            counts = money
        elif counts == money:  # counts of some lines only tell nothing of a day
            others = (line for line in details if line.quantity is not None and line.dialect != money)
            counts = _best(ranks, others) or money
        for line in details:
            _keep(billed, line, money, counts)
    alone = {line.provider for line in billed.lines}
    billed.lines += [line for line in billed.controls if line.provider not in alone]
    billed.controls = [line for line in billed.controls if line.provider in alone]
    for line in billed.lines:
        if line.start_at is not None and line.end_at is not None:
            _cover(billed, line.provider, line.start_at, line.end_at)
    return billed


def _place(line: BillLine) -> tuple[str, int]:
    return line.provider, -1 if line.start_at is None else day_of(line.start_at)


def _best(ranks: dict[str, int], lines: Iterable[BillLine]) -> str | None:
    names = {line.dialect for line in lines}
    return min(names, key=lambda name: (ranks[name], name), default=None)


def _keep(billed: Billed, line: BillLine, money: str | None, counts: str | None) -> None:
    """Take from a line what its dialect is believed for."""
    if line.amount is not None and line.dialect != money:
        key = (line.dialect, line.provider)
        billed.listed[key] = billed.listed.get(key, Decimal(0)) + line.amount
        line.amount = None
    if line.dialect != counts:
        line.quantity = None
    if line.amount is not None or line.quantity is not None:
        billed.lines.append(line)


def _cover(billed: Billed, provider: str, start: int, end: int) -> None:
    known = billed.covered.get(provider, (start, end))
    billed.covered[provider] = (min(known[0], start), max(known[1], end))


def cut_bill(billed: Billed, since: int | None, until: int | None) -> None:
    """Leave out what lies outside an interval, in microseconds; a bucket that reaches over an end cannot be cut."""
    begin, end = -(2**62) if since is None else since, 2**62 if until is None else until
    if since is None and until is None:
        return
    kept = [
        line for line in billed.lines
        if line.start_at is not None and begin <= line.start_at and (line.end_at or line.start_at) <= end
    ]  # fmt: skip
    if len(kept) < len(billed.lines):
        billed.notes.append(f"{len(billed.lines) - len(kept):,} lines of the bill lie outside the interval")
    billed.lines = kept
    spans = {provider: (max(first, begin), min(last, end)) for provider, (first, last) in billed.covered.items()}
    billed.covered = {provider: span for provider, span in spans.items() if span[0] < span[1]}


def half_places(lines: Sequence[BillLine]) -> dict[str, Decimal]:
    """Return half a unit of the last place that each dialect's amounts use: what rounding can hide in a line.

    Zeros at the end say nothing (Anthropic always writes six places); nobody rounds to more than a cent.
    """
    places: dict[str, int] = defaultdict(lambda: _CENTS)
    for line in lines:
        if line.amount is not None:
            exponent = line.amount.normalize().as_tuple().exponent
            places[line.dialect] = max(places[line.dialect], -exponent if isinstance(exponent, int) else 0)
    return {dialect: Decimal(5).scaleb(-count - 1) for dialect, count in places.items()}


# --- Currencies -------------------------------------------------------------------------------------------------------


def _one_currency(lines: Sequence[BillLine]) -> str:
    found = sorted({line.currency for line in lines if line.amount is not None and line.kind != OTHER})
    if len(found) > 1:
        message = f"the bills are in {' and '.join(found)}"
        raise ConfigError(message, hint="Reconcile the bills of one currency at a time")
    return found[0] if found else DOLLARS


@dataclasses.dataclass(frozen=True, slots=True)
class Rates:
    """What a US dollar buys of one currency, by date; a rate holds until the next.

    Attributes:
        currency: its code.
        since: beginnings, microseconds since 1970 UTC, ascending.
        rates: of each beginning.
    """

    currency: str = DOLLARS
    since: tuple[int, ...] = ()
    rates: tuple[Decimal, ...] = (Decimal(1),)

    def at(self, moment: int | None) -> Decimal:
        """Return the rate of a moment; of one before all, the first."""
        if not self.since:
            return self.rates[0]
        return self.rates[max(0, bisect_right(self.since, self.since[-1] if moment is None else moment) - 1)]


def read_fx(path: str | None, currency: str) -> Rates:
    """Read the rates that a bill's currency needs.

    Args:
        path: of a CSV with the columns date, currency, rate (what one US dollar buys); None: not given.
        currency: of the bill.

    Raises:
        ConfigError: the bill is not in dollars and there is no file, or the file lacks its currency.
    """
    if currency == DOLLARS:
        return Rates()
    if path is None:
        message = f"the bill is in {currency}, the calls are priced in {DOLLARS}"
        raise ConfigError(message, hint="Give dated rates with --fx FILE (CSV: date, currency, rate)")
    found: dict[int, Decimal] = {}
    try:
        for row in csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8-sig"))):
            if row["currency"].strip().upper() == currency:
                found[_moment(row["date"])] = _rate(row["rate"])
    except (OSError, KeyError, AttributeError, ValueError, InvalidOperation) as error:
        message = f"the rates in {path} cannot be read"
        raise ConfigError(message, hint="A CSV with the columns date (2026-11-01), currency, rate") from error
    if not found:
        message = f"{path} has no rate of {currency}"
        raise ConfigError(message, hint="Add rows: date, currency, what one US dollar buys of it")
    return Rates(currency, tuple(sorted(found)), tuple(found[moment] for moment in sorted(found)))


def _moment(text: str) -> int:
    moment = read_time(text)
    if moment is None:
        raise ValueError
    return moment


def _rate(text: str) -> Decimal:
    rate = Decimal(text)
    if not (rate.is_finite() and rate > 0):
        raise ValueError
    return rate
