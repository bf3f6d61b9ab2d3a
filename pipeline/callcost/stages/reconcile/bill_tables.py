"""Bills as tables: files opened, one source chosen per provider and day, currencies put in order.

What bills say is read by ``logs/bills``; Parquet is opened here. Where two bills state the same day of a provider, the
more detailed one is believed and the other is only listed, so that nothing is ever added twice.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from callcost.errors import ConfigError, LogError
from callcost.logs.bills import bill_dialects
from callcost.logs.bills.lines import BillLine, Kind
from callcost.logs.bills.reader import BillFile, read_bill, read_rows
from callcost.logs.bills.restate import natural, settle_bill
from callcost.logs.io.inputs import Input, find_inputs
from callcost.logs.io.object_store import as_source
from callcost.logs.io.sniff import container_of
from callcost.stages.pricing.exchange_rates import DOLLARS
from callcost.stages.read.splits import survey
from callcost.tables import Reject

_CENTS = 2
_K = TypeVar("_K")


@dataclasses.dataclass(slots=True, kw_only=True)
class Bills:
    """What the bills say in the end.

    Attributes:
        lines: lines to compare: of one source per provider and day.
        invoices: sums of invoices beside a bill that says more.
        second_bills: (dialect, provider) -> amount of bills for days that a better one states.
        other_services: amount and number of lines of services that are no business of ours.
        periods: provider -> [start, end) in microseconds since 1970.
        currency: code of every amount.
        inputs: path, bytes, sha256, dialects, number of records and rejects of each file.
        rejects: rows that cannot be read.
        notes: what a reader of the report should know.
    """

    lines: list[BillLine] = dataclasses.field(default_factory=list)
    invoices: list[BillLine] = dataclasses.field(default_factory=list)
    second_bills: dict[tuple[str, str], Decimal] = dataclasses.field(default_factory=dict)
    other_services: tuple[Decimal, int] = (Decimal(0), 0)
    periods: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    currency: str = DOLLARS
    inputs: list[dict[str, object]] = dataclasses.field(default_factory=list)
    rejects: list[Reject] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


def open_bills(paths: Sequence[str]) -> Bills:
    """Read the bills that the arguments name; later arguments restate earlier ones, files of a folder in their order.

    Raises:
        LogError: an argument matches nothing, or a file is no bill or only a part of one.
        ConfigError: amounts are in more than one currency.
    """
    sources = [source for path in paths for source in sorted(find_inputs([path]), key=lambda one: natural(one.name))]
    files = [_open(source) for source in sources]
    lines, changes = settle_bill(files)
    bills = _choose(lines)
    bills.currency = _one_currency(lines)
    for file in files:
        for period in file.periods:
            _add_period(bills, *period)
    bills.rejects = [reject for file in files for reject in file.rejects]
    bills.inputs = [_entry(source, file) for source, file in zip(sources, files, strict=True)]
    bills.notes = _notes(files, changes)
    if not bills.lines and not bills.invoices:
        count = bills.other_services[1]
        others = f": {count:,} are of other services" if count > 1 else ": 1 is of another service" if count else ""
        bills.notes.append(f"no line of this bill is about LLM calls{others}")
    return bills


def _open(source: Input) -> BillFile:
    if container_of(source.path) != "parquet":
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
        "records": len(file.records) + len(file.rejects),
        "rejects": len(file.rejects),
    }


def _notes(files: Sequence[BillFile], changes: Counter[str]) -> list[str]:
    whole, paged = set[str](), set[str]()
    for file in files:
        if any(record.key for record in file.records):
            (paged if file.more else whole).update(file.dialects)
    notes = [
        f"{dialect}: every page says that more follow: the bill may not be whole" for dialect in sorted(paged - whole)
    ]
    notes += sorted({dialect.note for dialect in bill_dialects() if dialect.note and dialect.name in {*whole, *paged}})
    if changes["repeated"]:
        notes.append(f"{changes['repeated']:,} records given more than once count once")
    if changes["replaced"]:
        notes.append(f"{changes['replaced']:,} records restated: the later version holds")
    return notes


# --- Which bill is believed -------------------------------------------------------------------------------------------


def _choose(lines: Sequence[BillLine]) -> Bills:
    """Keep one source of amounts and one of quantities per provider and day."""
    bills, ranks = Bills(), {dialect.name: dialect.rank for dialect in bill_dialects()}
    others = [line.amount for line in lines if line.kind == Kind.OTHER and line.amount is not None]
    bills.other_services = (sum(others, Decimal(0)), len(others))
    ordered = sorted((line for line in lines if line.kind != Kind.OTHER), key=_provider_and_day)
    for _, group in groupby(ordered, key=_provider_and_day):
        of_day = list(group)
        details = [line for line in of_day if line.kind != Kind.CONTROL]
        bills.invoices += [line for line in of_day if line.kind == Kind.CONTROL]
        money = _best(ranks, (line for line in details if line.amount is not None))
        charged = [line for line in details if line.dialect == money and line.kind == Kind.USAGE and line.amount]
        counted = [line for line in details if line.quantity is not None]
        if charged and all(line.quantity is not None for line in charged):
            counts = money
        else:  # counts of some lines only say nothing of a day, unless there are no others
            counts = _best(ranks, [line for line in counted if line.dialect != money] or counted)
        for line in details:
            _keep(bills, line, money, counts)
    detailed = {line.provider for line in bills.lines}
    bills.lines += [line for line in bills.invoices if line.provider not in detailed]
    bills.invoices = [line for line in bills.invoices if line.provider in detailed]
    for line in bills.lines:
        if line.start_at is not None and line.end_at is not None:
            _add_period(bills, line.provider, line.start_at, line.end_at)
    return bills


def _provider_and_day(line: BillLine) -> tuple[str, int]:
    return line.provider, -1 if line.day is None else line.day


def _best(ranks: dict[str, int], lines: Iterable[BillLine]) -> str | None:
    names = {line.dialect for line in lines}
    return min(names, key=lambda name: (ranks[name], name), default=None)


def _keep(bills: Bills, line: BillLine, money: str | None, counts: str | None) -> None:
    """Take from a line what its dialect is believed for."""
    if line.amount is not None and line.dialect != money:
        key = (line.dialect, line.provider)
        bills.second_bills[key] = bills.second_bills.get(key, Decimal(0)) + line.amount
        line.amount = None
    if line.dialect != counts:
        line.quantity = None
    if line.amount is not None or line.quantity is not None:
        bills.lines.append(line)


def _add_period(bills: Bills, provider: str, start: int, end: int) -> None:
    first, last = bills.periods.get(provider, (start, end))
    bills.periods[provider] = (min(first, start), max(last, end))


def cut_bill(bills: Bills, since: datetime | None, until: datetime | None) -> None:
    """Leave out what lies outside an interval (None: open); a bucket that reaches over an end cannot be cut."""
    if since is None and until is None:
        return
    begin, end = (
        edge if moment is None else int(moment.timestamp()) * 1_000_000
        for moment, edge in ((since, -(2**62)), (until, 2**62))
    )
    kept = [
        line for line in bills.lines
        if line.start_at is not None and begin <= line.start_at and (line.end_at or line.start_at) <= end
    ]  # fmt: skip
    if len(kept) < len(bills.lines):
        bills.notes.append(f"{len(bills.lines) - len(kept):,} lines of the bill lie outside the interval")
    bills.lines = kept
    spans = {provider: (max(first, begin), min(last, end)) for provider, (first, last) in bills.periods.items()}
    bills.periods = {provider: span for provider, span in spans.items() if span[0] < span[1]}


def half_places(amounts: Iterable[tuple[_K, Decimal | None]], *, least: int = _CENTS) -> dict[_K, Decimal]:
    """Return half a unit of the last place that the amounts of each source use: what rounding can hide in one.

    Zeros at the end say nothing (Anthropic always writes six places).

    Args:
        amounts: (source, amount) pairs.
        least: places that every source has; nobody rounds a bill to more than a cent.
    """
    places: dict[_K, int] = {}
    for source, amount in amounts:
        if amount is not None:
            exponent = amount.normalize().as_tuple().exponent
            places[source] = max(places.get(source, least), -exponent if isinstance(exponent, int) else 0)
    return {source: Decimal(5).scaleb(-count - 1) for source, count in places.items()}


# --- Currencies -------------------------------------------------------------------------------------------------------


def _one_currency(lines: Sequence[BillLine]) -> str:
    found = sorted({line.currency for line in lines if line.amount is not None and line.kind != Kind.OTHER})
    if len(found) > 1:
        message = f"the bills are in {' and '.join(found)}"
        raise ConfigError(message, hint="Reconcile the bills of one currency at a time")
    return found[0] if found else DOLLARS
