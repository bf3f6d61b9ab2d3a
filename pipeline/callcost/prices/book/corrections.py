"""What a rate really was where the maps were late or wrong: dated rows with their evidence, laid over the maps.

``data/prices/corrections.csv`` holds one row per model, field and window, append only: a later row goes before an
earlier one of the same cell. A row without an end holds until a version newer than those known when it was recorded
says something else of its cell. ``others.csv`` has the same columns: what two tables agree on of models that no map
ever listed. ``scheduled.csv`` has what was announced for a later day, which holds only once a map has it;
``suspicions.csv`` prices that the gate of new maps found suspicious and somebody forced. Who may be priced by which
entry is left to ``name_ladder.py``; the user's own prices lie over these.
"""

from __future__ import annotations

import csv
import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from callcost.data_folders import data_dir
from callcost.errors import PriceError
from callcost.prices.book.archive import isoformat, microseconds
from callcost.prices.book.catalog import Catalog, user_prices
from callcost.prices.book.changes import Announcement, doubt_of, news_of, read_announcement
from callcost.prices.book.cost_map import Entry, rate
from callcost.prices.peak_hours import OFF_PEAK, windows_in
from callcost.prices.tariffs import Doubt
from callcost.settings import CORRECTIONS

_R = TypeVar("_R")
FILE = "corrections.csv"
OTHERS = "others.csv"
SCHEDULED = "scheduled.csv"
SUSPICIONS = "suspicions.csv"
SUSPICION = "suspicion"  # the kind of its rows, whose value is what the map says
CONDITION = "off-peak "  # how a condition begins
COLUMNS = ("model", "provider", "field", "value", "from", "to", "condition", "kind", "source", "confidence",
           "recorded_on", "event")  # fmt: skip
_TEXTS = ("model", "provider", "field", "condition", "kind", "source", "confidence", "event")
FAR = Decimal(5)  # times; a price that changes rarely changes that much at once
_WHO = {"stated": "announced", "two_sources": "two sources agree", "one_source": "one source says so"}
NONE, _, ALL = CORRECTIONS


class Correction(NamedTuple):
    """One row of the file: what a field of a model's entry should say in a window of time.

    Attributes:
        model: name in the cost maps.
        provider: who serves it, as the maps say it.
        field: of the entry.
        value: what it should say: US dollars a unit.
        begins: microseconds since 1970 UTC, inclusive.
        ends: exclusive; None: until a later version says something else.
        condition: "" or "off-peak HH:MM-HH:MM ... on 1-5, ..." (UTC, weekdays from Monday = 1).
        kind: lag | typo | placeholder | wrong | missing | unlisted | suspicion.
        source: address of what says so; of a suspicion: why.
        confidence: stated (the source gives the day) | two_sources | one_source.
        recorded_on: when this row came into the book, microseconds since 1970 UTC.
        event: rows of one change of prices share it.
    """

    model: str
    provider: str
    field: str
    value: Decimal
    begins: int
    ends: int | None
    condition: str
    kind: str
    source: str
    confidence: str
    recorded_on: int
    event: str

    @property
    def place(self) -> str:
        """Where its value stands in an entry."""
        return f"{OFF_PEAK}.{self.field}" if self.condition else self.field


class Corrected(NamedTuple):
    """An entry with corrections laid over it.

    Attributes:
        entry: the fields.
        rows: the corrections that changed one; (): none did.
        doubts: what speaks against a cell, by its place: a row that is not taken and has another power of ten, a
            suspicion, or a change that is announced.
    """

    entry: Entry
    rows: tuple[Correction, ...]
    doubts: Mapping[str, Doubt]


class Corrections:
    """The corrections that a book takes.

    Args:
        rows: in the order of the file.
        catalog: the versions that they lie over.
        doubts: rows that are not taken.
        announced: changes that were announced.
    """

    def __init__(
        self,
        rows: Iterable[Correction],
        catalog: Catalog,
        doubts: Iterable[Correction] = (),
        announced: Iterable[Announcement] = (),
    ) -> None:
        self._catalog = catalog
        confirmed, open_rows = settle(announced, catalog)
        self._rows, self._doubts = (_by_model(some, catalog) for some in ([*rows, *confirmed], doubts))
        self._announced: dict[str, list[Announcement]] = {}
        for row in open_rows:
            self._announced.setdefault(row.model, []).append(row)
        # by entry, which the catalog keeps
        self._laid: dict[tuple[int, tuple[Correction, ...], tuple[Announcement, ...]], Corrected] = {}

    @property
    def sha256(self) -> str:
        """The digest of all rows, in their order."""
        every: list[Iterable[Correction | Announcement]] = [*self._rows.values(), *self._doubts.values()]
        rows = "\n".join(repr(tuple(row)) for rows in [*every, *self._announced.values()] for row in rows)
        return hashlib.sha256(rows.encode()).hexdigest()

    @property
    def moments(self) -> set[int]:
        """When any of them begins or ends, microseconds since 1970."""
        return {moment for model in self._all_models for moment in self.changes(model)}

    @property
    def _all_models(self) -> set[str]:
        return {*self._rows, *self._doubts, *self._announced}

    @property
    def models(self) -> Iterable[str]:
        """The models that have any."""
        return self._rows

    def changes(self, model: str) -> set[int]:
        """Return when a correction of a model begins or ends, microseconds since 1970."""
        rows: list[Correction | Announcement] = [*self._rows.get(model, ()), *self._doubts.get(model, ())]
        rows += self._announced.get(model, ())
        return {row.begins for row in rows} | {row.ends for row in rows if row.ends is not None}

    def rows_of(self, model: str) -> list[Correction]:
        """Return all corrections of a model, in the order of the file."""
        return self._rows.get(model, [])

    def over(self, model: str, entry: Entry | None, moment: int | None, *, dropped: bool = False) -> Corrected | None:
        """Lay what holds at a moment over a model's entry.

        Args:
            model: name in the cost maps.
            entry: what the maps say of it then; None: they do not list it yet.
            moment: microseconds since 1970 UTC; None: now, whenever that is.
            dropped: the entry is the last one of a model that no version lists any more; what held to the end, holds.

        Returns:
            None where nothing holds then.
        """
        own = self._rows.get(model, ())
        rows = _newest(own, moment, self._last_listed(model, moment) if dropped and own else None)
        doubts = () if entry is None else _newest(self._doubts.get(model, ()), moment)
        then = self._catalog.newest.effective_from if moment is None else moment
        announced = tuple(row for row in self._announced.get(model, ()) if _holds(row, then))
        if not (rows or doubts or announced):
            return None
        key = (id(entry), rows + doubts, announced)
        known = self._laid.get(key)
        if known is None:
            fields = dict(self._first_entry(rows[0]) if entry is None and rows else entry or {})
            used = tuple([row for row in rows if _lay(row, fields) or entry is None])
            against = {row.place: _suspect(row) for row in doubts if _contradicts(row, _cell(fields, row))}
            since = {row.place: row.begins for row in rows}
            against |= {
                row.field: doubt_of(row)
                for row in announced
                if row.begins > since.get(row.field, row.begins - 1)
                and (row.value is None or fields.get(row.field) != row.value)
            }
            known = self._laid[key] = Corrected(MappingProxyType(fields), used, against)
        return known

    def _last_listed(self, model: str, moment: int | None) -> int | None:
        """Return when a version dropped a model that was none listed at a moment."""
        steps = [
            version.effective_from
            for version, entry in self._catalog.history(model)
            if entry is None and (moment is None or version.effective_from <= moment)
        ]
        return max(steps, default=None)

    def _first_entry(self, row: Correction) -> Entry:
        """Return what the maps first said of a row's model, which they list later or never."""
        listed = (entry for _, entry in self._catalog.history(row.model) if entry is not None)
        return next(listed, {"litellm_provider": row.provider, "mode": "chat"})


def describe(row: Correction, catalog: Catalog) -> str:
    """Return a correction in words: the rate, since when, who says so, and since when the map has it."""
    later = (
        version
        for version, entry in catalog.history(row.model)
        if version.effective_from >= row.begins and _cell(entry, row) == row.value
    )
    listed = next(later, None)
    had = f"the map had it on {listed.effective_text[:10]}" if listed else "the map does not have it"
    hours = f" {row.condition}" if row.condition else ""
    since = isoformat(row.begins).removesuffix("T00:00:00Z")
    return f"{row.field} {row.value:f}{hours} since {since}, {_WHO[row.confidence]}: {row.source}; {had}"


def settle(announced: Iterable[Announcement], catalog: Catalog) -> tuple[list[Correction], list[Announcement]]:
    """Tell what the maps have confirmed of changes that were announced, and what is still open.

    Returns:
        Corrections until a map had what was announced; and the rest, each until a map said something else.
    """
    confirmed, still_open = list[Correction](), list[Announcement]()
    for row in announced:
        version, entry = news_of(row, catalog)
        if version is None or row.value is None or (entry or {}).get(row.field) != row.value:
            still_open.append(row if version is None else row._replace(ends=version.effective_from))
        elif version.effective_from > row.begins:
            confirmed.append(
                Correction(
                    row.model, str((entry or {}).get("litellm_provider") or ""), row.field, row.value, row.begins,
                    version.effective_from, "", "lag", row.source, "two_sources", row.recorded_on, row.event,
                )
            )  # fmt: skip
    return confirmed, still_open


def _by_model(rows: Iterable[Correction], catalog: Catalog) -> dict[str, list[Correction]]:
    found: dict[str, list[Correction]] = {}
    for row in rows:
        found.setdefault(row.model, []).append(_with_end(row, catalog))
    return found


def _with_end(row: Correction, catalog: Catalog) -> Correction:
    """End an open row where a newer version, which its author did not have, says something new of its cell."""
    if row.ends is not None or row.kind == SUSPICION:
        return row
    had = next((version for version in reversed(catalog.versions) if version.known_from <= row.recorded_on), None)
    known = _cell(catalog.entry(row.model, had), row)
    for version in catalog.versions[had.index + 1 if had else 0 :]:
        if _cell(catalog.entry(row.model, version), row) != known:
            return row._replace(ends=version.effective_from)
    return row


def _cell(entry: Entry | None, row: Correction) -> Any:
    fields: Mapping[str, Any] = entry or {}
    if row.condition:
        fields = fields.get(OFF_PEAK) or {}
    return fields.get(row.field)


def _newest(rows: Iterable[Correction], moment: int | None, dropped: int | None = None) -> tuple[Correction, ...]:
    """Return what holds at a moment, else what held to the end: of several rows of a cell the last."""
    cells = [((row.place, row.kind == SUSPICION), row) for row in rows]
    ended = {cell: row for cell, row in cells if dropped is not None and row.ends == dropped}
    return tuple((ended | {cell: row for cell, row in cells if _holds(row, moment)}).values())


def _contradicts(row: Correction, listed: Any) -> bool:
    """Say whether a row that is not taken makes a rate suspicious.

    One of another source does where it has about another power of ten, which no change of a price explains; a suspicion
    as long as the rate is the one that it is of.
    """
    if row.kind == SUSPICION:
        return bool(listed == row.value)
    return isinstance(listed, Decimal) and is_far(listed, row.value)


def is_far(one: Decimal, other: Decimal, times: Decimal = FAR) -> bool:
    """Say whether one price is so many times another, or the other way round."""
    return one >= times * other or times * one <= other


def _suspect(row: Correction) -> Doubt:
    words = row.source if row.kind == SUSPICION else f"{row.source} has {row.value:f}: see --corrections all"
    return Doubt("suspect", f"suspicious: {words}")


def _holds(row: Correction | Announcement, moment: int | None) -> bool:
    return row.ends is None if moment is None else row.begins <= moment and (row.ends is None or moment < row.ends)


def _lay(row: Correction, fields: dict[str, Any]) -> bool:
    """Lay one row over an entry's fields; say whether that changed anything."""
    if _cell(fields, row) == row.value:
        return False
    if row.condition:
        hours = {"windows": windows_in(row.condition.removeprefix(CONDITION))}
        fields[OFF_PEAK] = {**(fields.get(OFF_PEAK) or {}), **hours, row.field: row.value}
    else:
        fields[row.field] = row.value
    return True


def load_corrections(which: str, catalog: Catalog, known_on: int | None = None) -> Corrections:
    """Load the bundled corrections, or those of them that may be trusted.

    Args:
        which: "none"; "stated": where a source states the day or two independent ones agree, and what moves with a
            stated change of its model; "all".
        catalog: the versions that they lie over.
        known_on: only what was recorded by then, microseconds since 1970 UTC; None: all.

    Raises:
        PriceError: the file is missing or damaged.
    """
    rows = _known(FILE, which, known_on)
    stated = {(row.event, row.model, row.begins) for row in rows if row.confidence == "stated"}
    taken, doubts = list[Correction](), list[Correction]()
    for row in rows:
        sure = row.confidence != "one_source" or (row.event, row.model, row.begins) in stated
        (taken if sure or which == ALL else doubts).append(row)
    doubts += _known(SUSPICIONS, which, known_on)
    announced = () if which == NONE else _read(data_dir() / "prices" / SCHEDULED, read_announcement)
    known = [row for row in announced if known_on is None or row.recorded_on <= known_on]
    return Corrections(taken, catalog, doubts, known)


def load_others(which: str, catalog: Catalog, known_on: int | None = None) -> Corrections:
    """Load what other tables say of models that no version lists; the arguments are those of ``load_corrections``.

    Raises:
        PriceError: the file is missing or damaged.
    """
    rows = _known(OTHERS, which, known_on)
    return Corrections([row for row in rows if row.model not in catalog.models], catalog)


def open_suspicions() -> list[Correction]:
    """Return the suspicions on record, whether their prices still stand or not.

    Raises:
        PriceError: a file is damaged.
    """
    return _known(SUSPICIONS, ALL, None)


def _known(file: str, which: str, known_on: int | None) -> list[Correction]:
    """Return the rows of a file that may be taken at all, whoever confirms them."""
    if which == NONE:
        return []
    paths = [data_dir() / "prices" / file]
    if file == SUSPICIONS:  # which the user's own versions may have, too
        paths = [path for path in (*paths, user_prices() / file) if path.exists()]
    rows = [row for path in paths for row in _read(path, _row, path.stat().st_mtime_ns if path.exists() else 0)]
    return [row for row in rows if known_on is None or row.recorded_on <= known_on]


@functools.lru_cache(maxsize=8)
def _read(path: Path, read_row: Callable[[Mapping[str, str]], _R], _stamp: int = 0) -> tuple[_R, ...]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(map(read_row, csv.DictReader(file)))
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        message = f"cannot read the corrections of prices {path} ({error})"
        raise PriceError(message, hint="Install callcost again") from error


def _row(cells: Mapping[str, str]) -> Correction:
    return Correction(
        **{name: cells[name] for name in _TEXTS},
        value=rate(cells["value"]),
        begins=microseconds(cells["from"]),
        ends=microseconds(cells["to"]) if cells["to"] else None,
        recorded_on=microseconds(cells["recorded_on"]),
    )
